/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The wheel against a model that looks at every timer every time. */
#include "unit.h"

#include "base/wheel.h"

enum { TIMERS = 100, STEPS = 100000 };

#define MS ((uint64_t)NS_PER_MS)

struct world;

struct item {
    struct timer timer;
    struct world *world;
    bool runs;
    uint64_t at_ns;
    unsigned turn; /* in which it was started */
};

struct world {
    struct wheel wheel;
    struct item items[TIMERS];
    uint64_t now_ns;
    uint64_t seed;
    unsigned turn;
    bool advancing;
    unsigned fired;
};

static uint64_t tick_up(uint64_t ns)
{
    return ns / MS + (ns % MS != 0);
}

/* From half a millisecond in the past to years ahead, near ones as likely as far ones. */
static uint64_t random_time(struct world *world)
{
    uint64_t far = unit_random(&world->seed) >> (1 + unit_random(&world->seed) % 60);

    if (unit_random(&world->seed) % 8 == 0)
        return world->now_ns - (world->now_ns < MS / 2 ? world->now_ns : MS / 2);
    if (unit_random(&world->seed) % 1000 == 0)
        return UINT64_MAX;
    return world->now_ns > UINT64_MAX - far ? UINT64_MAX : world->now_ns + far;
}

static void start(struct item *item)
{
    struct world *world = item->world;

    item->runs = true;
    item->at_ns = random_time(world);
    item->turn = world->turn;
    wheel_start(&world->wheel, &item->timer, item->at_ns);
    assert_true(timer_runs(&item->timer));
}

static void stop(struct item *item)
{
    item->runs = false;
    timer_stop(&item->timer);
    assert_false(timer_runs(&item->timer));
}

static struct item *any(struct world *world)
{
    return &world->items[unit_random(&world->seed) % TIMERS];
}

static void fired(struct timer *timer)
{
    struct item *item = CONTAINER_OF(timer, struct item, timer);
    struct world *world = item->world;

    assert_true(world->advancing);
    assert_true(item->runs);
    assert_false(timer_runs(timer));
    assert_true(item->at_ns <= world->now_ns);
    assert_int_not_equal(item->turn, world->turn);
    item->runs = false;
    world->fired++;
    switch (unit_random(&world->seed) % 4) {
    case 0:
        start(item);
        break;
    case 1:
        start(any(world));
        break;
    case 2:
        stop(any(world));
        break;
    }
}

static void check_next(struct world *world)
{
    uint64_t earliest = UINT64_MAX;
    uint64_t next_ns = wheel_next_ns(&world->wheel);

    for (size_t i = 0; i < TIMERS; i++) {
        struct item *item = &world->items[i];

        assert_int_equal(timer_runs(&item->timer), item->runs);
        if (item->runs && tick_up(item->at_ns) < earliest)
            earliest = tick_up(item->at_ns);
    }
    if (earliest == UINT64_MAX)
        assert_int_equal(next_ns, UINT64_MAX);
    else if (earliest <= UINT64_MAX / MS)
        assert_true(next_ns <= earliest * MS);
    /* Never a wake-up without work: either something fires then, or timers sink. */
    assert_true(next_ns == 0 || next_ns > world->now_ns);
}

static void advance(struct world *world)
{
    uint64_t step = unit_random(&world->seed) >> (16 + unit_random(&world->seed) % 48);
    uint64_t next_ns = wheel_next_ns(&world->wheel);

    if (unit_random(&world->seed) % 4 == 0 && next_ns != UINT64_MAX && next_ns > world->now_ns)
        world->now_ns = next_ns;
    else if (world->now_ns < UINT64_MAX - step)
        world->now_ns += step;
    world->turn++;
    world->advancing = true;
    wheel_advance(&world->wheel, world->now_ns);
    world->advancing = false;
    for (size_t i = 0; i < TIMERS; i++) {
        struct item *item = &world->items[i];

        if (item->runs && item->turn != world->turn)
            assert_true(tick_up(item->at_ns) > world->now_ns / MS);
    }
}

