/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What certificates are checked against, and the settings that all sessions share: one wolfSSL
 * context. Whoever is trusted comes from the first of these that is given:
 *
 *     --ca-certificate FILE
 *     SSL_CERT_FILE and SSL_CERT_DIR (either or both; a directory is searched flat)
 *     the system's bundle
 *
 * A certificate that wolfSSL does not take (expired, an algorithm it lacks) is counted and left
 * out, because bundles of systems hold such; a source without a single good one is an error.
 */
#include <wolfssl/options.h>

#include <wolfssl/ssl.h>
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

#if !defined(WOLFSSL_ALWAYS_VERIFY_CB) && !defined(OPENSSL_EXTRA)
#error                                                                                             \
    "this wolfSSL does not show good certificates to the verify callback: -DWOLFSSL_ALWAYS_VERIFY_CB"
#endif
#if !defined(WOLFSSL_TLS13) || !defined(HAVE_SNI) || !defined(HAVE_ALPN) ||                        \
    !defined(HAVE_CURVE25519) || !defined(HAVE_AESGCM)
#error "this wolfSSL lacks what HTTPS needs: TLS 1.3, SNI, ALPN, X25519, AES-GCM"
#endif

enum { TRUST_FILE_BYTES_MAX = 16 << 20, KEY_BITS_MIN = 2048 };

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
#define SUITES_AES                                                                                 \
    "TLS13-AES128-GCM-SHA256:TLS13-AES256-GCM-SHA384:"                                             \
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"                                   \
    "ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384"
#define SUITES_CHACHA                                                                              \
    "TLS13-CHACHA20-POLY1305-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
#define SUITES_DHE "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305"

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

/* Reads to the end, so that a pipe does as well. Returns 0 or an errno. */
static int read_all(int directory, const char *name, struct text *text)
{
    char buffer[16384];
    ssize_t got;
    int result = 0;
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno;
    while ((got = read(fd, buffer, sizeof(buffer))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            result = errno;
        else if (text->len + (size_t)got > TRUST_FILE_BYTES_MAX)
            result = EFBIG;
        else
            text_add(text, span_make(buffer, (size_t)got));
        if (text->failed)
            result = ENOMEM;
        if (result != 0)
            break;
    }
    close(fd);
    return result;
}

/* Where needle begins in s; s.len if it does not. */
static size_t find(struct span s, struct span needle)
{
    const char *at = s.len > 0 ? memmem(s.data, s.len, needle.data, needle.len) : NULL;

    return at ? (size_t)(at - s.data) : s.len;
}

/* Takes the next PEM block out of *pem, with its lines of dashes. */
static bool next_certificate(struct span *pem, struct span *block)
{
    const struct span begin = SPAN("-----BEGIN CERTIFICATE-----");
    const struct span end = SPAN("-----END CERTIFICATE-----");
    size_t len;

    *pem = span_sub(*pem, find(*pem, begin), pem->len);
    len = find(*pem, end);
    if (len == pem->len)
        return false;
    *block = span_sub(*pem, 0, len + end.len);
    *pem = span_sub(*pem, block->len, pem->len);
    return true;
}

/*
 * Trusts all certificates of a file, one by one, so that one that can't be read does not keep the
 * others out. *reason: wolfSSL's for the last one that it did not take.
 */
static void trust_pem(struct tls_trust *trust, struct span pem, int *reason)
{
    struct span block;

    while (next_certificate(&pem, &block)) {
        int result =
            wolfSSL_CTX_load_verify_buffer(trust->context, (const unsigned char *)block.data,
                                           (long)block.len, WOLFSSL_FILETYPE_PEM);

        if (result == WOLFSSL_SUCCESS) {
            trust->loaded++;
        } else {
            trust->unusable++;
            *reason = result;
        }
    }
}

/* status: of the error, as the file was asked for or not. */
static bool trust_file(struct tls_trust *trust, const char *path, enum haul_status status,
                       struct haul_error *error)
{
    struct text text = {0};
    size_t before = trust->loaded;
    int reason = 0;
    int result = read_all(AT_FDCWD, path, &text);

    if (result == 0)
        trust_pem(trust, text_span(&text), &reason);
    text_free(&text);
    if (result != 0) {
        error_set(error, status, result, "can't read the CA certificates in %s", path);
        return false;
    }
    if (trust->loaded > before)
        return true;
    if (reason == ASN_AFTER_DATE_E)
        error_set(error, status, 0, "the CA certificate in %s has expired", path);
    else if (reason != 0)
        error_set(error, status, 0, "the CA certificate in %s can't be used (%s)", path,
                  wolfSSL_ERR_reason_error_string((unsigned long)reason));
    else
        error_set(error, status, 0, "there is no PEM certificate in %s", path);
    return false;
}

static void trust_directory_entries(struct tls_trust *trust, DIR *directory)
{
    const struct dirent *entry;

    while ((entry = readdir(directory))) {
        struct text text = {0};
        struct stat status;
        int reason = 0;

        /* Not a pipe: it would wait for its writer. */
        if (fstatat(dirfd(directory), entry->d_name, &status, 0) == 0 && S_ISREG(status.st_mode) &&
            read_all(dirfd(directory), entry->d_name, &text) == 0)
            trust_pem(trust, text_span(&text), &reason);
        text_free(&text);
    }
}

/* directories: separated by colons, as OpenSSL has it. */
static bool trust_directories(struct tls_trust *trust, const char *directories,
                              struct haul_error *error)
{
    struct span rest = span_of(directories);
    size_t before = trust->loaded;

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
        trust_directory_entries(trust, directory);
        closedir(directory);
    }
    if (trust->loaded == before)
        error_set(error, HAUL_BAD_OPTION, 0, "there is no usable PEM certificate in %s",
                  directories);
    return trust->loaded > before;
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
        return trust_file(trust, ca_certificate, HAUL_BAD_OPTION, error);
    if (!has_file && !has_directories)
        return trust_system(trust, error);
    return (!has_file || trust_file(trust, file, HAUL_BAD_OPTION, error)) &&
           (!has_directories || trust_directories(trust, directories, error));
}

