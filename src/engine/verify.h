/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a transfer's content must hash to: the user's checksum, the server's digest, or both. Hashes
 * beside the transfer, on helper threads, from the beginning of the file to its end: a chunk that
 * comes when it is its turn from memory, while it is written; all others once they are stored and
 * it is their turn, read back from the sink. Nothing is hashed twice, and what comes in order is
 * never read.
 *
 *     verify_create --> verify_want --> verify_chunk, verify_stored ... --> verify_finish
 *                            ^                        |
 *                            +---- verify_reset <-- verify_stop ----> verify_release
 *
 * There is none for a transfer that nothing is wanted of: functions that take NULL do nothing then.
 * In the thread of the transfer's worker; `done`s come from the loop, never from within a call.
 */
#ifndef ENGINE_VERIFY_H
#define ENGINE_VERIFY_H

#include "crypto/hash.h"
#include "ring/ring.h"
#include "sink/sink.h"

enum {
    VERIFY_READS_MAX = 4, /* at once, in one room */
    VERIFY_READ_BYTES = 512 * 1024,
    VERIFY_GAP_BYTES_MAX = 2 * 1024 * 1024, /* see verify_chunk() */
    VERIFY_AT_ONCE_BYTES = 32 * 1024        /* not worth the way to a helper */
};

/* What those of one worker share: the buffers for what is read back. */
struct verify_room {
    struct ring *ring;
    struct list waiting;             /* for a buffer */
    char *buffers[VERIFY_READS_MAX]; /* unused ones */
    unsigned buffer_count;
    unsigned taken;
};

void verify_room_init(struct verify_room *room, struct ring *ring);
void verify_room_free(struct verify_room *room); /* nobody may be in it */

/* A part of the content in memory. Stands, as do its bytes, until `done`. */
struct verify_piece {
    void (*done)(struct verify_piece *piece);
    struct list node; /* private from here */
    const char *data;
    size_t len;
    uint64_t offset;
};

struct verify; /* opaque */

/* The room and the sink stay until it is released. NULL: out of memory. */
struct verify *verify_create(struct verify_room *room, struct sink *sink);
void verify_release(struct verify *verify); /* idle, or NULL */
/* Whether something is under way, of which a `done` has not come. NULL: nothing is. */
bool verify_busy(const struct verify *verify);

enum verify_source { VERIFY_USER, VERIFY_SERVER };

enum verify_answer {
    VERIFY_TAKEN,   /* it will be compared in the end */
    VERIFY_IGNORED, /* it comes too late, or is of another type than what the server said before */
    VERIFY_CHANGED, /* the server has said otherwise before: of another version */
    VERIFY_REFUTED  /* what the server has is not what the user's checksum asks for */
};

/* As soon as it is known: before the first chunk, types are free. */
enum verify_answer verify_want(struct verify *verify, enum verify_source source,
                               const struct digest *digest);
bool verify_wants(const struct verify *verify); /* NULL: false */
/* Its SHA-256 is to be told, whatever else is wanted; as early as that. */
void verify_want_sha256(struct verify *verify);
/* After verify_finish() was done well. False: it was not asked for early enough. */
bool verify_sha256(const struct verify *verify, struct digest *digest);

/*
 * A chunk that is about to be written. True: it is hashed from memory, and piece->done follows.
 * False: nothing follows (it is hashed already if it was short, or will be read back).
 *
 * It is taken when nothing stands before it but what has been taken, or up to VERIFY_GAP_BYTES_MAX
 * that are stored or being written. So a write that fails ends with verify_stop().
 */
bool verify_chunk(struct verify *verify, struct verify_piece *piece, uint64_t offset,
                  const char *data, size_t len);
/* More is stored: maybe it is its turn. NULL is allowed. */
void verify_stored(struct verify *verify);

typedef void verify_done(void *context, const struct haul_error *error);

/*
 * All `bytes` are stored, and nothing will be written any more: hashes the rest and compares. Also
 * for a file that was there before, of which nothing was offered. OK; HAUL_CHECKSUM: it is not what
 * was wanted; or what kept it from being told. Then it may all begin again, with what is wanted.
 */
void verify_finish(struct verify *verify, uint64_t bytes, verify_done *done, void *context);
/* Hands back what it has of chunks, and is done (OK) when nothing is under way. What has been
 * hashed counts; it may go on from there, or be asked to finish even before this is done. To stop
 * gives up to finish: the done of that does not come. */
void verify_stop(struct verify *verify, verify_done *done, void *context);
/* The sink begins from nothing, maybe with another version: the server's digest is forgotten. Only
 * if idle; NULL is allowed. */
void verify_reset(struct verify *verify);

#endif
