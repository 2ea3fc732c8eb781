/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Sessions against wolfSSL's server over memory: argv is the path of tools/gencert and a directory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/tls_fixture.h"

static char *noise(size_t len)
{
    char *data = malloc(len);

    assert_non_null(data);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)random_number();
    return data;
}

static void exchange(const struct tls_server_options *options, size_t shake_most, size_t most,
                     size_t read_most)
{
    struct fixture *f = begin(options, "localhost");
    char *sent = noise(MIB);
    char *received = calloc(1, MIB + 1);
    size_t got = 0;
    int result;

    shake(f, shake_most);
    /* up */
    assert_int_equal(tls_write(f->client, span_make(sent, MIB), &f->error), TLS_OK);
    tls_server_take(&f->server, f->client);
    while ((result = tls_server_read(&f->server, received + got, MIB - got)) > 0)
        got += (size_t)result;
    assert_int_equal(got, MIB);
    assert_memory_equal(sent, received, MIB);
    /* down, and the end */
    memset(received, 0, MIB);
    tls_server_write(&f->server, sent, MIB);
    tls_server_close(&f->server);
    assert_int_equal(drain(f, received, MIB + 1, &got, most, read_most), TLS_CLOSED);
    assert_int_equal(got, MIB);
    assert_memory_equal(sent, received, MIB);
    assert_int_equal(tls_input_left(f->client), 0);
    /* once closed, always closed */
    assert_int_equal(tls_read(f->client, received, 1, &got, &f->error), TLS_CLOSED);
    tls_close(f->client);
    tls_server_take(&f->server, f->client);
    free(sent);
    free(received);
    end(f);
}

static void test_whole(void **state)
{
    (void)state;
    exchange(&tls12, PIECE_MAX, PIECE_MAX, SIZE_MAX);
    exchange(&tls13, PIECE_MAX, PIECE_MAX, SIZE_MAX);
}

static void test_byte_at_a_time(void **state)
{
    (void)state;
    exchange(&tls12, 1, 1, SIZE_MAX);
    exchange(&tls13, 1, 1, SIZE_MAX);
}

static void test_random_splits(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        size_t shake_most = 1 + (size_t)(random_number() % 700);
        size_t read_most = 1 + (size_t)(random_number() % 50000);

        exchange(i % 2 ? &tls12 : &tls13, shake_most, RANDOM_PIECES, read_most);
    }
}

static void test_rsa_and_chain(void **state)
{
    static const struct tls_server_options rsa = {.certificate = "rsa"};
    static const struct tls_server_options chain = {.certificate = "chain", .tls12 = true};

    (void)state;
    exchange(&rsa, PIECE_MAX, PIECE_MAX, SIZE_MAX);
    exchange(&chain, 100, PIECE_MAX, SIZE_MAX);
}

/* A server that lacks the group whose key share was sent asks for another: one round trip more. */
static void test_hello_retry(void **state)
{
    static const struct tls_server_options p256 = {.certificate = "ecdsa", .wants_p256 = true};

    (void)state;
    exchange(&p256, 1, PIECE_MAX, SIZE_MAX);
}

/* One call decrypts all records that are there, into one buffer. */
static void test_many_records_a_read(void **state)
{
    struct fixture *f = begin(&tls13, "localhost");
    char *data = malloc(MIB);
    size_t got;

    (void)state;
    shake(f, PIECE_MAX);
    for (int i = 0; i < 100; i++)
        tls_server_write(&f->server, "0123456789", 10);
    assert_int_equal(drain(f, data, 1, &got, PIECE_MAX, 1), TLS_OK);
    assert_int_equal(tls_read(f->client, data, MIB, &got, &f->error), TLS_OK);
    assert_int_equal(got, 999);
    assert_int_equal(tls_input_left(f->client), 0);
    assert_int_equal(tls_read(f->client, data, MIB, &got, &f->error), TLS_WANT_INPUT);
    free(data);
    end(f);
}

