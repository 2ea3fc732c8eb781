/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Chunks: the buffers that bodies travel in, from the socket to the file. They are the credit of
 * the whole data path: who has no chunk, receives nothing. Mapped memory, page-aligned, used over
 * and over.
 */
#ifndef RING_BUFFERS_H
#define RING_BUFFERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

struct chunk {
    struct list node; /* of whoever holds it */
    char *data;       /* page-aligned */
    size_t size;      /* of data */
    size_t len;       /* in use */
};

struct buffers;

/* Chunks of chunk_bytes each, at least two. firm: at most budget_bytes of them; else the budget
 * only tells when they are scarce. NULL: out of memory. */
struct buffers *buffers_create(size_t budget_bytes, size_t chunk_bytes, bool firm);
void buffers_destroy(struct buffers *buffers); /* CHECKs that every chunk is back */
/* NULL: the budget is used up, or memory is; wait for a chunk to come back. */
struct chunk *buffers_take(struct buffers *buffers);
void buffers_give(struct buffers *buffers, struct chunk *chunk);
size_t buffers_out(const struct buffers *buffers);
/* Whether more than half of the budget is handed out: time to hold none while merely waiting. */
bool buffers_scarce(const struct buffers *buffers);
/* Is called by buffers_give() for the first waiter, who can then take a chunk. */
struct buffers_waiter {
    struct list node;
    void (*ready)(struct buffers_waiter *waiter);
};
void buffers_wait(struct buffers *buffers, struct buffers_waiter *waiter);
void buffers_unwait(struct buffers_waiter *waiter);

#endif
