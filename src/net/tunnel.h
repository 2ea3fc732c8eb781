/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The way through a proxy: from a URL to a connected socket on which its origin can be spoken to.
 * Where a proxy is asked itself (plain http through an HTTP proxy), that is a socket to the proxy.
 */
#ifndef NET_TUNNEL_H
#define NET_TUNNEL_H

#include <stdint.h>

#include "http/proxy.h"
#include "http/url.h"
#include "net/dial.h"

struct tunnel;

struct tunnel_setup {
    struct dialler *dialler;
    const struct proxy *proxy;
    const struct url *url;
    uint64_t timeout_ns; /* to reach the proxy, and again for what it has to do */
    /* Once, from the loop: the socket, now the caller's and still counted; or -1, and
     * *error, which names the proxy. */
    void (*done)(void *context, int fd, const struct haul_error *error);
    void *context;
};

/* The setup is copied; what it points to stays until `done` or tunnel_cancel(). NULL: out of
 * memory. */
struct tunnel *tunnel_start(const struct tunnel_setup *setup);
/* Before `done`: it will not be called. */
void tunnel_cancel(struct tunnel *tunnel);

#endif
