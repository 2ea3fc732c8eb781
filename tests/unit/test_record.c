/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The reader of records against a peer that seals whatever it is told to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/check.h"
#include "tests/unit/record_peer.h"
#include "tls/record.h"

enum { ROOM = 40000 };

static const uint16_t suites[] = {0x1301, 0x1302, 0x1303, 0xc02f, 0xc030, 0xcca8};
static const uint16_t tls12_suites[] = {0xc02f, 0xc030, 0xcca8};

struct fixture {
    struct record_peer peer;
    uint8_t secret[RECORD_TLS12_SECRET_BYTES]; /* both began with it */
    struct record_reader *reader;
    struct text wire;  /* what the peer has sent */
    struct span input; /* what of it the reader has not taken */
    char data[ROOM];
    size_t got;
};

static uint64_t seed = 88172645463325252;

static uint64_t random_number(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static struct fixture *begin(uint16_t suite)
{
    struct fixture *f = calloc(1, sizeof(*f));
    uint8_t secret[RECORD_TLS12_SECRET_BYTES];

    assert_non_null(f);
    for (size_t i = 0; i < sizeof(secret); i++)
        secret[i] = (uint8_t)random_number();
    record_peer_init(&f->peer, suite, secret);
    f->reader = record_reader_create(suite, secret, record_peer_secret_bytes(suite));
    memcpy(f->secret, secret, sizeof(secret));
    assert_non_null(f->reader);
    return f;
}

static void end(struct fixture *f)
{
    record_reader_destroy(f->reader);
    text_free(&f->wire);
    free(f);
}

static void seal(struct fixture *f, uint8_t type, struct span content)
{
    record_peer_seal(&f->peer, type, content, 0, &f->wire);
}

static void seal_data(struct fixture *f, size_t len)
{
    static const char data[RECORD_CONTENT_MAX + 8];

    seal(f, RECORD_APPLICATION_DATA, span_make(data, len));
}

/* A handshake message with a body of zeros. */
static struct span message(uint8_t type, size_t body)
{
    static char data[70000];

    data[0] = (char)type;
    data[1] = (char)(body >> 16);
    data[2] = (char)(body >> 8);
    data[3] = (char)body;
    return span_make(data, 4 + body);
}

static enum record_step step(struct fixture *f)
{
    return record_read(f->reader, &f->input, f->data, sizeof(f->data), &f->got);
}

/* Lends all that the peer has sent since the last time. */
static enum record_step send_and_step(struct fixture *f)
{
    f->input = text_span(&f->wire);
    return step(f);
}

static void drop_sent(struct fixture *f)
{
    assert_int_equal(f->input.len, 0);
    text_clear(&f->wire);
}

/* Sends, and takes all data up to where it ends. Returns what ended it. */
static enum record_step drain(struct fixture *f)
{
    enum record_step now;

    for (now = send_and_step(f); now == RECORD_DATA; now = step(f))
        ;
    if (now == RECORD_WANTS_INPUT)
        drop_sent(f);
    return now;
}

/* What has gone wrong, stays wrong. */
static void assert_broken(struct fixture *f, enum record_step expected)
{
    assert_true(record_pending(f->reader));
    seal_data(f, 1);
    assert_int_equal(send_and_step(f), expected);
    assert_int_equal(f->got, 0);
}

/* RFC 8448 3: the server's records of a connection with keys that all may know. */
static void test_published_records(void **state)
{
    static const uint8_t secret[] = {0xa1, 0x1a, 0xf9, 0xf0, 0x55, 0x31, 0xf8, 0x56,
                                     0xad, 0x47, 0x11, 0x6b, 0x45, 0xa9, 0x50, 0x32,
                                     0x82, 0x04, 0xb4, 0xf4, 0x4b, 0xfb, 0x6b, 0x3a,
                                     0x4b, 0x4f, 0x1f, 0x3f, 0xcb, 0x63, 0x16, 0x43};
    static const char hex[] =
        "17030300de3a6b8f90414a97d6959c3487680de5134a2b240e6cffac116e95d41d6af8f6b580dcf3d11d63c758"
        "db289a015940252f55713e061dc13e078891a38efbcf5753ad8ef170ad3c7353d16d9da773b9ca7f2b9fa1b6c0"
        "d4a3d03f75e09c30ba1e62972ac46f75f7b981be63439b2999ce13064615139891d5e4c5b406f16e3fc181a77c"
        "a475840025db2f0a77f81b5ab05b94c01346755f69232c86519d86cbeeac87aac347d143f9605d64f650db4d02"
        "3e70e952ca49fe5137121c74bc2697687e248746d6df353005f3bce18696129c8153556b3b6c6779b37bf15985"
        "684f"
        "17030300432e937e11ef4ac740e538ad36005fc4a46932fc3225d05f82aa1b36e30efaf97d90e6dffc602dcb50"
        "1a59a8fcc49c4bf2e5f0a21c0047c2abf332540dd032e167c2955d"
        "1703030013b58fd67166ebf599d24720cfbe7efa7a8864a9";
    struct record_reader *reader = record_reader_create(0x1301, secret, sizeof(secret));
    char wire[sizeof(hex) / 2];
    struct span input = span_make(wire, sizeof(wire));
    struct span content;
    char data[80];
    size_t got;

    (void)state;
    for (size_t i = 0; i < sizeof(wire); i++) {
        const char digits[] = {hex[2 * i], hex[2 * i + 1], '\0'};

        wire[i] = (char)strtol(digits, NULL, 16);
    }
    assert_int_equal(record_read(reader, &input, data, sizeof(data), &got), RECORD_MESSAGE);
    assert_int_equal(record_message(reader, &content), RECORD_HANDSHAKE);
    assert_int_equal(content.len, 4 + 201);
    assert_int_equal(content.data[0], RECORD_NEW_SESSION_TICKET);
    assert_int_equal(record_read(reader, &input, data, sizeof(data), &got), RECORD_DATA);
    assert_int_equal(got, 50);
    for (char i = 0; i < 50; i++)
        assert_int_equal(data[(int)i], i);
    assert_int_equal(record_read(reader, &input, data, sizeof(data), &got), RECORD_MESSAGE);
    assert_int_equal(record_message(reader, &content), RECORD_ALERT);
    assert_memory_equal(content.data, "\1\0", 2);
    assert_int_equal(input.len, 0);
    record_reader_destroy(reader);
}

static void test_unknown_keys(void **state)
{
    uint8_t secret[48] = {0};

    (void)state;
    assert_null(record_reader_create(0x1304, secret, 32));
    assert_null(record_reader_create(0xc013, secret, 32));
    assert_null(record_reader_create(0xc02f, secret, 32));
    assert_null(record_reader_create(0x1301, secret, 48));
    assert_null(record_reader_create(0x1302, secret, 32));
    record_reader_destroy(NULL);
}

/* Records of any length and padding, cut anywhere, into any room. */
static void stream(uint16_t suite)
{
    struct fixture *f = begin(suite);
    struct text sent = {0};
    struct text received = {0};
    size_t at = 0;

    for (int i = 0; i < 60; i++) {
        static char noise[RECORD_CONTENT_MAX];
        bool full = random_number() % 2 == 0;
        size_t len = full ? RECORD_CONTENT_MAX : (size_t)(random_number() % RECORD_CONTENT_MAX);
        size_t most = RECORD_CONTENT_MAX - len;

        for (size_t k = 0; k < len; k++)
            noise[k] = (char)random_number();
        record_peer_seal(&f->peer, RECORD_APPLICATION_DATA, span_make(noise, len),
                         random_number() % 2 ? (size_t)(random_number() % (most + 1)) : most,
                         &f->wire);
        text_add(&sent, span_make(noise, len));
    }
    while (at < f->wire.len) {
        struct span piece =
            span_sub(text_span(&f->wire), at, 1 + (size_t)(random_number() % 40000));

        at += piece.len;
        f->input = piece;
        for (;;) {
            size_t room = (size_t)(random_number() % (random_number() % 2 ? 100 : ROOM));
            enum record_step now = record_read(f->reader, &f->input, f->data, room, &f->got);

            if (now == RECORD_WANTS_INPUT)
                break;
            assert_int_equal(now, RECORD_DATA);
            assert_true(f->got <= room);
            text_add(&received, span_make(f->data, f->got));
        }
        assert_int_equal(f->input.len, 0);
        assert_false(record_pending(f->reader));
    }
    assert_int_equal(received.len, sent.len);
    assert_memory_equal(received.data, sent.data, sent.len);
    text_free(&sent);
    text_free(&received);
    end(f);
}

static void test_streams(void **state)
{
    (void)state;
    for (size_t i = 0; i < 18; i++)
        stream(suites[i % COUNT_OF(suites)]);
}

static void test_byte_at_a_time(void **state)
{
    struct fixture *f = begin(0x1301);

    (void)state;
    seal(f, RECORD_APPLICATION_DATA, SPAN("abc"));
    for (size_t i = 0; i + 1 < f->wire.len; i++) {
        f->input = span_make(f->wire.data + i, 1);
        assert_int_equal(step(f), RECORD_WANTS_INPUT);
        assert_int_equal(f->input.len, 0);
        assert_int_equal(f->got, 0);
    }
    f->input = span_make(f->wire.data + f->wire.len - 1, 1);
    assert_int_equal(step(f), RECORD_DATA);
    assert_int_equal(f->got, 3);
    assert_memory_equal(f->data, "abc", 3);
    end(f);
}

/* Without room, plaintext stays until there is some; nothing else is looked at before. */
static void test_no_room(void **state)
{
    struct fixture *f = begin(0x1301);

    (void)state;
    seal(f, RECORD_APPLICATION_DATA, SPAN("abcdef"));
    seal(f, RECORD_APPLICATION_DATA, SPAN("ghi"));
    f->input = text_span(&f->wire);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(record_read(f->reader, &f->input, NULL, 0, &f->got), RECORD_DATA);
        assert_int_equal(f->got, 0);
        assert_int_equal(f->input.len, 5 + 3 + 1 + 16);
        assert_true(record_pending(f->reader));
    }
    assert_int_equal(record_read(f->reader, &f->input, f->data, 4, &f->got), RECORD_DATA);
    assert_memory_equal(f->data, "abcd", 4);
    assert_int_equal(step(f), RECORD_DATA);
    assert_int_equal(f->got, 2);
    assert_memory_equal(f->data, "ef", 2);
    assert_int_equal(step(f), RECORD_DATA);
    assert_memory_equal(f->data, "ghi", 3);
    assert_false(record_pending(f->reader));
    end(f);
}

