/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Virtual time throughout: one second is 1000 ticks here, whatever the limiter calls them. */
#include "unit.h"

#include <time.h>

#include "polite/limiter.h"

enum { ITEMS_MAX = 64 };

struct fixture {
    struct limiter *limiter;
    struct limiter_item items[ITEMS_MAX];
    uint64_t now;
};

static const struct limiter_options plain = {
    .active_max = 8, .per_host_max = 6, .pause_ns = 1000, .pause_max_ns = 60000};

static void begin(struct fixture *f, const struct limiter_options *options)
{
    f->limiter = limiter_create(options, 1);
    assert_non_null(f->limiter);
    f->now = 1000000;
    for (size_t i = 0; i < ITEMS_MAX; i++)
        limiter_item_init(&f->items[i]);
    assert_null(limiter_next(f->limiter, f->now, 0));
}

static void add(struct fixture *f, size_t item, const char *host)
{
    assert_true(limiter_add(f->limiter, &f->items[item], span_of(host), 0, LIMITER_NEXT));
}

/* The index of the next item, -1 for none. The lowest jitter: half of a pause. */
static int next(struct fixture *f)
{
    struct limiter_item *item = limiter_next(f->limiter, f->now, 0);

    if (!item)
        return -1;
    assert_int_equal(item->state, LIMITER_GRANTED);
    return (int)(item - f->items);
}

static void finish(struct fixture *f, size_t item, enum limiter_outcome outcome, uint64_t after)
{
    limiter_finish(f->limiter, &f->items[item], f->now, outcome, after, 0);
    assert_int_equal(f->items[item].state, LIMITER_IDLE);
    assert_null(f->items[item].host);
}

static void end(struct fixture *f)
{
    for (size_t i = 0; i < ITEMS_MAX; i++) {
        if (f->items[i].state == LIMITER_GRANTED)
            finish(f, i, LIMITER_BAD, 0);
        limiter_remove(f->limiter, &f->items[i]);
    }
    assert_int_equal(limiter_active(f->limiter), 0);
    assert_int_equal(limiter_waiting(f->limiter), 0);
    limiter_destroy(f->limiter);
}

static void test_hosts_take_turns(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, &plain);
    for (size_t i = 0; i < 4; i++)
        add(&f, i, "a");
    add(&f, 4, "b");
    add(&f, 5, "b");
    add(&f, 6, "c");
    assert_int_equal(limiter_waiting(f.limiter), 7);
    assert_int_equal(limiter_hosts(f.limiter), 3);
    assert_int_equal(next(&f), 0);
    assert_int_equal(next(&f), 4);
    assert_int_equal(next(&f), 6);
    assert_int_equal(next(&f), 1);
    assert_int_equal(next(&f), 5);
    assert_int_equal(next(&f), 2);
    assert_int_equal(next(&f), 3);
    assert_int_equal(next(&f), -1);
    assert_int_equal(limiter_waiting(f.limiter), 0);
    assert_int_equal(limiter_active(f.limiter), 7);
    end(&f);
}

static void test_a_latecomer_gets_its_turn(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, &plain);
    for (size_t i = 0; i < 10; i++)
        add(&f, i, i % 2 ? "a" : "b");
    assert_int_equal(next(&f), 0);
    add(&f, 20, "c");
    assert_int_equal(next(&f), 1);
    assert_int_equal(next(&f), 2);
    assert_int_equal(next(&f), 20);
    end(&f);
}

