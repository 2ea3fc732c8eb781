/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the control file of an unfinished download says, as bytes. Pure.
 *
 * The file is a log that goes round in JOURNAL_BLOCKS blocks. A record begins with a block, takes
 * whole blocks, and says all there is to say; the good one with the highest sequence number counts.
 * The next one begins behind it, or at the first block where it does not fit in. Records are so
 * short that it never touches the one before it. So a record that was cut short by a crash leaves
 * the one before it as it is, nothing ever has to be moved, and the file does not grow.
 *
 *      0   8  "hauljrnl"
 *      8   4  version: 1. A record of another one is no record.
 *     12   4  bytes, from the first to the checksum; zeros follow up to the end of the block
 *     16   8  sequence number, from 1
 *     24  16  two hashes of the URL, which itself may hold a signature
 *     40   4  number of copies, 0 to 2
 *     44   4  slot of the copy that was begun last
 *             for each copy:
 *              4  slot: which of the data files it is (file_name.h)
 *              4  flags: 1: a checksum decides in the end
 *              8  total; all bits set: unknown
 *              4  bytes of the validator
 *              4  number of extents
 *                 the validator
 *             16  each extent: from, to; in order, neither empty nor touching, none beyond the
 * total
 *      -   8  checksum: span_hash() of all before it, with the version as seed
 *
 * Numbers are little-endian. The hashes differ on machines of the other byte order, so a journal
 * from there is none.
 */
#ifndef SINK_JOURNAL_H
#define SINK_JOURNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/extents.h"
#include "base/span.h"
#include "base/text.h"

enum {
    JOURNAL_BLOCK_BYTES = 4096,
    JOURNAL_BLOCKS = 8,
    JOURNAL_BYTES = JOURNAL_BLOCKS * JOURNAL_BLOCK_BYTES,
    JOURNAL_RECORD_BLOCKS_MAX = 3,
    JOURNAL_COPIES = 2,
    JOURNAL_EXTENTS_MAX = 300, /* of a copy: those behind are left out, and fetched again */
    JOURNAL_VALIDATOR_BYTES_MAX = 1024
};

/* What one data file holds. */
struct journal_copy {
    bool there;
    bool decided;
    uint64_t total;
    struct text validator;
    struct extents stored;
};

/* Zeroed: no record. */
struct journal {
    uint64_t sequence;              /* of the record that counts; 0: there is none */
    unsigned block;                 /* that it begins with, of... */
    unsigned blocks;                /* ...so many */
    unsigned used;                  /* blocks, from the first, that may hold records */
    bool mentioned[JOURNAL_COPIES]; /* by any good record, not only by the one that counts */
    unsigned newest;                /* slot */
    struct journal_copy copies[JOURNAL_COPIES];
};

void journal_free(struct journal *journal); /* leaves a zeroed one */
/* What the file's bytes say of this URL. *journal is zeroed before; it stays so if there is no good
 * record. False: out of memory. */
bool journal_read(struct journal *journal, struct span bytes, struct span url);
/* Makes the next record of `copies` and `newest`, and takes it for written. *offset: where it is to
 * stand. False: out of memory, nothing changed. */
bool journal_append(struct journal *journal, struct span url, struct text *record,
                    uint64_t *offset);
/* Sets what a copy is. False: out of memory; the copy is not there then. */
bool journal_set(struct journal_copy *copy, const struct extents *stored, struct span validator,
                 uint64_t total, bool decided);
void journal_drop(struct journal_copy *copy);
/* What can be trusted of extents in a file of so many bytes: whole blocks, and the end of the file
 * where that is `total`. A crash may spoil the others: they were written again, partly, and a disk
 * writes blocks. *sound is replaced. False: out of memory. */
bool journal_sound(const struct extents *stored, uint64_t total, uint64_t file_bytes,
                   struct extents *sound);

#endif
