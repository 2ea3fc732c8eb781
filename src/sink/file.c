/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file: written under a temporary name in its directory, which a lock guards, and renamed
 * without replacing anything once it is complete.
 *
 *     prepare: directory -> names that no download of this process uses -> is there a journal? then
 *              what it describes is locked and looked at (file_find.c)
 *     open:    lock and empty the data file, unless prepare has it and it is continued
 *     rename:  it is to be called otherwise when it is finished (file_known.c)
 *     leave:   what has its name is good as it is
 *     publish: rename, to the next free name if the first is taken by now (file_end.c)
 *     set_aside: the same, to a name that says so
 *     abandon: write down what is durable (file_journal.c), or remove the file
 *
 * The temporary names tell which URL they belong to, and no published file has a name of that form:
 * what stands under them is haul's own, and of this URL. There are three:
 *
 *     name.HASH.haul, name.HASH.haul2   the data; two, because another version of the resource is
 *                                       written beside what there is, which stays until the new one
 *                                       is complete
 *     name.HASH.haul.journal            what of them is durable; not there in a file's first second
 *
 * What a crash may leave, and what the next run makes of it. A crash undoes any of those creations,
 * renames, removals and writes that were not synced, whatever their order was.
 *
 *     journal            data             it comes from                          the next run
 *     -                  -, or any        the first second, or the end           begins anew
 *     no good record     -, or any        the first commit, or the end           begins anew
 *     a record           named by it      after a commit                         goes on
 *     a record           gone             killed after the rename at the end     begins anew
 *     a record of two    one gone         killed at the end of one of them       goes on with the
 *                                                                                other
 *
 * So whatever is found, a good record must be true. What makes it so:
 *
 * 1. A record is written only after the data that it describes was synced, and after the names of
 *    data file and journal were (file_journal.c).
 * 2. A data file that a record mentions is not written to but in the holes of what is recorded, and
 *    its name is not given to another file. Before either happens, the journal is emptied, or
 *    freed of what it says about that file, and synced: in open here, in file_find.c.
 * 3. A journal is emptied and synced before it loses its name. So if that comes back after a crash,
 *    which nobody could know of who finds neither, it says nothing.
 *
 * Of that, 2 and 3 hold across processes that are killed at any point, for what an earlier one has
 * not synced is still to be seen, and is synced again before it is relied on.
 *
 * A file is open only with a place for it (directory.h). The place is waited for before the claim,
 * in prepare if there is a journal, else in open; until then the sink has nothing but names and the
 * directory. It goes with the file.
 *
 * A partial file of another program (`proceed`) is continued in place, with one write at a time, so
 * that it never has a hole; if the server will not continue it, it is left as it is. So is a
 * finished file that is taken up to be checked.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "sink/internal.h"

enum { LOCK_TRIES = 10, LOCK_MS = 100 };

static const struct haul_error fine = {.status = HAUL_OK};

static void set_error(struct haul_error *error, enum haul_status status, int res,
                      const char *format, va_list args)
{
    char what[192];

    vsnprintf(what, sizeof(what), format, args);
    if (res == -ENOSPC || res == -EDQUOT)
        status = HAUL_DISK_FULL;
    error_set(error, status, -res, "%s", what);
}

void file_error(struct haul_error *error, enum haul_status status, int res, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    set_error(error, status, res, format, args);
    va_end(args);
}

void file_fail(struct sink_file *file, enum haul_status status, int res, const char *format, ...)
{
    struct haul_error error;
    va_list args;

    va_start(args, format);
    set_error(&error, status, res, format, args);
    va_end(args);
    sink_step_end(&file->sink, &error);
}

/* --- opening and closing --------------------------------------------------------------------- */

/* A process that was killed holds its locks until the kernel has ended what it had in it, which may
 * be a moment after it is gone. */
static bool look_again(struct sink_file *file)
{
    struct ring *ring = file->sink.ring;

    if (file->claim.how != RING_CLAIM_KEEP || file->claim.tries++ == LOCK_TRIES)
        return false;
    ring_timer_start(ring, &file->claim_timer, ring_now_ns(ring) + LOCK_MS * (uint64_t)NS_PER_MS);
    return true;
}

static void claimed(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res == -EBUSY && look_again(file))
        return;
    if (res >= 0)
        *file->claim.fd = res;
    file->sink.open_waits = false;
    file->claim.done(file, res);
}

/* Of a claim that came to nothing, if there was no other. */
static void give_unused_place(struct sink_file *file)
{
    if (file->fd >= 0 || file->journal.fd >= 0)
        return;
    file_place_give(file->directories, &file->place);
    file->sink.open_waits = true;
}

