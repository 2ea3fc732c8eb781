/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A file that is there already, under the name that this one is to have. What it is good for:
 *
 *     no_clobber     whatever it is, it is the download: sink.standing
 *     fresh          it may be what the server has still: sink.known
 *
 *     look at the name --> it is of this URL, or says nothing ---------------------> known
 *            | nothing, or another URL's
 *            v
 *     go through the directory, once for all --> a file of this URL --> look at that --^
 *
 * The wanted name is looked at, not the one with a number that this download may have got besides
 * another. What is of this URL is replaced, whoever has claimed its name: for that one finds that
 * it is taken, and looks for another. What says nothing of itself is only taken for this URL's if
 * the name is ours.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "sink/internal.h"

static void look(struct sink_file *file, void (*done)(struct op *op, int res));

/* Whether no other download of this engine is to have the wanted name: only then may what is there
 * be replaced. What has come to stand there since this one was made is another's. */
static bool is_ours(const struct sink_file *file)
{
    return file->name_claimed && file->number == 0;
}

static void end_look(struct sink_file *file)
{
    free(file->looked_at);
    file->looked_at = NULL;
    file->look_then(file);
}

static void fail_look(struct sink_file *file)
{
    free(file->looked_at);
    file->looked_at = NULL;
    file_fail(file, HAUL_OUT_OF_MEMORY, 0, "out of memory");
}

/* Whether what was looked at is of this URL, and what it says; mark->key is empty if it says
 * nothing. */
static bool is_of_url(const struct sink_file *file, int res, struct known_mark *mark)
{
    const struct ring_standing *standing = file->looked_at;

    if (res != 1 || !standing->regular)
        return false;
    if (!known_read(span_make(standing->attribute, standing->attribute_bytes), mark)) {
        *mark = (struct known_mark){.bytes = standing->bytes};
        return !file->proceed && !file->special && is_ours(file) &&
               standing->changed_ns < directories_began_ns(file->directories);
    }
    return span_equal(mark->key, span_make(file->key, KNOWN_KEY_BYTES)) &&
           (!file->proceed || mark->bytes == standing->bytes);
}

/* What has another size than it had is no version any more; but it is this URL's, and what is
 * fetched takes its place. */
static void take_known(struct sink_file *file, const struct known_mark *mark)
{
    struct sink *sink = &file->sink;

    sink->known = mark->bytes == file->looked_at->bytes;
    sink->known_bytes = file->looked_at->bytes;
    sink->known_modified_s = file->looked_at->modified_s;
    text_clear(&sink->known_etag);
    text_add(&sink->known_etag, mark->etag);
    file->replaces = true;
    if (mark->key.len > 0)
        file_show_wanted(file);
    if (sink->known_etag.failed)
        fail_look(file);
    else
        end_look(file);
}

static void other_looked_at(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);
    struct known_mark mark;

    if (is_of_url(file, res, &mark))
        take_known(file, &mark);
    else
        end_look(file);
}

/* A file of this URL has another name than it would get: it keeps that. */
static void look_elsewhere(struct sink_file *file)
{
    struct span name =
        known_names_find(file->directory->known, span_make(file->key, KNOWN_KEY_BYTES));
    struct haul_error error;

    if (name.len == 0 || span_equal(name, text_span(&file->wanted))) {
        end_look(file);
        return;
    }
    file->renamed = true;
    if (file_take_other_name(file, name, &error))
        look(file, other_looked_at);
    else
        sink_step_end(&file->sink, &error);
}

static void directory_known(struct known_wait *wait)
{
    struct sink_file *file = CONTAINER_OF(wait, struct sink_file, known_wait);

    look_elsewhere(file);
    ref_drop(&file->sink.ref);
}

static void find_elsewhere(struct sink_file *file)
{
    struct directory *directory = file->directory;

    if (!directory->known)
        directory->known = known_names_create(file->sink.ring, directory->fd, &directory->ref);
    file->known_wait.done = directory_known;
    if (!directory->known)
        fail_look(file);
    else if (known_names_ready(directory->known, &file->known_wait))
        look_elsewhere(file);
    else
        ref_hold(&file->sink.ref);
}

static void looked_at(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);
    struct known_mark mark;

    if (is_of_url(file, res, &mark))
        take_known(file, &mark);
    else
        find_elsewhere(file);
}

static void look(struct sink_file *file, void (*done)(struct op *op, int res))
{
    ring_look_up(file->sink.ring, file_step(file, done), file->directory->fd, file->wanted.data,
                 KNOWN_ATTRIBUTE, file->looked_at);
}

static void look_first(struct sink_file *file, void (*done)(struct op *op, int res),
                       void (*then)(struct sink_file *file))
{
    file->look_then = then;
    file->replaces = false;
    file->sink.known = false;
    file->looked_at = alloc_zeroed(sizeof(*file->looked_at));
    if (file->looked_at)
        look(file, done);
    else
        fail_look(file);
}

void file_look(struct sink_file *file, void (*then)(struct sink_file *file))
{
    look_first(file, looked_at, then);
}

/* --- another name ---------------------------------------------------------------------------- */

static const struct haul_error fine = {.status = HAUL_OK};

static void looked(struct sink_file *file)
{
    sink_step_end(&file->sink, &fine);
}

static void name_looked_for(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res == 1 && !file->no_clobber) {
        file_fail_existing(file);
        return;
    }
    file->sink.standing = res == 1;
    sink_step_end(&file->sink, &fine);
}

/* Nothing but the name counts. */
static void look_whether_free(struct sink_file *file)
{
    file->replaces = false;
    file->sink.known = false;
    if (file->no_clobber || (!file->auto_renaming && !file->overwrite))
        ring_exists(file->sink.ring, file_step(file, name_looked_for), file->directory->fd,
                    file->wanted.data);
    else
        sink_step_later(&file->sink);
}

/* Where that file stood under another name so far, it keeps the temporary one. */
void file_rename(struct sink *sink, struct span name, bool exact)
{
    struct sink_file *file = sink_file_of(sink);
    struct text wanted = {0};
    bool same;

    file_name_final(&wanted, name);
    same = file->adopted || span_equal(text_span(&wanted), text_span(&file->wanted));
    if (same || wanted.failed || !file_take_other_name(file, text_span(&wanted), &sink->answer)) {
        if (wanted.failed)
            error_set(&sink->answer, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        text_free(&wanted);
        same ? sink_step_later(sink) : sink_step_fail_later(sink);
        return;
    }
    text_free(&wanted);
    file->renamed = true;
    if (file->fresh && !file->no_clobber)
        look_first(file, exact ? other_looked_at : looked_at, looked);
    else
        look_whether_free(file);
}

/* --- it is left ------------------------------------------------------------------------------ */

static void left(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    (void)res;
    file_show_wanted(file);
    file_set_path(file);
    file_forget(file);
    sink_step_end(&file->sink, &fine);
}

static void left_alone(struct sink_file *file)
{
    left(&file->sink.op, 0);
}

/* Of another version there may be something from an earlier run. */
void file_leave(struct sink *sink)
{
    struct sink_file *file = sink_file_of(sink);

    if (file->begun || (!file->adopted && (file->fd >= 0 || file->journal.fd >= 0)))
        file_discard(file, left_alone);
    else
        ring_later(sink->ring, file_step(file, left));
}
