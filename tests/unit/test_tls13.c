/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What follows a handshake, mostly of TLS 1.3: records that a test seals in the server's name,
 * allowed or not, and sessions resumed. argv as of test_tls.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/tls_fixture.h"

/* ---- TLS 1.3's records, sealed by the test in the server's name ---- */

struct as_server {
    struct fixture *f;
    struct record_peer peer;
};

static struct as_server begin_as(const struct tls_server_options *options)
{
    struct as_server as = {.f = begin(options, "localhost")};

    shake(as.f, PIECE_MAX);
    tls_server_become(&as.f->server, &as.peer);
    return as;
}

static struct as_server begin_as_server(void)
{
    return begin_as(&tls13);
}

static void seal(struct as_server *as, uint8_t type, struct span content)
{
    record_peer_seal(&as->peer, type, content, 0, &as->f->server.output);
}

/* Everything that was sealed, in pieces of this size; what ended it. */
static enum tls_progress receive(struct as_server *as, const char *expected, size_t most)
{
    char data[256];
    size_t got;
    enum tls_progress progress = drain(as->f, data, sizeof(data), &got, most, SIZE_MAX);

    assert_int_equal(got, strlen(expected));
    assert_memory_equal(data, expected, got);
    return progress;
}

/* What the client has sent is understood, and ends with this alert (-1: none). */
static void end_with_alert(struct as_server *as, int alert)
{
    char data[16];

    tls_server_take(&as->f->server, as->f->client);
    assert_int_equal(tls_server_read(&as->f->server, data, sizeof(data)), alert < 0 ? 0 : -1);
    assert_int_equal(tls_server_alert(&as->f->server), alert);
    end(as->f);
}

static const char ticket[] = "\4\0\0\x17" /* lifetime, age, nonce, ticket, extensions */
                             "\0\0\x0e\x10"
                             "\1\2\3\4"
                             "\2\1\2"
                             "\0\x8"
                             "TICKETxx"
                             "\0\0";

static void test_tickets_amid_data(void **state)
{
    const struct span whole = span_make(ticket, sizeof(ticket) - 1);

    (void)state;
    for (size_t most = 1; most < 200; most += 7) {
        struct as_server as = begin_as_server();

        seal(&as, 22, whole);
        seal(&as, 23, SPAN("one "));
        seal(&as, 22, whole);
        seal(&as, 23, SPAN("two "));
        for (size_t i = 0; i < whole.len; i++) /* split over records */
            seal(&as, 22, span_sub(whole, i, 1));
        seal(&as, 23, SPAN("three"));
        assert_int_equal(receive(&as, "one two three", most), TLS_WANT_INPUT);
        assert_int_equal(tls_write(as.f->client, SPAN(""), &as.f->error), TLS_OK);
        end_with_alert(&as, -1);
    }
}

static void test_key_updates_amid_data(void **state)
{
    struct as_server as = begin_as_server();

    (void)state;
    for (char i = 0; i < 6; i++) {
        const char update[] = {24, 0, 0, 1, i % 2}; /* with and without asking for ours */
        char data[16];

        seal(&as, 23, SPAN("before "));
        if (i < 2) {
            seal(&as, 22, span_make(update, 2));
            seal(&as, 22, span_make(update + 2, 3));
        } else {
            seal(&as, 22, span_make(update, 5));
        }
        record_peer_update(&as.peer);
        seal(&as, 23, SPAN("after"));
        assert_int_equal(receive(&as, "before after", 17), TLS_WANT_INPUT);
        /* ours was updated too, if asked for: the server reads on */
        assert_int_equal(tls_write(as.f->client, SPAN("hello"), &as.f->error), TLS_OK);
        tls_server_take(&as.f->server, as.f->client);
        assert_int_equal(tls_server_read(&as.f->server, data, sizeof(data)), 5);
    }
    end_with_alert(&as, -1);
}

