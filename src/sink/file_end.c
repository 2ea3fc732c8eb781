/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The end of a file:
 *
 *     publish, set_aside: cut to its size -> [sync it] -> rename -> [sync the directory] -> close
 *                         -> what was kept beside it goes, then the journal -> if there was any of
 *                         these, sync the directory
 *     abandon, to keep:   a last commit; where no record comes of it, as the next
 *     abandon:            the data goes, then what was kept beside it, then the journal
 *
 * In brackets: `durable`. A journal goes last, because it tells what else there is; and only after
 * it was emptied and synced (file.c). So a file that took more than a second has two syncs to wait
 * for at its end.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/log.h"
#include "sink/internal.h"

enum { SHRINK_BYTES = 16 * JOURNAL_BLOCK_BYTES };

static const struct haul_error fine = {.status = HAUL_OK};

static void sync_names(struct sink_file *file, void (*done)(struct directory_sync *sync, int res))
{
    ref_hold(&file->sink.ref);
    file->names.done = done;
    directory_sync(file->directory, &file->names);
}

/* --- what else there is ---------------------------------------------------------------------- */

static void journal_gone(struct sink_file *file, int res)
{
    (void)ring_close(file->sink.ring, file->journal.fd);
    file->journal.fd = -1;
    file_place_less(file->directories, &file->place);
    journal_free(&file->journal.content);
    file->journal.removed(file, res);
}

static void journal_unlinked(struct op *op, int res)
{
    journal_gone(sink_file_of_op(op), res == -ENOENT ? 0 : res);
}

static void journal_emptied(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    file->removed = true;
    if (res < 0)
        journal_gone(file, res);
    else
        ring_unlink(file->sink.ring, file_step(file, journal_unlinked), file->directory->fd,
                    file->journal_name);
}

static void journal_cut(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res < 0)
        journal_gone(file, res);
    else
        ring_sync(file->sink.ring, file_step(file, journal_emptied), file->journal.fd);
}

void file_remove_journal(struct sink_file *file, void (*done)(struct sink_file *file, int res))
{
    file->journal.removed = done;
    ring_truncate(file->sink.ring, file_step(file, journal_cut), file->journal.fd, 0);
}

static void journal_removed(struct sink_file *file, int res)
{
    if (res < 0 && file->log)
        log_write(file->log, HAUL_LOG_WARN, "%s: can't remove %s: %s", file_name_of(file),
                  file->journal_name, strerror(-res));
    file->rest_gone(file);
}

static void other_removal_synced(struct directory_sync *sync, int res)
{
    struct sink_file *file = CONTAINER_OF(sync, struct sink_file, names);

    (void)res; /* the worst is a file that nobody knows of, after a crash */
    file_remove_journal(file, journal_removed);
    ref_drop(&file->sink.ref);
}

/* Without the journal, nobody would know of it. */
static void other_removed(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res == 0)
        sync_names(file, other_removal_synced);
    else
        file_remove_journal(file, journal_removed);
}

/* The other version of it, recorded or not, and the journal. Without a journal, there is neither.
 */
static void remove_rest(struct sink_file *file, void (*done)(struct sink_file *file))
{
    file->rest_gone = done;
    if (file->journal.fd < 0)
        done(file);
    else
        ring_unlink(file->sink.ring, file_step(file, other_removed), file->directory->fd,
                    file->data_names[1 - file->slot]);
}

/* --- publish and set aside ------------------------------------------------------------------- */

void file_set_path(struct sink_file *file)
{
    text_add(&file->sink.path, span_of(file->directory_path));
    if (strcmp(file->directory_path, "/") != 0)
        text_add_char(&file->sink.path, '/');
    text_add(&file->sink.path, text_span(&file->sink.name));
}

static void finish(struct sink_file *file)
{
    (void)file_close(file);
    file_give_names(file);
    file_set_path(file);
    sink_step_end(&file->sink, &fine);
}

static void removal_synced(struct directory_sync *sync, int res)
{
    struct sink_file *file = CONTAINER_OF(sync, struct sink_file, names);

    (void)res; /* the worst is an empty journal, after a crash */
    finish(file);
    ref_drop(&file->sink.ref);
}

/* Nobody may ever ask for this URL again: so a crash must not bring back what is gone. */
static void sync_removal(struct sink_file *file)
{
    if (file->removed)
        sync_names(file, removal_synced);
    else
        finish(file);
}

/* The name that it has when it is not finished. */
static const char *first_name(const struct sink_file *file)
{
    return file->adopted ? file->adopted_name.data : file->data_names[file->slot];
}

static bool keeps_name(const struct sink_file *file)
{
    return file->adopted && !file->aside;
}

