/* SPDX-License-Identifier: GPL-3.0-or-later */
/* RFC 8446 5.2, 7.2 and 7.3 once more, on HMAC and the ciphers alone. */
#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/aes.h>
#include <wolfssl/wolfcrypt/chacha20_poly1305.h>
#include <wolfssl/wolfcrypt/hmac.h>

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/record_peer.h"

static unsigned secret_bytes(const struct record_peer *peer)
{
    return peer->suite == 0x1302 ? 48 : 32;
}

/* HKDF-Expand-Label, of one block of HMAC at most. */
static void expand(const struct record_peer *peer, const char *label, uint8_t *key, size_t len)
{
    int type = peer->suite == 0x1302 ? WC_SHA384 : WC_SHA256;
    struct text info = {0};
    uint8_t block[48];
    Hmac hmac;

    text_add_char(&info, (char)(len >> 8));
    text_add_char(&info, (char)len);
    text_add_char(&info, (char)(6 + strlen(label)));
    text_printf(&info, "tls13 %s", label);
    text_add(&info, span_make("\0\1", 2)); /* an empty context; the block's number */
    assert_int_equal(wc_HmacInit(&hmac, NULL, INVALID_DEVID), 0);
    assert_int_equal(wc_HmacSetKey(&hmac, type, peer->secret, secret_bytes(peer)), 0);
    assert_int_equal(wc_HmacUpdate(&hmac, (const byte *)info.data, (word32)info.len), 0);
    assert_int_equal(wc_HmacFinal(&hmac, block), 0);
    wc_HmacFree(&hmac);
    memcpy(key, block, len);
    text_free(&info);
}

static void set_keys(struct record_peer *peer)
{
    peer->sequence = 0;
    expand(peer, "key", peer->key, peer->suite == 0x1301 ? 16 : 32);
    expand(peer, "iv", peer->iv, sizeof(peer->iv));
}

void record_peer_init(struct record_peer *peer, uint16_t suite, const uint8_t *secret)
{
    *peer = (struct record_peer){.suite = suite};
    memcpy(peer->secret, secret, secret_bytes(peer));
    set_keys(peer);
}

void record_peer_update(struct record_peer *peer)
{
    uint8_t next[48];

    expand(peer, "traffic upd", next, secret_bytes(peer));
    memcpy(peer->secret, next, secret_bytes(peer));
    set_keys(peer);
}

void record_peer_seal(struct record_peer *peer, uint8_t type, struct span content, size_t padding,
                      struct text *output)
{
    size_t inner = content.len + (type != 0) + padding;
    size_t length = inner + 16;
    const char header[] = {23, 3, 3, (char)(length >> 8), (char)length};
    uint8_t nonce[12];
    byte *record, *text;
    Aes aes;

    text_add(output, span_make(header, 5));
    text_add(output, content);
    if (type != 0)
        text_add_char(output, (char)type);
    for (size_t i = 0; i < padding + 16; i++)
        text_add_char(output, 0);
    assert_false(output->failed);
    record = (byte *)output->data + output->len - length - 5;
    text = record + 5;
    memcpy(nonce, peer->iv, 12);
    for (int i = 0; i < 8; i++)
        nonce[11 - i] ^= (uint8_t)(peer->sequence >> 8 * i);
    peer->sequence++;
    if (peer->suite == 0x1303) {
        assert_int_equal(wc_ChaCha20Poly1305_Encrypt(peer->key, nonce, record, 5, text,
                                                     (word32)inner, text, text + inner),
                         0);
        return;
    }
    assert_int_equal(wc_AesInit(&aes, NULL, INVALID_DEVID), 0);
    assert_int_equal(wc_AesGcmSetKey(&aes, peer->key, peer->suite == 0x1301 ? 16 : 32), 0);
    assert_int_equal(
        wc_AesGcmEncrypt(&aes, text, text, (word32)inner, nonce, 12, text + inner, 16, record, 5),
        0);
    wc_AesFree(&aes);
}
