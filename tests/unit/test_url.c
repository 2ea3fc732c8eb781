/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "http/url.h"

static void must_parse(struct url *url, const char *input)
{
    struct haul_error error = {0};
    size_t len = strlen(input);
    char *copy = unit_copy(input, len);

    if (!url_parse(url, span_make(copy, len), &error))
        fail_msg("%s: %s", input, error.text);
    free(copy);
}

static void test_parse(void **state)
{
    static const struct {
        const char *input;
        const char *text;
    } rows[] = {
        {"http://example.com", "http://example.com/"},
        {"https://example.com/", "https://example.com/"},
        {"HTTP://EXAMPLE.com/A/b", "http://example.com/A/b"},
        {"http://example.com?q", "http://example.com/?q"},
        {"http://example.com/?", "http://example.com/?"},
        {"http://example.com#f", "http://example.com/"},
        {"http://example.com/a?b#c?d#e", "http://example.com/a?b"},
        {"http://example.com/a#/../b", "http://example.com/a"},
        /* blanks and line ends */
        {" \n\t http://example.com/a \x01\r\n", "http://example.com/a"},
        {"ht\ntp://exa\tmple.com/a\r\nb", "http://example.com/ab"},
        /* slashes */
        {"http:example.com/a", "http://example.com/a"},
        {"http:/example.com/a", "http://example.com/a"},
        {"http:////example.com/a", "http://example.com/a"},
        {"http:\\\\example.com\\a\\..\\b?c\\d", "http://example.com/b?c\\d"},
        {"http:8080/x", "http://0.0.31.144/x"},
        /* ports */
        {"http://example.com:80/", "http://example.com/"},
        {"https://example.com:443/", "https://example.com/"},
        {"http://example.com:443/", "http://example.com:443/"},
        {"http://example.com:/a", "http://example.com/a"},
        {"http://example.com:00080/a", "http://example.com/a"},
        {"http://example.com:65535/a", "http://example.com:65535/a"},
        /* dot segments, RFC 3986 5.2.4 and the WHATWG standard */
        {"http://h/a/b/c/./../../g", "http://h/a/g"},
        {"http://h/mid/content=5/../6", "http://h/mid/6"},
        {"http://h/..", "http://h/"},
        {"http://h/../../a", "http://h/a"},
        {"http://h/a/..", "http://h/"},
        {"http://h/a/.", "http://h/a/"},
        {"http://h/a/./b", "http://h/a/b"},
        {"http://h/a//../b", "http://h/a/b"},
        {"http://h//a", "http://h//a"},
        {"http://h/a/%2e%2E/b", "http://h/b"},
        {"http://h/a/.%2e/b/%2e", "http://h/b/"},
        {"http://h/a/.../b/..c/.d", "http://h/a/.../b/..c/.d"},
        {"http://h/a/%2e%2e%2e/%2eb/%2", "http://h/a/%2e%2e%2e/%2eb/%2"},
        {"http://h/a\\..\\b/.\\", "http://h/b/"},
        {"http://h/./../.", "http://h/"},
        {"http://h/a?b/../c", "http://h/a?b/../c"},
        /* percent escapes */
        {"http://h/a b", "http://h/a%20b"},
        {"http://h/%41%zz%4%?%%3", "http://h/%41%zz%4%?%%3"}, /* as it is, good or not */
        {"http://h/%e4%E4", "http://h/%e4%E4"},
        {"http://h/\xc3\xa4?\xff", "http://h/%C3%A4?%FF"},
        {"http://h/\"<>^`{|}\x7f\x01?\"<>^`{|}\x7f",
         "http://h/%22%3C%3E%5E%60%7B|%7D%7F%01?%22%3C%3E^`{|}%7F"},
        {"http://h/'?'", "http://h/'?%27"},
        {"http://h/a\\b?a\\b", "http://h/a/b?a\\b"},
        {"http://h/\x01\x1f?\x01\x1f.", "http://h/%01%1F?%01%1F."},
        {"http://h/a[1]!$&'()*+,;=:@-._~", "http://h/a[1]!$&'()*+,;=:@-._~"},
        {"http://h/?a=b&c=d?e/f", "http://h/?a=b&c=d?e/f"},
        /* names */
        {"http://ex%61mple.com/", "http://example.com/"},
        {"http://example.com./a", "http://example.com./a"},
        {"http://xn--bcher-kva.example/", "http://xn--bcher-kva.example/"},
        {"http://a_b.example/", "http://a_b.example/"},
        {"http://!\"$&'()*+,-.;=_`{}~/", "http://!\"$&'()*+,-.;=_`{}~/"},
        {"http://B\xc3\x9c"
         "CHER.example/\xc3\xbc?\xc3\xbc",
         "http://xn--bcher-kva.example/%C3%BC?%C3%BC"},
        {"https://u:p@%e4%be%8b%e3%81%88%E3%80%82%e3%83%86%e3%82%b9%e3%83%88:443",
         "https://xn--r8jz45g.xn--zckzah/"},
        /* IPv4 */
        {"http://0X7F.1:81/", "http://127.0.0.1:81/"},
        {"http://%31.2.3.4/", "http://1.2.3.4/"},
        /* IPv6 */
        {"http://[::1]/", "http://[::1]/"},
        {"http://[::1]:80/", "http://[::1]/"},
        {"http://[::1]:8080/a", "http://[::1]:8080/a"},
        {"http://[2001:DB8:0:0:0:0:0:1]/", "http://[2001:db8::1]/"},
        {"http://[::127.0.0.1]/", "http://[::7f00:1]/"},
        /* logins */
        {"http://u:p@example.com/a@b", "http://example.com/a@b"},
        {"http://u:p@x@example.com:81/", "http://example.com:81/"},
        {"http://@example.com/", "http://example.com/"},
        {"http://u@p@q:r@example.com/", "http://example.com/"},
        {"http://a\\@example.com/", "http://a/@example.com/"},
        {"http://a/@example.com/", "http://a/@example.com/"},
        {"http://a?@example.com/", "http://a/?@example.com/"},
        {"http://a#@example.com/", "http://a/"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct url url, again;

        must_parse(&url, rows[i].input);
        if (strcmp(url.text, rows[i].text) != 0)
            fail_msg("%s: got %s, want %s", rows[i].input, url.text, rows[i].text);
        must_parse(&again, url.text);
        assert_string_equal(again.text, url.text);
        url_free(&again);
        url_free(&url);
    }
}

static void test_parts(void **state)
{
    static const struct {
        const char *input;
        bool secure;
        const char *host;
        const char *authority;
        unsigned port;
        const char *target;
        const char *path;
        const char *login;
        const char *origin;
    } rows[] = {
        {"http://Example.com/a/b?c", false, "example.com", "example.com", 80, "/a/b?c", "/a/b",
         NULL, "http://example.com"},
        {"https://example.com:8443?c", true, "example.com", "example.com:8443", 8443, "/?c", "/",
         NULL, "https://example.com:8443"},
        {"https://[::1]:444/", true, "::1", "[::1]:444", 444, "/", "/", NULL, "https://[::1]:444"},
        {"http://[::1]", false, "::1", "[::1]", 80, "/", "/", NULL, "http://[::1]"},
        {"http://u:p@h/", false, "h", "h", 80, "/", "/", "u:p", "http://h"},
        {"http://u@h/", false, "h", "h", 80, "/", "/", "u:", "http://h"},
        {"http://:p@h/", false, "h", "h", 80, "/", "/", ":p", "http://h"},
        {"http://:@h/", false, "h", "h", 80, "/", "/", NULL, "http://h"},
        {"http://a%40b:%3a%2F%25:%41@h/", false, "h", "h", 80, "/", "/", "a@b::/%:A", "http://h"},
        {"http://a@b:c@h/", false, "h", "h", 80, "/", "/", "a@b:c", "http://h"},
        {"http://\xc3\xa4:%C3%A4@h/", false, "h", "h", 80, "/", "/", "\xc3\xa4:\xc3\xa4",
         "http://h"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct url url;

        must_parse(&url, rows[i].input);
        assert_int_equal(url.secure, rows[i].secure);
        assert_span(url.host, rows[i].host);
        assert_span(url.authority, rows[i].authority);
        assert_int_equal(url.port, rows[i].port);
        assert_span(url.target, rows[i].target);
        assert_span(url.path, rows[i].path);
        assert_span(url_origin(&url), rows[i].origin);
        if (rows[i].login)
            assert_string_equal(url.login, rows[i].login);
        else
            assert_null(url.login);
        url_free(&url);
        assert_null(url.text);
    }
}

/* A copy is as good as a URL of its own, and outlives the other one. */
static void test_copy(void **state)
{
    static const char *const inputs[] = {"https://u:p@Example.com:8443/a/b?c#d", "http://[::1]",
                                         "http://h/"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(inputs); i++) {
        struct url url, other, copy;

        must_parse(&url, inputs[i]);
        must_parse(&other, inputs[i]);
        assert_true(url_copy(&copy, &other));
        assert_ptr_not_equal(copy.text, other.text);
        memset(other.text, 'x', strlen(other.text));
        if (other.login)
            memset(other.login, 'x', strlen(other.login));
        url_free(&other);
        assert_string_equal(copy.text, url.text);
        assert_int_equal(copy.secure, url.secure);
        assert_int_equal(copy.port, url.port);
        assert_true(span_equal(copy.host, url.host));
        assert_true(span_equal(copy.authority, url.authority));
        assert_true(span_equal(copy.target, url.target));
        assert_true(span_equal(copy.path, url.path));
        assert_true(span_equal(url_origin(&copy), url_origin(&url)));
        if (url.login)
            assert_string_equal(copy.login, url.login);
        else
            assert_null(copy.login);
        url_free(&copy);
        url_free(&url);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *input;
        const char *text; /* in the error */
    } rows[] = {
        {"", "no scheme"},
        {"example.com/a", "no scheme"},
        {"example.com:80/a", "no scheme"},
        {"localhost:8080", "no scheme"},
        {"host:8080/a", "no scheme"},
        {"//example.com/a", "no scheme"},
        {"/a", "no scheme"},
        {"://example.com", "no scheme"},
        {"1http://h", "no scheme"},
        {"ftp://h/", "ftp is not supported: haul fetches http and https"},
        {"magnet:?xt=urn:btih:0", "magnet is not supported"},
        {"httpss://h/", "httpss is not supported"},
        {"http://", "no host"},
        {"http:///", "no host"},
        {"http://?a", "no host"},
        {"http://#a", "no host"},
        {"http://:80/", "no host"},
        {"http://u:p@/", "no host"},
        {"http://a b/", "\\x20"},
        {"http://a%20b/", "\\x20"},
        {"http://a%00b/", "\\x00"},
        {"http://a%0ab/", "\\x0a"},
        {"http://a%2fb/", "\"/\""},
        {"http://a%40b/", "\"@\""},
        {"http://a%3ab/", "\":\""},
        {"http://a%zz/", "\"%\""},
        {"http://a<b/", "\"<\""},
        {"http://a^b/", "\"^\""},
        {"http://a\x7f/", "\\x7f"},
        {"http://b\xff/", "no UTF-8"},
        {"http://xn--a/", "internationalized"},
        {"http://a\xe2\x84\x80/", "\"/\""}, /* U+2100 is "a/c" */
        {"http://\xc2\xad/", "no host"},    /* a soft hyphen is nothing */
        {"http://h:0/", "port"},
        {"http://h:65536/", "port"},
        {"http://h:99999999999999999999/", "port"},
        {"http://h:8a/", "port"},
        {"http://h:-1/", "port"},
        {"http://h: 80/", "port"},
        {"http://h:80:90/", "brackets"},
        {"http://::1/", "brackets"},
        {"http://[::1/", "not closed"},
        {"http://[::1]a/", "not closed"},
        {"http://[]/", "no IPv6"},
        {"http://[::g]/", "no IPv6"},
        {"http://[1.2.3.4]/", "no IPv6"},
        {"http://[fe80::1%25eth0]/", "zone"},
        {"http://256.1.1.1/", "no IPv4"},
        {"http://foo.1:80/", "no IPv4"},
        {"http://a..b/", "two dots"},
        {"http://.a/", "two dots"},
        {"http://./", "two dots"},
        {"http://a../", "two dots"},
        {"http://u%0d%0a:p@h/", "control"},
        {"http://u:p%00@h/", "control"},
        {"http://u%3a:p@h/", "colon"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct haul_error error = {0};
        struct url url;

        memset(&url, 0xff, sizeof(url));
        if (url_parse(&url, span_of(rows[i].input), &error))
            fail_msg("%s: taken as %s", rows[i].input, url.text);
        assert_int_equal(error.status, HAUL_BAD_URL);
        if (!strstr(error.text, rows[i].text))
            fail_msg("%s: %s", rows[i].input, error.text);
        assert_null(url.text);
        assert_null(url.login);
        assert_false(url_parse(&url, span_of(rows[i].input), NULL));
    }
}

/* "http://", count times `piece`, tail */
static bool parses_long(const char *start, const char *piece, size_t count, const char *tail)
{
    struct text input = {0};
    struct haul_error error = {0};
    struct url url;
    bool good;

    text_add(&input, span_of(start));
    for (size_t i = 0; i < count; i++)
        text_add(&input, span_of(piece));
    text_add(&input, span_of(tail));
    good = url_parse(&url, text_span(&input), &error);
    if (!good)
        assert_non_null(strstr(error.text, "longer"));
    text_free(&input);
    url_free(&url);
    return good;
}

static void test_lengths(void **state)
{
    (void)state;
    assert_true(parses_long("http://", "a", 63, "/"));
    assert_false(parses_long("http://", "a", 64, "/"));
    assert_true(parses_long("http://b.", "a", 63, ".c/"));
    assert_false(parses_long("http://b.", "a", 64, ".c/"));
    assert_true(parses_long("http://", "a.", 126, "b/"));   /* 253 */
    assert_true(parses_long("http://", "a.", 126, "b./"));  /* and a dot */
    assert_false(parses_long("http://", "a.", 126, "bc/")); /* 254 */
    assert_false(parses_long("http://", "a.", 127, "b/"));
    assert_false(parses_long("http://", "a.", 5000, "b/"));
    assert_true(parses_long("http://h/", "a", URL_BYTES_MAX - 9, ""));
    assert_false(parses_long("http://h/", "a", URL_BYTES_MAX - 8, ""));
    assert_true(parses_long("http://h/", " ", (URL_BYTES_MAX - 10) / 3, "a"));
    assert_false(parses_long("http://h/", " ", URL_BYTES_MAX / 3, "a"));
}

static void test_resolve(void **state)
{
    static const struct {
        const char *base;
        const char *reference;
        const char *text; /* or NULL: refused */
    } rows[] = {
        /* RFC 3986 5.4.1 */
        {"http://a/b/c/d;p?q", "g:h", NULL},
        {"http://a/b/c/d;p?q", "g", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "./g", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "g/", "http://a/b/c/g/"},
        {"http://a/b/c/d;p?q", "/g", "http://a/g"},
        {"http://a/b/c/d;p?q", "//g", "http://g/"},
        {"http://a/b/c/d;p?q", "?y", "http://a/b/c/d;p?y"},
        {"http://a/b/c/d;p?q", "g?y", "http://a/b/c/g?y"},
        {"http://a/b/c/d;p?q", "#s", "http://a/b/c/d;p?q"},
        {"http://a/b/c/d;p?q", "g#s", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "g?y#s", "http://a/b/c/g?y"},
        {"http://a/b/c/d;p?q", ";x", "http://a/b/c/;x"},
        {"http://a/b/c/d;p?q", "g;x", "http://a/b/c/g;x"},
        {"http://a/b/c/d;p?q", "g;x?y#s", "http://a/b/c/g;x?y"},
        {"http://a/b/c/d;p?q", "", "http://a/b/c/d;p?q"},
        {"http://a/b/c/d;p?q", ".", "http://a/b/c/"},
        {"http://a/b/c/d;p?q", "./", "http://a/b/c/"},
        {"http://a/b/c/d;p?q", "..", "http://a/b/"},
        {"http://a/b/c/d;p?q", "../", "http://a/b/"},
        {"http://a/b/c/d;p?q", "../g", "http://a/b/g"},
        {"http://a/b/c/d;p?q", "../..", "http://a/"},
        {"http://a/b/c/d;p?q", "../../", "http://a/"},
        {"http://a/b/c/d;p?q", "../../g", "http://a/g"},
        /* 5.4.2 */
        {"http://a/b/c/d;p?q", "../../../g", "http://a/g"},
        {"http://a/b/c/d;p?q", "../../../../g", "http://a/g"},
        {"http://a/b/c/d;p?q", "/./g", "http://a/g"},
        {"http://a/b/c/d;p?q", "/../g", "http://a/g"},
        {"http://a/b/c/d;p?q", "g.", "http://a/b/c/g."},
        {"http://a/b/c/d;p?q", ".g", "http://a/b/c/.g"},
        {"http://a/b/c/d;p?q", "g..", "http://a/b/c/g.."},
        {"http://a/b/c/d;p?q", "..g", "http://a/b/c/..g"},
        {"http://a/b/c/d;p?q", "./../g", "http://a/b/g"},
        {"http://a/b/c/d;p?q", "./g/.", "http://a/b/c/g/"},
        {"http://a/b/c/d;p?q", "g/./h", "http://a/b/c/g/h"},
        {"http://a/b/c/d;p?q", "g/../h", "http://a/b/c/h"},
        {"http://a/b/c/d;p?q", "g;x=1/./y", "http://a/b/c/g;x=1/y"},
        {"http://a/b/c/d;p?q", "g;x=1/../y", "http://a/b/c/y"},
        {"http://a/b/c/d;p?q", "g?y/./x", "http://a/b/c/g?y/./x"},
        {"http://a/b/c/d;p?q", "g?y/../x", "http://a/b/c/g?y/../x"},
        {"http://a/b/c/d;p?q", "g#s/../x", "http://a/b/c/g"},
        /* as browsers do, not as RFC 3986 would have it */
        {"http://a/b/c/d;p?q", "http:g", "http://a/b/c/g"},
        {"http://a/b/c/d;p?q", "http:/g", "http://a/g"},
        {"http://a/b/c/d;p?q", "http:?y", "http://a/b/c/d;p?y"},
        {"http://a/b/c/d;p?q", "http:", "http://a/b/c/d;p?q"},
        {"http://a/b/c/d;p?q", "http://g", "http://g/"},
        {"http://a/b/c/d;p?q", "https:g", "https://g/"},
        {"http://a/b/c/d;p?q", "HTTPS://G:444/x", "https://g:444/x"},
        {"http://a/b", "\\\\g\\h", "http://g/h"},
        {"http://a/b", "///g/h", "http://g/h"},
        {"http://a/b", "\\g", "http://a/g"},
        {"http://a/b/c", " d e ", "http://a/b/d%20e"},
        {"http://a/b/c", "d\ne", "http://a/b/de"},
        {"http://a", "g", "http://a/g"},
        {"http://a", "?", "http://a/?"},
        {"https://a:8443/b?q", "c", "https://a:8443/c"},
        {"https://[::1]:8443/b?q", "/c", "https://[::1]:8443/c"},
        {"https://a:8443/b", "//c", "https://c/"},
        {"http://a/b//c", "d", "http://a/b//d"},
        {"http://a/b//c", "../d", "http://a/b/d"},
        {"http://a/b?q", "\\c\\..\\d", "http://a/d"},
        {"http://a/b", "/\\g", "http://g/"},
        {"http://a/b", "http:\\\\g", "http://g/"},
        {"http://a/b", "HtTp:g", "http://a/g"},
        {"http://a/b/", "g:80", NULL},
        {"http://a/b/", "./g:80", "http://a/b/g:80"},
        {"http://a/b/", "%2e%2E/g%2f..", "http://a/g%2f.."},
        {"http://a/b?q", "c d?e f'#g h", "http://a/c%20d?e%20f%27"},
        {"http://a/b", "\xe4\xff?\xe4", "http://a/%E4%FF?%E4"}, /* Latin-1 */
        {"http://a/b",
         "//b\xc3\xbc"
         "cher.example/\xc3\xbc",
         "http://xn--bcher-kva.example/%C3%BC"},
        {"http://a/b",
         "//b\xfc"
         "cher.example/",
         NULL},
        {"http://a/b", "/x\r\nSet-Cookie: y", "http://a/xSet-Cookie:%20y"},
        {"http://a/b", "x%0d%0ay", "http://a/x%0d%0ay"},
        {"http://a/b", "data:,x", NULL},
        {"http://a/b", "mailto:x@y", NULL},
        {"http://a/b", "javascript:alert(1)", NULL},
        {"http://a/b", "file:///etc/passwd", NULL},
        {"http://a/b", "//", NULL},
        {"http://a/b", "http://c:99999/", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct haul_error error = {0};
        struct url base, url;

        must_parse(&base, rows[i].base);
        if (url_resolve(&url, &base, span_of(rows[i].reference), &error) != (rows[i].text != NULL))
            fail_msg("%s: %s", rows[i].reference, rows[i].text ? error.text : url.text);
        if (rows[i].text && strcmp(url.text, rows[i].text) != 0)
            fail_msg("%s: got %s, want %s", rows[i].reference, url.text, rows[i].text);
        if (!rows[i].text)
            assert_int_equal(error.status, HAUL_BAD_URL);
        url_free(&url);
        url_free(&base);
    }
}

/* A login stays with the server that it was meant for. */
static void test_resolve_login(void **state)
{
    struct url base, url;

    (void)state;
    must_parse(&base, "https://u:p@[::1]:8443/a");
    assert_true(url_resolve(&url, &base, SPAN("/b"), NULL));
    assert_string_equal(url.login, "u:p");
    assert_span(url.host, "::1");
    assert_span(url.authority, "[::1]:8443");
    assert_int_equal(url.port, 8443);
    assert_true(url_same_origin(&base, &url));
    url_free(&url);
    assert_true(url_resolve(&url, &base, SPAN("//h/b"), NULL));
    assert_null(url.login);
    assert_false(url_same_origin(&base, &url));
    url_free(&url);
    assert_true(url_resolve(&url, &base, SPAN("https://x:y@h/b"), NULL));
    assert_string_equal(url.login, "x:y");
    url_free(&url);
    url_free(&base);
}

static void test_same_origin(void **state)
{
    static const struct {
        const char *a;
        const char *b;
        bool same;
    } rows[] = {
        {"http://h/a", "http://H:80/b?c", true},
        {"http://u:p@h/", "http://h/", true},
        {"http://h/", "https://h/", false},
        {"http://h:443/", "https://h/", false},
        {"http://h/", "http://h:81/", false},
        {"http://h/", "http://h./", false},
        {"http://127.0.0.1/", "http://0x7f.1/", true},
        {"http://[::1]/", "http://[0:0::1]/", true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct url a, b;

        must_parse(&a, rows[i].a);
        must_parse(&b, rows[i].b);
        assert_int_equal(url_same_origin(&a, &b), rows[i].same);
        assert_int_equal(span_equal(url_origin(&a), url_origin(&b)), rows[i].same);
        url_free(&a);
        url_free(&b);
    }
}

static void test_file_name(void **state)
{
    static const struct {
        const char *input;
        const char *name;
    } rows[] = {
        {"http://h/a/b.iso?c=d", "b.iso"},
        {"http://h/", "index.html"},
        {"http://h/a/", "index.html"},
        {"http://h", "index.html"},
        {"http://h/a/..", "index.html"},
        {"http://h/a%20b%2Ejpg", "a b.jpg"},
        {"http://h/%C3%A4.bin", "\xc3\xa4.bin"},
        {"http://h/%2541", "%41"},
        {"http://h/..%2f..%2fetc%2fpasswd", ".._.._etc_passwd"},
        {"http://h/%00%0a%7f", "___"},
        {"http://h/%ff.bin", "_.bin"},
        {"http://h/%e2%80%ae"
         "gpj.exe",
         "_gpj.exe"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct text name = {0};
        struct url url;

        must_parse(&url, rows[i].input);
        text_add(&name, SPAN("at/"));
        url_file_name(&url, &name);
        assert_span(span_sub(text_span(&name), 3, SIZE_MAX), rows[i].name);
        text_free(&name);
        url_free(&url);
    }
}

static void test_sanitize(void **state)
{
    static const struct {
        struct span raw;
        const char *name;
    } rows[] = {
        {{"", 0}, "_"},
        {{".", 1}, "_"},
        {{"..", 2}, "__"},
        {{"...", 3}, "..."},
        {{"a/b", 3}, "a_b"},
        {{"a\0b", 3}, "a_b"},
        {{"a\\b:c", 5}, "a\\b:c"},
        {{"\xc0\xaf", 2}, "__"},           /* overlong "/" */
        {{"\xed\xa0\x80", 3}, "___"},      /* a surrogate */
        {{"\xf4\x90\x80\x80", 4}, "____"}, /* beyond U+10FFFF */
        {{"\xe2\x82", 2}, "__"},           /* cut short */
        {{"\xc2\x9b", 2}, "_"},            /* CSI */
        {{"\xe2\x82\xac\xf0\x9f\x98\x80", 7}, "\xe2\x82\xac\xf0\x9f\x98\x80"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *copy = unit_copy(rows[i].raw.data, rows[i].raw.len);
        struct text name = {0};

        name_sanitize(span_make(copy, rows[i].raw.len), &name);
        assert_span(text_span(&name), rows[i].name);
        text_free(&name);
        free(copy);
    }
}

/* count times `piece`, then tail, must come out with len bytes that end in `end`. */
static void check_shortened(const char *piece, size_t count, const char *tail, size_t len,
                            const char *end)
{
    struct text raw = {0}, name = {0};

    for (size_t i = 0; i < count; i++)
        text_add(&raw, span_of(piece));
    text_add(&raw, span_of(tail));
    text_add(&name, SPAN("at/"));
    name_sanitize(text_span(&raw), &name);
    assert_int_equal(name.len - 3, len);
    assert_span(span_sub(text_span(&name), name.len - strlen(end), SIZE_MAX), end);
    assert_int_equal(name.data[name.len], '\0');
    for (struct span s = text_span(&name); s.len > 0;) {
        size_t character = text_utf8_length(s);

        assert_true(character > 0);
        s = span_sub(s, character, s.len);
    }
    text_free(&raw);
    text_free(&name);
}

static void test_shorten(void **state)
{
    (void)state;
    check_shortened("a", 251, ".bin", 255, "aa.bin");
    check_shortened("a", 252, ".bin", 255, "aa.bin");
    check_shortened("a", 1000, ".tar.gz", 255, "aa.gz");
    check_shortened("a", 1000, "", 255, "aaa");
    check_shortened("a", 300, ".0123456789abcde", 255, "a.0123456789abcde");
    check_shortened("a", 300, ".0123456789abcdef", 255, "aaa");
    check_shortened("a", 300, ".", 255, "a.");
    check_shortened("\xe2\x82\xac", 85, "", 255, "\xe2\x82\xac");
    check_shortened("\xe2\x82\xac", 86, "", 255, "\xe2\x82\xac");
    check_shortened("\xe2\x82\xac", 100, ".x", 254, "\xe2\x82\xac.x");
    check_shortened("\xf0\x9f\x98\x80", 64, "", 252, "\x98\x80");
    check_shortened(".", 300, "", 255, "...");
}

/* Whatever comes in: what comes out can be sent, and is taken as the same again. */
static void test_random(void **state)
{
    static const char *const pieces[] = {"http://",
                                         "https:",
                                         "//",
                                         "/",
                                         "\\",
                                         "..",
                                         "\xe3\x80\x82",
                                         "\xe2\x84\x80",
                                         "xn--4ca",
                                         "'",
                                         "{",
                                         "`",
                                         ".",
                                         "%2e",
                                         "%",
                                         "%00",
                                         "?",
                                         "#",
                                         "@",
                                         ":",
                                         "a",
                                         "B",
                                         "example",
                                         "[::1]",
                                         "[",
                                         "]",
                                         "0x7f",
                                         "127",
                                         "65536",
                                         " ",
                                         "\n",
                                         "\t",
                                         "\x80",
                                         "\xc3\xa4",
                                         "%c3%a4",
                                         "\x01",
                                         "\"",
                                         "|",
                                         "%2f",
                                         "xn--a",
                                         "u:p@",
                                         ":80",
                                         ";",
                                         "=",
                                         "&"};
    uint64_t seed = 1;

    (void)state;
    for (int round = 0; round < 200000; round++) {
        struct url base = {0}, url = {0}, again = {0};
        struct text input = {0}, name = {0};
        uint64_t count = unit_random(&seed) % 12;
        char *copy;

        if (unit_random(&seed) % 2)
            text_add(&input, SPAN("http://h"));
        for (uint64_t i = 0; i < count; i++)
            text_add(&input, span_of(pieces[unit_random(&seed) % COUNT_OF(pieces)]));
        must_parse(&base, "https://u:p@base:81/a/b?c");
        copy = unit_copy(input.data, input.len);
        if (round % 2 ? url_parse(&url, span_make(copy, input.len), NULL)
                      : url_resolve(&url, &base, span_make(copy, input.len), NULL)) {
            for (const char *c = url.text; *c; c++)
                assert_true(*c > ' ' && *c < 0x7f);
            assert_true(url.host.len > 0 && url.port > 0);
            assert_int_equal(url.target.data[0], '/');
            assert_true(url_parse(&again, span_of(url.text), NULL));
            assert_string_equal(again.text, url.text);
            assert_true(url_same_origin(&again, &url));
            url_file_name(&url, &name);
            assert_true(name.len > 0 && name.len <= 255);
            assert_null(strchr(name.data, '/'));
            assert_int_equal(strlen(name.data), name.len);
        }
        free(copy);
        text_free(&input);
        text_free(&name);
        url_free(&again);
        url_free(&url);
        url_free(&base);
    }
}

static void expect_shown(const char *url, const char *expected)
{
    struct text text = {0};

    url_show(span_of(url), &text);
    assert_string_equal(text.data, expected);
    text_free(&text);
}

static void test_shown_without_login(void **state)
{
    static const char *const forms[] = {
        "http://user:SECRET@h/p",   "http:///user:SECRET@h/p",  "http:user:SECRET@h/p",
        "http:\\\\user:SECRET@h/p", "http:/\t/user:SECRET@h/p", "http://user:SE@CRET@h/p",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(forms); i++)
        expect_shown(forms[i], "http://h/p");
    expect_shown("https://h/p@q", "https://h/p@q");
    expect_shown("http://user:SE/CRET@h/", "...h/"); /* no URL: the port is not a number */
    expect_shown("ftp://user:SECRET@h/", "...h/");
    expect_shown("nonsense", "nonsense");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shown_without_login),
        cmocka_unit_test(test_parse),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_lengths),
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_resolve_login),
        cmocka_unit_test(test_same_origin),
        cmocka_unit_test(test_file_name),
        cmocka_unit_test(test_sanitize),
        cmocka_unit_test(test_shorten),
        cmocka_unit_test(test_random),
    };

    return UNIT_RUN(tests);
}
