/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A buddy allocator over regions of the largest size, mapped as they are first needed, and kept.
 * Each unit (the smallest size) of a region has a struct chunk of its own; that of a larger chunk's
 * first unit stands for the whole.
 *
 *     region   |               1 MiB, idle[5]                  |
 *     split    |    512 KiB, taken     | 256 KiB, idle | taken |
 *
 * Two halves that are both idle are one again. The last chunk in is the first one out: its pages
 * are still in the cache.
 */
#include "ring/buffers.h"

#include <stdlib.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/check.h"
#include "ring/ring.h"

enum {
    UNITS = CHUNK_BYTES_MAX / CHUNK_BYTES_MIN, /* of a region */
    SIZES = 6,                                 /* from CHUNK_BYTES_MIN, doubling */
    REGIONS_MIN = 2,
    CHUNKS_PER_CONNECTION = 8 /* being filled and written, with much to spare: see scarce */
};
_Static_assert(CHUNK_BYTES_MIN << (SIZES - 1) == CHUNK_BYTES_MAX, "sizes double");

struct buffers_region {
    struct list node;
    struct chunk units[UNITS];
};

struct buffers_share {
    struct map_node map_node;
    struct list hungry_node; /* buffers->hungry, while it has waiters */
    struct list waiters;
    size_t out_bytes;
    unsigned connections;
    char *host;
};

struct buffers {
    struct list regions;
    size_t region_count;
    size_t region_max;
    char *slab; /* of all regions there can be; NULL: each is mapped by itself */
    struct ring *ring;
    struct list idle[SIZES];
    size_t out;
    size_t out_bytes;
    struct map shares;              /* by host */
    size_t active;                  /* shares that connections have joined */
    struct list hungry;             /* shares with waiters: whose turn it is, first */
    struct buffers_share momentary; /* what was taken without a share */
    struct buffers_share parking;
};

/* --- memory ---------------------------------------------------------------------------------- */

static unsigned size_index(size_t bytes)
{
    unsigned index = 0;

    while (index < SIZES - 1 && ((size_t)CHUNK_BYTES_MIN << index) < bytes)
        index++;
    return index;
}

static void put_idle(struct buffers *buffers, struct chunk *chunk, unsigned index)
{
    chunk->size = (size_t)CHUNK_BYTES_MIN << index;
    chunk->idle = true;
    list_push_front(&buffers->idle[index], &chunk->node);
}

static char *map_memory(size_t bytes)
{
    void *data = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    return data == MAP_FAILED ? NULL : data;
}

static bool add_region(struct buffers *buffers)
{
    struct buffers_region *region = alloc_zeroed(sizeof(*region));
    char *data;

    if (!region)
        return false;
    data = buffers->slab ? buffers->slab + buffers->region_count * CHUNK_BYTES_MAX
                         : map_memory(CHUNK_BYTES_MAX);
    if (!data) {
        free(region);
        return false;
    }
    for (size_t i = 0; i < UNITS; i++) {
        region->units[i].data = data + i * CHUNK_BYTES_MIN;
        region->units[i].region = region;
        list_init(&region->units[i].node);
    }
    list_init(&region->node);
    list_push_back(&buffers->regions, &region->node);
    buffers->region_count++;
    put_idle(buffers, &region->units[0], SIZES - 1);
    return true;
}

static bool may_add(const struct buffers *buffers)
{
    return !buffers->slab || buffers->region_count < buffers->region_max;
}

static struct chunk *buddy_of(const struct chunk *chunk)
{
    struct chunk *units = chunk->region->units;
    size_t unit = (size_t)(chunk - units);

    return &units[unit ^ chunk->size / CHUNK_BYTES_MIN];
}

/* The smallest idle chunk of at least this size, or, if there is none, the largest below. */
static struct chunk *pop_idle(struct buffers *buffers, unsigned index)
{
    struct list *node = NULL;

    for (unsigned i = index; !node && i < SIZES; i++)
        node = list_pop_front(&buffers->idle[i]);
    if (!node && may_add(buffers) && add_region(buffers))
        node = list_pop_front(&buffers->idle[SIZES - 1]);
    for (unsigned i = index; !node && i > 0; i--)
        node = list_pop_front(&buffers->idle[i - 1]);
    return node ? LIST_ITEM(node, struct chunk, node) : NULL;
}

static struct chunk *allocate(struct buffers *buffers, unsigned index)
{
    struct chunk *chunk = pop_idle(buffers, index);

    if (!chunk)
        return NULL;
    chunk->idle = false;
    for (unsigned i = size_index(chunk->size); i > index; i--) {
        chunk->size /= 2;
        put_idle(buffers, buddy_of(chunk), i - 1);
    }
    return chunk;
}

