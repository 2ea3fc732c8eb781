/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file system, and what is left of it after a crash. Everything is there twice: as programs see
 * it, and as it surely survives a loss of power. What lies between the two, each sector and each
 * change of a name or size by itself, may survive or not.
 *
 *     write, rename ... --> what programs see -- sync --> what survives
 *                                    \---- now and then, by itself ---^
 *
 * Directories are flat, and below one root: nothing else can be opened.
 */
#ifndef TESTS_SIM_DISK_H
#define TESTS_SIM_DISK_H

#include "ring/ring.h"
#include "tests/sim/world.h"

enum {
    DISK_PAGE_BYTES = 4096,
    DISK_SECTOR_BYTES = 512,
    DISK_NAME_BYTES_MAX = 255,
    DISK_FD_FIRST = 100000, /* no number that the real kernel gives */
    DISK_PATH_BYTES_MAX = 400,
    DISK_TROUBLES_MAX = 64
};

struct disk;
struct disk_file;

enum disk_call_kind {
    DISK_OPEN_DIRECTORY, /* name: path of what `below` is below of */
    DISK_CLAIM,
    DISK_WRITE,
    DISK_READ,
    DISK_OPEN_DIRECT,
    DISK_ALLOCATE,
    DISK_TRUNCATE,
    DISK_SYNC,
    DISK_SYNC_DIRECTORY,
    DISK_RENAME,
    DISK_UNLINK,
    DISK_EXISTS,
    DISK_FACTS
};

/* One call; stands in what waits for it, linked in world->disk_calls from its start to its end. */
struct disk_call {
    enum disk_call_kind kind;
    struct list node;
    int fd; /* of the file, or of the directory */
    const char *name;
    const char *to;
    const char *below;
    void *data;
    size_t len;
    uint64_t offset; /* or the size that is wanted */
    bool flag;       /* OPEN_DIRECTORY: make; CLAIM: it must be new; WRITE: directly;
                        RENAME: replace */
    struct ring_facts *facts;
    struct ring_standing *standing; /* EXISTS; or NULL */
};

struct disk *disk_create(struct world *world, const char *root, uint64_t capacity_bytes);
void disk_destroy(struct disk *disk);
/* Carries it out, and gives what the call would: >= 0 or -errno. Counts towards the crash. */
int disk_do(struct disk *disk, struct disk_call *call);
int disk_close(struct disk *disk, int fd); /* 0 or -errno */
int disk_flush(struct disk *disk, int fd); /* the same, but it stays open */
void disk_unlock(struct disk *disk, int fd);
bool disk_has(const struct disk *disk, int fd);
size_t disk_open_count(const struct disk *disk);
/* The process has been told that a sync of it has failed. */
void disk_sync_told(struct disk *disk, int fd);
/* Another process looks at it: nothing has failed for that one yet. */
void disk_begin_life(struct disk *disk);
/* It comes now, if one is to come in this life. */
void disk_crash(struct world *world);
/* What the next process finds, after the crash: a disk of its own. */
struct disk *disk_survive(struct disk *disk, enum crash crash, struct dice *dice);
/* Everything is synced: what a clean shut-down of the machine does. */
void disk_settle(struct disk *disk);

/* --- for who looks on from outside ----------------------------------------------------------- */

/* Calls look for every name, in the order of their directories' and their own creation. */
void disk_each(struct disk *disk,
               void (*look)(void *context, const char *path, const char *data, uint64_t size),
               void *context);
/* False: no such file. */
bool disk_find(struct disk *disk, const char *path, const char **data, uint64_t *size);
/* Whether all of it would survive a loss of power, with its name. */
bool disk_is_durable(struct disk *disk, const char *path);
/* Another program's doing, at once and for good. */
void disk_make_directory(struct disk *disk, const char *path);
void disk_put(struct disk *disk, const char *path, const char *data, uint64_t size);
void disk_remove(struct disk *disk, const char *path);
void disk_set_capacity(struct disk *disk, uint64_t bytes);
/* Which kinds of calls on it or its name have failed in this life, as bits: 1 << kind. */
unsigned disk_troubles(const struct disk *disk, const char *path);
/* Whether this life's process knows of a sync that has failed, under whatever name. */
bool disk_sync_failed(struct disk *disk, const char *path);

#endif
