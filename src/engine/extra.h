/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a request has beyond the plain GET of a URL: few downloads have any of it, so it stands
 * apart from them. Does not change once it is made; any thread may read it.
 */
#ifndef ENGINE_EXTRA_H
#define ENGINE_EXTRA_H

#include "base/span.h"
#include "base/text.h"
#include "haul/haul.h"
#include "http/proxy.h"

/* Strings are NUL-terminated and owned; NULL: not asked for. */
struct request_extra {
    char *method; /* NULL: GET, or POST where there is data */
    char *data;   /* data_bytes of them; NULL: the request has no body */
    size_t data_bytes;
    char *content_type;
    char *referer; /* without login and fragment */
    char *username;
    char *password;
    char *bearer;
    char *range;         /* "0-499", "500-" or "-500" */
    bool has_proxy;      /* it goes through... */
    struct proxy *proxy; /* ...this one, or none (NULL), whatever the engine has */
};

/* Whether all that is there can be asked. False: *error. */
bool request_extra_check(const struct haul_request *request, struct haul_error *error);
/* Of a request that is checked. *extra: NULL if there is nothing of it. False: out of memory. */
bool request_extra_create(struct request_extra **extra, const struct haul_request *request);
void request_extra_destroy(struct request_extra *extra); /* NULL is allowed */

/* The method; extra may be NULL. */
struct span request_extra_method(const struct request_extra *extra);
/* Whether a download is more than the whole of what GET gives: it can neither be resumed nor split,
 * for no validator would tell whether two parts belong together. */
bool request_extra_is_special(const struct request_extra *extra);
/* Whether the request may be sent again though the server may have got it (RFC 9110 9.2.2). */
bool request_extra_is_idempotent(const struct request_extra *extra);
/* Appends what tells its partial file from that of another request to the same URL: nothing for
 * one that is not special; never a secret. */
void request_extra_key(const struct request_extra *extra, struct text *key);

#endif
