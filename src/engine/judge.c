/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine/judge.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/engine.h"
#include "engine/request.h"
#include "http/digest.h"
#include "http/fields.h"
#include "http/request.h"

/* A validator that If-Range may carry: a strong ETag, or a Last-Modified that lies long enough
 * before the response's Date that a second version within its second is out of the question (RFC
 * 9110 8.8.2.2). */
static struct span strong_validator(const struct response *response)
{
    struct span etag = response_field(response, "etag");
    struct span modified = response_field(response, "last-modified");
    int64_t modified_s, date_s;

    if (etag.data && field_strong_etag(etag) && request_check_value(etag))
        return etag;
    if (!etag.data && modified.data && field_date(modified, &modified_s) &&
        field_date(response_field(response, "date"), &date_s) && modified_s + 60 <= date_s)
        return modified;
    return span_make("", 0);
}

__attribute__((format(printf, 3, 4))) static enum transfer_verdict
drop(struct leg *leg, enum haul_status status, const char *format, ...)
{
    char text[200];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    error_set(&leg->error, status, 0, "%s", text);
    return TRANSFER_DROP;
}

static enum transfer_verdict begin_anew(struct leg *leg, const char *why)
{
    struct haul_error error;

    error_set(&error, HAUL_SHORT_BODY, 0, "%s; it has to be fetched from the beginning", why);
    body_stop(leg, &error, true);
    return TRANSFER_DROP;
}

/* NULL: the whole file is wanted. */
static const char *range_by_hand(const struct leg *leg)
{
    return leg->transfer->extra ? leg->transfer->extra->range : NULL;
}

/* A mirror that does not give what is being put together here. */
static bool is_mirror(const struct leg *leg)
{
    return leg->source != leg->transfer->body.validator_source;
}

/* The server does not give parts as it should: the file is fetched by one connection, or from
 * elsewhere. */
static enum transfer_verdict join(struct leg *leg, const char *why)
{
    struct haul_download *transfer = leg->transfer;

    if (is_mirror(leg))
        return drop(leg, HAUL_BAD_RESPONSE, "%s", why);
    if (!transfer->body.ranges_bad)
        log_write(&transfer->worker->log, HAUL_LOG_NOTICE, "%s: %s; one connection fetches it all",
                  transfer->shown_url, why);
    return body_join(leg) ? TRANSFER_DROP : begin_anew(leg, why);
}

static bool is_leader(const struct leg *leg)
{
    return leg->transfer->body.leader == leg;
}

/* A server of several machines may have several versions at the same time: then whoever has the
 * whole of one goes on with that. */
static enum transfer_verdict changed(struct leg *leg)
{
    static const char why[] = "the file has changed on the server";

    if (is_mirror(leg))
        return drop(leg, HAUL_BAD_RESPONSE, "the mirror has another file");
    return is_leader(leg) ? begin_anew(leg, why) : join(leg, why);
}

/* Whether what is stored, or going to be, is a version that this response is of; what only a
 * checksum will tell counts as the same. What it says of its version must be the same, be it strong
 * or not: a server that does not know If-Range may send a part of what has just been changed. */
static bool same_version(const struct leg *leg, const struct response *response)
{
    const struct body *body = &leg->transfer->body;
    struct span validator = text_span(&body->validator);
    struct span etag = response_field(response, "etag");
    struct span modified = response_field(response, "last-modified");

    if (leg->source != body->validator_source || validator.len == 0)
        return true;
    if (validator.data[0] == '"')
        return !etag.data || span_equal(etag, validator);
    return !etag.data && (!modified.data || span_equal(modified, validator));
}

/* What the server says the file hashes to, of this version, unless the user knows better. False: it
 * can't be taken, *verdict tells what follows. */
static bool take_digest(struct leg *leg, const struct response *response, bool whole,
                        enum transfer_verdict *verdict)
{
    const struct haul_download *transfer = leg->transfer;
    struct body *body = &leg->transfer->body;
    enum haul_check_digest check = transfer->worker->options->check_digest;
    struct digest digest;

