/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *     [RESOLVING -->] DIALLING --> [TALKING -->] ENDED (done called with the socket)
 *                        ^            |
 *                        \------------+  refused, but the origin has another address
 *
 * and from each to ENDED by an error (done called with -1) or tunnel_cancel() (not called).
 *
 * RESOLVING is for proxies that are told addresses (socks4, socks5): IPv4 is preferred, because
 * more of them get through to it; and as soon as it is there, nobody waits for IPv6. TALKING is one
 * message after the other, each sent whole before its answer is received. Nothing of the origin is
 * received here: answers of SOCKS are asked for by the byte, and behind the head of CONNECT's
 * nothing may stand, for whoever opens a connection speaks first, in TLS as in HTTP.
 */
#include "net/tunnel.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "http/response.h"
#include "net/dial.h"
#include "net/socks.h"

enum {
    HEAD_BYTES_MAX = 64 * 1024, /* of what answers CONNECT */
    BUFFER_BYTES = 2048,
    ADDRESSES_MAX = 4, /* of the origin, that are tried */
    REASON_MAX = 80
};

enum tunnel_state {
    TUNNEL_RESOLVING, /* questions, timer */
    TUNNEL_DIALLING,  /* dial */
    TUNNEL_TALKING,   /* fd, send_op or recv_op, timer */
    TUNNEL_FAILING,   /* error is told by the timer */
    TUNNEL_ENDED      /* nothing, but what the kernel still has */
};

enum family { FAMILY_V4, FAMILY_V6, FAMILY_COUNT };

struct answers {
    struct tunnel *tunnel;
    struct resolve_question question;
    bool answered;
};

struct tunnel {
    struct ref ref;
    enum tunnel_state state;
    struct tunnel_setup setup;
    struct timer timer;
    struct haul_error error;
    /* The origin's addresses. */
    struct answers answers[FAMILY_COUNT];
    unsigned tried;         /* of them */
    struct address address; /* that is being tried, or the only one; len 0: the proxy resolves */
    /* The conversation. */
    struct dial *dial;
    int fd; /* -1: none */
    struct op send_op;
    struct op recv_op;
    struct text out;
    struct response *response; /* CONNECT */
    size_t head_bytes;         /* of it, received */
    struct socks socks;
    size_t have; /* of socks.want, in buffer */
    char buffer[BUFFER_BYTES];
};

_Static_assert((size_t)SOCKS_BYTES_MAX <= (size_t)BUFFER_BYTES, "an answer of SOCKS fits");

static void dial_proxy(struct tunnel *tunnel);

/* --- the end --------------------------------------------------------------------------------- */

static void close_socket(struct tunnel *tunnel)
{
    if (tunnel->fd < 0)
        return;
    ring_close(tunnel->setup.dialler->ring, tunnel->fd);
    socket_count_give(tunnel->setup.dialler->sockets);
    tunnel->fd = -1;
}

static void tunnel_free(struct ref *ref)
{
    struct tunnel *tunnel = CONTAINER_OF(ref, struct tunnel, ref);

    close_socket(tunnel);
    response_destroy(tunnel->response);
    text_free(&tunnel->out);
    free(tunnel);
}

static void tunnel_close(struct tunnel *tunnel)
{
    CHECK(tunnel->state != TUNNEL_ENDED);
    tunnel->state = TUNNEL_ENDED;
    timer_stop(&tunnel->timer);
    for (int f = 0; f < FAMILY_COUNT; f++)
        resolve_drop(&tunnel->answers[f].question);
    if (tunnel->dial)
        dial_cancel(tunnel->dial);
    tunnel->dial = NULL;
    ring_cancel(tunnel->setup.dialler->ring, &tunnel->send_op);
    ring_cancel(tunnel->setup.dialler->ring, &tunnel->recv_op);
}

void tunnel_cancel(struct tunnel *tunnel)
{
    tunnel_close(tunnel);
    ref_drop(&tunnel->ref);
}

static void end_badly(struct tunnel *tunnel)
{
    tunnel_close(tunnel);
    tunnel->setup.done(tunnel->setup.context, -1, &tunnel->error);
    ref_drop(&tunnel->ref);
}