static void test_bound_over_all(void **state)
{
    struct limiter_options options = plain;
    struct fixture f;

    (void)state;
    options.active_max = 3;
    begin(&f, &options);
    for (size_t i = 0; i < 5; i++)
        add(&f, i, i % 2 ? "a" : "b");
    assert_int_equal(limiter_wake_ns(f.limiter), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(next(&f), i);
    assert_int_equal(next(&f), -1);
    assert_true(limiter_wake_ns(f.limiter) == UINT64_MAX);
    finish(&f, 1, LIMITER_BAD, 0);
    assert_int_equal(limiter_wake_ns(f.limiter), 0);
    assert_int_equal(next(&f), 3);
    assert_int_equal(next(&f), -1);
    end(&f);
}

static void test_bound_per_host(void **state)
{
    struct limiter_options options = plain;
    struct fixture f;

    (void)state;
    options.per_host_max = 2;
    begin(&f, &options);
    for (size_t i = 0; i < 4; i++)
        add(&f, i, "a");
    add(&f, 4, "b");
    assert_int_equal(next(&f), 0);
    assert_int_equal(next(&f), 4);
    assert_int_equal(next(&f), 1);
    assert_int_equal(next(&f), -1);
    assert_true(limiter_wake_ns(f.limiter) == UINT64_MAX);
    finish(&f, 4, LIMITER_GOOD, 0);
    assert_int_equal(next(&f), -1);
    finish(&f, 0, LIMITER_GOOD, 0);
    assert_int_equal(next(&f), 2);
    assert_int_equal(next(&f), -1);
    end(&f);
}

static void test_spacing(void **state)
{
    struct limiter_options options = plain;
    struct fixture f;

    (void)state;
    options.wait_ns = 500;
    begin(&f, &options);
    add(&f, 0, "a");
    add(&f, 1, "a");
    add(&f, 2, "b");
    assert_int_equal(next(&f), 0);
    assert_int_equal(next(&f), 2);
    assert_int_equal(next(&f), -1);
    assert_int_equal(limiter_wake_ns(f.limiter), f.now + 500);
    f.now += 499;
    assert_int_equal(next(&f), -1);
    f.now += 1;
    assert_int_equal(next(&f), 1);
    /* Spacing is no pause. */
    assert_int_equal(limiter_paused(f.limiter, f.now), 0);
    assert_int_equal(limiter_paused_until(&f.items[1]), 0);
    end(&f);
}

static void test_random_spacing(void **state)
{
    struct limiter_options options = plain;
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;

    (void)state;
    options.wait_ns = 1000;
    options.random_wait = true;
    for (uint64_t i = 0; i < 2000; i++) {
        struct fixture f;
        uint64_t wait;

        begin(&f, &options);
        add(&f, 0, "a");
        add(&f, 1, "a");
        assert_non_null(limiter_next(f.limiter, f.now, i * 0x9e3779b97f4a7c15U));
        wait = limiter_wake_ns(f.limiter) - f.now;
        assert_in_range(wait, 500, 1500);
        least = wait < least ? wait : least;
        most = wait > most ? wait : most;
        end(&f);
    }
    assert_true(least < 520 && most > 1480);
}

static void test_a_pause_hits_its_host_only(void **state)
{
    struct fixture f;
    uint64_t until;

    (void)state;
    begin(&f, &plain);
    for (size_t i = 0; i < 3; i++) {
        add(&f, i, "a");
        add(&f, 10 + i, "b");
    }
    assert_int_equal(next(&f), 0);
    assert_int_equal(limiter_paused(f.limiter, f.now), 0);
    finish(&f, 0, LIMITER_BUSY, 0);
    assert_int_equal(limiter_paused(f.limiter, f.now), 1);
    until = limiter_paused_until(&f.items[1]);
    assert_in_range(until, f.now + 500, f.now + 1000);
    assert_int_equal(limiter_paused_until(&f.items[10]), 0);
    assert_int_equal(limiter_paused_until(&f.items[0]), 0);
    assert_int_equal(next(&f), 10);
    assert_int_equal(next(&f), 11);
    assert_int_equal(next(&f), 12);
    assert_int_equal(next(&f), -1);
    assert_int_equal(limiter_wake_ns(f.limiter), until);
    assert_int_equal(limiter_paused(f.limiter, until - 1), 1);
    assert_int_equal(limiter_paused(f.limiter, until), 0);
    f.now = until - 1;
    assert_int_equal(next(&f), -1);
    f.now = until;
    assert_int_equal(next(&f), 1);
    assert_int_equal(limiter_paused_until(&f.items[1]), 0);
    end(&f);
}

static void test_retry_after_wins_when_longer(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, &plain);
    add(&f, 0, "a");
    add(&f, 1, "a");
    add(&f, 2, "b");
    add(&f, 3, "b");
    assert_int_equal(next(&f), 0);
    assert_int_equal(next(&f), 2);
    finish(&f, 0, LIMITER_BUSY, 300000);
    finish(&f, 2, LIMITER_BUSY, 3);
    assert_int_equal(limiter_paused_until(&f.items[1]), f.now + 300000);
    assert_in_range(limiter_paused_until(&f.items[3]), f.now + 500, f.now + 1000);
    assert_int_equal(limiter_paused(f.limiter, f.now), 2);
    assert_int_equal(limiter_paused(f.limiter, f.now + 1000), 1);
    end(&f);
}

