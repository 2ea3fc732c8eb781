/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <time.h>

#include "http/fields.h"

static void test_date(void **state)
{
    static const struct {
        const char *value;
        bool good;
        int64_t unix_s;
    } rows[] = {
        /* RFC 9110 5.6.7 */
        {"Sun, 06 Nov 1994 08:49:37 GMT", true, 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", true, 784111777},
        {"Sun Nov  6 08:49:37 1994", true, 784111777},
        {"  Sun, 06 Nov 1994 08:49:37 GMT\t", true, 784111777},
        {"sun, 06 nov 1994 08:49:37 gmt", true, 784111777},
        {"Thu, 01 Jan 1970 00:00:00 GMT", true, 0},
        {"Wed, 31 Dec 1969 23:59:59 GMT", true, -1},
        {"Thursday, 01-Jan-70 00:00:00 GMT", true, 0},
        {"Monday, 01-Jan-69 00:00:00 GMT", true, 3124224000},
        {"Tue, 29 Feb 2000 12:00:00 GMT", true, 951825600},
        {"Thu, 29 Feb 2024 12:00:00 GMT", true, 1709208000},
        {"Tue Feb 29 12:00:00 2000", true, 951825600},
        {"Fri, 31 Dec 9999 23:59:59 GMT", true, 253402300799},
        {"Sat, 01 Jan 0000 00:00:00 GMT", true, -62167219200},
        {"Wed, 01 Mar 0000 00:00:00 GMT", true, -62162035200},
        {"Sat, 31 Dec 2016 23:59:60 GMT", true, 1483228800},
        {"Mon, 29 Feb 1900 12:00:00 GMT", false, 0},
        {"Wed, 29 Feb 2023 12:00:00 GMT", false, 0},
        {"Sun, 31 Nov 1994 08:49:37 GMT", false, 0},
        {"Sun, 00 Nov 1994 08:49:37 GMT", false, 0},
        {"Sun, 06 Nov 1994 24:00:00 GMT", false, 0},
        {"Sun, 06 Nov 1994 08:60:00 GMT", false, 0},
        {"Sun, 06 Nov 1994 08:49:61 GMT", false, 0},
        {"Sun, 6 Nov 1994 08:49:37 GMT", false, 0},
        {"Sun, 06 Nov 1994 08:49:37", false, 0},
        {"Sun, 06 Nov 1994 08:49:37 CET", false, 0},
        {"Sun, 06 Nov 1994 08:49:37 GMT x", false, 0},
        {"Sun, 06 Nov 94 08:49:37 GMT", false, 0},
        {"Foo, 06 Nov 1994 08:49:37 GMT", false, 0},
        {"Sun, 06 Foo 1994 08:49:37 GMT", false, 0},
        {"Sun, +6 Nov 1994 08:49:37 GMT", false, 0},
        {"Sun Nov 6 08:49:37 1994", false, 0},
        {"Sun Nov 16 08:49:37 1994", true, 784975777},
        {"1994-11-06T08:49:37Z", false, 0},
        {"0", false, 0},
        {"", false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t len = strlen(rows[i].value);
        char *copy = unit_copy(rows[i].value, len);
        int64_t unix_s = 0;

        if (field_date(span_make(copy, len), &unix_s) != rows[i].good || unix_s != rows[i].unix_s)
            fail_msg("%s: %lld", rows[i].value, (long long)unix_s);
        for (size_t cut = 0; cut < len; cut++) /* every shorter one ends before its memory */
            (void)field_date(span_make(copy + cut, len - cut), &unix_s);
        free(copy);
    }
}

/* Against the C library, a day and some seconds apart, from 1902 to 2100. */
static void test_date_calendar(void **state)
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct text out = {0};

    (void)state;
    for (time_t want = -2145916800; want < 4102444800; want += 86400 + 7919) {
        char value[64];
        struct tm tm;
        int64_t got;

        assert_non_null(gmtime_r(&want, &tm));
        snprintf(value, sizeof(value), "%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm.tm_wday],
                 tm.tm_mday, months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min,
                 tm.tm_sec);
        assert_true(field_date(span_of(value), &got));
        assert_int_equal(got, want);
        text_clear(&out);
        field_add_date(want, &out);
        assert_span(text_span(&out), value);
    }
    text_free(&out);
}

static void test_retry_after(void **state)
{
    static const struct {
        const char *value;
        int64_t now_s;
        bool good;
        uint64_t delay_s;
    } rows[] = {
        {"120", 0, true, 120}, /* RFC 9110 10.2.3 */
        {"0", 0, true, 0},
        {" 5 ", 0, true, 5},
        {"007", 0, true, 7},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111770, true, 7},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777, true, 0},
        {"Sun, 06 Nov 1994 08:49:37 GMT", 1700000000, true, 0},
        {"Sun, 06 Nov 1994 08:49:37 GMT", INT64_MIN, true, INT64_MAX / 1000000000},
        {"18446744073709551615", 0, true, INT64_MAX / 1000000000},
        {"99999999999999999999999999", 0, true, INT64_MAX / 1000000000},
        {"-1", 0, false, 0},
        {"1.5", 0, false, 0},
        {"1 2", 0, false, 0},
        {"soon", 0, false, 0},
        {"", 0, false, 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        uint64_t delay_s = 0;

        if (field_retry_after(span_of(rows[i].value), rows[i].now_s, &delay_s) != rows[i].good ||
            delay_s != rows[i].delay_s)
            fail_msg("%s: %llu", rows[i].value, (unsigned long long)delay_s);
    }
}

