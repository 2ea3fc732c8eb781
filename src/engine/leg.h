/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A leg's way from grant to grant: which source it asks, redirects, retries, and whether it is
 * still of use. In the engine's thread.
 */
#ifndef ENGINE_LEG_H
#define ENGINE_LEG_H

#include "engine/transfer.h"

void leg_init(struct leg *leg, struct haul_download *transfer);
void leg_free(struct leg *leg);
/* The first grant of a new transfer is asked for. False: out of memory. */
bool leg_enter(struct leg *lead);
/* The limiter has granted it. */
void leg_start(struct leg *leg);
/* From the worker: a request is over. */
void leg_ended(struct message *message);
/* From the worker: there is work for more legs. */
void legs_wanted(struct message *message);
/* Those that wait for a grant do so no longer. */
void legs_call_off(struct haul_download *transfer);
/* Those that have one are told to end early. */
void legs_cancel(struct haul_download *transfer);

#endif
