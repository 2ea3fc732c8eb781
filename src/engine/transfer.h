/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One download's life: grants, tries, redirects, and what becomes of it. Decides; the work of one
 * grant is done by a request.
 */
#ifndef ENGINE_TRANSFER_H
#define ENGINE_TRANSFER_H

#include "engine/engine.h"
#include "http/response.h"
#include "sink/sink.h"

struct request;

enum transfer_state {
    TRANSFER_WAITING, /* item is in the limiter */
    TRANSFER_ACTIVE,  /* item is granted; request is valid */
    TRANSFER_ENDING,  /* sink publishes or abandons */
    TRANSFER_ENDED    /* error, ended_ns and the result are final */
};

struct haul_download {
    struct ref ref; /* the engine's until it has ended, and the handle's */
    enum transfer_state state;
    struct haul_engine *engine;
    struct list node;        /* engine->transfers, later engine->ended */
    struct list active_node; /* engine->active, or engine->cancelled */
    struct limiter_item item;
    struct request *request;
    struct sink *sink; /* from the first grant on */
    /* What was asked for. */
    char *asked_url;
    char *shown_url; /* of it, what people and files may see: no login */
    char *asked_origin;
    char *out;
    char *directory; /* NULL: the engine's */
    char *user_agent;
    char **headers;
    size_t header_count;
    enum haul_sink kind;
    int fd;
    uint64_t bytes_max;
    void (*done)(haul_download *download, void *user);
    void *user;
    bool handle; /* somebody holds it */
    /* How far it has come. */
    struct url url;      /* now, after redirects */
    struct url next_url; /* of a redirect, until the request that met it is over; else zero */
    unsigned tries;
    unsigned redirects;
    bool cancelled;
    bool prepared;           /* the sink has said what it has from before */
    struct text validator;   /* of what is stored; empty: none that is strong */
    uint64_t total;          /* UINT64_MAX: unknown */
    uint64_t stored_bytes;   /* written without a gap from the beginning */
    uint64_t resumed_bytes;  /* of them, from before this download */
    uint64_t received_bytes; /* as stored_bytes, a little ahead */
    int http_status;
    uint64_t retry_after_ns;
    bool hopeless; /* another try would be no use, whatever the status says */
    uint64_t started_ns;
    uint64_t ended_ns;
    struct haul_error error;
    char *memory;
};

/* NULL: *error. The transfer waits in the limiter; one reference is the caller's. */
struct haul_download *transfer_create(struct haul_engine *engine,
                                      const struct haul_request *request, struct haul_error *error);
/* For a request that can't be: a transfer that ends with this error. NULL: out of memory. */
void transfer_refuse(struct haul_engine *engine, const struct haul_request *request,
                     const struct haul_error *error);
/* The limiter has granted it. */
void transfer_start(struct haul_download *transfer);
void transfer_cancel(struct haul_download *transfer);
/* Ends those that were cancelled while they waited; from the loop. */
void transfer_end_cancelled(struct haul_engine *engine);

/* --- from its request ------------------------------------------------------------------------ */

/* What to do with a response whose head is there. */
enum transfer_verdict {
    TRANSFER_FETCH,  /* the whole body is wanted, from its beginning */
    TRANSFER_RESUME, /* the body continues what is stored */
    TRANSFER_DROP    /* the body is of no use; error or next_url is set */
};
enum transfer_verdict transfer_judge(struct haul_download *transfer,
                                     const struct response *response);
/* The request is over: its body is stored whole, or transfer->error says why not. */
void transfer_request_ended(struct haul_download *transfer, const struct haul_error *error);

#endif