static void test_alerts_amid_data(void **state)
{
    struct as_server as = begin_as_server();

    (void)state;
    seal(&as, 23, SPAN("data"));
    seal(&as, 21, SPAN("\1\x5a")); /* user_canceled */
    seal(&as, 23, SPAN("more"));
    seal(&as, 21, SPAN("\1\0"));
    seal(&as, 23, SPAN("too late"));
    assert_int_equal(receive(&as, "datamore", PIECE_MAX), TLS_CLOSED);
    assert_int_equal(tls_peek(as.f->client), TLS_CLOSED);
    tls_close(as.f->client);
    end_with_alert(&as, 0);
    /* whatever level they claim to be of */
    for (int level = 1; level <= 2; level++) {
        const char alert[] = {(char)level, 80};

        as = begin_as_server();
        seal(&as, 23, SPAN("data"));
        seal(&as, 21, span_make(alert, 2));
        assert_int_equal(receive(&as, "data", 1), TLS_BAD);
        assert_int_equal(as.f->error.status, HAUL_NETWORK);
        assert_non_null(strstr(as.f->error.text, "internal_error"));
        end(as.f);
    }
}

/* After data: sealed by the peer, but against the rules. The client says why it goes. */
static void rejected(uint8_t type, struct span first, struct span then, int alert)
{
    for (size_t most = 1; most <= PIECE_MAX; most *= 64) {
        struct as_server as = begin_as_server();

        seal(&as, 23, SPAN("data"));
        if (first.len > 0)
            seal(&as, 22, first);
        seal(&as, type, then);
        assert_int_equal(receive(&as, "data", most), TLS_BAD);
        assert_int_equal(as.f->error.status, HAUL_NETWORK);
        assert_int_equal(tls_peek(as.f->client), TLS_BAD);
        end_with_alert(&as, alert);
    }
}

static void test_rules_of_records(void **state)
{
    static const char long_record[16385];
    const struct span half = span_make(ticket, 8);

    (void)state;
    rejected(20, SPAN(""), SPAN("\1"), 10);
    rejected(0, SPAN(""), SPAN(""), 20); /* shorter than a record can be: bad_record_mac */
    rejected(23, half, SPAN("data"), 10);
    rejected(21, half, SPAN("\1\0"), 10);
    rejected(22, SPAN(""), SPAN(""), 10);
    rejected(22, SPAN(""), SPAN("\x18\0\0\1\0\4\0\0\0"), 10);
    rejected(23, SPAN(""), span_make(long_record, sizeof(long_record)), 22);
}

static void test_rules_of_messages(void **state)
{
    (void)state;
    /* finished, certificate_request, server_hello, hello_request, a KeyUpdate of no known kind */
    static const struct {
        const char *bytes;
        size_t len;
    } bad[] = {{"\x14\0\0\4abcd", 8}, {"\x0d\0\0\3\0\0\0", 7}, {"\2\0\0\0", 4},  {"\0\0\0\0", 4},
               {"\x18\0\0\1\2", 5},   {"\x18\0\0\2\0\0", 6},   {"\4\0\0\1\0", 5}};

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct as_server as = begin_as_server();

        seal(&as, 23, SPAN("data"));
        seal(&as, 22, span_make(bad[i].bytes, bad[i].len));
        assert_int_equal(receive(&as, "data", 1), TLS_BAD);
        assert_int_equal(as.f->error.status, HAUL_NETWORK);
        end(as.f);
    }
}

static void test_damage_is_answered(void **state)
{
    struct as_server as = begin_as_server();

    (void)state;
    seal(&as, 23, SPAN("data"));
    seal(&as, 23, SPAN("damaged"));
    as.f->server.output.data[as.f->server.output.len - 1] ^= 1;
    assert_int_equal(receive(&as, "data", PIECE_MAX), TLS_BAD);
    assert_non_null(strstr(as.f->error.text, "damaged on its way"));
    end_with_alert(&as, 20);
}

/* A record once received, seen by wolfSSL or not, does not count again. */
static void test_replay(void **state)
{
    (void)state;
    for (int repeated = 0; repeated < 3; repeated++) {
        struct as_server as = begin_as_server();
        struct text *output = &as.f->server.output;
        struct text copy = {0};
        size_t at = 0;

        for (int i = 0; i < 3; i++) {
            if (i == repeated)
                at = output->len;
            seal(&as, i == 1 ? 22 : 23, i == 1 ? span_make(ticket, sizeof(ticket) - 1) : SPAN("x"));
            if (i == repeated)
                text_add(&copy, span_sub(text_span(output), at, SIZE_MAX));
        }
        text_add(output, text_span(&copy));
        assert_int_equal(receive(&as, "xx", PIECE_MAX), TLS_BAD);
        text_free(&copy);
        end_with_alert(&as, 20);
    }
}

