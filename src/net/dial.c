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
    bool wanted; /* else it counts as answered, with nothing */
    bool answered;
    size_t used; /* addresses that have been tried */
};

struct dial {
    struct ref ref;
    enum dial_state state;
    struct dialler *dialler;
    struct ring *ring; /* the dialler's */
    uint16_t port;
    char *host;
    uint64_t timeout_ns;
    uint64_t started_ns;
    void (*done)(void *context, int fd, const struct haul_error *error);
    void *context;
    struct timer give_up;  /* the whole dial */
    struct timer next;     /* the next attempt, or another look for a socket for it */
    bool hold;             /* the preferred family has not answered, and still has its 50 ms */
    enum family preferred; /* comes first */
    struct address winner; /* comes first in its family; len 0: none is known */
    enum family turn;      /* which family is next */
    size_t connecting;     /* attempts under way */
    size_t attempt_count;  /* started */
    struct family_answers families[FAMILY_COUNT];
    struct attempt *attempts[ATTEMPTS_MAX];
    struct haul_error error; /* of the last attempt that failed */
};

static const int family_numbers[FAMILY_COUNT] = {[FAMILY_V6] = AF_INET6, [FAMILY_V4] = AF_INET};

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
    socket_count_give(dial->dialler->sockets);
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
        if (attempt != dial->attempts[0]) /* what was tried before it has lost */
            winners_note(&dial->dialler->winners, span_of(dial->host), &attempt->address,
                         ring_now_ns(dial->ring));
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
    int res;

    if (!socket_count_take(dial->dialler->sockets))
        return -EMFILE;
    fd = ring_socket(dial->ring, family);
    if (fd < 0) {
        socket_count_give(dial->dialler->sockets);
        return fd == -ENFILE ? -EMFILE : fd;
    }
    res = local_bind(&dial->dialler->options.local, dial->ring, fd, family);
    if (res < 0)
        close_socket(dial, fd);
    return res < 0 ? res : fd;
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

/* Why nobody has asked for an address of this family. */
static const char *why_unwanted(const struct dial *dial, enum family family)
{
    if (dial->families[family].wanted)
        return "";
    if (family == FAMILY_V6 && dial->dialler->options.ipv6_off)
        return " (IPv6 is switched off)";
    return family == FAMILY_V6 ? " (connections start from an IPv4 address)"
                               : " (connections start from an IPv6 address)";
}

/* Keeps why the name has no address at all: a failing server outweighs an unknown name. */
static void note_no_address(struct dial *dial)
{
    const struct family_answers *v6 = &dial->families[FAMILY_V6];
    const struct family_answers *v4 = &dial->families[FAMILY_V4];
    const struct family_answers *why = v4;

    if (dial->error.status != HAUL_OK)
        return; /* some attempt has failed, which says more */
    if (!v4->wanted || (v6->wanted && v4->question.status == HAUL_HOST_UNKNOWN))
        why = v6;
    error_set(&dial->error, why->question.status, 0, "can't find the address of %s: %s%s%s",
              dial->host, why->question.reason, why_unwanted(dial, FAMILY_V6),
              why_unwanted(dial, FAMILY_V4));
}

/* Starts the next attempt there is an address for. False: there is nothing left to hope for. */
static bool try_next(struct dial *dial)
{
    struct family_answers *family;

    if (dial->hold)
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

    dial->hold = false;
    dial_go_on(dial);
}

/* The time counts from when the name was asked for, not from when it began to wait for others'. */
static uint64_t deadline_ns(const struct dial *dial)
{
    uint64_t from_ns = dial->started_ns;

    for (int f = 0; f < FAMILY_COUNT; f++) {
        uint64_t sent_ns = resolve_sent_ns(&dial->families[f].question, ring_now_ns(dial->ring));

        if (sent_ns > from_ns)
            from_ns = sent_ns;
    }
    return from_ns + dial->timeout_ns;
}

static void give_up_fired(struct timer *timer)
{
    struct dial *dial = CONTAINER_OF(timer, struct dial, give_up);
    uint64_t deadline = deadline_ns(dial);

    if (deadline > ring_now_ns(dial->ring)) {
        ring_timer_start(dial->ring, timer, deadline);
        return;
    }
    if (dial->error.status == HAUL_OK)
        error_set(&dial->error, HAUL_CONNECT_TIMEOUT, 0, "no connection to %s port %u in time",
                  dial->host, dial->port);
    dial_end(dial, -1);
}

