/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * connect: CONNECT_IDLE --> [CONNECT_TRUST -->] CONNECT_DIALLING --> [CONNECT_HANDSHAKE -->]
 * CONNECT_IDLE with `done` called; connect_cancel() leads back to CONNECT_IDLE from each.
 * A handshake that fails after a ticket was offered leads back to CONNECT_DIALLING, once, for one
 * without.
 *
 * Idle connections have no request under way in the kernel: that one was closed by its peer is
 * found when it is taken, by a look at the socket, or when the exchange on it fails before any
 * answer, which is then tried on a new one. A timer closes those idle for long.
 */
#include "net/connector.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/map.h"

enum { IDLE_MAX_S = 30, LOOK_AFTER_MS = 5, CIPHER_COUNT_MAX = 256 };

enum trust_state {
    TRUST_NONE,
    TRUST_LOADING, /* trust_op is with a helper thread, which owns trust and trust_error */
    TRUST_READY,   /* trust */
    TRUST_FAILED   /* trust_error */
};

struct idle_way {
    struct map_node node;
    struct list connections;
    char *key;
};

struct connector {
    struct ref ref;
    struct ring *ring;
    struct dialler dialler;
    const struct log *log;
    struct connector_options options;
    struct buffers *ciphers;
    struct map idle_ways;
    struct list idle; /* all of them, longest idle first */
    size_t idle_count;
    struct timer idle_timer;
    struct socket_count sockets;
    uint64_t made;
    struct list waiting_for_trust;
    enum trust_state trust_state;
    struct op trust_op;
    struct tls_trust *trust;
    struct haul_error trust_error;
};

/* --- idle connections ------------------------------------------------------------------------ */

static void idle_remove(struct connector *connector, struct connection *connection)
{
    struct idle_way *way = connection->idle_way;

    list_remove(&connection->idle_node);
    list_remove(&connection->old_node);
    connection->idle_way = NULL;
    connector->idle_count--;
    if (list_is_linked(&way->connections))
        return;
    map_remove(&connector->idle_ways, &way->node);
    free(way->key);
    free(way);
}

static void close_oldest(struct connector *connector)
{
    struct connection *oldest = LIST_ITEM(connector->idle.next, struct connection, old_node);

    idle_remove(connector, oldest);
    connection_close(oldest);
}

static void make_room(struct socket_count *sockets)
{
    struct connector *connector = CONTAINER_OF(sockets, struct connector, sockets);

    while (sockets->open >= connector->options.connections_max && connector->idle_count > 0)
        close_oldest(connector);
}

static uint64_t oldest_since_ns(const struct connector *connector)
{
    return LIST_ITEM(connector->idle.next, struct connection, old_node)->idle_since_ns;
}

static void idle_timer_fired(struct timer *timer)
{
    struct connector *connector = CONTAINER_OF(timer, struct connector, idle_timer);
    uint64_t now = ring_now_ns(connector->ring);

    while (connector->idle_count > 0 &&
           oldest_since_ns(connector) + IDLE_MAX_S * (uint64_t)NS_PER_S <= now)
        close_oldest(connector);
    if (connector->idle_count > 0)
        ring_timer_start(connector->ring, timer,
                         oldest_since_ns(connector) + IDLE_MAX_S * (uint64_t)NS_PER_S);
}

static struct idle_way *find_idle_way(struct connector *connector, struct span key)
{
    struct map_node *node = map_find(&connector->idle_ways, key);

    return node ? MAP_ITEM(node, struct idle_way, node) : NULL;
}

static struct idle_way *add_idle_way(struct connector *connector, struct span key)
{
    struct idle_way *way = alloc_zeroed(sizeof(*way));

    if (!way)
        return NULL;
    list_init(&way->connections);
    way->key = alloc_copy(key.data, key.len);
    if (way->key && map_put(&connector->idle_ways, &way->node, span_of(way->key)))
        return way;
    free(way->key);
    free(way);
    return NULL;
}

/* Bytes that nobody asked for make a plain connection unfit; with TLS they may be a ticket. Where a
 * receive has ended with a response just before, there is little to be found. */
