/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Input: lines; the first byte of each says which server is meant and what happens: a Set-Cookie
 * comes from there, or time goes by. What goes back never leaves the site, the file of it all comes
 * to the same jar again, and no jar grows beyond its bounds.
 */
#include "tests/fuzz/fuzz.h"

#include "http/cookie.h"
#include "http/request.h"
#include "session/jar.h"

enum { SITES = 8, ELSEWHERE = SITES };

static const char *const urls[] = {
    "https://example.com/",   "http://example.com/a/b",      "https://www.example.com/a/",
    "http://example.co.uk/",  "https://a.b.example.co.uk/b", "http://127.0.0.1/",
    "https://[::1]:8443/a/b", "https://example.com./",       "https://elsewhere.test/a/b"};

static struct url sites[COUNT_OF(urls)];

static void check_cookie(struct span line, int64_t now_s)
{
    struct cookie cookie;
    int64_t when_s;

    if (cookie_date(line, &when_s))
        CHECK(when_s >= INT64_C(-11644473600) && when_s < INT64_C(253402300800));
    if (!cookie_parse(line, now_s, &cookie))
        return;
    CHECK(cookie.name.len + cookie.value.len > 0);
    CHECK(cookie.name.len + cookie.value.len <= COOKIE_PAIR_BYTES_MAX);
    CHECK(request_check_value(cookie.name) && request_check_value(cookie.value));
    CHECK(span_find(cookie.name, '=') == cookie.name.len);
    CHECK(span_find(cookie.name, ';') == cookie.name.len);
    CHECK(span_find(cookie.value, ';') == cookie.value.len);
    CHECK(cookie.path.len == 0 || cookie.path.data[0] == '/');
    if (cookie.persistent)
        CHECK(cookie.expires_s == INT64_MIN || cookie.expires_s <= now_s + COOKIE_AGE_S_MAX);
}

static void give(struct jar *jar, size_t site, int64_t now_s, struct text *field)
{
    jar_give(jar, &sites[site], now_s, field);
    CHECK(!field->failed && field->len <= JAR_FIELD_BYTES_MAX);
    CHECK(request_check_value(text_span(field)));
    CHECK(site != ELSEWHERE || field->len == 0);
}

/* A file can't hold what has a tab in it. */
static bool has_tabs(struct jar *jar, int64_t now_s)
{
    bool has = false;

    for (size_t i = 0; i < COUNT_OF(urls); i++) {
        struct text field = {0};

        give(jar, i, now_s, &field);
        has = has || span_find(text_span(&field), '\t') < field.len;
        text_free(&field);
    }
    return has;
}

static void check_file(struct jar *jar, int64_t now_s)
{
    struct text file = {0}, again = {0};
    struct jar_faults faults = {0};
    struct jar *other = jar_create(2);

    CHECK(other);
    jar_write(jar, now_s, &file);
    jar_read(other, text_span(&file), now_s, &faults);
    CHECK(faults.malformed == 0 && faults.expired == 0);
    jar_write(other, now_s, &again);
    CHECK(span_equal(text_span(&file), text_span(&again)));
    for (size_t i = 0; i < COUNT_OF(urls) && !has_tabs(jar, now_s); i++) {
        struct text one = {0}, two = {0};

        give(jar, i, now_s, &one);
        give(other, i, now_s, &two);
        CHECK(span_equal(text_span(&one), text_span(&two)));
        text_free(&one);
        text_free(&two);
    }
    text_free(&file);
    text_free(&again);
    jar_destroy(other);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = fuzz_span(data, size);
    struct jar *jar = jar_create(1);
    int64_t now_s = 784111777;

    CHECK(jar);
    for (size_t i = 0; i < COUNT_OF(urls); i++)
        CHECK(url_parse(&sites[i], span_of(urls[i]), NULL));
    while (rest.len > 0) {
        struct span line = span_cut(&rest, '\n');
        uint8_t what = fuzz_byte(&line);

        check_cookie(line, now_s);
        if ((what & 0xf8) == 0xf8)
            now_s += INT64_C(1) << 3 * (what & 7);
        else
            jar_take(jar, &sites[what % SITES], line, now_s);
        CHECK(jar_count(jar) <= JAR_COOKIES_MAX);
    }
    check_file(jar, now_s);
    jar_destroy(jar);
    for (size_t i = 0; i < COUNT_OF(urls); i++)
        url_free(&sites[i]);
    return 0;
}
