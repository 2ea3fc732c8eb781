/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Records are decrypted from the input to where the caller wants them. Two things pass through a
 * buffer of the reader's own: a record that the input holds only in part, and one whose plaintext
 * is longer than the caller's room. It can't be both at once, because input is looked at only when
 * all earlier plaintext is handed out:
 *
 *                 record incomplete              whole, and there is room
 *      HELD_NOTHING ------------> HELD_CIPHERTEXT ----------> HELD_NOTHING
 *           |                          |
 *           | room too small           | room too small
 *           +----------> HELD_PLAINTEXT <----+ ----- all handed out -----> HELD_NOTHING
 *
 * The room must hold the type and the padding besides the content, so the bytes behind what is
 * handed out may change too. Plaintext counts only when its tag was right.
 *
 * Two counters run under the same keys: of the records that the peer has sealed, and of those that
 * are sealed here for wolfSSL, which are fewer. A number may stand in both for different content.
 * That would give plaintext away to whoever sees both records; but those sealed here never leave
 * the process, nor does wolfSSL decrypt anything else, so nothing can be forged with it either.
 */
#include "tls/record.h"

#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/chacha20_poly1305.h>
#include <wolfssl/wolfcrypt/hash.h>
#include <wolfssl/wolfcrypt/kdf.h>

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/text.h"

enum {
    SECRET_BYTES_MAX = 48,
    KEY_BYTES_MAX = 32,
    NONCE_BYTES = 12,
    INNER_BYTES_MAX = RECORD_CONTENT_MAX + 1,
    /* The content type, one byte, is there in any case. */
    LENGTH_MIN = 1 + RECORD_TAG_BYTES,
    LENGTH_MAX = INNER_BYTES_MAX + RECORD_TAG_BYTES,
    MESSAGE_HEADER_BYTES = 4,
    EMPTY_RECORDS_MAX = 32 /* in a row, as wolfSSL has it */
};

enum cipher { CIPHER_AES_GCM, CIPHER_CHACHA20_POLY1305 };

struct suite {
    uint16_t number;
    enum cipher cipher;
    unsigned key_bytes;
    int digest;
    unsigned secret_bytes;
};

static const struct suite suites[] = {
    {0x1301, CIPHER_AES_GCM, 16, WC_HASH_TYPE_SHA256, 32},
    {0x1302, CIPHER_AES_GCM, 32, WC_HASH_TYPE_SHA384, 48},
    {0x1303, CIPHER_CHACHA20_POLY1305, 32, WC_HASH_TYPE_SHA256, 32},
};

enum held {
    HELD_NOTHING,
    HELD_CIPHERTEXT, /* held[0 .. held_end] is the beginning of a record */
    HELD_PLAINTEXT   /* held[held_begin .. held_end] is to be handed out */
};

struct record_reader {
    const struct suite *suite;
    enum record_step broken; /* RECORD_WANTS_INPUT: it is not */
    uint8_t secret[SECRET_BYTES_MAX];
    uint8_t key[KEY_BYTES_MAX];
    uint8_t iv[NONCE_BYTES];
    Aes aes; /* CIPHER_AES_GCM */
    uint64_t opened;
    uint64_t sealed;
    unsigned empty_records; /* in a row */
    enum held holds;
    char *held; /* RECORD_BYTES_MAX, or NULL while nothing is held */
    size_t held_begin;
    size_t held_end;
    /* What is no application data: handshake messages from message_begin on, the last of them
     * perhaps not whole yet; or one alert. */
    enum record_type message_type;
    struct text messages;
    size_t message_begin;
    size_t message_len; /* of the one told last; 0: none */
    struct text seal;
};

/* ---- keys ---- */

/* RFC 8446 7.1, with an empty context. */
static bool expand(const struct record_reader *reader, struct span label, uint8_t *key,
                   unsigned len)
{
    static const uint8_t protocol[] = {'t', 'l', 's', '1', '3', ' '};

    return wc_Tls13_HKDF_Expand_Label(key, len, reader->secret, reader->suite->secret_bytes,
                                      protocol, sizeof(protocol), (const byte *)label.data,
                                      (word32)label.len, (const byte *)"", 0,
                                      reader->suite->digest) == 0;
}

/* RFC 8446 7.3: keys from the secret; both counts begin anew. */
static bool set_keys(struct record_reader *reader)
{
    reader->opened = 0;
    reader->sealed = 0;
    return expand(reader, SPAN("key"), reader->key, reader->suite->key_bytes) &&
           expand(reader, SPAN("iv"), reader->iv, NONCE_BYTES) &&
           (reader->suite->cipher != CIPHER_AES_GCM ||
            wc_AesGcmSetKey(&reader->aes, reader->key, reader->suite->key_bytes) == 0);
}

