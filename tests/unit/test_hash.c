/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "crypto/hash.h"

enum { MILLION = 1000000 };

/* RFC 1321 A.5, FIPS 180 examples. */
static const struct {
    enum hash_type type;
    const char *name;
    const char *of_nothing;
    const char *of_abc;
    const char *of_million; /* a million times "a" */
} rows[] = {
    {HASH_MD5, "md5", "d41d8cd98f00b204e9800998ecf8427e", "900150983cd24fb0d6963f7d28e17f72",
     "7707d6ae4e027c70eea2a935c2296f21"},
    {HASH_SHA1, "sha-1", "da39a3ee5e6b4b0d3255bfef95601890afd80709",
     "a9993e364706816aba3e25717850c26c9cd0d89d", "34aa973cd4c4daa4f61eeb2bdbad27316534016f"},
    {HASH_SHA224, "sha-224", "d14a028c2a3a2bc9476102bb288234c415a2b01f828ea62ac5b3e42f",
     "23097d223405d8228642a477bda255b32aadbce4bda0b3f7e36c9da7",
     "20794655980c91d8bbb4c1ea97618a4bf03f42581948b2ee4ee7ad67"},
    {HASH_SHA256, "sha-256", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
     "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
     "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"},
    {HASH_SHA384, "sha-384",
     "38b060a751ac96384cd9327eb1b1e36a21fdb71114be07434c0cc7bf63f6e1da274edebfe76f65fbd51ad2f14898b"
     "95b",
     "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c82"
     "5a7",
     "9d0e1809716474cb086e834e310a4a1ced149e9c00f248527972cec5704c2a5b07b8b3dc38ecc4ebae97ddd87f3d8"
     "985"},
    {HASH_SHA512, "sha-512",
     "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36ce9ce47d0d13c5d85f2b0ff8318d2877ee"
     "c2f63b931bd47417a81a538327af927da3e",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3fee"
     "bbd454d4423643ce80e2a9ac94fa54ca49f",
     "e718483d0ce769644e2e42c7bc15b4638e1f98b13b2044285632a803afa973ebde0ff244877ea60a4cb0432ce577c"
     "31beb009c5c2c49aa2e4eadb217ad8cc09b"},
};

static void assert_digest(const struct digest *digest, enum hash_type type, const char *hex)
{
    char got[HASH_HEX_MAX];

    digest_hex(digest, got);
    assert_int_equal(digest->type, type);
    assert_int_equal(strlen(got), 2 * hash_bytes(type));
    assert_string_equal(got, hex);
}

static void test_vectors(void **state)
{
    char *million = malloc(MILLION);

    (void)state;
    memset(million, 'a', MILLION);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct hash hash;
        struct digest digest;

        hash_begin(&hash, rows[i].type);
        hash_end(&hash, &digest);
        assert_digest(&digest, rows[i].type, rows[i].of_nothing);
        hash_begin(&hash, rows[i].type); /* used over and over */
        hash_add(&hash, "abc", 3);
        hash_end(&hash, &digest);
        assert_digest(&digest, rows[i].type, rows[i].of_abc);
        hash_begin(&hash, rows[i].type);
        hash_add(&hash, million, MILLION);
        hash_end(&hash, &digest);
        assert_digest(&digest, rows[i].type, rows[i].of_million);
    }
    free(million);
}

/* However it is cut into pieces. */
static void test_pieces(void **state)
{
    uint64_t seed = 12345;
    char *million = malloc(MILLION);

    (void)state;
    memset(million, 'a', MILLION);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct hash hash;
        struct digest digest;
        size_t at = 0;

        hash_begin(&hash, rows[i].type);
        while (at < MILLION) {
            size_t len = unit_random(&seed) % 300;

            if (len > MILLION - at)
                len = MILLION - at;
            hash_add(&hash, million + at, len);
            at += len;
        }
        hash_end(&hash, &digest);
        assert_digest(&digest, rows[i].type, rows[i].of_million);
    }
    free(million);
}

