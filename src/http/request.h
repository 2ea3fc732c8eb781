/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The head of an HTTP/1.1 request (RFC 9112 3). Pure. */
#ifndef HTTP_REQUEST_H
#define HTTP_REQUEST_H

#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "base/text.h"
#include "http/proxy.h"
#include "http/url.h"

struct request_head {
    struct span method; /* a token */
    const struct url *url;
    struct span user_agent;
    struct span authorization; /* empty: none */
    struct span cookies;       /* the same */
    struct span referer;       /* the same */
    struct span body;          /* to follow the head; data NULL: none */
    struct span content_type;  /* of it */
    bool codings;              /* all that can be taken off again are welcome (Accept-Encoding) */
    /* The user's own fields, "Name: value"; sets in the order of precedence, the last wins. One of
     * our own names (Host, User-Agent, Accept, Accept-Encoding ...) replaces ours; "Name:" without
     * a value leaves it out, as curl has it. */
    const char *const *const *header_sets;
    const size_t *header_counts;
    size_t set_count;
    bool body_left;    /* behind, by a redirect, with the user's fields that describe it... */
    bool other_origin; /* ...or it has led elsewhere, where none but these go, with the body */
    /* The proxy that the request goes to, to be passed on: its target is the whole URL then. The
     * user's own Proxy-Authorization goes nowhere else. NULL: none. */
    const struct proxy *to_proxy;
    struct span range; /* "0-499", as asked for by hand; empty: as `ranged` says */
    bool ranged;       /* "Range: bytes=FROM-LAST", or "FROM-" where range_to is UINT64_MAX */
    uint64_t range_from;
    uint64_t range_to;             /* the first byte that is not wanted any more */
    struct span if_none_match;     /* entity tag; empty: none */
    struct span if_modified_since; /* date; empty: none */
    struct span if_range;          /* strong validator; empty: none */
};

/* Appends the head, its empty line included. CHECKs that nothing in it holds a control character:
 * what comes from outside must have passed request_check_header(), field_strong_etag() ... */
void request_write(const struct request_head *head, struct text *out);
/* Whether a user's field line can go on the wire: a token, a colon, and no control character
 * (RFC 9110 5.5). False: *error says what is wrong with it. */
bool request_check_header(const char *line, struct haul_error *error);
/* Whether there is one of that name among lines that passed it. */
bool request_has_header(const char *const *headers, size_t count, struct span name);
/* RFC 9110 5.6.2: what methods and the names of fields are. */
bool request_check_token(struct span token);
/* The same as for a line, for a value alone, as User-Agent and If-Range take it. */
bool request_check_value(struct span value);

#endif