static void bad_file_removed(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    (void)res; /* that was all that could be done */
    file->journal.holds = false;
    sink_step_end(&file->sink, &file->trouble);
}

static void name_taken_back(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res < 0)
        ring_unlink(file->sink.ring, file_step(file, bad_file_removed), file->directory->fd,
                    file_name_of(file));
    else
        sink_step_end(&file->sink, &file->trouble);
}

/* What has its name must be complete. But where it has replaced another file, there would be
 * neither; and what could be asked before that was (replace()). */
static void take_name_back(struct sink_file *file, int res)
{
    file_set_trouble(file, res);
    file->removed = true;
    if (file->replaced)
        file->journal.holds = false;
    if (keeps_name(file) || file->replaced)
        sink_step_end(&file->sink, &file->trouble);
    else
        ring_rename(file->sink.ring, file_step(file, name_taken_back), file->directory->fd,
                    file_name_of(file), first_name(file), false);
}

/* Some file systems tell only now what has become of the data. */
static void close_data(struct sink_file *file)
{
    int direct_res = file_close_direct(file);
    int res = ring_close(file->sink.ring, file->fd);

    file->fd = -1;
    if (res < 0 || direct_res < 0)
        take_name_back(file, res < 0 ? res : direct_res);
    else
        remove_rest(file, sync_removal);
}

static void names_synced(struct directory_sync *sync, int res)
{
    struct sink_file *file = CONTAINER_OF(sync, struct sink_file, names);

    if (res < 0 && !file_cant_sync_names(res))
        take_name_back(file, res);
    else
        close_data(file);
    ref_drop(&file->sink.ref);
}

static void name_given(struct sink_file *file)
{
    if (file->durable)
        sync_names(file, names_synced);
    else
        close_data(file);
}

static void name_kept(struct op *op, int res)
{
    (void)res;
    name_given(sink_file_of_op(op));
}

/* For a later run that asks whether there is another version. False: it must ask by the time. */
static bool mark(struct sink_file *file)
{
    const struct sink *sink = &file->sink;
    struct known_mark known = {
        .key = span_make(file->key, KNOWN_KEY_BYTES),
        .elsewhere = file->renamed || file->number > 0,
        .bytes = extents_prefix(&sink->stored),
        .made_ns = ring_file_clock_ns(sink->ring),
    };
    struct text value = {0};
    bool marked;

    if (sink->etag.len > 0 && known_is_etag(text_span(&sink->etag)))
        known.etag = text_span(&sink->etag);
    else if (sink->validator.len > 0 && sink->validator.data[0] == '"') /* it was all there */
        known.etag = text_span(&sink->validator);
    known_write(&known, &value);
    marked = !value.failed && value.len <= RING_ATTRIBUTE_BYTES_MAX &&
             ring_set_attribute(sink->ring, file->fd, KNOWN_ATTRIBUTE, text_span(&value)) == 0;
    text_free(&value);
    return marked && known.etag.len > 0;
}

static void rename_file(struct sink_file *file);

static void take_next_name(struct sink_file *file)
{
    struct haul_error error;

    file->replaces = false;
    if (!file_take_next_name(file, &error)) {
        sink_step_end(&file->sink, &error);
        return;
    }
    if (file->fresh && !file->aside)
        (void)mark(file);
    rename_file(file);
}

static void file_renamed(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res == -EEXIST && file->auto_renaming)
        take_next_name(file);
    else if (res == -EEXIST)
        file_fail_existing(file);
    else if (res < 0)
        file_fail(file, HAUL_RENAME, res, "can't rename %s to %s", first_name(file),
                  file_name_of(file));
    else
        name_given(file);
}

static void rename_now(struct sink_file *file, bool replace)
{
    file->replaced = replace;
    ring_rename(file->sink.ring, file_step(file, file_renamed), file->directory->fd,
                first_name(file), file_name_of(file), replace);
}

/* What has come to stand there since this run began is another download's of it; and what was to be
 * replaced may be the user's work by now. */
static bool may_replace(const struct sink_file *file, int res)
{
    const struct ring_standing *there = file->looked_at;

    if (res != 1)
        return false;
    if (file->replaces && there->regular && there->bytes == file->sink.known_bytes &&
        there->modified_s == file->sink.known_modified_s)
        return true;
    return file->overwrite && there->changed_ns < directories_began_ns(file->directories);
}

/* Once the old file is gone, it is too late to hear that the new one has not come to the disk. */
static void replace(struct sink_file *file)
{
    int direct_res = file_close_direct(file);
    int res = ring_flush(file->sink.ring, file->fd);

    if (res < 0 || direct_res < 0) {
        file_set_trouble(file, res < 0 ? res : direct_res);
        sink_step_end(&file->sink, &file->trouble);
    } else {
        rename_now(file, true);
    }
}

