/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/map.h"

#include <stdlib.h>

#include "base/alloc.h"

static struct map_node **bucket_of(const struct map *map, uint64_t hash)
{
    return &map->buckets[hash & (map->bucket_count - 1)];
}

static bool grow(struct map *map)
{
    size_t bucket_count = map->bucket_count ? map->bucket_count * 2 : 16;
    struct map_node **old = map->buckets;
    size_t old_count = map->bucket_count;
    struct map_node **buckets = alloc_zeroed(bucket_count * sizeof(*buckets));

    if (!buckets)
        return false;
    map->buckets = buckets;
    map->bucket_count = bucket_count;
    for (size_t i = 0; i < old_count; i++) {
        struct map_node *node = old[i];

        while (node) {
            struct map_node *next = node->next;
            struct map_node **bucket = bucket_of(map, node->hash);

            node->next = *bucket;
            *bucket = node;
            node = next;
        }
    }
    free(old);
    return true;
}

void map_init(struct map *map, uint64_t seed)
{
    *map = (struct map){.seed = seed};
}

void map_free(struct map *map)
{
    free(map->buckets);
    map_init(map, map->seed);
}

struct map_node *map_find(const struct map *map, struct span key)
{
    uint64_t hash = span_hash(key, map->seed);

    if (map->bucket_count == 0)
        return NULL;
    for (struct map_node *node = *bucket_of(map, hash); node; node = node->next)
        if (node->hash == hash && span_equal(node->key, key))
            return node;
    return NULL;
}

bool map_put(struct map *map, struct map_node *node, struct span key)
{
    struct map_node **bucket;

    if (map->count >= map->bucket_count && !grow(map))
        return false;
    node->key = key;
    node->hash = span_hash(key, map->seed);
    bucket = bucket_of(map, node->hash);
    node->next = *bucket;
    *bucket = node;
    map->count++;
    return true;
}

void map_remove(struct map *map, struct map_node *node)
{
    struct map_node **link = bucket_of(map, node->hash);

    while (*link != node) {
        CHECK(*link);
        link = &(*link)->next;
    }
    *link = node->next;
    node->next = NULL;
    map->count--;
}

struct map_node *map_any(const struct map *map)
{
    for (size_t i = 0; i < map->bucket_count; i++)
        if (map->buckets[i])
            return map->buckets[i];
    return NULL;
}
