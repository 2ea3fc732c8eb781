/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A connected socket, with or without TLS on it: bytes of the application in and out. At most one
 * send and one receive are under way at a time; the user's callbacks come from the loop, never
 * from within the call that started them, and not after connection_close().
 */
#ifndef NET_CONNECTION_H
#define NET_CONNECTION_H

#include <stdbool.h>
#include <stddef.h>

#include "base/list.h"
#include "base/text.h"
#include "net/sockets.h"
#include "ring/buffers.h"
#include "ring/ring.h"
#include "tls/tls.h"

enum { CONNECTION_CIPHER_BYTES = 128 * 1024 };

/* Who uses a connection now. */
struct connection_user {
    /* TLS: the handshake is over: OK, or why not. */
    void (*ready)(void *context, const struct haul_error *error);
    /* Something can be received without waiting long. */
    void (*readable)(void *context);
    /*
     * The chunk comes back with more bytes in it. With none, and status OK: the peer has ended its
     * side in good order (FIN; with TLS, close_notify before it). Else *error says what broke.
     */
    void (*received)(void *context, struct chunk *chunk, const struct haul_error *error);
};

/* What the receiving side is at. */
enum connection_receiving {
    RECEIVING_NOTHING,
    RECEIVING_HANDSHAKE, /* TLS: recv_op waits for the peer's flight */
    RECEIVING_AWAIT,     /* recv_op polls, or with TLS looks for plaintext */
    RECEIVING_CHUNK      /* recv_op fills chunk, or with TLS cipher */
};

struct connection {
    struct ref ref;
    bool closed; /* the last completion closes the socket and ends the object */
    enum connection_receiving receiving;
    bool sending;  /* what connection_send() was given */
    bool readable; /* plain: the last wait found that something can be received */
    bool polling;  /* TLS: recv_op waits for ciphertext without a chunk for it */
    bool decrypt;  /* TLS: recv_op was only a step of the loop, no new ciphertext */
    bool starved;  /* there was no memory to go on: the next completion of recv_op says so */
    struct ring *ring;
    struct buffers *ciphers; /* TLS: where chunks for ciphertext come from */
    int fd;
    struct tls_session *tls; /* NULL: plain */
    const struct connection_user *user;
    void *context;
    struct op recv_op;
    struct op send_op;
    struct chunk *chunk; /* RECEIVING_CHUNK: the user's, held until it is given back */
    struct buffers *chunk_home;
    size_t chunk_want;    /* up to which length it may be filled */
    struct chunk *cipher; /* TLS: ciphertext received, or to be received into; else NULL */
    struct text outgoing; /* what send_op sends, piece by piece */
    size_t outgoing_sent;
    uint64_t sent_ns; /* when the last piece had gone */
    /* Of the connector, which keeps connections while nobody uses them. */
    char *way; /* what tells it from those that lead elsewhere; owned; not to be shown */
    struct list idle_node; /* among those of its host */
    struct list old_node;  /* among all idle ones, the longest idle first */
    void *idle_way;
    uint64_t idle_since_ns;
    unsigned exchanges;           /* carried so far */
    struct socket_count *sockets; /* where its socket counts; NULL: nowhere */
};

/*
 * Takes over the socket, and tls if it is not NULL; then the handshake begins, and user->ready is
 * to come. ciphers: chunks for ciphertext (none needed if plain). NULL: out of memory, nothing was
 * taken over.
 */
struct connection *connection_create(struct ring *ring, struct buffers *ciphers, int fd,
                                     struct tls_session *tls, const struct connection_user *user,
                                     void *context);
/* Ends the caller's use and the connection. NULL is allowed. */
void connection_close(struct connection *connection);
/* Hands the connection, on which nothing is under way, to another user. */
void connection_set_user(struct connection *connection, const struct connection_user *user,
                         void *context);
/* Sends all of data, which is copied. */
void connection_send(struct connection *connection, struct span data);
/*
 * Receives behind chunk->len, up to `want` bytes in all. The chunk is the connection's until
 * user->received, and goes to `home` if that never comes.
 */
void connection_receive(struct connection *connection, struct chunk *chunk, struct buffers *home,
                        size_t want);
/* Waits for user->readable without holding a buffer. */
void connection_await(struct connection *connection);
/* Whether nothing is under way, so that another user may have it. */
bool connection_quiet(const struct connection *connection);

#endif
