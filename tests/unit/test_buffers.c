/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chunks: the memory itself against a model, and who may have how much of it. Waiting for it is
 * test_buffers_wait's. */
#include "tests/unit/buffers_fixture.h"

#include <unistd.h>

enum {
    HOSTS_MAX = 100, /* more than the least budget has units */
    RANDOM_STEPS = 20000,
    RANDOM_REGIONS = 3
};

/* ---- memory ---- */

static void test_budget(void **state)
{
    static const struct {
        size_t budget_bytes;
        size_t regions;
    } rows[] = {
        {0, 2},           {1, 2},           {LARGEST, 2}, {2 * LARGEST, 2}, {3 * LARGEST - 1, 2},
        {3 * LARGEST, 3}, {4 * LARGEST, 4},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buffers *buffers = buffers_create(rows[i].budget_bytes, NULL, 1);
        struct pile pile = {0};

        assert_non_null(buffers);
        while (pile_take(&pile, buffers, NULL, UNIT)) {
            struct chunk *chunk = pile.chunks[pile.count - 1];

            assert_int_equal(buffers_out(buffers), pile.count);
            assert_int_equal((uintptr_t)chunk->data % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
            memset(chunk->data, (int)pile.count, chunk->size);
        }
        assert_int_equal(pile.count, rows[i].regions * UNITS);
        for (size_t k = 0; k < pile.count; k++) {
            assert_int_equal((uint8_t)pile.chunks[k]->data[0], (k + 1) % 256);
            assert_int_equal((uint8_t)pile.chunks[k]->data[UNIT - 1], (k + 1) % 256);
        }
        assert_null(buffers_take(buffers, NULL, LARGEST));
        pile_give_all(&pile, buffers);
        assert_whole(buffers, rows[i].regions);
        buffers_destroy(buffers);
    }
    buffers_destroy(NULL);
}

static void test_sizes(void **state)
{
    static const struct {
        size_t bytes;
        size_t size;
    } rows[] = {
        {0, UNIT},
        {1, UNIT},
        {UNIT, UNIT},
        {UNIT + 1, 2 * UNIT},
        {2 * UNIT, 2 * UNIT},
        {2 * UNIT + 1, 4 * UNIT},
        {200 * 1000, 8 * UNIT},
        {LARGEST / 2, LARGEST / 2},
        {LARGEST / 2 + 1, LARGEST},
        {LARGEST, LARGEST},
        {LARGEST + 1, LARGEST},
        {SIZE_MAX, LARGEST},
    };
    struct buffers *buffers = buffers_create(BUDGET, NULL, 1);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct chunk *chunk = buffers_take(buffers, NULL, rows[i].bytes);

        assert_int_equal(chunk->size, rows[i].size);
        memset(chunk->data, 'x', chunk->size);
        buffers_give(buffers, chunk);
    }
    assert_whole(buffers, 2);
    buffers_destroy(buffers);
}

/* Less than was asked for, where there is no more in one piece. */
static void test_leftovers(void **state)
{
    struct buffers *buffers = buffers_create(BUDGET, NULL, 1);
    struct pile pile = {0};

    (void)state;
    assert_true(pile_take(&pile, buffers, NULL, UNIT)); /* of its region: 1, 2, 4, 8, 16 are left */
    assert_true(pile_take(&pile, buffers, NULL, LARGEST));
    for (size_t size = LARGEST / 2; size >= UNIT; size /= 2) {
        assert_true(pile_take(&pile, buffers, NULL, LARGEST));
        assert_int_equal(pile.chunks[pile.count - 1]->size, size);
    }
    assert_false(pile_take(&pile, buffers, NULL, UNIT));
    assert_int_equal(pile.bytes, BUDGET);
    pile_give_all(&pile, buffers);
    /* What is just right is used before something larger is split. */
    for (size_t i = 0; i < 4; i++)
        assert_true(pile_take(&pile, buffers, NULL, UNIT));
    assert_true(pile_take(&pile, buffers, NULL, LARGEST));
    assert_int_equal(pile.chunks[4]->size, LARGEST);
    pile_give_all(&pile, buffers);
    assert_whole(buffers, 2);
    buffers_destroy(buffers);
}

