/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file: written under a temporary name in its directory, which a lock guards, and renamed
 * without replacing anything once it is complete.
 *
 *     prepare: directory -> a name that no download of this process writes -> is there a partial
 *              file? -> lock it, read size and version -> ready
 *     open:    lock and empty the temporary file, unless prepare has it and it is continued
 *     publish: rename, to the next free name if the first is taken by now
 *     abandon: remove the temporary file, or cut it to what is sound, sync it, and note the version
 *
 * What is kept for another run is described in an extended attribute of the temporary file, set
 * only after its data was synced: a crash leaves either no description, and the file is begun
 * anew, or a true one.
 *
 * A partial file of another program (`proceed`) stays under its own name until the server has
 * agreed to continue it; then it is renamed to the temporary name, and back if it comes to nothing.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "sink/directory.h"
#include "sink/file_name.h"
#include "sink/sink.h"

#define ATTRIBUTE "user.haul.partial"

enum { ATTRIBUTE_BYTES_MAX = 3072 };

struct sink_file {
    struct sink sink;
    struct directories *directories;
    struct directory_wait wait;
    struct directory *directory;
    struct span wanted; /* the name asked for, in out or suggested */
    char *name_copy;    /* what wanted points into */
    char *directory_path;
    char *url;
    bool auto_renaming;
    bool proceed;
    unsigned number;       /* of the candidate: sink.name is the candidate */
    struct text partial;   /* its temporary name */
    struct map_node claim; /* in directory->names while claimed */
    bool claimed;
    bool adopted; /* fd is a file of another program, under its final name... */
    bool moved;   /* ...or already under the temporary one */
    int fd;       /* -1: not open */
    bool emptied;
    struct ring_size size;
    uint64_t keep_bytes;
    struct text attribute;
    char attribute_read[ATTRIBUTE_BYTES_MAX];
};

static const struct haul_error fine = {.status = HAUL_OK};

static struct sink_file *file_of(struct sink *sink)
{
    return CONTAINER_OF(sink, struct sink_file, sink);
}

static struct sink_file *file_of_op(struct op *op)
{
    return file_of(CONTAINER_OF(op, struct sink, op));
}

static struct op *step(struct sink_file *file, void (*done)(struct op *op, int res))
{
    file->sink.op.done = done;
    return &file->sink.op;
}

static const char *name_of(const struct sink_file *file)
{
    return file->sink.name.data;
}

__attribute__((format(printf, 4, 5))) static void
fail(struct sink_file *file, enum haul_status status, int res, const char *format, ...)
{
    struct haul_error error;
    char what[192];
    va_list args;

    va_start(args, format);
    vsnprintf(what, sizeof(what), format, args);
    va_end(args);
    if (res == -ENOSPC || res == -EDQUOT)
        status = HAUL_DISK_FULL;
    error_set(&error, status, -res, "%s", what);
    sink_step_end(&file->sink, &error);
}

/* --- names ----------------------------------------------------------------------------------- */

static void unclaim(struct sink_file *file)
{
    if (file->claimed)
        map_remove(&file->directory->names, &file->claim);
    file->claimed = false;
}

static bool set_candidate(struct sink_file *file, unsigned number)
{
    CHECK(!file->claimed);
    file->number = number;
    file_name_numbered(&file->sink.name, file->wanted, number);
    file_name_partial(&file->partial, text_span(&file->sink.name));
    return !file->sink.name.failed && !file->partial.failed;
}

/* A candidate that nobody else in this process writes to. False: *error. */
static bool claim_name(struct sink_file *file, struct haul_error *error)
{
    for (unsigned number = 0; number <= FILE_NAME_NUMBER_MAX; number++) {
        if (!set_candidate(file, number))
            break;
        if (!map_find(&file->directory->names, text_span(&file->partial))) {
            file->claimed =
                map_put(&file->directory->names, &file->claim, text_span(&file->partial));
            if (file->claimed)
                return true;
            break;
        }
        if (!file->auto_renaming) {
            error_set(error, HAUL_IN_USE, 0, "another download in this run writes to %s",
                      name_of(file));
            return false;
        }
    }
    error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory for names");
    return false;
}

/* --- prepare --------------------------------------------------------------------------------- */

static struct span next_line(struct span *rest)
{
    return span_cut(rest, '\n');
}

