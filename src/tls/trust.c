/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What certificates are checked against, and the settings that all sessions share: one wolfSSL
 * context. Whoever is trusted comes from the first of these that is given:
 *
 *     --ca-certificate FILE, or a directory, which is searched flat
 *     SSL_CERT_FILE and SSL_CERT_DIR (either or both)
 *     the system's bundle
 *
 * A certificate that wolfSSL does not take (expired, an algorithm it lacks) is counted and left
 * out, because bundles of systems hold such; a source without a single good one is an error.
 *
 * wolfSSL takes everyone who is trusted for an authority, does not care what a signature is made
 * with, and looks for name constraints no further up than the issuer. So all of a chain is held
 * against those rules here, after wolfSSL. Which of the certificates it used it does not say;
 * therefore whoever could have issued one, going by the names, must be allowed to.
 */
#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/asn_public.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "tls/internal.h"
#include "tls/pem.h"

#if !defined(WOLFSSL_ALWAYS_VERIFY_CB) && !defined(OPENSSL_EXTRA)
#error                                                                                             \
    "this wolfSSL does not show good certificates to the verify callback: -DWOLFSSL_ALWAYS_VERIFY_CB"
#endif
#if !defined(WOLFSSL_TLS13) || !defined(HAVE_SNI) || !defined(HAVE_ALPN) ||                        \
    !defined(HAVE_CURVE25519) || !defined(HAVE_AESGCM)
#error "this wolfSSL lacks what HTTPS needs: TLS 1.3, SNI, ALPN, X25519, AES-GCM"
#endif
#if !defined(HAVE_SECRET_CALLBACK)
#error "this wolfSSL keeps the secrets that src/tls/record.c decrypts with: -DHAVE_SECRET_CALLBACK"
#endif

enum { KEY_BITS_MIN = 2048, ANCHORS_FIRST = 64 };

static const char *const system_bundles[] = {
    "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Arch, Gentoo */
    "/etc/pki/tls/certs/ca-bundle.crt",                  /* Fedora, RHEL */
    "/etc/ssl/ca-bundle.pem",                            /* openSUSE */
    "/etc/ssl/cert.pem",                                 /* Alpine */
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* RHEL, newer */
    "/var/lib/ca-certificates/ca-bundle.pem",            /* openSUSE, newer */
};

/*
 * Forward secrecy and authenticated encryption only. AES first where the CPU has it, as it is then
 * several times faster than ChaCha20; else the other way round.
 */
#define SUITES_13_AES    "TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384"
#define SUITES_13_CHACHA "TLS13-CHACHA20-POLY1305-SHA256"
#define SUITES_AES                                                                                 \
    SUITES_13_AES ":"                                                                              \
                  "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                     \
                  "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
#define SUITES_CHACHA     SUITES_13_CHACHA ":ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define SUITES_DHE_AES    "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384"
#define SUITES_DHE_CHACHA "DHE-RSA-CHACHA20-POLY1305"

const char *tls_library_version(void)
{
    return wolfSSL_lib_version();
}

bool tls_aes_accelerated(void)
{
#if defined(WOLFSSL_AESNI) && (defined(__x86_64__) || defined(__i386__))
    return __builtin_cpu_supports("aes");
#elif defined(WOLFSSL_ARMASM) && defined(__aarch64__)
    return (getauxval(AT_HWCAP) & (1UL << 3)) != 0; /* HWCAP_AES */
#else
    return false;
#endif
}

/* ---- files ---- */

/* To the byte, whoever has sent it. */
static bool is_anchor(const struct tls_trust *trust, struct span der)
{
    for (size_t i = 0; i < trust->loaded; i++)
        if (span_equal(span_make(trust->anchors[i].der, trust->anchors[i].len), der))
            return true;
    return false;
}

