/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

static void test_build(void **state)
{
    struct text text = {0};

    (void)state;
    assert_span(text_span(&text), "");
    text_add(&text, SPAN(""));
    assert_string_equal(text.data, "");
    text_add(&text, SPAN("abc"));
    text_add_char(&text, '-');
    text_printf(&text, "%d %s", 42, "x");
    assert_string_equal(text.data, "abc-42 x");
    assert_int_equal(text.len, 8);
    text_clear(&text);
    assert_span(text_span(&text), "");
    assert_string_equal(text.data, "");
    text_free(&text);
    assert_null(text.data);
    text_free(&text);
    text_clear(&text);
}

/* Every length around the steps in which the memory grows. */
static void test_grow(void **state)
{
    char line[300];

    (void)state;
    memset(line, 'x', sizeof(line));
    for (size_t len = 0; len < sizeof(line); len++) {
        struct text text = {0};

        text_add(&text, span_make(line, len));
        assert_int_equal(text.data[len], '\0');
        text_printf(&text, "%.*s", (int)len, line);
        assert_int_equal(text.len, 2 * len);
        assert_int_equal(strlen(text.data), 2 * len);
        text_free(&text);
    }
}

/* What was reserved needs no allocation later. */
static void test_reserve(void **state)
{
    struct text text = {0};
    const char *data;

    (void)state;
    assert_true(text_reserve(&text, 1000));
    assert_string_equal(text.data, "");
    data = text.data;
    for (int i = 0; i < 1000; i++)
        text_add_char(&text, 'x');
    assert_ptr_equal(text.data, data);
    assert_true(text_reserve(&text, 5000));
    assert_int_equal(strlen(text.data), 1000);
    text_free(&text);
}

/* Cleared, a text needs no new memory for what it held before. */
static void test_reuse(void **state)
{
    struct text text = {0};
    const char *data;

    (void)state;
    for (int i = 0; i < 1000; i++)
        text_add_char(&text, 'x');
    data = text.data;
    text_clear(&text);
    for (int i = 0; i < 1000; i++)
        text_add_char(&text, 'y');
    assert_ptr_equal(text.data, data);
    text_free(&text);
}

/* A failure is remembered until the text is cleared or freed. */
static void test_failed(void **state)
{
    struct text text = {0};

    (void)state;
    text_add(&text, SPAN("abc"));
    text.failed = true;
    text_add(&text, SPAN("d"));
    text_add_char(&text, 'e');
    text_printf(&text, "f");
    text_add_escaped(&text, SPAN("g"));
    assert_span(text_span(&text), "abc");
    text_clear(&text);
    assert_false(text.failed);
    text_free(&text);
}

static void test_escaped(void **state)
{
    static const struct {
        struct span raw;
        const char *escaped;
    } rows[] = {
        {{"plain text", 10}, "plain text"},
        {{"a\nb\tc\x7f", 6}, "a\\x0ab\\x09c\\x7f"},
        {{"\0", 1}, "\\x00"},
        {{"\x1b[2J", 4}, "\\x1b[2J"},
        {{"\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80", 9}, "\xc3\xa4\xe2\x82\xac\xf0\x9f\x98\x80"},
        {{"\xc2\x9b", 2}, "\\xc2\\x9b"},          /* CSI */
        {{"\xc2\xa0", 2}, "\xc2\xa0"},            /* the first that is no control */
        {{"\xe2\x80\xae", 3}, "\\xe2\\x80\\xae"}, /* right to left */
        {{"\xe2\x81\xa6", 3}, "\\xe2\\x81\\xa6"}, /* the same, isolated */
        {{"\xe2\x80\xa6", 3}, "\xe2\x80\xa6"},    /* an ellipsis */
        {{"\x80\xff", 2}, "\\x80\\xff"},
        {{"\xc3", 1}, "\\xc3"},
        {{"\xe2\x82", 2}, "\\xe2\\x82"},
        {{"\xf0\x9f\x98", 3}, "\\xf0\\x9f\\x98"},
        {{"\xc0\xaf", 2}, "\\xc0\\xaf"}, /* overlong */
        {{"\xe0\x9f\xbf", 3}, "\\xe0\\x9f\\xbf"},
        {{"\xf0\x8f\xbf\xbf", 4}, "\\xf0\\x8f\\xbf\\xbf"},
        {{"\xed\xa0\x80", 3}, "\\xed\\xa0\\x80"},          /* a surrogate */
        {{"\xf4\x90\x80\x80", 4}, "\\xf4\\x90\\x80\\x80"}, /* beyond U+10FFFF */
        {{"\xf5\x80\x80\x80", 4}, "\\xf5\\x80\\x80\\x80"},
        {{"\xc3"
          "a",
          2},
         "\\xc3"
         "a"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *copy = unit_copy(rows[i].raw.data, rows[i].raw.len);
        struct text text = {0};

        text_add_escaped(&text, span_make(copy, rows[i].raw.len));
        assert_span(text_span(&text), rows[i].escaped);
        text_free(&text);
        free(copy);
    }
}

/* Every code point but the surrogates is well-formed, in its one way of being written. */
static void test_utf8(void **state)
{
    (void)state;
    for (uint32_t c = 0; c < 0x120000; c++) {
        unsigned char bytes[4] = {
            (unsigned char)(0xf0 | c >> 18), (unsigned char)(0x80 | (c >> 12 & 0x3f)),
            (unsigned char)(0x80 | (c >> 6 & 0x3f)), (unsigned char)(0x80 | (c & 0x3f))};
        size_t len = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
        bool good = c < 0x110000 && (c < 0xd800 || c > 0xdfff);
        unsigned char *first = bytes + 4 - len;

        if (len == 1)
            *first = (unsigned char)c;
        else if (len < 4)
            *first = (unsigned char)((len == 2 ? 0xc0 : 0xe0) | c >> (6 * (len - 1)));
        assert_int_equal(text_utf8_length(span_make((const char *)first, len)), good ? len : 0);
        assert_int_equal(text_utf8_length(span_make((const char *)first, len - 1)), 0);
    }
    assert_int_equal(text_utf8_length((struct span){0}), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_build), cmocka_unit_test(test_grow),   cmocka_unit_test(test_reserve),
        cmocka_unit_test(test_reuse), cmocka_unit_test(test_failed), cmocka_unit_test(test_escaped),
        cmocka_unit_test(test_utf8),
    };

    return UNIT_RUN(tests);
}
