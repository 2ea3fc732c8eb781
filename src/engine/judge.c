/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine/judge.h"

#include <stdarg.h>
#include <stdio.h>

#include "engine/engine.h"
#include "engine/request.h"
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
drop(struct haul_download *transfer, enum haul_status status, const char *format, ...)
{
    char text[200];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    error_set(&transfer->error, status, 0, "%s", text);
    return TRANSFER_DROP;
}

static enum transfer_verdict fetch(struct haul_download *transfer, const struct response *response)
{
    text_clear(&transfer->validator);
    text_add(&transfer->validator, strong_validator(response));
    transfer->total = response_has_length(response) ? response_length(response) : UINT64_MAX;
    if (response_framing(response) == RESPONSE_EMPTY && transfer->kind != HAUL_SINK_NONE)
        transfer->total = 0; /* a 204 has no body, whatever its fields say (RFC 9112 6.3) */
    transfer->resumed_bytes = 0;
    return TRANSFER_FETCH;
}

static enum transfer_verdict begin_anew(struct haul_download *transfer, const char *why)
{
    text_clear(&transfer->validator);
    transfer->stored_bytes = 0;
    transfer->resumed_bytes = 0;
    return drop(transfer, HAUL_SHORT_BODY, "%s; it has to be fetched from the beginning", why);
}

/* A 206: only what was asked for, of the version that is there, is ever put behind it. */
static enum transfer_verdict judge_partial(struct haul_download *transfer,
                                           const struct response *response)
{
    struct span validator = strong_validator(response);
    struct content_range range;

    if (!transfer->request->ranged)
        return drop(transfer, HAUL_BAD_RESPONSE, "the server sent a part that nobody asked for");
    if (!field_content_range(response_field(response, "content-range"), &range) ||
        range.first != transfer->stored_bytes ||
        (range.total != UINT64_MAX && range.last + 1 != range.total) ||
        (range.total == UINT64_MAX && range.last + 1 != transfer->total) ||
        (response_has_length(response) &&
         response_length(response) != range.last + 1 - range.first))
        return begin_anew(transfer, "the server sent another part than the one asked for");
    if ((transfer->validator.len > 0 && validator.len > 0 &&
         !span_equal(validator, text_span(&transfer->validator))) ||
        (transfer->total != UINT64_MAX && range.total != UINT64_MAX &&
         transfer->total != range.total))
        return begin_anew(transfer, "the file has changed on the server");
    if (transfer->validator.len == 0)
        text_add(&transfer->validator, validator);
    if (range.total != UINT64_MAX)
        transfer->total = range.total;
    return TRANSFER_RESUME;
}

static enum transfer_verdict judge_redirect(struct haul_download *transfer,
                                            const struct response *response)
{
    struct span location = response_field(response, "location");
    struct haul_error error;

    if (!location.data)
        return drop(transfer, HAUL_BAD_RESPONSE, "redirected (%d) without saying where to",
                    transfer->http_status);
    if (++transfer->redirects > REDIRECTS_MAX)
        return drop(transfer, HAUL_REDIRECTS, "more than %d redirects in a row", REDIRECTS_MAX);
    if (!url_resolve(&transfer->next_url, &transfer->url, location, &error))
        return drop(transfer, HAUL_REDIRECTS, "redirected to a place haul can't go: %s",
                    error.text);
    log_write(&transfer->worker->log, HAUL_LOG_INFO, "%s: redirected to %s", transfer->shown_url,
              transfer->next_url.text);
    /* A login that was given for this origin holds for all of it. */
    if (transfer->next_url.text && !transfer->next_url.login && transfer->url.login &&
        url_same_origin(&transfer->next_url, &transfer->url))
        (void)engine_copy_string(&transfer->next_url.login, transfer->url.login);
    return TRANSFER_DROP;
}

static enum transfer_verdict judge_busy(struct haul_download *transfer,
                                        const struct response *response)
{
    struct span value = response_field(response, "retry-after");
    uint64_t delay_s = 0;

    if (value.data && !field_retry_after(value, ring_wall_s(transfer->worker->ring), &delay_s))
        delay_s = 0;
    transfer->hopeless = delay_s > RETRY_AFTER_MAX_S;
    if (transfer->hopeless)
        return drop(transfer, HAUL_BUSY,
                    "the server is busy (%d) and asks to come back in %llu hours",
                    transfer->http_status, (unsigned long long)(delay_s / 3600));
    transfer->retry_after_ns = delay_s * (uint64_t)NS_PER_S;
    return drop(transfer, HAUL_BUSY, "the server is busy (%d)", transfer->http_status);
}

static enum transfer_verdict judge_unsatisfied(struct haul_download *transfer,
                                               const struct response *response)
{
    uint64_t total;

    if (!transfer->request->ranged)
        return drop(transfer, HAUL_HTTP_ERROR,
                    "the server answered 416 to a request without range");
    if (field_unsatisfied_range(response_field(response, "content-range"), &total) &&
        total == transfer->stored_bytes) {
        transfer->total = total; /* it is all there: nothing is left to fetch */
        transfer->resumed_bytes = total;
        return TRANSFER_DROP;
    }
    return begin_anew(transfer, "the server has no such part of the file");
}

static enum transfer_verdict judge_refusal(struct haul_download *transfer,
                                           const struct response *response)
{
    int status = transfer->http_status;
    struct span reason = response_reason(response);
    enum haul_status verdict = HAUL_HTTP_ERROR;

    if (status == 401 || status == 407)
        verdict = HAUL_UNAUTHORIZED;
    else if (status == 404 || status == 410)
        verdict = HAUL_NOT_FOUND;
    else if (status == 408 || status == 425 || status == 500 || status == 502 || status == 504)
        verdict = HAUL_SERVER_ERROR;
    return drop(transfer, verdict, "the server answered %d%s%.*s", status,
                reason.len > 0 ? " " : "", reason.len > 100 ? 100 : (int)reason.len, reason.data);
}

enum transfer_verdict transfer_judge(struct haul_download *transfer,
                                     const struct response *response)
{
    int status = response_status(response);

    transfer->http_status = status;
    if (status == 206)
        return judge_partial(transfer, response);
    if (status >= 200 && status < 300)
        return fetch(transfer, response);
    if (status == 301 || status == 302 || status == 303 || status == 307 || status == 308)
        return judge_redirect(transfer, response);
    if (status == 429 || status == 503)
        return judge_busy(transfer, response);
    if (status == 416)
        return judge_unsatisfied(transfer, response);
    return judge_refusal(transfer, response);
}
