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
 * What else wolfSSL leaves out is here as well: which signatures still protect, whom a certificate
 * may vouch for (it takes any that is trusted for an authority), and name constraints, of which it
 * knows those of the direct issuer only, and none on addresses. trust.c holds chains against this.
 *
 * The reader is strict: definite, minimal lengths, low tag numbers, nothing behind the end. What
 * it can't read is refused, never skipped.
 */
#include <arpa/inet.h>
#include <string.h>
#include <time.h>

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
    DER_PERMITTED = 0xa0, /* NameConstraints (RFC 5280 4.2.1.10) */
    DER_EXCLUDED = 0xa1,
    DER_MINIMUM = 0x80,
    DER_PSS_HASH = 0xa0, /* RSASSA-PSS-params (RFC 4055 3.1) */
    NAME_DNS = 0x82,     /* GeneralName (RFC 5280 4.2.1.6) */
    NAME_DIRECTORY = 0xa4,
    NAME_IP = 0x87
};

/* The first byte of a KeyUsage (RFC 5280 4.2.1.3). */
enum {
    USAGE_DIGITAL_SIGNATURE = 0x80,
    USAGE_KEY_ENCIPHERMENT = 0x20,
    USAGE_KEY_AGREEMENT = 0x08,
    USAGE_CERTIFICATE_SIGNATURE = 0x04
};

enum { NAMES_SHOWN_MAX = 3 };

#define OID_KEY_USAGE          SPAN("\x55\x1d\x0f")
#define OID_SUBJECT_ALT_NAME   SPAN("\x55\x1d\x11")
#define OID_BASIC_CONSTRAINTS  SPAN("\x55\x1d\x13")
#define OID_NAME_CONSTRAINTS   SPAN("\x55\x1d\x1e")
#define OID_EXTENDED_KEY_USAGE SPAN("\x55\x1d\x25")
#define OID_SERVER_AUTH        SPAN("\x2b\x06\x01\x05\x05\x07\x03\x01")
#define OID_COMMON_NAME        SPAN("\x55\x04\x03")
#define OID_ORGANIZATION       SPAN("\x55\x04\x0a")
#define OID_PKCS1              SPAN("\x2a\x86\x48\x86\xf7\x0d\x01\x01") /* and one byte more */

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

/* For one that may be left out: true unless it is there and malformed. None of those may be empty.
 */
static bool der_optional(struct span *in, uint8_t tag, struct span *content)
{
    *content = span_make("", 0);
    return in->len == 0 || (uint8_t)in->data[0] != tag ||
           (der_take(in, tag, content) && content->len > 0);
}

/* For one that is all there is. */
static bool der_only(struct span in, uint8_t tag, struct span *content)
{
    return der_take(&in, tag, content) && in.len == 0;
}

static bool parse_time(struct span *in, struct span *time)
{
    uint8_t tag;

    if (!der_any(in, &tag, time))
        return false;
    return (tag == DER_UTC_TIME && time->len == 13) ||
           (tag == DER_GENERALIZED_TIME && time->len == 15);
}

/* ---- extensions ---- */

/* GeneralNames, KeyPurposeIds: not empty, and every element can be read. */
static bool parse_list(struct span value, struct span *list)
{
    struct span rest;
    struct span content;
    uint8_t tag;

    if (!der_only(value, DER_SEQUENCE, list) || list->len == 0)
        return false;
    for (rest = *list; rest.len > 0;)
        if (!der_any(&rest, &tag, &content))
            return false;
    return true;
}

static bool parse_key_usage(struct certificate *certificate, struct span value)
{
    struct span bits;

    if (!der_only(value, DER_BIT_STRING, &bits) || bits.len < 1)
        return false;
    certificate->usage_given = true;
    certificate->usage = bits.len > 1 ? (uint8_t)bits.data[1] : 0;
    return true;
}

static bool parse_basic_constraints(struct certificate *certificate, struct span value)
{
    struct span list;
    struct span authority;
    struct span length;

    if (!der_only(value, DER_SEQUENCE, &list) || !der_optional(&list, DER_BOOLEAN, &authority) ||
        !der_optional(&list, DER_INTEGER, &length) || list.len > 0 || authority.len > 1 ||
        (length.len > 0 && (uint8_t)length.data[0] >= 0x80))
        return false;
    certificate->authority_given = true;
    certificate->authority = authority.len == 1 && authority.data[0] != 0;
    /* More than a byte holds is more than any chain has. */
    if (length.len == 1)
        certificate->path_length = (uint8_t)length.data[0];
    return true;
}

