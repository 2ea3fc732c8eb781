/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Whose certificate is it? wolfSSL checks the chain, the dates and the signatures; the names are
 * compared here, because wolfSSL holds an iPAddress entry against a DNS name as text (and the
 * other way round), falls back to the common name, and lets a wildcard stand anywhere.
 *
 * Certificate ::= SEQUENCE {
 *     tbsCertificate ::= SEQUENCE {
 *         [0] version, serialNumber, signature, issuer, validity { notBefore, notAfter }, subject,
 *         subjectPublicKeyInfo, [1] issuerUniqueID, [2] subjectUniqueID,
 *         [3] extensions ::= SEQUENCE OF { extnID, critical, extnValue OCTET STRING } },
 *     signatureAlgorithm, signatureValue }                                   (RFC 5280 4.1)
 *
 * The reader is strict: definite, minimal lengths, low tag numbers, nothing behind the end. What
 * it can't read is refused, never skipped.
 */
#include <arpa/inet.h>
#include <string.h>

#include "base/check.h"
#include "tls/internal.h"

enum {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_OID = 0x06,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_VERSION = 0xa0,
    DER_ISSUER_ID = 0x81,
    DER_SUBJECT_ID = 0x82,
    DER_EXTENSIONS = 0xa3,
    NAME_DNS = 0x82, /* GeneralName (RFC 5280 4.2.1.6) */
    NAME_IP = 0x87
};

enum { NAMES_SHOWN_MAX = 3 };

#define OID_SUBJECT_ALT_NAME SPAN("\x55\x1d\x11")
#define OID_COMMON_NAME      SPAN("\x55\x04\x03")
#define OID_ORGANIZATION     SPAN("\x55\x04\x0a")

/* Takes one element off the front of *in. */
static bool der_any(struct span *in, uint8_t *tag, struct span *content)
{
    const uint8_t *p = (const uint8_t *)in->data;
    size_t head = 2;
    size_t len;

    if (in->len < 2 || (p[0] & 0x1f) == 0x1f)
        return false;
    len = p[1];
    if (len >= 0x80) {
        size_t count = len & 0x7f;

        head += count;
        if (count == 0 || count > 4 || in->len < head || p[2] == 0)
            return false;
        len = 0;
        for (size_t i = 2; i < head; i++)
            len = len << 8 | p[i];
        if (len < 0x80)
            return false;
    }
    if (len > in->len - head)
        return false;
    *tag = p[0];
    *content = span_sub(*in, head, len);
    *in = span_sub(*in, head + len, in->len);
    return true;
}

/* The same, for an element that must be there. */
static bool der_take(struct span *in, uint8_t tag, struct span *content)
{
    uint8_t found;

    return der_any(in, &found, content) && found == tag;
}

/* For one that may be left out: true unless it is there and malformed. */
static bool der_optional(struct span *in, uint8_t tag, struct span *content)
{
    *content = span_make("", 0);
    return in->len == 0 || (uint8_t)in->data[0] != tag || der_take(in, tag, content);
}

static bool parse_time(struct span *in, struct span *time)
{
    uint8_t tag;

    if (!der_any(in, &tag, time))
        return false;
    return (tag == DER_UTC_TIME && time->len == 13) ||
           (tag == DER_GENERALIZED_TIME && time->len == 15);
}

/* GeneralNames: not empty, and every element can be read. */
static bool parse_names(struct span value, struct span *names)
{
    struct span rest;
    struct span content;
    uint8_t tag;

    if (!der_take(&value, DER_SEQUENCE, names) || value.len > 0 || names->len == 0)
        return false;
    for (rest = *names; rest.len > 0;)
        if (!der_any(&rest, &tag, &content))
            return false;
    return true;
}

static bool parse_extensions(struct certificate *certificate, struct span extensions)
{
    struct span list;

    if (extensions.len == 0)
        return true;
    if (!der_take(&extensions, DER_SEQUENCE, &list) || extensions.len > 0)
        return false;
    while (list.len > 0) {
        struct span extension;
        struct span id;
        struct span critical;
        struct span value;

        if (!der_take(&list, DER_SEQUENCE, &extension) || !der_take(&extension, DER_OID, &id) ||
            !der_optional(&extension, DER_BOOLEAN, &critical) ||
            !der_take(&extension, DER_OCTET_STRING, &value) || extension.len > 0)
            return false;
        if (!span_equal(id, OID_SUBJECT_ALT_NAME))
            continue;
        if (certificate->names.len > 0 || !parse_names(value, &certificate->names))
            return false;
    }
    return true;
}

bool certificate_parse(struct certificate *certificate, struct span der)
{
    struct span outer;
    struct span tbs;
    struct span validity;
    struct span extensions;
    struct span skipped;

    *certificate = (struct certificate){.names = span_make("", 0)};
    return der_take(&der, DER_SEQUENCE, &outer) && der.len == 0 &&
           der_take(&outer, DER_SEQUENCE, &tbs) && der_take(&outer, DER_SEQUENCE, &skipped) &&
           der_take(&outer, DER_BIT_STRING, &skipped) && outer.len == 0 &&
           der_optional(&tbs, DER_VERSION, &skipped) && der_take(&tbs, DER_INTEGER, &skipped) &&
           der_take(&tbs, DER_SEQUENCE, &skipped) &&
           der_take(&tbs, DER_SEQUENCE, &certificate->issuer) &&
           der_take(&tbs, DER_SEQUENCE, &validity) &&
           parse_time(&validity, &certificate->not_before) &&
           parse_time(&validity, &certificate->not_after) && validity.len == 0 &&
           der_take(&tbs, DER_SEQUENCE, &certificate->subject) &&
           der_take(&tbs, DER_SEQUENCE, &skipped) && der_optional(&tbs, DER_ISSUER_ID, &skipped) &&
           der_optional(&tbs, DER_SUBJECT_ID, &skipped) &&
           der_optional(&tbs, DER_EXTENSIONS, &extensions) && tbs.len == 0 &&
           parse_extensions(certificate, extensions);
}

