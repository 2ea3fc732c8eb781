/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Registered buffers: writes past the page cache need their pages pinned, which for memory that is
 * used over and over is better done once. A piece is registered when it is first written from, so a
 * run that needs few chunks pins few. What is pinned counts as locked memory: a user may have
 * little of it, and then writes simply are not fixed.
 */
#include <stdlib.h>

#include "base/alloc.h"
#include "ring/buffers.h"
#include "ring/internal.h"

enum { PIECE_BYTES = CHUNK_BYTES_MAX, PIECES_MAX = 1 << 14 /* the kernel's limit */ };

void ring_lend_memory(struct ring *ring, const char *data, size_t bytes)
{
    struct fixed *fixed = &ring->fixed;

    CHECK(!fixed->data);
    fixed->data = data;
    fixed->piece_count = bytes / PIECE_BYTES < PIECES_MAX ? bytes / PIECE_BYTES : PIECES_MAX;
    fixed->pieces = alloc_zeroed(fixed->piece_count * sizeof(*fixed->pieces));
    fixed->refused = !fixed->pieces || (ring->features_off & HAUL_FEATURE_FIXED);
}

void ring_take_memory_back(struct ring *ring)
{
    struct fixed *fixed = &ring->fixed;

    if (fixed->begun)
        (void)io_uring_unregister_buffers(&ring->uring);
    free(fixed->pieces);
    *fixed = (struct fixed){0};
}

static bool register_piece(struct ring *ring, size_t piece)
{
    struct fixed *fixed = &ring->fixed;
    struct iovec vector = {.iov_base = (char *)(uintptr_t)fixed->data + piece * PIECE_BYTES,
                           .iov_len = PIECE_BYTES};
    __u64 tag = 0;

    if (!fixed->begun)
        fixed->begun =
            io_uring_register_buffers_sparse(&ring->uring, (unsigned)fixed->piece_count) == 0;
    fixed->refused = !fixed->begun || io_uring_register_buffers_update_tag(
                                          &ring->uring, (unsigned)piece, &vector, &tag, 1) != 1;
    fixed->pieces[piece] = !fixed->refused;
    return fixed->pieces[piece];
}

int fixed_find(struct ring *ring, const char *data, size_t len)
{
    struct fixed *fixed = &ring->fixed;
    size_t at = (size_t)(data - fixed->data);
    size_t piece = at / PIECE_BYTES;

    if (!fixed->pieces || data < fixed->data || piece >= fixed->piece_count ||
        at % PIECE_BYTES + len > PIECE_BYTES)
        return -1;
    if (!fixed->pieces[piece] && (fixed->refused || !register_piece(ring, piece)))
        return -1;
    return (int)piece;
}
