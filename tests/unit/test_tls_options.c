/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What can be asked of TLS: the least version, pinned keys, certificates of our own; and what the
 * peer's alerts come out as. argv as of test_tls.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/tls_fixture.h"
#include "tls/identity.h"
#include "tls/internal.h"
#include "tls/pem.h"
#include "tls/pins.h"

#define NOTHING_PIN "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

static void expect_text(const struct haul_error *error, const char *expected)
{
    if (!strstr(error->text, expected))
        fail_msg("\"%s\" does not say \"%s\"", error->text, expected);
}

/* The handshake fails so. */
static void refused(struct fixture *f, enum haul_status status, const char *expected)
{
    assert_int_equal(tls_server_shake(&f->server, f->client, PIECE_MAX, &f->error), TLS_BAD);
    expect_text(&f->error, expected);
    assert_int_equal(f->error.status, status);
}

/* Another client of the same trust, and the same server; whether it offers a ticket. */
static bool begin_again(struct fixture *f)
{
    tls_session_destroy(f->client);
    f->client = tls_session_create(f->trust, SPAN("localhost"), 443, NOW_S, &f->error);
    assert_non_null(f->client);
    return tls_resume(f->client);
}

/* Takes in the tickets. */
static void take_tickets(struct fixture *f)
{
    char byte;
    size_t got;

    assert_int_equal(drain(f, &byte, 1, &got, PIECE_MAX, SIZE_MAX), TLS_WANT_INPUT);
}

static bool is_resumed(const struct fixture *f)
{
    char text[64];

    tls_describe(f->client, text, sizeof(text));
    return strstr(text, "resumed") != NULL;
}

/* ---- the least version ---- */

static void test_least_version(void **state)
{
    static const struct tls_trust_options least = {.check = true, .min_version = TLS_VERSION_1_3};
    static const char alert[] = {0x15, 3, 3, 0, 2, 2, 70};
    struct fixture *f = begin_with(&tls13, &least, "localhost");

    (void)state;
    shake(f, PIECE_MAX);
    end(f);
    /* One that does as if it had not seen what is offered. */
    f = begin_with(&tls13, &least, "localhost");
    assert_int_equal(tls_handshake(f->client, &f->error), TLS_WANT_INPUT);
    tls_input(f->client, alert, sizeof(alert));
    assert_int_equal(tls_handshake(f->client, &f->error), TLS_BAD);
    expect_text(&f->error, "does not take TLS 1.3, and nothing less is allowed");
    assert_int_equal(f->error.status, HAUL_TLS);
    end(f);
}

/* A ServerHello with this version, as the peer's whole answer. */
static void offered(enum tls_version least, uint8_t minor, const char *expected)
{
    uint8_t hello[5 + 4 + 2 + 32 + 1 + 2 + 1] = {
        22, 3, 3, 0, sizeof(hello) - 5, 2, 0, 0, sizeof(hello) - 9};
    const struct tls_trust_options options = {.check = true, .min_version = least};
    struct fixture *f = begin_with(&tls13, &options, "localhost");

    hello[9] = 3;
    hello[10] = minor;
    hello[44] = 0xc0;
    hello[45] = 0x2b;
    assert_int_equal(tls_handshake(f->client, &f->error), TLS_WANT_INPUT);
    tls_input(f->client, (const char *)hello, sizeof(hello));
    assert_int_equal(tls_handshake(f->client, &f->error), TLS_BAD);
    expect_text(&f->error, expected);
    assert_int_equal(f->error.status, HAUL_TLS);
    end(f);
}

static void test_offered_version(void **state)
{
    (void)state;
    offered(TLS_VERSION_1_3, 3, "offers TLS 1.2, and TLS 1.3 is the least that is allowed (--min");
    offered(TLS_VERSION_1_3, 2, "offers TLS 1.1, and TLS 1.3");
    offered(TLS_VERSION_1_2, 2, "offers TLS 1.1, and TLS 1.2 is the least that is allowed");
    offered(TLS_VERSION_1_2, 1, "offers TLS 1.0, and TLS 1.2");
    offered(TLS_VERSION_1_2, 0, "offers SSL 3.0, and TLS 1.2");
}

/* ---- pinned keys ---- */

/* That of a certificate's key. */
static struct tls_pins *pins_of(const char *name)
{
    struct text file = {0};
    struct text der = {0};
    struct text list = {0};
    struct certificate certificate;
    struct span pem;
    struct pem_block block;
    struct tls_pins *pins;
    char path[4096];

