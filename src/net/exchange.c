/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *     EXCHANGE_IDLE --start--> HEAD --user.head--> DECIDING --read_body--> BODY
 *          ^                    |                     |                     |
 *          \--------------------+--- user.ended, or exchange_abort() -------/
 *
 * The head is waited for without a chunk; the first one takes head and body together, so a small
 * file costs one receive. Where the length is known or the body goes on until the end of the
 * connection, the parser is done with the head and bytes land where they will be written from.
 * Chunked bodies pass the parser, which takes the framing out in place. A chunk goes to the user
 * when it is full or the body ends.
 *
 * A chunk that is full soon is followed by a larger one, one that takes long is lent as it is, and
 * followed by a smaller one. A connection that takes long to fill even the smallest is `slow`: it
 * waits without any, and lends what has come at once.
 *
 * Two things hold the receiving up, and the clock for a stalled server does not run meanwhile: the
 * user holds as many chunks as it may, or the buffers are used up.
 */
#include "net/exchange.h"

#include <string.h>

enum {
    HEAD_BYTES = CHUNK_BYTES_MIN,
    CHUNK_ROOM_MIN = 16 * 1024,
    FILL_SOON_MS = 25,
    FILL_LONG_MS = 100
};

static void receive(struct exchange *exchange);

static const struct haul_error fine = {.status = HAUL_OK};

/* --- end ------------------------------------------------------------------------------------- */

/* Lets go of everything but the connection. */
static struct connection *exchange_close(struct exchange *exchange)
{
    struct connection *connection = exchange->connection;

    timer_stop(&exchange->timer);
    buffers_unwait(&exchange->waiter);
    buffers_leave(exchange->buffers, exchange->share);
    exchange->share = NULL;
    if (exchange->chunk && !exchange->receiving)
        buffers_give(exchange->buffers, exchange->chunk);
    exchange->chunk = NULL;
    exchange->receiving = false;
    exchange->connection = NULL;
    exchange->state = EXCHANGE_IDLE;
    return connection;
}

void exchange_abort(struct exchange *exchange)
{
    if (exchange->state != EXCHANGE_IDLE)
        connection_close(exchange_close(exchange));
}

static void exchange_end(struct exchange *exchange, bool reusable, const struct haul_error *error)
{
    struct connection *connection = exchange_close(exchange);

    exchange->user->ended(exchange, connection, reusable, error);
}

static bool lend_chunk(struct exchange *exchange);

/* What has come of a body before its end is body all the same, and can be resumed from. The chunk
 * itself may still be the kernel's to write to: then its bytes are copied. False: the user has
 * ended the exchange. */
static bool lend_rest(struct exchange *exchange)
{
    struct chunk *chunk = exchange->chunk;

    if (exchange->state != EXCHANGE_BODY || !chunk || chunk->len == exchange->body_from)
        return true;
    if (exchange->receiving) {
        struct chunk *copy = buffers_take(exchange->buffers, NULL, chunk->len);

        if (!copy)
            return true;
        if (copy->size < chunk->len) {
            buffers_give(exchange->buffers, copy);
            return true;
        }
        memcpy(copy->data, chunk->data, chunk->len);
        copy->len = chunk->len;
        exchange->chunk = copy;
        exchange->receiving = false;
    }
    return lend_chunk(exchange);
}

static void exchange_break(struct exchange *exchange, const struct haul_error *error)
{
    if (lend_rest(exchange))
        exchange_end(exchange, false, error);
}

void exchange_stop(struct exchange *exchange)
{
    if (lend_rest(exchange))
        exchange_abort(exchange);
}

/* --- the body -------------------------------------------------------------------------------- */

/* Hands what the chunk holds to the user. False: the user has ended the exchange. */
static bool lend_chunk(struct exchange *exchange)
{
    struct chunk *chunk = exchange->chunk;
    size_t from = exchange->body_from;
    size_t len = chunk->len - from;
    uint64_t offset = exchange->lent_offset;

    exchange->chunk = NULL;
    if (len == 0) {
        buffers_give(exchange->buffers, chunk);
        return true;
    }
    exchange->lent++;
    exchange->lent_offset += len;
    exchange->lending = true;
    exchange->user->body(exchange, chunk, from, len, offset);
    exchange->lending = false;
    return exchange->state == EXCHANGE_BODY;
}

static void body_complete(struct exchange *exchange, bool reusable)
{
    if (exchange->chunk && !lend_chunk(exchange))
        return;
    exchange_end(exchange, reusable && response_keep_alive(exchange->response), &fine);
}

