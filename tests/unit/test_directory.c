/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Directories that are synced, and places for descriptors besides a file's own; how they are opened
 * and waited for is test_sink_file's and test_sink_file_few's. */
#include "tests/unit/sink_file_fixture.h"

enum { SYNCS = 5, PLACES = 3 };

static struct directory *directory;

static void opened(struct directory_wait *wait, struct directory *which,
                   const struct haul_error *error)
{
    (void)wait;
    CHECK(error->status == HAUL_OK);
    directory = which;
}

static void open_it(void)
{
    struct directory_wait wait = {.done = opened};
    struct haul_error error;

    list_init(&wait.node);
    directory = directory_get(f.directories, f.path, "", false, &wait, &error);
    while (!directory)
        turn_ms(10);
}

struct synced {
    struct directory_sync sync;
    unsigned calls;
    int res;
};

static void sync_done(struct directory_sync *sync, int res)
{
    struct synced *synced = CONTAINER_OF(sync, struct synced, sync);

    synced->calls++;
    synced->res = res;
}

/* The first is under way when the others come: one more serves all of them. */
static void test_syncs_are_shared(void **state)
{
    (void)state;
    for (size_t i = 0; i < BASES; i++) {
        struct synced syncs[SYNCS] = {{.calls = 0}};

        begin_at(bases[i], 0);
        open_it();
        for (size_t k = 0; k < SYNCS; k++) {
            syncs[k].sync.done = sync_done;
            directory_sync(directory, &syncs[k].sync);
            assert_int_equal(ring_busy(f.ring), 1);
            assert_int_equal(syncs[k].calls, 0);
        }
        while (!syncs[0].calls)
            turn_ms(100);
        for (size_t k = 1; k < SYNCS; k++)
            assert_int_equal(syncs[k].calls, 0);
        assert_int_equal(ring_busy(f.ring), 1);
        while (!syncs[1].calls)
            turn_ms(100);
        for (size_t k = 0; k < SYNCS; k++) {
            assert_int_equal(syncs[k].calls, 1);
            assert_int_equal(syncs[k].res, 0);
        }
        assert_int_equal(ring_busy(f.ring), 0);
        directory_sync(directory, &syncs[0].sync);
        while (syncs[0].calls < 2)
            turn_ms(100);
        directory_release(directory);
        end();
    }
}

static unsigned placed;

static void place_done(struct op *op, int res)
{
    (void)op;
    (void)res;
    placed++;
}

static void last(struct ref *ref)
{
    (void)ref;
}

/* More than a file's own is given where nobody goes without; or where it must be, and then others
 * wait until all of that is given back. */
static void test_more_places(void **state)
{
    struct file_place places[PLACES + 1] = {{.held = false}};
    struct op op;
    struct ref ref;

    (void)state;
    begin();
    directories_destroy(f.directories);
    f.directories = directories_create(f.ring, f.names, PLACES + 1);
    placed = 0;
    ref_init(&ref, last);
    op_init(&op, place_done, &ref);
    for (size_t i = 0; i < COUNT_OF(places); i++) {
        list_init(&places[i].node);
        places[i].op = &op;
    }
    assert_true(file_place_take(f.directories, &places[0]));
    assert_true(file_place_take(f.directories, &places[1]));
    assert_true(file_place_more(f.directories, &places[0], false));
    assert_false(file_place_more(f.directories, &places[1], false));
    assert_false(file_place_take(f.directories, &places[2]));
    assert_true(file_place_more(f.directories, &places[1], true));
    file_place_less(f.directories, &places[1]);
    turn_ms(0);
    assert_int_equal(placed, 0); /* that one was beyond what there is */
    file_place_less(f.directories, &places[0]);
    turn_ms(0);
    assert_int_equal(placed, 1);
    assert_true(places[2].held);
    assert_false(file_place_take(f.directories, &places[3]));
    file_place_give(f.directories, &places[3]); /* waits no longer */
    for (size_t i = 0; i < PLACES; i++)
        file_place_give(f.directories, &places[i]);
    turn_ms(0);
    assert_int_equal(placed, 1);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_syncs_are_shared),
        cmocka_unit_test(test_more_places),
    };

    return UNIT_RUN(tests);
}
