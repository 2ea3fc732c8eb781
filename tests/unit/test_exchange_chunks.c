/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How the exchange uses its buffers: none while it waits, larger ones on a fast connection, where
 * the bytes lie in them, and what holds it up. */
#include "tests/unit/exchange_fixture.h"

#include <sys/socket.h>
#include <unistd.h>

enum {
    LONG_MS = 110,      /* longer than a chunk may take to be filled */
    ROUNDS_MAX = 12,    /* until a connection is known to be slow */
    CUT_BYTES = 700000, /* of bodies that are sent in random pieces */
    PAGE_BYTES = 4096
};

/* ---- the head ---- */

/* Nothing is held for a server that has not answered yet, or only half. */
static void test_head_holds_nothing(void **state)
{
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";

    (void)state;
    for (size_t at = 0; at < sizeof(answer) - 9; at++) {
        begin();
        start();
        settle();
        assert_int_equal(buffers_out(f.buffers), 0);
        assert_int_equal(serve(answer, at), at);
        settle();
        assert_int_equal(f.heads, 0);
        assert_int_equal(buffers_out(f.buffers), 0);
        serve_text(answer + at);
        assert_int_equal(finish(), HAUL_OK);
        assert_span(text_span(&f.body), "hello");
        assert_int_equal(f.bodies, 1); /* it came with the head, in one piece */
        assert_int_equal(f.last_size, CHUNK_BYTES_MIN);
        assert_int_equal(buffers_out(f.buffers), 0);
        end();
    }
}

/* A head longer than a chunk is taken in chunk by chunk. */
static void test_long_head(void **state)
{
    struct text answer = {0};

    (void)state;
    text_add(&answer, SPAN("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n"));
    while (answer.len < 3 * CHUNK_BYTES_MIN + 100)
        text_printf(&answer, "A: %01000d\r\n", 1);
    text_add(&answer, SPAN("\r\nhello"));
    begin();
    start();
    assert_int_equal(serve(answer.data, answer.len), answer.len);
    assert_int_equal(finish(), HAUL_OK);
    assert_span(text_span(&f.body), "hello");
    assert_true(f.reusable);
    end();
    text_free(&answer);
}

/* ---- large bodies ---- */

static void test_large(void **state)
{
    char *data = make_body(BODY_BYTES);

    (void)state;
    begin();
    start();
    serve_head(LARGE_LENGTH);
    assert_int_equal(serve_rest(data, 0, BODY_BYTES), HAUL_OK);
    assert_body(data, BODY_BYTES);
    assert_true(f.bodies <= 2 + BODY_BYTES / (48 * 1024)); /* not in small pieces */
    end();
    free(data);
}

/* In HTTP's chunks of all sizes. */
static void add_chunked(struct text *framed, const char *data, size_t body_len)
{
    for (size_t at = 0, piece = 1; at < body_len; piece = piece * 7 % 100003) {
        size_t len = piece < body_len - at ? piece : body_len - at;

        text_printf(framed, "%zx\r\n", len);
        text_add(framed, span_make(data + at, len));
        text_add(framed, SPAN("\r\n"));
        at += len;
    }
    text_add(framed, SPAN("0\r\n\r\n"));
}

static void test_large_chunked(void **state)
{
    char *data = make_body(BODY_BYTES);
    struct text framed = {0};

    (void)state;
    add_chunked(&framed, data, BODY_BYTES);
    begin();
    start();
    serve_head(CHUNKED);
    assert_int_equal(serve_rest(framed.data, 0, framed.len), HAUL_OK);
    assert_body(data, BODY_BYTES);
    assert_true(f.reusable);
    end();
    text_free(&framed);
    free(data);
}

/* ---- sizes ---- */

/* Serves without end until chunks of this size are lent, and all that was sent has been taken in.
 */
