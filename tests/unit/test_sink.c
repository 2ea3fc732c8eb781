/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The sinks that are no file: memory, discard, stream. Files are test_sink_file's. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "sink/sink.h"

enum { LARGE_BYTES = 1024 * 1024, WRITES = 2 };

#define PATIENCE_NS (UINT64_C(20) * (uint64_t)NS_PER_S)

static struct ring *ring;
static struct sink *sink;
static unsigned steps;
static struct haul_error step_error;

struct put {
    struct sink_write write;
    unsigned done;
    unsigned order; /* as which one it ended */
    struct haul_error error;
};

static unsigned order;

static const struct sink_version version = {.total = UINT64_MAX};

static void step_done(void *context, const struct haul_error *error)
{
    CHECK(context == &steps);
    steps++;
    step_error = *error;
}

static void put_done(struct sink_write *write, const struct haul_error *error)
{
    struct put *put = CONTAINER_OF(write, struct put, write);

    put->done++;
    put->order = ++order;
    put->error = *error;
}

static void put_start(struct put *put, const char *data, size_t len, uint64_t offset)
{
    *put = (struct put){
        .write = {.done = put_done, .data = data, .len = len, .offset = offset},
    };
    sink_write(sink, &put->write);
    assert_int_equal(put->done, 0);
}

static void turn_until(const unsigned *count)
{
    uint64_t limit;

    ring_read_clock(ring);
    limit = ring_now_ns(ring) + PATIENCE_NS;
    while (*count == 0 && ring_now_ns(ring) < limit)
        assert_int_equal(ring_turn(ring, limit), 0);
    assert_int_equal(*count, 1);
}

static enum haul_status put_end(struct put *put)
{
    turn_until(&put->done);
    return put->error.status;
}

static enum haul_status put_now(const char *data, size_t len, uint64_t offset)
{
    struct put put;

    put_start(&put, data, len, offset);
    return put_end(&put);
}

static void turn_a_little(void)
{
    ring_read_clock(ring);
    assert_int_equal(ring_turn(ring, ring_now_ns(ring) + (uint64_t)NS_PER_MS), 0);
}

/* Starts a step and gives what became of it. */
#define STEP(call)                                                                                 \
    (steps = 0, (call), assert_int_equal(steps, 0), turn_until(&steps), step_error.status)

static void begin_ring(void)
{
    struct ring_options options = {.helper_threads = 1};
    struct haul_error error;

    ring = ring_create(&options, &error);
    assert_non_null(ring);
    order = 0;
}

static void begin(struct sink *new)
{
    sink = new;
    assert_non_null(sink);
    sink_set_user(sink, step_done, &steps);
    assert_int_equal(STEP(sink->operations->prepare(sink)), HAUL_OK);
    assert_int_equal(extents_count(&sink->stored), 0);
    assert_int_equal(sink->validator.len, 0);
    assert_int_equal(STEP(sink->operations->open(sink, false, &version)), HAUL_OK);
}

static void end(void)
{
    sink_release(sink);
    while (ring_busy(ring) > 0)
        turn_a_little();
    ring_destroy(ring);
}

/* ---- memory ---- */

static void test_memory(void **state)
{
    char *data;

    (void)state;
    begin_ring();
    begin(sink_memory_create(ring, LARGE_BYTES));
    assert_int_equal(put_now("world", 5, 6), HAUL_OK); /* in any order */
    assert_int_equal(put_now("hello ", 6, 0), HAUL_OK);
    assert_int_equal(STEP(sink->operations->publish(sink)), HAUL_OK);
    data = sink_memory_take(sink);
    assert_memory_equal(data, "hello world", 11);
    free(data);
    assert_null(sink_memory_take(sink));
    end();
}

static void test_memory_bound(void **state)
{
    static const struct {
        size_t len;
        uint64_t offset;
        enum haul_status status;
    } rows[] = {
        {10, 0, HAUL_OK},     {1, 9, HAUL_OK},      {11, 0, HAUL_FAILED},
        {1, 10, HAUL_FAILED}, {10, 1, HAUL_FAILED}, {1, UINT64_C(1) << 40, HAUL_FAILED},
    };

    (void)state;
    begin_ring();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        begin(sink_memory_create(ring, 10));
        assert_int_equal(put_now("0123456789abcdef", rows[i].len, rows[i].offset), rows[i].status);
        assert_int_equal(STEP(sink->operations->abandon(sink, true)), HAUL_OK);
        assert_false(sink->kept);
        sink_release(sink);
    }
    begin(sink_memory_create(ring, 10)); /* none were written */
    assert_int_equal(STEP(sink->operations->publish(sink)), HAUL_OK);
    assert_null(sink_memory_take(sink));
    end();
}