/* Looks at what came since `parsed`. True: the body has ended, *reusable tells how cleanly. */
static bool body_progress(struct exchange *exchange, bool *reusable, struct haul_error *error)
{
    struct chunk *chunk = exchange->chunk;
    char *data = chunk->data + exchange->parsed;
    size_t len = chunk->len - exchange->parsed;
    enum response_progress progress = RESPONSE_MORE;
    size_t body_len = len, taken = len;

    switch (response_framing(exchange->response)) {
    case RESPONSE_EMPTY:
        body_len = taken = 0;
        progress = RESPONSE_DONE;
        break;
    case RESPONSE_LENGTH:
        if (len >= exchange->body_left) {
            body_len = taken = (size_t)exchange->body_left;
            progress = RESPONSE_DONE;
        }
        exchange->body_left -= body_len;
        break;
    case RESPONSE_CHUNKED:
        progress = response_unchunk(exchange->response, data, len, &body_len, &taken, error);
        break;
    case RESPONSE_UNTIL_CLOSE:
        break;
    }
    *reusable = taken == len; /* bytes that belong to no response make the connection unfit */
    chunk->len = exchange->parsed + body_len;
    exchange->parsed = chunk->len;
    exchange->received_bytes += body_len;
    return progress == RESPONSE_DONE;
}

static uint64_t filling_ms(const struct exchange *exchange)
{
    return (ring_now_ns(exchange->ring) - exchange->chunk_ns) / (uint64_t)NS_PER_MS;
}

/* What the time it took to fill this chunk says of the next one. */
static void learn_speed(struct exchange *exchange, bool full)
{
    uint64_t ms = filling_ms(exchange);

    exchange->slow = !full && ms >= FILL_LONG_MS && exchange->chunk_bytes <= CHUNK_BYTES_MIN;
    if (full && ms < FILL_SOON_MS && exchange->chunk_bytes < exchange->chunk_bytes_max)
        exchange->chunk_bytes *= 2;
    else if (ms >= FILL_LONG_MS && exchange->chunk_bytes > CHUNK_BYTES_MIN)
        exchange->chunk_bytes /= 2;
}

/* Whether the chunk goes to the user as it is. */
static bool wants_lending(struct exchange *exchange)
{
    const struct chunk *chunk = exchange->chunk;
    size_t room = chunk->size - chunk->len;
    bool full = room < (exchange->aligned ? 1 : CHUNK_ROOM_MIN);

    if (exchange->received_bytes >= exchange->wanted_bytes)
        return true; /* nobody waits for what would fill it */
    if (full || filling_ms(exchange) >= FILL_LONG_MS)
        learn_speed(exchange, full);
    else if (!exchange->slow && !exchange->eager && !buffers_scarce(exchange->buffers))
        return false;
    return full || chunk->len > exchange->body_from;
}

/* The first chunk's part of the body moves to where the rest of the page will join it. */
static void align_body(struct exchange *exchange)
{
    struct chunk *chunk = exchange->chunk;
    size_t from = (size_t)(exchange->base_bytes % RING_DIRECT_BYTES);
    size_t len = chunk->len - exchange->body_from;

    if (!exchange->aligned || from + len > chunk->size)
        return;
    memmove(chunk->data + from, chunk->data + exchange->body_from, len);
    chunk->len = from + len;
    exchange->body_from = exchange->parsed = from;
}

static void take_body(struct exchange *exchange)
{
    struct haul_error error = fine;
    bool reusable, ended = body_progress(exchange, &reusable, &error);

    if (error.status != HAUL_OK)
        exchange_break(exchange, &error);
    else if (ended)
        body_complete(exchange, reusable);
    else if (!wants_lending(exchange) || lend_chunk(exchange))
        receive(exchange);
}

/* The peer has ended its side: in good order only where that ends the body. */
static void take_end(struct exchange *exchange)
{
    struct haul_error error;

    if (exchange->state == EXCHANGE_HEAD) {
        error_set(&error, HAUL_NETWORK, 0, "the server closed the connection without an answer");
        exchange_break(exchange, &error);
    } else if (response_framing(exchange->response) == RESPONSE_UNTIL_CLOSE) {
        body_complete(exchange, false);
    } else {
        if (response_framing(exchange->response) == RESPONSE_LENGTH)
            error_set(&error, HAUL_SHORT_BODY, 0, "the connection ended after %llu of %llu bytes",
                      (unsigned long long)exchange->received_bytes,
                      (unsigned long long)response_length(exchange->response));
        else
            error_set(&error, HAUL_SHORT_BODY, 0,
                      "the connection ended within the body, "
                      "after %llu bytes",
                      (unsigned long long)exchange->received_bytes);
        exchange_break(exchange, &error);
    }
}