/* TLS 1.2: wolfSSL hears of alerts and of a wish to negotiate anew, and of nothing else. */
static void test_tls12_messages(void **state)
{
    static const struct tls_server_options chacha = {
        .certificate = "ecdsa", .tls12 = true, .ciphers = "ECDHE-ECDSA-CHACHA20-POLY1305"};
    const struct tls_server_options *const options[] = {&tls12, &chacha};

    (void)state;
    for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
        struct as_server as = begin_as(options[i]);
        char byte;

        seal(&as, 23, SPAN("one "));
        seal(&as, 21, SPAN("\1\x5a")); /* user_canceled */
        seal(&as, 23, SPAN("two"));
        seal(&as, 21, SPAN("\1\0"));
        assert_int_equal(receive(&as, "one two", i == 0 ? PIECE_MAX : 1), TLS_CLOSED);
        end_with_alert(&as, -1);
        as = begin_as(options[i]);
        seal(&as, 23, SPAN("data"));
        seal(&as, 21, SPAN("\2\x50"));
        assert_int_equal(receive(&as, "data", PIECE_MAX), TLS_BAD);
        assert_non_null(strstr(as.f->error.text, "internal_error"));
        end(as.f);
        as = begin_as(options[i]);
        seal(&as, 23, SPAN("data"));
        seal(&as, 20, SPAN("\1"));
        assert_int_equal(receive(&as, "data", PIECE_MAX), TLS_BAD);
        end(as.f);
        as = begin_as(options[i]);
        seal(&as, 23, SPAN("data"));
        seal(&as, 22, SPAN("\0\0\0\0")); /* HelloRequest */
        seal(&as, 23, SPAN("more"));
        assert_int_equal(receive(&as, "datamore", 7), TLS_WANT_INPUT);
        tls_server_take(&as.f->server, as.f->client);
        assert_int_equal(tls_server_read(&as.f->server, &byte, 1), 0);
        assert_int_equal(tls_server_alert(&as.f->server), 100); /* no_renegotiation, a warning */
        end(as.f);
    }
}

static void test_peek(void **state)
{
    struct as_server as = begin_as_server();
    char data[8];
    size_t got;

    (void)state;
    seal(&as, 22, span_make(ticket, sizeof(ticket) - 1));
    tls_server_give(&as.f->server, as.f->client, PIECE_MAX, as.f->piece);
    assert_true(tls_readable(as.f->client));
    assert_int_equal(tls_peek(as.f->client), TLS_WANT_INPUT);
    assert_false(tls_readable(as.f->client));
    seal(&as, 23, SPAN("data"));
    seal(&as, 21, SPAN("\1\0"));
    tls_server_give(&as.f->server, as.f->client, PIECE_MAX, as.f->piece);
    for (int i = 0; i < 2; i++)
        assert_int_equal(tls_peek(as.f->client), TLS_OK);
    assert_int_equal(tls_read(as.f->client, data, 3, &got, &as.f->error), TLS_OK);
    assert_memory_equal(data, "dat", 3);
    assert_true(tls_readable(as.f->client));
    assert_int_equal(tls_peek(as.f->client), TLS_OK);
    assert_int_equal(tls_read(as.f->client, data, 8, &got, &as.f->error), TLS_OK);
    assert_int_equal(got, 1);
    assert_int_equal(tls_peek(as.f->client), TLS_CLOSED);
    end_with_alert(&as, -1);
}

/* ---- sessions resumed ---- */

/* Another client of the same trust, and the same server. Whether it offers a ticket. */
static bool begin_again_at(struct fixture *f, const char *host, uint16_t port, int64_t now_s)
{
    tls_session_destroy(f->client);
    f->client = tls_session_create(f->trust, span_of(host), port, now_s, &f->error);
    assert_non_null(f->client);
    return tls_resume(f->client);
}

