/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "resolve/search.h"

static void test_candidates(void **state)
{
    static const struct {
        size_t dots;
        const char *domains[4];
        const char *name;
        const char *candidates; /* the name as it is in <> */
    } rows[] = {
        {1, {0}, "host", "<host>"},
        {1, {0}, "a.test", "<a.test>"},
        {1, {"corp.test"}, "host", "host.corp.test <host>"},
        {1, {"corp.test"}, "a.test", "<a.test> a.test.corp.test"},
        {1, {"corp.test"}, "a.test.", "<a.test.>"},
        {1, {"corp.test"}, "host.", "<host.>"},
        {2, {"one.test", "two.test"}, "a.b", "a.b.one.test a.b.two.test <a.b>"},
        {2, {"one.test", "two.test"}, "a.b.c", "<a.b.c> a.b.c.one.test a.b.c.two.test"},
        {0, {"one.test"}, "host", "<host> host.one.test"},
        {1, {".", "one.test", ".two.test"}, "host", "host.one.test host.two.test <host>"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char domain_texts[4][32];
        char *domains[4];
        struct search search = {.domains = domains, .dots = rows[i].dots};
        char candidate[SEARCH_NAME_ROOM];
        struct text found = {0};
        size_t step = 0;
        bool as_is;

        for (; search.domain_count < 4 && rows[i].domains[search.domain_count];
             search.domain_count++) {
            domains[search.domain_count] = domain_texts[search.domain_count];
            snprintf(domains[search.domain_count], 32, "%s", rows[i].domains[search.domain_count]);
        }
        while (search_next(&search, span_of(rows[i].name), &step, candidate, &as_is))
            text_printf(&found, as_is ? "%s<%s>" : "%s%s", found.len > 0 ? " " : "", candidate);
        assert_span(text_span(&found), rows[i].candidates);
        assert_false(search_next(&search, span_of(rows[i].name), &step, candidate, &as_is));
        text_free(&found);
    }
}

/* What would be longer than a name can be is left out. */
static void test_long_candidates(void **state)
{
    char *domain = (char[]){"corp.test"};
    struct search search = {.domains = &domain, .domain_count = 1, .dots = 1};
    char candidate[SEARCH_NAME_ROOM];
    char name[SEARCH_NAME_ROOM];

    (void)state;
    for (size_t len = 230; len <= SEARCH_NAME_BYTES_MAX; len++) {
        size_t step = 0;
        size_t count = 0;
        bool as_is;

        memset(name, 'a', len);
        for (size_t i = 50; i < len; i += 51)
            name[i] = '.';
        assert_true(search_is_name(span_make(name, len)));
        while (search_next(&search, span_make(name, len), &step, candidate, &as_is)) {
            assert_true(strlen(candidate) <= SEARCH_NAME_BYTES_MAX);
            count++;
        }
        assert_int_equal(count, len + strlen(".corp.test") <= SEARCH_NAME_BYTES_MAX ? 2 : 1);
    }
}

static void test_names(void **state)
{
    static const struct {
        const char *name;
        bool good;
    } rows[] = {
        {"a", true},
        {"a.", true},
        {"a.b", true},
        {"a_b.c-d", true},
        {"xn--caf-dma.test", true},
        {"1.2.3", true},
        {"*.a", true},
        {"", false},
        {".", false},
        {".a", false},
        {"a..b", false},
        {"a..", false},
        {"a b", false},
        {"a\tb", false},
        {"a\\.b", false},
        {"a\x7f", false},
        {"..", false},
    };
    char name[300];

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        if (search_is_name(span_of(rows[i].name)) != rows[i].good)
            fail_msg("%s", rows[i].name);
    }
    assert_false(search_is_name(span_make("a\0b", 3)));
    memset(name, 'a', sizeof(name));
    assert_true(search_is_name(span_make(name, 63)));
    assert_false(search_is_name(span_make(name, 64)));
    for (size_t i = 63; i < sizeof(name); i += 64)
        name[i] = '.';
    name[253] = 'a';
    assert_true(search_is_name(span_make(name, 253)));
    assert_false(search_is_name(span_make(name, 254)));
    name[253] = '.';
    assert_true(search_is_name(span_make(name, 254)));
    assert_false(search_is_name(span_make(name, 255)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_candidates),
        cmocka_unit_test(test_long_candidates),
        cmocka_unit_test(test_names),
    };

    return UNIT_RUN(tests);
}