bool tls_peer_init(struct tls_peer *peer, struct span host)
{
    *peer = (struct tls_peer){0};
    if (host.len > 0 && host.data[host.len - 1] == '.')
        host.len--;
    if (host.len == 0 || host.len > TLS_HOST_BYTES_MAX || host.data[host.len - 1] == '.')
        return false;
    /* A NUL would end the name early for some of those who read it, and not for others. */
    for (size_t i = 0; i < host.len; i++)
        if (host.data[i] <= ' ' || host.data[i] > '~')
            return false;
    memcpy(peer->host, host.data, host.len);
    if (inet_pton(AF_INET, peer->host, peer->ip) == 1)
        peer->ip_bytes = sizeof(struct in_addr);
    else if (inet_pton(AF_INET6, peer->host, peer->ip) == 1)
        peer->ip_bytes = sizeof(struct in6_addr);
    return true;
}

/*
 * A wildcard is a whole first label and stands for exactly one (RFC 9525 6.3); what follows it
 * must have two labels at least, so that nobody holds a certificate for "*.com".
 */
static bool name_matches(struct span pattern, struct span host)
{
    if (pattern.len > 2 && pattern.data[0] == '*' && pattern.data[1] == '.') {
        struct span rest = span_sub(pattern, 2, pattern.len);
        struct span label = span_cut(&host, '.');

        return label.len > 0 && span_find(rest, '.') < rest.len && span_equal_nocase(rest, host);
    }
    return span_equal_nocase(pattern, host);
}

bool certificate_is_for(const struct certificate *certificate, const struct tls_peer *peer)
{
    struct span rest = certificate->names;
    struct span name;
    uint8_t tag;

    while (rest.len > 0) {
        if (!der_any(&rest, &tag, &name))
            return false;
        if (peer->ip_bytes > 0) {
            if (tag == NAME_IP && name.len == peer->ip_bytes &&
                memcmp(name.data, peer->ip, name.len) == 0)
                return true;
        } else if (tag == NAME_DNS && name_matches(name, span_of(peer->host))) {
            return true;
        }
    }
    return false;
}

bool certificate_is_self_issued(const struct certificate *certificate)
{
    return span_equal(certificate->issuer, certificate->subject);
}

void certificate_add_date(struct text *text, struct span time)
{
    struct span year = span_sub(time, 0, time.len - 11); /* MMDDHHMMSSZ follow */
    struct span rest = span_sub(time, year.len, time.len);

    /* RFC 5280 4.1.2.5.1 */
    if (year.len == 2)
        text_add(text, year.data[0] >= '5' ? SPAN("19") : SPAN("20"));
    text_add_escaped(text, year);
    text_add_char(text, '-');
    text_add_escaped(text, span_sub(rest, 0, 2));
    text_add_char(text, '-');
    text_add_escaped(text, span_sub(rest, 2, 2));
}

/* The value of the attribute in a Name, or "". */
static struct span name_attribute(struct span name, struct span id)
{
    struct span value = span_make("", 0);

    while (name.len > 0) {
        struct span set;
        struct span pair;
        struct span type;
        struct span found;
        uint8_t tag;

        if (!der_take(&name, DER_SET, &set))
            break;
        while (set.len > 0) {
            if (!der_take(&set, DER_SEQUENCE, &pair) || !der_take(&pair, DER_OID, &type) ||
                !der_any(&pair, &tag, &found))
                return value;
            if (span_equal(type, id))
                value = found;
        }
    }
    return value;
}

void certificate_add_name(struct text *text, struct span name)
{
    struct span value = name_attribute(name, OID_COMMON_NAME);

    if (value.len == 0)
        value = name_attribute(name, OID_ORGANIZATION);
    text_add_char(text, '"');
    text_add_escaped(text, value);
    text_add_char(text, '"');
}

void certificate_add_names(struct text *text, const struct certificate *certificate)
{
    struct span rest = certificate->names;
    struct span name;
    size_t count = 0;
    uint8_t tag;

    while (rest.len > 0 && der_any(&rest, &tag, &name)) {
        char ip[INET6_ADDRSTRLEN];

        if (tag != NAME_DNS && tag != NAME_IP)
            continue;
        if (++count > NAMES_SHOWN_MAX)
            continue;
        if (count > 1)
            text_add(text, SPAN(", "));
        if (tag == NAME_DNS)
            text_add_escaped(text, name);
        else if ((name.len == 4 || name.len == 16) &&
                 inet_ntop(name.len == 4 ? AF_INET : AF_INET6, name.data, ip, sizeof(ip)))
            text_printf(text, "IP address %s", ip);
        else
            text_add(text, SPAN("something malformed"));
    }
    if (count > NAMES_SHOWN_MAX)
        text_printf(text, " and %zu more", count - NAMES_SHOWN_MAX);
    if (count == 0)
        text_add(text, SPAN("no host at all"));
}
