/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * States:
 *     DIAL_RUNNING --an attempt connects----------------> DIAL_ENDED (done called with the socket)
 *          |---------all addresses failed, or timeout---> DIAL_ENDED (done called with -1)
 *          \---------dial_cancel()----------------------> DIAL_ENDED (done not called)
 *
 * In DIAL_ENDED no timer runs and no question is open; attempts that are still connecting have
 * been cancelled, and each holds a reference until its completion has closed its socket.
 */
#include "net/dial.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

enum {
    ATTEMPT_DELAY_MS = 250,
    RESOLUTION_DELAY_MS = 50,
    ROOM_DELAY_MS = 20, /* until one more look whether there is a socket to be had */
    ATTEMPTS_MAX = 2 * RESOLVE_ADDRESSES_MAX
};

enum dial_state { DIAL_RUNNING, DIAL_ENDED };

enum family { FAMILY_V6, FAMILY_V4, FAMILY_COUNT };

struct attempt {
    struct op op;
    struct dial *dial;
    struct address address;
    int fd;
};

struct family_answers {
    struct dial *dial;
    struct resolve_question question;
    bool answered;
    size_t used; /* addresses that have been tried */
};

struct dial {
    struct ref ref;
    enum dial_state state;
    struct ring *ring;
    struct resolver *resolver;
    struct socket_count *sockets;
    uint16_t port;
    char *host;
    void (*done)(void *context, int fd, const struct haul_error *error);
    void *context;
    struct timer give_up; /* the whole dial */
    struct timer next;    /* the next attempt, or another look for a socket for it */
    bool hold_v4;         /* only IPv4 has answered, and IPv6 still has its 50 ms */
    enum family turn;     /* which family is next */
    size_t connecting;    /* attempts under way */
    size_t attempt_count; /* started */
    struct family_answers families[FAMILY_COUNT];
    struct attempt *attempts[ATTEMPTS_MAX];
    struct haul_error error; /* of the last attempt that failed */
};

static void dial_go_on(struct dial *dial);

static void dial_free(struct ref *ref)
{
    struct dial *dial = CONTAINER_OF(ref, struct dial, ref);

    for (size_t i = 0; i < dial->attempt_count; i++)
        free(dial->attempts[i]);
    free(dial->host);
    free(dial);
}

/* Stops everything but attempts in the kernel, which end by themselves. */
static void dial_close(struct dial *dial)
{
    CHECK(dial->state == DIAL_RUNNING);
    dial->state = DIAL_ENDED;
    timer_stop(&dial->give_up);
    timer_stop(&dial->next);
    for (int f = 0; f < FAMILY_COUNT; f++)
        resolve_drop(&dial->families[f].question);
    for (size_t i = 0; i < dial->attempt_count; i++)
        ring_cancel(dial->ring, &dial->attempts[i]->op);
}

static void dial_end(struct dial *dial, int fd)
{
    dial_close(dial);
    dial->done(dial->context, fd, &dial->error);
    ref_drop(&dial->ref);
}

void dial_cancel(struct dial *dial)
{
    dial_close(dial);
    ref_drop(&dial->ref);
}

static void close_socket(struct dial *dial, int fd)
{
    ring_close(dial->ring, fd);
    socket_count_give(dial->sockets);
}

static void attempt_done(struct op *op, int res)
{
    struct attempt *attempt = CONTAINER_OF(op, struct attempt, op);
    struct dial *dial = attempt->dial;
    int fd = attempt->fd;
    char where[ADDRESS_TEXT_BYTES];

    attempt->fd = -1;
    dial->connecting--;
    if (dial->state == DIAL_RUNNING && res == 0) {
        dial_end(dial, fd);
        return;
    }
    close_socket(dial, fd);
    if (dial->state == DIAL_ENDED)
        return;
    address_format(&attempt->address, where);
    error_set(&dial->error, HAUL_NETWORK, -res, "can't connect to %s", where);
    dial_go_on(dial);
}