/* Takes over der, which is from malloc(). Returns 0 or wolfSSL's reason. */
static int trust_der(struct tls_trust *trust, char *der, size_t len)
{
    struct tls_anchor anchor = {.der = der, .len = len};
    int result;

    if (is_anchor(trust, span_make(der, len))) {
        free(der);
        return 0;
    }
    if (trust->loaded == trust->room) {
        size_t room = trust->room > 0 ? trust->room * 2 : ANCHORS_FIRST;
        struct tls_anchor *anchors = alloc_grow(trust->anchors, room, sizeof(*anchors));

        if (!anchors) {
            free(der);
            return MEMORY_E;
        }
        trust->anchors = anchors;
        trust->room = room;
    }
    /* One that we can't read must not be known to wolfSSL alone. */
    if (!certificate_parse(&anchor.certificate, span_make(der, len)))
        result = ASN_PARSE_E;
    else
        result = wolfSSL_CTX_load_verify_buffer(trust->context, (const unsigned char *)der,
                                                (long)len, WOLFSSL_FILETYPE_ASN1);
    if (result != WOLFSSL_SUCCESS) {
        free(der);
        return result;
    }
    trust->anchors[trust->loaded++] = anchor;
    return 0;
}

/* Returns 0 or wolfSSL's reason. */
static int trust_block(struct tls_trust *trust, const struct pem_block *block)
{
    struct text der = {0};
    int reason;

    if (pem_decode(block, &der))
        return trust_der(trust, der.data, der.len);
    reason = der.failed ? MEMORY_E : ASN_PARSE_E;
    text_free(&der);
    return reason;
}

/*
 * Trusts all certificates of a file, one by one, so that one that can't be read does not keep the
 * others out. *reason: wolfSSL's for the last one that it did not take.
 */
static void trust_pem(struct tls_trust *trust, struct span pem, int *reason)
{
    struct pem_block block;

    while (pem_next(&pem, &block)) {
        int result;

        if (!span_equal(block.label, SPAN("CERTIFICATE")))
            continue;
        result = trust_block(trust, &block);
        if (result == 0) {
            trust->usable++;
        } else {
            trust->unusable++;
            *reason = result;
        }
    }
}

/* There is no certificate in it that is any good. reason: wolfSSL's, or 0. */
static bool say_unusable(const char *path, int reason, enum haul_status status,
                         struct haul_error *error)
{
    if (reason == MEMORY_E || reason == MEMORY_ERROR)
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory for the CA certificates");
    else if (reason == ASN_AFTER_DATE_E)
        error_set(error, status, 0, "the CA certificate in %s has expired", path);
    else if (reason != 0)
        error_set(error, status, 0, "the CA certificate in %s can't be used (%s)", path,
                  wolfSSL_ERR_reason_error_string((unsigned long)reason));
    else
        error_set(error, status, 0, "there is no usable PEM certificate in %s", path);
    return false;
}

/* status: of the error, as the file was asked for or not. */
static bool trust_file(struct tls_trust *trust, const char *path, enum haul_status status,
                       struct haul_error *error)
{
    struct text text = {0};
    size_t before = trust->usable;
    int reason = 0;
    int result = pem_read_file(AT_FDCWD, path, &text);

    if (result == 0)
        trust_pem(trust, text_span(&text), &reason);
    text_free(&text);
    if (result == ENOMEM)
        reason = MEMORY_E;
    else if (result != 0) {
        error_set(error, status, result, "can't read the CA certificates in %s", path);
        return false;
    }
    return trust->usable > before || say_unusable(path, reason, status, error);
}

static void trust_directory_entries(struct tls_trust *trust, DIR *directory, int *reason)
{
    const struct dirent *entry;

    while ((entry = readdir(directory))) {
        struct text text = {0};
        struct stat status;

        /* Not a pipe: it would wait for its writer. */
        if (fstatat(dirfd(directory), entry->d_name, &status, 0) == 0 && S_ISREG(status.st_mode) &&
            pem_read_file(dirfd(directory), entry->d_name, &text) == 0)
            trust_pem(trust, text_span(&text), reason);
        text_free(&text);
    }
}

/* Closes it. */
static bool trust_directory(struct tls_trust *trust, DIR *directory, const char *path,
                            struct haul_error *error)
{
    size_t before = trust->usable;
    int reason = 0;