static bool is_tls12(uint16_t suite)
{
    return suite >> 8 != 0x13;
}

/* Whatever bit is changed, wherever the record is cut: nothing of it is handed out. */
static void damage(uint16_t suite, size_t byte, unsigned bit, size_t cut)
{
    struct fixture *f = begin(suite);
    enum record_step now;

    seal(f, RECORD_APPLICATION_DATA, SPAN("0123456789"));
    if (byte >= f->wire.len)
        byte = f->wire.len - 1;
    f->wire.data[byte] ^= (char)(1U << bit);
    f->input = span_make(f->wire.data, cut);
    now = step(f);
    if (now == RECORD_WANTS_INPUT) {
        f->input = span_make(f->wire.data + cut, f->wire.len - cut);
        now = step(f);
    }
    assert_int_equal(f->got, 0);
    if (byte == 0 && is_tls12(suite)) /* may be another type, which is sealed as well */
        assert_true(now == RECORD_UNEXPECTED || now == RECORD_DAMAGED);
    else if (byte < 3)
        assert_int_equal(now, RECORD_UNEXPECTED);
    else if (byte == 3) /* 256 bytes more at least */
        assert_true(now == RECORD_WANTS_INPUT || now == RECORD_TOO_LONG);
    else if (byte == 4)
        assert_true(now == RECORD_WANTS_INPUT || now == RECORD_DAMAGED);
    else
        assert_int_equal(now, RECORD_DAMAGED);
    if (now != RECORD_WANTS_INPUT)
        assert_broken(f, now);
    end(f);
}

