/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What all sinks share. */
#include "sink/sink.h"

static const struct haul_error fine = {.status = HAUL_OK};

static void sink_last(struct ref *ref)
{
    struct sink *sink = CONTAINER_OF(ref, struct sink, ref);

    extents_free(&sink->stored);
    text_free(&sink->validator);
    text_free(&sink->known_etag);
    text_free(&sink->etag);
    text_free(&sink->name);
    text_free(&sink->path);
    sink->operations->destroy(sink);
}

static void step_later_done(struct op *op, int res)
{
    struct sink *sink = CONTAINER_OF(op, struct sink, op);

    (void)res;
    sink_step_end(sink, &sink->answer);
}

void sink_init(struct sink *sink, const struct sink_operations *operations, struct ring *ring)
{
    *sink = (struct sink){.operations = operations,
                          .ring = ring,
                          .writes_max = SINK_WRITES,
                          .chunk_bytes_max = SINK_CHUNK_BYTES,
                          .have_total = UINT64_MAX};
    ref_init(&sink->ref, sink_last);
    op_init(&sink->op, step_later_done, &sink->ref);
}

void sink_step_later(struct sink *sink)
{
    sink->answer = fine;
    sink_step_fail_later(sink);
}

void sink_step_fail_later(struct sink *sink)
{
    sink->op.done = step_later_done;
    ring_later(sink->ring, &sink->op);
}

void sink_step_end(struct sink *sink, const struct haul_error *error)
{
    if (sink->step_done)
        sink->step_done(sink->context, error);
}

static bool set_version(struct sink *sink, const struct sink_version *version)
{
    struct text validator = {0}; /* the old one may be what the new one is made of */

    sink->have_total = version->total;
    sink->have_decided = version->decided;
    if (span_equal(version->validator, text_span(&sink->validator)))
        return true;
    text_add(&validator, version->validator);
    text_free(&sink->validator);
    sink->validator = validator;
    return !validator.failed;
}

bool sink_begin(struct sink *sink, bool resume, const struct sink_version *version)
{
    if (!resume)
        extents_clear(&sink->stored);
    if (set_version(sink, version))
        return true;
    error_set(&sink->answer, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    sink_step_fail_later(sink);
    return false;
}

void sink_write_end(struct sink_write *write, const struct haul_error *error)
{
    struct haul_error no_memory;

    if (error->status == HAUL_OK &&
        !extents_add(&write->sink->stored, write->offset, write->offset + write->len)) {
        error_set(&no_memory, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        error = &no_memory;
    }
    write->done(write, error);
}

bool sink_line_join(struct sink_line *line, struct sink_write *write)
{
    bool first = !list_is_linked(&line->writes);

    list_init(&write->node);
    list_push_back(&line->writes, &write->node);
    return first;
}

struct sink_write *sink_line_leave(struct sink_line *line)
{
    list_pop_front(&line->writes);
    return list_is_linked(&line->writes) ? LIST_ITEM(line->writes.next, struct sink_write, node)
                                         : NULL;
}

void sink_line_fail(struct sink_line *line, const struct haul_error *error)
{
    struct list waiting;
    struct list *node;

    list_init(&waiting);
    list_move_all(&line->writes, &waiting); /* what their ends may start is another matter */
    while ((node = list_pop_front(&waiting)))
        sink_write_end(LIST_ITEM(node, struct sink_write, node), error);
}

void sink_set_user(struct sink *sink, void (*step_done)(void *context, const struct haul_error *),
                   void *context)
{
    sink->step_done = step_done;
    sink->context = context;
}

void sink_write(struct sink *sink, struct sink_write *write)
{
    write->sink = sink;
    sink->operations->write(sink, write);
}

void sink_read(struct sink *sink, struct sink_read *read)
{
    CHECK(extents_has(&sink->stored, read->offset, read->offset + read->len));
    read->sink = sink;
    sink->operations->read(sink, read);
}

void sink_release(struct sink *sink)
{
    sink->step_done = NULL;
    ref_drop(&sink->ref);
}
