/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The speed of a request, as its body comes. In the thread of its worker. */
#ifndef ENGINE_PACE_H
#define ENGINE_PACE_H

#include "engine/request.h"

/* The body is about to come. */
void pace_start(struct request *request);
/* So many bytes have. */
void pace_note(struct request *request, size_t bytes);
/* Of request->pace_timer: ends a request that is too slow. */
void pace_due(struct timer *timer);

#endif
