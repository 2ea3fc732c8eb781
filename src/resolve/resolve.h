/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Host names to addresses, through c-ares on the ring: /etc/hosts, then the name servers of
 * /etc/resolv.conf or others. One family a question, so that who asks for both can go on with the
 * first answer. However many ask for one name, one query is under way; answers are kept for their
 * TTL (one second to five minutes), that there is no such name for half a minute, that the name
 * servers failed for a second.
 *
 * Only so many names are asked for at once; others wait, first come, first served, and cost the
 * name servers nothing meanwhile.
 */
#ifndef RESOLVE_RESOLVE_H
#define RESOLVE_RESOLVE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "base/log.h"
#include "base/span.h"
#include "base/status.h"
#include "resolve/servers.h"
#include "ring/address.h"
#include "ring/ring.h"

/*
 * RESOLVE_RUNNING_MAX, of all resolvers together: a home router's dnsmasq takes on 150 names at
 * once, for all that it serves, and turns away what is more; answers that come together have to fit
 * into the socket's buffer, some 270 of them. 100 names that take 100 ms each are 60,000 a minute:
 * 30,000 hosts in both families.
 */
enum { RESOLVE_ADDRESSES_MAX = 16, RESOLVE_RUNNING_MAX = 100 };

struct resolver;
struct lookup;

struct resolver_options {
    struct servers servers;
    size_t running_max; /* names asked for at once; 0: RESOLVE_RUNNING_MAX */
    bool ipv6_off;      /* nobody is asked for IPv6 addresses, and there are none */
};

/* Stands in the object that asks. The answer is valid once `done` is called, or resolve_ask() has
 * said true, until the next question. */
struct resolve_question {
    void (*done)(struct resolve_question *question); /* never from within resolve_ask() */
    struct list node;                                /* private */
    struct lookup *lookup;                           /* private */
    bool waiting;                                    /* not asked for yet: others come first */
    uint64_t sent_ns; /* when it was asked for, unless it still waits */
    /* The answer: HAUL_OK with at least one address (port 0), HAUL_HOST_UNKNOWN (also: the name
     * has no address of this family), HAUL_RESOLVER, HAUL_OUT_OF_MEMORY. */
    enum haul_status status;
    const char *reason; /* what the resolver said, static text; "" for HAUL_OK */
    size_t count;
    struct address addresses[RESOLVE_ADDRESSES_MAX];
};

/* NULL: out of memory. options are borrowed; NULL: defaults. c-ares itself is set up at the first
 * question. */
struct resolver *resolver_create(struct ring *ring, const struct resolver_options *options,
                                 const struct log *log);
/* Ends all questions without calling them back; the last ring op ends the object. */
void resolver_destroy(struct resolver *resolver);
void resolve_question_init(struct resolve_question *question,
                           void (*done)(struct resolve_question *question));
/* True: answered already (kept from before). False: done will be called. family: AF_INET or
 * AF_INET6. */
bool resolve_ask(struct resolver *resolver, struct resolve_question *question, struct span host,
                 int family);
/* From when on its time counts: now, while it waits for its turn to be asked. */
static inline uint64_t resolve_sent_ns(const struct resolve_question *question, uint64_t now_ns)
{
    return question->waiting ? now_ns : question->sent_ns;
}
/* Takes a question back: done is not called. Allowed at any time. */
void resolve_drop(struct resolve_question *question);

#endif
