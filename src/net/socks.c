/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *     SOCKS4:  REPLY4 --> REST4 --> done
 *     SOCKS5:  METHOD5 --[LOGIN5]--> REPLY5 --> KIND5 --> REST5 --> done
 *
 * Each reply is wanted to its last byte and no further, for what is behind it is the origin's. A
 * verdict is wanted alone: who refuses need not send the rest.
 */
#include "net/socks.h"

#include <string.h>

#include "base/check.h"

enum {
    VERSION4 = 4,
    VERSION5 = 5,
    LOGIN_VERSION = 1,
    COMMAND_CONNECT = 1,
    METHOD_NONE = 0,
    METHOD_LOGIN = 2,
    METHOD_REFUSED = 0xff,
    KIND_V4 = 1,
    KIND_NAME = 3,
    KIND_V6 = 4,
    GRANTED4 = 90,
    REPLY4_BYTES = 8,
    VERDICT_BYTES = 2,
    PORT_BYTES = 2
};

struct verdict {
    enum haul_status status;
    bool other_address;
    const char *text;
};

/* 91 and up. */
static const struct verdict verdicts4[] = {
    {HAUL_NETWORK, true, "it could not connect, or may not"},
    {HAUL_UNAUTHORIZED, false, "it finds no identd on this machine that says who we are"},
    {HAUL_UNAUTHORIZED, false, "identd on this machine says another user than the login does"},
};

/* 1 and up (RFC 1928 6). */
static const struct verdict verdicts5[] = {
    {HAUL_NETWORK, true, "something went wrong there"},
    {HAUL_HTTP_ERROR, true, "its rules do not allow it"},
    {HAUL_NETWORK, true, "the network is unreachable from there"},
    {HAUL_NETWORK, true, "the host is unreachable from there, or unknown"},
    {HAUL_NETWORK, true, "the connection was refused"},
    {HAUL_NETWORK, true, "the host was too many hops away"},
    {HAUL_BAD_RESPONSE, false, "it does not know the command to connect"},
    {HAUL_HTTP_ERROR, true, "it does not know this type of address"},
};

static void add_bytes(struct text *out, const void *bytes, size_t len)
{
    text_add(out, span_make(bytes, len));
}

static void add_byte(struct text *out, size_t value)
{
    CHECK(value <= 0xff);
    text_add_char(out, (char)value);
}

static void add_port(struct text *out, uint16_t port)
{
    add_byte(out, port >> 8);
    add_byte(out, port & 0xff);
}

static struct span password_of(const struct proxy *proxy, struct span *user)
{
    struct span rest = span_of(proxy->login);

    *user = span_cut(&rest, ':');
    return rest;
}

static void start4(struct socks *socks, struct text *out)
{
    static const unsigned char by_name[] = {0, 0, 0, 1};
    const struct address *address = socks->address;
    struct span user;

    (void)password_of(socks->proxy, &user);
    add_byte(out, VERSION4);
    add_byte(out, COMMAND_CONNECT);
    add_port(out, socks->url->port);
    if (address)
        add_bytes(out, &address->v4.sin_addr, sizeof(address->v4.sin_addr));
    else
        add_bytes(out, by_name, sizeof(by_name));
    text_add(out, user);
    text_add_char(out, '\0');
    if (!address) {
        text_add(out, socks->url->host);
        text_add_char(out, '\0');
    }
    socks->step = SOCKS_REPLY4;
}

void socks_start(struct socks *socks, const struct proxy *proxy, const struct url *url,
                 const struct address *address, struct text *out)
{
    *socks = (struct socks){.proxy = proxy, .url = url, .address = address, .want = VERDICT_BYTES};
    if (proxy->kind == PROXY_SOCKS4 || proxy->kind == PROXY_SOCKS4A) {
        CHECK(!address || address->any.sa_family == AF_INET);
        start4(socks, out);
        return;
    }
    add_byte(out, VERSION5);
    add_byte(out, proxy->login ? 2 : 1);
    add_byte(out, METHOD_NONE);
    if (proxy->login)
        add_byte(out, METHOD_LOGIN);
    socks->step = SOCKS_METHOD5;
}

static enum socks_progress want(struct socks *socks, enum socks_step step, size_t bytes)
{
    CHECK(bytes > 0 && bytes <= SOCKS_BYTES_MAX);
    socks->step = step;
    socks->want = bytes;
    return SOCKS_MORE;
}

static enum socks_progress garbled(const struct socks *socks, unsigned char byte,
                                   struct haul_error *error)
{
    error_set(error, HAUL_BAD_RESPONSE, 0,
              "the proxy %s does not answer as a SOCKS proxy does (0x%02x)%s", socks->proxy->text,
              byte, byte == 'H' ? "; does it speak HTTP?" : "");
    return SOCKS_REFUSED;
}

static enum socks_progress refused(struct socks *socks, const struct verdict *table, size_t count,
                                   size_t index, struct haul_error *error)
{
    const struct url *url = socks->url;

    if (index >= count) {
        error_set(error, HAUL_BAD_RESPONSE, 0,
                  "the proxy %s does not connect to %.*s port %u, for a reason that has no name",
                  socks->proxy->text, SPAN_ARG(url->host), (unsigned)url->port);
        return SOCKS_REFUSED;
    }
    socks->other_address = table[index].other_address;
    error_set(error, table[index].status, 0, "the proxy %s does not connect to %.*s port %u: %s",
              socks->proxy->text, SPAN_ARG(url->host), (unsigned)url->port, table[index].text);
    return SOCKS_REFUSED;
}

