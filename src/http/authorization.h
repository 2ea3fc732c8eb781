/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Values of Authorization and Proxy-Authorization. Pure. */
#ifndef HTTP_AUTHORIZATION_H
#define HTTP_AUTHORIZATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "http/challenge.h"

/* RFC 7617. */
void authorization_basic(struct span user, struct span password, struct text *value);
/* RFC 6750; the token must have passed request_check_value(). */
void authorization_bearer(struct span token, struct text *value);

/* A challenge of Digest (RFC 7616, RFC 2069 where it names no qop). */
struct digest_challenge {
    enum hash_type hash; /* HASH_MD5 or HASH_SHA256 */
    bool session;        /* "-sess" */
    bool qop;            /* auth, with nc and cnonce; else as RFC 2069 had it */
    bool user_hash;
    bool utf8;
    bool stale; /* not the login was wrong, only the nonce is too old */
    bool algorithm_named;
    bool opaque_given;
    struct text realm;
    struct text nonce;
    struct text opaque;
};

/* False: it is none, or one that can't be answered; or, if read->realm.failed, out of memory. */
bool digest_challenge_read(struct digest_challenge *read, const struct challenge *challenge);
void digest_challenge_free(struct digest_challenge *challenge);

struct digest_request {
    struct span user;
    struct span password;
    struct span method;
    struct span target; /* as the request line has it */
    struct span cnonce; /* of hexadecimal digits */
    uint32_t count;     /* of requests with this nonce, this one included */
};

/* False: a user of that name can't be told. */
bool authorization_digest(const struct digest_challenge *challenge,
                          const struct digest_request *request, struct text *value);

#endif
