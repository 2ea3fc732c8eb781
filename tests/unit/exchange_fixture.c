/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/exchange_fixture.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

struct exchange_fixture f;

/* ---- the user ---- */

void give_one(void)
{
    struct chunk *chunk = f.lent[0];

    CHECK(f.lent_count > 0);
    memmove(&f.lent[0], &f.lent[1], --f.lent_count * sizeof(f.lent[0]));
    exchange_give_chunk(&f.exchange, chunk);
}

void give_all(void)
{
    while (f.lent_count > 0)
        give_one();
}

static void act(enum act what)
{
    switch (what) {
    case GO_ON:
        break;
    case ABORT:
        exchange_abort(&f.exchange);
        break;
    case STOP:
        exchange_stop(&f.exchange);
        break;
    case GIVE_BACK:
        give_one();
        break;
    }
}

static void head(struct exchange *exchange)
{
    CHECK(exchange == &f.exchange && exchange->state == EXCHANGE_DECIDING && !f.starting);
    f.heads++;
    exchange->eager = f.eager;
    exchange->aligned = f.aligned;
    exchange->base_bytes = f.base_bytes;
    if (f.chunk_bytes > 0)
        exchange->chunk_bytes_max = f.chunk_bytes;
    if (f.lent_max > 0)
        exchange->lent_max = f.lent_max;
    if (f.deadline_ms > 0)
        exchange->deadline_ns = ring_now_ns(f.ring) + f.deadline_ms * (uint64_t)NS_PER_MS;
    act(f.at_head);
}

static void body(struct exchange *exchange, struct chunk *chunk, size_t from, size_t len,
                 uint64_t offset)
{
    CHECK(exchange == &f.exchange && len > 0 && from + len <= chunk->size);
    CHECK(offset == f.body_bytes && f.lent_count < EXCHANGE_CHUNKS_MAX);
    f.bodies++;
    f.last_size = chunk->size;
    f.last_len = len;
    if (chunk->size > f.largest_size)
        f.largest_size = chunk->size;
    if (f.aligned && ((uintptr_t)chunk->data + from - f.base_bytes - offset) % 4096 != 0) {
        CHECK(offset == 0); /* the first one only, with which the head came */
        f.misaligned++;
    }
    f.body_bytes += len;
    if (!f.forget)
        text_add(&f.body, span_make(chunk->data + from, len));
    f.lent[f.lent_count++] = chunk;
    act(f.at_body);
}

static void ended(struct exchange *exchange, struct connection *connection, bool reusable,
                  const struct haul_error *error)
{
    CHECK(exchange->state == EXCHANGE_IDLE && !f.starting);
    f.endings++;
    f.connection = connection;
    f.reusable = reusable;
    f.error = *error;
}

static const struct exchange_user user = {.head = head, .body = body, .ended = ended};

/* ---- begin and end ---- */

static void connect_pair(void)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    f.server = fds[1];
    fcntl(f.server, F_SETFL, O_NONBLOCK);
    f.connection = connection_create(f.ring, f.buffers, fds[0], NULL, NULL, NULL);
    assert_non_null(f.connection);
    f.connection->way = strdup(ORIGIN); /* as the connector does */
    assert_non_null(f.connection->way);
}

void begin_with(uint64_t timeout_ms)
{
    struct ring_options options = {.helper_threads = 1};
    struct haul_error error;

    memset(&f, 0, sizeof(f));
    f.ring = ring_create(&options, &error);
    assert_non_null(f.ring);
    f.buffers = buffers_create(BUDGET, f.ring, 1);
    f.response = response_create();
    exchange_init(&f.exchange, &user, f.ring, f.buffers, f.response,
                  timeout_ms * (uint64_t)NS_PER_MS);
    connect_pair();
}

void begin(void)
{
    begin_with(60000);
}

void start_to(bool to_head)
{
    struct connection *connection = f.connection;

    f.connection = NULL;
    f.body_bytes = 0;
    text_clear(&f.body);
    f.starting = true;
    ring_read_clock(f.ring);
    exchange_start(&f.exchange, connection, SPAN(REQUEST), to_head);
    f.starting = false;
}

