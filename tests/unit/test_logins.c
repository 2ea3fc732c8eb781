/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "session/logins.h"

struct fixture {
    struct logins *logins;
    struct url url;
    struct login_ask ask;
    struct login_state state;
};

static void begin(struct fixture *fixture, const char *url, const char *netrc, bool wait)
{
    *fixture = (struct fixture){0};
    fixture->logins = logins_create(netrc ? netrc_parse(span_of(netrc), 1) : NULL, wait, 1);
    assert_non_null(fixture->logins);
    assert_true(url_parse(&fixture->url, span_of(url), NULL));
    fixture->ask = (struct login_ask){.url = &fixture->url, .method = SPAN("GET"), .own = true};
}

static void go_to(struct fixture *fixture, const char *url)
{
    url_free(&fixture->url);
    assert_true(url_parse(&fixture->url, span_of(url), NULL));
    fixture->state = (struct login_state){0};
}

static void end(struct fixture *fixture)
{
    url_free(&fixture->url);
    logins_destroy(fixture->logins);
}

/* What the request says begins so; "": nothing is said. */
static void assert_says(struct fixture *fixture, const char *expected)
{
    struct text value = {0};

    logins_authorize(fixture->logins, &fixture->ask, &fixture->state, &value);
    if (!span_starts_nocase(text_span(&value), span_of(expected)) ||
        (value.len > 0) != (*expected != '\0'))
        fail_msg("it says \"%.*s\", not \"%s\"", SPAN_ARG(text_span(&value)), expected);
    text_free(&value);
}

static void assert_has(struct fixture *fixture, const char *part)
{
    struct text value = {0};

    logins_authorize(fixture->logins, &fixture->ask, &fixture->state, &value);
    if (!value.data || !strstr(value.data, part))
        fail_msg("\"%.*s\" has no %s", SPAN_ARG(text_span(&value)), part);
    text_free(&value);
}

static bool answers(struct fixture *fixture, const char *challenges)
{
    static const uint64_t random[2] = {0x1234, 0x5678};

    return LOGIN_ANSWERED == logins_answer(fixture->logins, &fixture->ask, span_of(challenges),
                                           random, &fixture->state);
}

#define U_P   "Basic dTpw" /* u:p */
#define V_Q   "Basic djpx" /* v:q */
#define X_Y   "Basic eDp5" /* x:y */
#define U_Q   "Basic dTpx" /* u:q */
#define NETRC "machine h login v password q default login x password y"

static void test_who(void **state)
{
    static const struct {
        const char *url;
        const char *netrc;
        bool own;
        const char *user;
        const char *password;
        const char *bearer;
        const char *says;
    } rows[] = {
        {"http://h/", NULL, true, NULL, NULL, NULL, ""},
        {"http://u:p@h/", NULL, true, NULL, NULL, NULL, U_P},
        {"http://u:p@h/", NULL, false, NULL, NULL, NULL, U_P},
        {"http://u:p@h/", NETRC, true, "x", "y", NULL, U_P},
        {"http://u:p@h/", NETRC, true, NULL, NULL, "t", U_P},
        {"http://h/", NETRC, true, "x", "y", NULL, X_Y},
        {"http://h/", NETRC, true, NULL, NULL, "t", "Bearer t"},
        {"http://h/", NETRC, true, NULL, NULL, NULL, V_Q},
        {"http://h/", NETRC, true, "", "", NULL, V_Q},
        {"http://h/", NETRC, true, "", NULL, "", ""},
        {"http://h/", NULL, true, "", "p", NULL, "Basic OnA="},
        {"http://h:81/", NETRC, true, NULL, NULL, NULL, V_Q},
        {"http://g/", NETRC, true, NULL, NULL, NULL, X_Y},
        /* Elsewhere. */
        {"http://h/", NULL, false, "x", "y", NULL, ""},
        {"http://h/", NULL, false, NULL, NULL, "t", ""},
        {"http://h/", NETRC, false, "x", "y", NULL, V_Q},
        {"http://g/", NETRC, false, "x", "y", NULL, ""},
        {"http://g/", NETRC, false, NULL, NULL, NULL, ""},
        /* The password stands elsewhere. */
        {"http://u@h/", "machine h login u password p", true, NULL, NULL, NULL, U_P},
        {"http://u@h/", "machine h login v password q", true, NULL, NULL, NULL, "Basic dTo="},
        {"http://h/", "machine h password q", true, "u", NULL, NULL, U_Q},
        {"http://h/", "machine h login u password q", true, "u", "p", NULL, U_P},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;

        begin(&fixture, rows[i].url, rows[i].netrc, false);
        fixture.ask.own = rows[i].own;
        fixture.ask.user = rows[i].user;
        fixture.ask.password = rows[i].password;
        fixture.ask.bearer = rows[i].bearer;
        assert_says(&fixture, rows[i].says);
        end(&fixture);
    }
}

