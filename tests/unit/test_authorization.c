/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "http/authorization.h"

static void test_basic(void **state)
{
    static const struct {
        const char *user;
        const char *password;
        const char *value;
    } rows[] = {
        {"Aladdin", "open sesame", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="}, /* RFC 7617 2 */
        {"test", "123\xc2\xa3", "Basic dGVzdDoxMjPCow=="},                /* RFC 7617 2.1 */
        {"a", "", "Basic YTo="},
        {"a", "b", "Basic YTpi"},
        {"a", "bc", "Basic YTpiYw=="},
        {"a", "bcd", "Basic YTpiY2Q="},
        {"a", "\xff\xfe\xfd\xfc", "Basic YTr//v38"},
        {"", "", "Basic Og=="},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct text value = {0};

        authorization_basic(span_of(rows[i].user), span_of(rows[i].password), &value);
        assert_span(text_span(&value), rows[i].value);
        text_free(&value);
    }
}

static void test_bearer(void **state)
{
    struct text value = {0};

    (void)state;
    authorization_bearer(SPAN("mF_9.B5f-4.1JqM"), &value); /* RFC 6750 2.1 */
    assert_span(text_span(&value), "Bearer mF_9.B5f-4.1JqM");
    text_free(&value);
}

struct digest_row {
    const char *challenge;
    const char *user;
    const char *password;
    const char *target;
    const char *cnonce;
    uint32_t count;
    const char *value; /* NULL: there is no answer */
};

/* RFC 7616 3.9.1 */
#define MUFASA                                                                                     \
    "Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", "                             \
    "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "                                     \
    "opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\", algorithm="
#define MUFASA_SAYS(algorithm, response)                                                           \
    "Digest username=\"Mufasa\", realm=\"http-auth@example.org\", uri=\"/dir/index.html\", "       \
    "algorithm=" algorithm ", nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\", "            \
    "nc=00000001, cnonce=\"f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ\", qop=auth, "             \
    "response=\"" response "\", opaque=\"FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS\""
#define MUFASA_ASKS                                                                                \
    "Mufasa", "Circle of Life", "/dir/index.html", "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", 1

static const struct digest_row digest_rows[] = {
    {MUFASA "MD5", MUFASA_ASKS, MUFASA_SAYS("MD5", "8ca523f5e9506fed4657c9700eebdbec")},
    {MUFASA "SHA-256", MUFASA_ASKS,
     MUFASA_SAYS("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1")},
    {MUFASA "\"sha-256\"", MUFASA_ASKS,
     MUFASA_SAYS("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1")},
    /* RFC 2617 3.5 */
    {"Digest realm=\"testrealm@host.com\", qop=\"auth,auth-int\", "
     "nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
     "Mufasa", "Circle Of Life", "/dir/index.html", "0a4f113b", 1,
     "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", uri=\"/dir/index.html\", "
     "nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", nc=00000001, cnonce=\"0a4f113b\", qop=auth, "
     "response=\"6629fae49393a05397450978507c4ef1\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""},
    /* RFC 2069 2.4, with the response that its errata give */
    {"Digest realm=\"testrealm@host.com\", nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", "
     "opaque=\"5ccc069c403ebaf9f0171e9517f40e41\"",
     "Mufasa", "CircleOfLife", "/dir/index.html", "0a4f113b", 1,
     "Digest username=\"Mufasa\", realm=\"testrealm@host.com\", uri=\"/dir/index.html\", "
     "nonce=\"dcd98b7102dd2f0e8b11d0f600bfb0c093\", "
     "response=\"1949323746fe6a43ef61f9606e7febea\", opaque=\"5ccc069c403ebaf9f0171e9517f40e41\""},
    {"Digest realm=r, nonce=n, algorithm=SHA-512-256", "u", "p", "/", "c", 1, NULL},
    {"Digest realm=r, nonce=n, algorithm=token", "u", "p", "/", "c", 1, NULL},
    {"Digest realm=r, nonce=n, qop=auth-int", "u", "p", "/", "c", 1, NULL},
    {"Digest realm=r", "u", "p", "/", "c", 1, NULL},
    {"Digest realm=r, nonce=\"\x01\"", "u", "p", "/", "c", 1, NULL},
    {"Digest realm=r, nonce=n", "u\n", "p", "/", "c", 1, NULL},
    {"Basic realm=r, nonce=n", "u", "p", "/", "c", 1, NULL},
};

static bool answer(const struct digest_row *row, const char *method, struct text *value)
{
    struct span field = span_of(row->challenge);
    struct digest_challenge digest;
    struct challenge challenge;
    struct digest_request request = {.user = span_of(row->user),
                                     .password = span_of(row->password),
                                     .method = span_of(method),
                                     .target = span_of(row->target),
                                     .cnonce = span_of(row->cnonce),
                                     .count = row->count};
    bool answered;

    assert_true(challenge_next(&field, &challenge));
    if (!digest_challenge_read(&digest, &challenge))
        return false;
    answered = authorization_digest(&digest, &request, value);
    digest_challenge_free(&digest);
    return answered;
}

static void test_digest(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(digest_rows); i++) {
        const struct digest_row *row = &digest_rows[i];
        struct text value = {0};

        if (answer(row, "GET", &value) != (row->value != NULL))
            fail_msg("%s: %s", row->challenge, row->value ? "no answer" : "an answer");
        assert_span(text_span(&value), row->value ? row->value : "");
        text_free(&value);
    }
}

/* H(...) of the test's own, from the words of RFC 7616 3.4. */
static void hash_text(enum hash_type type, const char *text, char hex[HASH_HEX_MAX])
{
    struct digest digest;
    struct hash hash;

    hash_begin(&hash, type);
    hash_add(&hash, text, strlen(text));
    hash_end(&hash, &digest);
    digest_hex(&digest, hex);
}

static void assert_proof(const char *challenge, const char *user, enum hash_type type, bool session,
                         const char *method, const char *begin, const char *end)
{
    struct digest_row row = {challenge, user, "pass", "/a?b", "0123", 0x1a, NULL};
    char login[HASH_HEX_MAX], asked[HASH_HEX_MAX], proof[HASH_HEX_MAX], text[512];
    struct text value = {0};

    snprintf(text, sizeof(text), "%s:r\"1\\:pass", user);
    hash_text(type, text, login);
    snprintf(text, sizeof(text), "%s:n=1:0123", login);
    if (session)
        hash_text(type, text, login);
    snprintf(text, sizeof(text), "%s:/a?b", method);
    hash_text(type, text, asked);
    snprintf(text, sizeof(text), "%s:n=1:0000001a:0123:auth:%s", login, asked);
    hash_text(type, text, proof);
    assert_true(answer(&row, method, &value));
    snprintf(text, sizeof(text),
             "Digest %s, realm=\"r\\\"1\\\\\", uri=\"/a?b\", %snonce=\"n=1\", nc=0000001a, "
             "cnonce=\"0123\", qop=auth, response=\"%s\"%s",
             begin, session ? "algorithm=SHA-256-sess, " : "", proof, end);
    assert_span(text_span(&value), text);
    text_free(&value);
}

static void test_digest_variants(void **state)
{
    static const char realm[] = "Digest realm=\"r\\\"1\\\\\", nonce=\"n=1\", qop=\"auth\"";
    char challenge[256], hashed[HASH_HEX_MAX], begin[256];

    (void)state;
    assert_proof(realm, "us\"er", HASH_MD5, false, "HEAD", "username=\"us\\\"er\"", "");
    snprintf(challenge, sizeof(challenge), "%s, algorithm=SHA-256-sess", realm);
    assert_proof(challenge, "u", HASH_SHA256, true, "GET", "username=\"u\"", "");
    snprintf(challenge, sizeof(challenge), "%s, userhash=TRUE", realm);
    hash_text(HASH_MD5, "J\xc3\xa4s\xc3\xb8n Doe:r\"1\\", hashed);
    snprintf(begin, sizeof(begin), "username=\"%s\"", hashed);
    assert_proof(challenge, "J\xc3\xa4s\xc3\xb8n Doe", HASH_MD5, false, "GET", begin,
                 ", userhash=true");
    snprintf(challenge, sizeof(challenge), "%s, charset=UTF-8", realm);
    assert_proof(challenge, "J\xc3\xa4s\xc3\xb8n Doe", HASH_MD5, false, "GET",
                 "username*=UTF-8''J%C3%A4s%C3%B8n%20Doe", "");
    assert_proof(realm, "J\xc3\xa4s", HASH_MD5, false, "GET", "username=\"J\xc3\xa4s\"", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_basic),
        cmocka_unit_test(test_bearer),
        cmocka_unit_test(test_digest),
        cmocka_unit_test(test_digest_variants),
    };

    return UNIT_RUN(tests);
}
