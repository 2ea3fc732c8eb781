/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What wolfSSL and alerts say in numbers, in words. */
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include "base/check.h"
#include "tls/internal.h"
#include "tls/record.h"

/* ---- certificates ---- */

void trouble_add_refusal(struct text *text, const struct certificate *certificate, int depth,
                         int reason, const char *host)
{
    if (depth > 0) {
        text_printf(text, "an authority behind the certificate of %s, ", host);
        certificate_add_name(text, certificate->subject);
        text_add(text, SPAN(", "));
    } else {
        text_printf(text, "the certificate of %s ", host);
    }
    if (reason == ASN_AFTER_DATE_E) {
        text_add(text, SPAN("expired on "));
        certificate_add_date(text, certificate->not_after);
    } else if (reason == ASN_BEFORE_DATE_E) {
        text_add(text, SPAN("is not valid before "));
        certificate_add_date(text, certificate->not_before);
        text_add(text, SPAN(" (is this computer's clock right?)"));
    } else if (reason == ASN_SELF_SIGNED_E ||
               (reason == ASN_NO_SIGNER_E && certificate_is_self_issued(certificate))) {
        text_add(text, SPAN("is self-signed and not trusted; to trust it, save it to a file and "
                            "pass that with --ca-certificate"));
    } else if (reason == ASN_NO_SIGNER_E) {
        text_add(text, SPAN("was issued by "));
        certificate_add_name(text, certificate->issuer);
        text_add(text, SPAN(", which is not trusted here (or the server leaves out a certificate "
                            "in between); --ca-certificate names a file of authorities to trust"));
    } else if (reason == ASN_SIG_CONFIRM_E) {
        text_add(text, SPAN("is not signed by whom it says it is"));
    } else {
        text_printf(text, "is not acceptable: %s",
                    wolfSSL_ERR_reason_error_string((unsigned long)reason));
    }
}

void trouble_add_wrong_host(struct text *text, const struct certificate *certificate,
                            const struct tls_peer *peer)
{
    text_add(text, SPAN("the certificate is for "));
    certificate_add_names(text, certificate);
    text_printf(text, ", not for %s%s", peer->ip_bytes > 0 ? "IP address " : "", peer->host);
}

/* ---- alerts ---- */

/* RFC 8446 6.2 */
enum {
    ALERT_BAD_CERTIFICATE = 42,
    ALERT_UNKNOWN_CA = 48,
    ALERT_ACCESS_DENIED = 49,
    ALERT_PROTOCOL_VERSION = 70,
    ALERT_CERTIFICATE_REQUIRED = 116
};

/* The peer's reason; NULL: none that we know. */
static const char *alert_name(int code)
{
    static const struct {
        int code;
        const char *name;
    } alerts[] = {
        {10, "unexpected_message"},
        {20, "bad_record_mac"},
        {22, "record_overflow"},
        {40, "handshake_failure: it has no cipher in common with haul, or asks for "
             "a client certificate (--certificate)"},
        {42, "bad_certificate"},
        {43, "unsupported_certificate"},
        {44, "certificate_revoked"},
        {45, "certificate_expired"},
        {46, "certificate_unknown"},
        {47, "illegal_parameter"},
        {48, "unknown_ca"},
        {49, "access_denied"},
        {50, "decode_error"},
        {51, "decrypt_error"},
        {ALERT_PROTOCOL_VERSION, "protocol_version: it takes neither TLS 1.2 nor 1.3"},
        {71, "insufficient_security"},
        {80, "internal_error"},
        {86, "inappropriate_fallback"},
        {90, "user_canceled"},
        {100, "no_renegotiation"},
        {109, "missing_extension"},
        {110, "unsupported_extension"},
        {112, "unrecognized_name: it does not know the host"},
        {113, "bad_certificate_status_response"},
        {115, "unknown_psk_identity"},
        {ALERT_CERTIFICATE_REQUIRED,
         "certificate_required: it asks for a client certificate (--certificate)"},
        {120, "no_application_protocol"},
    };

    for (size_t i = 0; i < COUNT_OF(alerts); i++)
        if (alerts[i].code == code)
            return alerts[i].name;
    return NULL;
}

