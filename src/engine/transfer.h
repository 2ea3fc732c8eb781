/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One download's life: grants, tries, redirects, and what becomes of it. Decides; the work is done
 * by a worker, to which a transfer goes with each grant, and once more when its sink is closed. In
 * between it comes back. So all but a few of its fields belong to one thread at a time.
 */
#ifndef ENGINE_TRANSFER_H
#define ENGINE_TRANSFER_H

#include <stdatomic.h>

#include "engine/engine.h"
#include "engine/post.h"
#include "engine/worker.h"
#include "sink/sink.h"

struct request;

enum transfer_state {
    TRANSFER_WAITING, /* item is in the limiter */
    TRANSFER_ACTIVE,  /* item is granted; the worker has a request for it */
    TRANSFER_ENDING,  /* the worker's sink publishes or abandons */
    TRANSFER_ENDED    /* error, ended_ns and the result are final */
};

struct haul_download {
    /* Of the engine's thread at all times. */
    struct ref ref; /* the engine's until it has ended, and the handle's */
    enum transfer_state state;
    struct haul_engine *engine;
    struct list node;        /* engine->transfers, later engine->ended */
    struct list active_node; /* engine->active, or engine->cancelled */
    struct limiter_item item;
    uint64_t origin;          /* a hash of url's, while there is a request and a placement */
    bool connection_expected; /* as placement_begin() said */
    bool handle;              /* somebody holds it */
    bool cancelled;
    unsigned tries;
    uint64_t started_ns;
    uint64_t ended_ns;
    /* What was asked for, which does not change. */
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
    /* How far it has come: of the worker in TRANSFER_ACTIVE and TRANSFER_ENDING, else of the
     * engine's thread. */
    struct message message; /* it travels by this */
    struct url url;         /* now, after redirects */
    struct url next_url;    /* of a redirect, until the request that met it is over; else zero */
    unsigned redirects;
    bool prepared;          /* the sink has said what it has from before */
    struct text validator;  /* of what is stored; empty: none that is strong */
    uint64_t total;         /* UINT64_MAX: unknown */
    uint64_t stored_bytes;  /* written without a gap from the beginning */
    uint64_t resumed_bytes; /* of them, from before this download */
    int http_status;
    uint64_t retry_after_ns;
    bool hopeless;        /* another try would be no use, whatever the status says */
    bool connection_made; /* the last request found no idle one */
    bool connection_kept; /* and has left one */
    struct haul_error error;
    /* Results of closing the sink. */
    struct text name;
    struct text path;
    bool kept;
    char *memory;
    /* Set by the engine's thread before the first grant: a transfer stays with its worker, for its
     * sink does, with lock, directory and open file. The worker lets go of the sink in the end. */
    struct worker *worker;
    struct sink *sink;
    struct message cancel_message; /* from the engine's thread, once */
    struct request *request;       /* of the worker at all times */
    /* For whoever looks on: written by the worker, read by any. */
    _Atomic uint64_t shown_bytes; /* as stored_bytes, a little ahead */
    _Atomic uint64_t shown_total;
};

/* --- the engine's thread --------------------------------------------------------------------- */

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
/* From the worker. The request is over: its body is stored whole, or next_url says where to go on,
 * or error why not. */
void transfer_request_ended(struct message *message);
/* From the worker. The sink is gone; error is that of publishing, if there was one. */
void transfer_closed(struct message *message);

/* --- whoever has it -------------------------------------------------------------------------- */

/* How much of `total` has come. */
static inline void transfer_show(struct haul_download *transfer, uint64_t bytes)
{
    atomic_store_explicit(&transfer->shown_bytes, bytes, memory_order_relaxed);
    atomic_store_explicit(&transfer->shown_total, transfer->total, memory_order_relaxed);
}

#endif