/* --- the head -------------------------------------------------------------------------------- */

static void take_head(struct exchange *exchange)
{
    struct chunk *chunk = exchange->chunk;
    struct haul_error error = fine;
    size_t taken = 0;

    switch (response_head(exchange->response, chunk->data + exchange->parsed,
                          chunk->len - exchange->parsed, &taken, &error)) {
    case RESPONSE_MORE:
        exchange->chunk = NULL; /* the response keeps what it needs */
        buffers_give(exchange->buffers, chunk);
        receive(exchange);
        break;
    case RESPONSE_DONE:
        exchange->parsed += taken;
        exchange->body_from = exchange->parsed;
        exchange->state = EXCHANGE_DECIDING;
        timer_stop(&exchange->timer);
        exchange->user->head(exchange);
        break;
    case RESPONSE_BAD:
        exchange_end(exchange, false, &error);
        break;
    }
}

static uint64_t time_out_ns(const struct exchange *exchange)
{
    uint64_t silent_ns = exchange->heard_ns + exchange->timeout_ns;

    return silent_ns < exchange->deadline_ns ? silent_ns : exchange->deadline_ns;
}

static void start_timer(struct exchange *exchange)
{
    exchange->heard_ns = ring_now_ns(exchange->ring);
    ring_timer_start(exchange->ring, &exchange->timer, time_out_ns(exchange));
}

void exchange_read_body(struct exchange *exchange)
{
    CHECK(exchange->state == EXCHANGE_DECIDING);
    exchange->state = EXCHANGE_BODY;
    exchange->received_bytes = 0;
    exchange->lent_offset = 0;
    exchange->body_left = response_length(exchange->response);
    buffers_unpark(exchange->buffers, exchange->chunk);
    start_timer(exchange);
    exchange->chunk_ns = ring_now_ns(exchange->ring); /* the user's time to decide does not count */
    align_body(exchange);
    take_body(exchange);
}

/* --- receiving ------------------------------------------------------------------------------- */

static void received(void *context, struct chunk *chunk, const struct haul_error *error)
{
    struct exchange *exchange = context;
    bool more;

    CHECK(chunk == exchange->chunk);
    exchange->receiving = false;
    more = chunk->len > exchange->parsed;
    if (more) {
        exchange->heard_ns = ring_now_ns(exchange->ring);
        exchange->answered = true;
    }
    if (error->status != HAUL_OK) {
        exchange_break(exchange, error);
    } else if (!more) {
        take_end(exchange);
    } else if (exchange->state == EXCHANGE_HEAD) {
        take_head(exchange);
    } else {
        take_body(exchange);
    }
}

static bool has_length(const struct exchange *exchange)
{
    return exchange->state == EXCHANGE_BODY &&
           response_framing(exchange->response) == RESPONSE_LENGTH;
}

/* At least a byte, or the end of the body would never come. */
static uint64_t wanted_left(const struct exchange *exchange)
{
    uint64_t wanted = exchange->wanted_bytes > exchange->received_bytes
                          ? exchange->wanted_bytes - exchange->received_bytes
                          : 1;

    return wanted < exchange->body_left ? wanted : exchange->body_left;
}

static void receive_into_chunk(struct exchange *exchange)
{
    struct chunk *chunk = exchange->chunk;
    size_t want = chunk->size;

    if (has_length(exchange) && want - chunk->len > wanted_left(exchange))
        want = chunk->len + (size_t)wanted_left(exchange);
    exchange->receiving = true;
    connection_receive(exchange->connection, chunk, exchange->buffers, want);
}

static struct buffers_share *share_now(const struct exchange *exchange)
{
    return exchange->state == EXCHANGE_HEAD && exchange->parks ? buffers_parking(exchange->buffers)
                                                               : exchange->share;
}

static struct chunk *take_chunk(struct exchange *exchange)
{
    size_t bytes = exchange->chunk_bytes;

    if (exchange->state == EXCHANGE_HEAD)
        return buffers_take(exchange->buffers, share_now(exchange), HEAD_BYTES);
    if (!exchange->share)
        exchange->share = buffers_join(exchange->buffers, span_of(exchange->connection->way));
    if (bytes > exchange->chunk_bytes_max)
        bytes = exchange->chunk_bytes_max;
    if (has_length(exchange) && wanted_left(exchange) < bytes - RING_DIRECT_BYTES)
        bytes = (size_t)wanted_left(exchange) + RING_DIRECT_BYTES;
    return buffers_take(exchange->buffers, exchange->share, bytes);
}

