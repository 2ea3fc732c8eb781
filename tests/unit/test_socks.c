/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "net/socks.h"

#define BYTES(literal) SPAN(literal)

/* What is said by turns: each answer is taken as it is wanted, byte for byte. */
struct turn {
    struct span sent; /* by the client */
    struct span answer;
};

struct row {
    const char *proxy;
    const char *url;
    const char *address; /* NULL: the proxy resolves */
    struct turn turns[4];
    enum socks_progress end;
    enum haul_status status; /* SOCKS_REFUSED */
    const char *error;       /* part of it */
    bool other_address;
};

static const struct row rows[] = {
    /* SOCKS4 */
    {"socks4://p",
     "http://h:258",
     "127.0.0.1",
     {{BYTES("\4\1\1\2\x7f\0\0\1\0"), BYTES("\0\x5a\1\2\3\4\5\6")}},
     SOCKS_DONE,
     0,
     NULL,
     false},
    {"socks4://user:secret@p",
     "https://h",
     "127.0.0.1",
     {{BYTES("\4\1\1\xbb\x7f\0\0\1user\0"), BYTES("\0\x5a\0\0\0\0\0\0")}},
     SOCKS_DONE,
     0,
     NULL,
     false},
    {"socks4a://p",
     "http://host.example",
     NULL,
     {{BYTES("\4\1\0\x50\0\0\0\1\0host.example\0"), BYTES("\0\x5a\0\0\0\0\0\0")}},
     SOCKS_DONE,
     0,
     NULL,
     false},
    {"socks4a://u@p",
     "http://[::1]",
     NULL,
     {{BYTES("\4\1\0\x50\0\0\0\1u\0::1\0"), BYTES("\0\x5a\0\0\0\0\0\0")}},
     SOCKS_DONE,
     0,
     NULL,
     false},
    {"socks4://p",
     "http://h",
     "127.0.0.1",
     {{BYTES("\4\1\0\x50\x7f\0\0\1\0"), BYTES("\0\x5b")}},
     SOCKS_REFUSED,
     HAUL_NETWORK,
     "could not connect, or may not",
     true},
    {"socks4://p",
     "http://h",
     "127.0.0.1",
     {{BYTES("\4\1\0\x50\x7f\0\0\1\0"), BYTES("\0\x5c")}},
     SOCKS_REFUSED,
     HAUL_UNAUTHORIZED,
     "finds no identd",
     false},
    {"socks4://p",
     "http://h",
     "127.0.0.1",
     {{BYTES("\4\1\0\x50\x7f\0\0\1\0"), BYTES("\0\x5d")}},
     SOCKS_REFUSED,
     HAUL_UNAUTHORIZED,
     "another user",
     false},
    {"socks4://p",
     "http://h",
     "127.0.0.1",
     {{BYTES("\4\1\0\x50\x7f\0\0\1\0"), BYTES("\0\x5e")}},
     SOCKS_REFUSED,
     HAUL_BAD_RESPONSE,
     "no name",
     false},
    {"socks4://p",
     "http://h",
     "127.0.0.1",
     {{BYTES("\4\1\0\x50\x7f\0\0\1\0"), BYTES("\0\0")}},
     SOCKS_REFUSED,
     HAUL_BAD_RESPONSE,
     "no name",
     false},
    {"socks4://p",
     "http://h",
     "127.0.0.1",
     {{BYTES("\4\1\0\x50\x7f\0\0\1\0"), BYTES("\4\x5a")}},
     SOCKS_REFUSED,
     HAUL_BAD_RESPONSE,
     "does not answer as a SOCKS",
     false},
    {"socks4://p",
     "http://h",
     "127.0.0.1",
     {{BYTES("\4\1\0\x50\x7f\0\0\1\0"), BYTES("HT")}},
     SOCKS_REFUSED,
     HAUL_BAD_RESPONSE,
     "does it speak HTTP?",
     false},
    /* SOCKS5 */
    {"socks5://p",
     "http://h",
     "127.0.0.1",
     {{BYTES("\5\1\0"), BYTES("\5\0")},
      {BYTES("\5\1\0\1\x7f\0\0\1\0\x50"), BYTES("\5\0\0\1\1\2\3\4\5\6")}},
     SOCKS_DONE,
     0,
     NULL,
     false},
    {"socks5://p",
     "https://h",
     "::1",
     {{BYTES("\5\1\0"), BYTES("\5\0")},
      {BYTES("\5\1\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\1\xbb"),
       BYTES("\5\0\0\4\0\1\2\3\4\5\6\7\0\1\2\3\4\5\6\7\0\0")}},
     SOCKS_DONE,
     0,
     NULL,
     false},
    {"socks5h://p",
     "http://host.example:81",
     NULL,
     {{BYTES("\5\1\0"), BYTES("\5\0")},
      {BYTES("\5\1\0\3\xchost.example\0\x51"), BYTES("\5\0\0\3\3abc\0\0")}},
     SOCKS_DONE,
     0,
     NULL,
     false},
    {"socks5h://p",
     "http://h",
     NULL,
     {{BYTES("\5\1\0"), BYTES("\5\0")}, {BYTES("\5\1\0\3\1h\0\x50"), BYTES("\5\0\0\3\0\0\0")}},
     SOCKS_DONE,
     0,
     NULL,
     false},
    {"socks5h://user:secret@p",
     "http://h",
     NULL,
     {{BYTES("\5\2\0\2"), BYTES("\5\2")},
      {BYTES("\1\4user\6secret"), BYTES("\1\0")},
      {BYTES("\5\1\0\3\1h\0\x50"), BYTES("\5\0\0\1\0\0\0\0\0\0")}},
     SOCKS_DONE,
     0,
     NULL,
     false},
    {"socks5h://user@p",
     "http://h",
     NULL,
     {{BYTES("\5\2\0\2"), BYTES("\5\2")},
      {BYTES("\1\4user\0"), BYTES("\5\0")},
      {BYTES("\5\1\0\3\1h\0\x50"), BYTES("\5\0\0\1\0\0\0\0\0\0")}},
     SOCKS_DONE,
     0,
     NULL,
     false},
    {"socks5h://user:secret@p",
     "http://h",
     NULL,
     {{BYTES("\5\2\0\2"), BYTES("\5\0")},
      {BYTES("\5\1\0\3\1h\0\x50"), BYTES("\5\0\0\1\0\0\0\0\0\0")}},
     SOCKS_DONE,
     0,
     NULL,
     false},
    {"socks5h://user:secret@p",
     "http://h",
     NULL,
     {{BYTES("\5\2\0\2"), BYTES("\5\2")}, {BYTES("\1\4user\6secret"), BYTES("\1\1")}},
     SOCKS_REFUSED,
     HAUL_UNAUTHORIZED,
     "refuses the login",
     false},
    {"socks5h://user:secret@p",
     "http://h",
     NULL,
     {{BYTES("\5\2\0\2"), BYTES("\5\xff")}},
     SOCKS_REFUSED,
     HAUL_UNAUTHORIZED,
     "neither",
     false},
    {"socks5h://p",
     "http://h",
     NULL,
     {{BYTES("\5\1\0"), BYTES("\5\xff")}},
     SOCKS_REFUSED,
     HAUL_UNAUTHORIZED,
     "asks for a login",
     false},
    {"socks5h://p",
     "http://h",
     NULL,
     {{BYTES("\5\1\0"), BYTES("\5\2")}},
     SOCKS_REFUSED,
     HAUL_BAD_RESPONSE,
     "not offered (2)",
     false},
    {"socks5h://u:p@p",
     "http://h",
     NULL,
     {{BYTES("\5\2\0\2"), BYTES("\5\1")}},
     SOCKS_REFUSED,
     HAUL_BAD_RESPONSE,
     "not offered (1)",
     false},
    {"socks5h://p",
     "http://h",
     NULL,
     {{BYTES("\5\1\0"), BYTES("\4\0")}},
     SOCKS_REFUSED,
     HAUL_BAD_RESPONSE,
     "0x04",
     false},
    {"socks5h://p",
     "http://h",
     NULL,
     {{BYTES("\5\1\0"), BYTES("\5\0")}, {BYTES("\5\1\0\3\1h\0\x50"), BYTES("\0\0")}},
     SOCKS_REFUSED,
     HAUL_BAD_RESPONSE,
     "0x00",
     false},
    {"socks5h://p",
     "http://h",
     NULL,
     {{BYTES("\5\1\0"), BYTES("\5\0")}, {BYTES("\5\1\0\3\1h\0\x50"), BYTES("\5\0\0\2\0")}},
     SOCKS_REFUSED,
     HAUL_BAD_RESPONSE,
     "0x02",
     false},
};

