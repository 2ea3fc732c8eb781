/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A channel of c-ares as we want it, and what its statuses mean. */
#include "resolve/channel.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

enum {
    TRY_MS = 3000, /* for the first try with each server; c-ares doubles it for the next */
    TRIES = 2
};

enum haul_status channel_status(int status, const char **reason)
{
    switch (status) {
    case ARES_SUCCESS:
        *reason = "";
        return HAUL_OK;
    case ARES_ENOTFOUND:
        *reason = "there is no such name";
        return HAUL_HOST_UNKNOWN;
    case ARES_ENODATA:
        *reason = "the name has no address";
        return HAUL_HOST_UNKNOWN;
    case ARES_EBADNAME:
        *reason = "that can't be a host name";
        return HAUL_HOST_UNKNOWN;
    case ARES_ENOMEM:
    case ARES_ECANCELLED: /* by us, who had none */
        *reason = "out of memory";
        return HAUL_OUT_OF_MEMORY;
    case ARES_ETIMEOUT:
        *reason = "no name server answered in time";
        return HAUL_RESOLVER;
    case ARES_ECONNREFUSED: /* also when all of them answered SERVFAIL */
        *reason = "the name servers are unreachable, or fail";
        return HAUL_RESOLVER;
    default:
        *reason = ares_strerror(status);
        return HAUL_RESOLVER;
    }
}

static bool take_search(ares_channel channel, struct search *search)
{
    struct ares_options options = {0};
    int mask;
    bool good;

    search_clear(search);
    good = ares_save_options(channel, &options, &mask) == ARES_SUCCESS;
    search->dots = options.ndots > 0 ? (size_t)options.ndots : 0;
    if (good && options.ndomains > 0) {
        search->domains = alloc_zeroed((size_t)options.ndomains * sizeof(char *));
        good = search->domains != NULL;
    }
    for (int i = 0; good && i < options.ndomains; i++) {
        search->domains[i] = alloc_copy(options.domains[i], strlen(options.domains[i]));
        search->domain_count++;
        good = search->domains[i] != NULL;
    }
    ares_destroy_options(&options);
    return good;
}

static int set_servers(ares_channel channel, const struct servers *servers)
{
    struct ares_addr_port_node nodes[SERVERS_MAX];

    if (servers->count == 0)
        return ARES_SUCCESS;
    memset(nodes, 0, sizeof(nodes));
    for (size_t i = 0; i < servers->count; i++) {
        const struct address *address = &servers->addresses[i];

        nodes[i].next = i + 1 < servers->count ? &nodes[i + 1] : NULL;
        nodes[i].family = address->any.sa_family;
        nodes[i].udp_port = nodes[i].tcp_port =
            ntohs(address->any.sa_family == AF_INET ? address->v4.sin_port : address->v6.sin6_port);
        if (address->any.sa_family == AF_INET)
            memcpy(&nodes[i].addr, &address->v4.sin_addr, sizeof(address->v4.sin_addr));
        else
            memcpy(&nodes[i].addr, &address->v6.sin6_addr, sizeof(address->v6.sin6_addr));
    }
    return ares_set_servers_ports(channel, nodes);
}

/* `more`: options besides the usual ones. ares_library_init() is not called: outside of Windows it
 * only counts who uses the library, in a global that is not safe for threads. */
static int init(ares_channel *channel, ares_sock_state_cb socket_changed, void *context, int more)
{
    char lookups[] = "b"; /* the name servers alone: the hosts file is read by us */
    struct ares_options options = {.timeout = TRY_MS,
                                   .tries = TRIES,
                                   .lookups = lookups,
                                   .sock_state_cb = socket_changed,
                                   .sock_state_cb_data = context};

    return ares_init_options(channel, &options,
                             ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                                 ARES_OPT_SOCK_STATE_CB | more);
}

int channel_create(ares_channel *channel, const struct servers *servers,
                   ares_sock_state_cb socket_changed, void *context, struct search *search)
{
    int status = init(channel, socket_changed, context, 0);

    if (status != ARES_SUCCESS)
        return status;
    if (!take_search(*channel, search)) {
        ares_destroy(*channel);
        return ARES_ENOMEM;
    }
    if (search->domain_count > 0) {
        ares_destroy(*channel);
        status = init(channel, socket_changed, context, ARES_OPT_DOMAINS); /* none */
        if (status != ARES_SUCCESS)
            return status;
    }
    status = set_servers(*channel, servers);
    if (status != ARES_SUCCESS)
        ares_destroy(*channel);
    return status;
}