/* RFC 8446 7.2. */
static bool update_keys(struct record_reader *reader)
{
    uint8_t next[SECRET_BYTES_MAX];
    bool good = expand(reader, SPAN("traffic upd"), next, reader->suite->secret_bytes);

    if (good)
        memcpy(reader->secret, next, reader->suite->secret_bytes);
    explicit_bzero(next, sizeof(next));
    return good && set_keys(reader);
}

/* RFC 8446 5.3. */
static void make_nonce(const struct record_reader *reader, uint64_t number,
                       uint8_t nonce[NONCE_BYTES])
{
    memcpy(nonce, reader->iv, NONCE_BYTES);
    for (int i = 0; i < 8; i++)
        nonce[NONCE_BYTES - 1 - i] ^= (uint8_t)(number >> 8 * i);
}

/* Of len bytes and the tag behind them; to may be where they are. */
static bool decrypt(struct record_reader *reader, const char *record, size_t len, char *to)
{
    const byte *header = (const byte *)record;
    const byte *from = header + RECORD_HEADER_BYTES;
    uint8_t nonce[NONCE_BYTES];

    if (reader->opened == UINT64_MAX)
        return false;
    make_nonce(reader, reader->opened++, nonce);
    if (reader->suite->cipher == CIPHER_AES_GCM)
        return wc_AesGcmDecrypt(&reader->aes, (byte *)to, from, (word32)len, nonce, NONCE_BYTES,
                                from + len, RECORD_TAG_BYTES, header, RECORD_HEADER_BYTES) == 0;
    return wc_ChaCha20Poly1305_Decrypt(reader->key, nonce, header, RECORD_HEADER_BYTES, from,
                                       (word32)len, from + len, (byte *)to) == 0;
}

/* In place, the tag behind it. */
static bool encrypt(struct record_reader *reader, char *record, size_t len)
{
    byte *header = (byte *)record;
    byte *text = header + RECORD_HEADER_BYTES;
    uint8_t nonce[NONCE_BYTES];

    make_nonce(reader, reader->sealed++, nonce);
    if (reader->suite->cipher == CIPHER_AES_GCM)
        return wc_AesGcmEncrypt(&reader->aes, text, text, (word32)len, nonce, NONCE_BYTES,
                                text + len, RECORD_TAG_BYTES, header, RECORD_HEADER_BYTES) == 0;
    return wc_ChaCha20Poly1305_Encrypt(reader->key, nonce, header, RECORD_HEADER_BYTES, text,
                                       (word32)len, text, text + len) == 0;
}

/* ---- the reader ---- */

struct record_reader *record_reader_create(uint16_t suite, const uint8_t *secret, size_t len)
{
    struct record_reader *reader = alloc_zeroed(sizeof(*reader));

    if (!reader)
        return NULL;
    if (wc_AesInit(&reader->aes, NULL, INVALID_DEVID) != 0) {
        free(reader);
        return NULL;
    }
    for (size_t i = 0; i < COUNT_OF(suites); i++)
        if (suites[i].number == suite)
            reader->suite = &suites[i];
    if (reader->suite && len == reader->suite->secret_bytes) {
        memcpy(reader->secret, secret, len);
        if (set_keys(reader))
            return reader;
    }
    record_reader_destroy(reader);
    return NULL;
}

void record_reader_destroy(struct record_reader *reader)
{
    if (!reader)
        return;
    wc_AesFree(&reader->aes);
    free(reader->held);
    text_free(&reader->messages);
    text_free(&reader->seal);
    explicit_bzero(reader, sizeof(*reader));
    free(reader);
}

static enum record_step fail(struct record_reader *reader, enum record_step step)
{
    reader->broken = step;
    reader->holds = HELD_NOTHING;
    return step;
}

bool record_pending(const struct record_reader *reader)
{
    return reader->holds == HELD_PLAINTEXT || reader->broken != RECORD_WANTS_INPUT ||
           reader->messages.len > reader->message_begin;
}

/* ---- what is held ---- */

static bool hold(struct record_reader *reader)
{
    if (!reader->held)
        reader->held = alloc_zeroed(RECORD_BYTES_MAX);
    return reader->held != NULL;
}

