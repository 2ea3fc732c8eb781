/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <malloc.h>

#include "cli/expansion.h"
#include "cli/pattern.h"

static void must_parse(struct pattern *pattern, const char *text)
{
    struct haul_error error = {0};
    size_t len = strlen(text);
    char *copy = unit_copy(text, len);

    if (!pattern_parse(pattern, span_make(copy, len), &error))
        fail_msg("%s: %s", text, error.text);
    free(copy);
}

static void test_results(void **state)
{
    static const struct {
        const char *pattern;
        const char *results; /* with blanks between */
    } rows[] = {
        {"http://h/a", "http://h/a"},
        {"", ""},
        {"{a,b,c}", "a b c"},
        {"x{a}y", "xay"},
        {"{a,}z", "az z"},
        {"{,a}z", "z az"},
        {"{,}z", "z z"},
        {"{a/b,c?d}", "a/b c?d"},
        {"{\xc3\xa4,\xe2\x82\xac}", "\xc3\xa4 \xe2\x82\xac"},
        /* numbers */
        {"[1-3]", "1 2 3"},
        {"[9-11]", "9 10 11"},
        {"[009-011]", "009 010 011"},
        {"[08-10]", "08 09 10"},
        {"[98-101]", "98 99 100 101"},
        {"[098-101]", "098 099 100 101"},
        {"[01-3]", "01 02 03"},
        {"[0-2]", "0 1 2"},
        {"[00-2]", "00 01 02"},
        {"[5-5]", "5"},
        {"[5-5:1]", "5"},
        {"[0-100:50]", "0 50 100"},
        {"[0-99:50]", "0 50"},
        {"[1-10:9]", "1 10"},
        {"[000-020:10]", "000 010 020"},
        {"[18446744073709551614-18446744073709551615]",
         "18446744073709551614 18446744073709551615"},
        {"[0-18446744073709551615:18446744073709551615]", "0 18446744073709551615"},
        /* letters */
        {"[a-e]", "a b c d e"},
        {"[X-Z]", "X Y Z"},
        {"[a-e:2]", "a c e"},
        {"[a-z:25]", "a z"},
        {"[a-a]", "a"},
        /* several, the last changes fastest */
        {"{a,b}[1-2]", "a1 a2 b1 b2"},
        {"[1-2]-{a,b}-[y-z].x", "1-a-y.x 1-a-z.x 1-b-y.x 1-b-z.x 2-a-y.x 2-a-z.x 2-b-y.x 2-b-z.x"},
        {"{a,b}{c,d}", "ac ad bc bd"},
        /* no patterns */
        {"http://[::1]:80/[1-2]", "http://[::1]:80/1 http://[::1]:80/2"},
        {"http://[2001:db8::A]/", "http://[2001:db8::A]/"},
        {"http://u:p@[::ffff:1.2.3.4]/{a}", "http://u:p@[::ffff:1.2.3.4]/a"},
        {"http://[fe80::1%25eth0]/", "http://[fe80::1%25eth0]/"},
        {"?a[]=1&b[]=2", "?a[]=1&b[]=2"},
        {"?a[]=[1-2]", "?a[]=1 ?a[]=2"},
        {"a,b-c:d", "a,b-c:d"},
        /* escapes */
        {"\\{a,b\\}\\[1-2\\]", "{a,b}[1-2]"},
        {"\\{{a,b}\\}", "{a} {b}"},
        {"{a\\,b,c\\}d,\\{e,\\[\\],\\\\}", "a,b c}d {e [] \\"},
        {"\\[2001:db8::[1-2]\\]", "[2001:db8::1] [2001:db8::2]"},
        {"a\\b\\,c\\", "a\\b\\,c\\"}, /* browsers take these for slashes */
        {"{a\\b}", "a\\b"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct pattern pattern;
        struct text results = {0};
        uint64_t count = 0;

        must_parse(&pattern, rows[i].pattern);
        do {
            if (count++ > 0)
                text_add_char(&results, ' ');
            pattern_write(&pattern, &results);
        } while (pattern_step(&pattern));
        assert_int_equal(count, pattern.count);
        assert_span(text_span(&results), rows[i].results);
        text_free(&results);
        pattern_free(&pattern);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *pattern;
        const char *text;
    } rows[] = {
        {"http://h/{a,b", "column 10: \"{\" without"},
        {"http://h/{", "column 10: \"{\" without"},
        {"http://h/{a\\}", "column 10: \"{\" without"},
        {"http://h/}", "column 10: \"}\" without"},
        {"http://h/[1-2]]", "column 15: \"]\" without"},
        {"\xc3\xa4\xe2\x82\xac{", "column 3: \"{\""},
        {"{}", "column 1: there is nothing"},
        {"{{a,b},c}", "column 2: braces and brackets"},
        {"{a[1-2],c}", "column 3: braces and brackets"},
        {"{a],c}", "column 3: braces and brackets"},
        {"a[1-2", "column 2: \"[\" without"},
        {"a[", "column 2: \"[\" without"},
        {"[1]", "column 1: a range has"},
        {"[-]", "a range has"},
        {"[1-]", "a range has"},
        {"[-1]", "a range has"},
        {"[-2--1]", "a range has"},
        {"[1-2-3]", "a range has"},
        {"[1 - 2]", "a range has"},
        {"[a-2]", "a range has"},
        {"[1-b]", "a range has"},
        {"[aa-bb]", "a range has"},
        {"[a-Z]", "a range has"},
        {"[A-z]", "a range has"},
        {"[\xc3\xa4-\xc3\xb6]", "a range has"},
        {"[[1-2]]", "a range has"},
        {"[0x1-0x2]", "a range has"},
        {"[1-18446744073709551616]", "a range has"},
        {"[:]", "a range has"},
        {"[1-2:3:4]", "a step"},
        {"[2-1]", "upwards"},
        {"[z-a]", "upwards"},
        {"[1-9:0]", "a step"},
        {"[1-9:]", "a step"},
        {"[1-9:-1]", "a step"},
        {"[1-9:a]", "a step"},
        {"[1-9:9]", "larger than the range"},
        {"[a-c:3]", "larger than the range"},
        {"[5-5:2]", "larger than the range"},
        {"[000000000000000000000000000000000-1]", "too many zeros"},
        {"[0-18446744073709551615]", "counted"},
        {"[1-10000000000][1-10000000000]",
         "column 16: it stands for more URLs than can be counted"},
        {"{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}{a}"
         "{a}{a}{a}{a}",
         "column 97: a URL can't have more than 32"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct haul_error error = {0};
        struct pattern pattern;
        size_t len = strlen(rows[i].pattern);
        char *copy = unit_copy(rows[i].pattern, len);

        memset(&pattern, 0xaa, sizeof(pattern));
        if (pattern_parse(&pattern, span_make(copy, len), &error))
            fail_msg("%s is taken", rows[i].pattern);
        assert_int_equal(error.status, HAUL_BAD_URL);
        if (!strstr(error.text, rows[i].text))
            fail_msg("%s: %s", rows[i].pattern, error.text);
        assert_null(pattern.bytes.data);
        assert_int_equal(pattern.count, 0);
        assert_false(pattern_parse(&pattern, span_make(copy, len), NULL));
        free(copy);
    }
}

/* What nobody could keep in memory begins at once, and goes on in the same memory. */
static void test_endless(void **state)
{
    struct pattern pattern;
    struct text url = {0};
    size_t used;

    (void)state;
    must_parse(&pattern, "http://h/[0-999999]/[000000-999999]/[1-1000000]");
    assert_int_equal(pattern.count, UINT64_C(1000000000000000000));
    pattern_write(&pattern, &url);
    assert_span(text_span(&url), "http://h/0/000000/1");
    used = mallinfo2().uordblks;
    for (int i = 0; i < 2500000; i++)
        assert_true(pattern_step(&pattern));
    text_clear(&url);
    pattern_write(&pattern, &url);
    assert_span(text_span(&url), "http://h/0/000002/500001");
    assert_int_equal(mallinfo2().uordblks, used);
    text_free(&url);
    pattern_free(&pattern);
}

static void test_names(void **state)
{
    static const struct {
        const char *pattern;
        const char *name;
        const char *last; /* of the last URL; NULL: refused */
        const char *error;
    } rows[] = {
        {"{a,b}[08-12]", "x", "x", NULL},
        {"{a,b}[08-12]", "{1}-{2}.bin", "b-12.bin", NULL},
        {"{a,b}[08-09]", "{2}{2}/{1}", "0909/b", NULL},
        {"[a-c]", "{host}/{1}{name}{n}", "{host}/c{name}{n}", NULL},
        {"{a,b}", "{{1}{1}", "{{1}b", NULL},
        {"{a,b}", "{{{1}", "{{b", NULL},
        {"{a,b}", "{", "{", NULL},
        {"{a,b}", "{}}{1", "{}}{1", NULL},
        {"{a,\\{host\\}}", "{1}", "{{host}", NULL},
        {"{a,b/c}", "{1}", "b/c", NULL},
        {"{a}{b}{c}{d}{e}{f}{g}{h}{i}[1-7]", "{10}{1}0", "7a0", NULL},
        {"{a,b}", "{2}", NULL, "{2} stands for nothing: the URL has 1 pattern in it"},
        {"{a,b}", "{0}", NULL, "{0} stands for nothing"},
        {"a", "{1}", NULL, "the URL has 0 patterns"},
        {"{a,b}", "{18446744073709551615}", NULL, "stands for nothing"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct pattern pattern;
        struct text name = {0};
        struct haul_error error = {0};
        bool good;

        must_parse(&pattern, rows[i].pattern);
        for (uint64_t n = 1; n < pattern.count; n++)
            assert_true(pattern_step(&pattern));
        good = pattern_name(&pattern, span_of(rows[i].name), &name, &error);
        if (good != (rows[i].last != NULL))
            fail_msg("%s: %s", rows[i].name, good ? name.data : error.text);
        if (good) {
            assert_span(text_span(&name), rows[i].last);
        } else {
            assert_int_equal(error.status, HAUL_BAD_OPTION);
            assert_non_null(strstr(error.text, rows[i].error));
        }
        text_free(&name);
        pattern_free(&pattern);
    }
}

/* URL, mirrors and name, all steps of them: "url,mirror,...>name". */
static void expect_expansion(const char *url, const char *const *mirrors, const char *out,
                             const char *expected)
{
    struct download_options download = {0};
    struct expansion expansion = {0};
    struct haul_error error = {0};
    struct text text = {0};
    bool good;

    for (; *mirrors; mirrors++)
        assert_true(download_options_add_mirror(&download, span_of(*mirrors), NULL));
    good = expansion_begin(&expansion, url, &download, out, &error);
    while (good) {
        good = expansion_write(&expansion, out, &error);
        if (!good)
            break;
        text_printf(&text, "%s", expansion.url.data);
        for (size_t i = 0; i < download.mirrors.count; i++)
            text_printf(&text, ",%s", expansion.mirrors[i]);
        text_printf(&text, ">%s ", expansion.out ? expansion.out : "");
        if (!expansion_step(&expansion))
            break;
    }
    if (!good)
        text_printf(&text, "%s", error.text);
    if (!strstr(text_span(&text).data, expected))
        fail_msg("got %s, want %s", text_span(&text).data, expected);
    text_free(&text);
    expansion_free(&expansion);
    download_options_free(&download);
}

static void test_expansion(void **state)
{
    static const char *const none[] = {NULL};
    static const char *const two[] = {"{x,y}[1-2]", "[1-4]", NULL};
    static const char *const plain[] = {"m", NULL};
    static const char *const three[] = {"m", "[1-3]", NULL};
    static const char *const bad[] = {"m", "[1-3", NULL};

    (void)state;
    expect_expansion("a", none, NULL, "a> ");
    expect_expansion("{a,b}", none, "f{1}", "a>fa b>fb ");
    expect_expansion("[1-2][1-2]", two, NULL, "11,x1,1> 12,x2,2> 21,y1,3> 22,y2,4> ");
    expect_expansion("[1-2]", plain, NULL, "1,m> 2,m> ");
    expect_expansion("[1-2]", three, NULL,
                     "mirror 2: its pattern stands for 3 URLs, that of the first URL for 2");
    expect_expansion("a", three, NULL, "mirror 2: its pattern stands for 3 URLs");
    expect_expansion("[1-3]", bad, NULL, "mirror 2: the pattern is wrong at column 1");
    expect_expansion("[1-3]", none, "same", "out: it names one file, but the pattern stands for 3");
    expect_expansion("[1-3]", none, "{n}", "1>{n} 2>{n} 3>{n} ");
    expect_expansion("[3-3]", none, "same", "3>same ");
    expect_expansion("[1-3]", none, "{2}", "out: {2} stands for nothing");
}

static void test_checksum_is_of_one(void **state)
{
    struct download_options download = {.checksum = (char[]){"md5=0"}};
    struct expansion expansion = {0};
    struct haul_error error = {0};

    (void)state;
    assert_false(expansion_begin(&expansion, "[1-2]", &download, NULL, &error));
    assert_int_equal(error.status, HAUL_BAD_OPTION);
    assert_non_null(strstr(error.text, "stands for 2"));
    assert_true(expansion_begin(&expansion, "[1-1]", &download, NULL, &error));
    expansion_free(&expansion);
}

/* Whatever comes in: the count is true, and what is escaped stands for itself. */
static void test_random(void **state)
{
    static const char *const pieces[] = {"{", "}",     "[",     "]",       ",",     "-",
                                         ":", "\\",    "a",     "z",       "0",     "1",
                                         "9", "[1-3]", "{a,b}", "[a-c:2]", "[::1]", "\xc3\xa4"};
    uint64_t seed = 1;
    int taken = 0;

    (void)state;
    for (int round = 0; round < 200000; round++) {
        struct text input = {0}, escaped = {0}, url = {0};
        struct pattern pattern;
        uint64_t count = unit_random(&seed) % 10;
        uint64_t steps = 1;
        char *copy;

        for (uint64_t i = 0; i < count; i++)
            text_add(&input, span_of(pieces[unit_random(&seed) % COUNT_OF(pieces)]));
        copy = unit_copy(input.data, input.len);
        if (pattern_parse(&pattern, span_make(copy, input.len), NULL)) {
            taken++;
            while (steps < 1000 && pattern_step(&pattern))
                steps++;
            assert_true(steps == pattern.count || steps == 1000);
            pattern_write(&pattern, &url);
            for (size_t i = 0; i < url.len; i++) {
                if (strchr("{}[]", url.data[i]))
                    text_add_char(&escaped, '\\');
                text_add_char(&escaped, url.data[i]);
            }
            pattern_free(&pattern);
            assert_true(pattern_parse(&pattern, text_span(&escaped), NULL));
            assert_int_equal(pattern.count, 1);
            text_clear(&escaped);
            pattern_write(&pattern, &escaped);
            assert_true(span_equal(text_span(&escaped), text_span(&url)));
            pattern_free(&pattern);
        }
        free(copy);
        text_free(&input);
        text_free(&escaped);
        text_free(&url);
    }
    assert_true(taken > 10000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_results),   cmocka_unit_test(test_refused),
        cmocka_unit_test(test_endless),   cmocka_unit_test(test_names),
        cmocka_unit_test(test_expansion), cmocka_unit_test(test_checksum_is_of_one),
        cmocka_unit_test(test_random),
    };

    return UNIT_RUN(tests);
}
