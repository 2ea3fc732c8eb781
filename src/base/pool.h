/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Objects of one size that are used over and over: what is given back is kept for the next one,
 * so that a steady state allocates nothing. Counts what is out, so that a leak shows at the end.
 */
#ifndef BASE_POOL_H
#define BASE_POOL_H

#include <stddef.h>

struct pool {
    size_t object_bytes;
    size_t out;  /* handed out and not yet back */
    size_t kept; /* waiting here */
    size_t kept_max;
    void *first;
};

void pool_init(struct pool *pool, size_t object_bytes, size_t kept_max);
/* Zeroed memory, or NULL: out of memory. */
void *pool_take(struct pool *pool);
void pool_give(struct pool *pool, void *object);
/* CHECKs that every object is back, then frees them. */
void pool_free(struct pool *pool);

#endif
