/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Tickets with which TLS 1.3's sessions are resumed: each for the host and port that gave it, to be
 * used once. Bounded: who was not spoken to for the longest is forgotten first.
 */
#ifndef TLS_TICKETS_H
#define TLS_TICKETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/span.h"

enum {
    TICKET_ORIGINS_MAX = 256,
    TICKETS_OF_ORIGIN_MAX = 6, /* as many as there are connections to a host, by default */
    TICKET_AGE_MAX_S = 3600
};

struct WOLFSSL_SESSION;

struct ticket {
    struct WOLFSSL_SESSION *session; /* owned by whoever holds the ticket; NULL: none */
    int64_t ends_s;                  /* it may be used before */
    int64_t chain_ends_s;            /* and those that are given for it, before this */
};

struct tickets {
    struct list origins; /* used last first */
    size_t count;        /* of origins */
};

void tickets_init(struct tickets *tickets);
void tickets_free(struct tickets *tickets);
/* Times are those of the calendar. Takes over the ticket; it may be dropped at once. */
void tickets_put(struct tickets *tickets, struct span host, uint16_t port, struct ticket ticket,
                 int64_t now_s);
/* The newest; session NULL: none. */
struct ticket tickets_take(struct tickets *tickets, struct span host, uint16_t port, int64_t now_s);
void ticket_drop(struct ticket *ticket); /* NULL session is allowed */

#endif
