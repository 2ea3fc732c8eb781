/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file: written under a temporary name in its directory, which a lock guards, and renamed
 * without replacing anything once it is complete.
 *
 *     prepare: directory -> names that no download of this process uses -> is there a partial file?
 *              -> lock it, read its size and version
 *     open:    lock and empty the temporary file, unless prepare has it and it is continued
 *     publish: rename, to the next free name if the first is taken by now
 *     set_aside: the same, to a name that says so
 *     abandon: remove the temporary file, or cut it to what is sound, sync it, and describe it
 *
 * The temporary name tells which URL it belongs to, and no published file has a name of that form:
 * what stands under it is haul's own, and of this URL.
 *
 * What is kept for another run is described in an extended attribute of the temporary file, set
 * only after its data was synced, and removed before the bytes that it describes are: a crash
 * leaves either no description, and the file is begun anew, or a true one.
 *
 * A file is open only with a place for it (directory.h). The place is waited for before the claim,
 * in prepare if there is a partial file, else in open; until then the sink has nothing but names
 * and the directory. It goes with the file.
 *
 * A partial file of another program (`proceed`) is continued in place, with one write at a time, so
 * that it never has a hole; if the server will not continue it, it is left as it is.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "sink/file_name.h"
#include "sink/internal.h"

#define ATTRIBUTE "user.haul.partial"

enum { URL_HASH_BYTES = 33 };

static const struct haul_error fine = {.status = HAUL_OK};

void file_fail(struct sink_file *file, enum haul_status status, int res, const char *format, ...)
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

/* The lock is held wherever a name is claimed or given up, and wherever sink.name changes. */
static void lock_names(const struct sink_file *file)
{
    names_lock(file->directory->place->names);
}

static void unlock_names(const struct sink_file *file)
{
    names_unlock(file->directory->place->names);
}

static void unclaim_name(struct sink_file *file)
{
    if (file->name_claimed)
        names_give(file->directory->place, &file->name_claim);
    file->name_claimed = false;
}

static void unclaim(struct sink_file *file)
{
    if (!file->name_claimed && !file->partial_claimed)
        return;
    lock_names(file);
    unclaim_name(file);
    if (file->partial_claimed)
        names_give(file->directory->place, &file->partial_claim);
    file->partial_claimed = false;
    unlock_names(file);
}

/* True: *claimed tells whether the name is ours now. False: out of memory. */
static bool try_claim(struct sink_file *file, struct map_node *node, const struct text *name,
                      bool *claimed)
{
    return !name->failed && names_take(file->directory->place, node, text_span(name), claimed);
}

/* A name, from `number` on, that no other download of this engine is to get. */
static bool claim_name(struct sink_file *file, unsigned number, struct haul_error *error)
{
    unclaim_name(file);
    for (; number <= FILE_NAME_NUMBER_MAX; number++) {
        file->number = number;
        file_name_numbered(&file->sink.name, text_span(&file->wanted), number);
        if (!try_claim(file, &file->name_claim, &file->sink.name, &file->name_claimed))
            break;
        if (file->name_claimed) {
            names_note_number(file->directory->place, text_span(&file->wanted), number);
            return true;
        }
        if (!file->auto_renaming) {
            error_set(error, HAUL_IN_USE, 0, "another download of this run is to be %s",
                      file_name_of(file));
            return false;
        }
    }
    error_set(error, HAUL_OUT_OF_MEMORY, 0, "no memory, or no number left, for a name like %s",
              file->wanted.data);
    return false;
}

static bool claim_partial(struct sink_file *file, struct haul_error *error)
{
    for (unsigned copy = 0; copy <= FILE_NAME_NUMBER_MAX; copy++) {
        file_name_partial(&file->partial, text_span(&file->wanted), span_of(file->url), copy);
        if (!try_claim(file, &file->partial_claim, &file->partial, &file->partial_claimed))
            break;
        if (file->partial_claimed)
            return true;
    }
    error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory for names");
    return false;
}

/* --- opening and closing --------------------------------------------------------------------- */

static void claimed(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res >= 0)
        file->fd = res;
    else
        file_place_give(file->directories, &file->place);
    file->sink.open_waits = !file->place.held;
    file->claim.done(file, res);
}

static void placed(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    (void)res;
    ring_claim(file->sink.ring, file_step(file, claimed), file->directory->fd, file->claim.name,
               file->claim.how);
}