static void test_damage(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT_OF(suites); s++)
        for (size_t byte = 0; byte < 5 + 8 + 10 + 16; byte++)
            for (unsigned bit = 0; bit < 8; bit++)
                damage(suites[s], byte, bit, (size_t)(random_number() % 32));
}

/* A record that is repeated, left out, or in another place, is none of the peer's. */
static void test_order(void **state)
{
    static const char order[][4] = {"AA", "B", "BA", "ABB", "ACB", "ABA", "C"};

    (void)state;
    for (size_t i = 0; i < 2 * COUNT_OF(order); i++) {
        struct fixture *f = begin(i % 2 ? 0xc02f : 0x1301);
        struct text wire = {0};
        enum record_step now = RECORD_DATA;
        size_t len;

        seal(f, RECORD_APPLICATION_DATA, SPAN("A"));
        len = f->wire.len;
        seal(f, RECORD_APPLICATION_DATA, SPAN("B"));
        seal(f, RECORD_APPLICATION_DATA, SPAN("C"));
        for (const char *c = order[i / 2]; *c; c++)
            text_add(&wire, span_make(f->wire.data + len * (size_t)(*c - 'A'), len));
        f->input = text_span(&wire);
        for (const char *c = order[i / 2]; now == RECORD_DATA; c++) {
            now = step(f);
            if (now == RECORD_DATA)
                assert_int_equal(f->data[0], *c);
        }
        assert_int_equal(now, RECORD_DAMAGED);
        text_free(&wire);
        end(f);
    }
}