static void test_an_endless_retry_after(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, &plain);
    add(&f, 0, "a");
    add(&f, 1, "a");
    assert_int_equal(next(&f), 0);
    finish(&f, 0, LIMITER_BUSY, UINT64_MAX);
    assert_true(limiter_paused_until(&f.items[1]) == UINT64_MAX);
    f.now += UINT64_C(1) << 60;
    assert_int_equal(next(&f), -1);
    end(&f);
}

/* Has item 0 answered busy once more; returns how long its host is paused. */
static uint64_t busy_again(struct fixture *f)
{
    uint64_t until;

    if (f->items[0].state == LIMITER_IDLE)
        add(f, 0, "a");
    assert_int_equal(next(f), 0);
    finish(f, 0, LIMITER_BUSY, 0);
    add(f, 0, "a");
    until = limiter_paused_until(&f->items[0]);
    assert_int_equal(next(f), -1);
    assert_true(until > f->now);
    return until - f->now;
}

static void test_pauses_double_while_they_go_on(void **state)
{
    struct fixture f;
    uint64_t whole = 1000;

    (void)state;
    begin(&f, &plain);
    for (int i = 0; i < 12; i++) {
        uint64_t pause = busy_again(&f);

        assert_in_range(pause, whole / 2, whole);
        f.now += pause;
        whole = whole * 2 > 60000 ? 60000 : whole * 2;
    }
    /* A failure says nothing; a success starts them over. */
    add(&f, 1, "a");
    assert_int_equal(next(&f), 0);
    finish(&f, 0, LIMITER_BAD, 0);
    assert_true(limiter_add(f.limiter, &f.items[0], SPAN("a"), 0, LIMITER_FIRST));
    whole = busy_again(&f);
    assert_in_range(whole, 30000, 60000);
    f.now += whole;
    limiter_remove(f.limiter, &f.items[0]);
    add(&f, 2, "a");
    assert_int_equal(next(&f), 1);
    finish(&f, 1, LIMITER_GOOD, 0);
    assert_true(limiter_add(f.limiter, &f.items[0], SPAN("a"), 0, LIMITER_FIRST));
    assert_in_range(busy_again(&f), 500, 1000);
    end(&f);
}

static void test_a_burst_of_busy_answers_is_one(void **state)
{
    struct fixture f;
    uint64_t until;

    (void)state;
    begin(&f, &plain);
    for (size_t i = 0; i < 8; i++)
        add(&f, i, "a");
    for (int i = 0; i < 6; i++)
        assert_int_equal(next(&f), i);
    for (size_t i = 0; i < 4; i++)
        finish(&f, i, LIMITER_BUSY, 0);
    until = limiter_paused_until(&f.items[6]);
    assert_in_range(until, f.now + 500, f.now + 1000);
    /* What was under way before the pause does not end it. */
    finish(&f, 4, LIMITER_GOOD, 0);
    assert_int_equal(limiter_paused_until(&f.items[6]), until);
    /* A longer time that the host names counts still, a shorter one does not. */
    finish(&f, 5, LIMITER_BUSY, 5000);
    assert_int_equal(limiter_paused_until(&f.items[6]), f.now + 5000);
    f.now += 5000;
    assert_int_equal(next(&f), 6);
    finish(&f, 6, LIMITER_BUSY, 0);
    assert_in_range(limiter_paused_until(&f.items[7]), f.now + 1000, f.now + 2000);
    end(&f);
}