static void claim(struct sink_file *file, const char *name, enum ring_claim how,
                  void (*done)(struct sink_file *file, int res))
{
    file->claim = (struct claim){.name = name, .how = how, .done = done};
    file->place.op = file_step(file, placed);
    if (file->place.held || file_place_take(file->directories, &file->place))
        placed(file->place.op, 0);
}

static void close_file(struct sink_file *file)
{
    file_close_direct(file);
    if (file->fd >= 0)
        ring_close(file->sink.ring, file->fd);
    file->fd = -1;
    file_place_give(file->directories, &file->place);
    file->sink.open_waits = true;
    unclaim(file);
}

/* As it was before prepare, which may follow. Somebody may want to take the file up at once. */
static void forget(struct sink_file *file)
{
    if (file->fd >= 0)
        ring_unlock(file->sink.ring, file->fd);
    close_file(file);
    if (file->directory)
        directory_release(file->directory);
    file->directory = NULL;
    file->adopted = false;
    file->marked = false;
    file->described = false;
    file->sink.foreign = false;
    file->sink.sequential = false;
    extents_clear(&file->sink.stored);
    file->sink.have_total = UINT64_MAX;
    file->sink.have_decided = false;
    text_clear(&file->sink.validator);
}

/* --- prepare --------------------------------------------------------------------------------- */

static struct span next_line(struct span *rest)
{
    return span_cut(rest, '\n');
}

/* The URL itself may hold a signature, and be long. */
static void hash_url(const struct sink_file *file, char hash[URL_HASH_BYTES])
{
    struct span url = span_of(file->url);

    snprintf(hash, URL_HASH_BYTES, "%016llx%016llx", (unsigned long long)span_hash(url, 1),
             (unsigned long long)span_hash(url, 2));
}

/* "1\nBYTES\nTOTAL\nHASH OF THE URL\nVALIDATOR": whether it describes this URL's file. */
static bool read_attribute(struct sink_file *file, struct span text)
{
    struct span version = next_line(&text);
    struct span bytes_text = next_line(&text);
    struct span total_text = next_line(&text);
    struct span url = next_line(&text);
    char hash[URL_HASH_BYTES];
    uint64_t bytes, total;

    hash_url(file, hash);

    if (!span_equal(version, SPAN("1")) || !span_to_u64(bytes_text, &bytes) ||
        !span_to_u64(total_text, &total) || !span_equal(url, span_of(hash)) || text.len == 0 ||
        bytes == 0 || bytes > file->facts.bytes)
        return false;
    text_add(&file->sink.validator, text);
    file->sink.have_total = total;
    return !file->sink.validator.failed && extents_add(&file->sink.stored, 0, bytes);
}

static void attribute_got(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    file->marked = res != -ENODATA && res != -EOPNOTSUPP;
    file->described = res > 0 && read_attribute(file, span_make(file->attribute_read, (size_t)res));
    sink_step_end(&file->sink, &fine);
}

static void looked_at(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res < 0)
        file_fail(file, HAUL_FILE_IO, res, "can't look at %s", file_name_of(file));
    else
        ring_get_attribute(file->sink.ring, file_step(file, attribute_got), file->fd, ATTRIBUTE,
                           file->attribute_read, sizeof(file->attribute_read));
}

static void fail_claim(struct sink_file *file, int res)
{
    if (res == -EBUSY)
        file_fail(file, HAUL_IN_USE, 0, "another process is downloading to %s", file_name_of(file));
    else
        file_fail(file, HAUL_CREATE, res, "can't create %s in %s", file->partial.data,
                  file->directory_path);
}

static void partial_claimed(struct sink_file *file, int res)
{
    if (res < 0)
        fail_claim(file, res);
    else
        ring_facts(file->sink.ring, file_step(file, looked_at), file->fd, &file->facts);
}

static void adopted_looked_at(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res < 0) {
        file_fail(file, HAUL_FILE_IO, res, "can't look at %s", file_name_of(file));
        return;
    }
    file->adopted = true;
    file->sink.foreign = true;
    file->sink.sequential = true;
    if (extents_add(&file->sink.stored, 0, file->facts.bytes))
        sink_step_end(&file->sink, &fine);
    else
        file_fail(file, HAUL_OUT_OF_MEMORY, 0, "out of memory");
}

