/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Chunks: the buffers that bodies travel in, from the socket to the file. They are the credit of
 * the whole data path: who has no chunk, receives nothing. Mapped memory, page-aligned, of sizes
 * from 32 KiB to 1 MiB, used over and over.
 *
 * Who takes chunks for a host does so in the host's share: while several hosts have bodies under
 * way, none of them may hold more than its part of the budget, and what it holds is dealt out
 * among its connections. Nobody who waits is passed over for good, for hosts take turns.
 */
#ifndef RING_BUFFERS_H
#define RING_BUFFERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "base/span.h"

enum { CHUNK_BYTES_MIN = 32 * 1024, CHUNK_BYTES_MAX = 1024 * 1024 };

struct ring;
struct buffers;
struct buffers_region;
struct buffers_share;

struct chunk {
    struct list node; /* of whoever holds it */
    char *data;       /* page-aligned */
    size_t size;      /* of data */
    size_t len;       /* in use */
    /* private from here */
    struct buffers_region *region;
    struct buffers_share *share;
    bool idle; /* in a free list; of a chunk that was split: the first half */
};

/* Never more than the budget, but at least two of the largest chunks. Writes of these chunks by
 * ring_write() past the page cache go without pinning their pages each time; ring is NULL or
 * outlives the buffers. NULL: out of memory. */
struct buffers *buffers_create(size_t budget_bytes, struct ring *ring, uint64_t seed);
/* The budget only tells when chunks are scarce. */
struct buffers *buffers_create_open(size_t budget_bytes);
void buffers_destroy(struct buffers *buffers); /* CHECKs that every chunk is back */

/*
 * A chunk of `bytes`, rounded up to a power of two, or of less if less is what the share may have
 * now. NULL: nothing is left, or the host has its part: wait. share: NULL stands for what is taken
 * for a moment only, before a host is known to need more; it is not bounded.
 */
struct chunk *buffers_take(struct buffers *buffers, struct buffers_share *share, size_t bytes);
void buffers_give(struct buffers *buffers, struct chunk *chunk);
size_t buffers_out(const struct buffers *buffers); /* chunks */
/* Whether more than three quarters of the budget are handed out, which busy connections alone don't
 * need: time to hold none while merely waiting, and to pass on what there is. */
bool buffers_scarce(const struct buffers *buffers);

/*
 * The share of all who may come to keep their first chunk while they wait for others to end, who
 * need chunks for that: it is three quarters of the budget, so that those others always go on. It
 * is never left. buffers_unpark(): the chunk's holder waits for nothing but bytes any more; it
 * counts as taken without a share.
 */
struct buffers_share *buffers_parking(struct buffers *buffers);
void buffers_unpark(struct buffers *buffers, struct chunk *chunk);

/* The share of a host (any string that names it; copied), for one more connection. NULL: out of
 * memory; the connection then does without. */
struct buffers_share *buffers_join(struct buffers *buffers, struct span host);
/* The connection needs no more; what it still holds may come back later. NULL is allowed. */
void buffers_leave(struct buffers *buffers, struct buffers_share *share);

/* `ready` is called once, from buffers_give(), buffers_leave() or buffers_unpark(), when the waiter
 * may take a chunk; it may take, but not give. */
struct buffers_waiter {
    struct list node;
    void (*ready)(struct buffers_waiter *waiter);
};
void buffers_wait(struct buffers *buffers, struct buffers_share *share,
                  struct buffers_waiter *waiter);
void buffers_unwait(struct buffers_waiter *waiter);

#endif