/* ---- the context ---- */

static bool set_up_context(struct tls_trust *trust)
{
    WOLFSSL_CTX *context = trust->context;
    const char *suites = tls_aes_accelerated() ? SUITES_AES ":" SUITES_CHACHA ":" SUITES_DHE
                                               : SUITES_CHACHA ":" SUITES_AES ":" SUITES_DHE;
    /* The first one's key share goes into the ClientHello. */
    int groups[] = {WOLFSSL_ECC_X25519, WOLFSSL_ECC_SECP256R1, WOLFSSL_ECC_SECP384R1,
                    WOLFSSL_ECC_SECP521R1};

    if (wolfSSL_CTX_SetMinVersion(context, WOLFSSL_TLSV1_2) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_cipher_list(context, suites) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_set_groups(context, groups, (int)COUNT_OF(groups)) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetMinRsaKey_Sz(context, KEY_BITS_MIN) != WOLFSSL_SUCCESS ||
        wolfSSL_CTX_SetMinDhKey_Sz(context, KEY_BITS_MIN) != WOLFSSL_SUCCESS)
        return false;
    /* Sessions are not resumed: wolfSSL's cache would be one of the whole process, with locks. */
    wolfSSL_CTX_set_session_cache_mode(context, WOLFSSL_SESS_CACHE_OFF);
    wolfSSL_CTX_set_group_messages(context); /* a flight at once, not a send for each message */
    wolfSSL_CTX_set_verify(context, trust->check ? WOLFSSL_VERIFY_PEER : WOLFSSL_VERIFY_NONE,
                           trust->check ? tls_session_verify : NULL);
    wolfSSL_CTX_SetIORecv(context, tls_session_receive);
    wolfSSL_CTX_SetIOSend(context, tls_session_send);
    return true;
}

struct tls_trust *tls_trust_create(const struct tls_trust_options *options,
                                   struct haul_error *error)
{
    struct tls_trust *trust = alloc_zeroed(sizeof(*trust));

    if (!trust)
        goto no_memory;
    trust->check = options->check;
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
    if (!set_up_context(trust)) {
        error_set(error, HAUL_FAILED, 0, "this wolfSSL (%s) lacks ciphers that haul needs",
                  tls_library_version());
        goto no_trust;
    }
    if (trust->check && !trust_load(trust, options->ca_certificate, error))
        goto no_trust;
    return trust;

no_trust:
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
    wolfSSL_CTX_free(trust->context);
    wolfSSL_Cleanup();
    free(trust);
}