/* The rest of a record whose ciphertext is all taken in is still there to be read. */
static void test_split_record(void **state)
{
    struct fixture *f = begin(&tls13, "localhost");
    char data[16];
    size_t got;

    (void)state;
    shake(f, PIECE_MAX);
    tls_server_write(&f->server, "0123456789", 10);
    assert_int_equal(drain(f, data, 4, &got, PIECE_MAX, SIZE_MAX), TLS_OK);
    assert_int_equal(tls_input_left(f->client), 0);
    assert_true(tls_readable(f->client));
    assert_int_equal(tls_read(f->client, data, sizeof(data), &got, &f->error), TLS_OK);
    assert_int_equal(got, 6);
    assert_memory_equal(data, "456789", 6);
    assert_false(tls_readable(f->client));
    end(f);
}

static void test_key_update(void **state)
{
    struct fixture *f = begin(&tls13, "localhost");
    char data[64];
    size_t got;

    (void)state;
    shake(f, PIECE_MAX);
    assert_int_equal(tls_output(f->client).len, 0);
    for (int i = 0; i < 5; i++) {
        tls_server_update_keys(&f->server);
        tls_server_write(&f->server, "after the update", 16);
        assert_int_equal(drain(f, data, 16, &got, 7, SIZE_MAX), TLS_OK);
        assert_memory_equal(data, "after the update", 16);
        /* our answer to the update goes out by itself; what is written next uses the new key */
        assert_int_equal(tls_write(f->client, SPAN("hello"), &f->error), TLS_OK);
        tls_server_take(&f->server, f->client);
        assert_int_equal(tls_server_read(&f->server, data, sizeof(data)), 5);
    }
    end(f);
}

/* ---- hellos ---- */

/* Which of the suites of TLS 1.3 the ClientHello names first. */
static unsigned first_suite(enum tls_ciphers ciphers)
{
    struct tls_trust_options options = {.check = false, .ciphers = ciphers};
    struct haul_error error;
    struct tls_trust *trust = tls_trust_create(&options, &error);
    struct tls_session *client = tls_session_create(trust, SPAN("localhost"), 443, NOW_S, &error);
    const uint8_t *bytes;
    unsigned suite;

    assert_int_equal(tls_handshake(client, &error), TLS_WANT_INPUT);
    bytes = (const uint8_t *)tls_output(client).data;
    /* record and message headers, version, random, session ID, length of the suites */
    bytes += 5 + 4 + 2 + 32;
    bytes += 1 + bytes[0] + 2;
    suite = (unsigned)bytes[0] << 8 | bytes[1];
    tls_session_destroy(client);
    tls_trust_destroy(trust);
    return suite;
}

static void test_order_of_ciphers(void **state)
{
    (void)state;
    assert_int_equal(first_suite(TLS_CIPHERS_AES_FIRST), 0x1301);
    assert_int_equal(first_suite(TLS_CIPHERS_CHACHA20_FIRST), 0x1303);
    assert_int_equal(first_suite(TLS_CIPHERS_FASTEST_FIRST),
                     tls_aes_accelerated() ? 0x1301 : 0x1303);
}

static void test_hellos(void **state)
{
    struct fixture *f = begin(&tls13, "LocalHost.");
    char name[256];
    char text[64];

    (void)state;
    shake(f, PIECE_MAX);
    tls_server_sni(&f->server, name);
    assert_string_equal(name, "LocalHost");
    tls_describe(f->client, text, sizeof(text));
    assert_string_equal(text, tls_aes_accelerated() ? "TLSv1.3 TLS_AES_128_GCM_SHA256"
                                                    : "TLSv1.3 TLS_CHACHA20_POLY1305_SHA256");
    end(f);
    f = begin(&tls12, "127.0.0.1");
    shake(f, PIECE_MAX);
    tls_server_sni(&f->server, name);
    assert_string_equal(name, "");
    end(f);
}

