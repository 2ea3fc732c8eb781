/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Connections for whoever needs one: an idle one that goes the same way, else a new one, dialled,
 * if need be through a proxy, and with TLS on it where the URL says https. Loads the trust store
 * once, when the first https URL comes. All sessions share one set of TLS settings, so the way
 * (proxy_way(): the origin, the proxy, or both) is the whole key.
 */
#ifndef NET_CONNECTOR_H
#define NET_CONNECTOR_H

#include <stdint.h>

#include "base/log.h"
#include "http/url.h"
#include "net/connection.h"
#include "net/dial.h"
#include "net/tunnel.h"

struct connector_options {
    /* Names and connecting; again for what a proxy does, and again for the TLS handshake. */
    uint64_t timeout_ns;
    /* Before there are more connections than this, the oldest idle one is closed. Those in use are
     * not bounded by it, but by: */
    size_t connections_max;
    struct socket_budget *sockets;   /* borrowed; others may have some of them */
    struct tls_trust_options trust;  /* what it points to: borrowed */
    const struct dial_options *dial; /* NULL: nothing special */
};

struct connector;

enum connect_state {
    CONNECT_IDLE,
    CONNECT_TRUST,     /* node: waits for the trust store */
    CONNECT_DIALLING,  /* dial, or tunnel */
    CONNECT_HANDSHAKE, /* connection, timer */
};

enum connect_resumption {
    RESUMPTION_ALLOWED, /* if there is a ticket */
    RESUMPTION_TRIED,   /* the handshake offers one */
    RESUMPTION_FAILED   /* nothing but a full handshake any more */
};

/* Stands in the object that wants a connection, which stays until `done` or connect_cancel(). */
struct connect {
    /* From the loop: a connection that is the caller's to set a user on, or NULL and *error. */
    void (*done)(struct connect *connect, struct connection *connection,
                 const struct haul_error *error);
    enum connect_state state; /* private from here */
    struct connector *connector;
    const struct url *url;
    const struct proxy *proxy;
    struct span way;
    struct list node;
    struct dial *dial;
    struct tunnel *tunnel;
    struct connection *connection;
    enum connect_resumption resumption;
    struct timer timer;
};

/* NULL: out of memory. The options' strings are borrowed for as long as the connector is. */
struct connector *connector_create(struct ring *ring, struct resolver *resolver,
                                   const struct connector_options *options, const struct log *log);
/* Nothing is connecting any more; closes the idle ones. The object goes with its last op. */
void connector_destroy(struct connector *connector);

void connect_init(struct connect *connect,
                  void (*done)(struct connect *connect, struct connection *connection,
                               const struct haul_error *error));
/* An idle connection whose way is the key, or NULL. */
struct connection *connector_take(struct connector *connector, struct span key);
/* Begins a new one; proxy: NULL: none; way: of both. All stay valid until `done` or
 * connect_cancel(). */
void connect_start(struct connector *connector, struct connect *connect, const struct url *url,
                   const struct proxy *proxy, struct span way);
void connect_cancel(struct connect *connect); /* allowed in any state; `done` is not called */
/* Takes a connection back that can carry another exchange, or closes it if it can't. */
void connector_give(struct connector *connector, struct connection *connection);

/* Closes an idle connection whose way is the key, if there is one. */
void connector_close_idle(struct connector *connector, struct span key);

uint64_t connector_made(const struct connector *connector); /* connections since the beginning */
size_t connector_idle(const struct connector *connector);

#endif