    assert_int_equal(pem_read_file(-1, tls_fixture_path(path, name), &file), 0);
    pem = text_span(&file);
    assert_true(pem_next(&pem, &block) && pem_decode(&block, &der));
    assert_true(certificate_parse(&certificate, text_span(&der)));
    text_add(&list, SPAN(NOTHING_PIN ";"));
    tls_pins_add_key(&list, certificate.key);
    pins = tls_pins_create(list.data, NULL);
    assert_non_null(pins);
    text_free(&file);
    text_free(&der);
    text_free(&list);
    return pins;
}

static void pinned(const struct tls_server_options *server, const char *name, bool check,
                   const char *expected)
{
    struct tls_pins *pins = pins_of(name);
    const struct tls_trust_options options = {.check = check, .pins = pins};
    struct fixture *f = begin_with(server, &options, "localhost");

    if (expected) {
        refused(f, HAUL_CERTIFICATE, expected);
        assert_false(f->server.accepted);
    } else {
        shake(f, PIECE_MAX);
    }
    end(f);
    tls_pins_destroy(pins);
}

static void test_pins(void **state)
{
    static const struct tls_server_options unknown = {.certificate = "unknown"};
    static const struct tls_server_options chain = {.certificate = "chain"};
    const struct tls_server_options *const versions[] = {&tls12, &tls13};

    (void)state;
    for (int check = 0; check <= 1; check++) {
        for (size_t i = 0; i < 2; i++) {
            pinned(versions[i], "ecdsa.crt", check, NULL);
            pinned(versions[i], "rsa.crt", check, "not one of those pinned: it is sha256//");
        }
        /* The authority's key is not the server's. */
        pinned(&chain, "intermediate.crt", check, "not one of those pinned");
        pinned(&chain, "chain.crt", check, NULL);
    }
    /* A pin does not take the place of an authority, nor of a name, where those are checked. */
    pinned(&unknown, "unknown.crt", true, "is not trusted here");
    pinned(&unknown, "unknown.crt", false, NULL);
}

/* Who took the place of a server that was pinned has no use of its ticket. */
static void test_pins_and_tickets(void **state)
{
    static const struct tls_server_options rsa = {.certificate = "rsa"};
    struct tls_pins *pins = pins_of("ecdsa.crt");

    (void)state;
    for (int check = 0; check <= 1; check++) {
        const struct tls_trust_options options = {.check = check, .pins = pins};
        struct fixture *f = begin_with(&tls13, &options, "localhost");

        shake(f, PIECE_MAX);
        take_tickets(f);
        tls_server_again(&f->server);
        assert_true(begin_again(f));
        shake(f, PIECE_MAX);
        assert_true(is_resumed(f));
        take_tickets(f);
        tls_fixture_replace_server(f, &rsa);
        assert_true(begin_again(f));
        refused(f, HAUL_CERTIFICATE, "not one of those pinned");
        end(f);
    }
    tls_pins_destroy(pins);
}

/* ---- certificates of our own ---- */

static struct tls_identity *identity_of(const char *certificate, const char *key)
{
    char certificate_path[4096];
    char key_path[4096];
    struct haul_error error = {0};
    struct tls_identity *identity = tls_identity_create(
        tls_fixture_path(certificate_path, certificate), tls_fixture_path(key_path, key), &error);

    if (!identity)
        fail_msg("%s", error.text);
    return identity;
}

static void known_by(const struct tls_server_options *server, const char *name, bool accepted)
{
    char certificate[64];
    char key[64];
    struct tls_identity *identity;
    struct fixture *f;
    struct tls_trust_options options = {.check = true};

    snprintf(certificate, sizeof(certificate), "%s.crt", name);
    snprintf(key, sizeof(key), "%s.key", name);
    options.identity = identity = identity_of(certificate, key);
    f = begin_with(server, &options, "localhost");
    if (accepted) {
        shake(f, PIECE_MAX);
    } else {
        (void)tls_server_shake(&f->server, f->client, PIECE_MAX, &f->error);
        assert_false(f->server.accepted);
    }
    end(f);
    tls_identity_destroy(identity);
}

