/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One TLS session over memory. wolfSSL does the handshake and whatever we send: it asks the receive
 * callback for ciphertext, which comes out of the lent input, and hands its own to the send
 * callback, which appends it to the output.
 *
 * Once the handshake is over, the input goes to a record_reader, and wolfSSL's receive callback
 * gets only what is no application data, as records that the reader has sealed for it. So nothing
 * that was not the peer's reaches wolfSSL any more, and application data is decrypted once, from
 * the input to the caller's buffer.
 *
 *                 tls_handshake                  close_notify
 *  HANDSHAKING ------------------> OPEN --------------------------> PEER_CLOSED
 *       |                           |                                    |
 *       +---------------------------+------------------------------------+--> BROKEN
 *
 * Invariants: OPEN is reached only with `verified`, with a session resumed whose ticket came from a
 * peer that was, or with a trust that looks at nothing; whatever fails on the way there, or never
 * happens, refuses the peer. Input that is left when the session
 * ends is forgotten. BROKEN: `failure` says why, as often as it is asked.
 *
 * Where an OCSP response is required, the input is held back until the server's first flight is
 * whole: TLS 1.2 has the response in a message behind the chain, and wolfSSL can check it only as
 * long as it knows the authorities in between, which it forgets after each step.
 */
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "tls/flight.h"
#include "tls/internal.h"
#include "tls/pins.h"
#include "tls/record.h"

enum { TRAFFIC_SECRET_BYTES_MAX = RECORD_TLS12_SECRET_BYTES };

enum session_state {
    SESSION_HANDSHAKING, /* verified: may already be set */
    SESSION_OPEN,        /* the peer is who it should be */
    SESSION_PEER_CLOSED, /* nothing comes any more, but we may still write */
    SESSION_BROKEN
};

struct tls_session {
    WOLFSSL *ssl;
    struct tls_trust *trust;
    enum session_state state;
    bool verified;                /* the verify callback has seen the leaf, and nothing is wrong */
    bool refused;                 /* the verify callback has set failure */
    struct haul_error failure;    /* SESSION_BROKEN */
    struct span input;            /* lent */
    struct record_reader *reader; /* SESSION_OPEN and later; else NULL */
    struct span sealed;           /* with a reader: what wolfSSL receives */
    uint8_t traffic_secret[TRAFFIC_SECRET_BYTES_MAX]; /* SESSION_HANDSHAKING: for the reader */
    size_t traffic_secret_len;
    uint8_t heard[TLS_HELLO_BEGIN_BYTES]; /* what the peer began with */
    size_t heard_len;
    struct text output;
    size_t output_taken; /* of its bytes */
    struct tls_peer peer;
    uint16_t port;
    bool holds_back;       /* certificate_status: held grows by all input */
    struct flight flight;  /* while it does */
    struct text held;      /* once it does no more, input may lie here */
    bool ticket_offered;   /* and none of it is left with the trust */
    int64_t now_s;         /* when it was created, by the calendar */
    int64_t tickets_end_s; /* what the peer gives may be used before */
};

/* ---- what wolfSSL calls ---- */

int tls_session_receive(WOLFSSL *ssl, char *data, int len, void *user)
{
    struct tls_session *session = user;
    struct span *input = session->reader ? &session->sealed : &session->input;
    struct span taken = span_sub(*input, 0, (size_t)len);

    (void)ssl;
    if (taken.len == 0)
        return WOLFSSL_CBIO_ERR_WANT_READ;
    for (size_t i = 0; i < taken.len && session->heard_len < TLS_HELLO_BEGIN_BYTES; i++)
        session->heard[session->heard_len++] = (uint8_t)taken.data[i];
    memcpy(data, taken.data, taken.len);
    *input = span_sub(*input, taken.len, input->len);
    return (int)taken.len;
}

int tls_session_send(WOLFSSL *ssl, char *data, int len, void *user)
{
    struct tls_session *session = user;

    (void)ssl;
    text_add(&session->output, span_make(data, (size_t)len));
    return session->output.failed ? WOLFSSL_CBIO_ERR_GENERAL : len;
}

