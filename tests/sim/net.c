/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A socket is both ends of its connection. The client's half: one call that reads, one that
 * connects or writes. The server's half: the request as far as it has come, and one reply.
 *
 *     sent by the server   [ head | content .................... ]
 *                          0        taken        arrived   cut
 *
 * Bytes up to `arrived` lie in the client's kernel, those up to `taken` it has read. When all up to
 * `cut` have arrived, the ending comes: nothing, a FIN, a reset, or silence.
 */
#include "tests/sim/net.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/text.h"
#include "base/wheel.h"

enum { WINDOW_BYTES = 256 * 1024 };

enum socket_state {
    SOCKET_FRESH,
    SOCKET_CONNECTING, /* call: to_server */
    SOCKET_OPEN,
    SOCKET_ENDED, /* the server has ended its side; what has arrived can be read */
    SOCKET_BROKEN /* error */
};

struct socket {
    struct list node;
    struct net *net;
    int fd;
    enum socket_state state;
    int error;
    size_t host;
    struct net_call *from_server; /* RECV or POLL */
    struct net_call *to_server;   /* CONNECT or SEND */
    int connect_res;
    struct event connecting;
    struct event sending;
    struct event arriving;
    struct event closing; /* the server is tired of waiting for another request */
    struct text request;
    bool replying;
    struct reply reply;
    uint64_t taken;
    uint64_t arrived;
};

/* --- addresses ------------------------------------------------------------------------------- */

struct address net_address(const struct net *net, size_t host, size_t number)
{
    struct in_addr v4 = {.s_addr = htonl(0x0a000000U + (uint32_t)(host * 256 + number))};
    struct in6_addr v6 = {.s6_addr = {0xfd}};

    v6.s6_addr[14] = (uint8_t)host;
    v6.s6_addr[15] = (uint8_t)number;
    return net->hosts[host].v6[number] ? address_v6(&v6, 0) : address_v4(&v4, 0);
}

static void find_host(const struct address *address, size_t *host, size_t *number)
{
    if (address->any.sa_family == AF_INET6) {
        *host = address->v6.sin6_addr.s6_addr[14];
        *number = address->v6.sin6_addr.s6_addr[15];
    } else {
        uint32_t v4 = ntohl(address->v4.sin_addr.s_addr) & 0xffffff;

        *host = v4 / 256;
        *number = v4 % 256;
    }
}

/* --- calls end ------------------------------------------------------------------------------- */

static void end_call(struct net_call *call, struct net_call **place, int res)
{
    *place = NULL;
    world_trace(world_now, "net", call->kind, (uint64_t)res, (uint64_t)call->fd);
    call->done(call, res);
}

static uint64_t reply_bytes(const struct reply *reply)
{
    return reply->head_len + reply->len;
}

static void copy_out(struct socket *socket, char *data, size_t len)
{
    struct reply *reply = &socket->reply;
    uint64_t at = socket->taken;

    socket->taken += len;
    if (at < reply->head_len) {
        size_t part = len < reply->head_len - at ? len : (size_t)(reply->head_len - at);

        memcpy(data, reply->head + at, part);
        data += part;
        at += part;
        len -= part;
    }
    if (len == 0)
        return;
    content_fill(reply->content, reply->from + at - reply->head_len, data, len);
    if (reply->resource)
        resource_sent(reply->resource, len, socket->net->world->now_ns);
}

static void arrive_more(struct socket *socket);

static int take(struct socket *socket, char *data, size_t len)
{
    uint64_t there = socket->arrived - socket->taken;

    if (there > 0) {
        if (len > there)
            len = (size_t)there;
        if (len > 1 && dice_permille(&socket->net->dice, 100))
            len = (size_t)dice_between(&socket->net->dice, 1, len);
        copy_out(socket, data, len);
        arrive_more(socket);
        return (int)len;
    }
    switch (socket->state) {
    case SOCKET_FRESH:
    case SOCKET_CONNECTING:
    case SOCKET_BROKEN:
        return socket->state == SOCKET_BROKEN ? socket->error : -ENOTCONN;
    case SOCKET_OPEN:
        return -EAGAIN;
    case SOCKET_ENDED:
        return 0;
    }
    UNREACHABLE();
}

/* There may be something for the call that reads. */
static void wake_reader(struct socket *socket)
{
    struct net_call *call = socket->from_server;
    int res;

    if (!call || (socket->arrived == socket->taken && socket->state == SOCKET_OPEN))
        return;
    res = call->kind == NET_RECV ? take(socket, call->data, call->len) : 1;
    end_call(call, &socket->from_server, res);
}

static void break_socket(struct socket *socket, int error)
{
    event_stop(&socket->arriving);
    event_stop(&socket->closing);
    socket->state = SOCKET_BROKEN;
    socket->error = error;
    if (dice_permille(&socket->net->dice, 500))
        socket->arrived = socket->taken; /* a reset throws away what nobody has read yet */
    wake_reader(socket);
}

/* --- the reply ------------------------------------------------------------------------------- */

