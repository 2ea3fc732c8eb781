/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A hierarchical timer wheel with ticks of one millisecond: starting and stopping a timer costs a
 * list operation, however many there are. Time is a parameter, in nanoseconds of one clock that
 * never goes back. A timer fires at the first wheel_advance() at or after its time, rounded up to a
 * tick: never before.
 */
#ifndef BASE_WHEEL_H
#define BASE_WHEEL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

enum { WHEEL_LEVELS = 8, WHEEL_SLOTS = 64 };

#define NS_PER_MS INT64_C(1000000)
#define NS_PER_S  INT64_C(1000000000)

/* Stands in the object that it serves; that object stops it before it ends. */
struct timer {
    struct list node;
    uint64_t tick;
    void (*fired)(struct timer *timer); /* may start or stop any timer, this one too */
};

struct wheel {
    uint64_t now;
    uint64_t occupied[WHEEL_LEVELS]; /* bit set: the slot may hold timers */
    struct list slots[WHEEL_LEVELS][WHEEL_SLOTS];
    struct list due;
};

void wheel_init(struct wheel *wheel, uint64_t now_ns);
void timer_init(struct timer *timer, void (*fired)(struct timer *timer));
/* Starts, or moves, a timer. */
void wheel_start(struct wheel *wheel, struct timer *timer, uint64_t at_ns);
void timer_stop(struct timer *timer); /* allowed when it does not run */
bool timer_runs(const struct timer *timer);
/* When wheel_advance() has work next: not later than the earliest timer. UINT64_MAX: never. */
uint64_t wheel_next_ns(struct wheel *wheel);
/* Calls every timer that is due. Not to be called from a timer. */
void wheel_advance(struct wheel *wheel, uint64_t now_ns);

#endif
