/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A short list of origins, each with its newest tickets. Searching it costs far less than the
 * handshake that it is searched for.
 */
#include "tls/tickets.h"

#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

struct origin {
    struct list node;
    char *host; /* owned */
    uint16_t port;
    struct ticket tickets[TICKETS_OF_ORIGIN_MAX]; /* newest first; those without session last */
};

void ticket_drop(struct ticket *ticket)
{
    wolfSSL_SESSION_free(ticket->session);
    ticket->session = NULL;
}

static void origin_free(struct tickets *tickets, struct origin *origin)
{
    for (size_t i = 0; i < TICKETS_OF_ORIGIN_MAX; i++)
        ticket_drop(&origin->tickets[i]);
    list_remove(&origin->node);
    tickets->count--;
    free(origin->host);
    free(origin);
}

void tickets_init(struct tickets *tickets)
{
    list_init(&tickets->origins);
    tickets->count = 0;
}

void tickets_free(struct tickets *tickets)
{
    while (list_is_linked(&tickets->origins))
        origin_free(tickets, LIST_ITEM(tickets->origins.next, struct origin, node));
}

/* It comes to the front. */
static struct origin *find(struct tickets *tickets, struct span host, uint16_t port)
{
    for (struct list *node = tickets->origins.next; node != &tickets->origins; node = node->next) {
        struct origin *origin = LIST_ITEM(node, struct origin, node);

        if (origin->port != port || !span_equal_nocase(span_of(origin->host), host))
            continue;
        list_remove(node);
        list_push_front(&tickets->origins, node);
        return origin;
    }
    return NULL;
}

static struct origin *add(struct tickets *tickets, struct span host, uint16_t port)
{
    struct origin *origin = alloc_zeroed(sizeof(*origin));

    if (!origin)
        return NULL;
    origin->host = alloc_copy(host.data, host.len);
    if (!origin->host) {
        free(origin);
        return NULL;
    }
    origin->port = port;
    list_init(&origin->node);
    list_push_front(&tickets->origins, &origin->node);
    if (++tickets->count > TICKET_ORIGINS_MAX)
        origin_free(tickets, LIST_ITEM(tickets->origins.prev, struct origin, node));
    return origin;
}

void tickets_put(struct tickets *tickets, struct span host, uint16_t port, struct ticket ticket,
                 int64_t now_s)
{
    struct origin *origin = find(tickets, host, port);

    if (ticket.ends_s <= now_s || (!origin && !(origin = add(tickets, host, port)))) {
        ticket_drop(&ticket);
        return;
    }
    ticket_drop(&origin->tickets[TICKETS_OF_ORIGIN_MAX - 1]);
    memmove(&origin->tickets[1], &origin->tickets[0],
            (TICKETS_OF_ORIGIN_MAX - 1) * sizeof(origin->tickets[0]));
    origin->tickets[0] = ticket;
}

struct ticket tickets_take(struct tickets *tickets, struct span host, uint16_t port, int64_t now_s)
{
    struct origin *origin = find(tickets, host, port);
    struct ticket taken = {0};

    while (origin && !taken.session) {
        taken = origin->tickets[0];
        memmove(&origin->tickets[0], &origin->tickets[1],
                (TICKETS_OF_ORIGIN_MAX - 1) * sizeof(origin->tickets[0]));
        origin->tickets[TICKETS_OF_ORIGIN_MAX - 1] = (struct ticket){0};
        if (taken.session && taken.ends_s <= now_s)
            ticket_drop(&taken);
        if (!origin->tickets[0].session) {
            origin_free(tickets, origin);
            origin = NULL;
        }
    }
    return taken;
}
