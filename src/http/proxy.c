/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Host, port and login of a proxy are read as those of a URL are, by url_parse(), under a scheme
 * that it knows. What no proxy is for is taken apart once, into entries that a URL is held
 * against.
 */
#include "http/proxy.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "base/check.h"
#include "http/host.h"

enum { ADDRESS_BYTES_MAX = 16, SHOWN_MAX = 120 };

static const struct {
    const char *scheme;
    enum proxy_kind kind;
} kinds[] = {
    {"http", PROXY_HTTP},     {"socks4", PROXY_SOCKS4},   {"socks4a", PROXY_SOCKS4A},
    {"socks5", PROXY_SOCKS5}, {"socks5h", PROXY_SOCKS5H},
};

/* --- one proxy ------------------------------------------------------------------------------- */

static void refuse(struct haul_error *error, struct span input, const char *why)
{
    struct text shown = {0}, escaped = {0};

    url_show(input, &shown);
    text_add_escaped(&escaped, span_sub(text_span(&shown), 0, SHOWN_MAX));
    error_set(error, HAUL_BAD_OPTION, 0, "the proxy \"%.*s\" can't be used: %s",
              SPAN_ARG(text_span(&escaped)), why);
    text_free(&shown);
    text_free(&escaped);
}

static void out_of_memory(struct haul_error *error)
{
    error_set(error, HAUL_OUT_OF_MEMORY, 0, "no memory is left for a proxy");
}

/* Takes the scheme off *rest. */
static bool take_kind(struct span *rest, enum proxy_kind *kind, struct haul_error *error)
{
    static const char mark[] = "://";
    struct span input = *rest;
    struct span scheme;
    size_t len = span_find(input, ':');

    *kind = PROXY_HTTP;
    if (!span_starts_nocase(span_sub(input, len, input.len), span_of(mark)))
        return true;
    scheme = span_sub(input, 0, len);
    *rest = span_sub(input, len + strlen(mark), input.len);
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        *kind = kinds[i].kind;
        if (span_equal_nocase(scheme, span_of(kinds[i].scheme)))
            return true;
    }
    if (span_equal_nocase(scheme, SPAN("https")))
        refuse(error, input,
               "haul does not speak TLS to a proxy; with http:// what is fetched from "
               "https:// is encrypted all the same");
    else
        refuse(error, input, "haul knows http, socks4, socks4a, socks5 and socks5h");
    return false;
}

/* Whether a port is named in "[login@]host[:port][/...]". */
static bool names_port(struct span s)
{
    size_t at = 0;

    while (at < s.len && !strchr("/\\?#", s.data[at]))
        at++;
    s.len = at;
    while (at > 0 && s.data[at - 1] != ':' && s.data[at - 1] != ']' && s.data[at - 1] != '@')
        at--;
    return at > 0 && at < s.len && s.data[at - 1] == ':';
}

static const char *scheme_of(enum proxy_kind kind)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++)
        if (kinds[i].kind == kind)
            return kinds[i].scheme;
    UNREACHABLE();
}

/* What SOCKS can carry of a login. */
static bool check_login(const struct proxy *proxy)
{
    struct span password = span_of(proxy->login);
    struct span user = span_cut(&password, ':');

    return proxy->kind == PROXY_HTTP ||
           (user.len <= PROXY_LOGIN_PART_MAX && password.len <= PROXY_LOGIN_PART_MAX);
}

static void add_endpoint(struct text *out, struct span host, uint16_t port)
{
    bool v6 = span_find(host, ':') < host.len;

    text_printf(out, "%s%.*s%s:%u", v6 ? "[" : "", SPAN_ARG(host), v6 ? "]" : "", (unsigned)port);
}

