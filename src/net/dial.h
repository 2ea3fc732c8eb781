/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From a host and port to a connected TCP socket: both families are asked for at once, and the
 * addresses raced (Happy Eyeballs, RFC 8305): IPv6 first, a new attempt each 250 ms or as soon as
 * one fails, the first that connects wins and the others are cancelled. Where no socket is to be
 * had, an attempt that has had its time makes way for the next; a first one waits for its socket.
 */
#ifndef NET_DIAL_H
#define NET_DIAL_H

#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "net/sockets.h"
#include "resolve/resolve.h"
#include "ring/ring.h"

struct dial;

/*
 * Starts; `done` is called once, from the loop, with the socket (now the caller's) or -1 and
 * *error. NULL: out of memory. The host's bytes are copied. The socket stays counted in `sockets`;
 * attempts that are cancelled leave it a little later.
 */
struct dial *dial_start(struct ring *ring, struct resolver *resolver, struct socket_count *sockets,
                        struct span host, uint16_t port, uint64_t timeout_ns,
                        void (*done)(void *context, int fd, const struct haul_error *error),
                        void *context);
/* Before `done`: it will not be called. */
void dial_cancel(struct dial *dial);

#endif