int tls_session_secret(WOLFSSL *ssl, int id, const unsigned char *secret, int len, void *user)
{
    struct tls_session *session = user;

    (void)ssl;
    if (id != SERVER_TRAFFIC_SECRET)
        return 0;
    CHECK(len > 0 && len <= TRAFFIC_SECRET_BYTES_MAX);
    memcpy(session->traffic_secret, secret, (size_t)len);
    session->traffic_secret_len = (size_t)len;
    return 0;
}

int tls_session_tls12_secret(WOLFSSL *ssl, void *secret, int len, void *user)
{
    struct tls_session *session = user;
    uint8_t *to = session->traffic_secret;

    CHECK(len == 48);
    memcpy(to, secret, 48);
    if (wolfSSL_get_server_random(ssl, to + 48, 32) != 32 ||
        wolfSSL_get_client_random(ssl, to + 80, 32) != 32)
        return -1;
    session->traffic_secret_len = RECORD_TLS12_SECRET_BYTES;
    return 0;
}

/* Whoever resumes a session is not asked for a chain: so it ends with the first of its parts. */
static void limit_tickets(struct tls_session *session, const struct span *chain, size_t count)
{
    session->tickets_end_s = session->now_s + TICKET_AGE_MAX_S;
    for (size_t i = 0; i < count; i++) {
        struct certificate certificate;
        int64_t ends_s = 0;

        if (certificate_parse(&certificate, chain[i]))
            ends_s = certificate_ends_s(&certificate);
        if (ends_s < session->tickets_end_s)
            session->tickets_end_s = ends_s;
    }
}

/* The last word, on a chain that wolfSSL found good. */
static bool is_peer(struct tls_session *session, const struct certificate *certificate,
                    const WOLFSSL_X509_STORE_CTX *store, struct text *text)
{
    struct span chain[TLS_CHAIN_MAX];
    size_t total = store->certs ? (size_t)store->totalCerts : 0;
    size_t count = 0;

    if (!certificate_is_for(certificate, &session->peer)) {
        trouble_add_wrong_host(text, certificate, &session->peer);
        return false;
    }
    for (; count < TLS_CHAIN_MAX && count < total; count++)
        chain[count] =
            span_make((const char *)store->certs[count].buffer, store->certs[count].length);
    if (count < total) {
        text_printf(text, "%s sends too many certificates", session->peer.host);
        return false;
    }
    if (!tls_trust_takes(session->trust, chain, count, &session->peer, text))
        return false;
    limit_tickets(session, chain, count);
    return true;
}

static bool has_pinned_key(const struct tls_session *session, const struct certificate *certificate,
                           struct text *text)
{
    const struct tls_pins *pins = session->trust->pins;

    if (!pins || tls_pins_hold(pins, certificate->key))
        return true;
    text_printf(text, "the public key of %s is not one of those pinned: it is ",
                session->peer.host);
    tls_pins_add_key(text, certificate->key);
    return false;
}

/* All that is to be known about the peer's own certificate. */
static bool is_acceptable(struct tls_session *session, const struct certificate *certificate,
                          const WOLFSSL_X509_STORE_CTX *store, struct text *text)
{
    if (session->trust->check && !is_peer(session, certificate, store, text))
        return false;
    return has_pinned_key(session, certificate, text);
}

/*
 * Called for the peer's own certificate always, and for those above it when they are bad. What
 * wolfSSL found bad is never overruled, unless nothing is checked but the key.
 */
