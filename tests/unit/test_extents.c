/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "base/extents.h"

enum { BYTES = 64, ROUNDS = 20000 };

static void assert_extents(const struct extents *extents, const char *want)
{
    struct text text = {0};

    for (size_t i = 0; i < extents_count(extents); i++) {
        struct extent extent = extents_at(extents, i);

        text_printf(&text, "%s%llu-%llu", i > 0 ? " " : "", (unsigned long long)extent.from,
                    (unsigned long long)extent.to);
    }
    assert_false(text.failed);
    assert_span(text_span(&text), want);
    text_free(&text);
}

static void test_add(void **state)
{
    static const struct {
        uint64_t from, to;
        const char *want;
    } rows[] = {
        {10, 20, "10-20"},
        {20, 30, "10-30"},
        {5, 10, "5-30"},
        {7, 7, "5-30"},
        {0, 0, "5-30"},
        {6, 29, "5-30"},
        {40, 50, "5-30 40-50"},
        {60, 70, "5-30 40-50 60-70"},
        {0, 4, "0-4 5-30 40-50 60-70"},
        {80, 90, "0-4 5-30 40-50 60-70 80-90"},
        {31, 39, "0-4 5-30 31-39 40-50 60-70 80-90"},
        {35, 80, "0-4 5-30 31-90"},
        {4, 5, "0-30 31-90"},
        {0, UINT64_MAX, "0-18446744073709551615"},
    };
    struct extents extents = {0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_true(extents_add(&extents, rows[i].from, rows[i].to));
        assert_extents(&extents, rows[i].want);
    }
    extents_free(&extents);
    assert_extents(&extents, "");
}

static void test_hole(void **state)
{
    static const struct {
        uint64_t from, end;
        bool found;
        struct extent hole;
    } rows[] = {
        {0, 100, true, {10, 20}}, {9, 100, true, {10, 20}},  {10, 100, true, {10, 20}},
        {15, 18, true, {15, 18}}, {15, 20, true, {15, 20}},  {20, 30, false, {0}},
        {20, 31, true, {30, 31}}, {25, 100, true, {30, 40}}, {45, 50, false, {0}},
        {50, 50, false, {0}},     {60, 50, false, {0}},      {50, 100, true, {50, 100}},
        {70, 80, true, {70, 80}}, {0, 10, false, {0}},       {0, 11, true, {10, 11}},
    };
    struct extents extents = {0};
    struct extent hole;

    (void)state;
    assert_true(extents_hole(&extents, 0, 1, &hole));
    assert_false(extents_hole(&extents, 0, 0, &hole));
    assert_true(extents_add(&extents, 40, 50) && extents_add(&extents, 0, 10) &&
                extents_add(&extents, 20, 30));
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(extents_hole(&extents, rows[i].from, rows[i].end, &hole), rows[i].found);
        if (!rows[i].found)
            continue;
        assert_int_equal(hole.from, rows[i].hole.from);
        assert_int_equal(hole.to, rows[i].hole.to);
    }
    extents_free(&extents);
}

static void test_copy(void **state)
{
    struct extents many = {0}, few = {0}, copy = {0};

    (void)state;
    for (uint64_t i = 0; i < 20; i++)
        assert_true(extents_add(&many, 100 - 4 * i, 102 - 4 * i));
    assert_true(extents_add(&few, 1, 2));
    assert_true(extents_copy(&copy, &many));
    extents_clear(&many);
    assert_int_equal(extents_count(&copy), 20);
    assert_int_equal(extents_bytes(&copy), 40);
    assert_true(extents_copy(&copy, &few));
    assert_extents(&copy, "1-2");
    assert_true(extents_copy(&copy, &many));
    assert_extents(&copy, "");
    assert_true(extents_copy(&few, &few));
    assert_extents(&few, "1-2");
    extents_free(&many);
    extents_free(&copy);
}

/* Against one flag for each byte. */
static void assert_same(const struct extents *extents, const bool there[BYTES], uint64_t *random)
{
    uint64_t from = unit_random(random) % BYTES, end = from + unit_random(random) % (BYTES - from);
    uint64_t bytes = 0, prefix = 0, at = from;
    struct extent hole;

    for (size_t i = 0; i < BYTES; i++)
        bytes += there[i];
    while (prefix < BYTES && there[prefix])
        prefix++;
    while (at < end && there[at])
        at++;
    assert_int_equal(extents_bytes(extents), bytes);
    assert_int_equal(extents_prefix(extents), prefix);
    assert_int_equal(extents_has(extents, from, end), at == end);
    assert_int_equal(extents_hole(extents, from, end, &hole), at < end);
    if (at < end) {
        assert_int_equal(hole.from, at);
        while (at < end && !there[at])
            at++;
        assert_int_equal(hole.to, at);
    }
    for (size_t i = 0; i < extents_count(extents); i++) {
        struct extent extent = extents_at(extents, i);

        assert_true(extent.from < extent.to);
        assert_true(i == 0 || extents_at(extents, i - 1).to < extent.from);
    }
}

static void test_random(void **state)
{
    uint64_t random = 1;
    struct extents extents = {0};
    bool there[BYTES] = {false};

    (void)state;
    for (int round = 0; round < ROUNDS; round++) {
        uint64_t from = unit_random(&random) % BYTES;
        uint64_t to = from + unit_random(&random) % 4;

        if (to > BYTES)
            to = BYTES;
        if (unit_random(&random) % 16 == 0) {
            extents_clear(&extents);
            memset(there, 0, sizeof(there));
        }
        assert_true(extents_add(&extents, from, to));
        for (uint64_t i = from; i < to; i++)
            there[i] = true;
        assert_same(&extents, there, &random);
    }
    extents_free(&extents);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_hole),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_random),
    };

    return UNIT_RUN(tests);
}
