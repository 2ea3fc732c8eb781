/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What holds the transfers of one engine together: the list they come from, the limiter that
 * grants, and the loop.
 */
#include "engine/engine.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/leg.h"
#include "engine/transfer.h"
#include "engine/worker.h"
#include "http/request.h"

bool engine_copy_string(char **copy, const char *text)
{
    *copy = text ? alloc_copy(text, strlen(text)) : NULL;
    return !text || *copy;
}

bool engine_copy_strings(char ***copies, const char *const *strings, size_t count)
{
    char **all;

    *copies = NULL;
    if (count == 0)
        return true;
    all = alloc_zeroed(count * sizeof(*all));
    if (!all)
        return false;
    for (size_t i = 0; i < count; i++) {
        all[i] = alloc_copy(strings[i], strlen(strings[i]));
        if (!all[i]) {
            engine_free_strings(all, count);
            return false;
        }
    }
    *copies = all;
    return true;
}

void engine_free_strings(char **copies, size_t count)
{
    for (size_t i = 0; copies && i < count; i++)
        free(copies[i]);
    free(copies);
}

bool engine_check_user_agent(const char *user_agent, struct haul_error *error)
{
    if (request_check_value(span_of(user_agent)))
        return true;
    error_set(error, HAUL_BAD_OPTION, 0, "the user agent holds a control character");
    return false;
}

/* --- the source ------------------------------------------------------------------------------ */

static void source_readable(struct op *op, int res)
{
    struct haul_engine *engine = CONTAINER_OF(op, struct haul_engine, source_poll);

    engine->source_waits = false;
    /* Cancelled, or a descriptor that can't be waited for: nothing more can come from it. */
    if (res < 0 || (res & POLLNVAL))
        engine->source_ended = true;
}

static void take_in(struct haul_engine *engine, const struct haul_request *request)
{
    struct haul_error error;

    if (!transfer_create(engine, request, &error))
        transfer_refuse(engine, request, &error);
}

/* False: nothing has come, now or ever. */
static bool pull_one(struct haul_engine *engine)
{
    struct haul_request request;
    int fd = -1;

    if (engine->source_ended || engine->source_waits)
        return false;
    haul_request_init(&request, sizeof(request));
    switch (engine->source.next(engine->source.context, &request, &fd)) {
    case HAUL_SOURCE_READY:
        take_in(engine, &request);
        return true;
    case HAUL_SOURCE_WAIT:
        engine->source_waits = true;
        ring_poll(engine->ring, &engine->source_poll, fd, POLLIN);
        break;
    case HAUL_SOURCE_END:
        engine->source_ended = true;
        break;
    }
    return false;
}

static void source_last(struct ref *ref)
{
    (void)ref; /* part of the engine, which outlives every op */
}

void haul_set_source(haul_engine *engine, const struct haul_source *source)
{
    CHECK(!engine->source.next && source->size == sizeof(*source));
    engine->source = *source;
    engine->source_ended = false;
    ref_init(&engine->source_ref, source_last);
    op_init(&engine->source_poll, source_readable, &engine->source_ref);
}

/* --- scheduling ------------------------------------------------------------------------------ */

static void start_all(struct haul_engine *engine)
{
    uint64_t now = ring_now_ns(engine->ring);
    struct limiter_item *item;

    while ((item = limiter_next(engine->limiter, now, ring_random(engine->ring))))
        leg_start(CONTAINER_OF(item, struct leg, item));
}

void engine_schedule(struct haul_engine *engine)
{
    unsigned downloads_max = engine->options.public.downloads_max;
    size_t room = WAITING_MIN + 2 * (size_t)downloads_max;
    size_t room_max = room + WAITING_MAX;

    transfer_end_cancelled(engine);
    while (limiter_waiting(engine->limiter) < room && pull_one(engine))
        ;
    start_all(engine);
    /* A list may name thousands of files of one host before the next host's first. */
    while (limiter_active(engine->limiter) < downloads_max &&
           limiter_waiting(engine->limiter) < room_max && pull_one(engine))
        start_all(engine);
}

uint64_t engine_wake_ns(const struct haul_engine *engine)
{
    return limiter_wake_ns(engine->limiter);
}

bool engine_is_done(const struct haul_engine *engine)
{
    return engine->source_ended && !list_is_linked(&engine->transfers);
}

static void flush_orders(struct haul_engine *engine)
{
    for (unsigned i = 0; i < engine->worker_count; i++)
        worker_flush(engine->workers[i]);
}

static int find_trouble(struct haul_engine *engine)
{
    int trouble = 0;

    for (unsigned i = 0; i < engine->worker_count && trouble == 0; i++)
        trouble = worker_trouble(engine->workers[i]);
    return trouble;
}

int engine_turn(struct haul_engine *engine, uint64_t until_ns)
{
    int res;

    if (engine->options.public.threads == 0)
        return ring_turn(engine->ring, until_ns);
    flush_orders(engine);
    res = ring_turn(engine->ring, until_ns);
    inbox_read(&engine->inbox);
    engine_schedule(engine); /* workers need not wait for what the program does between two turns */
    flush_orders(engine);
    return res < 0 ? res : find_trouble(engine);
}

void haul_cancel_all(haul_engine *engine)
{
    engine->source_ended = true;
    if (engine->source_waits)
        ring_cancel(engine->ring, &engine->source_poll);
    /* No callback is called from here, so the list stays as it is. */
    for (struct list *node = engine->transfers.next; node != &engine->transfers; node = node->next)
        transfer_cancel(LIST_ITEM(node, struct haul_download, node));
    flush_orders(engine);
}
