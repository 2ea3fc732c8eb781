/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a crash leaves, and a look at the disk from outside.
 *
 * After the death of a process all is there that it wrote, and of writes under way any part; but
 * pages that count as clean may have been dropped from memory, and are then what the disk has. A
 * loss of power leaves, of everything that was not synced, whatever the dice say: each sector, each
 * change of a directory, one of the sizes that a file has had since.
 */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "tests/sim/disk_internal.h"

/* --- a copy ---------------------------------------------------------------------------------- */

static void copy_file(struct disk *copy, struct disk_file *file)
{
    struct disk_file *twin = disk_file_create(copy);

    file->copy = twin;
    disk_file_grow(twin, file->pages * (uint64_t)DISK_PAGE_BYTES);
    if (file->pages > 0) {
        memcpy(twin->data, file->data, file->pages * DISK_PAGE_BYTES);
        memcpy(twin->durable, file->durable, file->pages * DISK_PAGE_BYTES);
        memcpy(twin->dirty, file->dirty, file->pages);
        memcpy(twin->reserved, file->reserved, file->pages * sizeof(bool));
    }
    for (size_t page = 0; page < file->pages; page++)
        copy->pages += file->reserved[page];
    twin->size = file->size;
    twin->durable_size = file->durable_size;
    memcpy(twin->sizes, file->sizes, sizeof(twin->sizes));
    twin->size_count = file->size_count;
    twin->cut = file->cut;
}

static void copy_names(struct list *from, struct list *to)
{
    for (struct list *node = from->next; node != from; node = node->next) {
        struct name *name = LIST_ITEM(node, struct name, node);

        disk_name_add(to, name->text, name->file->copy);
    }
}

static void copy_directory(struct disk *copy, struct disk_directory *directory)
{
    struct disk_directory *twin = disk_directory_create(copy, directory->path);

    copy_names(&directory->names, &twin->names);
    copy_names(&directory->durable, &twin->durable);
    for (struct list *node = directory->changes.next; node != &directory->changes;
         node = node->next) {
        struct change *change = alloc_zeroed(sizeof(*change));

        CHECK(change);
        *change = *LIST_ITEM(node, struct change, node);
        change->file = change->file->copy;
        change->file->references++;
        list_init(&change->node);
        list_push_back(&twin->changes, &change->node);
    }
}

/* Of writes under way, any part. */
static void write_parts(struct disk *disk, struct dice *dice)
{
    struct list *calls = &disk->world->disk_calls;

    for (struct list *node = calls->next; node != calls; node = node->next) {
        const struct disk_call *call = LIST_ITEM(node, struct disk_call, node);
        struct disk_file *file;
        uint64_t from, len;

        if (call->kind != DISK_WRITE || dice_permille(dice, 300))
            continue;
        file = disk->handles[call->fd - DISK_FD_FIRST].file->copy;
        from = dice_permille(dice, 500) ? 0 : dice_below(dice, call->len);
        len = dice_below(dice, call->len - from + 1);
        (void)disk_file_write(file, (const char *)call->data + from, (size_t)len,
                              call->offset + from);
    }
}

/* --- a loss of power ------------------------------------------------------------------------- */

/* Leaves the surviving names in `durable`, and none that programs see. */
static void lose_names(struct disk_directory *directory, struct dice *dice)
{
    unsigned permille = (unsigned)dice_below(dice, 5) * 250;
    struct list *node;

    while ((node = list_pop_front(&directory->changes))) {
        struct change *change = LIST_ITEM(node, struct change, node);
        struct name *name = disk_name_find(&directory->durable, change->name);
        bool same = name && name->file == change->file;

        if (dice_permille(dice, permille) && (same || change->kind == CHANGE_ADD)) {
            const char *new = change->kind == CHANGE_RENAME ? change->to : change->name;
            struct name *old = disk_name_find(&directory->durable, new);

            if (name)
                disk_name_remove(name);
            if (old && old != name)
                disk_name_remove(old);
            if (change->kind != CHANGE_REMOVE)
                disk_name_add(&directory->durable, new, change->file);
        }
        disk_file_drop(change->file);
        free(change);
    }
    while (list_is_linked(&directory->names))
        disk_name_remove(LIST_ITEM(directory->names.next, struct name, node));
}

