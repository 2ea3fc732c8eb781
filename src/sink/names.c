/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A place is in the map from its first names_open() to its last names_close(). */
#include "sink/names.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

enum { HINTS_MAX = 1000, HINT_FROM = 8 };

struct hint {
    struct map_node node;
    unsigned number;
    char name[];
};

struct names {
    pthread_mutex_t lock;
    uint64_t seed;
    struct map places;
};

struct names *names_create(uint64_t seed)
{
    struct names *names = alloc_zeroed(sizeof(*names));

    if (!names)
        return NULL;
    pthread_mutex_init(&names->lock, NULL);
    names->seed = seed;
    map_init(&names->places, seed);
    return names;
}

void names_destroy(struct names *names)
{
    if (!names)
        return;
    CHECK(names->places.count == 0);
    map_free(&names->places);
    pthread_mutex_destroy(&names->lock);
    free(names);
}

void names_lock(struct names *names)
{
    CHECK(pthread_mutex_lock(&names->lock) == 0);
}

void names_unlock(struct names *names)
{
    CHECK(pthread_mutex_unlock(&names->lock) == 0);
}

static struct names_place *place_make(struct names *names, struct span path)
{
    struct names_place *place = alloc_zeroed(sizeof(*place) + path.len + 1);

    if (!place)
        return NULL;
    memcpy(place->path, path.data, path.len);
    if (!map_put(&names->places, &place->node, span_make(place->path, path.len))) {
        free(place);
        return NULL;
    }
    place->names = names;
    map_init(&place->taken, names->seed);
    map_init(&place->hints, names->seed);
    return place;
}

struct names_place *names_open(struct names *names, struct span path)
{
    struct names_place *place;
    struct map_node *node;

    names_lock(names);
    node = map_find(&names->places, path);
    place = node ? MAP_ITEM(node, struct names_place, node) : place_make(names, path);
    if (place)
        place->users++;
    names_unlock(names);
    return place;
}

static void drop_hints(struct names_place *place)
{
    struct map_node *node;

    while ((node = map_any(&place->hints))) {
        map_remove(&place->hints, node);
        free(MAP_ITEM(node, struct hint, node));
    }
}

void names_close(struct names_place *place)
{
    struct names *names = place->names;

    names_lock(names);
    CHECK(place->users > 0);
    if (--place->users == 0) {
        CHECK(place->taken.count == 0);
        map_remove(&names->places, &place->node);
        map_free(&place->taken);
        drop_hints(place);
        map_free(&place->hints);
        free(place);
    }
    names_unlock(names);
}

bool names_take(struct names_place *place, struct map_node *node, struct span name, bool *taken)
{
    *taken = !map_find(&place->taken, name);
    if (!*taken)
        return true;
    *taken = map_put(&place->taken, node, name);
    return *taken;
}

void names_give(struct names_place *place, struct map_node *node)
{
    map_remove(&place->taken, node);
}

static struct hint *find_hint(const struct names_place *place, struct span name)
{
    struct map_node *node = map_find(&place->hints, name);

    return node ? MAP_ITEM(node, struct hint, node) : NULL;
}

unsigned names_free_number(const struct names_place *place, struct span name)
{
    const struct hint *hint = find_hint(place, name);

    return hint ? hint->number : 0;
}

void names_note_number(struct names_place *place, struct span name, unsigned number)
{
    struct hint *hint = find_hint(place, name);

    if (hint) {
        if (number > hint->number)
            hint->number = number;
        return;
    }
    if (number < HINT_FROM)
        return;
    if (place->hints.count >= HINTS_MAX)
        drop_hints(place);
    hint = alloc_zeroed(sizeof(*hint) + name.len);
    if (!hint)
        return;
    hint->number = number;
    memcpy(hint->name, name.data, name.len);
    if (!map_put(&place->hints, &hint->node, span_make(hint->name, name.len)))
        free(hint);
}
