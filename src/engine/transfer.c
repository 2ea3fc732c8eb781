/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *     RUNNING --stored whole------> ENDING (publish) --> ENDED
 *        \------failed for good--> ENDING (abandon) ------^
 *         \-----cancelled, and no sink yet ---------------/
 */
#include "engine/transfer.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/leg.h"
#include "http/request.h"
#include "sink/file_name.h"

/* What has come is either stored, or came in vain. */
uint64_t transfer_again_bytes(const struct haul_download *transfer)
{
    uint64_t once = transfer->stored_bytes > transfer->body.resumed_bytes
                        ? transfer->stored_bytes - transfer->body.resumed_bytes
                        : 0;

    return transfer->body.received_bytes > once ? transfer->body.received_bytes - once : 0;
}

/* --- the end --------------------------------------------------------------------------------- */

static void transfer_clear(struct ref *ref)
{
    struct haul_download *transfer = CONTAINER_OF(ref, struct haul_download, ref);

    CHECK(!list_is_linked(&transfer->node) && !list_is_linked(&transfer->active_node));
    CHECK(!transfer->sink);
    transfer->engine->transfer_count--;
    leg_free(&transfer->lead);
    for (unsigned i = 1; i < transfer->leg_count; i++)
        leg_free(&transfer->others[i - 1]);
    free(transfer->others);
    body_free(&transfer->body);
    sources_free(&transfer->sources);
    text_free(&transfer->name);
    text_free(&transfer->path);
    text_free(&transfer->told_name);
    free(transfer->asked_url);
    free(transfer->shown_url);
    free(transfer->asked_origin);
    free(transfer->out);
    free(transfer->directory);
    free(transfer->user_agent);
    engine_free_strings(transfer->headers, transfer->header_count);
    request_extra_destroy(transfer->extra);
    free(transfer->key);
    free(transfer->memory);
}

static void transfer_free(struct ref *ref)
{
    transfer_clear(ref);
    free(CONTAINER_OF(ref, struct haul_download, ref));
}

