/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Addresses that the user has laid down for a host and port: nobody is asked for them. Made once,
 * then only read, by any thread.
 */
#ifndef RESOLVE_OVERRIDE_H
#define RESOLVE_OVERRIDE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "ring/address.h"

enum { OVERRIDE_ADDRESSES_MAX = 16 };

struct override {
    size_t count; /* at least 1 */
    struct address addresses[OVERRIDE_ADDRESSES_MAX];
};

struct overrides;

/*
 * Each text is "HOST:PORT:ADDRESS[,ADDRESS]", as curl's --resolve has it, without a leading + or -.
 * HOST may be "*": any that has no override of its own for this port; IPv6 addresses may stand in
 * brackets. The later of two for the same host and port counts. NULL: *error.
 */
struct overrides *overrides_create(const char *const *texts, size_t count, uint64_t seed,
                                   struct haul_error *error);
void overrides_free(struct overrides *overrides); /* NULL is allowed */
/* NULL: there is none. */
const struct override *overrides_find(const struct overrides *overrides, struct span host,
                                      uint16_t port);

#endif
