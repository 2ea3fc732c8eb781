/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The loop over one io_uring. A turn submits what is queued and waits in one system call, copies
 * the completions out of the queue, then calls them, then those of requests that were carried out
 * without the kernel's queue, of helper threads, and the timers.
 *
 *     OP_IDLE --start--> OP_KERNEL --CQE------+
 *        |  \--at once-> OP_READY  --turn-----+--> OP_IDLE, reference given back, done()
 *        \---offload---> OP_HELPER --mailbox--+
 *
 * The completion queue is four times the submission queue, and the kernel keeps what does not fit
 * (IORING_FEAT_NODROP, which is asked for); should it ever drop one, a CHECK says so.
 */
#include "ring/ring.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/alloc.h"
#include "ring/internal.h"

#ifdef HAVE_VALGRIND
#include <valgrind/memcheck.h>
#else
#define VALGRIND_MAKE_MEM_DEFINED(data, len) ((void)0)
#define RUNNING_ON_VALGRIND                  0
#endif

enum {
    READY_PASSES = 64,
    MOVING_ALONE = 1,
    SYNCS_MANY = 6,
    SYNC_WORKERS = 64,
    VALGRIND_WAIT_MS = 2
};

/* The ring's own poll of the eventfd; 0 is what nobody waits for: a cancel. */
#define USER_DATA_WAKE UINT64_C(1)

/* --- setting up ------------------------------------------------------------------------------ */

static const struct {
    uint32_t feature;
    unsigned flags;
    const char *name;
} setups[] = {
    {HAUL_FEATURE_DEFER_TASKRUN, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN,
     "single-issuer defer-taskrun"},
    {HAUL_FEATURE_SINGLE_ISSUER, IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_COOP_TASKRUN,
     "single-issuer coop-taskrun"},
    {HAUL_FEATURE_COOP_TASKRUN, IORING_SETUP_COOP_TASKRUN, "coop-taskrun"},
    {0, 0, "plain"},
};

/* Whether a test has switched off what a row of the table asks for. */
static bool is_off(const struct ring *ring, uint32_t feature, unsigned flags)
{
    if (flags & IORING_SETUP_SINGLE_ISSUER)
        feature |= HAUL_FEATURE_SINGLE_ISSUER;
    if (flags & IORING_SETUP_COOP_TASKRUN)
        feature |= HAUL_FEATURE_COOP_TASKRUN;
    return ring->features_off & feature;
}

static int setup_entries(struct ring *ring, unsigned entries)
{
    int res = -EINVAL;

    for (size_t i = 0; i < COUNT_OF(setups); i++) {
        struct io_uring_params params = {.cq_entries = entries * 4};

        if (is_off(ring, setups[i].feature, setups[i].flags))
            continue;
        params.flags =
            setups[i].flags | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP | IORING_SETUP_R_DISABLED;
        res = io_uring_queue_init_params(entries, &ring->uring, &params);
        if (res != -EINVAL) {
            snprintf(ring->features, sizeof(ring->features), "%s", setups[i].name);
            return res;
        }
    }
    return res;
}

/* The queues count as locked memory, of which a user may have little: short ones do, with a system
 * call more now and then. */
static int setup_queues(struct ring *ring)
{
    int res = -ENOMEM;

    for (unsigned entries = RING_ENTRIES; res == -ENOMEM && entries >= RING_ENTRIES_MIN;
         entries /= 4)
        res = setup_entries(ring, entries);
    return res;
}

static const uint8_t needed_codes[] = {
    IORING_OP_POLL_ADD, IORING_OP_ASYNC_CANCEL, IORING_OP_CONNECT,
    IORING_OP_RECV,     IORING_OP_SEND,         IORING_OP_WRITE,
    IORING_OP_FSYNC,    IORING_OP_WRITE_FIXED,  IORING_OP_READ,
};

