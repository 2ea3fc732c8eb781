/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One cookie as a server sends it (RFC 6265 and its successor, draft-ietf-httpbis-rfc6265bis), and
 * the rules of where it belongs. Pure. SameSite is passed over, as any attribute that says nothing
 * to a downloader: it has no site that a request could come from.
 */
#ifndef HTTP_COOKIE_H
#define HTTP_COOKIE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"

enum {
    COOKIE_PAIR_BYTES_MAX = 4096,      /* name and value together */
    COOKIE_ATTRIBUTE_BYTES_MAX = 1024, /* the value of one */
    COOKIE_AGE_S_MAX = 400 * 24 * 60 * 60
};

/* All spans point into what was parsed. */
struct cookie {
    struct span name; /* may be empty: then the value is all that is sent back */
    struct span value;
    struct span domain; /* as sent, without the first dot; empty: for this host only */
    struct span path;   /* begins with "/"; empty: none was given, cookie_default_path() holds */
    bool persistent;    /* else it lasts as long as the session */
    int64_t expires_s;  /* INT64_MIN: at once */
    bool secure;
    bool http_only;
};

/* One Set-Cookie value. False: the cookie is to be ignored. */
bool cookie_parse(struct span value, int64_t now_s, struct cookie *cookie);
/* Whether what the name promises by "__Host-" or "__Secure-" is true of the cookie. */
bool cookie_keeps_promise(const struct cookie *cookie);
/* A date as cookies have it, which is nearly anything (5.1.1). */
bool cookie_date(struct span text, int64_t *unix_s);
/* Whether a host (lower case) is the domain (lower case) or stands below it; an address is never
 * below anything. */
bool cookie_domain_matches(struct span host, struct span domain);
bool cookie_is_address(struct span host);
/* Whether a cookie for `cookie_path` goes with a request for `path`. */
bool cookie_path_matches(struct span path, struct span cookie_path);
/* What holds where no Path was given: the directory of the request's path. */
struct span cookie_default_path(struct span path);

#endif
