/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "polite/backoff.h"

static void expect_range(uint64_t base, unsigned nth, uint64_t max, uint64_t low, uint64_t high)
{
    uint64_t least = UINT64_MAX;
    uint64_t most = 0;

    for (uint64_t i = 0; i < 4096; i++) {
        uint64_t got = backoff_ns(base, nth, max, i * 0x9e3779b97f4a7c15U);

        assert_in_range(got, low, high);
        least = got < least ? got : least;
        most = got > most ? got : most;
    }
    /* Both ends of the range are used. */
    assert_true(least - low <= (high - low) / 50 + 1);
    assert_true(high - most <= (high - low) / 50 + 1);
}

static void test_doubles_up_to_the_maximum(void **state)
{
    (void)state;
    expect_range(1000, 1, 60000, 500, 1000);
    expect_range(1000, 2, 60000, 1000, 2000);
    expect_range(1000, 3, 60000, 2000, 4000);
    expect_range(1000, 6, 60000, 16000, 32000);
    expect_range(1000, 7, 60000, 30000, 60000);
    expect_range(1000, 8, 60000, 30000, 60000);
    expect_range(1000, 4000000000U, 60000, 30000, 60000);
}

static void test_never_beyond_the_maximum(void **state)
{
    (void)state;
    expect_range(100, 1, 10, 5, 10);
    assert_int_equal(backoff_ns(100, 5, 0, 12345), 0);
}

static void test_without_a_base_there_is_no_wait(void **state)
{
    (void)state;
    assert_int_equal(backoff_ns(0, 1, 1000, 77), 0);
    assert_int_equal(backoff_ns(0, 4000000000U, 1000, 77), 0);
}

static void test_small_and_huge_numbers(void **state)
{
    (void)state;
    assert_int_equal(backoff_ns(1, 1, UINT64_MAX, 0), 1);
    assert_int_equal(backoff_ns(1, 1, UINT64_MAX, UINT64_MAX), 1);
    assert_true(backoff_ns(1, 64, UINT64_MAX, 0) == UINT64_C(1) << 62);
    assert_true(backoff_ns(1, 65, UINT64_MAX, 0) == UINT64_C(1) << 63);
    assert_true(backoff_ns(UINT64_MAX, 9, UINT64_MAX, 0) == UINT64_C(1) << 63);
    assert_true(backoff_ns(UINT64_MAX, 9, UINT64_MAX, UINT64_C(0x7fffffffffffffff)) == UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_doubles_up_to_the_maximum),
        cmocka_unit_test(test_never_beyond_the_maximum),
        cmocka_unit_test(test_without_a_base_there_is_no_wait),
        cmocka_unit_test(test_small_and_huge_numbers),
    };

    return UNIT_RUN(tests);
}
