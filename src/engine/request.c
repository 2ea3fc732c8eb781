/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *     IDLE -> PREPARING -> READING -> CONNECTING -> HEAD -> OPENING -> BODY ----+
 *       |                     ^          |  ^         |                ^        v
 *       \---- not the leader -+          |  |         +----------------+    SETTLING -> IDLE
 *                                        |  |         +--> DRAINING --------->^
 *                                        |  \- an idle connection that broke  |
 *                                        |     before any answer: a new one   |
 *                                        \-- (trouble) -----------------------+
 *
 * NAMING comes between HEAD and OPENING where the server says what the file is called; if that is
 * there already, DRAINING may follow. CHECKING comes between PREPARING and READING where a file is
 * there under the name already, which may be all that is wanted. SETTLING waits for the writes,
 * reads and steps that the sink still has under way: only then is it known what is stored, and may
 * the transfer do anything with its sink.
 */
#include "engine/request.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/judge.h"
#include "engine/pace.h"
#include "engine/standing.h"
#include "engine/unpack.h"
#include "http/request.h"

enum { DRAIN_BYTES_MAX = 64 * 1024, DRAIN_MS_MAX = 500, HEAD_BYTES_KEPT = 64 * 1024 };

static const struct haul_error fine = {.status = HAUL_OK};

static struct haul_download *transfer_of(const struct request *request)
{
    return request->leg->transfer;
}

static struct sink *sink_of(const struct request *request)
{
    return request->leg->transfer->sink;
}

/* --- the end --------------------------------------------------------------------------------- */

static void request_end(struct request *request)
{
    struct leg *leg = request->leg;
    struct haul_error error = request->error;

    CHECK(request->exchange.state == EXCHANGE_IDLE && request->exchange.lent == 0);
    if (error.status != HAUL_OK)
        leg->transfer->body.ended = false; /* all had come, but the last of it is not stored */
    timer_stop(&request->pace_timer);
    free(request->compare);
    request->compare = NULL;
    if (request->decode)
        decode_release(request->decode);
    request->decode = NULL;
    request->state = REQUEST_IDLE;
    request->leg = NULL;
    list_push_front(&request->worker->idle_requests, &request->node);
    body_leg_over(leg, &error);
}

static void settle(struct request *request)
{
    if (request->state == REQUEST_SETTLING && request->writing == 0 && !request->step)
        request_end(request);
}

/* The network's part is over. The first error is the one that counts. */
static void finish(struct request *request, const struct haul_error *error)
{
    if (request->state == REQUEST_BODY && error->status == HAUL_OK && request->whole)
        transfer_of(request)->body.ended = true;
    request->state = REQUEST_SETTLING;
    if (request->error.status == HAUL_OK)
        request->error = *error;
    if (request->decode)
        decode_stop(request->decode);
    settle(request);
}

void request_finish(struct request *request, const struct haul_error *error)
{
    finish(request, error);
}

static void check_given_up(void *context)
{
    struct request *request = context;

    request->step = false;
    settle(request);
}

void request_abort(struct request *request, const struct haul_error *error)
{
    struct sink *sink = sink_of(request);

    connect_cancel(&request->connect);
    if (request->state == REQUEST_BODY && !request->decode &&
        (error->status == HAUL_UNFINISHED || error->status == HAUL_TOO_SLOW)) {
        request->ending = true;
        exchange_stop(&request->exchange);
    } else {
        exchange_abort(&request->exchange);
    }
    if (request->state == REQUEST_CHECKING && request->step)
        body_hush(transfer_of(request), check_given_up, request);
    else if ((request->writing > 0 || request->step) && sink->operations->hurry)
        sink->operations->hurry(sink);
    finish(request, error);
}

/* Something that no other leg could do better. */
void request_fail_all(struct request *request, const struct haul_error *error)
{
    body_stop(request->leg, error, false);
    request_abort(request, error);
}

/* --- the body, into the sink ----------------------------------------------------------------- */

static void chunk_used(struct request_write *slot)
{
    struct request *request = slot->request;
    struct chunk *chunk = slot->chunk;

    if (--slot->users > 0)
        return;
    slot->chunk = NULL;
    request->writing--;
    if (request->decode)
        decode_give(request->decode, chunk);
    else
        exchange_give_chunk(&request->exchange, chunk);
    settle(request);
}

