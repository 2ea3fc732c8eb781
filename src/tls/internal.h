/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of this folder share. */
#ifndef TLS_INTERNAL_H
#define TLS_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"
#include "tls/tickets.h"
#include "tls/tls.h"

enum {
    TLS_HOST_BYTES_MAX = 253, /* RFC 1035, in text, without the last dot */
    TLS_SENT_MAX = 9,         /* certificates that wolfSSL takes from a peer */
    TLS_CHAIN_MAX = 16        /* and that we look at */
};

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
    struct span issuer;       /* contents of the Name */
    struct span subject;      /* contents of the Name */
    struct span subject_name; /* the Name */
    struct span not_before;
    struct span not_after;
    struct span key;       /* the SubjectPublicKeyInfo */
    struct span signature; /* contents of the AlgorithmIdentifier */
    bool first_version;
    /* Extensions; well-formed, "" without one. */
    struct span names;     /* contents of the subjectAltName */
    struct span purposes;  /* contents of the extKeyUsage */
    struct span permitted; /* contents of this part of the nameConstraints */
    struct span excluded;
    bool authority_given; /* basicConstraints */
    bool authority;
    size_t path_length; /* authorities that may stand between this one and a server */
    bool usage_given;   /* keyUsage */
    uint8_t usage;      /* its first byte */
};

/* False: not well-formed DER of a certificate. */
bool certificate_parse(struct certificate *certificate, struct span der);
/* Whether it is a SubjectPublicKeyInfo and nothing else. */
bool certificate_is_key(struct span der);
/* Whether a subject alternative name of the right type is the peer's. */
bool certificate_is_for(const struct certificate *certificate, const struct tls_peer *peer);
bool certificate_is_self_issued(const struct certificate *certificate);
/* What it is signed with, when that is no protection; else NULL. Static. */
const char *certificate_weakness(const struct certificate *certificate);
/* Whether its key usages are those of a server. */
bool certificate_may_serve(const struct certificate *certificate);
/* When it expires; 0 if it does not say so in a way that can be read. */
int64_t certificate_ends_s(const struct certificate *certificate);
/* Why it can't vouch for a server, for the end of a sentence; NULL: it can. Static. */
const char *certificate_not_issuer(const struct certificate *certificate);
/* Whether the authority's name constraints let all names of a peer's certificate pass. */
bool certificate_permits(const struct certificate *authority, const struct certificate *certificate,
                         const struct tls_peer *peer);
/* For people: "2024-05-01" of a time; "haul test CA" of a Name; "a.example, b.example and 3 more".
 */
void certificate_add_date(struct text *text, struct span time);
void certificate_add_name(struct text *text, struct span name);
void certificate_add_names(struct text *text, const struct certificate *certificate);

struct WOLFSSL_CTX;

/* The client's certificate and key become the context's. */
bool tls_identity_use(const struct tls_identity *identity, struct WOLFSSL_CTX *context);

/* A certificate that is trusted: as an authority, or, when it is none, as itself only. */
struct tls_anchor {
    char *der;
    size_t len;
    struct certificate certificate;
};

struct tls_trust {
    struct WOLFSSL_CTX *context;
    bool check;
    bool certificate_status;
    enum tls_version min_version;
    const struct tls_pins *pins;
    bool has_identity;
    struct tls_anchor *anchors;
    size_t loaded;          /* anchors, each once */
    size_t room;            /* for anchors */
    size_t usable;          /* certificates found, duplicates too */
    size_t unusable;        /* those that wolfSSL does not take, or that we can't read */
    struct tickets tickets; /* of peers that this trust has accepted */
};

/*
 * Whether a chain that wolfSSL found good keeps the rules that wolfSSL does not know; the peer's
 * own certificate first, then what the peer sent with it. False: the text says why not.
 */
bool tls_trust_takes(const struct tls_trust *trust, const struct span *chain, size_t count,
                     const struct tls_peer *peer, struct text *text);

/* ---- trouble.c: reasons are wolfSSL's ---- */

enum { TLS_HELLO_BEGIN_BYTES = 11 }; /* headers of record and message, version */

/* Why the chain was refused, said of the certificate at this depth of it (0: the peer's own). */
void trouble_add_refusal(struct text *text, const struct certificate *certificate, int depth,
                         int reason, const char *host);
void trouble_add_wrong_host(struct text *text, const struct certificate *certificate,
                            const struct tls_peer *peer);
/* The peer has sent this alert. */
void trouble_set_alert(struct haul_error *error, enum haul_status status, const char *host,
                       const struct tls_trust *trust, int code);
/* Trouble that is found in what the peer says of itself, and not in the verify callback. heard:
 * what it began with, TLS_HELLO_BEGIN_BYTES at most. False: it is something else. */
bool trouble_set_peer(struct haul_error *error, int reason, const char *host,
                      const struct tls_trust *trust, struct span heard);

/* ---- session.c ---- */

/* Set as the context's verify callback; its user pointer is the session. */
struct WOLFSSL_X509_STORE_CTX;
int tls_session_verify(int good, struct WOLFSSL_X509_STORE_CTX *store);
/* The context's callbacks; user pointer: the session. */
struct WOLFSSL;
int tls_session_receive(struct WOLFSSL *ssl, char *data, int len, void *user);
int tls_session_send(struct WOLFSSL *ssl, char *data, int len, void *user);
/* The session's callbacks for its secrets. */
int tls_session_tls12_secret(struct WOLFSSL *ssl, void *secret, int len, void *user);
int tls_session_secret(struct WOLFSSL *ssl, int id, const unsigned char *secret, int len,
                       void *user);

#endif