static void test_limits_of_a_record(void **state)
{
    struct fixture *f = begin(0x1301);

    (void)state;
    /* as long as it may be: content, or padding */
    seal_data(f, RECORD_CONTENT_MAX);
    assert_int_equal(f->wire.len, 5 + RECORD_CONTENT_MAX + 1 + 16);
    record_peer_seal(&f->peer, RECORD_APPLICATION_DATA, SPAN("x"), RECORD_CONTENT_MAX - 1,
                     &f->wire);
    assert_int_equal(send_and_step(f), RECORD_DATA);
    assert_int_equal(f->got, RECORD_CONTENT_MAX);
    assert_int_equal(step(f), RECORD_DATA);
    assert_int_equal(f->got, 1);
    drop_sent(f);
    /* one more: known from the header alone */
    seal_data(f, RECORD_CONTENT_MAX + 1);
    f->input = span_make(f->wire.data, 5);
    assert_int_equal(step(f), RECORD_TOO_LONG);
    assert_broken(f, RECORD_TOO_LONG);
    end(f);
    f = begin(0x1303);
    record_peer_seal(&f->peer, RECORD_APPLICATION_DATA, SPAN("x"), RECORD_CONTENT_MAX, &f->wire);
    f->input = span_make(f->wire.data, 3);
    assert_int_equal(step(f), RECORD_WANTS_INPUT);
    f->input = span_make(f->wire.data + 3, 2);
    assert_int_equal(step(f), RECORD_TOO_LONG);
    end(f);
}

static void test_shortest_records(void **state)
{
    static const char too_short[] = {23, 3, 3, 0, 16};
    static const char empty[] = {23, 3, 3, 0, 0};
    struct fixture *f = begin(0x1301);

    (void)state;
    f->input = span_make(too_short, sizeof(too_short));
    assert_int_equal(step(f), RECORD_DAMAGED);
    end(f);
    f = begin(0x1301);
    f->input = span_make(empty, sizeof(empty));
    assert_int_equal(step(f), RECORD_DAMAGED);
    end(f);
    /* nothing but padding: RFC 8446 5.4 */
    for (size_t padding = 1; padding < 300; padding += 100) {
        f = begin(0x1301);
        record_peer_seal(&f->peer, 0, SPAN(""), padding, &f->wire);
        assert_int_equal(send_and_step(f), RECORD_UNEXPECTED);
        assert_broken(f, RECORD_UNEXPECTED);
        end(f);
    }
}

