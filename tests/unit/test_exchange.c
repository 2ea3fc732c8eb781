/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Exchange and connection on the real ring; the test itself is the server at the other end of a
 * socket pair. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/exchange.h"

enum {
    CHUNK_BYTES = 64 * 1024,
    CHUNKS = 8,
    LENT_MAX = 4,
    BODY_BYTES = 2 * 1024 * 1024,
    SHORT_MS = 60 /* of a timeout that is meant to pass */
};

#define PATIENCE_NS (UINT64_C(20) * (uint64_t)NS_PER_S)
#define REQUEST     "GET / HTTP/1.1\r\nHost: h\r\n\r\n"

/* What the user of the exchange does when it is called. */
enum act { GO_ON, ABORT, STOP, GIVE_BACK };

static struct {
    struct ring *ring;
    struct buffers *buffers;
    struct response *response;
    struct exchange exchange;
    int server;
    enum act at_head;
    enum act at_body;
    bool keep;            /* the user keeps what it is lent */
    bool eager;           /* asked for in `head` */
    uint64_t deadline_ms; /* likewise; 0: none */
    unsigned heads;
    unsigned bodies;
    unsigned endings;
    struct text body;
    struct chunk *lent[LENT_MAX];
    size_t lent_count;
    struct connection *connection; /* that `ended` gave back */
    bool reusable;
    struct haul_error error;
    bool starting;
} f;

static void give_one(void)
{
    struct chunk *chunk = f.lent[0];

    CHECK(f.lent_count > 0);
    memmove(&f.lent[0], &f.lent[1], --f.lent_count * sizeof(f.lent[0]));
    exchange_give_chunk(&f.exchange, chunk);
}

static void give_all(void)
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
    if (f.deadline_ms > 0)
        exchange->deadline_ns = ring_now_ns(f.ring) + f.deadline_ms * (uint64_t)NS_PER_MS;
    act(f.at_head);
}