/* Whoever sits in between can close a connection, but must not make it look complete. */
static void injected_close(const struct tls_server_options *options)
{
    static const char close_notify[] = {0x15, 3, 3, 0, 2, 1, 0};
    struct fixture *f = begin(options, "localhost");
    char data[64];
    size_t got;

    shake(f, PIECE_MAX);
    tls_server_write(&f->server, "partial", 7);
    assert_int_equal(drain(f, data, 7, &got, PIECE_MAX, SIZE_MAX), TLS_OK);
    tls_input(f->client, close_notify, sizeof(close_notify));
    assert_int_equal(tls_read(f->client, data, sizeof(data), &got, &f->error), TLS_BAD);
    assert_int_equal(f->error.status, HAUL_NETWORK);
    assert_int_equal(tls_read(f->client, data, sizeof(data), &got, &f->error), TLS_BAD);
    assert_int_equal(tls_write(f->client, SPAN("x"), &f->error), TLS_BAD);
    end(f);
}

static void test_injected_close(void **state)
{
    (void)state;
    injected_close(&tls12);
    injected_close(&tls13);
}

static void test_truncated(void **state)
{
    struct fixture *f = begin(&tls13, "localhost");
    char data[64];
    size_t got;

    (void)state;
    shake(f, PIECE_MAX);
    tls_server_write(&f->server, "0123456789", 10);
    f->server.output.len--;
    assert_int_equal(drain(f, data, 10, &got, PIECE_MAX, SIZE_MAX), TLS_WANT_INPUT);
    assert_int_equal(got, 0);
    end(f);
}

static void test_damaged_record(void **state)
{
    (void)state;
    for (int i = 0; i < 200; i++) {
        struct fixture *f = begin(i % 2 ? &tls12 : &tls13, "localhost");
        char data[64];
        size_t got;
        size_t at;

        shake(f, PIECE_MAX);
        /* the tickets first */
        assert_int_equal(drain(f, data, 10, &got, PIECE_MAX, SIZE_MAX), TLS_WANT_INPUT);
        at = f->server.output.len;
        tls_server_write(&f->server, "0123456789", 10);
        at += (size_t)(random_number() % (f->server.output.len - at));
        f->server.output.data[at] ^= (char)(1 << random_number() % 8);
        if (drain(f, data, 10, &got, PIECE_MAX, SIZE_MAX) == TLS_BAD)
            assert_int_equal(f->error.status, HAUL_NETWORK);
        assert_int_equal(got, 0);
        end(f);
    }
}

/* Nothing that is changed on the way lets a handshake end well. */
static void test_damaged_handshake(void **state)
{
    (void)state;
    for (int i = 0; i < 300; i++) {
        struct fixture *f = begin(i % 2 ? &tls12 : &tls13, "localhost");
        size_t at;
        enum tls_progress progress;

        assert_int_equal(tls_handshake(f->client, &f->error), TLS_WANT_INPUT);
        tls_server_take(&f->server, f->client);
        assert_true(tls_server_accept(&f->server));
        at = (size_t)(random_number() % f->server.output.len);
        f->server.output.data[at] ^= (char)(1 << random_number() % 8);
        progress = tls_server_shake(&f->server, f->client, PIECE_MAX, &f->error);
        /* The record header's version is not covered by anything. */
        if (progress == TLS_OK)
            assert_true(at == 1 || at == 2 || f->server.accepted);
        else if (progress == TLS_BAD)
            assert_true(f->error.status == HAUL_TLS || f->error.status == HAUL_CERTIFICATE);
        end(f);
    }
}

static void answered(const char *answer, size_t len, const char *expected)
{
    struct fixture *f = begin(&tls13, "localhost");

    assert_int_equal(tls_handshake(f->client, &f->error), TLS_WANT_INPUT);
    assert_true(tls_output(f->client).len > 0);
    tls_input(f->client, answer, len);
    assert_int_equal(tls_handshake(f->client, &f->error), TLS_BAD);
    assert_int_equal(f->error.status, HAUL_TLS);
    if (!strstr(f->error.text, expected))
        fail_msg("\"%s\" does not say \"%s\"", f->error.text, expected);
    assert_int_equal(tls_input_left(f->client), 0);
    assert_int_equal(tls_handshake(f->client, &f->error), TLS_BAD);
    tls_close(f->client);
    end(f);
}

