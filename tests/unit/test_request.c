/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "http/request.h"

static void assert_request(const char *url_text, struct request_head head, const char *expected)
{
    struct text out = {0};
    struct url url;

    assert_true(url_parse(&url, span_of(url_text), NULL));
    head.url = &url;
    if (head.method.len == 0)
        head.method = SPAN("GET");
    request_write(&head, &out);
    assert_false(out.failed);
    assert_span(text_span(&out), expected);
    text_free(&out);
    url_free(&url);
}

static void test_plain(void **state)
{
    (void)state;
    assert_request("http://example.com:8080/a b?c#d",
                   (struct request_head){.user_agent = SPAN("haul/1")},
                   "GET /a%20b?c HTTP/1.1\r\n"
                   "Host: example.com:8080\r\n"
                   "User-Agent: haul/1\r\n"
                   "Accept: */*\r\n"
                   "Accept-Encoding: identity\r\n"
                   "\r\n");
    assert_request("https://[::1]", (struct request_head){.method = SPAN("HEAD")},
                   "HEAD / HTTP/1.1\r\n"
                   "Host: [::1]\r\n"
                   "Accept: */*\r\n"
                   "Accept-Encoding: identity\r\n"
                   "\r\n");
}

/* RFC 9112 3.2.2; the proxy's login is for nobody else. */
static void test_to_proxy(void **state)
{
    static const char *const lines[] = {"Proxy-Authorization: Bearer x", "X: y"};
    static const char *const *const sets[] = {lines};
    static const size_t counts[] = {COUNT_OF(lines)};
    static char authorization[] = "Basic cTpy";
    struct proxy proxy = {.authorization = authorization};

    (void)state;
    assert_request("http://u:p@example.com:8080/a?b#c",
                   (struct request_head){.authorization = SPAN("Basic dTpw"), .to_proxy = &proxy},
                   "GET http://example.com:8080/a?b HTTP/1.1\r\n"
                   "Host: example.com:8080\r\n"
                   "Accept: */*\r\n"
                   "Accept-Encoding: identity\r\n"
                   "Authorization: Basic dTpw\r\n"
                   "Proxy-Authorization: Basic cTpy\r\n"
                   "\r\n");
    assert_request(
        "http://h/",
        (struct request_head){
            .to_proxy = &proxy, .header_sets = sets, .header_counts = counts, .set_count = 1},
        "GET http://h/ HTTP/1.1\r\n"
        "Host: h\r\n"
        "Accept: */*\r\n"
        "Accept-Encoding: identity\r\n"
        "Proxy-Authorization: Bearer x\r\n"
        "X: y\r\n"
        "\r\n");
    assert_request(
        "http://h/",
        (struct request_head){.header_sets = sets, .header_counts = counts, .set_count = 1},
        "GET / HTTP/1.1\r\n"
        "Host: h\r\n"
        "Accept: */*\r\n"
        "Accept-Encoding: identity\r\n"
        "X: y\r\n"
        "\r\n");
}

static void test_codings(void **state)
{
    (void)state;
    assert_request("http://h/", (struct request_head){.codings = true},
                   "GET / HTTP/1.1\r\n"
                   "Host: h\r\n"
                   "Accept: */*\r\n"
                   "Accept-Encoding: gzip, deflate, br, zstd\r\n"
                   "\r\n");
}

