/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The journal of a file that is being written: about once a second, what is there is made durable
 * and written down. journal.h has the format, file.c what it has to stand.
 *
 *     RESTS --timer--> WAITS --its turn--> COMMITS: sync the data -> write a record -> sync it
 *       ^                                           the first time, between the first two: make
 *       |                                           the journal, sync the names
 *       +--------------------------------------------+
 *
 * - What is recorded is what had been written when the sync of the data began.
 * - The timer starts when something was written. So a file that is complete before the interval is
 *   over never has a journal, and one that gets nothing costs nothing.
 * - A sync that takes long is followed by a pause of 20 times its length. Writes never wait for it;
 *   the end of the file does, for it might tell of an error.
 * - The names are synced before the first record is written: else a crash could bring an earlier
 *   file of that name back beside it.
 * - Of a sync that has failed nobody knows what is on the disk, and another one, even if it was
 *   under way already, would say that all is well. So the data's is the end of the file: nothing is
 *   recorded any more, and it is not published. The journal's is the end of the journal; what it
 *   says stays true.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "sink/internal.h"

enum { PAUSE_FACTOR = 20 };

static void commit(struct sink_file *file);

static struct sink_file *file_of_op(struct op *op)
{
    return CONTAINER_OF(op, struct sink_file, journal.op);
}

/* The journal's op, for the next part of a commit. */
static struct op *next(struct sink_file *file, void (*done)(struct op *op, int res))
{
    file->journal.op.done = done;
    return &file->journal.op;
}

void file_set_trouble(struct sink_file *file, int res)
{
    if (file->trouble.status == HAUL_OK)
        file_error(&file->trouble, HAUL_FILE_IO, res, "can't bring %s to the disk",
                   file_data_name(file));
}

bool file_cant_sync_names(int res)
{
    return res == -EINVAL || res == -EOPNOTSUPP || res == -ENOSYS;
}

/* --- when ------------------------------------------------------------------------------------ */

static bool is_keepable(const struct sink_file *file)
{
    const struct sink *sink = &file->sink;

    return !file->adopted && (sink->validator.len > 0 || sink->have_decided) &&
           sink->validator.len <= JOURNAL_VALIDATOR_BYTES_MAX;
}

static void start_timer(struct sink_file *file)
{
    struct file_journal *journal = &file->journal;
    uint64_t pause_ns = journal->took_ns * PAUSE_FACTOR;

    if (pause_ns < journal->interval_ns)
        pause_ns = journal->interval_ns;
    ring_timer_start(file->sink.ring, &journal->timer, ring_now_ns(file->sink.ring) + pause_ns);
}

/* Whether there may be a commit in the background. */
static bool is_wanted(const struct sink_file *file)
{
    const struct file_journal *journal = &file->journal;

    return journal->interval_ns > 0 && !journal->off && file->trouble.status == HAUL_OK &&
           is_keepable(file);
}

void file_journal_note(struct sink_file *file)
{
    struct file_journal *journal = &file->journal;

    journal->dirty = true;
    if (journal->state == JOURNAL_RESTS && !timer_runs(&journal->timer) && is_wanted(file))
        start_timer(file);
}

static void due(struct timer *timer)
{
    struct sink_file *file = CONTAINER_OF(timer, struct sink_file, journal.timer);
    struct disk *disk = directories_disk(file->directories);

    if (!is_wanted(file) || !file_journal_wants(file))
        return; /* the next write starts it again */
    if (disk_begin_sync(disk)) {
        file->journal.turned = true;
        commit(file);
    } else {
        file->journal.state = JOURNAL_WAITS;
        disk_wait_sync(disk, &file->journal.turn);
    }
}

/* --- the end of a commit --------------------------------------------------------------------- */

/* Whoever is next in line begins. */
static void end_turn(struct sink_file *file)
{
    struct disk *disk = directories_disk(file->directories);
    struct disk_turn *turn;

    if (!file->journal.turned)
        return;
    file->journal.turned = false;
    disk_end_sync(disk);
    while ((turn = disk_next_sync(disk))) {
        struct sink_file *other = CONTAINER_OF(turn, struct sink_file, journal.turn);

        other->journal.turned = true;
        commit(other);
    }
}

static void end_commit(struct sink_file *file)
{
    struct file_journal *journal = &file->journal;
    void (*then)(struct sink_file * file) = journal->then;

    journal->state = JOURNAL_RESTS;
    journal->took_ns = ring_now_ns(file->sink.ring) - journal->began_ns;
    journal->then = NULL;
    end_turn(file);
    if (then)
        then(file);
    else if (journal->dirty)
        file_journal_note(file);
}

static void journal_given_up(struct op *op, int res)
{
    (void)res;
    end_commit(file_of_op(op));
}

