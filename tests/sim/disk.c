/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Files as programs see them, and the calls on them. A file lives as long as a name, an open
 * descriptor or a change that is not synced yet refers to it.
 */
#include "tests/sim/disk.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "tests/sim/disk_internal.h"

/* --- files ----------------------------------------------------------------------------------- */

struct disk_file *disk_file_create(struct disk *disk)
{
    struct disk_file *file = alloc_zeroed(sizeof(*file));

    CHECK(file);
    file->disk = disk;
    file->references = 1;
    list_init(&file->node);
    list_push_back(&disk->files, &file->node);
    return file;
}

static void free_pages(struct disk_file *file, size_t from)
{
    for (size_t page = from; page < file->pages; page++) {
        file->disk->pages -= file->reserved[page];
        file->reserved[page] = false;
    }
}

void disk_file_drop(struct disk_file *file)
{
    CHECK(file->references > 0);
    if (--file->references > 0)
        return;
    free_pages(file, 0);
    list_remove(&file->node);
    free(file->data);
    free(file->durable);
    free(file->dirty);
    free(file->reserved);
    free(file);
}

static void *grow(void *old, size_t before, size_t after)
{
    char *grown = realloc(old, after);

    CHECK(grown);
    memset(grown + before, 0, after - before);
    return grown;
}

void disk_file_grow(struct disk_file *file, uint64_t bytes)
{
    size_t pages = (size_t)((bytes + DISK_PAGE_BYTES - 1) / DISK_PAGE_BYTES);

    if (pages <= file->pages)
        return;
    if (pages < 2 * file->pages)
        pages = 2 * file->pages;
    file->data = grow(file->data, file->pages * DISK_PAGE_BYTES, pages * DISK_PAGE_BYTES);
    file->durable = grow(file->durable, file->pages * DISK_PAGE_BYTES, pages * DISK_PAGE_BYTES);
    file->dirty = grow(file->dirty, file->pages, pages);
    file->reserved = grow(file->reserved, file->pages * sizeof(bool), pages * sizeof(bool));
    file->pages = pages;
}

/* False: the disk is full. */
static bool reserve(struct disk_file *file, size_t page)
{
    struct disk *disk = file->disk;

    if (file->reserved[page])
        return true;
    if (disk->pages >= disk->pages_max)
        return false;
    disk->pages++;
    file->reserved[page] = true;
    return true;
}

static void note_size(struct disk_file *file, uint64_t size)
{
    if (file->size_count == DISK_SIZES) { /* what is long ago has become durable by now */
        file->durable_size = file->sizes[0];
        memmove(file->sizes, file->sizes + 1, sizeof(file->sizes) - sizeof(file->sizes[0]));
        file->size_count--;
        file->cut -= file->cut > 0;
    }
    file->sizes[file->size_count++] = size;
    if (size < file->size)
        file->cut = file->size_count;
    file->size = size;
}

void disk_file_set_size(struct disk_file *file, uint64_t size)
{
    uint64_t before = file->size;

    if (size == before)
        return;
    disk_file_grow(file, size);
    note_size(file, size);
    if (size > before)
        return;
    memset(file->data + size, 0, (size_t)(before - size));
    free_pages(file, (size_t)((size + DISK_PAGE_BYTES - 1) / DISK_PAGE_BYTES));
    for (uint64_t at = size; at < before; at += DISK_SECTOR_BYTES)
        file->dirty[at / DISK_PAGE_BYTES] |=
            (uint8_t)(1U << at % DISK_PAGE_BYTES / DISK_SECTOR_BYTES);
}

size_t disk_file_write(struct disk_file *file, const char *data, size_t len, uint64_t offset)
{
    size_t done = 0;

    disk_file_grow(file, offset + len);
    while (done < len) {
        uint64_t at = offset + done;
        size_t page = (size_t)(at / DISK_PAGE_BYTES);
        size_t in_page = (size_t)(at % DISK_PAGE_BYTES);
        size_t left = DISK_SECTOR_BYTES - in_page % DISK_SECTOR_BYTES;
        size_t part = left < len - done ? left : len - done;

        if (!reserve(file, page))
            break;
        memcpy(file->data + at, data + done, part);
        file->dirty[page] |= (uint8_t)(1U << in_page / DISK_SECTOR_BYTES);
        done += part;
    }
    if (done > 0 && offset + done > file->size)
        note_size(file, offset + done);
    return done;
}

