/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <arpa/inet.h>

#include "ring/address.h"

static void test_parse_and_format(void **state)
{
    static const struct {
        const char *host;
        uint16_t port;
        const char *text; /* NULL: no address */
    } rows[] = {
        {"127.0.0.1", 80, "127.0.0.1:80"},
        {"0.0.0.0", 0, "0.0.0.0:0"},
        {"255.255.255.255", 65535, "255.255.255.255:65535"},
        {"::", 1, "[::]:1"},
        {"::1", 443, "[::1]:443"},
        {"2001:DB8:0:0:0:0:0:1", 8080, "[2001:db8::1]:8080"},
        {"::ffff:192.0.2.1", 80, "[::ffff:192.0.2.1]:80"},
        {"ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255", 65535,
         "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535"},
        {"", 80, NULL},
        {" 127.0.0.1", 80, NULL},
        {"127.0.0.1 ", 80, NULL},
        {"127.0.0", 80, NULL},
        {"127.0.0.256", 80, NULL},
        {"127.0.0.1.1", 80, NULL},
        {"127.0.0.01", 80, NULL},
        {"0x7f.0.0.1", 80, NULL},
        {"2130706433", 80, NULL},
        {"[::1]", 80, NULL},
        {"::1::", 80, NULL},
        {"fe80::1%lo", 80, NULL},
        {":", 80, NULL},
        {"localhost", 80, NULL},
        {"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000", 80, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char *host = unit_copy(rows[i].host, strlen(rows[i].host));
        struct address address;
        bool good = address_parse(&address, span_make(host, strlen(rows[i].host)), rows[i].port);
        char text[ADDRESS_TEXT_BYTES];

        if (good != (rows[i].text != NULL))
            print_error("%s\n", rows[i].host);
        assert_int_equal(good, rows[i].text != NULL);
        if (good) {
            address_format(&address, text);
            assert_string_equal(text, rows[i].text);
        }
        free(host);
    }
}

/* What no text can be, in spans that no NUL ends. */
static void test_parse_odd_spans(void **state)
{
    static const char with_nul[] = "127.0.0.1\0.example.org";
    struct address address;

    (void)state;
    assert_false(address_parse(&address, span_make(with_nul, sizeof(with_nul) - 1), 80));
    assert_false(address_parse(&address, span_make("127.0.0.1", 10), 80));
    assert_false(address_parse(&address, (struct span){0}, 80));
    assert_true(address_parse(&address, span_make("127.0.0.12", 9), 80));
    assert_int_equal(address.v4.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
}

static void test_v4(void **state)
{
    struct in_addr v4 = {.s_addr = htonl(0xc0000201)};
    struct address address = address_v4(&v4, 80);
    char text[ADDRESS_TEXT_BYTES];

    (void)state;
    assert_int_equal(address.len, sizeof(struct sockaddr_in));
    assert_int_equal(address.any.sa_family, AF_INET);
    assert_int_equal(address.v4.sin_port, htons(80));
    address_set_port(&address, 8443);
    address_format(&address, text);
    assert_string_equal(text, "192.0.2.1:8443");
}

static void test_v6(void **state)
{
    struct in6_addr v6 = IN6ADDR_LOOPBACK_INIT;
    struct address address = address_v6(&v6, 80);
    char text[ADDRESS_TEXT_BYTES];

    (void)state;
    assert_int_equal(address.len, sizeof(struct sockaddr_in6));
    assert_int_equal(address.any.sa_family, AF_INET6);
    assert_int_equal(address.v6.sin6_scope_id, 0);
    assert_int_equal(address.v6.sin6_flowinfo, 0);
    address_set_port(&address, 65535);
    address_format(&address, text);
    assert_string_equal(text, "[::1]:65535");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parse_and_format),
        cmocka_unit_test(test_parse_odd_spans),
        cmocka_unit_test(test_v4),
        cmocka_unit_test(test_v6),
    };

    return UNIT_RUN(tests);
}
