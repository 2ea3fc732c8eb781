/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "engine/placement.h"

enum { WORKERS = 4, REQUESTS = 20000, ORIGINS = 50, UNDER_WAY = 64 };

/* Begins a request where it is placed. */
static unsigned begin(struct placement *placement, uint64_t origin)
{
    unsigned worker = placement_choose(placement, origin);

    placement_begin(placement, worker, origin);
    return worker;
}

static void test_the_least_loaded_gets_it(void **state)
{
    struct placement *placement = placement_create(WORKERS);
    unsigned counts[WORKERS] = {0};

    (void)state;
    for (uint64_t i = 0; i < 3 * WORKERS; i++)
        counts[begin(placement, i)]++;
    for (unsigned i = 0; i < WORKERS; i++)
        assert_int_equal(counts[i], 3);
    placement_end(placement, 2, 2, false, false);
    assert_int_equal(begin(placement, 99), 2);
    for (unsigned i = 0; i < WORKERS; i++)
        for (unsigned j = 0; j < 3; j++)
            placement_end(placement, i, 100, false, false);
    placement_destroy(placement);
}

static void test_an_idle_connection_attracts(void **state)
{
    struct placement *placement = placement_create(WORKERS);

    (void)state;
    for (unsigned i = 0; i < WORKERS; i++)
        placement_begin(placement, i, 7);
    placement_end(placement, 3, 7, false, true);
    placement_end(placement, 1, 7, false, true);
    placement_begin(placement, 1, 8); /* busier than 3 */
    assert_int_equal(begin(placement, 7), 3);
    assert_int_equal(begin(placement, 7), 1); /* the other one's is taken */
    assert_int_equal(begin(placement, 7), 0); /* both are: the least loaded */
    assert_int_equal(placement_choose(placement, 8), 2);
    placement_end(placement, 0, 7, false, false);
    placement_end(placement, 0, 7, false, false);
    placement_end(placement, 1, 7, false, false);
    placement_end(placement, 1, 8, false, false);
    placement_end(placement, 2, 7, false, false);
    placement_end(placement, 3, 7, false, false);
    assert_int_equal(placement_choose(placement, 7), 0); /* none was kept */
    placement_destroy(placement);
}

static void test_not_to_a_worker_that_has_much_more_to_do(void **state)
{
    static const struct {
        unsigned warm_load, other_load;
        bool goes_there;
    } rows[] = {{4, 0, true}, {5, 0, false}, {6, 1, false}, {24, 16, true}, {25, 16, false}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct placement *placement = placement_create(2);

        placement_begin(placement, 1, 7);
        placement_end(placement, 1, 7, false, true);
        for (unsigned j = 0; j < rows[i].warm_load; j++)
            placement_begin(placement, 1, 8);
        for (unsigned j = 0; j < rows[i].other_load; j++)
            placement_begin(placement, 0, 8);
        assert_int_equal(placement_choose(placement, 7), rows[i].goes_there);
        for (unsigned j = 0; j < rows[i].warm_load; j++)
            placement_end(placement, 1, 8, false, false);
        for (unsigned j = 0; j < rows[i].other_load; j++)
            placement_end(placement, 0, 8, false, false);
        placement_destroy(placement);
    }
}

/* A connection that the server has closed meanwhile is believed in once. */
static void test_forgets_what_is_not_there_any_more(void **state)
{
    struct placement *placement = placement_create(2);

    (void)state;
    for (int i = 0; i < 3; i++)
        placement_begin(placement, 1, 7);
    for (int i = 0; i < 3; i++)
        placement_end(placement, 1, 7, false, true);
    placement_begin(placement, 1, 9);
    assert_int_equal(begin(placement, 7), 1);
    placement_end(placement, 1, 7, true, false);
    assert_int_equal(placement_choose(placement, 7), 0);
    placement_end(placement, 1, 9, false, false);
    placement_destroy(placement);
}