/* The address that won the last time comes first. */
static void put_winner_first(struct dial *dial, struct resolve_question *question)
{
    for (size_t i = 1; i < question->count; i++) {
        struct address found = question->addresses[i];

        if (!address_equal_host(&found, &dial->winner))
            continue;
        memmove(&question->addresses[1], &question->addresses[0], i * sizeof(found));
        question->addresses[0] = found;
        return;
    }
}

/* The other family came first: the preferred one gets a moment to catch up (RFC 8305 section 3). */
static void note_answers(struct dial *dial)
{
    const struct family_answers *other = &dial->families[1 - dial->preferred];
    bool hold = other->question.count > 0 && !dial->families[dial->preferred].answered &&
                dial->attempt_count == 0;

    if (hold == dial->hold)
        return;
    dial->hold = hold;
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
    put_winner_first(dial, question);
    note_answers(dial);
    /* While an attempt runs and has time left, a late answer only adds to what comes after it. */
    if (dial->connecting == 0 || !timer_runs(&dial->next))
        dial_go_on(dial);
}

static void take_address(struct dial *dial, const struct address *address)
{
    struct family_answers *family =
        &dial->families[address->any.sa_family == AF_INET6 ? FAMILY_V6 : FAMILY_V4];

    if (family->wanted && family->question.count < RESOLVE_ADDRESSES_MAX)
        family->question.addresses[family->question.count++] = *address;
}

/* What needs no question: addresses that the user has laid down, and a host that is one. */
static bool answer_known(struct dial *dial)
{
    const struct overrides *overrides = dial->dialler->options.overrides;
    const struct override *override =
        overrides ? overrides_find(overrides, span_of(dial->host), dial->port) : NULL;
    struct override literal = {.count = 1};

    if (!override && address_parse(&literal.addresses[0], span_of(dial->host), dial->port))
        override = &literal;
    if (!override)
        return false;
    for (size_t i = 0; i < override->count; i++)
        take_address(dial, &override->addresses[i]);
    for (int f = 0; f < FAMILY_COUNT; f++) {
        struct family_answers *family = &dial->families[f];

        family->answered = true;
        family->question.status = HAUL_HOST_UNKNOWN;
        family->question.reason = "there is none of a family that can be used";
    }
    return true;
}

static void ask(struct dial *dial)
{
    for (int f = 0; f < FAMILY_COUNT; f++) {
        struct family_answers *family = &dial->families[f];

        if (!family->answered)
            family->answered = resolve_ask(dial->dialler->resolver, &family->question,
                                           span_of(dial->host), family_numbers[f]);
    }
}

static void prepare_families(struct dial *dial)
{
    const struct dial_options *options = &dial->dialler->options;
    const struct address *winner =
        winners_find(&dial->dialler->winners, span_of(dial->host), ring_now_ns(dial->ring));

    for (int f = 0; f < FAMILY_COUNT; f++) {
        struct family_answers *family = &dial->families[f];

        family->dial = dial;
        resolve_question_init(&family->question, question_answered);
        family->wanted =
            local_has(&options->local, family_numbers[f]) && !(f == FAMILY_V6 && options->ipv6_off);
        family->answered = !family->wanted;
    }
    if (winner) {
        dial->winner = *winner;
        dial->preferred = winner->any.sa_family == AF_INET6 ? FAMILY_V6 : FAMILY_V4;
        dial->turn = dial->preferred;
    }
}

struct dial *dial_start(struct dialler *dialler, struct span host, uint16_t port,
                        uint64_t timeout_ns,
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
    dial->dialler = dialler;
    dial->ring = dialler->ring;
    dial->port = port;
    dial->timeout_ns = timeout_ns;
    dial->started_ns = ring_now_ns(dial->ring);
    dial->done = done;
    dial->context = context;
    timer_init(&dial->give_up, give_up_fired);
    timer_init(&dial->next, next_fired);
    prepare_families(dial);
    ring_timer_start(dial->ring, &dial->give_up, dial->started_ns + timeout_ns);
    if (!answer_known(dial))
        ask(dial);
    for (int f = 0; f < FAMILY_COUNT; f++)
        put_winner_first(dial, &dial->families[f].question);
    note_answers(dial);
    if (!try_next(dial)) /* `done` must not be called from here, but from the loop */
        start_timer(dial, 0);
    return dial;
}

void dialler_init(struct dialler *dialler, struct ring *ring, struct resolver *resolver,
                  struct socket_count *sockets, const struct dial_options *options)
{
    *dialler = (struct dialler){.ring = ring, .resolver = resolver, .sockets = sockets};
    if (options)
        dialler->options = *options;
    winners_init(&dialler->winners, ring_random(ring));
}

void dialler_free(struct dialler *dialler)
{
    winners_free(&dialler->winners);
}
