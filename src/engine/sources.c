/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine/sources.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "http/url.h"

static size_t place_of(const struct source_speeds *speeds, uint64_t origin)
{
    size_t place = 0;

    while (place < SOURCE_SPEEDS &&
           (speeds->known[place].speed == 0 || speeds->known[place].origin != origin))
        place++;
    return place;
}

void source_speeds_learn(struct source_speeds *speeds, uint64_t origin, uint64_t speed)
{
    size_t place = place_of(speeds, origin);

    if (speed == 0)
        return;
    if (place == SOURCE_SPEEDS) {
        place = speeds->next;
        speeds->next = (speeds->next + 1) % SOURCE_SPEEDS;
        speeds->known[place].speed = speed;
    }
    speeds->known[place].origin = origin;
    speeds->known[place].speed = (speeds->known[place].speed + speed) / 2;
}

uint64_t source_speeds_of(const struct source_speeds *speeds, uint64_t origin)
{
    size_t place = place_of(speeds, origin);

    return place < SOURCE_SPEEDS ? speeds->known[place].speed : 0;
}

static bool add(struct sources *sources, const char *text, struct haul_error *error)
{
    struct source *source = &sources->all[sources->count];
    struct url url;

    if (!url_parse(&url, span_of(text), error))
        return false;
    source->origin = span_hash(url_origin(&url), 0);
    url_free(&url);
    source->url = alloc_copy(text, strlen(text));
    if (!source->url) {
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        return false;
    }
    sources->count++;
    return true;
}

bool sources_init(struct sources *sources, const char *url, const char *const *mirrors,
                  size_t mirror_count, struct haul_error *error)
{
    *sources = (struct sources){0};
    if (mirror_count == 0)
        return true; /* nothing to choose from: nothing to be kept */
    sources->all = alloc_grow(NULL, mirror_count + 1, sizeof(*sources->all));
    if (!sources->all) {
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        return false;
    }
    memset(sources->all, 0, (mirror_count + 1) * sizeof(*sources->all));
    if (!add(sources, url, error))
        return false;
    for (size_t i = 0; i < mirror_count; i++)
        if (!add(sources, mirrors[i], error))
            return false;
    return true;
}

void sources_free(struct sources *sources)
{
    for (unsigned i = 0; i < sources->count; i++)
        free(sources->all[i].url);
    free(sources->all);
    *sources = (struct sources){0};
}

static bool is_better(const struct source *a, const struct source *b,
                      const struct source_speeds *speeds, bool spread)
{
    if (a->refused != b->refused)
        return !a->refused;
    if (a->failures != b->failures)
        return a->failures < b->failures;
    if (spread && a->users != b->users)
        return a->users < b->users;
    return source_speeds_of(speeds, a->origin) > source_speeds_of(speeds, b->origin);
}

unsigned sources_best(const struct sources *sources, const struct source_speeds *speeds,
                      bool spread)
{
    unsigned best = 0;

    for (unsigned i = 1; i < sources->count; i++)
        if (is_better(&sources->all[i], &sources->all[best], speeds, spread))
            best = i;
    return best;
}

bool sources_left(const struct sources *sources)
{
    for (unsigned i = 0; i < sources->count; i++)
        if (!sources->all[i].refused)
            return true;
    return false;
}
