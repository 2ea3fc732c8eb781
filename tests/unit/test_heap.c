/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/heap.h"

enum { NODES = 200, STEPS = 100000 };

static void test_empty(void **state)
{
    struct heap heap = {0};
    struct heap_node node = {0};

    (void)state;
    assert_null(heap_first(&heap));
    heap_remove(&heap, &node);
    assert_true(heap_reserve(&heap, 0));
    heap_free(&heap);
}

/* Against a model that looks at every node. */
static void test_model(void **state)
{
    struct heap heap = {0};
    struct heap_node nodes[NODES] = {0};
    uint64_t seed = 1;
    size_t count = 0;

    (void)state;
    for (int step = 0; step < STEPS; step++) {
        struct heap_node *node = &nodes[unit_random(&seed) % NODES];
        struct heap_node *first;
        uint64_t least = UINT64_MAX;

        if (unit_random(&seed) % 3 > 0) {
            count += node->place == 0;
            assert_true(heap_reserve(&heap, count));
            heap_put(&heap, node, unit_random(&seed) >> (unit_random(&seed) % 64));
        } else {
            if (unit_random(&seed) % 2 && heap_first(&heap))
                node = heap_first(&heap);
            count -= node->place != 0;
            heap_remove(&heap, node);
            assert_int_equal(node->place, 0);
        }
        assert_int_equal(heap.count, count);
        for (size_t i = 0; i < NODES; i++)
            if (nodes[i].place != 0 && nodes[i].key < least)
                least = nodes[i].key;
        first = heap_first(&heap);
        assert_int_equal(first != NULL, count > 0);
        assert_true(!first || first->key == least);
    }
    heap_free(&heap);
    assert_null(heap_first(&heap));
}

static void test_sorts(void **state)
{
    struct heap heap = {0};
    struct heap_node nodes[NODES] = {0};
    uint64_t seed = 2, last = 0;

    (void)state;
    assert_true(heap_reserve(&heap, NODES));
    for (size_t i = 0; i < NODES; i++)
        heap_put(&heap, &nodes[i], unit_random(&seed) % 50);
    for (size_t i = 0; i < NODES; i++) {
        struct heap_node *node = heap_first(&heap);

        assert_true(node->key >= last);
        last = node->key;
        heap_remove(&heap, node);
    }
    assert_null(heap_first(&heap));
    heap_free(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_empty),
        cmocka_unit_test(test_model),
        cmocka_unit_test(test_sorts),
    };

    return UNIT_RUN(tests);
}
