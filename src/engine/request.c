/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *     IDLE -> PREPARING -> CONNECTING -> HEAD -> OPENING -> BODY ----+
 *                ^              |          |                         v
 *                |              |          +----> DRAINING ----> SETTLING -> IDLE
 *                |              +---(trouble)------------------------^
 *                +-- an idle connection that broke before any answer: once more, on a new one
 *
 * SETTLING waits for the writes and the step that the sink still has under way: only then is it
 * known what is stored, and may the transfer do anything with its sink.
 */
#include "engine/request.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "engine/judge.h"
#include "http/request.h"

enum { DRAIN_BYTES_MAX = 64 * 1024, DRAIN_MS_MAX = 500 };

static const struct haul_error fine = {.status = HAUL_OK};

/* --- the end --------------------------------------------------------------------------------- */

static void request_end(struct request *request)
{
    struct haul_download *transfer = request->transfer;
    struct haul_error error = request->error;

    CHECK(request->exchange.state == EXCHANGE_IDLE && request->exchange.lent == 0);
    request->state = REQUEST_IDLE;
    request->transfer = NULL;
    list_push_front(&request->worker->idle_requests, &request->node);
    worker_request_ended(request->worker, transfer, &error);
}

static void settle(struct request *request)
{
    if (request->state == REQUEST_SETTLING && request->writing == 0 && !request->step)
        request_end(request);
}

/* The network's part is over. The first error is the one that counts. */
static void finish(struct request *request, const struct haul_error *error)
{
    request->state = REQUEST_SETTLING;
    if (request->error.status == HAUL_OK)
        request->error = *error;
    settle(request);
}

void request_abort(struct request *request, const struct haul_error *error)
{
    struct sink *sink = request->transfer->sink;

    connect_cancel(&request->connect);
    if (error->status == HAUL_UNFINISHED && request->state == REQUEST_BODY)
        exchange_stop(&request->exchange);
    else
        exchange_abort(&request->exchange);
    if ((request->writing > 0 || request->step) && sink->operations->hurry)
        sink->operations->hurry(sink);
    finish(request, error);
}

/* --- the body, into the sink ----------------------------------------------------------------- */

static struct request_write *slot_at(struct request *request, unsigned index)
{
    return &request->writes[(request->first_write + index) % EXCHANGE_CHUNKS_MAX];
}

static void write_done(struct sink_write *write, const struct haul_error *error)
{
    struct request_write *slot = CONTAINER_OF(write, struct request_write, write);
    struct request *request = slot->request;

    slot->over = true;
    request->transfer->stored_bytes = extents_prefix(&request->transfer->sink->stored);
    if (error->status != HAUL_OK) {
        if (request->error.status == HAUL_OK)
            request_abort(request, error);
    }
    while (request->writing > 0 && slot_at(request, 0)->over) {
        struct request_write *first = slot_at(request, 0);

        request->first_write = (request->first_write + 1) % EXCHANGE_CHUNKS_MAX;
        request->writing--;
        exchange_give_chunk(&request->exchange, first->chunk);
    }
    settle(request);
}

static void write_chunk(struct request *request, struct chunk *chunk, size_t from, size_t len,
                        uint64_t offset)
{
    struct request_write *slot = slot_at(request, request->writing);

    CHECK(request->writing < EXCHANGE_CHUNKS_MAX);
    slot->chunk = chunk;
    slot->over = false;
    slot->write.data = chunk->data + from;
    slot->write.len = len;
    slot->write.offset = request->base_bytes + offset;
    request->writing++;
    sink_write(request->transfer->sink, &slot->write);
}

static void exchange_body(struct exchange *exchange, struct chunk *chunk, size_t from, size_t len,
                          uint64_t offset)
{
    struct request *request = CONTAINER_OF(exchange, struct request, exchange);

    if (request->state == REQUEST_BODY) {
        worker_count(&request->worker->counts.bytes, len);
        transfer_show(request->transfer, request->base_bytes + offset + len);
        write_chunk(request, chunk, from, len, offset);
        return;
    }
    CHECK(request->state == REQUEST_DRAINING);
    exchange_give_chunk(exchange, chunk);
    request->drain_bytes += len;
    if (request->drain_bytes > DRAIN_BYTES_MAX) {
        exchange_abort(exchange);
        finish(request, &fine);
    }
}

/* --- the head -------------------------------------------------------------------------------- */

