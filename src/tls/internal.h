/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of this folder share. */
#ifndef TLS_INTERNAL_H
#define TLS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"
#include "tls/tls.h"

enum { TLS_HOST_BYTES_MAX = 253 }; /* RFC 1035, in text, without the last dot */

/* Who the peer should be: an IP address, or, when ip_bytes is 0, a name. */
struct tls_peer {
    char host[TLS_HOST_BYTES_MAX + 1]; /* NUL-terminated, without a last dot */
    uint8_t ip[16];
    size_t ip_bytes; /* 0, 4 or 16 */
};

/* False: no host that TLS can be spoken to. */
bool tls_peer_init(struct tls_peer *peer, struct span host);

/* The parts of a certificate that we read ourselves; spans into its DER. */
struct certificate {
    struct span issuer;  /* contents of the Name */
    struct span subject; /* contents of the Name */
    struct span not_before;
    struct span not_after;
    struct span names; /* contents of the subjectAltName, "" without one; well-formed */
};

/* False: not well-formed DER of a certificate. */
bool certificate_parse(struct certificate *certificate, struct span der);
/* Whether a subject alternative name of the right type is the peer's. */
bool certificate_is_for(const struct certificate *certificate, const struct tls_peer *peer);
bool certificate_is_self_issued(const struct certificate *certificate);
/* For people: "2024-05-01" of a time; "haul test CA" of a Name; "a.example, b.example and 3 more".
 */
void certificate_add_date(struct text *text, struct span time);
void certificate_add_name(struct text *text, struct span name);
void certificate_add_names(struct text *text, const struct certificate *certificate);

struct WOLFSSL_CTX;

struct tls_trust {
    struct WOLFSSL_CTX *context;
    bool check;
    size_t loaded;   /* certificates that are trusted; duplicates count */
    size_t unusable; /* certificates that wolfSSL does not take */
};

/* Set as the context's verify callback; its user pointer is the session. */
struct WOLFSSL_X509_STORE_CTX;
int tls_session_verify(int good, struct WOLFSSL_X509_STORE_CTX *store);
/* The context's callbacks; user pointer: the session. */
struct WOLFSSL;
int tls_session_receive(struct WOLFSSL *ssl, char *data, int len, void *user);
int tls_session_send(struct WOLFSSL *ssl, char *data, int len, void *user);

#endif
