/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file sink, as its two halves see it: file.c, which is about names, and file_write.c. */
#ifndef SINK_INTERNAL_H
#define SINK_INTERNAL_H

#include "base/check.h"
#include "sink/directory.h"
#include "sink/sink.h"

enum { ATTRIBUTE_BYTES_MAX = 3072 };

struct sink_file {
    struct sink sink;
    struct directories *directories;
    struct directory_wait wait;
    struct directory *directory; /* NULL until prepare has it */
    char *directory_path;
    char *url;
    bool auto_renaming;
    bool proceed;
    struct text wanted;  /* the name asked for; sink.name is what it will be, with a number */
    unsigned number;     /* of sink.name */
    struct text partial; /* the temporary name */
    /* In directory->place, so that no other download of this engine uses them. */
    struct map_node name_claim;
    struct map_node partial_claim;
    bool name_claimed;
    bool partial_claimed;
    struct file_place place;
    struct claim { /* under way, or waiting for the place */
        const char *name;
        enum ring_claim how;
        void (*done)(struct sink_file *file, int res); /* res >= 0: fd is set */
    } claim;
    int fd; /* -1: not open */
    enum haul_direct direct;
    enum haul_allocation allocation;
    bool wants_direct;        /* asked for or chosen, whether it can be or not */
    int direct_fd;            /* the same file, to be written past the page cache; -1: it is not */
    enum ring_write_way way;  /* CACHED, UNCACHED or DIRECT; what does not work falls back */
    bool reused;              /* the temporary file had bytes, of a try or a run before */
    bool adopted;             /* fd is another program's file, under its own name */
    struct text adopted_name; /* that name, once sink.name is another */
    bool marked;              /* the temporary file has the attribute, true or not */
    bool described;           /* the same, and what it says is believed */
    struct sink_line line;    /* adopted */
    struct ring_facts facts;
    struct text attribute;
    char attribute_read[ATTRIBUTE_BYTES_MAX];
};

static inline struct sink_file *sink_file_of(struct sink *sink)
{
    return CONTAINER_OF(sink, struct sink_file, sink);
}

static inline struct sink_file *sink_file_of_op(struct op *op)
{
    return sink_file_of(CONTAINER_OF(op, struct sink, op));
}

/* The sink's op, for the next part of the step. */
static inline struct op *file_step(struct sink_file *file, void (*done)(struct op *op, int res))
{
    file->sink.op.done = done;
    return &file->sink.op;
}

static inline const char *file_name_of(const struct sink_file *file)
{
    return file->sink.name.data;
}

/* Ends the step; res, as the ring gives it, may turn the status into HAUL_DISK_FULL. */
__attribute__((format(printf, 4, 5))) void
file_fail(struct sink_file *file, enum haul_status status, int res, const char *format, ...);

/* The last part of open, once there is an empty or cut file: makes the room for it that the options
 * ask for, and chooses how it is written. Ends the step. */
void file_lay_out(struct sink_file *file);
void file_close_direct(struct sink_file *file);
void file_write(struct sink *sink, struct sink_write *write);
void file_read(struct sink *sink, struct sink_read *read);

#endif
