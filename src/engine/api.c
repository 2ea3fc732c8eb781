/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The public functions: requests in, handles and results out. haul.h documents them. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/engine.h"
#include "engine/placement.h"
#include "engine/transfer.h"
#include "engine/worker.h"
#include "http/proxy.h"
#include "sink/names.h"

enum {
    DESCRIPTORS_APART = 24,   /* ring, name servers, standard streams, list, log, the program's */
    DESCRIPTORS_A_THREAD = 8, /* ring, name servers */
    SINKS_PART = 8,           /* of all descriptors, one in so many is for files and directories */
    SECOND_ATTEMPTS = 8,      /* sockets besides, for names with several addresses */
    UNEVEN_PART = 8,          /* of all sockets, for threads that keep idle ones others could use */
    CONNECTIONS_PER_HOST = 6,
    RAMP_FROM = 2,
    PAUSE_MS = 1000
};

void haul_request_init(struct haul_request *request, size_t size)
{
    CHECK(size <= sizeof(*request));
    memset(request, 0, size);
    request->size = size;
}

/* --- engine ---------------------------------------------------------------------------------- */

/* Who asks for several connections for one file, asks for them on one host. */
static unsigned per_host_max(const struct haul_options *options)
{
    if (options->connections_per_host > 0)
        return options->connections_per_host;
    return options->split > CONNECTIONS_PER_HOST ? options->split : CONNECTIONS_PER_HOST;
}

static unsigned ramp_from(const struct haul_options *options)
{
    if (options->connections_per_host > 0)
        return 0;
    return options->split > RAMP_FROM ? options->split : RAMP_FROM;
}

static struct limiter *create_limiter(const struct haul_options *options, unsigned extra_max,
                                      uint64_t seed)
{
    struct limiter_options limits = {
        .active_max = options->downloads_max,
        .extra_max = extra_max,
        .per_host_max = per_host_max(options),
        .ramp_from = ramp_from(options),
        .wait_ns = options->wait_ms * (uint64_t)NS_PER_MS,
        .random_wait = options->random_wait,
        .pause_ns = PAUSE_MS * (uint64_t)NS_PER_MS,
        .pause_max_ns = RETRY_WAIT_MAX_S * (uint64_t)NS_PER_S,
    };

    return limiter_create(&limits, seed);
}

static size_t sink_descriptors(const struct haul_engine *engine)
{
    size_t least = 2 * (engine->options.public.threads > 0 ? engine->options.public.threads : 1);
    size_t part = ring_descriptors_max(engine->ring) / SINKS_PART;

    return part < least ? least : part;
}

/* Connections that share a file with another: as many as all downloads might have, but no more than
 * half of the sockets, if all can't have theirs. */
static void fit_segments(struct haul_engine *engine, size_t sockets)
{
    struct haul_options *options = &engine->options.public;
    size_t wanted = (size_t)options->downloads_max * (options->split - 1);
    size_t rest = sockets > options->downloads_max ? sockets - options->downloads_max : 0;

    if (rest < sockets / 2)
        rest = sockets / 2;
    engine->extra_max = (unsigned)(wanted < rest ? wanted : rest);
    if (engine->extra_max == 0)
        options->split = 1;
}

/* A download takes a socket from its beginning on, but a file only once the body comes: files may
 * be fewer, and wait for each other. Idle connections make way. */
static void fit_descriptors(struct haul_engine *engine)
{
    size_t limit = ring_descriptors_max(engine->ring);
    struct haul_options *options = &engine->options.public;
    size_t apart = DESCRIPTORS_APART + options->threads * (size_t)DESCRIPTORS_A_THREAD +
                   sink_descriptors(engine);
    size_t sockets = limit > apart + SECOND_ATTEMPTS ? limit - apart : SECOND_ATTEMPTS + 1;
    size_t fit = sockets - SECOND_ATTEMPTS;

    engine->sockets.open_max = sockets;
    if (options->threads > 1)
        fit -= fit / UNEVEN_PART;
    fit_segments(engine, fit);
    fit -= engine->extra_max;
    if (options->downloads_max <= fit)
        return;
    log_write(&engine->log, HAUL_LOG_WARN,
              "%zu open files are allowed (ulimit -n): %zu downloads at once instead of %u", limit,
              fit, options->downloads_max);
    options->downloads_max = (unsigned)fit;
}

