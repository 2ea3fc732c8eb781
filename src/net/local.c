/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "net/local.h"

#include <errno.h>
#include <string.h>

/* On a socket that is not used for anything else. */
static int try_out(const struct local *local, struct ring *ring, int family)
{
    int fd = ring_socket(ring, family);
    int res;

    if (fd < 0)
        return fd;
    res = local_bind(local, ring, fd, family);
    ring_close(ring, fd);
    return res;
}

static bool find_address(struct local *local, struct ring *ring, const char *wanted,
                         struct haul_error *error)
{
    int family = local->v4.len > 0 ? AF_INET : AF_INET6;
    int res = try_out(local, ring, family);

    if (res == 0)
        return true;
    error_set(error, HAUL_BAD_OPTION, -res, "connections can't start from the address %s", wanted);
    return false;
}

static bool find_device(struct local *local, struct ring *ring, const char *wanted,
                        struct haul_error *error)
{
    int res = ring_interface(ring, wanted, &local->v4, &local->v6);

    if (res == -ENODEV) {
        error_set(error, HAUL_BAD_OPTION, 0,
                  "\"%s\" is neither a network interface nor an address of this machine", wanted);
        return false;
    }
    if (res == -ENOMEM) {
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        return false;
    }
    if (strlen(wanted) < sizeof(local->device)) {
        memcpy(local->device, wanted, strlen(wanted) + 1);
        res = try_out(local, ring, AF_INET);
        if (res == -EAFNOSUPPORT)
            res = try_out(local, ring, AF_INET6);
        if (res == 0)
            return true;
        local->device[0] = '\0';
    }
    if (local->v4.len > 0 || local->v6.len > 0)
        return true;
    error_set(error, HAUL_BAD_OPTION, -res,
              "connections can't be bound to the interface %s, and it has no address", wanted);
    return false;
}

bool local_find(struct local *local, struct ring *ring, const char *wanted,
                struct haul_error *error)
{
    struct address address;

    *local = (struct local){.bound = true};
    if (!address_parse(&address, span_of(wanted), 0))
        return find_device(local, ring, wanted, error);
    *(address.any.sa_family == AF_INET ? &local->v4 : &local->v6) = address;
    return find_address(local, ring, wanted, error);
}

bool local_has(const struct local *local, int family)
{
    if (!local->bound || local->device[0])
        return true;
    return (family == AF_INET ? local->v4.len : local->v6.len) > 0;
}

int local_bind(const struct local *local, struct ring *ring, int fd, int family)
{
    if (!local->bound)
        return 0;
    if (local->device[0])
        return ring_bind_device(ring, fd, local->device);
    return ring_bind(ring, fd, family == AF_INET ? &local->v4 : &local->v6);
}
