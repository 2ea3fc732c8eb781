/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests are written field by field: each of our own names, then what else the user asked for.
 * Whatever name it is, the last of the user's sets that holds it decides: its lines are sent, or
 * none if they have no value. Every byte that came from outside passes add_value(), so that
 * nothing can end a line early.
 */
#include "http/request.h"

#include "base/check.h"

enum { SHOWN_MAX = 60 /* bytes of a line that an error shows */ };

/* Fields that haul writes or leaves out by itself; the user's take their place. */
static const char *const own_names[] = {"Host",
                                        "User-Agent",
                                        "Accept",
                                        "Accept-Encoding",
                                        "Authorization",
                                        "Cookie",
                                        "Referer",
                                        "Content-Type",
                                        "Proxy-Authorization",
                                        "If-None-Match",
                                        "If-Modified-Since"};

/* What a user may not set, and why. */
static const struct {
    const char *name;
    const char *why;
} forbidden[] = {
    {"Content-Length", "haul counts the body (--data) by itself"},
    {"Transfer-Encoding", "haul sends bodies (--data) with their length"},
    {"Range", "haul asks for ranges by itself; --range fetches a part"},
    {"If-Range", "haul asks for ranges by itself"},
};

/* RFC 9110 5.6.2 */
bool request_check_token(struct span s)
{
    static const char marks[] = "!#$%&'*+-.^_`|~";

    for (size_t i = 0; i < s.len; i++) {
        char c = s.data[i];

        if (!(c >= 'a' && c <= 'z') && !(c >= 'A' && c <= 'Z') && !(c >= '0' && c <= '9') &&
            span_find(span_of(marks), c) == sizeof(marks) - 1)
            return false;
    }
    return s.len > 0;
}

/* RFC 9110 5.5: no control character but the tab. */
bool request_check_value(struct span value)
{
    for (size_t i = 0; i < value.len; i++)
        if (((unsigned char)value.data[i] < ' ' && value.data[i] != '\t') || value.data[i] == 0x7f)
            return false;
    return true;
}

static struct span field_name(const char *line)
{
    struct span rest = span_of(line);

    return span_cut(&rest, ':');
}

static struct span field_value(const char *line)
{
    struct span rest = span_of(line);

    span_cut(&rest, ':');
    return span_trim(rest);
}

static void add_value(struct text *out, struct span value)
{
    CHECK(request_check_value(value));
    text_add(out, value);
}

static void add_field(struct text *out, struct span name, struct span value)
{
    add_value(out, name);
    text_add(out, SPAN(": "));
    add_value(out, value);
    text_add(out, SPAN("\r\n"));
}

bool request_has_header(const char *const *headers, size_t count, struct span name)
{
    for (size_t i = 0; i < count; i++)
        if (span_equal_nocase(field_name(headers[i]), name))
            return true;
    return false;
}

/* Whether the user's lines of that name are for this request (RFC 9110 15.4). */
static bool may_go(const struct request_head *head, struct span name)
{
    if (span_starts_nocase(name, SPAN("Content-")))
        return !head->body_left && (head->body.data || !head->other_origin);
    /* That one is written to the proxy only, which stays the same. */
    return !head->other_origin || span_equal_nocase(name, SPAN("Proxy-Authorization"));
}

static bool set_has(const struct request_head *head, size_t set, struct span name)
{
    return request_has_header(head->header_sets[set], head->header_counts[set], name);
}

/* Whether a set of higher precedence than `set` holds the name. */
static bool is_overridden(const struct request_head *head, size_t set, struct span name)
{
    while (++set < head->set_count)
        if (set_has(head, set, name))
            return true;
    return false;
}

/* Writes the user's lines of that name. False: there are none. */
static bool add_users(struct text *out, const struct request_head *head, struct span name)
{
    size_t set = may_go(head, name) ? head->set_count : 0;

    while (set > 0 && !set_has(head, set - 1, name))
        set--;
    if (set == 0)
        return false;
    for (size_t i = 0; i < head->header_counts[set - 1]; i++) {
        const char *line = head->header_sets[set - 1][i];

        if (span_equal_nocase(field_name(line), name) && field_value(line).len > 0)
            add_field(out, field_name(line), field_value(line));
    }
    return true;
}

/* Writes one of our own fields, unless the user has it or it has no value. */
static void add_own(struct text *out, const struct request_head *head, struct span name,
                    struct span value)
{
    if (!add_users(out, head, name) && value.len > 0)
        add_field(out, name, value);
}

