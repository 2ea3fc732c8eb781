/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sockets, streams and cancelling on the real io_uring, with all it has and with some of it off. */
#include "tests/unit/ring_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

enum { LARGE_BYTES = 4 * 1024 * 1024, PIPE_BYTES = 64 * 1024 };

/* ---- sockets ---- */

static int listen_at(struct address *address, const char *host, int backlog)
{
    socklen_t len;
    int fd;

    assert_true(address_parse(address, span_of(host), 0));
    fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    len = address->len;
    if (fd < 0 || bind(fd, &address->any, len) < 0) {
        close(fd);
        return -1;
    }
    assert_int_equal(listen(fd, backlog), 0);
    assert_int_equal(getsockname(fd, &address->any, &len), 0);
    return fd;
}

/* Reads what is there without waiting. */
static size_t drain(int fd)
{
    static char buffer[PIPE_BYTES];
    size_t total = 0;
    ssize_t got;

    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
    while ((got = read(fd, buffer, sizeof(buffer))) > 0) {
        for (ssize_t i = 0; i < got; i += 1009)
            CHECK(buffer[i] == 'x');
        total += (size_t)got;
    }
    return total;
}

static void finish_draining(struct act *act, int fd, size_t want)
{
    size_t total = 0;

    for (uint64_t turns = 0; act->calls == 0 && turns < PATIENCE_NS / (uint64_t)NS_PER_MS;
         turns++) {
        turn_ms(1);
        total += drain(fd);
    }
    assert_int_equal(finish(act), want);
    assert_int_equal(total + drain(fd), want);
}

static void talk(const char *host)
{
    struct address address;
    int listener = listen_at(&address, host, 1);
    struct act act;
    char *data = malloc(LARGE_BYTES);
    char buffer[16];
    int client, server;

    if (listener < 0) {
        print_message("no %s here\n", host);
        free(data);
        return;
    }
    memset(data, 'x', LARGE_BYTES);
    act_init(&act);
    client = ring_socket(ring, address.any.sa_family);
    assert_true(client >= 0);
    assert_int_equal(fcntl(client, F_GETFD), FD_CLOEXEC);
    assert_int_equal(DO(&act, ring_connect(ring, &act.op, client, &address)), 0);
    server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_true(server >= 0);
    assert_int_equal(ring_look(ring, client), RING_SOCKET_SILENT);
    assert_int_equal(DO(&act, ring_send(ring, &act.op, client, data, 5)), 5);
    assert_int_equal(recv(server, buffer, sizeof(buffer), 0), 5);
    assert_int_equal(send(server, "hello", 5, 0), 5);
    assert_int_equal(DO(&act, ring_recv(ring, &act.op, client, buffer, sizeof(buffer))), 5);
    assert_memory_equal(buffer, "hello", 5);
    START(ring_send(ring, &act.op, client, data, LARGE_BYTES)); /* all of it, however long */
    finish_draining(&act, server, LARGE_BYTES);
    assert_int_equal(send(server, "more", 4, 0), 4);
    assert_int_equal(DO(&act, ring_poll(ring, &act.op, client, POLLIN)), POLLIN);
    assert_int_equal(ring_look(ring, client), RING_SOCKET_DATA);
    assert_int_equal(DO(&act, ring_recv(ring, &act.op, client, buffer, 2)), 2);
    close(server);
    assert_int_equal(DO(&act, ring_recv(ring, &act.op, client, buffer, 16)), 2);
    assert_int_equal(DO(&act, ring_recv(ring, &act.op, client, buffer, 16)), 0);
    assert_int_equal(ring_look(ring, client), RING_SOCKET_CLOSED);
    ring_close(ring, client);
    client = ring_socket(ring, address.any.sa_family);
    close(listener);
    assert_int_equal(DO(&act, ring_connect(ring, &act.op, client, &address)), -ECONNREFUSED);
    ring_close(ring, client);
    free(data);
}

static void test_sockets(void **state)
{
    (void)state;
    begin();
    talk("127.0.0.1");
    talk("::1");
    end();
}

