/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "engine/extra.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "engine/engine.h"
#include "http/request.h"
#include "http/url.h"

static bool refuse(struct haul_error *error, const char *why)
{
    error_set(error, HAUL_BAD_OPTION, 0, "%s", why);
    return false;
}

static bool check_method(const struct haul_request *request, struct haul_error *error)
{
    struct span method = span_of(request->method);
    bool to_head = request->sink == HAUL_SINK_NONE;

    if (!request->method)
        return !(to_head && request->data) ||
               refuse(
                   error,
                   "data can't be sent when only the head of the answer is asked for (--dry-run)");
    if (!request_check_token(method))
        return refuse(error, "the method is not a word such as GET or POST");
    if (span_equal(method, SPAN("CONNECT")))
        return refuse(error, "CONNECT is for proxies, and fetches nothing");
    if (span_equal(method, SPAN("HEAD")) != to_head)
        return refuse(
            error, to_head ? "only the head of the answer is asked for (--dry-run), which HEAD does"
                           : "HEAD fetches nothing; ask for the head only (--dry-run)");
    return !(to_head && request->data) || refuse(error, "HEAD can't have data");
}

/* "A-B" with A <= B, "A-" or "-N" with N > 0 (RFC 9110 14.1.2). */
static bool check_range(const char *range, struct haul_error *error)
{
    struct span rest = span_of(range);
    struct span first = span_cut(&rest, '-');
    uint64_t from = 0, to = UINT64_MAX;
    bool good = strchr(range, '-') && (first.len > 0 || rest.len > 0) &&
                (first.len == 0 || span_to_u64(first, &from)) &&
                (rest.len == 0 || span_to_u64(rest, &to)) && from <= to && to > 0 &&
                from < UINT64_MAX;

    return good || (first.len > 0 && from == 0 && to == 0) ||
           refuse(error, "a range looks like 0-499, 500- or -500, counted in bytes from 0; the "
                         "last one is the last 500");
}

static bool check_value(const char *value, const char *what, struct haul_error *error)
{
    if (request_check_value(span_of(value)))
        return true;
    error_set(error, HAUL_BAD_OPTION, 0, "the %s holds a control character", what);
    return false;
}

static bool check_proxy(const char *text, struct haul_error *error)
{
    struct proxy *proxy;

    if (!text || *text == '\0')
        return true;
    proxy = proxy_parse(span_of(text), error);
    proxy_destroy(proxy);
    return proxy != NULL;
}

bool request_extra_check(const struct haul_request *request, struct haul_error *error)
{
    if (!check_method(request, error))
        return false;
    if (request->range && !check_range(request->range, error))
        return false;
    if (request->range && (request->method || request->data))
        return refuse(error, "a range can only be asked of a plain GET");
    if (request->bearer && request->username)
        return refuse(error, "a login and a bearer token don't go together");
    if (request->username && strchr(request->username, ':'))
        return refuse(error, "the user name holds a colon, which no HTTP login can carry");
    return check_proxy(request->proxy, error) &&
           check_value(request->content_type, "content type", error) &&
           check_value(request->referer, "referer", error) &&
           check_value(request->username, "login", error) &&
           check_value(request->password, "password", error) &&
           check_value(request->bearer, "bearer token", error);
}

/* A login in it, or the fragment, is nothing for the server (RFC 9110 10.1.3). */
static bool copy_referer(char **copy, const char *referer)
{
    struct url url;
    bool copied;

    if (!referer || !url_parse(&url, span_of(referer), NULL))
        return engine_copy_string(copy, referer);
    copied = engine_copy_string(copy, url.text);
    url_free(&url);
    return copied;
}

static bool take_proxy(struct request_extra *extra, const char *text)
{
    extra->has_proxy = text != NULL;
    if (!text || *text == '\0')
        return true;
    extra->proxy = proxy_parse(span_of(text), NULL);
    return extra->proxy != NULL;
}

static bool is_plain(const struct haul_request *request)
{
    return !request->method && !request->data && !request->referer && !request->username &&
           !request->password && !request->bearer && !request->range && !request->proxy;
}

bool request_extra_create(struct request_extra **created, const struct haul_request *request)
{
    struct request_extra *extra;

    *created = NULL;
    if (is_plain(request))
        return true;
    extra = alloc_zeroed(sizeof(*extra));
    if (!extra)
        return false;
    if (request->data) {
        extra->data = alloc_copy(request->data, request->data_bytes);
        extra->data_bytes = request->data_bytes;
    }
    if ((request->data && !extra->data) || !engine_copy_string(&extra->method, request->method) ||
        !engine_copy_string(&extra->content_type, request->content_type) ||
        !copy_referer(&extra->referer, request->referer) ||
        !engine_copy_string(&extra->username, request->username) ||
        !engine_copy_string(&extra->password, request->password) ||
        !engine_copy_string(&extra->bearer, request->bearer) ||
        !engine_copy_string(&extra->range, request->range) || !take_proxy(extra, request->proxy)) {
        request_extra_destroy(extra);
        return false;
    }
    *created = extra;
    return true;
}

void request_extra_destroy(struct request_extra *extra)
{
    if (!extra)
        return;
    free(extra->method);
    free(extra->data);
    free(extra->content_type);
    free(extra->referer);
    free(extra->username);
    alloc_forget(extra->password);
    alloc_forget(extra->bearer);
    free(extra->range);
    proxy_destroy(extra->proxy);
    free(extra);
}

struct span request_extra_method(const struct request_extra *extra)
{
    if (extra && extra->method)
        return span_of(extra->method);
    return extra && extra->data ? SPAN("POST") : SPAN("GET");
}

bool request_extra_is_special(const struct request_extra *extra)
{
    return extra && (extra->method || extra->data || extra->range);
}

bool request_extra_is_idempotent(const struct request_extra *extra)
{
    static const char *const idempotent[] = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"};
    struct span method = request_extra_method(extra);

    for (size_t i = 0; i < COUNT_OF(idempotent); i++)
        if (span_equal(method, span_of(idempotent[i])))
            return true;
    return false;
}

void request_extra_key(const struct request_extra *extra, struct text *key)
{
    if (!request_extra_is_special(extra))
        return;
    if (extra->range)
        text_printf(key, "#%s", extra->range);
    else
        text_printf(key, "#%.*s %016llx", SPAN_ARG(request_extra_method(extra)),
                    (unsigned long long)span_hash(span_make(extra->data, extra->data_bytes), 0));
}