/* Growing, taking up where it stopped, beginning anew. */
static void test_memory_again(void **state)
{
    char *data = malloc(LARGE_BYTES), *got;

    (void)state;
    memset(data, 'x', LARGE_BYTES);
    begin_ring();
    begin(sink_memory_create(ring, LARGE_BYTES));
    for (size_t at = 0; at < LARGE_BYTES; at += LARGE_BYTES / 16)
        assert_int_equal(put_now(data, LARGE_BYTES / 16, at), HAUL_OK);
    assert_int_equal(STEP(sink->operations->open(sink, true, &version)), HAUL_OK);
    assert_int_equal(extents_prefix(&sink->stored), LARGE_BYTES);
    assert_int_equal(put_now("yz", 2, 3), HAUL_OK);
    assert_int_equal(STEP(sink->operations->open(sink, false, &version)), HAUL_OK);
    assert_int_equal(put_now("ab", 2, 0), HAUL_OK);
    got = sink_memory_take(sink);
    assert_memory_equal(got, "abxyz", 5);
    free(got);
    free(data);
    end();
}

/* ---- discard ---- */

static void test_discard(void **state)
{
    (void)state;
    begin_ring();
    begin(sink_discard_create(ring));
    assert_int_equal(put_now("abc", 3, UINT64_C(1) << 50), HAUL_OK);
    assert_int_equal(STEP(sink->operations->open(sink, true, &version)), HAUL_OK);
    assert_int_equal(put_now("abc", 3, 0), HAUL_OK);
    assert_int_equal(STEP(sink->operations->publish(sink)), HAUL_OK);
    assert_int_equal(sink->path.len, 0);
    sink_release(sink);
    begin(sink_discard_create(ring));
    assert_int_equal(STEP(sink->operations->abandon(sink, true)), HAUL_OK);
    assert_false(sink->kept);
    end();
}

/* ---- stream ---- */

static size_t drain(int fd, char *text, size_t room)
{
    ssize_t got = read(fd, text, room);

    return got > 0 ? (size_t)got : 0;
}

static void test_stream_order(void **state)
{
    char *data = malloc(LARGE_BYTES), *got = malloc(2 * LARGE_BYTES);
    struct put puts[WRITES];
    size_t total = 0;
    int fds[2];

    (void)state;
    memset(data, 'x', LARGE_BYTES);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    fcntl(fds[0], F_SETFL, O_NONBLOCK);
    begin_ring();
    begin(sink_stream_create(ring, fds[1]));
    put_start(&puts[0], data, LARGE_BYTES, 0);
    put_start(&puts[1], "end", 3, LARGE_BYTES);
    for (int turn = 0; turn < 20000 && !puts[1].done; turn++) {
        turn_a_little();
        total += drain(fds[0], got + total, 2 * LARGE_BYTES - total);
    }
    assert_int_equal(put_end(&puts[0]), HAUL_OK);
    assert_int_equal(put_end(&puts[1]), HAUL_OK);
    assert_int_equal(puts[0].order, 1);
    total += drain(fds[0], got + total, 2 * LARGE_BYTES - total);
    assert_int_equal(total, LARGE_BYTES + 3);
    assert_memory_equal(got, data, LARGE_BYTES);
    assert_memory_equal(got + LARGE_BYTES, "end", 3);
    assert_int_equal(STEP(sink->operations->publish(sink)), HAUL_OK);
    assert_true(fcntl(fds[1], F_GETFD) >= 0); /* it stays open */
    end();
    close(fds[0]);
    close(fds[1]);
    free(data);
    free(got);
}

static void test_stream_begins_once(void **state)
{
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    begin_ring();
    begin(sink_stream_create(ring, fds[1]));
    assert_int_equal(STEP(sink->operations->open(sink, false, &version)),
                     HAUL_OK); /* nothing is out yet */
    assert_int_equal(put_now("abc", 3, 0), HAUL_OK);
    assert_int_equal(STEP(sink->operations->open(sink, false, &version)), HAUL_CANNOT_RESUME);
    assert_int_equal(extents_prefix(&sink->stored), 3);
    assert_int_equal(STEP(sink->operations->open(sink, true, &version)), HAUL_OK);
    assert_int_equal(put_now("def", 3, 3), HAUL_OK);
    assert_int_equal(STEP(sink->operations->abandon(sink, true)), HAUL_OK);
    assert_false(sink->kept);
    end();
    close(fds[0]);
    close(fds[1]);
}

