/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The host of a URL, as the WHATWG URL standard reads one: a name, which becomes lower case and,
 * where it is an internationalized one, punycode; or an address. Pure.
 */
#ifndef HTTP_HOST_H
#define HTTP_HOST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "base/status.h"

enum { HOST_BYTES_MAX = 253 /* RFC 1035, without the dot at the end */ };

struct host_name {
    char data[HOST_BYTES_MAX + 2]; /* NUL-terminated */
    size_t len;
};

/*
 * What stands between "//" and ":" or "/", as a URL has it: a name, with escapes or not, or an
 * IPv4 address in any of its forms. False: HAUL_BAD_URL with the reason, or HAUL_OUT_OF_MEMORY.
 */
bool host_parse(struct host_name *host, struct span raw, struct haul_error *error);
/* What stands between the brackets. */
bool host_parse_ipv6(struct host_name *host, struct span raw, struct haul_error *error);

#endif
