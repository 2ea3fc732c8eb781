/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Allocation. A failure comes back as NULL and is an operating error (HAUL_OUT_OF_MEMORY). */
#ifndef BASE_ALLOC_H
#define BASE_ALLOC_H

#include <stddef.h>

/* Zeroed memory, or NULL; the caller owns it and gives it back with free(). */
void *alloc_zeroed(size_t bytes);
/* A copy of len bytes with a NUL behind them, or NULL; owned by the caller. */
char *alloc_copy(const char *data, size_t len);
/* realloc() for count items of item_bytes each, with the product checked. */
void *alloc_grow(void *old, size_t count, size_t item_bytes);
/* free() for a string that nobody is to find in memory that is used again; NULL is allowed. */
void alloc_forget(char *secret);

#endif