static void drain(struct request *request)
{
    bool cheap = response_framing(request->response) == RESPONSE_EMPTY ||
                 (response_framing(request->response) == RESPONSE_LENGTH &&
                  response_length(request->response) <= DRAIN_BYTES_MAX) ||
                 response_framing(request->response) == RESPONSE_CHUNKED;

    request->drain_bytes = 0;
    request->exchange.deadline_ns =
        ring_now_ns(request->worker->ring) + DRAIN_MS_MAX * (uint64_t)NS_PER_MS;
    if (!cheap || !response_keep_alive(request->response)) {
        exchange_abort(&request->exchange);
        finish(request, &fine);
        return;
    }
    request->state = REQUEST_DRAINING;
    exchange_read_body(&request->exchange);
}

static void exchange_head(struct exchange *exchange)
{
    struct request *request = CONTAINER_OF(exchange, struct request, exchange);
    struct haul_download *transfer = request->transfer;
    enum transfer_verdict verdict;
    struct sink_version version;

    verdict = transfer_judge(transfer, request->response);
    if (verdict == TRANSFER_DROP) {
        drain(request);
        return;
    }
    request->state = REQUEST_OPENING;
    request->step = true;
    exchange->eager = transfer->kind == HAUL_SINK_FD; /* somebody reads along */
    if (verdict == TRANSFER_FETCH)
        transfer->stored_bytes = 0;
    request->base_bytes = transfer->stored_bytes;
    transfer_show(transfer, transfer->stored_bytes);
    version = (struct sink_version){.validator = text_span(&transfer->validator),
                                    .total = transfer->total};
    transfer->sink->operations->open(transfer->sink, verdict == TRANSFER_RESUME, &version);
}

static void exchange_ended(struct exchange *exchange, struct connection *connection, bool reusable,
                           const struct haul_error *error);

static const struct exchange_user exchange_user = {
    .head = exchange_head,
    .body = exchange_body,
    .ended = exchange_ended,
};

/* --- connection and request ------------------------------------------------------------------ */

static bool wants_range(const struct request *request)
{
    const struct haul_download *transfer = request->transfer;

    /* Without a validator the bytes of two versions could be mixed; only the user, who asked for
     * it, can know better (`proceed`). */
    return transfer->stored_bytes > 0 && (transfer->validator.len > 0 || transfer->sink->foreign);
}

static void write_head(struct request *request)
{
    struct haul_download *transfer = request->transfer;
    const struct haul_options *options = request->worker->options;
    bool same_origin = span_equal(url_origin(&transfer->url), span_of(transfer->asked_origin));
    const char *const *sets[] = {options->headers, (const char *const *)transfer->headers};
    size_t counts[] = {options->header_count, transfer->header_count};
    struct request_head head = {
        .method = transfer->kind == HAUL_SINK_NONE ? "HEAD" : "GET",
        .url = &transfer->url,
        .user_agent = span_of(transfer->user_agent ? transfer->user_agent : options->user_agent),
        .header_sets = sets,
        .header_counts = counts,
        .set_count = same_origin ? COUNT_OF(sets) : 0,
    };

    request->ranged = wants_range(request);
    if (request->ranged) {
        head.range_from = transfer->stored_bytes;
        head.if_range = text_span(&transfer->validator);
    }
    text_clear(&request->head);
    request_write(&head, &request->head);
}