static void test_basic_in_vain(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "http://u:p@h/a", NULL, false);
    assert_says(&fixture, U_P);
    assert_false(answers(&fixture, "Basic realm=r"));
    assert_false(answers(&fixture, "Basic realm=other"));
    assert_false(answers(&fixture, ""));
    assert_false(answers(&fixture, "NTLM, Negotiate"));
    end(&fixture);
    begin(&fixture, "http://h/a", NULL, false);
    assert_says(&fixture, "");
    assert_false(answers(&fixture, "Basic realm=r"));
    end(&fixture);
}

static void test_waiting(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "http://u:p@h/a/b", NULL, true);
    assert_says(&fixture, "");
    assert_true(answers(&fixture, "Basic realm=r"));
    assert_says(&fixture, U_P);
    assert_false(answers(&fixture, "Basic realm=r"));
    go_to(&fixture, "http://u:p@h/a/c"); /* it is known there now */
    assert_says(&fixture, U_P);
    go_to(&fixture, "https://u:p@h/a/c");
    assert_says(&fixture, "");
    end(&fixture);
    begin(&fixture, "http://h/", NULL, true);
    fixture.ask.bearer = "t";
    assert_says(&fixture, "");
    assert_false(answers(&fixture, "Basic realm=r"));
    assert_true(answers(&fixture, "Basic realm=r, Bearer realm=r"));
    assert_says(&fixture, "Bearer t");
    assert_false(answers(&fixture, "Bearer realm=r, error=invalid_token"));
    end(&fixture);
}

#define DIGEST "Digest qop=auth, realm=r, nonce="

static void test_digest(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "http://u:p@h/a/b", NULL, false);
    assert_says(&fixture, U_P);
    assert_true(answers(&fixture, DIGEST "1, Basic realm=r"));
    assert_has(&fixture, "nonce=\"1\", nc=00000001, cnonce=\"00000000000012340000000000005678\"");
    assert_int_equal(fixture.state.sent, LOGIN_DIGEST);
    go_to(&fixture, "http://u:p@h/a/c");
    assert_has(&fixture, "uri=\"/a/c\", nonce=\"1\", nc=00000002");
    /* Too old: as often as it takes, but not without end. */
    assert_true(answers(&fixture, DIGEST "2, stale=TRUE"));
    assert_has(&fixture, "nonce=\"2\", nc=00000001");
    for (int i = 0; i < LOGIN_ANSWERS_MAX; i++) {
        assert_true(answers(&fixture, DIGEST "3, stale=true"));
        assert_has(&fixture, "nonce=\"3\", nc=00000001");
    }
    assert_false(answers(&fixture, DIGEST "4, stale=true"));
    /* A nonce from long ago may be wrong without a word. */
    go_to(&fixture, "http://u:p@h/a/d");
    assert_has(&fixture, "nonce=\"3\", nc=00000002");
    assert_true(answers(&fixture, DIGEST "5"));
    assert_has(&fixture, "nonce=\"5\"");
    assert_false(answers(&fixture, DIGEST "6"));
    assert_true(answers(&fixture, "Digest qop=auth, realm=other, nonce=7"));
    assert_has(&fixture, "realm=\"other\"");
    assert_false(answers(&fixture, "Digest qop=auth, realm=other, nonce=8"));
    end(&fixture);
}

/* Each time that it has a nonce, another request has spent it before. */
static void test_spent_nonces(void **state)
{
    struct login_state other = {0};
    struct text value = {0};
    struct fixture fixture;

    (void)state;
    begin(&fixture, "http://u:p@h/a", NULL, true);
    assert_says(&fixture, "");
    assert_true(answers(&fixture, DIGEST "1"));
    for (int i = 0; i < 5 * LOGIN_ANSWERS_MAX; i++) {
        logins_authorize(fixture.logins, &fixture.ask, &other, &value);
        assert_false(other.shared);
        assert_has(&fixture, "nc=00000002");
        assert_true(answers(&fixture, DIGEST "2, stale=true"));
    }
    /* That the login is wrong is no less true of a nonce that others have used. */
    logins_authorize(fixture.logins, &fixture.ask, &other, &value);
    assert_has(&fixture, "nc=00000002");
    assert_false(answers(&fixture, DIGEST "3"));
    text_free(&value);
    end(&fixture);
}

