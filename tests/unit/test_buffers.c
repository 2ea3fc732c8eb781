/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Chunks: the memory itself against a model, who may have how much of it, and who is next. */
#include "unit.h"

#include <unistd.h>

#include "ring/buffers.h"

enum {
    UNIT = CHUNK_BYTES_MIN,
    LARGEST = CHUNK_BYTES_MAX,
    UNITS = LARGEST / UNIT, /* of a region */
    BUDGET = 2 * LARGEST,   /* the least that there is */
    CHUNKS_MAX = 4 * UNITS, /* that a test holds at once */
    HOSTS_MAX = 100,        /* more than the least budget has units */
    RANDOM_STEPS = 20000,
    RANDOM_REGIONS = 3
};

/* What somebody holds. */
struct pile {
    struct chunk *chunks[CHUNKS_MAX];
    size_t count;
    size_t bytes;
};

static bool pile_take(struct pile *pile, struct buffers *buffers, struct buffers_share *share,
                      size_t bytes)
{
    struct chunk *chunk = buffers_take(buffers, share, bytes);

    if (!chunk)
        return false;
    assert_true(pile->count < CHUNKS_MAX);
    assert_int_equal(chunk->len, 0);
    pile->chunks[pile->count++] = chunk;
    pile->bytes += chunk->size;
    return true;
}

static void pile_take_all(struct pile *pile, struct buffers *buffers, struct buffers_share *share,
                          size_t bytes)
{
    while (pile_take(pile, buffers, share, bytes))
        ;
}

static void pile_give(struct pile *pile, struct buffers *buffers)
{
    struct chunk *chunk = pile->chunks[--pile->count];

    pile->bytes -= chunk->size;
    buffers_give(buffers, chunk);
}

static void pile_give_all(struct pile *pile, struct buffers *buffers)
{
    while (pile->count > 0)
        pile_give(pile, buffers);
}

/* Whether all is in one piece again: no chunk is out, and the largest ones can be had. */
static void assert_whole(struct buffers *buffers, size_t regions)
{
    struct pile pile = {0};

    assert_int_equal(buffers_out(buffers), 0);
    pile_take_all(&pile, buffers, NULL, LARGEST);
    assert_int_equal(pile.count, regions);
    assert_int_equal(pile.bytes, regions * LARGEST);
    pile_give_all(&pile, buffers);
}

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

static struct buffers_share *join(struct buffers *buffers, const char *host)
{
    struct buffers_share *share = buffers_join(buffers, span_of(host));

    assert_non_null(share);
    return share;
}

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

/* ---- waiters ---- */

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budget),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_leftovers),
        cmocka_unit_test(test_split_and_merge),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_open),
        cmocka_unit_test(test_scarce),
        cmocka_unit_test(test_one_host),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_part_shrinks),
        cmocka_unit_test(test_more_hosts_than_units),
        cmocka_unit_test(test_fair_sizes),
        cmocka_unit_test(test_share_of_a_name),
        cmocka_unit_test(test_hosts_take_turns),
        cmocka_unit_test(test_many_from_one),
        cmocka_unit_test(test_unwait),
        cmocka_unit_test(test_leaving_wakes),
        cmocka_unit_test(test_waiter_takes_nothing),
        cmocka_unit_test(test_own_part_only),
        cmocka_unit_test(test_wait_from_within),
    };

    return UNIT_RUN(tests);
}
