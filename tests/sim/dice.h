/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chance that comes from a seed: the same seed, the same throws. */
#ifndef TESTS_SIM_DICE_H
#define TESTS_SIM_DICE_H

#include <stdbool.h>
#include <stdint.h>

struct dice {
    uint64_t state;
};

/* Scrambles a number (the last steps of splitmix64): neighbours have nothing in common. */
static inline uint64_t dice_mix(uint64_t value)
{
    value = (value ^ value >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    value = (value ^ value >> 27) * UINT64_C(0x94d049bb133111eb);
    return value ^ value >> 31;
}

/* Each purpose has dice of its own, so that one more throw for one does not change the others. */
static inline struct dice dice_make(uint64_t seed, uint64_t purpose)
{
    return (struct dice){.state = dice_mix(dice_mix(seed) + purpose)};
}

static inline uint64_t dice_next(struct dice *dice)
{
    dice->state += UINT64_C(0x9e3779b97f4a7c15);
    return dice_mix(dice->state);
}

/* From 0 to count - 1. */
static inline uint64_t dice_below(struct dice *dice, uint64_t count)
{
    return dice_next(dice) % count;
}

/* From `least` to `most`, both included. */
static inline uint64_t dice_between(struct dice *dice, uint64_t least, uint64_t most)
{
    return least + dice_next(dice) % (most - least + 1);
}

/* True so many times in a thousand. */
static inline bool dice_permille(struct dice *dice, unsigned permille)
{
    return dice_next(dice) % 1000 < permille;
}

/* Of all sizes: each number of bits up to that of `most` is as likely as the next. At least 1. */
static inline uint64_t dice_size(struct dice *dice, uint64_t most)
{
    unsigned bits = (unsigned)(64 - __builtin_clzll(most));
    uint64_t top = UINT64_C(1) << dice_below(dice, bits);
    uint64_t size = top + dice_below(dice, top);

    return size < most ? size : most;
}

#endif
