/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "sink/disk.h"

enum { TURNS = 5, PIECE_BYTES = 64 * 1024, PIECES_MAX = 100000 };

static void make_turn(struct disk_turn *turn, size_t bytes)
{
    disk_turn_init(turn);
    turn->bytes = bytes;
}

/* As many pieces as there is room for; their bytes. */
static size_t fill(struct disk *disk, const struct disk_turn *piece)
{
    unsigned count = 0;

    while (count < PIECES_MAX && disk_begin(disk, piece))
        count++;
    assert_in_range(count, 2, PIECES_MAX - 1);
    return count * piece->bytes;
}

static void test_room(void **state)
{
    struct disk_turn piece, rest;
    struct disk disk;
    size_t bound;

    (void)state;
    disk_init(&disk);
    make_turn(&piece, PIECE_BYTES);
    bound = fill(&disk, &piece);
    assert_int_equal(disk.busy_bytes, bound);
    assert_false(disk_begin(&disk, &piece)); /* what is refused is not counted */
    assert_int_equal(disk.busy_bytes, bound);
    disk_end(&disk, &piece);
    make_turn(&rest, PIECE_BYTES + 1);
    assert_false(disk_begin(&disk, &rest));
    make_turn(&rest, PIECE_BYTES - 1);
    assert_true(disk_begin(&disk, &rest));
    disk_end(&disk, &rest);
    while (disk.busy_bytes > 0)
        disk_end(&disk, &piece);
    assert_int_equal(fill(&disk, &piece), bound);
}

/* It would never begin otherwise. But it is alone then. */
static void test_larger_than_the_bound(void **state)
{
    struct disk_turn piece, large, none;
    struct disk disk;

    (void)state;
    disk_init(&disk);
    make_turn(&piece, PIECE_BYTES);
    make_turn(&large, fill(&disk, &piece) + 1);
    make_turn(&none, 0);
    while (disk.busy_bytes > PIECE_BYTES)
        disk_end(&disk, &piece);
    assert_false(disk_begin(&disk, &large));
    disk_wait(&disk, &large);
    assert_null(disk_next(&disk));
    disk_end(&disk, &piece);
    assert_ptr_equal(disk_next(&disk), &large);
    assert_true(disk_begin(&disk, &large));
    assert_false(disk_begin(&disk, &piece));
    assert_false(disk_begin(&disk, &none));
    disk_end(&disk, &large);
    assert_true(disk_begin(&disk, &piece));
}

static void test_turns(void **state)
{
    struct disk_turn busy, turns[TURNS];
    struct disk disk;

    (void)state;
    disk_init(&disk);
    assert_null(disk_next(&disk));
    make_turn(&busy, SIZE_MAX / 2);
    assert_true(disk_begin(&disk, &busy));
    for (size_t i = 0; i < TURNS; i++) {
        make_turn(&turns[i], i + 1);
        assert_false(disk_begin(&disk, &turns[i]));
        disk_wait(&disk, &turns[i]);
    }
    assert_null(disk_next(&disk));
    disk_end(&disk, &busy);
    for (size_t i = 0; i < TURNS; i++) {
        assert_ptr_equal(disk_next(&disk), &turns[i]);
        assert_false(list_is_linked(&turns[i].node));
        assert_true(disk_begin(&disk, &turns[i]));
    }
    assert_null(disk_next(&disk));
}

/* What would fit does not pass by what came before it, which might wait for ever. */
static void test_nobody_overtakes(void **state)
{
    struct disk_turn piece, large, small;
    struct disk disk;
    size_t bound;

    (void)state;
    disk_init(&disk);
    make_turn(&piece, PIECE_BYTES);
    bound = fill(&disk, &piece);
    make_turn(&large, bound);
    make_turn(&small, 1);
    disk_wait(&disk, &large);
    disk_wait(&disk, &small);
    while (disk.busy_bytes > 0) {
        assert_null(disk_next(&disk));
        disk_end(&disk, &piece);
    }
    assert_ptr_equal(disk_next(&disk), &large);
    assert_true(disk_begin(&disk, &large));
    disk_end(&disk, &large);
    assert_ptr_equal(disk_next(&disk), &small);
    assert_null(disk_next(&disk));
}

static void test_burst(void **state)
{
    struct disk disk;
    size_t all, kept;

    (void)state;
    disk_init(&disk);
    all = disk.burst_bytes;
    kept = all / 16 * 9;
    assert_in_range(all, 1, 1024 * 1024 * 1024);
    assert_false(disk_spend(&disk, UINT64_MAX, DISK_FILE));
    assert_false(disk_spend(&disk, UINT64_MAX, DISK_PIECE));
    assert_false(disk_spend(&disk, all + 1, DISK_FILE));
    assert_false(disk_spend(&disk, all - kept + 1, DISK_PIECE));
    assert_int_equal(disk.burst_bytes, all); /* all or nothing */
    assert_true(disk_spend(&disk, all - kept, DISK_PIECE));
    assert_false(disk_spend(&disk, 1, DISK_PIECE));
    assert_true(disk_spend(&disk, 1, DISK_FILE));
    assert_false(disk_spend(&disk, 1, DISK_PIECE));
    assert_false(disk_spend(&disk, kept, DISK_FILE));
    assert_true(disk_spend(&disk, kept - 1, DISK_FILE));
    assert_int_equal(disk.burst_bytes, 0);
    assert_false(disk_spend(&disk, 1, DISK_FILE));
}

/* Threads that share it have no more in all, and each keeps its part for whole files. */
static void test_shared_burst(void **state)
{
    struct disk disk;
    size_t all, kept;

    (void)state;
    disk_init(&disk);
    all = disk.burst_bytes;
    disk_share(&disk, 3);
    assert_in_range(disk.burst_bytes, all / 3 - 3, all / 3);
    kept = all / 3 / 16 * 9;
    assert_false(disk_spend(&disk, disk.burst_bytes - kept + 1, DISK_PIECE));
    assert_true(disk_spend(&disk, disk.burst_bytes - kept, DISK_PIECE));
    assert_true(disk_spend(&disk, kept, DISK_FILE));
    assert_false(disk_spend(&disk, 1, DISK_FILE));
}

/* A few at a time, the others in the order in which they came. */
static void test_syncs(void **state)
{
    struct disk_turn turns[TURNS];
    struct disk disk;
    unsigned most = 0;

    (void)state;
    disk_init(&disk);
    while (most < PIECES_MAX && disk_begin_sync(&disk))
        most++;
    assert_in_range(most, 2, 16);
    for (size_t i = 0; i < TURNS; i++) {
        make_turn(&turns[i], 0);
        disk_wait_sync(&disk, &turns[i]);
    }
    assert_null(disk_next_sync(&disk));
    disk_end_sync(&disk);
    assert_ptr_equal(disk_next_sync(&disk), &turns[0]);
    assert_null(disk_next_sync(&disk));
    list_remove(&turns[1].node); /* it waits no longer */
    for (unsigned i = 0; i < most; i++)
        disk_end_sync(&disk);
    for (size_t i = 2; i < TURNS && i < 2 + most; i++)
        assert_ptr_equal(disk_next_sync(&disk), &turns[i]);
    assert_false(list_is_linked(&disk.waiting_syncs) && most >= TURNS - 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_room),  cmocka_unit_test(test_larger_than_the_bound),
        cmocka_unit_test(test_turns), cmocka_unit_test(test_nobody_overtakes),
        cmocka_unit_test(test_burst), cmocka_unit_test(test_shared_burst),
        cmocka_unit_test(test_syncs),
    };

    return UNIT_RUN(tests);
}