static enum socks_progress converse(const struct row *row, struct haul_error *error,
                                    bool *other_address)
{
    enum socks_progress progress = SOCKS_MORE;
    struct proxy *proxy = proxy_parse(span_of(row->proxy), NULL);
    struct address address;
    struct text out = {0};
    struct socks socks;
    struct url url;

    assert_true(url_parse(&url, span_of(row->url), NULL));
    assert_true(!row->address || address_parse(&address, span_of(row->address), 0));
    socks_start(&socks, proxy, &url, row->address ? &address : NULL, &out);
    for (size_t i = 0; i < COUNT_OF(row->turns) && row->turns[i].sent.len > 0; i++) {
        struct span answer = row->turns[i].answer;

        assert_int_equal(progress, SOCKS_MORE);
        assert_int_equal(text_span(&out).len, row->turns[i].sent.len);
        assert_memory_equal(out.data, row->turns[i].sent.data, out.len);
        text_clear(&out);
        while (answer.len > 0) {
            char *copy;

            assert_int_equal(progress, SOCKS_MORE);
            assert_true(socks.want <= answer.len);
            assert_int_equal(out.len, 0);
            copy = unit_copy(answer.data, socks.want);
            answer = span_sub(answer, socks.want, answer.len);
            progress = socks_take(&socks, (const unsigned char *)copy, &out, error);
            free(copy);
        }
    }
    assert_int_equal(out.len, 0);
    *other_address = socks.other_address;
    text_free(&out);
    url_free(&url);
    proxy_destroy(proxy);
    return progress;
}

