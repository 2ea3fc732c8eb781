/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A client and a server over memory, and what tests do with the two. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/tls_fixture.h"

static const char *directory;
static _Thread_local uint64_t seed = 88172645463325252;

const struct tls_server_options tls12 = {.certificate = "ecdsa", .tls12 = true};
const struct tls_server_options tls13 = {.certificate = "ecdsa"};

void tls_fixture_certificates(int argc, char **argv)
{
    directory = tls_server_certificates(argc, argv);
}

uint64_t random_number(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static void start_server(struct fixture *f, const struct tls_server_options *options)
{
    struct tls_server_options with_directory = *options;

    with_directory.directory = directory;
    tls_server_start(&f->server, &with_directory);
}

void tls_fixture_replace_server(struct fixture *f, const struct tls_server_options *options)
{
    tls_server_stop(&f->server);
    start_server(f, options);
}

const char *tls_fixture_path(char path[4096], const char *name)
{
    snprintf(path, 4096, "%s/%s", directory, name);
    return path;
}

struct fixture *begin(const struct tls_server_options *options, const char *host)
{
    struct tls_trust_options trust = {.check = true};

    return begin_with(options, &trust, host);
}

struct fixture *begin_with(const struct tls_server_options *options,
                           const struct tls_trust_options *trust, const char *host)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct tls_trust_options with_ca = *trust;
    char ca[4096];

    assert_non_null(f);
    if (!trust->ca_certificate)
        with_ca.ca_certificate = tls_fixture_path(ca, "ca.crt");
    start_server(f, options);
    f->trust = tls_trust_create(&with_ca, &f->error);
    if (!f->trust)
        fail_msg("%s", f->error.text);
    f->client = tls_session_create(f->trust, span_of(host), 443, NOW_S, &f->error);
    assert_non_null(f->client);
    return f;
}

void end(struct fixture *f)
{
    tls_session_destroy(f->client);
    tls_trust_destroy(f->trust);
    tls_server_stop(&f->server);
    free(f);
}

void shake(struct fixture *f, size_t most)
{
    if (tls_server_shake(&f->server, f->client, most, &f->error) != TLS_OK)
        fail_msg("%s", f->error.text);
    assert_true(f->server.accepted);
}

enum tls_progress drain(struct fixture *f, char *data, size_t len, size_t *got, size_t most,
                        size_t read_most)
{
    enum tls_progress progress = TLS_OK;

    *got = 0;
    while (*got < len) {
        size_t room = len - *got < read_most ? len - *got : read_most;
        size_t now;

        progress = tls_read(f->client, data + *got, room, &now, &f->error);
        assert_true((progress == TLS_OK) == (now > 0));
        *got += now;
        if (progress == TLS_WANT_INPUT) {
            size_t piece = most != RANDOM_PIECES ? most : 1 + (size_t)(random_number() % 40000);

            assert_int_equal(tls_input_left(f->client), 0);
            if (tls_server_give(&f->server, f->client, piece, f->piece) == 0)
                break;
        } else if (progress != TLS_OK) {
            break;
        }
    }
    return progress;
}