static void placed(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    (void)res;
    ring_claim(file->sink.ring, file_step(file, claimed), file->directory->fd, file->claim.name,
               file->claim.how);
}

static void claim_due(struct timer *timer)
{
    struct sink_file *file = CONTAINER_OF(timer, struct sink_file, claim_timer);

    placed(file_step(file, placed), 0);
}

void file_claim(struct sink_file *file, const char *name, enum ring_claim how, int *fd,
                void (*done)(struct sink_file *file, int res))
{
    file->claim = (struct claim){.name = name, .how = how, .fd = fd, .done = done};
    file->place.op = file_step(file, placed);
    if (file->place.held || file_place_take(file->directories, &file->place))
        placed(file->place.op, 0);
}

int file_close(struct sink_file *file)
{
    int res = file_close_direct(file), data_res = 0;

    if (file->fd >= 0)
        data_res = ring_close(file->sink.ring, file->fd);
    if (file->journal.fd >= 0)
        (void)ring_close(file->sink.ring, file->journal.fd);
    file->fd = -1;
    file->journal.fd = -1;
    file_place_give(file->directories, &file->place);
    file->sink.open_waits = true;
    return data_res < 0 ? data_res : res;
}

/* Somebody may want to take the file up at once. */
void file_forget(struct sink_file *file)
{
    struct sink *sink = &file->sink;

    if (file->fd >= 0)
        ring_unlock(sink->ring, file->fd);
    if (file->journal.fd >= 0)
        ring_unlock(sink->ring, file->journal.fd);
    (void)file_close(file);
    file_give_names(file);
    file_journal_free(file);
    if (file->directory)
        directory_release(file->directory);
    file->directory = NULL;
    file->slot = 0;
    file->begun = false;
    file->adopted = false;
    file->removed = false;
    file->shrunk = false;
    sink->foreign = false;
    sink->standing = false;
    sink->known = false;
    sink->sequential = false;
    extents_clear(&sink->stored);
    sink->have_total = UINT64_MAX;
    sink->have_decided = false;
    text_clear(&sink->validator);
}

void file_fail_claim(struct sink_file *file, int res)
{
    give_unused_place(file);
    if (res == -EBUSY)
        file_fail(file, HAUL_IN_USE, 0, "another process is downloading to %s", file_name_of(file));
    else
        file_fail(file, HAUL_CREATE, res, "can't create %s in %s", file->claim.name,
                  file->directory_path);
}

void file_fail_existing(struct sink_file *file)
{
    file_fail(file, HAUL_EXISTS, 0, "%s is there already in %s", file_name_of(file),
              file->directory_path);
}

/* --- prepare --------------------------------------------------------------------------------- */

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

static void adoptable_claimed(struct sink_file *file, int res)
{
    if (res >= 0) {
        ring_facts(file->sink.ring, file_step(file, adopted_looked_at), file->fd, &file->facts);
        return;
    }
    if (res == -EBUSY) {
        file_fail_claim(file, res);
        return;
    }
    give_unused_place(file);
    if (!file->auto_renaming)
        file_fail_existing(file);
    else /* a directory, or what we may not write: publish will find another name */
        sink_step_end(&file->sink, &fine);
}

static void final_looked_for(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res == 1 && (file->proceed || file->check))
        file_claim(file, file_name_of(file), RING_CLAIM_KEEP, &file->fd, adoptable_claimed);
    else if (res == 1)
        file_fail_existing(file);
    else
        sink_step_end(&file->sink, &fine);
}

/* Of a file that another program may have left, or that must not be there. */
static void look_for_final(struct sink_file *file)
{
    if (file->sink.known || file->replaces || extents_count(&file->sink.stored) > 0 ||
        !(file->proceed || file->check || (!file->auto_renaming && !file->overwrite)))
        sink_step_end(&file->sink, &fine);
    else
        ring_exists(file->sink.ring, file_step(file, final_looked_for), file->directory->fd,
                    file_name_of(file));
}

void file_found(struct sink_file *file, bool found)
{
    file->sink.kept = false; /* what a rest has left is known again */
    if (file->fresh && !file->check)
        file_look(file, look_for_final);
    else if (found)
        sink_step_end(&file->sink, &fine);
    else
        look_for_final(file);
}

static void standing_looked_for(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    file->sink.standing = res == 1;
    if (res == 1)
        sink_step_end(&file->sink, &fine);
    else
        file_find(file);
}

