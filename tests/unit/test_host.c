/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "http/host.h"

static void check_host(const char *raw, const char *expected, bool brackets)
{
    struct haul_error error = {0};
    struct host_name host, again;
    size_t len = strlen(raw);
    char *copy = unit_copy(raw, len);
    bool good = brackets ? host_parse_ipv6(&host, span_make(copy, len), &error)
                         : host_parse(&host, span_make(copy, len), &error);

    if (!good)
        fail_msg("%s: %s", raw, error.text);
    assert_int_equal(host.len, strlen(host.data));
    if (strcmp(host.data, expected) != 0)
        fail_msg("%s: got %s, want %s", raw, host.data, expected);
    if (brackets)
        assert_true(host_parse_ipv6(&again, span_make(host.data, host.len), NULL));
    else
        assert_true(host_parse(&again, span_make(host.data, host.len), NULL));
    assert_string_equal(again.data, host.data);
    free(copy);
}

static void check_refused(const char *raw, const char *text, bool brackets)
{
    struct haul_error error = {0};
    struct host_name host;
    size_t len = strlen(raw);
    char *copy = unit_copy(raw, len);

    if (brackets ? host_parse_ipv6(&host, span_make(copy, len), &error)
                 : host_parse(&host, span_make(copy, len), &error))
        fail_msg("%s: taken as %s", raw, host.data);
    assert_int_equal(error.status, HAUL_BAD_URL);
    if (!strstr(error.text, text))
        fail_msg("%s: %s", raw, error.text);
    free(copy);
}

