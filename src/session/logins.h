/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who haul is for which server, and how that is said. Pure: no system call, random numbers are a
 * parameter. In the engine's thread.
 *
 * A login holds for the origin that it was given for: that in a URL for the URL's, that of a
 * request where `own` says so, that of a netrc file for its host. "default" of a netrc file is for
 * what was asked for, not for where a redirect leads.
 */
#ifndef SESSION_LOGINS_H
#define SESSION_LOGINS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"
#include "http/url.h"
#include "session/netrc.h"

enum { LOGIN_ANSWERS_MAX = 5 /* to one request, one after the other */ };

enum login_scheme { LOGIN_NONE, LOGIN_BASIC, LOGIN_BEARER, LOGIN_DIGEST };

/* What a request has been through; zeroed at first, and once an answer is no 401. */
struct login_state {
    enum login_scheme sent; /* with the last one */
    bool shared;            /* LOGIN_DIGEST: others had used the nonce before */
    unsigned answers;       /* 401s that were answered, in a row */
    uint64_t realm;         /* a hash of that which was answered last */
};

struct login_ask {
    const struct url *url;
    struct span method;
    bool own;         /* user, password and bearer were given for this origin */
    const char *user; /* NULL: none */
    const char *password;
    const char *bearer;
};

struct logins;

/* Takes netrc, which may be NULL. wait: nothing is sent before a server asks. NULL: out of memory,
 * and netrc is gone as well. */
struct logins *logins_create(struct netrc *netrc, bool wait, uint64_t seed);
void logins_destroy(struct logins *logins); /* NULL is allowed */
/* Appends the value of Authorization for the request, if any. */
void logins_authorize(struct logins *logins, const struct login_ask *ask, struct login_state *state,
                      struct text *value);
enum login_answer {
    LOGIN_IN_VAIN, /* there is no answer, or it has been given already */
    LOGIN_ANSWERED,
    LOGIN_NO_MEMORY
};

/* A 401: remembers what it asks for. challenges: its WWW-Authenticate fields, with line feeds
 * between. */
enum login_answer logins_answer(struct logins *logins, const struct login_ask *ask,
                                struct span challenges, const uint64_t random[2],
                                struct login_state *state);

#endif