static void test_content_range(void **state)
{
    static const struct {
        const char *value;
        bool good;
        struct content_range range;
    } rows[] = {
        {"bytes 42-1233/1234", true, {42, 1233, 1234}}, /* RFC 9110 14.4 */
        {"bytes 42-1233/*", true, {42, 1233, UINT64_MAX}},
        {"bytes 0-0/1", true, {0, 0, 1}},
        {" BYTES  0-9/100 ", true, {0, 9, 100}},
        {"bytes 0-18446744073709551613/18446744073709551614",
         true,
         {0, 18446744073709551613U, 18446744073709551614U}},
        {"bytes 0-1/18446744073709551615", false, {0}},
        {"bytes 0-18446744073709551615/*", false, {0}},
        {"bytes 0-18446744073709551616/*", false, {0}},
        {"bytes 5-4/100", false, {0}},
        {"bytes 0-100/100", false, {0}},
        {"bytes 0-9/", false, {0}},
        {"bytes 0-9", false, {0}},
        {"bytes -9/100", false, {0}},
        {"bytes 0-/100", false, {0}},
        {"bytes 0 - 9/100", false, {0}},
        {"bytes +0-9/100", false, {0}},
        {"bytes 0-9/100, 20-29/100", false, {0}},
        {"bytes */100", false, {0}},
        {"bytes=0-9/100", false, {0}},
        {"bytes0-9/100", false, {0}},
        {"items 0-9/100", false, {0}},
        {"bytes ", false, {0}},
        {"", false, {0}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct content_range range = {0};

        if (field_content_range(span_of(rows[i].value), &range) != rows[i].good ||
            range.first != rows[i].range.first || range.last != rows[i].range.last ||
            range.total != rows[i].range.total)
            fail_msg("%s", rows[i].value);
    }
}

static void test_unsatisfied_range(void **state)
{
    uint64_t total = 0;

    (void)state;
    assert_true(field_unsatisfied_range(SPAN("bytes */1234"), &total));
    assert_int_equal(total, 1234);
    assert_true(field_unsatisfied_range(SPAN("bytes */0"), &total));
    assert_int_equal(total, 0);
    assert_false(field_unsatisfied_range(SPAN("bytes */"), &total));
    assert_false(field_unsatisfied_range(SPAN("bytes */*"), &total));
    assert_false(field_unsatisfied_range(SPAN("bytes */12x"), &total));
    assert_false(field_unsatisfied_range(SPAN("bytes 0-9/100"), &total));
    assert_false(field_unsatisfied_range(SPAN("*/100"), &total));
    assert_false(field_unsatisfied_range(SPAN(""), &total));
}

static void test_strong_etag(void **state)
{
    static const struct {
        const char *value;
        bool strong;
    } rows[] = {
        {"\"xyzzy\"", true}, /* RFC 9110 8.8.3 */
        {"W/\"xyzzy\"", false},  {"\"\"", true},          {" \"a\" ", true},
        {"\"\xc3\xa4!\"", true}, {"w/\"xyzzy\"", false},  {"xyzzy", false},
        {"\"xyzzy", false},      {"xyzzy\"", false},      {"\"", false},
        {"\"a\"b\"", false},     {"\"a b\"", false},      {"\"a\x7f\"", false},
        {"\"a\nb\"", false},     {"\"a\", \"b\"", false}, {"", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (field_strong_etag(span_of(rows[i].value)) != rows[i].strong)
            fail_msg("%s", rows[i].value);
}

/* RFC 9110 8.8.3.2, the weak comparison. */
static void test_same_etag(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        bool same;
    } rows[] = {
        {"W/\"1\"", "W/\"1\"", true}, {"W/\"1\"", "W/\"2\"", false}, {"W/\"1\"", "\"1\"", true},
        {"\"1\"", "\"1\"", true},     {"\"1\"", "\"2\"", false},     {"", "", false},
        {"W/", "W/", false},          {"\"a\"", "\"A\"", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(field_same_etag(span_of(rows[i].a), span_of(rows[i].b)), rows[i].same);
        assert_int_equal(field_same_etag(span_of(rows[i].b), span_of(rows[i].a)), rows[i].same);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_date),
        cmocka_unit_test(test_date_calendar),
        cmocka_unit_test(test_retry_after),
        cmocka_unit_test(test_content_range),
        cmocka_unit_test(test_strong_etag),
        cmocka_unit_test(test_same_etag),
        cmocka_unit_test(test_unsatisfied_range),
    };

    return UNIT_RUN(tests);
}
