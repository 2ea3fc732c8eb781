/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A sorted array. Ranges come in order nearly always, next to one that is there. */
#include "base/extents.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

enum { CAPACITY_MIN = 8 };

static const struct extent *items_of(const struct extents *extents)
{
    return extents->more ? extents->more : extents->own;
}

static struct extent *writable_items_of(struct extents *extents)
{
    return extents->more ? extents->more : extents->own;
}

void extents_free(struct extents *extents)
{
    free(extents->more);
    *extents = (struct extents){0};
}

void extents_clear(struct extents *extents)
{
    extents->count = 0;
}

/* The first that ends at or behind `at`; count: none does. */
static size_t first_ending_from(const struct extents *extents, uint64_t at)
{
    const struct extent *items = items_of(extents);
    size_t low = 0, high = extents->count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (items[middle].to < at)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool reserve(struct extents *extents, size_t count)
{
    size_t capacity = extents->more ? extents->capacity : EXTENTS_OWN;
    struct extent *more;

    if (count <= capacity)
        return true;
    capacity = count < CAPACITY_MIN ? CAPACITY_MIN : count + count / 2;
    more = alloc_grow(extents->more, capacity, sizeof(*more));
    if (!more)
        return false;
    if (!extents->more)
        memcpy(more, extents->own, sizeof(extents->own));
    extents->more = more;
    extents->capacity = capacity;
    return true;
}

static bool insert(struct extents *extents, size_t index, struct extent extent)
{
    struct extent *items;

    if (!reserve(extents, extents->count + 1))
        return false;
    items = writable_items_of(extents);
    memmove(items + index + 1, items + index, (extents->count - index) * sizeof(*items));
    items[index] = extent;
    extents->count++;
    return true;
}

bool extents_add(struct extents *extents, uint64_t from, uint64_t to)
{
    struct extent *items = writable_items_of(extents);
    size_t first = first_ending_from(extents, from);
    size_t last = first;

    CHECK(from <= to);
    if (from == to)
        return true;
    while (last < extents->count && items[last].from <= to)
        last++;
    if (first == last)
        return insert(extents, first, (struct extent){from, to});
    /* It touches those from first to last, which become one. */
    if (from < items[first].from)
        items[first].from = from;
    items[first].to = items[last - 1].to > to ? items[last - 1].to : to;
    memmove(items + first + 1, items + last, (extents->count - last) * sizeof(*items));
    extents->count -= last - first - 1;
    return true;
}

bool extents_copy(struct extents *to, const struct extents *from)
{
    if (to == from)
        return true;
    if (!reserve(to, from->count))
        return false;
    memcpy(writable_items_of(to), items_of(from), from->count * sizeof(struct extent));
    to->count = from->count;
    return true;
}

bool extents_has(const struct extents *extents, uint64_t from, uint64_t to)
{
    struct extent hole;

    CHECK(from <= to);
    return !extents_hole(extents, from, to, &hole);
}

uint64_t extents_bytes(const struct extents *extents)
{
    const struct extent *items = items_of(extents);
    uint64_t bytes = 0;

    for (size_t i = 0; i < extents->count; i++)
        bytes += items[i].to - items[i].from;
    return bytes;
}

uint64_t extents_prefix(const struct extents *extents)
{
    const struct extent *items = items_of(extents);

    return extents->count > 0 && items[0].from == 0 ? items[0].to : 0;
}

bool extents_hole(const struct extents *extents, uint64_t from, uint64_t end, struct extent *hole)
{
    const struct extent *items = items_of(extents);
    size_t index = first_ending_from(extents, from);

    if (index < extents->count && items[index].from <= from) {
        from = items[index].to;
        index++;
    }
    if (from >= end)
        return false;
    hole->from = from;
    hole->to = index < extents->count && items[index].from < end ? items[index].from : end;
    return true;
}

size_t extents_count(const struct extents *extents)
{
    return extents->count;
}

struct extent extents_at(const struct extents *extents, size_t index)
{
    CHECK(index < extents->count);
    return items_of(extents)[index];
}
