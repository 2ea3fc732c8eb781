/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Watches a server's first flight go by, until it is known to be of TLS 1.3 (RFC 8446 4.1.3) or,
 * with TLS 1.2, whole (RFC 5246 7.3: ServerHello to ServerHelloDone).
 */
#ifndef TLS_FLIGHT_H
#define TLS_FLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"

enum { FLIGHT_HELLO_BYTES_MAX = 16384, FLIGHT_BYTES_MAX = 256 * 1024 };

/* A zeroed one is at the beginning. */
struct flight {
    uint8_t header[5]; /* of a record */
    size_t header_len;
    size_t record_left;
    uint8_t message_header[4];
    size_t message_header_len;
    size_t message_left;
    struct text hello; /* of the ServerHello, what there is */
    size_t total;
    bool over;
};

void flight_free(struct flight *flight);
/* Takes in what comes next. True, and from then on: there is nothing to wait for; also where it is
 * something else than a flight, or longer than FLIGHT_BYTES_MAX. */
bool flight_is_over(struct flight *flight, struct span input);

#endif
