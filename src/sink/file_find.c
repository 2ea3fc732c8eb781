/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What an earlier run has left:
 *
 *     is there a journal? --> lock it --> read it --> its newest copy --> the other --> none: the
 *          |                                            |                   |           journal
 * goes |                                            +---------+---------+                | v v v
 *       nothing                                        go on from this one                nothing
 *
 * A copy is good if its data file is there and holds at least one whole block of what the journal
 * says. A file of which nothing can be used is removed; the second copy is left alone as long as
 * the first is good, and goes with the journal once the download is complete.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "sink/internal.h"

static void try_next(struct sink_file *file);

/* --- nothing of use -------------------------------------------------------------------------- */

static void journal_removed(struct sink_file *file, int res)
{
    if (res < 0) {
        file_fail(file, HAUL_FILE_IO, res, "can't empty %s", file->journal_name);
        return;
    }
    (void)file_close(file); /* gives the place back: nothing is open */
    file_found(file, false);
}

/* --- one copy -------------------------------------------------------------------------------- */

static void useless_removed(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    (void)res; /* it will be emptied when its name is used again */
    (void)ring_close(file->sink.ring, file->fd);
    file->fd = -1;
    file_place_less(file->directories, &file->place);
    journal_drop(&file->journal.content.copies[file->slot]);
    try_next(file);
}

static bool take_up(struct sink_file *file, struct journal_copy *copy)
{
    struct sink *sink = &file->sink;

    text_add(&sink->validator, text_span(&copy->validator));
    sink->have_total = copy->total;
    sink->have_decided = copy->decided;
    return !sink->validator.failed && extents_copy(&sink->stored, &copy->stored);
}

static void data_looked_at(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);
    struct journal_copy *copy = &file->journal.content.copies[file->slot];
    struct extents sound = {0};
    bool memory;

    if (res < 0) {
        file_fail(file, HAUL_FILE_IO, res, "can't look at %s", file_data_name(file));
        return;
    }
    memory = journal_sound(&copy->stored, copy->total, file->facts.bytes, &sound) &&
             extents_copy(&copy->stored, &sound) &&
             (extents_count(&sound) == 0 || take_up(file, copy));
    if (!memory) {
        file_fail(file, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    } else if (extents_count(&sound) == 0) {
        ring_unlink(file->sink.ring, file_step(file, useless_removed), file->directory->fd,
                    file_data_name(file));
    } else {
        file->reused = true;
        file->journal.holds = true;
        file->journal.named = true;
        file_found(file, true);
    }
    extents_free(&sound);
}

static void data_claimed(struct sink_file *file, int res)
{
    if (res < 0)
        file_fail_claim(file, res);
    else
        ring_facts(file->sink.ring, file_step(file, data_looked_at), file->fd, &file->facts);
}

static void data_looked_for(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res == 1) {
        (void)file_place_more(file->directories, &file->place, true);
        file_claim(file, file_data_name(file), RING_CLAIM_KEEP, &file->fd, data_claimed);
    } else if (res < 0) {
        file_fail(file, HAUL_FILE_IO, res, "can't look for %s", file_data_name(file));
    } else {
        journal_drop(&file->journal.content.copies[file->slot]);
        try_next(file);
    }
}

static void beside_removed(struct op *op, int res)
{
    (void)res;
    file_remove_journal(sink_file_of_op(op), journal_removed);
}

/* The second data file is only ever there with a journal. The first one is emptied when a file is
 * begun anew; it may be another process's by now. */
static void remove_all(struct sink_file *file)
{
    file->slot = 0;
    ring_unlink(file->sink.ring, file_step(file, beside_removed), file->directory->fd,
                file->data_names[1]);
}

static void try_next(struct sink_file *file)
{
    const struct journal *content = &file->journal.content;

    while (file->tried < JOURNAL_COPIES) {
        file->slot = file->tried == 0 ? content->newest : 1 - content->newest;
        file->tried++;
        if (!content->copies[file->slot].there)
            continue;
        ring_exists(file->sink.ring, file_step(file, data_looked_for), file->directory->fd,
                    file_data_name(file));
        return;
    }
    remove_all(file);
}

/* --- the journal ----------------------------------------------------------------------------- */

static void journal_read_done(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);
    struct file_journal *journal = &file->journal;
    bool memory = res < 0 || journal_read(&journal->content, span_make(journal->read, (size_t)res),
                                          span_of(file->url));

    free(journal->read);
    journal->read = NULL;
    if (res < 0)
        file_fail(file, HAUL_FILE_IO, res, "can't read %s", file->journal_name);
    else if (!memory)
        file_fail(file, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    else
        try_next(file);
}

static void journal_claimed(struct sink_file *file, int res)
{
    struct file_journal *journal = &file->journal;

    if (res < 0) {
        file_fail_claim(file, res);
        return;
    }
    file->tried = 0;
    journal->read = alloc_zeroed(JOURNAL_BYTES);
    if (journal->read)
        ring_read(file->sink.ring, file_step(file, journal_read_done), journal->fd, journal->read,
                  JOURNAL_BYTES, 0);
    else
        file_fail(file, HAUL_OUT_OF_MEMORY, 0, "out of memory");
}

static void journal_looked_for(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res == 1)
        file_claim(file, file->journal_name, RING_CLAIM_KEEP, &file->journal.fd, journal_claimed);
    else if (res < 0)
        file_fail(file, HAUL_FILE_IO, res, "can't look for %s", file->journal_name);
    else
        file_found(file, false);
}

void file_find(struct sink_file *file)
{
    ring_exists(file->sink.ring, file_step(file, journal_looked_for), file->directory->fd,
                file->journal_name);
}
