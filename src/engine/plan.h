/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which part of a file a further connection is to fetch: what nobody is at, or a part of what the
 * one that would be last to end still has before it. Pure.
 */
#ifndef ENGINE_PLAN_H
#define ENGINE_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/extents.h"

/* Where ranges are cut. */
enum { PLAN_BLOCK_BYTES = 64 * 1024 };

/* A connection at work. */
struct plan_part {
    uint64_t at;    /* how far it has come */
    uint64_t to;    /* where its range ends */
    uint64_t speed; /* bytes per second; 0: not known yet */
};

struct plan {
    const struct plan_part *parts;
    size_t part_count;
    uint64_t bytes_min; /* worth a connection */
    unsigned coming;    /* connections that will ask after this one, as far as is known */
    uint64_t speed;     /* that this one is likely to have; 0: as the others */
};

/* The part of `range` that nobody is at yet, to be divided among this connection and those that
 * come; a range that is not worth dividing is given whole. */
struct extent plan_hole(const struct plan *plan, struct extent range);
/* Takes the end of somebody's range: *victim is the index of whoever is to stop at part->from.
 * False: nobody has as much before it as would be worth it. */
bool plan_split(const struct plan *plan, struct extent *part, size_t *victim);
/* How many connections a file with so many bytes missing is worth, `most` at most. */
unsigned plan_connections(uint64_t missing_bytes, uint64_t bytes_min, unsigned most);

#endif
