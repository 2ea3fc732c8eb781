/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How names become addresses, and where connections start from, as the options have it. */
#ifndef ENGINE_NETWORK_H
#define ENGINE_NETWORK_H

#include "haul/haul.h"
#include "net/dial.h"

/* Made once; read by all workers. */
struct network {
    struct servers servers;
    struct overrides *overrides; /* NULL: none */
    struct dial_options dial;
};

/* Into a zeroed one. False: *error; to be freed all the same. */
bool network_make(struct network *network, struct ring *ring, const struct haul_options *options,
                  struct haul_error *error);
void network_free(struct network *network);
/* What one of so many workers may do. */
struct resolver_options network_resolver(const struct network *network, unsigned workers);

#endif
