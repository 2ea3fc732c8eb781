/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A binary heap of nodes that stand in the objects they order: smallest key first. */
#ifndef BASE_HEAP_H
#define BASE_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/check.h"

struct heap_node {
    uint64_t key;
    size_t place; /* 1-based; 0: in no heap */
};

struct heap {
    struct heap_node **nodes;
    size_t count;
    size_t capacity;
};

#define HEAP_ITEM(node, type, member) CONTAINER_OF(node, type, member)

/* A zeroed struct heap is an empty one. heap_free() gives back the array, not the nodes. */
void heap_free(struct heap *heap);
/* Makes room for `capacity` nodes; false: out of memory. heap_put() then can't fail. */
bool heap_reserve(struct heap *heap, size_t capacity);
/* Puts in, or moves to a new key. Room must have been reserved. */
void heap_put(struct heap *heap, struct heap_node *node, uint64_t key);
void heap_remove(struct heap *heap, struct heap_node *node); /* allowed when it is in none */
struct heap_node *heap_first(const struct heap *heap);       /* NULL: empty */

#endif