static void fail_existing(struct sink_file *file)
{
    file_fail(file, HAUL_EXISTS, 0, "%s is there already in %s", file_name_of(file),
              file->directory_path);
}

static void adoptable_claimed(struct sink_file *file, int res)
{
    if (res >= 0) {
        ring_facts(file->sink.ring, file_step(file, adopted_looked_at), file->fd, &file->facts);
    } else if (res == -EBUSY) {
        fail_claim(file, res);
    } else if (!file->auto_renaming) {
        fail_existing(file);
    } else { /* a directory, or what we may not write: publish will find another name */
        sink_step_end(&file->sink, &fine);
    }
}

static void final_looked_for(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res == 1 && file->proceed)
        claim(file, file_name_of(file), RING_CLAIM_KEEP, adoptable_claimed);
    else if (res == 1)
        fail_existing(file);
    else
        sink_step_end(&file->sink, &fine);
}

static void partial_looked_for(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res == 1)
        claim(file, file->partial.data, RING_CLAIM_KEEP, partial_claimed);
    else if (file->proceed || !file->auto_renaming)
        ring_exists(file->sink.ring, file_step(file, final_looked_for), file->directory->fd,
                    file_name_of(file));
    else
        sink_step_end(&file->sink, &fine);
}

static bool claim_names(struct sink_file *file, struct haul_error *error)
{
    unsigned number;
    bool claimed;

    lock_names(file);
    number = names_free_number(file->directory->place, text_span(&file->wanted));
    claimed = claim_partial(file, error) && claim_name(file, number, error);
    unlock_names(file);
    return claimed;
}

static void look_for_partial(struct sink_file *file)
{
    if (claim_names(file, &file->sink.answer))
        ring_exists(file->sink.ring, file_step(file, partial_looked_for), file->directory->fd,
                    file->partial.data);
    else
        sink_step_fail_later(&file->sink);
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
    struct sink_file *file = sink_file_of(sink);

    if (file->partial_claimed) { /* a further try: all is known */
        sink_step_later(sink);
        return;
    }
    sink->kept = false;
    if (!file->directory)
        file->directory = directory_get(file->directories, span_of(file->directory_path),
                                        &file->wait, &sink->answer);
    if (file->directory)
        look_for_partial(file);
    else if (sink->answer.status != HAUL_OK)
        sink_step_fail_later(sink);
}

/* --- open ------------------------------------------------------------------------------------ */

static void file_opened(struct sink_file *file, int res)
{
    if (res < 0)
        fail_claim(file, res);
    else
        file_lay_out(file);
}

static void file_truncated(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res < 0)
        file_fail(file, HAUL_FILE_IO, res, "can't cut %s", file->partial.data);
    else
        file_lay_out(file);
}

static void description_removed(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res < 0) {
        file_fail(file, HAUL_FILE_IO, res, "can't change the attributes of %s", file->partial.data);
        return;
    }
    file->marked = false;
    file->described = false;
    ring_truncate(file->sink.ring, file_step(file, file_truncated), file->fd, 0);
}

/* The server sends the file anew: what the other program left stays as it is. The place is kept for
 * the file that follows. */
static void leave_adopted(struct sink_file *file)
{
    ring_close(file->sink.ring, file->fd);
    file->fd = -1;
    file->adopted = false;
    file->sink.foreign = false;
    file->sink.sequential = false;
}

static void file_open(struct sink *sink, bool resume, const struct sink_version *version)
{
    struct sink_file *file = sink_file_of(sink);

    if (!sink_begin(sink, resume, version))
        return;
    if (file->adopted && !resume)
        leave_adopted(file);
    file->reused = file->fd >= 0;
    if (file->fd < 0)
        claim(file, file->partial.data, RING_CLAIM_NEW, file_opened);
    else if (file->adopted)
        sink_step_later(sink);
    else if (!resume && file->marked)
        ring_remove_attribute(sink->ring, file_step(file, description_removed), file->fd,
                              ATTRIBUTE);
    else if (resume)
        ring_later(sink->ring, file_step(file, file_truncated));
    else
        ring_truncate(sink->ring, file_step(file, file_truncated), file->fd, 0);
}

/* --- making way ------------------------------------------------------------------------------ */

