/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A hash map with a string key, of nodes that stand in the objects they find. The key's bytes
 * belong to the object and must not change while it is in the map. Chained, so that a node never
 * moves; the seed keeps keys that a server chose from being made to collide.
 */
#ifndef BASE_MAP_H
#define BASE_MAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"
#include "base/span.h"

struct map_node {
    struct map_node *next;
    struct span key;
    uint64_t hash;
};

struct map {
    struct map_node **buckets;
    size_t bucket_count; /* a power of two, or 0 before the first map_put() */
    size_t count;
    uint64_t seed;
};

#define MAP_ITEM(node, type, member) CONTAINER_OF(node, type, member)

void map_init(struct map *map, uint64_t seed);
void map_free(struct map *map); /* the array, not the nodes */
struct map_node *map_find(const struct map *map, struct span key);
/* The key must not be in the map yet. False: out of memory, nothing changed. */
bool map_put(struct map *map, struct map_node *node, struct span key);
void map_remove(struct map *map, struct map_node *node); /* it must be in the map */
/* Any one node, to empty a map; NULL: empty. */
struct map_node *map_any(const struct map *map);

#endif