static void test_empty_records(void **state)
{
    struct fixture *f = begin(0x1301);

    (void)state;
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 32; i++)
            seal_data(f, 0);
        assert_int_equal(drain(f), RECORD_WANTS_INPUT);
        seal_data(f, 1);
        assert_int_equal(drain(f), RECORD_WANTS_INPUT);
    }
    for (int i = 0; i < 33; i++)
        seal_data(f, 0);
    assert_int_equal(drain(f), RECORD_UNEXPECTED);
    end(f);
}

/* Whoever is in between can send these. */
static void test_what_is_not_sealed(void **state)
{
    static const char records[][8] = {
        {21, 3, 3, 0, 2, 1, 0}, /* close_notify */
        {20, 3, 3, 0, 1, 1},    /* change_cipher_spec */
        {22, 3, 3, 0, 1, 0},    {0, 3, 3, 0, 1, 0}, {23, 3, 1, 0, 20, 0}, {23, 2, 3, 0, 20, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(records); i++) {
        struct fixture *f = begin(0x1301);

        seal_data(f, 1);
        assert_int_equal(drain(f), RECORD_WANTS_INPUT);
        f->input = span_make(records[i], sizeof(records[i]));
        assert_int_equal(step(f), RECORD_UNEXPECTED);
        assert_broken(f, RECORD_UNEXPECTED);
        end(f);
    }
}

static void test_other_types(void **state)
{
    (void)state;
    for (int type = 1; type < 256; type++) {
        struct fixture *f = begin(0x1301);

        seal(f, (uint8_t)type, SPAN("\1\0"));
        switch (type) {
        case RECORD_APPLICATION_DATA:
            assert_int_equal(send_and_step(f), RECORD_DATA);
            break;
        case RECORD_ALERT:
            assert_int_equal(send_and_step(f), RECORD_MESSAGE);
            break;
        case RECORD_HANDSHAKE: /* the beginning of a message */
            assert_int_equal(send_and_step(f), RECORD_WANTS_INPUT);
            break;
        default:
            assert_int_equal(send_and_step(f), RECORD_UNEXPECTED);
        }
        end(f);
    }
}

static void assert_message(struct fixture *f, enum record_type type, struct span expected)
{
    struct span content;

    assert_int_equal(record_message(f->reader, &content), type);
    assert_int_equal(content.len, expected.len);
    assert_memory_equal(content.data, expected.data, expected.len);
}

static void test_messages(void **state)
{
    struct fixture *f = begin(0x1301);
    struct text two = {0};
    struct span ticket;

    (void)state;
    /* several in a record */
    text_add(&two, message(RECORD_NEW_SESSION_TICKET, 20));
    text_add(&two, message(RECORD_NEW_SESSION_TICKET, 0));
    seal_data(f, 5);
    seal(f, RECORD_HANDSHAKE, text_span(&two));
    seal_data(f, 6);
    assert_int_equal(send_and_step(f), RECORD_DATA);
    assert_int_equal(step(f), RECORD_MESSAGE);
    assert_message(f, RECORD_HANDSHAKE, span_make(two.data, 24));
    assert_true(record_pending(f->reader));
    assert_int_equal(step(f), RECORD_MESSAGE);
    assert_message(f, RECORD_HANDSHAKE, span_make(two.data + 24, 4));
    assert_int_equal(step(f), RECORD_DATA);
    assert_int_equal(f->got, 6);
    drop_sent(f);
    /* one over several records, however it is cut */
    ticket = message(RECORD_NEW_SESSION_TICKET, 26);
    for (size_t cut = 1; cut < 30; cut++) {
        seal(f, RECORD_HANDSHAKE, span_sub(ticket, 0, cut));
        seal(f, RECORD_HANDSHAKE, span_sub(ticket, cut, 30));
        seal_data(f, 7);
        assert_int_equal(send_and_step(f), RECORD_MESSAGE);
        assert_message(f, RECORD_HANDSHAKE, ticket);
        assert_int_equal(step(f), RECORD_DATA);
        assert_int_equal(f->got, 7);
        drop_sent(f);
    }
    text_free(&two);
    end(f);
}

/* What TLS forbids, all of it sealed by the peer itself. */
static void refused(enum record_step expected, const struct span *contents, const uint8_t *types,
                    size_t count)
{
    struct fixture *f = begin(0x1301);
    enum record_step now = RECORD_WANTS_INPUT;

    for (size_t i = 0; i < count; i++)
        seal(f, types[i], contents[i]);
    f->input = text_span(&f->wire);
    do
        now = step(f);
    while (now == RECORD_DATA || now == RECORD_MESSAGE);
    assert_int_equal(now, expected);
    assert_broken(f, expected);
    end(f);
}

static void test_what_is_forbidden(void **state)
{
    const struct span half = SPAN("\4\0\0\6abc");
    const struct span close = SPAN("\1\0");
    const struct span update_and_more = SPAN("\x18\0\0\1\0\4\0\0\0");
    const uint8_t messages = RECORD_HANDSHAKE, alert = RECORD_ALERT;

    (void)state;
    /* RFC 8446 5.1: between the parts of a message */
    refused(RECORD_UNEXPECTED, (struct span[]){half, SPAN("data")},
            (uint8_t[]){RECORD_HANDSHAKE, RECORD_APPLICATION_DATA}, 2);
    refused(RECORD_UNEXPECTED, (struct span[]){half, SPAN("")},
            (uint8_t[]){RECORD_HANDSHAKE, RECORD_APPLICATION_DATA}, 2);
    refused(RECORD_UNEXPECTED, (struct span[]){half, close},
            (uint8_t[]){RECORD_HANDSHAKE, RECORD_ALERT}, 2);
    /* messages without content, alerts of another length than theirs */
    refused(RECORD_UNEXPECTED, (struct span[]){SPAN("")}, &messages, 1);
    refused(RECORD_UNEXPECTED, (struct span[]){SPAN("")}, &alert, 1);
    refused(RECORD_UNEXPECTED, (struct span[]){SPAN("\1")}, &alert, 1);
    refused(RECORD_UNEXPECTED, (struct span[]){SPAN("\1\0\1\0")}, &alert, 1);
    /* behind a change of keys */
    refused(RECORD_UNEXPECTED, &update_and_more, &messages, 1);
    /* longer than a message may be here */
    refused(RECORD_TOO_LONG, (struct span[]){span_sub(message(4, 16381), 0, 100)}, &messages, 1);
    refused(RECORD_TOO_LONG, (struct span[]){SPAN("\4\xff\xff\xff")}, &messages, 1);
}

static void test_longest_message(void **state)
{
    struct fixture *f = begin(0x1301);
    struct span ticket = message(RECORD_NEW_SESSION_TICKET, RECORD_CONTENT_MAX - 4);

    (void)state;
    seal(f, RECORD_HANDSHAKE, span_sub(ticket, 0, 9000));
    seal(f, RECORD_HANDSHAKE, span_sub(ticket, 9000, ticket.len));
    assert_int_equal(send_and_step(f), RECORD_MESSAGE);
    assert_message(f, RECORD_HANDSHAKE, ticket);
    assert_int_equal(record_seal(f->reader, RECORD_HANDSHAKE, ticket).len,
                     5 + RECORD_CONTENT_MAX + 1 + 16);
    end(f);
}

/* What is sealed for wolfSSL: the session as it would be without the data in between. */
static void test_sealing(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT_OF(suites); s++) {
        struct fixture *f = begin(suites[s]);
        struct record_reader *other =
            record_reader_create(suites[s], f->secret, record_peer_secret_bytes(suites[s]));

        for (int i = 0; i < 20; i++) {
            struct span content, again;
            bool update = i % 7 == 6 && !is_tls12(suites[s]);
            uint8_t type = update ? RECORD_KEY_UPDATE : RECORD_NEW_SESSION_TICKET;
            enum record_step now;
            char data[100];
            size_t got;

            for (int k = 0; k < i % 3; k++)
                seal_data(f, 100);
            seal(f, RECORD_HANDSHAKE, message(type, update ? 1 : (size_t)i));
            if (update)
                record_peer_update(&f->peer);
            for (now = send_and_step(f); now == RECORD_DATA; now = step(f))
                ;
            assert_int_equal(now, RECORD_MESSAGE);
            record_message(f->reader, &content);
            again = record_seal(f->reader, RECORD_HANDSHAKE, content);
            assert_int_equal(record_read(other, &again, data, sizeof(data), &got), RECORD_MESSAGE);
            record_message(other, &again);
            assert_int_equal(again.len, content.len);
            assert_memory_equal(again.data, content.data, content.len);
            if (update) /* the other one's keys change as well */
                record_seal(other, RECORD_HANDSHAKE, again);
            assert_int_equal(step(f), RECORD_WANTS_INPUT);
            drop_sent(f);
        }
        record_reader_destroy(other);
        end(f);
    }
}

