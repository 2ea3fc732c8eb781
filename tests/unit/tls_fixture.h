/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A client and a server over memory, for the tests of src/tls/. */
#ifndef TESTS_TLS_FIXTURE_H
#define TESTS_TLS_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

#include "tests/unit/tls_server.h"

enum { MIB = 1 << 20, PIECE_MAX = 1 << 20, RANDOM_PIECES = 0 };

struct fixture {
    struct tls_server server;
    struct tls_trust *trust;
    struct tls_session *client;
    struct haul_error error;
    char piece[PIECE_MAX]; /* lent to the client */
};

extern const struct tls_server_options tls12;
extern const struct tls_server_options tls13;

/* Before the first fixture: what main() was given. */
void tls_fixture_certificates(int argc, char **argv);
uint64_t random_number(void);
/* Starts the server and creates the client. */
struct fixture *begin(const struct tls_server_options *options, const char *host);
/* The client's settings; without a ca_certificate, that of the tests' own authority. */
struct fixture *begin_with(const struct tls_server_options *options,
                           const struct tls_trust_options *trust, const char *host);
void end(struct fixture *f);
/* Of one of gencert's files. */
const char *tls_fixture_path(char path[4096], const char *name);
/* Starts another server in the place of this one. */
void tls_fixture_replace_server(struct fixture *f, const struct tls_server_options *options);
void shake(struct fixture *f, size_t most);
/* Reads until nothing more can come. Returns what the last call said; *got counts. */
enum tls_progress drain(struct fixture *f, char *data, size_t len, size_t *got, size_t most,
                        size_t read_most);

#endif
