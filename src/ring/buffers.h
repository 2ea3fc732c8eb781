/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Chunks: the buffers that bodies travel in, from the socket to the file. They are the credit of
 * the whole data path: who has no chunk, receives nothing. Cut from mapped memory, page-aligned,
 * used over and over.
 */
#ifndef RING_BUFFERS_H
#define RING_BUFFERS_H

#include <stddef.h>

#include "base/list.h"

enum { CHUNK_BYTES = 256 * 1024 };

struct chunk {
    struct list node; /* of whoever holds it */
    char *data;       /* CHUNK_BYTES, page-aligned */
    size_t len;       /* in use */
};

struct buffers;

/* NULL: out of memory. */
struct buffers *buffers_create(size_t budget_bytes);
void buffers_destroy(struct buffers *buffers); /* CHECKs that every chunk is back */
/* NULL: the budget is used up, or memory is; wait for a chunk to come back. */
struct chunk *buffers_take(struct buffers *buffers);
void buffers_give(struct buffers *buffers, struct chunk *chunk);
size_t buffers_out(const struct buffers *buffers);
/* Is called by buffers_give() for the first waiter, who can then take a chunk. */
struct buffers_waiter {
    struct list node;
    void (*ready)(struct buffers_waiter *waiter);
};
void buffers_wait(struct buffers *buffers, struct buffers_waiter *waiter);
void buffers_unwait(struct buffers_waiter *waiter);

#endif