static enum socks_progress take_reply4(struct socks *socks, const unsigned char *bytes,
                                       struct haul_error *error)
{
    if (bytes[0] != 0)
        return garbled(socks, bytes[0], error);
    if (bytes[1] != GRANTED4)
        return refused(socks, verdicts4, COUNT_OF(verdicts4), (size_t)bytes[1] - GRANTED4 - 1,
                       error);
    return want(socks, SOCKS_REST4, REPLY4_BYTES - VERDICT_BYTES);
}

static enum socks_progress ask5(struct socks *socks, struct text *out)
{
    const struct address *address = socks->address;
    struct span host = socks->url->host;

    add_byte(out, VERSION5);
    add_byte(out, COMMAND_CONNECT);
    add_byte(out, 0);
    if (!address) {
        add_byte(out, KIND_NAME);
        add_byte(out, host.len);
        text_add(out, host);
    } else if (address->any.sa_family == AF_INET6) {
        add_byte(out, KIND_V6);
        add_bytes(out, &address->v6.sin6_addr, sizeof(address->v6.sin6_addr));
    } else {
        add_byte(out, KIND_V4);
        add_bytes(out, &address->v4.sin_addr, sizeof(address->v4.sin_addr));
    }
    add_port(out, socks->url->port);
    return want(socks, SOCKS_REPLY5, VERDICT_BYTES);
}

static enum socks_progress take_method(struct socks *socks, const unsigned char *bytes,
                                       struct text *out, struct haul_error *error)
{
    struct span user, password;

    if (bytes[0] != VERSION5)
        return garbled(socks, bytes[0], error);
    if (bytes[1] == METHOD_NONE)
        return ask5(socks, out);
    if (bytes[1] == METHOD_REFUSED) {
        error_set(error, HAUL_UNAUTHORIZED, 0,
                  socks->proxy->login ? "the proxy %s takes neither the login nor none"
                                      : "the proxy %s asks for a login",
                  socks->proxy->text);
        return SOCKS_REFUSED;
    }
    if (bytes[1] != METHOD_LOGIN || !socks->proxy->login) {
        error_set(error, HAUL_BAD_RESPONSE, 0,
                  "the proxy %s wants a login of a kind that it was not offered (%u)",
                  socks->proxy->text, (unsigned)bytes[1]);
        return SOCKS_REFUSED;
    }
    password = password_of(socks->proxy, &user);
    add_byte(out, LOGIN_VERSION);
    add_byte(out, user.len);
    text_add(out, user);
    add_byte(out, password.len);
    text_add(out, password);
    return want(socks, SOCKS_LOGIN5, VERDICT_BYTES);
}

/* The version here is 1, but not all say so. */
static enum socks_progress take_login(struct socks *socks, const unsigned char *bytes,
                                      struct text *out, struct haul_error *error)
{
    if (bytes[1] == 0)
        return ask5(socks, out);
    error_set(error, HAUL_UNAUTHORIZED, 0, "the proxy %s refuses the login", socks->proxy->text);
    return SOCKS_REFUSED;
}

static enum socks_progress take_reply5(struct socks *socks, const unsigned char *bytes,
                                       struct haul_error *error)
{
    if (bytes[0] != VERSION5)
        return garbled(socks, bytes[0], error);
    if (bytes[1] != 0)
        return refused(socks, verdicts5, COUNT_OF(verdicts5), (size_t)bytes[1] - 1, error);
    return want(socks, SOCKS_KIND5, 3);
}

/* bytes: one that is reserved, the kind, the first of the address. */
static enum socks_progress take_kind(struct socks *socks, const unsigned char *bytes,
                                     struct haul_error *error)
{
    switch (bytes[1]) {
    case KIND_V4:
        return want(socks, SOCKS_REST5, sizeof(struct in_addr) - 1 + PORT_BYTES);
    case KIND_V6:
        return want(socks, SOCKS_REST5, sizeof(struct in6_addr) - 1 + PORT_BYTES);
    case KIND_NAME:
        return want(socks, SOCKS_REST5, (size_t)bytes[2] + PORT_BYTES);
    default:
        return garbled(socks, bytes[1], error);
    }
}

enum socks_progress socks_take(struct socks *socks, const unsigned char *bytes, struct text *out,
                               struct haul_error *error)
{
    switch (socks->step) {
    case SOCKS_REPLY4:
        return take_reply4(socks, bytes, error);
    case SOCKS_METHOD5:
        return take_method(socks, bytes, out, error);
    case SOCKS_LOGIN5:
        return take_login(socks, bytes, out, error);
    case SOCKS_REPLY5:
        return take_reply5(socks, bytes, error);
    case SOCKS_KIND5:
        return take_kind(socks, bytes, error);
    case SOCKS_REST4:
    case SOCKS_REST5:
        return SOCKS_DONE;
    }
    UNREACHABLE();
}
