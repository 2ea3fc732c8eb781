/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "resolve/hosts.h"

static const char text[] = "# 192.0.2.99 commented\n"
                           "127.0.0.1 localhost\n"
                           "192.0.2.1\tOne.Test  alias.test. # 192.0.2.2 rest.test\r\n"
                           "  2001:db8::1 one.test\n"
                           "\n"
                           "192.0.2.3 one.test six.test\n"
                           "192.0.2.300 bad.test\n"
                           "fe80::1%lo scoped.test\n"
                           "192.0.2.4\n"
                           "192.0.2.5 .\n"
                           "0.0.0.0 blocked.test\n"
                           "2001:db8::6 six6.test\n"
                           "192.0.2.6 last.test";

static struct hosts *parse(const char *data, size_t len)
{
    char *copy = unit_copy(data, len);
    struct hosts *hosts = hosts_parse(span_make(copy, len), 42);

    free(copy);
    assert_non_null(hosts);
    return hosts;
}

static void test_find(void **state)
{
    static const struct {
        const char *name;
        int family;
        const char *addresses; /* NULL: the name is not there */
    } rows[] = {
        {"one.test", AF_INET, "192.0.2.1:0 192.0.2.3:0 "},
        {"ONE.TEST.", AF_INET, "192.0.2.1:0 192.0.2.3:0 "},
        {"one.test", AF_INET6, "[2001:db8::1]:0 "},
        {"alias.test", AF_INET, "192.0.2.1:0 "},
        {"alias.test.", AF_INET, "192.0.2.1:0 "},
        {"last.test", AF_INET, "192.0.2.6:0 "},
        /* Nobody else is to be asked. */
        {"blocked.test", AF_INET, "0.0.0.0:0 "},
        {"blocked.test", AF_INET6, ""},
        {"six6.test", AF_INET, ""},
        {"rest.test", AF_INET, NULL},
        {"commented", AF_INET, NULL},
        {"bad.test", AF_INET, NULL},
        {"scoped.test", AF_INET6, NULL},
        {"test", AF_INET, NULL},
        {"one", AF_INET, NULL},
        {"", AF_INET, NULL},
        {"192.0.2.4", AF_INET, NULL},
    };
    struct hosts *hosts = parse(text, sizeof(text) - 1);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct address addresses[4];
        char found[200] = "";
        size_t count = 9;
        bool good = hosts_find(hosts, span_of(rows[i].name), rows[i].family, addresses, 4, &count);

        for (size_t j = 0; j < count; j++) {
            address_format(&addresses[j], found + strlen(found));
            strcat(found, " ");
        }
        if (good != (rows[i].addresses != NULL))
            print_error("%s\n", rows[i].name);
        assert_int_equal(good, rows[i].addresses != NULL);
        assert_string_equal(found, good ? rows[i].addresses : "");
    }
    hosts_free(hosts);
}

static void test_odd_texts(void **state)
{
    static const char *const texts[] = {"",      "\n\n",         "#", "192.0.2.1", "192.0.2.1 ",
                                        " \t\r", "\xff\xff \xff"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        struct hosts *hosts = parse(texts[i], strlen(texts[i]));

        assert_int_equal(hosts_count(hosts), 0);
        hosts_free(hosts);
    }
    hosts_free(parse("192.0.2.1 a\0b c", 15));
    hosts_free(NULL);
}

/* Those who block names have many; and a name on very many lines must not take for ever. */
static void test_many(void **state)
{
    enum { NAMES = 100000, NAME_LINES = 100000 };
    struct text many = {0};
    struct address addresses[100];
    struct hosts *hosts;
    size_t count;

    (void)state;
    for (int i = 0; i < NAMES; i++)
        text_printf(&many, "0.0.0.0 name%d.test\n", i);
    for (int i = 0; i < NAME_LINES; i++)
        text_printf(&many, "10.0.%d.%d same.test\n", i / 250 % 250, i % 250);
    assert_false(many.failed);
    hosts = parse(many.data, many.len);
    assert_int_equal(hosts_count(hosts), NAMES + 1);
    assert_true(hosts_find(hosts, SPAN("name99999.test"), AF_INET, addresses, 1, &count));
    assert_int_equal(count, 1);
    assert_true(hosts_find(hosts, SPAN("same.test"), AF_INET, addresses, 100, &count));
    assert_int_equal(count, 64);
    hosts_free(hosts);
    text_free(&many);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_odd_texts),
        cmocka_unit_test(test_many),
    };

    return UNIT_RUN(tests);
}