    trust_directory_entries(trust, directory, &reason);
    closedir(directory);
    return trust->usable > before || say_unusable(path, reason, HAUL_BAD_OPTION, error);
}

static bool trust_path(struct tls_trust *trust, const char *path, struct haul_error *error)
{
    DIR *directory = opendir(path);

    return directory ? trust_directory(trust, directory, path, error)
                     : trust_file(trust, path, HAUL_BAD_OPTION, error);
}

/* Separated by colons, as OpenSSL has it; enough if one of them has any. */
static bool trust_directories(struct tls_trust *trust, const char *directories,
                              struct haul_error *error)
{
    struct span rest = span_of(directories);
    size_t before = trust->usable;
    int reason = 0;

    while (rest.len > 0) {
        struct span name = span_cut(&rest, ':');
        char *path = alloc_copy(name.data, name.len);
        DIR *directory = path ? opendir(path) : NULL;
        int result = path ? errno : ENOMEM;

        free(path);
        if (!directory) {
            error_set(error, HAUL_BAD_OPTION, result, "can't read the CA certificates in %.*s",
                      SPAN_ARG(name));
            return false;
        }
        trust_directory_entries(trust, directory, &reason);
        closedir(directory);
    }
    return trust->usable > before || say_unusable(directories, reason, HAUL_BAD_OPTION, error);
}

static bool trust_system(struct tls_trust *trust, struct haul_error *error)
{
    for (size_t i = 0; i < COUNT_OF(system_bundles); i++)
        if (access(system_bundles[i], R_OK) == 0)
            return trust_file(trust, system_bundles[i], HAUL_CERTIFICATE, error);
    error_set(error, HAUL_CERTIFICATE, 0,
              "this system has no CA certificates (looked for %s and others): install the package "
              "ca-certificates, or name a file with --ca-certificate",
              system_bundles[0]);
    return false;
}

static bool trust_load(struct tls_trust *trust, const char *ca_certificate,
                       struct haul_error *error)
{
    const char *file = secure_getenv("SSL_CERT_FILE");
    const char *directories = secure_getenv("SSL_CERT_DIR");
    bool has_file = file && file[0];
    bool has_directories = directories && directories[0];

    if (ca_certificate)
        return trust_path(trust, ca_certificate, error);
    if (!has_file && !has_directories)
        return trust_system(trust, error);
    return (!has_file || trust_file(trust, file, HAUL_BAD_OPTION, error)) &&
           (!has_directories || trust_directories(trust, directories, error));
}

/* ---- chains ---- */

struct link {
    struct certificate certificate;
    bool grounded; /* a way up from here leads to someone who is trusted */
    bool trusted;  /* its name and key are those of an authority that is trusted */
    bool reached;  /* it may have issued one further down, or is the peer's own */
    size_t below;  /* authorities further down, those aside that issued themselves (RFC 5280 6.1) */
};

static bool issues(const struct certificate *issuer, const struct certificate *certificate)
{
    return span_equal(issuer->subject, certificate->issuer);
}

/*
 * Fills in the links. An issuer is sent behind what it issued, or is trusted: wolfSSL goes from
 * the last certificate to the first, and knows nobody else when it begins.
 */
static bool read_chain(const struct tls_trust *trust, const struct span *chain, size_t count,
                       struct link *links)
{
    for (size_t at = count; at-- > 0;) {
        struct link *link = &links[at];

        if (!certificate_parse(&link->certificate, chain[at]))
            return false;
        for (size_t i = 0; i < trust->loaded; i++) {
            const struct certificate *anchor = &trust->anchors[i].certificate;

            link->grounded |= issues(anchor, &link->certificate);
            link->trusted |= span_equal(anchor->subject, link->certificate.subject) &&
                             span_equal(anchor->key, link->certificate.key);
        }
        for (size_t i = at + 1; i < count; i++)
            link->grounded |=
                links[i].grounded && issues(&links[i].certificate, &link->certificate);
    }
    return true;
}

static void say_authority(struct text *text, const struct certificate *authority,
                          const struct tls_peer *peer, const char *what)
{
    text_printf(text, "an authority behind the certificate of %s, ", peer->host);
    certificate_add_name(text, authority->subject);
    text_printf(text, ", %s", what);
}