static bool is_own(struct span name)
{
    for (size_t i = 0; i < COUNT_OF(own_names); i++)
        if (span_equal_nocase(span_of(own_names[i]), name))
            return true;
    return false;
}

static void add_others(struct text *out, const struct request_head *head)
{
    for (size_t set = 0; set < head->set_count; set++) {
        for (size_t i = 0; i < head->header_counts[set]; i++) {
            const char *line = head->header_sets[set][i];
            struct span name = field_name(line);

            if (field_value(line).len > 0 && !is_own(name) && may_go(head, name) &&
                !is_overridden(head, set, name))
                add_field(out, name, field_value(line));
        }
    }
}

static void add_range(struct text *out, const struct request_head *head)
{
    text_printf(out, "Range: bytes=%llu-", (unsigned long long)head->range_from);
    if (head->range_to != UINT64_MAX)
        text_printf(out, "%llu", (unsigned long long)head->range_to - 1);
    text_add(out, SPAN("\r\n"));
    if (head->if_range.len > 0)
        add_field(out, SPAN("If-Range"), head->if_range);
}

/* RFC 9110 8.6: a method that is made for a body has a length, also where there is no body. */
static void add_body_fields(struct text *out, const struct request_head *head)
{
    bool expected = span_equal(head->method, SPAN("POST")) ||
                    span_equal(head->method, SPAN("PUT")) ||
                    span_equal(head->method, SPAN("PATCH"));

    add_own(out, head, SPAN("Content-Type"), head->body.data ? head->content_type : SPAN(""));
    if (head->body.data || expected)
        text_printf(out, "Content-Length: %llu\r\n", (unsigned long long)head->body.len);
}

void request_write(const struct request_head *head, struct text *out)
{
    CHECK(request_check_token(head->method));
    text_add(out, head->method);
    text_add_char(out, ' ');
    add_value(out, head->to_proxy ? span_of(head->url->text) : head->url->target);
    text_add(out, SPAN(" HTTP/1.1\r\n"));
    add_own(out, head, SPAN("Host"), head->url->authority);
    add_own(out, head, SPAN("User-Agent"), head->user_agent);
    add_own(out, head, SPAN("Accept"), SPAN("*/*"));
    add_own(out, head, SPAN("Accept-Encoding"),
            head->codings ? SPAN("gzip, deflate, br, zstd") : SPAN("identity"));
    add_own(out, head, SPAN("Authorization"), head->authorization);
    if (head->to_proxy)
        add_own(out, head, SPAN("Proxy-Authorization"), span_of(head->to_proxy->authorization));
    add_own(out, head, SPAN("Cookie"), head->cookies);
    add_own(out, head, SPAN("Referer"), head->referer);
    add_body_fields(out, head);
    if (head->range.len > 0) {
        text_add(out, SPAN("Range: bytes="));
        add_value(out, head->range);
        text_add(out, SPAN("\r\n"));
    } else if (head->ranged)
        add_range(out, head);
    add_own(out, head, SPAN("If-None-Match"), head->if_none_match);
    add_own(out, head, SPAN("If-Modified-Since"), head->if_modified_since);
    add_others(out, head);
    text_add(out, SPAN("\r\n"));
}

/* The line as an error shows it: its name alone, for the value may be a secret. */
static void refuse(struct haul_error *error, const char *line, const char *why)
{
    struct text shown = {0};
    struct span whole = span_of(line);
    size_t len = span_find(whole, ':');

    if (len == whole.len)
        len = span_find(whole, ' ');
    if (len > SHOWN_MAX)
        len = SHOWN_MAX;
    text_add_escaped(&shown, span_sub(whole, 0, len));
    if (whole.len > len)
        text_add(&shown, SPAN("..."));
    error_set(error, HAUL_BAD_OPTION, 0, "the header \"%.*s\" can't be sent: %s",
              SPAN_ARG(text_span(&shown)), why);
    text_free(&shown);
}

bool request_check_header(const char *line, struct haul_error *error)
{
    struct span name = field_name(line);

    if (name.len == span_of(line).len) {
        refuse(error, line, "it has no colon; it should look like \"Name: value\"");
        return false;
    }
    if (!request_check_token(name)) {
        refuse(error, line, "what stands before the colon is no header name");
        return false;
    }
    if (!request_check_value(field_value(line))) {
        refuse(error, line, "it holds a control character");
        return false;
    }
    for (size_t i = 0; i < COUNT_OF(forbidden); i++) {
        if (span_equal_nocase(name, span_of(forbidden[i].name))) {
            refuse(error, line, forbidden[i].why);
            return false;
        }
    }
    return true;
}