static bool write_texts(struct proxy *proxy, struct span host)
{
    struct text text = {0}, key = {0}, basic = {0};
    size_t host_at = strlen(scheme_of(proxy->kind)) + strlen("://");

    text_printf(&text, "%s://", scheme_of(proxy->kind));
    add_endpoint(&text, host, proxy->port);
    /* No origin begins so, and no login holds a line end. */
    text_printf(&key, "proxy %s\n%s\n", text.data ? text.data : "",
                proxy->login ? proxy->login : "");
    if (proxy->kind == PROXY_HTTP && proxy->login) {
        text_add(&basic, SPAN("Basic "));
        base64_add(&basic, span_of(proxy->login));
    }
    proxy->text = text.data;
    proxy->key = key.data;
    proxy->authorization = basic.data;
    if (text.failed || key.failed || basic.failed)
        return false;
    if (span_find(host, ':') < host.len)
        host_at++; /* behind the bracket */
    proxy->host = span_make(proxy->text + host_at, host.len);
    return true;
}

/* rest: without the scheme. */
static bool fill(struct proxy *proxy, struct span input, struct span rest, struct haul_error *error)
{
    struct text text = {0};
    struct haul_error why;
    struct url url;
    bool filled = false;

    text_add(&text, SPAN("http://"));
    text_add(&text, rest);
    if (text.failed) {
        out_of_memory(error);
    } else if (!url_parse(&url, text_span(&text), &why)) {
        if (why.status == HAUL_OUT_OF_MEMORY)
            out_of_memory(error);
        else
            refuse(error, input, why.text);
    } else {
        proxy->port = names_port(rest) ? url.port : PROXY_PORT;
        proxy->login = url.login;
        url.login = NULL;
        filled = !proxy->login || check_login(proxy);
        if (!filled) {
            refuse(error, input, "SOCKS takes no more than 255 bytes of user and password each");
        } else if (!write_texts(proxy, url.host)) {
            filled = false;
            out_of_memory(error);
        }
        url_free(&url);
    }
    text_free(&text);
    return filled;
}

struct proxy *proxy_parse(struct span input, struct haul_error *error)
{
    struct proxy *proxy;
    struct span rest = span_trim(input);
    enum proxy_kind kind;

    if (!take_kind(&rest, &kind, error))
        return NULL;
    proxy = alloc_zeroed(sizeof(*proxy));
    if (!proxy) {
        out_of_memory(error);
        return NULL;
    }
    proxy->kind = kind;
    if (fill(proxy, input, rest, error))
        return proxy;
    proxy_destroy(proxy);
    return NULL;
}

void proxy_destroy(struct proxy *proxy)
{
    if (!proxy)
        return;
    free(proxy->text);
    alloc_forget(proxy->login);
    alloc_forget(proxy->authorization);
    alloc_forget(proxy->key);
    free(proxy);
}

bool proxy_is_asked(const struct proxy *proxy, const struct url *url)
{
    return proxy && proxy->kind == PROXY_HTTP && !url->secure;
}

bool proxy_wants_address(const struct proxy *proxy)
{
    return proxy->kind == PROXY_SOCKS4 || proxy->kind == PROXY_SOCKS5;
}

struct span proxy_way(const struct proxy *proxy, const struct url *url, struct text *memory)
{
    text_clear(memory);
    if (!proxy)
        return url_origin(url);
    if (proxy_is_asked(proxy, url))
        return span_of(proxy->key);
    text_add(memory, span_of(proxy->key));
    text_add(memory, url_origin(url));
    return text_span(memory);
}

void proxy_write_connect(const struct proxy *proxy, const struct url *url, struct text *out)
{
    text_add(out, SPAN("CONNECT "));
    add_endpoint(out, url->host, url->port);
    text_add(out, SPAN(" HTTP/1.1\r\nHost: "));
    add_endpoint(out, url->host, url->port);
    text_add(out, SPAN("\r\n"));
    if (proxy->authorization)
        text_printf(out, "Proxy-Authorization: %s\r\n", proxy->authorization);
    text_add(out, SPAN("\r\n"));
}

void proxy_refuse_login(const struct proxy *proxy, int status, struct haul_error *error)
{
    error_set(error, HAUL_UNAUTHORIZED, 0,
              proxy->login ? "the proxy %s refuses the login (%d)"
                           : "the proxy %s asks for a login (%d)",
              proxy->text, status);
}

