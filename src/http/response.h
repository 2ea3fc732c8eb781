/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One HTTP/1.1 response as it arrives (RFC 9112), through llhttp. Pure: bytes in, values out.
 *
 * response_head() is fed until it says that the head is whole (interim 1xx responses are passed
 * over); the parser stops there, so what stands behind the head in the same buffer is body. How
 * the body ends is in `framing`; for RESPONSE_CHUNKED the caller passes what it receives through
 * response_unchunk(), for the others the parser is out of the way.
 */
#ifndef HTTP_RESPONSE_H
#define HTTP_RESPONSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"

enum {
    RESPONSE_HEAD_BYTES_MAX = 300 * 1024, /* all heads and trailers of one response together */
    RESPONSE_FIELDS_MAX = 1000,
    RESPONSE_INTERIM_MAX = 16
};

enum response_framing {
    RESPONSE_EMPTY,      /* no body: HEAD, 204, 304 */
    RESPONSE_LENGTH,     /* length bytes */
    RESPONSE_CHUNKED,    /* until response_unchunk() says so */
    RESPONSE_UNTIL_CLOSE /* until the connection ends */
};

enum response_progress { RESPONSE_MORE, RESPONSE_DONE, RESPONSE_BAD };

struct response; /* opaque: holds the parser; used over and over */

/* NULL: out of memory. Owned by the caller. */
struct response *response_create(void);
void response_destroy(struct response *response);
/* Begins a new response, to a HEAD request or to another one. */
void response_start(struct response *response, bool to_head);
/*
 * Takes len bytes. MORE: all were taken; DONE: *taken of them, the rest is body; BAD: *error says
 * what is wrong (HAUL_BAD_RESPONSE).
 */
enum response_progress response_head(struct response *response, const char *data, size_t len,
                                     size_t *taken, struct haul_error *error);
/*
 * Takes the chunk framing out of len bytes in place: the first *body_len bytes of data are body
 * afterwards. DONE: the body has ended, *taken bytes of the input were its; what is behind belongs
 * to no response. BAD: *body_len and *taken are 0, and data is garbled.
 */
enum response_progress response_unchunk(struct response *response, char *data, size_t len,
                                        size_t *body_len, size_t *taken, struct haul_error *error);

/* Valid from the end of the head to the next response_start(). */
int response_status(const struct response *response);
struct span response_reason(const struct response *response);
enum response_framing response_framing(const struct response *response);
uint64_t response_length(const struct response *response); /* RESPONSE_LENGTH, or what HEAD said */
bool response_has_length(const struct response *response);
/* Whether the connection may carry another request after this response. */
bool response_keep_alive(const struct response *response);
/* The first field of that name, without blanks around it; data NULL: there is none. */
struct span response_field(const struct response *response, const char *name);
/* The same for the next one; *at begins as 0. */
struct span response_next_field(const struct response *response, const char *name, size_t *at);

#endif
