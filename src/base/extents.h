/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which bytes of a file are there: disjoint ranges, in order, that neither overlap nor touch. A
 * download has one or two of them for most of its life, for which nothing is allocated.
 */
#ifndef BASE_EXTENTS_H
#define BASE_EXTENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { EXTENTS_OWN = 2 };

/* From `from` up to, but not including, `to`. */
struct extent {
    uint64_t from;
    uint64_t to;
};

/* A zeroed struct extents is the empty set. It may be moved, but copied only by extents_copy(). */
struct extents {
    struct extent own[EXTENTS_OWN];
    struct extent *more; /* owned here; NULL: `own` holds them */
    size_t count;
    size_t capacity; /* of more */
};

void extents_free(struct extents *extents);  /* leaves the empty set */
void extents_clear(struct extents *extents); /* keeps the memory */
/* from <= to; what is in the set already may be added again. False: out of memory, nothing
 * changed. */
bool extents_add(struct extents *extents, uint64_t from, uint64_t to);
/* Makes *to equal to `from`. False: out of memory, *to is as before. */
bool extents_copy(struct extents *to, const struct extents *from);
/* Whether all of it is there; of nothing, all is. */
bool extents_has(const struct extents *extents, uint64_t from, uint64_t to);
uint64_t extents_bytes(const struct extents *extents);
/* Where the extent that begins at 0 ends; 0: there is none. */
uint64_t extents_prefix(const struct extents *extents);
/* The first range at or behind `from` and below `end` that is not there, as long as it is. False:
 * there is none. */
bool extents_hole(const struct extents *extents, uint64_t from, uint64_t end, struct extent *hole);
size_t extents_count(const struct extents *extents);
struct extent extents_at(const struct extents *extents, size_t index);

#endif