/* A peer that is gone is an error, and no signal. */
static void test_send_to_closed(void **state)
{
    struct act act;
    int fds[2];

    (void)state;
    begin();
    act_init(&act);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    close(fds[1]);
    assert_int_equal(DO(&act, ring_send(ring, &act.op, fds[0], "x", 1)), -EPIPE);
    ring_close(ring, fds[0]);
    end();
}

/* After a poll: what is there comes at once, and if it turns out that there is nothing, it waits as
 * any receive does. */
static void test_recv_ready(void **state)
{
    char buffer[16];
    struct act act;
    int fds[2];

    (void)state;
    begin();
    act_init(&act);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(send(fds[1], "hello", 5, 0), 5);
    START(ring_recv_ready(ring, &act.op, fds[0], buffer, 3));
    assert_int_equal(ring_look(ring, fds[0]), RING_SOCKET_DATA); /* two are left already */
    assert_int_equal(finish(&act), 3);
    assert_int_equal(DO(&act, ring_recv_ready(ring, &act.op, fds[0], buffer + 3, 13)), 2);
    assert_memory_equal(buffer, "hello", 5);
    START(ring_recv_ready(ring, &act.op, fds[0], buffer, sizeof(buffer)));
    turn_ms(1);
    turn_ms(1);
    assert_int_equal(act.calls, 0);
    assert_int_equal(send(fds[1], "world", 5, 0), 5);
    assert_int_equal(finish(&act), 5);
    assert_memory_equal(buffer, "world", 5);
    START(ring_recv_ready(ring, &act.op, fds[0], buffer, sizeof(buffer)));
    turn_ms(1);
    ring_cancel(ring, &act.op);
    assert_int_equal(finish(&act), -ECANCELED);
    assert_int_equal(send(fds[1], "!", 1, 0), 1);
    close(fds[1]);
    assert_int_equal(DO(&act, ring_recv_ready(ring, &act.op, fds[0], buffer, 16)), 1);
    assert_int_equal(DO(&act, ring_recv_ready(ring, &act.op, fds[0], buffer, 16)), 0);
    close(fds[0]);
    assert_int_equal(DO(&act, ring_recv_ready(ring, &act.op, fds[0], buffer, 16)), -EBADF);
    end();
}

/* A connection that is cut off is an error, and no end. */
static void test_recv_ready_reset(void **state)
{
    struct linger linger = {.l_onoff = 1};
    struct address address;
    int listener = listen_at(&address, "127.0.0.1", 1);
    char buffer[16];
    struct act act;
    int client, server;

    (void)state;
    begin();
    act_init(&act);
    client = ring_socket(ring, AF_INET);
    assert_int_equal(DO(&act, ring_connect(ring, &act.op, client, &address)), 0);
    server = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    assert_int_equal(setsockopt(server, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)), 0);
    close(server);
    assert_true(DO(&act, ring_poll(ring, &act.op, client, POLLIN)) > 0);
    assert_int_equal(DO(&act, ring_recv_ready(ring, &act.op, client, buffer, 16)), -ECONNRESET);
    ring_close(ring, client);
    close(listener);
    end();
}

/* ---- streams ---- */

static void test_write_stream(void **state)
{
    char *data = malloc(LARGE_BYTES);

    (void)state;
    memset(data, 'x', LARGE_BYTES);
    for (int flags = 0; flags <= O_NONBLOCK; flags += O_NONBLOCK) {
        struct act act;
        int fds[2];

        begin();
        act_init(&act);
        assert_int_equal(pipe2(fds, O_CLOEXEC | flags), 0);
        assert_int_equal(DO(&act, ring_write_stream(ring, &act.op, fds[1], data, 10)), 10);
        assert_int_equal(drain(fds[0]), 10);
        START(ring_write_stream(ring, &act.op, fds[1], data, LARGE_BYTES));
        turn_ms(1);
        assert_int_equal(act.calls, 0); /* it does not fit in */
        finish_draining(&act, fds[0], LARGE_BYTES);
        close(fds[0]);
        assert_int_equal(DO(&act, ring_write_stream(ring, &act.op, fds[1], data, 10)), -EPIPE);
        close(fds[1]);
        end();
    }
    free(data);
}

/* ---- cancelling ---- */

