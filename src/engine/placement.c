/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How many idle connections each worker has to an origin stands in a table that the origin's hash
 * points into. Two origins in one place push each other out, which costs a preference and nothing
 * else. Connections that were closed meanwhile are forgotten as soon as a request that went there
 * for their sake has found none.
 */
#include "engine/placement.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/check.h"

enum { PLACES = 1024, LOAD_SLACK = 4 };

struct placement {
    unsigned worker_count;
    uint64_t origins[PLACES]; /* which one each place is about */
    uint8_t *idle;    /* connections to it: a row for each place, a column for each worker */
    unsigned loads[]; /* requests under way, by worker */
};

struct placement *placement_create(unsigned worker_count)
{
    struct placement *placement =
        alloc_zeroed(sizeof(*placement) + worker_count * sizeof(placement->loads[0]));

    CHECK(worker_count > 0);
    if (!placement)
        return NULL;
    placement->worker_count = worker_count;
    placement->idle = alloc_zeroed((size_t)PLACES * worker_count);
    if (placement->idle)
        return placement;
    free(placement);
    return NULL;
}

void placement_destroy(struct placement *placement)
{
    if (!placement)
        return;
    for (unsigned i = 0; i < placement->worker_count; i++)
        CHECK(placement->loads[i] == 0);
    free(placement->idle);
    free(placement);
}

static size_t place_of(uint64_t origin)
{
    return (size_t)(origin % PLACES);
}

static uint8_t *idle_at(const struct placement *placement, uint64_t origin)
{
    return placement->idle + place_of(origin) * placement->worker_count;
}

/* So much less to do that a new connection there is better than waiting here for an old one. */
static bool is_overloaded(unsigned load, unsigned least)
{
    return load > least + least / 4 + LOAD_SLACK;
}

unsigned placement_choose(const struct placement *placement, uint64_t origin)
{
    const uint8_t *idle =
        placement->origins[place_of(origin)] == origin ? idle_at(placement, origin) : NULL;
    const unsigned *loads = placement->loads;
    unsigned count = placement->worker_count;
    unsigned least = 0, warm = count;

    for (unsigned i = 0; i < count; i++) {
        if (loads[i] < loads[least])
            least = i;
        if (idle && idle[i] > 0 && (warm == count || loads[i] < loads[warm]))
            warm = i;
    }
    return warm < count && !is_overloaded(loads[warm], loads[least]) ? warm : least;
}

bool placement_begin(struct placement *placement, unsigned worker, uint64_t origin)
{
    uint8_t *idle = idle_at(placement, origin) + worker;

    placement->loads[worker]++;
    if (placement->origins[place_of(origin)] != origin || *idle == 0)
        return false;
    --*idle;
    return true;
}

unsigned placement_spare(struct placement *placement, uint64_t origin)
{
    uint8_t *idle = idle_at(placement, origin);

    if (placement->origins[place_of(origin)] != origin)
        return placement->worker_count;
    for (unsigned i = 0; i < placement->worker_count; i++) {
        if (idle[i] == 0)
            continue;
        idle[i]--;
        return i;
    }
    return placement->worker_count;
}

void placement_end(struct placement *placement, unsigned worker, uint64_t origin, bool missed,
                   bool kept)
{
    uint8_t *idle = idle_at(placement, origin);

    CHECK(placement->loads[worker] > 0);
    placement->loads[worker]--;
    if (placement->origins[place_of(origin)] != origin) {
        if (!kept)
            return;
        placement->origins[place_of(origin)] = origin;
        for (unsigned i = 0; i < placement->worker_count; i++)
            idle[i] = 0;
    }
    if (missed)
        idle[worker] = 0;
    if (kept && idle[worker] < UINT8_MAX)
        idle[worker]++;
}
