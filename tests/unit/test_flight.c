/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "tls/flight.h"

/* ServerHello: header, version, random, empty ID, suite, compression, and these extensions. */
static void add_hello(struct text *out, struct span extensions)
{
    static const char begin[2 + 32 + 1 + 2 + 1] = {3, 3};
    size_t len = sizeof(begin) + 2 + extensions.len;

    text_add_char(out, 2);
    text_add_char(out, 0);
    text_add_char(out, (char)(len >> 8));
    text_add_char(out, (char)len);
    text_add(out, span_make(begin, sizeof(begin)));
    text_add_char(out, (char)(extensions.len >> 8));
    text_add_char(out, (char)extensions.len);
    text_add(out, extensions);
}

static void add_message(struct text *out, char type, size_t len)
{
    text_add_char(out, type);
    text_add_char(out, (char)(len >> 16));
    text_add_char(out, (char)(len >> 8));
    text_add_char(out, (char)len);
    for (size_t i = 0; i < len; i++)
        text_add_char(out, 14); /* what would be the type of the last message */
}

/* The messages in records of this size. */
static void add_records(struct text *out, const struct text *messages, size_t size)
{
    struct span rest = text_span(messages);

    while (rest.len > 0) {
        struct span part = span_sub(rest, 0, size);
        const char header[] = {22, 3, 3, (char)(part.len >> 8), (char)part.len};

        text_add(out, span_make(header, sizeof(header)));
        text_add(out, part);
        rest = span_sub(rest, part.len, rest.len);
    }
}

/* How many of the bytes it takes until it is over, in such steps; 0: it is not. */
static size_t over_at(const struct text *flight_bytes, size_t step)
{
    struct flight flight = {0};
    struct span rest = text_span(flight_bytes);
    size_t taken = 0;
    bool over = false;

    while (!over && rest.len > 0) {
        size_t len = step < rest.len ? step : rest.len;
        char *copy = unit_copy(rest.data, len);

        over = flight_is_over(&flight, span_make(copy, len));
        free(copy);
        taken += len;
        rest = span_sub(rest, len, rest.len);
    }
    if (over)
        assert_true(flight_is_over(&flight, SPAN("")));
    flight_free(&flight);
    return over ? taken : 0;
}

#define STATUS_REQUEST "\0\5\0\0"
#define VERSIONS       "\0\x2b\0\2\3\4"

static void test_tls12(void **state)
{
    static const size_t sizes[] = {1, 2, 5, 100, 16384};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(sizes); i++) {
        struct text messages = {0};
        struct text bytes = {0};
        size_t len;

        add_hello(&messages, SPAN(STATUS_REQUEST));
        add_message(&messages, 11, 3000);
        add_message(&messages, 22, 500);
        add_message(&messages, 12, 200);
        add_message(&messages, 14, 0);
        add_records(&bytes, &messages, sizes[i]);
        len = bytes.len;
        text_add(&bytes, SPAN("what follows"));
        assert_int_equal(over_at(&bytes, 1), len);
        bytes.len = len;
        for (size_t step = 2; step <= len; step *= 3)
            assert_in_range(over_at(&bytes, step), len - step + 1, len);
        bytes.len = len - 1;
        assert_int_equal(over_at(&bytes, SIZE_MAX), 0);
        text_free(&messages);
        text_free(&bytes);
    }
}

static void test_tls13(void **state)
{
    (void)state;
    for (size_t size = 1; size < 200; size += 13) {
        struct text messages = {0};
        struct text bytes = {0};

        add_hello(&messages, SPAN(STATUS_REQUEST VERSIONS));
        add_records(&bytes, &messages, size);
        assert_int_equal(over_at(&bytes, 1), bytes.len);
        bytes.len--;
        assert_int_equal(over_at(&bytes, 1), 0);
        text_free(&messages);
        text_free(&bytes);
    }
}

/* Alerts, other protocols, and what is no ServerHello are for others to judge. */
static void test_something_else(void **state)
{
    static const struct span others[] = {
        SPAN("\x15\3\3\0\2\2\x28"),         SPAN("HTTP/1.1 400 Bad Request\r\n"),
        SPAN("\x16\3\3\0\6\2\0\0\2\3\3"),   /* too short */
        SPAN("\x16\3\3\0\4\2\xff\xff\xff"), /* too long */
        SPAN("\x16\3\3\0\0\x17\3\3\0\1x"),  /* an empty record, then data */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(others); i++) {
        struct text bytes = {0};

        text_add(&bytes, others[i]);
        assert_true(over_at(&bytes, SIZE_MAX) > 0);
        assert_true(over_at(&bytes, 1) > 0);
        text_free(&bytes);
    }
}

static void test_without_end(void **state)
{
    struct text messages = {0};
    struct text bytes = {0};
    size_t at;

    (void)state;
    add_hello(&messages, SPAN(STATUS_REQUEST));
    add_message(&messages, 11, 2 * FLIGHT_BYTES_MAX);
    add_records(&bytes, &messages, 16384);
    at = over_at(&bytes, 1000);
    assert_in_range(at, FLIGHT_BYTES_MAX, FLIGHT_BYTES_MAX + 1000);
    text_free(&messages);
    text_free(&bytes);
}

/* Whatever comes: no crash, and an end. */
static void test_noise(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (int i = 0; i < 2000; i++) {
        struct text bytes = {0};

        text_add(&bytes, SPAN("\x16\3\3\0"));
        for (uint64_t k = 0; k < 300; k++)
            text_add_char(&bytes, (char)(unit_random(&seed) % 5 == 0 ? unit_random(&seed) : k % 7));
        (void)over_at(&bytes, 1 + unit_random(&seed) % 300);
        text_free(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls12),          cmocka_unit_test(test_tls13),
        cmocka_unit_test(test_something_else), cmocka_unit_test(test_without_end),
        cmocka_unit_test(test_noise),
    };

    return UNIT_RUN(tests);
}
