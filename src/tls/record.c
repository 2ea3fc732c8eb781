/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Records are decrypted from the input to where the caller wants them. Two things pass through a
 * buffer of the reader's own: a record that the input holds only in part, and one whose plaintext
 * is longer than the caller's room. It can't be both at once, because input is looked at only when
 * all earlier plaintext is handed out:
 *
 *                     incomplete                      whole, room enough
 *      HELD_NOTHING --------------> HELD_CIPHERTEXT ---------------------> HELD_NOTHING
 *            |                             |
 *            |  whole, little room         |                all handed out
 *            +-----------------------------+--> HELD_PLAINTEXT ----------> HELD_NOTHING
 *
 * With TLS 1.3 the room must hold the type and the padding besides the content, so the bytes behind
 * what is handed out may change too. Plaintext counts only when its tag was right.
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
    SALT_BYTES = 4, /* RFC 5288 3: the part of the nonce that stays; the other is in the record */
    EXPLICIT_NONCE_BYTES = 8,
    MESSAGE_HEADER_BYTES = 4,
    EMPTY_RECORDS_MAX = 32 /* in a row, as wolfSSL has it */
};

enum cipher { CIPHER_AES_GCM, CIPHER_CHACHA20_POLY1305 };

struct suite {
    uint16_t number;
    bool tls13;
    enum cipher cipher;
    unsigned key_bytes;
    int digest; /* the kind of MAC, with TLS 1.2 */
    unsigned secret_bytes;
};

static const struct suite suites[] = {
    {0x1301, true, CIPHER_AES_GCM, 16, WC_HASH_TYPE_SHA256, 32},
    {0x1302, true, CIPHER_AES_GCM, 32, WC_HASH_TYPE_SHA384, 48},
    {0x1303, true, CIPHER_CHACHA20_POLY1305, 32, WC_HASH_TYPE_SHA256, 32},
    {0xc02b, false, CIPHER_AES_GCM, 16, sha256_mac, RECORD_TLS12_SECRET_BYTES},
    {0xc02f, false, CIPHER_AES_GCM, 16, sha256_mac, RECORD_TLS12_SECRET_BYTES},
    {0x009e, false, CIPHER_AES_GCM, 16, sha256_mac, RECORD_TLS12_SECRET_BYTES},
    {0xc02c, false, CIPHER_AES_GCM, 32, sha384_mac, RECORD_TLS12_SECRET_BYTES},
    {0xc030, false, CIPHER_AES_GCM, 32, sha384_mac, RECORD_TLS12_SECRET_BYTES},
    {0x009f, false, CIPHER_AES_GCM, 32, sha384_mac, RECORD_TLS12_SECRET_BYTES},
    {0xcca9, false, CIPHER_CHACHA20_POLY1305, 32, sha256_mac, RECORD_TLS12_SECRET_BYTES},
    {0xcca8, false, CIPHER_CHACHA20_POLY1305, 32, sha256_mac, RECORD_TLS12_SECRET_BYTES},
    {0xccaa, false, CIPHER_CHACHA20_POLY1305, 32, sha256_mac, RECORD_TLS12_SECRET_BYTES},
};

enum held {
    HELD_NOTHING,
    HELD_CIPHERTEXT, /* held[0 .. held_end] is the beginning of a record */
    HELD_PLAINTEXT   /* held[held_begin .. held_end] is to be handed out */
};

