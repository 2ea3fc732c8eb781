/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The cookies of an engine (RFC 6265bis 5.7 and 5.8), and Netscape's file of them. Pure: no system
 * call, time is a parameter. In the engine's thread.
 *
 * There is no script and no page here, so HttpOnly is only passed on, and SameSite says nothing.
 */
#ifndef SESSION_JAR_H
#define SESSION_JAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"
#include "http/url.h"

enum {
    JAR_DOMAIN_COOKIES_MAX = 50,
    JAR_COOKIES_MAX = 3000,
    JAR_FIELD_BYTES_MAX = 8000 /* of one Cookie field: servers take 8 KiB for a line */
};

struct jar;

/* NULL: out of memory. */
struct jar *jar_create(uint64_t seed);
void jar_destroy(struct jar *jar); /* NULL is allowed */
size_t jar_count(const struct jar *jar);
/* Goes up whenever a cookie is set or removed. */
uint64_t jar_changes(const struct jar *jar);
/* Takes in one Set-Cookie value of an answer from there. What can't be kept is not. */
void jar_take(struct jar *jar, const struct url *url, struct span set_cookie, int64_t now_s);
/* Appends the value of the Cookie field for a request to there; nothing if there are none. */
void jar_give(struct jar *jar, const struct url *url, int64_t now_s, struct text *field);

/* What was not taken from a file. */
struct jar_faults {
    size_t malformed; /* lines */
    size_t first;     /* of them, counted from 1 */
    size_t expired;
};
void jar_read(struct jar *jar, struct span file, int64_t now_s, struct jar_faults *faults);
/* Appends the file, oldest cookie first. */
void jar_write(const struct jar *jar, int64_t now_s, struct text *file);

#endif
