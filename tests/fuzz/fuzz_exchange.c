/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Input: struct wire, which a server at the other end of a socket pair sends piece by piece, and
 * then ends its side. The exchange runs on the real ring, and comes to what the bytes come to when
 * they are looked at all at once; whatever its user does, everything is given back.
 */
#include "tests/fuzz/wire.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/exchange.h"

enum {
    EAGER = 2,
    ALIGNED = 4,
    KEEPS = 8,        /* the user gives back what it was lent as late as it may */
    ABORTS_HEAD = 16, /* ...and gives up, at the head... */
    ABORTS_BODY = 32, /* ...or at the first bytes */
    STOPS = 64,       /* ...keeping what has come */
    SLOW = 128,       /* turns between the pieces */
    TURNS_MAX = 100000,
    BUDGET = 4 * CHUNK_BYTES_MAX
};

struct run {
    uint8_t flags;
    struct exchange exchange;
    unsigned heads;
    unsigned endings;
    bool given_up;
    bool reusable;
    struct haul_error error;
    struct text content;
    struct chunk *lent[EXCHANGE_CHUNKS_MAX];
    size_t lent_count;
    struct connection *connection; /* that was given back */
};

/* Made once: a ring costs more than a run. */
static struct ring *ring;
static struct buffers *buffers;
static struct response *response;
static struct run *run;

static void give_all(void)
{
    while (run->lent_count > 0)
        exchange_give_chunk(&run->exchange, run->lent[--run->lent_count]);
}

static void give_up(void)
{
    run->given_up = true;
    if (run->flags & STOPS)
        exchange_stop(&run->exchange);
    else
        exchange_abort(&run->exchange);
}

static void head(struct exchange *exchange)
{
    CHECK(exchange == &run->exchange && exchange->state == EXCHANGE_DECIDING);
    CHECK(++run->heads == 1 && run->endings == 0 && !run->given_up);
    exchange->eager = run->flags & EAGER;
    exchange->aligned = run->flags & ALIGNED;
    exchange->base_bytes = run->flags & ALIGNED ? 1234 : 0;
    if (run->flags & ABORTS_HEAD)
        give_up();
}

static void body(struct exchange *exchange, struct chunk *chunk, size_t from, size_t len,
                 uint64_t offset)
{
    CHECK(exchange == &run->exchange && run->heads == 1 && run->endings == 0);
    CHECK(len > 0 && from + len <= chunk->size && offset == run->content.len);
    CHECK(run->lent_count < EXCHANGE_CHUNKS_MAX);
    text_add(&run->content, span_make(chunk->data + from, len));
    run->lent[run->lent_count++] = chunk;
    if (run->flags & ABORTS_BODY && !run->given_up)
        give_up();
}

static void ended(struct exchange *exchange, struct connection *connection, bool reusable,
                  const struct haul_error *error)
{
    CHECK(exchange->state == EXCHANGE_IDLE && ++run->endings == 1 && !run->given_up);
    run->connection = connection;
    run->reusable = reusable;
    run->error = *error;
}

static const struct exchange_user user = {.head = head, .body = body, .ended = ended};

static bool over(void)
{
    return run->endings > 0 || run->given_up;
}

static void turn(void)
{
    ring_read_clock(ring);
    CHECK(ring_turn(ring, ring_now_ns(ring)) == 0);
    if (run->exchange.state == EXCHANGE_DECIDING)
        exchange_read_body(&run->exchange);
    if (!(run->flags & KEEPS) || run->lent_count == EXCHANGE_CHUNKS_MAX)
        give_all();
}

static void prepare(void)
{
    struct ring_options options = {.helper_threads = 1};
    struct haul_error error = {0};

    if (ring)
        return;
    ring = ring_create(&options, &error);
    buffers = ring ? buffers_create(BUDGET, ring, 1) : NULL;
    response = response_create();
    CHECK(ring && buffers && response);
}

