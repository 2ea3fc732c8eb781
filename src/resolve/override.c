/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "resolve/override.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "resolve/search.h"

enum { KEY_BYTES = SEARCH_NAME_ROOM + 8 };

struct item {
    struct map_node node;
    struct override override;
    char key[]; /* "host:port" */
};

struct overrides {
    struct map map;
};

/* False: it can't be the name of a host. */
static bool make_key(char key[KEY_BYTES], struct span host, uint16_t port)
{
    if (host.len > 1 && host.data[host.len - 1] == '.')
        host.len--;
    if (host.len > SEARCH_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < host.len; i++) {
        char c = host.data[i];

        key[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    snprintf(key + host.len, KEY_BYTES - host.len, ":%u", port);
    return true;
}

/* What is between the brackets that it may be in. */
static struct span unbracket(struct span address)
{
    if (address.len > 2 && address.data[0] == '[' && address.data[address.len - 1] == ']')
        return span_sub(address, 1, address.len - 2);
    return address;
}

static const char *parse_addresses(struct override *override, struct span list)
{
    override->count = 0;
    do {
        struct span one = unbracket(span_trim(span_cut(&list, ',')));

        if (override->count == OVERRIDE_ADDRESSES_MAX)
            return "there are more than 16 addresses";
        if (!address_parse(&override->addresses[override->count++], one, 0))
            return "an address in it can't be read";
    } while (list.len > 0);
    return NULL;
}

/* The host in brackets may have colons in it. An address is written as URLs come to have it. */
static struct span cut_host(struct span *rest, char canonical[ADDRESS_TEXT_BYTES])
{
    struct address address;
    struct span host;

    if (rest->len == 0 || rest->data[0] != '[')
        return span_cut(rest, ':');
    *rest = span_sub(*rest, 1, rest->len);
    host = span_cut(rest, ']');
    if (rest->len == 0 || rest->data[0] != ':' || !address_parse(&address, host, 0))
        return span_make("", 0);
    *rest = span_sub(*rest, 1, rest->len);
    address_format(&address, canonical);
    host = span_of(canonical + 1);
    return span_cut(&host, ']');
}

/* NULL, or what is wrong. */
static const char *parse(struct span text, char key[KEY_BYTES], struct override *override)
{
    char canonical[ADDRESS_TEXT_BYTES];
    struct span host;
    uint64_t port;

    if (text.len > 0 && (text.data[0] == '+' || text.data[0] == '-'))
        return "nothing can be taken back or let expire, so there must be no + or - before it";
    host = cut_host(&text, canonical);
    if (host.len == 0)
        return "there is no host in it";
    if (!span_to_u64(span_cut(&text, ':'), &port) || port == 0 || port > UINT16_MAX)
        return "the port is not a number from 1 to 65535";
    if (!make_key(key, host, (uint16_t)port) ||
        (host.data != canonical + 1 && !search_is_name(host)))
        return "that can't be the name of a host";
    return parse_addresses(override, text);
}

static struct map_node *find(const struct overrides *overrides, const char *key)
{
    return map_find(&overrides->map, span_of(key));
}

static bool add(struct overrides *overrides, const char *key, const struct override *override)
{
    struct map_node *node = find(overrides, key);
    struct item *item;

    if (node) {
        MAP_ITEM(node, struct item, node)->override = *override;
        return true;
    }
    item = alloc_zeroed(sizeof(*item) + strlen(key) + 1);
    if (!item)
        return false;
    item->override = *override;
    memcpy(item->key, key, strlen(key));
    if (map_put(&overrides->map, &item->node, span_of(item->key)))
        return true;
    free(item);
    return false;
}

struct overrides *overrides_create(const char *const *texts, size_t count, uint64_t seed,
                                   struct haul_error *error)
{
    struct overrides *overrides = alloc_zeroed(sizeof(*overrides));

    error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    if (!overrides)
        return NULL;
    map_init(&overrides->map, seed);
    for (size_t i = 0; i < count; i++) {
        struct override override;
        char key[KEY_BYTES];
        const char *wrong = parse(span_of(texts[i]), key, &override);

        if (wrong)
            error_set(error, HAUL_BAD_OPTION, 0,
                      "\"%s\" does not say where a host is: write HOST:PORT:ADDRESS[,ADDRESS] (%s)",
                      texts[i], wrong);
        if (wrong || !add(overrides, key, &override)) {
            overrides_free(overrides);
            return NULL;
        }
    }
    return overrides;
}

void overrides_free(struct overrides *overrides)
{
    struct map_node *node;

    if (!overrides)
        return;
    while ((node = map_any(&overrides->map))) {
        map_remove(&overrides->map, node);
        free(MAP_ITEM(node, struct item, node));
    }
    map_free(&overrides->map);
    free(overrides);
}

const struct override *overrides_find(const struct overrides *overrides, struct span host,
                                      uint16_t port)
{
    char key[KEY_BYTES];
    struct map_node *node = NULL;

    if (make_key(key, host, port))
        node = find(overrides, key);
    if (!node && make_key(key, SPAN("*"), port))
        node = find(overrides, key);
    return node ? &MAP_ITEM(node, struct item, node)->override : NULL;
}
