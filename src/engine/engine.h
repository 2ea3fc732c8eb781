/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The engine's parts as its own modules see them: what all transfers of one engine share. Of the
 * one thread that runs the engine; threads of its own have a worker each, and nothing of this but
 * names, options, network, and a way back to the inbox.
 */
#ifndef ENGINE_ENGINE_H
#define ENGINE_ENGINE_H

#include "base/list.h"
#include "base/log.h"
#include "engine/network.h"
#include "engine/post.h"
#include "engine/sources.h"
#include "haul/haul.h"
#include "polite/limiter.h"
#include "ring/ring.h"
#include "session/session.h"
#include "tls/tls.h"

enum {
    RETRY_WAIT_MAX_S = 60,
    RETRY_AFTER_MAX_S = 60 * 60, /* a server that wants more time than this gets no further try */
    WAITING_MIN = 1024,          /* downloads taken in ahead, so that hosts can take turns */
    WAITING_MAX = 8 * 1024, /* the same while grants are left that no host among them can use */
    MEMORY_BYTES_MAX = 64 * 1024 * 1024,
    THREADS_MAX = 256,
    SPLIT_MAX = 64,     /* connections for one file */
    HELPER_THREADS = 2, /* of each ring */
    ENGINE_STRINGS = 15 /* among the options */
};

struct names;
struct proxy_rules;
struct placement;
struct worker;

/* The engine's own copies of the options. */
struct engine_options {
    struct haul_options public; /* its strings are the copies below */
    char *strings[ENGINE_STRINGS];
    char **headers;
    char **resolve;
    struct tls_trust_options tls;  /* made of them */
    struct tls_identity *identity; /* NULL: none */
    struct tls_pins *pins;         /* NULL: none */
};

struct haul_engine {
    struct ring *ring;
    struct log log;
    struct engine_options options;
    struct network network;
    unsigned extra_max; /* requests at once, besides one for each download */
    struct limiter *limiter;
    struct names *names;
    struct proxy_rules *proxies; /* any thread may read them */
    struct socket_budget sockets;
    struct source_speeds speeds;
    struct session session;
    struct inbox inbox; /* for results, where workers have threads */
    struct worker **workers;
    unsigned worker_count;       /* one, without a thread, or options.public.threads */
    struct placement *placement; /* NULL: there is no choice */
    struct list transfers;       /* that have not ended, in the order they came */
    struct list active;          /* of them, those with a grant, oldest first */
    struct list cancelled;       /* of them, those that were waiting and are to end now */
    struct list ended;           /* waiting for haul_next() */
    size_t transfer_count;
    uint64_t taken_in;  /* transfers, since the beginning */
    size_t collectable; /* downloads that haul_next() will have, ended or not */
    bool ending;        /* haul_engine_destroy() is under way */
    struct haul_source source;
    bool source_ended;
    bool source_waits; /* source_poll is under way */
    struct ref source_ref;
    struct op source_poll;
    struct haul_stats stats;
};

bool engine_options_check(const struct haul_options *options, struct haul_error *error);
/* Into a zeroed one; to be freed in either case. False: out of memory. */
bool engine_options_copy(struct engine_options *copy, const struct haul_options *options);
/* Reads the files that are needed at once: those of the client's certificate. False: *error. */
bool engine_options_read(struct engine_options *options, struct haul_error *error);
void engine_options_free(struct engine_options *options);

/* Copies; false if there is no memory. text may be NULL, and so will be the copy. */
bool engine_copy_string(char **copy, const char *text);
bool engine_copy_strings(char ***copies, const char *const *strings, size_t count);
/* NULL is fine; false and *error for one that can't go on the wire. */
bool engine_check_user_agent(const char *user_agent, struct haul_error *error);
void engine_free_strings(char **copies, size_t count);
/* Turns the loop once: as ring_turn(), with what workers have to say. */
int engine_turn(struct haul_engine *engine, uint64_t until_ns);
/* Takes from the source what there is room for, and starts what may start. */
void engine_schedule(struct haul_engine *engine);
/* When engine_schedule() may have work without the ring having any. */
uint64_t engine_wake_ns(const struct haul_engine *engine);
/* Whether nothing is left to do. */
bool engine_is_done(const struct haul_engine *engine);

#endif