static void find(struct sink_file *file)
{
    if (!file_take_names(file, &file->sink.answer))
        sink_step_fail_later(&file->sink);
    else if (file->no_clobber)
        ring_exists(file->sink.ring, file_step(file, standing_looked_for), file->directory->fd,
                    file->wanted.data);
    else
        file_find(file);
}

static void directory_opened(struct directory_wait *wait, struct directory *directory,
                             const struct haul_error *error)
{
    struct sink_file *file = CONTAINER_OF(wait, struct sink_file, wait);

    file->directory = directory;
    if (directory)
        find(file);
    else
        sink_step_end(&file->sink, error);
}

static void file_prepare(struct sink *sink)
{
    struct sink_file *file = sink_file_of(sink);

    if (file->trouble.status != HAUL_OK) { /* of a try before */
        sink->answer = file->trouble;
        sink_step_fail_later(sink);
        return;
    }
    if (file->partial_claimed) { /* a further try: all is known */
        sink_step_later(sink);
        return;
    }
    if (!file->directory)
        file->directory =
            directory_get(file->directories, file->directory_root, file->directory_below,
                          file->durable, &file->wait, &sink->answer);
    if (file->directory)
        find(file);
    else if (sink->answer.status != HAUL_OK)
        sink_step_fail_later(sink);
}

/* --- open ------------------------------------------------------------------------------------ */

static void file_emptied(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res < 0)
        file_fail(file, HAUL_FILE_IO, res, "can't cut %s", file_data_name(file));
    else
        file_lay_out(file);
}

static void leftover_claimed(struct sink_file *file, int res)
{
    file->reused = true;
    file->begun = res >= 0;
    if (res < 0)
        file_fail_claim(file, res);
    else
        ring_truncate(file->sink.ring, file_step(file, file_emptied), file->fd, 0);
}

static void claim_leftover(struct sink_file *file)
{
    file_claim(file, file->data_names[file->slot], RING_CLAIM_KEEP, &file->fd, leftover_claimed);
}

static void journal_looked_for(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res == 0)
        claim_leftover(file);
    else
        file_fail_claim(file, -EBUSY);
}

/* What is there already was left by a run that wrote no journal; unless somebody has begun since we
 * have looked. */
static void data_claimed(struct sink_file *file, int res)
{
    file->begun = res >= 0;
    if (res >= 0)
        file_lay_out(file);
    else if (res == -EBUSY && file->journal.fd >= 0)
        claim_leftover(file);
    else if (res == -EBUSY)
        ring_exists(file->sink.ring, file_step(file, journal_looked_for), file->directory->fd,
                    file->journal_name);
    else
        file_fail_claim(file, res);
}

static void claim_data(struct sink_file *file)
{
    file->reused = false;
    file->journal.holds = false;
    file->journal.named = false;
    file_claim(file, file->data_names[file->slot], RING_CLAIM_NEW, &file->fd, data_claimed);
}

/* The server sends the file anew: what the other program left stays as it is. The place is kept for
 * the file that follows. */
static void leave_adopted(struct sink_file *file)
{
    (void)ring_close(file->sink.ring, file->fd);
    file->fd = -1;
    file->adopted = false;
    file->sink.foreign = false;
    file->sink.sequential = false;
}

static void slot_freed(struct sink_file *file, int res)
{
    if (res < 0)
        file_fail(file, HAUL_FILE_IO, res, "can't change %s", file->journal_name);
    else
        claim_data(file);
}

/* The other slot is for the new version. If something even older has it, that goes. */
static void begin_beside(struct sink_file *file)
{
    (void)file_close_direct(file);
    (void)ring_close(file->sink.ring, file->fd);
    file->fd = -1;
    file->begun = false;
    file->slot = 1 - file->slot;
    if (file->journal.content.mentioned[file->slot])
        file_journal_free_slot(file, slot_freed);
    else
        claim_data(file);
}

static void begin_anew(struct sink_file *file)
{
    file->journal.dirty = false;
    if (file->fd >= 0 && file->journal.content.mentioned[file->slot])
        begin_beside(file);
    else if (file->fd >= 0)
        ring_truncate(file->sink.ring, file_step(file, file_emptied), file->fd, 0);
    else
        claim_data(file);
}

static void resumed(struct op *op, int res)
{
    (void)res;
    file_lay_out(sink_file_of_op(op));
}

static void file_open(struct sink *sink, bool resume, const struct sink_version *version)
{
    struct sink_file *file = sink_file_of(sink);

    if (!sink_begin(sink, resume, version))
        return;
    if (file->adopted && !resume)
        leave_adopted(file);
    file->reused = file->fd >= 0;
    file->begun = file->begun || (resume && file->fd >= 0);
    if (resume && file->adopted)
        sink_step_later(sink);
    else if (resume && file->fd >= 0)
        ring_later(sink->ring, file_step(file, resumed));
    else if (file_journal_rest(file, begin_anew))
        begin_anew(file);
}