/* How many of a host's items start now. */
static int started(struct fixture *f)
{
    int count = 0;

    while (next(f) >= 0)
        count++;
    return count;
}

static void test_ramp(void **state)
{
    struct limiter_options options = plain;
    struct fixture f;

    (void)state;
    options.ramp_from = 2;
    options.active_max = ITEMS_MAX;
    begin(&f, &options);
    for (size_t i = 0; i < ITEMS_MAX; i++)
        add(&f, i, "a");
    assert_int_equal(started(&f), 2);
    for (size_t i = 0; i < 4; i++) {
        /* One ended and one more is allowed: two start. */
        finish(&f, i, LIMITER_GOOD, 0);
        assert_int_equal(started(&f), 2);
        assert_int_equal(limiter_active(f.limiter), 3 + i);
    }
    finish(&f, 4, LIMITER_GOOD, 0);
    assert_int_equal(started(&f), 1);
    finish(&f, 5, LIMITER_BAD, 0);
    assert_int_equal(started(&f), 1);
    assert_int_equal(limiter_active(f.limiter), 6);
    /* Busy: three from now on, and those under way are one too many. */
    finish(&f, 6, LIMITER_BUSY, 0);
    finish(&f, 7, LIMITER_BUSY, 0);
    assert_int_equal(limiter_active(f.limiter), 4);
    f.now += 1000;
    assert_int_equal(started(&f), 0);
    finish(&f, 8, LIMITER_BAD, 0);
    assert_int_equal(started(&f), 0);
    finish(&f, 9, LIMITER_BAD, 0);
    assert_int_equal(started(&f), 1);
    assert_int_equal(limiter_active(f.limiter), 3);
    for (size_t i = 10; i < 13; i++) {
        finish(&f, i, LIMITER_BUSY, 0);
        f.now += 60000;
        if (i < 12)
            continue;
        /* Never below one. */
        assert_int_equal(started(&f), 1);
        finish(&f, 13, LIMITER_GOOD, 0);
        assert_int_equal(started(&f), 2);
    }
    end(&f);
}

static void test_ramp_with_a_bound_of_one(void **state)
{
    struct limiter_options options = plain;
    struct fixture f;

    (void)state;
    options.ramp_from = 2;
    options.per_host_max = 1;
    begin(&f, &options);
    for (size_t i = 0; i < 4; i++)
        add(&f, i, "a");
    assert_int_equal(started(&f), 1);
    finish(&f, 0, LIMITER_GOOD, 0);
    assert_int_equal(started(&f), 1);
    end(&f);
}

static void test_delayed_items(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, &plain);
    assert_true(limiter_add(f.limiter, &f.items[0], SPAN("a"), f.now + 100, LIMITER_NEXT));
    assert_true(limiter_add(f.limiter, &f.items[1], SPAN("a"), f.now + 50, LIMITER_NEXT));
    assert_true(limiter_add(f.limiter, &f.items[2], SPAN("a"), f.now, LIMITER_NEXT));
    assert_int_equal(f.items[0].state, LIMITER_DELAYED);
    assert_int_equal(f.items[2].state, LIMITER_QUEUED);
    assert_int_equal(limiter_waiting(f.limiter), 3);
    assert_int_equal(next(&f), 2);
    finish(&f, 2, LIMITER_GOOD, 0);
    assert_int_equal(limiter_hosts(f.limiter), 1);
    assert_int_equal(limiter_wake_ns(f.limiter), f.now + 50);
    f.now += 49;
    assert_int_equal(next(&f), -1);
    f.now += 1;
    assert_int_equal(next(&f), 1);
    assert_int_equal(next(&f), -1);
    f.now += 1000;
    assert_int_equal(next(&f), 0);
    assert_int_equal(limiter_waiting(f.limiter), 0);
    end(&f);
}

