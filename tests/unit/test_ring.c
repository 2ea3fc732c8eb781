/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The loop on the real io_uring: sockets, cancelling, timers, wake, helpers, limits, fallbacks.
 * Files are test_ring_file's. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#if __has_include(<valgrind/valgrind.h>)
#include <valgrind/valgrind.h>
#else
#define RUNNING_ON_VALGRIND 0
#endif

#include "ring/ring.h"

enum {
    LARGE_BYTES = 4 * 1024 * 1024,
    PIPE_BYTES = 64 * 1024,
    HELPERS = 4,
    WORKS = 200,
    MANY_POLLS = 10000,     /* far more than the completion queue has entries */
    MANY_SOCKETS_MAX = 6000 /* pairs; as many of them as descriptors are to be had */
};

#define PATIENCE_NS (UINT64_C(20) * (uint64_t)NS_PER_S)

static struct ring *ring;
static bool starting;  /* a request is being started: no `done` may come now */
static unsigned ended; /* owners whose last reference is gone */

/* A request and its owner. */
struct act {
    struct ref ref;
    struct op op;
    int res;
    unsigned calls;
    struct act *cancels; /* by `done` */
};

static void act_last(struct ref *ref)
{
    (void)ref;
    ended++;
}

static void act_done(struct op *op, int res)
{
    struct act *act = CONTAINER_OF(op, struct act, op);

    CHECK(!starting && !op_busy(op) && act->ref.count > 0);
    act->calls++;
    act->res = res;
    if (act->cancels)
        ring_cancel(ring, &act->cancels->op);
}

static void act_init(struct act *act)
{
    *act = (struct act){.res = INT32_MIN};
    ref_init(&act->ref, act_last);
    op_init(&act->op, act_done, &act->ref);
}

#define START(call) (starting = true, (call), starting = false)

static void begin_with(uint32_t features_off)
{
    struct ring_options options = {.features_off = features_off, .helper_threads = HELPERS};
    struct haul_error error;

    ring = ring_create(&options, &error);
    assert_non_null(ring);
    assert_int_equal(ring_busy(ring), 0);
    starting = false;
    ended = 0;
}

static void begin(void)
{
    begin_with(0);
}

static void end(void)
{
    assert_int_equal(ring_busy(ring), 0);
    ring_destroy(ring);
}

static void turn_ms(uint64_t ms)
{
    ring_read_clock(ring);
    assert_int_equal(ring_turn(ring, ring_now_ns(ring) + ms * (uint64_t)NS_PER_MS), 0);
}

/* Valgrind lets one thread run at a time, and as of 3.19 doesn't know that io_uring_enter() waits:
 * then the test must wait outside of it, or no other thread, and no signal, would get its turn. */
static void turn(uint64_t until_ns)
{
    if (RUNNING_ON_VALGRIND) {
        assert_int_equal(ring_turn(ring, 0), 0);
        usleep(100);
    } else {
        assert_int_equal(ring_turn(ring, until_ns), 0);
    }
}

/* What has become of it. */
static int finish(struct act *act)
{
    uint64_t limit;

    ring_read_clock(ring);
    limit = ring_now_ns(ring) + PATIENCE_NS;
    while (act->calls == 0 && ring_now_ns(ring) < limit)
        turn(limit);
    assert_int_equal(act->calls, 1);
    assert_false(op_busy(&act->op));
    act->calls = 0;
    return act->res;
}

#define DO(act, call) (START(call), finish(act))

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

/* ---- references ---- */

struct heaped {
    struct act act;
    char buffer[16];
};

static bool freed;

static void heaped_last(struct ref *ref)
{
    struct heaped *heaped = CONTAINER_OF(ref, struct heaped, act.ref);

    CHECK(heaped->act.calls == 1); /* not before the kernel is done with its buffer */
    freed = true;
    free(heaped);
}

