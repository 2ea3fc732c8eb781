/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The work of one grant: make the sink ready, get a connection, one exchange on it, and the body
 * into the sink. Objects are used over and over. In the thread of their worker.
 */
#ifndef ENGINE_REQUEST_H
#define ENGINE_REQUEST_H

#include "engine/transfer.h"
#include "net/exchange.h"

enum request_state {
    REQUEST_IDLE,
    REQUEST_PREPARING,  /* a step of the sink is under way */
    REQUEST_CONNECTING, /* connect */
    REQUEST_HEAD,       /* exchange */
    REQUEST_OPENING,    /* exchange waits; a step of the sink is under way */
    REQUEST_BODY,       /* exchange */
    REQUEST_DRAINING,   /* exchange; the body is read to keep the connection, and thrown away */
    REQUEST_SETTLING    /* the network's part is over, error is final; writes or a step of the sink
                           may be under way */
};

struct request_write {
    struct sink_write write;
    struct request *request;
    struct chunk *chunk;
    bool over; /* but one before it is not */
};

struct request {
    struct list node; /* of the idle ones */
    enum request_state state;
    struct worker *worker;
    struct haul_download *transfer;
    struct connect connect;
    struct exchange exchange;
    struct response *response;
    struct text head;
    struct request_write writes[EXCHANGE_CHUNKS_MAX]; /* a queue, in the order of the body */
    unsigned first_write;
    unsigned writing;     /* of them */
    bool step;            /* a step of the sink is under way */
    bool fresh;           /* an idle connection has failed us: take a new one */
    bool reused;          /* the connection has carried others before */
    bool ranged;          /* the request asks for the rest only */
    uint64_t base_bytes;  /* where the body begins in the file */
    uint64_t drain_bytes; /* thrown away so far */
    struct haul_error error;
};

/* NULL: out of memory. */
struct request *request_take(struct worker *worker);
void request_destroy(struct request *request); /* an idle one, not in the list */
void request_start(struct request *request, struct haul_download *transfer);
/* Ends as soon as what is under way lets it, with worker_request_ended(). */
void request_abort(struct request *request, const struct haul_error *error);

#endif