/* Whatever a peer seals, and however it comes in: one trouble, or none. */
static void anything(uint16_t suite)
{
    static const uint8_t types[] = {23, 23, 23, 22, 22, 22, 21, 20, 0, 77};
    struct fixture *f = begin(suite);
    enum record_step now = RECORD_WANTS_INPUT;
    size_t at = 0;

    for (int i = 0; i < 8; i++) {
        char content[64];
        size_t len = (size_t)(random_number() % sizeof(content));

        memset(content, 0, sizeof(content));
        content[0] = random_number() % 4 ? RECORD_NEW_SESSION_TICKET : (char)random_number();
        content[3] = (char)(random_number() % (random_number() % 2 ? 8 : 256));
        record_peer_seal(&f->peer, types[random_number() % sizeof(types)], span_make(content, len),
                         (size_t)(random_number() % 3), &f->wire);
    }
    while (at < f->wire.len && now <= RECORD_MESSAGE) {
        struct span content;

        f->input = span_sub(text_span(&f->wire), at, 1 + (size_t)(random_number() % 200));
        at += f->input.len;
        do {
            size_t room = (size_t)(random_number() % 100);

            now = record_read(f->reader, &f->input, f->data, room, &f->got);
            assert_true(f->got <= room);
            assert_true(now == RECORD_DATA || f->got == 0);
            if (now == RECORD_MESSAGE && record_message(f->reader, &content) > 0)
                assert_true(record_seal(f->reader, RECORD_HANDSHAKE, content).len > 0);
        } while (now == RECORD_DATA || now == RECORD_MESSAGE);
        assert_true(now != RECORD_WANTS_INPUT || f->input.len == 0);
    }
    if (now != RECORD_WANTS_INPUT)
        assert_broken(f, now);
    end(f);
}