static void end_well(struct tunnel *tunnel)
{
    int fd = tunnel->fd;

    CHECK(!op_busy(&tunnel->send_op) && !op_busy(&tunnel->recv_op));
    tunnel->fd = -1;
    tunnel_close(tunnel);
    tunnel->error.status = HAUL_OK;
    tunnel->setup.done(tunnel->setup.context, fd, &tunnel->error);
    ref_drop(&tunnel->ref);
}

static void start_timer(struct tunnel *tunnel, uint64_t delay_ns)
{
    ring_timer_start(tunnel->setup.dialler->ring, &tunnel->timer,
                     ring_now_ns(tunnel->setup.dialler->ring) + delay_ns);
}

/* The error is told from the loop. */
static void fail_later(struct tunnel *tunnel)
{
    tunnel->state = TUNNEL_FAILING;
    start_timer(tunnel, 0);
}

static void out_of_memory(struct tunnel *tunnel)
{
    error_set(&tunnel->error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
}

/* The time in which a name waits for its turn to be asked for does not count. */
static uint64_t resolving_until_ns(const struct tunnel *tunnel)
{
    uint64_t now = ring_now_ns(tunnel->setup.dialler->ring);
    uint64_t from = 0;

    for (int f = 0; f < FAMILY_COUNT; f++) {
        uint64_t sent_ns = resolve_sent_ns(&tunnel->answers[f].question, now);

        if (sent_ns > from)
            from = sent_ns;
    }
    return from + tunnel->setup.timeout_ns;
}

static void timer_fired(struct timer *timer)
{
    struct tunnel *tunnel = CONTAINER_OF(timer, struct tunnel, timer);
    struct ring *ring = tunnel->setup.dialler->ring;

    if (tunnel->state == TUNNEL_RESOLVING && resolving_until_ns(tunnel) > ring_now_ns(ring)) {
        ring_timer_start(ring, timer, resolving_until_ns(tunnel));
        return;
    }
    if (tunnel->state == TUNNEL_RESOLVING)
        error_set(&tunnel->error, HAUL_CONNECT_TIMEOUT, 0, "no address for %.*s in time",
                  SPAN_ARG(tunnel->setup.url->host));
    else if (tunnel->state == TUNNEL_TALKING)
        error_set(&tunnel->error, HAUL_CONNECT_TIMEOUT, 0,
                  "the proxy %s made no connection to %.*s port %u in time",
                  tunnel->setup.proxy->text, SPAN_ARG(tunnel->setup.url->host),
                  (unsigned)tunnel->setup.url->port);
    end_badly(tunnel);
}

/* --- the conversation ------------------------------------------------------------------------ */

static void receive(struct tunnel *tunnel)
{
    size_t want = tunnel->response ? sizeof(tunnel->buffer) : tunnel->socks.want;

    ring_recv(tunnel->setup.dialler->ring, &tunnel->recv_op, tunnel->fd,
              tunnel->buffer + tunnel->have, want - tunnel->have);
}

/* Sends what there is to say, if anything, and receives then. */
static void talk(struct tunnel *tunnel)
{
    if (tunnel->out.failed) {
        out_of_memory(tunnel);
        end_badly(tunnel);
    } else if (tunnel->out.len > 0) {
        ring_send(tunnel->setup.dialler->ring, &tunnel->send_op, tunnel->fd, tunnel->out.data,
                  tunnel->out.len);
    } else {
        receive(tunnel);
    }
}

static void sent(struct op *op, int res)
{
    struct tunnel *tunnel = CONTAINER_OF(op, struct tunnel, send_op);

    (void)res; /* what breaks is heard of when the answer is received */
    if (tunnel->state == TUNNEL_ENDED)
        return;
    text_clear(&tunnel->out);
    receive(tunnel);
}

static void broken(struct tunnel *tunnel, int res)
{
    error_set(&tunnel->error, HAUL_NETWORK, res < 0 ? -res : 0,
              "the proxy %s ended the connection instead of making one to %.*s port %u",
              tunnel->setup.proxy->text, SPAN_ARG(tunnel->setup.url->host),
              (unsigned)tunnel->setup.url->port);
    end_badly(tunnel);
}

/* Any answer but 2xx. */
static void refused_connect(struct tunnel *tunnel)
{
    int status = response_status(tunnel->response);
    struct span reason = span_sub(response_reason(tunnel->response), 0, REASON_MAX);
    const struct url *url = tunnel->setup.url;
    enum haul_status verdict = HAUL_HTTP_ERROR;

    if (status == 407 || status == 401) { /* 401: tinyproxy, of a wrong password */
        proxy_refuse_login(tunnel->setup.proxy, status, &tunnel->error);
        return;
    }
    if (status == 408 || status == 429 || status >= 500)
        verdict = HAUL_SERVER_ERROR;
    error_set(&tunnel->error, verdict, 0,
              "the proxy %s answered %d%s%.*s instead of connecting to %.*s port %u",
              tunnel->setup.proxy->text, status, reason.len > 0 ? " " : "", SPAN_ARG(reason),
              SPAN_ARG(url->host), (unsigned)url->port);
}

static void take_head(struct tunnel *tunnel, size_t len)
{
    const char *name = tunnel->setup.proxy->text;
    struct haul_error why;
    size_t taken = 0;
    enum response_progress progress =
        response_head(tunnel->response, tunnel->buffer, len, &taken, &why);
    int status;

    tunnel->head_bytes += len;
    if (progress == RESPONSE_MORE && tunnel->head_bytes < HEAD_BYTES_MAX) {
        receive(tunnel);
        return;
    }
    status = progress == RESPONSE_DONE ? response_status(tunnel->response) : 0;
    if (progress == RESPONSE_MORE)
        error_set(&tunnel->error, HAUL_BAD_RESPONSE, 0,
                  "the proxy %s answered with more than %d KiB of header fields", name,
                  HEAD_BYTES_MAX / 1024);
    else if (progress == RESPONSE_BAD)
        error_set(&tunnel->error, why.status, 0, "the proxy %s does not answer as one: %s", name,
                  why.text);
    else if (status < 200 || status > 299)
        refused_connect(tunnel);
    else if (taken < len)
        error_set(&tunnel->error, HAUL_BAD_RESPONSE, 0,
                  "the proxy %s sent something unasked behind its answer", name);
    else {
        end_well(tunnel);
        return;
    }
    end_badly(tunnel);
}

/* The next of the origin's addresses, by turns of either kind; false: there is none any more. */
static bool take_address(struct tunnel *tunnel)
{
    unsigned at = 0;

    if (tunnel->tried == ADDRESSES_MAX)
        return false;
    for (size_t i = 0; i < RESOLVE_ADDRESSES_MAX; i++) {
        for (int f = 0; f < FAMILY_COUNT; f++) {
            const struct answers *answers = &tunnel->answers[f];

            if (!answers->answered || i >= answers->question.count || at++ < tunnel->tried)
                continue;
            tunnel->address = answers->question.addresses[i];
            tunnel->tried++;
            return true;
        }
    }
    return false;
}

static void take_socks(struct tunnel *tunnel, size_t len)
{
    tunnel->have += len;
    if (tunnel->have < tunnel->socks.want) {
        receive(tunnel);
        return;
    }
    tunnel->have = 0;
    switch (socks_take(&tunnel->socks, (const unsigned char *)tunnel->buffer, &tunnel->out,
                       &tunnel->error)) {
    case SOCKS_MORE:
        talk(tunnel);
        break;
    case SOCKS_DONE:
        end_well(tunnel);
        break;
    case SOCKS_REFUSED:
        if (tunnel->socks.other_address && take_address(tunnel)) {
            close_socket(tunnel);
            timer_stop(&tunnel->timer);
            dial_proxy(tunnel);
        } else {
            end_badly(tunnel);
        }
        break;
    }
}

static void received(struct op *op, int res)
{
    struct tunnel *tunnel = CONTAINER_OF(op, struct tunnel, recv_op);

    if (tunnel->state == TUNNEL_ENDED)
        return;
    if (res <= 0)
        broken(tunnel, res);
    else if (tunnel->response)
        take_head(tunnel, (size_t)res);
    else
        take_socks(tunnel, (size_t)res);
}

static void start_connect(struct tunnel *tunnel)
{
    tunnel->response = response_create();
    if (!tunnel->response) {
        out_of_memory(tunnel);
        end_badly(tunnel);
        return;
    }
    /* As if to HEAD: what a 2xx says of a body does not count, and that of others is not read. */
    response_start(tunnel->response, true);
    proxy_write_connect(tunnel->setup.proxy, tunnel->setup.url, &tunnel->out);
    talk(tunnel);
}

static void start_socks(struct tunnel *tunnel)
{
    const struct address *address = tunnel->address.len > 0 ? &tunnel->address : NULL;

    socks_start(&tunnel->socks, tunnel->setup.proxy, tunnel->setup.url, address, &tunnel->out);
    talk(tunnel);
}

/* --- to the proxy ---------------------------------------------------------------------------- */

static void dial_done(void *context, int fd, const struct haul_error *error)
{
    struct tunnel *tunnel = context;
    const struct proxy *proxy = tunnel->setup.proxy;

    tunnel->dial = NULL;
    tunnel->fd = fd;
    if (fd < 0) {
        error_set(&tunnel->error, error->status, 0, "the proxy %s can't be reached: %s",
                  proxy->text, error->text);
        tunnel->error.system_errno = error->system_errno;
        end_badly(tunnel);
        return;
    }
    if (proxy_is_asked(proxy, tunnel->setup.url)) {
        end_well(tunnel);
        return;
    }
    tunnel->state = TUNNEL_TALKING;
    tunnel->have = 0;
    start_timer(tunnel, tunnel->setup.timeout_ns);
    if (proxy->kind == PROXY_HTTP)
        start_connect(tunnel);
    else
        start_socks(tunnel);
}

static void dial_proxy(struct tunnel *tunnel)
{
    const struct tunnel_setup *setup = &tunnel->setup;

    tunnel->state = TUNNEL_DIALLING;
    tunnel->dial = dial_start(setup->dialler, setup->proxy->host, setup->proxy->port,
                              setup->timeout_ns, dial_done, tunnel);
    if (tunnel->dial)
        return;
    out_of_memory(tunnel);
    fail_later(tunnel);
}

/* --- the origin's name ----------------------------------------------------------------------- */

/* There is an address, or none to be waited for. */
static bool is_resolved(const struct tunnel *tunnel)
{
    const struct answers *v4 = &tunnel->answers[FAMILY_V4];

    return v4->answered && (v4->question.count > 0 || tunnel->answers[FAMILY_V6].answered);
}

/* False: there is none. */
static bool use_answers(struct tunnel *tunnel)
{
    const struct resolve_question *v6 = &tunnel->answers[FAMILY_V6].question;
    const struct resolve_question *v4 = &tunnel->answers[FAMILY_V4].question;
    const struct resolve_question *why =
        v4->status == HAUL_HOST_UNKNOWN && v6->status != HAUL_OK ? v6 : v4;

    if (take_address(tunnel))
        return true;
    error_set(&tunnel->error, why->status, 0, "can't find %s of %.*s: %s",
              tunnel->setup.proxy->kind == PROXY_SOCKS4 ? "the IPv4 address" : "the address",
              SPAN_ARG(tunnel->setup.url->host), why->reason);
    return false;
}

static void question_answered(struct resolve_question *question)
{
    struct answers *answers = CONTAINER_OF(question, struct answers, question);
    struct tunnel *tunnel = answers->tunnel;

    answers->answered = true;
    if (tunnel->state != TUNNEL_RESOLVING || !is_resolved(tunnel))
        return; /* a late answer is of use if the address that is being tried is not */
    timer_stop(&tunnel->timer);
    if (use_answers(tunnel))
        dial_proxy(tunnel);
    else
        end_badly(tunnel);
}

/* Addresses that the user has laid down: nobody is asked. */
static bool take_override(struct tunnel *tunnel)
{
    const struct overrides *overrides = tunnel->setup.dialler->options.overrides;
    const struct url *url = tunnel->setup.url;
    const struct override *override =
        overrides ? overrides_find(overrides, url->host, url->port) : NULL;

    for (int f = 0; override && f < FAMILY_COUNT; f++) {
        tunnel->answers[f].answered = true;
        tunnel->answers[f].question.status = HAUL_HOST_UNKNOWN;
        tunnel->answers[f].question.reason = "it was given none";
    }
    for (size_t i = 0; override && i < override->count; i++) {
        const struct address *address = &override->addresses[i];
        struct answers *answers =
            &tunnel->answers[address->any.sa_family == AF_INET ? FAMILY_V4 : FAMILY_V6];

        if (answers->question.count == RESOLVE_ADDRESSES_MAX ||
            (address->any.sa_family == AF_INET6 && tunnel->setup.proxy->kind == PROXY_SOCKS4))
            continue;
        answers->question.addresses[answers->question.count++] = *address;
        answers->question.status = HAUL_OK;
    }
    return override != NULL;
}

static void resolve(struct tunnel *tunnel)
{
    const struct tunnel_setup *setup = &tunnel->setup;
    struct answers *v4 = &tunnel->answers[FAMILY_V4];
    struct answers *v6 = &tunnel->answers[FAMILY_V6];

    tunnel->state = TUNNEL_RESOLVING;
    if (take_override(tunnel)) {
        if (use_answers(tunnel))
            dial_proxy(tunnel);
        else
            fail_later(tunnel);
        return;
    }
    v4->answered = resolve_ask(setup->dialler->resolver, &v4->question, setup->url->host, AF_INET);
    v6->question.status = HAUL_HOST_UNKNOWN;
    v6->question.reason = "";
    v6->answered = setup->proxy->kind == PROXY_SOCKS4 || setup->dialler->options.ipv6_off ||
                   resolve_ask(setup->dialler->resolver, &v6->question, setup->url->host, AF_INET6);
    if (!is_resolved(tunnel))
        start_timer(tunnel, setup->timeout_ns);
    else if (use_answers(tunnel))
        dial_proxy(tunnel);
    else
        fail_later(tunnel);
}

/* --- begin ----------------------------------------------------------------------------------- */

static void start(struct tunnel *tunnel)
{
    const struct url *url = tunnel->setup.url;
    const struct proxy *proxy = tunnel->setup.proxy;
    bool literal =
        proxy->kind != PROXY_HTTP && address_parse(&tunnel->address, url->host, url->port);
    bool v6 = literal && tunnel->address.any.sa_family == AF_INET6;

    if (v6 && proxy->kind == PROXY_SOCKS4) {
        error_set(&tunnel->error, HAUL_NETWORK, 0,
                  "the proxy %s can't be told the IPv6 address %.*s: that takes SOCKS5",
                  proxy->text, SPAN_ARG(url->host));
        fail_later(tunnel);
        return;
    }
    if (!literal || (v6 && proxy->kind == PROXY_SOCKS4A))
        tunnel->address.len = 0; /* it goes as a name */
    if (!literal && proxy_wants_address(proxy))
        resolve(tunnel);
    else
        dial_proxy(tunnel);
}

struct tunnel *tunnel_start(const struct tunnel_setup *setup)
{
    struct tunnel *tunnel = alloc_zeroed(sizeof(*tunnel));

    if (!tunnel)
        return NULL;
    ref_init(&tunnel->ref, tunnel_free);
    tunnel->setup = *setup;
    tunnel->fd = -1;
    timer_init(&tunnel->timer, timer_fired);
    for (int f = 0; f < FAMILY_COUNT; f++) {
        tunnel->answers[f].tunnel = tunnel;
        resolve_question_init(&tunnel->answers[f].question, question_answered);
    }
    op_init(&tunnel->send_op, sent, &tunnel->ref);
    op_init(&tunnel->recv_op, received, &tunnel->ref);
    start(tunnel);
    return tunnel;
}