/* In order, or not at all: with the first, the second ends too. */
static void test_stream_error(void **state)
{
    char *data = calloc(1, LARGE_BYTES);
    struct put puts[WRITES];
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    begin_ring();
    begin(sink_stream_create(ring, fds[1]));
    put_start(&puts[0], data, LARGE_BYTES, 0);
    put_start(&puts[1], "end", 3, LARGE_BYTES);
    turn_a_little();
    assert_int_equal(puts[0].done + puts[1].done, 0);
    close(fds[0]);
    assert_int_equal(put_end(&puts[0]), HAUL_FILE_IO);
    assert_int_equal(puts[0].error.system_errno, EPIPE);
    assert_int_equal(put_end(&puts[1]), HAUL_FILE_IO);
    assert_int_equal(put_now("x", 1, 0), HAUL_FILE_IO);
    end();
    close(fds[1]);
    free(data);
}

/* Nobody reads, and the download is to stop: writes end, whenever that is asked. */
static void test_stream_hurry(void **state)
{
    char *data = calloc(1, LARGE_BYTES);

    (void)state;
    for (int late = 0; late < 2; late++) {
        struct put puts[WRITES];
        int fds[2];

        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        begin_ring();
        begin(sink_stream_create(ring, fds[1]));
        sink->operations->hurry(sink); /* there is none */
        put_start(&puts[0], data, LARGE_BYTES, 0);
        put_start(&puts[1], data, LARGE_BYTES, LARGE_BYTES);
        if (late)
            turn_a_little();
        sink->operations->hurry(sink);
        assert_int_not_equal(put_end(&puts[0]), HAUL_OK);
        assert_int_not_equal(put_end(&puts[1]), HAUL_OK);
        assert_int_equal(STEP(sink->operations->abandon(sink, true)), HAUL_OK);
        end();
        close(fds[0]);
        close(fds[1]);
    }
    free(data);
}

/* The first is in time for all of it, so that the second is begun after the call to hurry. */
static void test_stream_hurry_between(void **state)
{
    char *data = calloc(1, LARGE_BYTES);
    struct put puts[WRITES];
    int fds[2];

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    begin_ring();
    begin(sink_stream_create(ring, fds[1]));
    put_start(&puts[0], data, 100, 0);
    put_start(&puts[1], data, LARGE_BYTES, 100);
    sink->operations->hurry(sink);
    for (int turn = 0; turn < 200 && !puts[1].done; turn++)
        turn_a_little();
    if (!puts[1].done) { /* so that the test ends well-ordered, if not well */
        ring_cancel(ring, &puts[1].write.op);
        put_end(&puts[1]);
        end();
        fail_msg("a write that waited behind the first one is not hurried");
    }
    assert_int_not_equal(puts[1].error.status, HAUL_OK);
    end();
    close(fds[0]);
    close(fds[1]);
    free(data);
}

/* Let go of in the middle of each step: nobody is told, nothing is left. */
static void test_release_under_way(void **state)
{
    int null = open("/dev/null", O_WRONLY | O_CLOEXEC);

    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        for (int step = 0; step < 4; step++) {
            begin_ring();
            begin(kind == 0   ? sink_memory_create(ring, 100)
                  : kind == 1 ? sink_discard_create(ring)
                              : sink_stream_create(ring, null));
            steps = 0;
            if (step == 0)
                sink->operations->prepare(sink);
            else if (step == 1)
                sink->operations->open(sink, false, &version);
            else if (step == 2)
                sink->operations->publish(sink);
            else
                sink->operations->abandon(sink, true);
            end();
            assert_int_equal(steps, 0);
        }
    }
    close(null);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_memory_bound),
        cmocka_unit_test(test_memory_again),
        cmocka_unit_test(test_discard),
        cmocka_unit_test(test_stream_order),
        cmocka_unit_test(test_stream_begins_once),
        cmocka_unit_test(test_stream_error),
        cmocka_unit_test(test_stream_hurry),
        cmocka_unit_test(test_stream_hurry_between),
        cmocka_unit_test(test_release_under_way),
    };

    signal(SIGPIPE, SIG_IGN); /* writing to a pipe that nobody reads is to be an error */
    return UNIT_RUN(tests);
}