static void test_a_delay_ends_while_its_host_is_paused(void **state)
{
    struct fixture f;
    uint64_t until;

    (void)state;
    begin(&f, &plain);
    add(&f, 0, "a");
    assert_int_equal(next(&f), 0);
    assert_true(limiter_add(f.limiter, &f.items[1], SPAN("a"), f.now + 10, LIMITER_NEXT));
    finish(&f, 0, LIMITER_BUSY, 0);
    until = limiter_paused_until(&f.items[1]);
    f.now += 10;
    assert_int_equal(next(&f), -1);
    assert_int_equal(limiter_wake_ns(f.limiter), until);
    f.now = until;
    assert_int_equal(next(&f), 1);
    end(&f);
}

static void test_firsts(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, &plain);
    add(&f, 0, "a");
    add(&f, 1, "a");
    add(&f, 2, "b");
    assert_true(limiter_add(f.limiter, &f.items[3], SPAN("a"), 0, LIMITER_FIRST));
    assert_true(limiter_add(f.limiter, &f.items[4], SPAN("a"), 0, LIMITER_FIRST));
    assert_true(limiter_add(f.limiter, &f.items[5], SPAN("a"), f.now + 5, LIMITER_FIRST));
    assert_int_equal(next(&f), 3);
    assert_int_equal(next(&f), 2);
    assert_int_equal(next(&f), 4);
    f.now += 5;
    assert_int_equal(next(&f), 5);
    assert_int_equal(next(&f), 0);
    assert_int_equal(next(&f), 1);
    end(&f);
}

static void add_extra(struct fixture *f, size_t item, const char *host)
{
    assert_true(limiter_add(f->limiter, &f->items[item], span_of(host), 0, LIMITER_EXTRA));
}

/* Extra items have a bound of their own, and the host's; they go before what has not begun. */
static void test_extra(void **state)
{
    struct limiter_options options = plain;
    struct fixture f;

    (void)state;
    options.active_max = 1;
    options.extra_max = 2;
    options.per_host_max = 3;
    begin(&f, &options);
    add(&f, 0, "a");
    add(&f, 1, "a");
    add(&f, 2, "b");
    assert_int_equal(next(&f), 0);
    for (size_t i = 3; i < 6; i++)
        add_extra(&f, i, "a");
    assert_int_equal(limiter_wake_ns(f.limiter), 0);
    assert_int_equal(next(&f), 3);
    assert_int_equal(next(&f), 4);
    assert_int_equal(next(&f), -1);
    assert_int_equal(limiter_wake_ns(f.limiter), UINT64_MAX);
    assert_int_equal(limiter_active(f.limiter), 1);
    finish(&f, 4, LIMITER_GOOD, 0);
    assert_int_equal(next(&f), 5);
    finish(&f, 0, LIMITER_GOOD, 0);
    assert_int_equal(next(&f), 2);
    finish(&f, 2, LIMITER_GOOD, 0);
    assert_int_equal(next(&f), 1);
    assert_int_equal(next(&f), -1);
    end(&f);
}

static void test_extra_takes_a_place(void **state)
{
    struct limiter_options options = plain;
    struct fixture f;

    (void)state;
    options.active_max = 1;
    options.extra_max = 1;
    begin(&f, &options);
    add(&f, 0, "a");
    assert_int_equal(next(&f), 0);
    add_extra(&f, 1, "a");
    assert_int_equal(next(&f), 1);
    add(&f, 2, "b");
    finish(&f, 0, LIMITER_GOOD, 0);
    limiter_promote(f.limiter, &f.items[1]);
    assert_int_equal(next(&f), -1);
    add_extra(&f, 0, "a");
    assert_int_equal(next(&f), 0);
    finish(&f, 1, LIMITER_GOOD, 0);
    assert_int_equal(next(&f), 2);
    end(&f);
}