static void body(struct exchange *exchange, struct chunk *chunk, size_t from, size_t len,
                 uint64_t offset)
{
    CHECK(exchange == &f.exchange && len > 0 && from + len <= chunk->size);
    CHECK(offset == f.body.len && f.lent_count < EXCHANGE_CHUNKS_MAX);
    f.bodies++;
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

/* ---- fixture ---- */

static void connect_pair(void)
{
    int fds[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    f.server = fds[1];
    fcntl(f.server, F_SETFL, O_NONBLOCK);
    f.connection = connection_create(f.ring, f.buffers, fds[0], NULL, NULL, NULL);
    assert_non_null(f.connection);
}

static void begin_with(size_t chunks, uint64_t timeout_ms)
{
    struct ring_options options = {.helper_threads = 1};
    struct haul_error error;

    memset(&f, 0, sizeof(f));
    f.ring = ring_create(&options, &error);
    assert_non_null(f.ring);
    f.buffers = buffers_create(chunks * CHUNK_BYTES, CHUNK_BYTES, true);
    f.response = response_create();
    exchange_init(&f.exchange, &user, f.ring, f.buffers, f.response,
                  timeout_ms * (uint64_t)NS_PER_MS);
    connect_pair();
}

static void begin(void)
{
    begin_with(CHUNKS, 60000);
}

static void start_to(bool to_head)
{
    struct connection *connection = f.connection;

    f.connection = NULL;
    f.starting = true;
    ring_read_clock(f.ring);
    exchange_start(&f.exchange, connection, SPAN(REQUEST), to_head);
    f.starting = false;
}

static void start(void)
{
    start_to(false);
}

static void turn_ms(uint64_t ms)
{
    ring_read_clock(f.ring);
    assert_int_equal(ring_turn(f.ring, ring_now_ns(f.ring) + ms * (uint64_t)NS_PER_MS), 0);
}

/* Until nothing more happens without the server or the user. */
static void settle(void)
{
    for (int i = 0; i < 20; i++)
        turn_ms(0);
}

static void drop_connection(void)
{
    connection_close(f.connection);
    f.connection = NULL;
}

/* Everything must have been given back: buffers_destroy() and ring_destroy() CHECK. */
static void end(void)
{
    exchange_abort(&f.exchange);
    drop_connection();
    give_all();
    while (ring_busy(f.ring) > 0)
        turn_ms(100);
    assert_int_equal(buffers_out(f.buffers), 0);
    buffers_destroy(f.buffers);
    response_destroy(f.response);
    ring_destroy(f.ring);
    text_free(&f.body);
    close(f.server);
}

/* Sends as much as the socket takes. */
static size_t serve(const char *data, size_t len)
{
    ssize_t sent = send(f.server, data, len, MSG_NOSIGNAL);

    return sent > 0 ? (size_t)sent : 0;
}

static void serve_text(const char *text)
{
    assert_int_equal(serve(text, strlen(text)), strlen(text));
}

/* Goes on until the end, giving back what is lent. */
static enum haul_status finish(void)
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

static void wait_head(void)
{
    for (int i = 0; f.heads == 0 && i < 20000; i++)
        turn_ms(1);
    assert_int_equal(f.heads, 1);
    assert_int_equal(f.exchange.state, EXCHANGE_DECIDING);
}

/* ---- framings ---- */

enum after { KEEPS_OPEN, CLOSES, TO_HEAD /* keeps open; the request was HEAD */ };

static const struct {
    const char *answer;
    enum after after;
    const char *body;
    enum haul_status status;
    bool reusable;
} answers[] = {
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", KEEPS_OPEN, "hello", HAUL_OK, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", CLOSES, "hello", HAUL_OK, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", KEEPS_OPEN, "", HAUL_OK, true},
    {"HTTP/1.1 204 No\r\n\r\n", KEEPS_OPEN, "", HAUL_OK, true},
    {"HTTP/1.1 304 No\r\nContent-Length: 5\r\n\r\n", KEEPS_OPEN, "", HAUL_OK, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", TO_HEAD, "", HAUL_OK, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", CLOSES, "hello",
     HAUL_OK, false},
    {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", KEEPS_OPEN, "hello", HAUL_OK, false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n1\r\n!\r\n0\r\n\r\n",
     KEEPS_OPEN, "hello!", HAUL_OK, true},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA: b\r\n\r\n", KEEPS_OPEN, "",
     HAUL_OK, true},
    {"HTTP/1.1 200 OK\r\n\r\nuntil the end", CLOSES, "until the end", HAUL_OK, false},
    {"HTTP/1.1 200 OK\r\n\r\n", CLOSES, "", HAUL_OK, false},
    {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Hints\r\nA: b\r\n\r\n"
     "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
     KEEPS_OPEN, "ok", HAUL_OK, true},
    /* Short, excess, broken. */
    {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", CLOSES, "hello", HAUL_SHORT_BODY, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", CLOSES, "", HAUL_SHORT_BODY, false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", CLOSES, "hello",
     HAUL_SHORT_BODY, false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", CLOSES, "hel",
     HAUL_SHORT_BODY, false},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhelloHTTP/1.1 200 OK\r\n", KEEPS_OPEN, "hello",
     HAUL_OK, false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n!\r\n0\r\n\r\nx", KEEPS_OPEN, "!",
     HAUL_OK, false},
    {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nhello", KEEPS_OPEN, "",
     HAUL_BAD_RESPONSE, false},
    {"SSH-2.0-OpenSSH_9.2\r\n", KEEPS_OPEN, "", HAUL_BAD_RESPONSE, false},
    {"HTTP/1.1 200 O", CLOSES, "", HAUL_NETWORK, false},
    {"", CLOSES, "", HAUL_NETWORK, false},
};

static void assert_outcome(size_t i, enum haul_status status)
{
    if (status != answers[i].status)
        print_error("answer %zu: %s\n", i, f.error.text);
    assert_int_equal(status, answers[i].status);
    assert_span(text_span(&f.body), answers[i].body);
    assert_true(f.connection);
}

static void assert_request(void)
{
    char request[256];
    ssize_t got = recv(f.server, request, sizeof(request), 0);

    assert_in_range(got, 1, sizeof(request));
    assert_span(span_make(request, (size_t)got), REQUEST);
}

static void test_answers(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        begin();
        start_to(answers[i].after == TO_HEAD);
        turn_ms(0);
        assert_request();
        serve_text(answers[i].answer);
        if (answers[i].after == CLOSES)
            shutdown(f.server, SHUT_WR);
        assert_outcome(i, finish());
        assert_int_equal(f.reusable, answers[i].reusable);
        assert_int_equal(f.exchange.answered, answers[i].answer[0] != '\0');
        end();
    }
}

