/* SPDX-License-Identifier: GPL-3.0-or-later */
/* resolve/resolve.h over the hosts of the simulated net: at once, late, or failing. */
#include "resolve/resolve.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "tests/sim/net.h"

struct resolver {
    struct world *world;
    struct dice dice;
    struct list lookups;
};

/* One question under way; node of the question links nothing but itself and the lookup's list. */
struct lookup {
    struct list node;
    struct event event;
    struct list questions; /* one, or none any more */
    struct span host;      /* a copy */
    char *name;
    int family;
    struct resolver *resolver;
};

struct resolver *resolver_create(struct ring *ring, const struct resolver_options *options,
                                 const struct log *log)
{
    struct resolver *resolver = alloc_zeroed(sizeof(*resolver));

    (void)ring;
    (void)options;
    (void)log;
    CHECK(resolver);
    resolver->world = world_now;
    resolver->dice = dice_make(world_now->seed, 5 + world_now->happened);
    list_init(&resolver->lookups);
    return resolver;
}

static void lookup_free(struct lookup *lookup)
{
    while (list_pop_front(&lookup->questions))
        ;
    event_stop(&lookup->event);
    list_remove(&lookup->node);
    free(lookup->name);
    free(lookup);
}

void resolver_destroy(struct resolver *resolver)
{
    if (!resolver)
        return;
    while (list_is_linked(&resolver->lookups))
        lookup_free(LIST_ITEM(resolver->lookups.next, struct lookup, node));
    free(resolver);
}

void resolve_question_init(struct resolve_question *question,
                           void (*done)(struct resolve_question *question))
{
    question->done = done;
    question->count = 0;
    list_init(&question->node);
}

static void fail(struct resolve_question *question, enum haul_status status)
{
    question->status = status;
    question->reason = "simulated trouble";
    question->count = 0;
}

static void answer(struct resolver *resolver, struct resolve_question *question, struct span name,
                   int family)
{
    const struct net *net = resolver->world->net;

    fail(question, HAUL_HOST_UNKNOWN);
    if (dice_permille(&resolver->dice, resolver->world->faults.resolve)) {
        fail(question, dice_permille(&resolver->dice, 700) ? HAUL_RESOLVER : HAUL_HOST_UNKNOWN);
        return;
    }
    for (size_t host = 0; host < net->host_count; host++) {
        if (!span_equal_nocase(name, span_of(net->hosts[host].name)))
            continue;
        for (size_t number = 0; number < net->hosts[host].address_count; number++) {
            struct address address = net_address(net, host, number);

            if (address.any.sa_family == family)
                question->addresses[question->count++] = address;
        }
    }
    if (question->count == 0)
        return;
    question->status = HAUL_OK;
    question->reason = "";
}

static void lookup_ends(struct event *event)
{
    struct lookup *lookup = CONTAINER_OF(event, struct lookup, event);
    struct list *node = list_pop_front(&lookup->questions);
    struct resolve_question *question;

    if (!node) {
        lookup_free(lookup);
        return;
    }
    question = LIST_ITEM(node, struct resolve_question, node);
    answer(lookup->resolver, question, lookup->host, lookup->family);
    lookup_free(lookup);
    question->done(question);
}

bool resolve_ask(struct resolver *resolver, struct resolve_question *question, struct span host,
                 int family)
{
    struct lookup *lookup;
    uint64_t delay_ns = dice_below(&resolver->dice, 100 * NS_PER_MS);

    CHECK(!list_is_linked(&question->node));
    if (dice_permille(&resolver->dice, 500)) {
        answer(resolver, question, host, family);
        return true;
    }
    lookup = alloc_zeroed(sizeof(*lookup));
    CHECK(lookup);
    lookup->resolver = resolver;
    lookup->name = alloc_copy(host.data, host.len);
    CHECK(lookup->name);
    lookup->host = span_of(lookup->name);
    lookup->family = family;
    list_init(&lookup->questions);
    list_push_back(&lookup->questions, &question->node);
    event_init(&lookup->event, resolver->world, lookup_ends);
    list_init(&lookup->node);
    list_push_back(&resolver->lookups, &lookup->node);
    if (dice_permille(&resolver->dice, resolver->world->faults.resolve))
        delay_ns = dice_below(&resolver->dice, 20 * NS_PER_S);
    event_start(&lookup->event, delay_ns);
    return false;
}

void resolve_drop(struct resolve_question *question)
{
    list_remove(&question->node);
}
