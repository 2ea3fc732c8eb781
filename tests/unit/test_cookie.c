/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "http/cookie.h"

#define NOW  1700000000
#define LAST (NOW + COOKIE_AGE_S_MAX)

static bool parse_copy(const char *text, size_t len, char **copy, struct cookie *cookie)
{
    *copy = unit_copy(text, len);
    return cookie_parse(span_make(*copy, len), NOW, cookie);
}

static void test_dates(void **state)
{
    static const struct {
        const char *text;
        int64_t unix_s; /* -1: none */
    } rows[] = {
        {"Sun, 06 Nov 1994 08:49:37 GMT", 784111777},
        {"Sunday, 06-Nov-94 08:49:37 GMT", 784111777},
        {"Sun Nov  6 08:49:37 1994", 784111777},
        {"Wed, 09 Jun 2021 10:18:14 GMT", 1623233894}, /* RFC 6265 3.1 */
        {"Wed, 09-Jun-2021 10:18:14 GMT", 1623233894},
        {"9 jun 21 10:18:14", 1623233894},
        {"10:18:14 2021 June 9", 1623233894},
        {"10:18:14 9 JUNE 2021", 1623233894},
        {"JUNxyz,9th;2021nd;10:18:14.000", 1623233894},
        {"09 Jun 2021 1:2:3", 1623200523},
        {"01 Jan 1970 00:00:00", 0},
        {"01 Jan 70 00:00:00", 0},
        {"01 Jan 69 00:00:00", 3124224000},
        {"01 Jan 00 00:00:00", 946684800},
        {"01 Jan 1601 00:00:00", -11644473600},
        {"01 Jan 1600 00:00:00", -1},
        {"29 Feb 2024 12:00:00", 1709208000},
        {"29 Feb 2023 12:00:00", -1},
        {"31 Apr 2024 12:00:00", -1},
        {"00 Apr 2024 12:00:00", -1},
        {"1 Apr 2024 24:00:00", -1},
        {"1 Apr 2024 12:60:00", -1},
        {"1 Apr 2024 12:00:60", -1},
        {"1 Apr 2024 12:00", -1},
        {"1 Apr 2024 123:00:00", -1},
        {"1 Apr 20245 12:00:00", -1},
        {"1 Apr 2 12:00:00", -1}, /* one digit is no year */
        {"100 Apr 2024 12:00:00", -1},
        {"Apr 2024 12:00:00", -1},
        {"1 2024 12:00:00", -1},
        {"1 Apr 12:00:00", -1},
        {"", -1},
        {"never", -1},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t len = strlen(rows[i].text);
        char *copy = unit_copy(rows[i].text, len);
        int64_t unix_s = -1;

        if (!cookie_date(span_make(copy, len), &unix_s))
            unix_s = -1;
        if (unix_s != rows[i].unix_s)
            fail_msg("%s: %lld", rows[i].text, (long long)unix_s);
        free(copy);
    }
}

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        const char *name; /* NULL: refused */
        const char *value;
        const char *domain;
        const char *path;
        int64_t expires_s; /* 0: lasts as long as the session */
        bool secure;
        bool http_only;
    } rows[] = {
        {"SID=31d4d96e407aad42", "SID", "31d4d96e407aad42", "", "", 0, false, false},
        {"SID=31; Path=/; Domain=example.com", "SID", "31", "example.com", "/", 0, false, false},
        {"a=b; Path=/; Secure; HttpOnly", "a", "b", "", "/", 0, true, true},
        {"a=b;path=/x;SECURE=0;httponly=no", "a", "b", "", "/x", 0, true, true},
        {"lang=en-US; Expires=Wed, 09 Jun 2021 10:18:14 GMT", "lang", "en-US", "", "", 1623233894,
         false, false},
        {" a b = c d ; x", "a b", "c d", "", "", 0, false, false},
        {"a=b=c==", "a", "b=c==", "", "", 0, false, false},
        {"a=\"b c\"", "a", "\"b c\"", "", "", 0, false, false},
        {"a=", "a", "", "", "", 0, false, false},
        {"=b", "", "b", "", "", 0, false, false},
        {"b", "", "b", "", "", 0, false, false},
        {"a=\x80\xff", "a", "\x80\xff", "", "", 0, false, false},
        {"a=b\tc", "a", "b\tc", "", "", 0, false, false},
        {"", NULL, NULL, NULL, NULL, 0, false, false},
        {"=", NULL, NULL, NULL, NULL, 0, false, false},
        {" ; Secure", NULL, NULL, NULL, NULL, 0, false, false},
        {"a=b\x01", NULL, NULL, NULL, NULL, 0, false, false},
        {"a=b; x=\x7f", NULL, NULL, NULL, NULL, 0, false, false},
        {"a\x1f=b", NULL, NULL, NULL, NULL, 0, false, false},
        /* Attributes: the last one counts, where it can be read. */
        {"a=b; Domain=.Example.COM", "a", "b", "Example.COM", "", 0, false, false},
        {"a=b; Domain=x; Domain=y", "a", "b", "y", "", 0, false, false},
        {"a=b; Domain=x; Domain=", "a", "b", "", "", 0, false, false},
        {"a=b; Domain=..x", "a", "b", ".x", "", 0, false, false},
        {"a=b; Path=/x; Path=y", "a", "b", "", "", 0, false, false},
        {"a=b; Path=y; Path=/x/", "a", "b", "", "/x/", 0, false, false},
        {"a=b; Path", "a", "b", "", "", 0, false, false},
        {"a=b; SameSite=Strict; Priority=High; Partitioned", "a", "b", "", "", 0, false, false},
        /* How long it lasts. */
        {"a=b; Max-Age=10", "a", "b", "", "", NOW + 10, false, false},
        {"a=b; Max-Age=0", "a", "b", "", "", INT64_MIN, false, false},
        {"a=b; Max-Age=-1", "a", "b", "", "", INT64_MIN, false, false},
        {"a=b; Max-Age=-99999999999999999999999", "a", "b", "", "", INT64_MIN, false, false},
        {"a=b; Max-Age=99999999999999999999999", "a", "b", "", "", LAST, false, false},
        {"a=b; Max-Age=34560001", "a", "b", "", "", LAST, false, false},
        {"a=b; Max-Age=1x", "a", "b", "", "", 0, false, false},
        {"a=b; Max-Age=+1", "a", "b", "", "", 0, false, false},
        {"a=b; Max-Age=-", "a", "b", "", "", 0, false, false},
        {"a=b; Max-Age=", "a", "b", "", "", 0, false, false},
        {"a=b; Max-Age=10; Max-Age=x", "a", "b", "", "", NOW + 10, false, false},
        {"a=b; Max-Age=10; Expires=Wed, 09 Jun 2021 10:18:14 GMT", "a", "b", "", "", NOW + 10,
         false, false},
        {"a=b; Expires=Wed, 09 Jun 2121 10:18:14 GMT", "a", "b", "", "", LAST, false, false},
        {"a=b; Expires=soon", "a", "b", "", "", 0, false, false},
        {"a=b; Expires=Wed, 09 Jun 2021 10:18:14 GMT; Expires=soon", "a", "b", "", "", 1623233894,
         false, false},
        /* Names that promise something (5.7, steps 21 to 24). */
        {"__Secure-a=b", NULL, NULL, NULL, NULL, 0, false, false},
        {"__secure-a=b", NULL, NULL, NULL, NULL, 0, false, false},
        {"__Secure-a=b; Secure", "__Secure-a", "b", "", "", 0, true, false},
        {"__Secure-a=b; Secure; Domain=x", "__Secure-a", "b", "x", "", 0, true, false},
        {"__Host-a=b; Secure; Path=/", "__Host-a", "b", "", "/", 0, true, false},
        {"__HOST-a=b; Path=/", NULL, NULL, NULL, NULL, 0, false, false},
        {"__Host-a=b; Secure", NULL, NULL, NULL, NULL, 0, false, false},
        {"__Host-a=b; Secure; Path=/x", NULL, NULL, NULL, NULL, 0, false, false},
        {"__Host-a=b; Secure; Path=/; Domain=x", NULL, NULL, NULL, NULL, 0, false, false},
        {"=__Host-a=b; Secure; Path=/", NULL, NULL, NULL, NULL, 0, false, false},
        {"__Secure-a; Secure", NULL, NULL, NULL, NULL, 0, false, false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct cookie cookie;
        char *copy;
        bool good = parse_copy(rows[i].text, strlen(rows[i].text), &copy, &cookie);

        if (good != (rows[i].name != NULL))
            fail_msg("\"%s\" is %s", rows[i].text, good ? "taken" : "refused");
        if (good) {
            assert_span(cookie.name, rows[i].name);
            assert_span(cookie.value, rows[i].value);
            assert_span(cookie.domain, rows[i].domain);
            assert_span(cookie.path, rows[i].path);
            if (cookie.persistent != (rows[i].expires_s != 0) ||
                (cookie.persistent && cookie.expires_s != rows[i].expires_s))
                fail_msg("\"%s\" expires at %lld", rows[i].text, (long long)cookie.expires_s);
            assert_int_equal(cookie.secure, rows[i].secure);
            assert_int_equal(cookie.http_only, rows[i].http_only);
        }
        free(copy);
        for (size_t len = 0; len < strlen(rows[i].text); len++) {
            (void)parse_copy(rows[i].text, len, &copy, &cookie);
            free(copy);
        }
    }
}

