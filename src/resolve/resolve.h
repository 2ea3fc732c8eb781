/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Host names to addresses, through c-ares on the ring: /etc/hosts, then the name servers of
 * /etc/resolv.conf. One family a question, so that who asks for both can go on with the first
 * answer. However many ask for one name, one query is under way; answers are kept for their TTL
 * (at most five minutes), that there is no such name for five seconds.
 */
#ifndef RESOLVE_RESOLVE_H
#define RESOLVE_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "base/log.h"
#include "base/span.h"
#include "base/status.h"
#include "ring/address.h"
#include "ring/ring.h"

enum { RESOLVE_ADDRESSES_MAX = 16 };

struct resolver;

/* Stands in the object that asks. The answer is valid once `done` is called, or resolve_ask() has
 * said true, until the next question. */
struct resolve_question {
    void (*done)(struct resolve_question *question); /* never from within resolve_ask() */
    struct list node;                                /* private */
    /* The answer: HAUL_OK with at least one address (port 0), HAUL_HOST_UNKNOWN (also: the name
     * has no address of this family), HAUL_RESOLVER, HAUL_OUT_OF_MEMORY. */
    enum haul_status status;
    const char *reason; /* what the resolver said, static text; "" for HAUL_OK */
    size_t count;
    struct address addresses[RESOLVE_ADDRESSES_MAX];
};

/* NULL: out of memory. c-ares itself is set up at the first question. */
struct resolver *resolver_create(struct ring *ring, const struct log *log);
/* Ends all questions without calling them back; the last ring op ends the object. */
void resolver_destroy(struct resolver *resolver);
void resolve_question_init(struct resolve_question *question,
                           void (*done)(struct resolve_question *question));
/* True: answered already (kept from before). False: done will be called. family: AF_INET or
 * AF_INET6. */
bool resolve_ask(struct resolver *resolver, struct resolve_question *question, struct span host,
                 int family);
/* Takes a question back: done is not called. Allowed at any time. */
void resolve_drop(struct resolve_question *question);

#endif