int tls_session_verify(int good, WOLFSSL_X509_STORE_CTX *store)
{
    struct tls_session *session = store->userCtx;
    int depth = store->error_depth;
    struct certificate certificate;
    struct text text = {0};
    struct span der = span_make("", 0);

    session->verified = false;
    good = good || !session->trust->check;
    if (store->certs && depth >= 0 && depth < store->totalCerts)
        der = span_make((const char *)store->certs[depth].buffer, store->certs[depth].length);
    if (!certificate_parse(&certificate, der)) {
        text_printf(&text, "the certificate of %s is malformed", session->peer.host);
    } else if (!good && store->error != DOMAIN_NAME_MISMATCH) {
        trouble_add_refusal(&text, &certificate, depth, store->error, session->peer.host);
    } else if (!good) {
        trouble_add_wrong_host(&text, &certificate, &session->peer);
    } else if (depth == 0) {
        session->verified = is_acceptable(session, &certificate, store, &text);
    } else {
        return 1; /* those above are looked at together with the peer's own */
    }
    if (!session->verified) {
        session->refused = true;
        error_set(&session->failure, HAUL_CERTIFICATE, 0, "%s",
                  text.failed || text.len == 0 ? "the certificate is not acceptable" : text.data);
    }
    text_free(&text);
    return session->verified;
}

/* ---- errors ---- */

static void say_alert(struct tls_session *session, enum haul_status status)
{
    WOLFSSL_ALERT_HISTORY history = {0};

    wolfSSL_get_alert_history(session->ssl, &history);
    trouble_set_alert(&session->failure, status, session->peer.host, session->trust,
                      history.last_rx.code);
}

static bool say_bad_peer(struct tls_session *session, int reason)
{
    return trouble_set_peer(&session->failure, reason, session->peer.host, session->trust,
                            span_make((const char *)session->heard, session->heard_len));
}

/* reason: wolfSSL's. The certificate's own troubles were said by the verify callback. */
static enum tls_progress fail(struct tls_session *session, int reason)
{
    bool shaking = session->state == SESSION_HANDSHAKING;
    enum haul_status status = shaking ? HAUL_TLS : HAUL_NETWORK;
    const char *host = session->peer.host;

    session->state = SESSION_BROKEN;
    session->input = span_make("", 0);
    if (session->refused) /* said already */
        ;
    else if (session->output.failed || session->held.failed || reason == MEMORY_E ||
             reason == MEMORY_ERROR)
        error_set(&session->failure, HAUL_OUT_OF_MEMORY, 0, "out of memory for the TLS session");
    else if (reason == FATAL_ERROR)
        say_alert(session, status);
    else if (reason == WOLFSSL_ERROR_ZERO_RETURN || reason == SOCKET_PEER_CLOSED_E)
        error_set(&session->failure, status, 0, "%s ended the TLS session during the handshake",
                  host);
    else if (shaking && session->heard_len > 0 && session->heard[0] != RECORD_ALERT &&
             session->heard[0] != RECORD_HANDSHAKE)
        error_set(&session->failure, status, 0, "%s does not speak TLS on this port", host);
    else if (reason == DECRYPT_ERROR || reason == VERIFY_MAC_ERROR)
        error_set(&session->failure, status, 0, "a TLS record from %s was damaged on its way",
                  host);
    else if (!shaking || !say_bad_peer(session, reason))
        error_set(&session->failure, status, 0, "%s with %s failed: %s",
                  shaking ? "the TLS handshake" : "the TLS session", host,
                  wolfSSL_ERR_reason_error_string((unsigned long)reason));
    return TLS_BAD;
}

static enum tls_progress say_failure(const struct tls_session *session, struct haul_error *error)
{
    *error = session->failure;
    return TLS_BAD;
}

/* ---- the session ---- */

