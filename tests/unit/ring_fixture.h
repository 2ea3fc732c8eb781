/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of the loop share: a ring, and requests that tell what has become of them. */
#ifndef TESTS_RING_FIXTURE_H
#define TESTS_RING_FIXTURE_H

#include "unit.h"

#include "ring/ring.h"

enum { HELPERS = 4 };

#define PATIENCE_NS (UINT64_C(20) * (uint64_t)NS_PER_S)

extern struct ring *ring;
extern bool starting;  /* a request is being started: no `done` may come now */
extern unsigned ended; /* owners whose last reference is gone */

/* A request and its owner. */
struct act {
    struct ref ref;
    struct op op;
    int res;
    unsigned calls;
    struct act *cancels; /* by `done` */
};

void act_init(struct act *act);
void act_done(struct op *op, int res); /* what act_init() sets */

#define START(call) (starting = true, (call), starting = false)

void begin_with(uint32_t features_off);
void begin(void);
void end(void);
void turn_ms(uint64_t ms);
void turn(uint64_t until_ns);
int finish(struct act *act); /* what has become of it */

#define DO(act, call) (START(call), finish(act))

#endif
