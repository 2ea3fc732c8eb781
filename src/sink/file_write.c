/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How a file is written: into the page cache or past it, with room made ahead or not. What the file
 * system or the kernel turns out not to be able to is done in the next best way:
 *
 *     DIRECT --> UNCACHED --> CACHED
 *
 * A write goes in parts: past the page cache only whole blocks can go, from memory that is aligned
 * as they are.
 */
#include <errno.h>

#include "ring/buffers.h"
#include "sink/internal.h"

enum { DIRECT_WRITES_MAX = 4 };

static const struct haul_error fine = {.status = HAUL_OK};

/* --- how it will be written ------------------------------------------------------------------ */

static bool is_known(const struct sink_file *file)
{
    return file->sink.have_total != UINT64_MAX;
}

static bool is_large(const struct sink_file *file)
{
    return is_known(file) && file->sink.have_total >= SINK_DIRECT_BYTES_MIN;
}

/* Once for each open: it may spend. */
static bool wants_direct(struct sink_file *file)
{
    switch (file->direct) {
    case HAUL_DIRECT_AUTO:
        break;
    case HAUL_DIRECT_ALWAYS:
        return is_known(file);
    case HAUL_DIRECT_NEVER:
        return false;
    }
    return is_large(file) &&
           (file->sink.have_total >= SINK_DIRECT_BYTES_SURE ||
            !disk_spend(directories_disk(file->directories), file->sink.have_total, DISK_FILE));
}

static enum haul_allocation allocation_of(const struct sink_file *file)
{
    if (!is_known(file) || file->sink.have_total == 0)
        return HAUL_ALLOCATION_NONE;
    if (file->allocation == HAUL_ALLOCATION_AUTO)
        return (file->direct == HAUL_DIRECT_AUTO && is_large(file)) || file->wants_direct
                   ? HAUL_ALLOCATION_FALLOC
                   : HAUL_ALLOCATION_NONE;
    return file->allocation;
}

static void begin_writing(struct sink_file *file, enum ring_write_way way)
{
    file->way = way;
    file->sink.aligned = way == RING_WRITE_DIRECT;
    file->sink.writes_max = way == RING_WRITE_DIRECT ? DIRECT_WRITES_MAX : SINK_WRITES;
    file->sink.chunk_bytes_max = way == RING_WRITE_DIRECT ? CHUNK_BYTES_MAX : SINK_CHUNK_BYTES;
    sink_step_end(&file->sink, &fine);
}

/* The next best for what is not to fill the page cache. */
static enum ring_write_way buffered_way(const struct sink_file *file)
{
    return file->wants_direct && is_large(file) ? RING_WRITE_UNCACHED : RING_WRITE_CACHED;
}

static void direct_opened(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res >= 0)
        file->direct_fd = res;
    begin_writing(file, res < 0 ? buffered_way(file) : RING_WRITE_DIRECT);
}

static void choose_way(struct sink_file *file, bool blocks)
{
    /* Without blocks laid out, each direct write would have to get some: that is slow. */
    if (file->wants_direct && (blocks || file->direct == HAUL_DIRECT_ALWAYS))
        ring_open_direct(file->sink.ring, file_step(file, direct_opened), file->fd,
                         file->direct == HAUL_DIRECT_ALWAYS);
    else
        begin_writing(file, buffered_way(file));
}

static void laid_out(struct op *op, int res)
{
    struct sink_file *file = sink_file_of_op(op);

    if (res < 0 && res != -EOPNOTSUPP)
        file_fail(file, HAUL_FILE_IO, res, "can't get the room for the %llu bytes of %s",
                  (unsigned long long)file->sink.have_total, file_name_of(file));
    else
        choose_way(file, res == 0 && allocation_of(file) != HAUL_ALLOCATION_TRUNC);
}

int file_close_direct(struct sink_file *file)
{
    int res = file->direct_fd >= 0 ? ring_close(file->sink.ring, file->direct_fd) : 0;

    file->direct_fd = -1;
    file->way = RING_WRITE_CACHED;
    return res;
}

void file_lay_out(struct sink_file *file)
{
    struct ring *ring = file->sink.ring;
    struct op *op = file_step(file, laid_out);
    int res;

    res = file_close_direct(file); /* of a try before */
    if (res < 0) {
        file_set_trouble(file, res);
        sink_step_end(&file->sink, &file->trouble);
        return;
    }
    file->wants_direct = wants_direct(file);
    file->laid_out = allocation_of(file) != HAUL_ALLOCATION_NONE;
    switch (allocation_of(file)) {
    case HAUL_ALLOCATION_AUTO:
    case HAUL_ALLOCATION_NONE:
        choose_way(file, false);
        break;
    case HAUL_ALLOCATION_TRUNC:
        ring_truncate(ring, op, file->fd, file->sink.have_total);
        break;
    case HAUL_ALLOCATION_FALLOC:
        ring_allocate(ring, op, file->fd, file->sink.have_total, false);
        break;
    case HAUL_ALLOCATION_PREALLOC:
        ring_allocate(ring, op, file->fd, file->sink.have_total, true);
        break;
    }
}

/* --- write ----------------------------------------------------------------------------------- */