static void serve_until_size(size_t size)
{
    char *data = calloc(1, CHUNK_BYTES_MAX);
    uint64_t limit;
    bool seen = false;

    f.forget = true;
    assert_non_null(data);
    ring_read_clock(f.ring);
    limit = ring_now_ns(f.ring) + PATIENCE_NS;
    while (!seen && ring_now_ns(f.ring) < limit) {
        (void)serve(data, CHUNK_BYTES_MAX);
        turn_ms(0);
        seen = f.last_size == size;
        give_all();
    }
    assert_true(seen);
    for (int idle = 0; idle < 20; idle++) {
        turn_ms(0);
        give_all();
    }
    free(data);
}

/* They grow up to what suits the user, or what its host may have, and no further. */
static void test_chunks_grow(void **state)
{
    static const struct {
        size_t max; /* 0: any */
        unsigned others;
        size_t largest;
    } rows[] = {
        {0, 0, CHUNK_BYTES_MAX},
        {256 * 1024, 0, 256 * 1024},
        {CHUNK_BYTES_MIN, 0, CHUNK_BYTES_MIN},
        {0, 3, CHUNK_BYTES_MAX / 4},
        {0, 31, CHUNK_BYTES_MIN},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct buffers_share *shares[32];
        char name[16];

        begin();
        for (unsigned k = 0; k < rows[i].others; k++) {
            snprintf(name, sizeof(name), "other%u", k);
            shares[k] = buffers_join(f.buffers, span_of(name));
        }
        f.chunk_bytes = rows[i].max;
        start();
        serve_head("Content-Length: 1000000000000\r\n");
        wait_head();
        exchange_read_body(&f.exchange);
        serve_until_size(rows[i].largest);
        for (int more = 0; more < 10; more++) {
            f.last_size = 0;
            serve_until_size(rows[i].largest); /* it stays so, or it would not come again */
        }
        assert_int_equal(f.largest_size, rows[i].largest);
        for (unsigned k = 0; k < rows[i].others; k++)
            buffers_leave(f.buffers, shares[k]);
        end();
    }
}

/* Time passes, then one more byte comes. */
static void trickle_once(void)
{
    turn_ms(LONG_MS);
    assert_int_equal(serve("x", 1), 1);
    for (int i = 0; i < 5; i++)
        turn_ms(1);
}

static void begin_body(const char *framing)
{
    begin();
    start();
    serve_head(framing);
    wait_head();
    exchange_read_body(&f.exchange);
}

/* What takes long to be filled is lent as it is, and the next one is smaller; in the end there is
 * none at all between two pieces. */
static void test_chunks_shrink(void **state)
{
    size_t size = 0;
    int rounds = 0;

    (void)state;
    begin_body("Content-Length: 1000000000000\r\n");
    serve_until_size(CHUNK_BYTES_MAX);
    while (buffers_out(f.buffers) > 0 && rounds++ < ROUNDS_MAX) {
        unsigned bodies = f.bodies;

        trickle_once();
        if (f.bodies == bodies)
            continue; /* all that had come was lent before: it is the first in its chunk */
        assert_int_equal(f.bodies, bodies + 1);
        if (size > 0)
            assert_int_equal(f.last_size, size > CHUNK_BYTES_MIN ? size / 2 : size);
        size = f.last_size;
        give_all();
    }
    assert_int_equal(size, CHUNK_BYTES_MIN);
    assert_int_equal(buffers_out(f.buffers), 0);
    end();
}

static void make_slow(void)
{
    for (int rounds = 0; rounds < ROUNDS_MAX && (f.bodies == 0 || buffers_out(f.buffers) > 0);
         rounds++) {
        trickle_once();
        give_all();
    }
    assert_int_equal(buffers_out(f.buffers), 0);
}

/* A slow connection holds no chunk while it waits, and every piece goes through at once; until it
 * is fast again. */