/* Returns the server's socket. */
static int begin(bool to_head)
{
    int fds[2];
    struct connection *connection;

    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    CHECK(fcntl(fds[1], F_SETFL, O_NONBLOCK) == 0);
    connection = connection_create(ring, buffers, fds[0], NULL, NULL, NULL);
    CHECK(connection && (connection->way = strdup("http://h:80")));
    exchange_init(&run->exchange, &user, ring, buffers, response,
                  UINT64_C(600) * (uint64_t)NS_PER_S);
    ring_read_clock(ring);
    exchange_start(&run->exchange, connection, SPAN("GET / HTTP/1.1\r\n\r\n"), to_head);
    return fds[1];
}

static void serve(int server, const struct wire *wire)
{
    size_t at = 0, next_cut = 0;

    while (at < wire->bytes.len && !over()) {
        size_t len = fuzz_piece(wire->cuts, &next_cut, wire->bytes.len - at);
        ssize_t sent = send(server, wire->bytes.data + at, len, MSG_NOSIGNAL);

        at += sent > 0 ? (size_t)sent : 0;
        for (int i = 0; i < (wire->flags & SLOW ? 3 : 1); i++)
            turn();
    }
    shutdown(server, SHUT_WR);
    for (int i = 0; i < TURNS_MAX && !over(); i++)
        turn();
    CHECK(over());
}

static void end(int server)
{
    connection_close(run->connection);
    give_all();
    for (int i = 0; i < TURNS_MAX && ring_busy(ring) > 0; i++)
        turn();
    CHECK(ring_busy(ring) == 0 && buffers_out(buffers) == 0);
    close(server);
}

static void expect(enum haul_status status, struct span content)
{
    CHECK(run->error.status == status && (status == HAUL_OK || run->error.text[0]));
    CHECK(span_equal(text_span(&run->content), content));
}

/* rest: what stands behind the head. */
static void check_body(const struct wire_outcome *outcome, struct span rest)
{
    CHECK(run->heads == 1);
    CHECK(!run->reusable || (outcome->keep_alive && run->error.status == HAUL_OK));
    switch (outcome->framing) {
    case RESPONSE_EMPTY:
        expect(HAUL_OK, span_make("", 0));
        break;
    case RESPONSE_LENGTH:
        if (rest.len < outcome->length)
            expect(HAUL_SHORT_BODY, rest);
        else
            expect(HAUL_OK, span_sub(rest, 0, (size_t)outcome->length));
        break;
    case RESPONSE_CHUNKED:
        if (outcome->body == RESPONSE_BAD)
            CHECK(run->error.status == HAUL_BAD_RESPONSE);
        else
            expect(outcome->body == RESPONSE_DONE ? HAUL_OK : HAUL_SHORT_BODY,
                   text_span(&outcome->content));
        break;
    case RESPONSE_UNTIL_CLOSE:
        expect(HAUL_OK, rest);
        break;
    }
}

static void check(const struct wire *wire)
{
    struct response *other = response_create();
    struct wire_outcome outcome;

    CHECK(other);
    wire_run(other, wire->flags & WIRE_TO_HEAD, wire->bytes, span_make("", 0), &outcome);
    if (outcome.head == RESPONSE_DONE)
        check_body(&outcome, span_sub(wire->bytes, outcome.head_bytes, wire->bytes.len));
    else
        CHECK(run->heads == 0 &&
              run->error.status ==
                  (outcome.head == RESPONSE_BAD ? HAUL_BAD_RESPONSE : HAUL_NETWORK));
    text_free(&outcome.content);
    response_destroy(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire wire = wire_of(data, size);
    struct run now = {.flags = wire.flags};
    int server;

    prepare();
    run = &now;
    server = begin(wire.flags & WIRE_TO_HEAD);
    serve(server, &wire);
    end(server);
    if (!now.given_up)
        check(&wire);
    text_free(&now.content);
    return 0;
}