static bool begin_again(struct fixture *f, const char *host, uint16_t port)
{
    return begin_again_at(f, host, port, NOW_S);
}

/* Both ways, and what the server sends by itself; whether the session was resumed. */
static bool hello(struct fixture *f)
{
    char text[64];
    size_t got;

    tls_server_write(&f->server, "hello", 5);
    assert_int_equal(drain(f, text, 5, &got, 100, SIZE_MAX), TLS_OK);
    assert_memory_equal(text, "hello", 5);
    assert_int_equal(tls_write(f->client, SPAN("hello"), &f->error), TLS_OK);
    tls_server_take(&f->server, f->client);
    assert_int_equal(tls_server_read(&f->server, text, sizeof(text)), 5);
    tls_describe(f->client, text, sizeof(text));
    return strstr(text, "resumed") != NULL;
}

static void resumption(const struct tls_server_options *options, bool check)
{
    struct fixture *f = begin(options, "localhost");
    struct tls_trust_options any = {.check = false};

    if (!check) {
        tls_session_destroy(f->client);
        tls_trust_destroy(f->trust);
        f->trust = tls_trust_create(&any, &f->error);
        f->client = tls_session_create(f->trust, SPAN("localhost"), 443, NOW_S, &f->error);
    }
    assert_false(tls_resume(f->client));
    shake(f, PIECE_MAX);
    assert_false(hello(f));
    for (int i = 0; i < 4; i++) { /* each with a ticket of the one before */
        tls_server_again(&f->server);
        assert_true(begin_again(f, i % 2 ? "localhost" : "LOCALHOST.", 443));
        shake(f, i % 2 ? 1 : PIECE_MAX);
        assert_true(hello(f));
    }
    end(f);
}

static void test_resumption(void **state)
{
    static const struct tls_server_options p256 = {.certificate = "ecdsa", .wants_p256 = true};
    static const struct tls_server_options aes256 = {.certificate = "ecdsa",
                                                     .ciphers = "TLS13-AES256-GCM-SHA384"};
    static const struct tls_server_options chacha = {.certificate = "ecdsa",
                                                     .ciphers = "TLS13-CHACHA20-POLY1305-SHA256"};
    static const struct tls_server_options unknown = {.certificate = "unknown"};

    (void)state;
    resumption(&tls13, true);
    resumption(&p256, true);
    resumption(&aes256, true);
    resumption(&chacha, true);
    resumption(&unknown, false);
}

static void *resume_in_thread(void *user)
{
    for (int i = 0; i < 3; i++)
        resumption(user, true);
    return NULL;
}

