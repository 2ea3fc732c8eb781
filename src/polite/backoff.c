/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The jitter keeps clients that failed together from coming back together; the half that is
 * certain keeps a wait from being no wait. */
#include "polite/backoff.h"

#include "base/check.h"

uint64_t backoff_ns(uint64_t base_ns, unsigned nth, uint64_t max_ns, uint64_t random)
{
    uint64_t whole = base_ns < max_ns ? base_ns : max_ns;
    uint64_t half;

    CHECK(nth > 0);
    if (whole == 0)
        return 0;
    for (unsigned i = 1; i < nth && whole < max_ns; i++)
        whole = whole > max_ns / 2 ? max_ns : whole * 2;
    half = whole / 2 + whole % 2;
    return half + random % (whole - half + 1);
}
