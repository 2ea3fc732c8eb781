/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Plain connections pass calls through to the ring. With TLS, ciphertext is received into a chunk
 * of its own, lent to the session, and decrypted straight into the user's chunk; that chunk of
 * ciphertext is held only while something of it is unread or a receive fills it.
 *
 * A receive that breaks off is told from an orderly end: FIN on a plain connection, close_notify
 * with TLS. What a body makes of it is the exchange's business.
 */
#include "net/connection.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#include "base/alloc.h"

enum { SEND_BYTES = 256 * 1024 }; /* at a time */

static void receive_more(struct connection *connection);
static void receive_cipher(struct connection *connection);
static void poll_first(struct connection *connection);

static const struct haul_error fine = {.status = HAUL_OK};

/* --- end ------------------------------------------------------------------------------------- */

static void give_cipher(struct connection *connection)
{
    if (!connection->cipher)
        return;
    buffers_give(connection->ciphers, connection->cipher);
    connection->cipher = NULL;
}

static void connection_free(struct ref *ref)
{
    struct connection *connection = CONTAINER_OF(ref, struct connection, ref);

    CHECK(connection->closed && !list_is_linked(&connection->idle_node));
    if (connection->chunk)
        buffers_give(connection->chunk_home, connection->chunk);
    give_cipher(connection);
    tls_session_destroy(connection->tls);
    ring_close(connection->ring, connection->fd);
    if (connection->sockets)
        socket_count_give(connection->sockets);
    text_free(&connection->outgoing);
    free(connection->way);
    free(connection);
}

void connection_close(struct connection *connection)
{
    if (!connection)
        return;
    CHECK(!connection->closed);
    connection->closed = true;
    connection->user = NULL;
    ring_cancel(connection->ring, &connection->recv_op);
    ring_cancel(connection->ring, &connection->send_op);
    ref_drop(&connection->ref);
}

/* --- what the user hears; each may close the connection, so each is a last step -------------- */

static void tell_received(struct connection *connection, const struct haul_error *error)
{
    struct chunk *chunk = connection->chunk;

    connection->receiving = RECEIVING_NOTHING;
    connection->readable = false;
    connection->chunk = NULL;
    connection->user->received(connection->context, chunk, error);
}

static void tell_ready(struct connection *connection, const struct haul_error *error)
{
    connection->receiving = RECEIVING_NOTHING;
    connection->user->ready(connection->context, error);
}

static void tell_readable(struct connection *connection)
{
    connection->receiving = RECEIVING_NOTHING;
    connection->readable = true;
    connection->user->readable(connection->context);
}

static void tell_broken(struct connection *connection, const struct haul_error *error)
{
    if (connection->receiving == RECEIVING_HANDSHAKE)
        tell_ready(connection, error);
    else if (connection->receiving == RECEIVING_CHUNK)
        tell_received(connection, error);
    else /* whoever waits will hear it from the receive that follows */
        tell_readable(connection);
}

/* --- sending --------------------------------------------------------------------------------- */

/* In pieces, so that it can be seen how a long body goes. */
static void start_send(struct connection *connection)
{
    struct span piece =
        span_sub(text_span(&connection->outgoing), connection->outgoing_sent, SEND_BYTES);

    ring_send(connection->ring, &connection->send_op, connection->fd, piece.data, piece.len);
    connection->outgoing_sent += piece.len;
}

/* What the peer waits for can't be sent: the receiving side says so, instead of waiting in vain. */
static void starve(struct connection *connection)
{
    connection->starved = true;
    ring_cancel(connection->ring, &connection->recv_op);
}

/* Passes the session's output on: handshake, alerts, requests. */
static void flush_tls(struct connection *connection)
{
    struct span output = tls_output(connection->tls);

    if (output.len == 0 || op_busy(&connection->send_op))
        return;
    text_clear(&connection->outgoing);
    text_add(&connection->outgoing, output);
    if (connection->outgoing.failed) {
        starve(connection);
        return;
    }
    tls_output_taken(connection->tls, output.len);
    connection->outgoing_sent = 0;
    start_send(connection);
}

/* What breaks is heard of on the receiving side: a server may answer, and close, before it has read
 * all. */
static void send_done(struct op *op, int res)
{
    struct connection *connection = CONTAINER_OF(op, struct connection, send_op);

    if (connection->closed)
        return;
    connection->sent_ns = ring_now_ns(connection->ring);
    if (res >= 0 && connection->outgoing_sent < connection->outgoing.len)
        start_send(connection);
    else if (res >= 0 && connection->tls)
        flush_tls(connection);
    if (op_busy(&connection->send_op))
        return;
    connection->sending = false;
    if (connection->outgoing.capacity > SEND_BYTES)
        text_free(&connection->outgoing);
}

