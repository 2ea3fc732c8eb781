/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/pool.h"

enum { OBJECT_BYTES = 40, OBJECTS = 10, KEPT_MAX = 4 };

static void assert_zeroed(const void *object)
{
    static const char zeros[OBJECT_BYTES];

    assert_memory_equal(object, zeros, OBJECT_BYTES);
}

static void test_pool(void **state)
{
    void *objects[OBJECTS];
    struct pool pool;

    (void)state;
    pool_init(&pool, OBJECT_BYTES, KEPT_MAX);
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < OBJECTS; i++) {
            objects[i] = pool_take(&pool);
            assert_non_null(objects[i]);
            assert_zeroed(objects[i]);
            memset(objects[i], 0xff, OBJECT_BYTES);
            assert_int_equal(pool.out, i + 1);
        }
        assert_int_equal(pool.kept, 0);
        for (size_t i = 0; i < OBJECTS; i++)
            pool_give(&pool, objects[i]);
        assert_int_equal(pool.out, 0);
        assert_int_equal(pool.kept, KEPT_MAX);
    }
    pool_free(&pool);
    assert_int_equal(pool.kept, 0);
}

static void test_reuse(void **state)
{
    struct pool pool;
    void *object;

    (void)state;
    pool_init(&pool, sizeof(void *), 1);
    object = pool_take(&pool);
    pool_give(&pool, object);
    assert_ptr_equal(pool_take(&pool), object);
    pool_give(&pool, object);
    pool_free(&pool);
}

static void test_keeps_none(void **state)
{
    struct pool pool;

    (void)state;
    pool_init(&pool, OBJECT_BYTES, 0);
    pool_give(&pool, pool_take(&pool));
    assert_int_equal(pool.kept, 0);
    pool_free(&pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_keeps_none),
    };

    return UNIT_RUN(tests);
}