static void assert_cancelled(struct act *act, bool turned)
{
    if (turned)
        turn_ms(1);
    assert_int_equal(act->calls, 0);
    START(ring_cancel(ring, &act->op));
    START(ring_cancel(ring, &act->op)); /* twice is once */
    assert_int_equal(finish(act), -ECANCELED);
    START(ring_cancel(ring, &act->op)); /* it is idle */
    turn_ms(0);
    assert_int_equal(act->calls, 0);
}

static void test_cancel(void **state)
{
    static char data[LARGE_BYTES];

    (void)state;
    for (int turned = 0; turned < 2; turned++) {
        struct act act;
        char buffer[16];
        int sockets[2], pipes[2];

        begin();
        act_init(&act);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
        assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
        START(ring_recv(ring, &act.op, sockets[0], buffer, sizeof(buffer)));
        assert_cancelled(&act, turned);
        START(ring_poll(ring, &act.op, sockets[0], POLLIN));
        assert_cancelled(&act, turned);
        START(ring_send(ring, &act.op, sockets[0], data, LARGE_BYTES));
        assert_cancelled(&act, turned);
        START(ring_write_stream(ring, &act.op, pipes[1], data, LARGE_BYTES));
        assert_cancelled(&act, turned);
        fcntl(pipes[1], F_SETFL, O_NONBLOCK);
        START(ring_write_stream(ring, &act.op, pipes[1], data, LARGE_BYTES));
        assert_cancelled(&act, turned);
        START(ring_later(ring, &act.op)); /* has its answer already */
        ring_cancel(ring, &act.op);
        assert_int_equal(finish(&act), 0);
        for (int i = 0; i < 2; i++) {
            close(sockets[i]);
            close(pipes[i]);
        }
        end();
    }
}

/* To a port whose queue is full: the SYN gets no answer. */
static void test_cancel_connect(void **state)
{
    struct address address;
    int listener = listen_at(&address, "127.0.0.1", 0);
    int fds[16];
    struct act act;
    bool full = false;
    size_t count = 0;

    (void)state;
    begin();
    act_init(&act);
    while (!full && count < COUNT_OF(fds)) {
        struct pollfd writable = {.events = POLLOUT};

        writable.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        fds[count++] = writable.fd;
        full = connect(writable.fd, &address.any, address.len) < 0 && errno == EINPROGRESS &&
               poll(&writable, 1, 100) == 0;
    }
    if (full) {
        int fd = ring_socket(ring, AF_INET);

        START(ring_connect(ring, &act.op, fd, &address));
        assert_cancelled(&act, true);
        ring_close(ring, fd);
    } else {
        print_message("no connect that waits is to be had here\n");
    }
    while (count > 0)
        close(fds[--count]);
    close(listener);
    end();
}

/* A cancel that comes too late changes nothing. */
static void test_cancel_loses(void **state)
{
    struct act act;
    char buffer[16];
    int fds[2];

    (void)state;
    begin();
    act_init(&act);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(send(fds[1], "hello", 5, 0), 5);
    START(ring_poll(ring, &act.op, fds[0], POLLIN));
    ring_cancel(ring, &act.op);
    assert_int_equal(finish(&act), POLLIN);
    START(ring_recv(ring, &act.op, fds[0], buffer, sizeof(buffer)));
    ring_cancel(ring, &act.op);
    assert_int_equal(finish(&act), 5);
    START(ring_send(ring, &act.op, fds[0], "all", 3));
    ring_cancel(ring, &act.op);
    assert_int_equal(finish(&act), 3);
    assert_int_equal(recv(fds[1], buffer, sizeof(buffer), 0), 3);
    close(fds[0]);
    close(fds[1]);
    end();
}