static void write_back(struct disk_file *file, size_t page, unsigned sectors)
{
    if (sectors == UINT8_MAX) {
        memcpy(file->durable + page * DISK_PAGE_BYTES, file->data + page * DISK_PAGE_BYTES,
               DISK_PAGE_BYTES);
    } else {
        for (unsigned sector = 0; sector < DISK_SECTORS; sector++) {
            size_t at = page * DISK_PAGE_BYTES + sector * DISK_SECTOR_BYTES;

            if (sectors & 1U << sector)
                memcpy(file->durable + at, file->data + at, DISK_SECTOR_BYTES);
        }
    }
    file->dirty[page] &= (uint8_t)~sectors;
}

void disk_file_sync(struct disk_file *file)
{
    for (size_t page = 0; page < file->pages; page++)
        if (file->dirty[page])
            write_back(file, page, file->dirty[page]);
    file->durable_size = file->size;
    file->size_count = 0;
    file->cut = 0;
}

/* What an error of a sync leaves: pages that count as clean, whether they were written or not. */
static void sync_badly(struct disk_file *file, struct dice *dice)
{
    for (size_t page = 0; page < file->pages; page++) {
        if (file->dirty[page])
            write_back(file, page, (unsigned)dice_next(dice) & file->dirty[page]);
        file->dirty[page] = 0;
    }
}

/* The system writes back when it likes, whatever of it it likes, as long as nothing was cut off:
 * that comes in order. */
static void write_back_some(struct disk_file *file, struct dice *dice)
{
    if (file->cut > 0)
        return;
    for (size_t page = 0; page < file->pages; page++)
        if (file->dirty[page])
            write_back(file, page, (unsigned)dice_next(dice) & file->dirty[page]);
}

/* --- names ----------------------------------------------------------------------------------- */

struct name *disk_name_find(struct list *names, const char *text)
{
    for (struct list *node = names->next; node != names; node = node->next) {
        struct name *name = LIST_ITEM(node, struct name, node);

        if (strcmp(name->text, text) == 0)
            return name;
    }
    return NULL;
}

void disk_name_add(struct list *names, const char *text, struct disk_file *file)
{
    struct name *name = alloc_zeroed(sizeof(*name));

    CHECK(name && strlen(text) <= DISK_NAME_BYTES_MAX);
    strcpy(name->text, text);
    name->file = file;
    file->references++;
    list_init(&name->node);
    list_push_back(names, &name->node);
}

void disk_name_remove(struct name *name)
{
    list_remove(&name->node);
    disk_file_drop(name->file);
    free(name);
}

static void note_change(struct disk_directory *directory, enum change_kind kind,
                        struct disk_file *file, const char *text, const char *to)
{
    struct change *change = alloc_zeroed(sizeof(*change));

    CHECK(change);
    change->kind = kind;
    change->file = file;
    file->references++;
    strcpy(change->name, text);
    strcpy(change->to, to);
    list_init(&change->node);
    list_push_back(&directory->changes, &change->node);
}

struct disk_directory *disk_directory_create(struct disk *disk, const char *path)
{
    struct disk_directory *directory = alloc_zeroed(sizeof(*directory));

    CHECK(directory);
    directory->path = alloc_copy(path, strlen(path));
    CHECK(directory->path);
    list_init(&directory->names);
    list_init(&directory->durable);
    list_init(&directory->changes);
    list_init(&directory->node);
    list_push_back(&disk->directories, &directory->node);
    return directory;
}

static void clear_names(struct list *names)
{
    while (list_is_linked(names))
        disk_name_remove(LIST_ITEM(names->next, struct name, node));
}

static void clear_changes(struct disk_directory *directory)
{
    struct list *node;

    while ((node = list_pop_front(&directory->changes))) {
        struct change *change = LIST_ITEM(node, struct change, node);

        disk_file_drop(change->file);
        free(change);
    }
}

void disk_directory_sync(struct disk_directory *directory)
{
    clear_changes(directory);
    clear_names(&directory->durable);
    for (struct list *node = directory->names.next; node != &directory->names; node = node->next) {
        struct name *name = LIST_ITEM(node, struct name, node);

        disk_name_add(&directory->durable, name->text, name->file);
    }
}

static struct disk_directory *find_directory(struct disk *disk, const char *path)
{
    for (struct list *node = disk->directories.next; node != &disk->directories;
         node = node->next) {
        struct disk_directory *directory = LIST_ITEM(node, struct disk_directory, node);

        if (strcmp(directory->path, path) == 0)
            return directory;
    }
    return NULL;
}