/* In two parts, cut at every place; whether excess is seen then depends on where. */
static void test_split(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(answers); i++) {
        size_t len = strlen(answers[i].answer);

        for (size_t at = 1; at < len; at++) {
            begin();
            start_to(answers[i].after == TO_HEAD);
            assert_int_equal(serve(answers[i].answer, at), at);
            settle();
            if (f.exchange.state == EXCHANGE_DECIDING)
                exchange_read_body(&f.exchange);
            settle();
            (void)serve(answers[i].answer + at, len - at);
            if (answers[i].after == CLOSES)
                shutdown(f.server, SHUT_WR);
            assert_outcome(i, finish());
            end();
        }
    }
}

/* Byte by byte, with a user that wants them as they come. */
static void test_eager(void **state)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    (void)state;
    begin();
    f.eager = true;
    start();
    for (size_t i = 0; i < sizeof(answer) - 1; i++) {
        serve(&answer[i], 1);
        settle();
        if (f.exchange.state == EXCHANGE_DECIDING)
            exchange_read_body(&f.exchange);
        give_all();
    }
    assert_int_equal(f.bodies, 5);
    assert_int_equal(finish(), HAUL_OK);
    assert_span(text_span(&f.body), "hello");
    end();
    begin(); /* the others get it in one piece */
    start();
    for (size_t i = 0; i < sizeof(answer) - 1; i++) {
        serve(&answer[i], 1);
        settle();
        if (f.exchange.state == EXCHANGE_DECIDING)
            exchange_read_body(&f.exchange);
    }
    assert_int_equal(f.bodies, 1);
    assert_int_equal(finish(), HAUL_OK);
    end();
}

/* One connection, many responses; each begins with clean counts. */
static void test_reuse(void **state)
{
    (void)state;
    begin();
    for (unsigned round = 0; round < 20; round++) {
        text_clear(&f.body);
        start();
        serve_text(round % 2 ? "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
                             : "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                               "5\r\nhello\r\n0\r\n\r\n");
        assert_int_equal(finish(), HAUL_OK);
        assert_true(f.reusable);
        assert_true(connection_quiet(f.connection));
        assert_span(text_span(&f.body), "hello");
        assert_int_equal(f.connection->exchanges, round + 1);
    }
    end();
}

/* ---- large bodies, and what holds them up ---- */

static char *make_body(void)
{
    char *data = malloc(BODY_BYTES);
    uint64_t random = 5;

    assert_non_null(data);
    for (size_t i = 0; i < BODY_BYTES; i++)
        data[i] = (char)unit_random(&random);
    return data;
}

static void assert_body(const char *data)
{
    assert_int_equal(f.body.len, BODY_BYTES);
    assert_memory_equal(f.body.data, data, BODY_BYTES);
}

static void serve_head(const char *framing)
{
    serve_text("HTTP/1.1 200 OK\r\n");
    serve_text(framing);
    serve_text("\r\n");
}

static const char large_length[] = "Content-Length: 2097152\r\n";

/* Serves the rest of a body while the exchange goes on. */
static enum haul_status serve_rest(const char *data, size_t at, size_t len)
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

static void test_large(void **state)
{
    char *data = make_body();

    (void)state;
    begin();
    start();
    serve_head(large_length);
    assert_int_equal(serve_rest(data, 0, BODY_BYTES), HAUL_OK);
    assert_body(data);
    assert_true(f.bodies <= 2 + BODY_BYTES / (CHUNK_BYTES - 16 * 1024)); /* not in small pieces */
    end();
    free(data);
}

static void test_large_chunked(void **state)
{
    char *data = make_body();
    struct text framed = {0};

    (void)state;
    for (size_t at = 0, piece = 1; at < BODY_BYTES; piece = piece * 7 % 100003) {
        size_t len = piece < BODY_BYTES - at ? piece : BODY_BYTES - at;

        text_printf(&framed, "%zx\r\n", len);
        text_add(&framed, span_make(data + at, len));
        text_add(&framed, SPAN("\r\n"));
        at += len;
    }
    text_add(&framed, SPAN("0\r\n\r\n"));
    begin();
    start();
    serve_head("Transfer-Encoding: chunked\r\n");
    assert_int_equal(serve_rest(framed.data, 0, framed.len), HAUL_OK);
    assert_body(data);
    assert_true(f.reusable);
    end();
    text_free(&framed);
    free(data);
}

/* Until nothing goes any more: sends what the socket takes, and turns. */
static size_t serve_until_stuck(const char *data, size_t at)
{
    for (int idle = 0; idle < 20;) {
        size_t sent = serve(data + at, BODY_BYTES - at);

        at += sent;
        idle = sent > 0 ? 0 : idle + 1;
        turn_ms(0);
    }
    return at;
}

/* The user keeps two chunks: the exchange takes nothing more, and the socket fills. */
static void test_lent_chunks_stop_it(void **state)
{
    char *data = make_body();
    size_t at, stuck;

    (void)state;
    begin();
    start();
    serve_head(large_length);
    wait_head();
    exchange_read_body(&f.exchange);
    at = serve_until_stuck(data, 0);
    assert_true(at < BODY_BYTES);
    assert_int_equal(f.lent_count, EXCHANGE_CHUNKS_MAX);
    assert_int_equal(f.bodies, 2);
    assert_false(f.exchange.receiving);
    stuck = at;
    give_one();
    at = serve_until_stuck(data, at);
    assert_true(at > stuck);
    assert_int_equal(f.bodies, 3);
    assert_int_equal(serve_rest(data, at, BODY_BYTES), HAUL_OK);
    assert_body(data);
    end();
    free(data);
}

/* No clock for a stalled server runs while it is the user who is waited for. */
static void test_no_timeout_while_lent(void **state)
{
    char *data = make_body();
    size_t at;

    (void)state;
    begin_with(CHUNKS, SHORT_MS);
    start();
    serve_head(large_length);
    wait_head();
    turn_ms(2 * SHORT_MS); /* nor while it decides */
    turn_ms(0);
    exchange_read_body(&f.exchange);
    at = serve_until_stuck(data, 0);
    for (int i = 0; i < 6; i++)
        turn_ms(SHORT_MS / 2);
    assert_int_equal(f.endings, 0);
    give_all();
    assert_int_equal(serve_rest(data, at, BODY_BYTES), HAUL_OK);
    end();
    free(data);
}

static struct chunk *others[CHUNKS];

static void take_others(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        others[i] = buffers_take(f.buffers);
        assert_non_null(others[i]);
    }
}