/* Takes one GeneralSubtree off the list. RFC 5280 has no minimum but 0, and no maximum. */
static bool take_subtree(struct span *list, uint8_t *tag, struct span *base)
{
    struct span subtree;
    struct span minimum;

    return der_take(list, DER_SEQUENCE, &subtree) && der_any(&subtree, tag, base) &&
           der_optional(&subtree, DER_MINIMUM, &minimum) && subtree.len == 0 &&
           (minimum.len == 0 || (minimum.len == 1 && minimum.data[0] == 0)) &&
           (*tag != NAME_IP || base->len == 8 || base->len == 32);
}

static bool parse_name_constraints(struct certificate *certificate, struct span value)
{
    struct span lists;
    struct span rest;
    struct span base;
    uint8_t tag;

    if (!der_only(value, DER_SEQUENCE, &lists) ||
        !der_optional(&lists, DER_PERMITTED, &certificate->permitted) ||
        !der_optional(&lists, DER_EXCLUDED, &certificate->excluded) || lists.len > 0)
        return false;
    for (rest = certificate->permitted; rest.len > 0;)
        if (!take_subtree(&rest, &tag, &base))
            return false;
    for (rest = certificate->excluded; rest.len > 0;)
        if (!take_subtree(&rest, &tag, &base))
            return false;
    return true;
}

/* Those that we don't know are left to wolfSSL, which refuses them when they are critical. */
static bool parse_extension(struct certificate *certificate, struct span id, struct span value)
{
    if (span_equal(id, OID_SUBJECT_ALT_NAME))
        return certificate->names.len == 0 && parse_list(value, &certificate->names);
    if (span_equal(id, OID_EXTENDED_KEY_USAGE))
        return certificate->purposes.len == 0 && parse_list(value, &certificate->purposes);
    if (span_equal(id, OID_KEY_USAGE))
        return !certificate->usage_given && parse_key_usage(certificate, value);
    if (span_equal(id, OID_BASIC_CONSTRAINTS))
        return !certificate->authority_given && parse_basic_constraints(certificate, value);
    if (span_equal(id, OID_NAME_CONSTRAINTS))
        return certificate->permitted.len == 0 && certificate->excluded.len == 0 &&
               parse_name_constraints(certificate, value);
    return true;
}

static bool parse_extensions(struct certificate *certificate, struct span extensions)
{
    struct span list;

    if (extensions.len == 0)
        return true;
    if (!der_only(extensions, DER_SEQUENCE, &list))
        return false;
    while (list.len > 0) {
        struct span extension;
        struct span id;
        struct span critical;
        struct span value;

        if (!der_take(&list, DER_SEQUENCE, &extension) || !der_take(&extension, DER_OID, &id) ||
            !der_optional(&extension, DER_BOOLEAN, &critical) ||
            !der_only(extension, DER_OCTET_STRING, &value) ||
            !parse_extension(certificate, id, value))
            return false;
    }
    return true;
}

static bool take_subject(struct span *tbs, struct certificate *certificate)
{
    struct span before = *tbs;

    if (!der_take(tbs, DER_SEQUENCE, &certificate->subject))
        return false;
    certificate->subject_name = span_sub(before, 0, before.len - tbs->len);
    return true;
}

static bool take_key(struct span *in, struct span *key)
{
    struct span before = *in;

    if (!der_take(in, DER_SEQUENCE, key))
        return false;
    *key = span_sub(before, 0, before.len - in->len);
    return true;
}

bool certificate_is_key(struct span der)
{
    struct span info;
    struct span part;

    return der_only(der, DER_SEQUENCE, &info) && der_take(&info, DER_SEQUENCE, &part) &&
           der_only(info, DER_BIT_STRING, &part);
}

