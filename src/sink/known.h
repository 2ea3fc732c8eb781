/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What finished files say about themselves, so that a later run can ask whether they are still what
 * the server has: an attribute with a hash of the URL, the size and the ETag. No URL is written
 * down, for there may be secrets in it. A file of another size than it says was changed after that,
 * or lost its data in a crash.
 *
 * A file need not be called as its URL is: the server or a template may have named it, or the name
 * was taken. Such files say so, and a directory is gone through once for all of them when one is
 * looked for.
 */
#ifndef SINK_KNOWN_H
#define SINK_KNOWN_H

#include <stdbool.h>

#include "base/list.h"
#include "base/span.h"
#include "base/text.h"
#include "ring/ring.h"

#define KNOWN_ATTRIBUTE "user.haul.etag"

enum { KNOWN_KEY_BYTES = 32 };

/* --- the attribute --------------------------------------------------------------------------- */

struct known_mark {
    struct span key;  /* of the URL: KNOWN_KEY_BYTES digits */
    bool elsewhere;   /* the URL would give it another name */
    uint64_t bytes;   /* of the file */
    int64_t made_ns;  /* when it was written: of two files of one URL, the newer one counts */
    struct span etag; /* as it was sent, weak or strong; empty: there was none */
};

void known_key(struct span url, char key[KNOWN_KEY_BYTES + 1]);
/* Whether an ETag may be written down, to be sent again. Some servers forget the quotes. */
bool known_is_etag(struct span etag);
void known_write(const struct known_mark *mark, struct text *value);
/* False: it says nothing that can be understood. */
bool known_read(struct span value, struct known_mark *mark);

/* --- a directory's --------------------------------------------------------------------------- */

struct known_names;

/* Stands in its user, which stays until `done`. */
struct known_wait {
    void (*done)(struct known_wait *wait); /* from the loop */
    struct list node;
};

/* Begins to go through the directory, whose reference is held meanwhile. NULL: out of memory. */
struct known_names *known_names_create(struct ring *ring, int directory, struct ref *owner);
void known_names_destroy(struct known_names *names); /* NULL is allowed */
/* True: all is known; else wait->done is called once it is. */
bool known_names_ready(struct known_names *names, struct known_wait *wait);
/* The name of a file of this URL, that it would not have from it; empty: there is none. */
struct span known_names_find(const struct known_names *names, struct span key);

#endif
