/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "http/digest.h"

/* Of {"hello": "world"} and a line feed, the content of RFC 9530's examples. */
#define MD5_BASE64    "UFIauregE76D7gDe0/n0JA=="
#define MD5_HEX       "50521abab7a013be83ee00ded3f9f424"
#define SHA1_BASE64   "yyTATouGJ50S3R4iWotz3qq6P9Y="
#define SHA1_HEX      "cb24c04e8b86279d12dd1e225a8b73deaaba3fd6"
#define SHA256_BASE64 "RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg="
#define SHA256_HEX    "44aff4ab2d7c3250525675a08f0cfa9591168cffe51791c5f5bbc417c15a6c38"
#define SHA512_BASE64                                                                              \
    "YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg=="
#define SHA512_HEX                                                                                 \
    "60c01a9b9d49cff8ce0134faff3bc7acb5603984c6172d5de862623874e886ae323fea60938bdfd9a0acc9164eb7" \
    "0"                                                                                            \
    "f0c8e433b8b0ef267f5a4a6998ce384f7aa"
/* Of nothing. */
#define EMPTY_BASE64 "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
#define EMPTY_HEX    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

struct row {
    const char *value;
    const char *hex; /* of the strongest; NULL: there is none */
};

static void try_row(const struct row *row, bool (*read)(struct span, struct digest *))
{
    size_t len = strlen(row->value);
    char *copy = unit_copy(row->value, len);
    char hex[HASH_HEX_MAX] = "";
    struct digest digest;

    if (read(span_make(copy, len), &digest))
        digest_hex(&digest, hex);
    if (strcmp(hex, row->hex ? row->hex : "") != 0)
        fail_msg("%s: %s", row->value, hex);
    free(copy);
    for (size_t cut = 0; cut < len; cut++) { /* every shorter one ends where its memory ends */
        copy = unit_copy(row->value, cut);
        (void)read(span_make(copy, cut), &digest);
        free(copy);
    }
}