/* In every size, and given back in several orders: forwards, backwards, every other one first. */
static void test_split_and_merge(void **state)
{
    struct buffers *buffers = buffers_create(BUDGET, NULL, 1);

    (void)state;
    for (size_t size = UNIT; size <= LARGEST; size *= 2) {
        for (int order = 0; order < 3; order++) {
            struct pile pile = {0};

            pile_take_all(&pile, buffers, NULL, size);
            assert_int_equal(pile.count, BUDGET / size);
            assert_int_equal(pile.bytes, BUDGET);
            for (size_t i = 0; i < pile.count; i++)
                assert_int_equal(pile.chunks[i]->size, size);
            for (size_t i = 0; order == 0 && i < pile.count; i++)
                buffers_give(buffers, pile.chunks[i]);
            for (size_t i = pile.count; order == 1 && i > 0; i--)
                buffers_give(buffers, pile.chunks[i - 1]);
            for (size_t odd = 0; order == 2 && odd < 2; odd++)
                for (size_t i = odd; i < pile.count; i += 2)
                    buffers_give(buffers, pile.chunks[i]);
            assert_whole(buffers, 2);
        }
    }
    buffers_destroy(buffers);
}

/* The model: which units are out. */
struct model {
    char *base;
    bool out[RANDOM_REGIONS * UNITS];
};

static size_t model_unit(const struct model *model, const struct chunk *chunk)
{
    return (size_t)(chunk->data - model->base) / UNIT;
}

/* Whether a piece of this size, at a multiple of it, could be handed out. */
static bool model_has(const struct model *model, size_t size)
{
    size_t units = size / UNIT;

    for (size_t at = 0; at < COUNT_OF(model->out); at += units) {
        size_t free_units = 0;

        while (free_units < units && !model->out[at + free_units])
            free_units++;
        if (free_units == units)
            return true;
    }
    return false;
}

static void model_take(struct model *model, const struct chunk *chunk, size_t size)
{
    size_t at = model_unit(model, chunk);

    assert_true(at + chunk->size / UNIT <= COUNT_OF(model->out));
    assert_int_equal((size_t)(chunk->data - model->base) % chunk->size, 0);
    for (size_t i = 0; i < chunk->size / UNIT; i++) {
        assert_false(model->out[at + i]);
        model->out[at + i] = true;
    }
    memset(chunk->data, (int)at, 16);
    memset(chunk->data + chunk->size - 16, (int)at, 16);
    assert_true(chunk->size <= size);
}

static void model_give(struct model *model, const struct chunk *chunk)
{
    size_t at = model_unit(model, chunk);

    for (size_t i = 0; i < 16; i++) {
        assert_int_equal((uint8_t)chunk->data[i], at);
        assert_int_equal((uint8_t)chunk->data[chunk->size - 1 - i], at);
    }
    memset(&model->out[at], 0, chunk->size / UNIT);
}

static void model_begin(struct model *model, struct buffers *buffers)
{
    struct pile pile = {0};

    *model = (struct model){0};
    pile_take_all(&pile, buffers, NULL, LARGEST);
    assert_int_equal(pile.count, RANDOM_REGIONS);
    model->base = pile.chunks[0]->data;
    for (size_t i = 1; i < pile.count; i++)
        if (pile.chunks[i]->data < model->base)
            model->base = pile.chunks[i]->data;
    pile_give_all(&pile, buffers);
}

/* No two overlap, the largest possible is given if not what was asked for, and after any sequence
 * everything is in one piece again. */
static void test_random(void **state)
{
    struct buffers *buffers = buffers_create(RANDOM_REGIONS * LARGEST, NULL, 1);
    struct pile pile = {0};
    struct model model;
    uint64_t random = 7;

    (void)state;
    model_begin(&model, buffers);
    for (int step = 0; step < RANDOM_STEPS; step++) {
        size_t size = (size_t)UNIT << unit_random(&random) % 6;
        bool fills = step / 500 % 2; /* in turns, so that it is full now and then, and empty */

        if (unit_random(&random) % 8 < (fills ? 5 : 3)) {
            while (!model_has(&model, size) && size > UNIT)
                size /= 2;
            if (!pile_take(&pile, buffers, NULL, size)) {
                assert_false(model_has(&model, UNIT));
                continue;
            }
            assert_int_equal(pile.chunks[pile.count - 1]->size, size);
            model_take(&model, pile.chunks[pile.count - 1], size);
        } else if (pile.count > 0) {
            size_t i = unit_random(&random) % pile.count;
            struct chunk *chunk = pile.chunks[i];

            pile.chunks[i] = pile.chunks[pile.count - 1];
            pile.chunks[pile.count - 1] = chunk;
            model_give(&model, chunk);
            pile_give(&pile, buffers);
        }
        assert_int_equal(buffers_out(buffers), pile.count);
        assert_int_equal(buffers_scarce(buffers), pile.bytes > RANDOM_REGIONS * LARGEST / 4 * 3);
    }
    pile_give_all(&pile, buffers);
    assert_whole(buffers, RANDOM_REGIONS);
    buffers_destroy(buffers);
}