static void test_anything(void **state)
{
    (void)state;
    for (size_t i = 0; i < 3000; i++)
        anything(suites[i % COUNT_OF(suites)]);
}

/* TLS 1.2 has the type outside, and no keys that change. */
static void test_tls12(void **state)
{
    (void)state;
    for (size_t s = 0; s < COUNT_OF(tls12_suites); s++) {
        size_t overhead = tls12_suites[s] == 0xcca8 ? 5 + 16 : 5 + 8 + 16;
        struct fixture *f = begin(tls12_suites[s]);

        seal_data(f, RECORD_CONTENT_MAX);
        assert_int_equal(f->wire.len, overhead + RECORD_CONTENT_MAX);
        seal_data(f, 0);
        seal(f, RECORD_HANDSHAKE, message(0, 0)); /* HelloRequest */
        seal(f, RECORD_HANDSHAKE, message(RECORD_KEY_UPDATE, 1));
        seal(f, RECORD_ALERT, SPAN("\1\0"));
        assert_int_equal(send_and_step(f), RECORD_DATA);
        assert_int_equal(f->got, RECORD_CONTENT_MAX);
        assert_int_equal(step(f), RECORD_MESSAGE);
        assert_message(f, RECORD_HANDSHAKE, message(0, 0));
        assert_int_equal(record_seal(f->reader, RECORD_HANDSHAKE, SPAN("\0\0\0\0")).len,
                         overhead + 4);
        assert_int_equal(step(f), RECORD_MESSAGE);
        assert_int_equal(record_seal(f->reader, RECORD_HANDSHAKE, message(24, 1)).len,
                         overhead + 5);
        assert_int_equal(step(f), RECORD_MESSAGE);
        assert_message(f, RECORD_ALERT, SPAN("\1\0"));
        assert_int_equal(step(f), RECORD_WANTS_INPUT);
        drop_sent(f);
        seal_data(f, RECORD_CONTENT_MAX + 1);
        assert_int_equal(send_and_step(f), RECORD_TOO_LONG);
        end(f);
        f = begin(tls12_suites[s]);
        seal(f, RECORD_CHANGE_CIPHER_SPEC, SPAN("\1"));
        assert_int_equal(send_and_step(f), RECORD_UNEXPECTED);
        end(f);
        f = begin(tls12_suites[s]); /* not sealed */
        f->input = span_make("\x15\3\3\0\2\1\0", 7);
        assert_int_equal(step(f), RECORD_DAMAGED);
        end(f);
    }
}

