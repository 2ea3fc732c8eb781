/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/wheel.h"
#include "net/winners.h"

static struct address make(const char *text)
{
    struct address address;

    assert_true(address_parse(&address, span_of(text), 80));
    return address;
}

static void expect(struct winners *winners, const char *host, uint64_t now, const char *text)
{
    const struct address *found = winners_find(winners, span_of(host), now);
    struct address expected;

    assert_int_equal(found != NULL, text != NULL);
    if (!text)
        return;
    expected = make(text);
    assert_true(address_equal_host(found, &expected));
}

static void test_memory(void **state)
{
    const uint64_t life = WINNERS_S * (uint64_t)NS_PER_S;
    struct winners winners;
    struct address v4 = make("192.0.2.1");
    struct address v6 = make("2001:db8::1");

    (void)state;
    winners_init(&winners, 42);
    expect(&winners, "a.test", 0, NULL);
    winners_note(&winners, SPAN("a.test"), &v4, 5);
    winners_note(&winners, SPAN("b.test"), &v6, 6);
    expect(&winners, "a.test", 5, "192.0.2.1");
    expect(&winners, "b.test", 6, "2001:db8::1");
    expect(&winners, "c.test", 6, NULL);
    winners_note(&winners, SPAN("a.test"), &v6, 10);
    expect(&winners, "a.test", 10, "2001:db8::1");
    /* However often it is asked for, it ends. */
    expect(&winners, "a.test", life + 9, "2001:db8::1");
    expect(&winners, "a.test", life + 10, NULL);
    expect(&winners, "a.test", life + 10, NULL);
    winners_free(&winners);
}

static void test_bound(void **state)
{
    struct address v4 = make("192.0.2.1");
    struct winners winners;
    char host[32];

    (void)state;
    winners_init(&winners, 42);
    for (int i = 0; i < WINNERS_MAX + 10; i++) {
        snprintf(host, sizeof(host), "host%d.test", i);
        winners_note(&winners, span_of(host), &v4, (uint64_t)i);
    }
    assert_int_equal(winners.hosts.count, WINNERS_MAX);
    expect(&winners, "host9.test", 0, NULL);
    expect(&winners, "host10.test", 0, "192.0.2.1");
    winners_free(&winners);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_bound),
    };

    return UNIT_RUN(tests);
}