/* A kernel older than 5.15 may set a ring up and then not know what is asked of it. */
static bool kernel_suffices(struct ring *ring, struct haul_error *error)
{
    const unsigned features = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG;
    bool all = (ring->uring.features & features) == features;

    if (all) {
        struct io_uring_probe *probe = io_uring_get_probe_ring(&ring->uring);

        if (!probe) { /* with these features, it can be asked */
            error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
            return false;
        }
        for (size_t i = 0; all && i < COUNT_OF(needed_codes); i++)
            all = io_uring_opcode_supported(probe, needed_codes[i]);
        io_uring_free_probe(probe);
    }
    if (!all)
        error_set(error, HAUL_NO_IO_URING, 0,
                  "this kernel's io_uring is too old: haul needs Linux 5.15 or newer");
    return all;
}

static void explain_refusal(struct haul_error *error, int res)
{
    switch (res) {
    case -EPERM:
    case -EACCES:
        error_set(error, HAUL_NO_IO_URING, 0,
                  "io_uring is forbidden here: see the sysctl kernel.io_uring_disabled, and in a "
                  "container allow io_uring_setup, io_uring_enter and io_uring_register in its "
                  "seccomp profile");
        break;
    case -ENOSYS:
        error_set(error, HAUL_NO_IO_URING, 0,
                  "this kernel has no io_uring, or a seccomp profile hides it: haul needs Linux "
                  "5.15 or newer");
        break;
    case -ENOMEM:
        error_set(error, HAUL_NO_IO_URING, 0,
                  "no locked memory left for io_uring: raise the limit (ulimit -l)");
        break;
    default:
        error_set(error, HAUL_NO_IO_URING, -res, "io_uring can't be set up");
    }
}

static void arm_wake(struct ring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

    if (!sqe) /* tried again in the next turn */
        return;
    io_uring_prep_poll_add(sqe, ring->wake_fd, POLLIN);
    io_uring_sqe_set_data64(sqe, USER_DATA_WAKE);
    ring->wake_armed = true;
}

struct ring *ring_create(const struct ring_options *options, struct haul_error *error)
{
    struct ring *ring = alloc_zeroed(sizeof(*ring));
    int res;

    if (!ring)
        goto no_memory;
    ring->features_off = options->features_off;
    ring->now_ns = clock_monotonic_ns();
    wheel_init(&ring->wheel, ring->now_ns);
    list_init(&ring->ready);
    list_init(&ring->yielded);
    mailbox_init(&ring->finished);
    ring->offload = offload_create(ring, options->helper_threads);
    if (!ring->offload)
        goto no_memory;
    ring->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (ring->wake_fd < 0) {
        error_set(error, HAUL_NO_IO_URING, errno, "no eventfd");
        goto free_offload;
    }
    res = setup_queues(ring);
    if (res < 0) {
        explain_refusal(error, res);
        goto close_wake;
    }
    if (kernel_suffices(ring, error))
        return ring;
    io_uring_queue_exit(&ring->uring);
close_wake:
    close(ring->wake_fd);
free_offload:
    offload_destroy(ring->offload);
    free(ring);
    return NULL;
no_memory:
    free(ring);
    error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    return NULL;
}

void ring_destroy(struct ring *ring)
{
    if (!ring)
        return;
    CHECK(ring->busy == 0 && !ring->fixed.data);
    offload_destroy(ring->offload);
    io_uring_queue_exit(&ring->uring);
    close(ring->wake_fd);
    free(ring);
}

const char *ring_features(const struct ring *ring)
{
    return ring->features;
}

size_t ring_busy(const struct ring *ring)
{
    return ring->busy;
}

/* --- ops ------------------------------------------------------------------------------------- */

size_t ring_descriptors_max(const struct ring *ring)
{
    struct rlimit files;

    (void)ring;
    return getrlimit(RLIMIT_NOFILE, &files) == 0 ? files.rlim_cur : 1024;
}

void op_init(struct op *op, void (*done)(struct op *op, int res), struct ref *owner)
{
    *op = (struct op){.done = done, .owner = owner};
    list_init(&op->node);
}

bool op_busy(const struct op *op)
{
    return op->state != OP_IDLE;
}

void op_begin(struct ring *ring, struct op *op, enum op_state state)
{
    CHECK(op->state == OP_IDLE);
    op->state = state;
    ref_hold(op->owner);
    ring->busy++;
}