/* "1\nBYTES\nTOTAL\nURL\nVALIDATOR": whether it describes this URL's file. */
static bool read_attribute(struct sink_file *file, struct span text)
{
    struct span version = next_line(&text);
    struct span bytes_text = next_line(&text);
    struct span total_text = next_line(&text);
    struct span url = next_line(&text);
    uint64_t bytes, total;

    if (!span_equal(version, SPAN("1")) || !span_to_u64(bytes_text, &bytes) ||
        !span_to_u64(total_text, &total) || !span_equal(url, span_of(file->url)) || text.len == 0 ||
        bytes == 0 || bytes > file->size.bytes)
        return false;
    text_add(&file->sink.validator, text);
    file->sink.have_bytes = bytes;
    file->sink.have_total = total;
    return !file->sink.validator.failed;
}

static void attribute_got(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res > 0)
        (void)read_attribute(file, span_make(file->attribute_read, (size_t)res));
    sink_step_end(&file->sink, &fine);
}

static void size_got(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res < 0)
        fail(file, HAUL_FILE_IO, res, "can't look at %s", name_of(file));
    else
        ring_get_attribute(file->sink.ring, step(file, attribute_got), file->fd, ATTRIBUTE,
                           file->attribute_read, sizeof(file->attribute_read));
}

static void fail_claim(struct sink_file *file, int res)
{
    if (res == -EBUSY)
        fail(file, HAUL_IN_USE, 0, "another process is downloading to %s", name_of(file));
    else
        fail(file, HAUL_CREATE, res, "can't create %s in %s", file->partial.data,
             file->directory_path);
}

static void partial_claimed(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res < 0) {
        fail_claim(file, res);
        return;
    }
    file->fd = res;
    ring_file_size(file->sink.ring, step(file, size_got), file->fd, &file->size);
}

static void adopted_size_got(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res < 0) {
        fail(file, HAUL_FILE_IO, res, "can't look at %s", name_of(file));
        return;
    }
    file->adopted = true;
    file->sink.have_bytes = file->size.bytes;
    sink_step_end(&file->sink, &fine);
}

static void adoptable_claimed(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res < 0) {
        fail_claim(file, res);
        return;
    }
    file->fd = res;
    ring_file_size(file->sink.ring, step(file, adopted_size_got), file->fd, &file->size);
}

static void final_looked_for(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res == 1 && file->proceed)
        ring_claim(file->sink.ring, step(file, adoptable_claimed), file->directory->fd,
                   name_of(file), RING_CLAIM_KEEP);
    else if (res == 1)
        fail(file, HAUL_EXISTS, 0, "%s is there already in %s", name_of(file),
             file->directory_path);
    else
        sink_step_end(&file->sink, &fine);
}

static void partial_looked_for(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res == 1)
        ring_claim(file->sink.ring, step(file, partial_claimed), file->directory->fd,
                   file->partial.data, RING_CLAIM_KEEP);
    else if (file->proceed || !file->auto_renaming)
        ring_exists(file->sink.ring, step(file, final_looked_for), file->directory->fd,
                    name_of(file));
    else
        sink_step_end(&file->sink, &fine);
}

/* From here on in the loop: may end the step at once. */
static void look_for_partial(struct sink_file *file)
{
    struct haul_error error;

    if (claim_name(file, &error))
        ring_exists(file->sink.ring, step(file, partial_looked_for), file->directory->fd,
                    file->partial.data);
    else {
        file->sink.answer = error;
        sink_step_fail_later(&file->sink);
    }
}

static void directory_opened(struct directory_wait *wait, struct directory *directory,
                             const struct haul_error *error)
{
    struct sink_file *file = CONTAINER_OF(wait, struct sink_file, wait);

    file->directory = directory;
    if (directory)
        look_for_partial(file);
    else
        sink_step_end(&file->sink, error);
}

static void file_prepare(struct sink *sink)
{
    struct sink_file *file = file_of(sink);

    if (file->directory) { /* a further try: all is known */
        sink_step_later(sink);
        return;
    }
    file->directory =
        directory_get(file->directories, span_of(file->directory_path), &file->wait, &sink->answer);
    if (file->directory)
        look_for_partial(file);
    else if (sink->answer.status != HAUL_OK)
        sink_step_fail_later(sink);
}