static void test_identities(void **state)
{
    struct tls_server_options wants = {.certificate = "ecdsa", .client_ca = "ca"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        wants.tls12 = i == 1;
        known_by(&wants, "client", true);
        known_by(&wants, "clientrsa", true);
        known_by(&wants, "clientchain", true); /* by way of the authority in its file */
        known_by(&wants, "nochain", false);
        known_by(&wants, "unknown", false);
    }
    /* Those that don't ask don't get any. */
    known_by(&tls12, "client", true);
    known_by(&tls13, "unknown", true);
}

static void test_no_identity(void **state)
{
    struct tls_server_options wants = {.certificate = "ecdsa", .client_ca = "ca"};

    (void)state;
    for (int i = 0; i < 2; i++) {
        struct fixture *f;

        wants.tls12 = i == 1;
        f = begin(&wants, "localhost");
        (void)tls_server_shake(&f->server, f->client, PIECE_MAX, &f->error);
        assert_false(f->server.accepted);
        end(f);
    }
}

/* A session is resumed as the client that it was begun by. */
static void test_identity_and_tickets(void **state)
{
    static const struct tls_server_options wants = {.certificate = "ecdsa", .client_ca = "ca"};
    struct tls_identity *identity = identity_of("client.crt", "client.key");
    const struct tls_trust_options options = {.check = true, .identity = identity};
    struct fixture *f = begin_with(&wants, &options, "localhost");

    (void)state;
    shake(f, PIECE_MAX);
    take_tickets(f);
    tls_server_again(&f->server);
    assert_true(begin_again(f));
    shake(f, PIECE_MAX);
    assert_true(is_resumed(f));
    end(f);
    tls_identity_destroy(identity);
}

static void unusable(const char *certificate, const char *key, const char *expected)
{
    struct haul_error error = {0};

    assert_null(tls_identity_create(certificate, key, &error));
    assert_int_equal(error.status, HAUL_BAD_OPTION);
    expect_text(&error, expected);
}