static void release(struct buffers *buffers, struct chunk *chunk)
{
    while (chunk->size < CHUNK_BYTES_MAX) {
        struct chunk *buddy = buddy_of(chunk);

        if (!buddy->idle || buddy->size != chunk->size)
            break;
        list_remove(&buddy->node);
        buddy->idle = false;
        if (buddy < chunk)
            chunk = buddy;
        chunk->size *= 2;
    }
    put_idle(buffers, chunk, size_index(chunk->size));
}

/* --- shares ---------------------------------------------------------------------------------- */

static size_t part_bytes(const struct buffers *buffers)
{
    size_t budget = buffers->region_max * CHUNK_BYTES_MAX;

    return buffers->active > 1 ? budget / buffers->active : budget;
}

/* Of no host, and not freed. */
static bool is_common(const struct buffers *buffers, const struct buffers_share *share)
{
    return share == &buffers->momentary || share == &buffers->parking;
}

static size_t bound_bytes(const struct buffers *buffers, const struct buffers_share *share)
{
    if (share == &buffers->momentary)
        return SIZE_MAX;
    if (share == &buffers->parking)
        return buffers->region_max * CHUNK_BYTES_MAX / 4 * 3;
    return part_bytes(buffers);
}

/* Who has nothing may always have a little, or more hosts than units could not be served at all. */
static bool may_have(const struct buffers *buffers, const struct buffers_share *share, size_t bytes)
{
    return share->out_bytes == 0 || share->out_bytes + bytes <= bound_bytes(buffers, share);
}

static unsigned fair_index(const struct buffers *buffers, const struct buffers_share *share,
                           unsigned index)
{
    size_t chunks = (size_t)share->connections * CHUNKS_PER_CONNECTION;

    while (index > 0 && ((size_t)CHUNK_BYTES_MIN << index) * chunks > part_bytes(buffers))
        index--;
    return index;
}

static void share_free_if_idle(struct buffers *buffers, struct buffers_share *share)
{
    if (is_common(buffers, share) || share->connections > 0 || share->out_bytes > 0 ||
        list_is_linked(&share->waiters))
        return;
    list_remove(&share->hungry_node);
    map_remove(&buffers->shares, &share->map_node);
    free(share->host);
    free(share);
}

/* Hosts take turns, and one that has its part lets the others pass. */
static bool feed_one(struct buffers *buffers)
{
    for (struct list *node = buffers->hungry.next; node != &buffers->hungry; node = node->next) {
        struct buffers_share *share = LIST_ITEM(node, struct buffers_share, hungry_node);
        struct buffers_waiter *waiter;

        if (list_is_linked(&share->waiters) && !may_have(buffers, share, CHUNK_BYTES_MIN))
            continue;
        list_remove(&share->hungry_node);
        if (!list_is_linked(&share->waiters)) { /* they have gone */
            share_free_if_idle(buffers, share);
            return true;
        }
        waiter = LIST_ITEM(list_pop_front(&share->waiters), struct buffers_waiter, node);
        if (list_is_linked(&share->waiters))
            list_push_back(&buffers->hungry, &share->hungry_node);
        waiter->ready(waiter);
        return !list_is_linked(&waiter->node); /* no memory: it waits for the next one */
    }
    return false;
}

static bool has_idle(const struct buffers *buffers)
{
    for (unsigned i = 0; i < SIZES; i++)
        if (list_is_linked(&buffers->idle[i]))
            return true;
    return may_add(buffers);
}

static void feed(struct buffers *buffers)
{
    while (list_is_linked(&buffers->hungry) && has_idle(buffers))
        if (!feed_one(buffers))
            return;
}

struct buffers_share *buffers_join(struct buffers *buffers, struct span host)
{
    struct map_node *node = map_find(&buffers->shares, host);
    struct buffers_share *share = node ? MAP_ITEM(node, struct buffers_share, map_node) : NULL;

    if (!share) {
        share = alloc_zeroed(sizeof(*share));
        if (!share)
            return NULL;
        list_init(&share->waiters);
        list_init(&share->hungry_node);
        share->host = alloc_copy(host.data, host.len);
        if (!share->host || !map_put(&buffers->shares, &share->map_node, span_of(share->host))) {
            free(share->host);
            free(share);
            return NULL;
        }
    }
    if (share->connections++ == 0)
        buffers->active++;
    return share;
}

struct buffers_share *buffers_parking(struct buffers *buffers)
{
    return &buffers->parking;
}

void buffers_unpark(struct buffers *buffers, struct chunk *chunk)
{
    if (chunk->share != &buffers->parking)
        return;
    chunk->share = &buffers->momentary;
    buffers->parking.out_bytes -= chunk->size;
    buffers->momentary.out_bytes += chunk->size;
    feed(buffers);
}

void buffers_leave(struct buffers *buffers, struct buffers_share *share)
{
    if (!share)
        return;
    CHECK(share->connections > 0);
    if (--share->connections > 0)
        return;
    buffers->active--;
    share_free_if_idle(buffers, share);
    feed(buffers); /* the others' parts have grown */
}

