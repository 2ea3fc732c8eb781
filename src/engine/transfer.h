/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One download's life: grants, tries, redirects, and what becomes of it. Decides; the work is done
 * by a worker.
 *
 * A transfer works through its legs: each is one connection's part of it, and has one grant for
 * each request. All legs of a transfer are of one worker, which has the one sink. A leg goes to the
 * worker with a grant and comes back when the request is over. As long as the worker has any of
 * them, it has the transfer's body as well; so all but a few fields belong to one thread at a time.
 */
#ifndef ENGINE_TRANSFER_H
#define ENGINE_TRANSFER_H

#include <stdatomic.h>

#include "engine/body.h"
#include "engine/engine.h"
#include "engine/extra.h"
#include "engine/naming.h"
#include "engine/post.h"
#include "engine/sources.h"
#include "engine/worker.h"
#include "sink/sink.h"

struct request;

enum leg_state {
    LEG_IDLE,    /* nothing to do for it */
    LEG_WAITING, /* item is in the limiter */
    LEG_ACTIVE   /* item is granted; the worker has the leg */
};

/* How a request ended, as the worker sees it. */
enum leg_outcome {
    LEG_DONE,       /* its range is stored, or there was none for it; `more`: there would be one */
    LEG_COMPLETE,   /* the whole body is stored */
    LEG_REDIRECTED, /* next_url says where to */
    LEG_CHALLENGED, /* the engine's thread makes this of LEG_FAILED: a 401 can be answered */
    LEG_FAILED,     /* error says why; others may go on */
    LEG_STOPPED     /* the body's error says why: no leg can go on as it is */
};

struct leg {
    /* Of the engine's thread at all times. */
    enum leg_state state;
    bool counted; /* its grant is a try of the transfer's */
    struct haul_download *transfer;
    struct limiter_item item;
    unsigned tries;           /* since its last success */
    uint64_t origin;          /* a hash of its way, while there is a request and a placement */
    bool connection_expected; /* as placement_begin() said */
    struct login_state login;
    /* Of the worker in LEG_ACTIVE, else of the engine's thread. */
    struct message message;    /* it travels by this */
    struct list node;          /* body.legs or body.held */
    unsigned source;           /* which of the transfer's it fetches from */
    struct url url;            /* now, after redirects */
    struct url next_url;       /* of a redirect, until the request that met it is over; else zero */
    const struct proxy *proxy; /* NULL: none */
    struct span way;           /* of both: which connections are good for it */
    struct text way_memory;
    unsigned redirects;
    bool reduced;        /* a redirect has made a GET without body of the request */
    bool sent;           /* the last request has been given to a connection */
    bool url_served;     /* something has come from there, for this leg or the one it follows */
    struct text cookies; /* for the request; these four are empty between two */
    struct text authorization;
    struct text set_cookies; /* of the response, with line feeds between */
    struct text challenge;   /* of a 401, the same */
    int http_status;
    uint64_t retry_after_ns;
    bool hopeless;        /* another try would be no use, whatever the status says */
    bool connection_made; /* the last request found no idle one */
    bool connection_kept; /* and has left one */
    bool more;            /* LEG_DONE */
    enum leg_outcome outcome;
    struct haul_error error;
    uint64_t speed; /* bytes per second of the last request that lasted long enough; 0: none */
    struct extent range;
    struct request *request;
    struct message cancel_message; /* from the engine's thread, once */
};

enum transfer_state {
    TRANSFER_RUNNING, /* legs are waiting or active */
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
    struct leg lead;         /* goes first, and alone until it is known what there is */
    struct leg *others;      /* split - 1 of them, once they are wanted */
    unsigned leg_count;      /* with lead */
    unsigned active_legs;
    unsigned waiting_legs;
    bool handle; /* somebody holds it */
    bool cancelled;
    bool stopping; /* no leg is to start until all have come back */
    bool complete; /* the same, for nothing is left to fetch */
    unsigned tries;
    uint64_t started_ns;
    uint64_t ended_ns;
    struct sources sources; /* lead.url's and its mirrors */
    /* What was asked for, which does not change. */
    char *asked_url; /* of a refused one it may be NULL, and so may shown_url */
    char *shown_url; /* of it, what people and files may see: no login */
    char *asked_origin;
    char *out;
    uint64_t number;             /* in its engine, from 1 */
    struct template_needs names; /* what of its name is known late */
    char *directory;             /* NULL: the engine's */
    char *user_agent;
    char **headers;
    size_t header_count;
    struct request_extra *extra; /* NULL: nothing of it */
    char *key; /* what its partial file is known by, if the request is special; else NULL */
    enum haul_sink kind;
    int fd;
    uint64_t bytes_max;
    void (*done)(haul_download *download, void *user);
    void *user;
    /* Of the worker while it has a leg, and in TRANSFER_ENDING; else of the engine's thread. */
    struct message message; /* it travels by this in TRANSFER_ENDING */
    struct body body;
    struct haul_error error;
    /* Results of closing the sink. */
    struct text name;
    struct text path;
    bool kept;
    bool verified;
    struct text told_name; /* by the server; empty: none */
    char *memory;
    uint64_t stored_bytes;
    /* Set by the engine's thread before the first grant: a transfer stays with its worker, for its
     * sink does, with lock, directory and open file. The worker lets go of the sink in the end. */
    struct worker *worker;
    struct sink *sink;
    /* For whoever looks on: written by the worker, read by any. */
    _Atomic uint64_t shown_bytes;
    _Atomic uint64_t shown_total;
};

/* --- the engine's thread --------------------------------------------------------------------- */

/* NULL: *error. The transfer waits in the limiter; one reference is the caller's. */
struct haul_download *transfer_create(struct haul_engine *engine,
                                      const struct haul_request *request, struct haul_error *error);
/* For a request of the source that can't be: a transfer that ends at once, with this error. */
void transfer_refuse(struct haul_engine *engine, const struct haul_request *request,
                     const struct haul_error *error);
void transfer_cancel(struct haul_download *transfer);
/* What the leg's next request is. Any thread that has the leg. */
struct span transfer_method(const struct leg *leg);
/* For its worker, which alone will use it. NULL: out of memory. */
struct sink *transfer_make_sink(const struct haul_download *transfer);
/* Ends those that were cancelled while they waited; from the loop. */
void transfer_end_cancelled(struct haul_engine *engine);
/* No leg is waiting or active any more. Closes the sink; error says how it went. */
void transfer_close(struct haul_download *transfer);
/* Of an ended one: received, though they had been received before. */
uint64_t transfer_again_bytes(const struct haul_download *transfer);
/* From the worker. The sink is gone; error is that of publishing, if there was one. */
void transfer_closed(struct message *message);

#endif