/* Of the family whose turn it is, else of the other; NULL: no address is left for now. */
static struct family_answers *next_family(struct dial *dial)
{
    for (int i = 0; i < FAMILY_COUNT; i++) {
        struct family_answers *family = &dial->families[(dial->turn + i) % FAMILY_COUNT];

        if (family->answered && family->used < family->question.count)
            return family;
    }
    return NULL;
}

/* A socket; -EMFILE: not now. */
static int take_socket(struct dial *dial, int family)
{
    int fd;

    if (!socket_count_take(dial->sockets))
        return -EMFILE;
    fd = ring_socket(dial->ring, family);
    if (fd < 0)
        socket_count_give(dial->sockets);
    return fd == -ENFILE ? -EMFILE : fd;
}

/* Takes over the socket, which may be -errno. */
static bool attempt_start(struct dial *dial, const struct address *address, int fd)
{
    struct attempt *attempt;
    char where[ADDRESS_TEXT_BYTES];

    if (fd < 0) {
        address_format(address, where);
        error_set(&dial->error, HAUL_NETWORK, -fd, "no socket for %s", where);
        return false;
    }
    attempt = alloc_zeroed(sizeof(*attempt));
    if (!attempt) {
        error_set(&dial->error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        close_socket(dial, fd);
        return false;
    }
    attempt->dial = dial;
    attempt->address = *address;
    address_set_port(&attempt->address, dial->port);
    attempt->fd = fd;
    op_init(&attempt->op, attempt_done, &dial->ref);
    dial->attempts[dial->attempt_count++] = attempt;
    dial->connecting++;
    ring_connect(dial->ring, &attempt->op, attempt->fd, &attempt->address);
    return true;
}

static void start_timer(struct dial *dial, uint64_t delay_ms)
{
    ring_timer_start(dial->ring, &dial->next,
                     ring_now_ns(dial->ring) + delay_ms * (uint64_t)NS_PER_MS);
}

/* What is under way has had its time, and makes way. */
static void wait_for_socket(struct dial *dial)
{
    for (size_t i = 0; i < dial->attempt_count; i++)
        ring_cancel(dial->ring, &dial->attempts[i]->op);
    start_timer(dial, ROOM_DELAY_MS);
}

static bool all_answered(const struct dial *dial)
{
    return dial->families[FAMILY_V6].answered && dial->families[FAMILY_V4].answered;
}

/* Keeps why the name has no address at all: a failing server outweighs an unknown name. */
static void note_no_address(struct dial *dial)
{
    const struct resolve_question *v6 = &dial->families[FAMILY_V6].question;
    const struct resolve_question *v4 = &dial->families[FAMILY_V4].question;
    const struct resolve_question *why = v4->status == HAUL_HOST_UNKNOWN ? v6 : v4;

    if (dial->error.status != HAUL_OK)
        return; /* some attempt has failed, which says more */
    error_set(&dial->error, why->status, 0, "can't find the address of %s: %s", dial->host,
              why->reason);
}

/* Starts the next attempt there is an address for. False: there is nothing left to hope for. */
static bool try_next(struct dial *dial)
{
    struct family_answers *family;

    if (dial->hold_v4)
        return true;
    while (dial->attempt_count < ATTEMPTS_MAX && (family = next_family(dial))) {
        const struct address *address = &family->question.addresses[family->used];
        int fd = take_socket(dial, address->any.sa_family);

        if (fd == -EMFILE) {
            wait_for_socket(dial);
            return true;
        }
        family->used++;
        dial->turn = family == &dial->families[FAMILY_V6] ? FAMILY_V4 : FAMILY_V6;
        if (!attempt_start(dial, address, fd))
            continue;
        start_timer(dial, ATTEMPT_DELAY_MS);
        return true;
    }
    return dial->connecting > 0 || !all_answered(dial);
}

static void dial_go_on(struct dial *dial)
{
    if (try_next(dial))
        return;
    note_no_address(dial);
    dial_end(dial, -1);
}

static void next_fired(struct timer *timer)
{
    struct dial *dial = CONTAINER_OF(timer, struct dial, next);

    dial->hold_v4 = false;
    dial_go_on(dial);
}

static void give_up_fired(struct timer *timer)
{
    struct dial *dial = CONTAINER_OF(timer, struct dial, give_up);

    if (dial->error.status == HAUL_OK)
        error_set(&dial->error, HAUL_CONNECT_TIMEOUT, 0, "no connection to %s port %u in time",
                  dial->host, dial->port);
    dial_end(dial, -1);
}

/* IPv4 came first: IPv6 gets a moment to catch up (RFC 8305 section 3). */
static void note_answers(struct dial *dial)
{
    bool hold = dial->families[FAMILY_V4].question.count > 0 &&
                !dial->families[FAMILY_V6].answered && dial->attempt_count == 0;

    if (hold == dial->hold_v4)
        return;
    dial->hold_v4 = hold;
    if (hold)
        start_timer(dial, RESOLUTION_DELAY_MS);
    else
        timer_stop(&dial->next);
}

static void question_answered(struct resolve_question *question)
{
    struct family_answers *family = CONTAINER_OF(question, struct family_answers, question);
    struct dial *dial = family->dial;

    family->answered = true;
    note_answers(dial);
    /* While an attempt runs and has time left, a late answer only adds to what comes after it. */
    if (dial->connecting == 0 || !timer_runs(&dial->next))
        dial_go_on(dial);
}

/* An IP literal is its own answer. */
static bool answer_literal(struct dial *dial)
{
    struct address address;
    enum family which;

    if (!address_parse(&address, span_of(dial->host), dial->port))
        return false;
    which = address.any.sa_family == AF_INET6 ? FAMILY_V6 : FAMILY_V4;
    dial->families[which].question.addresses[0] = address;
    dial->families[which].question.count = 1;
    dial->families[FAMILY_V6].answered = true;
    dial->families[FAMILY_V4].answered = true;
    return true;
}

static void ask(struct dial *dial)
{
    static const int numbers[FAMILY_COUNT] = {[FAMILY_V6] = AF_INET6, [FAMILY_V4] = AF_INET};

    for (int f = 0; f < FAMILY_COUNT; f++)
        dial->families[f].answered = resolve_ask(dial->resolver, &dial->families[f].question,
                                                 span_of(dial->host), numbers[f]);
}

struct dial *dial_start(struct ring *ring, struct resolver *resolver, struct socket_count *sockets,
                        struct span host, uint16_t port, uint64_t timeout_ns,
                        void (*done)(void *context, int fd, const struct haul_error *error),
                        void *context)
{
    struct dial *dial = alloc_zeroed(sizeof(*dial));

    if (!dial)
        return NULL;
    dial->host = alloc_copy(host.data, host.len);
    if (!dial->host) {
        free(dial);
        return NULL;
    }
    ref_init(&dial->ref, dial_free);
    dial->ring = ring;
    dial->resolver = resolver;
    dial->sockets = sockets;
    dial->port = port;
    dial->done = done;
    dial->context = context;
    timer_init(&dial->give_up, give_up_fired);
    timer_init(&dial->next, next_fired);
    for (int f = 0; f < FAMILY_COUNT; f++) {
        dial->families[f].dial = dial;
        resolve_question_init(&dial->families[f].question, question_answered);
    }
    ring_timer_start(ring, &dial->give_up, ring_now_ns(ring) + timeout_ns);
    if (!answer_literal(dial))
        ask(dial);
    note_answers(dial);
    if (!try_next(dial)) /* `done` must not be called from here, but from the loop */
        start_timer(dial, 0);
    return dial;
}