static void write_part(struct sink_file *file, struct sink_write *write);

/* What the kernel or the file system turns out not to know is done in the next best way. */
static bool falls_back(struct sink_file *file, const struct sink_write *write, int res)
{
    if (res != -EOPNOTSUPP && res != -EINVAL)
        return false;
    if (write->way == RING_WRITE_DIRECT) {
        file->way = buffered_way(file);
        return true;
    }
    if (write->way == RING_WRITE_UNCACHED) {
        file->way = RING_WRITE_CACHED;
        return true;
    }
    return false;
}

static void write_ended(struct sink_file *file, struct sink_write *write, int res)
{
    struct sink_write *next = file->adopted ? sink_line_leave(&file->line) : NULL;
    struct haul_error error = fine;

    if (res < 0)
        file_error(&error, HAUL_FILE_IO, res, "can't write to %s", file_data_name(file));
    if (next && res >= 0)
        write_part(file, next);
    if (res >= 0)
        file_journal_note(file);
    sink_write_end(write, &error);
    if (next && res < 0)
        sink_line_fail(&file->line, &error); /* no holes */
}

/* Those whose turn it is now, of whichever file. */
static void go_on(struct disk *disk)
{
    struct disk_turn *turn;

    while ((turn = disk_next(disk))) {
        struct sink_write *write = CONTAINER_OF(turn, struct sink_write, turn);

        write_part(sink_file_of(write->sink), write);
    }
}

static void part_done(struct op *op, int res)
{
    struct sink_write *write = CONTAINER_OF(op, struct sink_write, op);
    struct sink_file *file = sink_file_of(write->sink);

    if (write->way == RING_WRITE_DIRECT)
        disk_end(directories_disk(file->directories), &write->turn);
    if (res >= 0)
        write->written += write->part;
    if (falls_back(file, write, res) || (res >= 0 && write->written < write->len))
        write_part(file, write);
    else
        write_ended(file, write, res);
    go_on(directories_disk(file->directories));
}

/* The way for what comes next, and how much of it. Direct: only whole blocks, from memory that is
 * aligned as they are; the ends of a body go through the page cache. */
static enum ring_write_way cut_part(const struct sink_file *file, struct sink_write *write)
{
    uint64_t offset = write->offset + write->written;
    size_t before = (size_t)(-offset % RING_DIRECT_BYTES);
    size_t left = write->len - write->written;
    size_t whole = left - left % RING_DIRECT_BYTES;

    write->part = left;
    if (file->way != RING_WRITE_DIRECT)
        return file->way;
    if (((uintptr_t)(write->data + write->written) - offset) % RING_DIRECT_BYTES != 0)
        return RING_WRITE_CACHED;
    if (before > 0)
        write->part = before < left ? before : left;
    else if (whole > 0)
        write->part = whole;
    return before > 0 || whole == 0 ? RING_WRITE_CACHED : RING_WRITE_DIRECT;
}

static void write_part(struct sink_file *file, struct sink_write *write)
{
    struct disk *disk = directories_disk(file->directories);

    write->way = cut_part(file, write);
    write->turn.bytes = write->part;
    if (write->way == RING_WRITE_DIRECT && !disk_begin(disk, &write->turn)) {
        if (file->direct != HAUL_DIRECT_AUTO || !disk_spend(disk, write->part, DISK_PIECE)) {
            disk_wait(disk, &write->turn);
            return;
        }
        write->way = RING_WRITE_CACHED;
    }
    ring_write(file->sink.ring, &write->op,
               write->way == RING_WRITE_DIRECT ? file->direct_fd : file->fd, write->way,
               write->data + write->written, write->part, write->offset + write->written);
}

static void write_refused(struct op *op, int res)
{
    struct sink_write *write = CONTAINER_OF(op, struct sink_write, op);

    (void)res;
    sink_write_end(write, &sink_file_of(write->sink)->trouble);
}

void file_write(struct sink *sink, struct sink_write *write)
{
    struct sink_file *file = sink_file_of(sink);

    if (file->trouble.status != HAUL_OK) {
        op_init(&write->op, write_refused, &file->sink.ref);
        ring_later(sink->ring, &write->op);
        return;
    }
    op_init(&write->op, part_done, &file->sink.ref);
    disk_turn_init(&write->turn);
    write->written = 0;
    if (!file->adopted || sink_line_join(&file->line, write))
        write_part(file, write);
}

/* --- read ------------------------------------------------------------------------------------ */

static void read_done(struct op *op, int res)
{
    struct sink_read *read = CONTAINER_OF(op, struct sink_read, op);
    struct sink_file *file = sink_file_of(read->sink);
    struct haul_error error = fine;

    if (res < 0)
        error_set(&error, HAUL_FILE_IO, -res, "can't read what there is of %s", file_name_of(file));
    else if ((size_t)res < read->len)
        error_set(&error, HAUL_FILE_IO, 0, "something else has cut off what there is of %s",
                  file_name_of(file));
    read->done(read, &error);
}

void file_read(struct sink *sink, struct sink_read *read)
{
    op_init(&read->op, read_done, &sink->ref);
    ring_read(sink->ring, &read->op, sink_file_of(sink)->fd, read->data, read->len, read->offset);
}
