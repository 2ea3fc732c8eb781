/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *     the engine's thread                         the worker's thread
 *
 *     worker_begin() ------- order ------> body_begin()
 *                                             ...
 *     leg_ended() <----------- result ------- worker_leg_ended()
 *
 *     worker_close() ------- order ------> publish or abandon, let go of the sink
 *     transfer_closed() <------- result ---   ...
 *
 * Where both are one thread, orders and results are calls. Else they are mail; a thread reads its
 * mail after each turn of its ring, and wakes others once a turn.
 *
 * A cancel may cross the result that makes it void. Then no request is left to be stopped, and the
 * order to close, which the engine gives once it has both, comes behind the cancel.
 */
#include "engine/worker.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/leg.h"
#include "engine/network.h"
#include "engine/request.h"
#include "engine/transfer.h"
#include "ring/thread.h"

/* --- requests -------------------------------------------------------------------------------- */

static void begin_arrived(struct message *message)
{
    body_begin(CONTAINER_OF(message, struct leg, message));
}

static void cancel_arrived(struct message *message)
{
    body_cancel(CONTAINER_OF(message, struct leg, cancel_message));
}

void worker_begin(struct worker *worker, struct leg *leg)
{
    outbox_send(&worker->orders, &leg->message, begin_arrived);
}

void worker_cancel(struct worker *worker, struct leg *leg)
{
    outbox_send(&worker->orders, &leg->cancel_message, cancel_arrived);
}

void worker_leg_ended(struct worker *worker, struct leg *leg)
{
    outbox_send(&worker->results, &leg->message, leg_ended);
}

void worker_want_legs(struct worker *worker, struct haul_download *transfer)
{
    outbox_send(&worker->results, &transfer->body.wanted, legs_wanted);
}

/* --- connections that another worker has use for --------------------------------------------- */

struct closing {
    struct message message;
    struct worker *worker;
    size_t len;
    char origin[];
};

static void closing_arrived(struct message *message)
{
    struct closing *closing = CONTAINER_OF(message, struct closing, message);

    connector_close_idle(closing->worker->connector, span_make(closing->origin, closing->len));
    free(closing);
}

void worker_close_idle(struct worker *worker, struct span origin)
{
    struct closing *closing = alloc_zeroed(sizeof(*closing) + origin.len);

    if (!closing)
        return; /* it will be closed for being old */
    closing->worker = worker;
    closing->len = origin.len;
    memcpy(closing->origin, origin.data, origin.len);
    outbox_send(&worker->orders, &closing->message, closing_arrived);
}

/* --- the sink's end -------------------------------------------------------------------------- */

/* What is told of the sink afterwards is taken out of it: it goes in this thread, with its
 * descriptors, however long somebody keeps the download's handle. */
static void sink_over(struct haul_download *transfer)
{
    struct sink *sink = transfer->sink;

    verify_release(transfer->body.verify);
    transfer->body.verify = NULL;
    transfer->name = sink->name;
    transfer->path = sink->path;
    transfer->kept = sink->kept;
    sink->name = (struct text){0};
    sink->path = (struct text){0};
    transfer->sink = NULL;
    sink_release(sink);
    outbox_send(&transfer->worker->results, &transfer->message, transfer_closed);
}

static void abandoned(void *context, const struct haul_error *error)
{
    (void)error;
    sink_over(context);
}

static void abandon(void *context)
{
    struct haul_download *transfer = context;

    sink_set_user(transfer->sink, abandoned, transfer);
    /* What is whole and wrong is no use to go on from. */
    transfer->sink->operations->abandon(transfer->sink, transfer->error.status != HAUL_CHECKSUM);
}

static void published(void *context, const struct haul_error *error)
{
    struct haul_download *transfer = context;

    if (error->status != HAUL_OK) {
        transfer->error = *error;
        abandon(transfer);
        return;
    }
    if (transfer->kind == HAUL_SINK_MEMORY)
        transfer->memory = sink_memory_take(transfer->sink);
    sink_over(transfer);
}

static void publish(struct haul_download *transfer)
{
    sink_set_user(transfer->sink, published, transfer);
    transfer->sink->operations->publish(transfer->sink);
}

static void leave(struct haul_download *transfer)
{
    sink_set_user(transfer->sink, published, transfer);
    transfer->sink->operations->leave(transfer->sink);
}

/* The same content may be there already, and is not to be touched. */
static void named_by_hash(void *context, const struct haul_error *error)
{
    struct haul_download *transfer = context;

    if (error->status != HAUL_OK) {
        published(transfer, error);
    } else if (transfer->sink->standing) {
        transfer->body.unchanged = true;
        leave(transfer);
    } else {
        publish(transfer);
    }
}