static void test_structured(void **state)
{
    static const struct row rows[] = {
        {"sha-256=:" SHA256_BASE64 ":", SHA256_HEX},
        {"sha-512=:" SHA512_BASE64 ":", SHA512_HEX},
        {"md5=:" MD5_BASE64 ":", MD5_HEX},
        {"sha=:" SHA1_BASE64 ":", SHA1_HEX},
        /* The strongest, wherever it stands. */
        {"sha-256=:" SHA256_BASE64 ":, sha-512=:" SHA512_BASE64 ":", SHA512_HEX},
        {"sha-512=:" SHA512_BASE64 ":,sha-256=:" SHA256_BASE64 ":", SHA512_HEX},
        {"md5=:" MD5_BASE64 ": \t,\t sha=:" SHA1_BASE64 ":", SHA1_HEX},
        {"  sha-256=:" SHA256_BASE64 ":\t", SHA256_HEX},
        /* Members that are none of ours, of all kinds. */
        {"unixsum=:MzA2Mzc=:, sha-256=:" SHA256_BASE64 ":", SHA256_HEX},
        {"a, b=?0, c=1.5, *d_e-f.9=\"x, sha-512=:\\\"AA==:\", g=(1 \"2,\" three);h=4, i=tok/en;j, "
         "md5=:" MD5_BASE64 ":",
         MD5_HEX},
        {"x=\"\\\\\", md5=:" MD5_BASE64 ":", MD5_HEX},
        {"sha-256=:" SHA256_BASE64 ":;p=1;q=\"a,b\", x", SHA256_HEX},
        {"sha-256;p=1, md5=:" MD5_BASE64 ":", MD5_HEX},
        /* The last one of a name counts. */
        {"sha-256=:" SHA256_BASE64 ":, sha-256=:" EMPTY_BASE64 ":", EMPTY_HEX},
        {"sha-256=:" SHA256_BASE64 ":, sha-256=:AAAA:", NULL},
        /* Without what fills up. */
        {"sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg:", SHA256_HEX},
        {"md5=:UFIauregE76D7gDe0/n0JA:", MD5_HEX},
        /* A value that is no digest of its type: the others count. */
        {"sha-512=:" SHA256_BASE64 ":, sha-256=:" SHA256_BASE64 ":", SHA256_HEX},
        {"sha-512=" SHA512_BASE64 ", sha-256=:" SHA256_BASE64 ":", SHA256_HEX},
        {"sha-512=\"" SHA512_BASE64 "\", sha-256=:" SHA256_BASE64 ":", SHA256_HEX},
        {"sha-512=:" SHA512_BASE64 ", md5=:" MD5_BASE64 ":", MD5_HEX},
        {"sha-256=:" SHA256_BASE64 ":x", NULL},
        {"sha-256=:RK_0qy18MlBSVnWgjwz6lZEWjP_lF5HF9bvEF8FabDg=:", NULL},
        {"sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg===:", NULL},
        {"sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF 9bvEF8FabDg=:", NULL},
        {"sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabD:", NULL},
        {"sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDgAAAA:", NULL},
        {"sha-256=:RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDgA:", NULL},
        {"sha-384=:zb5EjsnBMKRAcyXjAY81b2fMc24KzrDy92hlkk1pmUHjqntF1vBlWok+amSDnUsd:",
         "cdbe448ec9c130a4407325e3018f356f67cc736e0aceb0f2f76865924d699941e3aa7b45d6f0655a893e6a648"
         "39d4"
         "b1d"},
        {"sha-384=:zb5EjsnBMKRAcyXjAY81b2fMc24KzrDy92hlkk1pmUHjqntF1vBlWok+amSDnUsdA:", NULL},
        {"sha-512=:AAAAAAAA" SHA512_BASE64 ":", NULL},
        {"sha-256=::", NULL},
        {"sha-256=:", NULL},
        {"sha-256=", NULL},
        {"sha-256", NULL},
        /* No dictionary. */
        {"", NULL},
        {" ", NULL},
        {"sha-256=:" SHA256_BASE64 ":,", NULL},
        {",sha-256=:" SHA256_BASE64 ":", NULL},
        {"sha-256=:" SHA256_BASE64 ":,,md5=:" MD5_BASE64 ":", NULL},
        {"SHA-256=:" SHA256_BASE64 ":", NULL},
        {"x y, sha-256=:" SHA256_BASE64 ":", NULL},
        {"9=1, sha-256=:" SHA256_BASE64 ":", NULL},
        {"=1, sha-256=:" SHA256_BASE64 ":", NULL},
        {"sha-256 =:" SHA256_BASE64 ":", NULL},
        {"sha-256=:" SHA256_BASE64 ":, x=\"", NULL},
        {"sha-256=:" SHA256_BASE64 ":, x=\"\\\"", NULL},
        {"sha-256=:" SHA256_BASE64 ":, x=\"\\", NULL},
        {"crc32c=:AAAAAA==:", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        try_row(&rows[i], field_digest);
}

static void test_old(void **state)
{
    static const struct row rows[] = {
        {"SHA-256=" SHA256_BASE64, SHA256_HEX},
        {"sha-256=" SHA256_BASE64, SHA256_HEX},
        {"SHA-256=" SHA256_BASE64 ",MD5=" MD5_BASE64, SHA256_HEX},
        {"MD5=" MD5_BASE64 " , SHA-512=" SHA512_BASE64 " ", SHA512_HEX},
        {"SHA=" SHA1_BASE64 ",unixsum=30637", SHA1_HEX},
        {"unixsum=30637,,MD5=" MD5_BASE64 ",", MD5_HEX},
        {"MD5=HUXZLQLMuI/KZ5KDcJPcOA==", "1d45d92d02ccb88fca6792837093dc38"},
        {"SHA-512=" SHA256_BASE64 ",MD5=" MD5_BASE64, MD5_HEX},
        {"SHA-256=:" SHA256_BASE64 ":", NULL},
        {"SHA-256", NULL},
        {"SHA-256=", NULL},
        {"UNIXsum=30637", NULL},
        {"id-sha-256=" SHA256_BASE64, NULL},
        {"", NULL},
        {" , ", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        try_row(&rows[i], field_old_digest);
}

#define OK      "HTTP/1.1 200 OK\r\n"
#define PARTIAL "HTTP/1.1 206 Partial Content\r\n"

static void test_response(void **state)
{
    static const struct {
        const char *head;
        const char *whole_hex;
        const char *part_hex;
    } rows[] = {
        {OK, NULL, NULL},
        {OK "Repr-Digest: sha-256=:" SHA256_BASE64 ":\r\n", SHA256_HEX, NULL},
        {OK "Content-Digest: sha-256=:" SHA256_BASE64 ":\r\n", SHA256_HEX, NULL},
        {OK "Digest: SHA-256=" SHA256_BASE64 "\r\n", SHA256_HEX, NULL},
        {PARTIAL "Repr-Digest: sha-256=:" SHA256_BASE64 ":\r\n", SHA256_HEX, NULL},
        {PARTIAL "Digest: SHA-256=" SHA256_BASE64 "\r\n", SHA256_HEX, NULL},
        {PARTIAL "Content-Digest: sha-256=:" SHA256_BASE64 ":\r\n", NULL, SHA256_HEX},
        {PARTIAL "Content-Digest: sha-512=:" SHA512_BASE64
                 ":\r\nRepr-Digest: sha-256=:" SHA256_BASE64 ":\r\n",
         SHA256_HEX, SHA512_HEX},
        /* The strongest of all; among equals, what is said in the newest way. */
        {OK "Digest: SHA-512=" SHA512_BASE64 "\r\nRepr-Digest: sha-256=:" SHA256_BASE64 ":\r\n",
         SHA512_HEX, NULL},
        {OK "Content-Digest: sha-512=:" SHA512_BASE64 ":\r\nRepr-Digest: md5=:" MD5_BASE64 ":\r\n",
         SHA512_HEX, NULL},
        {OK "Digest: SHA-256=" SHA256_BASE64 "\r\nRepr-Digest: sha-256=:" EMPTY_BASE64
            ":\r\nContent-Digest: sha-256=:" SHA256_BASE64 ":\r\n",
         EMPTY_HEX, NULL},
        /* One that is malformed does not spoil the others. */
        {OK "Repr-Digest: SHA-256\r\nDigest: MD5=" MD5_BASE64 "\r\n", MD5_HEX, NULL},
        /* Of something else than the file. */
        {"HTTP/1.1 404 Not Found\r\nContent-Digest: sha-256=:" SHA256_BASE64 ":\r\n", NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct response *response = response_create();
        struct text head = {0};
        char whole[HASH_HEX_MAX] = "", part[HASH_HEX_MAX] = "";
        struct digest digest;
        size_t taken;

        assert_non_null(response);
        text_printf(&head, "%sContent-Length: 19\r\n\r\n", rows[i].head);
        response_start(response, false);
        assert_int_equal(response_head(response, head.data, head.len, &taken, NULL), RESPONSE_DONE);
        if (response_digest(response, &digest))
            digest_hex(&digest, whole);
        if (response_part_digest(response, &digest))
            digest_hex(&digest, part);
        if (strcmp(whole, rows[i].whole_hex ? rows[i].whole_hex : "") != 0 ||
            strcmp(part, rows[i].part_hex ? rows[i].part_hex : "") != 0)
            fail_msg("%s: %s, %s", rows[i].head, whole, part);
        text_free(&head);
        response_destroy(response);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_structured),
        cmocka_unit_test(test_old),
        cmocka_unit_test(test_response),
    };

    return UNIT_RUN(tests);
}
