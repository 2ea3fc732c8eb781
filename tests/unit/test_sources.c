/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine/sources.h"

#include "tests/unit/unit.h"

static const char *const mirrors[] = {"http://b/f", "https://c:8443/g"};

static struct sources three(void)
{
    struct sources sources;
    struct haul_error error;

    assert_true(sources_init(&sources, "http://a/f", mirrors, COUNT_OF(mirrors), &error));
    assert_int_equal(sources.count, 3);
    assert_string_equal(sources.all[2].url, "https://c:8443/g");
    return sources;
}

static void test_one_needs_nothing(void **state)
{
    struct sources sources;
    struct haul_error error;

    (void)state;
    assert_true(sources_init(&sources, "http://a/f", NULL, 0, &error));
    assert_int_equal(sources.count, 0);
    assert_false(sources_left(&sources));
    sources_free(&sources);
}

static void test_bad_mirror(void **state)
{
    const char *const bad[] = {"http://b/f", "ftp://c/f"};
    struct sources sources;
    struct haul_error error;

    (void)state;
    assert_false(sources_init(&sources, "http://a/f", bad, COUNT_OF(bad), &error));
    assert_int_equal(error.status, HAUL_BAD_URL);
    sources_free(&sources);
}

static void test_order(void **state)
{
    struct source_speeds speeds = {0};
    struct sources sources = three();

    (void)state;
    assert_int_equal(sources_best(&sources, &speeds, false), 0);
    source_speeds_learn(&speeds, sources.all[1].origin, 10);
    source_speeds_learn(&speeds, sources.all[2].origin, 20);
    assert_int_equal(sources_best(&sources, &speeds, false), 2);
    sources.all[2].failures++;
    assert_int_equal(sources_best(&sources, &speeds, false), 1);
    sources.all[1].refused = true;
    sources.all[0].failures = 2;
    assert_int_equal(sources_best(&sources, &speeds, false), 2);
    sources.all[2].refused = true;
    assert_int_equal(sources_best(&sources, &speeds, false), 0);
    assert_true(sources_left(&sources));
    sources.all[0].refused = true;
    assert_false(sources_left(&sources));
    sources_free(&sources);
}

static void test_used_together(void **state)
{
    struct source_speeds speeds = {0};
    struct sources sources = three();

    (void)state;
    source_speeds_learn(&speeds, sources.all[0].origin, 1000);
    for (unsigned i = 0; i < 6; i++)
        sources.all[sources_best(&sources, &speeds, true)].users++;
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(sources.all[i].users, 2);
    sources_free(&sources);
}

static void test_speeds(void **state)
{
    struct source_speeds speeds = {0};

    (void)state;
    assert_int_equal(source_speeds_of(&speeds, 7), 0);
    source_speeds_learn(&speeds, 7, 0);
    assert_int_equal(source_speeds_of(&speeds, 7), 0);
    source_speeds_learn(&speeds, 7, 100);
    assert_int_equal(source_speeds_of(&speeds, 7), 100);
    source_speeds_learn(&speeds, 7, 200);
    assert_int_equal(source_speeds_of(&speeds, 7), 150);
    for (uint64_t origin = 1000; origin < 1000 + SOURCE_SPEEDS; origin++)
        source_speeds_learn(&speeds, origin, origin);
    assert_int_equal(source_speeds_of(&speeds, 7), 0); /* the oldest made way */
    assert_int_equal(source_speeds_of(&speeds, 1000), 1000);
    source_speeds_learn(&speeds, 1, 1);
    assert_int_equal(source_speeds_of(&speeds, 1000), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_needs_nothing),
        cmocka_unit_test(test_bad_mirror),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_used_together),
        cmocka_unit_test(test_speeds),
    };

    return UNIT_RUN(tests);
}
