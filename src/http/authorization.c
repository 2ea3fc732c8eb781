/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Digest, in short: the proof is
 * H(H(user:realm:password):nonce:count:cnonce:auth:H(method:target)). All that comes from a server
 * passes request_check_value() before it goes back.
 */
#include "http/authorization.h"

#include <stdio.h>
#include <string.h>

#include "base/base64.h"
#include "http/request.h"

void authorization_basic(struct span user, struct span password, struct text *value)
{
    struct text login = {0};

    text_reserve(&login, user.len + 1 + password.len); /* so that no copy is left behind */
    text_add(&login, user);
    text_add_char(&login, ':');
    text_add(&login, password);
    text_add(value, SPAN("Basic "));
    base64_add(value, text_span(&login));
    value->failed = value->failed || login.failed;
    text_wipe(&login);
}

void authorization_bearer(struct span token, struct text *value)
{
    text_add(value, SPAN("Bearer "));
    text_add(value, token);
}

/* --- the challenge --------------------------------------------------------------------------- */

static bool read_algorithm(struct digest_challenge *read, struct span name)
{
    static const struct {
        const char *name;
        enum hash_type hash;
        bool session;
    } known[] = {
        {"MD5", HASH_MD5, false},
        {"MD5-sess", HASH_MD5, true},
        {"SHA-256", HASH_SHA256, false},
        {"SHA-256-sess", HASH_SHA256, true},
    };

    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        if (span_equal_nocase(name, span_of(known[i].name))) {
            read->hash = known[i].hash;
            read->session = known[i].session;
            return true;
        }
    }
    return false;
}

/* Whether "auth" is among what is offered; "auth-int" alone is nothing that haul does. */
static bool offers_auth(struct span list)
{
    while (list.len > 0)
        if (span_equal_nocase(span_trim(span_cut(&list, ',')), SPAN("auth")))
            return true;
    return false;
}

static bool is_set(const struct challenge *challenge, struct span name, struct span wanted,
                   struct text *value)
{
    return challenge_parameter(challenge, name, value) &&
           span_equal_nocase(text_span(value), wanted);
}

static bool read_parameters(struct digest_challenge *read, const struct challenge *challenge,
                            struct text *value)
{
    read->algorithm_named = challenge_parameter(challenge, SPAN("algorithm"), value);
    if (read->algorithm_named && !read_algorithm(read, text_span(value)))
        return false;
    read->qop = challenge_parameter(challenge, SPAN("qop"), value);
    if (read->qop && !offers_auth(text_span(value)))
        return false;
    read->user_hash = is_set(challenge, SPAN("userhash"), SPAN("true"), value);
    read->utf8 = is_set(challenge, SPAN("charset"), SPAN("UTF-8"), value);
    read->stale = is_set(challenge, SPAN("stale"), SPAN("true"), value);
    read->opaque_given = challenge_parameter(challenge, SPAN("opaque"), &read->opaque);
    (void)challenge_parameter(challenge, SPAN("realm"), &read->realm);
    return challenge_parameter(challenge, SPAN("nonce"), &read->nonce) && !read->nonce.failed &&
           !read->realm.failed && !read->opaque.failed && !value->failed &&
           request_check_value(text_span(&read->nonce)) &&
           request_check_value(text_span(&read->realm)) &&
           request_check_value(text_span(&read->opaque));
}

bool digest_challenge_read(struct digest_challenge *read, const struct challenge *challenge)
{
    struct text value = {0};
    bool good, starved;

    *read = (struct digest_challenge){.hash = HASH_MD5};
    if (!span_equal_nocase(challenge->scheme, SPAN("Digest")))
        return false;
    good = read_parameters(read, challenge, &value);
    starved = value.failed || read->realm.failed || read->nonce.failed || read->opaque.failed;
    text_free(&value);
    if (good)
        return true;
    digest_challenge_free(read);
    read->realm.failed = starved;
    return false;
}

void digest_challenge_free(struct digest_challenge *challenge)
{
    text_free(&challenge->realm);
    text_free(&challenge->nonce);
    text_free(&challenge->opaque);
    *challenge = (struct digest_challenge){0};
}

/* --- the answer ------------------------------------------------------------------------------ */

/* H(one:two:...), in hexadecimal. */
static void hash_parts(enum hash_type type, const struct span *parts, size_t count,
                       char hex[HASH_HEX_MAX])
{
    struct digest digest;
    struct hash hash;

    hash_begin(&hash, type);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            hash_add(&hash, ":", 1);
        hash_add(&hash, parts[i].data, parts[i].len);
    }
    hash_end(&hash, &digest);
    digest_hex(&digest, hex);
    explicit_bzero(&hash, sizeof(hash));
}

