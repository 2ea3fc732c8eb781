/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Input: a URL, a NUL, and a reference that is resolved against it, and against a base that is
 * always there.
 */
#include "tests/fuzz/fuzz.h"

#include "http/request.h"
#include "http/url.h"

static const char base_text[] = "https://base.example:8443/a/b/c;d?e=f";

static bool within(struct span part, const char *text)
{
    return part.data >= text && part.data + part.len <= text + strlen(text);
}

static bool has_dot_segment(struct span path)
{
    while (path.len > 0) {
        struct span segment = span_cut(&path, '/');

        if (span_equal(segment, SPAN(".")) || span_equal(segment, SPAN("..")))
            return true;
    }
    return false;
}

static void check_parts(const struct url *url)
{
    struct text authority = {0}, origin = {0};
    bool brackets = span_find(url->host, ':') < url->host.len;

    CHECK(strlen(url->text) <= URL_BYTES_MAX && fuzz_is_wire_safe(span_of(url->text)));
    CHECK(within(url->host, url->text) && within(url->authority, url->text));
    CHECK(within(url->target, url->text) && within(url->path, url->text));
    CHECK(url->host.len > 0 && url->port > 0);
    for (size_t i = 0; i < url->host.len; i++)
        CHECK(!(url->host.data[i] >= 'A' && url->host.data[i] <= 'Z') &&
              !strchr("/?#@\\<>^|%[]", url->host.data[i]));
    text_printf(&authority, "%s%.*s%s", brackets ? "[" : "", SPAN_ARG(url->host),
                brackets ? "]" : "");
    if (url->port != (url->secure ? 443 : 80))
        text_printf(&authority, ":%u", url->port);
    CHECK(span_equal(text_span(&authority), url->authority));
    text_printf(&origin, "%s://%s", url->secure ? "https" : "http", authority.data);
    CHECK(span_equal(text_span(&origin), url_origin(url)));
    CHECK(url->target.len > 0 && url->target.data[0] == '/');
    CHECK(url->path.data == url->target.data && url->path.len <= url->target.len);
    CHECK(url->path.len == url->target.len || url->target.data[url->path.len] == '?');
    CHECK(origin.len + url->target.len == strlen(url->text) && !has_dot_segment(url->path));
    CHECK(span_find(url->target, '#') == url->target.len);
    text_free(&authority);
    text_free(&origin);
    if (url->login) {
        CHECK(strchr(url->login, ':'));
        for (const char *c = url->login; *c; c++)
            CHECK((unsigned char)*c >= ' ' && *c != 0x7f);
    }
}

static void check_same(const struct url *a, const struct url *b, bool login)
{
    CHECK(strcmp(a->text, b->text) == 0 && a->secure == b->secure && a->port == b->port);
    CHECK(span_equal(a->host, b->host) && span_equal(a->authority, b->authority));
    CHECK(span_equal(a->path, b->path) && span_equal(a->target, b->target));
    CHECK(url_same_origin(a, b));
    if (login)
        CHECK(!a->login == !b->login && (!a->login || strcmp(a->login, b->login) == 0));
    else
        CHECK(!b->login);
}

/* What it comes to is the same URL again, whichever way it goes. */
static void check_again(const struct url *url)
{
    struct url other;
    struct text shown = {0};

    CHECK(url_parse(&other, span_of(url->text), NULL));
    check_same(url, &other, false);
    url_free(&other);
    CHECK(url_resolve(&other, url, span_of(url->text), NULL));
    check_same(url, &other, false);
    url_free(&other);
    CHECK(url_resolve(&other, url, SPAN(""), NULL));
    check_same(url, &other, true);
    url_free(&other);
    /* A path that begins with two slashes would be a host. */
    if (!span_starts_nocase(url->target, SPAN("//"))) {
        CHECK(url_resolve(&other, url, url->target, NULL));
        check_same(url, &other, true);
        url_free(&other);
    }
    CHECK(url_copy(&other, url));
    check_same(url, &other, true);
    url_free(&other);
    url_show(span_of(url->text), &shown);
    CHECK(span_equal(text_span(&shown), span_of(url->text)));
    text_free(&shown);
}

/* request_write() CHECKs that nothing splits its lines; the first two are the URL's. */
static void check_request(const struct url *url)
{
    struct request_head head = {.method = SPAN("GET"), .url = url};
    struct text out = {0}, expected = {0};

    request_write(&head, &out);
    text_add(&expected, SPAN("GET "));
    text_add(&expected, url->target);
    text_add(&expected, SPAN(" HTTP/1.1\r\nHost: "));
    text_add(&expected, url->authority);
    text_add(&expected, SPAN("\r\n"));
    CHECK(out.len > expected.len && memcmp(out.data, expected.data, expected.len) == 0);
    CHECK(memcmp(out.data + out.len - 4, "\r\n\r\n", 4) == 0);
    for (size_t i = 0; i + 4 < out.len; i++)
        CHECK(memcmp(out.data + i, "\r\n\r\n", 4) != 0);
    text_free(&out);
    text_free(&expected);
}

static void check(const struct url *url)
{
    struct text name = {0};

    check_parts(url);
    check_again(url);
    check_request(url);
    url_file_name(url, &name);
    fuzz_check_name(text_span(&name));
    text_free(&name);
}

static void check_refused(const struct url *url, const struct haul_error *error)
{
    CHECK(!url->text && !url->login && error->status == HAUL_BAD_URL && error->text[0]);
    CHECK(fuzz_is_utf8(span_of(error->text)));
    for (const char *c = error->text; *c; c++)
        CHECK((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void resolve(const struct url *base, struct span reference)
{
    struct haul_error error = {0};
    struct url url;

    if (url_resolve(&url, base, reference, &error)) {
        check(&url);
        /* The login of one server is nothing for another. */
        CHECK(!base->login || !url.login || url_same_origin(base, &url) ||
              span_find(reference, '@') < reference.len);
    } else {
        check_refused(&url, &error);
    }
    url_free(&url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span reference = fuzz_span(data, size);
    struct span input = span_cut(&reference, '\0');
    struct haul_error error = {0};
    struct url url, base;
    struct text shown = {0};

    CHECK(url_parse(&base, span_of(base_text), NULL));
    if (url_parse(&url, input, &error)) {
        check(&url);
        resolve(&url, reference);
    } else {
        check_refused(&url, &error);
    }
    resolve(&base, reference);
    resolve(&base, input);
    url_show(fuzz_span(data, size), &shown);
    text_free(&shown);
    url_free(&url);
    url_free(&base);
    return 0;
}
