/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The directories that files go to: opened once, created where they are missing, and closed when
 * many others have been used since, or when room is needed for another. Of one thread; the names in
 * them may be shared with others.
 *
 * Descriptors are bounded: whoever wants to open a directory or a file beyond that, waits until
 * another is given back. Directories and files have bounds of their own, and a sink takes its
 * directory first and then the place of its file, so that they never wait in a circle.
 *
 * The names in a directory are made durable by syncing it. That is slow, and covers all of them: so
 * it is done once for all who ask while the one before is under way.
 */
#ifndef SINK_DIRECTORY_H
#define SINK_DIRECTORY_H

#include <stdbool.h>

#include "base/list.h"
#include "base/map.h"
#include "base/span.h"
#include "base/status.h"
#include "ring/ring.h"
#include "sink/disk.h"
#include "sink/known.h"
#include "sink/names.h"

struct directories;

struct directory {
    struct ref ref;
    struct map_node node;
    struct directories *directories;
    char *key;  /* root, NUL, and what is below it */
    char *path; /* both together, for people and for names */
    struct ring_place location;
    int fd; /* -1 while it is being opened, or if that failed */
    unsigned users;
    struct names_place *place;
    struct known_names *known; /* NULL until somebody asks for it */
    struct op op;
    struct list waiting;
    struct list unused_node;
    struct list queue_node; /* not yet being opened, for want of room */
    struct op sync_op;
    struct list syncing; /* whom the sync that is under way will serve */
    struct list to_sync; /* and the next one */
};

struct directory_wait {
    /* directory: the caller's until directory_release(); NULL: *error. From the loop. */
    void (*done)(struct directory_wait *wait, struct directory *directory,
                 const struct haul_error *error);
    struct list node;
};

/* Stands in its user, which stays until `done`. */
struct directory_sync {
    void (*done)(struct directory_sync *sync, int res); /* res as of a request; from the loop */
    struct list node;
};

/* The right to have a file open. Stands in its user, zeroed but for op and node. */
struct file_place {
    struct op *op; /* its `done` is called from the loop when the place comes after a wait */
    struct list node;
    bool held;
    bool more; /* for another descriptor besides */
};

/* names: borrowed. descriptors_max: for files and directories that are open at once; at least 2.
 * NULL: out of memory. */
struct directories *directories_create(struct ring *ring, struct names *names,
                                       size_t descriptors_max);
void directories_destroy(struct directories *directories); /* no directory is in use any more */
struct ring *directories_ring(const struct directories *directories);
/* When they were created, as file systems tell the time. */
int64_t directories_began_ns(const struct directories *directories);
/* For the files in them. */
struct disk *directories_disk(struct directories *directories);
/* The directory `below` root, if it is open already; else NULL, and wait->done will be called,
 * unless error->status is not OK. What is below may be named by anybody: see struct ring_place. It
 * is made as `durable` says of whoever asks first. */
struct directory *directory_get(struct directories *directories, const char *root,
                                const char *below, bool durable, struct directory_wait *wait,
                                struct haul_error *error);
void directory_unwait(struct directory_wait *wait);
void directory_release(struct directory *directory);
/* The names that are in it now, or not any more, will stay so. The directory is in use until then.
 */
void directory_sync(struct directory *directory, struct directory_sync *sync);
/* Whether more than half of the directories that may be open are in use. */
bool directory_scarce(const struct directory *directory);

/* True: held from now on. False: place->op will be done once it is. */
bool file_place_take(struct directories *directories, struct file_place *place);
/* For one more descriptor. True: it may be opened, and goes with the place. False: there is none
 * left, and whoever asks may not wait; never if it must be. */
bool file_place_more(struct directories *directories, struct file_place *place, bool must);
void file_place_less(struct directories *directories, struct file_place *place);
/* Gives it back, or waits no longer; allowed in any state. */
void file_place_give(struct directories *directories, struct file_place *place);
/* Whether more than a quarter of all places are held: those who have them may come to take as many
 * again, for journals. */
bool file_places_scarce(const struct directories *directories);

#endif
