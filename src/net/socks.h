/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The client's part of SOCKS 4, 4a and 5 (RFC 1928, RFC 1929), to have a connection made. Pure:
 * bytes in, bytes out.
 */
#ifndef NET_SOCKS_H
#define NET_SOCKS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/status.h"
#include "base/text.h"
#include "http/proxy.h"
#include "http/url.h"
#include "ring/address.h"

enum { SOCKS_BYTES_MAX = 300 /* more are never wanted at once */ };

enum socks_step {
    SOCKS_REPLY4,  /* the verdict */
    SOCKS_REST4,   /* of the reply */
    SOCKS_METHOD5, /* which way to log in */
    SOCKS_LOGIN5,  /* whether it was right */
    SOCKS_REPLY5,  /* the verdict */
    SOCKS_KIND5,   /* of the address in the reply, and its first byte */
    SOCKS_REST5    /* of the reply */
};

enum socks_progress { SOCKS_MORE, SOCKS_DONE, SOCKS_REFUSED };

struct socks {
    enum socks_step step;
    const struct proxy *proxy;
    const struct url *url;         /* host and port */
    const struct address *address; /* of the host; NULL: the proxy resolves it */
    size_t want;                   /* so many bytes are to be received, and no more */
    bool other_address;            /* SOCKS_REFUSED: another one of the host may do */
};

/* Begins: appends what is to be sent first. What is pointed to stays as long as it is used. */
void socks_start(struct socks *socks, const struct proxy *proxy, const struct url *url,
                 const struct address *address, struct text *out);
/* Takes socks->want bytes. MORE: what was appended, if anything, is to be sent, and so many more
 * bytes are wanted. REFUSED: *error, which names the proxy. */
enum socks_progress socks_take(struct socks *socks, const unsigned char *bytes, struct text *out,
                               struct haul_error *error);

#endif
