/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Who waits for chunks: hosts take turns, and nobody is called in vain, or forgotten. */
#include "tests/unit/buffers_fixture.h"

struct waiting {
    struct buffers_waiter waiter;
    struct buffers *buffers;
    struct buffers_share *share;
    struct chunk *chunk;
    int order; /* as which one it was called; 0: not yet */
};

static int called;

static void waiting_ready(struct buffers_waiter *waiter)
{
    struct waiting *waiting = CONTAINER_OF(waiter, struct waiting, waiter);

    assert_false(list_is_linked(&waiter->node));
    waiting->order = ++called;
    assert_null(waiting->chunk);
    waiting->chunk = buffers_take(waiting->buffers, waiting->share, UNIT);
    assert_non_null(waiting->chunk); /* or it would have been called in vain */
}

static void wait_begin(struct waiting *waiting, struct buffers *buffers,
                       struct buffers_share *share)
{
    *waiting = (struct waiting){.buffers = buffers, .share = share, .waiter.ready = waiting_ready};
    list_init(&waiting->waiter.node);
    assert_null(buffers_take(buffers, share, UNIT));
    buffers_wait(buffers, share, &waiting->waiter);
}

static void wait_end(struct waiting *waiting)
{
    if (waiting->chunk)
        buffers_give(waiting->buffers, waiting->chunk);
    waiting->chunk = NULL;
}

/* Whoever takes for a moment is one more host. */
static void test_hosts_take_turns(void **state)
{
    static const int hosts[] = {0, 0, 0, 1, 1, 2}; /* in which order they come; 2: momentary */
    static const int orders[] = {1, 4, 6, 2, 5, 3};
    struct buffers *buffers = buffers_create(BUDGET, NULL, 1);
    struct buffers_share *shares[] = {join(buffers, "a"), join(buffers, "b"), NULL};
    struct waiting waiting[COUNT_OF(hosts)];
    struct pile pile = {0};

    (void)state;
    called = 0;
    pile_take_all(&pile, buffers, NULL, UNIT);
    for (size_t i = 0; i < COUNT_OF(hosts); i++)
        wait_begin(&waiting[i], buffers, shares[hosts[i]]);
    for (int i = 0; i < (int)COUNT_OF(hosts); i++) {
        assert_int_equal(called, i);
        pile_give(&pile, buffers);
        assert_null(buffers_take(buffers, NULL, UNIT)); /* it was for the waiter */
    }
    for (size_t i = 0; i < COUNT_OF(hosts); i++)
        assert_int_equal(waiting[i].order, orders[i]);
    pile_give(&pile, buffers); /* nobody waits any more */
    assert_int_equal(called, COUNT_OF(hosts));
    for (size_t i = 0; i < COUNT_OF(hosts); i++)
        wait_end(&waiting[i]);
    pile_give_all(&pile, buffers);
    buffers_leave(buffers, shares[0]);
    buffers_leave(buffers, shares[1]);
    assert_whole(buffers, 2);
    buffers_destroy(buffers);
}

/* One large chunk that comes back is enough for many that want a small one. */
static void test_many_from_one(void **state)
{
    struct buffers *buffers = buffers_create(BUDGET, NULL, 1);
    struct buffers_share *share = join(buffers, "a");
    struct waiting waiting[UNITS + 1];
    struct pile pile = {0};

    (void)state;
    called = 0;
    pile_take_all(&pile, buffers, NULL, LARGEST);
    for (size_t i = 0; i < COUNT_OF(waiting); i++)
        wait_begin(&waiting[i], buffers, i % 2 ? share : NULL);
    pile_give(&pile, buffers);
    assert_int_equal(called, UNITS); /* the last one is left out */
    for (size_t i = 0; i < COUNT_OF(waiting); i++)
        assert_int_equal(waiting[i].order, i == UNITS ? 0 : i + 1);
    wait_end(&waiting[0]);
    assert_int_equal(waiting[UNITS].order, UNITS + 1);
    for (size_t i = 0; i < COUNT_OF(waiting); i++)
        wait_end(&waiting[i]);
    pile_give_all(&pile, buffers);
    buffers_leave(buffers, share);
    assert_whole(buffers, 2);
    buffers_destroy(buffers);
}