/* What stands for the password. */
static void hash_login(const struct digest_challenge *challenge,
                       const struct digest_request *request, char hex[HASH_HEX_MAX])
{
    struct span nonce = text_span(&challenge->nonce);

    hash_parts(challenge->hash,
               (struct span[]){request->user, text_span(&challenge->realm), request->password}, 3,
               hex);
    if (challenge->session)
        hash_parts(challenge->hash, (struct span[]){span_of(hex), nonce, request->cnonce}, 3, hex);
}

static void prove(const struct digest_challenge *challenge, const struct digest_request *request,
                  struct span count, char hex[HASH_HEX_MAX])
{
    char login[HASH_HEX_MAX], asked[HASH_HEX_MAX];
    struct span nonce = text_span(&challenge->nonce);

    hash_login(challenge, request, login);
    hash_parts(challenge->hash, (struct span[]){request->method, request->target}, 2, asked);
    if (challenge->qop)
        hash_parts(challenge->hash,
                   (struct span[]){span_of(login), nonce, count, request->cnonce, SPAN("auth"),
                                   span_of(asked)},
                   6, hex);
    else
        hash_parts(challenge->hash, (struct span[]){span_of(login), nonce, span_of(asked)}, 3, hex);
    explicit_bzero(login, sizeof(login));
}

static void add_quoted(struct text *value, const char *name, struct span s)
{
    text_printf(value, "%s=\"", name);
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '"' || s.data[i] == '\\')
            text_add_char(value, '\\');
        text_add_char(value, s.data[i]);
    }
    text_add_char(value, '"');
}

/* RFC 8187 3.2.1: what needs no escape. */
static bool is_attribute_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           span_find(SPAN("!#$&+-.^_`|~"), c) < sizeof("!#$&+-.^_`|~") - 1;
}

static bool is_ascii(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if ((unsigned char)s.data[i] >= 0x80)
            return false;
    return true;
}

static bool add_user(const struct digest_challenge *challenge, struct span user, struct text *value)
{
    char hex[HASH_HEX_MAX];

    if (challenge->user_hash) {
        hash_parts(challenge->hash, (struct span[]){user, text_span(&challenge->realm)}, 2, hex);
        add_quoted(value, "username", span_of(hex));
        return true;
    }
    if (!request_check_value(user))
        return false;
    if (is_ascii(user) || !challenge->utf8) {
        add_quoted(value, "username", user);
        return true;
    }
    text_add(value, SPAN("username*=UTF-8''"));
    for (size_t i = 0; i < user.len; i++) {
        if (is_attribute_char(user.data[i]))
            text_add_char(value, user.data[i]);
        else
            text_printf(value, "%%%02X", (unsigned char)user.data[i]);
    }
    return true;
}

static void add_algorithm(const struct digest_challenge *challenge, struct text *value)
{
    if (challenge->algorithm_named)
        text_printf(value, ", algorithm=%s%s", challenge->hash == HASH_MD5 ? "MD5" : "SHA-256",
                    challenge->session ? "-sess" : "");
}

/* What proves that the one who asks has been given this nonce, and has not asked so before. */
static void add_count(const struct digest_challenge *challenge,
                      const struct digest_request *request, const char *count, struct text *value)
{
    if (challenge->qop)
        text_printf(value, ", nc=%s, cnonce=\"%.*s\", qop=auth", count, SPAN_ARG(request->cnonce));
    else if (challenge->session)
        text_printf(value, ", cnonce=\"%.*s\"", SPAN_ARG(request->cnonce));
}

bool authorization_digest(const struct digest_challenge *challenge,
                          const struct digest_request *request, struct text *value)
{
    char count[9], proof[HASH_HEX_MAX];
    size_t before = value->len;

    snprintf(count, sizeof(count), "%08x", (unsigned)request->count);
    text_add(value, SPAN("Digest "));
    if (!add_user(challenge, request->user, value)) {
        value->len = before;
        return false;
    }
    prove(challenge, request, span_of(count), proof);
    text_add(value, SPAN(", "));
    add_quoted(value, "realm", text_span(&challenge->realm));
    text_add(value, SPAN(", "));
    add_quoted(value, "uri", request->target);
    add_algorithm(challenge, value);
    text_add(value, SPAN(", "));
    add_quoted(value, "nonce", text_span(&challenge->nonce));
    add_count(challenge, request, count, value);
    text_printf(value, ", response=\"%s\"", proof);
    if (challenge->opaque_given) {
        text_add(value, SPAN(", "));
        add_quoted(value, "opaque", text_span(&challenge->opaque));
    }
    if (challenge->user_hash)
        text_add(value, SPAN(", userhash=true"));
    return true;
}