static void test_condition(void **state)
{
    static const char *const lines[] = {"if-none-match: \"mine\""};
    const char *const *const sets[] = {lines};
    const size_t counts[] = {1};

    (void)state;
    assert_request("http://h/", (struct request_head){.if_none_match = SPAN("W/\"1\"")},
                   "GET / HTTP/1.1\r\n"
                   "Host: h\r\n"
                   "Accept: */*\r\n"
                   "Accept-Encoding: identity\r\n"
                   "If-None-Match: W/\"1\"\r\n"
                   "\r\n");
    assert_request("http://h/",
                   (struct request_head){.if_modified_since = SPAN("Sun, 06 Nov 1994 08:49:37 GMT"),
                                         .if_none_match = SPAN("\"ours\""),
                                         .header_sets = sets,
                                         .header_counts = counts,
                                         .set_count = 1},
                   "GET / HTTP/1.1\r\n"
                   "Host: h\r\n"
                   "Accept: */*\r\n"
                   "Accept-Encoding: identity\r\n"
                   "if-none-match: \"mine\"\r\n"
                   "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                   "\r\n");
}

static void test_range(void **state)
{
    (void)state;
    assert_request("http://h/",
                   (struct request_head){.ranged = true,
                                         .range_from = UINT64_MAX - 1,
                                         .range_to = UINT64_MAX,
                                         .if_range = SPAN("\"v1\"")},
                   "GET / HTTP/1.1\r\n"
                   "Host: h\r\n"
                   "Accept: */*\r\n"
                   "Accept-Encoding: identity\r\n"
                   "Range: bytes=18446744073709551614-\r\n"
                   "If-Range: \"v1\"\r\n"
                   "\r\n");
    assert_request("http://h/",
                   (struct request_head){.ranged = true, .range_from = 0, .range_to = 1},
                   "GET / HTTP/1.1\r\n"
                   "Host: h\r\n"
                   "Accept: */*\r\n"
                   "Accept-Encoding: identity\r\n"
                   "Range: bytes=0-0\r\n"
                   "\r\n");
    assert_request("http://h/", (struct request_head){.if_range = SPAN("\"v1\"")},
                   "GET / HTTP/1.1\r\n"
                   "Host: h\r\n"
                   "Accept: */*\r\n"
                   "Accept-Encoding: identity\r\n"
                   "\r\n");
}

static void test_body(void **state)
{
    (void)state;
    assert_request("http://h/",
                   (struct request_head){.method = SPAN("POST"),
                                         .referer = SPAN("http://r/"),
                                         .body = SPAN("0123456789"),
                                         .content_type = SPAN("a/b")},
                   "POST / HTTP/1.1\r\n"
                   "Host: h\r\n"
                   "Accept: */*\r\n"
                   "Accept-Encoding: identity\r\n"
                   "Referer: http://r/\r\n"
                   "Content-Type: a/b\r\n"
                   "Content-Length: 10\r\n"
                   "\r\n");
    assert_request("http://h/",
                   (struct request_head){.method = SPAN("PUT"), .content_type = SPAN("a/b")},
                   "PUT / HTTP/1.1\r\n"
                   "Host: h\r\n"
                   "Accept: */*\r\n"
                   "Accept-Encoding: identity\r\n"
                   "Content-Length: 0\r\n"
                   "\r\n");
    assert_request("http://h/",
                   (struct request_head){.method = SPAN("DELETE"), .range = SPAN("-5")},
                   "DELETE / HTTP/1.1\r\n"
                   "Host: h\r\n"
                   "Accept: */*\r\n"
                   "Accept-Encoding: identity\r\n"
                   "Range: bytes=-5\r\n"
                   "\r\n");
}

static void test_session(void **state)
{
    static const char *const cookie[] = {"cookie: mine", "Authorization:"};
    static const char *const *const sets[] = {cookie};
    static const size_t counts[] = {COUNT_OF(cookie)};
    struct request_head head = {.authorization = SPAN("Basic dTpw"),
                                .cookies = SPAN("a=b; c=\xff\td")};

    (void)state;
    assert_request("http://u:p@h/", head,
                   "GET / HTTP/1.1\r\n"
                   "Host: h\r\n"
                   "Accept: */*\r\n"
                   "Accept-Encoding: identity\r\n"
                   "Authorization: Basic dTpw\r\n"
                   "Cookie: a=b; c=\xff\td\r\n"
                   "\r\n");
    head.header_sets = sets;
    head.header_counts = counts;
    head.set_count = 1;
    assert_request("http://h/", head,
                   "GET / HTTP/1.1\r\n"
                   "Host: h\r\n"
                   "Accept: */*\r\n"
                   "Accept-Encoding: identity\r\n"
                   "cookie: mine\r\n"
                   "\r\n");
    assert_true(request_has_header(cookie, COUNT_OF(cookie), SPAN("AUTHORIZATION")));
    assert_false(request_has_header(cookie, COUNT_OF(cookie), SPAN("Host")));
    assert_false(request_has_header(NULL, 0, SPAN("Host")));
}

static void test_users_headers(void **state)
{
    static const char *const first[] = {"X-A: 1",  "x-a:2",     "X-B: one",
                                        "Accept:", "Cookie: a", "user-agent: mine"};
    static const char *const second[] = {
        "X-b:  two \t",           "X-C: three", "host: other", "X-D:", "Accept-Encoding: gzip",
        "Authorization: Bearer t"};
    static const char *const third[] = {"COOKIE:", "X-D: d", "X-D: e", "X-D:"};
    static const char *const *const sets[] = {first, second, third};
    static const size_t counts[] = {COUNT_OF(first), COUNT_OF(second), COUNT_OF(third)};

    (void)state;
    assert_request("http://u:p@h/",
                   (struct request_head){.user_agent = SPAN("haul/1"),
                                         .header_sets = sets,
                                         .header_counts = counts,
                                         .set_count = 3},
                   "GET / HTTP/1.1\r\n"
                   "host: other\r\n"
                   "user-agent: mine\r\n"
                   "Accept-Encoding: gzip\r\n"
                   "Authorization: Bearer t\r\n"
                   "X-A: 1\r\n"
                   "x-a: 2\r\n"
                   "X-b: two\r\n"
                   "X-C: three\r\n"
                   "X-D: d\r\n"
                   "X-D: e\r\n"
                   "\r\n");
}

/* What a redirect leaves of the user's fields. */
static void test_users_headers_elsewhere(void **state)
{
    static const char *const lines[] = {"X-A: 1", "content-type: t/x", "Content-Language: x",
                                        "User-Agent: mine", "Accept: t/y"};
    static const char *const *const sets[] = {lines};
    static const size_t counts[] = {COUNT_OF(lines)};
    struct request_head head = {.user_agent = SPAN("haul/1"),
                                .header_sets = sets,
                                .header_counts = counts,
                                .set_count = 1,
                                .other_origin = true};
    static const char plain[] = "GET / HTTP/1.1\r\n"
                                "Host: h\r\n"
                                "User-Agent: haul/1\r\n"
                                "Accept: */*\r\n"
                                "Accept-Encoding: identity\r\n"
                                "\r\n";

    (void)state;
    assert_request("http://h/", head, plain);
    head.body_left = true;
    assert_request("http://h/", head, plain);
    head.other_origin = false;
    assert_request("http://h/", head,
                   "GET / HTTP/1.1\r\n"
                   "Host: h\r\n"
                   "User-Agent: mine\r\n"
                   "Accept: t/y\r\n"
                   "Accept-Encoding: identity\r\n"
                   "X-A: 1\r\n"
                   "\r\n");
    head.body_left = false;
    assert_request("http://h/", head,
                   "GET / HTTP/1.1\r\n"
                   "Host: h\r\n"
                   "User-Agent: mine\r\n"
                   "Accept: t/y\r\n"
                   "Accept-Encoding: identity\r\n"
                   "content-type: t/x\r\n"
                   "X-A: 1\r\n"
                   "Content-Language: x\r\n"
                   "\r\n");
    head.other_origin = true;
    head.body = SPAN("");
    head.method = SPAN("POST");
    head.content_type = SPAN("form");
    assert_request("http://h/", head,
                   "POST / HTTP/1.1\r\n"
                   "Host: h\r\n"
                   "User-Agent: haul/1\r\n"
                   "Accept: */*\r\n"
                   "Accept-Encoding: identity\r\n"
                   "content-type: t/x\r\n"
                   "Content-Length: 0\r\n"
                   "Content-Language: x\r\n"
                   "\r\n");
}

/* The proxy is the user's, wherever a redirect leads. */
static void test_to_proxy_elsewhere(void **state)
{
    static const char *const lines[] = {"Proxy-Authorization: Bearer x", "X: y"};
    static const char *const *const sets[] = {lines};
    static const size_t counts[] = {COUNT_OF(lines)};
    struct proxy proxy = {.kind = PROXY_HTTP};
    struct request_head head = {
        .header_sets = sets, .header_counts = counts, .set_count = 1, .other_origin = true};

    (void)state;
    assert_request("http://h/", head,
                   "GET / HTTP/1.1\r\n"
                   "Host: h\r\n"
                   "Accept: */*\r\n"
                   "Accept-Encoding: identity\r\n"
                   "\r\n");
    head.to_proxy = &proxy;
    assert_request("http://h/", head,
                   "GET http://h/ HTTP/1.1\r\n"
                   "Host: h\r\n"
                   "Accept: */*\r\n"
                   "Accept-Encoding: identity\r\n"
                   "Proxy-Authorization: Bearer x\r\n"
                   "\r\n");
}

static void test_check_header(void **state)
{
    static const struct {
        const char *line;
        const char *error; /* NULL: good */
    } rows[] = {
        {"X-A: b", NULL},
        {"X-A:b", NULL},
        {"X-A:", NULL},
        {"X!#$%&'*+-.^_`|~9: b\tc \xc3\xa4", NULL},
        {"Connection: close", NULL},
        {"no colon", "no colon"},
        {"", "no colon"},
        {": b", "no header name"},
        {"X A: b", "no header name"},
        {"X-A : b", "no header name"},
        {" X-A: b", "no header name"},
        {"X\xc3\xa4: b", "no header name"},
        {"X\r\nY: b", "no header name"},
        {"X-A: b\r\nY: c", "control character"},
        {"X-A: b\n", "control character"},
        {"X-A: b\x7f", "control character"},
        {"X-A\x1b[31m: b", "\\x1b"},
        {"content-length: 5", "--data"},
        {"Transfer-Encoding: chunked", "--data"},
        {"RANGE: bytes=0-1", "--range"},
        {"if-range: x", "by itself"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct haul_error error = {0};

        if (request_check_header(rows[i].line, &error) != !rows[i].error)
            fail_msg("%s: %s", rows[i].line, error.text);
        if (rows[i].error) {
            assert_int_equal(error.status, HAUL_BAD_OPTION);
            if (!strstr(error.text, rows[i].error))
                fail_msg("%s: %s", rows[i].line, error.text);
            assert_false(request_check_header(rows[i].line, NULL));
        }
    }
}

static void test_refused_header_tells_no_secret(void **state)
{
    static const char *const lines[] = {"Authorization: Bearer s3cret\n", "Range: s3cret",
                                        "Authorization Bearer s3cret", "A b: s3cret"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lines); i++) {
        struct haul_error error = {0};

        assert_false(request_check_header(lines[i], &error));
        if (strstr(error.text, "s3cret") || !strstr(error.text, "...\" can't be sent"))
            fail_msg("%s: %s", lines[i], error.text);
    }
}

static void test_check_long_header(void **state)
{
    struct haul_error error = {0};
    char line[4000];

    (void)state;
    memset(line, 'x', sizeof(line));
    line[sizeof(line) - 1] = '\0';
    assert_false(request_check_header(line, &error));
    assert_non_null(strstr(error.text, "xxx...\" can't be sent: it has no colon"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain),
        cmocka_unit_test(test_codings),
        cmocka_unit_test(test_to_proxy),
        cmocka_unit_test(test_range),
        cmocka_unit_test(test_condition),
        cmocka_unit_test(test_body),
        cmocka_unit_test(test_session),
        cmocka_unit_test(test_users_headers),
        cmocka_unit_test(test_users_headers_elsewhere),
        cmocka_unit_test(test_to_proxy_elsewhere),
        cmocka_unit_test(test_check_header),
        cmocka_unit_test(test_refused_header_tells_no_secret),
        cmocka_unit_test(test_check_long_header),
    };

    return UNIT_RUN(tests);
}