static void test_limits(void **state)
{
    static char text[8192];
    struct cookie cookie;
    size_t len;

    (void)state;
    memset(text, 'v', sizeof(text));
    memcpy(text, "ab=", 3);
    assert_true(cookie_parse(span_make(text, 3 + 4094), NOW, &cookie));
    assert_int_equal(cookie.name.len + cookie.value.len, COOKIE_PAIR_BYTES_MAX);
    assert_false(cookie_parse(span_make(text, 3 + 4095), NOW, &cookie));
    len = (size_t)snprintf(text, sizeof(text), "a=b; Path=/%01023d; Domain=%01024d", 0, 0);
    assert_true(cookie_parse(span_make(text, len), NOW, &cookie));
    assert_int_equal(cookie.path.len, COOKIE_ATTRIBUTE_BYTES_MAX);
    assert_int_equal(cookie.domain.len, COOKIE_ATTRIBUTE_BYTES_MAX);
    /* What is longer might as well not be there. */
    len = (size_t)snprintf(text, sizeof(text), "a=b; Path=/x; Path=/%01024d; Domain=%01025d", 0, 0);
    assert_true(cookie_parse(span_make(text, len), NOW, &cookie));
    assert_span(cookie.path, "/x");
    assert_int_equal(cookie.domain.len, 0);
}