static void send_request(struct request *request, struct connection *connection)
{
    struct haul_error error;

    write_head(request);
    if (request->head.failed) {
        connection_close(connection);
        error_set(&error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        finish(request, &error);
        return;
    }
    request->state = REQUEST_HEAD;
    request->reused = connection->exchanges > 0;
    request->transfer->connection_made = !request->reused;
    worker_count(&request->worker->counts.requests, 1);
    request->exchange.parks = request->transfer->sink->open_waits;
    exchange_start(&request->exchange, connection, text_span(&request->head),
                   request->transfer->kind == HAUL_SINK_NONE);
}

static void connected(struct connect *connect, struct connection *connection,
                      const struct haul_error *error)
{
    struct request *request = CONTAINER_OF(connect, struct request, connect);

    if (connection)
        send_request(request, connection);
    else
        finish(request, error);
}

static void get_connection(struct request *request)
{
    struct connector *connector = request->worker->connector;
    struct connection *connection = NULL;

    if (!request->fresh)
        connection = connector_take(connector, &request->transfer->url);
    request->state = REQUEST_CONNECTING;
    if (connection)
        send_request(request, connection);
    else
        connect_start(connector, &request->connect, &request->transfer->url);
}

/* The server has closed an idle connection as we took it, or had sent more on it than belonged to
 * the answer before: that says nothing of this request, and no try of the user's is lost by it. */
static bool is_leftover(const struct exchange *exchange, const struct haul_error *error)
{
    return error->status != HAUL_OK && error->status != HAUL_TIMEOUT &&
           (!exchange->answered || error->status == HAUL_BAD_RESPONSE);
}

static void exchange_ended(struct exchange *exchange, struct connection *connection, bool reusable,
                           const struct haul_error *error)
{
    struct request *request = CONTAINER_OF(exchange, struct request, exchange);

    request->transfer->connection_kept = reusable;
    if (reusable)
        connector_give(request->worker->connector, connection);
    else
        connection_close(connection);
    if (request->state == REQUEST_HEAD && request->reused && is_leftover(exchange, error)) {
        request->fresh = true;
        get_connection(request);
        return;
    }
    if (request->state == REQUEST_DRAINING)
        error = &fine; /* the verdict stands; only the connection was at stake */
    finish(request, error);
}

/* What an earlier run has left, if its description can be trusted as far as to ask with it. */
static void take_up(struct haul_download *transfer)
{
    struct span validator = text_span(&transfer->sink->validator);

    transfer->prepared = true;
    transfer->stored_bytes = 0;
    text_clear(&transfer->validator);
    if (!request_check_value(validator))
        return;
    transfer->stored_bytes = extents_prefix(&transfer->sink->stored);
    /* What a later try finds may be its own. */
    if (transfer->tries == 1 || transfer->resumed_bytes > transfer->stored_bytes)
        transfer->resumed_bytes = transfer->stored_bytes;
    transfer->total = transfer->sink->have_total;
    text_add(&transfer->validator, validator);
}

static void sink_stepped(void *context, const struct haul_error *error)
{
    struct request *request = context;

    request->step = false;
    if (request->state == REQUEST_SETTLING) {
        settle(request);
    } else if (error->status != HAUL_OK) {
        request_abort(request, error);
    } else if (request->state == REQUEST_PREPARING) {
        struct haul_download *transfer = request->transfer;

        if (!transfer->prepared)
            take_up(transfer);
        get_connection(request);
    } else {
        CHECK(request->state == REQUEST_OPENING);
        request->state = REQUEST_BODY;
        request->exchange.lent_max = request->transfer->sink->writes_max;
        request->exchange.chunk_bytes_max = request->transfer->sink->chunk_bytes_max;
        request->exchange.aligned = request->transfer->sink->aligned;
        request->exchange.base_bytes = request->base_bytes;
        exchange_read_body(&request->exchange);
    }
}

/* --- begin ----------------------------------------------------------------------------------- */

struct request *request_take(struct worker *worker)
{
    struct list *node = list_pop_front(&worker->idle_requests);
    struct request *request;

    if (node)
        return LIST_ITEM(node, struct request, node);
    request = alloc_zeroed(sizeof(*request));
    if (!request)
        return NULL;
    request->response = response_create();
    if (!request->response) {
        free(request);
        return NULL;
    }
    request->worker = worker;
    list_init(&request->node);
    for (size_t i = 0; i < COUNT_OF(request->writes); i++) {
        request->writes[i].request = request;
        request->writes[i].write.done = write_done;
    }
    connect_init(&request->connect, connected);
    exchange_init(&request->exchange, &exchange_user, worker->ring, worker->buffers,
                  request->response, worker->options->timeout_ms * (uint64_t)NS_PER_MS);
    worker->request_count++;
    return request;
}

void request_destroy(struct request *request)
{
    CHECK(request->state == REQUEST_IDLE);
    request->worker->request_count--;
    response_destroy(request->response);
    text_free(&request->head);
    free(request);
}

void request_start(struct request *request, struct haul_download *transfer)
{
    CHECK(request->state == REQUEST_IDLE);
    request->state = REQUEST_PREPARING;
    request->transfer = transfer;
    request->fresh = false;
    request->error = fine;
    request->step = true;
    sink_set_user(transfer->sink, sink_stepped, request);
    transfer->sink->operations->prepare(transfer->sink);
}
