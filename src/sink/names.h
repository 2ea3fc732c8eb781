/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names that the downloads of one engine are writing to, directory by directory, so that two
 * downloads with one name get two names. Shared by the engine's workers, each of which has its own
 * descriptors: what two of them know by one path is one place here. Any thread; one lock, held for
 * a few comparisons at a time.
 */
#ifndef SINK_NAMES_H
#define SINK_NAMES_H

#include <stdbool.h>
#include <stdint.h>

#include "base/map.h"
#include "base/span.h"

struct names;

/* The names of one directory. */
struct names_place {
    struct map_node node;
    struct names *names;
    unsigned users;
    struct map taken;
    struct map hints; /* names that many files have wanted: where the free numbers begin */
    char path[];
};

/* seed: of the maps; 64 random bits. NULL: out of memory. */
struct names *names_create(uint64_t seed);
void names_destroy(struct names *names); /* no place is open any more: CHECKed */
/* The place of a path, as long as it is until names_close(). NULL: out of memory. */
struct names_place *names_open(struct names *names, struct span path);
void names_close(struct names_place *place);

/* Whoever reads or changes what follows, and the names of file sinks, holds the lock. */
void names_lock(struct names *names);
void names_unlock(struct names *names);
/* True: *taken tells whether the name is the caller's now, until names_give(); its bytes stay
 * until then. False: out of memory. */
bool names_take(struct names_place *place, struct map_node *node, struct span name, bool *taken);
void names_give(struct names_place *place, struct map_node *node);
/* From which number on a name is likely to be free; 0 if nothing is known. To be told what number a
 * name got in the end. A hint only, so that thousands of files of one name don't try all numbers.
 */
unsigned names_free_number(const struct names_place *place, struct span name);
void names_note_number(struct names_place *place, struct span name, unsigned number);

#endif