void op_ready(struct ring *ring, struct op *op, int res)
{
    op_begin(ring, op, OP_READY);
    op->res = res;
    list_push_back(&ring->ready, &op->node);
}

static void op_end(struct ring *ring, struct op *op, int res)
{
    struct ref *owner = op->owner;

    op->state = OP_IDLE;
    ring->busy--;
    if (op->moves)
        ring->moving--;
    op->moves = false;
    if (op->syncs)
        ring->syncing--;
    op->syncs = false;
    if (op->closes)
        close(op->fd);
    op->closes = false;
    op->done(op, res);
    ref_drop(owner);
}

/* --- SQEs ------------------------------------------------------------------------------------ */

static int enable(struct ring *ring)
{
    int res = 0;

    if (!ring->enabled)
        res = io_uring_enable_rings(&ring->uring);
    ring->enabled = res == 0;
    return res;
}

/* A full queue is submitted early: there is always an SQE. */
static struct io_uring_sqe *next_sqe(struct ring *ring)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);

    if (sqe)
        return sqe;
    CHECK(enable(ring) == 0);
    do {
        int res = io_uring_submit_and_get_events(&ring->uring);

        CHECK(res >= 0 || res == -EINTR || res == -EAGAIN || res == -EBUSY);
        sqe = io_uring_get_sqe(&ring->uring);
    } while (!sqe);
    return sqe;
}

static void push(struct ring *ring, struct op *op)
{
    struct io_uring_sqe *sqe = next_sqe(ring);
    char *data = op->data ? (char *)op->data + op->moved : NULL;
    unsigned len = (unsigned)(op->len - op->moved);

    switch (op->code) {
    case IORING_OP_RECV:
        io_uring_prep_recv(sqe, op->fd, data, len, 0);
        break;
    case IORING_OP_SEND:
        io_uring_prep_send(sqe, op->fd, data, len, MSG_NOSIGNAL | MSG_WAITALL);
        break;
    case IORING_OP_WRITE:
        io_uring_prep_write(sqe, op->fd, data, len,
                            op->offset == UINT64_MAX ? op->offset : op->offset + op->moved);
        sqe->rw_flags = op->rw_flags;
        if (op->fixed >= 0) {
            sqe->opcode = IORING_OP_WRITE_FIXED;
            sqe->buf_index = (uint16_t)op->fixed;
        }
        break;
    case IORING_OP_READ:
        io_uring_prep_read(sqe, op->fd, data, len, op->offset + op->moved);
        break;
    case IORING_OP_CONNECT:
        io_uring_prep_connect(sqe, op->fd, op->data, (socklen_t)op->len);
        break;
    case IORING_OP_POLL_ADD:
        io_uring_prep_poll_add(sqe, op->fd, (unsigned)op->offset);
        break;
    case IORING_OP_FSYNC:
        io_uring_prep_fsync(sqe, op->fd, (unsigned)op->offset);
        break;
    default:
        UNREACHABLE();
    }
    io_uring_sqe_set_data(sqe, op);
}

static void begin(struct ring *ring, struct op *op, uint8_t code, int fd)
{
    op_begin(ring, op, OP_KERNEL);
    op->code = code;
    op->fd = fd;
    op->whole = false;
    op->moved = 0;
    op->cancelled = false;
    op->closes = false;
}

static void start(struct ring *ring, struct op *op, uint8_t code, int fd)
{
    begin(ring, op, code, fd);
    push(ring, op);
}

static void start_transfer(struct ring *ring, struct op *op, uint8_t code, int fd, void *data,
                           size_t len, uint64_t offset, bool whole)
{
    CHECK(len > 0 && len <= INT32_MAX);
    op->data = data;
    op->len = len;
    op->offset = offset;
    begin(ring, op, code, fd);
    op->moves = true;
    ring->moving++;
    op->whole = whole;
    push(ring, op);
}