/* The download goes on without. A journal that has no record yet goes. */
static void give_up(struct sink_file *file, int res)
{
    struct file_journal *journal = &file->journal;
    const struct journal *content = &journal->content;

    journal->off = true;
    journal->full = res == -ENOSPC || res == -EDQUOT;
    if (file->log)
        log_write(file->log, HAUL_LOG_WARN,
                  "%s: no record is kept of what has come, so it can't be gone on with if haul is "
                  "killed: %s: %s",
                  file_name_of(file), file->journal_name, strerror(-res));
    if (journal->fd < 0 || content->mentioned[0] || content->mentioned[1]) {
        end_commit(file);
        return;
    }
    ring_unlink(file->sink.ring, next(file, journal_given_up), file->directory->fd,
                file->journal_name);
    (void)ring_close(file->sink.ring, journal->fd);
    journal->fd = -1;
    file_place_less(file->directories, &file->place);
}

/* --- a record -------------------------------------------------------------------------------- */

static void record_synced(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res < 0) {
        file->journal.broken = true;
        give_up(file, res);
        return;
    }
    file->journal.holds = true;
    end_commit(file);
}

static void record_written(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res < 0) {
        file->journal.broken = true;
        if (!file->journal.holds) /* nothing says that there is anything */
            journal_drop(&file->journal.content.copies[file->slot]);
        give_up(file, res);
    } else {
        ring_sync(file->sink.ring, next(file, record_synced), file->journal.fd);
    }
}

static void write_record(struct sink_file *file)
{
    struct file_journal *journal = &file->journal;
    uint64_t offset;

    journal->content.newest = file->slot;
    if (!journal_append(&journal->content, span_of(file->url), &journal->record, &offset)) {
        give_up(file, -ENOMEM);
        return;
    }
    ring_write(file->sink.ring, next(file, record_written), journal->fd, RING_WRITE_CACHED,
               journal->record.data, journal->record.len, offset);
}

/* --- the first one --------------------------------------------------------------------------- */

static void names_synced(struct directory_sync *sync, int res)
{
    struct sink_file *file = CONTAINER_OF(sync, struct sink_file, journal.names);

    if (res < 0 && !file_cant_sync_names(res)) {
        give_up(file, res);
    } else {
        file->journal.named = true;
        write_record(file);
    }
    ref_drop(&file->sink.ref);
}

static void sync_names(struct sink_file *file)
{
    ref_hold(&file->sink.ref);
    file->journal.names.done = names_synced;
    directory_sync(file->directory, &file->journal.names);
}

static void room_made(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res < 0)
        give_up(file, res);
    else
        sync_names(file);
}

/* All the room it will ever need: a disk that is full later is no reason to lose what is there. */
static void make_room(struct sink_file *file)
{
    ring_allocate(file->sink.ring, next(file, room_made), file->journal.fd, JOURNAL_BYTES, true);
}

static void stray_synced(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);
    struct journal *content = &file->journal.content;

    if (res < 0) {
        give_up(file, res);
        return;
    }
    content->mentioned[0] = false;
    content->mentioned[1] = false;
    make_room(file);
}

static void stray_emptied(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res < 0)
        give_up(file, res);
    else
        ring_sync(file->sink.ring, next(file, stray_synced), file->journal.fd);
}

/* Of another process that was killed at its end, since prepare has looked. What it says would come
 * to be said of our data. */
static void stray_claimed(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res < 0) {
        file_place_less(file->directories, &file->place);
        give_up(file, res);
        return;
    }
    file->journal.fd = res;
    file->journal.content.mentioned[0] = true; /* for all we know */
    file->journal.content.mentioned[1] = true;
    ring_truncate(file->sink.ring, next(file, stray_emptied), res, 0);
}

static void journal_claimed(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);

    if (res == -EBUSY) {
        ring_claim(file->sink.ring, next(file, stray_claimed), file->directory->fd,
                   file->journal_name, RING_CLAIM_KEEP);
    } else if (res < 0) {
        file_place_less(file->directories, &file->place);
        give_up(file, res);
    } else {
        file->journal.fd = res;
        make_room(file);
    }
}

/* --- a commit -------------------------------------------------------------------------------- */

static void swap_copies(struct journal_copy *a, struct journal_copy *b)
{
    struct journal_copy copy = *a;

    *a = *b;
    *b = copy;
}

static void data_synced(struct op *op, int res)
{
    struct sink_file *file = file_of_op(op);
    struct file_journal *journal = &file->journal;

    if (res < 0) {
        file_set_trouble(file, res);
        end_commit(file);
        return;
    }
    swap_copies(&journal->content.copies[file->slot], &journal->syncing);
    if (journal->fd < 0) {
        ring_claim(file->sink.ring, next(file, journal_claimed), file->directory->fd,
                   file->journal_name, RING_CLAIM_NEW);
    } else if (!journal->named) {
        sync_names(file);
    } else {
        write_record(file);
    }
}

static void no_memory(struct op *op, int res)
{
    (void)res;
    give_up(file_of_op(op), -ENOMEM);
}

static void no_descriptor(struct op *op, int res)
{
    (void)res;
    end_commit(file_of_op(op));
}

