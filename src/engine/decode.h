/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A body that comes packed (Content-Encoding), on its way from the exchange to the sink: chunks of
 * what was sent go in, chunks of what was in it come out. In the loop's thread, a piece a turn, so
 * that whoever sends much in little holds nobody up.
 *
 *     decode_create --> decode_add ... decode_end --> user.ended --> decode_release
 *                            |                            ^
 *                            \---- decode_stop, or trouble
 *
 * What comes out lies in chunks of a pool of its own, without a firm bound: who waits for one kind
 * of chunk never holds what those need who wait for the other. Each body lends a few at most, and
 * keeps what it is given until then: so the exchange has lent all that it may, and receives no
 * more.
 *
 * What is asked for, and what is made of what comes:
 *
 * - With options.accept_codings every request asks for what can be unpacked, but one for a part,
 *   for the head alone, or whose digest is required: of these the server's own bytes are wanted.
 * - A file whose name ends as those of packed files do (.gz, .tgz, .zst ...) is asked for as it is.
 *   Many servers say gzip of it all the same: it is stored as it is, for the name says so too. The
 *   same if its Content-Type is that of a packed file (application/gzip and the like).
 * - What comes in a coding that was not asked for is stored as it was sent; of one that was asked
 *   for otherwise, an unknown coding is an error, as it is for curl.
 */
#ifndef ENGINE_DECODE_H
#define ENGINE_DECODE_H

#include "coding/coding.h"
#include "crypto/hash.h"
#include "http/response.h"
#include "ring/buffers.h"
#include "ring/ring.h"

/* A body may unpack to so much: as a whole, and, once it is large, for each byte that was sent.
 * gzip and deflate reach 1030:1 with nothing but zeros; texts, logs and tables rarely 100:1. */
#define DECODE_BYTES_MAX (UINT64_C(1) << 40)
enum { DECODE_FREE_BYTES = 32 * 1024 * 1024, DECODE_RATIO_MAX = 500 };

struct leg;

/* Whether the leg's next request asks for codings. */
bool decode_may_ask(const struct leg *leg, bool ranged);
/* What is to be taken off a body that was asked for so; maybe nothing. False: *error. */
bool decode_find(struct leg *leg, const struct response *response, struct coding_list *list,
                 struct haul_error *error);

struct decode_user {
    /* chunk->len bytes, which stand at `offset` of the content; to be given back by decode_give(),
     * after the end too. */
    void (*made)(void *context, struct chunk *chunk, uint64_t offset);
    /* A chunk of decode_add() is not needed any more. */
    void (*taken)(void *context, struct chunk *chunk);
    /* All is out, or what is wrong. Once; but for `taken` in decode_stop(), nothing follows. */
    void (*ended)(void *context, const struct haul_error *error);
};

struct decode_setup {
    struct ring *ring;
    struct buffers *buffers; /* the pool */
    const struct decode_user *user;
    void *context;
    const struct coding_list *codings;
    const struct digest *announced; /* of the body, by the server; NULL: none */
    unsigned lent_max;
    bool eager; /* the user wants bytes as they come, not by the chunk */
};

struct decode; /* opaque */

/* NULL: out of memory. */
struct decode *decode_create(const struct decode_setup *setup);
/* `len` bytes at chunk->data + from. Kept until user.taken. */
void decode_add(struct decode *decode, struct chunk *chunk, size_t from, size_t len);
/* Nothing will be added any more: user.ended follows, maybe at once. */
void decode_end(struct decode *decode);
void decode_give(struct decode *decode, struct chunk *chunk);
/* Gives up: gives back by user.taken what it has. Allowed at any time. */
void decode_stop(struct decode *decode);
/* A stopped one, of which all chunks are back. */
void decode_release(struct decode *decode);
/* It has ended well, and is what the server has announced. */
bool decode_is_verified(const struct decode *decode);
/* So much was passed over behind the end. */
uint64_t decode_garbage_bytes(const struct decode *decode);

#endif
