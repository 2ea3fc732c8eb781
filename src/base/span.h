/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Strings as pointer and length. A span never owns its bytes and is not NUL-terminated; it is
 * valid as long as what it points into. Comparisons that ignore case do so for ASCII only, as
 * HTTP does (RFC 9110 5.1), whatever the locale says.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct span {
    const char *data;
    size_t len;
};

#define SPAN(literal)                                                                              \
    (struct span)                                                                                  \
    {                                                                                              \
        .data = (literal), .len = sizeof(literal) - 1                                              \
    }
/* For printf: "%.*s", SPAN_ARG(s). */
#define SPAN_ARG(s) ((s).len > 4096 ? 4096 : (int)(s).len), (s).data

struct span span_of(const char *text); /* text may be NULL: the empty span */
struct span span_make(const char *data, size_t len);
bool span_equal(struct span a, struct span b);
bool span_equal_nocase(struct span a, struct span b);
bool span_starts_nocase(struct span s, struct span prefix);
/* Without spaces and tabs at both ends. */
struct span span_trim(struct span s);
/* From byte `from` on (clamped), at most len bytes. */
struct span span_sub(struct span s, size_t from, size_t len);
/* Index of the first c, or s.len. */
size_t span_find(struct span s, char c);
/* Cuts s at the first c: returns what stands before it, and leaves in *s what comes behind it
 * (all of it, and an empty rest, when c does not occur). */
struct span span_cut(struct span *s, char c);
/* A decimal number of digits alone; false if empty, anything else in it, or beyond 2^64-1. */
bool span_to_u64(struct span s, uint64_t *value);
/* SipHash-1-3 under a key made of the seed; the same on every machine of one byte order. */
uint64_t span_hash(struct span s, uint64_t seed);

/* The value of a hexadecimal digit; -1: it is none. */
int span_hex_value(char c);
/* '0' to '9', whatever the locale says. */
static inline bool span_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

#endif