/* A connection that merely waits for the next response holds no buffer. */
static void let_go(struct record_reader *reader)
{
    if (reader->holds != HELD_NOTHING)
        return;
    free(reader->held);
    reader->held = NULL;
}

static enum record_step hand_out(struct record_reader *reader, char *data, size_t room, size_t *got)
{
    size_t len = reader->held_end - reader->held_begin;

    *got = len < room ? len : room;
    if (*got > 0)
        memcpy(data, reader->held + reader->held_begin, *got);
    reader->held_begin += *got;
    if (reader->held_begin == reader->held_end)
        reader->holds = HELD_NOTHING;
    return RECORD_DATA;
}

/* Takes input until the held beginning of a record is `len` bytes long. False: there is less. */
static bool hold_up_to(struct record_reader *reader, struct span *input, size_t len)
{
    size_t take = len - reader->held_end;

    if (take > input->len)
        take = input->len;
    memcpy(reader->held + reader->held_end, input->data, take);
    reader->held_end += take;
    *input = span_sub(*input, take, input->len);
    return reader->held_end == len;
}

/* ---- messages ---- */

/* The next handshake message that is whole. */
static enum record_step next_message(struct record_reader *reader)
{
    struct span rest = span_sub(text_span(&reader->messages), reader->message_begin, SIZE_MAX);
    const uint8_t *header = (const uint8_t *)rest.data;
    size_t len;

    if (rest.len < MESSAGE_HEADER_BYTES)
        return RECORD_WANTS_INPUT;
    len = MESSAGE_HEADER_BYTES + ((size_t)header[1] << 16 | (size_t)header[2] << 8 | header[3]);
    if (len > RECORD_CONTENT_MAX) /* it would not fit into the one record that wolfSSL gets */
        return fail(reader, RECORD_TOO_LONG);
    if (rest.len < len)
        return RECORD_WANTS_INPUT;
    /* RFC 8446 5.1: nothing may stand in the same record behind what changes the keys. */
    if (header[0] == RECORD_KEY_UPDATE && len < rest.len)
        return fail(reader, RECORD_UNEXPECTED);
    reader->message_len = len;
    return RECORD_MESSAGE;
}

/* The one told last is done with. */
static void drop_message(struct record_reader *reader)
{
    reader->message_begin += reader->message_len;
    reader->message_len = 0;
    if (reader->message_begin < reader->messages.len)
        return;
    text_clear(&reader->messages);
    reader->message_begin = 0;
}

static enum record_step take_message(struct record_reader *reader, uint8_t type,
                                     struct span content)
{
    bool amid_message = reader->messages.len > reader->message_begin;

    if (type == RECORD_ALERT && !amid_message && content.len == 2) {
        reader->message_len = content.len;
    } else if (type != RECORD_HANDSHAKE || content.len == 0) {
        return fail(reader, RECORD_UNEXPECTED);
    }
    text_add(&reader->messages, content);
    if (reader->messages.failed)
        return fail(reader, RECORD_NO_MEMORY);
    reader->message_type = type;
    return type == RECORD_ALERT ? RECORD_MESSAGE : next_message(reader);
}

enum record_type record_message(const struct record_reader *reader, struct span *message)
{
    CHECK(reader->message_len > 0);
    *message = span_sub(text_span(&reader->messages), reader->message_begin, reader->message_len);
    return reader->message_type;
}

struct span record_seal(struct record_reader *reader, enum record_type type, struct span content)
{
    size_t len = content.len + LENGTH_MIN;
    const char header[] = {RECORD_APPLICATION_DATA, 3, 3, (char)(len >> 8), (char)len};
    static const char tag[RECORD_TAG_BYTES];

    CHECK(content.len <= RECORD_CONTENT_MAX);
    text_clear(&reader->seal);
    text_add(&reader->seal, span_make(header, sizeof(header)));
    text_add(&reader->seal, content);
    text_add_char(&reader->seal, (char)type);
    text_add(&reader->seal, span_make(tag, sizeof(tag)));
    if (reader->seal.failed || !encrypt(reader, reader->seal.data, content.len + 1))
        return span_make("", 0);
    if (type == RECORD_HANDSHAKE && content.data[0] == RECORD_KEY_UPDATE && !update_keys(reader))
        return span_make("", 0);
    return text_span(&reader->seal);
}

/* ---- records ---- */

/* The record's length; 0: *step says what is wrong with its header. */
static size_t record_length(struct record_reader *reader, const char *record,
                            enum record_step *step)
{
    const uint8_t *header = (const uint8_t *)record;
    size_t len = (size_t)header[3] << 8 | header[4];

