/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/ring_fixture.h"

#include <unistd.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

struct ring *ring;
bool starting;
unsigned ended;

static void act_last(struct ref *ref)
{
    (void)ref;
    ended++;
}

void act_done(struct op *op, int res)
{
    struct act *act = CONTAINER_OF(op, struct act, op);

    CHECK(!starting && !op_busy(op) && act->ref.count > 0);
    act->calls++;
    act->res = res;
    if (act->cancels)
        ring_cancel(ring, &act->cancels->op);
}

void act_init(struct act *act)
{
    *act = (struct act){.res = INT32_MIN};
    ref_init(&act->ref, act_last);
    op_init(&act->op, act_done, &act->ref);
}

void begin_with(uint32_t features_off)
{
    struct ring_options options = {.features_off = features_off, .helper_threads = HELPERS};
    struct haul_error error;

    ring = ring_create(&options, &error);
    assert_non_null(ring);
    assert_int_equal(ring_busy(ring), 0);
    starting = false;
    ended = 0;
}

void begin(void)
{
    begin_with(0);
}

void end(void)
{
    assert_int_equal(ring_busy(ring), 0);
    ring_destroy(ring);
}

void turn_ms(uint64_t ms)
{
    ring_read_clock(ring);
    assert_int_equal(ring_turn(ring, ring_now_ns(ring) + ms * (uint64_t)NS_PER_MS), 0);
}

/* Valgrind lets one thread run at a time, and as of 3.19 doesn't know that io_uring_enter() waits:
 * then the test must wait outside of it, or no other thread, and no signal, would get its turn. */
void turn(uint64_t until_ns)
{
    if (RUNNING_ON_VALGRIND) {
        assert_int_equal(ring_turn(ring, 0), 0);
        usleep(100);
    } else {
        assert_int_equal(ring_turn(ring, until_ns), 0);
    }
}

/* What has become of it. */
int finish(struct act *act)
{
    uint64_t limit;

    ring_read_clock(ring);
    limit = ring_now_ns(ring) + PATIENCE_NS;
    while (act->calls == 0 && ring_now_ns(ring) < limit)
        turn(limit);
    assert_int_equal(act->calls, 1);
    assert_false(op_busy(&act->op));
    act->calls = 0;
    return act->res;
}