static bool issuer_is_good(const struct certificate *issuer, const struct certificate *leaf,
                           size_t below, const struct tls_peer *peer, struct text *text)
{
    const char *what = certificate_not_issuer(issuer);

    if (!what && below > issuer->path_length)
        what = "may not have other authorities below itself";
    if (!what && !certificate_permits(issuer, leaf, peer))
        what = "may not vouch for this server: its name constraints leave out names that the "
               "certificate is for";
    if (what)
        say_authority(text, issuer, peer, what);
    return !what;
}

/* The signature of a link that is not trusted itself, and all who may have made it. */
static bool link_is_good(const struct tls_trust *trust, struct link *links, size_t count, size_t at,
                         const struct tls_peer *peer, struct text *text)
{
    struct link *link = &links[at];
    const struct certificate *leaf = &links[0].certificate;
    const char *weakness = certificate_weakness(&link->certificate);
    size_t below = link->below;

    if (weakness) {
        if (at == 0)
            text_printf(text, "the certificate of %s ", peer->host);
        else
            say_authority(text, &link->certificate, peer, "");
        text_printf(text, "is signed with %s, which protects no more", weakness);
        return false;
    }
    if (at > 0 && !certificate_is_self_issued(&link->certificate))
        below++;
    for (size_t i = 0; i < trust->loaded; i++)
        if (issues(&trust->anchors[i].certificate, &link->certificate) &&
            !issuer_is_good(&trust->anchors[i].certificate, leaf, below, peer, text))
            return false;
    for (size_t i = at + 1; i < count; i++) {
        struct link *issuer = &links[i];

        /* Of someone who is trusted, what others say does not count (cross certificates). */
        if (!issuer->grounded || issuer->trusted ||
            !issues(&issuer->certificate, &link->certificate))
            continue;
        if (!issuer_is_good(&issuer->certificate, leaf, below, peer, text))
            return false;
        issuer->reached = true;
        if (issuer->below < below)
            issuer->below = below;
    }
    return true;
}

bool tls_trust_takes(const struct tls_trust *trust, const struct span *chain, size_t count,
                     const struct tls_peer *peer, struct text *text)
{
    struct link links[TLS_CHAIN_MAX] = {0};

    if (count == 0 || count > TLS_CHAIN_MAX || !read_chain(trust, chain, count, links)) {
        text_printf(text, "the certificate of %s, or one sent with it, is malformed", peer->host);
        return false;
    }
    if (!certificate_may_serve(&links[0].certificate)) {
        text_printf(text, "the certificate of %s is not one for servers", peer->host);
        return false;
    }
    if (is_anchor(trust, chain[0]))
        return true;
    if (!links[0].grounded) {
        text_printf(text, "nobody who is trusted stands behind the certificate of %s", peer->host);
        return false;
    }
    links[0].reached = true;
    for (size_t at = 0; at < count; at++)
        if (links[at].reached && !link_is_good(trust, links, count, at, peer, text))
            return false;
    return true;
}

/* ---- the context ---- */

static const char *suites(enum tls_version min_version, bool aes_first)
{
    if (min_version == TLS_VERSION_1_3)
        return aes_first ? SUITES_13_AES ":" SUITES_13_CHACHA : SUITES_13_CHACHA ":" SUITES_13_AES;
    return aes_first ? SUITES_AES ":" SUITES_CHACHA ":" SUITES_DHE_AES ":" SUITES_DHE_CHACHA
                     : SUITES_CHACHA ":" SUITES_AES ":" SUITES_DHE_CHACHA ":" SUITES_DHE_AES;
}

/*
 * Without wolfSSL_CTX_EnableOCSP(), which has it ask responders by itself; and so that this can't
 * come to pass on any other way, without the means for it.
 */
