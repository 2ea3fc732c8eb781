/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of the buffers share: piles of chunks, and shares that are there. */
#ifndef TESTS_BUFFERS_FIXTURE_H
#define TESTS_BUFFERS_FIXTURE_H

#include "unit.h"

#include "ring/buffers.h"

enum {
    UNIT = CHUNK_BYTES_MIN,
    LARGEST = CHUNK_BYTES_MAX,
    UNITS = LARGEST / UNIT, /* of a region */
    BUDGET = 2 * LARGEST,   /* the least that there is */
    PILE_MAX = 4 * UNITS
};

/* What somebody holds. */
struct pile {
    struct chunk *chunks[PILE_MAX];
    size_t count;
    size_t bytes;
};

static inline bool pile_take(struct pile *pile, struct buffers *buffers,
                             struct buffers_share *share, size_t bytes)
{
    struct chunk *chunk = buffers_take(buffers, share, bytes);

    if (!chunk)
        return false;
    assert_true(pile->count < PILE_MAX);
    assert_int_equal(chunk->len, 0);
    pile->chunks[pile->count++] = chunk;
    pile->bytes += chunk->size;
    return true;
}

static inline void pile_take_all(struct pile *pile, struct buffers *buffers,
                                 struct buffers_share *share, size_t bytes)
{
    while (pile_take(pile, buffers, share, bytes))
        ;
}

static inline struct chunk *pile_pop(struct pile *pile)
{
    struct chunk *chunk = pile->chunks[--pile->count];

    pile->bytes -= chunk->size;
    return chunk;
}

static inline void pile_give(struct pile *pile, struct buffers *buffers)
{
    buffers_give(buffers, pile_pop(pile));
}

static inline void pile_give_all(struct pile *pile, struct buffers *buffers)
{
    while (pile->count > 0)
        pile_give(pile, buffers);
}

/* Whether all is in one piece again: no chunk is out, and the largest ones can be had. */
static inline void assert_whole(struct buffers *buffers, size_t regions)
{
    struct pile pile = {0};

    assert_int_equal(buffers_out(buffers), 0);
    pile_take_all(&pile, buffers, NULL, LARGEST);
    assert_int_equal(pile.count, regions);
    assert_int_equal(pile.bytes, regions * LARGEST);
    pile_give_all(&pile, buffers);
}

static inline struct buffers_share *join(struct buffers *buffers, const char *host)
{
    struct buffers_share *share = buffers_join(buffers, span_of(host));

    assert_non_null(share);
    return share;
}

#endif