/* The same memory again, the latest first: its pages are still in the cache. */
static void test_reuse(void **state)
{
    struct buffers *buffers = buffers_create(BUDGET, NULL, 1);
    struct chunk *a, *b, *first;

    (void)state;
    for (size_t size = UNIT; size <= LARGEST; size *= 2) {
        /* The halves of a stay out, so that a and b are not merged with anything. */
        first = size < LARGEST ? buffers_take(buffers, NULL, size) : NULL;
        a = buffers_take(buffers, NULL, size);
        b = buffers_take(buffers, NULL, size);
        assert_int_equal(b->size, size);
        b->len = 17;
        if (first) {
            buffers_give(buffers, a);
            for (int round = 0; round < 3; round++) {
                struct chunk *again = buffers_take(buffers, NULL, size);

                assert_ptr_equal(again, a);
                assert_int_equal(again->len, 0);
                buffers_give(buffers, again);
            }
            buffers_give(buffers, b);
            buffers_give(buffers, first);
        } else {
            buffers_give(buffers, a);
            buffers_give(buffers, b);
            assert_ptr_equal(buffers_take(buffers, NULL, size), b);
            assert_int_equal(b->len, 0);
            assert_ptr_equal(buffers_take(buffers, NULL, size), a);
            buffers_give(buffers, a);
            buffers_give(buffers, b);
        }
    }
    assert_whole(buffers, 2);
    buffers_destroy(buffers);
}

/* Not firm: there is always more, and what was needed once is kept. */
static void test_open(void **state)
{
    struct buffers *buffers = buffers_create_open(BUDGET);
    struct chunk *chunks[5];
    struct pile pile = {0};
    bool found[COUNT_OF(chunks)] = {false};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(chunks); i++) {
        assert_int_equal(buffers_scarce(buffers), i > 1);
        chunks[i] = buffers_take(buffers, NULL, LARGEST);
        assert_int_equal(chunks[i]->size, LARGEST);
        memset(chunks[i]->data, (int)i, LARGEST);
    }
    for (size_t i = 0; i < COUNT_OF(chunks); i++) {
        assert_int_equal(chunks[i]->data[0], i);
        assert_int_equal(chunks[i]->data[LARGEST - 1], i);
        buffers_give(buffers, chunks[i]);
    }
    assert_false(buffers_scarce(buffers));
    for (size_t i = 0; i < COUNT_OF(chunks); i++)
        assert_true(pile_take(&pile, buffers, NULL, LARGEST));
    for (size_t i = 0; i < COUNT_OF(chunks); i++)
        for (size_t k = 0; k < COUNT_OF(chunks); k++)
            found[i] |= chunks[i] == pile.chunks[k];
    for (size_t i = 0; i < COUNT_OF(chunks); i++)
        assert_true(found[i]);
    pile_give_all(&pile, buffers);
    buffers_destroy(buffers);
}

static void test_scarce(void **state)
{
    struct buffers *buffers = buffers_create(BUDGET, NULL, 1);
    struct pile pile = {0};

    (void)state;
    while (pile_take(&pile, buffers, NULL, UNIT)) /* three quarters are not more than that */
        assert_int_equal(buffers_scarce(buffers), pile.bytes > BUDGET / 4 * 3);
    assert_int_equal(pile.bytes, BUDGET);
    while (pile.count > 0) {
        pile_give(&pile, buffers);
        assert_int_equal(buffers_scarce(buffers), pile.bytes > BUDGET / 4 * 3);
    }
    buffers_destroy(buffers);
}

/* ---- shares ---- */