struct record_reader {
    const struct suite *suite;
    enum record_step broken;          /* RECORD_WANTS_INPUT: it is not */
    size_t explicit_bytes;            /* of the nonce, at the beginning of what is sealed */
    uint8_t secret[SECRET_BYTES_MAX]; /* TLS 1.3 */
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

static bool start_cipher(struct record_reader *reader)
{
    return reader->suite->cipher != CIPHER_AES_GCM ||
           wc_AesGcmSetKey(&reader->aes, reader->key, reader->suite->key_bytes) == 0;
}

/* RFC 8446 7.3: keys from the secret; both counts begin anew. */
static bool set_keys(struct record_reader *reader)
{
    reader->opened = 0;
    reader->sealed = 0;
    return expand(reader, SPAN("key"), reader->key, reader->suite->key_bytes) &&
           expand(reader, SPAN("iv"), reader->iv, NONCE_BYTES) && start_cipher(reader);
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

/* RFC 5246 6.3: both sides' keys, then what both begin their nonces with. */
static bool set_tls12_keys(struct record_reader *reader, const uint8_t *secret)
{
    static const struct span label = SPAN("key expansion");
    const struct suite *suite = reader->suite;
    unsigned iv_bytes = suite->cipher == CIPHER_AES_GCM ? SALT_BYTES : NONCE_BYTES;
    uint8_t block[2 * (KEY_BYTES_MAX + NONCE_BYTES)];
    bool good = wc_PRF_TLS(block, 2 * (suite->key_bytes + iv_bytes), secret, SECRET_BYTES_MAX,
                           (const byte *)label.data, (word32)label.len, secret + SECRET_BYTES_MAX,
                           RECORD_TLS12_SECRET_BYTES - SECRET_BYTES_MAX, 1, suite->digest, NULL,
                           INVALID_DEVID) == 0;

    memcpy(reader->key, block + suite->key_bytes, suite->key_bytes);
    memcpy(reader->iv, block + 2 * suite->key_bytes + iv_bytes, iv_bytes);
    explicit_bzero(block, sizeof(block));
    reader->explicit_bytes = suite->cipher == CIPHER_AES_GCM ? EXPLICIT_NONCE_BYTES : 0;
    /* The peer's Finished was the first under these keys. */
    reader->opened = 1;
    reader->sealed = 1;
    return good && start_cipher(reader);
}

static void put_number(uint8_t to[8], uint64_t number)
{
    for (int i = 0; i < 8; i++)
        to[7 - i] = (uint8_t)(number >> 8 * i);
}

/* What a record is sealed with besides its key and its content. */
struct seal {
    uint8_t nonce[NONCE_BYTES];
    uint8_t covered[8 + RECORD_HEADER_BYTES]; /* the additional data */
    word32 covered_len;
};

/* len: of what is encrypted, without the tag. The explicit nonce is in the record already. */
static void make_seal(const struct record_reader *reader, const uint8_t *record, size_t len,
                      uint64_t number, struct seal *seal)
{
    uint8_t bytes[8];

    put_number(bytes, number);
    memcpy(seal->nonce, reader->iv, NONCE_BYTES);
    if (reader->explicit_bytes > 0) /* RFC 5288 3 */
        memcpy(seal->nonce + SALT_BYTES, record + RECORD_HEADER_BYTES, EXPLICIT_NONCE_BYTES);
    else /* RFC 8446 5.3, RFC 7905 2 */
        for (size_t i = 0; i < sizeof(bytes); i++)
            seal->nonce[NONCE_BYTES - sizeof(bytes) + i] ^= bytes[i];
    if (reader->suite->tls13) {
        seal->covered_len = RECORD_HEADER_BYTES;
        memcpy(seal->covered, record, RECORD_HEADER_BYTES);
        return;
    }
    seal->covered_len = sizeof(seal->covered); /* RFC 5246 6.2.3.3 */
    memcpy(seal->covered, bytes, sizeof(bytes));
    memcpy(seal->covered + 8, record, 3);
    seal->covered[11] = (uint8_t)(len >> 8);
    seal->covered[12] = (uint8_t)len;
}

/* Of len bytes and the tag behind them; to may be where they are. */
static bool decrypt(struct record_reader *reader, const char *record, size_t len, char *to)
{
    const byte *from = (const byte *)record + RECORD_HEADER_BYTES + reader->explicit_bytes;
    struct seal seal;

    if (reader->opened == UINT64_MAX)
        return false;
    make_seal(reader, (const byte *)record, len, reader->opened++, &seal);
    if (reader->suite->cipher == CIPHER_AES_GCM)
        return wc_AesGcmDecrypt(&reader->aes, (byte *)to, from, (word32)len, seal.nonce,
                                NONCE_BYTES, from + len, RECORD_TAG_BYTES, seal.covered,
                                seal.covered_len) == 0;
    return wc_ChaCha20Poly1305_Decrypt(reader->key, seal.nonce, seal.covered, seal.covered_len,
                                       from, (word32)len, from + len, (byte *)to) == 0;
}

/* In place, the tag behind it. */
static bool encrypt(struct record_reader *reader, char *record, size_t len)
{
    byte *text = (byte *)record + RECORD_HEADER_BYTES + reader->explicit_bytes;
    struct seal seal;

    make_seal(reader, (const byte *)record, len, reader->sealed++, &seal);
    if (reader->suite->cipher == CIPHER_AES_GCM)
        return wc_AesGcmEncrypt(&reader->aes, text, text, (word32)len, seal.nonce, NONCE_BYTES,
                                text + len, RECORD_TAG_BYTES, seal.covered, seal.covered_len) == 0;
    return wc_ChaCha20Poly1305_Encrypt(reader->key, seal.nonce, seal.covered, seal.covered_len,
                                       text, (word32)len, text, text + len) == 0;
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
        bool good;

        if (reader->suite->tls13) {
            memcpy(reader->secret, secret, len);
            good = set_keys(reader);
        } else {
            good = set_tls12_keys(reader, secret);
        }
        if (good)
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

static bool changes_keys(const struct record_reader *reader, struct span message)
{
    return reader->suite->tls13 && message.data[0] == RECORD_KEY_UPDATE;
}

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
    if (changes_keys(reader, rest) && len < rest.len)
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
    bool tls13 = reader->suite->tls13;
    size_t inner = content.len + (tls13 ? 1 : 0);
    size_t len = reader->explicit_bytes + inner + RECORD_TAG_BYTES;
    const char header[] = {tls13 ? RECORD_APPLICATION_DATA : (char)type, 3, 3, (char)(len >> 8),
                           (char)len};
    static const char tag[RECORD_TAG_BYTES];
    uint8_t explicit[EXPLICIT_NONCE_BYTES];

    CHECK(content.len <= RECORD_CONTENT_MAX);
    put_number(explicit, reader->sealed);
    text_clear(&reader->seal);
    text_add(&reader->seal, span_make(header, sizeof(header)));
    text_add(&reader->seal, span_make((const char *)explicit, reader->explicit_bytes));
    text_add(&reader->seal, content);
    if (tls13)
        text_add_char(&reader->seal, (char)type);
    text_add(&reader->seal, span_make(tag, sizeof(tag)));
    if (reader->seal.failed || !encrypt(reader, reader->seal.data, inner))
        return span_make("", 0);
    if (type == RECORD_HANDSHAKE && changes_keys(reader, content) && !update_keys(reader))
        return span_make("", 0);
    return text_span(&reader->seal);
}

/* ---- records ---- */

/* The record's length; 0: *step says what is wrong with its header. */
static size_t record_length(struct record_reader *reader, const char *record,
                            enum record_step *step)
{
    const uint8_t *header = (const uint8_t *)record;
    bool tls13 = reader->suite->tls13;
    size_t len = (size_t)header[3] << 8 | header[4];
    size_t least = reader->explicit_bytes + (tls13 ? 1 : 0) + RECORD_TAG_BYTES;

    /* Whatever is not sealed, anybody may have sent. */
    if (header[0] < (tls13 ? RECORD_APPLICATION_DATA : RECORD_ALERT) ||
        header[0] > RECORD_APPLICATION_DATA || header[1] != 3 || header[2] != 3)
        *step = fail(reader, RECORD_UNEXPECTED);
    else if (len > least + RECORD_CONTENT_MAX)
        *step = fail(reader, RECORD_TOO_LONG);
    else if (len < least)
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

/* The content's type stands behind it, and zeros behind that (RFC 8446 5.2). 0: there is none. */
static uint8_t cut_type(struct span *content)
{
    while (content->len > 0 && content->data[content->len - 1] == 0)
        content->len--;
    return content->len > 0 ? (uint8_t)content->data[--content->len] : 0;
}

static enum record_step take_content(struct record_reader *reader, uint8_t type,
                                     struct span content, bool held, char *data, size_t room,
                                     size_t *got)
{
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
    struct span content;
    uint8_t type;
    bool held;

    if (!record)
        return step;
    len -= RECORD_HEADER_BYTES + reader->explicit_bytes + RECORD_TAG_BYTES;
    held = room < len;
    if (held && !hold(reader))
        return fail(reader, RECORD_NO_MEMORY);
    /* In the same place, if it is held already. */
    if (held)
        to = reader->held + RECORD_HEADER_BYTES + reader->explicit_bytes;
    reader->holds = HELD_NOTHING;
    type = (uint8_t)record[0];
    if (!decrypt(reader, record, len, to))
        return fail(reader, RECORD_DAMAGED);
    content = span_make(to, len);
    if (reader->suite->tls13)
        type = cut_type(&content);
    return take_content(reader, type, content, held, data, room, got);
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