/* Zeros written ahead can be many, and what other sinks have may stay theirs for long. */
static void file_hurry(struct sink *sink)
{
    struct sink_file *file = sink_file_of(sink);

    if (!list_is_linked(&file->wait.node) && !list_is_linked(&file->place.node)) {
        ring_cancel(sink->ring, &sink->op);
        return;
    }
    directory_unwait(&file->wait);
    file_place_give(file->directories, &file->place);
    error_set(&sink->answer, HAUL_UNFINISHED, 0, "stopped");
    sink_step_fail_later(sink);
}

static bool file_scarce(struct sink *sink)
{
    const struct sink_file *file = sink_file_of(sink);

    return (file->place.held && file_places_scarce(file->directories)) ||
           (file->directory && directory_scarce(file->directory));
}

/* --- publish --------------------------------------------------------------------------------- */

static void set_path(struct sink_file *file)
{
    text_add(&file->sink.path, span_of(file->directory_path));
    if (strcmp(file->directory_path, "/") != 0)
        text_add_char(&file->sink.path, '/');
    text_add(&file->sink.path, text_span(&file->sink.name));
}

/* Something of another program's stands under the name by now. */
static bool claim_next_name(struct sink_file *file, struct haul_error *error)
{
    unsigned number;
    bool claimed;

    lock_names(file);
    number = names_free_number(file->directory->place, text_span(&file->wanted));
    claimed = claim_name(file, number > file->number ? number : file->number + 1, error);
    unlock_names(file);
    return claimed;
}

static void rename_file(struct sink_file *file);

static void file_renamed(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);
    struct haul_error error;

    if (res == -EEXIST && file->auto_renaming) {
        if (claim_next_name(file, &error))
            rename_file(file);
        else
            sink_step_end(&file->sink, &error);
    } else if (res == -EEXIST) {
        fail_existing(file);
    } else if (res < 0) {
        file_fail(file, HAUL_RENAME, res, "can't rename %s to %s", file->partial.data,
                  file_name_of(file));
    } else {
        close_file(file);
        set_path(file);
        sink_step_end(&file->sink, &fine);
    }
}

static void rename_file(struct sink_file *file)
{
    ring_rename(file->sink.ring, file_step(file, file_renamed), file->directory->fd,
                file->adopted ? file->adopted_name.data : file->partial.data, file_name_of(file));
}

static void published_description_removed(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    (void)res; /* it tells the URL: better gone, but no reason to fail */
    file->marked = false;
    file->described = false;
    rename_file(file);
}

static void name_file(struct sink_file *file)
{
    if (file->marked)
        ring_remove_attribute(file->sink.ring, file_step(file, published_description_removed),
                              file->fd, ATTRIBUTE);
    else
        rename_file(file);
}

static void cut_to_size(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res < 0)
        file_fail(file, HAUL_FILE_IO, res, "can't cut %s", file->partial.data);
    else
        name_file(file);
}

static void file_publish(struct sink *sink)
{
    struct sink_file *file = sink_file_of(sink);

    if (file->adopted) {
        close_file(file);
        set_path(file);
        sink_step_later(sink);
    } else if (file->reused) {
        /* A try before may have laid out more; and XFS would keep what it has reserved behind. */
        ring_truncate(sink->ring, file_step(file, cut_to_size), file->fd,
                      extents_prefix(&sink->stored));
    } else {
        name_file(file);
    }
}

/* From now on it is to be a file of another name. */
static bool want_aside(struct sink_file *file, struct haul_error *error)
{
    struct text aside = {0};
    bool claimed;

    text_clear(&file->adopted_name);
    text_add(&file->adopted_name, text_span(&file->sink.name));
    file_name_aside(&aside, text_span(&file->wanted));
    if (aside.failed || file->adopted_name.failed) {
        text_free(&aside);
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        return false;
    }
    text_free(&file->wanted);
    file->wanted = aside;
    file->auto_renaming = true;
    lock_names(file);
    claimed = claim_name(file, names_free_number(file->directory->place, text_span(&aside)), error);
    unlock_names(file);
    return claimed;
}

static void file_set_aside(struct sink *sink)
{
    struct sink_file *file = sink_file_of(sink);

    if (want_aside(file, &sink->answer))
        name_file(file);
    else
        sink_step_fail_later(sink);
}

/* --- abandon --------------------------------------------------------------------------------- */

