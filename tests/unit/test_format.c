/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "cli/format.h"

static void expect_size(uint64_t bytes, const char *expected)
{
    struct text text = {0};

    format_size(&text, bytes);
    assert_span(text_span(&text), expected);
    text_free(&text);
}

static void test_sizes(void **state)
{
    (void)state;
    expect_size(0, "0 B");
    expect_size(1, "1 B");
    expect_size(1023, "1023 B");
    expect_size(1024, "1.0 KiB");
    expect_size(1536, "1.5 KiB");
    expect_size(1024 * 1024 - 1, "1.0 MiB");
    expect_size(1023 * 1024 + 972, "1023.9 KiB");
    expect_size(1023 * 1024 + 973, "1.0 MiB");
    expect_size(1024 * 1024, "1.0 MiB");
    expect_size(UINT64_C(1) << 30, "1.0 GiB");
    expect_size((UINT64_C(1) << 30) * 37 / 10, "3.7 GiB");
    expect_size(UINT64_C(1) << 40, "1.0 TiB");
    expect_size(UINT64_C(1) << 50, "1.0 PiB");
    expect_size(UINT64_C(1) << 60, "1.0 EiB");
    expect_size(UINT64_MAX, "16.0 EiB");
}

static void test_rates(void **state)
{
    struct text text = {0};

    (void)state;
    format_rate(&text, 0);
    text_add_char(&text, ' ');
    format_rate(&text, 3 * 1024 * 1024);
    assert_span(text_span(&text), "0 B/s 3.0 MiB/s");
    text_free(&text);
}

static void expect_duration(uint64_t seconds, const char *expected)
{
    struct text text = {0};

    format_duration(&text, seconds);
    assert_span(text_span(&text), expected);
    text_free(&text);
}

static void test_durations(void **state)
{
    (void)state;
    expect_duration(0, "0s");
    expect_duration(59, "59s");
    expect_duration(60, "1m00s");
    expect_duration(65, "1m05s");
    expect_duration(3599, "59m59s");
    expect_duration(3600, "1h00m");
    expect_duration(3720, "1h02m");
    expect_duration(48 * 3600 - 1, "47h59m");
    expect_duration(48 * 3600, "2d00h");
    expect_duration(76 * 3600, "3d04h");
    expect_duration(UINT64_MAX, "213503982334601d07h");
}

static void test_cells(void **state)
{
    (void)state;
    assert_int_equal(format_cells(SPAN("")), 0);
    assert_int_equal(format_cells(SPAN("abc")), 3);
    assert_int_equal(format_cells(SPAN("\u00e4\u00f6\u00fc")), 3);
    assert_int_equal(format_cells(SPAN("e\u0301")), 1);
    assert_int_equal(format_cells(SPAN("\u65e5\u672c\u8a9e")), 6);
    assert_int_equal(format_cells(SPAN("\ud55c\uae00")), 4);
    assert_int_equal(format_cells(SPAN("\uff21")), 2);
    assert_int_equal(format_cells(SPAN("\U0001f600")), 2);
    assert_int_equal(format_cells(SPAN("\U00020000")), 2);
    assert_int_equal(format_cells(SPAN("\u2026")), 1);
    /* Not valid: every byte counts, and none beyond the end is read. */
    for (size_t len = 1; len <= 4; len++) {
        char *copy = unit_copy("\xf0\x9f\x98\x80", len);

        assert_true(format_cells(span_make(copy, len)) <= 4);
        free(copy);
    }
}

static void expect_cut(const char *s, size_t columns, const char *expected)
{
    struct text text = {0};
    size_t taken = format_cut(&text, span_of(s), columns);

    assert_span(text_span(&text), expected);
    assert_int_equal(taken, format_cells(text_span(&text)));
    assert_true(taken <= columns);
    text_free(&text);
}

static void test_cutting(void **state)
{
    (void)state;
    expect_cut("abc", 3, "abc");
    expect_cut("abc", 4, "abc");
    expect_cut("abcd", 3, "ab\u2026");
    expect_cut("abcd", 1, "\u2026");
    expect_cut("abcd", 0, "");
    expect_cut("", 0, "");
    expect_cut("\u65e5\u672c\u8a9e", 6, "\u65e5\u672c\u8a9e");
    expect_cut("\u65e5\u672c\u8a9e", 5, "\u65e5\u672c\u2026");
    expect_cut("\u65e5\u672c\u8a9e", 4, "\u65e5\u2026");
    expect_cut("e\u0301e\u0301e\u0301", 2, "e\u0301\u2026");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sizes),     cmocka_unit_test(test_rates),
        cmocka_unit_test(test_durations), cmocka_unit_test(test_cells),
        cmocka_unit_test(test_cutting),
    };

    return UNIT_RUN(tests);
}
