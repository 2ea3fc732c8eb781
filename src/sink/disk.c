/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sink/disk.h"

#include <unistd.h>

enum {
    BUSY_BYTES_MAX = 3 * 1024 * 1024,
    SYNCS_MAX = 4,
    BURST_BYTES_MAX = 1024 * 1024 * 1024,
    BURST_PART = 16 /* of the machine's memory */
};

/* What memory bears easily, and no more than a small machine can spare. */
static size_t burst_bytes_max(void)
{
    size_t part = (size_t)sysconf(_SC_PHYS_PAGES) / BURST_PART * (size_t)sysconf(_SC_PAGESIZE);

    return part < BURST_BYTES_MAX ? part : BURST_BYTES_MAX;
}

void disk_init(struct disk *disk)
{
    *disk = (struct disk){.burst_bytes = burst_bytes_max(), .share_count = 1};
    list_init(&disk->waiting);
    list_init(&disk->waiting_syncs);
}

void disk_share(struct disk *disk, unsigned count)
{
    disk->burst_bytes /= count;
    disk->share_count = count;
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

bool disk_begin_sync(struct disk *disk)
{
    if (disk->syncs == SYNCS_MAX)
        return false;
    disk->syncs++;
    return true;
}

void disk_wait_sync(struct disk *disk, struct disk_turn *turn)
{
    list_push_back(&disk->waiting_syncs, &turn->node);
}

void disk_end_sync(struct disk *disk)
{
    CHECK(disk->syncs > 0);
    disk->syncs--;
}

struct disk_turn *disk_next_sync(struct disk *disk)
{
    struct list *node;

    if (disk->syncs == SYNCS_MAX || !(node = list_pop_front(&disk->waiting_syncs)))
        return NULL;
    disk->syncs++;
    return LIST_ITEM(node, struct disk_turn, node);
}

bool disk_spend(struct disk *disk, uint64_t bytes, enum disk_kind kind)
{
    size_t keep = kind == DISK_PIECE ? burst_bytes_max() / disk->share_count / 16 * 9 : 0;

    if (disk->burst_bytes < keep || disk->burst_bytes - keep < bytes)
        return false;
    disk->burst_bytes -= (size_t)bytes;
    return true;
}