static void write_file(const char *path, const char *data)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_true(fputs(data, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static void test_unusable_identities(void **state)
{
    char certificate[4096];
    char key[4096];
    char other[4096];
    char broken[4096 + 8];

    (void)state;
    tls_fixture_path(certificate, "client.crt");
    tls_fixture_path(key, "client.key");
    tls_fixture_path(other, "rsa.key");
    snprintf(broken, sizeof(broken), "%s.%d", key, (int)getpid());
    unusable("/nonexistent/a.pem", key, "/nonexistent/a.pem: No such file or directory");
    unusable(certificate, "/nonexistent/b.pem", "/nonexistent/b.pem: No such file or directory");
    unusable(key, NULL, "no PEM certificate in");
    unusable(certificate, NULL, "no PEM private key in");
    unusable(certificate, certificate, "no PEM private key in");
    unusable(certificate, other, "is not that of the certificate in");
    tls_fixture_path(other, "ca.key");
    unusable(certificate, other, "is not that of the certificate in");
    write_file(
        broken,
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n");
    unusable(certificate, broken, "is encrypted, and haul asks for no password");
    write_file(broken, "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
                       "DEK-Info: AES-128-CBC,00\n\nAAAA\n-----END EC PRIVATE KEY-----\n");
    unusable(certificate, broken, "is encrypted, and haul asks for no password");
    write_file(broken, "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n");
    unusable(certificate, broken, "can't be used");
    write_file(broken, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
    unusable(broken, key, "can't be used");
    unlink(broken);
    tls_identity_destroy(NULL);
}

/* ---- alerts ---- */

/* Where the server's record of this number ends; 0: there are not so many. *sealed: those of them
 * that are encrypted, with TLS 1.3. */
static size_t records_end(const struct text *output, size_t count, uint64_t *sealed)
{
    size_t at = 0;

    *sealed = 0;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *header = (const uint8_t *)output->data + at;

        if (at == output->len)
            return 0;
        *sealed += header[0] == 23;
        at += 5 + ((size_t)header[3] << 8 | header[4]);
    }
    return at;
}

/* After so many records of the server's flight comes this alert, as it should be or in the clear.
 * False: there are not so many. */
static bool alerted(const struct tls_server_options *options, size_t count, const char *alert,
                    bool clear, const char *expected)
{
    struct fixture *f = begin(options, "localhost");
    struct text *output = &f->server.output;
    struct record_peer peer = {0};
    uint64_t sealed;
    size_t end_at;

    assert_int_equal(tls_handshake(f->client, &f->error), TLS_WANT_INPUT);
    tls_server_take(&f->server, f->client);
    assert_true(tls_server_accept(&f->server));
    end_at = records_end(output, count, &sealed);
    /* TLS 1.3 is done after the last of them. */
    if (count > 0 && (end_at == 0 || (!options->tls12 && end_at == output->len))) {
        end(f);
        return false;
    }
    output->len = end_at;
    if (!options->tls12 && count > 0 && !clear) {
        record_peer_init(&peer, 0x1301, f->server.handshake_secret);
        peer.sequence = sealed;
        record_peer_seal(&peer, 21, span_make(alert, 2), 0, output);
    } else {
        const char header[] = {21, 3, 3, 0, 2};

        text_add(output, span_make(header, sizeof(header)));
        text_add(output, span_make(alert, 2));
    }
    assert_true(tls_server_give(&f->server, f->client, PIECE_MAX, f->piece) > 0);
    if (tls_handshake(f->client, &f->error) != TLS_BAD)
        fail_msg("goes on after %zu records", count);
    assert_int_equal(f->error.status, HAUL_TLS);
    expect_text(&f->error, expected);
    assert_int_equal(tls_handshake(f->client, &f->error), TLS_BAD);
    assert_int_equal(tls_input_left(f->client), 0);
    end(f);
    return true;
}

static void alerted_everywhere(const struct tls_server_options *options, const char *alert,
                               bool clear, const char *expected)
{
    size_t count = 0;

    while (alerted(options, count, alert, clear, expected))
        count++;
    assert_in_range(count, 4, 20);
}

static void test_alerts_at_every_step(void **state)
{
    static const struct tls_server_options tls13_aes = {.certificate = "ecdsa",
                                                        .ciphers = "TLS13-AES128-GCM-SHA256"};

    (void)state;
    alerted_everywhere(&tls12, "\2\x50", false, "with the alert internal_error");
    alerted_everywhere(&tls12, "\1\0", false, "localhost ended the TLS session");
    alerted_everywhere(&tls12, "\2\x28", false, "with the alert handshake_failure: it has no");
    alerted_everywhere(&tls12, "\2\xff", false, "with the alert 255");
    alerted_everywhere(&tls13_aes, "\2\x50", false, "with the alert internal_error");
    alerted_everywhere(&tls13_aes, "\1\0", false, "localhost ended the TLS session");
    alerted_everywhere(&tls13_aes, "\2\x74", false, "it asks for a client certificate");
    /* Who can't encrypt is told apart from the server, but ends the handshake all the same. */
    alerted_everywhere(&tls13_aes, "\2\x50", true, "localhost");
}

/* TLS 1.3 says it when the client is done: never to be tried again, as if it were the network. */
static void test_late_alerts(void **state)
{
    static const struct {
        const char *alert;
        enum haul_status status;
        const char *expected;
    } rows[] = {
        {"\2\x74", HAUL_TLS, "certificate_required: it asks for a client certificate"},
        {"\2\x30", HAUL_TLS, "unknown_ca; does it take the client certificate (--certificate)?"},
        {"\2\x2a", HAUL_TLS, "bad_certificate; does it"},
        {"\2\x31", HAUL_TLS, "access_denied; does it"},
        {"\2\x50", HAUL_NETWORK, "internal_error"},
    };
    struct tls_identity *identity = identity_of("client.crt", "client.key");
    const struct tls_trust_options options = {.check = true, .identity = identity};

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct fixture *f = begin_with(&tls13, &options, "localhost");
        struct record_peer peer;
        char byte;
        size_t got;

        shake(f, PIECE_MAX);
        tls_server_become(&f->server, &peer);
        record_peer_seal(&peer, 21, span_make(rows[i].alert, 2), 0, &f->server.output);
        assert_int_equal(drain(f, &byte, 1, &got, PIECE_MAX, SIZE_MAX), TLS_BAD);
        assert_int_equal(f->error.status, rows[i].status);
        expect_text(&f->error, rows[i].expected);
        end(f);
    }
    tls_identity_destroy(identity);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_least_version),
        cmocka_unit_test(test_offered_version),
        cmocka_unit_test(test_pins),
        cmocka_unit_test(test_pins_and_tickets),
        cmocka_unit_test(test_identities),
        cmocka_unit_test(test_no_identity),
        cmocka_unit_test(test_identity_and_tickets),
        cmocka_unit_test(test_unusable_identities),
        cmocka_unit_test(test_alerts_at_every_step),
        cmocka_unit_test(test_late_alerts),
    };

    tls_fixture_certificates(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