static void test_names(void **state)
{
    static const struct {
        const char *name;
        bool known;
        enum hash_type type;
    } names[] = {
        {"md5", true, HASH_MD5},          {"MD5", true, HASH_MD5},
        {"md-5", true, HASH_MD5},         {"sha-1", true, HASH_SHA1},
        {"SHA1", true, HASH_SHA1},        {"sha224", true, HASH_SHA224},
        {"Sha-256", true, HASH_SHA256},   {"sha384", true, HASH_SHA384},
        {"SHA-512", true, HASH_SHA512},   {"", false, HASH_MD5},
        {"-", false, HASH_MD5},           {"sha", false, HASH_MD5},
        {"sha-25", false, HASH_MD5},      {"sha-2566", false, HASH_MD5},
        {"sha_256", false, HASH_MD5},     {"adler32", false, HASH_MD5},
        {"sha-512/256", false, HASH_MD5},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        size_t len = strlen(names[i].name);
        char *copy = unit_copy(names[i].name, len);
        enum hash_type type = HASH_MD5;

        if (hash_find(span_make(copy, len), &type) != names[i].known || type != names[i].type)
            fail_msg("%s", names[i].name);
        free(copy);
    }
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_string_equal(hash_name(rows[i].type), rows[i].name);
        if (i > 0) /* the stronger, the greater */
            assert_true(rows[i].type > rows[i - 1].type);
    }
}

static void test_equal(void **state)
{
    static const uint8_t bytes[HASH_BYTES_MAX] = {1, 2, 3};
    struct digest a, b;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t len = hash_bytes(rows[i].type);

        assert_false(digest_make(&a, rows[i].type, bytes, len - 1));
        assert_false(digest_make(&a, rows[i].type, bytes, len + 1));
        assert_true(digest_make(&a, rows[i].type, bytes, len));
        assert_true(digest_make(&b, rows[i].type, bytes, len));
        for (size_t at = 0; at < len; at++) {
            assert_true(digest_equal(&a, &b));
            b.bytes[at] ^= 0x80;
            assert_false(digest_equal(&a, &b));
            b.bytes[at] ^= 0x80;
        }
    }
    /* Of another type, however equal the bytes. */
    memset(&a, 0, sizeof(a));
    b = a;
    a.type = HASH_SHA256;
    b.type = HASH_SHA512;
    assert_false(digest_equal(&a, &b));
}

#define ABC_HEX "900150983cd24fb0d6963f7d28e17f72"

static void test_parse(void **state)
{
    static const struct {
        const char *text;
        const char *error; /* what it says; NULL: it is good */
    } texts[] = {
        {"md5=" ABC_HEX, NULL},
        {" MD5 = 900150983CD24FB0D6963F7D28E17F72 ", NULL},
        {ABC_HEX, "TYPE=HEX"},
        {"", "TYPE=HEX"},
        {"md5:" ABC_HEX, "TYPE=HEX"},
        {"=" ABC_HEX, "no type"},
        {"crc32=01234567", "no type"},
        {"md5=", "32 hexadecimal digits, and this has 0"},
        {"md5=900150983cd24fb0d6963f7d28e17f7", "32 hexadecimal digits, and this has 31"},
        {"sha-1=" ABC_HEX, "sha-1 has 40 hexadecimal digits, and this has 32"},
        {"md5=" ABC_HEX "00", "and this has 34"},
        {"md5=900150983cd24fb0d6963f7d28e17f7g", "0 to 9 and a to f"},
        {"md5=900150983cd24fb0 6963f7d28e17f72", "0 to 9 and a to f"},
        {"md5==00150983cd24fb0d6963f7d28e17f72", "0 to 9 and a to f"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(texts); i++) {
        size_t len = strlen(texts[i].text);
        char *copy = unit_copy(texts[i].text, len);
        struct digest digest = {.type = HASH_SHA512};
        struct haul_error error = {.status = HAUL_OK};

        if (texts[i].error) {
            assert_false(digest_parse(span_make(copy, len), &digest, &error));
            assert_int_equal(error.status, HAUL_BAD_OPTION);
            if (!strstr(error.text, texts[i].error))
                fail_msg("%s: %s", texts[i].text, error.text);
        } else {
            assert_true(digest_parse(span_make(copy, len), &digest, &error));
            assert_digest(&digest, HASH_MD5, ABC_HEX);
        }
        free(copy);
    }
    assert_false(digest_parse(SPAN("x"), &(struct digest){0}, NULL)); /* error may be NULL */
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct text text = {0};
        struct digest digest;

        text_printf(&text, "%s=%s", rows[i].name, rows[i].of_abc);
        assert_true(digest_parse(text_span(&text), &digest, NULL));
        assert_digest(&digest, rows[i].type, rows[i].of_abc);
        text_free(&text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors), cmocka_unit_test(test_pieces), cmocka_unit_test(test_names),
        cmocka_unit_test(test_equal),   cmocka_unit_test(test_parse),
    };

    return UNIT_RUN(tests);
}
