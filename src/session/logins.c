/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A server's places are its realms: each has the directory that all its known URLs stand in, and
 * the challenge that was its last. A request is answered for as its nearest place asks, before it
 * is asked itself.
 */
#include "session/logins.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/list.h"
#include "base/map.h"
#include "http/authorization.h"
#include "http/challenge.h"

enum { SERVERS_MAX = 1000, PLACES_MAX = 8 };

struct place {
    struct list node; /* of the server's, the one asked for last comes first */
    enum login_scheme scheme;
    struct text realm;
    struct text directory;
    struct digest_challenge digest;
    uint32_t count; /* of requests with its nonce */
    char cnonce[2 * 16 + 1];
};

struct server {
    struct map_node node; /* by its origin */
    struct list age;      /* the one that asked last comes last */
    struct list places;
    size_t place_count;
    char origin[];
};

struct logins {
    struct netrc *netrc;
    bool wait;
    uint64_t seed;
    struct map servers;
    struct list ages;
};

/* --- places ---------------------------------------------------------------------------------- */

static void free_place(struct place *place)
{
    text_free(&place->realm);
    text_free(&place->directory);
    digest_challenge_free(&place->digest);
    free(place);
}

static void remove_place(struct server *server, struct place *place)
{
    list_remove(&place->node);
    server->place_count--;
    free_place(place);
}

static void remove_server(struct logins *logins, struct server *server)
{
    while (list_is_linked(&server->places))
        remove_place(server, LIST_ITEM(server->places.next, struct place, node));
    map_remove(&logins->servers, &server->node);
    list_remove(&server->age);
    free(server);
}

static struct server *find_server(const struct logins *logins, const struct url *url)
{
    struct map_node *node =
        logins->servers.count > 0 ? map_find(&logins->servers, url_origin(url)) : NULL;

    return node ? MAP_ITEM(node, struct server, node) : NULL;
}

static struct server *want_server(struct logins *logins, const struct url *url)
{
    struct server *server = find_server(logins, url);
    struct span origin = url_origin(url);

    if (server) {
        list_remove(&server->age);
        list_push_back(&logins->ages, &server->age);
        return server;
    }
    if (logins->servers.count >= SERVERS_MAX)
        remove_server(logins, LIST_ITEM(logins->ages.next, struct server, age));
    server = alloc_zeroed(sizeof(*server) + origin.len);
    if (!server)
        return NULL;
    memcpy(server->origin, origin.data, origin.len);
    list_init(&server->age);
    list_init(&server->places);
    if (!map_put(&logins->servers, &server->node, span_make(server->origin, origin.len))) {
        free(server);
        return NULL;
    }
    list_push_back(&logins->ages, &server->age);
    return server;
}

static struct span directory_of(struct span path)
{
    while (path.len > 0 && path.data[path.len - 1] != '/')
        path.len--;
    return path;
}

/* The place that stands nearest above the path, else the one that asked last. */
static struct place *find_place(const struct server *server, struct span path)
{
    struct place *best = NULL;
    size_t best_len = 0;

    if (!server || !list_is_linked(&server->places))
        return NULL;
    for (struct list *node = server->places.next; node != &server->places; node = node->next) {
        struct place *place = LIST_ITEM(node, struct place, node);
        struct span directory = text_span(&place->directory);

        if (directory.len > best_len && span_equal(span_sub(path, 0, directory.len), directory)) {
            best = place;
            best_len = directory.len;
        }
    }
    return best ? best : LIST_ITEM(server->places.next, struct place, node);
}

/* The directory that both stand in. */
static void widen(struct text *directory, struct span path)
{
    struct span wanted = directory_of(path);
    size_t same = 0;

    if (directory->len == 0) {
        text_add(directory, wanted);
        return;
    }
    while (same < directory->len && same < wanted.len && directory->data[same] == wanted.data[same])
        same++;
    directory->len = directory_of(span_make(directory->data, same)).len;
}

static struct place *want_place(struct server *server, enum login_scheme scheme, struct span realm)
{
    struct place *place;

