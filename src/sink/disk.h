/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What all files of one thread write past the page cache: a few writes at a time, which is enough
 * to keep a disk busy. More of them only make each wait longer, and its memory leave the CPU's
 * cache. Pure, but for the size of the machine's memory.
 */
#ifndef SINK_DISK_H
#define SINK_DISK_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"

struct disk {
    size_t busy_bytes;
    struct list waiting;
    size_t spendable_bytes;
};

/* Stands in the object that writes. */
struct disk_turn {
    struct list node;
    size_t bytes;
};

void disk_init(struct disk *disk);
void disk_turn_init(struct disk_turn *turn);
/* True: turn->bytes may be written now, and disk_end() is to follow. */
bool disk_begin(struct disk *disk, const struct disk_turn *turn);
/* Waits for disk_next(). */
void disk_wait(struct disk *disk, struct disk_turn *turn);
void disk_end(struct disk *disk, const struct disk_turn *turn);
/* The first that waits and may begin now; it waits no more. NULL: none. */
struct disk_turn *disk_next(struct disk *disk);
/* Takes from what the page cache may be given while the disk lags behind; false: that is used up.
 */
bool disk_spend(struct disk *disk, size_t bytes);

#endif