static bool create_workers(struct haul_engine *engine, struct haul_error *error)
{
    unsigned threads = engine->options.public.threads;
    struct worker_setup setup = {
        .options = &engine->options.public,
        .tls = &engine->options.tls,
        .network = &engine->network,
        .log = &engine->log,
        .names = engine->names,
        .sockets = &engine->sockets,
        .requests_max = engine->options.public.downloads_max + engine->extra_max,
        .sink_descriptors = sink_descriptors(engine),
        .ring = threads > 0 ? NULL : engine->ring,
        .results = threads > 0 ? &engine->inbox : NULL,
        .count = threads > 0 ? threads : 1,
    };

    /* They tell by the time what was there before. */
    if (setup.options->allow_overwrite || setup.options->conditional_get)
        ring_file_clock_pass(engine->ring);
    engine->workers = alloc_zeroed(setup.count * sizeof(struct worker *));
    if (setup.count > 1)
        engine->placement = placement_create(setup.count);
    if (!engine->workers || (setup.count > 1 && !engine->placement))
        return false;
    for (; setup.number < setup.count; setup.number++) {
        engine->workers[setup.number] = worker_create(&setup, error);
        if (!engine->workers[setup.number])
            return false;
        engine->worker_count++;
    }
    return true;
}

static bool create_session(struct haul_engine *engine, struct haul_error *error)
{
    const struct haul_options *options = &engine->options.public;
    struct session_setup setup = {
        .load_cookies = options->load_cookies,
        .save_cookies = options->save_cookies,
        .netrc_path = options->netrc_path,
        .auth_challenge = options->auth_challenge,
        .log = &engine->log,
        .seed = ring_random(engine->ring),
        .now_s = ring_wall_s(engine->ring),
    };

    return session_init(&engine->session, &setup, error);
}

static bool create_parts(struct haul_engine *engine, struct haul_error *error)
{
    if (!network_make(&engine->network, engine->ring, &engine->options.public, error))
        return false;
    engine->limiter =
        create_limiter(&engine->options.public, engine->extra_max, ring_random(engine->ring));
    engine->proxies =
        proxy_rules_create(&(struct proxy_setup){.http = engine->options.public.http_proxy,
                                                 .https = engine->options.public.https_proxy,
                                                 .all = engine->options.public.all_proxy,
                                                 .none = engine->options.public.no_proxy},
                           error);
    if (!engine->proxies)
        return false;
    engine->names = names_create(ring_random(engine->ring));
    return engine->limiter && engine->names && create_session(engine, error) &&
           create_workers(engine, error);
}

static void destroy_parts(struct haul_engine *engine)
{
    for (unsigned i = 0; i < engine->worker_count; i++)
        worker_destroy(engine->workers[i]);
    free(engine->workers);
    inbox_read(&engine->inbox); /* last lines for the log */
    while (ring_busy(engine->ring) > 0)
        if (ring_turn(engine->ring, UINT64_MAX) < 0)
            break;
    session_finish(&engine->session);
    placement_destroy(engine->placement);
    proxy_rules_destroy(engine->proxies);
    names_destroy(engine->names);
    limiter_destroy(engine->limiter);
    ring_destroy(engine->ring);
    network_free(&engine->network);
    engine_options_free(&engine->options);
    free(engine);
}

haul_engine *haul_engine_create(const struct haul_options *options, struct haul_error *error)
{
    struct ring_options ring = {.helper_threads = HELPER_THREADS};
    struct haul_engine *engine;
    bool ready;

    if (!engine_options_check(options, error))
        return NULL;
    ring.features_off = options->features_off;
    engine = alloc_zeroed(sizeof(*engine));
    if (!engine) {
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        return NULL;
    }
    engine->log = (struct log){
        .level = options->log_level, .write = options->log, .context = options->log_context};
    engine->source_ended = true;
    list_init(&engine->transfers);
    list_init(&engine->active);
    list_init(&engine->cancelled);
    list_init(&engine->ended);
    engine->ring = ring_create(&ring, error);
    if (!engine->ring) {
        free(engine);
        return NULL;
    }
    inbox_init(&engine->inbox, engine->ring);
    error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    ready = engine_options_copy(&engine->options, options) &&
            engine_options_read(&engine->options, error);
    if (ready) {
        fit_descriptors(engine); /* the parts are made for as many downloads as there can be */
        ready = create_parts(engine, error);
    }
    if (!ready) {
        destroy_parts(engine);
        return NULL;
    }
    log_write(&engine->log, HAUL_LOG_INFO,
              "%s; ring: %s; %u threads; %u downloads at once, %u%s connections per host",
              haul_versions(), ring_features(engine->ring), options->threads,
              engine->options.public.downloads_max, per_host_max(options),
              options->connections_per_host ? "" : " (reached step by step)");
    return engine;
}