void connection_send(struct connection *connection, struct span data)
{
    CHECK(!connection->sending && !connection->closed);
    connection->sending = true;
    if (connection->tls) {
        struct haul_error error;

        /* Trouble shows as silence of the peer or as an alert, on the receiving side. */
        (void)tls_write(connection->tls, data, &error);
        flush_tls(connection);
        return;
    }
    text_clear(&connection->outgoing);
    text_add(&connection->outgoing, data);
    if (connection->outgoing.failed)
        starve(connection);
    else {
        connection->outgoing_sent = 0;
        start_send(connection);
    }
}

/* --- receiving ------------------------------------------------------------------------------- */

static void set_receive_error(struct haul_error *error, int res)
{
    if (res < 0)
        error_set(error, HAUL_NETWORK, -res, "the connection broke");
    else
        error_set(error, HAUL_SHORT_BODY, 0,
                  "the server cut the TLS connection off "
                  "(no close_notify)");
}

static void continue_handshake(struct connection *connection)
{
    struct haul_error error = fine;
    enum tls_progress progress = tls_handshake(connection->tls, &error);

    if (tls_input_left(connection->tls) == 0)
        give_cipher(connection);
    flush_tls(connection);
    switch (progress) {
    case TLS_OK:
        tell_ready(connection, &fine);
        break;
    case TLS_WANT_INPUT:
        receive_more(connection);
        break;
    case TLS_CLOSED:
        error_set(&error, HAUL_TLS, 0, "the server ended the TLS handshake");
        tell_ready(connection, &error);
        break;
    case TLS_BAD:
        tell_ready(connection, &error);
        break;
    }
}

static void continue_decryption(struct connection *connection)
{
    struct chunk *chunk = connection->chunk;
    struct haul_error error = fine;
    enum tls_progress progress;
    size_t got = 0;

    progress = tls_read(connection->tls, chunk->data + chunk->len,
                        connection->chunk_want - chunk->len, &got, &error);
    if (tls_input_left(connection->tls) == 0)
        give_cipher(connection);
    flush_tls(connection);
    switch (progress) {
    case TLS_OK:
        chunk->len += got;
        tell_received(connection, &fine);
        break;
    case TLS_WANT_INPUT:
        receive_more(connection);
        break;
    case TLS_CLOSED:
        tell_received(connection, &fine);
        break;
    case TLS_BAD:
        tell_received(connection, &error);
        break;
    }
}

/* Tickets and the like are nothing to wake the user for, who would take a chunk and hold it. */
static void continue_await(struct connection *connection)
{
    enum tls_progress progress = tls_peek(connection->tls);

    if (tls_input_left(connection->tls) == 0)
        give_cipher(connection);
    flush_tls(connection);
    if (progress == TLS_WANT_INPUT)
        poll_first(connection);
    else
        tell_readable(connection);
}

static void continue_tls(struct connection *connection)
{
    switch (connection->receiving) {
    case RECEIVING_NOTHING:
        UNREACHABLE();
    case RECEIVING_HANDSHAKE:
        continue_handshake(connection);
        break;
    case RECEIVING_AWAIT:
        continue_await(connection);
        break;
    case RECEIVING_CHUNK:
        continue_decryption(connection);
        break;
    }
}