static void test_strongest(void **state)
{
    static const struct {
        const char *challenges;
        const char *has; /* NULL: no answer */
    } rows[] = {
        {"Basic realm=b, Digest realm=d, nonce=1", "realm=\"d\""},
        {"Digest realm=d, nonce=1, algorithm=MD5\nDigest realm=e, nonce=2, algorithm=SHA-256",
         "algorithm=SHA-256"},
        {"Digest realm=d, nonce=1, algorithm=SHA-256, Digest realm=e, nonce=2, algorithm=MD5",
         "algorithm=SHA-256"},
        {"Digest realm=d, nonce=1, algorithm=SHA-512-256, Digest realm=e, nonce=2", "realm=\"e\""},
        {"Digest realm=d, nonce=1, algorithm=SHA-512-256", NULL},
        {"Digest realm=d, nonce=1, qop=auth-int, Basic realm=b", U_P},
        {"Negotiate, NTLM, Basic realm=b", U_P},
        {"Bearer realm=b", NULL},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct fixture fixture;

        begin(&fixture, "http://u:p@h/", NULL, true);
        assert_says(&fixture, "");
        if (answers(&fixture, rows[i].challenges) != (rows[i].has != NULL))
            fail_msg("%s: %s", rows[i].challenges, rows[i].has ? "no answer" : "an answer");
        if (rows[i].has)
            assert_has(&fixture, rows[i].has);
        end(&fixture);
    }
}

static void test_places(void **state)
{
    struct fixture fixture;

    (void)state;
    begin(&fixture, "http://u:p@h/a/x", NULL, false);
    assert_says(&fixture, U_P);
    assert_true(answers(&fixture, "Digest realm=a, nonce=1"));
    go_to(&fixture, "http://u:p@h/b/x");
    assert_has(&fixture, "realm=\"a\""); /* for want of anything better */
    assert_true(answers(&fixture, "Digest realm=b, nonce=2"));
    go_to(&fixture, "http://u:p@h/a/y/z");
    assert_has(&fixture, "realm=\"a\"");
    go_to(&fixture, "http://u:p@h/b/");
    assert_has(&fixture, "realm=\"b\"");
    go_to(&fixture, "http://u:p@h/c/x");
    assert_has(&fixture, "realm=\"b\"");
    /* a is all but b. */
    assert_true(answers(&fixture, "Digest realm=a, nonce=3"));
    go_to(&fixture, "http://u:p@h/d/x");
    assert_has(&fixture, "realm=\"a\", uri=\"/d/x\", nonce=\"3\"");
    go_to(&fixture, "http://u:p@h/b/z");
    assert_has(&fixture, "realm=\"b\"");
    /* Others take the place of those that asked longest ago. */
    for (int i = 0; i < 20; i++) {
        char challenge[64];

        snprintf(challenge, sizeof(challenge), "Digest realm=x%d, nonce=%d", i, i);
        go_to(&fixture, "http://u:p@h/e/");
        assert_has(&fixture, "Digest");
        assert_true(answers(&fixture, challenge));
    }
    go_to(&fixture, "http://u:p@h/b/z");
    assert_has(&fixture, "realm=\"x19\"");
    end(&fixture);
}

static void test_many_servers(void **state)
{
    struct fixture fixture;
    char url[64];

    (void)state;
    begin(&fixture, "http://u:p@h0/", NULL, true);
    for (int i = 0; i < 1001; i++) {
        snprintf(url, sizeof(url), "http://u:p@h%d/", i);
        go_to(&fixture, url);
        assert_says(&fixture, "");
        assert_true(answers(&fixture, "Basic realm=r"));
    }
    go_to(&fixture, "http://u:p@h0/");
    assert_says(&fixture, "");
    go_to(&fixture, "http://u:p@h1/");
    assert_says(&fixture, U_P);
    end(&fixture);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who),          cmocka_unit_test(test_basic_in_vain),
        cmocka_unit_test(test_waiting),      cmocka_unit_test(test_digest),
        cmocka_unit_test(test_spent_nonces), cmocka_unit_test(test_strongest),
        cmocka_unit_test(test_places),       cmocka_unit_test(test_many_servers),
    };

    return UNIT_RUN(tests);
}
