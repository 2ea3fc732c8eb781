/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Time and chance: the two things besides the kernel's answers that tell one run from another. */
#include <errno.h>
#include <sys/random.h>
#include <time.h>

#include "ring/internal.h"

uint64_t clock_monotonic_ns(void)
{
    struct timespec now;

    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * (uint64_t)NS_PER_S + (uint64_t)now.tv_nsec;
}

void ring_read_clock(struct ring *ring)
{
    ring->now_ns = clock_monotonic_ns();
}

uint64_t ring_now_ns(const struct ring *ring)
{
    return ring->now_ns;
}

int64_t ring_wall_s(const struct ring *ring)
{
    struct timespec now;

    (void)ring;
    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return now.tv_sec;
}

uint64_t ring_random(struct ring *ring)
{
    if (ring->random_left == 0) {
        ssize_t got;

        /* Up to 256 bytes come whole or not at all; 512 may be cut short by a signal. */
        do {
            got = getrandom(ring->random, sizeof(ring->random), 0);
        } while (got < 0 && errno == EINTR);
        CHECK(got >= (ssize_t)sizeof(uint64_t));
        ring->random_left = (size_t)got / sizeof(uint64_t);
    }
    return ring->random[--ring->random_left];
}
