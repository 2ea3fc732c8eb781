/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The world that a simulated process lives in: its time, which goes on only from one event to the
 * next, what is to happen, and the trace of what has happened. One world for a seed.
 */
#ifndef TESTS_SIM_WORLD_H
#define TESTS_SIM_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "base/heap.h"
#include "base/list.h"
#include "tests/sim/dice.h"

struct disk;
struct net;
struct ring;
struct world;

enum { WORLD_EVENTS_MAX = 1 << 14 };

/* Something that is to happen; stands in the object that it happens to. */
struct event {
    struct heap_node node;
    struct world *world;
    void (*happen)(struct event *event);
};

/* How often things go wrong, in a thousand. All zero: never. */
struct faults {
    unsigned response; /* one of the network or the server, a response */
    unsigned connect;
    unsigned resolve;
    unsigned disk;  /* a call */
    unsigned sync;  /* a sync */
    unsigned close; /* of a file with something to write back */
    unsigned descriptors;
    uint64_t disk_call; /* not how often: the one that fails, counted from 1; 0: none */
    unsigned slow;      /* what could be done at once takes its time */
};

enum crash {
    CRASH_NONE,
    CRASH_KILL, /* the process is gone; what it has written is there */
    CRASH_POWER /* the machine is: what was not synced may be there or not */
};

/* What has come up: a simulator in which nothing happens would find nothing. */
struct counts {
    uint64_t lives;
    uint64_t kills;
    uint64_t power_losses;
    uint64_t stops;
    uint64_t done;
    uint64_t failed;
    uint64_t stopped;
    uint64_t kept;
    uint64_t resumed;
    uint64_t requests;
    uint64_t disk_calls;
    uint64_t late;    /* kills of which it was to be seen that the journal does not lag behind */
    uint64_t damaged; /* files that lost bytes with the power, as they may */
};

struct world {
    uint64_t seed;
    bool verbose;
    uint64_t now_ns;
    uint64_t trace;
    uint64_t happened; /* events */
    struct heap events;
    struct dice order;   /* of completions, and how long they take */
    struct dice library; /* ring_random() */
    struct faults faults;
    struct disk *disk;
    struct net *net;
    struct ring *ring; /* NULL: no engine lives */
    size_t descriptors_max;
    /* Crash: once so many disk calls have begun or ended, or at a time. */
    enum crash crash;
    uint64_t crash_countdown; /* 0: they are not counted */
    struct event crashing;
    struct disk *survivor;  /* set: it has happened, and nothing counts any more */
    uint64_t crashed_ns;    /* then */
    struct list disk_calls; /* under way; of struct disk_call */
    struct counts counts;
    unsigned idle_turns; /* in a row, in which nothing happened */
};

/* The world that ring_create() and resolver_create() find themselves in: they take no context. */
extern struct world *world_now;

struct world *world_create(uint64_t seed, bool verbose);
void world_destroy(struct world *world);

/* Adds to the trace, and shows it if the world is verbose. `what` is static text. */
void world_trace(struct world *world, const char *what, uint64_t a, uint64_t b, uint64_t c);
void world_trace_text(struct world *world, const char *what, const char *text, uint64_t a);
/* Shows, and nothing else. */
void world_show(const struct world *world, const char *line);
/* A promise is broken: says so, with the seed, and ends the process. */
_Noreturn __attribute__((format(printf, 2, 3))) void world_fail(struct world *world,
                                                                const char *format, ...);

void event_init(struct event *event, struct world *world, void (*happen)(struct event *event));
/* Starts, or moves. */
void event_start(struct event *event, uint64_t delay_ns);
void event_stop(struct event *event);
bool event_waits(const struct event *event);
/* UINT64_MAX: nothing is to happen any more. */
uint64_t world_next_ns(const struct world *world);
/* Goes on to that time, if it lies ahead, and lets happen all that is due. */
void world_go_on(struct world *world, uint64_t until_ns);

#endif
