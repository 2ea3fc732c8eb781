/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Proxies: what one is, and which URL goes through which. Pure, and immutable once made, so that
 * all threads may read.
 */
#ifndef HTTP_PROXY_H
#define HTTP_PROXY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "base/text.h"
#include "http/url.h"

enum {
    PROXY_PORT = 1080,         /* of all kinds, as curl has it */
    PROXY_LOGIN_PART_MAX = 255 /* bytes of user and of password, for SOCKS (RFC 1929) */
};

enum proxy_kind {
    PROXY_HTTP,   /* http:// in absolute form, https:// through CONNECT */
    PROXY_SOCKS4, /* names are resolved here, IPv4 only */
    PROXY_SOCKS4A,
    PROXY_SOCKS5, /* names are resolved here */
    PROXY_SOCKS5H
};

struct proxy {
    enum proxy_kind kind;
    char *text;       /* "socks5h://host:port": what people may see of it */
    struct span host; /* of text; IPv6 without brackets */
    uint16_t port;
    char *login;         /* decoded "user:password", or NULL; never shown */
    char *authorization; /* PROXY_HTTP with a login: "Basic ...", else NULL; never shown */
    char *key;           /* tells connections to it from others; holds the login, never shown */
};

/*
 * "[SCHEME://][USER[:PASSWORD]@]HOST[:PORT]", login percent-encoded; without a scheme it is http;
 * a path is passed over. NULL: *error (HAUL_BAD_OPTION, which shows no login; HAUL_OUT_OF_MEMORY).
 */
struct proxy *proxy_parse(struct span input, struct haul_error *error);
void proxy_destroy(struct proxy *proxy); /* NULL is allowed */
/* Whether requests for the URL are sent to the proxy in absolute form, instead of through it. NULL
 * is allowed. */
bool proxy_is_asked(const struct proxy *proxy, const struct url *url);
/* Whether the name of the origin is resolved here, and not by the proxy. */
bool proxy_wants_address(const struct proxy *proxy);
/*
 * What connections must have in common to stand in for each other: the origin, or the proxy, or
 * both. proxy: NULL: none. memory: cleared, and used where need be: valid as long as it and both
 * others are. memory->failed: out of memory.
 */
struct span proxy_way(const struct proxy *proxy, const struct url *url, struct text *memory);
/* Appends the head of a CONNECT request (RFC 9110 9.3.6) for the URL's host and port. */
void proxy_write_connect(const struct proxy *proxy, const struct url *url, struct text *out);

/* The error of a 407, or another answer that means the same. */
void proxy_refuse_login(const struct proxy *proxy, int status, struct haul_error *error);

/* Strings as people give them; NULL: nothing is said. An empty http or https: none for these,
 * whatever `all` says. */
struct proxy_setup {
    const char *http;
    const char *https;
    const char *all; /* for those of which nothing is said */
    /* What no proxy is for, parted by commas or blanks: names, which stand for all below them too;
     * addresses; "ADDRESS/BITS"; each with ":PORT", if only that is meant; "*" for everything. What
     * is none of these stands for nothing. */
    const char *none;
};

struct proxy_rules;

/* NULL: *error as proxy_parse(). */
struct proxy_rules *proxy_rules_create(const struct proxy_setup *setup, struct haul_error *error);
void proxy_rules_destroy(struct proxy_rules *rules); /* NULL is allowed */
/* The proxy for the URL, which is the rules'; NULL: none. */
const struct proxy *proxy_choose(const struct proxy_rules *rules, const struct url *url);

#endif