static void name_by_hash(struct haul_download *transfer)
{
    char hex[HASH_HEX_MAX];
    struct digest digest;
    struct text name = {0};
    struct haul_error error;

    if (!transfer->names.sha256 || !verify_sha256(transfer->body.verify, &digest)) {
        publish(transfer);
        return;
    }
    digest_hex(&digest, hex);
    naming_last(transfer, span_of(hex), &name);
    if (name.failed) {
        error_set(&error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        published(transfer, &error);
    } else {
        sink_set_user(transfer->sink, named_by_hash, transfer);
        transfer->sink->operations->rename(transfer->sink, text_span(&name), true);
    }
    text_free(&name);
}

/* Where that can't be, it is removed. */
static void set_aside(void *context, const struct haul_error *error)
{
    if (error->status == HAUL_OK)
        sink_over(context);
    else
        abandon(context);
}

static void verified(void *context, const struct haul_error *error)
{
    struct haul_download *transfer = context;
    struct sink *sink = transfer->sink;

    bool good = error->status == HAUL_OK;

#ifdef HAUL_PLANT_PUBLISH_UNVERIFIED /* in a test that shows that this is found out */
    good = true;
#endif
    transfer->verified =
        good && (transfer->verified || transfer->body.decided || transfer->body.is_announced);
    if (good) {
        name_by_hash(transfer);
        return;
    }
    transfer->error = *error;
    if (error->status == HAUL_CHECKSUM && sink->operations->set_aside) {
        sink_set_user(sink, set_aside, transfer);
        sink->operations->set_aside(sink);
    } else {
        abandon(transfer);
    }
}

static void finish_verifying(void *context)
{
    struct haul_download *transfer = context;

    verify_finish(transfer->body.verify, transfer->stored_bytes, verified, transfer);
}

static void close_arrived(struct message *message)
{
    struct haul_download *transfer = CONTAINER_OF(message, struct haul_download, message);
    struct body *body = &transfer->body;

    transfer->stored_bytes = extents_bytes(&transfer->sink->stored);
    if (transfer->error.status == HAUL_OK && body->unchanged) {
        leave(transfer);
        return;
    }
    if (transfer->error.status == HAUL_OK && !body_want_digests(transfer, false))
        error_set(&transfer->error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    if (transfer->error.status != HAUL_OK)
        body_hush(transfer, abandon, transfer);
    else if (!body->verify || (transfer->verified && !transfer->names.sha256))
        publish(transfer);  /* verified: it was there and was looked at, or as it was unpacked */
    else if (body->hushing) /* the last leg was to stop, when all was there */
        body_hush(transfer, finish_verifying, transfer);
    else
        finish_verifying(transfer);
}

void worker_close(struct worker *worker, struct haul_download *transfer)
{
    outbox_send(&worker->orders, &transfer->message, close_arrived);
}

/* --- the log --------------------------------------------------------------------------------- */

struct line {
    struct message message;
    const struct log *log;
    enum haul_log_level level;
    char text[];
};

static void line_arrived(struct message *message)
{
    struct line *line = CONTAINER_OF(message, struct line, message);

    line->log->write(line->log->context, line->level, line->text);
    free(line);
}

/* The program is told in its own thread. */
static void send_line(void *context, enum haul_log_level level, const char *text)
{
    struct worker *worker = context;
    size_t len = strlen(text);
    struct line *line = alloc_zeroed(sizeof(*line) + len + 1);

    if (!line)
        return;
    line->log = worker->engine_log;
    line->level = level;
    memcpy(line->text, text, len);
    outbox_send(&worker->results, &line->message, line_arrived);
}

/* --- the thread ------------------------------------------------------------------------------ */

static void close_parts(struct worker *worker)
{
    struct list *node;

    while ((node = list_pop_front(&worker->idle_requests)))
        request_destroy(LIST_ITEM(node, struct request, node));
    if (worker->resolver)
        resolver_destroy(worker->resolver);
    /* Connections that were closed with something under way still hold buffers and the trust. */
    while (ring_busy(worker->ring) > 0)
        if (ring_turn(worker->ring, UINT64_MAX) < 0)
            break;
    connector_destroy(worker->connector);
    verify_room_free(&worker->verify_room);
    directories_destroy(worker->directories);
    buffers_destroy(worker->unpacked);
    buffers_destroy(worker->buffers);
}

void worker_refresh(struct worker *worker)
{
    atomic_store_explicit(&worker->counts.connections, connector_made(worker->connector),
                          memory_order_relaxed);
    atomic_store_explicit(&worker->counts.live,
                          worker->request_count + connector_idle(worker->connector) +
                              buffers_out(worker->buffers) +
                              (worker->unpacked ? buffers_out(worker->unpacked) : 0),
                          memory_order_relaxed);
}

static void stop_arrived(struct message *message)
{
    CONTAINER_OF(message, struct worker, stop)->state = WORKER_STOPPING;
}

static void *worker_main(void *context)
{
    struct worker *worker = context;

    while (worker->state == WORKER_RUNNING) {
        int res = ring_turn(worker->ring, UINT64_MAX);

        if (res < 0) {
            atomic_store_explicit(&worker->trouble, res, memory_order_relaxed);
            ring_wake(worker->results.to->ring);
            break;
        }
        inbox_read(&worker->inbox);
        worker_refresh(worker);
        outbox_flush(&worker->results);
    }
    close_parts(worker);
    return NULL;
}

int worker_trouble(const struct worker *worker)
{
    return atomic_load_explicit(&worker->trouble, memory_order_relaxed);
}

void worker_flush(struct worker *worker)
{
    outbox_flush(&worker->orders);
}

/* --- begin and end --------------------------------------------------------------------------- */

static bool create_parts(struct worker *worker, const struct worker_setup *setup)
{
    const struct haul_options *options = setup->options;
    struct resolver_options resolver = network_resolver(setup->network, setup->count);
    struct connector_options connector = {
        .timeout_ns = options->connect_timeout_ms * (uint64_t)NS_PER_MS,
        .connections_max = (setup->requests_max + setup->count - 1) / setup->count,
        .sockets = setup->sockets,
        .trust = *setup->tls,
        .dial = &setup->network->dial,
    };

    worker->buffers = buffers_create((size_t)(options->buffer_memory / setup->count), worker->ring,
                                     ring_random(worker->ring));
    if (options->accept_codings)
        worker->unpacked = buffers_create_open((size_t)(options->buffer_memory / setup->count));
    worker->resolver = resolver_create(worker->ring, &resolver, &worker->log);
    worker->directories =
        directories_create(worker->ring, setup->names, setup->sink_descriptors / setup->count);
    if (!worker->buffers || (options->accept_codings && !worker->unpacked) || !worker->resolver ||
        !worker->directories)
        return false;
    disk_share(directories_disk(worker->directories), setup->count);
    worker->connector = connector_create(worker->ring, worker->resolver, &connector, &worker->log);
    return worker->connector != NULL;
}

/* Gives it what a thread of its own needs, but the thread. */
static bool separate(struct worker *worker, const struct worker_setup *setup,
                     struct haul_error *error)
{
    struct ring_options options = {.features_off = setup->options->features_off,
                                   .helper_threads = HELPER_THREADS};

    worker->ring = ring_create(&options, error);
    if (!worker->ring)
        return false;
    worker->state = WORKER_RUNNING;
    inbox_init(&worker->inbox, worker->ring);
    worker->orders.to = &worker->inbox;
    worker->results.to = setup->results;
    worker->engine_log = setup->log;
    worker->log.context = worker;
    if (worker->log.write)
        worker->log.write = send_line;
    return true;
}

struct worker *worker_create(const struct worker_setup *setup, struct haul_error *error)
{
    struct worker *worker = alloc_zeroed(sizeof(*worker));

    error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    if (!worker)
        return NULL;
    worker->number = setup->number;
    worker->ring = setup->ring;
    worker->log = *setup->log;
    worker->options = setup->options;
    list_init(&worker->idle_requests);
    if (!worker->ring && !separate(worker, setup, error))
        goto free_worker;
    verify_room_init(&worker->verify_room, worker->ring);
    if (!create_parts(worker, setup))
        goto close_parts;
    if (worker->state == WORKER_DRIVEN || thread_start(&worker->thread, worker_main, worker))
        return worker;
    error_set(error, HAUL_FAILED, 0, "there is no thread to be had for the work");

close_parts:
    close_parts(worker);
    if (worker->state != WORKER_DRIVEN)
        ring_destroy(worker->ring);
free_worker:
    free(worker);
    return NULL;
}

void worker_destroy(struct worker *worker)
{
    if (!worker)
        return;
    if (worker->state == WORKER_DRIVEN) {
        close_parts(worker);
    } else {
        outbox_send(&worker->orders, &worker->stop, stop_arrived);
        outbox_flush(&worker->orders);
        thread_join(worker->thread);
        ring_destroy(worker->ring);
    }
    free(worker);
}
