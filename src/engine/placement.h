/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which of several workers gets a request: one that is likely to have an idle connection to its
 * origin, unless it has much more to do than others; else the one with the least to do. Pure. What
 * it knows of connections is a guess from what has been; to guess wrong costs a connection.
 */
#ifndef ENGINE_PLACEMENT_H
#define ENGINE_PLACEMENT_H

#include <stdbool.h>
#include <stdint.h>

struct placement;

/* NULL: out of memory. */
struct placement *placement_create(unsigned worker_count);
void placement_destroy(struct placement *placement); /* NULL is allowed */
/* The number of a worker for a request to an origin (any hash of it). */
unsigned placement_choose(const struct placement *placement, uint64_t origin);
/* The worker gets a request, whether it was chosen here or not. True: it is expected to find an
 * idle connection. */
bool placement_begin(struct placement *placement, unsigned worker, uint64_t origin);
/* Another worker, whose idle connection to the origin is to be closed for one that is about to be
 * made: it is not counted any more. worker_count: there is none. */
unsigned placement_spare(struct placement *placement, uint64_t origin);
/* The worker has ended a request. missed: there was no connection where one was expected; kept: it
 * has put one aside. */
void placement_end(struct placement *placement, unsigned worker, uint64_t origin, bool missed,
                   bool kept);

#endif