    /* Whatever is not sealed, anybody may have sent. */
    if (header[0] != RECORD_APPLICATION_DATA || header[1] != 3 || header[2] != 3)
        *step = fail(reader, RECORD_UNEXPECTED);
    else if (len > LENGTH_MAX)
        *step = fail(reader, RECORD_TOO_LONG);
    else if (len < LENGTH_MIN)
        *step = fail(reader, RECORD_DAMAGED);
    else
        return RECORD_HEADER_BYTES + len;
    return 0;
}

/* Finds the whole record that is next: in the input, or held. NULL: *step says why not. */
static const char *next_record(struct record_reader *reader, struct span *input, size_t *len,
                               enum record_step *step)
{
    *step = RECORD_WANTS_INPUT;
    if (reader->holds == HELD_NOTHING && input->len >= RECORD_HEADER_BYTES) {
        const char *record = input->data;

        *len = record_length(reader, record, step);
        if (*len == 0)
            return NULL;
        if (*len <= input->len) {
            *input = span_sub(*input, *len, input->len);
            return record;
        }
    }
    if (input->len == 0)
        return NULL;
    if (!hold(reader)) {
        *step = fail(reader, RECORD_NO_MEMORY);
        return NULL;
    }
    if (reader->holds == HELD_NOTHING)
        reader->held_end = 0;
    reader->holds = HELD_CIPHERTEXT;
    if (reader->held_end < RECORD_HEADER_BYTES && !hold_up_to(reader, input, RECORD_HEADER_BYTES))
        return NULL;
    *len = record_length(reader, reader->held, step);
    return *len > 0 && hold_up_to(reader, input, *len) ? reader->held : NULL;
}

/* content: with type, padding and all, decrypted. */
static enum record_step take_content(struct record_reader *reader, struct span content, bool held,
                                     char *data, size_t room, size_t *got)
{
    uint8_t type;

    while (content.len > 0 && content.data[content.len - 1] == 0)
        content.len--;
    if (content.len == 0)
        return fail(reader, RECORD_UNEXPECTED);
    type = (uint8_t)content.data[--content.len];
    if (type != RECORD_APPLICATION_DATA)
        return take_message(reader, type, content);
    if (reader->messages.len > reader->message_begin) /* RFC 8446 5.1 */
        return fail(reader, RECORD_UNEXPECTED);
    if (content.len == 0)
        return ++reader->empty_records > EMPTY_RECORDS_MAX ? fail(reader, RECORD_UNEXPECTED)
                                                           : RECORD_WANTS_INPUT;
    reader->empty_records = 0;
    if (!held) {
        *got = content.len;
        return RECORD_DATA;
    }
    reader->holds = HELD_PLAINTEXT;
    reader->held_begin = (size_t)(content.data - reader->held);
    reader->held_end = reader->held_begin + content.len;
    return hand_out(reader, data, room, got);
}

/* One record, if there is one. RECORD_WANTS_INPUT with input left: go on. */
static enum record_step read_record(struct record_reader *reader, struct span *input, char *data,
                                    size_t room, size_t *got)
{
    enum record_step step;
    size_t len;
    const char *record = next_record(reader, input, &len, &step);
    char *to = data;
    bool held;

    if (!record)
        return step;
    len -= RECORD_HEADER_BYTES + RECORD_TAG_BYTES;
    held = room < len;
    if (held && !hold(reader))
        return fail(reader, RECORD_NO_MEMORY);
    /* In the same place, if it is held already. */
    if (held)
        to = reader->held + RECORD_HEADER_BYTES;
    reader->holds = HELD_NOTHING;
    if (!decrypt(reader, record, len, to))
        return fail(reader, RECORD_DAMAGED);
    return take_content(reader, span_make(to, len), held, data, room, got);
}

enum record_step record_read(struct record_reader *reader, struct span *input, char *data,
                             size_t room, size_t *got)
{
    enum record_step step;

    *got = 0;
    if (reader->broken != RECORD_WANTS_INPUT)
        return reader->broken;
    if (reader->holds == HELD_PLAINTEXT)
        return hand_out(reader, data, room, got);
    if (reader->message_len > 0) {
        drop_message(reader);
        step = next_message(reader);
        if (step != RECORD_WANTS_INPUT)
            return step;
    }
    do
        step = read_record(reader, input, data, room, got);
    while (step == RECORD_WANTS_INPUT && input->len > 0);
    if (step == RECORD_WANTS_INPUT)
        let_go(reader);
    return step;
}