static void test_slow(void **state)
{
    static const char *const framings[] = {"Content-Length: 1000000000000\r\n", CHUNKED, ""};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(framings); i++) {
        uint64_t came;

        begin_body(framings[i]);
        if (i == 1)
            serve_text("ffffffffff\r\n");
        make_slow();
        came = f.body_bytes;
        for (unsigned piece = 1; piece < 20; piece++) {
            unsigned bodies = f.bodies;

            assert_int_equal(serve("some more of it", piece % 15 + 1), piece % 15 + 1);
            turn_ms(1);
            for (int turns = 0; f.bodies == bodies && turns < 100; turns++)
                turn_ms(10);
            assert_int_equal(f.bodies, bodies + 1);
            assert_int_equal(f.last_len, piece % 15 + 1);
            came += piece % 15 + 1;
            assert_int_equal(f.body_bytes, came);
            give_all();
            settle();
            assert_int_equal(buffers_out(f.buffers), 0);
        }
        serve_until_size(CHUNK_BYTES_MAX);
        end();
    }
}

/* What the user takes to decide says nothing of the connection. */
static void test_deciding_is_not_slow(void **state)
{
    (void)state;
    begin();
    start();
    serve_text("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    wait_head();
    turn_ms(LONG_MS);
    turn_ms(0);
    exchange_read_body(&f.exchange);
    settle();
    assert_int_equal(f.bodies, 0);
    serve_text("world");
    assert_int_equal(finish(), HAUL_OK);
    assert_int_equal(f.bodies, 1);
    assert_span(text_span(&f.body), "helloworld");
    end();
}

/* ---- where the bytes lie ---- */

/* Sends in pieces of any size, and lets the exchange take a look at some of them. */
static void serve_in_pieces(const struct text *answer, uint64_t *random)
{
    size_t at = 0;
    uint64_t limit;

    ring_read_clock(f.ring);
    limit = ring_now_ns(f.ring) + PATIENCE_NS;
    while (at < answer->len && ring_now_ns(f.ring) < limit) {
        size_t len = (size_t)1 << unit_random(random) % 18;

        len = unit_random(random) % len + 1;
        at += serve(answer->data + at, len < answer->len - at ? len : answer->len - at);
        for (uint64_t turns = unit_random(random) % 3; turns > 0; turns--)
            turn_ms(0);
        if (f.exchange.state == EXCHANGE_DECIDING)
            exchange_read_body(&f.exchange);
        while (f.lent_count > 0 && unit_random(random) % 2)
            give_one();
    }
    assert_int_equal(at, answer->len);
    shutdown(f.server, SHUT_WR);
}

/* The fixture's user looks at each chunk: from the second on, memory and place agree. */
static void test_aligned(void **state)
{
    static const char *const framings[] = {"Content-Length: 700000\r\n", CHUNKED, ""};
    static const uint64_t bases[] = {0, 1, 4095, 4096, 5000};
    char *data = make_body(CUT_BYTES);
    uint64_t random = 3;

    (void)state;
    for (size_t i = 0; i < 2 * COUNT_OF(framings) * COUNT_OF(bases); i++) {
        struct text answer = {0};

        begin();
        f.aligned = i % 2;
        f.base_bytes = bases[i / 2 % COUNT_OF(bases)];
        f.chunk_bytes = i % 4 < 2 ? 0 : 128 * 1024;
        text_printf(&answer, "HTTP/1.1 200 OK\r\n%s\r\n", framings[i / 2 / COUNT_OF(bases)]);
        if (i / 2 / COUNT_OF(bases) == 1)
            add_chunked(&answer, data, CUT_BYTES);
        else
            text_add(&answer, span_make(data, CUT_BYTES));
        start();
        serve_in_pieces(&answer, &random);
        assert_int_equal(finish(), HAUL_OK);
        assert_body(data, CUT_BYTES);
        assert_true(f.misaligned <= 1);
        text_free(&answer);
        end();
    }
    free(data);
}

/* The part that came with the head is moved to its place, where there is room. */
static void test_first_chunk_aligned(void **state)
{
    static const struct {
        size_t len; /* of what comes with the head */
        uint64_t base_bytes;
        unsigned misaligned;
    } rows[] = {
        {0, 5000, 0},
        {1, 0, 0},
        {1, 4095, 0},
        {20000, 1, 0},
        {CHUNK_BYTES_MIN - PAGE_BYTES, 4095, 0},
        {CHUNK_BYTES_MIN - 100, 0, 0},
        {CHUNK_BYTES_MIN - 100, 4095, 1},
    };
    char *data = make_body(BODY_BYTES);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        begin();
        f.aligned = true;
        f.base_bytes = rows[i].base_bytes;
        start();
        serve_head(LARGE_LENGTH);
        assert_int_equal(serve(data, rows[i].len), rows[i].len);
        wait_head();
        assert_int_equal(serve_rest(data, rows[i].len, BODY_BYTES), HAUL_OK);
        assert_body(data, BODY_BYTES);
        assert_int_equal(f.misaligned, rows[i].misaligned);
        end();
    }
    free(data);
}