void start(void)
{
    start_to(false);
}

void turn_ms(uint64_t ms)
{
    ring_read_clock(f.ring);
    assert_int_equal(ring_turn(f.ring, ring_now_ns(f.ring) + ms * (uint64_t)NS_PER_MS), 0);
}

void settle(void)
{
    for (int i = 0; i < 20; i++)
        turn_ms(0);
}

void drop_connection(void)
{
    connection_close(f.connection);
    f.connection = NULL;
}

/* buffers_destroy() and ring_destroy() CHECK. */
void end(void)
{
    exchange_abort(&f.exchange);
    drop_connection();
    give_all();
    give_others();
    while (ring_busy(f.ring) > 0)
        turn_ms(100);
    assert_int_equal(buffers_out(f.buffers), 0);
    buffers_destroy(f.buffers);
    response_destroy(f.response);
    ring_destroy(f.ring);
    text_free(&f.body);
    close(f.server);
}

/* ---- the server ---- */

size_t serve(const char *data, size_t len)
{
    ssize_t sent = send(f.server, data, len, MSG_NOSIGNAL);

    return sent > 0 ? (size_t)sent : 0;
}

void serve_text(const char *text)
{
    assert_int_equal(serve(text, strlen(text)), strlen(text));
}

void serve_head(const char *framing)
{
    serve_text("HTTP/1.1 200 OK\r\n");
    serve_text(framing);
    serve_text("\r\n");
}

enum haul_status finish(void)
{
    uint64_t limit;

    ring_read_clock(f.ring);
    limit = ring_now_ns(f.ring) + PATIENCE_NS;
    while (f.endings == 0 && ring_now_ns(f.ring) < limit) {
        assert_int_equal(ring_turn(f.ring, ring_now_ns(f.ring) + 2 * (uint64_t)NS_PER_MS), 0);
        if (f.exchange.state == EXCHANGE_DECIDING)
            exchange_read_body(&f.exchange);
        if (!f.keep)
            give_all();
    }
    assert_int_equal(f.endings, 1);
    assert_int_equal(f.exchange.state, EXCHANGE_IDLE);
    f.endings = 0;
    return f.error.status;
}

void wait_head(void)
{
    for (int i = 0; f.heads == 0 && i < 20000; i++)
        turn_ms(1);
    assert_int_equal(f.heads, 1);
    assert_int_equal(f.exchange.state, EXCHANGE_DECIDING);
}

enum haul_status serve_rest(const char *data, size_t at, size_t len)
{
    for (int turns = 0; f.endings == 0 && turns < 100000; turns++) {
        at += at < len ? serve(data + at, len - at) : 0;
        turn_ms(at < len ? 0 : 1);
        if (f.exchange.state == EXCHANGE_DECIDING)
            exchange_read_body(&f.exchange);
        give_all();
    }
    return finish();
}

size_t serve_until_stuck(const char *data, size_t at)
{
    for (int idle = 0; idle < 20;) {
        size_t sent = at < BODY_BYTES ? serve(data + at, BODY_BYTES - at) : 0;

        at += sent;
        idle = sent > 0 ? 0 : idle + 1;
        turn_ms(0);
    }
    return at;
}

char *make_body(size_t len)
{
    char *data = malloc(len);
    uint64_t random = 5;

    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)unit_random(&random);
    return data;
}

void assert_body(const char *data, size_t len)
{
    assert_int_equal(f.body.len, len);
    assert_memory_equal(f.body.data, data, len);
}

/* ---- other users of the buffers ---- */

void take_others(struct buffers_share *share, size_t bytes)
{
    struct chunk *chunk;

    while ((chunk = buffers_take(f.buffers, share, bytes)))
        f.others[f.other_count++] = chunk;
}

void give_other(void)
{
    CHECK(f.other_count > 0);
    buffers_give(f.buffers, f.others[--f.other_count]);
}

void give_others(void)
{
    while (f.other_count > 0)
        give_other();
}