    if (whole)
        body->is_announced = false;
    if (check == HAUL_CHECK_DIGEST_NO || body->decided || transfer->kind == HAUL_SINK_NONE)
        return true;
    if (!whole && !body->verify && !transfer->sink->operations->read)
        return true; /* too late: what has come before can't be hashed any more */
    if (range_by_hand(leg) ? !response_part_digest(response, &digest)
                           : !response_digest(response, &digest)) {
        if (body->is_announced || check != HAUL_CHECK_DIGEST_REQUIRE)
            return true;
        *verdict = drop(leg, HAUL_CHECKSUM, "the server sends no digest to compare the file with");
        return false;
    }
    if (body->coded) {
        leg->request->announced = digest;
        leg->request->is_announced = true;
        return true;
    }
    if (body->is_announced && digest.type == body->announced.type &&
        !digest_equal(&digest, &body->announced)) {
        *verdict = begin_anew(leg, "the file has changed on the server");
        return false;
    }
    if (!body->is_announced)
        body->announced = digest;
    body->is_announced = true;
    return true;
}

static enum transfer_verdict fetch(struct leg *leg, const struct response *response)
{
    struct haul_download *transfer = leg->transfer;
    struct body *body = &transfer->body;
    enum transfer_verdict verdict;

    if (!decode_find(leg, response, &leg->request->codings, &leg->error))
        return TRANSFER_DROP;
    body->coded = leg->request->codings.count > 0;
    if (!take_digest(leg, response, true, &verdict))
        return verdict;
    text_clear(&body->validator);
    if (!body->single && !body->coded)
        text_add(&body->validator, strong_validator(response));
    body->validator_source = leg->source;
    body->total =
        response_has_length(response) && !body->coded ? response_length(response) : UINT64_MAX;
    if (response_framing(response) == RESPONSE_EMPTY && transfer->kind != HAUL_SINK_NONE)
        body->total = 0; /* a 204 has no body, whatever its fields say (RFC 9112 6.3) */
    body->resumed_bytes = 0;
    body->ended = false;
    if (span_equal_nocase(response_field(response, "accept-ranges"), SPAN("none")))
        body->ranges_bad = true;
    return TRANSFER_FETCH;
}

/* Other legs are at work, and this one was to have a part; but this is the whole. */
static enum transfer_verdict judge_whole(struct leg *leg, const struct response *response)
{
    const struct body *body = &leg->transfer->body;
    const char *range = range_by_hand(leg);

    /* In an answer to HEAD, Range counts for nothing (RFC 9110 14.2). */
    if (range && !span_equal(span_of(range), SPAN("0-")) && leg->transfer->kind != HAUL_SINK_NONE)
        return drop(leg, HAUL_CANNOT_RESUME, "the server gives no parts of files");
    if (is_leader(leg))
        return fetch(leg, response);
    if (!same_version(leg, response) ||
        (response_has_length(response) && response_length(response) != body->total))
        return changed(leg);
    return join(leg, "the server gives no parts of files");
}

static enum transfer_verdict wrong_part(struct leg *leg)
{
    static const char why[] = "the server sent another part than the one asked for";

    if (!is_leader(leg))
        return join(leg, why);
    leg->transfer->body.ranges_bad = true;
    return begin_anew(leg, why);
}

/* Whether a 206 holds what "0-499", "500-" or "-500" asks for; less if the file is shorter. */
static bool is_part(struct span asked, const struct content_range *range)
{
    struct span rest = asked;
    struct span first = span_cut(&rest, '-');
    uint64_t from = 0, to = UINT64_MAX;

    if ((first.len > 0 && !span_to_u64(first, &from)) || (rest.len > 0 && !span_to_u64(rest, &to)))
        return false;
    if (first.len > 0)
        return range->first == from && (range->last == to || range->last + 1 == range->total ||
                                        (rest.len == 0 && range->total == UINT64_MAX));
    if (range->total == UINT64_MAX)
        return range->last - range->first + 1 == to;
    return range->last + 1 == range->total &&
           range->first == (range->total > to ? range->total - to : 0);
}

/* The part that the user has asked for is the download. */
static enum transfer_verdict judge_part(struct leg *leg, const struct response *response)
{
    struct content_range range;