static void count_end(const struct haul_download *transfer)
{
    struct haul_stats *stats = &transfer->engine->stats;

    stats->again_bytes += transfer_again_bytes(transfer);
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
    if (transfer->error.status == HAUL_OK)
        log_write(&engine->log, HAUL_LOG_INFO,
                  "%s: done; %llu bytes, %llu of them from before, %llu received twice%s",
                  transfer->shown_url, (unsigned long long)transfer->stored_bytes,
                  (unsigned long long)transfer->body.resumed_bytes,
                  (unsigned long long)transfer_again_bytes(transfer),
                  transfer->verified         ? "; verified"
                  : transfer->body.unchanged ? "; the file that was there is left as it is"
                                             : "");
    else
        log_write(&engine->log, HAUL_LOG_WARN, "%s: %s",
                  transfer->shown_url ? transfer->shown_url : "", transfer->error.text);
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

void transfer_close(struct haul_download *transfer)
{
    transfer->state = TRANSFER_ENDING;
    if (transfer->sink)
        worker_close(transfer->worker, transfer);
    else
        transfer_end(transfer);
}

struct span transfer_method(const struct leg *leg)
{
    const struct haul_download *transfer = leg->transfer;

    if (transfer->kind == HAUL_SINK_NONE)
        return SPAN("HEAD");
    return leg->reduced ? SPAN("GET") : request_extra_method(transfer->extra);
}

static struct sink *make_file_sink(const struct haul_download *transfer, const char *out,
                                   struct span temporary)
{
    const struct worker *worker = transfer->worker;
    const struct haul_options *options = worker->options;
    struct sink_file_options file = {
        .directory = transfer->directory ? transfer->directory : options->directory,
        .out = out,
        .temporary = temporary,
        .url = transfer->key ? transfer->key : transfer->shown_url,
        .auto_renaming = options->auto_file_renaming,
        .proceed = options->proceed,
        .overwrite = options->allow_overwrite,
        .no_clobber = options->no_clobber,
        .fresh = options->conditional_get,
        .special = transfer->body.single,
        .remote_time = options->remote_time,
        .check = options->check_integrity && transfer->body.decided,
        .direct = options->direct,
        .allocation = options->allocation,
        .save_interval_ms = options->save_interval_ms,
        .durable = options->durable,
        .log = &worker->log,
    };

    return sink_file_create(worker->directories, &file);
}

static struct sink *make_named_sink(const struct haul_download *transfer)
{
    struct text path = {0}, temporary = {0};
    struct sink *sink = NULL;

    naming_path(transfer, &path, &temporary);
    if (path.failed || temporary.failed) {
        sink = NULL;
    } else if (transfer->kind == HAUL_SINK_FILE) {
        sink = make_file_sink(transfer, path.data, text_span(&temporary));
    } else {
        sink = sink_discard_create(transfer->worker->ring);
        if (sink)
            text_add(&sink->name, text_span(&path));
    }
    text_free(&path);
    text_free(&temporary);
    return sink;
}

/* For the transfer's worker, which alone will use it. */
struct sink *transfer_make_sink(const struct haul_download *transfer)
{
    const struct worker *worker = transfer->worker;

    switch (transfer->kind) {
    case HAUL_SINK_FD:
        return sink_stream_create(worker->ring, transfer->fd);
    case HAUL_SINK_MEMORY:
        return sink_memory_create(worker->ring, transfer->bytes_max);
    case HAUL_SINK_FILE:
    case HAUL_SINK_DISCARD:
    case HAUL_SINK_NONE:
        break;
    }
    return make_named_sink(transfer);
}

void transfer_cancel(struct haul_download *transfer)
{
    if (transfer->cancelled || transfer->state != TRANSFER_RUNNING)
        return;
    transfer->cancelled = true;
    legs_call_off(transfer);
    if (transfer->active_legs > 0) {
        legs_cancel(transfer);
        return;
    }
    /* Its end is told from the loop, as every end is. */
    transfer->state = TRANSFER_ENDING;
    error_set(&transfer->error, HAUL_UNFINISHED, 0, "stopped");
    list_push_back(&transfer->engine->cancelled, &transfer->active_node);
}

void transfer_end_cancelled(struct haul_engine *engine)
{
    struct list *node;

    while ((node = list_pop_front(&engine->cancelled)))
        transfer_close(LIST_ITEM(node, struct haul_download, active_node));
}

/* --- begin ----------------------------------------------------------------------------------- */

static bool copy_request(struct haul_download *transfer, const struct haul_request *request)
{
    struct text shown = {0};
    bool copied;

    transfer->kind = request->sink;
    transfer->fd = request->fd;
    transfer->body.decided =
        request->checksum && request->sink != HAUL_SINK_NONE &&
        digest_parse(span_of(request->checksum), &transfer->body.checksum, NULL);
    transfer->body.single = request->method || request->data || request->range;
    transfer->bytes_max = request->bytes_max ? request->bytes_max : MEMORY_BYTES_MAX;
    transfer->done = request->done;
    transfer->user = request->user;
    url_show(span_of(request->url), &shown);
    copied = !shown.failed && engine_copy_string(&transfer->shown_url, text_span(&shown).data) &&
             request_extra_create(&transfer->extra, request);
    if (copied && request_extra_is_special(transfer->extra)) {
        request_extra_key(transfer->extra, &shown);
        copied = !shown.failed && engine_copy_string(&transfer->key, text_span(&shown).data);
    }
    text_free(&shown);
    if (!copied || !engine_copy_string(&transfer->asked_url, request->url) ||
        !engine_copy_string(&transfer->out, request->out) ||
        !engine_copy_string(&transfer->directory, request->directory) ||
        !engine_copy_string(&transfer->user_agent, request->user_agent) ||
        !engine_copy_strings(&transfer->headers, request->headers, request->header_count))
        return false;
    transfer->header_count = request->header_count;
    naming_init(transfer);
    return true;
}

static bool check_request(const struct haul_request *request, struct haul_error *error)
{
    struct digest checksum;

    if (!request->url) {
        error_set(error, HAUL_BAD_URL, 0, "there is no URL");
        return false;
    }
    if ((unsigned)request->sink > HAUL_SINK_NONE) {
        error_set(error, HAUL_BAD_OPTION, 0, "there is no sink of kind %d", (int)request->sink);
        return false;
    }
    if (request->out && !naming_check(request->out, error))
        return false;
    if (request->checksum && !digest_parse(span_of(request->checksum), &checksum, error))
        return false;
    if (!engine_check_user_agent(request->user_agent, error) ||
        !request_extra_check(request, error))
        return false;
    for (size_t i = 0; i < request->header_count; i++)
        if (!request_check_header(request->headers[i], error))
            return false;
    return true;
}

static void init(struct haul_download *transfer, struct haul_engine *engine,
                 void (*last)(struct ref *ref))
{
    *transfer = (struct haul_download){.engine = engine};
    ref_init(&transfer->ref, last);
    list_init(&transfer->node);
    list_init(&transfer->active_node);
    leg_init(&transfer->lead, transfer);
    transfer->leg_count = 1;
    body_init(&transfer->body);
    body_show(transfer);
    engine->transfer_count++;
    transfer->number = ++engine->taken_in;
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
    transfer = alloc_zeroed(sizeof(*transfer));
    if (!transfer) {
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        return NULL;
    }
    init(transfer, engine, transfer_free);
    if (!url_parse(&transfer->lead.url, span_of(request->url), error) ||
        !sources_init(&transfer->sources, request->url, request->mirrors, request->mirror_count,
                      error)) {
        ref_drop(&transfer->ref);
        return NULL;
    }
    origin = url_origin(&transfer->lead.url);
    transfer->asked_origin = alloc_copy(origin.data, origin.len);
    if (!transfer->asked_origin || !copy_request(transfer, request) ||
        !leg_enter(&transfer->lead)) {
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        ref_drop(&transfer->ref);
        return NULL;
    }
    list_push_back(&engine->transfers, &transfer->node);
    return transfer;
}

/* Without memory as well, for the program wants its `user` back. What can't be copied then is not
 * there to be shown. */
void transfer_refuse(struct haul_engine *engine, const struct haul_request *request,
                     const struct haul_error *error)
{
    struct haul_download transfer; /* nobody has a handle: it ends before this does */

    init(&transfer, engine, transfer_clear);
    (void)copy_request(&transfer, request);
    list_push_back(&engine->transfers, &transfer.node);
    transfer.state = TRANSFER_ENDING;
    transfer.error = *error;
    transfer_end(&transfer);
}