/* One that has given up is passed over, and so is a host of which all have. */
static void test_unwait(void **state)
{
    struct buffers *buffers = buffers_create(BUDGET, NULL, 1);
    struct buffers_share *a = join(buffers, "a"), *b = join(buffers, "b");
    struct waiting waiting[5];
    struct pile pile = {0};

    (void)state;
    called = 0;
    pile_take_all(&pile, buffers, NULL, UNIT);
    for (size_t i = 0; i < COUNT_OF(waiting); i++)
        wait_begin(&waiting[i], buffers, i < 3 ? a : b);
    buffers_unwait(&waiting[0].waiter);
    buffers_unwait(&waiting[0].waiter);
    pile_give(&pile, buffers);
    assert_int_equal(waiting[1].order, 1);
    buffers_unwait(&waiting[3].waiter);
    buffers_unwait(&waiting[4].waiter);
    buffers_leave(buffers, b); /* as one does that breaks off */
    pile_give(&pile, buffers);
    assert_int_equal(waiting[2].order, 2);
    b = join(buffers, "b");
    wait_begin(&waiting[3], buffers, b);
    buffers_unwait(&waiting[3].waiter); /* and stays */
    wait_begin(&waiting[4], buffers, NULL);
    pile_give(&pile, buffers);
    assert_int_equal(waiting[4].order, 3);
    assert_int_equal(waiting[0].order + waiting[3].order, 0);
    for (size_t i = 0; i < COUNT_OF(waiting); i++)
        wait_end(&waiting[i]);
    pile_give_all(&pile, buffers);
    buffers_leave(buffers, a);
    buffers_leave(buffers, b);
    assert_whole(buffers, 2);
    buffers_destroy(buffers);
}

/* Memory is there, but it is the other host's part, until that leaves. */
static void test_leaving_wakes(void **state)
{
    struct buffers *buffers = buffers_create(BUDGET, NULL, 1);
    struct buffers_share *a = join(buffers, "a"), *b = join(buffers, "b");
    struct waiting waiting[2];
    struct pile pile = {0};

    (void)state;
    called = 0;
    assert_ptr_equal(join(buffers, "b"), b);
    pile_take_all(&pile, buffers, a, UNIT);
    assert_int_equal(pile.bytes, BUDGET / 2);
    for (size_t i = 0; i < COUNT_OF(waiting); i++)
        wait_begin(&waiting[i], buffers, a);
    buffers_leave(buffers, b);
    assert_int_equal(called, 0); /* another connection to it is left */
    buffers_leave(buffers, b);
    assert_int_equal(called, 2);
    for (size_t i = 0; i < COUNT_OF(waiting); i++)
        wait_end(&waiting[i]);
    pile_give_all(&pile, buffers);
    buffers_leave(buffers, a);
    assert_whole(buffers, 2);
    buffers_destroy(buffers);
}

static void take_nothing(struct buffers_waiter *waiter)
{
    CONTAINER_OF(waiter, struct waiting, waiter)->order = ++called;
}

/* Then it is the next one's. */
static void test_waiter_takes_nothing(void **state)
{
    struct buffers *buffers = buffers_create(BUDGET, NULL, 1);
    struct buffers_share *a = join(buffers, "a");
    struct waiting waiting[4];
    struct pile pile = {0};

    (void)state;
    called = 0;
    pile_take_all(&pile, buffers, NULL, UNIT);
    for (size_t i = 0; i < COUNT_OF(waiting); i++) {
        wait_begin(&waiting[i], buffers, i < 2 ? a : NULL);
        if (i != 1)
            waiting[i].waiter.ready = take_nothing;
    }
    pile_give(&pile, buffers);
    assert_int_equal(waiting[0].order, 1);
    assert_int_equal(waiting[2].order, 2);
    assert_int_equal(waiting[1].order, 3); /* it takes it */
    assert_int_equal(waiting[3].order, 0);
    pile_give(&pile, buffers);
    assert_int_equal(waiting[3].order, 4);
    assert_true(pile_take(&pile, buffers, NULL, UNIT)); /* nobody else wants it */
    wait_end(&waiting[1]);
    pile_give_all(&pile, buffers);
    buffers_leave(buffers, a);
    assert_whole(buffers, 2);
    buffers_destroy(buffers);
}

/* Who has its part lets the others pass, and does not lose its turn by that. */
static void test_own_part_only(void **state)
{
    struct buffers *buffers = buffers_create(BUDGET, NULL, 1);
    struct buffers_share *a = join(buffers, "a"), *b = join(buffers, "b");
    struct waiting of_a, of_b[2];
    struct pile held = {0}, others = {0};

    (void)state;
    called = 0;
    pile_take_all(&held, buffers, a, UNIT);
    assert_int_equal(held.bytes, BUDGET / 2);
    pile_take_all(&others, buffers, NULL, UNIT);
    wait_begin(&of_a, buffers, a);
    wait_begin(&of_b[0], buffers, b);
    wait_begin(&of_b[1], buffers, b);
    pile_give(&others, buffers);
    assert_int_equal(of_a.order, 0);
    assert_int_equal(of_b[0].order, 1);
    pile_give(&held, buffers);
    assert_int_equal(of_a.order, 2);
    assert_int_equal(of_b[1].order, 0);
    pile_give(&others, buffers);
    assert_int_equal(of_b[1].order, 3);
    wait_end(&of_a);
    wait_end(&of_b[0]);
    wait_end(&of_b[1]);
    pile_give_all(&held, buffers);
    pile_give_all(&others, buffers);
    buffers_leave(buffers, a);
    buffers_leave(buffers, b);
    assert_whole(buffers, 2);
    buffers_destroy(buffers);
}

