/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/map.h"

enum { ITEMS = 500, STEPS = 100000 };

struct item {
    struct map_node node;
    char key[16];
    bool in;
};

static void test_empty(void **state)
{
    struct map map;

    (void)state;
    map_init(&map, 1);
    assert_null(map_find(&map, SPAN("")));
    assert_null(map_any(&map));
    map_free(&map);
}

static void test_keys(void **state)
{
    static const struct span keys[] = {{"", 0}, {"a", 1}, {"A", 1}, {"a\0", 2}, {"a\0b", 3}};
    struct map_node nodes[COUNT_OF(keys)];
    struct map map;

    (void)state;
    map_init(&map, 0);
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        assert_true(map_put(&map, &nodes[i], keys[i]));
    for (size_t i = 0; i < COUNT_OF(keys); i++)
        assert_ptr_equal(map_find(&map, keys[i]), &nodes[i]);
    assert_null(map_find(&map, SPAN("b")));
    map_free(&map);
    assert_null(map_find(&map, keys[0]));
}

static void test_model(void **state)
{
    struct item *items = calloc(ITEMS, sizeof(*items));
    struct map map;
    uint64_t seed = 3;
    size_t count = 0;

    (void)state;
    assert_non_null(items);
    map_init(&map, 42);
    for (size_t i = 0; i < ITEMS; i++)
        snprintf(items[i].key, sizeof(items[i].key), "key %zu", i);
    for (int step = 0; step < STEPS; step++) {
        struct item *item = &items[unit_random(&seed) % ITEMS];
        struct map_node *found = map_find(&map, span_of(item->key));

        assert_ptr_equal(found, item->in ? &item->node : NULL);
        if (unit_random(&seed) % 2)
            continue;
        if (item->in)
            map_remove(&map, &item->node);
        else
            assert_true(map_put(&map, &item->node, span_of(item->key)));
        item->in = !item->in;
        count = item->in ? count + 1 : count - 1;
        assert_int_equal(map.count, count);
    }
    for (struct map_node *node; (node = map_any(&map)); count--) {
        assert_true(MAP_ITEM(node, struct item, node)->in);
        map_remove(&map, node);
    }
    assert_int_equal(count, 0);
    map_free(&map);
    free(items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_model),
    };

    return UNIT_RUN(tests);
}