/* For each connection that one worker has to make, another closes one. */
static void test_spare_connections(void **state)
{
    struct placement *placement = placement_create(3);

    (void)state;
    assert_false(placement_begin(placement, 2, 7));
    assert_false(placement_begin(placement, 2, 7));
    assert_int_equal(placement_spare(placement, 7), 3);
    placement_end(placement, 2, 7, false, true);
    placement_end(placement, 2, 7, false, true);
    assert_int_equal(placement_spare(placement, 8), 3);
    assert_int_equal(placement_spare(placement, 7), 2);
    assert_true(placement_begin(placement, 2, 7));
    assert_int_equal(placement_spare(placement, 7), 3);
    placement_end(placement, 2, 7, false, false);
    placement_destroy(placement);
}

/* Whose places are the same: the last one's connections are remembered. */
static void test_collisions(void **state)
{
    const uint64_t first = 5, second = 5 + (UINT64_C(1) << 40);
    struct placement *placement = placement_create(3);

    (void)state;
    placement_begin(placement, 2, first);
    placement_end(placement, 2, first, false, true);
    assert_int_equal(placement_choose(placement, first), 2);
    assert_int_equal(placement_choose(placement, second), 0);
    placement_begin(placement, 1, second);
    placement_end(placement, 1, second, false, false);
    assert_int_equal(placement_choose(placement, first), 2);
    placement_begin(placement, 1, second);
    placement_end(placement, 1, second, false, true);
    assert_int_equal(placement_choose(placement, first), 0);
    assert_int_equal(placement_choose(placement, second), 1);
    placement_destroy(placement);
}

/* Workers as they are: each keeps its connections, and tells what it did. No more of them are open
 * than requests were ever under way at once, hardly any is made twice, and the work is shared out
 * evenly. */
static void test_at_work(void **state)
{
    struct placement *placement = placement_create(WORKERS);
    static unsigned idle[WORKERS][ORIGINS], open[ORIGINS], busy[ORIGINS], busy_max[ORIGINS];
    struct {
        unsigned worker, origin;
    } under_way[UNDER_WAY];
    unsigned shares[WORKERS] = {0}, made = 0, count = 0, spare;
    uint64_t random = 1;

    (void)state;
    for (unsigned i = 0; i < REQUESTS; i++) {
        unsigned at = count < UNDER_WAY ? count++ : (unsigned)(unit_random(&random) % UNDER_WAY);
        unsigned origin = (unsigned)(unit_random(&random) % ORIGINS), worker;
        bool expected;

        if (i >= UNDER_WAY) {
            idle[under_way[at].worker][under_way[at].origin]++;
            busy[under_way[at].origin]--;
            placement_end(placement, under_way[at].worker, under_way[at].origin, false, true);
        }
        worker = placement_choose(placement, origin);
        expected = placement_begin(placement, worker, origin);
        assert_int_equal(expected, idle[worker][origin] > 0); /* no two origins are in one place */
        if (expected) {
            idle[worker][origin]--;
        } else {
            spare = placement_spare(placement, origin);
            if (spare < WORKERS) {
                assert_true(idle[spare][origin]-- > 0);
                open[origin]--;
            }
            made++;
            open[origin]++;
        }
        shares[worker]++;
        if (++busy[origin] > busy_max[origin])
            busy_max[origin] = busy[origin];
        under_way[at].worker = worker;
        under_way[at].origin = origin;
    }
    for (unsigned i = 0; i < count; i++)
        placement_end(placement, under_way[i].worker, under_way[i].origin, false, true);
    placement_destroy(placement);
    assert_in_range(made, UNDER_WAY, REQUESTS / 50);
    for (unsigned i = 0; i < ORIGINS; i++)
        assert_in_range(open[i], 1, busy_max[i]);
    for (unsigned i = 0; i < WORKERS; i++)
        assert_in_range(shares[i], REQUESTS / WORKERS * 3 / 4, REQUESTS / WORKERS * 5 / 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_least_loaded_gets_it),
        cmocka_unit_test(test_an_idle_connection_attracts),
        cmocka_unit_test(test_not_to_a_worker_that_has_much_more_to_do),
        cmocka_unit_test(test_forgets_what_is_not_there_any_more),
        cmocka_unit_test(test_spare_connections),
        cmocka_unit_test(test_collisions),
        cmocka_unit_test(test_at_work),
    };

    return UNIT_RUN(tests);
}
