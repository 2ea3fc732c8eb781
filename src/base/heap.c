/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/heap.h"

#include <stdlib.h>

#include "base/alloc.h"

static void set(struct heap *heap, size_t place, struct heap_node *node)
{
    heap->nodes[place - 1] = node;
    node->place = place;
}

static struct heap_node *get(const struct heap *heap, size_t place)
{
    return heap->nodes[place - 1];
}

static void sift_up(struct heap *heap, struct heap_node *node)
{
    size_t place = node->place;

    while (place > 1 && get(heap, place / 2)->key > node->key) {
        set(heap, place, get(heap, place / 2));
        place /= 2;
    }
    set(heap, place, node);
}

static void sift_down(struct heap *heap, struct heap_node *node)
{
    size_t place = node->place;

    for (;;) {
        size_t child = place * 2;

        if (child > heap->count)
            break;
        if (child < heap->count && get(heap, child + 1)->key < get(heap, child)->key)
            child++;
        if (get(heap, child)->key >= node->key)
            break;
        set(heap, place, get(heap, child));
        place = child;
    }
    set(heap, place, node);
}

void heap_free(struct heap *heap)
{
    free(heap->nodes);
    *heap = (struct heap){0};
}

bool heap_reserve(struct heap *heap, size_t capacity)
{
    size_t grown = heap->capacity ? heap->capacity : 16;
    struct heap_node **nodes;

    if (capacity <= heap->capacity)
        return true;
    while (grown < capacity)
        grown *= 2;
    nodes = alloc_grow(heap->nodes, grown, sizeof(struct heap_node *));
    if (!nodes)
        return false;
    heap->nodes = nodes;
    heap->capacity = grown;
    return true;
}

void heap_put(struct heap *heap, struct heap_node *node, uint64_t key)
{
    if (node->place == 0) {
        CHECK(heap->count < heap->capacity);
        set(heap, ++heap->count, node);
    }
    node->key = key;
    sift_up(heap, node);
    sift_down(heap, node);
}

void heap_remove(struct heap *heap, struct heap_node *node)
{
    size_t place = node->place;
    struct heap_node *last;

    if (place == 0)
        return;
    CHECK(get(heap, place) == node);
    last = get(heap, heap->count--);
    node->place = 0;
    if (last == node)
        return;
    set(heap, place, last);
    sift_up(heap, last);
    sift_down(heap, last);
}

struct heap_node *heap_first(const struct heap *heap)
{
    return heap->count > 0 ? heap->nodes[0] : NULL;
}
