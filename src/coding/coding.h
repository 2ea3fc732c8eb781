/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a server has packed a body in (Content-Encoding, RFC 9110 8.4), taken off again as it comes:
 * gzip, deflate, br, zstd, and a few of them one over the other. Pure: bytes in, bytes out; never
 * more than a bounded amount of work and memory, whatever comes in.
 *
 * - gzip (RFC 1952) of several members is all of them. deflate is the zlib format (RFC 1950), as
 *   the standard has it, or bare deflate (RFC 1951), as some servers send it. zstd (RFC 8878) may
 *   have several frames, and a window of 8 MiB at most (RFC 9659); br (RFC 7932) has 16 MiB.
 * - What stands behind the end and is none of it is passed over, as gzip(1) and browsers do, up to
 *   CODING_GARBAGE_BYTES_MAX.
 * - A body of no bytes at all is empty, whatever it is said to be packed in.
 * - A body that grows beyond all measure is an error: see struct coding_bounds.
 *
 * Memory of one: gzip and deflate take about 40 KiB each, br and zstd as much as the sender has
 * chosen for its window, up to 16.5 and 8.5 MiB; 16 KiB more between two.
 */
#ifndef CODING_CODING_H
#define CODING_CODING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"

enum {
    CODING_CHAIN_MAX = 4,
    CODING_GARBAGE_BYTES_MAX = 64 * 1024,
    /* What is read and written in one step, between two codings as well, is not much more. */
    CODING_STEP_BYTES_MAX = 256 * 1024
};

enum coding_kind { CODING_GZIP, CODING_DEFLATE, CODING_BR, CODING_ZSTD };

/* In the order in which they were put on: the last is to be taken off first. */
struct coding_list {
    enum coding_kind kinds[CODING_CHAIN_MAX];
    unsigned count; /* 0: nothing is to be taken off */
};

/* Adds a value of Content-Encoding to the list; "identity" and "none" are nothing. False: *unknown
 * is the one that is not known, or one too many. */
bool coding_list_add(struct coding_list *list, struct span value, struct span *unknown);
/* "gzip"; static. */
const char *coding_name(enum coding_kind kind);
/* Whether a file of this media type (a value of Content-Type) is itself what the coding makes. */
bool coding_is_type(enum coding_kind kind, struct span content_type);
/* Whether a name, or a path, ends as those of packed files do: ".gz", ".tgz", ".zst" ... */
bool coding_is_packed_name(struct span name);

/* The ratio counts once so many bytes have come out; no step of the chain may go beyond it. */
struct coding_bounds {
    uint64_t free_bytes;
    uint64_t ratio; /* bytes out for one byte in */
    uint64_t bytes_max;
};

enum coding_progress {
    CODING_WANTS,   /* all was taken, and all that follows from it is there: more is wanted */
    CODING_GOES_ON, /* the room or the step is used up: call again, with what is left of `in` */
    CODING_BROKEN   /* it is over: *error */
};

struct coding; /* opaque */

/* A list with something in it. NULL: out of memory. Owned by the caller. */
struct coding *coding_create(const struct coding_list *list, const struct coding_bounds *bounds);
void coding_destroy(struct coding *coding); /* NULL is allowed */
/*
 * Takes from the beginning of *in, which becomes what is left of it, and puts *made bytes, at most
 * `room` (not 0), to out. The error is HAUL_BAD_RESPONSE: it is not what it is said to be;
 * HAUL_FAILED: it grows beyond the bounds; HAUL_OUT_OF_MEMORY.
 */
enum coding_progress coding_step(struct coding *coding, struct span *in, char *out, size_t room,
                                 size_t *made, struct haul_error *error);
/* After CODING_WANTS, nothing will come any more. False: *error, HAUL_SHORT_BODY. */
bool coding_end(const struct coding *coding, struct haul_error *error);
/* So many bytes behind the end were passed over. */
uint64_t coding_garbage_bytes(const struct coding *coding);

#endif