static void end_reply(struct socket *socket)
{
    struct dice *dice = &socket->net->dice;

    switch (socket->reply.ending) {
    case ENDING_KEEP:
        if (dice_permille(dice, 300))
            event_start(&socket->closing, dice_below(dice, 100 * NS_PER_MS));
        break;
    case ENDING_FIN:
        socket->state = SOCKET_ENDED;
        wake_reader(socket);
        break;
    case ENDING_RESET:
        break_socket(socket, -ECONNRESET);
        break;
    case ENDING_STALL:
        break;
    }
}

/* Plans what comes next, if there is room in the window. */
static void arrive_more(struct socket *socket)
{
    const struct reply *reply = &socket->reply;

    if (!socket->replying || event_waits(&socket->arriving) ||
        socket->arrived - socket->taken >= WINDOW_BYTES)
        return;
    event_start(&socket->arriving, socket->arrived == 0 ? reply->think_ns : reply->pause_ns);
}

static void arrives(struct event *event)
{
    struct socket *socket = CONTAINER_OF(event, struct socket, arriving);
    const struct reply *reply = &socket->reply;
    uint64_t bytes = reply->burst_bytes;

    if (bytes > reply->cut - socket->arrived)
        bytes = reply->cut - socket->arrived;
    socket->arrived += bytes;
    if (socket->arrived < reply->cut) {
        arrive_more(socket);
        wake_reader(socket);
        return;
    }
    socket->replying = false;
    end_reply(socket);
    if (socket->state == SOCKET_OPEN)
        wake_reader(socket);
}

/* What nobody has read of the reply before stays in front of the next. */
static void keep_rest(struct socket *socket, struct reply *next)
{
    size_t rest = (size_t)(socket->arrived - socket->taken);
    char *head;

    if (rest == 0)
        return;
    head = alloc_zeroed(rest + next->head_len);
    CHECK(head);
    copy_out(socket, head, rest);
    memcpy(head + rest, next->head, next->head_len);
    free(next->head);
    next->head = head;
    next->head_len += rest;
    next->cut += rest;
}

static void answer_request(struct socket *socket, size_t len)
{
    struct reply reply = {0};

    world_trace_text(socket->net->world, "request", socket->request.data, (uint64_t)socket->fd);
    event_stop(&socket->closing);
    server_answer(socket->net, socket->host, span_make(socket->request.data, len), &reply);
    CHECK(reply.cut <= reply_bytes(&reply) && reply.burst_bytes > 0);
    keep_rest(socket, &reply);
    free(socket->reply.head);
    socket->reply = reply;
    socket->taken = socket->arrived = 0;
    socket->replying = true;
    text_clear(&socket->request);
    arrive_more(socket);
}

/* --- what the client does -------------------------------------------------------------------- */

static void sent(struct event *event)
{
    struct socket *socket = CONTAINER_OF(event, struct socket, sending);
    struct net_call *call = socket->to_server;
    const char *end;

    if (socket->state != SOCKET_OPEN) {
        end_call(call, &socket->to_server,
                 socket->state == SOCKET_BROKEN ? -EPIPE : (int)call->len);
        return;
    }
    text_add(&socket->request, span_make(call->data, call->len));
    end_call(call, &socket->to_server, (int)call->len);
    end = strstr(socket->request.data, "\r\n\r\n");
    if (!end)
        return;
    if (socket->replying && socket->taken < reply_bytes(&socket->reply) - socket->reply.extra)
        world_fail(socket->net->world, "a request is sent before the answer to the last one");
    if (socket->replying)
        socket->arrived = socket->reply.cut;
    event_stop(&socket->arriving);
    answer_request(socket, (size_t)(end + 4 - socket->request.data));
}

static void connected(struct event *event)
{
    struct socket *socket = CONTAINER_OF(event, struct socket, connecting);

    socket->state = socket->connect_res == 0 ? SOCKET_OPEN : SOCKET_BROKEN;
    socket->error = socket->connect_res;
    end_call(socket->to_server, &socket->to_server, socket->connect_res);
}

static int connect_trouble(struct dice *dice)
{
    static const int troubles[] = {-ECONNREFUSED, -ENETUNREACH, -EHOSTUNREACH, -ETIMEDOUT,
                                   -ENOBUFS};

    return troubles[dice_below(dice, COUNT_OF(troubles))];
}

static void start_connect(struct socket *socket, const struct address *address)
{
    struct net *net = socket->net;
    struct dice *dice = &net->dice;
    uint64_t delay_ns = dice_permille(dice, 500) ? 0 : dice_below(dice, 100 * NS_PER_MS);
    size_t number;

    find_host(address, &socket->host, &number);
    CHECK(socket->host < net->host_count && number < net->hosts[socket->host].address_count);
    socket->state = SOCKET_CONNECTING;
    switch (net->hosts[socket->host].reach[number]) {
    case REACH_GOOD:
        socket->connect_res = 0;
        break;
    case REACH_REFUSED:
        socket->connect_res = -ECONNREFUSED;
        break;
    case REACH_SILENT:
        return;
    }
    if (dice_permille(dice, net->world->faults.connect)) {
        if (dice_permille(dice, 200))
            return; /* nobody answers */
        socket->connect_res = connect_trouble(dice);
        delay_ns = dice_below(dice, 5 * NS_PER_S);
    }
    event_start(&socket->connecting, delay_ns);
}