static void target_looked_at(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);
    bool old = may_replace(file, res);

    free(file->looked_at);
    file->looked_at = NULL;
    old ? replace(file) : rename_now(file, false);
}

/* Whether it replaces something or not, the old file is there until the new one has its name. */
static void rename_file(struct sink_file *file)
{
    if ((!file->overwrite && !file->replaces) || file->aside) {
        rename_now(file, false);
        return;
    }
    file->looked_at = alloc_zeroed(sizeof(*file->looked_at));
    if (file->looked_at)
        ring_look_up(file->sink.ring, file_step(file, target_looked_at), file->directory->fd,
                     file_name_of(file), NULL, file->looked_at);
    else
        file_fail(file, HAUL_OUT_OF_MEMORY, 0, "out of memory");
}

static void give_name(struct sink_file *file)
{
    if (keeps_name(file))
        ring_later(file->sink.ring, file_step(file, name_kept));
    else
        rename_file(file);
}

static void data_synced(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res < 0) {
        file_set_trouble(file, res);
        sink_step_end(&file->sink, &file->trouble);
    } else {
        give_name(file);
    }
}

/* All that is to be seen of a file once it has its name; where it can't be, it is done without. */
static void describe(struct sink_file *file)
{
    const struct sink *sink = &file->sink;
    bool by_time = file->remote_time;

    if (file->adopted && !file->begun)
        return; /* it is as it was found */
    if (file->fresh && !file->aside && !mark(file))
        by_time = true;
    if (by_time && sink->has_modified)
        (void)ring_set_modified(sink->ring, file->fd, sink->modified_s);
}

static void sync_data(struct sink_file *file)
{
    describe(file);
    if (file->durable)
        ring_sync(file->sink.ring, file_step(file, data_synced), file->fd);
    else
        give_name(file);
}

static void size_set(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res < 0)
        file_fail(file, HAUL_FILE_IO, res, "can't cut %s", file_data_name(file));
    else
        sync_data(file);
}

static void complete(struct sink_file *file)
{
    if (file->trouble.status != HAUL_OK) {
        file->sink.answer = file->trouble;
        sink_step_fail_later(&file->sink);
    } else if (file->reused && !file->adopted) {
        /* An earlier try may have laid out more; and XFS would keep what it has reserved behind. */
        ring_truncate(file->sink.ring, file_step(file, size_set), file->fd,
                      extents_prefix(&file->sink.stored));
    } else {
        sync_data(file);
    }
}

void file_publish(struct sink *sink)
{
    struct sink_file *file = sink_file_of(sink);

    if (file_journal_rest(file, complete))
        complete(file);
}

void file_set_aside(struct sink *sink)
{
    struct sink_file *file = sink_file_of(sink);

    file->aside = true;
    if (file_take_aside_name(file, &sink->answer))
        file_publish(sink);
    else
        sink_step_fail_later(sink);
}

/* --- abandon --------------------------------------------------------------------------------- */

static void end_abandon(struct sink_file *file)
{
    file_forget(file);
    sink_step_end(&file->sink, &fine);
}

static void over(struct op *op, int res)
{
    (void)res;
    end_abandon(sink_file_of_op(op));
}

static void over_and_synced(struct directory_sync *sync, int res)
{
    struct sink_file *file = CONTAINER_OF(sync, struct sink_file, names);

    (void)res; /* as above */
    end_abandon(file);
    ref_drop(&file->sink.ref);
}

static void let_go(struct sink_file *file)
{
    if (file->removed)
        sync_names(file, over_and_synced);
    else
        ring_later(file->sink.ring, file_step(file, over));
}

static void data_removed(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    (void)res; /* what can't be removed is begun anew by the next run */
    journal_drop(&file->journal.content.copies[file->slot]);
    if (file->keep && file->journal.content.copies[1 - file->slot].there) {
        file->sink.kept = true;
        let_go(file);
    } else {
        remove_rest(file, let_go);
    }
}

static void remove_data(struct sink_file *file)
{
    ring_unlink(file->sink.ring, file_step(file, data_removed), file->directory->fd,
                file->data_names[file->slot]);
}

static void last_committed(struct sink_file *file);

/* What is left of `stored` without SHRINK_BYTES at its end, and how long the file is then. False:
 * nothing. */