static void test_conversations(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct haul_error error = {0};
        bool other_address;

        print_message("%zu: %s %s\n", i, rows[i].proxy, rows[i].url);
        assert_int_equal(converse(&rows[i], &error, &other_address), rows[i].end);
        if (rows[i].end != SOCKS_REFUSED)
            continue;
        assert_int_equal(error.status, rows[i].status);
        assert_int_equal(other_address, rows[i].other_address);
        if (!strstr(error.text, rows[i].error) || strstr(error.text, "secret"))
            fail_msg("%s", error.text);
    }
}

/* RFC 1928 6: every number has its words. */
static void test_verdicts5(void **state)
{
    static const struct {
        enum haul_status status;
        const char *error;
        bool other_address;
    } verdicts[] = {
        {HAUL_NETWORK, "something went wrong", true},
        {HAUL_HTTP_ERROR, "rules", true},
        {HAUL_NETWORK, "network is unreachable", true},
        {HAUL_NETWORK, "host is unreachable", true},
        {HAUL_NETWORK, "refused", true},
        {HAUL_NETWORK, "hops", true},
        {HAUL_BAD_RESPONSE, "command", false},
        {HAUL_HTTP_ERROR, "type of address", true},
        {HAUL_BAD_RESPONSE, "no name", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(verdicts); i++) {
        char answer[] = {5, (char)(i + 1)};
        struct row row = {"socks5h://u:secret@p",
                          "http://host:81",
                          NULL,
                          {{BYTES("\5\2\0\2"), BYTES("\5\0")},
                           {BYTES("\5\1\0\3\4host\0\x51"), {answer, sizeof(answer)}}},
                          SOCKS_REFUSED,
                          0,
                          NULL,
                          false};
        struct haul_error error = {0};
        bool other_address;

        assert_int_equal(converse(&row, &error, &other_address), SOCKS_REFUSED);
        assert_int_equal(error.status, verdicts[i].status);
        assert_int_equal(other_address, verdicts[i].other_address);
        if (!strstr(error.text, verdicts[i].error) || !strstr(error.text, "host port 81") ||
            !strstr(error.text, "socks5h://p:1080") || strstr(error.text, "secret"))
            fail_msg("%s", error.text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conversations),
        cmocka_unit_test(test_verdicts5),
    };

    return UNIT_RUN(tests);
}