/* Part of it is out when the cancel comes: an error, neither a short count nor a longer wait. */
static void test_cancel_half_way(void **state)
{
    static char data[LARGE_BYTES];
    struct act act;
    int fds[2];

    (void)state;
    begin();
    act_init(&act);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    START(ring_write_stream(ring, &act.op, fds[1], data, LARGE_BYTES));
    ring_cancel(ring, &act.op);
    assert_int_equal(finish(&act), -ECANCELED);
    close(fds[0]);
    close(fds[1]);
    end();
    /* The pipe gets room just as the cancel is on its way: what the poll says is no count. */
    begin_with(UINT32_MAX);
    assert_int_equal(pipe2(fds, O_CLOEXEC | O_NONBLOCK), 0);
    START(ring_write_stream(ring, &act.op, fds[1], data, LARGE_BYTES));
    turn_ms(1);
    turn_ms(1);
    assert_int_equal(act.calls, 0);
    assert_true(read(fds[0], data, PIPE_BYTES) > 0);
    ring_cancel(ring, &act.op);
    assert_int_equal(finish(&act), -ECANCELED);
    close(fds[0]);
    close(fds[1]);
    end();
}

/* Two that are ready in one turn, where the first one's `done` cancels the second. */
static void test_cancel_from_within(void **state)
{
    int fd = eventfd(1, EFD_CLOEXEC);
    struct act a, b;

    (void)state;
    begin();
    act_init(&a);
    act_init(&b);
    a.cancels = &b;
    START(ring_poll(ring, &a.op, fd, POLLIN));
    START(ring_poll(ring, &b.op, fd, POLLIN));
    assert_int_equal(finish(&a), POLLIN);
    assert_int_equal(finish(&b), POLLIN);
    turn_ms(0);
    close(fd);
    end();
}

/* ---- fallbacks ---- */

static int answer(struct op *op)
{
    (void)op;
    return 42;
}

static void test_features(void **state)
{
    static const struct {
        uint32_t off;
        const char *in_use; /* NULL: whatever the kernel has */
    } rows[] = {
        {0, NULL},
        {HAUL_FEATURE_SINGLE_ISSUER, NULL},
        {HAUL_FEATURE_DEFER_TASKRUN, NULL},
        {HAUL_FEATURE_COOP_TASKRUN, NULL},
        {HAUL_FEATURE_RENAME_NOREPLACE, NULL},
        {HAUL_FEATURE_DIRECT | HAUL_FEATURE_FALLOCATE, NULL},
        {HAUL_FEATURE_DONTCACHE | HAUL_FEATURE_FIXED, NULL},
        {HAUL_FEATURE_DEFER_TASKRUN | HAUL_FEATURE_COOP_TASKRUN, "plain"},
        {HAUL_FEATURE_SINGLE_ISSUER | HAUL_FEATURE_COOP_TASKRUN, "plain"},
        {UINT32_MAX, "plain"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct act work;
        struct act act;
        int fds[2];

        begin_with(rows[i].off);
        if (rows[i].in_use)
            assert_string_equal(ring_features(ring), rows[i].in_use);
        assert_true(strlen(ring_features(ring)) > 0);
        if (rows[i].off & HAUL_FEATURE_SINGLE_ISSUER)
            assert_null(strstr(ring_features(ring), "single"));
        if (rows[i].off & HAUL_FEATURE_DEFER_TASKRUN)
            assert_null(strstr(ring_features(ring), "defer"));
        if (rows[i].off & HAUL_FEATURE_COOP_TASKRUN)
            assert_null(strstr(ring_features(ring), "coop"));
        talk("127.0.0.1");
        act_init(&work);
        assert_int_equal(DO(&work, ring_offload(ring, &work.op, answer)), 42);
        act_init(&act);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        START(ring_poll(ring, &act.op, fds[0], POLLIN));
        assert_cancelled(&act, true);
        ring_wake(ring);
        assert_int_equal(ring_turn(ring, UINT64_MAX), 0);
        close(fds[0]);
        close(fds[1]);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sockets),         cmocka_unit_test(test_send_to_closed),
        cmocka_unit_test(test_recv_ready),      cmocka_unit_test(test_recv_ready_reset),
        cmocka_unit_test(test_write_stream),    cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_connect),  cmocka_unit_test(test_cancel_loses),
        cmocka_unit_test(test_cancel_half_way), cmocka_unit_test(test_cancel_from_within),
        cmocka_unit_test(test_features),
    };

    signal(SIGPIPE, SIG_IGN); /* writing to a pipe that nobody reads is to be an error */
    return UNIT_RUN(tests);
}