/* --- open ------------------------------------------------------------------------------------ */

static void file_opened(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res < 0) {
        fail_claim(file, res);
        return;
    }
    file->fd = res;
    file->emptied = true;
    sink_step_end(&file->sink, &fine);
}

static void file_truncated(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res < 0) {
        fail(file, HAUL_FILE_IO, res, "can't cut %s", file->partial.data);
        return;
    }
    sink_step_end(&file->sink, &fine);
}

static void adopted_moved(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res < 0) {
        fail(file, HAUL_RENAME, res, "can't rename %s to %s", name_of(file), file->partial.data);
        return;
    }
    file->moved = true;
    sink_step_end(&file->sink, &fine);
}

/* The server sends the file anew: what the other program left stays as it is. */
static void leave_adopted(struct sink_file *file)
{
    ring_close(file->sink.ring, file->fd);
    file->fd = -1;
    file->adopted = false;
}

static void file_open(struct sink *sink, bool resume)
{
    struct sink_file *file = file_of(sink);

    if (file->adopted && !file->moved && !resume)
        leave_adopted(file);
    if (file->fd < 0)
        ring_claim(sink->ring, step(file, file_opened), file->directory->fd, file->partial.data,
                   RING_CLAIM_NEW);
    else if (file->adopted && !file->moved)
        ring_rename(sink->ring, step(file, adopted_moved), file->directory->fd, name_of(file),
                    file->partial.data);
    else
        ring_truncate(sink->ring, step(file, file_truncated), file->fd,
                      resume ? sink->have_bytes : 0);
}

/* --- write ----------------------------------------------------------------------------------- */

static void write_done(struct op *op, int res)
{
    struct sink_write *write = CONTAINER_OF(op, struct sink_write, op);
    struct haul_error error = fine;

    if (res < 0)
        error_set(&error, res == -ENOSPC || res == -EDQUOT ? HAUL_DISK_FULL : HAUL_FILE_IO, -res,
                  "can't write to %s", file_of(write->sink)->partial.data);
    sink_write_end(write, &error);
}

static void file_write(struct sink *sink, struct sink_write *write)
{
    op_init(&write->op, write_done, &sink->ref);
    ring_write(sink->ring, &write->op, file_of(sink)->fd, write->data, write->len, write->offset);
}

/* --- publish --------------------------------------------------------------------------------- */

static void close_file(struct sink_file *file)
{
    if (file->fd >= 0)
        ring_close(file->sink.ring, file->fd);
    file->fd = -1;
    unclaim(file);
}

static void set_path(struct sink_file *file)
{
    text_add(&file->sink.path, span_of(file->directory_path));
    if (file->sink.path.data[file->sink.path.len - 1] != '/')
        text_add_char(&file->sink.path, '/');
    text_add(&file->sink.path, text_span(&file->sink.name));
}

static void rename_file(struct sink_file *file);

static void file_renamed(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res == -EEXIST && file->auto_renaming && file->number < FILE_NAME_NUMBER_MAX) {
        file->number++; /* the temporary name stays, and with it the lock and the claim */
        rename_file(file);
    } else if (res == -EEXIST) {
        fail(file, HAUL_EXISTS, 0, "%s has come to be there meanwhile", name_of(file));
    } else if (res < 0) {
        fail(file, HAUL_RENAME, res, "can't rename %s to %s", file->partial.data, name_of(file));
    } else {
        close_file(file);
        set_path(file);
        sink_step_end(&file->sink, &fine);
    }
}

static void rename_file(struct sink_file *file)
{
    file_name_numbered(&file->sink.name, file->wanted, file->number);
    ring_rename(file->sink.ring, step(file, file_renamed), file->directory->fd, file->partial.data,
                name_of(file));
}

static void file_publish(struct sink *sink)
{
    struct sink_file *file = file_of(sink);

    if (file->adopted && !file->moved) { /* it was complete already */
        close_file(file);
        set_path(file);
        sink_step_later(sink);
        return;
    }
    rename_file(file);
}

/* --- abandon --------------------------------------------------------------------------------- */

static void abandoned(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    (void)res; /* what can't be removed is begun anew by the next run */
    close_file(file);
    sink_step_end(&file->sink, &fine);
}

