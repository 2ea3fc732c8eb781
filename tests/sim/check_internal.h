/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the parts of the check share: check.c (what is told and fetched), check_disk.c (what there
 * is), check_record.c (what journals say). */
#ifndef TESTS_SIM_CHECK_INTERNAL_H
#define TESTS_SIM_CHECK_INTERNAL_H

#include "tests/sim/check.h"

/* What an unfinished download has on the disk. */
enum partial { PARTIAL_DATA, PARTIAL_BESIDE, PARTIAL_JOURNAL, PARTIAL_COUNT };

/* --- check_disk.c ---------------------------------------------------------------------------- */

/* Whether this is all of one version that servers have had, and of the one that the checksum is of,
 * if there is one. */
bool check_is_right(const struct want *want, const char *data, uint64_t size);
/* How it came to be wrong, for people. */
void check_describe(const struct want *want, const char *data, uint64_t size);
/* Which of them are there, as bits: 1 << enum partial. */
unsigned check_partials(const struct want *want);
void check_partial_path(const struct want *want, enum partial partial, char path[256]);
/* Which of them may be left of a download that is done: those that could not be removed. */
unsigned check_excused(const struct want *want);

/* --- check_record.c -------------------------------------------------------------------------- */

/* What the next run may find to go on from. */
struct recorded {
    bool says;        /* there is a good record at all */
    uint64_t bytes;   /* that can be gone on from */
    size_t extents;   /* in so many pieces */
    unsigned version; /* that all of it is of; UINT_MAX: of none, or of several */
    bool fits;        /* the server that is asked first has just that */
};

/* Holds all that the journal says against what is on the disk. */
void check_record(const struct want *want, struct recorded *recorded);

#endif
