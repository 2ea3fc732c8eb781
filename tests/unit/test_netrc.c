/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "session/netrc.h"

static void test_find(void **state)
{
    static const struct {
        const char *file;
        const char *host;
        const char *user;  /* "": any */
        const char *found; /* "user:password"; NULL: none. In capitals: not without `fallback` */
    } rows[] = {
        {"machine h login u password p", "h", "", "u:p"},
        {"machine h\n\tlogin u\n\tpassword p\n", "h", "", "u:p"},
        {"machine h\r\nlogin u\r\npassword p\r\n", "h", "", "u:p"},
        {"machine h password p login u", "h", "", "u:p"},
        {"machine H login u password p", "h", "", "u:p"},
        {"machine h login u password p", "other", "", NULL},
        {"machine h login u password p", "sub.h", "", NULL},
        {"machine h login u", "h", "", "u:"},
        {"machine h password p", "h", "", NULL},
        {"machine h password p", "h", "me", "me:p"},
        {"machine h", "h", "me", NULL},
        {"machine h machine h login me password p", "h", "me", "me:p"},
        {"machine h login u account a password p", "h", "", "u:p"},
        {"machine h account login login u password p", "h", "", "u:p"},
        /* Several. */
        {"machine g login x password y machine h login u password p", "h", "", "u:p"},
        {"machine h login u password p machine h login v password q", "h", "", "u:p"},
        {"machine h login u password p machine h login v password q", "h", "v", "v:q"},
        {"machine h login u password p machine h login v password q", "h", "w", NULL},
        {"machine h login u login v password p password q", "h", "", "u:p"},
        /* What stands for all others, wherever it stands. */
        {"default login U password P", "h", "", "U:P"},
        {"default login U password P machine h login v password q", "h", "", "v:q"},
        {"default login U password P default login v password q", "h", "", "U:P"},
        {"machine h login u password p default login D password E", "g", "", "D:E"},
        {"machine h login u password p default login D password E", "h", "v", NULL},
        /* Quotes and comments. */
        {"machine h login \"u v\" password \"p \\\"\\\\\\n\\t\\r\\x\"", "h", "",
         "u v:p \"\\\n\t\rx"},
        {"machine h login u password \"\"", "h", "", "u:"},
        {"machine h login u password \"p\nmachine g login v password q", "g", "", "v:q"},
        {"machine h login u password p\"q", "h", "", "u:p\"q"},
        {"# machine h login x password y\nmachine h login u password p # more", "h", "", "u:p"},
        {"machine h # login x\nlogin u password #p", "h", "", "u:#p"},
        {"#\nmachine h login u password p", "h", "", "u:p"},
        {"#x\nmachine h login u password p", "h", "", "u:p"},
        /* Macros end with an empty line. */
        {"macdef init\nmachine h login x password y\n\nmachine h login u password p", "h", "",
         "u:p"},
        {"macdef init\r\nmachine h login x\r\n\r\nmachine h login u password p", "h", "", "u:p"},
        {"machine h login u password p macdef init\nlogin x\n", "h", "", "u:p"},
        {"macdef init\nmachine h login x password y", "h", "", NULL},
        /* What is nothing. */
        {"", "h", "", NULL},
        {"machine", "h", "", NULL},
        {"login u password p machine h", "h", "", NULL},
        {"machine h login", "h", "", NULL},
        {"nonsense machine h what login u password p", "h", "", "u:p"},
        {"machine \"\" login u password p", "", "", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t len = strlen(rows[i].file);
        char *copy = unit_copy(rows[i].file, len);
        struct netrc *netrc = netrc_parse(span_make(copy, len), 1);
        char found[64] = "";
        struct login login;

        assert_non_null(netrc);
        if (netrc_find(netrc, span_of(rows[i].host), span_of(rows[i].user), true, &login))
            snprintf(found, sizeof(found), "%.*s:%.*s", SPAN_ARG(login.user),
                     SPAN_ARG(login.password));
        if (strcmp(found, rows[i].found ? rows[i].found : "") != 0)
            fail_msg("%s: %s for %s", rows[i].file, found, rows[i].host);
        assert_int_equal(
            netrc_find(netrc, span_of(rows[i].host), span_of(rows[i].user), false, &login),
            rows[i].found && !(rows[i].found[0] >= 'A' && rows[i].found[0] <= 'Z'));
        netrc_destroy(netrc);
        free(copy);
        for (size_t cut = 0; cut < len; cut++) {
            copy = unit_copy(rows[i].file, cut);
            netrc_destroy(netrc_parse(span_make(copy, cut), 1));
            free(copy);
        }
    }
}

static void test_many(void **state)
{
    struct text file = {0};
    struct netrc *netrc;
    struct login login;

    (void)state;
    for (int i = 0; i < 5000; i++)
        text_printf(&file, "machine h%d login u%d password p%d\n", i, i, i);
    netrc = netrc_parse(text_span(&file), 1);
    assert_non_null(netrc);
    assert_int_equal(netrc_count(netrc), 5000);
    assert_true(netrc_find(netrc, SPAN("h4999"), SPAN(""), false, &login));
    assert_span(login.password, "p4999");
    netrc_destroy(netrc);
    text_free(&file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_many),
    };

    return UNIT_RUN(tests);
}