/* Standard output may have been made non-blocking by whoever shares it: then wait for room. */
static void wait_for_room(struct ring *ring, struct op *op)
{
    struct io_uring_sqe *sqe = next_sqe(ring);

    io_uring_prep_poll_add(sqe, op->fd, POLLOUT);
    io_uring_sqe_set_data(sqe, op);
    op->polling = true;
}

/* True: a short answer to a request that wants all; the rest is asked for. */
static bool go_on(struct ring *ring, struct op *op, int res)
{
    bool polled = op->polling;

    op->polling = false;
    if ((op->code == IORING_OP_RECV || op->code == IORING_OP_READ) && res > 0)
        VALGRIND_MAKE_MEM_DEFINED((char *)op->data + op->moved, (size_t)res);
    if (!op->whole)
        return false;
    if (res > 0 && !polled)
        op->moved += (size_t)res;
    if (op->cancelled || op->moved == op->len)
        return false;
    if (res == -EAGAIN && op->offset == UINT64_MAX) {
        wait_for_room(ring, op);
        return true;
    }
    if (res <= 0 && res != -EINTR)
        return false;
    push(ring, op);
    return true;
}

static void op_answered(struct ring *ring, struct op *op, int res)
{
    if (go_on(ring, op, res))
        return;
    if (res == 0 && op->code == IORING_OP_WRITE)
        res = -ENOSPC; /* POSIX lets a write move nothing only when there is no room */
    if (res == 0 && op->code == IORING_OP_READ)
        res = (int)op->moved; /* that is where the file ends */
    else if (res > 0 && op->whole)
        res = op->moved == op->len ? (int)op->len : -ECANCELED; /* all, or an error */
    op_end(ring, op, res);
}

void ring_cancel(struct ring *ring, struct op *op)
{
    struct io_uring_sqe *sqe;

    op->stop = true;
    if (op->state != OP_KERNEL)
        return; /* its completion is on the way, or a helper's to give */
    op->cancelled = true;
    sqe = next_sqe(ring);
    io_uring_prep_cancel(sqe, op, 0);
    io_uring_sqe_set_data64(sqe, 0);
}

/* --- the turn -------------------------------------------------------------------------------- */

static int wait_for_completions(struct ring *ring, uint64_t until_ns)
{
    struct io_uring_cqe *cqe;
    uint64_t now = clock_monotonic_ns();
    struct __kernel_timespec timeout;
    int res;

    /* Valgrind lets one thread run at a time, and does not know that this call waits: the helper
     * threads get their turn when it returns. */
    if (RUNNING_ON_VALGRIND && until_ns > now + VALGRIND_WAIT_MS * (uint64_t)NS_PER_MS)
        until_ns = now + VALGRIND_WAIT_MS * (uint64_t)NS_PER_MS;
    if (until_ns <= now) {
        res = io_uring_submit_and_get_events(&ring->uring);
    } else if (until_ns == UINT64_MAX) {
        res = io_uring_submit_and_wait(&ring->uring, 1);
    } else {
        timeout.tv_sec = (int64_t)((until_ns - now) / (uint64_t)NS_PER_S);
        timeout.tv_nsec = (int64_t)((until_ns - now) % (uint64_t)NS_PER_S);
        res = io_uring_submit_and_wait_timeout(&ring->uring, &cqe, 1, &timeout, NULL);
    }
    ring->now_ns = clock_monotonic_ns();
    /* EAGAIN and EBUSY: the kernel lacks memory or room until completions are collected. */
    if (res == -ETIME || res == -EINTR || res == -EAGAIN || res == -EBUSY)
        return 0;
    return res < 0 ? res : 0;
}

/* Copies completions out of the shared queue, so that callbacks can use it. */
static unsigned collect(struct ring *ring)
{
    struct io_uring_cqe *cqe;
    unsigned head, seen = 0, count = 0;

    io_uring_for_each_cqe(&ring->uring, head, cqe)
    {
        if (seen++ == RING_BATCH) {
            seen--;
            break;
        }
        if (cqe->user_data == USER_DATA_WAKE) {
            uint64_t value;

            ring->wake_armed = false;
            (void)!read(ring->wake_fd, &value, sizeof(value));
        } else if (cqe->user_data != 0) {
            ring->batch[count++] =
                (struct completion){.op = io_uring_cqe_get_data(cqe), .res = cqe->res};
        }
    }
    io_uring_cq_advance(&ring->uring, seen);
    CHECK(*ring->uring.cq.koverflow == 0);
    return count;
}