/* --- descriptors ----------------------------------------------------------------------------- */

static struct handle *handle_of(struct disk *disk, int fd)
{
    struct handle *handle = &disk->handles[fd - DISK_FD_FIRST];

    if (fd < DISK_FD_FIRST || fd >= DISK_FD_FIRST + DISK_HANDLES_MAX ||
        (!handle->file && !handle->directory))
        world_fail(disk->world, "a call on descriptor %d, which is no open file", fd);
    return handle;
}

static struct disk_file *file_of(struct disk *disk, int fd)
{
    struct handle *handle = handle_of(disk, fd);

    if (!handle->file)
        world_fail(disk->world, "a call for files on descriptor %d, a directory", fd);
    return handle->file;
}

static struct disk_directory *directory_of(struct disk *disk, int fd)
{
    struct handle *handle = handle_of(disk, fd);

    if (!handle->directory)
        world_fail(disk->world, "a call for directories on descriptor %d, a file", fd);
    return handle->directory;
}

static int open_handle(struct disk *disk, struct disk_directory *directory, struct disk_file *file,
                       const char *path, const char *name)
{
    struct text whole = {0};
    int number = 0;

    if (dice_permille(&disk->dice, disk->world->faults.descriptors))
        return dice_permille(&disk->dice, 500) ? -EMFILE : -ENFILE;
    while (number < DISK_HANDLES_MAX &&
           (disk->handles[number].file || disk->handles[number].directory))
        number++;
    if (number == DISK_HANDLES_MAX)
        world_fail(disk->world, "%d files and directories are open", number);
    text_printf(&whole, "%s%s%s", path, name ? "/" : "", name ? name : "");
    CHECK(!whole.failed);
    disk->handles[number] =
        (struct handle){.directory = directory, .file = file, .path = whole.data};
    if (file)
        file->references++;
    disk->handle_count++;
    return DISK_FD_FIRST + number;
}

void disk_unlock(struct disk *disk, int fd)
{
    struct handle *handle = handle_of(disk, fd);

    if (handle->locks)
        handle->file->locked = false;
    handle->locks = false;
}

/* Some file systems write back what is left only now, and tell if they can't. */
static int close_badly(struct disk *disk, int fd)
{
    struct disk_file *file = handle_of(disk, fd)->file;
    size_t page = 0;

    while (file && page < file->pages && !file->dirty[page])
        page++;
    if (!file || page == file->pages || !dice_permille(&disk->dice, disk->world->faults.close))
        return 0;
    sync_badly(file, &disk->dice);
    disk_sync_told(disk, fd);
    return -EIO;
}

int disk_flush(struct disk *disk, int fd)
{
    int res = close_badly(disk, fd);

    handle_of(disk, fd)->flushed = true;
    return res;
}

int disk_close(struct disk *disk, int fd)
{
    struct handle *handle = handle_of(disk, fd);
    int res = handle->flushed ? 0 : close_badly(disk, fd);

    disk_unlock(disk, fd);
    if (handle->file)
        disk_file_drop(handle->file);
    free(handle->path);
    *handle = (struct handle){0};
    disk->handle_count--;
    return res;
}

bool disk_has(const struct disk *disk, int fd)
{
    int number = fd - DISK_FD_FIRST;

    return number >= 0 && number < DISK_HANDLES_MAX &&
           (disk->handles[number].file || disk->handles[number].directory);
}

size_t disk_open_count(const struct disk *disk)
{
    return disk->handle_count;
}

/* --- what has failed ------------------------------------------------------------------------- */

void disk_begin_life(struct disk *disk)
{
    disk->trouble_count = 0;
    for (struct list *node = disk->files.next; node != &disk->files; node = node->next)
        LIST_ITEM(node, struct disk_file, node)->sync_failed = false;
}

void disk_sync_told(struct disk *disk, int fd)
{
    const struct handle *handle = handle_of(disk, fd);
    const char *data;
    uint64_t size;

    /* What has another name by now was not waited for. */
    if (handle->file && disk_find(disk, handle->path, &data, &size) && data == handle->file->data)
        handle->file->sync_failed = true;
}

unsigned disk_troubles(const struct disk *disk, const char *path)
{
    for (size_t i = 0; i < disk->trouble_count; i++)
        if (strcmp(disk->troubles[i].path, path) == 0)
            return disk->troubles[i].kinds;
    return disk->trouble_count == DISK_TROUBLES_MAX ? UINT_MAX : 0;
}