static struct chunk *taken;

static void wait_again(struct buffers_waiter *waiter)
{
    struct waiting *waiting = CONTAINER_OF(waiter, struct waiting, waiter);

    waiting_ready(waiter);
    taken = waiting->chunk;
    if (called < 3) {
        waiting->chunk = NULL;
        buffers_wait(waiting->buffers, waiting->share, waiter);
    }
}

/* A waiter may wait for the next chunk from within its call; that one comes from another give. */
static void test_wait_from_within(void **state)
{
    struct buffers *buffers = buffers_create(BUDGET, NULL, 1);
    struct waiting waiting;
    struct pile pile = {0};

    (void)state;
    called = 0;
    pile_take_all(&pile, buffers, NULL, UNIT);
    wait_begin(&waiting, buffers, NULL);
    waiting.waiter.ready = wait_again;
    for (int i = 1; i <= 4; i++) {
        struct chunk *chunk = pile.chunks[pile.count - 1];

        pile_give(&pile, buffers);
        assert_int_equal(called, i < 3 ? i : 3);
        if (i > 3)
            continue;
        assert_ptr_equal(taken, chunk);
        pile.chunks[pile.count++] = taken; /* to be given back with the others */
        pile.bytes += taken->size;
        waiting.chunk = NULL;
    }
    pile_give_all(&pile, buffers);
    assert_int_equal(called, 3);
    assert_whole(buffers, 2);
    buffers_destroy(buffers);
}

/* However many are parked, a quarter is left for the others. */
static void test_parked_leave_some(void **state)
{
    struct buffers *buffers = buffers_create(BUDGET, NULL, 1);
    size_t parked_max = BUDGET / UNIT / 4 * 3;
    struct pile parked = {0}, others = {0};
    struct chunk *chunk;

    (void)state;
    pile_take_all(&parked, buffers, buffers_parking(buffers), UNIT);
    assert_int_equal(buffers_out(buffers), parked_max);
    pile_take_all(&others, buffers, NULL, UNIT);
    assert_int_equal(buffers_out(buffers), BUDGET / UNIT);
    /* One that is parked no more counts as the others do. */
    chunk = pile_pop(&parked);
    buffers_unpark(buffers, chunk);
    buffers_unpark(buffers, chunk);
    assert_null(buffers_take(buffers, buffers_parking(buffers), UNIT));
    pile_give(&others, buffers);
    buffers_give(buffers, chunk);
    chunk = buffers_take(buffers, buffers_parking(buffers), UNIT);
    assert_non_null(chunk);
    assert_null(buffers_take(buffers, buffers_parking(buffers), UNIT));
    buffers_give(buffers, chunk);
    pile_give_all(&others, buffers);
    pile_give_all(&parked, buffers);
    assert_whole(buffers, BUDGET / LARGEST);
    buffers_destroy(buffers);
}

/* Who wants to park one lets others pass while too many are parked, and gets the next right. */
static void test_parking_waiters(void **state)
{
    struct buffers *buffers = buffers_create(BUDGET, NULL, 1);
    struct waiting parking, other;
    struct pile parked = {0}, others = {0};
    struct chunk *chunk;

    (void)state;
    called = 0;
    pile_take_all(&parked, buffers, buffers_parking(buffers), UNIT);
    pile_take_all(&others, buffers, NULL, UNIT);
    wait_begin(&parking, buffers, buffers_parking(buffers));
    wait_begin(&other, buffers, NULL);
    pile_give(&others, buffers);
    assert_int_equal(other.order, 1);
    assert_int_equal(parking.order, 0);
    pile_give(&others, buffers); /* lies idle now */
    assert_int_equal(parking.order, 0);
    chunk = pile_pop(&parked);
    buffers_unpark(buffers, chunk);
    assert_int_equal(parking.order, 2);
    buffers_give(buffers, chunk);
    wait_end(&parking);
    wait_end(&other);
    pile_give_all(&others, buffers);
    pile_give_all(&parked, buffers);
    assert_whole(buffers, BUDGET / LARGEST);
    buffers_destroy(buffers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts_take_turns),
        cmocka_unit_test(test_many_from_one),
        cmocka_unit_test(test_unwait),
        cmocka_unit_test(test_leaving_wakes),
        cmocka_unit_test(test_waiter_takes_nothing),
        cmocka_unit_test(test_own_part_only),
        cmocka_unit_test(test_wait_from_within),
        cmocka_unit_test(test_parked_leave_some),
        cmocka_unit_test(test_parking_waiters),
    };

    return UNIT_RUN(tests);
}
