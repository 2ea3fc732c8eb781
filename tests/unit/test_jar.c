/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "http/cookie.h"
#include "session/jar.h"

#define NOW 1700000000

static struct jar *make(void)
{
    struct jar *jar = jar_create(1);

    assert_non_null(jar);
    return jar;
}

static void take_at(struct jar *jar, const char *url_text, const char *set_cookie, int64_t now_s)
{
    size_t len = strlen(set_cookie);
    char *copy = unit_copy(set_cookie, len);
    struct url url;

    assert_true(url_parse(&url, span_of(url_text), NULL));
    jar_take(jar, &url, span_make(copy, len), now_s);
    url_free(&url);
    free(copy);
}

static void take(struct jar *jar, const char *url_text, const char *set_cookie)
{
    take_at(jar, url_text, set_cookie, NOW);
}

static void assert_given_at(struct jar *jar, const char *url_text, int64_t now_s,
                            const char *expected)
{
    struct text field = {0};
    struct url url;

    assert_true(url_parse(&url, span_of(url_text), NULL));
    jar_give(jar, &url, now_s, &field);
    if (!span_equal(text_span(&field), span_of(expected)))
        fail_msg("%s gets \"%.*s\", not \"%s\"", url_text, SPAN_ARG(text_span(&field)), expected);
    text_free(&field);
    url_free(&url);
}

static void assert_given(struct jar *jar, const char *url_text, const char *expected)
{
    assert_given_at(jar, url_text, NOW, expected);
}

