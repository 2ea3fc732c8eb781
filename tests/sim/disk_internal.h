/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The disk as its two halves see it: disk.c, which carries calls out, and disk_crash.c. */
#ifndef TESTS_SIM_DISK_INTERNAL_H
#define TESTS_SIM_DISK_INTERNAL_H

#include "tests/sim/disk.h"

enum {
    DISK_SECTORS = DISK_PAGE_BYTES / DISK_SECTOR_BYTES, /* of a page: bits of a byte */
    DISK_SIZES = 16,
    DISK_HANDLES_MAX = 512
};

struct disk_file {
    struct list node; /* disk->files */
    struct disk *disk;
    unsigned references; /* names and handles */
    /* What programs see. */
    char *data;
    uint64_t size;
    size_t pages;   /* of data, as of all that follow */
    bool *reserved; /* each page: it takes room on the disk */
    bool locked;
    bool sync_failed;   /* as this life's process knows */
    int64_t changed_ns; /* when it got its name; 0: before this life */
    /* What survives. */
    char *durable;
    uint64_t durable_size;
    uint8_t *dirty;             /* each page: sectors that were written since */
    uint64_t sizes[DISK_SIZES]; /* that it has had since, the last one is what programs see */
    unsigned size_count;
    unsigned cut; /* of sizes, one more than the index of the last that made it shorter; 0: none */
    struct disk_file *copy; /* while the disk is copied */
};

/* Something that was done to a directory and is not synced yet. */
enum change_kind { CHANGE_ADD, CHANGE_REMOVE, CHANGE_RENAME };
struct change {
    struct list node;
    enum change_kind kind;
    struct disk_file *file; /* holds a reference */
    char name[DISK_NAME_BYTES_MAX + 1];
    char to[DISK_NAME_BYTES_MAX + 1];
};

struct name {
    struct list node;
    struct disk_file *file; /* holds a reference */
    char text[DISK_NAME_BYTES_MAX + 1];
};

struct disk_directory {
    struct list node; /* disk->directories */
    char *path;
    struct list names;   /* what programs see */
    struct list durable; /* what survives, with or without some of... */
    struct list changes;
};

struct handle {
    struct disk_directory *directory;
    struct disk_file *file; /* holds a reference */
    bool direct;
    bool locks;
    bool flushed;
    char *path; /* as it was opened; owned */
};

struct trouble {
    char path[DISK_PATH_BYTES_MAX];
    unsigned kinds; /* 1 << kind */
};

struct disk {
    struct world *world;
    struct dice dice;
    char *root;
    struct list files;
    struct list directories;
    size_t pages;
    size_t pages_max;
    size_t handle_count;
    struct handle handles[DISK_HANDLES_MAX]; /* both NULL: not open */
    size_t trouble_count;
    struct trouble troubles[DISK_TROUBLES_MAX]; /* of this life */
};

struct disk_file *disk_file_create(struct disk *disk);
void disk_file_drop(struct disk_file *file);
/* Room in memory for so many bytes. */
void disk_file_grow(struct disk_file *file, uint64_t bytes);
/* As a write does, up to where the disk is full; gives how much was written. */
size_t disk_file_write(struct disk_file *file, const char *data, size_t len, uint64_t offset);
void disk_file_set_size(struct disk_file *file, uint64_t size);
void disk_file_sync(struct disk_file *file);
struct disk_directory *disk_directory_create(struct disk *disk, const char *path);
void disk_directory_sync(struct disk_directory *directory);
struct name *disk_name_find(struct list *names, const char *text);
void disk_name_add(struct list *names, const char *text, struct disk_file *file);
void disk_name_remove(struct name *name);

#endif
