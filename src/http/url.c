/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From the bytes that were given to the bytes that are sent:
 *
 *   input -> clean copy -> reference -> text + marks -> struct url
 *            (trimmed, no  (its parts, (written once, front
 *             line ends)    as spans)   to back, normalized)
 *
 * Invariants: the text is written by append only, so its parts are kept as offsets (marks) until
 * it has stopped moving. Every byte of it is printable ASCII. Parsing the text of a URL again
 * gives the same text. What url_resolve() takes from its base is normalized already and copied.
 */
#include "http/url.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "http/escape.h"
#include "http/host.h"

enum {
    PORT_HTTP = 80,
    PORT_HTTPS = 443,
    SHOWN_MAX = 40 /* bytes of a part that an error shows */
};

/* A URL reference taken apart; the spans point into the clean copy. */
struct reference {
    bool secure;
    bool has_authority; /* else the base's */
    struct span authority;
    struct span path;
    bool has_query; /* else the base's, if path is empty too */
    struct span query;
};

/* Where the parts stand in the text. */
struct marks {
    size_t authority;
    size_t authority_end;
    size_t host;
    size_t host_end;
    size_t path;
    size_t path_end;
};

/* What a byte must not be sent as, in which part (the standard's percent-encode sets). A "%" that
 * begins no escape is sent as it is, as browsers do. */
enum { ESCAPED_IN_PATH = 1, ESCAPED_IN_QUERY = 2, ESCAPED = ESCAPED_IN_PATH | ESCAPED_IN_QUERY };

static const unsigned char escaped_bytes[256] = {
    [0x00 ... ' '] = ESCAPED,  ['"'] = ESCAPED,         ['#'] = ESCAPED,
    ['\''] = ESCAPED_IN_QUERY, ['<'] = ESCAPED,         ['>'] = ESCAPED,
    ['?'] = ESCAPED_IN_PATH,   ['^'] = ESCAPED_IN_PATH, ['`'] = ESCAPED_IN_PATH,
    ['{'] = ESCAPED_IN_PATH,   ['}'] = ESCAPED_IN_PATH, [0x7f ... 0xff] = ESCAPED};

static bool is_slash(char c)
{
    return c == '/' || c == '\\';
}

