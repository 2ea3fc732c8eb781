/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Input: a user's name, a NUL, and WWW-Authenticate fields, with line feeds between several. What
 * can be answered is answered, and the answer says what was asked.
 */
#include "tests/fuzz/fuzz.h"

#include "http/authorization.h"
#include "http/request.h"

static void check_parameter(const struct challenge *challenge, struct span name, struct span value)
{
    struct text found = {0};

    CHECK(challenge_parameter(challenge, name, &found));
    CHECK(span_equal(text_span(&found), value));
    text_free(&found);
}

static void check_answer(const struct digest_challenge *asked, struct span answer)
{
    struct challenge read;

    CHECK(request_check_value(answer));
    CHECK(challenge_next(&answer, &read) && span_equal(read.scheme, SPAN("Digest")));
    check_parameter(&read, SPAN("realm"), text_span(&asked->realm));
    check_parameter(&read, SPAN("nonce"), text_span(&asked->nonce));
    check_parameter(&read, SPAN("uri"), SPAN("/path?query"));
    if (asked->opaque_given)
        check_parameter(&read, SPAN("opaque"), text_span(&asked->opaque));
    CHECK(!challenge_next(&answer, &read));
}

static void answer(const struct challenge *challenge, struct span user)
{
    struct digest_challenge asked;
    struct digest_request request = {.user = user,
                                     .password = SPAN("secret"),
                                     .method = SPAN("GET"),
                                     .target = SPAN("/path?query"),
                                     .cnonce = SPAN("0123456789abcdef"),
                                     .count = 1};
    struct text value = {0};

    if (!digest_challenge_read(&asked, challenge))
        return;
    CHECK(request_check_value(text_span(&asked.realm)));
    CHECK(request_check_value(text_span(&asked.nonce)));
    CHECK(asked.hash == HASH_MD5 || asked.hash == HASH_SHA256);
    if (authorization_digest(&asked, &request, &value))
        check_answer(&asked, text_span(&value));
    else
        CHECK(value.len == 0 && !request_check_value(user));
    CHECK(!value.data || !strstr(value.data, "secret") ||
          memmem(user.data, user.len, "secret", 6) ||
          strstr(asked.realm.data ? asked.realm.data : "", "secret") ||
          strstr(asked.nonce.data ? asked.nonce.data : "", "secret") ||
          strstr(asked.opaque.data ? asked.opaque.data : "", "secret"));
    text_free(&value);
    digest_challenge_free(&asked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = fuzz_span(data, size);
    struct span user = span_cut(&rest, '\0');
    struct challenge challenge;
    struct text value = {0};
    size_t left = rest.len;

    while (challenge_next(&rest, &challenge)) {
        CHECK(rest.len < left); /* or it would never end */
        left = rest.len;
        CHECK(request_check_token(challenge.scheme));
        CHECK(challenge.token68.len == 0 || challenge.parameters.len == 0);
        if (challenge_parameter(&challenge, SPAN("realm"), &value))
            CHECK(value.len <= challenge.parameters.len);
        else
            CHECK(value.len == 0);
        answer(&challenge, user);
    }
    CHECK(rest.len == 0);
    text_free(&value);
    return 0;
}