static void test_names(void **state)
{
    static const char *const rows[][2] = {
        {"example.com", "example.com"},
        {"EXAMPLE.Com", "example.com"},
        {"example.com.", "example.com."},
        {"e%78ample%2ecom", "example.com"},
        {"a_b-", "a_b-"},
        {"r3---sn-a.example", "r3---sn-a.example"},
        {"a--b", "a--b"},
        {"axn--b", "axn--b"},
        {"!\"$&'()*+,-.;=_`{}~", "!\"$&'()*+,-.;=_`{}~"},
        /* UTS46, not transitional */
        {"b\xc3\xbc"
         "cher.example",
         "xn--bcher-kva.example"},
        {"B\xc3\x9c"
         "CHER.Example.",
         "xn--bcher-kva.example."},
        {"b%C3%BCcher", "xn--bcher-kva"},
        {"bu\xcc\x88"
         "cher",
         "xn--bcher-kva"}, /* NFC */
        {"fa\xc3\x9f.de", "xn--fa-hia.de"},
        {"\xef\xac\x81.x", "fi.x"}, /* the ligature fi */
        {"a\xc2\xad.b", "a.b"},     /* soft hyphen */
        {"\xef\xbd\x81.b", "a.b"},  /* fullwidth a */
        {"a_b.\xc3\xa4", "a_b.xn--4ca"},
        {"\xe4\xbe\x8b\xe3\x81\x88\xe3\x80\x82\xe3\x83\x86\xe3\x82\xb9\xe3\x83\x88",
         "xn--r8jz45g.xn--zckzah"}, /* ideographic full stop */
        {"\xef\xbc\x90\xef\xbc\xb8\xef\xbc\x97\xef\xbd\x86.1", "127.0.0.1"}, /* fullwidth 0X7f */
        /* punycode is right, and in lower case; nobody but browsers takes emoji otherwise */
        {"xn--bcher-kva.example", "xn--bcher-kva.example"},
        {"XN--Bcher-KVA.example", "xn--bcher-kva.example"},
        {"%78n--fa-hia", "xn--fa-hia"},
        {"www.xn--ls8h.la", "www.xn--ls8h.la"},
        /* no address, though nearly */
        {"1.2.3.example", "1.2.3.example"},
        {"1.2.3.4a", "1.2.3.4a"},
        {"1.2.3.0xg", "1.2.3.0xg"},
        {"1.2.3.x1", "1.2.3.x1"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_host(rows[i][0], rows[i][1], false);
}

static void test_names_refused(void **state)
{
    static const char *const rows[][2] = {
        {"", "no host"},
        {"a b", "\\x20"},
        {"a%20b", "\\x20"},
        {"a%00b", "\\x00"},
        {"a\x01", "\\x01"},
        {"a\x7f", "\\x7f"},
        {"a%7f", "\\x7f"},
        {"a%", "\"%\""},
        {"a%2", "\"%\""},
        {"a%25b", "\"%\""},
        {"a#b", "\"#\""},
        {"a%23b", "\"#\""},
        {"a/b", "\"/\""},
        {"a%2fb", "\"/\""},
        {"a:b", "\":\""},
        {"a%3ab", "\":\""},
        {"a<b", "\"<\""},
        {"a>b", "\">\""},
        {"a%3fb", "\"?\""},
        {"a@b", "\"@\""},
        {"a[b", "\"[\""},
        {"a\\b", "\"\\\""},
        {"%5b::1%5d", "\"[\""},
        {"a]b", "\"]\""},
        {"a^b", "\"^\""},
        {"a|b", "\"|\""},
        {"\xc3\xa4%20", "\\x20"},
        {"a..b", "two dots"},
        {".a", "two dots"},
        {".", "two dots"},
        {"\xc3\xa4..b", "two dots"},
        {"\xe3\x80\x82", "two dots"},
        {"\xff", "no UTF-8"},
        {"%ff", "no UTF-8"},
        {"\xc3", "no UTF-8"},
        {"\xed\xa0\x80", "no UTF-8"},  /* a surrogate */
        {"\xc0\xaf", "no UTF-8"},      /* overlong */
        {"\xef\xbf\xbd", "character"}, /* U+FFFD */
        {"\xe2\x84\x80", "\"/\""},     /* U+2100 becomes a/c */
        {"\xef\xbc\x85", "\"%\""},     /* fullwidth % */
        {"\xef\xbc\x85\x34\x31", "\"%\""},
        {"a\xef\xbc\xa0", "\"@\""}, /* fullwidth @ */
        {"\xc2\xad", "no host"},
        {"\xf0\x9f\x92\xa9.la", "xn-- form"},
        {"xn--", "xn-- part"},
        {"xn--bcher-kva8445", "xn-- part"},
        {"xn--4ca_", "xn-- part"},
        {"\xc3\xa4.xn--4ca_", "rule"},
        {"\xc3\xa4$", "rule"},
        {"xn--a", "rule"},
        {"a.xn--a.b", "rule"},
        {"\xcc\x88"
         "a",
         "rule"}, /* begins with a combining mark */
        {"a\xe2\x80\x8d"
         "b",
         "rule"}, /* a joiner that joins nothing */
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_refused(rows[i][0], rows[i][1], false);
}

static void test_ipv4(void **state)
{
    static const char *const rows[][2] = {
        {"127.0.0.1", "127.0.0.1"},
        {"127.0.0.1.", "127.0.0.1"},
        {"2130706433", "127.0.0.1"},
        {"0x7f000001", "127.0.0.1"},
        {"017700000001", "127.0.0.1"},
        {"0X7F.1", "127.0.0.1"},
        {"0x7f.1.", "127.0.0.1"},
        {"0177.0.0.01", "127.0.0.1"},
        {"127.257", "127.0.1.1"},
        {"1.2.65535", "1.2.255.255"},
        {"1.16777215", "1.255.255.255"},
        {"0x", "0.0.0.0"},
        {"0", "0.0.0.0"},
        {"00", "0.0.0.0"},
        {"0x.0x.0", "0.0.0.0"},
        {"4294967295", "255.255.255.255"},
        {"0x000000000000000000007f000001", "127.0.0.1"},
        {"%31.2.3.4", "1.2.3.4"},
        {"%30%78%63%30%2e%30%32%35%30.01", "192.168.0.1"},
    };
    static const char *const refused[] = {"256.1.1.1",
                                          "1.256.1.1",
                                          "1.2.3.256",
                                          "1.2.3.4.5",
                                          "1.2.3.4.0",
                                          "1..2.3",
                                          "09.1.1.1",
                                          "08",
                                          "1.2.3.08",
                                          "1.2.3.09",
                                          "4294967296",
                                          "0x100000000",
                                          "040000000000",
                                          "1.2.65536",
                                          "1.16777216",
                                          "foo.0x4",
                                          "foo.1",
                                          "foo.1.",
                                          "foo.09",
                                          "foo.0x",
                                          "99999999999999999999999999",
                                          "0xffffffffffffffffffffffff",
                                          "a.b.c.d.1",
                                          "-1.1",
                                          "1e2.1"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_host(rows[i][0], rows[i][1], false);
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        check_refused(refused[i], "no IPv4", false);
}

static void test_ipv6(void **state)
{
    static const char *const rows[][2] = {
        {"::", "::"},
        {"::1", "::1"},
        {"1::", "1::"},
        {"0:0:0:0:0:0:0:0", "::"},
        {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
        {"1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"}, /* one zero is not shortened */
        {"::2:3:4:5:6:7:8", "0:2:3:4:5:6:7:8"},
        {"1:0:0:4:0:0:0:8", "1:0:0:4::8"},   /* the longest run */
        {"1:0:0:4:5:0:0:8", "1::4:5:0:0:8"}, /* the first of two */
        {"0:0:3:0:0:0:7:8", "0:0:3::7:8"},
        {"2001:DB8::000A", "2001:db8::a"},
        {"0001:0020:0300:4000:0:0:0:0", "1:20:300:4000::"},
        {"::127.0.0.1", "::7f00:1"},
        {"::ffff:1.2.3.4", "::ffff:102:304"},
        {"64:ff9b::192.0.2.33", "64:ff9b::c000:221"},
        {"1:2:3:4:5:6:7.8.9.10", "1:2:3:4:5:6:708:90a"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"},
    };
    static const char *const refused[] = {"",
                                          ":",
                                          ":::",
                                          "1",
                                          "1:2:3:4:5:6:7",
                                          "1:2:3:4:5:6:7:8:9",
                                          "1::2::3",
                                          "::g",
                                          "00001::",
                                          "1:2:3:4:5:6:7:8:",
                                          ":1:2:3:4:5:6:7:8",
                                          "1:",
                                          "1.2.3.4",
                                          "::1.2.3",
                                          "::1.2.3.4.5",
                                          "::256.0.0.1",
                                          "::01.2.3.4",
                                          "::1.2.3.4:5",
                                          "1:2:3:4:5:6:7:1.2.3.4",
                                          " ::1",
                                          "::1 ",
                                          "[::1]",
                                          "::1/64",
                                          "::-1",
                                          "v1.x",
                                          "1:2:3:4:5:6:7::8",
                                          "::1:2:3:4:5:6:7:8"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        check_host(rows[i][0], rows[i][1], true);
    for (size_t i = 0; i < COUNT_OF(refused); i++)
        check_refused(refused[i], "no IPv6", true);
    check_refused("fe80::1%25eth0", "zone", true);
    check_refused("fe80::1%eth0", "zone", true);
}

/* Every address that is made of zeros and ones comes back as the same one. */
static void test_ipv6_runs(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits < 256; bits++) {
        struct text text = {0};
        struct host_name host, again;

        for (unsigned i = 0; i < 8; i++)
            text_printf(&text, "%s%u", i == 0 ? "" : ":", bits >> i & 1);
        assert_true(host_parse_ipv6(&host, text_span(&text), NULL));
        assert_true(host_parse_ipv6(&again, span_of(host.data), NULL));
        assert_string_equal(host.data, again.data);
        assert_null(strstr(host.data, ":::"));
        text_free(&text);
    }
}

/* Never more than a name may have, whatever its form. */
static void test_lengths(void **state)
{
    static const struct {
        const char *piece;
        size_t count;
        const char *tail;
        bool good;
    } rows[] = {
        {"a", 63, "", true},           {"a", 64, "", false},
        {"a.", 126, "b.", true},       {"a.", 127, "b", false},
        {"%61.", 126, "b.", true},     {"%61.", 127, "b", false},
        {"%61.", 5000, "b", false},    {"\xc3\xa4", 58, "", false},
        {"\xc3\xa4", 40, "", true},    {"\xc3\xa4.", 27, "b", true},
        {"\xc3\xa4.", 33, "b", false}, {"\xc3\xa4", 100000, "", false},
        {"xn--4ca.", 31, "b", true},   {"xn--4ca.", 32, "b", false},
        {"\xc2\xad", 400, "a", true}, /* nothing, many times */
        {"\xc2\xad", 600, "a", false},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct haul_error error = {0};
        struct host_name host;
        struct text text = {0};

        for (size_t n = 0; n < rows[i].count; n++)
            text_add(&text, span_of(rows[i].piece));
        text_add(&text, span_of(rows[i].tail));
        if (host_parse(&host, text_span(&text), &error) != rows[i].good)
            fail_msg("%zu times %s: %s", rows[i].count, rows[i].piece, error.text);
        if (!rows[i].good && !strstr(error.text, "longer"))
            fail_msg("%zu times %s: %s", rows[i].count, rows[i].piece, error.text);
        text_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),     cmocka_unit_test(test_names_refused),
        cmocka_unit_test(test_ipv4),      cmocka_unit_test(test_ipv6),
        cmocka_unit_test(test_ipv6_runs), cmocka_unit_test(test_lengths),
    };

    return UNIT_RUN(tests);
}
