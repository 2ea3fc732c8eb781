/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One coding of a chain, as coding.c sees it: streams of one format, one after the other. What is
 * the same for all formats is here; what a library has to do with, behind struct stage_operations.
 */
#ifndef CODING_STAGE_H
#define CODING_STAGE_H

#include "base/check.h"
#include "coding/coding.h"

enum { STAGE_MARK_BYTES_MAX = 4 };

/* Whether a stream of the format begins so. */
enum stage_mark { STAGE_MARK_NO, STAGE_MARK_MORE, STAGE_MARK_YES };

enum stage_answer {
    STAGE_MOVED, /* as far as input and room went */
    STAGE_ENDED, /* the stream is whole */
    STAGE_BAD,   /* it is broken */
    STAGE_NO_MEMORY
};

struct stage;

struct stage_operations {
    const char *name;
    bool repeats; /* another stream may follow */
    enum stage_mark (*mark)(const unsigned char *bytes, size_t len);
    /* Gets ready for a stream that begins with these, which will be its first input. */
    bool (*begin)(struct stage *stage, const unsigned char *bytes, size_t len);
    /* Cuts what it takes off *in. */
    enum stage_answer (*run)(struct stage *stage, struct span *in, char *out, size_t room,
                             size_t *made);
    void (*free)(struct stage *stage);
};

enum stage_state {
    STAGE_AT_MARK, /* before a stream */
    STAGE_IN_STREAM,
    STAGE_BEHIND /* no further stream follows */
};

struct stage {
    const struct stage_operations *operations;
    void *library; /* the format's own; NULL: none yet */
    enum stage_state state;
    unsigned char mark[STAGE_MARK_BYTES_MAX];
    size_t mark_len;
    size_t mark_used; /* of it, by the library */
    uint64_t streams; /* that are whole */
    uint64_t garbage_bytes;
    uint64_t made_bytes;
    bool full; /* all the room was used: more may be waiting in the library */
};

extern const struct stage_operations stage_gzip;
extern const struct stage_operations stage_deflate;
extern const struct stage_operations stage_br;
extern const struct stage_operations stage_zstd;

/* False: *error. */
bool stage_run(struct stage *stage, struct span *in, char *out, size_t room, size_t *made,
               struct haul_error *error);
/* Whether it may end here. */
bool stage_is_whole(const struct stage *stage);

#endif
