/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which tickets are kept, for whom, and for how long. */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "tls/tickets.h"

static struct ticket new_ticket(int64_t ends)
{
    struct ticket ticket = {.session = wolfSSL_SESSION_new(), .ends_s = ends};

    assert_non_null(ticket.session);
    return ticket;
}

static void put(struct tickets *tickets, const char *host, uint16_t port, int64_t ends)
{
    tickets_put(tickets, span_of(host), port, new_ticket(ends), 1000);
}

/* When the ticket that is taken ends; 0: there is none. */
static int64_t take(struct tickets *tickets, const char *host, uint16_t port, int64_t now_s)
{
    struct ticket ticket = tickets_take(tickets, span_of(host), port, now_s);
    int64_t ends = ticket.session ? ticket.ends_s : 0;

    ticket_drop(&ticket);
    return ends;
}

static void test_one_origin(void **state)
{
    struct tickets tickets;

    (void)state;
    tickets_init(&tickets);
    assert_int_equal(take(&tickets, "a.example", 443, 1000), 0);
    for (int i = 0; i <= TICKETS_OF_ORIGIN_MAX; i++)
        put(&tickets, "a.example", 443, 2000 + i);
    put(&tickets, "a.example", 8443, 3000);
    put(&tickets, "b.example", 443, 3001);
    assert_int_equal(tickets.count, 3);
    /* the newest first, the oldest was one too many, and each once */
    for (int i = TICKETS_OF_ORIGIN_MAX; i > 0; i--)
        assert_int_equal(take(&tickets, i % 2 ? "A.Example" : "a.example", 443, 1000), 2000 + i);
    assert_int_equal(take(&tickets, "a.example", 443, 1000), 0);
    assert_int_equal(take(&tickets, "a.example", 8443, 1000), 3000);
    assert_int_equal(take(&tickets, "b.example", 8443, 1000), 0);
    assert_int_equal(tickets.count, 1);
    tickets_free(&tickets);
    assert_int_equal(tickets.count, 0);
}

static void test_age(void **state)
{
    struct tickets tickets;

    (void)state;
    tickets_init(&tickets);
    put(&tickets, "a.example", 443, 1000); /* has ended */
    assert_int_equal(take(&tickets, "a.example", 443, 999), 0);
    put(&tickets, "a.example", 443, 3000);
    put(&tickets, "a.example", 443, 2000);
    assert_int_equal(take(&tickets, "a.example", 443, 2000), 3000);
    put(&tickets, "a.example", 443, 2000);
    assert_int_equal(take(&tickets, "a.example", 443, 5000), 0);
    assert_int_equal(tickets.count, 0);
    tickets_free(&tickets);
}

static void test_how_many(void **state)
{
    struct tickets tickets;
    char host[32];

    (void)state;
    tickets_init(&tickets);
    for (int i = 0; i < TICKET_ORIGINS_MAX + 10; i++) {
        snprintf(host, sizeof(host), "%d.example", i);
        put(&tickets, host, 443, 2000 + i);
        put(&tickets, "first.example", 443, 9000); /* used all the time */
    }
    assert_int_equal(tickets.count, TICKET_ORIGINS_MAX);
    assert_int_equal(take(&tickets, "first.example", 443, 1000), 9000);
    assert_int_equal(take(&tickets, "0.example", 443, 1000), 0);
    assert_int_equal(take(&tickets, "10.example", 443, 1000), 0);
    assert_int_equal(take(&tickets, "11.example", 443, 1000), 2011);
    assert_int_equal(take(&tickets, host, 443, 1000), 2000 + TICKET_ORIGINS_MAX + 9);
    tickets_free(&tickets);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_origin),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_how_many),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