/* Chains of calls that were carried out at once (receive, open, write, rename, close of a small
 * file) are gone through one completion after the other, while their data is in the CPU's cache;
 * but they may not keep the others waiting without end. */
static void end_ready(struct ring *ring)
{
    for (int pass = 0; pass < READY_PASSES && list_is_linked(&ring->ready); pass++) {
        struct list batch;

        list_init(&batch);
        list_move_all(&ring->ready, &batch);
        while (list_is_linked(&batch)) {
            struct op *op = LIST_ITEM(list_pop_front(&batch), struct op, node);

            op_end(ring, op, op->res);
        }
    }
}

static void end_finished(struct ring *ring)
{
    struct mail *mail = mailbox_take(&ring->finished);

    while (mail) {
        struct op *op = CONTAINER_OF(mail, struct op, mail);

        mail = mail->next;
        op_end(ring, op, op->res);
    }
}

int ring_turn(struct ring *ring, uint64_t until_ns)
{
    uint64_t next_ns = wheel_next_ns(&ring->wheel);
    unsigned count;
    int res;

    CHECK(!ring->turning);
    ring->turning = true;
    res = enable(ring);
    if (res == 0) {
        if (!ring->wake_armed)
            arm_wake(ring);
        if (list_is_linked(&ring->ready) || list_is_linked(&ring->yielded))
            until_ns = 0;
        res = wait_for_completions(ring, next_ns < until_ns ? next_ns : until_ns);
    }
    /* A timer is about to fire: what came in the meantime must be seen first, also when the process
     * was stopped for long. */
    if (res == 0 && wheel_next_ns(&ring->wheel) <= ring->now_ns)
        (void)io_uring_get_events(&ring->uring);
    count = res == 0 ? collect(ring) : 0;
    for (unsigned i = 0; i < count; i++) {
        op_answered(ring, ring->batch[i].op, ring->batch[i].res);
        end_ready(ring);
    }
    end_finished(ring);
    list_move_all(&ring->yielded, &ring->ready);
    end_ready(ring);
    wheel_advance(&ring->wheel, ring->now_ns);
    ring->turning = false;
    return res;
}

void ring_wake(struct ring *ring)
{
    uint64_t one = 1;

    (void)!write(ring->wake_fd, &one, sizeof(one));
}

void ring_timer_start(struct ring *ring, struct timer *timer, uint64_t at_ns)
{
    wheel_start(&ring->wheel, timer, at_ns);
}

/* --- requests -------------------------------------------------------------------------------- */

void ring_later(struct ring *ring, struct op *op)
{
    op_ready(ring, op, 0);
}

void ring_yield(struct ring *ring, struct op *op)
{
    op_begin(ring, op, OP_READY);
    op->res = 0;
    list_push_back(&ring->yielded, &op->node);
}

int ring_socket(struct ring *ring, int family)
{
    /* Blocking: with O_NONBLOCK the ring would answer EAGAIN instead of waiting. */
    int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
    int one = 1;

    (void)ring;
    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    return fd;
}

enum ring_socket_look ring_look(struct ring *ring, int fd)
{
    char byte;
    ssize_t got = recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);

    (void)ring;
    if (got > 0)
        return RING_SOCKET_DATA;
    return got < 0 && errno == EAGAIN ? RING_SOCKET_SILENT : RING_SOCKET_CLOSED;
}

void ring_connect(struct ring *ring, struct op *op, int fd, const struct address *address)
{
    op->data = (void *)(uintptr_t)&address->any;
    op->len = address->len;
    start(ring, op, IORING_OP_CONNECT, fd);
}

void ring_recv(struct ring *ring, struct op *op, int fd, void *buffer, size_t len)
{
    start_transfer(ring, op, IORING_OP_RECV, fd, buffer, len, 0, false);
}

