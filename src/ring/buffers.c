/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Chunks are mapped one by one as they are first needed, and kept. A chunk that comes back goes to
 * the first waiter before anybody else can take it.
 */
#include "ring/buffers.h"

#include <stdbool.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "base/alloc.h"
#include "base/check.h"

struct buffers {
    struct list idle;
    struct list waiters;
    size_t mapped;
    size_t out;
    size_t max;
    size_t chunk_bytes;
    bool firm;
};

static struct chunk *map_chunk(struct buffers *buffers)
{
    struct chunk *chunk = alloc_zeroed(sizeof(*chunk));
    void *data;

    if (!chunk)
        return NULL;
    data = mmap(NULL, buffers->chunk_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                0);
    if (data == MAP_FAILED) {
        free(chunk);
        return NULL;
    }
    chunk->data = data;
    chunk->size = buffers->chunk_bytes;
    list_init(&chunk->node);
    buffers->mapped++;
    return chunk;
}

struct buffers *buffers_create(size_t budget_bytes, size_t chunk_bytes, bool firm)
{
    struct buffers *buffers = alloc_zeroed(sizeof(*buffers));

    if (!buffers)
        return NULL;
    list_init(&buffers->idle);
    list_init(&buffers->waiters);
    buffers->chunk_bytes = chunk_bytes;
    buffers->firm = firm;
    buffers->max = budget_bytes / chunk_bytes;
    if (buffers->max < 2)
        buffers->max = 2;
    /* Two are there from the start: who waits for a chunk always waits for one that is out. */
    while (buffers->mapped < 2) {
        struct chunk *chunk = map_chunk(buffers);

        if (!chunk) {
            buffers_destroy(buffers);
            return NULL;
        }
        list_push_back(&buffers->idle, &chunk->node);
    }
    return buffers;
}

void buffers_destroy(struct buffers *buffers)
{
    struct list *node;

    if (!buffers)
        return;
    CHECK(buffers->out == 0 && !list_is_linked(&buffers->waiters));
    while ((node = list_pop_front(&buffers->idle))) {
        struct chunk *chunk = LIST_ITEM(node, struct chunk, node);

        munmap(chunk->data, chunk->size);
        free(chunk);
    }
    free(buffers);
}

struct chunk *buffers_take(struct buffers *buffers)
{
    struct list *node = list_pop_front(&buffers->idle);
    struct chunk *chunk = NULL;

    if (node)
        chunk = LIST_ITEM(node, struct chunk, node);
    else if (!buffers->firm || buffers->mapped < buffers->max)
        chunk = map_chunk(buffers);
    if (!chunk)
        return NULL;
    chunk->len = 0;
    buffers->out++;
    return chunk;
}

void buffers_give(struct buffers *buffers, struct chunk *chunk)
{
    struct list *node;

    CHECK(buffers->out > 0);
    buffers->out--;
    /* The last one in is the first one out: its pages are still in the cache. */
    list_push_front(&buffers->idle, &chunk->node);
    node = list_pop_front(&buffers->waiters);
    if (node) {
        struct buffers_waiter *waiter = LIST_ITEM(node, struct buffers_waiter, node);

        waiter->ready(waiter);
    }
}

size_t buffers_out(const struct buffers *buffers)
{
    return buffers->out;
}

bool buffers_scarce(const struct buffers *buffers)
{
    return buffers->out * 2 > buffers->max;
}

void buffers_wait(struct buffers *buffers, struct buffers_waiter *waiter)
{
    list_push_back(&buffers->waiters, &waiter->node);
}

void buffers_unwait(struct buffers_waiter *waiter)
{
    list_remove(&waiter->node);
}
