/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One request and its response on a connection: head out, head in, body. What is above it does not
 * see HTTP/1.1's framing, so that a stream of HTTP/2 can stand in its place.
 *
 * Bodies come in chunks that are lent to the user, a few at a time: who keeps them, stops the
 * receiving, and TCP's window stops the sender. The faster the connection, the larger the chunks; a
 * slow one holds none while nothing comes.
 */
#ifndef NET_EXCHANGE_H
#define NET_EXCHANGE_H

#include <stdint.h>

#include "http/response.h"
#include "net/connection.h"

enum { EXCHANGE_CHUNKS_MAX = 4 }; /* lent at once */

enum exchange_state {
    EXCHANGE_IDLE,
    EXCHANGE_HEAD,     /* the request goes out; the response's head is awaited */
    EXCHANGE_DECIDING, /* user.head was called; nothing is received until exchange_read_body() */
    EXCHANGE_BODY,     /* body_left (RESPONSE_LENGTH) is valid */
};

struct exchange;

struct exchange_user {
    /* The final response's head is there: response_*() tell. May end the exchange. */
    void (*head)(struct exchange *exchange);
    /* `len` bytes of the body at chunk->data + from, which stand at `offset` in it. The chunk is to
     * be given back by exchange_give_chunk(), also after the end. May end the exchange. */
    void (*body)(struct exchange *exchange, struct chunk *chunk, size_t from, size_t len,
                 uint64_t offset);
    /* The response is complete (OK), or *error broke it. The exchange is EXCHANGE_IDLE again. The
     * connection is the user's: to be closed unless `reusable`. */
    void (*ended)(struct exchange *exchange, struct connection *connection, bool reusable,
                  const struct haul_error *error);
};

struct exchange {
    enum exchange_state state;
    const struct exchange_user *user;
    struct ring *ring;
    struct buffers *buffers;
    struct response *response; /* borrowed from the user */
    uint64_t timeout_ns;
    uint64_t deadline_ns; /* of the body as a whole; UINT64_MAX: none; set before the body */
    bool parks;   /* between head and body the user may wait for other exchanges to end; set before
                     exchange_start() */
    bool eager;   /* the user wants bytes as they come, not by the chunk; set before the body */
    bool aligned; /* memory and offset are to agree modulo RING_DIRECT_BYTES: set before the body,
                     as are... */
    uint64_t base_bytes;    /* ...where the body's first byte goes */
    unsigned lent_max;      /* ...how many chunks the user wants at once */
    size_t chunk_bytes_max; /* ...and how large ones */
    uint64_t wanted_bytes;  /* of the body: no more than these are asked of the connection, but more
                               may come; UINT64_MAX: all; may change during the body */
    struct connection *connection;
    struct timer timer;
    struct buffers_share *share; /* of the connection's host, while a longer body is received */
    struct buffers_waiter waiter;
    struct chunk *chunk; /* being filled, here or in the connection; NULL: none */
    size_t chunk_bytes;  /* that the next one should have */
    bool slow;           /* it is not even worth the smallest: see exchange.c */
    uint64_t chunk_ns;   /* since when chunk is being filled */
    bool receiving;      /* connection_receive() or connection_await() is under way */
    size_t body_from;    /* where the body's bytes begin in chunk */
    size_t parsed;       /* up to where chunk has been looked at */
    unsigned lent;       /* chunks that the user holds */
    bool lending;        /* user.body is being called: what is to be received next comes after */
    uint64_t body_left;  /* RESPONSE_LENGTH: still to be received */
    uint64_t received_bytes; /* of the body */
    uint64_t lent_offset;    /* of the next chunk's bytes in the body */
    uint64_t heard_ns;       /* the last byte */
    bool answered;           /* at least one byte of the response has come */
};

void exchange_init(struct exchange *exchange, const struct exchange_user *user, struct ring *ring,
                   struct buffers *buffers, struct response *response, uint64_t timeout_ns);
/* The connection is the exchange's until user.ended; the head's bytes are copied. */
void exchange_start(struct exchange *exchange, struct connection *connection, struct span head,
                    bool to_head);
/* In EXCHANGE_DECIDING: go on. */
void exchange_read_body(struct exchange *exchange);
/* Gives up: closes the connection; user.ended is not called. Allowed in every state. */
void exchange_abort(struct exchange *exchange);
/* The same, but what has come of the body is lent to the user before. */
void exchange_stop(struct exchange *exchange);
void exchange_give_chunk(struct exchange *exchange, struct chunk *chunk);

#endif