static void give_others(size_t count)
{
    for (size_t i = 0; i < count; i++)
        buffers_give(f.buffers, others[i]);
}

/* All chunks are with others: it waits, without a timeout, and goes on with the first that comes.
 */
static void test_buffers_exhausted(void **state)
{
    (void)state;
    begin_with(CHUNKS, SHORT_MS);
    take_others(CHUNKS);
    start();
    serve_text("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    for (int i = 0; i < 6; i++)
        turn_ms(SHORT_MS / 2);
    assert_int_equal(f.heads + f.endings, 0);
    buffers_give(f.buffers, others[CHUNKS - 1]);
    assert_int_equal(finish(), HAUL_OK);
    assert_span(text_span(&f.body), "hello");
    give_others(CHUNKS - 1);
    end();
}

/* In the middle of a body, and given up while it waits. */
static void test_buffers_exhausted_in_body(void **state)
{
    char *data = make_body();
    size_t at;

    (void)state;
    for (int gives_up = 0; gives_up < 2; gives_up++) {
        begin();
        start();
        serve_head(large_length);
        wait_head();
        take_others(CHUNKS - 1);
        exchange_read_body(&f.exchange);
        at = serve_until_stuck(data, 0);
        assert_int_equal(f.lent_count, 1); /* there was none for the second */
        if (gives_up) {
            exchange_abort(&f.exchange);
            give_others(CHUNKS - 1);
        } else {
            buffers_give(f.buffers, others[CHUNKS - 2]);
            at = serve_until_stuck(data, at);
            assert_true(f.bodies > 1);
            give_others(CHUNKS - 2);
            assert_int_equal(serve_rest(data, at, BODY_BYTES), HAUL_OK);
            assert_body(data);
        }
        end();
    }
    free(data);
}

/* Scarce: no chunk is held while nothing has come. */
static void test_buffers_scarce(void **state)
{
    (void)state;
    begin();
    take_others(CHUNKS / 2 + 1);
    start();
    settle();
    assert_int_equal(buffers_out(f.buffers), CHUNKS / 2 + 1);
    serve_text("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    assert_int_equal(finish(), HAUL_OK);
    assert_span(text_span(&f.body), "hello");
    assert_int_equal(buffers_out(f.buffers), CHUNKS / 2 + 1);
    start(); /* given up while it holds nothing */
    settle();
    exchange_abort(&f.exchange);
    give_others(CHUNKS / 2 + 1);
    end();
}

/* ---- time ---- */

static void assert_time_out(uint64_t start_ns)
{
    assert_int_equal(finish(), HAUL_TIMEOUT);
    assert_false(f.reusable);
    assert_true(ring_now_ns(f.ring) - start_ns >= SHORT_MS * (uint64_t)NS_PER_MS);
}

static void test_timeouts(void **state)
{
    static const char *const parts[] = {
        "",
        "HTTP/1.1 200 OK\r\nContent-Le",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
        "HTTP/1.1 200 OK\r\n\r\nhello",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        begin_with(CHUNKS, SHORT_MS);
        start();
        serve_text(parts[i]);
        assert_time_out(ring_now_ns(f.ring));
        /* What has come is not lost: another try goes on from there. */
        assert_span(text_span(&f.body), i < 3 ? "" : "hello");
        assert_int_equal(f.exchange.answered, i > 0);
        end();
    }
}

/* Every byte begins the time anew; only the deadline ends a trickle. */
static void test_trickle(void **state)
{
    (void)state;
    for (int with_deadline = 0; with_deadline < 2; with_deadline++) {
        uint64_t start_ns;

        begin_with(CHUNKS, with_deadline ? 60000 : 2000);
        f.deadline_ms = with_deadline ? SHORT_MS : 0;
        start();
        start_ns = ring_now_ns(f.ring);
        serve_head("Content-Length: 1000\r\n");
        wait_head();
        exchange_read_body(&f.exchange);
        for (int i = 0; i < 20 && f.endings == 0; i++) {
            (void)serve("x", 1);
            turn_ms(5);
            turn_ms(5);
        }
        if (with_deadline) {
            assert_time_out(start_ns);
        } else {
            assert_int_equal(f.endings, 0);
            shutdown(f.server, SHUT_WR);
            assert_int_equal(finish(), HAUL_SHORT_BODY);
            assert_int_equal(f.body.len, 20);
        }
        end();
    }
}

/* ---- giving up ---- */

/* Nothing is heard after it; what is lent is given back later. */
static void test_abort_in_every_state(void **state)
{
    char *data = make_body();

    (void)state;
    for (int stage = 0; stage < 7; stage++) {
        begin();
        f.keep = true;
        if (stage > 0)
            start();
        if (stage > 1)
            settle();
        if (stage > 2) {
            serve_head(large_length);
            wait_head();
        }
        if (stage > 3)
            exchange_read_body(&f.exchange);
        if (stage > 4)
            (void)serve(data, 1000);
        if (stage == 5)
            settle();
        if (stage == 6)
            (void)serve_until_stuck(data, 0);
        f.heads = f.bodies = 0;
        exchange_abort(&f.exchange);
        exchange_abort(&f.exchange);
        assert_int_equal(f.exchange.state, EXCHANGE_IDLE);
        (void)serve(data, 1000);
        settle();
        assert_int_equal(f.heads + f.bodies + f.endings, 0);
        assert_int_equal(buffers_out(f.buffers), f.lent_count);
        end();
    }
    free(data);
}

static void test_stop(void **state)
{
    (void)state;
    for (int settled = 0; settled < 2; settled++) {
        begin();
        start();
        serve_text("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhel");
        wait_head();
        exchange_read_body(&f.exchange);
        serve_text("lo");
        if (settled)
            settle();
        exchange_stop(&f.exchange); /* lends what has come before */
        assert_int_equal(f.exchange.state, EXCHANGE_IDLE);
        assert_span(text_span(&f.body), settled ? "hello" : "hel");
        assert_int_equal(f.endings, 0);
        settle();
        end();
    }
}

static void test_abort_from_within(void **state)
{
    static const struct {
        const char *answer;
        enum act at_head;
        enum act at_body;
    } rows[] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", ABORT, GO_ON},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", STOP, GO_ON},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", GO_ON, ABORT},
        {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", GO_ON, STOP},
        {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", GO_ON, ABORT},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", GO_ON, ABORT},
        {"HTTP/1.1 200 OK\r\n\r\nhello", GO_ON, ABORT},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        begin();
        f.at_head = rows[i].at_head;
        f.at_body = rows[i].at_body;
        start();
        serve_text(rows[i].answer);
        shutdown(f.server, SHUT_WR);
        settle();
        if (rows[i].at_head == GO_ON)
            exchange_read_body(&f.exchange);
        settle();
        assert_int_equal(f.heads, 1);
        assert_int_equal(f.bodies, rows[i].at_head == GO_ON);
        assert_int_equal(f.endings, 0);
        assert_int_equal(f.exchange.state, EXCHANGE_IDLE);
        end();
    }
}

/* The chunk may outlive the exchange's use, and its connection. */
static void test_give_back_after_end(void **state)
{
    (void)state;
    begin();
    f.keep = true;
    start();
    serve_text("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    assert_int_equal(finish(), HAUL_OK);
    assert_int_equal(f.lent_count, 1);
    drop_connection();
    settle();
    assert_memory_equal(f.lent[0]->data + f.lent[0]->len - 5, "hello", 5);
    give_all();
    assert_int_equal(buffers_out(f.buffers), 0);
    end();
}

/* From within `body`, also when that is what the receiving waits for. */
static void test_give_back_within_body(void **state)
{
    char *data = make_body();

    (void)state;
    begin();
    f.at_body = GIVE_BACK;
    start();
    serve_head(large_length);
    assert_int_equal(serve_rest(data, 0, BODY_BYTES), HAUL_OK);
    assert_body(data);
    end();
    begin();
    start();
    serve_head(large_length);
    wait_head();
    exchange_read_body(&f.exchange);
    for (size_t at = 0; f.lent_count == 0;) { /* one stays lent, the next one comes back at once */
        at += serve(data + at, 1000);
        turn_ms(0);
    }
    f.at_body = GIVE_BACK;
    text_clear(&f.body);
    f.body.len = (size_t)f.exchange.lent_offset; /* only the offsets matter from here on */
    (void)serve_until_stuck(data, 0);
    assert_true(f.bodies > 2);
    end();
    free(data);
}

/* The server answers without having read the request: nothing may be under way on what is reused.
 */
static void test_answer_before_request(void **state)
{
    char *request = calloc(1, BODY_BYTES);
    struct connection *connection;

    (void)state;
    begin();
    connection = f.connection;
    f.connection = NULL;
    memset(request, 'x', BODY_BYTES);
    exchange_start(&f.exchange, connection, span_make(request, BODY_BYTES), false);
    settle();
    serve_text("HTTP/1.1 413 No\r\nContent-Length: 5\r\n\r\nhello");
    assert_int_equal(finish(), HAUL_OK);
    assert_span(text_span(&f.body), "hello");
    assert_true(!f.reusable || !connection_quiet(f.connection));
    end();
    free(request);
}

/* A reset is trouble of the network, whatever it breaks. */
static void test_broken_while_sending(void **state)
{
    (void)state;
    begin();
    close(f.server);
    start();
    assert_int_equal(finish(), HAUL_NETWORK);
    assert_false(f.reusable);
    assert_false(f.exchange.answered);
    f.server = dup(0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers),
        cmocka_unit_test(test_split),
        cmocka_unit_test(test_eager),
        cmocka_unit_test(test_reuse),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_large_chunked),
        cmocka_unit_test(test_lent_chunks_stop_it),
        cmocka_unit_test(test_no_timeout_while_lent),
        cmocka_unit_test(test_buffers_exhausted),
        cmocka_unit_test(test_buffers_exhausted_in_body),
        cmocka_unit_test(test_buffers_scarce),
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_trickle),
        cmocka_unit_test(test_abort_in_every_state),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_abort_from_within),
        cmocka_unit_test(test_give_back_after_end),
        cmocka_unit_test(test_give_back_within_body),
        cmocka_unit_test(test_answer_before_request),
        cmocka_unit_test(test_broken_while_sending),
    };

    return UNIT_RUN(tests);
}
