/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <pthread.h>

#include "sink/names.h"

enum { THREADS = 4, ROUNDS = 20000, NAMES = 3 };

static bool take(struct names_place *place, struct map_node *node, const char *name)
{
    bool taken = false;

    assert_true(names_take(place, node, span_of(name), &taken));
    return taken;
}

static void test_taken_once(void **state)
{
    struct names *names = names_create(1);
    struct names_place *place = names_open(names, SPAN("/a"));
    struct map_node first, second, other;

    (void)state;
    names_lock(names);
    assert_true(take(place, &first, "x"));
    assert_false(take(place, &second, "x"));
    assert_true(take(place, &other, "y"));
    names_give(place, &first);
    assert_true(take(place, &second, "x"));
    names_give(place, &second);
    names_give(place, &other);
    names_unlock(names);
    names_close(place);
    names_destroy(names);
}

static void test_a_path_is_one_place(void **state)
{
    struct names *names = names_create(1);
    struct names_place *first = names_open(names, SPAN("/a"));
    struct names_place *second = names_open(names, SPAN("/a"));
    struct names_place *other = names_open(names, SPAN("/b"));
    struct map_node node;

    (void)state;
    assert_ptr_equal(first, second);
    assert_ptr_not_equal(first, other);
    names_close(first);
    names_lock(names);
    names_note_number(second, SPAN("x"), 7);
    assert_int_equal(names_free_number(second, SPAN("x")), 0); /* too few to be worth a note */
    names_note_number(second, SPAN("x"), 8);
    names_note_number(second, SPAN("x"), 5);
    assert_int_equal(names_free_number(second, SPAN("x")), 8);
    assert_int_equal(names_free_number(other, SPAN("x")), 0);
    assert_true(take(second, &node, "x"));
    names_give(second, &node);
    names_unlock(names);
    names_close(second); /* the last one forgets */
    first = names_open(names, SPAN("/a"));
    names_lock(names);
    assert_int_equal(names_free_number(first, SPAN("x")), 0);
    names_unlock(names);
    names_close(first);
    names_close(other);
    names_destroy(names);
}

static struct {
    struct names *names;
    int holders[NAMES]; /* under the lock */
    bool wrong;
} shared;

static void *contend(void *context)
{
    static const char *const wanted[NAMES] = {"x", "y", "z"};
    uint64_t random = (uintptr_t)context + 1;

    for (int round = 0; round < ROUNDS; round++) {
        struct names_place *place = names_open(shared.names, SPAN("/a"));
        size_t name = unit_random(&random) % NAMES;
        struct map_node node;
        bool taken = false;

        names_lock(shared.names);
        if (!names_take(place, &node, span_of(wanted[name]), &taken))
            shared.wrong = true;
        if (taken && shared.holders[name]++ > 0)
            shared.wrong = true;
        names_unlock(shared.names);
        names_lock(shared.names);
        if (taken) {
            shared.holders[name]--;
            names_give(place, &node);
        }
        names_unlock(shared.names);
        names_close(place);
    }
    return NULL;
}

static void test_threads(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    shared.names = names_create(1);
    for (size_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, contend, (void *)(uintptr_t)i), 0);
    for (size_t i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    assert_false(shared.wrong);
    names_destroy(shared.names);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken_once),
        cmocka_unit_test(test_a_path_is_one_place),
        cmocka_unit_test(test_threads),
    };

    return UNIT_RUN(tests);
}
