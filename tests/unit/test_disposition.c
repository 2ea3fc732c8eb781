/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "http/disposition.h"

struct row {
    const char *value;
    const char *name; /* NULL: there is none */
};

static void try_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(rows[i].value);
        char *copy = unit_copy(rows[i].value, len);
        struct text name = {0};
        bool found = disposition_name(span_make(copy, len), &name);

        if (found != (rows[i].name != NULL) ||
            (found && !span_equal(text_span(&name), span_of(rows[i].name))))
            fail_msg("%s: %s", rows[i].value, found ? name.data : "none");
        free(copy);
        for (size_t cut = 0; cut < len; cut++) { /* every shorter one ends where its memory ends */
            text_clear(&name);
            copy = unit_copy(rows[i].value, cut);
            (void)disposition_name(span_make(copy, cut), &name);
            free(copy);
        }
        text_free(&name);
    }
}

/* RFC 6266, section 5 and appendix D, and RFC 8187, section 3.2.3. */
static void test_rfc(void **state)
{
    static const struct row rows[] = {
        {"Attachment; filename=example.html", "example.html"},
        {"INLINE; FILENAME= \"an example.html\"", "an example.html"},
        {"attachment; filename*= UTF-8''%e2%82%ac%20rates", "\xe2\x82\xac rates"},
        {"attachment; filename=\"EURO rates\"; filename*=utf-8''%e2%82%ac%20rates",
         "\xe2\x82\xac rates"},
        {"attachment; filename*=iso-8859-1'en'%A3%20rates", "\xc2\xa3 rates"},
        {"attachment; filename*=UTF-8''%c2%a3%20and%20%e2%82%ac%20rates",
         "\xc2\xa3 and \xe2\x82\xac rates"},
        {"inline", NULL},
        {"attachment", NULL},
        {"", NULL},
        {"attachment; filename=\"foo-%41.html\"", "foo-A.html"},
    };

    (void)state;
    try_rows(rows, COUNT_OF(rows));
}

/* What well-known tests of browsers try. */
static void test_browsers(void **state)
{
    static const struct row rows[] = {
        {"inline; filename=\"foo.html\"", "foo.html"},
        {"inline; filename=\"Not an attachment!\"", "Not an attachment!"},
        {"attachment; filename=\"0000000000111111111122222\"", "0000000000111111111122222"},
        {"attachment; filename=\"f\\oo.html\"", "foo.html"},
        {"attachment; filename=\"\\\"quoting\\\" tested.html\"", "\"quoting\" tested.html"},
        {"attachment; filename=\"Here's a semicolon;.html\"", "Here's a semicolon;.html"},
        {"attachment; foo=\"bar\"; filename=\"foo.html\"", "foo.html"},
        {"attachment; foo=\"\\\"\\\\\"; filename=\"foo.html\"", "foo.html"},
        {"attachment; FILENAME=\"foo.html\"", "foo.html"},
        {"attachment; filename=foo.html", "foo.html"},
        {"attachment; filename=foo,bar.html", "foo,bar.html"},
        {"attachment; filename=foo.html ;", "foo.html"},
        {"attachment; ;filename=foo", "foo"},
        {"attachment; filename=foo bar.html", "foo bar.html"},
        {"attachment; filename='foo.bar'", "'foo.bar'"},
        {"attachment; filename=\"foo-\xe4.html\"", "foo-\xc3\xa4.html"},
        {"attachment; filename=\"foo-\xc3\xa4.html\"", "foo-\xc3\xa4.html"},
        {"attachment; filename=\"foo-%\x41.html\"", "foo-%A.html"},
        {"attachment; filename=\"foo-%c3%a4-%e2%82%ac.html\"", "foo-\xc3\xa4-\xe2\x82\xac.html"},
        {"attachment; filename=\"foo-%e4.html\"", "foo-%e4.html"},
        {"attachment; filename =\"foo.html\"", "foo.html"},
        {"attachment; filename=\"foo.html\"; filename=\"bar.html\"", "foo.html"},
        {"attachment; filename=foo[1](2).html", "foo[1](2).html"},
        {"attachment; filename=foo-\xe4.html", "foo-\xc3\xa4.html"},
        {"filename=foo.html", "foo.html"},
        {"x=y; filename=foo.html", "foo.html"},
        {"\"foo; filename=bar;baz\"; filename=qux", "bar"},
        {"filename=foo.html, filename=bar.html", "foo.html, filename=bar.html"},
        {"; filename=foo.html", "foo.html"},
        {": inline; attachment; filename=foo.html", "foo.html"},
        {"attachment; filename=\"foo.html\".txt", "foo.html"},
        {"attachment; filename=\"bar", "bar"},
        {"attachment; filename=foo\"bar;baz\"qux", "foo\"bar"},
        {"attachment; foo=foo filename=bar", NULL},
        {"attachment; filename=bar foo=foo", "bar foo=foo"},
        {"attachment filename=bar", NULL},
        {"attachment; xfilename=foo.html", NULL},
        {"attachment; filename=\"/foo.html\"", "foo.html"},
        {"attachment; filename=\"\\\\foo.html\"", "foo.html"},
        {"attachment; filename=\"\"", NULL},
        {"attachment; filename=", NULL},
        {"attachment; filename=\"   \"", NULL},
        {"attachment; filename=;filename=foo", "foo"},
    };

    (void)state;
    try_rows(rows, COUNT_OF(rows));
}

