/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A timer stands on the level of the highest group of six bits in which its tick differs from
 * `now`, in the slot that this group names. So all slots in use on a level lie behind the level's
 * current one, and whatever stands on a lower level is due before whatever stands on a higher:
 * the lowest level in use holds the next timer. When `now` reaches a slot of a higher level, its
 * timers are placed anew and sink.
 */
#include "base/wheel.h"

enum { BITS = 6 };

static unsigned level_shift(unsigned level)
{
    return level * BITS;
}

static void place(struct wheel *wheel, struct timer *timer)
{
    uint64_t differs = timer->tick ^ wheel->now;
    unsigned level, slot;

    if (timer->tick <= wheel->now) {
        list_push_back(&wheel->due, &timer->node);
        return;
    }
    level = (63U - (unsigned)__builtin_clzll(differs)) / BITS;
    CHECK(level < WHEEL_LEVELS); /* 64 bits of nanoseconds are less than 2^45 ticks */
    slot = (unsigned)(timer->tick >> level_shift(level)) & (WHEEL_SLOTS - 1);
    wheel->occupied[level] |= UINT64_C(1) << slot;
    list_push_back(&wheel->slots[level][slot], &timer->node);
}

void wheel_init(struct wheel *wheel, uint64_t now_ns)
{
    wheel->now = now_ns / (uint64_t)NS_PER_MS;
    list_init(&wheel->due);
    for (unsigned level = 0; level < WHEEL_LEVELS; level++) {
        wheel->occupied[level] = 0;
        for (unsigned slot = 0; slot < WHEEL_SLOTS; slot++)
            list_init(&wheel->slots[level][slot]);
    }
}

void timer_init(struct timer *timer, void (*fired)(struct timer *timer))
{
    list_init(&timer->node);
    timer->tick = 0;
    timer->fired = fired;
}

void wheel_start(struct wheel *wheel, struct timer *timer, uint64_t at_ns)
{
    list_remove(&timer->node);
    timer->tick = at_ns / (uint64_t)NS_PER_MS + (at_ns % (uint64_t)NS_PER_MS != 0);
    place(wheel, timer);
}

void timer_stop(struct timer *timer)
{
    list_remove(&timer->node);
}

bool timer_runs(const struct timer *timer)
{
    return list_is_linked(&timer->node);
}

/* The tick at which the next slot in use begins; its level and slot. Forgets slots found empty. */
static uint64_t next_slot(struct wheel *wheel, unsigned *level, unsigned *slot)
{
    for (unsigned l = 0; l < WHEEL_LEVELS; l++) {
        while (wheel->occupied[l]) {
            unsigned s = (unsigned)__builtin_ctzll(wheel->occupied[l]);
            uint64_t block = level_shift(l + 1);

            if (!list_is_linked(&wheel->slots[l][s])) {
                wheel->occupied[l] &= ~(UINT64_C(1) << s);
                continue;
            }
            *level = l;
            *slot = s;
            return (wheel->now >> block << block) | (uint64_t)s << level_shift(l);
        }
    }
    return UINT64_MAX;
}

uint64_t wheel_next_ns(struct wheel *wheel)
{
    unsigned level, slot;
    uint64_t tick;

    if (list_is_linked(&wheel->due))
        return 0;
    tick = next_slot(wheel, &level, &slot);
    if (tick > UINT64_MAX / (uint64_t)NS_PER_MS)
        return UINT64_MAX;
    return tick * (uint64_t)NS_PER_MS;
}

static void collect_due(struct wheel *wheel, uint64_t target)
{
    unsigned level, slot;
    uint64_t tick;

    while ((tick = next_slot(wheel, &level, &slot)) <= target) {
        struct list sinking, *node;

        list_init(&sinking);
        list_move_all(&wheel->slots[level][slot], &sinking);
        wheel->occupied[level] &= ~(UINT64_C(1) << slot);
        wheel->now = tick;
        while ((node = list_pop_front(&sinking)))
            place(wheel, LIST_ITEM(node, struct timer, node));
    }
    if (target > wheel->now)
        wheel->now = target;
}

void wheel_advance(struct wheel *wheel, uint64_t now_ns)
{
    struct list firing, *node;

    collect_due(wheel, now_ns / (uint64_t)NS_PER_MS);
    /* What a timer starts for the past waits for the next turn: no endless loop. */
    list_init(&firing);
    list_move_all(&wheel->due, &firing);
    while ((node = list_pop_front(&firing))) {
        struct timer *timer = LIST_ITEM(node, struct timer, node);

        timer->fired(timer);
    }
}
