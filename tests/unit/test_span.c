/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

static const struct span nothing;

static void test_equal(void **state)
{
    (void)state;
    assert_true(span_equal(SPAN("abc"), SPAN("abc")));
    assert_false(span_equal(SPAN("abc"), SPAN("abC")));
    assert_false(span_equal(SPAN("abc"), SPAN("ab")));
    assert_true(span_equal(nothing, SPAN("")));
    assert_true(span_equal(span_of(NULL), SPAN("")));
    assert_true(span_equal_nocase(SPAN("Content-LENGTH"), SPAN("content-length")));
    assert_false(span_equal_nocase(SPAN("content"), SPAN("content-length")));
    assert_false(span_equal_nocase(SPAN("\xc4"), SPAN("\xe4"))); /* ASCII only */
    assert_false(span_equal_nocase(SPAN("@"), SPAN("`")));
    assert_false(span_equal_nocase(SPAN("["), SPAN("{")));
    assert_true(span_starts_nocase(SPAN("Bytes 1"), SPAN("bytes ")));
    assert_false(span_starts_nocase(SPAN("byte"), SPAN("bytes")));
    assert_true(span_starts_nocase(nothing, nothing));
}

static void test_trim(void **state)
{
    (void)state;
    assert_span(span_trim(SPAN(" \t a b\t ")), "a b");
    assert_span(span_trim(SPAN("\na\r")), "\na\r");
    assert_span(span_trim(SPAN(" \t ")), "");
    assert_span(span_trim(nothing), "");
}

static void test_sub(void **state)
{
    (void)state;
    assert_span(span_sub(SPAN("abcdef"), 2, 3), "cde");
    assert_span(span_sub(SPAN("abcdef"), 2, SIZE_MAX), "cdef");
    assert_span(span_sub(SPAN("abcdef"), 6, 1), "");
    assert_span(span_sub(SPAN("abcdef"), SIZE_MAX, SIZE_MAX), "");
    assert_span(span_sub(nothing, 0, 1), "");
    assert_span(span_sub(nothing, 1, 1), "");
}

static void test_find_and_cut(void **state)
{
    struct span s = SPAN("a=b=c");

    (void)state;
    assert_int_equal(span_find(s, '='), 1);
    assert_int_equal(span_find(s, 'x'), 5);
    assert_int_equal(span_find(nothing, 'x'), 0);
    assert_span(span_cut(&s, '='), "a");
    assert_span(s, "b=c");
    assert_span(span_cut(&s, '='), "b");
    assert_span(span_cut(&s, '='), "c");
    assert_span(s, "");
    assert_span(span_cut(&s, '='), "");
    s = SPAN("=");
    assert_span(span_cut(&s, '='), "");
    assert_span(s, "");
    s = nothing;
    assert_span(span_cut(&s, '='), "");
}

static void test_to_u64(void **state)
{
    static const struct {
        const char *text;
        bool good;
        uint64_t value;
    } rows[] = {
        {"0", true, 0},
        {"00012", true, 12},
        {"18446744073709551615", true, UINT64_MAX},
        {"0000000000000000000000000000018446744073709551615", true, UINT64_MAX},
        {"18446744073709551616", false, 0},
        {"18446744073709551620", false, 0},
        {"99999999999999999999", false, 0},
        {"", false, 0},
        {"-1", false, 0},
        {"+1", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {"1a", false, 0},
        {"0x1", false, 0},
        {"\xb2", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t value = 0;

        assert_int_equal(span_to_u64(span_of(rows[i].text), &value), rows[i].good);
        assert_int_equal(value, rows[i].value);
    }
}

static void test_hash(void **state)
{
    (void)state;
    assert_int_equal(span_hash(SPAN("abc"), 1), span_hash(SPAN("abc"), 1));
    assert_int_not_equal(span_hash(SPAN("abc"), 1), span_hash(SPAN("abc"), 2));
    assert_int_not_equal(span_hash(SPAN("abc"), 1), span_hash(SPAN("acb"), 1));
    assert_int_not_equal(span_hash(SPAN(""), 1), span_hash(span_make("\0", 1), 1));
}

/* Numbered names, as hosts and files have them, must spread over the lowest bits. */
static void test_hash_spreads(void **state)
{
    unsigned used[1024] = {0};
    unsigned most = 0;

    (void)state;
    for (unsigned i = 0; i < COUNT_OF(used) * 8; i++) {
        char name[64];
        unsigned *count;

        snprintf(name, sizeof(name), "http://host-%u.example.com:80", i);
        count = &used[span_hash(span_of(name), 12345) % COUNT_OF(used)];
        if (++*count > most)
            most = *count;
    }
    assert_true(most < 32); /* 8 on average */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal),        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_sub),          cmocka_unit_test(test_find_and_cut),
        cmocka_unit_test(test_to_u64),       cmocka_unit_test(test_hash),
        cmocka_unit_test(test_hash_spreads),
    };

    return UNIT_RUN(tests);
}
