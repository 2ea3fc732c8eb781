/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a host and port to a connected TCP socket: both families are asked for at once, and the
 * addresses raced (Happy Eyeballs, RFC 8305): IPv6 first, a new attempt each 250 ms or as soon as
 * one fails, of the other family each time, the first that connects wins and the others are
 * cancelled. An address that has won against another comes first the next time, with its family.
 * Within a family the name server's order is kept (RFC 6724 would need a socket for each address
 * to find out where it would start from, and spread less over many servers). Where no socket is to
 * be had, an attempt that has had its time makes way for the next; a first one waits for its
 * socket.
 */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "net/local.h"
#include "net/sockets.h"
#include "net/winners.h"
#include "resolve/override.h"
#include "resolve/resolve.h"
#include "ring/ring.h"

struct dial;

struct dial_options {
    const struct overrides *overrides; /* borrowed; NULL: none */
    struct local local;
    bool ipv6_off;
};

/* What all dials of a thread have together. */
struct dialler {
    struct ring *ring;
    struct resolver *resolver;
    struct socket_count *sockets;
    struct dial_options options;
    struct winners winners;
};

/* options are copied; NULL: nothing special. */
void dialler_init(struct dialler *dialler, struct ring *ring, struct resolver *resolver,
                  struct socket_count *sockets, const struct dial_options *options);
void dialler_free(struct dialler *dialler);

/*
 * Starts; `done` is called once, from the loop, with the socket (now the caller's) or -1 and
 * *error. NULL: out of memory. The host's bytes are copied. The socket stays counted in `sockets`;
 * attempts that are cancelled leave it a little later. The timeout does not count the time in which
 * the name waits for its turn to be asked for.
 */
struct dial *dial_start(struct dialler *dialler, struct span host, uint16_t port,
                        uint64_t timeout_ns,
                        void (*done)(void *context, int fd, const struct haul_error *error),
                        void *context);
/* Before `done`: it will not be called. */
void dial_cancel(struct dial *dial);

#endif
