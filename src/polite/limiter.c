/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The limiter: every host stands in the one place that says what it waits for, and is put into its
 * place anew (host_place) after each change, so that no decision looks at more than one host.
 *
 *              .---------- nothing queued -----------.
 *              v                                     |
 *   add -> HOST_EMPTY --queued--> HOST_READY --start--> HOST_FULL (as many as it may have)
 *              |                   ^      |             |
 *              |       time is up  |      | spacing,    | one ended
 *              |                   |      v pause       v
 *              |                  HOST_TIMED <----------'
 *              '- no item left -> HOST_KEPT (its pause or spacing runs on) -> freed
 *
 * - A host without items is freed at once, or, in HOST_KEPT, as soon as its times have passed: what
 *   is held follows the items, never the length of a list.
 * - Room in the heaps is made when hosts and items come in; nothing fails afterwards.
 * - What a host answers during a pause is an answer to a request from before it, so it does not
 *   count again: a burst of busy answers is one. Only a longer Retry-After still counts.
 * - `now` is the latest time that was passed in; it never goes back.
 */
#include "polite/limiter.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "polite/backoff.h"

enum host_state {
    HOST_EMPTY, /* no item is queued, but some are delayed or under way */
    HOST_READY, /* may start one: turn, extra_turn are valid */
    HOST_TIMED, /* timer is in limiter.timed: may start one at that time */
    HOST_FULL,  /* waits for one of its own to end */
    HOST_KEPT   /* no items; timer is in limiter.kept: freed at that time */
};

struct limiter_host {
    enum host_state state;
    struct map_node by_name; /* its key is name */
    struct list turn;        /* in HOST_READY: in limiter.ready where others than extra items... */
    struct list extra_turn;  /* ...and in limiter.extra_ready where extra ones are queued */
    struct heap_node timer;
    struct heap_node pause; /* in limiter.paused while paused_until_ns is not 0 */
    struct list queues[LIMITER_KINDS];
    size_t delayed; /* items */
    unsigned active;
    unsigned active_max;
    unsigned busy_in_row;
    uint64_t paused_until_ns;
    uint64_t next_start_ns; /* spacing */
    char name[];
};

struct limiter {
    struct limiter_options options;
    uint64_t now_ns;
    struct map hosts;
    struct list ready;
    struct list extra_ready;
    struct heap timed;
    struct heap kept;
    struct heap paused;
    struct heap delayed; /* items */
    size_t active;       /* without... */
    size_t extra;        /* ...extra ones */
    size_t waiting;      /* queued and delayed */
};

