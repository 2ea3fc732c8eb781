/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * TLS without sockets, through wolfSSL: ciphertext in, plaintext out. TLS 1.2 and 1.3, ALPN
 * http/1.1, SNI; the peer's certificate is checked against the trust store and the host's name
 * (RFC 9110 4.3.4: SANs only; an IP address only against iPAddress SANs).
 */
#ifndef TLS_TLS_H
#define TLS_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"

/* What certificates are checked against, and the settings that sessions share. */
struct tls_trust;

enum tls_ciphers {
    TLS_CIPHERS_FASTEST_FIRST, /* AES-GCM where the CPU has AES, else ChaCha20-Poly1305 */
    TLS_CIPHERS_AES_FIRST,
    TLS_CIPHERS_CHACHA20_FIRST
};

enum tls_version { TLS_VERSION_1_2, TLS_VERSION_1_3 };

struct tls_identity;
struct tls_pins;

struct tls_trust_options {
    /* PEM file, or a directory of such; NULL: SSL_CERT_FILE, SSL_CERT_DIR, then the system's */
    const char *ca_certificate;
    bool check; /* false: any certificate does */
    enum tls_ciphers ciphers;
    enum tls_version min_version;
    bool certificate_status;             /* needs check: OCSP stapling is required */
    const struct tls_identity *identity; /* for peers that ask; NULL: none; borrowed */
    const struct tls_pins *pins;         /* checked in any case; NULL: none; borrowed */
};

/* Reads and parses files: slow, to be called on a helper thread. NULL: *error says which file.
 * Used by one thread at a time. */
struct tls_trust *tls_trust_create(const struct tls_trust_options *options,
                                   struct haul_error *error);
void tls_trust_destroy(struct tls_trust *trust); /* after its last session; NULL is allowed */

struct tls_session;

enum tls_progress {
    TLS_OK,
    TLS_WANT_INPUT, /* more ciphertext is needed: tls_input(), then the same call again */
    TLS_CLOSED,     /* the peer's close_notify: nothing will come any more */
    TLS_BAD         /* *error says why; the session is of no further use */
};

/* host: a name or an IP literal without brackets. now_s: by the calendar. NULL: *error. */
struct tls_session *tls_session_create(struct tls_trust *trust, struct span host, uint16_t port,
                                       int64_t now_s, struct haul_error *error);
/* Before the first tls_handshake(): offers to resume an earlier session with this host and port.
 * False: there is none. If the handshake then fails, another one without this may succeed. */
bool tls_resume(struct tls_session *session);
void tls_session_destroy(struct tls_session *session); /* NULL is allowed */
/* TLS_OK: done, and the peer is who it should be. */
enum tls_progress tls_handshake(struct tls_session *session, struct haul_error *error);
/* Lends ciphertext to the session until tls_input_left() is 0: to be called only then. */
void tls_input(struct tls_session *session, const char *data, size_t len);
size_t tls_input_left(const struct tls_session *session);
/* Whether tls_read() has something to tell without more input: lent ciphertext, plaintext of a
 * record that did not fit into the caller's buffer, or the end. */
bool tls_readable(const struct tls_session *session);
/* Plaintext into the caller's buffer: as much as the input gives and `len` holds, *got bytes.
 * TLS_OK: *got > 0. */
enum tls_progress tls_read(struct tls_session *session, char *data, size_t len, size_t *got,
                           struct haul_error *error);
/* Goes through what is not plaintext (tickets, KeyUpdate) and leaves plaintext where it is: TLS_OK:
 * there is some; TLS_CLOSED, TLS_BAD: as tls_read() will say. */
enum tls_progress tls_peek(struct tls_session *session);
/* Encrypts all of data into the output. */
enum tls_progress tls_write(struct tls_session *session, struct span data,
                            struct haul_error *error);
/* Queues a close_notify. */
void tls_close(struct tls_session *session);
/* Ciphertext to send to the peer, valid until the next call on the session; calls to handshake,
 * read (alerts, KeyUpdate), write and close add to it. */
struct span tls_output(const struct tls_session *session);
void tls_output_taken(struct tls_session *session, size_t len);
/* "TLSv1.3 TLS_AES_128_GCM_SHA256, resumed", for the log. */
void tls_describe(const struct tls_session *session, char *text, size_t len);

/* "5.7.2"; and whether AES uses the CPU's instructions, in this build on this CPU. */
const char *tls_library_version(void);
bool tls_aes_accelerated(void);

#endif
