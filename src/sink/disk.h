/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What all files of one thread write past the page cache: a few writes at a time, which is enough
 * to keep a disk busy. More of them only make each wait longer, and its memory leave the CPU's
 * cache. The same goes for syncing what lies in the page cache. Pure, but for the size of the
 * machine's memory.
 */
#ifndef SINK_DISK_H
#define SINK_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

struct disk {
    size_t busy_bytes;
    struct list waiting;
    unsigned syncs; /* under way */
    struct list waiting_syncs;
    size_t burst_bytes; /* left to be spent */
    unsigned share_count;
};

/* Stands in the object that writes. */
struct disk_turn {
    struct list node;
    size_t bytes;
};

void disk_init(struct disk *disk);
/* It is one of so many, which share what the page cache may be given. */
void disk_share(struct disk *disk, unsigned count);
void disk_turn_init(struct disk_turn *turn);
/* True: turn->bytes may be written now, and disk_end() is to follow. */
bool disk_begin(struct disk *disk, const struct disk_turn *turn);
/* Waits for disk_next(). */
void disk_wait(struct disk *disk, struct disk_turn *turn);
void disk_end(struct disk *disk, const struct disk_turn *turn);
/* The first that waits and may begin now; it waits no more. NULL: none. */
struct disk_turn *disk_next(struct disk *disk);
/* The same for syncs in the background. */
bool disk_begin_sync(struct disk *disk);
void disk_wait_sync(struct disk *disk, struct disk_turn *turn);
void disk_end_sync(struct disk *disk);
struct disk_turn *disk_next_sync(struct disk *disk); /* its sync has begun */
/* Takes from what the page cache may be given in all, so that a short burst of downloads ends
 * sooner than the disk could take it; false: that is used up. A whole file may have all of it, a
 * piece of a file for which the disk lags behind less than half. */
enum disk_kind { DISK_FILE, DISK_PIECE };
bool disk_spend(struct disk *disk, uint64_t bytes, enum disk_kind kind);

#endif