static void test_owner_is_held(void **state)
{
    int fds[2];

    (void)state;
    begin();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    for (int round = 0; round < 3; round++) {
        struct heaped *heaped = malloc(sizeof(*heaped));

        freed = false;
        act_init(&heaped->act);
        heaped->act.ref.last = heaped_last;
        if (round == 2)
            START(ring_later(ring, &heaped->act.op));
        else
            START(ring_recv(ring, &heaped->act.op, fds[0], heaped->buffer, 16));
        assert_true(op_busy(&heaped->act.op));
        assert_int_equal(ring_busy(ring), 1);
        ref_drop(&heaped->act.ref);
        turn_ms(0);
        assert_int_equal(freed, round == 2);
        if (round == 0)
            assert_int_equal(send(fds[1], "hello", 5, 0), 5);
        else if (round == 1)
            ring_cancel(ring, &heaped->act.op);
        while (!freed)
            turn_ms(1000);
        assert_int_equal(ring_busy(ring), 0);
    }
    close(fds[0]);
    close(fds[1]);
    end();
}

/* ---- later ---- */

struct chain {
    struct act act;
    unsigned left;
};

static void chain_done(struct op *op, int res)
{
    struct chain *chain = CONTAINER_OF(op, struct chain, act.op);

    act_done(op, res);
    if (chain->left-- > 0)
        ring_later(ring, op);
}

/* Within a turn it follows in the same turn; but a chain without end holds nothing else up. */
static void test_later(void **state)
{
    struct chain chain = {.left = 9};
    struct act poll;
    int fd = eventfd(1, EFD_CLOEXEC);

    (void)state;
    begin();
    act_init(&chain.act);
    chain.act.op.done = chain_done;
    ring_later(ring, &chain.act.op);
    turn_ms(1000);
    assert_int_equal(chain.act.calls, 10);
    act_init(&poll);
    chain.left = UINT32_MAX;
    ring_later(ring, &chain.act.op);
    START(ring_poll(ring, &poll.op, fd, POLLIN));
    assert_int_equal(finish(&poll), POLLIN);
    chain.left = 0;
    while (ring_busy(ring) > 0)
        turn_ms(0);
    close(fd);
    end();
}

