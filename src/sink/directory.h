/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The directories that files go to: opened once, created where they are missing, and closed when
 * many others have been used since. Of one thread; the names in them may be shared with others.
 */
#ifndef SINK_DIRECTORY_H
#define SINK_DIRECTORY_H

#include <stdbool.h>

#include "base/list.h"
#include "base/map.h"
#include "base/span.h"
#include "base/status.h"
#include "ring/ring.h"
#include "sink/names.h"

struct directories;

struct directory {
    struct ref ref;
    struct map_node node;
    struct directories *directories;
    char *path;
    int fd; /* -1 while it is being opened, or if that failed */
    unsigned users;
    struct names_place *place;
    struct op op;
    struct list waiting;
    struct list unused_node;
};

struct directory_wait {
    /* directory: the caller's until directory_release(); NULL: *error. From the loop. */
    void (*done)(struct directory_wait *wait, struct directory *directory,
                 const struct haul_error *error);
    struct list node;
};

/* names: borrowed. NULL: out of memory. */
struct directories *directories_create(struct ring *ring, struct names *names);
void directories_destroy(struct directories *directories); /* no directory is in use any more */
struct ring *directories_ring(const struct directories *directories);
/* Takes from what the page cache may be given of files that are written past it, while the disk
 * lags; false: that is used up. */
bool directories_spend(struct directories *directories, size_t bytes);
/* The directory, if it is open already; else NULL, and wait->done will be called, unless
 * error->status is not OK. */
struct directory *directory_get(struct directories *directories, struct span path,
                                struct directory_wait *wait, struct haul_error *error);
void directory_unwait(struct directory_wait *wait);
void directory_release(struct directory *directory);

#endif
