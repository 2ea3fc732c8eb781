/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The URLs that one file can be had from, and which of them is the best to ask next: one that has
 * not refused, has failed least, is in least use, and was fastest, in this order; else the first
 * named. Pure. Of one thread.
 */
#ifndef ENGINE_SOURCES_H
#define ENGINE_SOURCES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

struct source {
    char *url;       /* owned */
    uint64_t origin; /* a hash of its origin: what is known of speeds is kept by it */
    unsigned users;  /* requests under way */
    unsigned failures;
    bool refused; /* it will not have it, however often it is asked */
};

/* What servers have been found to bring, for all downloads of an engine: the last so many. */
enum { SOURCE_SPEEDS = 64 };

struct source_speeds {
    struct {
        uint64_t origin;
        uint64_t speed; /* bytes per second; 0: the place is free */
    } known[SOURCE_SPEEDS];
    unsigned next;
};

/* Zeroed: none. */
struct sources {
    struct source *all;
    unsigned count;
};

void source_speeds_learn(struct source_speeds *speeds, uint64_t origin, uint64_t speed);
uint64_t source_speeds_of(const struct source_speeds *speeds, uint64_t origin); /* 0: not known */

/* The URL and its mirrors; each must be good. False: *error names the one that is not. */
bool sources_init(struct sources *sources, const char *url, const char *const *mirrors,
                  size_t mirror_count, struct haul_error *error);
void sources_free(struct sources *sources);
/* The best; where all have refused, that one. spread: several are used at once. */
unsigned sources_best(const struct sources *sources, const struct source_speeds *speeds,
                      bool spread);
/* Whether any is left that has not refused. */
bool sources_left(const struct sources *sources);

#endif
