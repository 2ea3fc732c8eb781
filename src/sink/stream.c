/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An open descriptor (standard output, a pipe) that takes bytes in order. Writes queue up behind
 * each other. What was written can't be taken back: a download that has to begin anew after its
 * first byte fails, but one that can go on where it stopped goes on.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "sink/sink.h"

struct sink_stream {
    struct sink sink;
    int fd;
    uint64_t written;
    struct sink_line line;
    bool hurried; /* until the next open: nothing more is written */
};

static void start_write(struct sink_stream *stream, struct sink_write *write);

static struct sink_stream *stream_of(struct sink *sink)
{
    return CONTAINER_OF(sink, struct sink_stream, sink);
}

static void write_done(struct op *op, int res)
{
    struct sink_write *write = CONTAINER_OF(op, struct sink_write, op);
    struct sink_stream *stream = stream_of(write->sink);
    struct sink_write *next = sink_line_leave(&stream->line);
    struct haul_error error = {.status = HAUL_OK};
    bool go_on = res >= 0 && !stream->hurried;

    if (res < 0)
        error_set(&error, HAUL_FILE_IO, -res, "can't write to the output");
    else
        stream->written += (uint64_t)res;
    if (next && go_on)
        start_write(stream, next);
    sink_write_end(write, &error);
    if (!next || go_on)
        return;
    /* In order, or not at all. */
    if (error.status == HAUL_OK)
        error_set(&error, HAUL_UNFINISHED, 0, "stopped");
    sink_line_fail(&stream->line, &error);
}

static void start_write(struct sink_stream *stream, struct sink_write *write)
{
    op_init(&write->op, write_done, &stream->sink.ref);
    ring_write_stream(stream->sink.ring, &write->op, stream->fd, write->data, write->len);
}

static void stream_write(struct sink *sink, struct sink_write *write)
{
    struct sink_stream *stream = stream_of(sink);

    if (sink_line_join(&stream->line, write))
        start_write(stream, write);
}

static void stream_open(struct sink *sink, bool resume, const struct sink_version *version)
{
    stream_of(sink)->hurried = false;
    if (stream_of(sink)->written == (resume ? extents_prefix(&sink->stored) : 0)) {
        if (sink_begin(sink, resume, version))
            sink_step_later(sink);
        return;
    }
    error_set(&sink->answer, HAUL_CANNOT_RESUME, 0,
              "part of it has gone to the output already, and the server can't continue there");
    sink_step_fail_later(sink);
}

static void stream_hurry(struct sink *sink)
{
    struct sink_stream *stream = stream_of(sink);

    stream->hurried = true;
    if (list_is_linked(&stream->line.writes))
        ring_cancel(sink->ring, &LIST_ITEM(stream->line.writes.next, struct sink_write, node)->op);
}

static void stream_abandon(struct sink *sink, bool keep)
{
    (void)keep;
    sink_step_later(sink);
}

static void stream_destroy(struct sink *sink)
{
    free(stream_of(sink));
}

static const struct sink_operations operations = {
    .prepare = sink_step_later,
    .open = stream_open,
    .write = stream_write,
    .hurry = stream_hurry,
    .publish = sink_step_later,
    .abandon = stream_abandon,
    .destroy = stream_destroy,
};

struct sink *sink_stream_create(struct ring *ring, int fd)
{
    struct sink_stream *stream = alloc_zeroed(sizeof(*stream));

    if (!stream)
        return NULL;
    sink_init(&stream->sink, &operations, ring);
    stream->sink.sequential = true;
    list_init(&stream->line.writes);
    stream->fd = fd;
    return &stream->sink;
}