static bool is_fit(struct connector *connector, const struct connection *connection)
{
    uint64_t idle_ns = ring_now_ns(connector->ring) - connection->idle_since_ns;
    enum ring_socket_look look = RING_SOCKET_SILENT;

    if (idle_ns >= LOOK_AFTER_MS * (uint64_t)NS_PER_MS)
        look = ring_look(connector->ring, connection->fd);
    return look == RING_SOCKET_SILENT || (look == RING_SOCKET_DATA && connection->tls);
}

struct connection *connector_take(struct connector *connector, struct span key)
{
    struct idle_way *way;

    while ((way = find_idle_way(connector, key))) {
        /* The one used last is the likeliest to be open still, and warm. */
        struct connection *connection =
            LIST_ITEM(way->connections.prev, struct connection, idle_node);

        idle_remove(connector, connection);
        if (is_fit(connector, connection))
            return connection;
        connection_close(connection);
    }
    return NULL;
}

void connector_close_idle(struct connector *connector, struct span key)
{
    struct idle_way *way = find_idle_way(connector, key);
    struct connection *connection;

    if (!way)
        return;
    connection = LIST_ITEM(way->connections.next, struct connection, idle_node);
    idle_remove(connector, connection);
    connection_close(connection);
}

void connector_give(struct connector *connector, struct connection *connection)
{
    struct span key = span_of(connection->way);
    struct idle_way *way;

    if (!connection_quiet(connection) ||
        connector->sockets.open > connector->options.connections_max) {
        connection_close(connection);
        return;
    }
    way = find_idle_way(connector, key);
    if (!way)
        way = add_idle_way(connector, key);
    if (!way) {
        connection_close(connection);
        return;
    }
    connection_set_user(connection, NULL, NULL);
    connection->idle_way = way;
    connection->idle_since_ns = ring_now_ns(connector->ring);
    list_push_back(&way->connections, &connection->idle_node);
    list_push_back(&connector->idle, &connection->old_node);
    connector->idle_count++;
    if (!timer_runs(&connector->idle_timer))
        ring_timer_start(connector->ring, &connector->idle_timer,
                         connection->idle_since_ns + IDLE_MAX_S * (uint64_t)NS_PER_S);
}

/* --- connecting ------------------------------------------------------------------------------ */

static void connect_dial(struct connect *connect);

/* `done` may start or end the connect's object: nothing is touched after it. */
static void connect_end(struct connect *connect, struct connection *connection,
                        const struct haul_error *error)
{
    timer_stop(&connect->timer);
    connect->state = CONNECT_IDLE;
    connect->dial = NULL;
    connect->tunnel = NULL;
    connect->connection = NULL;
    connect->done(connect, connection, error);
}

static void connect_established(struct connect *connect)
{
    struct haul_error fine = {.status = HAUL_OK};

    connect->connector->made++;
    connect_end(connect, connect->connection, &fine);
}

/* A server may trip over a ticket of its own: then it is asked as if there had never been one. */
static bool resumption_failed(struct connect *connect, const struct haul_error *error)
{
    if (connect->resumption != RESUMPTION_TRIED ||
        (error->status != HAUL_TLS && error->status != HAUL_NETWORK))
        return false;
    connect->resumption = RESUMPTION_FAILED;
    timer_stop(&connect->timer);
    log_write(connect->connector->log, HAUL_LOG_INFO, "%.*s: the session can't be resumed (%s)",
              SPAN_ARG(url_origin(connect->url)), error->text);
    return true;
}

static void handshake_done(void *context, const struct haul_error *error)
{
    struct connect *connect = context;
    char text[96];

    if (error->status != HAUL_OK) {
        connection_close(connect->connection);
        connect->connection = NULL;
        if (resumption_failed(connect, error))
            connect_dial(connect);
        else
            connect_end(connect, NULL, error);
        return;
    }
    if (log_wants(connect->connector->log, HAUL_LOG_DEBUG)) {
        tls_describe(connect->connection->tls, text, sizeof(text));
        log_write(connect->connector->log, HAUL_LOG_DEBUG, "%.*s: %s",
                  SPAN_ARG(url_origin(connect->url)), text);
    }
    connect_established(connect);
}

static const struct connection_user handshake_user = {.ready = handshake_done};

