/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sink/disk.h"

#include <unistd.h>

enum {
    BUSY_BYTES_MAX = 4 * 1024 * 1024,
    SPENDABLE_BYTES_MAX = 448 * 1024 * 1024,
    SPENDABLE_PART = 32 /* of the machine's memory */
};

/* A burst that memory bears easily, and no more of it than a small machine can spare. */
static size_t spendable_bytes(void)
{
    size_t part = (size_t)sysconf(_SC_PHYS_PAGES) / SPENDABLE_PART * (size_t)sysconf(_SC_PAGESIZE);

    return part < SPENDABLE_BYTES_MAX ? part : SPENDABLE_BYTES_MAX;
}

void disk_init(struct disk *disk)
{
    *disk = (struct disk){.spendable_bytes = spendable_bytes()};
    list_init(&disk->waiting);
}

void disk_turn_init(struct disk_turn *turn)
{
    *turn = (struct disk_turn){0};
    list_init(&turn->node);
}

static bool has_room(const struct disk *disk, const struct disk_turn *turn)
{
    return disk->busy_bytes == 0 || disk->busy_bytes + turn->bytes <= BUSY_BYTES_MAX;
}

bool disk_begin(struct disk *disk, const struct disk_turn *turn)
{
    if (!has_room(disk, turn))
        return false;
    disk->busy_bytes += turn->bytes;
    return true;
}

void disk_wait(struct disk *disk, struct disk_turn *turn)
{
    list_push_back(&disk->waiting, &turn->node);
}

void disk_end(struct disk *disk, const struct disk_turn *turn)
{
    CHECK(disk->busy_bytes >= turn->bytes);
    disk->busy_bytes -= turn->bytes;
}

struct disk_turn *disk_next(struct disk *disk)
{
    struct disk_turn *first = LIST_ITEM(disk->waiting.next, struct disk_turn, node);

    if (!list_is_linked(&disk->waiting) || !has_room(disk, first))
        return NULL;
    list_remove(&first->node);
    return first;
}

bool disk_spend(struct disk *disk, size_t bytes)
{
    if (disk->spendable_bytes < bytes)
        return false;
    disk->spendable_bytes -= bytes;
    return true;
}