static void piece_done(struct verify_piece *piece)
{
    chunk_used(CONTAINER_OF(piece, struct request_write, piece));
}

static void write_done(struct sink_write *write, const struct haul_error *error)
{
    struct request_write *slot = CONTAINER_OF(write, struct request_write, write);
    struct request *request = slot->request;

    if (error->status == HAUL_OK) {
        verify_stored(transfer_of(request)->body.verify);
    } else {
        body_stop(request->leg, error, false);
        if (request->error.status == HAUL_OK)
            request_abort(request, error); /* it can't end yet: this write still counts */
    }
    chunk_used(slot);
}

static void write_chunk(struct request *request, struct chunk *chunk, struct span data,
                        uint64_t offset)
{
    struct body *body = &transfer_of(request)->body;
    struct request_write *slot = request->writes;

    while (slot->chunk)
        slot++;
    CHECK(slot < request->writes + EXCHANGE_CHUNKS_MAX);
    slot->chunk = chunk;
    slot->users = 1;
    slot->write.data = data.data;
    slot->write.len = data.len;
    slot->write.offset = offset;
    request->writing++;
    /* What is to stop may never bring the bytes before it. */
    if (!body->stopping && verify_chunk(body->verify, &slot->piece, offset, data.data, data.len))
        slot->users++;
    sink_write(sink_of(request), &slot->write);
}

void request_store(struct request *request, struct chunk *chunk, struct span data, uint64_t offset)
{
    write_chunk(request, chunk, data, offset);
}

/* Takes what is only to be compared from the beginning of *data, which stands at *offset in the
 * file. False: it is not the same. */
static bool compare(struct request *request, struct span *data, uint64_t *offset)
{
    size_t at = (size_t)(*offset - request->base_bytes);
    size_t len = request->compare_bytes - at;

    if (len > data->len)
        len = data->len;
    if (memcmp(request->compare + at, data->data, len) != 0)
        return false;
    *data = span_sub(*data, len, data->len);
    *offset += len;
    return true;
}

static void begin_anew(struct request *request)
{
    struct haul_error error;

    error_set(&error, HAUL_SHORT_BODY, 0,
              "what is there is not what the server has; it has to be fetched from the beginning");
    body_stop(request->leg, &error, true);
    request_abort(request, &error);
}

/* What was received is what is left of this leg's range, or more, because that was cut: the
 * connection has no more that is of use. */
static bool has_enough(const struct request *request, uint64_t end)
{
    const struct exchange *exchange = &request->exchange;

    if (end < request->leg->range.to)
        return false;
    return response_framing(exchange->response) != RESPONSE_LENGTH || exchange->body_left > 0;
}

static void take_body(struct request *request, struct chunk *chunk, struct span data,
                      uint64_t offset)
{
    const struct extent *range = &request->leg->range;
    uint64_t end = offset + data.len;
    bool enough;

    if (request->compare && offset < request->base_bytes + request->compare_bytes &&
        !compare(request, &data, &offset)) {
        exchange_give_chunk(&request->exchange, chunk);
        if (!request->ending)
            begin_anew(request);
        return;
    }
    enough = end > range->to || (range->to != UINT64_MAX && has_enough(request, end));
    if (end > range->to)
        data.len = range->to > offset ? (size_t)(range->to - offset) : 0;
    if (data.len > 0)
        write_chunk(request, chunk, data, offset);
    else
        exchange_give_chunk(&request->exchange, chunk);
    if (!enough || request->ending || request->state != REQUEST_BODY)
        return;
    exchange_abort(&request->exchange);
    finish(request, &fine);
}

static void drain_body(struct request *request, struct chunk *chunk, size_t len)
{
    CHECK(request->state == REQUEST_DRAINING);
    exchange_give_chunk(&request->exchange, chunk);
    request->drain_bytes += len;
    if (request->drain_bytes > DRAIN_BYTES_MAX) {
        exchange_abort(&request->exchange);
        finish(request, &fine);
    }
}

