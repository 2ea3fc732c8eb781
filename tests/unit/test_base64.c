/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/base64.h"

/* RFC 4648 10, and the two digits that are no letters. */
static const struct {
    const char *bytes;
    const char *text;
} rows[] = {{"", ""},
            {"f", "Zg=="},
            {"fo", "Zm8="},
            {"foo", "Zm9v"},
            {"foob", "Zm9vYg=="},
            {"fooba", "Zm9vYmE="},
            {"foobar", "Zm9vYmFy"},
            {"\xfb\xff", "+/8="}};

static void test_both_ways(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct text text = {0};
        uint8_t bytes[8];
        size_t len;

        base64_add(&text, span_of(rows[i].bytes));
        assert_span(text_span(&text), rows[i].text);
        assert_true(base64_decode(text_span(&text), bytes, sizeof(bytes), &len));
        assert_span(span_make((const char *)bytes, len), rows[i].bytes);
        text_free(&text);
    }
}

static void test_not_filled_up(void **state)
{
    uint8_t bytes[4];
    size_t len;

    (void)state;
    assert_true(base64_decode(SPAN("Zm8"), bytes, sizeof(bytes), &len));
    assert_int_equal(len, 2);
    assert_true(base64_decode(SPAN("Zm9vYg="), bytes, sizeof(bytes), &len));
    assert_int_equal(len, 4);
}

static void test_bad(void **state)
{
    static const char *const bad[] = {"Z",    "Zm9vY", "Zm 8=", "Zm8=\n",
                                      "Zm-8", "Z===",  "=Zm8",  "Zm9vYmE="};
    uint8_t bytes[4]; /* too few for the last */
    size_t len;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++)
        assert_false(base64_decode(span_of(bad[i]), bytes, sizeof(bytes), &len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways),
        cmocka_unit_test(test_not_filled_up),
        cmocka_unit_test(test_bad),
    };

    return UNIT_RUN(tests);
}