/* --- the interface --------------------------------------------------------------------------- */

static struct socket *find(const struct net *net, int fd)
{
    for (struct list *node = net->sockets.next; node != &net->sockets; node = node->next) {
        struct socket *socket = LIST_ITEM(node, struct socket, node);

        if (socket->fd == fd)
            return socket;
    }
    return NULL;
}

static struct socket *socket_of(const struct net *net, int fd)
{
    struct socket *socket = find(net, fd);

    if (!socket)
        world_fail(net->world, "a call on descriptor %d, which is no socket", fd);
    return socket;
}

static void closing(struct event *event)
{
    struct socket *socket = CONTAINER_OF(event, struct socket, closing);

    if (socket->state != SOCKET_OPEN)
        return;
    if (dice_permille(&socket->net->dice, 200)) {
        break_socket(socket, -ECONNRESET);
        return;
    }
    socket->state = SOCKET_ENDED;
    wake_reader(socket);
}

int net_socket(struct net *net)
{
    struct socket *socket = alloc_zeroed(sizeof(*socket));

    CHECK(socket);
    socket->net = net;
    socket->fd = net->fd_next++;
    list_init(&socket->node);
    event_init(&socket->connecting, net->world, connected);
    event_init(&socket->sending, net->world, sent);
    event_init(&socket->arriving, net->world, arrives);
    event_init(&socket->closing, net->world, closing);
    list_push_back(&net->sockets, &socket->node);
    net->socket_count++;
    if (net->socket_count > net->world->descriptors_max)
        world_fail(net->world, "%zu sockets are open", net->socket_count);
    return socket->fd;
}

bool net_has(const struct net *net, int fd)
{
    return find(net, fd) != NULL;
}

static void set_call(struct socket *socket, struct net_call **place, struct net_call *call)
{
    if (*place)
        world_fail(socket->net->world, "a second call of kind %d on socket %d", call->kind,
                   socket->fd);
    *place = call;
}

/* Reads once what is there already; from the loop as ever. */
static void start_reading(struct socket *socket)
{
    if (socket->arrived > socket->taken || socket->state != SOCKET_OPEN)
        wake_reader(socket);
}

void net_start(struct net *net, struct net_call *call)
{
    struct socket *socket = socket_of(net, call->fd);

    switch (call->kind) {
    case NET_CONNECT:
        CHECK(socket->state == SOCKET_FRESH);
        set_call(socket, &socket->to_server, call);
        start_connect(socket, call->address);
        break;
    case NET_SEND:
        set_call(socket, &socket->to_server, call);
        event_start(&socket->sending,
                    dice_permille(&net->dice, 700) ? 0 : dice_below(&net->dice, 20 * NS_PER_MS));
        break;
    case NET_RECV:
    case NET_POLL:
        set_call(socket, &socket->from_server, call);
        start_reading(socket);
        break;
    }
}

void net_cancel(struct net *net, struct net_call *call, bool win)
{
    struct socket *socket = socket_of(net, call->fd);

    if (socket->from_server == call) {
        if (!win)
            wake_reader(socket);
        if (socket->from_server == call)
            end_call(call, &socket->from_server, -ECANCELED);
    } else if (call->kind == NET_SEND) {
        event_stop(&socket->sending);
        if (!win)
            sent(&socket->sending);
        else
            end_call(call, &socket->to_server, -ECANCELED);
    } else {
        bool soon = event_waits(&socket->connecting);

        event_stop(&socket->connecting);
        if (!win && soon)
            connected(&socket->connecting);
        else
            end_call(call, &socket->to_server, -ECANCELED);
    }
}

int net_take(struct net *net, int fd, void *data, size_t len)
{
    struct socket *socket = socket_of(net, fd);

    CHECK(!socket->from_server);
    return take(socket, data, len);
}

enum ring_socket_look net_look(struct net *net, int fd)
{
    const struct socket *socket = socket_of(net, fd);

    if (socket->arrived > socket->taken)
        return RING_SOCKET_DATA;
    return socket->state == SOCKET_OPEN ? RING_SOCKET_SILENT : RING_SOCKET_CLOSED;
}

void net_close(struct net *net, int fd)
{
    struct socket *socket = socket_of(net, fd);

    CHECK(!socket->from_server && !socket->to_server);
    event_stop(&socket->connecting);
    event_stop(&socket->sending);
    event_stop(&socket->arriving);
    event_stop(&socket->closing);
    list_remove(&socket->node);
    net->socket_count--;
    text_free(&socket->request);
    free(socket->reply.head);
    free(socket);
}

struct net *net_create(struct world *world)
{
    struct net *net = alloc_zeroed(sizeof(*net));

    CHECK(net);
    net->world = world;
    net->dice = dice_make(world->seed, 4);
    net->fd_next = NET_FD_FIRST;
    list_init(&net->sockets);
    return net;
}

void net_destroy(struct net *net)
{
    if (net->socket_count > 0)
        world_fail(net->world, "%zu sockets are still open", net->socket_count);
    free(net);
}
