/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What WWW-Authenticate and Proxy-Authenticate hold (RFC 9110 11.6.1): a list of challenges, each a
 * scheme with parameters or one token. Pure. Read kindly: what can't be understood is passed over,
 * up to where the next scheme or parameter begins.
 */
#ifndef HTTP_CHALLENGE_H
#define HTTP_CHALLENGE_H

#include <stdbool.h>

#include "base/span.h"
#include "base/text.h"

/* Spans point into the field. */
struct challenge {
    struct span scheme;
    struct span token68;    /* empty: none */
    struct span parameters; /* for challenge_parameter() */
};

/* Takes the next one off *rest, which may be a field or several with commas or line feeds between.
 * False: there is none. */
bool challenge_next(struct span *rest, struct challenge *challenge);
/* Sets the value of a parameter (name in any case), unquoted. False, and empty: it is not there. */
bool challenge_parameter(const struct challenge *challenge, struct span name, struct text *value);

#endif