bool haul_save_cookies(haul_engine *engine, struct haul_error *error)
{
    return session_save(&engine->session, ring_wall_s(engine->ring), error);
}

void haul_engine_destroy(haul_engine *engine)
{
    struct haul_error error;
    struct list *node;

    if (!engine)
        return;
    engine->ending = true;
    haul_cancel_all(engine);
    do {
        transfer_end_cancelled(engine);
    } while (list_is_linked(&engine->transfers) && engine_turn(engine, UINT64_MAX) == 0);
    while ((node = list_pop_front(&engine->ended))) {
        struct haul_download *transfer = LIST_ITEM(node, struct haul_download, node);

        ref_drop(&transfer->ref);
    }
    CHECK(engine->transfer_count == 0);
    if (!haul_save_cookies(engine, &error))
        log_write(&engine->log, HAUL_LOG_ERROR, "%s", error.text);
    destroy_parts(engine);
}

/* --- running --------------------------------------------------------------------------------- */

static uint64_t deadline_ns(const struct haul_engine *engine, int64_t timeout_ms)
{
    uint64_t now;

    ring_read_clock(engine->ring);
    now = ring_now_ns(engine->ring);
    if (timeout_ms < 0 || (uint64_t)timeout_ms > (UINT64_MAX - now) / (uint64_t)NS_PER_MS)
        return UINT64_MAX;
    return now + (uint64_t)timeout_ms * (uint64_t)NS_PER_MS;
}

static int run_until(struct haul_engine *engine, uint64_t until_ns)
{
    uint64_t wake_ns;
    int res;

    ring_read_clock(engine->ring); /* the program may have been away */
    engine_schedule(engine);
    if (engine_is_done(engine))
        return 0;
    wake_ns = list_is_linked(&engine->cancelled) ? 0 : engine_wake_ns(engine);
    res = engine_turn(engine, wake_ns < until_ns ? wake_ns : until_ns);
    if (res < 0)
        return res;
    return engine_is_done(engine) ? 0 : 1;
}

int haul_run(haul_engine *engine, int64_t timeout_ms)
{
    return run_until(engine, timeout_ms == 0 ? 0 : deadline_ns(engine, timeout_ms));
}

int haul_wait_all(haul_engine *engine)
{
    int res;

    do {
        res = run_until(engine, UINT64_MAX);
    } while (res > 0);
    return res;
}

void haul_wake(haul_engine *engine)
{
    ring_wake(engine->ring);
}

haul_download *haul_next(haul_engine *engine, int64_t timeout_ms)
{
    uint64_t until_ns = timeout_ms == 0 ? 0 : deadline_ns(engine, timeout_ms);
    struct haul_download *transfer;
    struct list *node;

    while (!list_is_linked(&engine->ended) && engine->collectable > 0) {
        if (run_until(engine, until_ns) <= 0 || ring_now_ns(engine->ring) >= until_ns)
            break;
    }
    node = list_pop_front(&engine->ended);
    if (!node)
        return NULL;
    transfer = LIST_ITEM(node, struct haul_download, node);
    engine->collectable--;
    ref_drop(&transfer->ref); /* the engine's: the handle is left */
    return transfer;
}

/* --- downloads ------------------------------------------------------------------------------- */

bool haul_submit(haul_engine *engine, const struct haul_request *request, haul_download **handle,
                 struct haul_error *error)
{
    struct haul_download *transfer = NULL;

    if (handle)
        *handle = NULL;
    if (request->size != sizeof(*request))
        error_set(error, HAUL_BAD_OPTION, 0, "the request is of another version of the library");
    else
        transfer = transfer_create(engine, request, error);
    if (!transfer)
        return false;
    if (handle) {
        ref_hold(&transfer->ref);
        transfer->handle = true;
        *handle = transfer;
        if (!transfer->done)
            engine->collectable++;
    }
    return true;
}

void haul_cancel(haul_download *download)
{
    transfer_cancel(download);
    if (download->worker)
        worker_flush(download->worker);
}

void haul_download_release(haul_download *download)
{
    if (!download)
        return;
    CHECK(download->handle);
    download->handle = false;
    if (download->state != TRANSFER_ENDED && !download->done)
        download->engine->collectable--;
    if (download->state == TRANSFER_ENDED && list_is_linked(&download->node)) {
        list_remove(&download->node); /* nobody will ask haul_next() for it */
        download->engine->collectable--;
        ref_drop(&download->ref);
    }
    ref_drop(&download->ref);
}