static bool is_alpha(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static size_t find_slash(struct span s)
{
    size_t at = 0;

    while (at < s.len && !is_slash(s.data[at]))
        at++;
    return at;
}

static struct span behind(struct span s, size_t from)
{
    return span_sub(s, from, s.len);
}

static bool out_of_memory(struct haul_error *error)
{
    error_set(error, HAUL_OUT_OF_MEMORY, 0, "no memory is left for a URL");
    return false;
}

static bool too_long(struct haul_error *error)
{
    error_set(error, HAUL_BAD_URL, 0, "the URL is longer than %d KiB", URL_BYTES_MAX / 1024);
    return false;
}

/* --- taking apart --- */

static bool is_dropped(char c)
{
    return c == '\t' || c == '\n' || c == '\r';
}

/* Without blanks and control characters at the ends, nor tabs and line ends within. The copy is
 * used only where there are any. */
static bool clean(struct span *input, struct text *copy, struct haul_error *error)
{
    size_t at = 0;

    while (input->len > 0 && (unsigned char)input->data[0] <= ' ')
        *input = behind(*input, 1);
    while (input->len > 0 && (unsigned char)input->data[input->len - 1] <= ' ')
        input->len--;
    if (input->len > URL_BYTES_MAX)
        return too_long(error);
    while (at < input->len && !is_dropped(input->data[at]))
        at++;
    if (at == input->len)
        return true;
    for (size_t i = 0; i < input->len; i++)
        if (!is_dropped(input->data[i]))
            text_add_char(copy, input->data[i]);
    *input = text_span(copy);
    return copy->failed ? out_of_memory(error) : true;
}

/* The length of the scheme that s begins with; 0: none. */
static size_t scheme_length(struct span s)
{
    size_t len = 0;

    while (len < s.len && (is_alpha(s.data[len]) ||
                           (len > 0 && (span_is_digit(s.data[len]) || s.data[len] == '+' ||
                                        s.data[len] == '-' || s.data[len] == '.'))))
        len++;
    return len < s.len && s.data[len] == ':' ? len : 0;
}

/* "localhost:8080/x" and "example.com:x" have the form of a scheme, but were not meant as one. */
static bool is_host_and_port(struct span scheme, struct span rest)
{
    return span_find(scheme, '.') < scheme.len || (rest.len > 0 && span_is_digit(rest.data[0])) ||
           span_equal_nocase(scheme, SPAN("localhost"));
}

static bool starts_with_two_slashes(struct span s)
{
    return s.len >= 2 && is_slash(s.data[0]) && is_slash(s.data[1]);
}

/* Takes the scheme off *rest. "http:x" is relative to a base of the same scheme, as in browsers. */
static bool take_scheme(struct span *rest, const struct url *base, struct reference *reference,
                        struct haul_error *error)
{
    size_t len = scheme_length(*rest);
    struct span scheme = span_sub(*rest, 0, len);
    struct span behind_scheme = behind(*rest, len + 1);
    bool secure = span_equal_nocase(scheme, SPAN("https"));
    bool known = secure || span_equal_nocase(scheme, SPAN("http"));

    if (len == 0 && base) {
        reference->secure = base->secure;
        reference->has_authority = starts_with_two_slashes(*rest);
        return true;
    }
    if (len == 0 || (!base && !known && is_host_and_port(scheme, behind_scheme))) {
        error_set(error, HAUL_BAD_URL, 0,
                  "the URL has no scheme: put http:// or https:// before it");
        return false;
    }
    if (!known) {
        scheme = span_sub(scheme, 0, SHOWN_MAX);
        error_set(error, HAUL_BAD_URL, 0, "%.*s is not supported: haul fetches http and https",
                  SPAN_ARG(scheme));
        return false;
    }
    *rest = behind_scheme;
    reference->secure = secure;
    reference->has_authority = !base || base->secure != secure || starts_with_two_slashes(*rest);
    return true;
}

static bool take_apart(struct span input, const struct url *base, struct reference *reference,
                       struct haul_error *error)
{
    struct span rest = span_cut(&input, '#');

    if (!take_scheme(&rest, base, reference, error))
        return false;
    reference->path = span_cut(&rest, '?');
    /* Whether a "?" stood there: the path then ends before what was cut. */
    reference->has_query = rest.data != reference->path.data + reference->path.len;
    reference->query = rest;
    if (reference->has_authority) {
        struct span path = reference->path;

        while (path.len > 0 && is_slash(path.data[0]))
            path = behind(path, 1);
        reference->authority = span_sub(path, 0, find_slash(path));
        reference->path = behind(path, reference->authority.len);
    }
    return true;
}

/* --- host and port --- */

/* digits: what stands behind the colon; empty: the default. */
static bool parse_port(struct span digits, bool secure, uint16_t *port, struct haul_error *error)
{
    uint64_t value = secure ? PORT_HTTPS : PORT_HTTP;

    if (digits.len > 0 && (!span_to_u64(digits, &value) || value == 0 || value > UINT16_MAX)) {
        error_set(error, HAUL_BAD_URL, 0, "the port is not a number from 1 to 65535");
        return false;
    }
    *port = (uint16_t)value;
    return true;
}

/* raw: "host", "host:port" or "[IPv6]:port". */
static bool add_host(struct text *out, struct span raw, struct url *url, struct marks *marks,
                     struct haul_error *error)
{
    struct host_name host;
    bool bracketed = raw.len > 0 && raw.data[0] == '[';
    struct span name;

    if (bracketed) {
        size_t end = span_find(raw, ']');

        if (end == raw.len || (end + 1 < raw.len && raw.data[end + 1] != ':')) {
            error_set(error, HAUL_BAD_URL, 0, "the brackets around the host are not closed");
            return false;
        }
        name = span_sub(raw, 1, end - 1);
        raw = behind(raw, end + 2);
    } else {
        name = span_cut(&raw, ':');
        if (span_find(raw, ':') < raw.len) {
            error_set(error, HAUL_BAD_URL, 0,
                      "the host holds several colons: an IPv6 address goes in brackets");
            return false;
        }
    }
    if (!(bracketed ? host_parse_ipv6(&host, name, error) : host_parse(&host, name, error)) ||
        !parse_port(raw, url->secure, &url->port, error))
        return false;
    if (bracketed)
        text_add_char(out, '[');
    marks->host = out->len;
    text_add(out, span_make(host.data, host.len));
    marks->host_end = out->len;
    if (bracketed)
        text_add_char(out, ']');
    if (url->port != (url->secure ? PORT_HTTPS : PORT_HTTP))
        text_printf(out, ":%u", (unsigned)url->port);
    return true;
}

/* --- login --- */

/* Decoded into url->login; none where both user and password are empty. */
static bool parse_login(struct span raw, struct url *url, struct haul_error *error)
{
    struct text login = {0};
    bool in_password = false;
    const char *wrong = NULL;

    while (raw.len > 0 && !wrong) {
        bool separator = !in_password && raw.data[0] == ':';
        unsigned char c = escape_take_byte(&raw);

        if (c < ' ' || c == 0x7f)
            wrong = "the login holds a control character";
        else if (c == ':' && !in_password && !separator)
            wrong = "the user name holds a colon, which no HTTP login can carry";
        in_password = in_password || separator;
        text_add_char(&login, (char)c);
    }
    if (!in_password)
        text_add_char(&login, ':');
    if (wrong || login.failed) {
        text_free(&login);
        if (!wrong)
            return out_of_memory(error);
        error_set(error, HAUL_BAD_URL, 0, "%s", wrong);
        return false;
    }
    if (login.len == 1)
        text_free(&login);
    url->login = login.data;
    return true;
}

static bool add_authority(struct text *out, struct span raw, struct url *url, struct marks *marks,
                          struct haul_error *error)
{
    size_t at = raw.len;

    while (at > 0 && raw.data[at - 1] != '@')
        at--;
    if (at > 0 && !parse_login(span_sub(raw, 0, at - 1), url, error))
        return false;
    marks->authority = out->len;
    if (!add_host(out, behind(raw, at), url, marks, error))
        return false;
    marks->authority_end = out->len;
    return true;
}

static bool copy_authority(struct text *out, const struct url *base, struct url *url,
                           struct marks *marks, struct haul_error *error)
{
    CHECK(base); /* without one, a reference without authority was refused before */
    marks->authority = out->len;
    text_add(out, base->authority);
    marks->authority_end = out->len;
    marks->host = marks->authority + (size_t)(base->host.data - base->authority.data);
    marks->host_end = marks->host + base->host.len;
    url->port = base->port;
    if (base->login) {
        url->login = alloc_copy(base->login, strlen(base->login));
        if (!url->login)
            return out_of_memory(error);
    }
    return true;
}

/* --- path and query --- */

/* part: ESCAPED_IN_PATH or ESCAPED_IN_QUERY. */
static void add_encoded(struct text *out, struct span s, unsigned part)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t plain = 0;

    for (size_t i = 0; i < s.len; i++) {
        unsigned char c = (unsigned char)s.data[i];
        char escape[3] = {'%', digits[c >> 4], digits[c & 15]};

        if (!(escaped_bytes[c] & part))
            continue;
        text_add(out, span_sub(s, plain, i - plain));
        text_add(out, span_make(escape, sizeof(escape)));
        plain = i + 1;
    }
    text_add(out, behind(s, plain));
}

