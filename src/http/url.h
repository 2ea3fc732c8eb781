/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * http and https URLs, as browsers read them (the WHATWG URL standard, whose results are RFC 3986's
 * where that has any). Refused, though browsers take it: port 0, a login that no Authorization
 * field can carry, and hosts that no resolver could take (http/host.c). Pure. What url_parse()
 * accepts is safe to put on the wire: no control character, space or byte outside ASCII is left in
 * it.
 */
#ifndef HTTP_URL_H
#define HTTP_URL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "base/text.h"

enum { URL_BYTES_MAX = 64 * 1024 };

/* All spans point into `text`, or are empty. */
struct url {
    char *text;            /* owned: "https://host:port/path?query", no login, no fragment */
    bool secure;           /* https */
    struct span host;      /* lower case; IPv6 without brackets */
    struct span authority; /* "host" or "host:port", as the Host field wants it */
    uint16_t port;
    struct span target; /* path and query, as the request line wants it; begins with "/" */
    struct span path;   /* of it */
    char *login;        /* owned, percent-decoded "user:password", or NULL; never shown to people */
};

/* Zeroes *url on failure: HAUL_BAD_URL with the reason, or HAUL_OUT_OF_MEMORY. The text of the
 * error does not name the URL; the caller does. */
bool url_parse(struct url *url, struct span input, struct haul_error *error);
/* A reference (Location) against its base; bytes that are not ASCII become escapes one by one. */
bool url_resolve(struct url *url, const struct url *base, struct span reference,
                 struct haul_error *error);
/* False: out of memory; *copy is zeroed. */
bool url_copy(struct url *copy, const struct url *url);
void url_free(struct url *url);
/* Appends what people and files may see of a URL, whether it is a good one or not: no login. */
void url_show(struct span input, struct text *shown);
/* "https://host:port": the key of everything that belongs to a server. */
struct span url_origin(const struct url *url);
/* Scheme, host and port (RFC 6454). */
bool url_same_origin(const struct url *a, const struct url *b);
/*
 * Appends the file name that the URL suggests: its last path component, percent-decoded once and
 * made one safe component (see name_sanitize()); "index.html" where there is none.
 */
void url_file_name(const struct url *url, struct text *name);
/*
 * Makes any bytes a name that is one component: no slash, no control characters, not "." or "..",
 * valid UTF-8, at most 255 bytes cut between characters with the extension kept. Never empty.
 */
void name_sanitize(struct span raw, struct text *name);

#endif
