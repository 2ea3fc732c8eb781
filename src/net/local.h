/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where connections start from, if the user wants to have a say: a device, or an address, which
 * leaves the other family out. Found out once, then only read, by any thread.
 */
#ifndef NET_LOCAL_H
#define NET_LOCAL_H

#include <net/if.h>
#include <stdbool.h>

#include "base/status.h"
#include "ring/address.h"
#include "ring/ring.h"

struct local {
    bool bound;            /* false: wherever the system wants; nothing else counts then */
    char device[IFNAMSIZ]; /* "": by address */
    struct address v4;     /* len 0: there is none */
    struct address v6;
};

/* `wanted`: an address of this machine, or the name of an interface; if sockets may not be bound to
 * that (before Linux 5.7, or where somebody forbids it), its addresses are taken. False: *error. */
bool local_find(struct local *local, struct ring *ring, const char *wanted,
                struct haul_error *error);
/* Whether connections of this family can start there. */
bool local_has(const struct local *local, int family);
/* Makes a socket of this family start there; 0 or -errno. */
int local_bind(const struct local *local, struct ring *ring, int fd, int family);

#endif
