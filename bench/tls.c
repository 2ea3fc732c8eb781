/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What TLS costs the receiver, in memory and without sockets: tls_read() over the ciphertext of a
 * real handshake, beside the decryption alone of records of the same size; the difference of the
 * two is what the record layer costs. And what a handshake costs the client, from the session's
 * creation to its end. CPU time of this thread, the least of several rounds. A word behind the two
 * arguments of the tests measures only what has it in its name, for a profiler.
 */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/chacha20_poly1305.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/unit/tls_server.h"

enum {
    RECORD_BYTES = 16384,
    RECORDS = 4096,           /* of a round: 64 MiB */
    PIECE_BYTES = 128 * 1024, /* what a receive brings */
    PIECE_RECORDS = 8,
    CHUNK_BYTES = 256 * 1024, /* what a body travels in */
    ROUNDS = 7,
    HANDSHAKES = 300 /* of a round */
};

static const double bytes = (double)RECORD_BYTES * RECORDS;
static const char *directory;

static double now_ns(void)
{
    struct timespec time;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

static void say(const char *what, double ns)
{
    printf("%-44s %6.2f GB/s  %6.3f ns/byte\n", what, bytes / ns, ns / bytes);
}

/* ---- decryption alone ---- */

/* A receive's worth of records under nonces of their own, sealed over and over in place. */
struct sealed {
    Aes aes; /* not for ChaCha20 */
    unsigned char key[32];
    unsigned char header[5];
    unsigned char records[PIECE_RECORDS][RECORD_BYTES + 16];
};

static void make_nonce(unsigned char nonce[12], size_t record)
{
    memset(nonce, 2, 12);
    nonce[11] = (unsigned char)record;
}

static int open_aes(struct sealed *sealed, size_t i, unsigned char *to)
{
    unsigned char nonce[12];

    make_nonce(nonce, i);
    return wc_AesGcmDecrypt(&sealed->aes, to, sealed->records[i], RECORD_BYTES, nonce, 12,
                            sealed->records[i] + RECORD_BYTES, 16, sealed->header, 5);
}

static int open_chacha(struct sealed *sealed, size_t i, unsigned char *to)
{
    unsigned char nonce[12];

    make_nonce(nonce, i);
    return wc_ChaCha20Poly1305_Decrypt(sealed->key, nonce, sealed->header, 5, sealed->records[i],
                                       RECORD_BYTES, sealed->records[i] + RECORD_BYTES, to);
}

/* key_bytes: of AES; 0: ChaCha20. */
static void measure_decryption(const char *what, unsigned key_bytes)
{
    struct sealed *sealed = calloc(1, sizeof(*sealed));
    unsigned char *chunk = calloc(1, CHUNK_BYTES);
    unsigned char nonce[12];
    double least = 0;

    if (!sealed || !chunk)
        abort();
    wc_AesInit(&sealed->aes, NULL, INVALID_DEVID);
    wc_AesGcmSetKey(&sealed->aes, sealed->key, key_bytes > 0 ? key_bytes : 16);
    for (size_t i = 0; i < PIECE_RECORDS; i++) {
        unsigned char *record = sealed->records[i];

        make_nonce(nonce, i);
        if (key_bytes > 0)
            wc_AesGcmEncrypt(&sealed->aes, record, record, RECORD_BYTES, nonce, 12,
                             record + RECORD_BYTES, 16, sealed->header, 5);
        else
            wc_ChaCha20Poly1305_Encrypt(sealed->key, nonce, sealed->header, 5, record, RECORD_BYTES,
                                        record, record + RECORD_BYTES);
    }
    for (int round = 0; round < ROUNDS; round++) {
        double begin = now_ns();
        double ns;

        for (size_t i = 0; i < RECORDS; i++) {
            unsigned char *to = chunk + i % (CHUNK_BYTES / RECORD_BYTES) * RECORD_BYTES;
            size_t record = i % PIECE_RECORDS;

            if ((key_bytes > 0 ? open_aes : open_chacha)(sealed, record, to) != 0)
                abort();
        }
        ns = now_ns() - begin;
        least = round == 0 || ns < least ? ns : least;
    }
    say(what, least);
    wc_AesFree(&sealed->aes);
    free(sealed);
    free(chunk);
}

/* ---- sessions ---- */

/* All of the server's output, as if received piece by piece into one buffer. */
static double read_all(struct tls_server *server, struct tls_session *client, char *chunk)
{
    static char piece[PIECE_BYTES];
    struct haul_error error;
    size_t len = 0, read = 0, got;
    double ns = 0;

    while (tls_server_give(server, client, PIECE_BYTES, piece) > 0) {
        enum tls_progress progress;
        double begin = now_ns();

        while ((progress = tls_read(client, chunk + len, CHUNK_BYTES - len, &got, &error)) ==
               TLS_OK) {
            read += got;
            len += got;
            if (len == CHUNK_BYTES)
                len = 0;
        }
        ns += now_ns() - begin;
        if (progress != TLS_WANT_INPUT)
            abort();
    }
    if (read != (size_t)bytes)
        abort();
    return ns;
}

static void measure_session(const char *what, bool tls12, const char *ciphers)
{
    struct tls_server server;
    struct tls_server_options options = {
        .directory = directory, .certificate = "ecdsa", .ciphers = ciphers, .tls12 = tls12};
    struct tls_trust_options trust_options = {.check = false};
    struct haul_error error;
    struct tls_trust *trust = tls_trust_create(&trust_options, &error);
    struct tls_session *client = tls_session_create(trust, SPAN("localhost"), 443, NOW_S, &error);
    char *chunk = malloc(CHUNK_BYTES);
    char *plain = calloc(1, RECORD_BYTES);
    double least = 0;

    if (!chunk || !plain || !client)
        abort();
    memset(chunk, 0, CHUNK_BYTES);
    tls_server_start(&server, &options);
    if (tls_server_shake(&server, client, 1 << 20, &error) != TLS_OK)
        abort();
    for (int i = 0; i < ROUNDS; i++) {
        double ns;

        if (server.output_taken == server.output.len) { /* not so with the first tickets */
            text_clear(&server.output);
            server.output_taken = 0;
        }
        for (int record = 0; record < RECORDS; record++)
            tls_server_write(&server, plain, RECORD_BYTES);
        ns = read_all(&server, client, chunk);
        least = i == 0 || ns < least ? ns : least;
    }
    say(what, least);
    tls_session_destroy(client);
    tls_trust_destroy(trust);
    tls_server_stop(&server);
    free(chunk);
    free(plain);
}

/* ---- handshakes ---- */

/* The client's part alone. */
static double shake_hands(struct tls_trust *trust, struct tls_server *server, bool resume)
{
    static char piece[PIECE_BYTES];
    struct haul_error error;
    enum tls_progress progress;
    double ns = -now_ns();
    struct tls_session *client = tls_session_create(trust, SPAN("localhost"), 443, NOW_S, &error);
    size_t got;

    if (!client || tls_resume(client) != resume)
        abort();
    while ((progress = tls_handshake(client, &error)) == TLS_WANT_INPUT) {
        ns += now_ns();
        tls_server_take(server, client);
        if (!tls_server_accept(server) || tls_server_give(server, client, PIECE_BYTES, piece) == 0)
            abort();
        ns -= now_ns();
    }
    if (progress != TLS_OK)
        abort();
    ns += now_ns();
    tls_server_take(server, client);
    if (!tls_server_accept(server))
        abort();
    tls_server_give(server, client, PIECE_BYTES, piece);
    ns -= now_ns();
    while (tls_input_left(client) > 0)
        (void)tls_read(client, piece, 1, &got, &error);
    tls_session_destroy(client);
    return ns + now_ns();
}

static void measure_handshakes(const char *what, const struct tls_server_options *wanted,
                               bool resume)
{
    struct tls_server_options options = *wanted;
    struct tls_server server;
    char ca[4096];
    struct tls_trust_options trust_options = {.ca_certificate = ca, .check = true};
    struct haul_error error;
    struct tls_trust *trust;
    double least = 0;

    options.directory = directory;
    snprintf(ca, sizeof(ca), "%s/ca.crt", directory);
    trust = tls_trust_create(&trust_options, &error);
    if (!trust)
        abort();
    tls_server_start(&server, &options);
    if (resume)
        shake_hands(trust, &server, false);
    for (int i = 0; i < ROUNDS; i++) {
        double ns = 0;

        for (int k = 0; k < HANDSHAKES; k++) {
            if (!resume) { /* no ticket of the one before */
                tls_trust_destroy(trust);
                trust = tls_trust_create(&trust_options, &error);
            }
            tls_server_again(&server);
            ns += shake_hands(trust, &server, resume);
        }
        least = i == 0 || ns < least ? ns : least;
    }
    printf("%-44s %6.0f /s    %6.1f us\n", what, HANDSHAKES * 1e9 / least,
           least / HANDSHAKES / 1e3);
    tls_trust_destroy(trust);
    tls_server_stop(&server);
}

static const struct {
    const char *what;
    struct tls_server_options server;
    bool resume;
} handshakes[] = {
    {"TLS 1.3 ECDSA, handshake", {.certificate = "ecdsa"}, false},
    {"TLS 1.3 ECDSA with an intermediate, handshake", {.certificate = "chain"}, false},
    {"TLS 1.3 RSA, handshake", {.certificate = "rsa"}, false},
    {"TLS 1.3, handshake resumed", {.certificate = "ecdsa"}, true},
    {"TLS 1.2 ECDSA, handshake", {.certificate = "ecdsa", .tls12 = true}, false},
};

int main(int argc, char **argv)
{
    static const struct {
        const char *what;
        const char *ciphers; /* NULL: decryption alone */
        bool tls12;
        unsigned key_bytes;
    } works[] = {
        {"AES-128-GCM alone", NULL, false, 16},
        {"TLS 1.3 AES-128-GCM, tls_read", "TLS13-AES128-GCM-SHA256", false, 0},
        {"TLS 1.2 AES-128-GCM, tls_read", "ECDHE-ECDSA-AES128-GCM-SHA256", true, 0},
        {"AES-256-GCM alone", NULL, false, 32},
        {"TLS 1.3 AES-256-GCM, tls_read", "TLS13-AES256-GCM-SHA384", false, 0},
        {"ChaCha20-Poly1305 alone", NULL, false, 0},
        {"TLS 1.3 ChaCha20-Poly1305, tls_read", "TLS13-CHACHA20-POLY1305-SHA256", false, 0},
    };
    const char *wanted = argc > 3 ? argv[3] : "";

    directory = tls_server_certificates(argc < 3 ? argc : 3, argv);
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        if (!strstr(works[i].what, wanted))
            continue;
        if (works[i].ciphers)
            measure_session(works[i].what, works[i].tls12, works[i].ciphers);
        else
            measure_decryption(works[i].what, works[i].key_bytes);
    }
    for (size_t i = 0; i < sizeof(handshakes) / sizeof(handshakes[0]); i++)
        if (strstr(handshakes[i].what, wanted))
            measure_handshakes(handshakes[i].what, &handshakes[i].server, handshakes[i].resume);
    return 0;
}