/* Alone, a host may have everything, in pieces of any size. */
static void test_one_host(void **state)
{
    struct buffers *buffers = buffers_create(BUDGET, NULL, 1);
    struct pile pile = {0};

    (void)state;
    for (size_t size = UNIT; size <= LARGEST; size *= 2) {
        struct buffers_share *share = join(buffers, "https://a:443");

        pile_take_all(&pile, buffers, share, size);
        assert_int_equal(pile.bytes, BUDGET);
        pile_give_all(&pile, buffers);
        buffers_leave(buffers, share);
    }
    buffers_leave(buffers, NULL);
    assert_whole(buffers, 2);
    buffers_destroy(buffers);
}

/* Several have no more than their part each; and it grows as others leave. */
static void test_parts(void **state)
{
    static const char *const names[] = {"a", "b", "c", "d", "e"};

    (void)state;
    for (size_t hosts = 2; hosts <= COUNT_OF(names); hosts++) {
        struct buffers *buffers = buffers_create(BUDGET, NULL, 1);
        struct buffers_share *shares[COUNT_OF(names)];
        struct pile piles[COUNT_OF(names)] = {0};

        for (size_t i = 0; i < hosts; i++)
            shares[i] = join(buffers, names[i]);
        for (size_t i = 0; i < hosts; i++) {
            pile_take_all(&piles[i], buffers, shares[i], i % 2 ? LARGEST : UNIT);
            assert_true(piles[i].bytes <= BUDGET / hosts);
            assert_true(piles[i].bytes > BUDGET / hosts - UNIT);
        }
        for (size_t i = 1; i < hosts; i++) {
            assert_false(pile_take(&piles[0], buffers, shares[0], UNIT));
            pile_give_all(&piles[i], buffers);
            assert_false(pile_take(&piles[0], buffers, shares[0], UNIT)); /* not its own */
            buffers_leave(buffers, shares[i]);
            pile_take_all(&piles[0], buffers, shares[0], UNIT);
            assert_true(piles[0].bytes > BUDGET / (hosts - i) - UNIT);
        }
        assert_int_equal(piles[0].bytes, BUDGET);
        buffers_leave(buffers, shares[0]);
        pile_give_all(&piles[0], buffers); /* after it has left */
        assert_whole(buffers, 2);
        buffers_destroy(buffers);
    }
}

/* Who took much while it was alone gets nothing more until it is below its part. */
static void test_part_shrinks(void **state)
{
    struct buffers *buffers = buffers_create(BUDGET, NULL, 1);
    struct buffers_share *a = join(buffers, "a"), *b;
    struct pile of_a = {0}, of_b = {0};

    (void)state;
    pile_take_all(&of_a, buffers, a, UNIT);
    assert_int_equal(of_a.bytes, BUDGET);
    b = join(buffers, "b");
    while (of_a.bytes > BUDGET / 2) {
        pile_give(&of_a, buffers);
        assert_false(pile_take(&of_a, buffers, a, UNIT));
        assert_true(pile_take(&of_b, buffers, b, UNIT));
    }
    assert_int_equal(of_b.bytes, BUDGET / 2);
    pile_give(&of_a, buffers);
    assert_false(pile_take(&of_b, buffers, b, UNIT));
    assert_true(pile_take(&of_a, buffers, a, UNIT));
    pile_give_all(&of_a, buffers);
    pile_give_all(&of_b, buffers);
    buffers_leave(buffers, a);
    buffers_leave(buffers, b);
    buffers_destroy(buffers);
}

/* More hosts than units: a little for each that has nothing, as long as there is anything. */
static void test_more_hosts_than_units(void **state)
{
    struct buffers *buffers = buffers_create(BUDGET, NULL, 1);
    struct buffers_share *shares[HOSTS_MAX];
    struct chunk *chunks[HOSTS_MAX];

    (void)state;
    for (size_t i = 0; i < HOSTS_MAX; i++) {
        char name[16];

        snprintf(name, sizeof(name), "host%zu", i);
        shares[i] = join(buffers, name);
    }
    for (size_t i = 0; i < HOSTS_MAX; i++) {
        chunks[i] = buffers_take(buffers, shares[i], LARGEST);
        assert_int_equal(chunks[i] != NULL, i < BUDGET / UNIT);
        if (!chunks[i])
            continue;
        assert_int_equal(chunks[i]->size, UNIT);
        assert_null(buffers_take(buffers, shares[i], UNIT)); /* one is enough for it */
    }
    buffers_give(buffers, chunks[3]);
    assert_null(buffers_take(buffers, shares[4], UNIT));
    chunks[3] = buffers_take(buffers, shares[HOSTS_MAX - 1], LARGEST);
    assert_non_null(chunks[3]);
    for (size_t i = 0; i < HOSTS_MAX; i++) {
        if (chunks[i])
            buffers_give(buffers, chunks[i]);
        buffers_leave(buffers, shares[i]);
    }
    assert_whole(buffers, 2);
    buffers_destroy(buffers);
}