static bool set_up_session(struct tls_session *session)
{
    char alpn[] = "http/1.1";
    WOLFSSL *ssl = session->ssl;
    const struct tls_peer *peer = &session->peer;

    wolfSSL_SetIOReadCtx(ssl, session);
    wolfSSL_SetIOWriteCtx(ssl, session);
    wolfSSL_SetCertCbCtx(ssl, session);
    wolfSSL_set_tls13_secret_cb(ssl, tls_session_secret, session);
    wolfSSL_set_secret_cb(ssl, tls_session_tls12_secret, session);
    /* As curl has it: who selects nothing, speaks HTTP/1.1. */
    if (wolfSSL_UseALPN(ssl, alpn, sizeof(alpn) - 1, WOLFSSL_ALPN_CONTINUE_ON_MISMATCH) !=
        WOLFSSL_SUCCESS)
        return false;
    if (session->trust->certificate_status &&
        wolfSSL_UseOCSPStapling(ssl, WOLFSSL_CSR_OCSP, 0) != WOLFSSL_SUCCESS)
        return false;
    if (peer->ip_bytes > 0) /* RFC 6066 3: no addresses in SNI */
        return true;
    if (wolfSSL_UseSNI(ssl, WOLFSSL_SNI_HOST_NAME, peer->host,
                       (unsigned short)strlen(peer->host)) != WOLFSSL_SUCCESS)
        return false;
    /* A second look besides certificate_is_for(), which is the stricter one. */
    return !session->trust->check || wolfSSL_check_domain_name(ssl, peer->host) == WOLFSSL_SUCCESS;
}

struct tls_session *tls_session_create(struct tls_trust *trust, struct span host, uint16_t port,
                                       int64_t now_s, struct haul_error *error)
{
    struct tls_session *session = alloc_zeroed(sizeof(*session));

    if (!session)
        goto no_memory;
    session->trust = trust;
    session->port = port;
    session->now_s = now_s;
    session->holds_back = trust->certificate_status;
    if (!tls_peer_init(&session->peer, host)) {
        error_set(error, HAUL_TLS, 0, "TLS can't be spoken to a host of the name %.*s",
                  SPAN_ARG(host));
        goto no_peer;
    }
    session->ssl = wolfSSL_new(trust->context);
    if (!session->ssl || !set_up_session(session))
        goto no_session;
    return session;

no_session:
    wolfSSL_free(session->ssl);
    error_set(error, HAUL_OUT_OF_MEMORY, 0, "can't set up a TLS session");
no_peer:
    free(session);
    return NULL;
no_memory:
    error_set(error, HAUL_OUT_OF_MEMORY, 0, "can't set up a TLS session");
    return NULL;
}

void tls_session_destroy(struct tls_session *session)
{
    if (!session)
        return;
    wolfSSL_free(session->ssl);
    record_reader_destroy(session->reader);
    text_free(&session->output);
    text_free(&session->held);
    flight_free(&session->flight);
    explicit_bzero(session->traffic_secret, sizeof(session->traffic_secret));
    free(session);
}

bool tls_resume(struct tls_session *session)
{
    struct ticket ticket = tickets_take(&session->trust->tickets, span_of(session->peer.host),
                                        session->port, session->now_s);

    CHECK(session->state == SESSION_HANDSHAKING && !session->ticket_offered);
    if (!ticket.session)
        return false;
    session->ticket_offered = wolfSSL_set_session(session->ssl, ticket.session) == WOLFSSL_SUCCESS;
    session->tickets_end_s = ticket.chain_ends_s;
    ticket_drop(&ticket);
    return session->ticket_offered;
}

static bool is_tls13(const struct tls_session *session)
{
    return wolfSSL_version(session->ssl) == TLS1_3_VERSION;
}

static bool is_resumed(const struct tls_session *session)
{
    return session->ticket_offered && wolfSSL_session_reused(session->ssl);
}

/* wolfSSL has taken in what the peer sent: a NewSessionTicket (RFC 8446 4.6.1). */
static void keep_ticket(struct tls_session *session, struct span message)
{
    const uint8_t *lifetime = (const uint8_t *)message.data + 4;
    WOLFSSL_SESSION *own = wolfSSL_get1_session(session->ssl);
    struct ticket ticket = {
        .session = wolfSSL_SESSION_dup(own), /* the next ticket is written into the same one */
        .ends_s = session->now_s +
                  ((int64_t)lifetime[0] << 24 | lifetime[1] << 16 | lifetime[2] << 8 | lifetime[3]),
        .chain_ends_s = session->tickets_end_s};

    wolfSSL_SESSION_free(own);
    if (ticket.ends_s > ticket.chain_ends_s)
        ticket.ends_s = ticket.chain_ends_s;
    if (ticket.session)
        tickets_put(&session->trust->tickets, span_of(session->peer.host), session->port, ticket,
                    session->now_s);
}