/* What an op did before must not tell on what it does next. */
static void test_op_used_again(void **state)
{
    struct act act;
    char buffer[16];
    int fds[2];

    (void)state;
    begin();
    act_init(&act);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
    assert_int_equal(DO(&act, ring_send(ring, &act.op, fds[0], "abcd", 4)), 4);
    assert_int_equal(send(fds[1], "hello", 5, 0), 5);
    assert_int_equal(DO(&act, ring_poll(ring, &act.op, fds[0], POLLIN)), POLLIN);
    assert_int_equal(DO(&act, ring_recv(ring, &act.op, fds[0], buffer, 16)), 5);
    assert_int_equal(DO(&act, ring_send(ring, &act.op, fds[0], "abcdef", 6)), 6);
    START(ring_recv(ring, &act.op, fds[0], buffer, 16));
    ring_cancel(ring, &act.op);
    assert_int_equal(finish(&act), -ECANCELED);
    assert_int_equal(DO(&act, ring_send(ring, &act.op, fds[0], "ab", 2)), 2);
    close(fds[0]);
    close(fds[1]);
    end();
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

/* ---- time ---- */

struct alarm_clock {
    struct timer timer;
    uint64_t at_ns;
    uint64_t fired_ns;
    unsigned again;
};

static void alarm_fired(struct timer *timer)
{
    struct alarm_clock *alarm = CONTAINER_OF(timer, struct alarm_clock, timer);

    alarm->fired_ns = ring_now_ns(ring);
    CHECK(alarm->fired_ns >= alarm->at_ns);
    if (alarm->again == 0)
        return;
    alarm->again--;
    alarm->at_ns = ring_now_ns(ring) + 2 * (uint64_t)NS_PER_MS;
    ring_timer_start(ring, timer, alarm->at_ns);
}

static void test_timers(void **state)
{
    struct alarm_clock alarms[] = {{.at_ns = 30}, {.at_ns = 10, .again = 5}, {.at_ns = 1000000}};
    uint64_t start;

    (void)state;
    begin();
    ring_read_clock(ring);
    start = ring_now_ns(ring);
    for (size_t i = 0; i < COUNT_OF(alarms); i++) {
        alarms[i].at_ns = start + alarms[i].at_ns * (uint64_t)NS_PER_MS;
        timer_init(&alarms[i].timer, alarm_fired);
        ring_timer_start(ring, &alarms[i].timer, alarms[i].at_ns);
    }
    while (!alarms[0].fired_ns || alarms[1].again > 0 || timer_runs(&alarms[1].timer))
        assert_int_equal(ring_turn(ring, UINT64_MAX), 0);
    assert_true(ring_now_ns(ring) - start >= 30 * (uint64_t)NS_PER_MS);
    assert_true(ring_now_ns(ring) - start < PATIENCE_NS);
    assert_true(timer_runs(&alarms[2].timer));
    timer_stop(&alarms[2].timer);
    start = ring_now_ns(ring);
    turn_ms(20); /* nothing is due: all of the time passes */
    assert_true(ring_now_ns(ring) - start >= 20 * (uint64_t)NS_PER_MS);
    assert_int_equal(alarms[2].fired_ns, 0);
    assert_in_range(ring_wall_s(ring), time(NULL) - 2, time(NULL) + 2);
    end();
}

/* What came before a timer was due is seen before the timer, however late the turn is. */
static void test_data_before_timer(void **state)
{
    struct alarm_clock alarm = {0};
    struct act act;
    int fd = eventfd(0, EFD_CLOEXEC);
    uint64_t one = 1;

    (void)state;
    begin();
    act_init(&act);
    START(ring_poll(ring, &act.op, fd, POLLIN));
    turn_ms(0);
    ring_read_clock(ring);
    alarm.at_ns = ring_now_ns(ring) + (uint64_t)NS_PER_MS;
    timer_init(&alarm.timer, alarm_fired);
    ring_timer_start(ring, &alarm.timer, alarm.at_ns);
    assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
    usleep(5000);
    while (!alarm.fired_ns)
        turn_ms(1000);
    assert_int_equal(act.calls, 1);
    close(fd);
    end();
}

static void test_random(void **state)
{
    uint64_t numbers[200];

    (void)state;
    begin();
    for (size_t i = 0; i < COUNT_OF(numbers); i++) {
        numbers[i] = ring_random(ring);
        for (size_t k = 0; k < i; k++)
            assert_true(numbers[k] != numbers[i]);
    }
    end();
}

/* ---- waking ---- */

static void *waker_main(void *delay_us)
{
    usleep(*(const unsigned *)delay_us);
    ring_wake(ring);
    return NULL;
}

static void test_wake(void **state)
{
    uint64_t start;

    (void)state;
    begin();
    ring_wake(ring); /* before the first turn */
    assert_int_equal(ring_turn(ring, UINT64_MAX), 0);
    for (unsigned delay_us = 0; delay_us <= 20000 && !RUNNING_ON_VALGRIND; delay_us += 10000) {
        pthread_t thread;

        assert_int_equal(pthread_create(&thread, NULL, waker_main, &delay_us), 0);
        assert_int_equal(ring_turn(ring, UINT64_MAX), 0);
        assert_int_equal(pthread_join(thread, NULL), 0);
    }
    for (int i = 0; i < 100; i++)
        ring_wake(ring);
    assert_int_equal(ring_turn(ring, UINT64_MAX), 0);
    turn_ms(0);
    ring_read_clock(ring);
    start = ring_now_ns(ring);
    turn_ms(20); /* all calls together are one */
    assert_true(ring_now_ns(ring) - start >= 20 * (uint64_t)NS_PER_MS);
    end();
}

static volatile sig_atomic_t signalled;

static void on_signal(int number)
{
    (void)number;
    signalled = 1;
    ring_wake(ring);
}

static void test_wake_from_signal(void **state)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    struct itimerval soon = {.it_value.tv_usec = 20000};

    (void)state;
    begin();
    signalled = 0;
    assert_int_equal(sigaction(SIGALRM, &action, NULL), 0);
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    while (!signalled)
        turn(UINT64_MAX);
    signal(SIGALRM, SIG_DFL);
    end();
}

/* ---- helpers ---- */

struct work {
    struct act act;
    pthread_t thread;
    int input;
    pthread_barrier_t *together;
};

static int work_run(struct op *op)
{
    struct work *work = CONTAINER_OF(op, struct work, act.op);

    work->thread = pthread_self();
    if (work->together)
        pthread_barrier_wait(work->together);
    return work->input * 2;
}

