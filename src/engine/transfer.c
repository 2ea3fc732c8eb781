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

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/request.h"
#include "http/fields.h"
#include "http/request.h"
#include "polite/backoff.h"
#include "sink/file_name.h"

static const struct haul_error fine = {.status = HAUL_OK};

/* --- the end --------------------------------------------------------------------------------- */

static void transfer_free(struct ref *ref)
{
    struct haul_download *transfer = CONTAINER_OF(ref, struct haul_download, ref);

    CHECK(!list_is_linked(&transfer->node) && !list_is_linked(&transfer->active_node));
    CHECK(!transfer->request);
    transfer->engine->transfer_count--;
    if (transfer->sink)
        sink_release(transfer->sink);
    url_free(&transfer->url);
    url_free(&transfer->next_url);
    text_free(&transfer->validator);
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

static void fail(struct haul_download *transfer, const struct haul_error *error);

static void published(void *context, const struct haul_error *error)
{
    struct haul_download *transfer = context;

    if (error->status != HAUL_OK) {
        fail(transfer, error);
        return;
    }
    if (transfer->kind == HAUL_SINK_MEMORY)
        transfer->memory = sink_memory_take(transfer->sink);
    transfer_end(transfer);
}

static void abandoned(void *context, const struct haul_error *error)
{
    struct haul_download *transfer = context;

    (void)error;
    transfer_end(transfer);
}

/* Decides over what the sink has: it is published if whole, and else kept if it can be resumed. */
static void close_sink(struct haul_download *transfer)
{
    struct sink_version version = {.validator = text_span(&transfer->validator),
                                   .total = transfer->total};

    transfer->state = TRANSFER_ENDING;
    if (!transfer->sink) {
        transfer_end(transfer);
    } else if (transfer->error.status == HAUL_OK) {
        sink_set_user(transfer->sink, published, transfer);
        transfer->sink->operations->publish(transfer->sink);
    } else {
        sink_set_user(transfer->sink, abandoned, transfer);
        transfer->sink->operations->abandon(transfer->sink, transfer->stored_bytes, &version);
    }
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

static enum limiter_outcome outcome_of(const struct haul_download *transfer,
                                       const struct haul_error *error)
{
    if (error->status != HAUL_OK && status_retry(error->status) == STATUS_RETRY_BUSY)
        return LIMITER_BUSY;
    return transfer->http_status != 0 ? LIMITER_GOOD : LIMITER_BAD;
}

static void retry(struct haul_download *transfer, const struct haul_error *error)
{
    struct haul_engine *engine = transfer->engine;
    uint64_t now = ring_now_ns(engine->ring);
    uint64_t wait =
        backoff_ns(engine->options.public.retry_wait_ms * (uint64_t)NS_PER_MS, transfer->tries,
                   RETRY_WAIT_MAX_S * (uint64_t)NS_PER_S, fresh_random(transfer));
    struct url url;

    /* A busy host is paused as a whole, by the limiter. */
    if (status_retry(error->status) == STATUS_RETRY_BUSY)
        wait = 0;
    engine->stats.retries++;
    /* Where a redirect led may be good for a short time only: it is asked for anew. */
    if (transfer->redirects > 0 && url_parse(&url, span_of(transfer->asked_url), NULL)) {
        url_free(&transfer->url);
        transfer->url = url;
        transfer->redirects = 0;
    }
    log_write(&engine->log, HAUL_LOG_NOTICE, "%s: %s; try %u follows", transfer->shown_url,
              error->text, transfer->tries + 1);
    queue(transfer, now + wait, true);
}

static bool may_retry(const struct haul_download *transfer, const struct haul_error *error)
{
    unsigned tries_max = transfer->engine->options.public.tries_max;

    return !transfer->hopeless && status_retry(error->status) != STATUS_RETRY_NEVER &&
           (tries_max == 0 || transfer->tries < tries_max);
}

/* However the body was framed: a file is whole only with as many bytes as the server said. */
static void check_whole(struct haul_download *transfer)
{
    if (transfer->error.status != HAUL_OK || transfer->next_url.text ||
        transfer->kind == HAUL_SINK_NONE || transfer->total == UINT64_MAX ||
        transfer->stored_bytes == transfer->total)
        return;
    error_set(&transfer->error, HAUL_SHORT_BODY, 0, "%llu of %llu bytes have come",
              (unsigned long long)transfer->stored_bytes, (unsigned long long)transfer->total);
}

void transfer_request_ended(struct haul_download *transfer, const struct haul_error *error)
{
    struct haul_engine *engine = transfer->engine;

    transfer->request = NULL;
    list_remove(&transfer->active_node);
    /* What judge() found outweighs how the connection ended after it. */
    if (error->status == HAUL_OK)
        check_whole(transfer);
    if (transfer->error.status != HAUL_OK)
        error = &transfer->error;
    limiter_finish(engine->limiter, &transfer->item, ring_now_ns(engine->ring),
                   outcome_of(transfer, error), transfer->retry_after_ns, fresh_random(transfer));
    if (transfer->cancelled) {
        error_set(&transfer->error, HAUL_UNFINISHED, 0, "stopped");
        close_sink(transfer);
    } else if (error->status != HAUL_OK && may_retry(transfer, error)) {
        retry(transfer, error);
    } else if (error->status != HAUL_OK) {
        fail(transfer, error);
    } else if (transfer->next_url.text) {
        url_free(&transfer->url);
        transfer->url = transfer->next_url;
        transfer->next_url = (struct url){0};
        transfer->tries--; /* judge() has counted it as a redirect */
        queue(transfer, 0, true);
    } else {
        close_sink(transfer);
    }
}

static struct sink *create_sink(struct haul_download *transfer)
{
    struct haul_engine *engine = transfer->engine;
    const struct haul_options *options = &engine->options.public;
    struct text name = {0};
    struct sink *sink = NULL;

    switch (transfer->kind) {
    case HAUL_SINK_FILE:
        break;
    case HAUL_SINK_FD:
        return sink_stream_create(engine->ring, transfer->fd);
    case HAUL_SINK_MEMORY:
        return sink_memory_create(engine->ring, transfer->bytes_max);
    case HAUL_SINK_DISCARD:
    case HAUL_SINK_NONE:
        sink = sink_discard_create(engine->ring);
        if (sink && transfer->out)
            text_add(&sink->name, span_of(transfer->out));
        else if (sink)
            url_file_name(&transfer->url, &sink->name);
        return sink;
    }
    url_file_name(&transfer->url, &name);
    if (!name.failed)
        sink = sink_file_create(
            engine->directories,
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

void transfer_start(struct haul_download *transfer)
{
    struct haul_engine *engine = transfer->engine;
    struct request *request;

    transfer->state = TRANSFER_ACTIVE;
    list_push_back(&engine->active, &transfer->active_node);
    if (transfer->started_ns == 0)
        transfer->started_ns = ring_now_ns(engine->ring);
    transfer->tries++;
    transfer->http_status = 0;
    transfer->retry_after_ns = 0;
    transfer->error = fine;
    url_free(&transfer->next_url); /* of a redirect whose try came to nothing */
    if (!transfer->sink)
        transfer->sink = create_sink(transfer);
    request = transfer->sink ? request_take(engine) : NULL;
    if (!request) {
        error_set(&transfer->error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        transfer_request_ended(transfer, &transfer->error);
        return;
    }
    transfer->request = request;
    request_start(request, transfer);
}

void transfer_cancel(struct haul_download *transfer)
{
    struct haul_error error;

    if (transfer->cancelled)
        return;
    error_set(&error, HAUL_UNFINISHED, 0, "stopped");
    switch (transfer->state) {
    case TRANSFER_WAITING:
        /* Its end is told from the loop, as every end is. */
        transfer->cancelled = true;
        limiter_remove(transfer->engine->limiter, &transfer->item);
        transfer->state = TRANSFER_ENDING;
        transfer->error = error;
        list_push_back(&transfer->engine->cancelled, &transfer->active_node);
        break;
    case TRANSFER_ACTIVE:
        transfer->cancelled = true;
        request_abort(transfer->request, &error);
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

/* --- judging a response ---------------------------------------------------------------------- */

/* A validator that If-Range may carry: a strong ETag, or a Last-Modified that lies long enough
 * before the response's Date that a second version within its second is out of the question (RFC
 * 9110 8.8.2.2). */
static struct span strong_validator(const struct response *response)
{
    struct span etag = response_field(response, "etag");
    struct span modified = response_field(response, "last-modified");
    int64_t modified_s, date_s;

    if (etag.data && field_strong_etag(etag) && request_check_value(etag))
        return etag;
    if (!etag.data && modified.data && field_date(modified, &modified_s) &&
        field_date(response_field(response, "date"), &date_s) && modified_s + 60 <= date_s)
        return modified;
    return span_make("", 0);
}

__attribute__((format(printf, 3, 4))) static enum transfer_verdict
drop(struct haul_download *transfer, enum haul_status status, const char *format, ...)
{
    char text[200];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    error_set(&transfer->error, status, 0, "%s", text);
    return TRANSFER_DROP;
}

static enum transfer_verdict fetch(struct haul_download *transfer, const struct response *response)
{
    text_clear(&transfer->validator);
    text_add(&transfer->validator, strong_validator(response));
    transfer->total = response_has_length(response) ? response_length(response) : UINT64_MAX;
    if (response_framing(response) == RESPONSE_EMPTY && transfer->kind != HAUL_SINK_NONE)
        transfer->total = 0; /* a 204 has no body, whatever its fields say (RFC 9112 6.3) */
    transfer->resumed_bytes = 0;
    return TRANSFER_FETCH;
}

static enum transfer_verdict begin_anew(struct haul_download *transfer, const char *why)
{
    text_clear(&transfer->validator);
    transfer->stored_bytes = 0;
    transfer->resumed_bytes = 0;
    return drop(transfer, HAUL_SHORT_BODY, "%s; it has to be fetched from the beginning", why);
}

/* A 206: only what was asked for, of the version that is there, is ever put behind it. */
static enum transfer_verdict judge_partial(struct haul_download *transfer,
                                           const struct response *response)
{
    struct span validator = strong_validator(response);
    struct content_range range;

    if (!transfer->request->ranged)
        return drop(transfer, HAUL_BAD_RESPONSE, "the server sent a part that nobody asked for");
    if (!field_content_range(response_field(response, "content-range"), &range) ||
        range.first != transfer->stored_bytes ||
        (range.total != UINT64_MAX && range.last + 1 != range.total) ||
        (range.total == UINT64_MAX && range.last + 1 != transfer->total) ||
        (response_has_length(response) &&
         response_length(response) != range.last + 1 - range.first))
        return begin_anew(transfer, "the server sent another part than the one asked for");
    if ((transfer->validator.len > 0 && validator.len > 0 &&
         !span_equal(validator, text_span(&transfer->validator))) ||
        (transfer->total != UINT64_MAX && range.total != UINT64_MAX &&
         transfer->total != range.total))
        return begin_anew(transfer, "the file has changed on the server");
    if (transfer->validator.len == 0)
        text_add(&transfer->validator, validator);
    if (range.total != UINT64_MAX)
        transfer->total = range.total;
    return TRANSFER_RESUME;
}

static enum transfer_verdict judge_redirect(struct haul_download *transfer,
                                            const struct response *response)
{
    struct span location = response_field(response, "location");
    struct haul_error error;

    if (!location.data)
        return drop(transfer, HAUL_BAD_RESPONSE, "redirected (%d) without saying where to",
                    transfer->http_status);
    if (++transfer->redirects > REDIRECTS_MAX)
        return drop(transfer, HAUL_REDIRECTS, "more than %d redirects in a row", REDIRECTS_MAX);
    if (!url_resolve(&transfer->next_url, &transfer->url, location, &error))
        return drop(transfer, HAUL_REDIRECTS, "redirected to a place haul can't go: %s",
                    error.text);
    log_write(&transfer->engine->log, HAUL_LOG_INFO, "%s: redirected to %s", transfer->shown_url,
              transfer->next_url.text);
    /* A login that was given for this origin holds for all of it. */
    if (transfer->next_url.text && !transfer->next_url.login && transfer->url.login &&
        url_same_origin(&transfer->next_url, &transfer->url))
        (void)engine_copy_string(&transfer->next_url.login, transfer->url.login);
    return TRANSFER_DROP;
}

static enum transfer_verdict judge_busy(struct haul_download *transfer,
                                        const struct response *response)
{
    struct span value = response_field(response, "retry-after");
    uint64_t delay_s = 0;

    if (value.data && !field_retry_after(value, ring_wall_s(transfer->engine->ring), &delay_s))
        delay_s = 0;
    transfer->hopeless = delay_s > RETRY_AFTER_MAX_S;
    if (transfer->hopeless)
        return drop(transfer, HAUL_BUSY,
                    "the server is busy (%d) and asks to come back in %llu hours",
                    transfer->http_status, (unsigned long long)(delay_s / 3600));
    transfer->retry_after_ns = delay_s * (uint64_t)NS_PER_S;
    return drop(transfer, HAUL_BUSY, "the server is busy (%d)", transfer->http_status);
}

static enum transfer_verdict judge_unsatisfied(struct haul_download *transfer,
                                               const struct response *response)
{
    uint64_t total;

    if (!transfer->request->ranged)
        return drop(transfer, HAUL_HTTP_ERROR,
                    "the server answered 416 to a request without range");
    if (field_unsatisfied_range(response_field(response, "content-range"), &total) &&
        total == transfer->stored_bytes) {
        transfer->total = total; /* it is all there: nothing is left to fetch */
        transfer->resumed_bytes = total;
        return TRANSFER_DROP;
    }
    return begin_anew(transfer, "the server has no such part of the file");
}

static enum transfer_verdict judge_refusal(struct haul_download *transfer,
                                           const struct response *response)
{
    int status = transfer->http_status;
    struct span reason = response_reason(response);
    enum haul_status verdict = HAUL_HTTP_ERROR;

    if (status == 401 || status == 407)
        verdict = HAUL_UNAUTHORIZED;
    else if (status == 404 || status == 410)
        verdict = HAUL_NOT_FOUND;
    else if (status == 408 || status == 425 || status == 500 || status == 502 || status == 504)
        verdict = HAUL_SERVER_ERROR;
    return drop(transfer, verdict, "the server answered %d%s%.*s", status,
                reason.len > 0 ? " " : "", reason.len > 100 ? 100 : (int)reason.len, reason.data);
}

enum transfer_verdict transfer_judge(struct haul_download *transfer,
                                     const struct response *response)
{
    int status = response_status(response);

    transfer->http_status = status;
    if (status == 206)
        return judge_partial(transfer, response);
    if (status >= 200 && status < 300)
        return fetch(transfer, response);
    if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308)
        return judge_redirect(transfer, response);
    if (status == 429 || status == 503)
        return judge_busy(transfer, response);
    if (status == 416)
        return judge_unsatisfied(transfer, response);
    return judge_refusal(transfer, response);
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