static void receive_with_chunk(struct exchange *exchange)
{
    if (!exchange->chunk) {
        exchange->chunk = take_chunk(exchange);
        if (!exchange->chunk) {
            buffers_wait(exchange->buffers, share_now(exchange), &exchange->waiter);
            return;
        }
        exchange->chunk_ns = ring_now_ns(exchange->ring);
        exchange->body_from = 0;
        if (exchange->aligned)
            exchange->body_from =
                (size_t)((exchange->base_bytes + exchange->lent_offset) % RING_DIRECT_BYTES);
        exchange->parsed = exchange->body_from;
        exchange->chunk->len = exchange->body_from;
    }
    receive_into_chunk(exchange);
}

static void chunk_available(struct buffers_waiter *waiter)
{
    struct exchange *exchange = CONTAINER_OF(waiter, struct exchange, waiter);

    exchange->heard_ns = ring_now_ns(exchange->ring); /* the wait was ours, not the server's */
    receive_with_chunk(exchange);
}

static void receive(struct exchange *exchange)
{
    if (exchange->lent >= exchange->lent_max)
        return; /* exchange_give_chunk() goes on */
    if (!exchange->chunk &&
        (exchange->state == EXCHANGE_HEAD || exchange->slow || buffers_scarce(exchange->buffers))) {
        exchange->receiving = true;
        connection_await(exchange->connection);
        return;
    }
    receive_with_chunk(exchange);
}

static void readable(void *context)
{
    struct exchange *exchange = context;

    exchange->receiving = false;
    receive_with_chunk(exchange);
}

void exchange_give_chunk(struct exchange *exchange, struct chunk *chunk)
{
    bool held_up = exchange->lent >= exchange->lent_max;

    CHECK(exchange->lent > 0);
    exchange->lent--;
    buffers_give(exchange->buffers, chunk);
    if (held_up && exchange->state == EXCHANGE_BODY && !exchange->lending && !exchange->receiving) {
        exchange->heard_ns = ring_now_ns(exchange->ring);
        receive(exchange);
    }
}

/* --- time ------------------------------------------------------------------------------------ */

static const struct connection_user connection_user = {
    .readable = readable,
    .received = received,
};

static void timer_fired(struct timer *timer)
{
    struct exchange *exchange = CONTAINER_OF(timer, struct exchange, timer);
    uint64_t now = ring_now_ns(exchange->ring);
    struct haul_error error;

    if (!exchange->receiving) /* we are the ones who are waited for */
        exchange->heard_ns = now;
    else if (exchange->state == EXCHANGE_HEAD && exchange->connection->sent_ns > exchange->heard_ns)
        exchange->heard_ns = exchange->connection->sent_ns; /* a long request takes its time */
    if (time_out_ns(exchange) > now) {
        ring_timer_start(exchange->ring, timer, time_out_ns(exchange));
        return;
    }
    error_set(&error, HAUL_TIMEOUT, 0, "%s %g s",
              exchange->state == EXCHANGE_BODY ? "nothing came for" : "no answer within",
              (double)exchange->timeout_ns / (double)NS_PER_S);
    exchange_break(exchange, &error);
}

/* --- begin ----------------------------------------------------------------------------------- */

void exchange_init(struct exchange *exchange, const struct exchange_user *user, struct ring *ring,
                   struct buffers *buffers, struct response *response, uint64_t timeout_ns)
{
    *exchange = (struct exchange){.user = user,
                                  .ring = ring,
                                  .buffers = buffers,
                                  .response = response,
                                  .timeout_ns = timeout_ns};
    timer_init(&exchange->timer, timer_fired);
    list_init(&exchange->waiter.node);
    exchange->waiter.ready = chunk_available;
}

void exchange_start(struct exchange *exchange, struct connection *connection, struct span head,
                    bool to_head)
{
    CHECK(exchange->state == EXCHANGE_IDLE);
    exchange->state = EXCHANGE_HEAD;
    exchange->connection = connection;
    exchange->answered = false;
    exchange->deadline_ns = UINT64_MAX;
    exchange->eager = false;
    exchange->aligned = false;
    exchange->base_bytes = 0;
    exchange->wanted_bytes = UINT64_MAX;
    exchange->lent_max = EXCHANGE_CHUNKS_MAX;
    exchange->chunk_bytes_max = CHUNK_BYTES_MAX;
    exchange->chunk_bytes = 2 * CHUNK_BYTES_MIN;
    exchange->slow = false;
    response_start(exchange->response, to_head);
    connection_set_user(connection, &connection_user, exchange);
    connection->exchanges++;
    connection_send(connection, head);
    start_timer(exchange);
    receive(exchange);
}
