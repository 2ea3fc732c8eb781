/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Helper threads for work that would hold the loop up. Started when the first work comes. */
#ifndef RING_OFFLOAD_H
#define RING_OFFLOAD_H

#include "base/list.h"

struct offload;
struct op;
struct ring;

/* NULL: out of memory. */
struct offload *offload_create(struct ring *ring, unsigned thread_count);
/* Waits for the threads; no work may be left. NULL is allowed. */
void offload_destroy(struct offload *offload);
/* False: no thread could be started; nothing was done. */
bool offload_add(struct offload *offload, struct op *op);

#endif