    for (struct list *node = server->places.next; node != &server->places; node = node->next) {
        place = LIST_ITEM(node, struct place, node);
        if (span_equal(text_span(&place->realm), realm)) {
            list_remove(&place->node);
            list_push_front(&server->places, &place->node);
            place->scheme = scheme;
            return place;
        }
    }
    if (server->place_count >= PLACES_MAX)
        remove_place(server, LIST_ITEM(server->places.prev, struct place, node));
    place = alloc_zeroed(sizeof(*place));
    if (!place)
        return NULL;
    list_init(&place->node);
    text_add(&place->realm, realm);
    place->scheme = scheme;
    list_push_front(&server->places, &place->node);
    server->place_count++;
    return place;
}

/* --- who ------------------------------------------------------------------------------------- */

struct who {
    struct login login;
    struct span bearer; /* not empty: this, and no login */
};

static bool find_netrc(const struct logins *logins, const struct login_ask *ask, struct span user,
                       struct login *login)
{
    return logins->netrc && netrc_find(logins->netrc, ask->url->host, user, ask->own, login);
}

/* A login without a password may have it in the netrc file. */
static void complete(const struct logins *logins, const struct login_ask *ask, struct login *login)
{
    struct login found;

    if (login->password.len == 0 && login->user.len > 0 &&
        find_netrc(logins, ask, login->user, &found))
        login->password = found.password;
}

static bool find_who(const struct logins *logins, const struct login_ask *ask, struct who *who)
{
    struct span rest;

    *who = (struct who){.bearer = span_make("", 0)};
    if (ask->url->login) {
        rest = span_of(ask->url->login);
        who->login.user = span_cut(&rest, ':');
        who->login.password = rest;
        complete(logins, ask, &who->login);
        return true;
    }
    if (ask->own && ask->bearer) {
        who->bearer = span_of(ask->bearer);
        return who->bearer.len > 0;
    }
    /* An empty one is none, as in a URL. */
    if (ask->own && ask->user && span_of(ask->user).len + span_of(ask->password).len > 0) {
        who->login.user = span_of(ask->user);
        who->login.password = span_of(ask->password);
        complete(logins, ask, &who->login);
        return true;
    }
    return find_netrc(logins, ask, span_make("", 0), &who->login);
}

/* --- what is sent ---------------------------------------------------------------------------- */

static bool add_digest(struct place *place, const struct login_ask *ask, const struct login *login,
                       struct text *value)
{
    struct digest_request request = {.user = login->user,
                                     .password = login->password,
                                     .method = ask->method,
                                     .target = ask->url->target,
                                     .cnonce = span_of(place->cnonce),
                                     .count = ++place->count};

    return authorization_digest(&place->digest, &request, value);
}

void logins_authorize(struct logins *logins, const struct login_ask *ask, struct login_state *state,
                      struct text *value)
{
    struct place *place;
    struct who who;

    state->sent = LOGIN_NONE;
    if (!find_who(logins, ask, &who))
        return;
    place = find_place(find_server(logins, ask->url), ask->url->path);
    if (!place && logins->wait)
        return;
    if (who.bearer.len > 0) {
        authorization_bearer(who.bearer, value);
        state->sent = LOGIN_BEARER;
    } else if (!place || place->scheme != LOGIN_DIGEST) {
        authorization_basic(who.login.user, who.login.password, value);
        state->sent = LOGIN_BASIC;
    } else if (add_digest(place, ask, &who.login, value)) {
        state->sent = LOGIN_DIGEST;
        state->shared = place->count > 1;
    }
}

/* --- what is asked --------------------------------------------------------------------------- */

/* The best of what a server offers. */
struct offer {
    enum login_scheme scheme;
    struct digest_challenge digest; /* LOGIN_DIGEST */
    struct text realm;
};

static void free_offer(struct offer *offer)
{
    digest_challenge_free(&offer->digest);
    text_free(&offer->realm);
}

static void take_digest(struct offer *best, const struct challenge *challenge)
{
    struct digest_challenge digest;

    if (!digest_challenge_read(&digest, challenge)) {
        best->realm.failed = best->realm.failed || digest.realm.failed;
        return;
    }
    if (best->scheme == LOGIN_DIGEST && digest.hash <= best->digest.hash) {
        digest_challenge_free(&digest);
        return;
    }
    digest_challenge_free(&best->digest);
    best->scheme = LOGIN_DIGEST;
    best->digest = digest;
    text_clear(&best->realm);
    text_add(&best->realm, text_span(&digest.realm));
}

