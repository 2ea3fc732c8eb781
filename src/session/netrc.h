/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Logins of hosts, as ~/.netrc has them. Pure. */
#ifndef SESSION_NETRC_H
#define SESSION_NETRC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

struct netrc;

/* Borrowed from whoever has it. */
struct login {
    struct span user;
    struct span password;
};

/* Reads what can be understood of the file. NULL: out of memory. */
struct netrc *netrc_parse(struct span file, uint64_t seed);
void netrc_destroy(struct netrc *netrc); /* NULL is allowed; leaves no password in the memory */
size_t netrc_count(const struct netrc *netrc);
/* Of a host in lower case; the first there is, or that of `user`, if one is given. fallback: what
 * stands under "default" holds too. False: there is none. */
bool netrc_find(const struct netrc *netrc, struct span host, struct span user, bool fallback,
                struct login *login);

#endif
