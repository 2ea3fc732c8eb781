/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *     WAITING --grant--> ACTIVE --stored whole----------------> ENDING (publish) --> ENDED
 *        ^                 |-----redirect, retry: WAITING          ^
 *        |                 \-----failed for good--> ENDING (abandon)
 *        \--cancel--> ENDING (abandon), or ENDED if it has no sink yet
 *
 * The grant is given back when the request is over, so that another may start while this one's
 * file gets its name.
 */
#include "engine/transfer.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/placement.h"
#include "http/request.h"
#include "polite/backoff.h"
#include "sink/file_name.h"

static const struct haul_error fine = {.status = HAUL_OK};

/* --- the end --------------------------------------------------------------------------------- */

static void transfer_free(struct ref *ref)
{
    struct haul_download *transfer = CONTAINER_OF(ref, struct haul_download, ref);

    CHECK(!list_is_linked(&transfer->node) && !list_is_linked(&transfer->active_node));
    CHECK(!transfer->request && !transfer->sink);
    transfer->engine->transfer_count--;
    url_free(&transfer->url);
    url_free(&transfer->next_url);
    text_free(&transfer->validator);
    text_free(&transfer->name);
    text_free(&transfer->path);
    free(transfer->asked_url);
    free(transfer->shown_url);
    free(transfer->asked_origin);
    free(transfer->out);
    free(transfer->directory);
    free(transfer->user_agent);
    engine_free_strings(transfer->headers, transfer->header_count);
    free(transfer->memory);
    free(transfer);
}

static void count_end(const struct haul_download *transfer)
{
    struct haul_stats *stats = &transfer->engine->stats;

    if (transfer->error.status == HAUL_OK)
        stats->done++;
    else if (transfer->error.status == HAUL_UNFINISHED)
        stats->unfinished++;
    else
        stats->failed++;
}

static void transfer_end(struct haul_download *transfer)
{
    struct haul_engine *engine = transfer->engine;

    transfer->state = TRANSFER_ENDED;
    transfer->ended_ns = ring_now_ns(engine->ring);
    list_remove(&transfer->node);
    list_remove(&transfer->active_node);
    count_end(transfer);
    log_write(&engine->log, transfer->error.status == HAUL_OK ? HAUL_LOG_INFO : HAUL_LOG_WARN,
              "%s: %s", transfer->shown_url,
              transfer->error.status == HAUL_OK ? "done" : transfer->error.text);
    if (transfer->done) {
        transfer->done(transfer, transfer->user);
    } else if (transfer->handle) {
        list_push_back(&engine->ended, &transfer->node);
        return; /* the engine's reference goes with haul_next() */
    }
    ref_drop(&transfer->ref);
}

void transfer_closed(struct message *message)
{
    transfer_end(CONTAINER_OF(message, struct haul_download, message));
}

/* Decides over what the sink has: it is published if whole, and else kept if it can be resumed. */
static void close_sink(struct haul_download *transfer)
{
    transfer->state = TRANSFER_ENDING;
    if (transfer->sink)
        worker_close(transfer->worker, transfer);
    else
        transfer_end(transfer);
}

static void fail(struct haul_download *transfer, const struct haul_error *error)
{
    transfer->error = *error;
    close_sink(transfer);
}

