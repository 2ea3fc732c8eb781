/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the user says of addresses: --resolve, and lists of name servers. */
#include "unit.h"

#include "resolve/override.h"
#include "resolve/servers.h"

static void format_all(char *text, const struct address *addresses, size_t count)
{
    *text = '\0';
    for (size_t i = 0; i < count; i++) {
        address_format(&addresses[i], text + strlen(text));
        strcat(text, " ");
    }
}

static void test_overrides(void **state)
{
    static const char *const texts[] = {
        "one.test:80:192.0.2.1",
        "One.Test:443:192.0.2.2,[2001:db8::2], 2001:db8::3",
        "*:443:192.0.2.9",
        "twice.test:80:192.0.2.3",
        "twice.test.:80:192.0.2.4",
        "192.0.2.5:80:192.0.2.6",
        "[2001:DB8:0::7]:80:192.0.2.7",
    };
    static const struct {
        const char *host;
        uint16_t port;
        const char *addresses; /* NULL: none */
    } rows[] = {
        {"one.test", 80, "192.0.2.1:0 "},
        {"ONE.test.", 80, "192.0.2.1:0 "},
        {"one.test", 8080, NULL},
        {"one.test", 443, "192.0.2.2:0 [2001:db8::2]:0 [2001:db8::3]:0 "},
        {"other.test", 443, "192.0.2.9:0 "},
        {"other.test", 80, NULL},
        {"twice.test", 80, "192.0.2.4:0 "},
        {"192.0.2.5", 80, "192.0.2.6:0 "},
        {"2001:db8::7", 80, "192.0.2.7:0 "},
        {"", 80, NULL},
    };
    struct haul_error error;
    struct overrides *overrides = overrides_create(texts, COUNT_OF(texts), 42, &error);
    char long_name[400];

    (void)state;
    assert_non_null(overrides);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        const struct override *found =
            overrides_find(overrides, span_of(rows[i].host), rows[i].port);
        char text[200];

        if ((found != NULL) != (rows[i].addresses != NULL))
            fail_msg("%s:%u", rows[i].host, rows[i].port);
        if (!found)
            continue;
        format_all(text, found->addresses, found->count);
        assert_string_equal(text, rows[i].addresses);
    }
    memset(long_name, 'a', sizeof(long_name));
    assert_null(overrides_find(overrides, span_make(long_name, sizeof(long_name)), 80));
    overrides_free(overrides);
    overrides_free(NULL);
}

static void test_bad_overrides(void **state)
{
    static const char *const texts[] = {
        "",
        "one.test",
        "one.test:80",
        "one.test:80:",
        "one.test::192.0.2.1",
        "one.test:0:192.0.2.1",
        "one.test:65536:192.0.2.1",
        "one.test:x:192.0.2.1",
        "one.test:80:two.test",
        "one.test:80:192.0.2.1,,192.0.2.2",
        "one.test:80:192.0.2.256",
        ":80:192.0.2.1",
        "a..b:80:192.0.2.1",
        "a b:80:192.0.2.1",
        "[::1:80:192.0.2.1",
        "[one.test]:80:192.0.2.1",
        "[::1]80:192.0.2.1",
        "-one.test:80",
        "+one.test:80:192.0.2.1",
        "-one.test:80:192.0.2.1",
        "one.test:80:1.1.1.1,1.1.1.2,1.1.1.3,1.1.1.4,1.1.1.5,1.1.1.6,1.1.1.7,1.1.1.8,1.1.1.9,"
        "1.1.1.10,1.1.1.11,1.1.1.12,1.1.1.13,1.1.1.14,1.1.1.15,1.1.1.16,1.1.1.17",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        const char *both[] = {"good.test:80:192.0.2.1", texts[i]};
        struct haul_error error;

        if (overrides_create(both, 2, 42, &error))
            fail_msg("%s", texts[i]);
        assert_int_equal(error.status, HAUL_BAD_OPTION);
        assert_non_null(strstr(error.text, "HOST:PORT:ADDRESS"));
    }
}

static void test_servers(void **state)
{
    static const struct {
        const char *list;
        const char *servers; /* NULL: refused */
    } rows[] = {
        {"192.0.2.1", "192.0.2.1:53 "},
        {"192.0.2.1,192.0.2.2:5353,[::1]:54", "192.0.2.1:53 192.0.2.2:5353 [::1]:54 "},
        {" ::1 , [2001:db8::1]", "[::1]:53 [2001:db8::1]:53 "},
        {"", NULL},
        {",", NULL},
        {"192.0.2.1,,192.0.2.2", NULL},
        {"dns.test", NULL},
        {"192.0.2.1:", NULL},
        {"192.0.2.1:0", NULL},
        {"192.0.2.1:65536", NULL},
        {"192.0.2.1:53x", NULL},
        {"[::1", NULL},
        {"[::1]x", NULL},
        {"[::1]:", NULL},
        {"[192.0.2.1]", NULL},
        {"[]", NULL},
        {"[", NULL},
        {"1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,"
         "1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1,1.1.1.1",
         NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct haul_error error = {.status = HAUL_OK};
        struct servers servers;
        char text[200];
        bool good = servers_parse(&servers, span_of(rows[i].list), &error);

        if (good != (rows[i].servers != NULL))
            fail_msg("%s", rows[i].list);
        assert_int_equal(error.status, good ? HAUL_OK : HAUL_BAD_OPTION);
        if (!good)
            continue;
        format_all(text, servers.addresses, servers.count);
        assert_string_equal(text, rows[i].servers);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_overrides),
        cmocka_unit_test(test_bad_overrides),
        cmocka_unit_test(test_servers),
    };

    return UNIT_RUN(tests);
}