static void test_offload(void **state)
{
    static struct work works[WORKS];
    pthread_barrier_t together;

    (void)state;
    begin();
    /* All helpers at once, or nobody comes past the barrier. */
    pthread_barrier_init(&together, NULL, HELPERS);
    for (int i = 0; i < WORKS; i++) {
        act_init(&works[i].act);
        works[i].input = i;
        works[i].together = i < HELPERS ? &together : NULL;
        START(ring_offload(ring, &works[i].act.op, work_run));
        ring_cancel(ring, &works[i].act.op); /* can't be stopped */
    }
    assert_int_equal(ring_busy(ring), WORKS);
    for (int i = WORKS - 1; i >= 0; i--)
        assert_int_equal(finish(&works[i].act), i * 2);
    for (int i = 0; i < WORKS; i++) {
        assert_int_equal(works[i].act.calls, 0);
        assert_false(pthread_equal(works[i].thread, pthread_self()));
    }
    pthread_barrier_destroy(&together);
    end();
}

/* ---- more completions than the queue holds ---- */

static void assert_all_once(const struct act *acts, size_t count, int res)
{
    uint64_t limit;

    ring_read_clock(ring);
    limit = ring_now_ns(ring) + PATIENCE_NS;
    while (ring_busy(ring) > 0 && ring_now_ns(ring) < limit)
        turn(limit);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(acts[i].calls, 1);
        assert_int_equal(acts[i].res, res);
    }
}

static void many_polls(uint32_t features_off)
{
    struct act *acts = calloc(MANY_POLLS, sizeof(*acts));
    int fd = eventfd(0, EFD_CLOEXEC);
    uint64_t one = 1;

    begin_with(features_off);
    for (size_t i = 0; i < MANY_POLLS; i++) {
        act_init(&acts[i]);
        START(ring_poll(ring, &acts[i].op, fd, POLLIN));
    }
    turn_ms(0);
    assert_int_equal(ring_busy(ring), MANY_POLLS);
    assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
    assert_all_once(acts, MANY_POLLS, POLLIN);
    /* Those that are done at once, while they are still being queued. */
    for (size_t i = 0; i < MANY_POLLS; i++) {
        acts[i].calls = 0;
        START(ring_poll(ring, &acts[i].op, fd, POLLIN));
    }
    assert_all_once(acts, MANY_POLLS, POLLIN);
    close(fd);
    free(acts);
    end();
}

static void test_many_polls(void **state)
{
    (void)state;
    many_polls(0);
    many_polls(UINT32_MAX);
}

/* Each `done` starts a request of its own while the rest waits in an overflowing queue. */
static void poll_again(struct op *op, int res)
{
    struct act *act = CONTAINER_OF(op, struct act, op);
    bool first = act->calls == 0;

    act_done(op, res);
    if (first)
        ring_poll(ring, op, *(int *)act->op.data, POLLIN);
}

static void test_many_from_within(void **state)
{
    struct act *acts = calloc(MANY_POLLS, sizeof(*acts));
    int fd = eventfd(0, EFD_CLOEXEC);
    uint64_t one = 1;

    (void)state;
    begin();
    for (size_t i = 0; i < MANY_POLLS; i++) {
        act_init(&acts[i]);
        acts[i].op.done = poll_again;
        acts[i].op.data = &fd; /* a poll has no buffer, so the test may use it */
        START(ring_poll(ring, &acts[i].op, fd, POLLIN));
    }
    turn_ms(0);
    assert_int_equal(write(fd, &one, sizeof(one)), sizeof(one));
    while (ring_busy(ring) > 0)
        turn_ms(1000);
    for (size_t i = 0; i < MANY_POLLS; i++)
        assert_int_equal(acts[i].calls, 2);
    close(fd);
    free(acts);
    end();
}

