/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/winners.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/wheel.h"

struct winner {
    struct map_node node;
    struct list link;
    struct address address;
    uint64_t until_ns;
    char host[];
};

void winners_init(struct winners *winners, uint64_t seed)
{
    map_init(&winners->hosts, seed);
    list_init(&winners->oldest_first);
}

static void forget(struct winners *winners, struct winner *winner)
{
    map_remove(&winners->hosts, &winner->node);
    list_remove(&winner->link);
    free(winner);
}

void winners_free(struct winners *winners)
{
    while (list_is_linked(&winners->oldest_first))
        forget(winners, LIST_ITEM(winners->oldest_first.next, struct winner, link));
    map_free(&winners->hosts);
}

static struct winner *find(const struct winners *winners, struct span host)
{
    struct map_node *node = map_find(&winners->hosts, host);

    return node ? MAP_ITEM(node, struct winner, node) : NULL;
}

void winners_note(struct winners *winners, struct span host, const struct address *address,
                  uint64_t now_ns)
{
    struct winner *winner = find(winners, host);

    if (winner)
        forget(winners, winner);
    else if (winners->hosts.count >= WINNERS_MAX)
        forget(winners, LIST_ITEM(winners->oldest_first.next, struct winner, link));
    winner = alloc_zeroed(sizeof(*winner) + host.len);
    if (!winner)
        return;
    memcpy(winner->host, host.data, host.len);
    if (!map_put(&winners->hosts, &winner->node, span_make(winner->host, host.len))) {
        free(winner);
        return;
    }
    winner->address = *address;
    winner->until_ns = now_ns + WINNERS_S * (uint64_t)NS_PER_S;
    list_init(&winner->link);
    list_push_back(&winners->oldest_first, &winner->link);
}

const struct address *winners_find(struct winners *winners, struct span host, uint64_t now_ns)
{
    struct winner *winner = winners->hosts.count > 0 ? find(winners, host) : NULL;

    if (winner && winner->until_ns > now_ns)
        return &winner->address;
    if (winner)
        forget(winners, winner);
    return NULL;
}
