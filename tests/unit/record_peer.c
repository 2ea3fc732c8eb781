/* SPDX-License-Identifier: GPL-3.0-or-later */
/* RFC 8446 5.2, 7.2 and 7.3, RFC 5246 5 and 6 once more, on HMAC and the ciphers alone. */
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/chacha20_poly1305.h>
#include <wolfssl/wolfcrypt/hmac.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/record_peer.h"

static bool is_tls13(uint16_t suite)
{
    return suite >> 8 == 0x13;
}

static bool is_chacha20(uint16_t suite)
{
    return suite == 0x1303 || suite >> 8 == 0xcc;
}

static bool is_256(uint16_t suite) /* and SHA-384 */
{
    return suite == 0x1302 || suite == 0xc030 || suite == 0xc02c;
}

static size_t key_bytes(uint16_t suite)
{
    return is_256(suite) || is_chacha20(suite) ? 32 : 16;
}

size_t record_peer_secret_bytes(uint16_t suite)
{
    if (!is_tls13(suite))
        return 48 + 32 + 32;
    return is_256(suite) ? 48 : 32;
}

static size_t hmac(uint16_t suite, struct span key, struct span data, uint8_t hash[48])
{
    Hmac state;

    assert_int_equal(wc_HmacInit(&state, NULL, INVALID_DEVID), 0);
    assert_int_equal(wc_HmacSetKey(&state, is_256(suite) ? WC_SHA384 : WC_SHA256,
                                   (const byte *)key.data, (word32)key.len),
                     0);
    assert_int_equal(wc_HmacUpdate(&state, (const byte *)data.data, (word32)data.len), 0);
    assert_int_equal(wc_HmacFinal(&state, hash), 0);
    wc_HmacFree(&state);
    return is_256(suite) ? 48 : 32;
}

/* HKDF-Expand-Label, of one block of HMAC at most. */
static void expand(const struct record_peer *peer, const char *label, uint8_t *key, size_t len)
{
    struct text info = {0};
    uint8_t block[48];

    text_add_char(&info, (char)(len >> 8));
    text_add_char(&info, (char)len);
    text_add_char(&info, (char)(6 + strlen(label)));
    text_printf(&info, "tls13 %s", label);
    text_add(&info, span_make("\0\1", 2)); /* an empty context; the block's number */
    hmac(peer->suite, span_make((const char *)peer->secret, record_peer_secret_bytes(peer->suite)),
         text_span(&info), block);
    memcpy(key, block, len);
    text_free(&info);
}

/* The server's part of the key block. */
static void set_tls12_keys(struct record_peer *peer, const uint8_t *secret)
{
    struct span key = span_make((const char *)secret, 48);
    size_t keys = key_bytes(peer->suite), ivs = is_chacha20(peer->suite) ? 12 : 4;
    struct text seed = {0};
    struct text block = {0};
    uint8_t a[48], hash[48];
    size_t len;

    text_add(&seed, SPAN("key expansion"));
    text_add(&seed, span_make((const char *)secret + 48, 64));
    len = hmac(peer->suite, key, text_span(&seed), a);
    while (block.len < 2 * (keys + ivs)) {
        struct text round = {0};

        text_add(&round, span_make((const char *)a, len));
        text_add(&round, text_span(&seed));
        hmac(peer->suite, key, text_span(&round), hash);
        text_add(&block, span_make((const char *)hash, len));
        hmac(peer->suite, key, span_make((const char *)a, len), hash);
        memcpy(a, hash, len);
        text_free(&round);
    }
    memcpy(peer->key, block.data + keys, keys);
    memcpy(peer->iv, block.data + 2 * keys + ivs, ivs);
    peer->sequence = 1;
    text_free(&seed);
    text_free(&block);
}

static void set_keys(struct record_peer *peer)
{
    peer->sequence = 0;
    expand(peer, "key", peer->key, key_bytes(peer->suite));
    expand(peer, "iv", peer->iv, sizeof(peer->iv));
}

void record_peer_init(struct record_peer *peer, uint16_t suite, const uint8_t *secret)
{
    *peer = (struct record_peer){.suite = suite};
    if (!is_tls13(suite)) {
        set_tls12_keys(peer, secret);
        return;
    }
    memcpy(peer->secret, secret, record_peer_secret_bytes(suite));
    set_keys(peer);
}

void record_peer_update(struct record_peer *peer)
{
    uint8_t next[48];

    expand(peer, "traffic upd", next, record_peer_secret_bytes(peer->suite));
    memcpy(peer->secret, next, record_peer_secret_bytes(peer->suite));
    set_keys(peer);
}

/* In place; the tag behind it. */
static void encrypt(const struct record_peer *peer, byte *text, size_t len, const byte nonce[12],
                    struct span covered)
{
    const byte *aad = (const byte *)covered.data;
    word32 aad_len = (word32)covered.len;
    Aes aes;

    if (is_chacha20(peer->suite)) {
        assert_int_equal(wc_ChaCha20Poly1305_Encrypt(peer->key, nonce, aad, aad_len, text,
                                                     (word32)len, text, text + len),
                         0);
        return;
    }
    assert_int_equal(wc_AesInit(&aes, NULL, INVALID_DEVID), 0);
    assert_int_equal(wc_AesGcmSetKey(&aes, peer->key, (word32)key_bytes(peer->suite)), 0);
    assert_int_equal(
        wc_AesGcmEncrypt(&aes, text, text, (word32)len, nonce, 12, text + len, 16, aad, aad_len),
        0);
    wc_AesFree(&aes);
}

void record_peer_seal(struct record_peer *peer, uint8_t type, struct span content, size_t padding,
                      struct text *output)
{
    bool tls13 = is_tls13(peer->suite);
    bool explicit = !tls13 && !is_chacha20(peer->suite);
    size_t inner = content.len + (tls13 ? (type != 0) + padding : 0);
    size_t length = (explicit ? 8 : 0) + inner + 16;
    const char header[] = {tls13 ? 23 : (char)type, 3, 3, (char)(length >> 8), (char)length};
    const char plain_header[] = {header[0], 3, 3, (char)(inner >> 8), (char)inner};
    struct text covered = {0};
    uint8_t number[8], nonce[12];
    byte *text;

    for (int i = 0; i < 8; i++)
        number[7 - i] = (uint8_t)(peer->sequence >> 8 * i);
    peer->sequence++;
    memcpy(nonce, peer->iv, 12);
    text_add(output, span_make(header, 5));
    if (explicit) { /* any number that is used once */
        for (int i = 0; i < 8; i++)
            nonce[4 + i] = number[i] ^ 0x5a;
        text_add(output, span_make((const char *)nonce + 4, 8));
    } else {
        for (int i = 0; i < 8; i++)
            nonce[4 + i] ^= number[i];
    }
    text_add(output, content);
    if (tls13 && type != 0)
        text_add_char(output, (char)type);
    for (size_t i = 0; i < (tls13 ? padding : 0) + 16; i++)
        text_add_char(output, 0);
    assert_false(output->failed);
    text = (byte *)output->data + output->len - inner - 16;
    if (!tls13)
        text_add(&covered, span_make((const char *)number, 8));
    text_add(&covered, span_make(tls13 ? header : plain_header, 5));
    encrypt(peer, text, inner, nonce, text_span(&covered));
    text_free(&covered);
}