/* Whether a path has segments that are no dots, and slashes that are none the wrong way round. */
static bool is_straight(struct span path)
{
    for (size_t i = 0; i < path.len; i++) {
        if (path.data[i] == '\\')
            return false;
        if ((i == 0 || path.data[i - 1] == '/') && (path.data[i] == '.' || path.data[i] == '%'))
            return false;
    }
    return true;
}

/* 1 for ".", 2 for "..", also where a dot is written as %2e; else 0. */
static unsigned dot_segment(struct span s)
{
    unsigned dots = 0;

    while (s.len > 0) {
        size_t len = span_starts_nocase(s, SPAN("%2e")) ? 3 : 1;

        if ((len == 1 && s.data[0] != '.') || ++dots > 2)
            return 0;
        s = behind(s, len);
    }
    return dots;
}

/* Takes the last segment, with its slash, off the path that begins at `start`. */
static void drop_segment(struct text *out, size_t start)
{
    if (out->failed)
        return;
    while (out->len > start && out->data[--out->len] != '/')
        ;
    out->data[out->len] = '\0';
}

/* Appends the segments of path to the path that begins at `start` (RFC 3986 5.2.4). */
static void add_segments(struct text *out, size_t start, struct span path)
{
    bool last = false;

    if (path.len > 0 && is_slash(path.data[0]))
        path = behind(path, 1);
    if (is_straight(path)) {
        text_add_char(out, '/');
        add_encoded(out, path, ESCAPED_IN_PATH);
        return;
    }
    while (!last) {
        struct span segment = span_sub(path, 0, find_slash(path));
        unsigned dots = dot_segment(segment);

        last = segment.len == path.len;
        path = behind(path, segment.len + 1);
        if (dots == 2)
            drop_segment(out, start);
        if (dots == 0 || last)
            text_add_char(out, '/');
        if (dots == 0)
            add_encoded(out, segment, ESCAPED_IN_PATH);
    }
}