static bool require_status(WOLFSSL_CTX *context)
{
    return wolfSSL_CTX_EnableOCSPStapling(context) == WOLFSSL_SUCCESS &&
           wolfSSL_CTX_EnableOCSPMustStaple(context) == WOLFSSL_SUCCESS &&
           wolfSSL_CTX_SetOCSP_Cb(context, NULL, NULL, NULL) == WOLFSSL_SUCCESS;
}

static bool set_up_context(struct tls_trust *trust, bool aes_first)
{
    WOLFSSL_CTX *context = trust->context;
    bool looks = trust->check || trust->pins;
    /* The first one's key share goes into the ClientHello. */
    int groups[] = {WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_SECP384R1,
                    WOLFSSL_ECC_SECP521R1};

    if (wolfSSL_CTX_SetMinVersion(context, trust->min_version == TLS_VERSION_1_3
                                               ? WOLFSSL_TLSV1_3
                                               : WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_cipher_list(context, suites(trust->min_version, aes_first)) !=
            WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_groups(context, groups, (int)COUNT_OF(groups)) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetMinRsaKey_Sz(context, KEY_BITS_MIN) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetMinDhKey_Sz(context, KEY_BITS_MIN) != WOLFSSL_SUCCESS)
        return false;
    /* Tickets are kept in the trust: wolfSSL's cache would be one of the whole process, with locks,
     * and does not know by which rules a peer was accepted. */
    wolfSSL_CTX_set_session_cache_mode(context, WOLFSSL_SESS_CACHE_OFF);
    wolfSSL_CTX_set_group_messages(context); /* a flight at once, not a send for each message */
    wolfSSL_CTX_set_verify(context, trust->check ? WOLFSSL_VERIFY_PEER : WOLFSSL_VERIFY_NONE,
                           looks ? tls_session_verify : NULL);
    wolfSSL_CTX_SetIORecv(context, tls_session_receive);
    wolfSSL_CTX_SetIOSend(context, tls_session_send);
    return !trust->certificate_status || require_status(context);
}

static void forget_anchors(struct tls_trust *trust)
{
    for (size_t i = 0; i < trust->loaded; i++)
        free(trust->anchors[i].der);
    free(trust->anchors);
}

struct tls_trust *tls_trust_create(const struct tls_trust_options *options,
                                   struct haul_error *error)
{
    struct tls_trust *trust = alloc_zeroed(sizeof(*trust));

    if (!trust)
        goto no_memory;
    trust->check = options->check;
    trust->certificate_status = options->certificate_status;
    trust->min_version = options->min_version;
    trust->pins = options->pins;
    trust->has_identity = options->identity != NULL;
    tickets_init(&trust->tickets);
    /* wolfSSL counts these under a lock of its own. */
    if (wolfSSL_Init() != WOLFSSL_SUCCESS) {
        error_set(error, HAUL_FAILED, 0, "wolfSSL can't be started");
        goto no_library;
    }
    trust->context = wolfSSL_CTX_new(wolfTLS_client_method());
    if (!trust->context) {
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory for the TLS settings");
        goto no_context;
    }
    if (!set_up_context(
            trust, options->ciphers == TLS_CIPHERS_AES_FIRST ||
                       (options->ciphers == TLS_CIPHERS_FASTEST_FIRST && tls_aes_accelerated()))) {
        error_set(error, HAUL_FAILED, 0, "this wolfSSL (%s) lacks ciphers that haul needs",
                  tls_library_version());
        goto no_trust;
    }
    if (options->identity && !tls_identity_use(options->identity, trust->context)) {
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory for the client certificate");
        goto no_trust;
    }
    if (trust->check && !trust_load(trust, options->ca_certificate, error))
        goto no_trust;
    return trust;

no_trust:
    forget_anchors(trust);
    wolfSSL_CTX_free(trust->context);
no_context:
    wolfSSL_Cleanup();
no_library:
    free(trust);
    return NULL;
no_memory:
    error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory for the TLS settings");
    return NULL;
}

void tls_trust_destroy(struct tls_trust *trust)
{
    if (!trust)
        return;
    tickets_free(&trust->tickets);
    forget_anchors(trust);
    wolfSSL_CTX_free(trust->context);
    wolfSSL_Cleanup();
    free(trust);
}