static bool shrink(struct sink_file *file, uint64_t *size)
{
    struct extents *stored = &file->sink.stored, left = {0};
    uint64_t bytes = 0;
    size_t i = extents_count(stored);
    bool memory = true;

    while (i > 0 && bytes < SHRINK_BYTES) {
        struct extent extent = extents_at(stored, --i);

        bytes += extent.to - extent.from;
        *size = extent.from;
    }
    if (bytes > SHRINK_BYTES)
        *size += bytes - SHRINK_BYTES;
    for (size_t k = 0; memory && k <= i && k < extents_count(stored); k++) {
        struct extent extent = extents_at(stored, k);

        if (extent.from < *size)
            memory = extents_add(&left, extent.from, extent.to < *size ? extent.to : *size);
    }
    extents_free(stored);
    *stored = left;
    return memory && extents_count(stored) > 0;
}

static void shrunk(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res >= 0 && file_journal_wants(file))
        file_journal_commit(file, last_committed);
    else
        remove_data(file);
}

static void last_committed(struct sink_file *file)
{
    bool retry = file->keep && file->journal.full && !file->shrunk && file->fd >= 0 &&
                 file->trouble.status == HAUL_OK;
    uint64_t size = 0;

    if (file->keep && file->journal.holds) {
        file->sink.kept = true;
        let_go(file);
    } else if (retry && shrink(file, &size)) {
        file->shrunk = true;
        ring_truncate(file->sink.ring, file_step(file, shrunk), file->fd, size);
    } else {
        remove_data(file);
    }
}

static void discarded(struct sink_file *file)
{
    file->look_then(file);
}

static void data_discarded(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    (void)res; /* as above */
    journal_drop(&file->journal.content.copies[file->slot]);
    remove_rest(file, discarded);
}

static void discard(struct sink_file *file)
{
    ring_unlink(file->sink.ring, file_step(file, data_discarded), file->directory->fd,
                file->data_names[file->slot]);
}

void file_discard(struct sink_file *file, void (*then)(struct sink_file *file))
{
    file->look_then = then;
    if (file_journal_rest(file, discard))
        discard(file);
}

static void abandon(struct sink_file *file);

/* What a run has left that was killed in the file's first second is of no use to anybody. It is
 * removed if nobody has it, and no journal has come to tell of it. */
static void leftover_removed(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    (void)res;
    let_go(file);
}

static void leftover_unknown(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res == 0)
        ring_unlink(file->sink.ring, file_step(file, leftover_removed), file->directory->fd,
                    file->data_names[0]);
    else
        let_go(file);
}

static void leftover_claimed(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res < 0) {
        let_go(file);
        return;
    }
    file->fd = res;
    ring_exists(file->sink.ring, file_step(file, leftover_unknown), file->directory->fd,
                file->journal_name);
}

static void leftover_looked_for(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res == 1 && (file->place.held || file_place_take(file->directories, &file->place))) {
        ring_claim(file->sink.ring, file_step(file, leftover_claimed), file->directory->fd,
                   file->data_names[0], RING_CLAIM_KEEP);
        return;
    }
    if (!file->place.held)
        file_place_give(file->directories, &file->place); /* it is not worth waiting */
    let_go(file);
}

/* What is there stays as it is; after a rest, so does what is known of it. */
static void leave(struct sink_file *file)
{
    const struct journal *content = &file->journal.content;

    if (file->adopted || content->copies[0].there || content->copies[1].there)
        file->sink.kept = true;
    if (!file->sink.kept && file->partial_claimed && file->journal.fd < 0)
        ring_exists(file->sink.ring, file_step(file, leftover_looked_for), file->directory->fd,
                    file->data_names[0]);
    else
        let_go(file);
}

static void room_given_back(struct op *op, int res)
{
    (void)res; /* it costs room, no more */
    abandon(sink_file_of_op(op));
}

/* What was laid out ahead behind the last byte; nobody knows when the file will be gone on with. */
static void give_room_back(struct sink_file *file)
{
    const struct extents *stored = &file->sink.stored;
    size_t count = extents_count(stored);

    file->laid_out = false;
    ring_truncate(file->sink.ring, file_step(file, room_given_back), file->fd,
                  count > 0 ? extents_at(stored, count - 1).to : 0);
}

static void abandon(struct sink_file *file)
{
    const struct file_journal *journal = &file->journal;

    if (file->adopted || (!file->begun && (file->keep || file->fd < 0)))
        leave(file);
    else if (file->keep && file->fd >= 0 && file->laid_out)
        give_room_back(file);
    else if (file->keep && file->fd >= 0 && file->trouble.status == HAUL_OK &&
             (journal->dirty || !journal->holds) && file_journal_wants(file))
        file_journal_commit(file, last_committed);
    else
        last_committed(file);
}

void file_abandon(struct sink *sink, bool keep)
{
    struct sink_file *file = sink_file_of(sink);

    file->keep = keep;
    if (file_journal_rest(file, abandon))
        abandon(file);
}