static void note_path(struct disk *disk, const char *path, enum disk_call_kind kind)
{
    size_t i = 0;

    while (i < disk->trouble_count && strcmp(disk->troubles[i].path, path) != 0)
        i++;
    if (i == DISK_TROUBLES_MAX)
        return;
    if (i == disk->trouble_count) {
        CHECK(strlen(path) < DISK_PATH_BYTES_MAX);
        strcpy(disk->troubles[disk->trouble_count++].path, path);
    }
    disk->troubles[i].kinds |= 1U << kind;
}

/* Of a directory that is to be opened. */
static void join_path(const struct disk_call *call, char path[DISK_PATH_BYTES_MAX])
{
    int len = snprintf(path, DISK_PATH_BYTES_MAX, "%s%s%s", call->name, *call->below ? "/" : "",
                       call->below);

    CHECK(len < DISK_PATH_BYTES_MAX);
}

static void note_trouble(struct disk *disk, const struct disk_call *call)
{
    const struct handle *handle;
    char path[DISK_PATH_BYTES_MAX + DISK_NAME_BYTES_MAX];

    if (call->kind == DISK_OPEN_DIRECTORY) {
        join_path(call, path);
        note_path(disk, path, call->kind);
        return;
    }
    handle = handle_of(disk, call->fd);
    if (handle->file || !call->name) {
        note_path(disk, handle->path, call->kind);
        return;
    }
    snprintf(path, sizeof(path), "%s/%s", handle->path, call->name);
    note_path(disk, path, call->kind);
}

/* --- calls ----------------------------------------------------------------------------------- */

static int do_open_directory(struct disk *disk, const struct disk_call *call)
{
    size_t root_len = strlen(disk->root);
    char path[DISK_PATH_BYTES_MAX];
    struct disk_directory *directory;

    join_path(call, path);
    directory = find_directory(disk, path);
    if (strncmp(path, disk->root, root_len) != 0 || strstr(path, "..") ||
        (path[root_len] != '\0' && path[root_len] != '/'))
        world_fail(disk->world, "it opens the directory %s, outside of its own", path);
    if (!directory && !call->flag)
        return -ENOENT;
    if (!directory)
        directory = disk_directory_create(disk, path);
    return open_handle(disk, directory, NULL, directory->path, NULL);
}

static int do_claim(struct disk *disk, const struct disk_call *call)
{
    struct disk_directory *directory = directory_of(disk, call->fd);
    struct name *name = disk_name_find(&directory->names, call->name);
    struct disk_file *file = name ? name->file : NULL;
    int fd;

    if (file && (call->flag || file->locked))
        return -EBUSY;
    fd = open_handle(disk, NULL, file, directory->path, call->name);
    if (fd < 0)
        return fd;
    if (!file) {
        file = disk_file_create(disk); /* the reference is the handle's */
        disk->handles[fd - DISK_FD_FIRST].file = file;
        disk_name_add(&directory->names, call->name, file);
        note_change(directory, CHANGE_ADD, file, call->name, "");
    }
    file->locked = true;
    file->sync_failed = false; /* it is gone on with from what was durable before */
    disk->handles[fd - DISK_FD_FIRST].locks = true;
    return fd;
}

static int do_write(struct disk *disk, const struct disk_call *call)
{
    struct disk_file *file = file_of(disk, call->fd);
    size_t done;

    if (call->flag != handle_of(disk, call->fd)->direct)
        world_fail(disk->world, "a write goes the wrong way to descriptor %d", call->fd);
    if (call->flag && (call->len % RING_DIRECT_BYTES || call->offset % RING_DIRECT_BYTES ||
                       (uintptr_t)call->data % RING_DIRECT_BYTES))
        return -EINVAL;
    done = disk_file_write(file, call->data, call->len, call->offset);
    if (dice_permille(&disk->dice, 30))
        write_back_some(file, &disk->dice);
    return done == call->len ? (int)done : -ENOSPC;
}

static int do_read(struct disk *disk, const struct disk_call *call)
{
    struct disk_file *file = file_of(disk, call->fd);
    size_t len = 0;

    if (call->offset < file->size)
        len =
            file->size - call->offset < call->len ? (size_t)(file->size - call->offset) : call->len;
    if (len > 0)
        memcpy(call->data, file->data + call->offset, len);
    return (int)len;
}

static int do_open_direct(struct disk *disk, const struct disk_call *call)
{
    struct disk_file *file = file_of(disk, call->fd);
    int fd = open_handle(disk, NULL, file, handle_of(disk, call->fd)->path, NULL);

    if (fd < 0)
        return -EOPNOTSUPP;
    handle_of(disk, fd)->direct = true;
    return fd;
}

