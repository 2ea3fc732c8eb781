/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine/network.h"

enum { RUNNING_MIN = 2 /* names that a worker asks for at once: one host, in both families */ };

bool network_make(struct network *network, struct ring *ring, const struct haul_options *options,
                  struct haul_error *error)
{
    if (options->dns_servers &&
        !servers_parse(&network->servers, span_of(options->dns_servers), error))
        return false;
    if (options->resolve_count > 0) {
        network->overrides =
            overrides_create(options->resolve, options->resolve_count, ring_random(ring), error);
        if (!network->overrides)
            return false;
    }
    if (options->interface && !local_find(&network->dial.local, ring, options->interface, error))
        return false;
    network->dial.overrides = network->overrides;
    network->dial.ipv6_off = options->disable_ipv6;
    if (!options->disable_ipv6 || local_has(&network->dial.local, AF_INET))
        return true;
    error_set(error, HAUL_BAD_OPTION, 0,
              "connections can't start from %s, which has no IPv4 address: IPv6 is switched off",
              options->interface);
    return false;
}

void network_free(struct network *network)
{
    overrides_free(network->overrides);
}

struct resolver_options network_resolver(const struct network *network, unsigned workers)
{
    size_t share = (RESOLVE_RUNNING_MAX + workers - 1) / workers;

    return (struct resolver_options){.servers = network->servers,
                                     .running_max = share < RUNNING_MIN ? RUNNING_MIN : share,
                                     .ipv6_off = network->dial.ipv6_off};
}
