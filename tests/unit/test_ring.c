/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The loop on the real io_uring: references, timers, wake, helpers, limits. Sockets and cancelling
 * are test_ring_socket's, files test_ring_file's. */
#include "tests/unit/ring_fixture.h"

#include <errno.h>
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

enum {
    WORKS = 200,
    MANY_POLLS = 10000,     /* far more than the completion queue has entries */
    MANY_SOCKETS_MAX = 6000 /* pairs; as many of them as descriptors are to be had */
};

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

static void yielding_done(struct op *op, int res)
{
    struct chain *chain = CONTAINER_OF(op, struct chain, act.op);

    act_done(op, res);
    if (chain->left-- > 0)
        ring_yield(ring, op);
}

/* Once a turn, however many turns there are, and no turn waits meanwhile. */
static void test_yield(void **state)
{
    struct chain chain = {.left = 9};

    (void)state;
    begin();
    act_init(&chain.act);
    chain.act.op.done = yielding_done;
    ring_yield(ring, &chain.act.op);
    for (unsigned calls = 0; calls < 10; calls++) {
        assert_int_equal(chain.act.calls, calls);
        turn_ms(10000);
    }
    assert_int_equal(chain.act.calls, 10);
    assert_int_equal(ring_busy(ring), 0);
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

/* ---- nothing ---- */

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
        cmocka_unit_test(test_unused),
        cmocka_unit_test(test_owner_is_held),
        cmocka_unit_test(test_later),
        cmocka_unit_test(test_yield),
        cmocka_unit_test(test_op_used_again),
        cmocka_unit_test(test_timers),
        cmocka_unit_test(test_data_before_timer),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_wake),
        cmocka_unit_test(test_wake_from_signal),
        cmocka_unit_test(test_offload),
        cmocka_unit_test(test_many_polls),
        cmocka_unit_test(test_many_from_within),
        cmocka_unit_test(test_many_sockets),
        cmocka_unit_test(test_forbidden),
    };

    signal(SIGPIPE, SIG_IGN); /* writing to a pipe that nobody reads is to be an error */
    return UNIT_RUN(tests);
}