/* A host whose extra items must wait does not stand in the way of its others. */
static void test_extra_that_must_wait(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, &plain); /* extra_max is 0 */
    add_extra(&f, 0, "a");
    assert_int_equal(limiter_wake_ns(f.limiter), UINT64_MAX);
    add(&f, 1, "a");
    assert_int_equal(next(&f), 1);
    assert_int_equal(next(&f), -1);
    end(&f);
}

static void test_removal_in_every_state(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, &plain);
    limiter_remove(f.limiter, &f.items[0]);
    add(&f, 0, "a");
    limiter_remove(f.limiter, &f.items[0]);
    limiter_remove(f.limiter, &f.items[0]);
    assert_int_equal(limiter_hosts(f.limiter), 0);
    assert_int_equal(next(&f), -1);
    assert_true(limiter_wake_ns(f.limiter) == UINT64_MAX);

    assert_true(limiter_add(f.limiter, &f.items[0], SPAN("a"), f.now + 9, LIMITER_FIRST));
    limiter_remove(f.limiter, &f.items[0]);
    assert_int_equal(f.items[0].state, LIMITER_IDLE);
    assert_int_equal(limiter_hosts(f.limiter), 0);
    assert_true(limiter_wake_ns(f.limiter) == UINT64_MAX);

    /* From the middle of a queue, and the last of one whose host goes on. */
    for (size_t i = 0; i < 3; i++)
        add(&f, i, "a");
    limiter_remove(f.limiter, &f.items[1]);
    assert_int_equal(next(&f), 0);
    limiter_remove(f.limiter, &f.items[2]);
    assert_int_equal(next(&f), -1);
    assert_int_equal(limiter_hosts(f.limiter), 1);

    /* While the host is paused, and while it is full. */
    add(&f, 3, "a");
    finish(&f, 0, LIMITER_BUSY, 0);
    limiter_remove(f.limiter, &f.items[3]);
    assert_true(limiter_wake_ns(f.limiter) == UINT64_MAX);
    assert_int_equal(limiter_hosts(f.limiter), 1);
    f.now += 1000;
    for (size_t i = 0; i < 8; i++)
        add(&f, i, "a");
    assert_int_equal(started(&f), 6);
    limiter_remove(f.limiter, &f.items[6]);
    limiter_remove(f.limiter, &f.items[7]);
    for (size_t i = 0; i < 6; i++)
        finish(&f, i, LIMITER_GOOD, 0);
    assert_int_equal(limiter_hosts(f.limiter), 0);
    end(&f);
}

static void test_hosts_end_with_what_is_known(void **state)
{
    struct limiter_options options = plain;
    struct fixture f;
    uint64_t until;

    (void)state;
    options.wait_ns = 200;
    begin(&f, &options);
    add(&f, 0, "a");
    assert_int_equal(next(&f), 0);
    finish(&f, 0, LIMITER_GOOD, 0);
    /* Its spacing is still running: who comes anew waits for it. */
    assert_int_equal(limiter_hosts(f.limiter), 1);
    assert_true(limiter_wake_ns(f.limiter) == UINT64_MAX);
    f.now += 100;
    add(&f, 0, "a");
    assert_int_equal(next(&f), -1);
    assert_int_equal(limiter_wake_ns(f.limiter), f.now + 100);
    limiter_remove(f.limiter, &f.items[0]);
    f.now += 100;
    assert_int_equal(next(&f), -1);
    assert_int_equal(limiter_hosts(f.limiter), 0);

    add(&f, 0, "a");
    assert_int_equal(next(&f), 0);
    finish(&f, 0, LIMITER_BUSY, 0);
    assert_int_equal(limiter_hosts(f.limiter), 1);
    assert_int_equal(limiter_paused(f.limiter, f.now), 1);
    add(&f, 0, "a");
    until = limiter_paused_until(&f.items[0]);
    assert_true(until > f.now);
    limiter_remove(f.limiter, &f.items[0]);
    f.now = until;
    assert_int_equal(next(&f), -1);
    assert_int_equal(limiter_hosts(f.limiter), 0);
    assert_int_equal(limiter_paused(f.limiter, f.now), 0);

    /* Ended while it is kept. */
    add(&f, 0, "a");
    assert_int_equal(next(&f), 0);
    finish(&f, 0, LIMITER_BUSY, 0);
    assert_int_equal(limiter_hosts(f.limiter), 1);
    end(&f);
}