static void test_extended(void **state)
{
    static const struct row rows[] = {
        {"attachment; filename*=iso-8859-1''foo-%E4.html", "foo-\xc3\xa4.html"},
        {"attachment; filename*=ISO-8859-1''foo-%80.html", "foo-\xe2\x82\xac.html"},
        {"attachment; filename*=UTF-8''foo-%c3%a4-%e2%82%ac.html",
         "foo-\xc3\xa4-\xe2\x82\xac.html"},
        {"attachment; filename*=''foo-%c3%a4-%e2%82%ac.html", NULL},
        {"attachment; filename*=UTF-8''foo-a%cc%88.html", "foo-a\xcc\x88.html"},
        {"attachment; filename*=iso-8859-1''foo-%c3%a4.html", "foo-\xc3\x83\xc2\xa4.html"},
        {"attachment; filename*=utf-8''foo-%E4.html", NULL},
        {"attachment; filename*=utf-8''foo-%E4.html; filename=foo", "foo"},
        {"attachment; filename *=UTF-8''foo-%c3%a4.html", NULL},
        {"attachment; filename*= UTF-8''foo-%c3%a4.html", "foo-\xc3\xa4.html"},
        {"attachment; filename* =UTF-8''foo-%c3%a4.html", "foo-\xc3\xa4.html"},
        {"attachment; filename*=\"UTF-8''foo-%c3%a4.html\"", "foo-\xc3\xa4.html"},
        {"attachment; filename*=\"foo%20bar.html\"", NULL},
        {"attachment; filename*=UTF-8'foo-%c3%a4.html", NULL},
        {"attachment; filename*=UTF-8''foo%", "foo%"},
        {"attachment; filename*=UTF-8''f%oo.html", "f%oo.html"},
        {"attachment; filename*=UTF-8''A-%2541.html", "A-%41.html"},
        {"attachment; filename*=UTF-8''%5cfoo.html", "foo.html"},
        {"attachment; filename*=UTF-8''..%2f..%2fetc%2fpasswd", "passwd"},
        {"attachment; filename*=koi8-r''%c1; filename=fallback", "fallback"},
        {"attachment; filename=\"plain.txt\"; filename*=UTF-8''ext.txt", "ext.txt"},
        {"attachment; filename*=UTF-8''ext.txt; filename=\"plain.txt\"", "ext.txt"},
        {"attachment; filename*=UTF-8''one; filename*=UTF-8''two", "one"},
        {"attachment; filename*0=\"foo.\"; filename*1=\"html\"", NULL},
    };

    (void)state;
    try_rows(rows, COUNT_OF(rows));
}