/* Whether it is about our certificate: of the peer's own nobody but us has an opinion. */
static bool is_about_client(int alert)
{
    return (alert >= ALERT_BAD_CERTIFICATE && alert <= ALERT_ACCESS_DENIED) ||
           alert == ALERT_CERTIFICATE_REQUIRED;
}

void trouble_set_alert(struct haul_error *error, enum haul_status status, const char *host,
                       const struct tls_trust *trust, int code)
{
    const char *name = alert_name(code);
    const char *hint = "";

    if (is_about_client(code)) { /* TLS 1.3 says so after the handshake */
        status = HAUL_TLS;
        if (trust->has_identity)
            hint = "; does it take the client certificate (--certificate)?";
    }
    if (code == ALERT_PROTOCOL_VERSION && trust->min_version == TLS_VERSION_1_3)
        name = "protocol_version: it does not take TLS 1.3, and nothing less is allowed "
               "(--min-tls-version)";
    if (name)
        error_set(error, status, 0, "%s ended the TLS session with the alert %s%s", host, name,
                  hint);
    else
        error_set(error, status, 0, "%s ended the TLS session with the alert %d", host, code);
}

/* ---- the peer ---- */

/* What the ServerHello says; TLS 1.3 says 1.2 here, and the truth elsewhere. NULL: there is none.
 */
static const char *offered_version(struct span heard)
{
    static const char *const names[] = {"SSL 3.0", "TLS 1.0", "TLS 1.1", "TLS 1.2"};
    const uint8_t *hello = (const uint8_t *)heard.data;

    if (heard.len < TLS_HELLO_BEGIN_BYTES || hello[0] != RECORD_HANDSHAKE || hello[5] != 2 ||
        hello[9] != 3 || hello[10] >= COUNT_OF(names))
        return NULL;
    return names[hello[10]];
}

static void set_version(struct haul_error *error, const char *host, const struct tls_trust *trust,
                        struct span heard)
{
    bool tls13_only = trust->min_version == TLS_VERSION_1_3;
    const char *offered = offered_version(heard);
    const char *least = tls13_only ? "TLS 1.3" : "TLS 1.2";

    if (offered && (tls13_only || heard.data[10] < 3))
        error_set(error, HAUL_TLS, 0, "%s offers %s, and %s is the least that is allowed%s", host,
                  offered, least, tls13_only ? " (--min-tls-version)" : "");
    else
        error_set(error, HAUL_TLS, 0, "%s speaks another version of TLS than %s", host,
                  tls13_only ? "1.3" : "1.2 and 1.3");
}

bool trouble_set_peer(struct haul_error *error, int reason, const char *host,
                      const struct tls_trust *trust, struct span heard)
{
    enum haul_status status = HAUL_CERTIFICATE;

    if (reason == VERSION_ERROR || reason == UNSUPPORTED_PROTO_VERSION)
        set_version(error, host, trust, heard);
    else if (reason == RSA_KEY_SIZE_E || reason == ECC_KEY_SIZE_E)
        error_set(error, status, 0, "the key in the certificate of %s is too small", host);
    else if (reason == MAX_CHAIN_ERROR)
        error_set(error, status, 0, "%s sends more than %d certificates, too many for one chain",
                  host, TLS_SENT_MAX);
    else if (reason == HANDSHAKE_SIZE_ERROR)
        error_set(error, HAUL_TLS, 0,
                  "%s sends a message that is too long for a handshake; too many certificates?",
                  host);
    else if (reason == OCSP_CERT_REVOKED)
        error_set(error, status, 0,
                  "the certificate of %s was revoked by its authority, as the OCSP response says "
                  "that comes with it",
                  host);
    else if (reason == BAD_CERTIFICATE_STATUS_ERROR)
        error_set(error, status, 0,
                  "the OCSP response that %s sends does not vouch for its certificate: that was "
                  "revoked, or the response is too old, of another certificate, or not by its "
                  "authority (--cert-status)",
                  host);
    else if (reason == OCSP_CERT_UNKNOWN || reason == OCSP_LOOKUP_FAIL)
        error_set(error, status, 0,
                  "%s sends no OCSP response with its certificate, and one is required "
                  "(--cert-status)",
                  host);
    else
        return false;
    return true;
}