/* One cookie, and where it goes. */
static void test_where(void **state)
{
    static const struct {
        const char *from;
        const char *set_cookie;
        const char *to;
        bool goes;
    } rows[] = {
        {"http://example.com/", "a=b", "http://example.com/", true},
        {"http://example.com/", "a=b", "http://EXAMPLE.com:81/x?y", true},
        {"http://example.com/", "a=b", "https://example.com/", true},
        {"http://example.com/", "a=b", "http://www.example.com/", false},
        {"http://example.com/", "a=b", "http://example.org/", false},
        /* Domain. */
        {"http://example.com/", "a=b; Domain=example.com", "http://www.example.com/", true},
        {"http://www.example.com/", "a=b; Domain=example.com", "http://example.com/", true},
        {"http://www.example.com/", "a=b; Domain=.EXAMPLE.com", "http://a.b.example.com/", true},
        {"http://www.example.com/", "a=b; Domain=example.com", "http://badexample.com/", false},
        {"http://example.com/", "a=b; Domain=www.example.com", "http://www.example.com/", false},
        {"http://example.com/", "a=b; Domain=www.example.com", "http://example.com/", false},
        {"http://example.com/", "a=b; Domain=example.org", "http://example.org/", false},
        {"http://example.com/", "a=b; Domain=", "http://example.com/", true},
        {"http://example.com/", "a=b; Domain=", "http://www.example.com/", false},
        {"http://example.com/", "a=b; Domain=example.com/", "http://example.com/", false},
        /* Public suffixes. */
        {"http://example.com/", "a=b; Domain=com", "http://example.com/", false},
        {"http://example.co.uk/", "a=b; Domain=co.uk", "http://example.co.uk/", false},
        {"http://example.co.uk/", "a=b; Domain=co.uk", "http://other.co.uk/", false},
        {"http://me.github.io/", "a=b; Domain=github.io", "http://you.github.io/", false},
        {"http://github.io/", "a=b; Domain=github.io", "http://github.io/", true},
        {"http://github.io/", "a=b; Domain=github.io", "http://you.github.io/", false},
        {"http://a.example/", "a=b; Domain=example", "http://b.example/", false},
        {"http://localhost/", "a=b", "http://localhost/", true},
        {"http://localhost/", "a=b; Domain=localhost", "http://localhost/", true},
        {"http://localhost/", "a=b; Domain=localhost", "http://x.localhost/", false},
        {"http://intranet/", "a=b; Domain=intranet", "http://intranet/", true},
        {"http://example.com./", "a=b; Domain=com.", "http://other.com./", false},
        /* Addresses. */
        {"http://127.0.0.1/", "a=b", "http://127.0.0.1/", true},
        {"http://127.0.0.1/", "a=b; Domain=127.0.0.1", "http://127.0.0.1/", true},
        {"http://127.0.0.1/", "a=b; Domain=0.0.1", "http://127.0.0.1/", false},
        {"http://127.0.0.1/", "a=b", "http://127.0.0.2/", false},
        {"http://[::1]/", "a=b", "http://[::1]:8080/", true},
        {"http://[::1]/", "a=b; Domain=::1", "http://[::1]/", true},
        /* Path. */
        {"http://h/a/b", "a=b", "http://h/a/c/d?e", true},
        {"http://h/a/b", "a=b", "http://h/a", true},
        {"http://h/a/b", "a=b", "http://h/", false},
        {"http://h/a/b", "a=b", "http://h/ab", false},
        {"http://h/a/b", "a=b; Path=/", "http://h/", true},
        {"http://h/", "a=b; Path=/x", "http://h/x/y", true},
        {"http://h/", "a=b; Path=/x", "http://h/xy", false},
        {"http://h/", "a=b; Path=/x", "http://h/y", false},
        /* Secure. */
        {"https://h/", "a=b; Secure", "https://h/", true},
        {"https://h/", "a=b; Secure", "http://h/", false},
        {"http://h/", "a=b; Secure", "https://h/", false},
        {"https://h/", "__Host-a=b; Secure; Path=/", "https://h/", true},
        {"https://h/", "__Host-a=b; Path=/", "https://h/", false},
        {"http://localhost/", "a=b; Secure", "http://localhost/", false},
        {"http://127.0.0.1/", "a=b; Secure", "http://127.0.0.1/", false},
        /* What is nothing to us. */
        {"http://h/", "a=b; SameSite=Strict; HttpOnly", "http://h/", true},
        {"http://h/", "a=b; SameSite=None", "http://h/", true},
        {"http://h/", "a=b; Max-Age=0", "http://h/", false},
        {"http://h/", "a=b\r", "http://h/", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct jar *jar = make();

        take(jar, rows[i].from, rows[i].set_cookie);
        assert_given(jar, rows[i].to,
                     !rows[i].goes                  ? ""
                     : rows[i].set_cookie[0] == '_' ? "__Host-a=b"
                                                    : "a=b");
        jar_destroy(jar);
    }
}

static void test_replace(void **state)
{
    struct jar *jar = make();

    (void)state;
    take(jar, "http://h/", "a=1");
    take(jar, "http://h/", "b=2");
    take(jar, "http://h/", "a=3");
    assert_given(jar, "http://h/", "a=3; b=2"); /* as old as it was */
    take(jar, "http://h/x/", "a=4");
    assert_given(jar, "http://h/x/", "a=4; a=3; b=2");
    take(jar, "http://h/", "A=5");
    assert_given(jar, "http://h/", "a=3; b=2; A=5");
    assert_int_equal(jar_count(jar), 4);
    take(jar, "http://h/", "a=; Max-Age=0");
    assert_given(jar, "http://h/", "b=2; A=5");
    take(jar, "http://h/", "b=; Expires=Thu, 01 Jan 1970 00:00:00 GMT");
    assert_given(jar, "http://h/x/", "a=4; A=5");
    take(jar, "http://h/", "nameless");
    take(jar, "http://h/", "empty=");
    assert_given(jar, "http://h/", "A=5; nameless; empty=");
    jar_destroy(jar);
}

static void test_order(void **state)
{
    struct jar *jar = make();

    (void)state;
    take(jar, "http://www.example.com/", "a=1");
    take(jar, "http://www.example.com/", "b=2; Path=/x/y");
    take(jar, "http://www.example.com/", "c=3; Path=/x; Domain=example.com");
    take(jar, "http://www.example.com/", "d=4; Path=/x");
    take(jar, "http://www.example.com/", "e=5; Domain=example.com");
    assert_given(jar, "http://www.example.com/x/y", "b=2; c=3; d=4; a=1; e=5");
    assert_given(jar, "http://other.example.com/x/y", "c=3; e=5");
    /* For this host only, and for all below: two cookies. */
    take(jar, "http://www.example.com/", "a=6; Domain=www.example.com");
    assert_given(jar, "http://www.example.com/", "a=1; e=5; a=6");
    jar_destroy(jar);
}

static void test_expiry(void **state)
{
    struct jar *jar = make();

    (void)state;
    take(jar, "http://h/", "a=1; Max-Age=10");
    take(jar, "http://h/", "b=2");
    assert_given_at(jar, "http://h/", NOW + 9, "a=1; b=2");
    assert_given_at(jar, "http://h/", NOW + 10, "b=2");
    take_at(jar, "http://h/", "c=3", NOW + 10);
    assert_int_equal(jar_count(jar), 2);
    jar_destroy(jar);
}

static void test_secure_ones_stay(void **state)
{
    struct jar *jar = make();

    (void)state;
    take(jar, "https://www.example.com/x/", "a=safe; Secure; Path=/x");
    take(jar, "http://www.example.com/x/", "a=forged; Path=/x");
    take(jar, "http://www.example.com/x/", "a=forged; Path=/x; Max-Age=0");
    take(jar, "http://www.example.com/x/y", "a=forged; Path=/x/y");
    take(jar, "http://www.example.com/x/", "a=forged; Path=/x; Domain=example.com");
    take(jar, "http://sub.www.example.com/x/", "a=forged; Path=/x; Domain=www.example.com");
    assert_given(jar, "https://www.example.com/x/y", "a=safe");
    /* Where it does not go to, nothing is forged. */
    take(jar, "http://www.example.com/", "a=other");
    take(jar, "http://other.example.com/x/", "a=another; Path=/x");
    take(jar, "http://www.example.com/x/", "b=1; Path=/x");
    assert_given(jar, "https://www.example.com/x/", "a=safe; b=1; a=other");
    assert_given(jar, "https://other.example.com/x/", "a=another");
    take(jar, "https://www.example.com/x/", "a=new; Path=/x");
    assert_given(jar, "http://www.example.com/x/", "a=new; b=1; a=other");
    jar_destroy(jar);
}

static void test_domain_limit(void **state)
{
    struct jar *jar = make();
    struct text field = {0};
    struct url url;

    (void)state;
    take(jar, "https://h/", "safe=1; Secure");
    for (int i = 0; i < JAR_DOMAIN_COOKIES_MAX + 9; i++) {
        char line[32];

        snprintf(line, sizeof(line), "c%d=1; Path=/p%d", i, i);
        take(jar, "http://h/", line);
        if (i == 20)
            assert_given(jar, "https://h/p3", "c3=1; safe=1"); /* a use, which counts */
    }
    assert_int_equal(jar_count(jar), JAR_DOMAIN_COOKIES_MAX);
    assert_given(jar, "https://h/p3", "c3=1; safe=1");
    assert_given(jar, "https://h/p2", "safe=1");
    assert_given(jar, "https://h/p10", "safe=1");
    assert_given(jar, "https://h/p11", "c11=1; safe=1");
    assert_given(jar, "https://h/p58", "c58=1; safe=1");
    jar_destroy(jar);

    /* Where all are, the oldest goes. */
    jar = make();
    for (int i = 0; i < JAR_DOMAIN_COOKIES_MAX + 1; i++) {
        char line[48];

        snprintf(line, sizeof(line), "c%d=1; Path=/p%d; Secure", i, i);
        take(jar, "https://h/", line);
    }
    assert_given(jar, "https://h/p0", "");
    assert_given(jar, "https://h/p1", "c1=1");
    /* An expired one goes first. */
    take(jar, "https://h/", "c1=1; Path=/p1; Secure; Max-Age=5");
    assert_true(url_parse(&url, SPAN("https://h/"), NULL));
    take_at(jar, "https://h/", "new=1; Secure", NOW + 5);
    jar_give(jar, &url, NOW + 5, &field);
    assert_span(text_span(&field), "new=1");
    text_free(&field);
    url_free(&url);
    assert_given_at(jar, "https://h/p2", NOW + 5, "c2=1; new=1");
    assert_int_equal(jar_count(jar), JAR_DOMAIN_COOKIES_MAX);
    jar_destroy(jar);
}

static void test_limit(void **state)
{
    struct jar *jar = make();
    char url[64];

    (void)state;
    for (int i = 0; i < JAR_COOKIES_MAX + 5; i++) {
        snprintf(url, sizeof(url), "http://h%d.example/", i);
        take(jar, url, "a=b");
        if (i == 100)
            assert_given(jar, "http://h1.example/", "a=b");
    }
    assert_int_equal(jar_count(jar), JAR_COOKIES_MAX);
    assert_given(jar, "http://h0.example/", "");
    assert_given(jar, "http://h1.example/", "a=b");
    assert_given(jar, "http://h5.example/", "");
    assert_given(jar, "http://h6.example/", "a=b");
    jar_destroy(jar);
}

/* A server takes no line of any length. */
static void test_field_limit(void **state)
{
    static char line[COOKIE_PAIR_BYTES_MAX + 1];
    struct jar *jar = make();
    struct text field = {0};
    struct url url;

    (void)state;
    for (int i = 0; i < 3; i++) {
        snprintf(line, sizeof(line), "c%d=%03000d", i, 0);
        take(jar, "http://h/", line);
    }
    take(jar, "http://h/", "last=1");
    assert_true(url_parse(&url, SPAN("http://h/"), NULL));
    jar_give(jar, &url, NOW, &field);
    assert_true(field.len <= JAR_FIELD_BYTES_MAX);
    assert_true(span_starts_nocase(text_span(&field), SPAN("c0=")));
    assert_null(strstr(field.data, "c2="));
    assert_non_null(strstr(field.data, "; last=1"));
    text_free(&field);
    url_free(&url);
    jar_destroy(jar);
}

/* --- files ----------------------------------------------------------------------------------- */

static void read_file(struct jar *jar, const char *file, struct jar_faults *faults)
{
    size_t len = strlen(file);
    char *copy = unit_copy(file, len);

    jar_read(jar, span_make(copy, len), NOW, faults);
    free(copy);
}

static void test_lines(void **state)
{
    static const struct {
        const char *line;
        const char *to;
        const char *cookies; /* NULL: the line is malformed */
    } rows[] = {
        {"h\tFALSE\t/\tFALSE\t0\ta\tb", "http://h/", "a=b"},
        {"h\tFALSE\t/\tFALSE\t0\ta\tb\r\n", "http://h/", "a=b"},
        {"h\tFALSE\t/\tFALSE\t0\ta\t", "http://h/", "a="},
        {"h\tFALSE\t/\tFALSE\t0\ta", "http://h/", "a="},
        {"h\tFALSE\t/\tFALSE\t0\t\tb", "http://h/", "b"},
        {"h\tfalse\t/\tfalse\t0\ta\tb c\td", "http://h/", "a=b c\td"},
        {"H\tFALSE\t/x\tFALSE\t0\ta\tb", "http://h/x", "a=b"},
        {"#HttpOnly_h\tFALSE\t/\tFALSE\t0\ta\tb", "http://h/", "a=b"},
        {"h\tFALSE\t/\tTRUE\t0\ta\tb", "https://h/", "a=b"},
        {"h\tFALSE\t/\tTRUE\t0\ta\tb", "http://h/", ""},
        {"h\tFALSE\t/\tFALSE\t1700000001\ta\tb", "http://h/", "a=b"},
        {"h\tFALSE\t/\tFALSE\t1700000001.5\ta\tb", "http://h/", "a=b"},
        {"h\tFALSE\t/\tFALSE\t1700000000\ta\tb", "http://h/", ""},
        {"h\tFALSE\t/\tFALSE\t99999999999999999\ta\tb", "http://h/", "a=b"},
        {"h\tFALSE\t/\tFALSE\t18446744073709551615\ta\tb", "http://h/", "a=b"},
        {"h\tFALSE\t/\tFALSE\t-1\ta\tb", "http://h/", "a=b"},
        {"h\tFALSE\t/\tFALSE\t\ta\tb", "http://h/", "a=b"},
        {".example.com\tTRUE\t/\tFALSE\t0\ta\tb", "http://www.example.com/", "a=b"},
        {"example.com\tTRUE\t/\tFALSE\t0\ta\tb", "http://www.example.com/", "a=b"},
        {"example.com\tFALSE\t/\tFALSE\t0\ta\tb", "http://www.example.com/", ""},
        {".com\tTRUE\t/\tFALSE\t0\ta\tb", "http://example.com/", ""},
        {"127.0.0.1\tTRUE\t/\tFALSE\t0\ta\tb", "http://127.0.0.1/", "a=b"},
        {"[::1]\tFALSE\t/\tFALSE\t0\ta\tb", "http://[::1]/", "a=b"},
        {"::1\tFALSE\t/\tFALSE\t0\ta\tb", "http://[::1]/", "a=b"},
        {"h\tFALSE\t/\tTRUE\t0\t__Host-a\tb", "https://h/", "__Host-a=b"},
        {"# a comment\th\tFALSE\t/\tFALSE\t0\ta\tb", "http://h/", ""},
        {"\t\r\n\n  \n", "http://h/", ""},
        {"h\tFALSE\t/\tFALSE\t0", "http://h/", NULL},
        {"h FALSE / FALSE 0 a b", "http://h/", NULL},
        {"h\tMAYBE\t/\tFALSE\t0\ta\tb", "http://h/", NULL},
        {"h\tFALSE\tx\tFALSE\t0\ta\tb", "http://h/", NULL},
        {"h\tFALSE\t/\tFALSE\tsoon\ta\tb", "http://h/", NULL},
        {"h\tFALSE\t/\tFALSE\t0\ta\tb\x01", "http://h/", NULL},
        {"h\tFALSE\t/\tFALSE\t0\t__Host-a\tb", "http://h/", NULL},
        {".h.example\tTRUE\t/\tTRUE\t0\t__Host-a\tb", "http://h.example/", NULL},
        {"\tFALSE\t/\tFALSE\t0\ta\tb", "http://h/", NULL},
        {"h/\tFALSE\t/\tFALSE\t0\ta\tb", "http://h/", NULL},
        {"..h\tTRUE\t/\tFALSE\t0\ta\tb", "http://h/", NULL},
        {"..\tTRUE\t/\tFALSE\t0\ta\tb", "http://h/", NULL},
        {".[h]\tTRUE\t/\tFALSE\t0\ta\tb", "http://h/", NULL},
        {".#h\tTRUE\t/\tFALSE\t0\ta\tb", "http://h/", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct jar *jar = make();
        struct jar_faults faults;

        read_file(jar, rows[i].line, &faults);
        if (faults.malformed != (rows[i].cookies == NULL))
            fail_msg("%s: %zu malformed", rows[i].line, faults.malformed);
        assert_given(jar, rows[i].to, rows[i].cookies ? rows[i].cookies : "");
        jar_destroy(jar);
    }
}

static void test_faults(void **state)
{
    struct jar *jar = make();
    struct jar_faults faults;

    (void)state;
    read_file(jar,
              "# Netscape HTTP Cookie File\n\nh\tFALSE\t/\tFALSE\t0\ta\tb\nnonsense\n"
              "h\tFALSE\t/\tFALSE\t1\tc\td\nmore\nh\tFALSE\t/\tFALSE\t0\te\tf",
              &faults);
    assert_int_equal(faults.malformed, 2);
    assert_int_equal(faults.first, 4);
    assert_int_equal(faults.expired, 1);
    assert_given(jar, "http://h/", "a=b; e=f");
    jar_destroy(jar);
}

static void test_write(void **state)
{
    static const char expected[] = "h\tFALSE\t/\tFALSE\t0\ta\t1\n"
                                   ".example.com\tTRUE\t/x\tFALSE\t1700000010\tb\t2\n"
                                   "#HttpOnly_h\tFALSE\t/\tTRUE\t0\tc\t3=\t4\n"
                                   "127.0.0.1\tFALSE\t/\tFALSE\t0\t\tnameless\n";
    struct jar *jar = make(), *again = make();
    struct jar_faults faults;
    struct text file = {0};
    char *lines;

    (void)state;
    take(jar, "http://h/", "a=1");
    take(jar, "http://www.example.com/", "b=2; Path=/x; Domain=example.com; Max-Age=10");
    take(jar, "https://h/", "c=3=\t4; Secure; HttpOnly");
    take(jar, "http://127.0.0.1/", "nameless; Domain=127.0.0.1");
    take(jar, "http://h/", "gone=1; Max-Age=1");
    take(jar, "http://h/", "ta\tb=1");
    assert_given(jar, "http://h/", "a=1; gone=1; ta\tb=1"); /* uses don't change the order */
    jar_write(jar, NOW + 1, &file);
    assert_false(file.failed);
    assert_true(span_starts_nocase(text_span(&file), SPAN("# Netscape HTTP Cookie File\n")));
    lines = strstr(file.data, "\n\n");
    assert_non_null(lines);
    assert_string_equal(lines + 2, expected);
    jar_read(again, text_span(&file), NOW, &faults);
    assert_int_equal(faults.malformed, 0);
    text_clear(&file);
    jar_write(again, NOW + 1, &file);
    assert_string_equal(strstr(file.data, "\n\n") + 2, expected);
    text_free(&file);
    jar_destroy(jar);
    jar_destroy(again);
}

static void test_changes(void **state)
{
    struct jar *jar = make();
    uint64_t before = jar_changes(jar);

    (void)state;
    take(jar, "http://h/", "a=1; Domain=x");
    assert_int_equal(jar_changes(jar), before);
    take(jar, "http://h/", "a=1");
    assert_true(jar_changes(jar) > before);
    before = jar_changes(jar);
    assert_given(jar, "http://h/", "a=1");
    assert_int_equal(jar_changes(jar), before);
    take(jar, "http://h/", "a=1; Max-Age=0");
    assert_true(jar_changes(jar) > before);
    jar_destroy(jar);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_where),
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_expiry),
        cmocka_unit_test(test_secure_ones_stay),
        cmocka_unit_test(test_domain_limit),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_field_limit),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_faults),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_changes),
    };

    return UNIT_RUN(tests);
}
