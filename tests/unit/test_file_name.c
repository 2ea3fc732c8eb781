/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "sink/file_name.h"

/* There must be room for the longest of what is put behind. */
enum { ROUNDS = 20000, PARTIAL_BYTES_MAX = FILE_NAME_BYTES_MAX - 13 };

/* `count` times the text, then the tail; the caller's to free. */
static struct text repeat(const char *text, size_t count, const char *tail)
{
    struct text name = {0};

    for (size_t i = 0; i < count; i++)
        text_add(&name, span_of(text));
    text_add(&name, span_of(tail));
    assert_false(name.failed);
    return name;
}

static void test_numbered(void **state)
{
    static const struct {
        const char *name;
        unsigned number;
        const char *want;
    } rows[] = {
        {"a.jpg", 0, "a.jpg"},
        {"a.jpg", 1, "a.1.jpg"},
        {"a.jpg", 9999, "a.9999.jpg"},
        {"a", 3, "a.3"},
        {"a.tar.gz", 2, "a.tar.2.gz"},
        {".profile", 1, ".profile.1"},
        {"..a", 1, "..1.a"},
        {"a.", 1, "a.1."},
        {"a.123456789012345", 1, "a.1.123456789012345"},
        {"a.1234567890123456", 1, "a.1234567890123456.1"},
        {"v1.2 of a thing that has no extension", 1, "v1.2 of a thing that has no extension.1"},
        {"\xc3\xa4.\xc3\xb6", 5, "\xc3\xa4.5.\xc3\xb6"},
    };
    struct text text = {0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *copy = unit_copy(rows[i].name, strlen(rows[i].name));

        file_name_numbered(&text, span_make(copy, strlen(rows[i].name)), rows[i].number);
        assert_span(text_span(&text), rows[i].want);
        assert_false(text.failed);
        free(copy);
    }
    text_free(&text);
}

static void assert_utf8(struct span s)
{
    while (s.len > 0) {
        size_t len = text_utf8_length(s);

        assert_in_range(len, 1, 4);
        s = span_sub(s, len, s.len);
    }
}

static const char *const characters[] = {"a", "\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x90\x8c"};

/* All of the functions, at all lengths around the bound, with characters of one to four bytes. */
static void test_length(void **state)
{
    struct text text = {0};

    (void)state;
    for (size_t c = 0; c < COUNT_OF(characters); c++) {
        size_t width = strlen(characters[c]);

        for (size_t len = 220; len <= FILE_NAME_BYTES_MAX; len++) {
            struct text name = repeat(characters[c], (len - 4) / width, ".jpg");

            for (unsigned number = 0; number <= FILE_NAME_NUMBER_MAX;
                 number = number * 10 + (number % 2 ? 8 : 1)) {
                file_name_numbered(&text, text_span(&name), number);
                assert_in_range(text.len, name.len < 250 ? name.len : 246, FILE_NAME_BYTES_MAX);
                assert_utf8(text_span(&text));
                assert_memory_equal(text.data + text.len - 4, ".jpg", 4);
            }
            file_name_partial(&text, text_span(&name), SPAN("http://h/x"), 0);
            assert_in_range(text.len, 225, PARTIAL_BYTES_MAX);
            assert_utf8(text_span(&text));
            file_name_final(&text, text_span(&name));
            assert_true(span_equal(text_span(&text), text_span(&name)));
            text_free(&name);
        }
    }
    text_free(&text);
}

/* Names that no file system takes come out as ones that all do. */
static void test_too_long(void **state)
{
    struct text text = {0};

    (void)state;
    for (size_t c = 0; c < COUNT_OF(characters); c++) {
        struct text name = repeat(characters[c], 300, "");

        for (unsigned number = 0; number < 3; number++) {
            file_name_numbered(&text, text_span(&name), number);
            assert_in_range(text.len, 252, FILE_NAME_BYTES_MAX);
            assert_utf8(text_span(&text));
        }
        file_name_partial(&text, text_span(&name), SPAN("http://h/x"), 0);
        assert_in_range(text.len, PARTIAL_BYTES_MAX - 3, PARTIAL_BYTES_MAX);
        assert_utf8(text_span(&text));
        file_name_final(&text, text_span(&name));
        assert_in_range(text.len, 252, FILE_NAME_BYTES_MAX);
        assert_utf8(text_span(&text));
        text_free(&name);
    }
    text_free(&text);
}

/* What --out gives need not be UTF-8: a name must be left of it. */
static void test_no_utf8(void **state)
{
    struct text name = repeat("\x80", 300, "");
    struct text text = {0};

    (void)state;
    file_name_final(&text, text_span(&name));
    assert_in_range(text.len, 1, FILE_NAME_BYTES_MAX);
    text_free(&name);
    text_free(&text);
}

