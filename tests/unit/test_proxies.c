/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "cli/proxies.h"

struct variable {
    const char *name;
    const char *value;
};

static const struct variable *variables; /* up to one without a name */

static const char *environment(const char *name)
{
    for (const struct variable *at = variables; at->name; at++)
        if (strcmp(at->name, name) == 0)
            return at->value;
    return NULL;
}

static void assert_text(const char *what, const char *found, const char *expected)
{
    if (found ? !expected || strcmp(found, expected) != 0 : expected != NULL)
        fail_msg("%s: %s instead of %s", what, found ? found : "(none)",
                 expected ? expected : "(none)");
}

static void find(int argc, char **argv, const struct variable *all, const char *http,
                 const char *https, const char *both, const char *none)
{
    struct options options = {0};
    struct proxies proxies = {0};
    struct haul_error error = {0};

    variables = all;
    assert_true(options_init(&options));
    if (!options_parse(&options, argc, argv, &error))
        fail_msg("%s", error.text);
    assert_true(proxies_find(&proxies, &options, environment));
    assert_text("http", proxies.http, http);
    assert_text("https", proxies.https, https);
    assert_text("all", proxies.all, both);
    assert_text("none", proxies.none, none);
    proxies_free(&proxies);
    options_free(&options);
}

#define FIND(all, http, https, both, none, ...)                                                    \
    do {                                                                                           \
        char *argv[] = {"haul", __VA_ARGS__};                                                      \
        find((int)COUNT_OF(argv), argv, all, http, https, both, none);                             \
    } while (0)

static const struct variable empty[] = {{0}};

static void test_environment(void **state)
{
    static const struct variable small[] = {
        {"http_proxy", "a"}, {"https_proxy", "b"}, {"all_proxy", "c"},
        {"no_proxy", "d"},   {"HTTP_PROXY", "x"},  {"HTTPS_PROXY", "x"},
        {"ALL_PROXY", "x"},  {"NO_PROXY", "x"},    {0}};
    static const struct variable large[] = {{"HTTP_PROXY", "a"}, {"HTTPS_PROXY", "b"},
                                            {"ALL_PROXY", "c"},  {"NO_PROXY", "d"},
                                            {"https_proxy", ""}, {0}};
    static const struct variable blank[] = {
        {"http_proxy", ""}, {"https_proxy", ""}, {"all_proxy", ""}, {"no_proxy", ""}, {0}};

    (void)state;
    FIND(empty, NULL, NULL, NULL, NULL, "url");
    FIND(small, "a", "b", "c", "d", "url");
    FIND(large, NULL, "b", "c", "d", "url");
    FIND(blank, NULL, NULL, NULL, NULL, "url");
}

static void test_options_go_first(void **state)
{
    static const struct variable all[] = {
        {"http_proxy", "a"}, {"https_proxy", "b"}, {"all_proxy", "c"}, {"no_proxy", "d"}, {0}};

    (void)state;
    FIND(all, "x", "b", "c", "d", "--http-proxy=x", "url");
    FIND(all, "", "b", "c", "d", "--http-proxy=", "url");
    FIND(all, "a", "x", "c", "d", "--https-proxy=x", "url");
    FIND(all, NULL, NULL, "x", "d", "--all-proxy=x", "url");
    FIND(all, NULL, NULL, "", "d", "--all-proxy=", "url");
    FIND(all, "y", NULL, "x", "d", "--all-proxy=x", "--http-proxy=y", "url");
    FIND(all, "a", "b", "c", "", "--no-proxy=", "url");
    FIND(all, "a", "b", "c", "x", "--no-proxy=x", "url");
}

static void test_logins(void **state)
{
    static const struct variable all[] = {{"http_proxy", "h"}, {0}};

    (void)state;
    FIND(all, "u:@h", NULL, NULL, NULL, "--http-proxy-user=u", "url");
    FIND(all, "u:p%40%3A%2F%25@h", NULL, NULL, NULL, "--http-proxy-user=u",
         "--http-proxy-passwd=p@:/%", "url");
    FIND(all, "h", NULL, NULL, NULL, "--https-proxy-user=u", "url");
    FIND(empty, NULL, NULL, "socks5://u:p@h:1/", NULL, "--all-proxy=socks5://h:1/",
         "--all-proxy-user=u", "--all-proxy-passwd=p", "url");
    FIND(empty, NULL, NULL, "http://x:p@h", NULL, "--all-proxy=http://u:p@h", "--all-proxy-user=x",
         "url");
    FIND(empty, NULL, NULL, "http://u:x@h", NULL, "--all-proxy=http://u:p@h",
         "--all-proxy-passwd=x", "url");
    FIND(empty, NULL, NULL, "http://u:x@h/@", NULL, "--all-proxy=http://u@h/@",
         "--all-proxy-passwd=x", "url");
    FIND(empty, "u:p@h", NULL, "h", NULL, "--all-proxy=h", "--http-proxy-user=u",
         "--http-proxy-passwd=p", "url");
    FIND(empty, NULL, "u:p@h", "h", NULL, "--all-proxy=h", "--https-proxy-user=u",
         "--https-proxy-passwd=p", "url");
    FIND(empty, NULL, NULL, "", NULL, "--all-proxy=", "--all-proxy-user=u", "url");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_options_go_first),
        cmocka_unit_test(test_logins),
    };

    return UNIT_RUN(tests);
}