static void abandoned(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    (void)res; /* what can't be removed is begun anew by the next run */
    forget(file);
    sink_step_end(&file->sink, &fine);
}

static void attribute_set(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res < 0) { /* no such attributes on this file system */
        ring_unlink(file->sink.ring, file_step(file, abandoned), file->directory->fd,
                    file->partial.data);
        return;
    }
    file->sink.kept = true;
    abandoned(op, 0);
}

static void kept_synced(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res < 0)
        attribute_set(op, res);
    else
        ring_set_attribute(file->sink.ring, file_step(file, attribute_set), file->fd, ATTRIBUTE,
                           file->attribute.data, file->attribute.len);
}

static void kept_cut(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res < 0)
        attribute_set(op, res);
    else
        ring_sync(file->sink.ring, file_step(file, kept_synced), file->fd);
}

static bool write_attribute(struct sink_file *file)
{
    char hash[URL_HASH_BYTES];
    uint64_t bytes = extents_prefix(&file->sink.stored);

    if (file->sink.validator.len == 0 || bytes == 0)
        return false;
    hash_url(file, hash);
    text_clear(&file->attribute);
    text_printf(&file->attribute, "1\n%llu\n%llu\n%s\n", (unsigned long long)bytes,
                (unsigned long long)file->sink.have_total, hash);
    text_add(&file->attribute, text_span(&file->sink.validator));
    return !file->attribute.failed && file->attribute.len <= ATTRIBUTE_BYTES_MAX;
}

static void file_abandon(struct sink *sink, bool keep)
{
    struct sink_file *file = sink_file_of(sink);

    if (file->fd >= 0 && !file->adopted && keep && write_attribute(file)) {
        ring_truncate(sink->ring, file_step(file, kept_cut), file->fd,
                      extents_prefix(&sink->stored));
    } else if (file->fd >= 0 && !file->adopted && !file->described) {
        ring_unlink(sink->ring, file_step(file, abandoned), file->directory->fd,
                    file->partial.data);
    } else { /* nothing was begun, or what is there stays as it is */
        sink->kept = sink->kept || file->fd >= 0;
        forget(file);
        sink_step_later(sink);
    }
}

/* --- begin and end --------------------------------------------------------------------------- */

static void file_destroy(struct sink *sink)
{
    struct sink_file *file = sink_file_of(sink);

    directory_unwait(&file->wait);
    forget(file);
    text_free(&file->wanted);
    text_free(&file->partial);
    text_free(&file->adopted_name);
    text_free(&file->attribute);
    free(file->directory_path);
    free(file->url);
    free(file);
}

static const struct sink_operations operations = {
    .prepare = file_prepare,
    .open = file_open,
    .write = file_write,
    .read = file_read,
    .hurry = file_hurry,
    .scarce = file_scarce,
    .publish = file_publish,
    .set_aside = file_set_aside,
    .abandon = file_abandon,
    .destroy = file_destroy,
};

/* Splits out into directories, which go behind the directory, and the name. */
static bool set_names(struct sink_file *file, const struct sink_file_options *options)
{
    struct span out = options->out ? span_of(options->out) : options->suggested;
    struct span directory = span_of(options->directory);
    struct text path = {0};
    size_t name_at = out.len;

    while (name_at > 0 && out.data[name_at - 1] != '/')
        name_at--;
    while (directory.len > 1 && directory.data[directory.len - 1] == '/')
        directory.len--;
    text_add(&path, directory);
    if (name_at > 0) {
        text_add_char(&path, '/');
        text_add(&path, span_sub(out, 0, name_at - 1));
    }
    file->directory_path = path.failed ? NULL : path.data;
    if (path.failed)
        text_free(&path);
    file_name_final(&file->wanted, span_sub(out, name_at, out.len));
    text_add(&file->sink.name, text_span(&file->wanted));
    file->url = alloc_copy(options->url, strlen(options->url));
    return file->directory_path && file->url && !file->wanted.failed && !file->sink.name.failed;
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
    list_init(&file->place.node);
    file->sink.open_waits = true;
    list_init(&file->line.writes);
    file->auto_renaming = options->auto_renaming;
    file->proceed = options->proceed;
    file->direct = options->direct;
    file->allocation = options->allocation;
    file->fd = -1;
    file->direct_fd = -1;
    if (set_names(file, options))
        return &file->sink;
    sink_release(&file->sink);
    return NULL;
}
