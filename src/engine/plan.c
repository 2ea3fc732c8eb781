/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Connections come one after the other. Whoever finds that all is being fetched takes a part of the
 * largest rest, measured in time; the more are still to come, the smaller its part, so that all end
 * up with the same. Later the speeds are known, and a part is cut such that both end together.
 */
#include "engine/plan.h"

static uint64_t round_up(uint64_t bytes)
{
    uint64_t rest = bytes % PLAN_BLOCK_BYTES;

    return rest == 0 ? bytes : bytes + (PLAN_BLOCK_BYTES - rest);
}

/* The mean of those that are known; 1 if none is, so that all are taken for equal. */
static uint64_t usual_speed(const struct plan *plan)
{
    uint64_t sum = 0;
    size_t known = 0;

    for (size_t i = 0; i < plan->part_count; i++) {
        if (plan->parts[i].speed == 0)
            continue;
        sum += plan->parts[i].speed;
        known++;
    }
    return known == 0 ? 1 : sum / known;
}

static uint64_t rest_of(const struct plan_part *part)
{
    return part->at < part->to ? part->to - part->at : 0;
}

struct extent plan_hole(const struct plan *plan, struct extent range)
{
    uint64_t bytes = range.to - range.from;
    uint64_t part = round_up(range.from + bytes / (plan->coming + 1)) - range.from;

    if (part < plan->bytes_min)
        part = round_up(range.from + plan->bytes_min) - range.from;
    if (part < bytes && bytes - part >= plan->bytes_min)
        range.to = range.from + part;
    return range;
}

/* Whose rest lasts longest. */
static bool find_last(const struct plan *plan, size_t *last)
{
    uint64_t usual = usual_speed(plan);
    double longest = 0;

    for (size_t i = 0; i < plan->part_count; i++) {
        const struct plan_part *part = &plan->parts[i];
        double speed = (double)(part->speed ? part->speed : usual);
        double left = (double)rest_of(part) / speed;

        if (rest_of(part) < 2 * plan->bytes_min || left <= longest)
            continue;
        longest = left;
        *last = i;
    }
    return longest > 0;
}

bool plan_split(const struct plan *plan, struct extent *part, size_t *victim)
{
    uint64_t usual = usual_speed(plan);
    double own, its, bytes;
    const struct plan_part *last;

    if (!find_last(plan, victim))
        return false;
    last = &plan->parts[*victim];
    its = (double)(last->speed ? last->speed : usual);
    own = plan->speed ? (double)plan->speed : (double)usual;
    bytes = (double)rest_of(last) * own / (own * (plan->coming + 1) + its);
    if (bytes < (double)plan->bytes_min)
        bytes = (double)plan->bytes_min;
    part->to = last->to;
    part->from = round_up(last->to - (uint64_t)bytes);
    /* What it has before it, and what is given away, must both be worth a connection. */
    if (part->from < last->at + plan->bytes_min)
        part->from = round_up(last->at + plan->bytes_min);
    return part->from < part->to;
}

unsigned plan_connections(uint64_t missing_bytes, uint64_t bytes_min, unsigned most)
{
    uint64_t worth = bytes_min == 0 ? missing_bytes : missing_bytes / bytes_min;

    if (worth == 0)
        return 1;
    return worth < most ? (unsigned)worth : most;
}