static void test_words(void **state)
{
    static const struct row rows[] = {
        {"attachment; filename==?ISO-8859-1?Q?foo-=E4.html?=", "foo-\xc3\xa4.html"},
        {"attachment; filename=\"=?ISO-8859-1?Q?foo-=E4.html?=\"", "foo-\xc3\xa4.html"},
        {"attachment; filename=\"=?UTF-8?B?Zm9vLcOkLmh0bWw=?=\"", "foo-\xc3\xa4.html"},
        {"attachment; filename=\"=?utf-8?q?a_b?=\"", "a b"},
        {"attachment; filename=\"=?utf-8?q?a?= =?utf-8?q?b?=.html\"", "ab.html"},
        {"attachment; filename=\"=?utf-8*en?q?a?= x\"", "a x"},
        {"attachment; filename=\"=?utf-8?q?=zz?=\"", "=?utf-8?q?=zz?="},
        {"attachment; filename=\"=?utf-8?b?!?=\"", "=?utf-8?b?!?="},
        {"attachment; filename=\"=?x-none?q?a?=\"", "=?x-none?q?a?="},
        {"attachment; filename=\"=?utf-8?q?a\"", "=?utf-8?q?a"},
        {"attachment; filename=\"=?utf-8?q?..=2Fa?=\"", "a"},
    };

    (void)state;
    try_rows(rows, COUNT_OF(rows));
}

/* What nobody should get away with. */
static void test_hostile(void **state)
{
    static const struct row rows[] = {
        {"attachment; filename=\"../../etc/passwd\"", "passwd"},
        {"attachment; filename=\"..\"", NULL},
        {"attachment; filename=\".\"", NULL},
        {"attachment; filename=\"a/..\"", NULL},
        {"attachment; filename=\"/\"", NULL},
        {"attachment; filename=\"dir/\"", "dir"},
        {"attachment; filename=\"C:\\Users\\me\\report.pdf\"", "report.pdf"},
        {"attachment; filename=C:\\Users\\me\\report.pdf", "report.pdf"},
        {"attachment; filename=\"\\\\host\\share\\report.pdf\"", "report.pdf"},
        {"attachment; filename=\"C:\\\\Users\\\\me\\\\report.pdf\"", "report.pdf"},
        {"attachment; filename=\"C:\\dir\\\"; filename=b", "dir"},
        {"attachment; filename=\".bashrc\"", "_bashrc"},
        {"attachment; filename=\"-rf\"", "_rf"},
        {"attachment; filename=\"a\x1b[31m\nb\"", "a_[31m b"},
        {"attachment; filename=\"a\r\n b\"", "a   b"},
        {"attachment;\r\n\tfilename=a", "a"},
        {"attachment; filename=\"x\xe2\x80\xaegpj.exe\"", "x_gpj.exe"},
        {"attachment; filename=\"%2e%2e%2f%2e%2e%2fx\"", "x"},
        {"attachment; filename=\"a%00b\"", "a_b"},
        {"attachment; filename=\"a\\\"", "a\""},
        {"attachment; filename=\"\\", NULL},
        {"attachment;;;;=;=;filename", NULL},
    };

    (void)state;
    try_rows(rows, COUNT_OF(rows));
}

static void test_long(void **state)
{
    struct text value = {0}, name = {0};

    (void)state;
    text_printf(&value, "attachment; filename=\"");
    for (int i = 0; i < 200; i++)
        text_printf(&value, "\xc3\xa4");
    text_printf(&value, ".jpeg\"");
    assert_true(disposition_name(text_span(&value), &name));
    assert_int_equal(name.len, 255);
    assert_true(span_equal(span_sub(text_span(&name), 250, 5), SPAN(".jpeg")));
    text_free(&value);
    text_free(&name);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc),      cmocka_unit_test(test_browsers),
        cmocka_unit_test(test_extended), cmocka_unit_test(test_words),
        cmocka_unit_test(test_hostile),  cmocka_unit_test(test_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