/* ---- a part of what the server sends ---- */

/* Up to where the user wants the body, it comes; not a byte behind it is asked for. */
static void test_wanted(void **state)
{
    static const uint64_t rows[] = {
        1,         PAGE_BYTES - 1, CHUNK_BYTES_MIN, 2 * CHUNK_BYTES_MIN + 1,
        CUT_BYTES, BODY_BYTES - 1, BODY_BYTES};
    char *data = make_body(BODY_BYTES);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t at = 0;

        begin();
        f.lent_max = 1;
        start();
        serve_head(LARGE_LENGTH);
        wait_head();
        f.exchange.wanted_bytes = rows[i];
        exchange_read_body(&f.exchange);
        for (int turns = 0; f.body_bytes < rows[i] && turns < 100000; turns++) {
            give_all();
            at += serve(data + at, BODY_BYTES - at);
            turn_ms(0);
        }
        assert_int_equal(f.body_bytes, rows[i]);
        f.exchange.wanted_bytes = UINT64_MAX; /* somebody else has not come */
        assert_int_equal(serve_rest(data, at, BODY_BYTES), HAUL_OK);
        assert_body(data, BODY_BYTES);
        end();
    }
    free(data);
}

/* More has come than is wanted by now: the body has its end all the same. */
static void test_wanted_less(void **state)
{
    (void)state;
    begin();
    start();
    serve_text("HTTP/1.1 200 OK\r\nContent-Length: 20\r\n\r\n0123456789");
    wait_head();
    f.exchange.wanted_bytes = 5;
    serve_text("abcdefghij");
    assert_int_equal(finish(), HAUL_OK);
    assert_span(text_span(&f.body), "0123456789abcdefghij");
    assert_int_equal(f.last_len, 1);
    assert_true(f.reusable);
    end();
}

/* ---- what holds it up ---- */

/* The user keeps all it may: the exchange takes nothing more, and the socket fills. */
static void test_lent_chunks_stop_it(void **state)
{
    char *data = make_body(BODY_BYTES);

    (void)state;
    for (unsigned max = 1; max <= EXCHANGE_CHUNKS_MAX; max++) {
        size_t at, stuck;

        begin();
        f.chunk_bytes = 64 * 1024;
        f.lent_max = max;
        start();
        serve_head(LARGE_LENGTH);
        wait_head();
        exchange_read_body(&f.exchange);
        at = serve_until_stuck(data, 0);
        assert_true(at < BODY_BYTES);
        assert_int_equal(f.lent_count, max);
        assert_int_equal(f.bodies, max);
        assert_int_equal(buffers_out(f.buffers), max);
        assert_false(f.exchange.receiving);
        stuck = at;
        give_one();
        at = serve_until_stuck(data, at);
        assert_true(at > stuck);
        assert_int_equal(f.bodies, max + 1);
        assert_int_equal(serve_rest(data, at, BODY_BYTES), HAUL_OK);
        assert_body(data, BODY_BYTES);
        end();
    }
    free(data);
}