static void connect_timed_out(struct timer *timer)
{
    struct connect *connect = CONTAINER_OF(timer, struct connect, timer);
    struct haul_error error;

    error_set(&error, HAUL_CONNECT_TIMEOUT, 0, "the TLS handshake took too long");
    connection_close(connect->connection);
    connect_end(connect, NULL, &error);
}

/* The socket is the connection's, or closed: *error then says why. */
static void make_connection(struct connect *connect, int fd, struct haul_error *error)
{
    struct connector *connector = connect->connector;
    struct connection *connection = NULL;
    struct tls_session *tls = NULL;
    char *copy = alloc_copy(connect->way.data, connect->way.len);

    error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    if (copy && connect->url->secure)
        tls = tls_session_create(connector->trust, connect->url->host, connect->url->port,
                                 ring_wall_s(connector->ring), error);
    if (copy && (tls || !connect->url->secure))
        connection = connection_create(connector->ring, connector->ciphers, fd, tls,
                                       &handshake_user, connect);
    if (!connection) {
        free(copy);
        tls_session_destroy(tls);
        ring_close(connector->ring, fd);
        socket_count_give(&connector->sockets);
        return;
    }
    connection->sockets = &connector->sockets;
    if (tls && connect->resumption == RESUMPTION_ALLOWED && tls_resume(tls))
        connect->resumption = RESUMPTION_TRIED;
    connection->way = copy;
    connect->connection = connection;
    error->status = HAUL_OK;
}

static void start_handshake(struct connect *connect, int fd)
{
    struct connector *connector = connect->connector;
    struct haul_error error;

    make_connection(connect, fd, &error);
    if (error.status != HAUL_OK) {
        connect_end(connect, NULL, &error);
    } else if (!connect->url->secure) {
        connect_established(connect);
    } else {
        connect->state = CONNECT_HANDSHAKE;
        ring_timer_start(connector->ring, &connect->timer,
                         ring_now_ns(connector->ring) + connector->options.timeout_ns);
    }
}

static void dial_done(void *context, int fd, const struct haul_error *error)
{
    struct connect *connect = context;

    connect->dial = NULL;
    connect->tunnel = NULL;
    if (fd < 0)
        connect_end(connect, NULL, error);
    else
        start_handshake(connect, fd);
}