/*
 * wolfSSL adds the authorities that a peer sent to those that we trust. They were checked, but
 * what one server sends should not decide whether another one is accepted, nor should they pile
 * up. Handshakes run side by side, so they are forgotten after each step: wolfSSL reads a whole
 * Certificate message in one, and tls_trust_takes() counts on it that nobody else is there.
 */
static void forget_intermediates(struct tls_session *session)
{
    wolfSSL_CertManagerUnloadIntermediateCerts(wolfSSL_CTX_GetCertManager(session->trust->context));
}

/*
 * wolfSSL reads records one by one, and the one with the server's Finished was the last: the input
 * goes on with the first under the new keys.
 */
static bool take_over(struct tls_session *session)
{
    session->reader = record_reader_create((uint16_t)wolfSSL_get_current_cipher_suite(session->ssl),
                                           session->traffic_secret, session->traffic_secret_len);
    explicit_bzero(session->traffic_secret, sizeof(session->traffic_secret));
    return session->reader != NULL;
}

/* Takes the input for later. True: later is now. */
static bool held_enough(struct tls_session *session)
{
    if (!session->holds_back)
        return true;
    text_add(&session->held, session->input);
    session->holds_back =
        !flight_is_over(&session->flight, session->input) && !session->held.failed;
    session->input = session->holds_back ? span_make("", 0) : text_span(&session->held);
    return !session->holds_back;
}

/* Whether all was looked at that should have been; wolfSSL is not asked to remember it. */
static bool looked_at_peer(struct tls_session *session)
{
    const struct tls_trust *trust = session->trust;
    unsigned char date[32];
    int format;

    if (trust->min_version == TLS_VERSION_1_3 && !is_tls13(session))
        (void)say_bad_peer(session, VERSION_ERROR);
    /* What wolfSSL checks of TLS 1.2 depends on whether it thinks that a session is resumed. */
    else if (session->ticket_offered && !is_tls13(session))
        error_set(&session->failure, HAUL_TLS, 0, "%s speaks TLS 1.3 no more", session->peer.host);
    else if (!is_resumed(session) && (trust->check || trust->pins) && !session->verified)
        error_set(&session->failure, HAUL_CERTIFICATE, 0, "the certificate of %s was not checked",
                  session->peer.host);
    else if (!is_resumed(session) && trust->certificate_status &&
             wolfSSL_get_ocsp_producedDate(session->ssl, date, sizeof(date), &format) != 0)
        (void)say_bad_peer(session, OCSP_LOOKUP_FAIL);
    else
        return true;
    return false;
}

enum tls_progress tls_handshake(struct tls_session *session, struct haul_error *error)
{
    int result;

    if (session->state == SESSION_OPEN || session->state == SESSION_PEER_CLOSED)
        return TLS_OK;
    if (session->state == SESSION_BROKEN)
        return say_failure(session, error);
    if (session->input.len > 0 && !held_enough(session))
        return TLS_WANT_INPUT;
    result = wolfSSL_connect(session->ssl);
    forget_intermediates(session);
    if (result != WOLFSSL_SUCCESS) {
        int reason = wolfSSL_get_error(session->ssl, result);

        if (reason == WOLFSSL_ERROR_WANT_READ && !session->output.failed && !session->held.failed)
            return TLS_WANT_INPUT;
        (void)fail(session, reason);
        return say_failure(session, error);
    }
    session->refused = false;
    if (!looked_at_peer(session)) {
        session->state = SESSION_BROKEN;
        return say_failure(session, error);
    }
    if (!session->trust->check && !is_resumed(session))
        session->tickets_end_s = session->now_s + TICKET_AGE_MAX_S;
    if (!take_over(session)) {
        (void)fail(session, MEMORY_E);
        return say_failure(session, error);
    }
    session->state = SESSION_OPEN;
    return TLS_OK;
}