/* Each with its own trust: they share nothing but wolfSSL's count of its users. */
static void test_threads(void **state)
{
    static struct tls_server_options options = {.certificate = "ecdsa"};
    pthread_t threads[4];

    (void)state;
    for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++)
        assert_int_equal(pthread_create(&threads[i], NULL, resume_in_thread, &options), 0);
    for (size_t i = 0; i < sizeof(threads) / sizeof(threads[0]); i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

/* For that host and port only, and once. */
static void test_whose_ticket(void **state)
{
    struct fixture *f = begin(&tls13, "localhost");

    (void)state;
    shake(f, PIECE_MAX);
    assert_false(hello(f));
    assert_false(begin_again(f, "localhost", 444));
    assert_false(begin_again(f, "127.0.0.1", 443));
    assert_true(begin_again(f, "localhost", 443));
    assert_false(begin_again(f, "localhost", 443));
    end(f);
}

/* An hour after the chain was checked it is checked again, however often the session was resumed.
 */
static void test_age_of_tickets(void **state)
{
    struct fixture *f = begin(&tls13, "localhost");

    (void)state;
    shake(f, PIECE_MAX);
    assert_false(hello(f));
    tls_server_again(&f->server);
    assert_true(begin_again_at(f, "localhost", 443, NOW_S + 3000));
    shake(f, PIECE_MAX);
    assert_true(hello(f));
    tls_server_again(&f->server);
    assert_true(begin_again_at(f, "localhost", 443, NOW_S + 3599));
    shake(f, PIECE_MAX);
    assert_true(hello(f));
    tls_server_again(&f->server);
    assert_false(begin_again_at(f, "localhost", 443, NOW_S + 3600));
    shake(f, PIECE_MAX);
    assert_false(hello(f));
    end(f);
}

/* No longer than its certificate is a peer believed without it. */
static void test_tickets_end_with_the_chain(void **state)
{
    const int64_t year_2100_s = 4102444800;
    struct fixture *f = begin(&tls13, "localhost");

    (void)state;
    assert_false(begin_again_at(f, "localhost", 443, year_2100_s));
    shake(f, PIECE_MAX);
    assert_false(hello(f));
    assert_false(begin_again_at(f, "localhost", 443, year_2100_s));
    end(f);
}

/* A server that knows nothing of the ticket is one like any other: all is checked. */
static void refused_resumption(const struct tls_server_options *options, enum tls_progress expected,
                               enum haul_status status)
{
    struct fixture *f = begin(&tls13, "localhost");

    shake(f, PIECE_MAX);
    assert_false(hello(f));
    tls_fixture_replace_server(f, options);
    assert_true(begin_again(f, "localhost", 443));
    assert_int_equal(tls_server_shake(&f->server, f->client, PIECE_MAX, &f->error), expected);
    if (expected == TLS_OK)
        assert_false(hello(f));
    else
        assert_int_equal(f->error.status, status);
    /* without a ticket, it is what it would have been without this module */
    if (options->tls12) {
        tls_server_again(&f->server);
        assert_false(begin_again(f, "localhost", 443));
        shake(f, PIECE_MAX);
        assert_false(hello(f));
        /* and gives no ticket that is kept */
        assert_false(begin_again(f, "localhost", 443));
    }
    end(f);
}

static void test_refused_resumption(void **state)
{
    static const struct tls_server_options rsa = {.certificate = "rsa"};
    static const struct tls_server_options p256 = {.certificate = "ecdsa", .wants_p256 = true};
    static const char *const bad[] = {"unknown", "wrongname", "expired", "selfsigned", "nochain"};

    (void)state;
    refused_resumption(&tls13, TLS_OK, HAUL_OK);
    refused_resumption(&rsa, TLS_OK, HAUL_OK);
    refused_resumption(&p256, TLS_OK, HAUL_OK);
    refused_resumption(&tls12, TLS_BAD, HAUL_TLS);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const struct tls_server_options options = {.certificate = bad[i]};

        refused_resumption(&options, TLS_BAD, HAUL_CERTIFICATE);
    }
}

/* Nothing that is changed on the way makes a resumed session of one that is none. */
static void test_damaged_resumption(void **state)
{
    (void)state;
    for (int i = 0; i < 150; i++) {
        struct fixture *f = begin(&tls13, "localhost");
        struct text *output = &f->server.output;

        shake(f, PIECE_MAX);
        assert_false(hello(f));
        tls_server_again(&f->server);
        assert_true(begin_again(f, "localhost", 443));
        assert_int_equal(tls_handshake(f->client, &f->error), TLS_WANT_INPUT);
        tls_server_take(&f->server, f->client);
        assert_true(tls_server_accept(&f->server));
        output->data[random_number() % output->len] ^= (char)(1 << random_number() % 8);
        if (tls_server_shake(&f->server, f->client, PIECE_MAX, &f->error) == TLS_OK)
            assert_true(f->server.accepted);
        end(f);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tickets_amid_data),
        cmocka_unit_test(test_key_updates_amid_data),
        cmocka_unit_test(test_alerts_amid_data),
        cmocka_unit_test(test_rules_of_records),
        cmocka_unit_test(test_rules_of_messages),
        cmocka_unit_test(test_damage_is_answered),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_tls12_messages),
        cmocka_unit_test(test_peek),
        cmocka_unit_test(test_resumption),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_whose_ticket),
        cmocka_unit_test(test_age_of_tickets),
        cmocka_unit_test(test_tickets_end_with_the_chain),
        cmocka_unit_test(test_refused_resumption),
        cmocka_unit_test(test_damaged_resumption),
    };

    tls_fixture_certificates(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
