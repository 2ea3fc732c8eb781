/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A TLS server over memory, for the tests of src/tls/: the other end of a tls_session. */
#ifndef TESTS_TLS_SERVER_H
#define TESTS_TLS_SERVER_H

#include <stdbool.h>
#include <stddef.h>

#include "base/text.h"
#include "tests/unit/record_peer.h"
#include "tls/tls.h"

/* For sessions; any time will do that stands still. */
#define NOW_S INT64_C(1790000000)

struct WOLFSSL;
struct WOLFSSL_CTX;

struct tls_server_options {
    const char *directory;   /* of tools/gencert */
    const char *certificate; /* name without ".crt" */
    const char *ciphers;     /* NULL: all */
    bool tls12;              /* else 1.3 */
    const char *client_ca;   /* wants a certificate by this one, named as the other; NULL: none */
    bool wants_p256;         /* takes this group only */
};

struct tls_server {
    struct WOLFSSL_CTX *context;
    struct WOLFSSL *ssl;
    struct text input; /* ciphertext from the client */
    size_t input_taken;
    struct text output; /* ciphertext for the client */
    size_t output_taken;
    bool accepted;
    uint8_t handshake_secret[48]; /* TLS 1.3: of what it sends in the handshake */
    uint8_t traffic_secret[112];  /* of what it sends after it */
    size_t application_at;        /* where that begins in the output */
};

void tls_server_start(struct tls_server *server, const struct tls_server_options *options);
void tls_server_stop(struct tls_server *server);
/* The same server, with the keys of its tickets, for another connection. */
void tls_server_again(struct tls_server *server);
/* Goes on with the handshake as far as the input allows. False: it failed. */
bool tls_server_accept(struct tls_server *server);
/* Plaintext; 0: nothing there, -1: close_notify or trouble. */
int tls_server_read(struct tls_server *server, char *data, size_t len);
void tls_server_write(struct tls_server *server, const char *data, size_t len);
void tls_server_close(struct tls_server *server);
void tls_server_update_keys(struct tls_server *server);
/* Who seals the records that follow on the server's output so far, as the server itself would; that
 * must write nothing more then. Its keys must not have been updated. */
void tls_server_become(const struct tls_server *server, struct record_peer *peer);
/* The alert that came from the client last; -1: none. */
int tls_server_alert(const struct tls_server *server);
/* "" if the client named no host. */
void tls_server_sni(const struct tls_server *server, char name[256]);

/* What the client has to send goes to the server. */
void tls_server_take(struct tls_server *server, struct tls_session *client);
/* Lends the client up to `most` bytes of the server's output, into `piece`; 0: there is nothing.
 * piece must live until the client has read all. */
size_t tls_server_give(struct tls_server *server, struct tls_session *client, size_t most,
                       char *piece);
/* Both handshakes, until the client is done or has failed. */
enum tls_progress tls_server_shake(struct tls_server *server, struct tls_session *client,
                                   size_t most, struct haul_error *error);

/* Runs argv[1] (tools/gencert) for the directory argv[2], and returns that. */
const char *tls_server_certificates(int argc, char **argv);

#endif
