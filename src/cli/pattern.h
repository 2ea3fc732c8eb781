/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Patterns of URLs (-P), as curl has them:
 *
 *   {a,b,c}      one after the other
 *   [1-100]      numbers; [001-100] with zeros before them, [0-100:10] in steps
 *   [a-z]        letters, [a-z:2] in steps
 *   \{ \} \[ \]  the character itself; between braces, \, and \\ too
 *
 * A URL may hold several, of which the last changes fastest. Brackets around an IPv6 address, and
 * "[]", are no pattern. What a pattern stands for is never in memory whole. Pure.
 */
#ifndef CLI_PATTERN_H
#define CLI_PATTERN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "base/text.h"

enum { PATTERN_GLOBS_MAX = 32 };

/* Some of the pattern's bytes. */
struct pattern_piece {
    size_t from;
    size_t len;
};

/* A part that changes. */
struct pattern_glob {
    struct pattern_piece before; /* what stands between it and the one before */
    uint64_t count;
    uint64_t at;       /* less than count */
    size_t first_item; /* of a set: in pattern.items */
    bool is_set;
    bool is_letters; /* else numbers */
    uint64_t first;
    uint64_t step;
    unsigned digits; /* at least so many, with zeros before them */
};

struct pattern {
    struct text bytes; /* without backslashes */
    struct pattern_piece *items;
    size_t item_count;
    size_t item_capacity;
    struct pattern_glob *globs;
    size_t glob_count;
    size_t glob_capacity;
    struct pattern_piece tail;
    uint64_t count; /* of the URLs that it stands for; at least 1 */
};

/* Stands at the first URL then. False: HAUL_BAD_URL and where it is wrong, or HAUL_OUT_OF_MEMORY;
 * *pattern is zeroed. The text of the error shows nothing of the pattern, for logins' sake. */
bool pattern_parse(struct pattern *pattern, struct span text, struct haul_error *error);
void pattern_free(struct pattern *pattern);
/* On to the next URL. False: that was the last. */
bool pattern_step(struct pattern *pattern);
/* Appends the URL that it stands at. */
void pattern_write(const struct pattern *pattern, struct text *url);
/*
 * Appends the name with {1}, {2} ... in it replaced by what the first, second glob is now; "{{"
 * and other braces stay as they are, for whoever reads the name next. False: HAUL_BAD_OPTION: there
 * is no such glob.
 */
bool pattern_name(const struct pattern *pattern, struct span name, struct text *out,
                  struct haul_error *error);

#endif
