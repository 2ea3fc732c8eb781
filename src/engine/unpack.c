/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A request's packed body: what comes of the exchange passes decode.c on its way to the sink. */
#include "engine/unpack.h"

static void unpacked(void *context, struct chunk *chunk, uint64_t offset)
{
    struct request *request = context;

    request->leg->transfer->body.received_bytes += chunk->len;
    body_show_more(request->leg->transfer, chunk->len);
    request_store(request, chunk, span_make(chunk->data, chunk->len), offset);
}

static void packed_taken(void *context, struct chunk *chunk)
{
    struct request *request = context;

    exchange_give_chunk(&request->exchange, chunk);
}

static void unpacking_ended(void *context, const struct haul_error *error)
{
    struct request *request = context;
    struct haul_download *transfer = request->leg->transfer;
    uint64_t garbage = decode_garbage_bytes(request->decode);

    if (error->status != HAUL_OK) {
        request_abort(request, error);
        return;
    }
    if (garbage > 0)
        log_write(&transfer->worker->log, HAUL_LOG_NOTICE,
                  "%s: %llu bytes behind the end of the packed body are left out",
                  transfer->shown_url, (unsigned long long)garbage);
    transfer->verified = decode_is_verified(request->decode);
    request_finish(request, error);
}

bool unpack_start(struct request *request)
{
    static const struct decode_user user = {
        .made = unpacked, .taken = packed_taken, .ended = unpacking_ended};
    struct decode_setup setup = {
        .ring = request->worker->ring,
        .buffers = request->worker->unpacked,
        .user = &user,
        .context = request,
        .codings = &request->codings,
        .announced = request->is_announced ? &request->announced : NULL,
        .lent_max = request->leg->transfer->sink->writes_max,
        .eager = request->exchange.eager,
    };

    request->decode = decode_create(&setup);
    return request->decode != NULL;
}
