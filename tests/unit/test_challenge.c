/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "http/challenge.h"

/* Each challenge as "scheme token68" or "scheme[realm|nonce|qop]". */
static void show(struct span field, struct text *shown)
{
    static const char *const names[] = {"realm", "nonce", "qop"};
    struct challenge challenge;
    struct text value = {0};

    while (challenge_next(&field, &challenge)) {
        if (shown->len > 0)
            text_add(shown, SPAN(", "));
        text_add(shown, challenge.scheme);
        if (challenge.token68.len > 0) {
            text_add_char(shown, ' ');
            text_add(shown, challenge.token68);
            continue;
        }
        for (size_t i = 0; i < COUNT_OF(names); i++) {
            text_add_char(shown, i == 0 ? '[' : '|');
            if (challenge_parameter(&challenge, span_of(names[i]), &value))
                text_add(shown, text_span(&value));
            else
                text_add_char(shown, '-');
        }
        text_add_char(shown, ']');
    }
    text_free(&value);
}

static void test_fields(void **state)
{
    static const struct {
        const char *field;
        const char *shown;
    } rows[] = {
        {"", ""},
        {" ,, \t", ""},
        {"Basic", "Basic[-|-|-]"},
        {"Basic realm=\"WallyWorld\"", "Basic[WallyWorld|-|-]"},
        /* RFC 9110 11.6.1 */
        {"Basic realm=\"simple\", Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\"",
         "Basic[simple|-|-], Newauth[apps|-|-]"},
        {"Newauth realm=\"apps\", type=1, title=\"Login to \\\"apps\\\"\", Basic realm=\"simple\"",
         "Newauth[apps|-|-], Basic[simple|-|-]"},
        /* RFC 7616 3.9.1 */
        {"Digest realm=\"http-auth@example.org\", qop=\"auth, auth-int\", algorithm=SHA-256, "
         "nonce=\"7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v\"",
         "Digest[http-auth@example.org|7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v|auth, "
         "auth-int]"},
        /* Tokens, and nothing at all. */
        {"Negotiate", "Negotiate[-|-|-]"},
        {"Negotiate, NTLM", "Negotiate[-|-|-], NTLM[-|-|-]"},
        {"NTLM TlRMTVNTUAAC==", "NTLM TlRMTVNTUAAC=="},
        {"Negotiate oYG2MIGz, Basic realm=x", "Negotiate oYG2MIGz, Basic[x|-|-]"},
        {"a b/+._~-9=, c", "a b/+._~-9=, c[-|-|-]"},
        /* Several fields. */
        {"Digest realm=a, nonce=b\nBasic realm=c", "Digest[a|b|-], Basic[c|-|-]"},
        {"NTLM\nBasic realm=c", "NTLM[-|-|-], Basic[c|-|-]"},
        {"NTLM abc\nBasic realm=c", "NTLM abc, Basic[c|-|-]"},
        {"Basic realm=\"a\nBasic realm=\"b\"", "Basic[a|-|-], Basic[b|-|-]"},
        /* As they come. */
        {"basic REALM=\"x\"", "basic[x|-|-]"},
        {"Basic realm = \"x\"", "Basic[x|-|-]"},
        {"Basic realm=x", "Basic[x|-|-]"},
        {"Basic realm=\"\"", "Basic[|-|-]"},
        {"Basic realm=", "Basic realm="},
        {"Basic realm=, nonce=y", "Basic realm="},
        {"Basic realm=\"a,b=c d\\\\\\\"\"", "Basic[a,b=c d\\\"|-|-]"},
        {"Digest realm=\"a\" nonce=\"b\" qop=\"auth\"", "Digest[a|b|auth]"},
        {"Digest realm=\"a\",nonce=\"b\",,qop=auth,", "Digest[a|b|auth]"},
        {"Digest, realm=\"a\", nonce=b", "Digest[a|b|-]"},
        {"Digest nonce=ab/+==, realm=c", "Digest[c|ab/+==|-]"},
        {"Digest realm=a, realm=b", "Digest[a|-|-]"},
        {"Basic realm=\"a", "Basic[a|-|-]"},
        {"Basic realm=\"a\\", "Basic[a\\|-|-]"},
        {"realm=x, Basic realm=y", "Basic[y|-|-]"},
        {"\"x\", Basic realm=y", "Basic[y|-|-]"},
        {"=, Basic realm=y", "Basic[y|-|-]"},
        {"Ba(sic realm=y", ""},
        {"Basic realm=y \"stray\" = nonce=z", "Basic[y|z|-]"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t len = strlen(rows[i].field);
        char *copy = unit_copy(rows[i].field, len);
        struct text shown = {0};

        show(span_make(copy, len), &shown);
        if (!span_equal(text_span(&shown), span_of(rows[i].shown)))
            fail_msg("%s: %.*s", rows[i].field, SPAN_ARG(text_span(&shown)));
        text_free(&shown);
        free(copy);
        for (size_t cut = 0; cut < len; cut++) {
            copy = unit_copy(rows[i].field, cut);
            show(span_make(copy, cut), &shown);
            text_free(&shown);
            free(copy);
        }
    }
}

/* Whatever it is: it ends. */
static void test_noise(void **state)
{
    static const char alphabet[] = "aB =,\"\\\n\t/(";
    uint64_t seed = 7;

    (void)state;
    for (int round = 0; round < 20000; round++) {
        size_t len = unit_random(&seed) % 24;
        char *noise = unit_copy("", 0);
        struct text shown = {0};

        free(noise);
        noise = malloc(len + 1);
        assert_non_null(noise);
        for (size_t i = 0; i < len; i++)
            noise[i] = alphabet[unit_random(&seed) % (sizeof(alphabet) - 1)];
        show(span_make(noise, len), &shown);
        text_free(&shown);
        free(noise);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_noise),
    };

    return UNIT_RUN(tests);
}