static void commit(struct sink_file *file)
{
    struct file_journal *journal = &file->journal;
    const struct sink *sink = &file->sink;

    op_init(&journal->op, data_synced, &file->sink.ref);
    journal->state = JOURNAL_COMMITS;
    journal->began_ns = ring_now_ns(sink->ring);
    journal->dirty = false;
    if (!journal_set(&journal->syncing, &sink->stored, text_span(&sink->validator),
                     sink->have_total, sink->have_decided)) {
        ring_later(sink->ring, next(file, no_memory));
    } else if (journal->fd < 0 && !file->place.more &&
               !file_place_more(file->directories, &file->place, !journal->turned)) {
        journal->dirty = true; /* in another interval there may be one */
        ring_later(sink->ring, next(file, no_descriptor));
    } else {
#ifdef HAUL_PLANT_RECORD_FIRST /* in a test that shows that this is found out */
        ring_later(sink->ring, next(file, data_synced));
#else
        ring_sync(sink->ring, next(file, data_synced), file->fd);
#endif
    }
}

void file_journal_commit(struct sink_file *file, void (*then)(struct sink_file *file))
{
    CHECK(file->journal.state == JOURNAL_RESTS && !timer_runs(&file->journal.timer));
    file->journal.then = then;
    commit(file);
}

/* --- for the steps --------------------------------------------------------------------------- */

bool file_journal_wants(const struct sink_file *file)
{
    struct extents sound = {0};
    bool wants = is_keepable(file) && !file->journal.broken &&
                 journal_sound(&file->sink.stored, file->sink.have_total, UINT64_MAX, &sound) &&
                 extents_count(&sound) > 0;

    extents_free(&sound);
    return wants;
}

bool file_journal_rest(struct sink_file *file, void (*then)(struct sink_file *file))
{
    struct file_journal *journal = &file->journal;

    timer_stop(&journal->timer);
    switch (journal->state) {
    case JOURNAL_WAITS:
        list_remove(&journal->turn.node);
        journal->state = JOURNAL_RESTS;
        break;
    case JOURNAL_COMMITS:
        journal->then = then;
        return false;
    case JOURNAL_RESTS:
        break;
    }
    return true;
}

/* --- taking something out -------------------------------------------------------------------- */

/* Blocks before and behind the record that counts. */
static void clear_blocks(struct sink_file *file, unsigned from, unsigned to,
                         void (*done)(struct op *op, int res))
{
    static const char zeros[JOURNAL_BYTES];

    if (from < to)
        ring_write(file->sink.ring, file_step(file, done), file->journal.fd, RING_WRITE_CACHED,
                   zeros, (size_t)(to - from) * JOURNAL_BLOCK_BYTES,
                   (uint64_t)from * JOURNAL_BLOCK_BYTES);
    else
        ring_later(file->sink.ring, file_step(file, done));
}

static void end_freeing(struct sink_file *file, int res)
{
    file->journal.broken = file->journal.broken || res < 0;
    file->journal.freed(file, res);
}

static void all_synced(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res >= 0)
        file->journal.content.mentioned[file->slot] = false;
    end_freeing(file, res);
}

static void behind_cleared(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res < 0)
        end_freeing(file, res);
    else
        ring_sync(file->sink.ring, file_step(file, all_synced), file->journal.fd);
}

static void before_cleared(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);
    const struct journal *content = &file->journal.content;

    if (res < 0)
        end_freeing(file, res);
    else
        clear_blocks(file, content->block + content->blocks, content->used, behind_cleared);
}

static void rest_synced(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res < 0)
        end_freeing(file, res);
    else
        clear_blocks(file, 0, file->journal.content.block, before_cleared);
}

static void rest_written(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res < 0)
        end_freeing(file, res);
    else
        ring_sync(file->sink.ring, file_step(file, rest_synced), file->journal.fd);
}

static void rest_failed(struct op *op, int res)
{
    (void)res;
    end_freeing(sink_file_of_op(op), -ENOMEM);
}

void file_journal_free_slot(struct sink_file *file, void (*done)(struct sink_file *file, int res))
{
    struct file_journal *journal = &file->journal;
    uint64_t offset;

    CHECK(journal->state == JOURNAL_RESTS && journal->fd >= 0);
    journal->freed = done;
    journal_drop(&journal->content.copies[file->slot]);
    journal->content.newest = 1 - file->slot;
    if (journal_append(&journal->content, span_of(file->url), &journal->record, &offset))
        ring_write(file->sink.ring, file_step(file, rest_written), journal->fd, RING_WRITE_CACHED,
                   journal->record.data, journal->record.len, offset);
    else
        ring_later(file->sink.ring, file_step(file, rest_failed));
}

/* --- begin and end --------------------------------------------------------------------------- */

void file_journal_init(struct sink_file *file, uint64_t interval_ns)
{
    file->journal.fd = -1;
    file->journal.interval_ns = interval_ns;
    timer_init(&file->journal.timer, due);
    disk_turn_init(&file->journal.turn);
}

void file_journal_free(struct sink_file *file)
{
    struct file_journal *journal = &file->journal;
    uint64_t interval_ns = journal->interval_ns;

    CHECK(!op_busy(&journal->op) && journal->fd < 0);
    timer_stop(&journal->timer);
    list_remove(&journal->turn.node);
    journal_free(&journal->content);
    journal_drop(&journal->syncing);
    text_free(&journal->record);
    free(journal->read);
    file->journal = (struct file_journal){0};
    file_journal_init(file, interval_ns);
}
