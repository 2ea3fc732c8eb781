/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A socket address by value. Pure. */
#ifndef RING_ADDRESS_H
#define RING_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/span.h"

enum { ADDRESS_TEXT_BYTES = 64 };

struct address {
    socklen_t len;
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    };
};

/* An IPv4 literal in dotted decimal, or an IPv6 literal without brackets. False: neither. */
bool address_parse(struct address *address, struct span host, uint16_t port);
struct address address_v4(const struct in_addr *v4, uint16_t port);
struct address address_v6(const struct in6_addr *v6, uint16_t port);
/* Whatever the ports are. */
bool address_equal_host(const struct address *a, const struct address *b);
void address_set_port(struct address *address, uint16_t port);
/* "192.0.2.1:80" or "[2001:db8::1]:80". */
void address_format(const struct address *address, char text[ADDRESS_TEXT_BYTES]);

#endif