    if (!field_content_range(response_field(response, "content-range"), &range) ||
        !is_part(span_of(range_by_hand(leg)), &range) ||
        (response_has_length(response) &&
         response_length(response) != range.last - range.first + 1))
        return drop(leg, HAUL_BAD_RESPONSE, "the server sent another part than --range asks for");
    return fetch(leg, response);
}

/* A 206: only what was asked for, of the version that is there, is ever put beside it. */
static enum transfer_verdict judge_partial(struct leg *leg, const struct response *response)
{
    const struct request *request = leg->request;
    struct body *body = &leg->transfer->body;
    enum transfer_verdict verdict;
    struct content_range range;
    uint64_t total;

    if (range_by_hand(leg))
        return judge_part(leg, response);
    if (!request->ranged)
        return drop(leg, HAUL_BAD_RESPONSE, "the server sent a part that nobody asked for");
    if (!field_content_range(response_field(response, "content-range"), &range))
        return wrong_part(leg);
    total = range.total != UINT64_MAX ? range.total : body->total;
    if (!same_version(leg, response) || (body->total != UINT64_MAX && total != body->total)) {
        /* In spite of If-Range: who does that once may do it each time. */
        if (!is_mirror(leg))
            body->ranges_bad = true;
        return changed(leg);
    }
#ifndef HAUL_PLANT_ANY_RANGE /* left out in a test that shows that this would be found out */
    if (range.first != request->asked.from ||
        range.last + 1 != (request->asked.to < total ? request->asked.to : total) ||
        (response_has_length(response) &&
         response_length(response) != range.last + 1 - range.first))
        return wrong_part(leg);
#endif
    if (extents_prefix(&leg->transfer->sink->stored) > total)
        return begin_anew(leg, "what is there is longer than what the server has");
    if (!take_digest(leg, response, false, &verdict))
        return verdict;
    /* What only a checksum holds together has no version, whatever this part of it is of. */
    if (body->validator.len == 0 && !body->decided && leg->source == body->validator_source)
        text_add(&body->validator, strong_validator(response));
    body->total = total;
    body->ranges_good = true;
    return TRANSFER_RESUME;
}

/* RFC 9110 15.4, and what all clients make of a POST that gets a 301 or 302. */
static void reduce(struct leg *leg)
{
    struct span method = request_extra_method(leg->transfer->extra);
    int status = leg->http_status;

    if (status == 303 || (span_equal(method, SPAN("POST")) && (status == 301 || status == 302)))
        leg->reduced = true;
}

static enum transfer_verdict judge_redirect(struct leg *leg, const struct response *response)
{
    struct haul_download *transfer = leg->transfer;
    struct span location = response_field(response, "location");
    unsigned redirects_max = transfer->worker->options->redirects_max;
    struct haul_error error;

    if (!location.data)
        return drop(leg, HAUL_BAD_RESPONSE, "redirected (%d) without saying where to",
                    leg->http_status);
    if (++leg->redirects > redirects_max)
        return drop(leg, HAUL_REDIRECTS, "more than %u redirects in a row", redirects_max);
    if (!url_resolve(&leg->next_url, &leg->url, location, &error))
        return drop(leg, error.status == HAUL_OUT_OF_MEMORY ? HAUL_OUT_OF_MEMORY : HAUL_REDIRECTS,
                    "redirected to a place haul can't go: %s", error.text);
    if (leg->url.secure && !leg->next_url.secure && !transfer->worker->options->allow_downgrade) {
        url_free(&leg->next_url);
        return drop(
            leg, HAUL_REDIRECTS,
            "redirected from https to http, where anybody could read and change what comes; "
            "--allow-downgrade goes there all the same");
    }
    reduce(leg);
    log_write(&transfer->worker->log, HAUL_LOG_INFO, "%s: redirected to %s", transfer->shown_url,
              leg->next_url.text);
    /* A login that was given for this origin holds for all of it. */
    if (leg->next_url.text && !leg->next_url.login && leg->url.login &&
        url_same_origin(&leg->next_url, &leg->url))
        (void)engine_copy_string(&leg->next_url.login, leg->url.login);
    return TRANSFER_DROP;
}