static void cut_durable(struct disk_file *file, uint64_t size)
{
    uint64_t end = file->pages * (uint64_t)DISK_PAGE_BYTES;

    memset(file->durable + size, 0, (size_t)(end - size));
}

/* The size, and what was cut off on the way to it. */
static uint64_t choose_size(struct disk_file *file, struct dice *dice, uint64_t *cut_from)
{
    unsigned chosen = (unsigned)dice_below(dice, file->size_count + 1);
    uint64_t size = file->durable_size;

    *cut_from = UINT64_MAX;
    for (unsigned i = 0; i < chosen; i++) {
        if (file->sizes[i] < size)
            cut_durable(file, file->sizes[i]);
        size = file->sizes[i];
    }
    /* What was written where the file had been cut before can't be there without the cut. */
    for (unsigned i = chosen; i < file->cut; i++)
        if (file->sizes[i] < *cut_from)
            *cut_from = file->sizes[i];
    return size;
}

static void lose_data(struct disk_file *file, struct dice *dice)
{
    unsigned permille = (unsigned)dice_below(dice, 5) * 250;
    uint64_t cut_from = 0;
    uint64_t size = file->pages > 0 ? choose_size(file, dice, &cut_from) : 0;

    for (size_t page = 0; page < file->pages; page++) {
        for (unsigned sector = 0; sector < DISK_SECTORS; sector++) {
            size_t at = page * DISK_PAGE_BYTES + sector * DISK_SECTOR_BYTES;

            if ((file->dirty[page] & 1U << sector) && at < cut_from &&
                dice_permille(dice, permille))
                memcpy(file->durable + at, file->data + at, DISK_SECTOR_BYTES);
        }
        file->dirty[page] = 0;
    }
    if (file->pages > 0) {
        cut_durable(file, size);
        memcpy(file->data, file->durable, file->pages * DISK_PAGE_BYTES);
    }
    file->size = file->durable_size = size;
    file->size_count = 0;
    file->cut = 0;
}

static void lose_power(struct disk *disk, struct dice *dice)
{
    for (struct list *node = disk->files.next; node != &disk->files; node = node->next)
        lose_data(LIST_ITEM(node, struct disk_file, node), dice);
    for (struct list *node = disk->directories.next; node != &disk->directories;
         node = node->next) {
        struct disk_directory *directory = LIST_ITEM(node, struct disk_directory, node);
        struct list kept;

        lose_names(directory, dice);
        list_init(&kept);
        list_move_all(&directory->durable, &kept);
        list_move_all(&kept, &directory->names);
        disk_directory_sync(directory);
    }
}

/* Pages that count as clean may go from memory at any time. */
static void forget_clean(struct disk_file *file)
{
    for (size_t page = 0; page < file->pages; page++) {
        for (unsigned sector = 0; sector < DISK_SECTORS; sector++) {
            size_t at = page * DISK_PAGE_BYTES + sector * DISK_SECTOR_BYTES;

            if (!(file->dirty[page] & 1U << sector) && at < file->size)
                memcpy(file->data + at, file->durable + at, DISK_SECTOR_BYTES);
        }
    }
}

struct disk *disk_survive(struct disk *disk, enum crash crash, struct dice *dice)
{
    struct disk *copy = disk_create(disk->world, disk->root, 0);
    struct list *node, *next;

    copy->pages_max = disk->pages_max;
    copy->dice = dice_make(dice_next(dice), 0);
    for (node = disk->files.next; node != &disk->files; node = node->next)
        copy_file(copy, LIST_ITEM(node, struct disk_file, node));
    for (node = disk->directories.next; node != &disk->directories; node = node->next)
        copy_directory(copy, LIST_ITEM(node, struct disk_directory, node));
    write_parts(disk, dice);
    if (crash == CRASH_POWER)
        lose_power(copy, dice);
    else if (dice_permille(dice, 300))
        for (node = copy->files.next; node != &copy->files; node = node->next)
            forget_clean(LIST_ITEM(node, struct disk_file, node));
    for (node = copy->files.next; node != &copy->files; node = next) {
        next = node->next;
        disk_file_drop(LIST_ITEM(node, struct disk_file, node)); /* the copy's own reference */
    }
    return copy;
}