/* --- what no proxy is for -------------------------------------------------------------------- */

enum entry_kind {
    ENTRY_NOTHING,
    ENTRY_ALL,
    ENTRY_NAME,    /* name */
    ENTRY_ADDRESS, /* address, address_bytes, bits */
};

struct entry {
    enum entry_kind kind;
    uint16_t port; /* 0: any */
    struct host_name name;
    unsigned char address[ADDRESS_BYTES_MAX];
    size_t address_bytes;
    unsigned bits; /* of the address that count */
};

struct proxy_rules {
    struct proxy *http;
    struct proxy *https;
    struct proxy *all;
    bool http_said;
    bool https_said;
    struct entry *entries;
    size_t entry_count;
};

/* How many bytes the address has; 0: it is none. */
static size_t read_address(struct span text, unsigned char address[ADDRESS_BYTES_MAX])
{
    char copy[INET6_ADDRSTRLEN];

    if (text.len >= sizeof(copy))
        return 0;
    memcpy(copy, text.data, text.len);
    copy[text.len] = '\0';
    if (strlen(copy) != text.len)
        return 0;
    if (inet_pton(AF_INET, copy, address) == 1)
        return sizeof(struct in_addr);
    return inet_pton(AF_INET6, copy, address) == 1 ? sizeof(struct in6_addr) : 0;
}

/* digits: behind the colon. */
static bool read_port(struct span digits, uint16_t *port)
{
    uint64_t value;

    if (!span_to_u64(digits, &value) || value == 0 || value > UINT16_MAX)
        return false;
    *port = (uint16_t)value;
    return true;
}

/* Takes "[", "]" and ":PORT" off *text: a colon alone is of a port, several are of IPv6. */
static bool take_port(struct span *text, uint16_t *port)
{
    struct span rest = *text;

    if (text->len > 0 && text->data[0] == '[') {
        rest = span_sub(rest, 1, rest.len);
        if (span_find(rest, ']') == rest.len)
            return false;
        *text = span_cut(&rest, ']');
        return rest.len == 0 ||
               (rest.data[0] == ':' && read_port(span_sub(rest, 1, rest.len), port));
    }
    span_cut(&rest, ':');
    if (span_find(*text, ':') == text->len || span_find(rest, ':') < rest.len)
        return true;
    text->len = span_find(*text, ':');
    return read_port(rest, port);
}

static void read_entry(struct span text, struct entry *entry)
{
    struct span bits = text;
    struct span base = span_cut(&bits, '/');
    bool masked = base.len < text.len;
    uint64_t count;

    *entry = (struct entry){.kind = ENTRY_NOTHING};
    if (span_equal(text, SPAN("*"))) {
        entry->kind = ENTRY_ALL;
        return;
    }
    if (!take_port(&base, &entry->port))
        return;
    entry->address_bytes = read_address(base, entry->address);
    if (entry->address_bytes > 0) {
        count = 8 * entry->address_bytes;
        if (masked && (!span_to_u64(bits, &count) || count > 8 * entry->address_bytes))
            return;
        entry->bits = (unsigned)count;
        entry->kind = ENTRY_ADDRESS;
        return;
    }
    if (base.len > 1 && base.data[0] == '*' && base.data[1] == '.')
        base = span_sub(base, 1, base.len);
    if (base.len > 0 && base.data[0] == '.')
        base = span_sub(base, 1, base.len);
    if (base.len > 0 && base.data[base.len - 1] == '.')
        base.len--;
    if (base.len > 0 && !masked && host_parse(&entry->name, base, NULL))
        entry->kind = ENTRY_NAME;
}

static bool same_bits(const unsigned char *a, const unsigned char *b, unsigned bits)
{
    unsigned rest = bits % 8;

    if (memcmp(a, b, bits / 8) != 0)
        return false;
    return rest == 0 || (a[bits / 8] ^ b[bits / 8]) >> (8 - rest) == 0;
}