static void add_target(struct text *out, const struct reference *reference, const struct url *base,
                       struct marks *marks)
{
    struct span path = reference->path;

    marks->path = out->len;
    if (reference->has_authority || (path.len > 0 && is_slash(path.data[0]))) {
        add_segments(out, marks->path, path);
    } else if (path.len == 0) {
        text_add(out, base->path);
    } else {
        struct span folder = base->path;

        while (folder.data[folder.len - 1] != '/')
            folder.len--;
        text_add(out, span_sub(folder, 0, folder.len - 1));
        add_segments(out, marks->path, path);
    }
    marks->path_end = out->len;
    if (reference->has_query) {
        text_add_char(out, '?');
        add_encoded(out, reference->query, ESCAPED_IN_QUERY);
    } else if (!reference->has_authority && path.len == 0) {
        text_add(out, behind(base->target, base->path.len));
    }
}

/* --- all together --- */

static struct span marked(const struct url *url, size_t from, size_t to)
{
    return span_make(url->text + from, to - from);
}

static bool build(struct url *url, const struct reference *reference, const struct url *base,
                  struct haul_error *error)
{
    struct text out = {0};
    struct marks marks = {0};
    bool good;

    url->secure = reference->secure;
    (void)text_reserve(&out, sizeof("https://") + reference->authority.len + reference->path.len +
                                 reference->query.len + 1);
    text_add(&out, reference->secure ? SPAN("https://") : SPAN("http://"));
    if (reference->has_authority)
        good = add_authority(&out, reference->authority, url, &marks, error);
    else
        good = copy_authority(&out, base, url, &marks, error);
    if (good)
        add_target(&out, reference, base, &marks);
    if (good && out.failed)
        good = out_of_memory(error);
    if (good && out.len > URL_BYTES_MAX)
        good = too_long(error);
    if (!good) {
        text_free(&out);
        return false;
    }
    url->text = out.data;
    url->authority = marked(url, marks.authority, marks.authority_end);
    url->host = marked(url, marks.host, marks.host_end);
    url->path = marked(url, marks.path, marks.path_end);
    url->target = marked(url, marks.path, out.len);
    return true;
}

/* base: NULL if there is none. *url may not be the base. */
static bool parse(struct url *url, const struct url *base, struct span input,
                  struct haul_error *error)
{
    struct text copy = {0};
    struct reference reference = {0};
    bool good;

    *url = (struct url){0};
    good = clean(&input, &copy, error) && take_apart(input, base, &reference, error) &&
           build(url, &reference, base, error);
    text_free(&copy);
    if (!good)
        url_free(url);
    return good;
}

bool url_parse(struct url *url, struct span input, struct haul_error *error)
{
    return parse(url, NULL, input, error);
}

bool url_resolve(struct url *url, const struct url *base, struct span reference,
                 struct haul_error *error)
{
    CHECK(url != base && base->text);
    return parse(url, base, reference, error);
}

static struct span moved_span(struct span span, const char *from, const char *to)
{
    return span.data ? span_make(to + (span.data - from), span.len) : span;
}

bool url_copy(struct url *copy, const struct url *url)
{
    *copy = *url;
    copy->text = alloc_copy(url->text, strlen(url->text));
    copy->login = url->login ? alloc_copy(url->login, strlen(url->login)) : NULL;
    if (!copy->text || (url->login && !copy->login)) {
        url_free(copy);
        return false;
    }
    copy->host = moved_span(url->host, url->text, copy->text);
    copy->authority = moved_span(url->authority, url->text, copy->text);
    copy->target = moved_span(url->target, url->text, copy->text);
    copy->path = moved_span(url->path, url->text, copy->text);
    return true;
}

void url_free(struct url *url)
{
    free(url->text);
    alloc_forget(url->login);
    *url = (struct url){0};
}

void url_show(struct span input, struct text *shown)
{
    struct url url;
    size_t at = input.len;

    if (url_parse(&url, input, NULL)) {
        text_add(shown, span_of(url.text));
        url_free(&url);
        return;
    }
    /* It can't be told where a login would end: nothing before the last "@" is shown. */
    while (at > 0 && input.data[at - 1] != '@')
        at--;
    if (at > 0)
        text_add(shown, SPAN("..."));
    text_add(shown, span_sub(input, at, input.len));
}

struct span url_origin(const struct url *url)
{
    const char *end = url->authority.data + url->authority.len;

    return span_make(url->text, (size_t)(end - url->text));
}

bool url_same_origin(const struct url *a, const struct url *b)
{
    return a->secure == b->secure && a->port == b->port && span_equal(a->host, b->host);
}