static void test_names_are_any_bytes(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, &plain);
    add(&f, 0, "");
    assert_true(limiter_add(f.limiter, &f.items[1], span_make("a\0b", 3), 0, LIMITER_NEXT));
    assert_true(limiter_add(f.limiter, &f.items[2], span_make("a\0c", 3), 0, LIMITER_NEXT));
    assert_int_equal(limiter_hosts(f.limiter), 3);
    assert_int_equal(started(&f), 3);
    end(&f);
}

static void test_time_that_goes_back_is_the_latest(void **state)
{
    struct limiter_options options = plain;
    struct fixture f;

    (void)state;
    options.wait_ns = 100;
    begin(&f, &options);
    add(&f, 0, "a");
    add(&f, 1, "a");
    assert_int_equal(next(&f), 0);
    f.now -= 5000;
    finish(&f, 0, LIMITER_GOOD, 0);
    assert_int_equal(next(&f), -1);
    assert_int_equal(limiter_wake_ns(f.limiter), f.now + 5100);
    end(&f);
}

struct crowd {
    struct limiter *limiter;
    struct limiter_item *items;
    struct limiter_item **running; /* a ring */
    unsigned *starts;              /* for each item, of which each host has one */
    size_t host_count;
    size_t active_max;
    uint64_t now;
    uint64_t seed;
};

static void crowd_add(struct crowd *c, size_t item, uint64_t not_before)
{
    char name[32];
    int len = snprintf(name, sizeof(name), "https:host%zu:443", item);

    assert_true(limiter_add(c->limiter, &c->items[item], span_make(name, (size_t)len), not_before,
                            LIMITER_NEXT));
}

/* CPU nanoseconds for each decision, over `decisions` grants. */
static double crowd_run(struct crowd *c, size_t decisions)
{
    struct timespec from;
    struct timespec to;
    size_t head = 0;
    size_t tail = 0;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &from);
    while (head < decisions) {
        struct limiter_item *item = limiter_next(c->limiter, c->now, unit_random(&c->seed));
        size_t index;

        if (item) {
            c->starts[item - c->items]++;
            c->running[head++ % c->active_max] = item;
            c->now += 1;
            continue;
        }
        if (head == tail) {
            uint64_t wake = limiter_wake_ns(c->limiter);

            assert_true(wake > c->now && wake != UINT64_MAX);
            c->now = wake;
            continue;
        }
        item = c->running[tail++ % c->active_max];
        index = (size_t)(item - c->items);
        limiter_finish(c->limiter, item, c->now,
                       unit_random(&c->seed) % 16 == 0 ? LIMITER_BUSY : LIMITER_GOOD, 0,
                       unit_random(&c->seed));
        crowd_add(c, index, unit_random(&c->seed) % 4 == 0 ? c->now + 1000 : 0);
    }
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &to);
    while (tail < head)
        limiter_finish(c->limiter, c->running[tail++ % c->active_max], c->now, LIMITER_BAD, 0, 0);
    return ((double)(to.tv_sec - from.tv_sec) * 1e9 + (double)(to.tv_nsec - from.tv_nsec)) /
           (double)decisions;
}

