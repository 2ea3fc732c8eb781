/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The promises, held against what is on the disk. What breaks one ends in world_fail(). */
#ifndef TESTS_SIM_CHECK_H
#define TESTS_SIM_CHECK_H

#include "tests/sim/scenario.h"

/* A download has been told to be over; before any crash. */
void check_told(struct want *want, const struct haul_result *result);
/* After a life, on the disk that the next one finds. `crash`: how this one ended. */
void check_disk(struct scenario *scenario, enum crash crash);
/* What was fetched in this life; before check_disk(). */
void check_resumed(struct scenario *scenario);
/* After check_disk(), where the process was killed at that time: what it had written down. */
void check_killed(struct scenario *scenario, uint64_t killed_ns);
/* After the last life, in which nothing went wrong. */
void check_all_done(struct scenario *scenario);

#endif