/* --- making way ------------------------------------------------------------------------------ */

/* Zeros written ahead can be many, and what other sinks have may stay theirs for long. */
static void file_hurry(struct sink *sink)
{
    struct sink_file *file = sink_file_of(sink);

    if (!list_is_linked(&file->wait.node) && !list_is_linked(&file->place.node) &&
        !timer_runs(&file->claim_timer)) {
        ring_cancel(sink->ring, &sink->op);
        return;
    }
    timer_stop(&file->claim_timer);
    directory_unwait(&file->wait);
    if (list_is_linked(&file->place.node))
        file_place_give(file->directories, &file->place);
    give_unused_place(file);
    error_set(&sink->answer, HAUL_UNFINISHED, 0, "stopped");
    sink_step_fail_later(sink);
}

static bool file_scarce(struct sink *sink)
{
    const struct sink_file *file = sink_file_of(sink);

    return (file->place.held && file_places_scarce(file->directories)) ||
           (file->directory && directory_scarce(file->directory));
}

/* --- begin and end --------------------------------------------------------------------------- */

static void file_destroy(struct sink *sink)
{
    struct sink_file *file = sink_file_of(sink);

    directory_unwait(&file->wait);
    timer_stop(&file->claim_timer);
    file_forget(file);
    text_free(&file->wanted);
    text_free(&file->stem);
    text_free(&file->partial);
    text_free(&file->adopted_name);
    free(file->looked_at);
    free(file->directory_root);
    free(file->directory_below);
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
    .rename = file_rename,
    .leave = file_leave,
    .publish = file_publish,
    .set_aside = file_set_aside,
    .abandon = file_abandon,
    .destroy = file_destroy,
};

static bool set_directory(struct sink_file *file, struct span root, struct span below)
{
    struct text path = {0};

    while (root.len > 1 && root.data[root.len - 1] == '/')
        root.len--;
    file->directory_root = alloc_copy(root.data, root.len);
    file->directory_below = alloc_copy(below.data, below.len);
    text_add(&path, root);
    if (below.len > 0 && !span_equal(root, SPAN("/")))
        text_add_char(&path, '/');
    text_add(&path, below);
    file->directory_path = path.data;
    return file->directory_root && file->directory_below && file->directory_path && !path.failed;
}

/* Splits out into directories, which go below the directory, and the name. */
static bool set_names(struct sink_file *file, const struct sink_file_options *options)
{
    struct span out = options->out ? span_of(options->out) : options->suggested;
    size_t name_at = out.len;

    while (name_at > 0 && out.data[name_at - 1] != '/')
        name_at--;
    file_name_final(&file->wanted, span_sub(out, name_at, out.len));
    text_add(&file->stem,
             options->temporary.len > 0 ? options->temporary : text_span(&file->wanted));
    text_add(&file->sink.name, text_span(&file->wanted));
    file->url = alloc_copy(options->url, strlen(options->url));
    if (file->fresh)
        known_key(span_of(options->url), file->key);
    return set_directory(file, span_of(options->directory),
                         span_sub(out, 0, name_at > 0 ? name_at - 1 : 0)) &&
           file->url && !file->wanted.failed && !file->stem.failed && !file->sink.name.failed;
}

struct sink *sink_file_create(struct directories *directories,
                              const struct sink_file_options *options)
{
    struct sink_file *file = alloc_zeroed(sizeof(*file));

    if (!file)
        return NULL;
    sink_init(&file->sink, &operations, directories_ring(directories));
    file->directories = directories;
    file->log = options->log;
    file->wait.done = directory_opened;
    list_init(&file->wait.node);
    list_init(&file->place.node);
    timer_init(&file->claim_timer, claim_due);
    file->sink.open_waits = true;
    list_init(&file->line.writes);
    file->auto_renaming = options->auto_renaming;
    file->proceed = options->proceed;
    file->overwrite = options->overwrite;
    file->no_clobber = options->no_clobber;
    file->fresh = options->fresh;
    file->special = options->special;
    file->remote_time = options->remote_time;
    file->check = options->check;
    file->durable = options->durable;
    file->direct = options->direct;
    file->allocation = options->allocation;
    file->fd = -1;
    file->direct_fd = -1;
    file_journal_init(file, options->save_interval_ms * (uint64_t)NS_PER_MS);
    if (set_names(file, options))
        return &file->sink;
    sink_release(&file->sink);
    return NULL;
}