/* No clock for a stalled server runs while it is the user who is waited for. */
static void test_no_timeout_while_lent(void **state)
{
    char *data = make_body(BODY_BYTES);
    size_t at;

    (void)state;
    begin_with(SHORT_MS);
    f.chunk_bytes = 64 * 1024;
    start();
    serve_head(LARGE_LENGTH);
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

/* All chunks are with others: it waits, without a timeout, and goes on with the first that comes.
 */
static void test_buffers_exhausted(void **state)
{
    (void)state;
    begin_with(SHORT_MS);
    take_others(NULL, CHUNK_BYTES_MAX);
    start();
    serve_text("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
    for (int i = 0; i < 6; i++)
        turn_ms(SHORT_MS / 2);
    assert_int_equal(f.heads + f.endings, 0);
    give_other();
    assert_int_equal(finish(), HAUL_OK);
    assert_span(text_span(&f.body), "hello");
    end();
}

/* The server has gone meanwhile, without an answer, or with one. */
static void test_ends_while_exhausted(void **state)
{
    (void)state;
    for (int answers = 0; answers < 2; answers++) {
        begin();
        take_others(NULL, CHUNK_BYTES_MAX);
        start();
        if (answers)
            serve_text("HTTP/1.1 413 No\r\nContent-Length: 5\r\n\r\nhello");
        settle();
        close(f.server);
        settle();
        assert_int_equal(f.heads + f.endings, 0);
        give_other();
        if (answers) {
            assert_int_equal(finish(), HAUL_OK);
            assert_span(text_span(&f.body), "hello");
        } else {
            assert_int_equal(finish(), HAUL_NETWORK);
        }
        f.server = dup(0);
        end();
    }
}

/* In the middle of a body, and given up while it waits. */
static void test_buffers_exhausted_in_body(void **state)
{
    char *data = make_body(BODY_BYTES);
    size_t at;

    (void)state;
    for (int gives_up = 0; gives_up < 2; gives_up++) {
        begin();
        start();
        serve_head(LARGE_LENGTH);
        wait_head();
        take_others(NULL, CHUNK_BYTES_MAX);
        exchange_read_body(&f.exchange);
        at = serve_until_stuck(data, 0);
        assert_int_equal(f.lent_count, 1); /* there was none for the second */
        if (gives_up) {
            exchange_abort(&f.exchange);
        } else {
            give_other();
            at = serve_until_stuck(data, at);
            assert_true(f.bodies > 1);
            give_others();
            assert_int_equal(serve_rest(data, at, BODY_BYTES), HAUL_OK);
            assert_body(data, BODY_BYTES);
        }
        end();
    }
    free(data);
}

/* There is memory, but its host has its part of it: until it gives something back, or the other
 * host leaves. */
static void test_share_used_up(void **state)
{
    char *data = make_body(BODY_BYTES);

    (void)state;
    for (int other_leaves = 0; other_leaves < 2; other_leaves++) {
        struct buffers_share *own, *other;
        size_t at;

        begin();
        own = buffers_join(f.buffers, SPAN(ORIGIN));
        other = buffers_join(f.buffers, SPAN("http://other:80"));
        take_others(own, CHUNK_BYTES_MIN);
        assert_int_equal(f.other_count, BUDGET / 2 / CHUNK_BYTES_MIN);
        start(); /* the first chunk is not bounded */
        serve_head(LARGE_LENGTH);
        wait_head();
        exchange_read_body(&f.exchange);
        at = serve_until_stuck(data, 0);
        assert_int_equal(f.bodies, 1);
        assert_int_equal(f.exchange.state, EXCHANGE_BODY);
        give_one(); /* that was not of the share */
        at = serve_until_stuck(data, at);
        assert_int_equal(f.bodies, 1);
        if (other_leaves) {
            buffers_leave(f.buffers, other);
        } else {
            give_other();
        }
        at = serve_until_stuck(data, at);
        assert_true(f.bodies > 1);
        if (!other_leaves)
            assert_int_equal(f.last_size, CHUNK_BYTES_MIN);
        assert_int_equal(serve_rest(data, at, BODY_BYTES), HAUL_OK);
        assert_body(data, BODY_BYTES);
        buffers_leave(f.buffers, own);
        if (!other_leaves)
            buffers_leave(f.buffers, other);
        end();
    }
    free(data);
}

/* Scarce: no chunk is held while nothing has come, in the body either. */
static void test_buffers_scarce(void **state)
{
    (void)state;
    for (int in_body = 0; in_body < 2; in_body++) {
        begin();
        take_others(NULL, CHUNK_BYTES_MAX);
        while (buffers_scarce(f.buffers))
            give_other();
        f.others[f.other_count++] = buffers_take(f.buffers, NULL, CHUNK_BYTES_MAX);
        assert_true(buffers_scarce(f.buffers));
        start();
        if (in_body) {
            serve_text("HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n!");
            wait_head();
            exchange_read_body(&f.exchange);
            settle();
            assert_int_equal(f.bodies, 1); /* the head's chunk goes as well, as full as it is */
            give_all();
        }
        settle();
        assert_int_equal(buffers_out(f.buffers), f.other_count);
        serve_text(in_body ? "hello" : "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        assert_int_equal(finish(), HAUL_OK);
        assert_span(text_span(&f.body), in_body ? "!hello" : "hello");
        assert_int_equal(buffers_out(f.buffers), f.other_count);
        start(); /* given up while it holds nothing */
        settle();
        exchange_abort(&f.exchange);
        end();
    }
}

/* Whoever may wait for others between head and body gets no head while too many do so; whoever does
 * not, gets both. */
static void test_parked_heads(void **state)
{
    (void)state;
    for (int parks = 0; parks < 2; parks++) {
        begin();
        take_others(buffers_parking(f.buffers), CHUNK_BYTES_MAX);
        f.exchange.parks = parks;
        f.keep = true;
        start();
        serve_text("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello");
        settle();
        assert_int_equal(f.heads, !parks);
        if (parks)
            give_other();
        wait_head();
        take_others(buffers_parking(f.buffers), CHUNK_BYTES_MIN);
        exchange_read_body(&f.exchange);
        if (parks) { /* its chunk is parked no longer */
            size_t before = f.other_count;

            take_others(buffers_parking(f.buffers), CHUNK_BYTES_MIN);
            assert_int_equal(f.other_count, before + 1);
        }
        assert_int_equal(finish(), HAUL_OK);
        assert_span(text_span(&f.body), "hello");
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_head_holds_nothing),
        cmocka_unit_test(test_long_head),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_large_chunked),
        cmocka_unit_test(test_chunks_grow),
        cmocka_unit_test(test_chunks_shrink),
        cmocka_unit_test(test_slow),
        cmocka_unit_test(test_deciding_is_not_slow),
        cmocka_unit_test(test_aligned),
        cmocka_unit_test(test_first_chunk_aligned),
        cmocka_unit_test(test_wanted),
        cmocka_unit_test(test_wanted_less),
        cmocka_unit_test(test_lent_chunks_stop_it),
        cmocka_unit_test(test_no_timeout_while_lent),
        cmocka_unit_test(test_buffers_exhausted),
        cmocka_unit_test(test_ends_while_exhausted),
        cmocka_unit_test(test_buffers_exhausted_in_body),
        cmocka_unit_test(test_share_used_up),
        cmocka_unit_test(test_buffers_scarce),
        cmocka_unit_test(test_parked_heads),
    };

    return UNIT_RUN(tests);
}