static double crowd_cost(size_t host_count, size_t decisions)
{
    struct limiter_options options = {.active_max = 64,
                                      .per_host_max = 6,
                                      .ramp_from = 2,
                                      .wait_ns = 50,
                                      .random_wait = true,
                                      .pause_ns = 20000,
                                      .pause_max_ns = 2000000};
    struct crowd c = {
        .host_count = host_count, .active_max = 64, .now = 1, .seed = 88172645463325252U};
    double cost;
    size_t unserved = 0;

    c.limiter = limiter_create(&options, 5);
    c.items = calloc(host_count, sizeof(*c.items));
    c.starts = calloc(host_count, sizeof(*c.starts));
    c.running = calloc(c.active_max, sizeof(struct limiter_item *));
    assert_true(c.limiter && c.items && c.starts && c.running);
    for (size_t i = 0; i < host_count; i++) {
        limiter_item_init(&c.items[i]);
        crowd_add(&c, i, 0);
    }
    cost = crowd_run(&c, decisions);
    for (size_t i = 0; i < host_count; i++) {
        unserved += c.starts[i] == 0;
        limiter_remove(c.limiter, &c.items[i]);
    }
    /* Round robin: nobody is left out when there are ten decisions for each. */
    assert_int_equal(unserved, 0);
    limiter_next(c.limiter, UINT64_MAX - 1, 0);
    assert_int_equal(limiter_hosts(c.limiter), 0);
    limiter_destroy(c.limiter);
    free(c.items);
    free(c.starts);
    free(c.running);
    return cost;
}

static void test_a_hundred_thousand_hosts(void **state)
{
    double few = crowd_cost(100, 200000);
    double many = crowd_cost(100000, 1000000);

    (void)state;
    print_message("limiter: %.0f ns a decision with 100 hosts, %.0f with 100,000 "
                  "(%.2f million a second)\n",
                  few, many, 1e3 / many);
    /* A loop over the hosts would be 1,000 times slower; the processor's caches are some 10. */
    assert_true(many < few * 60);
}

/* A list of a million hosts, one request each, some of them busy: only those few are kept. */
static void test_memory_over_a_million_hosts(void **state)
{
    struct limiter_options options = plain;
    struct fixture f;
    size_t most = 0;

    (void)state;
    options.wait_ns = 10;
    begin(&f, &options);
    for (size_t i = 0; i < 1000000; i++) {
        size_t item = i % 8;
        char name[32];
        int len = snprintf(name, sizeof(name), "h%zu", i);

        if (f.items[item].state == LIMITER_GRANTED)
            finish(&f, item, i % 100 == 0 ? LIMITER_BUSY : LIMITER_GOOD, 0);
        assert_true(
            limiter_add(f.limiter, &f.items[item], span_make(name, (size_t)len), 0, LIMITER_NEXT));
        assert_int_equal(next(&f), item);
        f.now += 1;
        if (limiter_hosts(f.limiter) > most)
            most = limiter_hosts(f.limiter);
    }
    /* 8 under way, those of the last 10 ticks, and one in a hundred for 1000 ticks. */
    assert_in_range(most, 8, 8 + 10 + 11);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hosts_take_turns),
        cmocka_unit_test(test_a_latecomer_gets_its_turn),
        cmocka_unit_test(test_bound_over_all),
        cmocka_unit_test(test_bound_per_host),
        cmocka_unit_test(test_spacing),
        cmocka_unit_test(test_random_spacing),
        cmocka_unit_test(test_a_pause_hits_its_host_only),
        cmocka_unit_test(test_retry_after_wins_when_longer),
        cmocka_unit_test(test_an_endless_retry_after),
        cmocka_unit_test(test_pauses_double_while_they_go_on),
        cmocka_unit_test(test_a_burst_of_busy_answers_is_one),
        cmocka_unit_test(test_ramp),
        cmocka_unit_test(test_ramp_with_a_bound_of_one),
        cmocka_unit_test(test_delayed_items),
        cmocka_unit_test(test_a_delay_ends_while_its_host_is_paused),
        cmocka_unit_test(test_firsts),
        cmocka_unit_test(test_extra),
        cmocka_unit_test(test_extra_takes_a_place),
        cmocka_unit_test(test_extra_that_must_wait),
        cmocka_unit_test(test_removal_in_every_state),
        cmocka_unit_test(test_hosts_end_with_what_is_known),
        cmocka_unit_test(test_names_are_any_bytes),
        cmocka_unit_test(test_time_that_goes_back_is_the_latest),
        cmocka_unit_test(test_a_hundred_thousand_hosts),
        cmocka_unit_test(test_memory_over_a_million_hosts),
    };

    return UNIT_RUN(tests);
}
