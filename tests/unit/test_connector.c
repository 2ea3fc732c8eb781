/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How many sockets the connector has open at once; the test itself is the servers. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/connector.h"

enum { SERVERS = 4, TIMEOUT_S = 20, MANY = 10 };

static struct {
    struct ring *ring;
    struct resolver *resolver;
    struct connector *connector;
    struct socket_budget sockets;
    struct log log;
    int listeners[SERVERS];
    struct url urls[SERVERS];
} f;

struct caller {
    struct connect connect;
    struct connection *connection;
    struct haul_error error;
    unsigned done;
};

static void connected(struct connect *connect, struct connection *connection,
                      const struct haul_error *error)
{
    struct caller *caller = CONTAINER_OF(connect, struct caller, connect);

    caller->done++;
    caller->connection = connection;
    caller->error = *error;
}

static void begin(size_t connections_max, size_t sockets_max)
{
    struct ring_options ring = {.helper_threads = 1};
    struct connector_options options = {.timeout_ns = TIMEOUT_S * (uint64_t)NS_PER_S,
                                        .connections_max = connections_max,
                                        .sockets = &f.sockets};
    struct haul_error error;

    memset(&f, 0, sizeof(f));
    f.sockets.open_max = sockets_max;
    f.ring = ring_create(&ring, &error);
    assert_non_null(f.ring);
    f.resolver = resolver_create(f.ring, NULL, &f.log);
    f.connector = connector_create(f.ring, f.resolver, &options, &f.log);
    assert_non_null(f.connector);
    for (size_t i = 0; i < SERVERS; i++) {
        struct sockaddr_in address = {.sin_family = AF_INET,
                                      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
        socklen_t len = sizeof(address);
        char text[64];

        f.listeners[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        assert_int_equal(bind(f.listeners[i], (struct sockaddr *)&address, sizeof(address)), 0);
        assert_int_equal(listen(f.listeners[i], 64), 0);
        assert_int_equal(getsockname(f.listeners[i], (struct sockaddr *)&address, &len), 0);
        snprintf(text, sizeof(text), "http://127.0.0.1:%u/", ntohs(address.sin_port));
        assert_true(url_parse(&f.urls[i], span_of(text), &error));
    }
}

static void turn_ms(uint64_t ms)
{
    ring_read_clock(f.ring);
    assert_int_equal(ring_turn(f.ring, ring_now_ns(f.ring) + ms * (uint64_t)NS_PER_MS), 0);
}

static void end(void)
{
    resolver_destroy(f.resolver);
    while (ring_busy(f.ring) > 0)
        turn_ms(10);
    connector_destroy(f.connector);
    while (ring_busy(f.ring) > 0)
        turn_ms(10);
    assert_int_equal(f.sockets.open, 0);
    ring_destroy(f.ring);
    for (size_t i = 0; i < SERVERS; i++) {
        url_free(&f.urls[i]);
        close(f.listeners[i]);
    }
}

static void start(struct caller *caller, size_t server)
{
    *caller = (struct caller){0};
    connect_init(&caller->connect, connected);
    ring_read_clock(f.ring);
    connect_start(f.connector, &caller->connect, &f.urls[server], NULL,
                  url_origin(&f.urls[server]));
    assert_int_equal(caller->done, 0);
}

static void wait_for(struct caller *caller)
{
    for (int i = 0; caller->done == 0 && i < TIMEOUT_S * 100; i++)
        turn_ms(10);
    assert_int_equal(caller->done, 1);
    assert_int_equal(caller->error.status, HAUL_OK);
    assert_non_null(caller->connection);
}

static void dial(struct caller *caller, size_t server)
{
    start(caller, server);
    wait_for(caller);
}

/* The server's end. */
static int accept_one(size_t server)
{
    int fd = accept4(f.listeners[server], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    assert_true(fd >= 0);
    return fd;
}

static bool is_open(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_PEEK) < 0 && errno == EAGAIN;
}

static void test_oldest_idle_is_closed(void **state)
{
    struct caller callers[SERVERS];
    struct connection *taken;
    int ends[SERVERS];

    (void)state;
    begin(3, MANY);
    for (size_t i = 0; i < 3; i++) {
        dial(&callers[i], i);
        ends[i] = accept_one(i);
    }
    connector_give(f.connector, callers[1].connection);
    connector_give(f.connector, callers[0].connection);
    assert_int_equal(connector_idle(f.connector), 2);
    dial(&callers[3], 3);
    ends[3] = accept_one(3);
    assert_false(is_open(ends[1]));
    assert_true(is_open(ends[0]) && is_open(ends[2]) && is_open(ends[3]));
    assert_int_equal(connector_idle(f.connector), 1);
    /* One that is taken is in use again, and no room for others. */
    taken = connector_take(f.connector, url_origin(&f.urls[0]));
    assert_ptr_equal(taken, callers[0].connection);
    connection_close(callers[2].connection);
    dial(&callers[1], 1);
    close(ends[1]);
    ends[1] = accept_one(1);
    assert_true(is_open(ends[0]) && is_open(ends[1]) && is_open(ends[3]));
    connection_close(taken);
    connection_close(callers[1].connection);
    connection_close(callers[3].connection);
    for (size_t i = 0; i < SERVERS; i++)
        close(ends[i]);
    assert_int_equal(connector_made(f.connector), 5);
    end();
}

/* Where all sockets are used up, whoever comes last waits for one. */
static void test_no_socket_waits(void **state)
{
    struct caller callers[MANY], last, cancelled;

    (void)state;
    begin(2, MANY);
    for (size_t i = 0; i < MANY; i++)
        dial(&callers[i], 0);
    start(&last, 1);
    start(&cancelled, 1);
    for (int i = 0; i < 10; i++)
        turn_ms(10);
    assert_int_equal(last.done + cancelled.done, 0);
    connect_cancel(&cancelled.connect);
    connection_close(callers[0].connection);
    wait_for(&last);
    assert_int_equal(cancelled.done, 0);
    /* An idle one makes room, but not while it is taken. */
    connector_give(f.connector, last.connection);
    dial(&callers[0], 2);
    assert_int_equal(connector_idle(f.connector), 0);
    for (size_t i = 0; i < MANY; i++)
        connection_close(callers[i].connection);
    end();
}

/* A connection's socket counts until the kernel has let go of it. */
static void test_closing_counts(void **state)
{
    struct caller callers[MANY], next;
    struct connection_user user = {0};

    (void)state;
    begin(2, MANY);
    for (size_t i = 0; i < MANY; i++) {
        dial(&callers[i], 0);
        connection_set_user(callers[i].connection, &user, NULL);
        connection_await(callers[i].connection);
    }
    turn_ms(0);
    connection_close(callers[0].connection);
    start(&next, 1); /* finds no socket, as the poll is still to be cancelled */
    assert_int_equal(accept4(f.listeners[1], NULL, NULL, SOCK_CLOEXEC), -1);
    wait_for(&next);
    connection_close(next.connection);
    for (size_t i = 1; i < MANY; i++)
        connection_close(callers[i].connection);
    end();
}

/* A listener on ::1 whose queue is full, so that it swallows what comes. False: no IPv6. */
static bool listen_full(uint16_t port, int *fds, size_t count)
{
    struct sockaddr_in6 address = {
        .sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};

    for (size_t i = 0; i < count; i++)
        fds[i] = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fds[0] < 0 || bind(fds[0], (struct sockaddr *)&address, sizeof(address)) < 0)
        return false;
    assert_int_equal(listen(fds[0], 0), 0);
    for (size_t i = 1; i < count; i++)
        (void)connect(fds[i], (struct sockaddr *)&address, sizeof(address));
    return true;
}

/* The last socket is with an address that swallows: it makes way for the next address. */
static void test_attempt_makes_way(void **state)
{
    struct caller callers[MANY];
    struct haul_error error;
    char text[64];
    int full[5];
    bool possible;

    (void)state;
    begin(2, MANY);
    possible = listen_full(f.urls[0].port, full, COUNT_OF(full));
    if (possible) {
        for (size_t i = 1; i < MANY; i++)
            dial(&callers[i], 1);
        snprintf(text, sizeof(text), "http://localhost:%u/", f.urls[0].port);
        url_free(&f.urls[0]);
        assert_true(url_parse(&f.urls[0], span_of(text), &error));
        dial(&callers[0], 0);
        for (size_t i = 0; i < MANY; i++)
            connection_close(callers[i].connection);
    }
    for (size_t i = 0; i < COUNT_OF(full); i++)
        close(full[i]);
    end();
    if (!possible)
        skip();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_oldest_idle_is_closed),
        cmocka_unit_test(test_no_socket_waits),
        cmocka_unit_test(test_closing_counts),
        cmocka_unit_test(test_attempt_makes_way),
    };

    return UNIT_RUN(tests);
}
