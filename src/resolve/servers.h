/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A list of name servers, as people write it. Pure. */
#ifndef RESOLVE_SERVERS_H
#define RESOLVE_SERVERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "ring/address.h"

enum { SERVERS_MAX = 16 };

struct servers {
    struct address addresses[SERVERS_MAX]; /* with their ports */
    size_t count;                          /* 0: those of /etc/resolv.conf */
};

/* "192.0.2.1,192.0.2.2:5353,[2001:db8::1]:53,2001:db8::2": addresses, no names. False: *error. */
bool servers_parse(struct servers *servers, struct span list, struct haul_error *error);

#endif
