/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <unistd.h>

#include "ring/buffers.h"

enum { CHUNK_BYTES = 64 * 1024, CHUNKS_MAX = 16 };

static void test_budget(void **state)
{
    static const struct {
        size_t budget_bytes;
        size_t chunks;
    } rows[] = {
        {0, 2},
        {1, 2},
        {CHUNK_BYTES, 2},
        {2 * CHUNK_BYTES, 2},
        {3 * CHUNK_BYTES - 1, 2},
        {3 * CHUNK_BYTES, 3},
        {CHUNKS_MAX * CHUNK_BYTES, CHUNKS_MAX},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buffers *buffers = buffers_create(rows[i].budget_bytes, CHUNK_BYTES, true);
        struct chunk *chunks[CHUNKS_MAX];

        assert_non_null(buffers);
        for (size_t k = 0; k < rows[i].chunks; k++) {
            assert_int_equal(buffers_out(buffers), k);
            chunks[k] = buffers_take(buffers);
            assert_non_null(chunks[k]);
            assert_int_equal(chunks[k]->size, CHUNK_BYTES);
            assert_int_equal(chunks[k]->len, 0);
            assert_int_equal((uintptr_t)chunks[k]->data % (uintptr_t)sysconf(_SC_PAGESIZE), 0);
            memset(chunks[k]->data, (int)k, CHUNK_BYTES);
            for (size_t other = 0; other < k; other++)
                assert_int_equal(chunks[other]->data[CHUNK_BYTES - 1], other);
        }
        assert_null(buffers_take(buffers));
        assert_int_equal(buffers_out(buffers), rows[i].chunks);
        for (size_t k = 0; k < rows[i].chunks; k++)
            buffers_give(buffers, chunks[k]);
        assert_int_equal(buffers_out(buffers), 0);
        buffers_destroy(buffers);
    }
    buffers_destroy(NULL);
}

/* The same memory again, the latest first: a steady state maps nothing. */
static void test_reuse(void **state)
{
    struct buffers *buffers = buffers_create(CHUNKS_MAX * CHUNK_BYTES, CHUNK_BYTES, true);
    struct chunk *a = buffers_take(buffers);
    struct chunk *b = buffers_take(buffers);
    char *data = b->data;

    (void)state;
    b->len = 17;
    buffers_give(buffers, a);
    buffers_give(buffers, b);
    for (int round = 0; round < 3; round++) {
        assert_ptr_equal(buffers_take(buffers), b);
        assert_ptr_equal(b->data, data);
        assert_int_equal(b->len, 0);
        assert_ptr_equal(buffers_take(buffers), a);
        buffers_give(buffers, a);
        buffers_give(buffers, b);
    }
    buffers_destroy(buffers);
}

static void test_scarce(void **state)
{
    struct buffers *buffers = buffers_create(4 * CHUNK_BYTES, CHUNK_BYTES, true);
    struct chunk *chunks[4];

    (void)state;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(buffers_scarce(buffers), i > 2);
        chunks[i] = buffers_take(buffers);
    }
    assert_true(buffers_scarce(buffers));
    for (int i = 3; i >= 0; i--) {
        buffers_give(buffers, chunks[i]);
        assert_int_equal(buffers_scarce(buffers), i > 2);
    }
    buffers_destroy(buffers);
}

struct waiting {
    struct buffers_waiter waiter;
    struct buffers *buffers;
    struct chunk *chunk;
    int order; /* as which one it was called; 0: not yet */
};

static int called;

static void waiting_ready(struct buffers_waiter *waiter)
{
    struct waiting *waiting = CONTAINER_OF(waiter, struct waiting, waiter);

    waiting->order = ++called;
    assert_null(waiting->chunk);
    waiting->chunk = buffers_take(waiting->buffers);
    assert_non_null(waiting->chunk); /* it is for nobody else */
}

static void test_waiters(void **state)
{
    struct buffers *buffers = buffers_create(2 * CHUNK_BYTES, CHUNK_BYTES, true);
    struct chunk *a = buffers_take(buffers);
    struct chunk *b = buffers_take(buffers);
    struct waiting waiting[4];

    (void)state;
    called = 0;
    for (size_t i = 0; i < COUNT_OF(waiting); i++) {
        waiting[i] = (struct waiting){.buffers = buffers, .waiter.ready = waiting_ready};
        list_init(&waiting[i].waiter.node);
        assert_null(buffers_take(buffers));
        buffers_wait(buffers, &waiting[i].waiter);
    }
    buffers_unwait(&waiting[1].waiter);
    buffers_unwait(&waiting[1].waiter);
    buffers_give(buffers, a); /* one chunk, one call */
    assert_int_equal(waiting[0].order, 1);
    assert_ptr_equal(waiting[0].chunk, a);
    assert_int_equal(called, 1);
    assert_null(buffers_take(buffers));
    buffers_give(buffers, b);
    assert_int_equal(waiting[2].order, 2);
    buffers_give(buffers, waiting[0].chunk);
    assert_int_equal(waiting[3].order, 3);
    assert_int_equal(waiting[1].order, 0);
    assert_int_equal(buffers_out(buffers), 2);
    buffers_give(buffers, waiting[2].chunk);
    buffers_give(buffers, waiting[3].chunk);
    assert_int_equal(called, 3);
    buffers_destroy(buffers);
}

static struct waiting *again;

static void wait_again(struct buffers_waiter *waiter)
{
    waiting_ready(waiter);
    if (called < 3) {
        again->chunk = NULL;
        buffers_wait(again->buffers, waiter);
    }
}

/* A waiter may wait for the next chunk from within its call; that one comes from another give. */
static void test_wait_from_within(void **state)
{
    struct buffers *buffers = buffers_create(2 * CHUNK_BYTES, CHUNK_BYTES, true);
    struct chunk *a = buffers_take(buffers);
    struct chunk *b = buffers_take(buffers);
    struct waiting waiting = {.buffers = buffers, .waiter.ready = wait_again};

    (void)state;
    called = 0;
    again = &waiting;
    list_init(&waiting.waiter.node);
    buffers_wait(buffers, &waiting.waiter);
    buffers_give(buffers, a);
    assert_int_equal(called, 1);
    buffers_give(buffers, b);
    assert_int_equal(called, 2);
    buffers_give(buffers, a);
    assert_int_equal(called, 3);
    buffers_give(buffers, b);
    assert_int_equal(called, 3);
    buffers_give(buffers, a);
    buffers_destroy(buffers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_budget),           cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_scarce),           cmocka_unit_test(test_waiters),
        cmocka_unit_test(test_wait_from_within),
    };

    return UNIT_RUN(tests);
}
