/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A directory is in the map from its first directory_get() until it is closed: because opening it
 * failed, because UNUSED_MAX others were given back after it, or to make room for another.
 *
 *     queue (no room) --> op busy --> fd: users > 0 <--> unused --> closed
 *
 * open_count counts what is open or being opened. Room comes when a directory is given back, or
 * fails to open; then the queue goes on.
 */
#include "sink/directory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"

enum {
    UNUSED_MAX = 64,
    DIRECTORY_PART = 4, /* of all descriptors, one in so many */
};

struct directories {
    struct ring *ring;
    struct names *names;
    struct map map;
    struct list unused; /* the longest unused first */
    size_t unused_count;
    struct list queue;
    size_t open_count;
    size_t open_max;
    struct list waiting_files; /* for a place; all are held then */
    size_t files;              /* places held */
    size_t files_max;
    struct disk disk;
    int64_t began_ns;
};

static void directory_last(struct ref *ref)
{
    struct directory *directory = CONTAINER_OF(ref, struct directory, ref);

    CHECK(directory->users == 0 && directory->fd < 0);
    CHECK(!list_is_linked(&directory->syncing) && !list_is_linked(&directory->to_sync));
    names_close(directory->place);
    known_names_destroy(directory->known);
    free(directory->key);
    free(directory->path);
    free(directory);
}

/* Closes and forgets it; the last op ends it. */
static void directory_drop(struct directory *directory)
{
    struct directories *directories = directory->directories;

    map_remove(&directories->map, &directory->node);
    list_remove(&directory->queue_node);
    if (list_is_linked(&directory->unused_node)) {
        list_remove(&directory->unused_node);
        directories->unused_count--;
    }
    if (directory->fd >= 0) {
        ring_close(directories->ring, directory->fd);
        directory->fd = -1;
        directories->open_count--;
    }
    ref_drop(&directory->ref);
}

struct directories *directories_create(struct ring *ring, struct names *names,
                                       size_t descriptors_max)
{
    struct directories *directories = alloc_zeroed(sizeof(*directories));

    if (!directories)
        return NULL;
    directories->ring = ring;
    directories->names = names;
    disk_init(&directories->disk);
    directories->began_ns = ring_file_clock_ns(ring);
    map_init(&directories->map, ring_random(ring));
    list_init(&directories->unused);
    list_init(&directories->queue);
    list_init(&directories->waiting_files);
    directories->open_max = descriptors_max < DIRECTORY_PART ? 1 : descriptors_max / DIRECTORY_PART;
    directories->files_max = descriptors_max < 2 ? 1 : descriptors_max - directories->open_max;
    return directories;
}

void directories_destroy(struct directories *directories)
{
    struct map_node *node;

    if (!directories)
        return;
    CHECK(directories->files == 0 && !list_is_linked(&directories->waiting_files));
    while ((node = map_any(&directories->map)))
        directory_drop(MAP_ITEM(node, struct directory, node));
    map_free(&directories->map);
    free(directories);
}

struct ring *directories_ring(const struct directories *directories)
{
    return directories->ring;
}

int64_t directories_began_ns(const struct directories *directories)
{
    return directories->began_ns;
}

struct disk *directories_disk(struct directories *directories)
{
    return &directories->disk;
}

/* --- opening --------------------------------------------------------------------------------- */

static bool make_room(struct directories *directories)
{
    while (directories->open_count >= directories->open_max && directories->unused_count > 0)
        directory_drop(LIST_ITEM(directories->unused.next, struct directory, unused_node));
    return directories->open_count < directories->open_max;
}

static void open_queued(struct directories *directories)
{
    while (list_is_linked(&directories->queue) && make_room(directories)) {
        struct directory *directory =
            LIST_ITEM(list_pop_front(&directories->queue), struct directory, queue_node);

        directories->open_count++;
        ring_open_directory(directories->ring, &directory->op, &directory->location);
    }
}

