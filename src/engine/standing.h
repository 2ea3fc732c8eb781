/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A request whose file may be there already, under a name that may be known only with the head:
 * what it asks, and whether anything is to be fetched. In the thread of its worker.
 */
#ifndef ENGINE_STANDING_H
#define ENGINE_STANDING_H

#include "engine/request.h"
#include "http/request.h"

/* Asks for another version than the one that is there, if there is one and nothing else is asked
 * for. date: what the head may point to, the caller's. */
void request_add_condition(struct request *request, struct request_head *head, struct text *date);
/* The head of a response that is to be fetched has come: goes on with request_open() or
 * request_drop(), maybe after a step of the sink (REQUEST_NAMING), whose end is request_named(). */
void request_hear(struct request *request);
void request_named(struct request *request);

#endif