/* ---- reading ---- */

void tls_input(struct tls_session *session, const char *data, size_t len)
{
    CHECK(session->input.len == 0);
    session->input = span_make(data, len);
}

size_t tls_input_left(const struct tls_session *session)
{
    return session->input.len;
}

bool tls_readable(const struct tls_session *session)
{
    return session->input.len > 0 || session->state != SESSION_OPEN ||
           record_pending(session->reader);
}

/* The peer will say no more. */
static enum tls_progress peer_closed(struct tls_session *session)
{
    session->state = SESSION_PEER_CLOSED;
    session->input = span_make("", 0);
    return TLS_CLOSED;
}

/* Lets wolfSSL receive this record. Returns what it says then; WANT_READ: all is well. */
static int hand_over(struct tls_session *session, struct span record)
{
    int reason;
    char byte;

    session->sealed = record;
    do { /* it comes back after each message that is no plaintext */
        int result = wolfSSL_peek(session->ssl, &byte, 1);

        if (result > 0)
            return APP_DATA_READY; /* never: what is sealed here holds none */
        reason = wolfSSL_get_error(session->ssl, result);
    } while (reason == WOLFSSL_ERROR_WANT_READ && session->sealed.len > 0);
    session->sealed = span_make("", 0);
    return session->output.failed ? MEMORY_E : reason;
}

/* What the reader has found is wolfSSL's. */
static enum tls_progress pass_message(struct tls_session *session)
{
    struct span message;
    enum record_type type = record_message(session->reader, &message);
    struct span record = record_seal(session->reader, type, message);
    int reason = record.len > 0 ? hand_over(session, record) : MEMORY_E;

    if (type == RECORD_ALERT && reason == WOLFSSL_ERROR_WANT_READ && is_tls13(session) &&
        message.data[1] != RECORD_USER_CANCELED)
        reason = FATAL_ERROR; /* RFC 8446 6: whatever level it claims to be of */
    if (reason == WOLFSSL_ERROR_ZERO_RETURN)
        return peer_closed(session);
    if (reason != WOLFSSL_ERROR_WANT_READ)
        return fail(session, reason);
    if (type == RECORD_HANDSHAKE && is_tls13(session) &&
        message.data[0] == RECORD_NEW_SESSION_TICKET)
        keep_ticket(session, message);
    return TLS_OK;
}

/*
 * wolfSSL has not seen what is wrong with a record, but it is who sends alerts: it gets another one
 * with the same fault.
 */
static void raise_alert(struct tls_session *session, enum record_step step)
{
    static const char damaged[] = {RECORD_APPLICATION_DATA, 3, 3, 0, 32, [36] = 0};
    struct text record = {0};

    if (step == RECORD_DAMAGED) {
        (void)hand_over(session, span_make(damaged, sizeof(damaged)));
    } else if (step == RECORD_UNEXPECTED) {
        (void)hand_over(session,
                        record_seal(session->reader, RECORD_CHANGE_CIPHER_SPEC, SPAN("\1")));
    } else if (step == RECORD_TOO_LONG) {
        size_t len = RECORD_BYTES_MAX - RECORD_HEADER_BYTES + 1;
        const char header[] = {RECORD_APPLICATION_DATA, 3, 3, (char)(len >> 8), (char)len};

        text_add(&record, span_make(header, sizeof(header)));
        for (size_t i = 0; i < len; i++)
            text_add_char(&record, 0);
        (void)hand_over(session, text_span(&record));
        text_free(&record);
    }
}

/* The reader has come upon trouble. */
static enum tls_progress fail_step(struct tls_session *session, enum record_step step)
{
    enum tls_progress progress;