static void test_many_sockets(void **state)
{
    static int fds[MANY_SOCKETS_MAX][2];
    static char bytes[MANY_SOCKETS_MAX];
    struct act *acts = calloc(MANY_SOCKETS_MAX, sizeof(*acts));
    struct rlimit limit;
    size_t count = 0;

    (void)state;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    limit.rlim_cur = limit.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    begin();
    assert_true(ring_descriptors_max(ring) == limit.rlim_max);
    while (count < MANY_SOCKETS_MAX && (count + 50) * 2 < limit.rlim_cur &&
           socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds[count]) == 0) {
        act_init(&acts[count]);
        START(ring_recv(ring, &acts[count].op, fds[count][0], &bytes[count], 1));
        count++;
    }
    turn_ms(0);
    assert_int_equal(ring_busy(ring), count);
    for (size_t i = 0; i < count; i++) {
        char byte = (char)i;

        assert_int_equal(send(fds[i][1], &byte, 1, 0), 1);
    }
    assert_all_once(acts, count, 1);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(bytes[i], (char)i);
        close(fds[i][0]);
        close(fds[i][1]);
    }
    free(acts);
    end();
}

/* ---- fallbacks ---- */

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
        {HAUL_FEATURE_DEFER_TASKRUN | HAUL_FEATURE_COOP_TASKRUN, "plain"},
        {HAUL_FEATURE_SINGLE_ISSUER | HAUL_FEATURE_COOP_TASKRUN, "plain"},
        {UINT32_MAX, "plain"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct work work = {.input = 21};
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
        act_init(&work.act);
        assert_int_equal(DO(&work.act, ring_offload(ring, &work.act.op, work_run)), 42);
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

static void test_unused(void **state)
{
    (void)state;
    ring_destroy(NULL);
    begin();
    end();
    begin();
    ring_wake(ring);
    end();
}

/* ---- where io_uring is forbidden ---- */

static bool forbid(unsigned answer)
{
    struct sock_filter code[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_io_uring_setup, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | answer),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {.len = COUNT_OF(code), .filter = code};

    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) == 0;
}

enum { GOOD, BAD, NO_FILTER };

static int refused(unsigned answer, const char *words)
{
    struct ring_options options = {.helper_threads = 1};
    struct haul_error error = {.status = HAUL_OK};

    if (!forbid(answer))
        return NO_FILTER;
    if (ring_create(&options, &error) || error.status != HAUL_NO_IO_URING ||
        !strstr(error.text, words)) {
        print_error("status %d, \"%s\"\n", (int)error.status, error.text);
        return BAD;
    }
    return GOOD;
}

static void test_forbidden(void **state)
{
    static const struct {
        unsigned answer;
        const char *words;
    } rows[] = {
        {EPERM, "seccomp"},    {EPERM, "io_uring_disabled"},
        {EACCES, "forbidden"}, {ENOSYS, "seccomp"},
        {ENOSYS, "5.15"},      {ENOMEM, "ulimit -l"},
        {EMFILE, "set up"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        pid_t child = fork();
        int status;

        assert_true(child >= 0);
        if (child == 0)
            _exit(refused(rows[i].answer, rows[i].words));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) == NO_FILTER)
            skip();
        assert_int_equal(WEXITSTATUS(status), GOOD);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unused),           cmocka_unit_test(test_sockets),
        cmocka_unit_test(test_send_to_closed),   cmocka_unit_test(test_write_stream),
        cmocka_unit_test(test_owner_is_held),    cmocka_unit_test(test_later),
        cmocka_unit_test(test_op_used_again),    cmocka_unit_test(test_cancel),
        cmocka_unit_test(test_cancel_connect),   cmocka_unit_test(test_cancel_loses),
        cmocka_unit_test(test_cancel_half_way),  cmocka_unit_test(test_cancel_from_within),
        cmocka_unit_test(test_timers),           cmocka_unit_test(test_data_before_timer),
        cmocka_unit_test(test_random),           cmocka_unit_test(test_wake),
        cmocka_unit_test(test_wake_from_signal), cmocka_unit_test(test_offload),
        cmocka_unit_test(test_many_polls),       cmocka_unit_test(test_many_from_within),
        cmocka_unit_test(test_many_sockets),     cmocka_unit_test(test_features),
        cmocka_unit_test(test_forbidden),
    };

    signal(SIGPIPE, SIG_IGN); /* writing to a pipe that nobody reads is to be an error */
    return UNIT_RUN(tests);
}
