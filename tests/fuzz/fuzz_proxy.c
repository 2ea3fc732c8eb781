/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Input: a proxy, a NUL, a list of what none is for, a NUL, and a URL. */
#include "tests/fuzz/fuzz.h"

#include "http/proxy.h"

static void check_proxy(const struct proxy *proxy)
{
    struct proxy *again;

    CHECK(proxy->port > 0 && proxy->host.len > 0 && fuzz_is_wire_safe(span_of(proxy->text)));
    CHECK(!strchr(proxy->text, '@'));
    CHECK(!proxy->authorization || (proxy->kind == PROXY_HTTP && proxy->login));
    CHECK(proxy->kind == PROXY_HTTP || !proxy->authorization);
    again = proxy_parse(span_of(proxy->text), NULL);
    CHECK(again && again->kind == proxy->kind && strcmp(again->text, proxy->text) == 0);
    CHECK(again->port == proxy->port && !again->login);
    proxy_destroy(again);
}

static size_t count_line_ends(struct span head)
{
    size_t count = 0;

    for (size_t i = 0; i < head.len; i++)
        count += head.data[i] == '\n';
    return count;
}

static void check_connect(const struct proxy *proxy, const struct url *url)
{
    struct text head = {0}, memory = {0};
    struct span way = proxy_way(proxy, url, &memory);

    CHECK(way.len > 0 && !span_equal(way, url_origin(url)));
    proxy_write_connect(proxy, url, &head);
    CHECK(span_starts_nocase(text_span(&head), SPAN("CONNECT ")));
    CHECK(count_line_ends(text_span(&head)) == (proxy->authorization ? 4u : 3u));
    CHECK(memcmp(head.data + head.len - 4, "\r\n\r\n", 4) == 0);
    text_free(&head);
    text_free(&memory);
}

static void check_rules(const char *proxy, const char *none, const struct url *url)
{
    struct proxy_setup setup = {.all = proxy, .none = none}, every = {.all = proxy, .none = "*"};
    struct proxy_rules *rules = proxy_rules_create(&setup, NULL);
    const struct proxy *chosen;

    if (!rules)
        return;
    chosen = proxy_choose(rules, url);
    if (chosen)
        check_connect(chosen, url);
    proxy_rules_destroy(rules);
    rules = proxy_rules_create(&every, NULL);
    CHECK(rules && !proxy_choose(rules, url));
    proxy_rules_destroy(rules);
}

/* Whatever stands behind a login, nothing of it is shown. No host can have such a name. */
static void check_secret(struct span rest)
{
    struct haul_error error = {0};
    struct text input = {0};
    struct proxy *proxy;

    if (memmem(rest.data, rest.len, "hun^ter2", 8))
        return;
    text_add(&input, SPAN("http://user:hun^ter2@"));
    text_add(&input, rest);
    proxy = proxy_parse(text_span(&input), &error);
    if (proxy)
        CHECK(!strstr(proxy->text, "hun^ter2"));
    else
        CHECK(!strstr(error.text, "hun^ter2"));
    proxy_destroy(proxy);
    text_free(&input);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = fuzz_span(data, size);
    struct span input = span_cut(&rest, '\0'), none = span_cut(&rest, '\0');
    struct text proxy_text = {0}, none_text = {0};
    struct haul_error error = {0};
    struct proxy *proxy = proxy_parse(input, &error);
    struct url url;

    if (proxy)
        check_proxy(proxy);
    else
        CHECK(error.status == HAUL_BAD_OPTION && error.text[0] &&
              fuzz_is_utf8(span_of(error.text)));
    proxy_destroy(proxy);
    check_secret(input);
    text_add(&proxy_text, input);
    text_add(&none_text, none);
    if (url_parse(&url, rest, NULL) || url_parse(&url, SPAN("https://h.example/"), NULL)) {
        check_rules(proxy_text.data, none_text.data, &url);
        url_free(&url);
    }
    text_free(&proxy_text);
    text_free(&none_text);
    return 0;
}