/* --- the module ------------------------------------------------------------------------------ */

struct chunk *buffers_take(struct buffers *buffers, struct buffers_share *share, size_t bytes)
{
    unsigned index = size_index(bytes);
    struct chunk *chunk;

    if (!share)
        share = &buffers->momentary;
    else
        index = fair_index(buffers, share, index);
    while (index > 0 && !may_have(buffers, share, (size_t)CHUNK_BYTES_MIN << index))
        index--;
    if (!may_have(buffers, share, CHUNK_BYTES_MIN))
        return NULL;
    chunk = allocate(buffers, index);
    if (!chunk)
        return NULL;
    chunk->len = 0;
    chunk->share = share;
    share->out_bytes += chunk->size;
    buffers->out_bytes += chunk->size;
    buffers->out++;
    return chunk;
}

void buffers_give(struct buffers *buffers, struct chunk *chunk)
{
    struct buffers_share *share = chunk->share;

    CHECK(share && buffers->out > 0 && !chunk->idle && share->out_bytes >= chunk->size);
    buffers->out--;
    buffers->out_bytes -= chunk->size;
    share->out_bytes -= chunk->size;
    chunk->share = NULL;
    release(buffers, chunk);
    share_free_if_idle(buffers, share);
    feed(buffers);
}

size_t buffers_out(const struct buffers *buffers)
{
    return buffers->out;
}

bool buffers_scarce(const struct buffers *buffers)
{
    return buffers->out_bytes / 3 * 4 > buffers->region_max * CHUNK_BYTES_MAX;
}

void buffers_wait(struct buffers *buffers, struct buffers_share *share,
                  struct buffers_waiter *waiter)
{
    if (!share)
        share = &buffers->momentary;
    list_push_back(&share->waiters, &waiter->node);
    if (!list_is_linked(&share->hungry_node))
        list_push_back(&buffers->hungry, &share->hungry_node);
}

void buffers_unwait(struct buffers_waiter *waiter)
{
    list_remove(&waiter->node);
}

static struct buffers *create(size_t budget_bytes, uint64_t seed)
{
    struct buffers *buffers = alloc_zeroed(sizeof(*buffers));

    if (!buffers)
        return NULL;
    list_init(&buffers->regions);
    list_init(&buffers->hungry);
    list_init(&buffers->momentary.waiters);
    list_init(&buffers->momentary.hungry_node);
    list_init(&buffers->parking.waiters);
    list_init(&buffers->parking.hungry_node);
    map_init(&buffers->shares, seed);
    for (unsigned i = 0; i < SIZES; i++)
        list_init(&buffers->idle[i]);
    buffers->region_max = budget_bytes / CHUNK_BYTES_MAX;
    if (buffers->region_max < REGIONS_MIN)
        buffers->region_max = REGIONS_MIN;
    return buffers;
}

/* Some are there from the start: who waits for a chunk always waits for one that is out. */
static struct buffers *begin(struct buffers *buffers)
{
    while (buffers->region_count < REGIONS_MIN)
        if (!add_region(buffers)) {
            buffers_destroy(buffers);
            return NULL;
        }
    return buffers;
}

struct buffers *buffers_create(size_t budget_bytes, struct ring *ring, uint64_t seed)
{
    struct buffers *buffers = create(budget_bytes, seed);

    if (!buffers)
        return NULL;
    buffers->slab = map_memory(buffers->region_max * CHUNK_BYTES_MAX);
    if (!buffers->slab) {
        buffers_destroy(buffers);
        return NULL;
    }
    buffers->ring = ring;
    if (ring)
        ring_lend_memory(ring, buffers->slab, buffers->region_max * CHUNK_BYTES_MAX);
    return begin(buffers);
}

struct buffers *buffers_create_open(size_t budget_bytes)
{
    struct buffers *buffers = create(budget_bytes, 0);

    return buffers ? begin(buffers) : NULL;
}

void buffers_destroy(struct buffers *buffers)
{
    struct list *node;

    if (!buffers)
        return;
    CHECK(buffers->out == 0 && buffers->shares.count == 0);
    CHECK(!list_is_linked(&buffers->momentary.waiters));
    CHECK(!list_is_linked(&buffers->parking.waiters));
    list_remove(&buffers->momentary.hungry_node);
    list_remove(&buffers->parking.hungry_node);
    while ((node = list_pop_front(&buffers->regions))) {
        struct buffers_region *region = LIST_ITEM(node, struct buffers_region, node);

        if (!buffers->slab)
            munmap(region->units[0].data, CHUNK_BYTES_MAX);
        free(region);
    }
    if (buffers->ring)
        ring_take_memory_back(buffers->ring);
    if (buffers->slab)
        munmap(buffers->slab, buffers->region_max * CHUNK_BYTES_MAX);
    map_free(&buffers->shares);
    free(buffers);
}
