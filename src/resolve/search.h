/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Which names a host's name may stand for, one after the other (resolv.conf(5): search, ndots);
 * and whether it can be one at all. Pure.
 */
#ifndef RESOLVE_SEARCH_H
#define RESOLVE_SEARCH_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* RFC 1035 2.3.4, as text: without the last dot, which may be there besides; and the NUL. */
enum { SEARCH_NAME_BYTES_MAX = 253, SEARCH_NAME_ROOM = SEARCH_NAME_BYTES_MAX + 2 };

struct search {
    char **domains; /* allocated, all of them: search_clear() */
    size_t domain_count;
    size_t dots; /* a name with so many dots is first asked for as it is */
};

void search_clear(struct search *search);
/* Labels of 1 to 63 bytes, 253 in all, one more dot at the end; nothing that is blank, a control
 * character, or a backslash, by which some would write other bytes. */
bool search_is_name(struct span name);
/* Whether the name as it is comes first. */
bool search_as_is_first(const struct search *search, struct span name);
/*
 * Writes candidate number *step (0 at first) into `candidate`, and leaves in *step where to go on.
 * as_is: whether it is the name as it is. False: there is none any more.
 */
bool search_next(const struct search *search, struct span name, size_t *step,
                 char candidate[SEARCH_NAME_ROOM], bool *as_is);

#endif
