/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What carries out requests: a ring and all that hangs on it. A worker belongs to one thread, and
 * so does everything below it: connections, buffers, sinks, directories. That is either the
 * engine's thread, on the engine's ring, or a thread of its own.
 *
 * It gets a transfer leg by leg, by worker_begin(), and has its body until it has sent all of them
 * back, to leg_ended(); only worker_cancel() may come in between. And it gets it once more by
 * worker_close(), until transfer_closed().
 */
#ifndef ENGINE_WORKER_H
#define ENGINE_WORKER_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/list.h"
#include "base/log.h"
#include "engine/post.h"
#include "engine/verify.h"
#include "haul/haul.h"
#include "net/connector.h"
#include "ring/buffers.h"
#include "ring/ring.h"
#include "sink/directory.h"

struct haul_download;
struct leg;
struct network;

enum worker_state {
    WORKER_DRIVEN,  /* works in the engine's thread; ring is the engine's */
    WORKER_RUNNING, /* ring, inbox and thread are its own */
    WORKER_STOPPING /* the same; the thread ends */
};

/* Written by the worker's thread alone, read by any. */
struct worker_counts {
    _Atomic uint64_t bytes; /* of bodies received */
    _Atomic uint64_t requests;
    _Atomic uint64_t connections;
    _Atomic uint64_t live; /* objects that it holds */
};

struct worker {
    enum worker_state state;
    unsigned number;
    struct ring *ring;
    struct log log;
    const struct haul_options *options; /* the engine's */
    struct buffers *buffers;
    struct buffers *unpacked; /* for decode.h; NULL: nothing is */
    struct resolver *resolver;
    struct connector *connector;
    struct directories *directories;
    struct verify_room verify_room;
    struct list idle_requests;
    size_t request_count;
    struct worker_counts counts;
    struct outbox results; /* to the engine */
    struct outbox orders;  /* of the engine's thread: to this worker */
    struct inbox inbox;
    pthread_t thread;
    struct message stop;
    _Atomic int trouble; /* -errno of the ring, which has ended the thread; or 0 */
    const struct log *engine_log;
};

struct worker_setup {
    const struct haul_options *options; /* all pointers: borrowed for as long as the worker is */
    const struct tls_trust_options *tls;
    const struct network *network;
    const struct log *log;
    struct names *names;
    struct socket_budget *sockets;
    size_t requests_max;     /* at once, of all workers */
    size_t sink_descriptors; /* files and directories that may be open, of all workers */
    struct ring *ring;       /* the engine's, to work in its thread; NULL: a thread of its own */
    struct inbox *results;   /* where a thread's results go to */
    unsigned number;         /* among... */
    unsigned count;          /* ...so many, which share memory and descriptors */
};

static inline void worker_count(_Atomic uint64_t *count, uint64_t more)
{
    atomic_store_explicit(count, atomic_load_explicit(count, memory_order_relaxed) + more,
                          memory_order_relaxed);
}

/* --- the engine's thread --------------------------------------------------------------------- */

/* NULL: *error. A thread starts at once. */
struct worker *worker_create(const struct worker_setup *setup, struct haul_error *error);
/* It has no transfer any more. Waits for the kernel, and for the thread. NULL is allowed. */
void worker_destroy(struct worker *worker);
/* Starts a request; the transfer's sink is there, made for this worker. */
void worker_begin(struct worker *worker, struct leg *leg);
/* Ends the leg's request early, unless that is over already. After it comes worker_close(), and no
 * other order for this leg. */
void worker_cancel(struct worker *worker, struct leg *leg);
/* Publishes the sink where transfer->error is OK, else abandons it. */
void worker_close(struct worker *worker, struct haul_download *transfer);
/* Closes an idle connection to the origin, if there is one. */
void worker_close_idle(struct worker *worker, struct span origin);
/* Orders may wait until then. */
void worker_flush(struct worker *worker);
/* -errno where its ring has failed, and with it the thread; else 0. */
int worker_trouble(const struct worker *worker);
/* Brings counts up to date where no thread does. */
void worker_refresh(struct worker *worker);

/* --- the worker's thread --------------------------------------------------------------------- */

/* What worker_begin() has started is over. */
void worker_leg_ended(struct worker *worker, struct leg *leg);
/* transfer->body.wanted goes to the engine. */
void worker_want_legs(struct worker *worker, struct haul_download *transfer);

#endif