static void exchange_body(struct exchange *exchange, struct chunk *chunk, size_t from, size_t len,
                          uint64_t offset)
{
    struct request *request = CONTAINER_OF(exchange, struct request, exchange);
    struct haul_download *transfer;

    if (request->state != REQUEST_BODY) {
        drain_body(request, chunk, len);
        return;
    }
    transfer = transfer_of(request);
    worker_count(&request->worker->counts.bytes, len);
    pace_note(request, len);
    if (request->decode) {
        decode_add(request->decode, chunk, from, len);
        return;
    }
    transfer->body.received_bytes += len;
    body_show_more(transfer, len);
    take_body(request, chunk, span_make(chunk->data + from, len), request->base_bytes + offset);
}

void request_cut(struct request *request, uint64_t to)
{
    request->leg->range.to = to;
    if (request->state == REQUEST_BODY)
        request->exchange.wanted_bytes = to - request->base_bytes;
}

bool request_take_all(struct request *request)
{
    if (!request->whole || request->state != REQUEST_BODY)
        return false;
    request->leg->range.to = transfer_of(request)->body.total;
    request->exchange.wanted_bytes = UINT64_MAX;
    return true;
}

static void start_body(struct request *request)
{
    const struct sink *sink = sink_of(request);
    const struct extent *range = &request->leg->range;
    struct exchange *exchange = &request->exchange;
    struct haul_error error;

    if (request->codings.count > 0 && !unpack_start(request)) {
        error_set(&error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        request_fail_all(request, &error);
        return;
    }
    request->state = REQUEST_BODY;
    exchange->lent_max = sink->writes_max;
    exchange->chunk_bytes_max = request->decode ? UNPACK_CHUNK_BYTES : sink->chunk_bytes_max;
    exchange->aligned = sink->aligned && !request->decode;
    exchange->base_bytes = request->base_bytes;
    if (range->to != UINT64_MAX)
        exchange->wanted_bytes = range->to - request->base_bytes;
    pace_start(request);
    exchange_read_body(exchange);
}

/* --- the head -------------------------------------------------------------------------------- */

void request_drop(struct request *request)
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

static void opened(struct request *request)
{
    body_opened(request->leg);
    start_body(request);
}

/* Nothing is being hashed of what may be given up now. */
static void hushed(void *context)
{
    struct request *request = context;
    struct haul_download *transfer = transfer_of(request);
    struct sink_version version = body_version(transfer);

    struct haul_error error;

    if (request->state == REQUEST_SETTLING) {
        request->step = false;
        settle(request);
        return;
    }
    if (!body_want_digests(transfer, request->whole)) {
        request->step = false;
        error_set(&error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        request_fail_all(request, &error);
        return;
    }
    transfer->sink->operations->open(transfer->sink, !request->whole, &version);
}

void request_open(struct request *request)
{
    struct body *body = &transfer_of(request)->body;

    if (!request->whole && body->open) {
        opened(request);
        return;
    }
    request->state = REQUEST_OPENING;
    request->step = true;
    body_hush(transfer_of(request), hushed, request);
}

static void exchange_head(struct exchange *exchange)
{
    struct request *request = CONTAINER_OF(exchange, struct request, exchange);
    struct haul_download *transfer = transfer_of(request);
    struct leg *leg = request->leg;
    enum transfer_verdict verdict = transfer_judge(leg, request->response);

    if (verdict == TRANSFER_DROP) {
        request_drop(request);
        return;
    }
    exchange->eager = transfer->kind == HAUL_SINK_FD; /* somebody reads along */
    request->whole = verdict == TRANSFER_FETCH;
    request->base_bytes = request->asked.from;
    if (request->whole) {
        request->base_bytes = 0;
        request->compare_bytes = 0;
        leg->range = (struct extent){.from = 0, .to = UINT64_MAX};
        extents_clear(&transfer->body.earlier);
    }
    if (transfer->body.leader == leg)
        request_hear(request);
    else
        start_body(request);
}

static void exchange_ended(struct exchange *exchange, struct connection *connection, bool reusable,
                           const struct haul_error *error);

static const struct exchange_user exchange_user = {
    .head = exchange_head,
    .body = exchange_body,
    .ended = exchange_ended,
};

/* --- connection and request ------------------------------------------------------------------ */

/* What is more than a plain GET. A page that was visited over TLS is not named to others without
 * (RFC 9110 10.1.3). */
static void fill_head(struct request_head *head, const struct leg *leg,
                      const struct request_extra *extra)
{
    bool tells_more = span_starts_nocase(span_of(extra->referer), SPAN("https:"));

    if (extra->referer && (leg->url.secure || !tells_more))
        head->referer = span_of(extra->referer);
    head->range = span_of(extra->range);
    if (leg->reduced)
        return;
    if (extra->data)
        head->body = span_make(extra->data, extra->data_bytes);
    head->content_type = extra->content_type ? span_of(extra->content_type)
                                             : SPAN("application/x-www-form-urlencoded");
}

static void write_head(struct request *request)
{
    const struct leg *leg = request->leg;
    const struct haul_download *transfer = leg->transfer;
    const struct haul_options *options = request->worker->options;
    bool same_origin = span_equal(url_origin(&leg->url), span_of(transfer->asked_origin));
    const char *const *sets[] = {options->headers, (const char *const *)transfer->headers};
    size_t counts[] = {options->header_count, transfer->header_count};
    struct request_head head = {
        .method = transfer_method(leg),
        .url = &leg->url,
        .authorization = text_span(&leg->authorization),
        .cookies = text_span(&leg->cookies),
        .codings = decode_may_ask(leg, request->ranged),
        .user_agent = span_of(transfer->user_agent ? transfer->user_agent : options->user_agent),
        .header_sets = sets,
        .header_counts = counts,
        .set_count = COUNT_OF(sets),
        .body_left = leg->reduced,
        .other_origin = !same_origin,
        .to_proxy = proxy_is_asked(leg->proxy, &leg->url) ? leg->proxy : NULL,
        .ranged = request->ranged,
        .range_from = request->asked.from,
        .range_to = request->asked.to,
    };
    struct text date = {0};

    if (request->ranged && leg->source == transfer->body.validator_source)
        head.if_range = text_span(&transfer->body.validator);
    if (transfer->extra)
        fill_head(&head, leg, transfer->extra);
    request_add_condition(request, &head, &date);
    text_clear(&request->head);
    request_write(&head, &request->head);
    request->head.failed = request->head.failed || date.failed;
    text_free(&date);
    text_add(&request->head, head.body);
}

/* A long body is not kept until the next request, nor is what nobody else may know. */
static void forget_head(struct request *request)
{
    if (request->leg->proxy || request->leg->authorization.len + request->leg->cookies.len > 0)
        explicit_bzero(request->head.data, request->head.len);
    if (request->head.capacity > HEAD_BYTES_KEPT)
        text_free(&request->head);
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
    request->leg->sent = true;
    request->reused = connection->exchanges > 0;
    request->leg->connection_made = !request->reused;
    worker_count(&request->worker->counts.requests, 1);
    request->exchange.parks = sink_of(request)->open_waits;
    exchange_start(&request->exchange, connection, text_span(&request->head),
                   transfer_of(request)->kind == HAUL_SINK_NONE);
    forget_head(request);
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
        connection = connector_take(connector, request->leg->way);
    request->state = REQUEST_CONNECTING;
    if (connection)
        send_request(request, connection);
    else
        connect_start(connector, &request->connect, &request->leg->url, request->leg->proxy,
                      request->leg->way);
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

    request->leg->connection_kept = reusable;
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
    if (request->state == REQUEST_BODY && request->decode && error->status == HAUL_OK)
        decode_end(request->decode);
    else
        finish(request, error);
}

/* --- what to ask for ------------------------------------------------------------------------- */

static void compare_read(struct sink_read *read, const struct haul_error *error)
{
    struct request *request = CONTAINER_OF(read, struct request, read);

    request->step = false;
    if (request->state == REQUEST_SETTLING)
        settle(request);
    else if (error->status != HAUL_OK)
        request_fail_all(request, error);
    else
        get_connection(request);
}

/* Asks for the leg's range, and for what is to be compared before it. */
static void ask(struct request *request, bool ranged)
{
    struct haul_download *transfer = transfer_of(request);
    const struct extent *range = &request->leg->range;
    struct haul_error error;

    request->ranged = ranged;
    request->asked = *range;
    if (range->to >= transfer->body.total)
        request->asked.to = UINT64_MAX;
    request->compare_bytes = ranged ? body_compare_bytes(transfer, range->from) : 0;
    if (request->compare_bytes == 0) {
        get_connection(request);
        return;
    }
    request->compare = alloc_zeroed(request->compare_bytes);
    if (!request->compare) {
        error_set(&error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        finish(request, &error);
        return;
    }
    request->asked.from -= request->compare_bytes;
    request->state = REQUEST_READING;
    request->step = true;
    request->read.data = request->compare;
    request->read.len = request->compare_bytes;
    request->read.offset = request->asked.from;
    sink_read(transfer->sink, &request->read);
}

/* The leader asks for the first of what is missing, or for all. */
static void lead(struct request *request)
{
    struct leg *leg = request->leg;
    struct haul_download *transfer = leg->transfer;
    struct extent hole;

    if (!body_may_resume(transfer, leg->source)) {
        ask(request, false);
    } else if (extents_hole(&transfer->sink->stored, 0, transfer->body.total, &hole)) {
        leg->range = hole;
        ask(request, true);
    } else {
        finish(request, &fine); /* it was all there, and only the name was missing */
    }
}

/* Whether a file that was there has turned out to be what is wanted. */
static void checked(void *context, const struct haul_error *found)
{
    struct request *request = context;
    struct haul_download *transfer = transfer_of(request);
    const struct haul_options *options = request->worker->options;
    struct haul_error error;

    request->step = false;
    if (found->status == HAUL_OK) {
        transfer->verified = true;
        finish(request, &fine);
    } else if (found->status != HAUL_CHECKSUM) {
        request_fail_all(request, found);
    } else if (!options->proceed && !options->auto_file_renaming) {
        error_set(&error, HAUL_EXISTS, 0, "%s is there already, but %s", transfer->sink->name.data,
                  found->text);
        request_fail_all(request, &error);
    } else {
        transfer->body.total = UINT64_MAX;
        transfer->body.fresh = !options->proceed;
        if (transfer->body.fresh)
            transfer->body.resumed_bytes = 0;
        lead(request);
    }
}

/* What stands under the name already may be the file. */
static bool check(struct request *request)
{
    struct haul_download *transfer = transfer_of(request);
    struct body *body = &transfer->body;
    const struct haul_options *options = request->worker->options;
    struct haul_error error;

    if (!options->check_integrity || !body->decided || !transfer->sink->foreign || body->checked)
        return false;
    body->checked = true;
    body->total = extents_bytes(&transfer->sink->stored);
    if (!body_want_digests(transfer, false)) {
        error_set(&error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        request_fail_all(request, &error);
        return true;
    }
    request->state = REQUEST_CHECKING;
    request->step = true;
    verify_finish(body->verify, body->total, checked, request);
    return true;
}

static void sink_stepped(void *context, const struct haul_error *error)
{
    struct request *request = context;

    request->step = false;
    if (request->state == REQUEST_SETTLING) {
        settle(request);
    } else if (error->status != HAUL_OK) {
        request_fail_all(request, error);
    } else if (request->state == REQUEST_PREPARING) {
        if (!transfer_of(request)->body.prepared)
            body_take_up(transfer_of(request));
        if (sink_of(request)->standing) {
            transfer_of(request)->body.unchanged = true;
            finish(request, &fine);
        } else if (!check(request)) {
            lead(request);
        }
    } else if (request->state == REQUEST_NAMING) {
        request_named(request);
    } else {
        CHECK(request->state == REQUEST_OPENING);
        opened(request);
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
        request->writes[i].piece.done = piece_done;
    }
    request->read.done = compare_read;
    timer_init(&request->pace_timer, pace_due);
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

void request_start(struct request *request, struct leg *leg)
{
    struct sink *sink = leg->transfer->sink;

    CHECK(request->state == REQUEST_IDLE);
    request->leg = leg;
    /* What may not be sent twice goes to no connection that may be closed as it comes. */
    request->fresh = !leg->reduced && !request_extra_is_idempotent(leg->transfer->extra);
    request->whole = false;
    request->ending = false;
    request->codings.count = 0;
    request->is_announced = false;
    request->base_bytes = 0;
    request->error = fine;
    if (leg->transfer->body.leader != leg) {
        ask(request, true);
        return;
    }
    request->state = REQUEST_PREPARING;
    request->step = true;
    sink_set_user(sink, sink_stepped, request);
    sink->operations->prepare(sink);
}