static int do_allocate(struct disk *disk, const struct disk_call *call)
{
    struct disk_file *file = file_of(disk, call->fd);
    size_t pages = (size_t)((call->offset + DISK_PAGE_BYTES - 1) / DISK_PAGE_BYTES);
    size_t needed = 0;

    disk_file_grow(file, call->offset);
    for (size_t page = 0; page < pages; page++)
        needed += !file->reserved[page];
    if (disk->pages + needed > disk->pages_max)
        return -ENOSPC;
    for (size_t page = 0; page < pages; page++)
        CHECK(reserve(file, page));
    if (call->offset > file->size)
        disk_file_set_size(file, call->offset);
    return 0;
}

static int do_rename(struct disk *disk, const struct disk_call *call)
{
    struct disk_directory *directory = directory_of(disk, call->fd);
    struct name *from = disk_name_find(&directory->names, call->name);
    struct name *to = disk_name_find(&directory->names, call->to);
    struct disk_file *file;

    if (!from)
        return -ENOENT;
    if (to && !call->flag)
        return -EEXIST;
    file = from->file;
    if (to) /* the other one is there until this one is, also for what survives */
        disk_name_remove(to);
    file->changed_ns = ring_file_clock_ns(disk->world->ring);
    disk_name_add(&directory->names, call->to, file);
    disk_name_remove(from);
    note_change(directory, CHANGE_RENAME, file, call->name, call->to);
    return 0;
}

static int do_exists(struct disk *disk, const struct disk_call *call)
{
    const struct name *name = disk_name_find(&directory_of(disk, call->fd)->names, call->name);

    if (name && call->standing)
        *call->standing = (struct ring_standing){
            .regular = true, .bytes = name->file->size, .changed_ns = name->file->changed_ns};
    return name != NULL;
}

static int do_unlink(struct disk *disk, const struct disk_call *call)
{
    struct disk_directory *directory = directory_of(disk, call->fd);
    struct name *name = disk_name_find(&directory->names, call->name);

    if (!name)
        return -ENOENT;
    note_change(directory, CHANGE_REMOVE, name->file, call->name, "");
    disk_name_remove(name);
    return 0;
}

static int do_facts(struct disk *disk, const struct disk_call *call)
{
    *call->facts = (struct ring_facts){.bytes = file_of(disk, call->fd)->size, .own = true};
    return 0;
}

static int do_sync(struct disk *disk, const struct disk_call *call)
{
    struct disk_file *file = file_of(disk, call->fd);

    if (dice_permille(&disk->dice, disk->world->faults.sync)) {
        sync_badly(file, &disk->dice);
        return -EIO;
    }
#ifndef SIM_PLANT_NO_SYNC /* left out in a test that shows that this would be found out */
    disk_file_sync(file);
#endif
    return 0;
}

static int do_sync_directory(struct disk *disk, const struct disk_call *call)
{
    disk_directory_sync(directory_of(disk, call->fd));
    return 0;
}

static int carry_out(struct disk *disk, struct disk_call *call)
{
    switch (call->kind) {
    case DISK_OPEN_DIRECTORY:
        return do_open_directory(disk, call);
    case DISK_CLAIM:
        return do_claim(disk, call);
    case DISK_WRITE:
        return do_write(disk, call);
    case DISK_READ:
        return do_read(disk, call);
    case DISK_OPEN_DIRECT:
        return do_open_direct(disk, call);
    case DISK_ALLOCATE:
        return do_allocate(disk, call);
    case DISK_TRUNCATE:
        disk_file_set_size(file_of(disk, call->fd), call->offset);
        return 0;
    case DISK_SYNC:
        return do_sync(disk, call);
    case DISK_SYNC_DIRECTORY:
        return do_sync_directory(disk, call);
    case DISK_RENAME:
        return do_rename(disk, call);
    case DISK_UNLINK:
        return do_unlink(disk, call);
    case DISK_EXISTS:
        return do_exists(disk, call);
    case DISK_FACTS:
        return do_facts(disk, call);
    }
    UNREACHABLE();
}

/* --- trouble --------------------------------------------------------------------------------- */