static uint64_t add_saturated(uint64_t a, uint64_t b)
{
    return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

static uint64_t open_ns(const struct limiter_host *host)
{
    return host->paused_until_ns > host->next_start_ns ? host->paused_until_ns
                                                       : host->next_start_ns;
}

static bool has_extra(const struct limiter_host *host)
{
    return list_is_linked(&host->queues[LIMITER_EXTRA]);
}

static bool has_others(const struct limiter_host *host)
{
    return list_is_linked(&host->queues[LIMITER_FIRST]) ||
           list_is_linked(&host->queues[LIMITER_NEXT]);
}

static void host_free(struct limiter *limiter, struct limiter_host *host)
{
    heap_remove(&limiter->paused, &host->pause);
    map_remove(&limiter->hosts, &host->by_name);
    free(host);
}

static bool ramps(const struct limiter *limiter)
{
    return limiter->options.ramp_from > 0;
}

static struct limiter_host *host_make(struct limiter *limiter, struct span name)
{
    size_t count = limiter->hosts.count + 1;
    struct limiter_host *host;
    size_t bytes;

    if (!heap_reserve(&limiter->timed, count) || !heap_reserve(&limiter->kept, count) ||
        !heap_reserve(&limiter->paused, count))
        return NULL;
    if (__builtin_add_overflow(sizeof(*host), name.len, &bytes))
        return NULL;
    host = alloc_zeroed(bytes);
    if (!host)
        return NULL;
    if (name.len > 0)
        memcpy(host->name, name.data, name.len);
    list_init(&host->turn);
    list_init(&host->extra_turn);
    for (size_t i = 0; i < LIMITER_KINDS; i++)
        list_init(&host->queues[i]);
    host->active_max = limiter->options.per_host_max;
    if (ramps(limiter) && host->active_max > limiter->options.ramp_from)
        host->active_max = limiter->options.ramp_from;
    if (!map_put(&limiter->hosts, &host->by_name, span_make(host->name, name.len))) {
        free(host);
        return NULL;
    }
    return host;
}

static struct limiter_host *host_find(struct limiter *limiter, struct span name)
{
    struct map_node *node = map_find(&limiter->hosts, name);

    return node ? MAP_ITEM(node, struct limiter_host, by_name) : host_make(limiter, name);
}

/* Where it belongs, by its fields alone. */
static enum host_state host_state_due(const struct limiter *limiter,
                                      const struct limiter_host *host)
{
    if (!has_extra(host) && !has_others(host))
        return host->active > 0 || host->delayed > 0 ? HOST_EMPTY : HOST_KEPT;
    if (host->active >= host->active_max)
        return HOST_FULL;
    return open_ns(host) > limiter->now_ns ? HOST_TIMED : HOST_READY;
}

static void host_take_out(struct limiter *limiter, struct limiter_host *host)
{
    switch (host->state) {
    case HOST_READY:
        list_remove(&host->turn);
        list_remove(&host->extra_turn);
        break;
    case HOST_TIMED:
        heap_remove(&limiter->timed, &host->timer);
        break;
    case HOST_KEPT:
        heap_remove(&limiter->kept, &host->timer);
        break;
    case HOST_EMPTY:
    case HOST_FULL:
        break;
    }
}

/* In line if it has something for it; who is there already keeps its turn. */
static void host_line_up(struct list *line, struct list *turn, bool wanted)
{
    if (!wanted)
        list_remove(turn);
    else if (!list_is_linked(turn))
        list_push_back(line, turn);
}

/* Puts it where it belongs now. May free it. */
static void host_place(struct limiter *limiter, struct limiter_host *host)
{
    enum host_state state = host_state_due(limiter, host);

    if (state != HOST_READY || host->state != HOST_READY)
        host_take_out(limiter, host);
    host->state = state;
    switch (state) {
    case HOST_READY:
        host_line_up(&limiter->ready, &host->turn, has_others(host));
        host_line_up(&limiter->extra_ready, &host->extra_turn, has_extra(host));
        break;
    case HOST_TIMED:
        heap_put(&limiter->timed, &host->timer, open_ns(host));
        break;
    case HOST_KEPT:
        if (open_ns(host) <= limiter->now_ns)
            host_free(limiter, host);
        else
            heap_put(&limiter->kept, &host->timer, open_ns(host));
        break;
    case HOST_EMPTY:
    case HOST_FULL:
        break;
    }
}

static void item_queue(struct limiter_item *item)
{
    struct limiter_host *host = item->host;

    item->state = LIMITER_QUEUED;
    list_push_back(&host->queues[item->kind], &item->node);
}

static bool is_due(const struct heap *heap, uint64_t now_ns)
{
    const struct heap_node *node = heap_first(heap);

    return node && node->key <= now_ns;
}

/* Acts on every time that has passed; each costs the operation that set it once more. */
static void advance(struct limiter *limiter, uint64_t now_ns)
{
    if (now_ns > limiter->now_ns)
        limiter->now_ns = now_ns;
    now_ns = limiter->now_ns;
    while (is_due(&limiter->paused, now_ns)) {
        struct heap_node *node = heap_first(&limiter->paused);

        heap_remove(&limiter->paused, node);
        HEAP_ITEM(node, struct limiter_host, pause)->paused_until_ns = 0;
    }
    while (is_due(&limiter->delayed, now_ns)) {
        struct limiter_item *item =
            HEAP_ITEM(heap_first(&limiter->delayed), struct limiter_item, delay);

        heap_remove(&limiter->delayed, &item->delay);
        item->host->delayed--;
        item_queue(item);
        host_place(limiter, item->host);
    }
    while (is_due(&limiter->timed, now_ns))
        host_place(limiter, HEAP_ITEM(heap_first(&limiter->timed), struct limiter_host, timer));
    while (is_due(&limiter->kept, now_ns))
        host_place(limiter, HEAP_ITEM(heap_first(&limiter->kept), struct limiter_host, timer));
}

static void host_pause(struct limiter *limiter, struct limiter_host *host, uint64_t retry_after_ns,
                       uint64_t random)
{
    const struct limiter_options *options = &limiter->options;
    uint64_t pause_ns = retry_after_ns;
    uint64_t until_ns;

    if (host->paused_until_ns == 0) {
        uint64_t own_ns;

        if (host->busy_in_row < UINT32_MAX)
            host->busy_in_row++;
        own_ns = backoff_ns(options->pause_ns, host->busy_in_row, options->pause_max_ns, random);
        if (own_ns > pause_ns)
            pause_ns = own_ns;
        if (ramps(limiter) && host->active_max > 1)
            host->active_max /= 2;
    }
    until_ns = add_saturated(limiter->now_ns, pause_ns);
    if (until_ns > limiter->now_ns && until_ns > host->paused_until_ns) {
        host->paused_until_ns = until_ns;
        heap_put(&limiter->paused, &host->pause, until_ns);
    }
}

static void host_learn(struct limiter *limiter, struct limiter_host *host,
                       enum limiter_outcome outcome, uint64_t retry_after_ns, uint64_t random)
{
    switch (outcome) {
    case LIMITER_GOOD:
        if (host->paused_until_ns > 0)
            break;
        host->busy_in_row = 0;
        if (ramps(limiter) && host->active_max < limiter->options.per_host_max)
            host->active_max++;
        break;
    case LIMITER_BUSY:
        host_pause(limiter, host, retry_after_ns, random);
        break;
    case LIMITER_BAD:
        break;
    }
}

static uint64_t spacing_ns(const struct limiter_options *options, uint64_t random)
{
    if (!options->random_wait || options->wait_ns == 0 || options->wait_ns == UINT64_MAX)
        return options->wait_ns;
    return add_saturated(options->wait_ns / 2, random % (options->wait_ns + 1));
}

struct limiter *limiter_create(const struct limiter_options *options, uint64_t seed)
{
    struct limiter *limiter = alloc_zeroed(sizeof(*limiter));

    CHECK(options->active_max > 0 && options->per_host_max > 0);
    if (!limiter)
        return NULL;
    limiter->options = *options;
    map_init(&limiter->hosts, seed);
    list_init(&limiter->ready);
    list_init(&limiter->extra_ready);
    return limiter;
}

void limiter_destroy(struct limiter *limiter)
{
    if (!limiter)
        return;
    CHECK(limiter->active == 0 && limiter->extra == 0 && limiter->waiting == 0);
    for (struct heap_node *node; (node = heap_first(&limiter->kept)) != NULL;) {
        heap_remove(&limiter->kept, node);
        host_free(limiter, HEAP_ITEM(node, struct limiter_host, timer));
    }
    CHECK(limiter->hosts.count == 0);
    map_free(&limiter->hosts);
    heap_free(&limiter->timed);
    heap_free(&limiter->kept);
    heap_free(&limiter->paused);
    heap_free(&limiter->delayed);
    free(limiter);
}

void limiter_item_init(struct limiter_item *item)
{
    *item = (struct limiter_item){.state = LIMITER_IDLE};
    list_init(&item->node);
}

bool limiter_add(struct limiter *limiter, struct limiter_item *item, struct span host,
                 uint64_t not_before_ns, enum limiter_kind kind)
{
    bool delayed = not_before_ns > limiter->now_ns;

    CHECK(item->state == LIMITER_IDLE);
    if (delayed && !heap_reserve(&limiter->delayed, limiter->delayed.count + 1))
        return false;
    item->host = host_find(limiter, host);
    if (!item->host)
        return false;
    item->kind = kind;
    limiter->waiting++;
    if (delayed) {
        item->state = LIMITER_DELAYED;
        item->host->delayed++;
        heap_put(&limiter->delayed, &item->delay, not_before_ns);
    } else {
        item_queue(item);
    }
    host_place(limiter, item->host);
    return true;
}

void limiter_remove(struct limiter *limiter, struct limiter_item *item)
{
    struct limiter_host *host = item->host;

    switch (item->state) {
    case LIMITER_IDLE:
        return;
    case LIMITER_GRANTED:
        UNREACHABLE();
    case LIMITER_DELAYED:
        heap_remove(&limiter->delayed, &item->delay);
        host->delayed--;
        break;
    case LIMITER_QUEUED:
        list_remove(&item->node);
        break;
    }
    item->state = LIMITER_IDLE;
    item->host = NULL;
    limiter->waiting--;
    host_place(limiter, host);
}

static bool may_start_extra(const struct limiter *limiter)
{
    return limiter->extra < limiter->options.extra_max && list_is_linked(&limiter->extra_ready);
}

static bool may_start_other(const struct limiter *limiter)
{
    return limiter->active < limiter->options.active_max && list_is_linked(&limiter->ready);
}

static size_t *count_of(struct limiter *limiter, const struct limiter_item *item)
{
    return item->kind == LIMITER_EXTRA ? &limiter->extra : &limiter->active;
}

static struct limiter_item *take_first(struct limiter_host *host, enum limiter_kind kind)
{
    struct list *node = list_pop_front(&host->queues[kind]);

    return node ? LIST_ITEM(node, struct limiter_item, node) : NULL;
}

/* What has begun goes on before something else begins. */
static struct limiter_item *choose_item(struct limiter *limiter)
{
    struct limiter_item *item;
    struct limiter_host *host;

    if (may_start_extra(limiter)) {
        host = LIST_ITEM(list_pop_front(&limiter->extra_ready), struct limiter_host, extra_turn);
        return take_first(host, LIMITER_EXTRA);
    }
    if (!may_start_other(limiter))
        return NULL;
    host = LIST_ITEM(list_pop_front(&limiter->ready), struct limiter_host, turn);
    item = take_first(host, LIMITER_FIRST);
    return item ? item : take_first(host, LIMITER_NEXT);
}

struct limiter_item *limiter_next(struct limiter *limiter, uint64_t now_ns, uint64_t random)
{
    struct limiter_host *host;
    struct limiter_item *item;

    advance(limiter, now_ns);
    item = choose_item(limiter);
    if (!item)
        return NULL;
    host = item->host;
    CHECK(host->active < host->active_max);
    item->state = LIMITER_GRANTED;
    limiter->waiting--;
    ++*count_of(limiter, item);
    host->active++;
    host->next_start_ns = add_saturated(limiter->now_ns, spacing_ns(&limiter->options, random));
    host_place(limiter, host);
    return item;
}

uint64_t limiter_wake_ns(const struct limiter *limiter)
{
    const struct heap_node *timed = heap_first(&limiter->timed);
    const struct heap_node *delayed = heap_first(&limiter->delayed);
    uint64_t wake_ns = UINT64_MAX;

    if (limiter->active >= limiter->options.active_max &&
        limiter->extra >= limiter->options.extra_max)
        return UINT64_MAX;
    if (may_start_extra(limiter) || may_start_other(limiter))
        return 0;
    if (timed)
        wake_ns = timed->key;
    if (delayed && delayed->key < wake_ns)
        wake_ns = delayed->key;
    return wake_ns;
}

void limiter_finish(struct limiter *limiter, struct limiter_item *item, uint64_t now_ns,
                    enum limiter_outcome outcome, uint64_t retry_after_ns, uint64_t random)
{
    struct limiter_host *host = item->host;

    CHECK(item->state == LIMITER_GRANTED && *count_of(limiter, item) > 0 && host->active > 0);
    advance(limiter, now_ns);
    item->state = LIMITER_IDLE;
    item->host = NULL;
    --*count_of(limiter, item);
    host->active--;
    host_learn(limiter, host, outcome, retry_after_ns, random);
    host_place(limiter, host);
}

void limiter_promote(struct limiter *limiter, struct limiter_item *item)
{
    CHECK(item->state == LIMITER_GRANTED && item->kind == LIMITER_EXTRA);
    CHECK(limiter->active < limiter->options.active_max);
    limiter->extra--;
    item->kind = LIMITER_FIRST;
    limiter->active++;
}

size_t limiter_active(const struct limiter *limiter)
{
    return limiter->active;
}

size_t limiter_waiting(const struct limiter *limiter)
{
    return limiter->waiting;
}

size_t limiter_hosts(const struct limiter *limiter)
{
    return limiter->hosts.count;
}

/* How many nodes of the heap below and at this place are due: looks at no more than twice as many,
 * because below one that is not due, none is. */
static size_t count_due(const struct heap *heap, size_t place, uint64_t now_ns)
{
    if (place > heap->count || heap->nodes[place - 1]->key > now_ns)
        return 0;
    return 1 + count_due(heap, place * 2, now_ns) + count_due(heap, place * 2 + 1, now_ns);
}

size_t limiter_paused(const struct limiter *limiter, uint64_t now_ns)
{
    return limiter->paused.count - count_due(&limiter->paused, 1, now_ns);
}

uint64_t limiter_paused_until(const struct limiter_item *item)
{
    return item->host ? item->host->paused_until_ns : 0;
}