static void tell_starved(struct connection *connection)
{
    struct haul_error error;

    give_cipher(connection);
    error_set(&error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    tell_broken(connection, &error);
}

static void recv_done_plain(struct connection *connection, int res)
{
    struct haul_error error = fine;

    if (res < 0)
        set_receive_error(&error, res);
    else
        connection->chunk->len += (size_t)res;
    tell_received(connection, &error);
}

static void recv_done_tls(struct connection *connection, int res)
{
    struct haul_error error = fine;

    if (connection->polling && res >= 0) {
        connection->polling = false;
        receive_cipher(connection);
        return;
    }
    if (connection->decrypt) {
        connection->decrypt = false;
        continue_tls(connection);
        return;
    }
    if (res > 0) {
        tls_input(connection->tls, connection->cipher->data, (size_t)res);
        continue_tls(connection);
        return;
    }
    give_cipher(connection);
    set_receive_error(&error, res);
    if (connection->receiving == RECEIVING_HANDSHAKE && res == 0)
        error_set(&error, HAUL_TLS, 0,
                  "the server closed the connection in the TLS handshake; "
                  "does it speak TLS on this port?");
    tell_broken(connection, &error);
}

static void recv_done(struct op *op, int res)
{
    struct connection *connection = CONTAINER_OF(op, struct connection, recv_op);

    if (connection->closed)
        return;
    if (connection->starved)
        tell_starved(connection);
    else if (connection->tls)
        recv_done_tls(connection, res);
    else if (connection->receiving == RECEIVING_AWAIT)
        tell_readable(connection);
    else
        recv_done_plain(connection, res);
}

static void poll_first(struct connection *connection)
{
    if (connection->starved) {
        ring_later(connection->ring, &connection->recv_op);
        return;
    }
    connection->polling = connection->tls != NULL;
    ring_poll(connection->ring, &connection->recv_op, connection->fd, POLLIN);
}

static void receive_cipher(struct connection *connection)
{
    if (!connection->cipher && !connection->starved)
        connection->cipher = buffers_take(connection->ciphers, NULL, CONNECTION_CIPHER_BYTES);
    connection->starved = connection->starved || !connection->cipher;
    if (connection->starved)
        ring_later(connection->ring, &connection->recv_op);
    else
        ring_recv(connection->ring, &connection->recv_op, connection->fd, connection->cipher->data,
                  connection->cipher->size);
}

/* TLS: more ciphertext. Where chunks for it are scarce, none is held while nothing comes. */
static void receive_more(struct connection *connection)
{
    if (connection->cipher || !buffers_scarce(connection->ciphers))
        receive_cipher(connection);
    else
        poll_first(connection);
}

/* The session has unread ciphertext: go on from the loop. */
static void decrypt_later(struct connection *connection)
{
    connection->decrypt = true;
    ring_later(connection->ring, &connection->recv_op);
}

void connection_receive(struct connection *connection, struct chunk *chunk, struct buffers *home,
                        size_t want)
{
    CHECK(connection->receiving == RECEIVING_NOTHING && !connection->closed);
    CHECK(want > chunk->len && want <= chunk->size);
    connection->receiving = RECEIVING_CHUNK;
    connection->chunk = chunk;
    connection->chunk_home = home;
    connection->chunk_want = want;
    if (connection->starved)
        ring_later(connection->ring, &connection->recv_op);
    else if (!connection->tls && connection->readable)
        ring_recv_ready(connection->ring, &connection->recv_op, connection->fd,
                        chunk->data + chunk->len, want - chunk->len);
    else if (!connection->tls)
        ring_recv(connection->ring, &connection->recv_op, connection->fd, chunk->data + chunk->len,
                  want - chunk->len);
    else if (tls_readable(connection->tls))
        decrypt_later(connection);
    else
        receive_more(connection);
}

void connection_await(struct connection *connection)
{
    CHECK(connection->receiving == RECEIVING_NOTHING && !connection->closed);
    connection->receiving = RECEIVING_AWAIT;
    if (connection->tls && tls_readable(connection->tls) && !connection->starved)
        decrypt_later(connection);
    else
        poll_first(connection);
}

/* --- begin ----------------------------------------------------------------------------------- */

struct connection *connection_create(struct ring *ring, struct buffers *ciphers, int fd,
                                     struct tls_session *tls, const struct connection_user *user,
                                     void *context)
{
    struct connection *connection = alloc_zeroed(sizeof(*connection));

    if (!connection)
        return NULL;
    ref_init(&connection->ref, connection_free);
    connection->ring = ring;
    connection->ciphers = ciphers;
    connection->fd = fd;
    connection->tls = tls;
    connection->user = user;
    connection->context = context;
    list_init(&connection->idle_node);
    list_init(&connection->old_node);
    op_init(&connection->recv_op, recv_done, &connection->ref);
    op_init(&connection->send_op, send_done, &connection->ref);
    if (tls) {
        connection->receiving = RECEIVING_HANDSHAKE;
        decrypt_later(connection);
    }
    return connection;
}

void connection_set_user(struct connection *connection, const struct connection_user *user,
                         void *context)
{
    /* TLS may still be sending the end of a handshake, which concerns no user. */
    CHECK(!connection->sending && connection->receiving == RECEIVING_NOTHING);
    connection->user = user;
    connection->context = context;
}

bool connection_quiet(const struct connection *connection)
{
    return !connection->closed && !connection->sending &&
           connection->receiving == RECEIVING_NOTHING && !op_busy(&connection->recv_op) &&
           !op_busy(&connection->send_op);
}
