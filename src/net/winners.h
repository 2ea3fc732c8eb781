/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which address of a host has won a race against one that came before it, so that the next
 * connection need not wait for the loser again (RFC 6555 4.2). For ten minutes from the race on,
 * however often it is used: what was broken may be well by then. One thread; time is a parameter.
 */
#ifndef NET_WINNERS_H
#define NET_WINNERS_H

#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/map.h"
#include "base/span.h"
#include "ring/address.h"

enum { WINNERS_MAX = 1024, WINNERS_S = 600 };

struct winners {
    struct map hosts;
    struct list oldest_first;
};

void winners_init(struct winners *winners, uint64_t seed);
void winners_free(struct winners *winners);
/* The oldest is forgotten where there would be too many; without memory, nothing is remembered. */
void winners_note(struct winners *winners, struct span host, const struct address *address,
                  uint64_t now_ns);
/* NULL: none is known. Valid until the next call. */
const struct address *winners_find(struct winners *winners, struct span host, uint64_t now_ns);

#endif
