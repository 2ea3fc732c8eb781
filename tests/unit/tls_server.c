/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A TLS server over memory: wolfSSL's own server side, fed through two growing buffers. */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>

#include <limits.h>
#include <setjmp.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/tls_server.h"

static int receive(WOLFSSL *ssl, char *data, int len, void *user)
{
    struct tls_server *server = user;
    struct span left = span_sub(text_span(&server->input), server->input_taken, (size_t)len);

    (void)ssl;
    if (left.len == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    memcpy(data, left.data, left.len);
    server->input_taken += left.len;
    return (int)left.len;
}

static int send_out(WOLFSSL *ssl, char *data, int len, void *user)
{
    struct tls_server *server = user;

    (void)ssl;
    text_add(&server->output, span_make(data, (size_t)len));
    return len;
}

static int keep_secret(WOLFSSL *ssl, int id, const unsigned char *secret, int len, void *user)
{
    struct tls_server *server = user;

    (void)ssl;
    if (id == SERVER_TRAFFIC_SECRET)
        memcpy(server->traffic_secret, secret, (size_t)len);
    else if (id == SERVER_HANDSHAKE_TRAFFIC_SECRET)
        memcpy(server->handshake_secret, secret, (size_t)len);
    return 0;
}

static int keep_tls12_secret(WOLFSSL *ssl, void *secret, int len, void *user)
{
    struct tls_server *server = user;

    assert_int_equal(len, 48);
    memcpy(server->traffic_secret, secret, 48);
    assert_int_equal(wolfSSL_get_server_random(ssl, server->traffic_secret + 48, 32), 32);
    assert_int_equal(wolfSSL_get_client_random(ssl, server->traffic_secret + 80, 32), 32);
    return 0;
}

static void begin_session(struct tls_server *server)
{
    char alpn[] = "http/1.1";

    server->ssl = wolfSSL_new(server->context);
    assert_non_null(server->ssl);
    wolfSSL_SetIOReadCtx(server->ssl, server);
    wolfSSL_SetIOWriteCtx(server->ssl, server);
    wolfSSL_set_tls13_secret_cb(server->ssl, keep_secret, server);
    wolfSSL_set_secret_cb(server->ssl, keep_tls12_secret, server);
    assert_int_equal(
        wolfSSL_UseALPN(server->ssl, alpn, sizeof(alpn) - 1, WOLFSSL_ALPN_FAILED_ON_MISMATCH), 1);
}

void tls_server_start(struct tls_server *server, const struct tls_server_options *options)
{
    char path[PATH_MAX];
    int p256 = WOLFSSL_ECC_SECP256R1;

    *server = (struct tls_server){0};
    wolfSSL_Init();
    server->context =
        wolfSSL_CTX_new(options->tls12 ? wolfTLSv1_2_server_method() : wolfTLSv1_3_server_method());
    assert_non_null(server->context);
    snprintf(path, sizeof(path), "%s/%s.crt", options->directory, options->certificate);
    assert_int_equal(wolfSSL_CTX_use_certificate_chain_file(server->context, path), 1);
    snprintf(path, sizeof(path), "%s/%s.key", options->directory, options->certificate);
    assert_int_equal(wolfSSL_CTX_use_PrivateKey_file(server->context, path, WOLFSSL_FILETYPE_PEM),
                     1);
    if (options->ciphers)
        assert_int_equal(wolfSSL_CTX_set_cipher_list(server->context, options->ciphers), 1);
    if (options->wants_p256)
        assert_int_equal(wolfSSL_CTX_set_groups(server->context, &p256, 1), 1);
    if (options->client_ca) {
        snprintf(path, sizeof(path), "%s/%s.crt", options->directory, options->client_ca);
        assert_int_equal(wolfSSL_CTX_load_verify_locations(server->context, path, NULL), 1);
        wolfSSL_CTX_set_verify(server->context,
                               WOLFSSL_VERIFY_PEER | WOLFSSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
    }
    /* Almost as long as its keys live: what ends earlier does so by the client's rules. */
    assert_int_equal(wolfSSL_CTX_set_TicketHint(server->context, 3500), 1);
    wolfSSL_CTX_SetIORecv(server->context, receive);
    wolfSSL_CTX_SetIOSend(server->context, send_out);
    begin_session(server);
}

void tls_server_stop(struct tls_server *server)
{
    wolfSSL_free(server->ssl);
    wolfSSL_CTX_free(server->context);
    wolfSSL_Cleanup();
    text_free(&server->input);
    text_free(&server->output);
}

void tls_server_again(struct tls_server *server)
{
    struct WOLFSSL_CTX *context = server->context;

    wolfSSL_free(server->ssl);
    text_free(&server->input);
    text_free(&server->output);
    *server = (struct tls_server){.context = context};
    begin_session(server);
}

bool tls_server_accept(struct tls_server *server)
{
    int result;

    if (server->accepted)
        return true;
    result = wolfSSL_accept(server->ssl);
    server->accepted = result == WOLFSSL_SUCCESS;
    return server->accepted || wolfSSL_get_error(server->ssl, result) == WOLFSSL_ERROR_WANT_READ;
}

int tls_server_read(struct tls_server *server, char *data, size_t len)
{
    int result = wolfSSL_read(server->ssl, data, (int)len);

    if (result > 0)
        return result;
    return wolfSSL_get_error(server->ssl, result) == WOLFSSL_ERROR_WANT_READ ? 0 : -1;
}

void tls_server_write(struct tls_server *server, const char *data, size_t len)
{
    assert_int_equal(wolfSSL_write(server->ssl, data, (int)len), (int)len);
}

void tls_server_close(struct tls_server *server)
{
    wolfSSL_shutdown(server->ssl);
}

void tls_server_update_keys(struct tls_server *server)
{
    assert_int_equal(wolfSSL_update_keys(server->ssl), WOLFSSL_SUCCESS);
}

void tls_server_become(const struct tls_server *server, struct record_peer *peer)
{
    size_t at = server->application_at;

    record_peer_init(peer, (uint16_t)wolfSSL_get_current_cipher_suite(server->ssl),
                     server->traffic_secret);
    while (at < server->output.len) {
        const unsigned char *header = (const unsigned char *)server->output.data + at;

        at += 5 + ((size_t)header[3] << 8 | header[4]);
        peer->sequence++;
    }
    assert_int_equal(at, server->output.len);
}

int tls_server_alert(const struct tls_server *server)
{
    WOLFSSL_ALERT_HISTORY history = {.last_rx = {.code = -1}};

    wolfSSL_get_alert_history(server->ssl, &history);
    return history.last_rx.code;
}

void tls_server_sni(const struct tls_server *server, char name[256])
{
    word32 len = 255;

    /* Nothing of the input is ever dropped, so the ClientHello is still at its beginning. */
    if (wolfSSL_SNI_GetFromBuffer((const unsigned char *)server->input.data,
                                  (word32)server->input.len, WOLFSSL_SNI_HOST_NAME,
                                  (unsigned char *)name, &len) != WOLFSSL_SUCCESS)
        len = 0;
    name[len] = '\0';
}

void tls_server_take(struct tls_server *server, struct tls_session *client)
{
    struct span output = tls_output(client);

    text_add(&server->input, output);
    tls_output_taken(client, output.len);
}

size_t tls_server_give(struct tls_server *server, struct tls_session *client, size_t most,
                       char *piece)
{
    struct span left = span_sub(text_span(&server->output), server->output_taken, most);

    if (left.len == 0)
        return 0;
    memcpy(piece, left.data, left.len);
    server->output_taken += left.len;
    tls_input(client, piece, left.len);
    return left.len;
}

enum tls_progress tls_server_shake(struct tls_server *server, struct tls_session *client,
                                   size_t most, struct haul_error *error)
{
    char *piece = malloc(most);
    enum tls_progress progress;

    assert_non_null(piece);
    while ((progress = tls_handshake(client, error)) == TLS_WANT_INPUT) {
        tls_server_take(server, client);
        if (!tls_server_accept(server) && server->output_taken == server->output.len)
            break;
        if (tls_server_give(server, client, most, piece) == 0)
            break;
    }
    tls_server_take(server, client);
    server->application_at = server->output.len;
    tls_server_accept(server);
    /* What came along with the end of the handshake stays in `piece`, so there must be nothing. */
    assert_int_equal(tls_input_left(client), 0);
    free(piece);
    return progress;
}

const char *tls_server_certificates(int argc, char **argv)
{
    char *arguments[] = {argv[1], argc > 2 ? argv[2] : NULL, NULL};
    pid_t child;
    int status;

    if (argc != 3) {
        fprintf(stderr, "usage: %s path/to/gencert DIRECTORY\n", argv[0]);
        exit(2);
    }
    if (posix_spawn(&child, arguments[0], NULL, NULL, arguments, environ) != 0 ||
        waitpid(child, &status, 0) != child || status != 0) {
        fprintf(stderr, "%s failed\n", argv[1]);
        exit(2);
    }
    return argv[2];
}