static void partial(struct text *text, const char *name, const char *url, unsigned copy)
{
    file_name_partial(text, span_of(name), span_of(url), copy);
    assert_false(text->failed);
}

static void test_partial(void **state)
{
    struct text a = {0}, b = {0};

    (void)state;
    partial(&a, "a.jpg", "http://h/a.jpg", 0);
    assert_int_equal(a.len, strlen("a.jpg.01234567"));
    assert_memory_equal(a.data, "a.jpg.", 6);
    for (size_t i = 6; i < 14; i++)
        assert_non_null(strchr("0123456789abcdef", a.data[i]));
    partial(&b, "a.jpg", "http://h/a.jpg", 0); /* another run must find it again */
    assert_true(span_equal(text_span(&a), text_span(&b)));
    partial(&b, "a.jpg", "http://h/b.jpg", 0);
    assert_false(span_equal(text_span(&a), text_span(&b)));
    partial(&b, "a.jpg", "http://h/a.jpg", 1);
    assert_false(span_equal(text_span(&a), text_span(&b)));
    partial(&b, "b.jpg", "http://h/a.jpg", 0);
    assert_false(span_equal(text_span(&a), text_span(&b)));
    text_free(&a);
    text_free(&b);
}

static void test_final(void **state)
{
    static const struct {
        const char *name;
        const char *want; /* NULL: as it is */
    } rows[] = {
        {"a.jpg", NULL},
        {"", NULL},
        {".haul", NULL},
        {"a.haul", NULL},
        {"01234567.haul", NULL},
        {".01234567.haul", ".01234567.haul_"},
        {"a.01234567.haul", "a.01234567.haul_"},
        {"a.01234567.haul2", "a.01234567.haul2_"},
        {"a.01234567.haul.journal", "a.01234567.haul.journal_"},
        {"a.haul.journal", NULL},
        {"a.01234567.haul3", NULL},
        {"a.01234567.journal", NULL},
        {"a.89abcdef.haul", "a.89abcdef.haul_"},
        {"a.01234567.haul_", NULL},
        {"a.0123456.haul", NULL},
        {"a.012345678.haul", NULL},
        {"a.0123456g.haul", NULL},
        {"a.0123456F.haul", NULL},
        {"a.01234567.hauL", NULL},
        {"a_01234567.haul", NULL},
        {"a.01234567.haul.haul", NULL},
        {"a.01234567.76543210.haul", "a.01234567.76543210.haul_"},
    };
    struct text text = {0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        file_name_final(&text, span_of(rows[i].name));
        assert_span(text_span(&text), rows[i].want ? rows[i].want : rows[i].name);
    }
    text_free(&text);
}

/* Whatever a partial file is called, a final one is called otherwise: also at the bound, also where
 * what was cut off hid the likeness, also with a number. */
static void test_final_is_not_partial(void **state)
{
    struct text longest = repeat("a", FILE_NAME_BYTES_MAX - 14, ".01234567.haul");
    struct text hidden = repeat("a", FILE_NAME_BYTES_MAX - 14, ".01234567.haul.more");
    struct text numbered = {0}, wanted = {0}, again = {0};
    static const char alphabet[] = "..01af.haulhaul";
    uint64_t random = 3;

    (void)state;
    file_name_final(&wanted, text_span(&longest));
    assert_int_equal(wanted.len, FILE_NAME_BYTES_MAX);
    assert_false(span_equal(text_span(&wanted), text_span(&longest)));
    file_name_final(&wanted, text_span(&hidden));
    assert_false(span_equal(text_span(&wanted), text_span(&longest)));
    for (int round = 0; round < ROUNDS; round++) {
        char name[24];
        size_t len = unit_random(&random) % sizeof(name);

        for (size_t i = 0; i < len; i++)
            name[i] = alphabet[unit_random(&random) % (sizeof(alphabet) - 1)];
        if (len > 5 && unit_random(&random) % 2)
            memcpy(name + len - 5, ".haul", 5);
        else if (len > 6 && unit_random(&random) % 2)
            memcpy(name + len - 6, ".haul2", 6);
        file_name_final(&wanted, span_make(name, len));
        file_name_numbered(&numbered, text_span(&wanted),
                           (unsigned)(unit_random(&random) % (FILE_NAME_NUMBER_MAX + 1)));
        file_name_final(&again, text_span(&numbered)); /* changes only what looks like a partial */
        assert_true(span_equal(text_span(&again), text_span(&numbered)));
    }
    text_free(&longest);
    text_free(&hidden);
    text_free(&numbered);
    text_free(&wanted);
    text_free(&again);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbered),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_no_utf8),
        cmocka_unit_test(test_partial),
        cmocka_unit_test(test_final),
        cmocka_unit_test(test_final_is_not_partial),
    };

    return UNIT_RUN(tests);
}