static void test_no_tls(void **state)
{
    static const char http[] = "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n";
    static const char old[] = {0x15, 3, 1, 0, 2, 2, 70};
    static const char refused[] = {0x15, 3, 3, 0, 2, 2, 40};
    static const char unknown_name[] = {0x15, 3, 3, 0, 2, 2, 112};
    static const char closed[] = {0x15, 3, 3, 0, 2, 1, 0};

    (void)state;
    answered(http, sizeof(http) - 1, "does not speak TLS");
    answered("SSH-2.0-OpenSSH_9.2\r\n", 21, "does not speak TLS");
    answered(old, sizeof(old), "protocol_version");
    answered(refused, sizeof(refused), "handshake_failure");
    answered(unknown_name, sizeof(unknown_name), "unrecognized_name");
    answered(closed, sizeof(closed), "ended the TLS session");
}

static void test_weak_cipher(void **state)
{
    static const struct tls_server_options cbc = {
        .certificate = "rsa", .tls12 = true, .ciphers = "ECDHE-RSA-AES128-SHA256"};
    struct fixture *f = begin(&cbc, "localhost");

    (void)state;
    /* wolfSSL's server just goes away; see test_no_tls for those that say why. */
    assert_int_not_equal(tls_server_shake(&f->server, f->client, PIECE_MAX, &f->error), TLS_OK);
    assert_false(f->server.accepted);
    end(f);
}

static void test_close(void **state)
{
    struct fixture *f = begin(&tls13, "localhost");
    char data[8];

    (void)state;
    shake(f, PIECE_MAX);
    assert_int_equal(tls_write(f->client, SPAN("bye"), &f->error), TLS_OK);
    assert_int_equal(tls_write(f->client, SPAN(""), &f->error), TLS_OK);
    tls_close(f->client);
    tls_server_take(&f->server, f->client);
    assert_int_equal(tls_server_read(&f->server, data, sizeof(data)), 3);
    assert_int_equal(tls_server_read(&f->server, data, sizeof(data)), -1);
    end(f);
}

static void test_bad_hosts(void **state)
{
    static const char with_nul[] = "localhost\0.evil.example";
    struct fixture *f = begin(&tls13, "localhost");
    struct haul_error error = {0};
    char host[300];

    (void)state;
    memset(host, 'a', sizeof(host));
    assert_null(tls_session_create(f->trust, span_make(with_nul, sizeof(with_nul) - 1), 443, NOW_S,
                                   &error));
    assert_int_equal(error.status, HAUL_TLS);
    assert_null(tls_session_create(f->trust, SPAN(""), 443, NOW_S, &error));
    assert_null(tls_session_create(f->trust, SPAN("."), 443, NOW_S, &error));
    assert_null(tls_session_create(f->trust, SPAN("a b"), 443, NOW_S, NULL));
    assert_null(tls_session_create(f->trust, span_make(host, sizeof(host)), 443, NOW_S, NULL));
    tls_session_destroy(NULL);
    end(f);
}

static void test_library(void **state)
{
    (void)state;
    assert_true(strchr(tls_library_version(), '.') != NULL);
    printf("# wolfSSL %s, AES %s\n", tls_library_version(),
           tls_aes_accelerated() ? "accelerated" : "in plain C");
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_whole),
        cmocka_unit_test(test_byte_at_a_time),
        cmocka_unit_test(test_random_splits),
        cmocka_unit_test(test_rsa_and_chain),
        cmocka_unit_test(test_hello_retry),
        cmocka_unit_test(test_many_records_a_read),
        cmocka_unit_test(test_split_record),
        cmocka_unit_test(test_key_update),
        cmocka_unit_test(test_order_of_ciphers),
        cmocka_unit_test(test_hellos),
        cmocka_unit_test(test_injected_close),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_damaged_record),
        cmocka_unit_test(test_damaged_handshake),
        cmocka_unit_test(test_no_tls),
        cmocka_unit_test(test_weak_cipher),
        cmocka_unit_test(test_close),
        cmocka_unit_test(test_bad_hosts),
        cmocka_unit_test(test_library),
    };

    tls_fixture_certificates(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