static void choose(struct span challenges, bool bearer, struct offer *best)
{
    struct challenge challenge;

    *best = (struct offer){.scheme = LOGIN_NONE};
    while (challenge_next(&challenges, &challenge)) {
        enum login_scheme scheme = LOGIN_NONE;

        if (bearer && span_equal_nocase(challenge.scheme, SPAN("Bearer")))
            scheme = LOGIN_BEARER;
        else if (!bearer && span_equal_nocase(challenge.scheme, SPAN("Basic")))
            scheme = LOGIN_BASIC;
        else if (!bearer)
            take_digest(best, &challenge);
        if (scheme == LOGIN_NONE || best->scheme != LOGIN_NONE)
            continue;
        best->scheme = scheme;
        (void)challenge_parameter(&challenge, SPAN("realm"), &best->realm);
    }
}

/* Whether what would be sent now is worth a try, after what has been sent. */
static bool is_new(const struct offer *offer, const struct login_state *state, uint64_t realm)
{
    if (offer->scheme == LOGIN_NONE || state->answers >= LOGIN_ANSWERS_MAX)
        return false;
    if (state->sent == LOGIN_NONE || offer->scheme != state->sent)
        return state->sent != LOGIN_NONE || state->answers == 0;
    if (offer->scheme != LOGIN_DIGEST)
        return false;
    /* A nonce that was remembered may be gone without the server saying so. */
    return offer->digest.stale || state->answers == 0 || realm != state->realm;
}

/* False: out of memory. */
static bool remember(struct logins *logins, const struct login_ask *ask, struct offer *offer,
                     const uint64_t random[2])
{
    struct server *server = want_server(logins, ask->url);
    struct place *place =
        server ? want_place(server, offer->scheme, text_span(&offer->realm)) : NULL;

    if (!place)
        return false;
    widen(&place->directory, ask->url->path);
    digest_challenge_free(&place->digest);
    place->digest = offer->digest;
    offer->digest = (struct digest_challenge){0};
    place->count = 0;
    snprintf(place->cnonce, sizeof(place->cnonce), "%016llx%016llx", (unsigned long long)random[0],
             (unsigned long long)random[1]);
    return true;
}

enum login_answer logins_answer(struct logins *logins, const struct login_ask *ask,
                                struct span challenges, const uint64_t random[2],
                                struct login_state *state)
{
    enum login_answer answer = LOGIN_IN_VAIN;
    struct offer offer;
    struct who who;
    uint64_t realm;
    bool spent;

    if (!find_who(logins, ask, &who))
        return LOGIN_IN_VAIN;
    choose(challenges, who.bearer.len > 0, &offer);
    /* Where a nonce is good for a few requests only, others may take each before this one can. One
     * that nobody has used before is refused to a few at most, so this has an end. */
    spent = state->sent == LOGIN_DIGEST && state->shared && offer.digest.stale;
    realm = span_hash(text_span(&offer.realm), logins->seed);
    if (offer.realm.failed)
        answer = LOGIN_NO_MEMORY;
    else if (is_new(&offer, state, realm))
        answer = remember(logins, ask, &offer, random) ? LOGIN_ANSWERED : LOGIN_NO_MEMORY;
    free_offer(&offer);
    if (answer != LOGIN_ANSWERED)
        return answer;
    if (!spent)
        state->answers++;
    state->realm = realm;
    return LOGIN_ANSWERED;
}

/* --- begin and end --------------------------------------------------------------------------- */

struct logins *logins_create(struct netrc *netrc, bool wait, uint64_t seed)
{
    struct logins *logins = alloc_zeroed(sizeof(*logins));

    if (!logins) {
        netrc_destroy(netrc);
        return NULL;
    }
    logins->netrc = netrc;
    logins->wait = wait;
    logins->seed = seed;
    map_init(&logins->servers, seed);
    list_init(&logins->ages);
    return logins;
}

void logins_destroy(struct logins *logins)
{
    if (!logins)
        return;
    while (list_is_linked(&logins->ages))
        remove_server(logins, LIST_ITEM(logins->ages.next, struct server, age));
    map_free(&logins->servers);
    netrc_destroy(logins->netrc);
    free(logins);
}