/* keys_change: of the peer; told: whether it says so. */
static void key_update(size_t cut, bool keys_change, bool told)
{
    struct fixture *f = begin(0x1301);
    struct span update = message(RECORD_KEY_UPDATE, 1);
    struct span content;

    seal_data(f, 10);
    assert_int_equal(drain(f), RECORD_WANTS_INPUT);
    if (told) {
        if (cut > 0)
            seal(f, RECORD_HANDSHAKE, span_sub(update, 0, cut));
        seal(f, RECORD_HANDSHAKE, span_sub(update, cut, update.len));
    }
    if (keys_change)
        record_peer_update(&f->peer);
    seal_data(f, 11);
    if (told) {
        assert_int_equal(send_and_step(f), RECORD_MESSAGE);
        record_message(f->reader, &content);
        assert_true(record_seal(f->reader, RECORD_HANDSHAKE, content).len > 0);
        assert_int_equal(step(f), keys_change ? RECORD_DATA : RECORD_DAMAGED);
    } else {
        assert_int_equal(send_and_step(f), keys_change ? RECORD_DAMAGED : RECORD_DATA);
    }
    assert_int_equal(f->got, keys_change == told ? 11 : 0);
    end(f);
}

static void test_key_update(void **state)
{
    (void)state;
    for (size_t cut = 0; cut < 5; cut++)
        key_update(cut, true, true);
    key_update(0, true, false);
    key_update(0, false, true);
    key_update(0, false, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_records),
        cmocka_unit_test(test_unknown_keys),
        cmocka_unit_test(test_streams),
        cmocka_unit_test(test_byte_at_a_time),
        cmocka_unit_test(test_no_room),
        cmocka_unit_test(test_damage),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_limits_of_a_record),
        cmocka_unit_test(test_shortest_records),
        cmocka_unit_test(test_empty_records),
        cmocka_unit_test(test_what_is_not_sealed),
        cmocka_unit_test(test_other_types),
        cmocka_unit_test(test_messages),
        cmocka_unit_test(test_what_is_forbidden),
        cmocka_unit_test(test_longest_message),
        cmocka_unit_test(test_sealing),
        cmocka_unit_test(test_anything),
        cmocka_unit_test(test_tls12),
        cmocka_unit_test(test_key_update),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
