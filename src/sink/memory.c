/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A body that is kept in memory, up to a bound. */
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "sink/sink.h"

struct sink_memory {
    struct sink sink;
    char *data;
    size_t capacity;
    uint64_t bytes_max;
};

static struct sink_memory *memory_of(struct sink *sink)
{
    return CONTAINER_OF(sink, struct sink_memory, sink);
}

static void memory_open(struct sink *sink, bool resume, const struct sink_version *version)
{
    if (sink_begin(sink, resume, version))
        sink_step_later(sink);
}

static bool reserve(struct sink_memory *memory, size_t end)
{
    size_t capacity = memory->capacity ? memory->capacity : 16 * 1024;
    char *data;

    if (end <= memory->capacity)
        return true;
    while (capacity < end)
        capacity *= 2;
    data = alloc_grow(memory->data, capacity, 1);
    if (!data)
        return false;
    memory->data = data;
    memory->capacity = capacity;
    return true;
}

static void write_done(struct op *op, int res)
{
    struct sink_write *write = CONTAINER_OF(op, struct sink_write, op);
    struct sink_memory *memory = memory_of(write->sink);
    struct haul_error error = {.status = HAUL_OK};
    uint64_t end = write->offset + write->len;

    (void)res;
    if (end > memory->bytes_max) {
        error_set(&error, HAUL_FAILED, 0, "the body is larger than the %llu bytes that are allowed",
                  (unsigned long long)memory->bytes_max);
    } else if (!reserve(memory, (size_t)end)) {
        error_set(&error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    } else {
        memcpy(memory->data + write->offset, write->data, write->len);
    }
    sink_write_end(write, &error);
}

static void memory_write(struct sink *sink, struct sink_write *write)
{
    op_init(&write->op, write_done, &sink->ref);
    ring_later(sink->ring, &write->op);
}

static void memory_abandon(struct sink *sink, bool keep)
{
    (void)keep;
    extents_clear(&sink->stored);
    sink_step_later(sink);
}

static void memory_destroy(struct sink *sink)
{
    free(memory_of(sink)->data);
    free(memory_of(sink));
}

static const struct sink_operations operations = {
    .prepare = sink_step_later,
    .open = memory_open,
    .write = memory_write,
    .publish = sink_step_later,
    .abandon = memory_abandon,
    .destroy = memory_destroy,
};

struct sink *sink_memory_create(struct ring *ring, uint64_t bytes_max)
{
    struct sink_memory *memory = alloc_zeroed(sizeof(*memory));

    if (!memory)
        return NULL;
    sink_init(&memory->sink, &operations, ring);
    memory->sink.sequential = true;
    memory->bytes_max = bytes_max;
    return &memory->sink;
}

char *sink_memory_take(struct sink *sink)
{
    struct sink_memory *memory = memory_of(sink);
    char *data = memory->data;

    memory->data = NULL;
    memory->capacity = 0;
    return data;
}
