/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *     prepared --> is there a version? --> ask for another --> head --> its name --> open the sink
 *                                                 \-- 304         \-- it is there: drop the body
 */
#include "engine/standing.h"

#include "engine/naming.h"
#include "engine/transfer.h"
#include "http/fields.h"
#include "sink/names.h"

/* What its file will tell of itself, if it is to. */
static void note_version(struct request *request)
{
    const struct haul_options *options = request->worker->options;
    struct span etag = response_field(request->response, "etag");
    struct sink *sink = request->leg->transfer->sink;
    int64_t modified_s;

    if (!options->remote_time && !options->conditional_get)
        return;
    /* A 206 need not repeat it (RFC 9110 15.3.7). */
    if (field_date(response_field(request->response, "last-modified"), &modified_s)) {
        sink->has_modified = true;
        sink->modified_s = modified_s;
    } else if (request->whole) {
        sink->has_modified = false;
    }
    text_clear(&sink->etag);
    if (request->leg->source == 0) /* a mirror's says nothing to the server that is asked first */
        text_add(&sink->etag, etag);
}

/* A server that does not know conditions, or was not asked because the name was not known then, has
 * the very version that is there. */
static bool is_known(const struct request *request)
{
    const struct sink *sink = request->leg->transfer->sink;
    const struct response *response = request->response;
    int64_t modified_s;

    if (!request->whole || !sink->known || request->leg->source != 0)
        return false;
    if (sink->known_etag.len > 0)
        return field_same_etag(response_field(response, "etag"), text_span(&sink->known_etag));
    return response_has_length(response) && response_length(response) == sink->known_bytes &&
           field_date(response_field(response, "last-modified"), &modified_s) &&
           modified_s == sink->known_modified_s;
}

/* The file has the name that it will have, as far as the head tells. */
void request_named(struct request *request)
{
    if (request->leg->transfer->sink->standing || is_known(request)) {
        request->leg->transfer->body.unchanged = true;
        request_drop(request);
    } else {
        request_open(request);
    }
}

/* Where there is no file, only people are told. */
static void show_name(struct haul_download *transfer, const struct text *name)
{
    struct names *names = transfer->engine->names;

    names_lock(names);
    if (transfer->sink->name.len > 0) {
        text_clear(&transfer->sink->name);
        text_add(&transfer->sink->name, text_span(name));
    }
    names_unlock(names);
}

/* What the server calls it decides where it goes. */
void request_hear(struct request *request)
{
    struct haul_download *transfer = request->leg->transfer;
    struct sink *sink = transfer->sink;
    struct text name = {0};
    struct haul_error error;

    note_version(request);
    if (!naming_hear(transfer, request->response, &name)) {
        request_named(request);
    } else if (name.failed) {
        error_set(&error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        request_fail_all(request, &error);
    } else if (sink->operations->rename) {
        request->state = REQUEST_NAMING;
        request->step = true;
        sink->operations->rename(sink, text_span(&name), false);
    } else {
        show_name(transfer, &name);
        request_named(request);
    }
    text_free(&name);
}

/* Asks for another version than the one that is there, if there is one and nothing else was asked
 * for. A mirror has versions of its own. */
void request_add_condition(struct request *request, struct request_head *head, struct text *date)
{
    const struct leg *leg = request->leg;
    const struct haul_download *transfer = leg->transfer;
    const struct sink *sink = transfer->sink;

    request->conditional = sink->known && !request->ranged && leg->source == 0 &&
                           transfer->body.leader == leg && !transfer->body.single &&
                           extents_count(&sink->stored) == 0;
    if (!request->conditional)
        return;
    head->if_none_match = text_span(&sink->known_etag);
    if (head->if_none_match.len > 0)
        return;
    field_add_date(sink->known_modified_s, date);
    head->if_modified_since = text_span(date);
    request->conditional = date->len > 0;
}
