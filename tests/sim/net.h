/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Sockets, and what comes over them: connections to servers that answer as server.h says, in
 * pieces, late, cut off or not at all.
 */
#ifndef TESTS_SIM_NET_H
#define TESTS_SIM_NET_H

#include "base/list.h"
#include "ring/address.h"
#include "ring/ring.h"
#include "tests/sim/server.h"
#include "tests/sim/world.h"

enum { NET_FD_FIRST = 200000, NET_HOSTS_MAX = 4, NET_ADDRESSES_MAX = 3, NET_COPIES_MAX = 64 };

enum net_call_kind { NET_CONNECT, NET_RECV, NET_SEND, NET_POLL };

/* One call; stands in what waits for it. */
struct net_call {
    enum net_call_kind kind;
    struct list node; /* of its socket, until it is done */
    int fd;
    void *data;
    size_t len;
    const struct address *address;
    void (*done)(struct net_call *call, int res); /* may be called from within net_start() */
};

/* What becomes of who connects to an address. */
enum reach { REACH_GOOD, REACH_REFUSED, REACH_SILENT };

struct host {
    char name[32];
    size_t address_count;
    enum reach reach[NET_ADDRESSES_MAX];
    bool v6[NET_ADDRESSES_MAX];
};

struct net {
    struct world *world;
    struct dice dice;
    struct list sockets;
    size_t socket_count;
    int fd_next;
    size_t host_count;
    struct host hosts[NET_HOSTS_MAX];
    size_t copy_count;
    struct copy copies[NET_COPIES_MAX];
};

struct net *net_create(struct world *world);
void net_destroy(struct net *net);
/* The address of a host; port 0. */
struct address net_address(const struct net *net, size_t host, size_t number);

int net_socket(struct net *net);
bool net_has(const struct net *net, int fd);
void net_start(struct net *net, struct net_call *call);
/* Ends the call now: as it would end without waiting, else with -ECANCELED; or, if it is to win,
 * with that in any case. `done` is called from here. */
void net_cancel(struct net *net, struct net_call *call, bool win);
enum ring_socket_look net_look(struct net *net, int fd);
/* What there is, 0 at the end, -EAGAIN or what broke; as recv(2) without waiting. */
int net_take(struct net *net, int fd, void *data, size_t len);
void net_close(struct net *net, int fd);

#endif
