/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Exponential back-off with jitter. Pure. */
#ifndef POLITE_BACKOFF_H
#define POLITE_BACKOFF_H

#include <stdint.h>

/* How long to wait after the nth failure in a row (1 for the first): base doubled n-1 times, at
 * most max, then between a half and the whole of that, as `random` (64 fresh bits) decides. */
uint64_t backoff_ns(uint64_t base_ns, unsigned nth, uint64_t max_ns, uint64_t random);

#endif
