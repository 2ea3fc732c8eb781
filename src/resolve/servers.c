/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "resolve/servers.h"

enum { DNS_PORT = 53 };

/* "ADDRESS", "V4:PORT", "[V6]", "[V6]:PORT". */
static bool parse_one(struct address *address, struct span text)
{
    uint64_t port = DNS_PORT;
    struct span host = text;
    struct span rest = {0};

    if (address_parse(address, text, DNS_PORT))
        return true;
    if (text.len > 0 && text.data[0] == '[') {
        rest = span_sub(text, 1, text.len);
        host = span_cut(&rest, ']');
        if (span_find(host, ':') == host.len || host.len + 2 > text.len)
            return false;
        if (rest.len == 0)
            return address_parse(address, host, DNS_PORT);
        if (rest.data[0] != ':')
            return false;
        rest = span_sub(rest, 1, rest.len);
    } else {
        rest = text;
        host = span_cut(&rest, ':');
    }
    return span_to_u64(rest, &port) && port > 0 && port <= UINT16_MAX &&
           address_parse(address, host, (uint16_t)port);
}

bool servers_parse(struct servers *servers, struct span list, struct haul_error *error)
{
    *servers = (struct servers){0};
    do {
        struct span one = span_trim(span_cut(&list, ','));

        if (servers->count == SERVERS_MAX) {
            error_set(error, HAUL_BAD_OPTION, 0, "more than %d name servers", SERVERS_MAX);
            return false;
        }
        if (!parse_one(&servers->addresses[servers->count++], one)) {
            error_set(error, HAUL_BAD_OPTION, 0,
                      "\"%.*s\" is no name server: write ADDRESS or ADDRESS:PORT, and an IPv6 "
                      "address with a port as [ADDRESS]:PORT",
                      SPAN_ARG(one));
            return false;
        }
    } while (list.len > 0);
    return true;
}
