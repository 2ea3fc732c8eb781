/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Input: a cipher suite, the number of cuts, the cuts, and what the peer does: records that it
 * seals, with whatever content, and bytes that nobody has sealed. However all that is cut, the same
 * is read, and none but what the peer has sealed as data.
 */
#include "tests/fuzz/fuzz.h"

#include "tests/unit/record_peer.h"
#include "tls/record.h"

enum { DATA_MAX = 256 * 1024, ROOM = 40000, LONG = 0x40, RAW = 7, UPDATE = 6 };

struct outcome {
    struct text data;
    struct text messages;
    enum record_step end;
};

static const uint16_t suites[] = {0x1301, 0x1302, 0x1303,
                                  0xc02f, 0xc030, 0xcca8}; /* RFC 8446, 5289, 7905 */

/* What of a record's content is data, if it has that type (RFC 8446 5.4). */
static struct span inner_data(struct span content, uint8_t type)
{
    if (type == RECORD_APPLICATION_DATA)
        return content;
    while (content.len > 0 && content.data[content.len - 1] == 0)
        content.len--;
    if (content.len == 0 || content.data[content.len - 1] != RECORD_APPLICATION_DATA)
        return span_make("", 0);
    content.len--;
    return content;
}

/* Appends what goes over the wire, and to *data what of it is to be read. */
static void act(struct record_peer *peer, struct span *input, struct text *wire, struct text *data)
{
    static const uint8_t types[] = {23, 22, 21, 20, 0, 24};
    static const char key_update[] = {RECORD_KEY_UPDATE, 0, 0, 1, 0};
    uint8_t what = fuzz_byte(input), kind = what & 7;
    size_t len = fuzz_byte(input), padding = what & 0x80 ? fuzz_byte(input) : 0;
    struct span content = span_sub(*input, 0, len);
    struct text content_copy = {0};

    *input = span_sub(*input, content.len, input->len);
    if (kind == RAW) {
        text_add(wire, content);
        return;
    }
    if (kind == UPDATE) {
        record_peer_seal(peer, RECORD_HANDSHAKE, span_make(key_update, sizeof(key_update)), padding,
                         wire);
        if (peer->suite >> 8 == 0x13) /* there is none before TLS 1.3 */
            record_peer_update(peer);
        return;
    }
    for (int i = 0; i < (what & LONG ? 70 : 1); i++)
        text_add(&content_copy, content);
    if (content_copy.len > RECORD_CONTENT_MAX)
        content_copy.len = RECORD_CONTENT_MAX;
    record_peer_seal(peer, types[kind], text_span(&content_copy), padding, wire);
    /* Without one, the content's last byte is the type, and may be any. */
    if (types[kind] == RECORD_APPLICATION_DATA || types[kind] == 0)
        text_add(data, inner_data(text_span(&content_copy), types[kind]));
    text_free(&content_copy);
}

static void take_message(struct record_reader *reader, struct text *messages)
{
    struct span message;
    enum record_type type = record_message(reader, &message);

    text_add_char(messages, (char)type);
    text_add(messages, message);
    if (message.len <= RECORD_CONTENT_MAX)
        CHECK(record_seal(reader, type, message).len > 0);
}

/* Goes on until the piece is used up, or for good. */
static bool read_piece(struct record_reader *reader, struct span piece, size_t room,
                       struct outcome *outcome)
{
    for (;;) {
        char *data = malloc(room > 0 ? room : 1);
        size_t got = 0, left = piece.len;
        enum record_step step;

        CHECK(data);
        step = record_read(reader, &piece, data, room, &got);
        CHECK(piece.len <= left && got <= room && (got == 0 || step == RECORD_DATA));
        text_add(&outcome->data, span_make(data, got));
        free(data);
        CHECK(outcome->data.len <= DATA_MAX * 4);
        outcome->end = step;
        if (step == RECORD_WANTS_INPUT) {
            CHECK(piece.len == 0);
            return true;
        }
        if (step == RECORD_MESSAGE)
            take_message(reader, &outcome->messages);
        else if (step != RECORD_DATA)
            return false;
    }
}

static void run(uint16_t suite, const uint8_t *secret, struct span wire, struct span cuts,
                size_t room, struct outcome *outcome)
{
    struct record_reader *reader =
        record_reader_create(suite, secret, record_peer_secret_bytes(suite));
    size_t at = 0, next_cut = 0;
    bool good = true;

    *outcome = (struct outcome){.end = RECORD_WANTS_INPUT};
    CHECK(reader);
    while (at < wire.len && good) {
        size_t len = fuzz_piece(cuts, &next_cut, wire.len - at);
        char *piece = fuzz_copy(span_sub(wire, at, len));

        good = read_piece(reader, span_make(piece, len), room, outcome);
        free(piece);
        at += len;
    }
    record_reader_destroy(reader);
}

static void compare(const struct outcome *one, const struct outcome *other, const struct text *data)
{
    CHECK(one->end == other->end && span_equal(text_span(&one->data), text_span(&other->data)));
    CHECK(span_equal(text_span(&one->messages), text_span(&other->messages)));
    CHECK(one->data.len <= data->len);
    CHECK(one->data.len == 0 || memcmp(one->data.data, data->data, one->data.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    struct span input = fuzz_span(bytes, size);
    uint16_t suite = suites[fuzz_byte(&input) % COUNT_OF(suites)];
    size_t count = fuzz_byte(&input) % 16;
    struct span cuts = span_sub(input, 0, count);
    uint8_t secret[RECORD_TLS12_SECRET_BYTES];
    struct text wire = {0}, data = {0};
    struct outcome whole, cut;
    struct record_peer peer;

    input = span_sub(input, cuts.len, input.len);
    for (size_t i = 0; i < sizeof(secret); i++)
        secret[i] = (uint8_t)(i * 7);
    record_peer_init(&peer, suite, secret);
    while (input.len > 0 && wire.len < DATA_MAX)
        act(&peer, &input, &wire, &data);
    run(suite, secret, text_span(&wire), span_make("", 0), ROOM, &whole);
    run(suite, secret, text_span(&wire), cuts, 1 + (count * 37), &cut);
    compare(&whole, &cut, &data);
    text_free(&whole.data);
    text_free(&whole.messages);
    text_free(&cut.data);
    text_free(&cut.messages);
    text_free(&wire);
    text_free(&data);
    return 0;
}
