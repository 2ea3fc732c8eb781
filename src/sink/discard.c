/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes that are counted and thrown away. */
#include <stdlib.h>

#include "base/alloc.h"
#include "sink/sink.h"

static void write_done(struct op *op, int res)
{
    struct haul_error fine = {.status = HAUL_OK};

    (void)res;
    sink_write_end(CONTAINER_OF(op, struct sink_write, op), &fine);
}

/* What is thrown away can be gone on with at any place. */
static void discard_open(struct sink *sink, bool resume, const struct sink_version *version)
{
    if (sink_begin(sink, resume, version))
        sink_step_later(sink);
}

static void discard_write(struct sink *sink, struct sink_write *write)
{
    op_init(&write->op, write_done, &sink->ref);
    ring_later(sink->ring, &write->op);
}

static void discard_abandon(struct sink *sink, bool keep)
{
    (void)keep;
    sink_step_later(sink);
}

static void discard_destroy(struct sink *sink)
{
    free(sink);
}

static const struct sink_operations operations = {
    .prepare = sink_step_later,
    .open = discard_open,
    .write = discard_write,
    .publish = sink_step_later,
    .abandon = discard_abandon,
    .destroy = discard_destroy,
};

struct sink *sink_discard_create(struct ring *ring)
{
    struct sink *sink = alloc_zeroed(sizeof(*sink));

    if (sink)
        sink_init(sink, &operations, ring);
    return sink;
}
