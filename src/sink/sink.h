/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Where the bytes of a download end up, behind one small table of functions.
 *
 *     prepare --> open --> write, read ... --> publish, set_aside
 *        |         |         |                       |
 *        \---------+-------- abandon ----------------/ (when it failed)
 *
 * prepare comes before the request is sent, and finds what there is of the file already; open comes
 * after the response's head. Then writes, in any order and several at once, and what they have
 * stored can be read; open may be called again, with resume or without, when a download is tried
 * anew. publish, set_aside or abandon ends it; all only when no write or read is under way. One
 * step (any call but write and read) is under way at a time; its end is told by step_done, from the
 * loop. A publish or set_aside that fails is followed by abandon. Whatever a sink starts in the
 * kernel holds a reference on it.
 *
 * prepare and open may wait for other sinks to end. So whoever has a sink that waits may hold
 * nothing that those others need; and between two tries a sink that is `scarce` must be abandoned,
 * after which it can be prepared anew.
 */
#ifndef SINK_SINK_H
#define SINK_SINK_H

#include <stdbool.h>
#include <stdint.h>

#include "base/extents.h"
#include "base/log.h"
#include "base/span.h"
#include "base/status.h"
#include "base/text.h"
#include "ring/ring.h"
#include "sink/disk.h"

struct sink;

/* One write; stands in an object that stays until `done`. */
struct sink_write {
    void (*done)(struct sink_write *write, const struct haul_error *error);
    const char *data; /* stays valid until `done` */
    size_t len;
    uint64_t offset;
    struct sink *sink; /* private from here */
    struct op op;
    struct list node;
    struct disk_turn turn;
    size_t written;
    size_t part; /* of what is not written yet: under way */
    enum ring_write_way way;
};

/* One read of what is stored; stands in an object that stays until `done`. */
struct sink_read {
    void (*done)(struct sink_read *read, const struct haul_error *error);
    char *data; /* stays valid until `done` */
    size_t len;
    uint64_t offset;
    struct sink *sink; /* private from here */
    struct op op;
};

/* What makes sure that bytes fetched later belong to the same version of the resource. */
struct sink_version {
    struct span validator; /* strong ETag or Last-Modified (RFC 9110 13.1.5); empty: none */
    uint64_t total;        /* where the last byte is to be; UINT64_MAX: unknown */
    bool decided; /* a checksum of the whole will tell in the end: what is there may be kept, and
                     resumed, without a validator too */
};

struct sink_operations {
    /* Afterwards: stored, validator, have_total and have_decided tell what can be taken up. */
    void (*prepare)(struct sink *sink);
    /* resume: writes fill the holes of `stored`; else the sink begins from nothing, and what it has
     * is given up once the new one is complete. The version is copied. */
    void (*open)(struct sink *sink, bool resume, const struct sink_version *version);
    void (*write)(struct sink *sink, struct sink_write *write);
    /* NULL: what it has can't be read. */
    void (*read)(struct sink *sink, struct sink_read *read);
    /* The download is to stop: what may wait for somebody else, or for long, ends soon. NULL:
     * nothing does. */
    void (*hurry)(struct sink *sink);
    /* Whether it has what others wait for, or soon will. NULL: never. */
    bool (*scarce)(struct sink *sink);
    /* The file is to have another name than what prepare was told, because only now it is known;
     * after prepare. Afterwards `standing` and `known` are of that name. Its temporary names stay.
     * exact: the name tells what is in it, so what an older version is called is no good. NULL: it
     * has no name. */
    void (*rename)(struct sink *sink, struct span name, bool exact);
    /* What `standing` or `known` tell of is the download: ends it, with what else is there of it.
     * NULL: there never is any. */
    void (*leave)(struct sink *sink);
    /* All is there: make it the finished file, under a name that is still free. */
    void (*publish)(struct sink *sink);
    /* All is there, but it is not what it should be: it gets a name that says so. NULL: as abandon,
     * without keeping. */
    void (*set_aside)(struct sink *sink);
    /* Nothing becomes of it. keep: what is stored is kept for another run, if the version allows to
     * go on from it and the sink can; else it is removed. */
    void (*abandon)(struct sink *sink, bool keep);
    void (*destroy)(struct sink *sink); /* the last reference is gone */
};

