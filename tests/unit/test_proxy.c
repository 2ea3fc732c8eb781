/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "http/proxy.h"

static void test_parse(void **state)
{
    static const struct {
        const char *input;
        enum proxy_kind kind;
        const char *text;
        const char *host;
        const char *login;
    } rows[] = {
        {"proxy.example", PROXY_HTTP, "http://proxy.example:1080", "proxy.example", NULL},
        {"proxy:3128", PROXY_HTTP, "http://proxy:3128", "proxy", NULL},
        {" http://PROXY:80/ ", PROXY_HTTP, "http://proxy:80", "proxy", NULL},
        {"http://proxy:", PROXY_HTTP, "http://proxy:1080", "proxy", NULL},
        {"http://proxy:8080/a:81/b?c#d", PROXY_HTTP, "http://proxy:8080", "proxy", NULL},
        {"http://proxy/a:81", PROXY_HTTP, "http://proxy:1080", "proxy", NULL},
        {"HTTP://u:p@proxy", PROXY_HTTP, "http://proxy:1080", "proxy", "u:p"},
        {"u:p@proxy:1", PROXY_HTTP, "http://proxy:1", "proxy", "u:p"},
        {"u%40x:p%3a%2f%40@proxy:1", PROXY_HTTP, "http://proxy:1", "proxy", "u@x:p:/@"},
        {"http://u@proxy", PROXY_HTTP, "http://proxy:1080", "proxy", "u:"},
        {"http://:@proxy", PROXY_HTTP, "http://proxy:1080", "proxy", NULL},
        {"http://u:80@proxy", PROXY_HTTP, "http://proxy:1080", "proxy", "u:80"},
        {"socks4://127.1:9", PROXY_SOCKS4, "socks4://127.0.0.1:9", "127.0.0.1", NULL},
        {"socks4a://user@proxy", PROXY_SOCKS4A, "socks4a://proxy:1080", "proxy", "user:"},
        {"socks5://[::1]", PROXY_SOCKS5, "socks5://[::1]:1080", "::1", NULL},
        {"socks5://[0:0::1]:80", PROXY_SOCKS5, "socks5://[::1]:80", "::1", NULL},
        {"Socks5H://u:p@h:65535", PROXY_SOCKS5H, "socks5h://h:65535", "h", "u:p"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct haul_error error = {0};
        char *copy = unit_copy(rows[i].input, strlen(rows[i].input));
        struct proxy *proxy = proxy_parse(span_make(copy, strlen(rows[i].input)), &error);

        free(copy);
        if (!proxy)
            fail_msg("%s: %s", rows[i].input, error.text);
        assert_int_equal(proxy->kind, rows[i].kind);
        assert_string_equal(proxy->text, rows[i].text);
        assert_span(proxy->host, rows[i].host);
        if (rows[i].login)
            assert_string_equal(proxy->login, rows[i].login);
        else
            assert_null(proxy->login);
        assert_int_equal(proxy->authorization != NULL,
                         rows[i].login != NULL && rows[i].kind == PROXY_HTTP);
        proxy_destroy(proxy);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *input;
        const char *error; /* part of it */
    } rows[] = {
        {"", "the URL has no host"},
        {"http://", "no host"},
        {"https://user:secret@proxy:443", "does not speak TLS"},
        {"socks://proxy", "socks5h"},
        {"ftp://user:secret@proxy", "\"...proxy\""},
        {"http://user:secret@proxy:70000", "65535"},
        {"http://user:se/secret@proxy:70000", "\"...proxy:70000\""},
        {"http://user:secret@pro xy", "none can have"},
        {"http://user%00:secret@proxy", "control character"},
        {"http://us%3aer:secret@proxy", "colon"},
        {"http://::1", "brackets"},
        {"http://[::1", "brackets"},
        {"pro\x1b[0mxy", "\\x1b"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct haul_error error = {0};

        assert_null(proxy_parse(span_of(rows[i].input), &error));
        assert_int_equal(error.status, HAUL_BAD_OPTION);
        if (!strstr(error.text, rows[i].error) || strstr(error.text, "secret"))
            fail_msg("%s: %s", rows[i].input, error.text);
    }
}

/* RFC 1929 has a byte for each length. */
static void test_long_logins(void **state)
{
    static const struct {
        const char *scheme;
        int user;
        int password;
        bool good;
    } rows[] = {
        {"socks5", 255, 255, true}, {"socks5h", 256, 1, false}, {"socks5", 1, 256, false},
        {"socks4", 256, 0, false},  {"http", 1000, 1000, true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct haul_error error = {0};
        struct proxy *proxy;
        char input[2100];

        snprintf(input, sizeof(input), "%s://%0*d:%0*d@h", rows[i].scheme, rows[i].user, 0,
                 rows[i].password, 0);
        proxy = proxy_parse(span_of(input), &error);
        assert_int_equal(proxy != NULL, rows[i].good);
        proxy_destroy(proxy);
    }
}

static void test_authorization(void **state)
{
    struct proxy *proxy = proxy_parse(SPAN("http://Aladdin:open%20sesame@h"), NULL);
    struct text out = {0};
    struct url url;

    (void)state;
    assert_string_equal(proxy->authorization, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
    assert_true(url_parse(&url, SPAN("https://user:pass@[::1]/path"), NULL));
    proxy_write_connect(proxy, &url, &out);
    assert_span(text_span(&out), "CONNECT [::1]:443 HTTP/1.1\r\n"
                                 "Host: [::1]:443\r\n"
                                 "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"
                                 "\r\n");
    proxy_destroy(proxy);
    text_clear(&out);
    proxy = proxy_parse(SPAN("h"), NULL);
    url_free(&url);
    assert_true(url_parse(&url, SPAN("http://example.com"), NULL));
    proxy_write_connect(proxy, &url, &out);
    assert_span(text_span(&out), "CONNECT example.com:80 HTTP/1.1\r\n"
                                 "Host: example.com:80\r\n"
                                 "\r\n");
    proxy_destroy(proxy);
    url_free(&url);
    text_free(&out);
}

/* Which connections may stand in for each other: the columns are ways, those of one letter are the
 * same. */
static void test_way(void **state)
{
    static const struct {
        const char *proxy;
        const char *url;
        char way;
    } rows[] = {
        {NULL, "http://h:1080/", 'a'},
        {NULL, "http://h:1080/x?y", 'a'},
        {NULL, "https://h:1080/", 'b'},
        {"h", "http://one/", 'c'},
        {"http://h:1080/", "http://two/", 'c'},
        {"u:p@h", "http://one/", 'd'},
        {"u:q@h", "http://one/", 'e'},
        {"h", "https://one/", 'f'},
        {"h", "https://one/x", 'f'},
        {"h", "https://two/", 'g'},
        {"u:p@h", "https://two/", 'h'},
        {"socks5://h", "http://one/", 'i'},
        {"socks5://h", "http://two/", 'j'},
        {"socks5://h", "https://two/", 'k'},
        {"socks5h://h", "http://one/", 'l'},
        {"socks5h://u:p@h", "http://one/", 'm'},
        {"socks4://h", "http://one/", 'n'},
    };
    char *ways[COUNT_OF(rows)];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct proxy *proxy = rows[i].proxy ? proxy_parse(span_of(rows[i].proxy), NULL) : NULL;
        struct text memory = {0};
        struct span way;
        struct url url;

        assert_true(url_parse(&url, span_of(rows[i].url), NULL));
        way = proxy_way(proxy, &url, &memory);
        assert_false(memory.failed);
        ways[i] = strndup(way.data, way.len);
        for (size_t j = 0; j < i; j++)
            if ((strcmp(ways[i], ways[j]) == 0) != (rows[i].way == rows[j].way))
                fail_msg("%s and %s", ways[i], ways[j]);
        url_free(&url);
        text_free(&memory);
        proxy_destroy(proxy);
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        free(ways[i]);
}

static void test_exempt(void **state)
{
    static const struct {
        const char *none;
        const char *url;
        bool exempt;
    } rows[] = {
        {NULL, "http://localhost/", false},
        {"", "http://127.0.0.1/", false},
        {" , ,", "http://h/", false},
        {"*", "http://h/", true},
        {"a, *", "https://[::1]/", true},
        /* names */
        {"example.com", "http://example.com/", true},
        {"example.com", "http://EXAMPLE.com./", true},
        {"Example.COM.", "http://www.example.com/", true},
        {"example.com", "http://a.b.example.com/", true},
        {"example.com", "http://badexample.com/", false},
        {"example.com", "http://example.com.net/", false},
        {"example.com", "http://com/", false},
        {".example.com", "http://example.com/", true},
        {".example.com", "http://www.example.com/", true},
        {".example.com", "http://badexample.com/", false},
        {"*.example.com", "http://www.example.com/", true},
        {"*example.com", "http://www.example.com/", false},
        {".", "http://h/", false},
        {"a,b c\td", "http://b/", true},
        {"a,b c\td", "http://c/", true},
        {"a,b c\td", "http://d/", true},
        {"a,b c\td", "http://ab/", false},
        {"localhost", "http://127.0.0.1/", false},
        {"b\xc3\xbc"
         "cher.example",
         "http://www.xn--bcher-kva.example/", true},
        {"xn--bcher-kva.example",
         "http://www.b\xc3\xbc"
         "cher.example/",
         true},
        {"com", "http://example.com/", true},
        /* ports */
        {"h:8080", "http://h:8080/", true},
        {"h:8080", "http://h/", false},
        {"h:80", "http://h/", true},
        {"h:443", "https://www.h/", true},
        {"h:", "http://h/", false},
        {"h:0", "http://h/", false},
        {"h:65536", "http://h/", false},
        /* addresses */
        {"127.0.0.1", "http://127.0.0.1/", true},
        {"127.0.0.1", "http://0x7f.1/", true},
        {"127.0.0.1:81", "http://127.0.0.1/", false},
        {"127.0.0.1:81", "http://127.0.0.1:81/", true},
        {"0.0.1", "http://127.0.0.1/", false},
        {".0.0.1", "http://127.0.0.1/", false},
        {"127.0.0.*", "http://127.0.0.1/", false},
        {"::1", "http://[::1]/", true},
        {"[::1]", "http://[::1]/", true},
        {"[::1]:81", "http://[::1]/", false},
        {"[::1]:80", "http://[::1]/", true},
        {"[0:0::1", "http://[::1]/", false},
        {"[::1]x", "http://[::1]/", false},
        {"0:0:0::1", "http://[::1]/", true},
        {"::2", "http://[::1]/", false},
        /* networks */
        {"10.0.0.0/8", "http://10.1.2.3/", true},
        {"10.0.0.0/8", "http://11.1.2.3/", false},
        {"10.0.0.0/8:81", "http://10.1.2.3:81/", false},
        {"192.168.160.0/19", "http://192.168.191.255/", true},
        {"192.168.160.0/19", "http://192.168.192.0/", false},
        {"10.1.2.3/32", "http://10.1.2.3/", true},
        {"10.1.2.3/32", "http://10.1.2.2/", false},
        {"10.1.2.3/31", "http://10.1.2.2/", true},
        {"10.1.2.3/0", "http://192.0.2.1/", true},
        {"10.1.2.3/0", "http://h/", false},
        {"10.1.2.3/0", "http://[::1]/", false},
        {"10.0.0.0/33", "http://10.0.0.0/", false},
        {"10.0.0.0/", "http://10.0.0.0/", false},
        {"10.0.0.0/x", "http://10.0.0.0/", false},
        {"fe80::/10", "http://[febf::1]/", true},
        {"fe80::/10", "http://[fec0::1]/", false},
        {"fe80::/129", "http://[fe80::]/", false},
        {"[fe80::]/10", "http://[fe80::1]/", true},
        {"h/8", "http://h/", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct proxy_setup setup = {.all = "proxy", .none = rows[i].none};
        struct proxy_rules *rules = proxy_rules_create(&setup, NULL);
        struct url url;

        assert_non_null(rules);
        assert_true(url_parse(&url, span_of(rows[i].url), NULL));
        if ((proxy_choose(rules, &url) == NULL) != rows[i].exempt)
            fail_msg("\"%s\" and %s", rows[i].none, rows[i].url);
        url_free(&url);
        proxy_rules_destroy(rules);
    }
}

static void test_choose(void **state)
{
    static const struct {
        struct proxy_setup setup;
        const char *http; /* the host of the proxy for it; NULL: none */
        const char *https;
    } rows[] = {
        {{0}, NULL, NULL},
        {{.http = "a"}, "a", NULL},
        {{.https = "b"}, NULL, "b"},
        {{.all = "c"}, "c", "c"},
        {{.http = "a", .https = "b", .all = "c"}, "a", "b"},
        {{.http = "a", .all = "c"}, "a", "c"},
        {{.http = "", .all = "c"}, NULL, "c"},
        {{.https = " ", .all = "c"}, "c", NULL},
        {{.http = "a", .all = ""}, "a", NULL},
        {{.all = "c", .none = "h:443"}, "c", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct proxy_rules *rules = proxy_rules_create(&rows[i].setup, NULL);

        assert_non_null(rules);
        for (int secure = 0; secure < 2; secure++) {
            const char *host = secure ? rows[i].https : rows[i].http;
            const struct proxy *proxy;
            struct url url;

            assert_true(url_parse(&url, secure ? SPAN("https://h") : SPAN("http://h"), NULL));
            proxy = proxy_choose(rules, &url);
            assert_int_equal(proxy != NULL, host != NULL);
            if (proxy)
                assert_span(proxy->host, host);
            url_free(&url);
        }
        proxy_rules_destroy(rules);
    }
    assert_null(proxy_rules_create(&(struct proxy_setup){.http = "a", .all = "ftp://x"}, NULL));
    proxy_rules_destroy(NULL);
    proxy_destroy(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse),       cmocka_unit_test(test_refused),
        cmocka_unit_test(test_long_logins), cmocka_unit_test(test_authorization),
        cmocka_unit_test(test_way),         cmocka_unit_test(test_exempt),
        cmocka_unit_test(test_choose),
    };

    return UNIT_RUN(tests);
}