static void fail_without_memory(struct haul_download *transfer)
{
    struct haul_error error;

    error_set(&error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    fail(transfer, &error);
}

/* --- grants ---------------------------------------------------------------------------------- */

static uint64_t fresh_random(struct haul_download *transfer)
{
    return ring_random(transfer->engine->ring);
}

static void queue(struct haul_download *transfer, uint64_t not_before_ns, bool first)
{
    transfer->state = TRANSFER_WAITING;
    if (!limiter_add(transfer->engine->limiter, &transfer->item, url_origin(&transfer->url),
                     not_before_ns, first))
        fail_without_memory(transfer);
}

static enum limiter_outcome outcome_of(const struct haul_download *transfer)
{
    enum haul_status status = transfer->error.status;

    if (status != HAUL_OK && status_retry(status) == STATUS_RETRY_BUSY)
        return LIMITER_BUSY;
    return transfer->http_status != 0 ? LIMITER_GOOD : LIMITER_BAD;
}

static void retry(struct haul_download *transfer)
{
    struct haul_engine *engine = transfer->engine;
    uint64_t now = ring_now_ns(engine->ring);
    uint64_t wait =
        backoff_ns(engine->options.public.retry_wait_ms * (uint64_t)NS_PER_MS, transfer->tries,
                   RETRY_WAIT_MAX_S * (uint64_t)NS_PER_S, fresh_random(transfer));
    struct url url;

    /* A busy host is paused as a whole, by the limiter. */
    if (status_retry(transfer->error.status) == STATUS_RETRY_BUSY)
        wait = 0;
    engine->stats.retries++;
    /* Where a redirect led may be good for a short time only: it is asked for anew. */
    if (transfer->redirects > 0 && url_parse(&url, span_of(transfer->asked_url), NULL)) {
        url_free(&transfer->url);
        transfer->url = url;
        transfer->redirects = 0;
    }
    log_write(&engine->log, HAUL_LOG_NOTICE, "%s: %s; try %u follows", transfer->shown_url,
              transfer->error.text, transfer->tries + 1);
    queue(transfer, now + wait, true);
}

static bool may_retry(const struct haul_download *transfer)
{
    unsigned tries_max = transfer->engine->options.public.tries_max;

    return !transfer->hopeless && status_retry(transfer->error.status) != STATUS_RETRY_NEVER &&
           (tries_max == 0 || transfer->tries < tries_max);
}

static void redirect(struct haul_download *transfer)
{
    url_free(&transfer->url);
    transfer->url = transfer->next_url;
    transfer->next_url = (struct url){0};
    transfer->tries--; /* judge() has counted it as a redirect */
    queue(transfer, 0, true);
}

static void give_back_grant(struct haul_download *transfer)
{
    struct haul_engine *engine = transfer->engine;

    list_remove(&transfer->active_node);
    if (engine->placement)
        placement_end(engine->placement, transfer->worker->number, transfer->origin,
                      transfer->connection_expected && transfer->connection_made,
                      transfer->connection_kept);
    limiter_finish(engine->limiter, &transfer->item, ring_now_ns(engine->ring),
                   outcome_of(transfer), transfer->retry_after_ns, fresh_random(transfer));
}

void transfer_request_ended(struct message *message)
{
    struct haul_download *transfer = CONTAINER_OF(message, struct haul_download, message);

    give_back_grant(transfer);
    if (transfer->cancelled) {
        error_set(&transfer->error, HAUL_UNFINISHED, 0, "stopped");
        close_sink(transfer);
    } else if (transfer->error.status != HAUL_OK && may_retry(transfer)) {
        retry(transfer);
    } else if (transfer->error.status == HAUL_OK && transfer->next_url.text) {
        redirect(transfer);
    } else {
        close_sink(transfer);
    }
}

/* For the transfer's worker, which alone will use it. */
static struct sink *create_sink(struct haul_download *transfer)
{
    const struct worker *worker = transfer->worker;
    const struct haul_options *options = worker->options;
    struct text name = {0};
    struct sink *sink = NULL;

    switch (transfer->kind) {
    case HAUL_SINK_FILE:
        break;
    case HAUL_SINK_FD:
        return sink_stream_create(worker->ring, transfer->fd);
    case HAUL_SINK_MEMORY:
        return sink_memory_create(worker->ring, transfer->bytes_max);
    case HAUL_SINK_DISCARD:
    case HAUL_SINK_NONE:
        sink = sink_discard_create(worker->ring);
        if (sink && transfer->out)
            text_add(&sink->name, span_of(transfer->out));
        else if (sink)
            url_file_name(&transfer->url, &sink->name);
        return sink;
    }
    url_file_name(&transfer->url, &name);
    if (!name.failed)
        sink = sink_file_create(
            worker->directories,
            &(struct sink_file_options){.directory = transfer->directory ? transfer->directory
                                                                         : options->directory,
                                        .out = transfer->out,
                                        .suggested = text_span(&name),
                                        .url = transfer->shown_url,
                                        .auto_renaming = options->auto_file_renaming,
                                        .proceed = options->proceed,
                                        .direct = options->direct,
                                        .allocation = options->allocation});
    text_free(&name);
    return sink;
}

/* A host is to see no more connections than if there were one worker: where a new one is about to
 * be made, an idle one of another worker goes. */
static void make_room(struct haul_download *transfer)
{
    struct haul_engine *engine = transfer->engine;
    unsigned number = placement_spare(engine->placement, transfer->origin);

    if (number < engine->worker_count)
        worker_close_idle(engine->workers[number], url_origin(&transfer->url));
}

static void choose_worker(struct haul_download *transfer)
{
    struct haul_engine *engine = transfer->engine;
    unsigned number = 0;

    if (transfer->sink)
        number = transfer->worker->number;
    if (engine->placement) {
        transfer->origin = span_hash(url_origin(&transfer->url), 0);
        if (!transfer->sink)
            number = placement_choose(engine->placement, transfer->origin);
        transfer->connection_expected =
            placement_begin(engine->placement, number, transfer->origin);
        if (!transfer->connection_expected)
            make_room(transfer);
    }
    transfer->worker = engine->workers[number];
}

void transfer_start(struct haul_download *transfer)
{
    struct haul_engine *engine = transfer->engine;

    transfer->state = TRANSFER_ACTIVE;
    list_push_back(&engine->active, &transfer->active_node);
    if (transfer->started_ns == 0)
        transfer->started_ns = ring_now_ns(engine->ring);
    transfer->tries++;
    transfer->http_status = 0;
    transfer->retry_after_ns = 0;
    transfer->error = fine;
    url_free(&transfer->next_url); /* of a redirect whose try came to nothing */
    transfer->connection_made = false;
    transfer->connection_kept = false;
    choose_worker(transfer);
    if (!transfer->sink)
        transfer->sink = create_sink(transfer);
    if (transfer->sink) {
        worker_begin(transfer->worker, transfer);
    } else {
        error_set(&transfer->error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        transfer_request_ended(&transfer->message);
    }
}

void transfer_cancel(struct haul_download *transfer)
{
    if (transfer->cancelled)
        return;
    switch (transfer->state) {
    case TRANSFER_WAITING:
        /* Its end is told from the loop, as every end is. */
        transfer->cancelled = true;
        limiter_remove(transfer->engine->limiter, &transfer->item);
        transfer->state = TRANSFER_ENDING;
        error_set(&transfer->error, HAUL_UNFINISHED, 0, "stopped");
        list_push_back(&transfer->engine->cancelled, &transfer->active_node);
        break;
    case TRANSFER_ACTIVE:
        transfer->cancelled = true;
        worker_cancel(transfer->worker, transfer);
        break;
    case TRANSFER_ENDING:
    case TRANSFER_ENDED:
        break;
    }
}

void transfer_end_cancelled(struct haul_engine *engine)
{
    struct list *node;

    while ((node = list_pop_front(&engine->cancelled)))
        close_sink(LIST_ITEM(node, struct haul_download, active_node));
}

/* --- begin ----------------------------------------------------------------------------------- */

static bool copy_request(struct haul_download *transfer, const struct haul_request *request)
{
    struct text shown = {0};

    url_show(span_of(request->url), &shown);
    if (shown.failed || !engine_copy_string(&transfer->shown_url, text_span(&shown).data)) {
        text_free(&shown);
        return false;
    }
    text_free(&shown);
    transfer->kind = request->sink;
    transfer->fd = request->fd;
    transfer->bytes_max = request->bytes_max ? request->bytes_max : MEMORY_BYTES_MAX;
    transfer->done = request->done;
    transfer->user = request->user;
    if (!engine_copy_string(&transfer->asked_url, request->url) ||
        !engine_copy_string(&transfer->out, request->out) ||
        !engine_copy_string(&transfer->directory, request->directory) ||
        !engine_copy_string(&transfer->user_agent, request->user_agent) ||
        !engine_copy_strings(&transfer->headers, request->headers, request->header_count))
        return false;
    transfer->header_count = request->header_count;
    return true;
}

/* `out` is the user's word, but a list may come from elsewhere: nothing leaves the directory. */
static bool check_out(const char *out, struct haul_error *error)
{
    struct span rest = span_of(out), name = rest;

    while (rest.len > 0) {
        name = span_cut(&rest, '/');
        if (span_equal(name, SPAN("..")) || name.len > FILE_NAME_BYTES_MAX)
            break;
    }
    if (out[0] == '/') {
        error_set(error, HAUL_BAD_OPTION, 0,
                  "out=%s begins with a slash, but is taken as relative to the directory: name "
                  "that with -d (dir=)",
                  out);
        return false;
    }
    if (name.len > 0 && name.len <= FILE_NAME_BYTES_MAX && out[strlen(out) - 1] != '/' &&
        !span_equal(name, SPAN("..")) && !span_equal(name, SPAN(".")))
        return true;
    error_set(error, HAUL_BAD_OPTION, 0, "out=%s is not the name of a file in the directory", out);
    return false;
}

static bool check_request(const struct haul_request *request, struct haul_error *error)
{
    if (!request->url) {
        error_set(error, HAUL_BAD_URL, 0, "there is no URL");
        return false;
    }
    if ((unsigned)request->sink > HAUL_SINK_NONE) {
        error_set(error, HAUL_BAD_OPTION, 0, "there is no sink of kind %d", (int)request->sink);
        return false;
    }
    if (request->out && !check_out(request->out, error))
        return false;
    if (!engine_check_user_agent(request->user_agent, error))
        return false;
    for (size_t i = 0; i < request->header_count; i++)
        if (!request_check_header(request->headers[i], error))
            return false;
    return true;
}

static struct haul_download *allocate(struct haul_engine *engine)
{
    struct haul_download *transfer = alloc_zeroed(sizeof(*transfer));

    if (!transfer)
        return NULL;
    ref_init(&transfer->ref, transfer_free);
    transfer->engine = engine;
    transfer->total = UINT64_MAX;
    transfer_show(transfer, 0);
    list_init(&transfer->node);
    list_init(&transfer->active_node);
    limiter_item_init(&transfer->item);
    engine->transfer_count++;
    return transfer;
}

struct haul_download *transfer_create(struct haul_engine *engine,
                                      const struct haul_request *request, struct haul_error *error)
{
    struct haul_download *transfer;
    struct span origin;

    if (engine->ending) {
        error_set(error, HAUL_UNFINISHED, 0, "the engine is being ended");
        return NULL;
    }
    if (!check_request(request, error))
        return NULL;
    transfer = allocate(engine);
    if (!transfer) {
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        return NULL;
    }
    if (!url_parse(&transfer->url, span_of(request->url), error)) {
        ref_drop(&transfer->ref);
        return NULL;
    }
    origin = url_origin(&transfer->url);
    transfer->asked_origin = alloc_copy(origin.data, origin.len);
    if (!transfer->asked_origin || !copy_request(transfer, request) ||
        !limiter_add(engine->limiter, &transfer->item, origin, 0, false)) {
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        ref_drop(&transfer->ref);
        return NULL;
    }
    list_push_back(&engine->transfers, &transfer->node);
    return transfer;
}

void transfer_refuse(struct haul_engine *engine, const struct haul_request *request,
                     const struct haul_error *error)
{
    struct haul_download *transfer = allocate(engine);

    if (!transfer) {
        engine->stats.failed++; /* without memory it can't be told, but it is not forgotten */
        return;
    }
    if (!copy_request(transfer, request) ||
        (!transfer->asked_url && !engine_copy_string(&transfer->asked_url, ""))) {
        engine->stats.failed++;
        ref_drop(&transfer->ref);
        return;
    }
    list_push_back(&engine->transfers, &transfer->node);
    transfer->state = TRANSFER_ENDING;
    transfer->error = *error;
    transfer_end(transfer);
}