bool haul_download_ended(const haul_download *download)
{
    return download->state == TRANSFER_ENDED;
}

void *haul_download_user(const haul_download *download)
{
    return download->user;
}

static const char *or_empty(const char *text)
{
    return text ? text : "";
}

/* Before the end all else may be in a worker's hands. */
static void result_so_far(const haul_download *download, struct haul_result *result)
{
    *result = (struct haul_result){
        .status = HAUL_UNFINISHED,
        .error = "it has not ended yet",
        .url = download->asked_url,
        .shown_url = download->shown_url,
        .final_url = "",
        .path = "",
        .name = "",
        .tries = download->tries,
        .total = UINT64_MAX,
        .user = download->user,
    };
}

void haul_download_result(const haul_download *download, struct haul_result *result)
{
    if (download->state != TRANSFER_ENDED) {
        result_so_far(download, result);
        return;
    }
    *result = (struct haul_result){
        .status = download->error.status,
        .error = download->error.status == HAUL_OK ? "" : download->error.text,
        .url = or_empty(download->asked_url),
        .shown_url = or_empty(download->shown_url),
        .final_url = or_empty(download->lead.url.text),
        .path = or_empty(download->path.data),
        .name = or_empty(download->name.data),
        .kept = download->kept,
        .http_status = download->lead.http_status,
        .tries = download->tries,
        .bytes = download->stored_bytes,
        .resumed_bytes = download->body.resumed_bytes,
        .again_bytes = transfer_again_bytes(download),
        .unchanged = download->body.unchanged,
        .verified = download->verified,
        .total = download->body.total,
        .duration_ns = download->started_ns ? download->ended_ns - download->started_ns : 0,
        .data = download->memory,
        .user = download->user,
    };
}

/* --- looking on ------------------------------------------------------------------------------ */

static void add_counts(struct haul_stats *stats, const struct worker *worker)
{
    const struct worker_counts *counts = &worker->counts;

    stats->bytes += atomic_load_explicit(&counts->bytes, memory_order_relaxed);
    stats->requests += atomic_load_explicit(&counts->requests, memory_order_relaxed);
    stats->connections += atomic_load_explicit(&counts->connections, memory_order_relaxed);
    stats->live += atomic_load_explicit(&counts->live, memory_order_relaxed);
}

void haul_engine_stats(const haul_engine *engine, struct haul_stats *stats)
{
    size_t size = stats->size;

    CHECK(size == sizeof(*stats));
    *stats = engine->stats;
    stats->size = size;
    stats->active = limiter_active(engine->limiter);
    stats->waiting = limiter_waiting(engine->limiter);
    stats->paused_hosts = limiter_paused(engine->limiter, ring_now_ns(engine->ring));
    stats->source_ended = engine->source_ended;
    if (engine->options.public.threads == 0)
        worker_refresh(engine->workers[0]);
    for (unsigned i = 0; i < engine->worker_count; i++)
        add_counts(stats, engine->workers[i]);
    stats->downloads_max = engine->options.public.downloads_max;
    stats->live += engine->transfer_count + limiter_hosts(engine->limiter);
}

/* A copy: the worker may have to choose another name at any time. */
static void copy_name(const struct haul_download *transfer, struct text *name)
{
    text_clear(name);
    names_lock(transfer->engine->names);
    text_add(name, text_span(&transfer->sink->name));
    names_unlock(transfer->engine->names);
}

void haul_each_active(const haul_engine *engine,
                      void (*fn)(void *context, const struct haul_progress *progress),
                      void *context)
{
    uint64_t now = ring_now_ns(engine->ring);
    struct text name = {0};

    for (struct list *node = engine->active.next; node != &engine->active; node = node->next) {
        const struct haul_download *transfer = LIST_ITEM(node, struct haul_download, active_node);

        copy_name(transfer, &name);
        fn(context, &(struct haul_progress){
                        .shown_url = transfer->shown_url,
                        .name = or_empty(name.data),
                        .bytes = atomic_load_explicit(&transfer->shown_bytes, memory_order_relaxed),
                        .total = atomic_load_explicit(&transfer->shown_total, memory_order_relaxed),
                        .started_ns = transfer->started_ns,
                        .now_ns = now,
                        .tries = transfer->tries,
                        .user = transfer->user,
                    });
    }
    text_free(&name);
}
