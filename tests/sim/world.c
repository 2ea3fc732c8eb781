/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/span.h"
#include "base/wheel.h"

enum { EXIT_VIOLATION = 1 };

struct world *world_now;

struct world *world_create(uint64_t seed, bool verbose)
{
    struct world *world = alloc_zeroed(sizeof(*world));

    CHECK(world && heap_reserve(&world->events, WORLD_EVENTS_MAX));
    world->seed = seed;
    world->verbose = verbose;
    world->now_ns = 1000 * (uint64_t)NS_PER_S;
    world->order = dice_make(seed, 1);
    world->library = dice_make(seed, 2);
    list_init(&world->disk_calls);
    return world;
}

void world_destroy(struct world *world)
{
    CHECK(!heap_first(&world->events) && !list_is_linked(&world->disk_calls));
    heap_free(&world->events);
    free(world);
}

/* --- what has happened ----------------------------------------------------------------------- */

static void mix(struct world *world, uint64_t value)
{
    world->trace = dice_mix(world->trace + value + UINT64_C(0x9e3779b97f4a7c15));
}

static void show_time(const struct world *world)
{
    printf("%14.6f  ", (double)world->now_ns / (double)NS_PER_S - 1000);
}

void world_trace(struct world *world, const char *what, uint64_t a, uint64_t b, uint64_t c)
{
    mix(world, (uint64_t)(unsigned char)what[0] << 8 | (unsigned char)what[1]);
    mix(world, world->now_ns);
    mix(world, a);
    mix(world, b ^ c << 32);
    if (!world->verbose)
        return;
    show_time(world);
    printf("%s %lld %lld %lld\n", what, (long long)a, (long long)b, (long long)c);
}

void world_trace_text(struct world *world, const char *what, const char *text, uint64_t a)
{
    mix(world, span_hash(span_of(text), 0));
    mix(world, a);
    if (!world->verbose)
        return;
    show_time(world);
    printf("%s %s %lld\n", what, text, (long long)a);
}

void world_show(const struct world *world, const char *line)
{
    if (!world->verbose)
        return;
    show_time(world);
    puts(line);
}

void world_fail(struct world *world, const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fprintf(stderr, "seed %llu: ", (unsigned long long)world->seed);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, " (at %.6f s)\n", (double)world->now_ns / (double)NS_PER_S - 1000);
    fflush(stderr);
    _exit(EXIT_VIOLATION);
}

/* --- what is to happen ----------------------------------------------------------------------- */

void event_init(struct event *event, struct world *world, void (*happen)(struct event *event))
{
    *event = (struct event){.world = world, .happen = happen};
}

void event_start(struct event *event, uint64_t delay_ns)
{
    CHECK(event->world->events.count < WORLD_EVENTS_MAX);
    heap_put(&event->world->events, &event->node, event->world->now_ns + delay_ns);
}

void event_stop(struct event *event)
{
    heap_remove(&event->world->events, &event->node);
}

bool event_waits(const struct event *event)
{
    return event->node.place != 0;
}

uint64_t world_next_ns(const struct world *world)
{
    const struct heap_node *first = heap_first(&world->events);

    return first ? first->key : UINT64_MAX;
}

void world_go_on(struct world *world, uint64_t until_ns)
{
    struct heap_node *first;

    if (until_ns > world->now_ns)
        world->now_ns = until_ns;
    while ((first = heap_first(&world->events)) && first->key <= world->now_ns) {
        struct event *event = HEAP_ITEM(first, struct event, node);

        event_stop(event);
        world->happened++;
        event->happen(event);
    }
}