static void tell_waiters(struct directory *directory, const struct haul_error *error)
{
    struct list waiting;

    list_init(&waiting);
    list_move_all(&directory->waiting, &waiting);
    while (list_is_linked(&waiting)) {
        struct directory_wait *wait =
            LIST_ITEM(list_pop_front(&waiting), struct directory_wait, node);

        if (error->status == HAUL_OK)
            directory->users++;
        wait->done(wait, error->status == HAUL_OK ? directory : NULL, error);
    }
}

static void explain(const struct directory *directory, int res, struct haul_error *error)
{
    enum haul_status status = res == -ENOSPC || res == -EDQUOT ? HAUL_DISK_FULL : HAUL_DIRECTORY;

    if (res == -EXDEV)
        error_set(error, HAUL_DIRECTORY, 0,
                  "%s leads out of %s by a link: nothing is written there",
                  directory->location.below, directory->location.root);
    else if (res == -ELOOP && directory->location.below[0] != '\0')
        error_set(error, HAUL_DIRECTORY, 0,
                  "%s goes by a link that can't be followed safely here: nothing is written there",
                  directory->path);
    else
        error_set(error, status, -res, "can't open or create the directory %s", directory->path);
}

static void opened(struct op *op, int res)
{
    struct directory *directory = CONTAINER_OF(op, struct directory, op);
    struct directories *directories = directory->directories;
    struct haul_error error = {.status = HAUL_OK};

    if (res >= 0) {
        directory->fd = res;
    } else {
        explain(directory, res, &error);
        directories->open_count--;
        directory_drop(directory);
    }
    tell_waiters(directory, &error);
    if (res >= 0 && directory->users == 0) {
        directory->users++; /* all who waited have gone */
        directory_release(directory);
    }
    open_queued(directories);
}

static void start_sync(struct directory *directory)
{
    list_move_all(&directory->to_sync, &directory->syncing);
    ring_sync_directory(directory->directories->ring, &directory->sync_op, directory->fd);
}

static void synced(struct op *op, int res)
{
    struct directory *directory = CONTAINER_OF(op, struct directory, sync_op);
    struct list served;
    struct list *node;

    list_init(&served);
    list_move_all(&directory->syncing, &served);
    if (list_is_linked(&directory->to_sync))
        start_sync(directory);
    while ((node = list_pop_front(&served))) {
        struct directory_sync *sync = LIST_ITEM(node, struct directory_sync, node);

        sync->done(sync, res);
    }
}

static bool set_path(struct directory *directory, struct span key)
{
    struct text path = {0};

    directory->key = alloc_copy(key.data, key.len);
    if (!directory->key)
        return false;
    directory->location = (struct ring_place){
        .root = directory->key, .below = directory->key + strlen(directory->key) + 1, .make = true};
    text_add(&path, span_of(directory->location.root));
    if (directory->location.below[0] != '\0' && strcmp(directory->key, "/") != 0)
        text_add_char(&path, '/');
    text_add(&path, span_of(directory->location.below));
    directory->path = path.data;
    return !path.failed && path.data;
}

static bool enter(struct directories *directories, struct directory *directory, struct span key)
{
    if (!set_path(directory, key))
        return false;
    directory->place = names_open(directories->names, span_of(directory->path));
    if (!directory->place)
        return false;
    if (map_put(&directories->map, &directory->node, span_make(directory->key, key.len)))
        return true;
    names_close(directory->place);
    return false;
}

static struct directory *directory_create(struct directories *directories, struct span key)
{
    struct directory *directory = alloc_zeroed(sizeof(*directory));

    if (!directory)
        return NULL;
    if (!enter(directories, directory, key)) {
        free(directory->key);
        free(directory->path);
        free(directory);
        return NULL;
    }
    directory->directories = directories;
    directory->fd = -1;
    ref_init(&directory->ref, directory_last);
    list_init(&directory->waiting);
    list_init(&directory->unused_node);
    list_init(&directory->queue_node);
    list_init(&directory->syncing);
    list_init(&directory->to_sync);
    op_init(&directory->op, opened, &directory->ref);
    op_init(&directory->sync_op, synced, &directory->ref);
    return directory;
}