/* What a host may have is dealt out among its connections, eight chunks to each. */
static void test_fair_sizes(void **state)
{
    static const struct {
        unsigned connections;
        size_t asked;
        size_t size;
        size_t size_of_two; /* the same while another host is there */
    } rows[] = {
        {1, LARGEST, LARGEST, LARGEST},
        {4, LARGEST, LARGEST, LARGEST},
        {5, LARGEST, LARGEST, LARGEST / 2},
        {8, LARGEST, LARGEST, LARGEST / 2},
        {9, LARGEST, LARGEST / 2, LARGEST / 4},
        {32, LARGEST, LARGEST / 4, LARGEST / 8},
        {32, 100 * 1000, 4 * UNIT, 4 * UNIT},
        {64, 100 * 1000, 4 * UNIT, 2 * UNIT},
        {64, UNIT, UNIT, UNIT},
        {256, LARGEST, UNIT, UNIT},
        {257, LARGEST, UNIT, UNIT},
        {5000, LARGEST, UNIT, UNIT},
    };
    struct buffers *buffers = buffers_create(64 * LARGEST, NULL, 1);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buffers_share *share = NULL, *other;
        struct chunk *chunk;

        for (unsigned k = 0; k < rows[i].connections; k++)
            share = join(buffers, "a");
        chunk = buffers_take(buffers, share, rows[i].asked);
        assert_int_equal(chunk->size, rows[i].size);
        buffers_give(buffers, chunk);
        other = join(buffers, "b");
        chunk = buffers_take(buffers, share, rows[i].asked);
        assert_int_equal(chunk->size, rows[i].size_of_two);
        buffers_give(buffers, chunk);
        buffers_leave(buffers, other);
        for (unsigned k = 1; k < rows[i].connections; k++)
            buffers_leave(buffers, share);
        chunk = buffers_take(buffers, share, LARGEST); /* the last one has all for itself */
        assert_int_equal(chunk->size, LARGEST);
        buffers_give(buffers, chunk);
        buffers_leave(buffers, share);
    }
    buffers_destroy(buffers);
}

/* A name stands for one share as long as somebody uses it or has something of it. */
static void test_share_of_a_name(void **state)
{
    struct buffers *buffers = buffers_create(BUDGET, NULL, 1);
    struct buffers_share *a = join(buffers, "a"), *b = join(buffers, "b");
    struct pile of_a = {0}, momentary = {0};

    (void)state;
    assert_ptr_equal(join(buffers, "a"), a);
    assert_ptr_not_equal(a, b);
    pile_take_all(&of_a, buffers, a, UNIT);
    assert_int_equal(of_a.bytes, BUDGET / 2);
    buffers_leave(buffers, a);
    buffers_leave(buffers, a);
    assert_ptr_equal(join(buffers, "a"), a); /* what it still has is not forgotten */
    assert_false(pile_take(&of_a, buffers, a, UNIT));
    pile_take_all(&momentary, buffers, NULL, UNIT); /* nobody's part bounds these */
    assert_int_equal(momentary.bytes, BUDGET / 2);
    pile_give_all(&momentary, buffers);
    buffers_leave(buffers, b);
    buffers_leave(buffers, a);
    pile_give_all(&of_a, buffers);
    assert_whole(buffers, 2);
    buffers_destroy(buffers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budget),       cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_leftovers),    cmocka_unit_test(test_split_and_merge),
        cmocka_unit_test(test_random),       cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_open),         cmocka_unit_test(test_scarce),
        cmocka_unit_test(test_one_host),     cmocka_unit_test(test_parts),
        cmocka_unit_test(test_part_shrinks), cmocka_unit_test(test_more_hosts_than_units),
        cmocka_unit_test(test_fair_sizes),   cmocka_unit_test(test_share_of_a_name),
    };

    return UNIT_RUN(tests);
}