static void test_domains(void **state)
{
    static const struct {
        const char *host;
        const char *domain;
        bool matches;
    } rows[] = {
        {"example.com", "example.com", true},
        {"www.example.com", "example.com", true},
        {"a.b.example.com", "example.com", true},
        {"example.com", "www.example.com", false},
        {"badexample.com", "example.com", false},
        {"example.com", "com", true},
        {"example.com", "", false},
        {"example.com", "e.com", false},
        {"127.0.0.1", "127.0.0.1", true},
        {"127.0.0.1", "0.0.1", false},
        {"127.0.0.1", "1", false},
        {"1.example.com", "example.com", true},
        {"::1", "::1", true},
        {"x.com.", "com", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (cookie_domain_matches(span_of(rows[i].host), span_of(rows[i].domain)) !=
            rows[i].matches)
            fail_msg("%s, %s", rows[i].host, rows[i].domain);
}

static void test_paths(void **state)
{
    static const struct {
        const char *path;
        const char *cookie_path;
        bool matches;
    } rows[] = {
        {"/", "/", true},     {"/a", "/", true},         {"/a", "/a", true},   {"/a/", "/a", true},
        {"/a/b", "/a", true}, {"/a/b", "/a/", true},     {"/a", "/a/", false}, {"/ab", "/a", false},
        {"/", "/a", false},   {"/a/b", "/a/b/c", false}, {"/A", "/a", false},  {"/a", "", false},
    };
    static const struct {
        const char *path;
        const char *directory;
    } defaults[] = {
        {"/", "/"},        {"/a", "/"}, {"/a/", "/a"}, {"/a/b", "/a"},
        {"/a/b/", "/a/b"}, {"", "/"},   {"//", "/"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        if (cookie_path_matches(span_of(rows[i].path), span_of(rows[i].cookie_path)) !=
            rows[i].matches)
            fail_msg("%s, %s", rows[i].path, rows[i].cookie_path);
    for (size_t i = 0; i < COUNT_OF(defaults); i++)
        assert_span(cookie_default_path(span_of(defaults[i].path)), defaults[i].directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_dates),   cmocka_unit_test(test_parse), cmocka_unit_test(test_limits),
        cmocka_unit_test(test_domains), cmocka_unit_test(test_paths),
    };

    return UNIT_RUN(tests);
}
