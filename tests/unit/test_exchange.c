/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Exchange and connection: framings, time, giving up. The chunks are test_exchange_chunks'. */
#include "tests/unit/exchange_fixture.h"

#include <sys/socket.h>
#include <unistd.h>

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
        begin_with(SHORT_MS);
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

        begin_with(with_deadline ? 60000 : 2000);
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

enum stage {
    STAGE_IDLE,
    STAGE_STARTED,
    STAGE_HEAD_AWAITED,
    STAGE_HEAD_BEGUN,
    STAGE_HEAD_WAITS_FOR_CHUNK,
    STAGE_DECIDING,
    STAGE_BODY_BEGUN,
    STAGE_BODY_ON_ITS_WAY,
    STAGE_BODY_COMING,
    STAGE_BODY_HELD_UP,
    STAGE_BODY_WAITS_FOR_CHUNK,
    STAGES
};

static void go_to(enum stage stage, const char *data)
{
    f.keep = true;
    if (stage == STAGE_IDLE)
        return;
    start();
    if (stage == STAGE_STARTED)
        return;
    settle();
    if (stage == STAGE_HEAD_WAITS_FOR_CHUNK)
        take_others(NULL, CHUNK_BYTES_MAX);
    if (stage > STAGE_HEAD_AWAITED)
        serve_text("HTTP/1.1 200 OK\r\nContent-Le");
    settle();
    if (stage < STAGE_DECIDING)
        return;
    serve_text("ngth: 2097152\r\n\r\n");
    wait_head();
    if (stage == STAGE_BODY_WAITS_FOR_CHUNK)
        take_others(NULL, CHUNK_BYTES_MAX);
    if (stage > STAGE_DECIDING)
        exchange_read_body(&f.exchange);
    if (stage > STAGE_BODY_BEGUN)
        (void)serve(data, 1000);
    if (stage > STAGE_BODY_ON_ITS_WAY)
        settle();
    if (stage > STAGE_BODY_COMING)
        (void)serve_until_stuck(data, 1000);
}

/* Nothing is heard after it; what is lent is given back later. */
static void test_abort_in_every_state(void **state)
{
    char *data = make_body(BODY_BYTES);

    (void)state;
    for (enum stage stage = STAGE_IDLE; stage < STAGES; stage++) {
        begin();
        go_to(stage, data);
        if (stage == STAGE_BODY_HELD_UP)
            assert_int_equal(f.lent_count, EXCHANGE_CHUNKS_MAX);
        if (stage == STAGE_BODY_WAITS_FOR_CHUNK)
            assert_int_equal(f.lent_count, 1);
        f.heads = f.bodies = 0;
        exchange_abort(&f.exchange);
        exchange_abort(&f.exchange);
        assert_int_equal(f.exchange.state, EXCHANGE_IDLE);
        (void)serve(data, 1000);
        settle();
        give_others(); /* is for nobody */
        settle();
        assert_int_equal(f.heads + f.bodies + f.endings, 0);
        assert_int_equal(buffers_out(f.buffers), f.lent_count);
        end();
    }
    free(data);
}

/* The same for exchange_stop(), which lends what has come; nothing of it may be lost. */
static void test_stop_in_every_state(void **state)
{
    char *data = make_body(BODY_BYTES);

    (void)state;
    for (enum stage stage = STAGE_IDLE; stage < STAGES; stage++) {
        size_t came;

        begin();
        go_to(stage, data);
        came = f.exchange.received_bytes;
        exchange_stop(&f.exchange);
        assert_int_equal(f.exchange.state, EXCHANGE_IDLE);
        if (stage >= STAGE_BODY_COMING) {
            assert_true(came >= 1000);
            assert_int_equal(f.body.len, came);
            assert_memory_equal(f.body.data, data, came);
        }
        settle();
        give_others();
        assert_int_equal(f.endings, 0);
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
    char *data = make_body(BODY_BYTES);

    (void)state;
    begin();
    f.at_body = GIVE_BACK;
    start();
    serve_head(LARGE_LENGTH);
    assert_int_equal(serve_rest(data, 0, BODY_BYTES), HAUL_OK);
    assert_body(data, BODY_BYTES);
    end();
    begin();
    start();
    serve_head(LARGE_LENGTH);
    wait_head();
    exchange_read_body(&f.exchange);
    for (size_t at = 0; f.lent_count == 0;) { /* one stays lent, the next one comes back at once */
        at += serve(data + at, 1000);
        turn_ms(0);
    }
    f.at_body = GIVE_BACK;
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
        cmocka_unit_test(test_timeouts),
        cmocka_unit_test(test_trickle),
        cmocka_unit_test(test_abort_in_every_state),
        cmocka_unit_test(test_stop_in_every_state),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_abort_from_within),
        cmocka_unit_test(test_give_back_after_end),
        cmocka_unit_test(test_give_back_within_body),
        cmocka_unit_test(test_answer_before_request),
        cmocka_unit_test(test_broken_while_sending),
    };

    return UNIT_RUN(tests);
}