struct sink {
    struct ref ref;
    const struct sink_operations *operations;
    struct ring *ring;
    /* status OK, or what failed. */
    void (*step_done)(void *context, const struct haul_error *error);
    void *context;
    struct op op;             /* of the step */
    struct haul_error answer; /* of a step that ends later */
    /* Results of open: what it is best written in. */
    unsigned writes_max; /* at once, 4 at most */
    size_t chunk_bytes_max;
    bool aligned;    /* such that memory and offset agree modulo RING_DIRECT_BYTES */
    bool sequential; /* each where the one before it ends, the first at the end of `stored` */
    /* What is there: found by prepare, emptied by open, and added to as writes end. */
    struct extents stored;
    /* Its version: as prepare has found it, or open was told. */
    struct text validator;
    uint64_t have_total;
    bool have_decided;
    /* Results of prepare. */
    bool foreign;    /* what there is was written by another program: no version is known */
    bool open_waits; /* open may wait for other sinks to end */
    bool standing;   /* there is a file of that name already, which is not to be touched */
    /* A finished file of this URL, which will be replaced if the server has another version. */
    bool known;
    uint64_t known_bytes;
    int64_t known_modified_s;
    struct text known_etag; /* empty: none is known */
    /* For publish: what the server says of the version that is stored. */
    bool has_modified;
    int64_t modified_s;
    struct text etag;
    bool kept;        /* result of abandon: there is something to take up */
    struct text name; /* of the file, as far as known: for people; who looks on from another thread
                         holds the lock on names */
    struct text path; /* result of publish and set_aside; empty where there is no file */
};

/* For implementations. */
void sink_init(struct sink *sink, const struct sink_operations *operations, struct ring *ring);
/* Ends the step from the loop: well, or with sink->answer. */
void sink_step_later(struct sink *sink);
void sink_step_fail_later(struct sink *sink);
void sink_step_end(struct sink *sink, const struct haul_error *error);
/* What open begins with: takes the version over, and empties `stored` unless it is resumed. False:
 * out of memory; the step is going to end with that. */
bool sink_begin(struct sink *sink, bool resume, const struct sink_version *version);
/* Ends the write. What was written well is stored from then on. */
void sink_write_end(struct sink_write *write, const struct haul_error *error);
/* For sinks whose writes must follow one another: the first in line is under way. */
struct sink_line {
    struct list writes;
};
bool sink_line_join(struct sink_line *line, struct sink_write *write); /* true: it is the first */
/* The first is over; the next is to be started, if there is one and all is well. */
struct sink_write *sink_line_leave(struct sink_line *line);
void sink_line_fail(struct sink_line *line, const struct haul_error *error); /* ends all */

/* For users: sets who is told, then calls the operation. */
void sink_set_user(struct sink *sink, void (*step_done)(void *context, const struct haul_error *),
                   void *context);
void sink_write(struct sink *sink, struct sink_write *write);
void sink_read(struct sink *sink, struct sink_read *read); /* only where the sink can */
/* Lets go. A step that is under way ends without being told; no write may be. */
void sink_release(struct sink *sink);

/* The kinds; NULL: out of memory. */
struct sink *sink_discard_create(struct ring *ring);
struct sink *sink_stream_create(struct ring *ring, int fd);
struct sink *sink_memory_create(struct ring *ring, uint64_t bytes_max);
/* The bytes, as many as were written; the caller's from now on, to be freed. NULL: none were. */
char *sink_memory_take(struct sink *sink);

struct directories;

/* HAUL_DIRECT_AUTO: files of at least MIN are written past the page cache once a burst of them has
 * gone into it, and files of at least SURE from the first. */
enum {
    SINK_DIRECT_BYTES_MIN = 8 * 1024 * 1024,
    SINK_DIRECT_BYTES_SURE = 128 * 1024 * 1024,
    SINK_CHUNK_BYTES = 256 * 1024,
    SINK_WRITES = 2
};

struct sink_file_options {
    const char *directory; /* where it goes */
    const char *out;       /* name, may hold directories; NULL: suggested */
    struct span suggested; /* one safe path component */
    struct span temporary; /* what temporary names begin with; empty: as the name does */
    const char *url;       /* what is kept for another run must be of the same */
    bool auto_renaming;    /* a name that is taken: name.1.ext, name.2.ext ... */
    bool proceed;          /* continue a file of that name, which another program left */
    bool overwrite;        /* the finished file replaces what has its name */
    bool no_clobber;       /* what has its name is the download, whatever it is */
    bool fresh;            /* finished files say what they are, and are found again by that */
    bool special;          /* not all that the URL stands for: a file that says nothing is not it */
    bool remote_time;      /* they get the time of their last change on the server */
    bool check;            /* take such a file up to be read: it may be all that is wanted */
    enum haul_direct direct;
    enum haul_allocation allocation;
    uint64_t save_interval_ms; /* between two records of what is durable; 0: only at the end */
    bool durable;              /* publish syncs the file, and its name */
    const struct log *log;     /* borrowed; NULL: none */
};

struct sink *sink_file_create(struct directories *directories,
                              const struct sink_file_options *options);

#endif
