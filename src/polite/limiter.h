/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who may start a request now: a bound on all that are under way, and for every host a bound, a
 * delay between starts, and pauses; hosts take turns. Pure: time and randomness are parameters.
 *
 * The unit of a grant is one request. An item is added for each (a redirect, a retry: anew, under
 * its own host), waits, is granted by limiter_next(), and comes back through limiter_finish().
 */
#ifndef POLITE_LIMITER_H
#define POLITE_LIMITER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/list.h"
#include "base/map.h"
#include "base/span.h"

struct limiter_options {
    unsigned active_max;   /* requests under way, at least 1 */
    unsigned extra_max;    /* besides: those that help another that is under way */
    unsigned per_host_max; /* of both on one host, at least 1 */
    unsigned ramp_from;    /* a host begins with so many and gains one for each success up to
                              per_host_max; a busy answer halves it; 0: it has all at once */
    uint64_t wait_ns;      /* between two starts on one host */
    bool random_wait;      /* that, times 0.5 to 1.5 */
    uint64_t pause_ns;     /* how long a busy answer pauses its host; doubles while they go on, with
                              jitter, to pause_max_ns; a longer Retry-After wins */
    uint64_t pause_max_ns;
};

struct limiter_host;

enum limiter_item_state {
    LIMITER_IDLE,    /* not known to the limiter */
    LIMITER_DELAYED, /* waits for its own time: not_before is valid */
    LIMITER_QUEUED,  /* waits for its host: node is in the host's queue */
    LIMITER_GRANTED  /* counts as under way */
};

/* In the order in which a host's items go. */
enum limiter_kind {
    LIMITER_FIRST, /* a redirect or retry of what has begun */
    LIMITER_EXTRA, /* counts among extra_max */
    LIMITER_NEXT,
    LIMITER_KINDS
};

/* Stands in the object that it stands for. Zeroed is a fresh one after limiter_item_init(). */
struct limiter_item {
    enum limiter_item_state state;
    struct limiter_host *host; /* NULL in LIMITER_IDLE */
    struct list node;
    struct heap_node delay;
    enum limiter_kind kind;
};

enum limiter_outcome {
    LIMITER_GOOD, /* the host answered */
    LIMITER_BAD,  /* it failed; tells nothing of how busy the host is */
    LIMITER_BUSY  /* it asked for less: 429, 503 */
};

struct limiter;

struct limiter *limiter_create(const struct limiter_options *options, uint64_t seed);
void limiter_destroy(struct limiter *limiter); /* no item may be in it: CHECKed */
void limiter_item_init(struct limiter_item *item);

/* Queues an item for a host (any string that names it; copied). Not before a time: 0 for at once.
 * False: out of memory, the item is idle. */
bool limiter_add(struct limiter *limiter, struct limiter_item *item, struct span host,
                 uint64_t not_before_ns, enum limiter_kind kind);
/* Takes a waiting item out; allowed on an idle one, not on a granted one. */
void limiter_remove(struct limiter *limiter, struct limiter_item *item);
/* The next that may start now, now granted; NULL: none may. random: 64 fresh random bits. */
struct limiter_item *limiter_next(struct limiter *limiter, uint64_t now_ns, uint64_t random);
/* When limiter_next() may have an answer without another call before: UINT64_MAX if never. */
uint64_t limiter_wake_ns(const struct limiter *limiter);
/* Gives a grant back. retry_after_ns counts for LIMITER_BUSY: 0 if the host named no time. */
void limiter_finish(struct limiter *limiter, struct limiter_item *item, uint64_t now_ns,
                    enum limiter_outcome outcome, uint64_t retry_after_ns, uint64_t random);

/* A granted extra item takes the place of one that is not, and has just come back. */
void limiter_promote(struct limiter *limiter, struct limiter_item *item);

size_t limiter_active(const struct limiter *limiter); /* without extra ones */
size_t limiter_waiting(const struct limiter *limiter);
size_t limiter_hosts(const struct limiter *limiter);
size_t limiter_paused(const struct limiter *limiter, uint64_t now_ns); /* hosts */
/* Until when the item's host is paused, 0 if it is not. */
uint64_t limiter_paused_until(const struct limiter_item *item);

#endif
