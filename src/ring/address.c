/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ring/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

struct address address_v4(const struct in_addr *v4, uint16_t port)
{
    struct address address = {.len = sizeof(struct sockaddr_in)};

    address.v4.sin_family = AF_INET;
    address.v4.sin_addr = *v4;
    address.v4.sin_port = htons(port);
    return address;
}

struct address address_v6(const struct in6_addr *v6, uint16_t port)
{
    struct address address = {.len = sizeof(struct sockaddr_in6)};

    address.v6.sin6_family = AF_INET6;
    address.v6.sin6_addr = *v6;
    address.v6.sin6_port = htons(port);
    return address;
}

bool address_parse(struct address *address, struct span host, uint16_t port)
{
    char text[INET6_ADDRSTRLEN];
    struct in6_addr v6;
    struct in_addr v4;

    if (host.len == 0 || host.len >= sizeof(text) || span_find(host, '\0') < host.len)
        return false;
    memcpy(text, host.data, host.len);
    text[host.len] = '\0';
    if (inet_pton(AF_INET, text, &v4) == 1)
        *address = address_v4(&v4, port);
    else if (inet_pton(AF_INET6, text, &v6) == 1)
        *address = address_v6(&v6, port);
    else
        return false;
    return true;
}

bool address_equal_host(const struct address *a, const struct address *b)
{
    if (a->len != b->len || a->any.sa_family != b->any.sa_family)
        return false;
    if (a->any.sa_family == AF_INET)
        return a->v4.sin_addr.s_addr == b->v4.sin_addr.s_addr;
    return IN6_ARE_ADDR_EQUAL(&a->v6.sin6_addr, &b->v6.sin6_addr);
}

void address_set_port(struct address *address, uint16_t port)
{
    if (address->any.sa_family == AF_INET)
        address->v4.sin_port = htons(port);
    else
        address->v6.sin6_port = htons(port);
}

void address_format(const struct address *address, char text[ADDRESS_TEXT_BYTES])
{
    char host[INET6_ADDRSTRLEN];

    if (address->any.sa_family == AF_INET) {
        CHECK(inet_ntop(AF_INET, &address->v4.sin_addr, host, sizeof(host)));
        snprintf(text, ADDRESS_TEXT_BYTES, "%s:%u", host, ntohs(address->v4.sin_port));
    } else {
        CHECK(inet_ntop(AF_INET6, &address->v6.sin6_addr, host, sizeof(host)));
        snprintf(text, ADDRESS_TEXT_BYTES, "[%s]:%u", host, ntohs(address->v6.sin6_port));
    }
}