    raise_alert(session, step);
    progress = fail(session, step == RECORD_NO_MEMORY ? MEMORY_E : DECRYPT_ERROR);
    if (step == RECORD_TOO_LONG)
        error_set(&session->failure, HAUL_NETWORK, 0,
                  "%s sends a record or message that is longer than TLS allows",
                  session->peer.host);
    else if (step == RECORD_UNEXPECTED)
        error_set(&session->failure, HAUL_NETWORK, 0,
                  "%s, or somebody on the way, sends what TLS does not allow there",
                  session->peer.host);
    return progress;
}

/* len 0: up to the next plaintext. */
static enum tls_progress read_records(struct tls_session *session, char *data, size_t len,
                                      size_t *got)
{
    for (;;) {
        enum tls_progress progress = TLS_OK;
        size_t now;
        enum record_step step =
            record_read(session->reader, &session->input, data, len - *got, &now);

        switch (step) {
        case RECORD_WANTS_INPUT:
            return TLS_WANT_INPUT;
        case RECORD_DATA:
            *got += now;
            data += now;
            if (*got == len)
                return TLS_OK;
            break;
        case RECORD_MESSAGE:
            progress = pass_message(session);
            break;
        case RECORD_DAMAGED:
        case RECORD_TOO_LONG:
        case RECORD_UNEXPECTED:
        case RECORD_NO_MEMORY:
            progress = fail_step(session, step);
            break;
        }
        if (progress != TLS_OK)
            return progress;
    }
}

enum tls_progress tls_read(struct tls_session *session, char *data, size_t len, size_t *got,
                           struct haul_error *error)
{
    enum tls_progress progress;

    *got = 0;
    CHECK(session->state != SESSION_HANDSHAKING && len > 0);
    if (session->state == SESSION_BROKEN)
        return say_failure(session, error);
    if (session->state == SESSION_PEER_CLOSED)
        return TLS_CLOSED;
    progress = read_records(session, data, len, got);
    /* What came before an end is handed out first; the state tells the end the next time. */
    if (*got > 0)
        return TLS_OK;
    return progress == TLS_BAD ? say_failure(session, error) : progress;
}

enum tls_progress tls_peek(struct tls_session *session)
{
    size_t got = 0;

    CHECK(session->state != SESSION_HANDSHAKING);
    if (session->state == SESSION_BROKEN)
        return TLS_BAD;
    if (session->state == SESSION_PEER_CLOSED)
        return TLS_CLOSED;
    return read_records(session, NULL, 0, &got);
}

enum tls_progress tls_write(struct tls_session *session, struct span data, struct haul_error *error)
{
    CHECK(session->state != SESSION_HANDSHAKING);
    if (session->state == SESSION_BROKEN)
        return say_failure(session, error);
    while (data.len > 0) {
        int result =
            wolfSSL_write(session->ssl, data.data, (int)(data.len < INT_MAX ? data.len : INT_MAX));

        if (result <= 0) {
            (void)fail(session, wolfSSL_get_error(session->ssl, result));
            return say_failure(session, error);
        }
        data = span_sub(data, (size_t)result, data.len);
    }
    return TLS_OK;
}

void tls_close(struct tls_session *session)
{
    if (session->state == SESSION_OPEN || session->state == SESSION_PEER_CLOSED)
        wolfSSL_shutdown(session->ssl);
}

struct span tls_output(const struct tls_session *session)
{
    return span_sub(text_span(&session->output), session->output_taken, SIZE_MAX);
}

void tls_output_taken(struct tls_session *session, size_t len)
{
    CHECK(len <= session->output.len - session->output_taken);
    session->output_taken += len;
    if (session->output_taken == session->output.len) {
        text_clear(&session->output); /* keeps its memory for the next request */
        session->output_taken = 0;
    }
}

void tls_describe(const struct tls_session *session, char *text, size_t len)
{
    snprintf(text, len, "%s %s%s", wolfSSL_get_version(session->ssl),
             wolfSSL_CIPHER_get_name(wolfSSL_get_current_cipher(session->ssl)),
             is_resumed(session) ? ", resumed" : "");
}
