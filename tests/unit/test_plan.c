/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine/plan.h"

#include "tests/unit/unit.h"

#define KIB UINT64_C(1024)
#define MIB (UINT64_C(1024) * KIB)

static void assert_extent(struct extent extent, uint64_t from, uint64_t to)
{
    assert_int_equal(extent.from, from);
    assert_int_equal(extent.to, to);
}

/* The first goes for all of it; those who come take its end, one after the other, and all have the
 * same in the end. */
static void test_equal_parts(void **state)
{
    struct plan_part parts[8] = {{.at = 0, .to = 512 * MIB}};
    struct plan plan = {.parts = parts, .part_count = 1, .bytes_min = MIB, .coming = 7};
    struct extent part;
    size_t victim;

    (void)state;
    while (plan.coming-- > 0) {
        assert_true(plan_split(&plan, &part, &victim));
        assert_int_equal(victim, 0);
        assert_int_equal(part.to, parts[0].to);
        parts[0].to = part.from;
        parts[plan.part_count++] = (struct plan_part){.at = part.from, .to = part.to};
    }
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(parts[i].to - parts[i].at, 64 * MIB);
}

static void test_cuts_are_at_blocks(void **state)
{
    struct plan_part part = {.at = 12345, .to = 50 * MIB + 7};
    struct plan plan = {.parts = &part, .part_count = 1, .bytes_min = MIB, .coming = 2};
    struct extent range;
    size_t victim;

    (void)state;
    assert_true(plan_split(&plan, &range, &victim));
    assert_int_equal(range.from % PLAN_BLOCK_BYTES, 0);
    assert_int_equal(range.to, part.to);
    range = plan_hole(&plan, (struct extent){.from = 777, .to = 30 * MIB + 5});
    assert_int_equal(range.from, 777);
    assert_int_equal(range.to % PLAN_BLOCK_BYTES, 0);
    assert_in_range(range.to, 10 * MIB, 10 * MIB + 2 * PLAN_BLOCK_BYTES);
}

/* Such that both end together. */
static void test_a_fast_one_takes_more(void **state)
{
    struct plan_part parts[] = {
        {.at = 0, .to = 30 * MIB, .speed = 30 * MIB},
        {.at = 100 * MIB, .to = 140 * MIB, .speed = 10 * MIB}, /* lasts longest */
    };
    struct plan plan = {.parts = parts, .part_count = 2, .bytes_min = MIB, .speed = 30 * MIB};
    struct extent part;
    size_t victim;

    (void)state;
    assert_true(plan_split(&plan, &part, &victim));
    assert_int_equal(victim, 1);
    assert_extent(part, 110 * MIB, 140 * MIB);
}

static void test_what_is_not_worth_it(void **state)
{
    struct plan_part parts[] = {
        {.at = 0, .to = 2 * MIB - 1, .speed = 1},
        {.at = 4 * MIB, .to = 4 * MIB},
        {.at = 9 * MIB, .to = 8 * MIB}, /* has gone beyond its end */
    };
    struct plan plan = {.parts = parts, .part_count = 3, .bytes_min = MIB};
    struct extent part;
    size_t victim;

    (void)state;
    assert_false(plan_split(&plan, &part, &victim));
    parts[0].to++;
    assert_true(plan_split(&plan, &part, &victim));
    assert_extent(part, MIB, 2 * MIB);
    plan.part_count = 0;
    assert_false(plan_split(&plan, &part, &victim));
}

/* A slow newcomer gets little of a fast one's rest, but as much as is worth a connection. */
static void test_a_slow_one_takes_little(void **state)
{
    struct plan_part part = {.at = 0, .to = 64 * MIB, .speed = 1000 * MIB};
    struct plan plan = {.parts = &part, .part_count = 1, .bytes_min = 4 * MIB, .speed = 1};
    struct extent range;
    size_t victim;

    (void)state;
    assert_true(plan_split(&plan, &range, &victim));
    assert_extent(range, 60 * MIB, 64 * MIB);
}

static void test_holes(void **state)
{
    struct plan plan = {.bytes_min = MIB, .coming = 3};

    (void)state;
    assert_extent(plan_hole(&plan, (struct extent){.from = 0, .to = 40 * MIB}), 0, 10 * MIB);
    assert_extent(plan_hole(&plan, (struct extent){.from = MIB, .to = 3 * MIB}), MIB, 2 * MIB);
    assert_extent(plan_hole(&plan, (struct extent){.from = 5, .to = MIB}), 5, MIB);
    plan.coming = 0;
    assert_extent(plan_hole(&plan, (struct extent){.from = 0, .to = 40 * MIB}), 0, 40 * MIB);
}

static void test_connections(void **state)
{
    (void)state;
    assert_int_equal(plan_connections(0, MIB, 8), 1);
    assert_int_equal(plan_connections(2 * MIB - 1, MIB, 8), 1);
    assert_int_equal(plan_connections(2 * MIB, MIB, 8), 2);
    assert_int_equal(plan_connections(UINT64_MAX, MIB, 8), 8);
    assert_int_equal(plan_connections(3, 0, 8), 3);
}

/* Whatever is asked, what is given lies in somebody's rest and leaves both enough. */
static void test_any(void **state)
{
    uint64_t random = 88172645463325252;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        struct plan_part parts[3];
        struct plan plan = {.parts = parts, .part_count = 3, .bytes_min = 100 * KIB};
        struct extent part;
        size_t victim;

        for (size_t i = 0; i < 3; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            parts[i] = (struct plan_part){.at = random % (8 * MIB),
                                          .to = (random >> 20) % (8 * MIB),
                                          .speed = random >> 40 & 0xffff};
        }
        plan.coming = (unsigned)(random >> 60);
        plan.speed = random >> 30 & 0xffff;
        if (!plan_split(&plan, &part, &victim))
            continue;
        assert_int_equal(part.to, parts[victim].to);
        assert_in_range(part.from, parts[victim].at + plan.bytes_min, part.to - 1);
        assert_in_range(part.to - part.from, 36 * KIB, 8 * MIB);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_equal_parts),
        cmocka_unit_test(test_cuts_are_at_blocks),
        cmocka_unit_test(test_a_fast_one_takes_more),
        cmocka_unit_test(test_what_is_not_worth_it),
        cmocka_unit_test(test_a_slow_one_takes_little),
        cmocka_unit_test(test_holes),
        cmocka_unit_test(test_connections),
        cmocka_unit_test(test_any),
    };

    return UNIT_RUN(tests);
}