static struct directory *find_or_create(struct directories *directories, const char *root,
                                        const char *below, bool durable)
{
    struct directory *directory = NULL;
    struct map_node *node;
    struct text key = {0};

    text_add(&key, span_of(root));
    text_add_char(&key, '\0');
    text_add(&key, span_of(below));
    if (!key.failed) {
        node = map_find(&directories->map, text_span(&key));
        directory = node ? MAP_ITEM(node, struct directory, node)
                         : directory_create(directories, text_span(&key));
        if (directory && !node) {
            directory->location.durable = durable;
            list_push_back(&directories->queue, &directory->queue_node);
            open_queued(directories);
        }
    }
    text_free(&key);
    return directory;
}

struct directory *directory_get(struct directories *directories, const char *root,
                                const char *below, bool durable, struct directory_wait *wait,
                                struct haul_error *error)
{
    struct directory *directory = find_or_create(directories, root, below, durable);

    error->status = HAUL_OK;
    if (!directory) {
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        return NULL;
    }
    if (directory->fd < 0) {
        list_push_back(&directory->waiting, &wait->node);
        return NULL;
    }
    if (list_is_linked(&directory->unused_node)) {
        list_remove(&directory->unused_node);
        directories->unused_count--;
    }
    directory->users++;
    return directory;
}

void directory_unwait(struct directory_wait *wait)
{
    list_remove(&wait->node);
}

void directory_release(struct directory *directory)
{
    struct directories *directories = directory->directories;

    CHECK(directory->users > 0);
    if (--directory->users > 0)
        return;
    list_push_back(&directories->unused, &directory->unused_node);
    if (++directories->unused_count > UNUSED_MAX)
        directory_drop(LIST_ITEM(directories->unused.next, struct directory, unused_node));
    open_queued(directories);
}

void directory_sync(struct directory *directory, struct directory_sync *sync)
{
    CHECK(directory->users > 0);
    list_init(&sync->node);
    list_push_back(&directory->to_sync, &sync->node);
    if (!op_busy(&directory->sync_op))
        start_sync(directory);
}

bool directory_scarce(const struct directory *directory)
{
    const struct directories *directories = directory->directories;

    return (directories->open_count - directories->unused_count) * 2 > directories->open_max;
}

/* --- places for files ------------------------------------------------------------------------ */

bool file_place_take(struct directories *directories, struct file_place *place)
{
    CHECK(!place->held);
    if (directories->files >= directories->files_max) {
        list_push_back(&directories->waiting_files, &place->node);
        return false;
    }
    directories->files++;
    place->held = true;
    return true;
}

bool file_place_more(struct directories *directories, struct file_place *place, bool must)
{
    CHECK(place->held && !place->more);
    if (directories->files >= directories->files_max && !must)
        return false;
    directories->files++;
    place->more = true;
    return true;
}

static void give(struct directories *directories, bool *had)
{
    if (*had)
        directories->files--;
    *had = false;
    while (directories->files < directories->files_max &&
           list_is_linked(&directories->waiting_files)) {
        struct file_place *next =
            LIST_ITEM(list_pop_front(&directories->waiting_files), struct file_place, node);

        directories->files++;
        next->held = true;
        ring_later(directories->ring, next->op);
    }
}

void file_place_less(struct directories *directories, struct file_place *place)
{
    give(directories, &place->more);
}

void file_place_give(struct directories *directories, struct file_place *place)
{
    list_remove(&place->node);
    give(directories, &place->more);
    give(directories, &place->held);
}

bool file_places_scarce(const struct directories *directories)
{
    return directories->files * 4 > directories->files_max;
}