static enum transfer_verdict judge_busy(struct leg *leg, const struct response *response)
{
    struct span value = response_field(response, "retry-after");
    uint64_t delay_s = 0;

    if (value.data && !field_retry_after(value, ring_wall_s(leg->transfer->worker->ring), &delay_s))
        delay_s = 0;
    leg->hopeless = delay_s > RETRY_AFTER_MAX_S;
    if (leg->hopeless)
        return drop(leg, HAUL_BUSY, "the server is busy (%d) and asks to come back in %llu hours",
                    leg->http_status, (unsigned long long)(delay_s / 3600));
    leg->retry_after_ns = delay_s * (uint64_t)NS_PER_S;
    return drop(leg, HAUL_BUSY, "the server is busy (%d)", leg->http_status);
}

static enum transfer_verdict judge_unsatisfied(struct leg *leg, const struct response *response)
{
    struct haul_download *transfer = leg->transfer;
    struct body *body = &transfer->body;
    uint64_t total;

    if (range_by_hand(leg))
        return drop(leg, HAUL_HTTP_ERROR, "the file has no such part as --range asks for");
    if (!leg->request->ranged)
        return drop(leg, HAUL_HTTP_ERROR, "the server answered 416 to a request without range");
    if (!is_leader(leg))
        return join(leg, "the server has no such part of the file");
    if (field_unsatisfied_range(response_field(response, "content-range"), &total) &&
        total == extents_prefix(&transfer->sink->stored) && total > 0 &&
        (body->total == UINT64_MAX || total == body->total)) {
        body->total = total; /* it is all there: nothing is left to fetch */
        return TRANSFER_DROP;
    }
    return begin_anew(leg, "the server has no such part of the file");
}

/* The condition was that it has changed; nobody else may say so. */
static enum transfer_verdict judge_unmodified(struct leg *leg)
{
    if (!leg->request->conditional)
        return drop(leg, HAUL_BAD_RESPONSE,
                    "the server says that the file has not changed (304), but was not asked that");
    leg->transfer->body.unchanged = true;
    return TRANSFER_DROP;
}

static enum transfer_verdict judge_refusal(struct leg *leg, const struct response *response)
{
    int status = leg->http_status;
    struct span reason = response_reason(response);
    enum haul_status verdict = HAUL_HTTP_ERROR;

    if (status == 407 && proxy_is_asked(leg->proxy, &leg->url)) {
        proxy_refuse_login(leg->proxy, status, &leg->error);
        return TRANSFER_DROP;
    }
    if (status == 401 || status == 407)
        verdict = HAUL_UNAUTHORIZED;
    else if (status == 404 || status == 410)
        verdict = HAUL_NOT_FOUND;
    else if (status == 408 || status == 425 || status == 500 || status == 502 || status == 504)
        verdict = HAUL_SERVER_ERROR;
    return drop(leg, verdict, "the server answered %d%s%.*s", status, reason.len > 0 ? " " : "",
                reason.len > 100 ? 100 : (int)reason.len, reason.data);
}

static void note_fields(const struct response *response, const char *name, struct text *values)
{
    size_t at = 0;
    struct span value;

    while ((value = response_next_field(response, name, &at)).data) {
        if (values->len > 0)
            text_add_char(values, '\n');
        text_add(values, value);
    }
}

enum transfer_verdict transfer_judge(struct leg *leg, const struct response *response)
{
    int status = response_status(response);

    leg->http_status = status;
    note_fields(response, "set-cookie", &leg->set_cookies);
    if (status == 401)
        note_fields(response, "www-authenticate", &leg->challenge);
    if (status == 206)
        return judge_partial(leg, response);
    if (status >= 200 && status < 300)
        return judge_whole(leg, response);
    if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308)
        return judge_redirect(leg, response);
    if (status == 429 || status == 503)
        return judge_busy(leg, response);
    if (status == 416)
        return judge_unsatisfied(leg, response);
    if (status == 304)
        return judge_unmodified(leg);
    return judge_refusal(leg, response);
}
