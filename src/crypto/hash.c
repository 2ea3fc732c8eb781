/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wolfCrypt's hashes behind one face. Its functions fail only for arguments that make no sense,
 * and, in builds for other hardware, for want of a device: CHECKed. Its states hold no memory of
 * their own.
 */
#include "crypto/hash.h"

#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/md5.h>
#include <wolfssl/wolfcrypt/sha.h>
#include <wolfssl/wolfcrypt/sha256.h>
#include <wolfssl/wolfcrypt/sha512.h>

#include <string.h>

#include "base/check.h"

/* wolfCrypt counts in 32 bits. */
enum { PIECE_BYTES_MAX = 1 << 30 };

#define FITS(type)                                                                                 \
    _Static_assert(sizeof(type) <= HASH_STATE_BYTES && alignof(type) <= 16, #type " doesn't fit")

FITS(wc_Md5);
FITS(wc_Sha);
FITS(wc_Sha256);
FITS(wc_Sha512);

static const struct {
    const char *name;
    size_t bytes;
} kinds[] = {
    [HASH_MD5] = {"md5", WC_MD5_DIGEST_SIZE},
    [HASH_SHA1] = {"sha-1", WC_SHA_DIGEST_SIZE},
    [HASH_SHA224] = {"sha-224", WC_SHA224_DIGEST_SIZE},
    [HASH_SHA256] = {"sha-256", WC_SHA256_DIGEST_SIZE},
    [HASH_SHA384] = {"sha-384", WC_SHA384_DIGEST_SIZE},
    [HASH_SHA512] = {"sha-512", WC_SHA512_DIGEST_SIZE},
};

const char *hash_name(enum hash_type type)
{
    return kinds[type].name;
}

size_t hash_bytes(enum hash_type type)
{
    return kinds[type].bytes;
}

/* Without its first hyphens. */
static struct span skip_hyphens(struct span s)
{
    while (s.len > 0 && s.data[0] == '-')
        s = span_sub(s, 1, s.len);
    return s;
}

static bool is_name(struct span a, struct span b)
{
    for (;;) {
        a = skip_hyphens(a);
        b = skip_hyphens(b);
        if (a.len == 0 || b.len == 0)
            return a.len == b.len;
        if (!span_equal_nocase(span_sub(a, 0, 1), span_sub(b, 0, 1)))
            return false;
        a = span_sub(a, 1, a.len);
        b = span_sub(b, 1, b.len);
    }
}

bool hash_find(struct span name, enum hash_type *type)
{
    for (size_t i = 0; i < COUNT_OF(kinds); i++) {
        if (is_name(name, span_of(kinds[i].name))) {
            *type = (enum hash_type)i;
            return true;
        }
    }
    return false;
}

/* --- hashing --------------------------------------------------------------------------------- */

static int begin(enum hash_type type, void *state)
{
    switch (type) {
    case HASH_MD5:
        return wc_InitMd5(state);
    case HASH_SHA1:
        return wc_InitSha(state);
    case HASH_SHA224:
        return wc_InitSha224(state);
    case HASH_SHA256:
        return wc_InitSha256(state);
    case HASH_SHA384:
        return wc_InitSha384(state);
    case HASH_SHA512:
        return wc_InitSha512(state);
    }
    return -1;
}

static int add(enum hash_type type, void *state, const uint8_t *data, uint32_t len)
{
    switch (type) {
    case HASH_MD5:
        return wc_Md5Update(state, data, len);
    case HASH_SHA1:
        return wc_ShaUpdate(state, data, len);
    case HASH_SHA224:
        return wc_Sha224Update(state, data, len);
    case HASH_SHA256:
        return wc_Sha256Update(state, data, len);
    case HASH_SHA384:
        return wc_Sha384Update(state, data, len);
    case HASH_SHA512:
        return wc_Sha512Update(state, data, len);
    }
    return -1;
}

static int end(enum hash_type type, void *state, uint8_t *bytes)
{
    switch (type) {
    case HASH_MD5:
        return wc_Md5Final(state, bytes);
    case HASH_SHA1:
        return wc_ShaFinal(state, bytes);
    case HASH_SHA224:
        return wc_Sha224Final(state, bytes);
    case HASH_SHA256:
        return wc_Sha256Final(state, bytes);
    case HASH_SHA384:
        return wc_Sha384Final(state, bytes);
    case HASH_SHA512:
        return wc_Sha512Final(state, bytes);
    }
    return -1;
}

void hash_begin(struct hash *hash, enum hash_type type)
{
    hash->type = type;
    CHECK(begin(type, hash->state) == 0);
}

void hash_add(struct hash *hash, const void *data, size_t len)
{
    const uint8_t *at = data;

    while (len > 0) {
        uint32_t piece = len < PIECE_BYTES_MAX ? (uint32_t)len : PIECE_BYTES_MAX;

        CHECK(add(hash->type, hash->state, at, piece) == 0);
        at += piece;
        len -= piece;
    }
}

void hash_end(struct hash *hash, struct digest *digest)
{
    *digest = (struct digest){.type = hash->type};
    CHECK(end(hash->type, hash->state, digest->bytes) == 0);
}

/* --- digests --------------------------------------------------------------------------------- */

bool digest_equal(const struct digest *a, const struct digest *b)
{
    uint8_t differences = 0;

    if (a->type != b->type)
        return false;
    for (size_t i = 0; i < hash_bytes(a->type); i++)
        differences |= a->bytes[i] ^ b->bytes[i];
    return differences == 0;
}

bool digest_make(struct digest *digest, enum hash_type type, const uint8_t *bytes, size_t len)
{
    if (len != hash_bytes(type))
        return false;
    *digest = (struct digest){.type = type};
    memcpy(digest->bytes, bytes, len);
    return true;
}

void digest_hex(const struct digest *digest, char hex[HASH_HEX_MAX])
{
    static const char digits[] = "0123456789abcdef";
    size_t len = hash_bytes(digest->type);

    for (size_t i = 0; i < len; i++) {
        hex[2 * i] = digits[digest->bytes[i] >> 4];
        hex[2 * i + 1] = digits[digest->bytes[i] & 0xf];
    }
    hex[2 * len] = '\0';
}

static bool parse_hex(struct span hex, uint8_t *bytes)
{
    for (size_t i = 0; i < hex.len; i++) {
        int value = span_hex_value(hex.data[i]);

        if (value < 0)
            return false;
        bytes[i / 2] = (uint8_t)(bytes[i / 2] << 4 | value);
    }
    return true;
}

bool digest_parse(struct span text, struct digest *digest, struct haul_error *error)
{
    struct span hex = text;
    struct span name = span_cut(&hex, '=');
    struct digest parsed = {.type = HASH_MD5};

    name = span_trim(name);
    hex = span_trim(hex);
    if (span_find(text, '=') == text.len)
        error_set(error, HAUL_BAD_OPTION, 0,
                  "a checksum is written with its type, as TYPE=HEX, such as sha-256=9f86d08...");
    else if (!hash_find(name, &parsed.type))
        error_set(error, HAUL_BAD_OPTION, 0,
                  "that is no type of checksum that haul knows: md5, sha-1, sha-224, sha-256, "
                  "sha-384 and sha-512 are");
    else if (hex.len != 2 * hash_bytes(parsed.type))
        error_set(error, HAUL_BAD_OPTION, 0, "%s has %zu hexadecimal digits, and this has %zu",
                  hash_name(parsed.type), 2 * hash_bytes(parsed.type), hex.len);
    else if (!parse_hex(hex, parsed.bytes))
        error_set(error, HAUL_BAD_OPTION, 0,
                  "a checksum has hexadecimal digits only, which are 0 to 9 and a to f");
    else {
        *digest = parsed;
        return true;
    }
    return false;
}