/* The name itself, or one below it. */
static bool is_within(struct span host, struct span name)
{
    if (host.len > 0 && host.data[host.len - 1] == '.')
        host.len--;
    if (host.len < name.len ||
        !span_equal_nocase(span_sub(host, host.len - name.len, name.len), name))
        return false;
    return host.len == name.len || host.data[host.len - name.len - 1] == '.';
}

static bool entry_matches(const struct entry *entry, const struct url *url,
                          const unsigned char *address, size_t address_bytes)
{
    if (entry->port != 0 && entry->port != url->port)
        return false;
    switch (entry->kind) {
    case ENTRY_NOTHING:
        return false;
    case ENTRY_ALL:
        return true;
    case ENTRY_NAME:
        return address_bytes == 0 &&
               is_within(url->host, span_make(entry->name.data, entry->name.len));
    case ENTRY_ADDRESS:
        return address_bytes == entry->address_bytes &&
               same_bits(address, entry->address, entry->bits);
    }
    UNREACHABLE();
}

static bool is_exempt(const struct proxy_rules *rules, const struct url *url)
{
    unsigned char address[ADDRESS_BYTES_MAX];
    size_t address_bytes;

    if (rules->entry_count == 0)
        return false;
    address_bytes = read_address(url->host, address);
    for (size_t i = 0; i < rules->entry_count; i++)
        if (entry_matches(&rules->entries[i], url, address, address_bytes))
            return true;
    return false;
}

const struct proxy *proxy_choose(const struct proxy_rules *rules, const struct url *url)
{
    const struct proxy *proxy = rules->all;

    if (url->secure && rules->https_said)
        proxy = rules->https;
    else if (!url->secure && rules->http_said)
        proxy = rules->http;
    return proxy && !is_exempt(rules, url) ? proxy : NULL;
}

/* --- the rules ------------------------------------------------------------------------------- */

static bool is_separator(char c)
{
    return c == ',' || c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

/* The next of those parted by commas and blanks; empty: there is none. */
static struct span next_part(struct span *rest)
{
    struct span part;
    size_t len = 0;

    while (rest->len > 0 && is_separator(rest->data[0]))
        *rest = span_sub(*rest, 1, rest->len);
    while (len < rest->len && !is_separator(rest->data[len]))
        len++;
    part = span_sub(*rest, 0, len);
    *rest = span_sub(*rest, len, rest->len);
    return part;
}

static bool read_none(struct proxy_rules *rules, const char *none)
{
    struct span rest = span_of(none);
    size_t count = 0;

    while (next_part(&rest).len > 0)
        count++;
    if (count == 0)
        return true;
    rules->entries = alloc_zeroed(count * sizeof(*rules->entries));
    if (!rules->entries)
        return false;
    rest = span_of(none);
    while (rules->entry_count < count)
        read_entry(next_part(&rest), &rules->entries[rules->entry_count++]);
    return true;
}

/* False: there is one, but it can't be. */
static bool read_one(const char *text, struct proxy **proxy, struct haul_error *error)
{
    if (span_trim(span_of(text)).len == 0)
        return true;
    *proxy = proxy_parse(span_of(text), error);
    return *proxy != NULL;
}

struct proxy_rules *proxy_rules_create(const struct proxy_setup *setup, struct haul_error *error)
{
    struct proxy_rules *rules = alloc_zeroed(sizeof(*rules));

    if (!rules || !read_none(rules, setup->none)) {
        out_of_memory(error);
    } else if (read_one(setup->http, &rules->http, error) &&
               read_one(setup->https, &rules->https, error) &&
               read_one(setup->all, &rules->all, error)) {
        rules->http_said = setup->http != NULL;
        rules->https_said = setup->https != NULL;
        return rules;
    }
    proxy_rules_destroy(rules);
    return NULL;
}

void proxy_rules_destroy(struct proxy_rules *rules)
{
    if (!rules)
        return;
    proxy_destroy(rules->http);
    proxy_destroy(rules->https);
    proxy_destroy(rules->all);
    free(rules->entries);
    free(rules);
}
