/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Input: the value of a Repr-Digest, Content-Digest or Digest field. */
#include "tests/fuzz/fuzz.h"

#include "http/digest.h"

static const char *const names[] = {"md5", "sha", "sha-224", "sha-256", "sha-384", "sha-512"};

static void add_base64(struct text *text, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t i = 0; i < len; i += 3) {
        uint32_t word = (uint32_t)bytes[i] << 16;

        word |= i + 1 < len ? (uint32_t)bytes[i + 1] << 8 : 0;
        word |= i + 2 < len ? bytes[i + 2] : 0;
        text_add_char(text, digits[word >> 18]);
        text_add_char(text, digits[word >> 12 & 63]);
        text_add_char(text, i + 1 < len ? digits[word >> 6 & 63] : '=');
        text_add_char(text, i + 2 < len ? digits[word & 63] : '=');
    }
}

/* Written anew, in either form, it is the same. */
static void check(const struct digest *digest)
{
    struct text text = {0};
    struct digest again;
    char hex[HASH_HEX_MAX];

    CHECK(digest->type <= HASH_SHA512);
    text_printf(&text, "%s=:", names[digest->type]);
    add_base64(&text, digest->bytes, hash_bytes(digest->type));
    text_add_char(&text, ':');
    CHECK(field_digest(text_span(&text), &again) && digest_equal(digest, &again));
    text_clear(&text);
    text_printf(&text, "%s=", names[digest->type]);
    add_base64(&text, digest->bytes, hash_bytes(digest->type));
    CHECK(field_old_digest(text_span(&text), &again) && digest_equal(digest, &again));
    text_clear(&text);
    digest_hex(digest, hex);
    text_printf(&text, "%s=%s", hash_name(digest->type), hex);
    CHECK(digest_parse(text_span(&text), &again, NULL) && digest_equal(digest, &again));
    text_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span value = fuzz_span(data, size);
    struct haul_error error = {0};
    struct digest digest = {0};

    if (field_digest(value, &digest))
        check(&digest);
    if (field_old_digest(value, &digest))
        check(&digest);
    if (digest_parse(value, &digest, &error))
        check(&digest);
    else
        CHECK(error.status == HAUL_BAD_OPTION && error.text[0]);
    return 0;
}
