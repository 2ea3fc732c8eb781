/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/list.h"
#include "base/ref.h"

enum { ITEMS = 8, STEPS = 20000 };

struct item {
    int number;
    struct list node;
};

static struct item items[ITEMS];

static void begin(struct list *head)
{
    list_init(head);
    for (int i = 0; i < ITEMS; i++) {
        items[i].number = i;
        list_init(&items[i].node);
    }
}

/* Both directions; want ends with -1. */
static void assert_order(struct list *head, const int *want)
{
    struct list *node = head;
    size_t count = 0;

    while (want[count] >= 0)
        count++;
    for (size_t i = 0; i < count; i++) {
        node = node->next;
        assert_ptr_not_equal(node, head);
        assert_int_equal(LIST_ITEM(node, struct item, node)->number, want[i]);
    }
    assert_ptr_equal(node->next, head);
    node = head;
    for (size_t i = count; i-- > 0;) {
        node = node->prev;
        assert_int_equal(LIST_ITEM(node, struct item, node)->number, want[i]);
    }
    assert_ptr_equal(node->prev, head);
    assert_int_equal(list_is_linked(head), count > 0);
}

#define ASSERT_ORDER(head, ...) assert_order((head), (const int[]){__VA_ARGS__, -1})

static void test_push_and_pop(void **state)
{
    struct list head;

    (void)state;
    begin(&head);
    assert_false(list_is_linked(&head));
    assert_null(list_pop_front(&head));
    list_push_back(&head, &items[1].node);
    list_push_back(&head, &items[2].node);
    list_push_front(&head, &items[0].node);
    ASSERT_ORDER(&head, 0, 1, 2);
    assert_ptr_equal(list_pop_front(&head), &items[0].node);
    assert_false(list_is_linked(&items[0].node));
    ASSERT_ORDER(&head, 1, 2);
    list_push_back(&head, &items[0].node);
    ASSERT_ORDER(&head, 1, 2, 0);
    while (list_pop_front(&head)) {
    }
    ASSERT_ORDER(&head, -1);
}

static void test_remove(void **state)
{
    struct list head;

    (void)state;
    begin(&head);
    for (int i = 0; i < 4; i++)
        list_push_back(&head, &items[i].node);
    list_remove(&items[1].node);
    ASSERT_ORDER(&head, 0, 2, 3);
    list_remove(&items[1].node); /* it is in none: nothing happens */
    ASSERT_ORDER(&head, 0, 2, 3);
    list_remove(&items[0].node);
    list_remove(&items[3].node);
    ASSERT_ORDER(&head, 2);
    list_remove(&items[2].node);
    ASSERT_ORDER(&head, -1);
}

static void test_move_all(void **state)
{
    struct list from, to;

    (void)state;
    begin(&from);
    list_init(&to);
    list_move_all(&from, &to);
    ASSERT_ORDER(&to, -1);
    list_push_back(&from, &items[0].node);
    list_push_back(&from, &items[1].node);
    list_move_all(&from, &to);
    ASSERT_ORDER(&from, -1);
    ASSERT_ORDER(&to, 0, 1);
    list_push_back(&from, &items[2].node);
    list_move_all(&from, &to);
    ASSERT_ORDER(&to, 0, 1, 2);
    list_move_all(&from, &to);
    ASSERT_ORDER(&to, 0, 1, 2);
    list_push_back(&from, &items[3].node);
    ASSERT_ORDER(&from, 3);
}

/* Against an array that is shifted by hand. */
static void test_random(void **state)
{
    int model[ITEMS + 1] = {-1};
    uint64_t random = 7;
    size_t count = 0;
    struct list head;

    (void)state;
    begin(&head);
    for (int step = 0; step < STEPS; step++) {
        int number = (int)(unit_random(&random) % ITEMS);
        struct list *node = &items[number].node;

        if (list_is_linked(node)) {
            size_t at = 0;

            while (model[at] != number)
                at++;
            memmove(&model[at], &model[at + 1], (count - at) * sizeof(model[0]));
            count--;
            list_remove(node);
        } else if (unit_random(&random) & 1) {
            model[count++] = number;
            model[count] = -1;
            list_push_back(&head, node);
        } else {
            memmove(&model[1], &model[0], (count + 1) * sizeof(model[0]));
            model[0] = number;
            count++;
            list_push_front(&head, node);
        }
        assert_order(&head, model);
    }
}

struct counted {
    struct ref ref;
    int ended;
};

static void counted_last(struct ref *ref)
{
    CONTAINER_OF(ref, struct counted, ref)->ended++;
}

static void test_ref(void **state)
{
    struct counted object = {.ended = 0};

    (void)state;
    ref_init(&object.ref, counted_last);
    for (int i = 0; i < 3; i++)
        ref_hold(&object.ref);
    for (int i = 0; i < 3; i++) {
        ref_drop(&object.ref);
        assert_int_equal(object.ended, 0);
    }
    ref_drop(&object.ref);
    assert_int_equal(object.ended, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push_and_pop), cmocka_unit_test(test_remove),
        cmocka_unit_test(test_move_all),     cmocka_unit_test(test_random),
        cmocka_unit_test(test_ref),
    };

    return UNIT_RUN(tests);
}