static void run_world(uint64_t seed, uint64_t start_ns)
{
    struct world *world = calloc(1, sizeof(*world));

    assert_non_null(world);
    world->seed = seed;
    world->now_ns = start_ns;
    wheel_init(&world->wheel, start_ns);
    for (size_t i = 0; i < TIMERS; i++) {
        world->items[i].world = world;
        timer_init(&world->items[i].timer, fired);
        assert_false(timer_runs(&world->items[i].timer));
    }
    for (int step = 0; step < STEPS; step++) {
        switch (unit_random(&world->seed) % 4) {
        case 0:
        case 1:
            start(any(world));
            break;
        case 2:
            stop(any(world));
            break;
        case 3:
            advance(world);
            break;
        }
        check_next(world);
    }
    assert_true(world->fired > STEPS / 100);
    free(world);
}

static void test_model(void **state)
{
    (void)state;
    run_world(1, 0);
    run_world(2, 1);
    run_world(3, UINT64_C(1700000000) * (uint64_t)NS_PER_S + 123456789);
    run_world(4, 64 * MS - 1);
    run_world(5, UINT64_MAX / 2);
}

static void count_fired(struct timer *timer)
{
    struct item *item = CONTAINER_OF(timer, struct item, timer);

    item->turn++;
}

/* Woken only when wheel_next_ns() says so, a lone timer fires after a few hops, at its time. */
static void test_hops(void **state)
{
    uint64_t seed = 9;
    struct wheel wheel;

    (void)state;
    for (int round = 0; round < 10000; round++) {
        uint64_t now_ns = unit_random(&seed) >> (unit_random(&seed) % 64);
        uint64_t at_ns = unit_random(&seed) >> (unit_random(&seed) % 64);
        struct item item = {0};
        int hops = 0;

        if (at_ns > UINT64_MAX - MS)
            continue;
        wheel_init(&wheel, now_ns);
        timer_init(&item.timer, count_fired);
        wheel_start(&wheel, &item.timer, at_ns);
        while (timer_runs(&item.timer)) {
            uint64_t next_ns = wheel_next_ns(&wheel);

            assert_true(next_ns <= tick_up(at_ns) * MS);
            now_ns = next_ns > now_ns ? next_ns : now_ns;
            wheel_advance(&wheel, now_ns);
            assert_true(++hops <= WHEEL_LEVELS + 1);
        }
        assert_int_equal(item.turn, 1);
        assert_true(now_ns >= at_ns);
        assert_int_equal(wheel_next_ns(&wheel), UINT64_MAX);
    }
}

static void restart_now(struct timer *timer)
{
    struct item *item = CONTAINER_OF(timer, struct item, timer);

    item->turn++;
    wheel_start(&item->world->wheel, timer, 0);
}

/* A timer that starts itself for the past fires once a turn, and asks for the next at once. */
static void test_restart_now(void **state)
{
    struct world *world = calloc(1, sizeof(*world));
    struct item *item = &world->items[0];

    (void)state;
    wheel_init(&world->wheel, 5 * MS);
    item->world = world;
    timer_init(&item->timer, restart_now);
    wheel_start(&world->wheel, &item->timer, 6 * MS);
    wheel_advance(&world->wheel, 5 * MS + MS / 2);
    assert_int_equal(item->turn, 0);
    for (unsigned turn = 1; turn <= 3; turn++) {
        wheel_advance(&world->wheel, 6 * MS);
        assert_int_equal(item->turn, turn);
        assert_int_equal(wheel_next_ns(&world->wheel), 0);
    }
    timer_stop(&item->timer);
    timer_stop(&item->timer);
    wheel_advance(&world->wheel, 7 * MS);
    assert_int_equal(item->turn, 3);
    free(world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_hops),
        cmocka_unit_test(test_restart_now),
    };

    return UNIT_RUN(tests);
}