/* Out of memory is told from the loop too, by a dial that timed out at once. */
static void dial_failed(struct timer *timer)
{
    struct connect *connect = CONTAINER_OF(timer, struct connect, timer);
    struct haul_error error;

    error_set(&error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    connect_end(connect, NULL, &error);
}

static void start_tunnel(struct connect *connect)
{
    struct connector *connector = connect->connector;
    struct tunnel_setup setup = {
        .dialler = &connector->dialler,
        .proxy = connect->proxy,
        .url = connect->url,
        .timeout_ns = connector->options.timeout_ns,
        .done = dial_done,
        .context = connect,
    };

    log_write(connector->log, HAUL_LOG_DEBUG, "%.*s: through the proxy %s",
              SPAN_ARG(url_origin(connect->url)), connect->proxy->text);
    connect->tunnel = tunnel_start(&setup);
}

static void connect_dial(struct connect *connect)
{
    struct connector *connector = connect->connector;

    connect->state = CONNECT_DIALLING;
    timer_init(&connect->timer, connect_timed_out);
    if (connect->proxy)
        start_tunnel(connect);
    else
        connect->dial = dial_start(&connector->dialler, connect->url->host, connect->url->port,
                                   connector->options.timeout_ns, dial_done, connect);
    if (connect->dial || connect->tunnel)
        return;
    timer_init(&connect->timer, dial_failed);
    ring_timer_start(connector->ring, &connect->timer, ring_now_ns(connector->ring));
}

/* --- the trust store ------------------------------------------------------------------------- */

static int load_trust(struct op *op)
{
    struct connector *connector = CONTAINER_OF(op, struct connector, trust_op);

    connector->trust = tls_trust_create(&connector->options.trust, &connector->trust_error);
    return 0;
}

static void trust_loaded(struct op *op, int res)
{
    struct connector *connector = CONTAINER_OF(op, struct connector, trust_op);
    struct list *node;

    (void)res;
    connector->trust_state = connector->trust ? TRUST_READY : TRUST_FAILED;
    while ((node = list_pop_front(&connector->waiting_for_trust))) {
        struct connect *connect = LIST_ITEM(node, struct connect, node);

        if (connector->trust)
            connect_dial(connect);
        else
            connect_end(connect, NULL, &connector->trust_error);
    }
}

/* --- the module ------------------------------------------------------------------------------ */

void connect_init(struct connect *connect,
                  void (*done)(struct connect *connect, struct connection *connection,
                               const struct haul_error *error))
{
    *connect = (struct connect){.done = done};
    list_init(&connect->node);
    timer_init(&connect->timer, connect_timed_out);
}

void connect_start(struct connector *connector, struct connect *connect, const struct url *url,
                   const struct proxy *proxy, struct span way)
{
    CHECK(connect->state == CONNECT_IDLE);
    connect->connector = connector;
    connect->url = url;
    connect->proxy = proxy;
    connect->way = way;
    connect->resumption = RESUMPTION_ALLOWED;
    if (!url->secure || connector->trust_state == TRUST_READY) {
        connect_dial(connect);
        return;
    }
    connect->state = CONNECT_TRUST;
    list_push_back(&connector->waiting_for_trust, &connect->node);
    if (op_busy(&connector->trust_op))
        return;
    if (connector->trust_state == TRUST_NONE) {
        connector->trust_state = TRUST_LOADING;
        ring_offload(connector->ring, &connector->trust_op, load_trust);
    } else { /* failed before: say so again, from the loop */
        ring_later(connector->ring, &connector->trust_op);
    }
}

void connect_cancel(struct connect *connect)
{
    switch (connect->state) {
    case CONNECT_IDLE:
        return;
    case CONNECT_TRUST:
        list_remove(&connect->node);
        break;
    case CONNECT_DIALLING:
        if (connect->dial)
            dial_cancel(connect->dial);
        if (connect->tunnel)
            tunnel_cancel(connect->tunnel);
        break;
    case CONNECT_HANDSHAKE:
        connection_close(connect->connection);
        break;
    }
    timer_stop(&connect->timer);
    connect->dial = NULL;
    connect->tunnel = NULL;
    connect->connection = NULL;
    connect->state = CONNECT_IDLE;
}

static void connector_free(struct ref *ref)
{
    struct connector *connector = CONTAINER_OF(ref, struct connector, ref);

    tls_trust_destroy(connector->trust);
    map_free(&connector->idle_ways);
    dialler_free(&connector->dialler);
    buffers_destroy(connector->ciphers);
    free(connector);
}

struct connector *connector_create(struct ring *ring, struct resolver *resolver,
                                   const struct connector_options *options, const struct log *log)
{
    struct connector *connector = alloc_zeroed(sizeof(*connector));

    if (!connector)
        return NULL;
    connector->ciphers = buffers_create_open(CIPHER_COUNT_MAX * (size_t)CONNECTION_CIPHER_BYTES);
    if (!connector->ciphers) {
        free(connector);
        return NULL;
    }
    ref_init(&connector->ref, connector_free);
    connector->ring = ring;
    connector->log = log;
    connector->options = *options;
    connector->sockets = (struct socket_count){.budget = options->sockets, .make_room = make_room};
    dialler_init(&connector->dialler, ring, resolver, &connector->sockets, options->dial);
    map_init(&connector->idle_ways, ring_random(ring));
    list_init(&connector->idle);
    list_init(&connector->waiting_for_trust);
    timer_init(&connector->idle_timer, idle_timer_fired);
    op_init(&connector->trust_op, trust_loaded, &connector->ref);
    return connector;
}

void connector_destroy(struct connector *connector)
{
    if (!connector)
        return;
    CHECK(!list_is_linked(&connector->waiting_for_trust));
    while (connector->idle_count > 0)
        close_oldest(connector);
    timer_stop(&connector->idle_timer);
    CHECK(connector->sockets.open == 0);
    ref_drop(&connector->ref);
}

uint64_t connector_made(const struct connector *connector)
{
    return connector->made;
}

size_t connector_idle(const struct connector *connector)
{
    return connector->idle_count;
}