/* --- from outside ---------------------------------------------------------------------------- */

static void path_of(const struct disk_directory *directory, const struct name *name,
                    struct text *path)
{
    text_clear(path);
    text_printf(path, "%s/%s", directory->path, name->text);
    CHECK(!path->failed);
}

void disk_each(struct disk *disk,
               void (*look)(void *context, const char *path, const char *data, uint64_t size),
               void *context)
{
    struct text path = {0};

    for (struct list *at = disk->directories.next; at != &disk->directories; at = at->next) {
        struct disk_directory *directory = LIST_ITEM(at, struct disk_directory, node);

        for (struct list *node = directory->names.next; node != &directory->names;
             node = node->next) {
            const struct name *name = LIST_ITEM(node, struct name, node);

            path_of(directory, name, &path);
            look(context, path.data, name->file->data, name->file->size);
        }
    }
    text_free(&path);
}

/* The directory, and in *name what stands behind it; NULL: there is no such directory. */
static struct disk_directory *split(struct disk *disk, const char *path, const char **name)
{
    const char *slash = strrchr(path, '/');

    CHECK(slash);
    *name = slash + 1;
    for (struct list *node = disk->directories.next; node != &disk->directories;
         node = node->next) {
        struct disk_directory *directory = LIST_ITEM(node, struct disk_directory, node);

        if (strlen(directory->path) == (size_t)(slash - path) &&
            strncmp(directory->path, path, (size_t)(slash - path)) == 0)
            return directory;
    }
    return NULL;
}

static struct name *find(struct disk *disk, const char *path)
{
    const char *text;
    struct disk_directory *directory = split(disk, path, &text);

    return directory ? disk_name_find(&directory->names, text) : NULL;
}

bool disk_find(struct disk *disk, const char *path, const char **data, uint64_t *size)
{
    const struct name *name = find(disk, path);

    if (!name)
        return false;
    *data = name->file->data;
    *size = name->file->size;
    return true;
}

bool disk_sync_failed(struct disk *disk, const char *path)
{
    const struct name *name = find(disk, path);

    return name && name->file->sync_failed;
}

bool disk_is_durable(struct disk *disk, const char *path)
{
    const char *text;
    struct disk_directory *directory = split(disk, path, &text);
    struct name *name = directory ? disk_name_find(&directory->names, text) : NULL;
    struct name *durable = directory ? disk_name_find(&directory->durable, text) : NULL;
    const struct disk_file *file;

    if (!name || !durable || name->file != durable->file)
        return false;
    for (struct list *node = directory->changes.next; node != &directory->changes;
         node = node->next) {
        const struct change *change = LIST_ITEM(node, struct change, node);

        if (strcmp(change->name, text) == 0 || strcmp(change->to, text) == 0)
            return false;
    }
    file = name->file;
    return file->size == file->durable_size && file->size_count == 0 &&
           (file->size == 0 || memcmp(file->data, file->durable, (size_t)file->size) == 0);
}

void disk_make_directory(struct disk *disk, const char *path)
{
    (void)disk_directory_create(disk, path);
}

void disk_put(struct disk *disk, const char *path, const char *data, uint64_t size)
{
    const char *text;
    struct disk_directory *directory = split(disk, path, &text);
    struct disk_file *file = disk_file_create(disk);

    CHECK(directory && !disk_name_find(&directory->names, text));
    CHECK(disk_file_write(file, data, (size_t)size, 0) == size);
    disk_file_sync(file);
    disk_name_add(&directory->names, text, file);
    disk_file_drop(file);
    disk_directory_sync(directory);
}

void disk_remove(struct disk *disk, const char *path)
{
    struct name *name = find(disk, path);

    CHECK(name);
    disk_name_remove(name);
    disk_settle(disk);
}

void disk_settle(struct disk *disk)
{
    for (struct list *node = disk->files.next; node != &disk->files; node = node->next)
        disk_file_sync(LIST_ITEM(node, struct disk_file, node));
    for (struct list *node = disk->directories.next; node != &disk->directories; node = node->next)
        disk_directory_sync(LIST_ITEM(node, struct disk_directory, node));
}