bool certificate_parse(struct certificate *certificate, struct span der)
{
    const struct span nothing = span_make("", 0);
    struct span outer;
    struct span tbs;
    struct span version;
    struct span signature;
    struct span validity;
    struct span extensions;
    struct span skipped;

    *certificate = (struct certificate){.names = nothing,
                                        .purposes = nothing,
                                        .permitted = nothing,
                                        .excluded = nothing,
                                        .path_length = SIZE_MAX};
    if (!der_only(der, DER_SEQUENCE, &outer) || !der_take(&outer, DER_SEQUENCE, &tbs) ||
        !der_take(&outer, DER_SEQUENCE, &certificate->signature) ||
        !der_only(outer, DER_BIT_STRING, &skipped) || !der_optional(&tbs, DER_VERSION, &version) ||
        !der_take(&tbs, DER_INTEGER, &skipped) || !der_take(&tbs, DER_SEQUENCE, &signature) ||
        !der_take(&tbs, DER_SEQUENCE, &certificate->issuer) ||
        !der_take(&tbs, DER_SEQUENCE, &validity) ||
        !parse_time(&validity, &certificate->not_before) ||
        !parse_time(&validity, &certificate->not_after) || validity.len > 0 ||
        !take_subject(&tbs, certificate) || !take_key(&tbs, &certificate->key) ||
        !der_optional(&tbs, DER_ISSUER_ID, &skipped) ||
        !der_optional(&tbs, DER_SUBJECT_ID, &skipped) ||
        !der_optional(&tbs, DER_EXTENSIONS, &extensions) || tbs.len > 0)
        return false;
    certificate->first_version = version.len == 0 || span_equal(version, SPAN("\x02\x01\x00"));
    /* The one that is signed counts, the one outside is what is looked at (RFC 5280 4.1.1.2). */
    return span_equal(signature, certificate->signature) &&
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
    /* An asterisk anywhere else means nothing, not itself either. */
    return span_find(pattern, '*') == pattern.len && span_equal_nocase(pattern, host);
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

/* ---- what a certificate is good for ---- */

/* The AlgorithmIdentifier of an RSASSA-PSS signature holds another one, of the hash. */
static const char *pss_weakness(struct span parameters)
{
    const struct span sha2 = SPAN("\x60\x86\x48\x01\x65\x03\x04\x02");
    struct span list;
    struct span field;
    struct span hash;
    struct span id;

    if (!der_only(parameters, DER_SEQUENCE, &list) || !der_optional(&list, DER_PSS_HASH, &field))
        return "RSA-PSS of an unknown kind";
    if (field.len == 0) /* the default */
        return "SHA-1";
    if (!der_only(field, DER_SEQUENCE, &hash) || !der_take(&hash, DER_OID, &id))
        return "RSA-PSS of an unknown kind";
    if (span_equal(id, SPAN("\x2b\x0e\x03\x02\x1a")))
        return "SHA-1";
    if (id.len == sha2.len + 1 && span_equal(span_sub(id, 0, sha2.len), sha2) &&
        id.data[sha2.len] >= 1 && id.data[sha2.len] <= 3)
        return NULL;
    return "RSA-PSS of an unknown kind";
}

static const char *pkcs1_weakness(int last, struct span parameters)
{
    switch (last) {
    case 2:
        return "MD2";
    case 4:
        return "MD5";
    case 5:
        return "SHA-1";
    case 10:
        return pss_weakness(parameters);
    case 11: /* SHA-256, SHA-384, SHA-512 */
    case 12:
    case 13:
        return NULL;
    default:
        return "an unknown algorithm";
    }
}

const char *certificate_weakness(const struct certificate *certificate)
{
    const struct span pkcs1 = OID_PKCS1;
    struct span rest = certificate->signature;
    struct span id;

    if (!der_take(&rest, DER_OID, &id))
        return "an unknown algorithm";
    if (id.len == pkcs1.len + 1 && span_equal(span_sub(id, 0, pkcs1.len), pkcs1))
        return pkcs1_weakness(id.data[pkcs1.len], rest);
    if (span_equal(id, SPAN("\x2a\x86\x48\xce\x3d\x04\x03\x02")) || /* ECDSA with SHA-256 */
        span_equal(id, SPAN("\x2a\x86\x48\xce\x3d\x04\x03\x03")) || /* SHA-384 */
        span_equal(id, SPAN("\x2a\x86\x48\xce\x3d\x04\x03\x04")) || /* SHA-512 */
        span_equal(id, SPAN("\x2b\x65\x70")))                       /* Ed25519 */
        return NULL;
    if (span_equal(id, SPAN("\x2a\x86\x48\xce\x3d\x04\x01")) || /* ECDSA with SHA-1 */
        span_equal(id, SPAN("\x2a\x86\x48\xce\x38\x04\x03")) || /* DSA with SHA-1 */
        span_equal(id, SPAN("\x2b\x0e\x03\x02\x1d")))           /* RSA with SHA-1, an old name */
        return "SHA-1";
    return "an unknown algorithm";
}

/* No list means all purposes. As OpenSSL has it, "any" (2.5.29.37.0) does not include this one. */
static bool is_for_servers(const struct certificate *certificate)
{
    struct span rest = certificate->purposes;
    struct span purpose;

    if (rest.len == 0)
        return true;
    while (rest.len > 0 && der_take(&rest, DER_OID, &purpose))
        if (span_equal(purpose, OID_SERVER_AUTH))
            return true;
    return false;
}

bool certificate_may_serve(const struct certificate *certificate)
{
    return is_for_servers(certificate) &&
           (!certificate->usage_given ||
            (certificate->usage &
             (USAGE_DIGITAL_SIGNATURE | USAGE_KEY_ENCIPHERMENT | USAGE_KEY_AGREEMENT)) != 0);
}

const char *certificate_not_issuer(const struct certificate *certificate)
{
    if (certificate->authority_given
            ? !certificate->authority
            /* Roots older than extensions, and those that say it by their usage only. */
            : !certificate->usage_given &&
                  !(certificate->first_version && certificate_is_self_issued(certificate)))
        return "is not an authority";
    if (certificate->usage_given && !(certificate->usage & USAGE_CERTIFICATE_SIGNATURE))
        return "may not sign certificates";
    if (!is_for_servers(certificate))
        return "may not sign certificates of servers";
    return NULL;
}

/* ---- name constraints ---- */

/* Any labels may stand before those of the base; as others do, we take one that begins with a dot
 * for those that need at least one. */
static bool name_is_within(struct span name, struct span base)
{
    size_t before = name.len > base.len ? name.len - base.len : 0;

    if (base.len == 0)
        return true;
    if (!span_equal_nocase(span_sub(name, before, name.len), base))
        return false;
    return before == 0 || base.data[0] == '.' || name.data[before - 1] == '.';
}

/* base: an address and a mask of the same length. */
static bool address_is_within(struct span address, struct span base)
{
    if (base.len != 2 * address.len)
        return false;
    for (size_t i = 0; i < address.len; i++)
        if (((address.data[i] ^ base.data[i]) & base.data[address.len + i]) != 0)
            return false;
    return true;
}

static bool same_attributes(struct span a, struct span b)
{
    while (a.len > 0 && b.len > 0) {
        struct span pairs[2];
        struct span types[2];
        struct span values[2];
        uint8_t tag; /* strings of all kinds */

        if (!der_take(&a, DER_SEQUENCE, &pairs[0]) || !der_take(&b, DER_SEQUENCE, &pairs[1]))
            return false;
        for (size_t i = 0; i < 2; i++)
            if (!der_take(&pairs[i], DER_OID, &types[i]) || !der_any(&pairs[i], &tag, &values[i]))
                return false;
        if (!span_equal(types[0], types[1]) || !span_equal_nocase(values[0], values[1]))
            return false;
    }
    return a.len == 0 && b.len == 0;
}

/* Whether the Name `name` begins with those parts that `base` has. */
static bool directory_is_within(struct span name, struct span base)
{
    struct span names;
    struct span bases;
    struct span a;
    struct span b;

    if (!der_only(name, DER_SEQUENCE, &names) || !der_only(base, DER_SEQUENCE, &bases))
        return false;
    while (bases.len > 0)
        if (!der_take(&names, DER_SET, &a) || !der_take(&bases, DER_SET, &b) ||
            !same_attributes(a, b))
            return false;
    return true;
}

/* Whether there is a subtree that the name is in. *of_kind: one for names of this kind. */
static bool is_in_subtrees(struct span subtrees, uint8_t kind, struct span name, bool *of_kind)
{
    struct span base;
    uint8_t tag;

    *of_kind = false;
    while (subtrees.len > 0 && take_subtree(&subtrees, &tag, &base)) {
        if (tag != kind)
            continue;
        *of_kind = true;
        if ((kind == NAME_DNS && name_is_within(name, base)) ||
            (kind == NAME_IP && address_is_within(name, base)) ||
            (kind == NAME_DIRECTORY && directory_is_within(name, base)))
            return true;
    }
    return false;
}

static bool permits_name(const struct certificate *authority, uint8_t kind, struct span name)
{
    bool known = kind == NAME_DNS || kind == NAME_IP || kind == NAME_DIRECTORY;
    bool of_kind;

    if (!is_in_subtrees(authority->permitted, kind, name, &of_kind) && of_kind)
        return false;
    if (is_in_subtrees(authority->excluded, kind, name, &of_kind))
        return false;
    return known || !of_kind; /* what can't be compared is refused */
}

bool certificate_permits(const struct certificate *authority, const struct certificate *certificate,
                         const struct tls_peer *peer)
{
    struct span rest = certificate->names;
    struct span name;
    uint8_t tag;

    if (authority->permitted.len == 0 && authority->excluded.len == 0)
        return true;
    while (rest.len > 0)
        if (!der_any(&rest, &tag, &name) || !permits_name(authority, tag, name))
            return false;
    /* A wildcard is not in a subtree that excludes some of what it stands for. */
    if (peer->ip_bytes == 0 && !permits_name(authority, NAME_DNS, span_of(peer->host)))
        return false;
    return certificate->subject.len == 0 ||
           permits_name(authority, NAME_DIRECTORY, certificate->subject_name);
}

/* ---- for people ---- */

int64_t certificate_ends_s(const struct certificate *certificate)
{
    struct tm time = {0};
    char digits[16] = {0};
    struct span ends = certificate->not_after;
    size_t century = ends.len == 13 ? 2 : 0;
    const char *end;

    if (century + ends.len != 15)
        return 0;
    if (century > 0) /* RFC 5280 4.1.2.5.1 */
        memcpy(digits, ends.data[0] >= '5' ? "19" : "20", century);
    memcpy(digits + century, ends.data, ends.len);
    end = strptime(digits, "%Y%m%d%H%M%SZ", &time);
    return end && !*end ? timegm(&time) : 0;
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
