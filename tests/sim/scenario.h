/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a seed stands for: servers and what they hold, downloads, options, and the lives of the
 * process that is to fetch it all: each ends by itself, by a stop, or by a crash, but the last,
 * in which nothing goes wrong any more.
 */
#ifndef TESTS_SIM_SCENARIO_H
#define TESTS_SIM_SCENARIO_H

#include "haul/haul.h"
#include "tests/sim/net.h"
#include "tests/sim/world.h"

#define SCENARIO_ROOT "/target"

enum {
    WANTS_MAX = 8,
    MIRRORS_MAX = 3,
    FOREIGN_MAX = 4,
    SIZE_MAX_BYTES = 2 * 1024 * 1024,
    DESCRIPTORS_MAX = 1024
};

/* One download. */
struct want {
    struct scenario *scenario;
    struct resource resource; /* each has its own */
    size_t copy_count;        /* of it: where it is asked for, and mirrors */
    struct copy *copies[MIRRORS_MAX + 1];
    char url[128];
    char mirror_urls[MIRRORS_MAX][128];
    const char *mirrors[MIRRORS_MAX];
    size_t mirror_count;
    char checksum[160];        /* "": none */
    unsigned checksum_version; /* that it is of */
    bool memory;               /* it is to come into memory */
    char out[64];              /* "": what the URL says */
    char name[64];             /* that it should get, ... */
    char late_name[64];        /* ... unless servers call it so; several may have the same one */
    char directory[64];        /* ... and where */
    struct event change;
    /* This life. */
    bool submitted;
    bool told;
    enum haul_status status;
    uint64_t sent_before;  /* resource.sent_bytes at its beginning */
    uint64_t kept_before;  /* kept_bytes */
    unsigned there_before; /* partial files, as check_partials() has them */
    /* All lives. */
    bool finished;
    bool mismatched; /* at least once a checksum was wrong */
    char path[256];
    unsigned life;           /* finished: in this one */
    unsigned left;           /* finished: partial files that are there all the same, and may be */
    uint64_t recorded_bytes; /* in the journal... */
    uint64_t kept_bytes;     /* that the next life can go on from, ... */
    size_t kept_extents;     /* ... in so many pieces */
};

/* Another program's file. */
struct foreign {
    char path[128];
    struct content content;
    bool replaced; /* as the options allow */
};

struct scenario {
    struct world *world;
    struct dice dice;
    struct haul_options options;
    size_t want_count;
    struct want wants[WANTS_MAX];
    size_t foreign_count;
    struct foreign foreigns[FOREIGN_MAX];
    unsigned lives;
    unsigned life;   /* under way, from 0 on */
    bool steady;     /* one version of everything, and nothing ever goes wrong but crashes */
    bool calm;       /* in this life nothing goes wrong */
    bool power_lost; /* at least once */
    bool was_full;   /* the disk, at least once */
    struct event room;
};

struct scenario *scenario_create(struct world *world);
void scenario_destroy(struct scenario *scenario);
/* Chooses how the next life goes: faults, and when it crashes or is stopped. stop_ns: UINT64_MAX if
 * it is not. */
void scenario_plan_life(struct scenario *scenario, uint64_t *stop_ns);

#endif