static void attribute_set(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res < 0) { /* no such attributes on this file system */
        ring_unlink(file->sink.ring, step(file, abandoned), file->directory->fd,
                    file->partial.data);
        return;
    }
    file->sink.kept = true;
    abandoned(op, 0);
}

static void kept_synced(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res < 0)
        attribute_set(op, res);
    else
        ring_set_attribute(file->sink.ring, step(file, attribute_set), file->fd, ATTRIBUTE,
                           file->attribute.data, file->attribute.len);
}

static void kept_cut(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res < 0)
        attribute_set(op, res);
    else
        ring_sync(file->sink.ring, step(file, kept_synced), file->fd);
}

static bool write_attribute(struct sink_file *file, uint64_t bytes, const struct sink_version *keep)
{
    if (!keep || keep->validator.len == 0 || bytes == 0)
        return false;
    text_clear(&file->attribute);
    text_printf(&file->attribute, "1\n%llu\n%llu\n%s\n", (unsigned long long)bytes,
                (unsigned long long)keep->total, keep->url);
    text_add(&file->attribute, keep->validator);
    return !file->attribute.failed && file->attribute.len <= ATTRIBUTE_BYTES_MAX;
}

static void put_back(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    (void)res;
    ring_rename(file->sink.ring, step(file, abandoned), file->directory->fd, file->partial.data,
                name_of(file));
}

static void file_abandon(struct sink *sink, uint64_t bytes, const struct sink_version *keep)
{
    struct sink_file *file = file_of(sink);

    if (file->fd < 0 || (file->adopted && !file->moved)) {
        close_file(file);
        sink_step_later(sink);
    } else if (file->adopted) {
        sink->kept = true;
        ring_truncate(sink->ring, step(file, put_back), file->fd, bytes);
    } else if (write_attribute(file, bytes, keep)) {
        ring_truncate(sink->ring, step(file, kept_cut), file->fd, bytes);
    } else if (!file->emptied && bytes == 0 && sink->have_bytes > 0) {
        sink->kept = true; /* nothing came of this run; what an earlier one left stays */
        close_file(file);
        sink_step_later(sink);
    } else {
        ring_unlink(sink->ring, step(file, abandoned), file->directory->fd, file->partial.data);
    }
}

/* --- begin and end --------------------------------------------------------------------------- */

static void file_destroy(struct sink *sink)
{
    struct sink_file *file = file_of(sink);

    directory_unwait(&file->wait);
    if (file->directory) {
        close_file(file);
        directory_release(file->directory);
    }
    text_free(&file->partial);
    text_free(&file->attribute);
    free(file->name_copy);
    free(file->directory_path);
    free(file->url);
    free(file);
}

static const struct sink_operations operations = {
    .prepare = file_prepare,
    .open = file_open,
    .write = file_write,
    .publish = file_publish,
    .abandon = file_abandon,
    .destroy = file_destroy,
};

/* Splits out into directories, which go behind the directory, and the name. */
static bool set_names(struct sink_file *file, const struct sink_file_options *options)
{
    struct span out = options->out ? span_of(options->out) : options->suggested;
    struct text path = {0};
    size_t name_at = out.len;

    while (name_at > 0 && out.data[name_at - 1] != '/')
        name_at--;
    text_add(&path, span_of(options->directory));
    if (name_at > 0) {
        text_add_char(&path, '/');
        text_add(&path, span_sub(out, 0, name_at - 1));
    }
    file->directory_path = path.failed ? NULL : path.data;
    if (path.failed)
        text_free(&path);
    file->name_copy = alloc_copy(out.data + name_at, out.len - name_at);
    file->url = alloc_copy(options->url, strlen(options->url));
    file->wanted = span_of(file->name_copy);
    return file->directory_path && file->name_copy && file->url;
}

struct sink *sink_file_create(struct directories *directories,
                              const struct sink_file_options *options)
{
    struct sink_file *file = alloc_zeroed(sizeof(*file));

    if (!file)
        return NULL;
    sink_init(&file->sink, &operations, directories_ring(directories));
    file->directories = directories;
    file->wait.done = directory_opened;
    list_init(&file->wait.node);
    file->auto_renaming = options->auto_renaming;
    file->proceed = options->proceed;
    file->fd = -1;
    if (set_names(file, options) && set_candidate(file, 0))
        return &file->sink;
    sink_release(&file->sink);
    return NULL;
}