/* What a call of this kind may fail with; 0: it can't. */
static int trouble_of(const struct disk_call *call, struct dice *dice)
{
    switch (call->kind) {
    case DISK_OPEN_DIRECTORY:
    case DISK_CLAIM:
        return dice_permille(dice, 500) ? -EIO : -ENOSPC;
    case DISK_WRITE:
    case DISK_RENAME:
        return dice_permille(dice, 500) ? -EIO : -ENOSPC;
    case DISK_READ:
    case DISK_TRUNCATE:
    case DISK_SYNC_DIRECTORY:
    case DISK_UNLINK:
    case DISK_EXISTS:
    case DISK_FACTS:
        return -EIO;
    case DISK_OPEN_DIRECT:
        return -EOPNOTSUPP;
    case DISK_ALLOCATE:
        return dice_permille(dice, 500) ? -EOPNOTSUPP : -ENOSPC;
    case DISK_SYNC:
        return -EIO;
    }
    UNREACHABLE();
}

static bool is_to_fail(struct world *world, struct dice *dice)
{
    if (world->faults.disk_call > 0 && --world->faults.disk_call == 0)
        return true;
    return dice_permille(dice, world->faults.disk);
}

/* A part of what was to be written may have been. */
static int fail_call(struct disk *disk, struct disk_call *call, int res)
{
    struct disk_call part = *call;

    if (call->kind == DISK_WRITE) {
        part.len = (size_t)dice_below(&disk->dice, call->len);
        if (call->flag)
            part.len -= part.len % RING_DIRECT_BYTES;
        (void)do_write(disk, &part);
    }
    return res;
}

void disk_crash(struct world *world)
{
    if (world->crash == CRASH_NONE || world->survivor)
        return;
    world_trace(world, "CRASH", world->crash, 0, 0);
    world->crashed_ns = world->now_ns;
    world->survivor = disk_survive(world->disk, world->crash, &world->disk->dice);
}

static void count_down(struct world *world)
{
    if (world->crash_countdown > 0 && --world->crash_countdown == 0)
        disk_crash(world);
}

static void check_name(struct disk *disk, const char *name)
{
    if (name && (strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0))
        world_fail(disk->world, "%s is no name in a directory", name);
}

int disk_do(struct disk *disk, struct disk_call *call)
{
    int res = 0;

    if (!list_is_linked(&call->node))
        list_push_back(&disk->world->disk_calls, &call->node);
    if (call->kind != DISK_OPEN_DIRECTORY)
        check_name(disk, call->name);
    check_name(disk, call->to);
    disk->world->counts.disk_calls++;
    count_down(disk->world);
    if (is_to_fail(disk->world, &disk->dice))
        res = trouble_of(call, &disk->dice);
    if (res < 0 && call->kind == DISK_SYNC)
        sync_badly(file_of(disk, call->fd), &disk->dice);
    res = res < 0 ? fail_call(disk, call, res) : carry_out(disk, call);
    if (res < 0 && res != -ENOENT && res != -EEXIST && res != -EBUSY)
        note_trouble(disk, call);
    list_remove(&call->node); /* it is done: a crash finds nothing of it under way */
    world_trace(disk->world, "disk", call->kind, (uint64_t)res, call->offset << 20 | call->len);
    count_down(disk->world);
    return res;
}

/* --- begin and end --------------------------------------------------------------------------- */

struct disk *disk_create(struct world *world, const char *root, uint64_t capacity_bytes)
{
    struct disk *disk = alloc_zeroed(sizeof(*disk));

    CHECK(disk);
    disk->world = world;
    disk->dice = dice_make(world->seed, 3 + world->happened);
    disk->root = alloc_copy(root, strlen(root));
    CHECK(disk->root);
    list_init(&disk->files);
    list_init(&disk->directories);
    disk->pages_max = (size_t)(capacity_bytes / DISK_PAGE_BYTES);
    return disk;
}

void disk_destroy(struct disk *disk)
{
    struct list *node;

    for (int number = 0; number < DISK_HANDLES_MAX; number++)
        if (disk_has(disk, DISK_FD_FIRST + number))
            world_fail(disk->world, "descriptor %d is still open", DISK_FD_FIRST + number);
    while ((node = list_pop_front(&disk->directories))) {
        struct disk_directory *directory = LIST_ITEM(node, struct disk_directory, node);

        clear_names(&directory->names);
        clear_names(&directory->durable);
        clear_changes(directory);
        free(directory->path);
        free(directory);
    }
    CHECK(!list_is_linked(&disk->files) && disk->pages == 0);
    free(disk->root);
    free(disk);
}

void disk_set_capacity(struct disk *disk, uint64_t bytes)
{
    disk->pages_max = (size_t)(bytes / DISK_PAGE_BYTES);
}
