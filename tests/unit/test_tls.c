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

#include "tests/unit/tls_server.h"

enum { MIB = 1 << 20, PIECE_MAX = 1 << 20, RANDOM_PIECES = 0 };

struct fixture {
    struct tls_server server;
    struct tls_trust *trust;
    struct tls_session *client;
    struct haul_error error;
    char piece[PIECE_MAX]; /* lent to the client */
};

static const char *directory;
static uint64_t seed = 88172645463325252;

static uint64_t random_number(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

static struct fixture *begin(const struct tls_server_options *options, const char *host)
{
    struct fixture *f = calloc(1, sizeof(*f));
    struct tls_server_options server_options = *options;
    char ca[4096];
    struct tls_trust_options trust_options = {.ca_certificate = ca, .check = true};

    assert_non_null(f);
    snprintf(ca, sizeof(ca), "%s/ca.crt", directory);
    server_options.directory = directory;
    tls_server_start(&f->server, &server_options);
    f->trust = tls_trust_create(&trust_options, &f->error);
    if (!f->trust)
        fail_msg("%s", f->error.text);
    f->client = tls_session_create(f->trust, span_of(host), &f->error);
    assert_non_null(f->client);
    return f;
}

static void end(struct fixture *f)
{
    tls_session_destroy(f->client);
    tls_trust_destroy(f->trust);
    tls_server_stop(&f->server);
    free(f);
}

static void shake(struct fixture *f, size_t most)
{
    if (tls_server_shake(&f->server, f->client, most, &f->error) != TLS_OK)
        fail_msg("%s", f->error.text);
    assert_true(f->server.accepted);
}

/* Reads until nothing more can come. Returns what the last call said; *got counts. */
static enum tls_progress drain(struct fixture *f, char *data, size_t len, size_t *got, size_t most,
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

static const struct tls_server_options tls12 = {.certificate = "ecdsa", .tls12 = true};
static const struct tls_server_options tls13 = {.certificate = "ecdsa"};

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

/* ---- TLS 1.3's records, sealed by the test in the server's name ---- */

struct as_server {
    struct fixture *f;
    struct record_peer peer;
};

static struct as_server begin_as_server(void)
{
    struct as_server as = {.f = begin(&tls13, "localhost")};

    shake(as.f, PIECE_MAX);
    tls_server_become(&as.f->server, &as.peer);
    return as;
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
    assert_null(tls_session_create(f->trust, span_make(with_nul, sizeof(with_nul) - 1), &error));
    assert_int_equal(error.status, HAUL_TLS);
    assert_null(tls_session_create(f->trust, SPAN(""), &error));
    assert_null(tls_session_create(f->trust, SPAN("."), &error));
    assert_null(tls_session_create(f->trust, SPAN("a b"), NULL));
    assert_null(tls_session_create(f->trust, span_make(host, sizeof(host)), NULL));
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
        cmocka_unit_test(test_tickets_amid_data),
        cmocka_unit_test(test_key_updates_amid_data),
        cmocka_unit_test(test_alerts_amid_data),
        cmocka_unit_test(test_rules_of_records),
        cmocka_unit_test(test_rules_of_messages),
        cmocka_unit_test(test_damage_is_answered),
        cmocka_unit_test(test_replay),
        cmocka_unit_test(test_peek),
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

    directory = tls_server_certificates(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