void ring_recv_ready(struct ring *ring, struct op *op, int fd, void *buffer, size_t len)
{
    ssize_t got = recv(fd, buffer, len, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        ring_recv(ring, op, fd, buffer, len);
    else
        op_ready(ring, op, got < 0 ? -errno : (int)got);
}

void ring_send(struct ring *ring, struct op *op, int fd, const void *data, size_t len)
{
    start_transfer(ring, op, IORING_OP_SEND, fd, (void *)(uintptr_t)data, len, 0, true);
}

void ring_poll(struct ring *ring, struct op *op, int fd, short events)
{
    op->offset = (unsigned short)events;
    start(ring, op, IORING_OP_POLL_ADD, fd);
}

int ring_close(struct ring *ring, int fd)
{
    (void)ring;
    return close(fd) == 0 || errno == EINTR ? 0 : -errno;
}

int ring_flush(struct ring *ring, int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

    return copy < 0 ? 0 : ring_close(ring, copy);
}

void ring_write(struct ring *ring, struct op *op, int fd, enum ring_write_way way, const void *data,
                size_t len, uint64_t offset)
{
    bool at_once = len <= WRITE_AT_ONCE_BYTES || ring->moving <= MOVING_ALONE;

    /* The kernel hands buffered writes of files to worker threads. That pays where other requests
     * go on meanwhile and the write is large; a short one, or one that nothing else is waiting
     * beside, costs less here and now. */
    op->rw_flags = way == RING_WRITE_UNCACHED ? RWF_DONTCACHE : 0;
    op->fixed = way == RING_WRITE_DIRECT ? fixed_find(ring, data, len) : -1;
    if (op->rw_flags && (ring->features_off & HAUL_FEATURE_DONTCACHE))
        op_ready(ring, op, -EOPNOTSUPP);
    else if (way != RING_WRITE_DIRECT && at_once)
        op_ready(ring, op, file_write_all(fd, data, len, offset, op->rw_flags));
    else
        start_transfer(ring, op, IORING_OP_WRITE, fd, (void *)(uintptr_t)data, len, offset, true);
}

void ring_write_stream(struct ring *ring, struct op *op, int fd, const void *data, size_t len)
{
    op->rw_flags = 0;
    op->fixed = -1;
    start_transfer(ring, op, IORING_OP_WRITE, fd, (void *)(uintptr_t)data, len, UINT64_MAX, true);
}

void ring_read(struct ring *ring, struct op *op, int fd, void *buffer, size_t len, uint64_t offset)
{
    start_transfer(ring, op, IORING_OP_READ, fd, buffer, len, offset, true);
}

/* Each sync holds up a thread of the kernel's, of which there are four for each CPU; and what many
 * sync at once, a file system brings to the disk with a few writes. */
static void start_sync(struct ring *ring, struct op *op, int fd, unsigned flags)
{
    unsigned most[2] = {SYNC_WORKERS, 0};

    op->offset = flags;
    start(ring, op, IORING_OP_FSYNC, fd);
    op->syncs = true;
    if (++ring->syncing < SYNCS_MANY || ring->many_workers)
        return;
    ring->many_workers = true;
    (void)io_uring_register_iowq_max_workers(&ring->uring, most);
}

void ring_sync(struct ring *ring, struct op *op, int fd)
{
    start_sync(ring, op, fd, IORING_FSYNC_DATASYNC);
}

void ring_sync_directory(struct ring *ring, struct op *op, int directory)
{
    int fd = openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0) {
        op_ready(ring, op, -errno);
        return;
    }
    start_sync(ring, op, fd, 0);
    op->closes = true;
}

void ring_offload(struct ring *ring, struct op *op, int (*work)(struct op *op))
{
    op_begin(ring, op, OP_HELPER);
    op->work = work;
    op->stop = false;
    if (offload_add(ring->offload, op))
        return;
    /* No thread to be had: slow is better than never. */
    op->state = OP_READY;
    op->res = work(op);
    list_push_back(&ring->ready, &op->node);
}
