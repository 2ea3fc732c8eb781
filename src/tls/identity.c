/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Kept as PEM, for wolfSSL reads it anew for each of its contexts; and tried with a context of its
 * own, which goes again.
 */
#include "tls/identity.h"

#include <wolfssl/options.h>

#include <wolfssl/error-ssl.h>
#include <wolfssl/ssl.h>
#include <wolfssl/wolfcrypt/error-crypt.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "tls/internal.h"
#include "tls/pem.h"

enum { PROBE_BYTES = 64 * 1024 };

struct tls_identity {
    struct text chain; /* its own certificate first, then those above it */
    struct text key;
};

/* ---- files ---- */

static bool read_file(const char *path, const char *what, struct text *text,
                      struct haul_error *error)
{
    int result = pem_read_file(AT_FDCWD, path, text);

    if (result == ENOMEM)
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory for the %s in %s", what, path);
    else if (result != 0)
        error_set(error, HAUL_BAD_OPTION, result, "can't read the %s in %s", what, path);
    return result == 0;
}

static bool take_chain(struct tls_identity *identity, struct span file, const char *path,
                       struct haul_error *error)
{
    struct pem_block block;

    while (pem_next(&file, &block)) {
        if (!span_equal(block.label, SPAN("CERTIFICATE")))
            continue;
        text_add(&identity->chain, block.whole);
        text_add_char(&identity->chain, '\n');
    }
    if (identity->chain.failed)
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory for the certificate in %s", path);
    else if (identity->chain.len == 0)
        error_set(error, HAUL_BAD_OPTION, 0, "there is no PEM certificate in %s", path);
    return !identity->chain.failed && identity->chain.len > 0;
}

static bool is_key(struct span label)
{
    const struct span end = SPAN("PRIVATE KEY");

    return label.len >= end.len && span_equal(span_sub(label, label.len - end.len, label.len), end);
}

/* PKCS#8 (RFC 5958), or what OpenSSL wrote before it. */
static bool is_encrypted(const struct pem_block *block)
{
    return span_starts_nocase(block->label, SPAN("ENCRYPTED ")) ||
           span_find(block->body, ':') < block->body.len; /* Proc-Type: 4,ENCRYPTED */
}

static bool take_key(struct tls_identity *identity, struct span file, const char *path,
                     struct haul_error *error)
{
    struct pem_block block;

    while (pem_next(&file, &block)) {
        if (!is_key(block.label))
            continue;
        if (is_encrypted(&block)) {
            error_set(
                error, HAUL_BAD_OPTION, 0,
                "the private key in %s is encrypted, and haul asks for no password; \"openssl "
                "pkey -in %s\" writes it without one",
                path, path);
            return false;
        }
        (void)text_reserve(&identity->key, block.whole.len + 1); /* no copy is left behind */
        text_add(&identity->key, block.whole);
        text_add_char(&identity->key, '\n');
        if (identity->key.failed)
            error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory for the key in %s", path);
        return !identity->key.failed;
    }
    error_set(error, HAUL_BAD_OPTION, 0, "there is no PEM private key in %s", path);
    return false;
}

/* ---- wolfSSL ---- */

enum use { USE_GOOD, USE_BAD_CERTIFICATE, USE_BAD_KEY, USE_OTHER_KEY };

static enum use use(const struct tls_identity *identity, WOLFSSL_CTX *context, int *reason)
{
    *reason = wolfSSL_CTX_use_certificate_chain_buffer(
        context, (const unsigned char *)identity->chain.data, (long)identity->chain.len);
    if (*reason != WOLFSSL_SUCCESS)
        return USE_BAD_CERTIFICATE;
    *reason = wolfSSL_CTX_use_PrivateKey_buffer(context, (const unsigned char *)identity->key.data,
                                                (long)identity->key.len, WOLFSSL_FILETYPE_PEM);
    if (*reason != WOLFSSL_SUCCESS)
        return USE_BAD_KEY;
    return wolfSSL_CTX_check_private_key(context) == WOLFSSL_SUCCESS ? USE_GOOD : USE_OTHER_KEY;
}

bool tls_identity_use(const struct tls_identity *identity, WOLFSSL_CTX *context)
{
    int reason;

    return use(identity, context, &reason) == USE_GOOD;
}

static enum use try_once(const struct tls_identity *identity, int *reason)
{
    enum use result = USE_BAD_CERTIFICATE;
    WOLFSSL_CTX *context;

    *reason = MEMORY_E;
    if (wolfSSL_Init() != WOLFSSL_SUCCESS)
        return result;
    context = wolfSSL_CTX_new(wolfTLS_client_method());
    if (context)
        result = use(identity, context, reason);
    wolfSSL_CTX_free(context);
    wolfSSL_Cleanup();
    return result;
}

/* wolfSSL does not always say so. */
static bool is_out_of_memory(int reason)
{
    void *probe = alloc_zeroed(PROBE_BYTES);

    free(probe);
    return !probe || reason == MEMORY_E || reason == MEMORY_ERROR;
}

static bool try_out(const struct tls_identity *identity, const char *certificate,
                    const char *private_key, struct haul_error *error)
{
    int reason;
    enum use result = try_once(identity, &reason);
    const char *why;

    if (result != USE_GOOD) /* for want of memory, perhaps */
        result = try_once(identity, &reason);
    why = wolfSSL_ERR_reason_error_string((unsigned long)reason);
    if (result == USE_GOOD)
        return true;
    if (is_out_of_memory(reason))
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory for the client certificate");
    else if (result == USE_BAD_CERTIFICATE)
        error_set(error, HAUL_BAD_OPTION, 0, "the certificate in %s can't be used (%s)",
                  certificate, why);
    else if (result == USE_BAD_KEY)
        error_set(error, HAUL_BAD_OPTION, 0, "the private key in %s can't be used (%s)",
                  private_key, why);
    else
        error_set(error, HAUL_BAD_OPTION, 0,
                  "the private key in %s is not that of the certificate in %s (of several, its own "
                  "comes first)",
                  private_key, certificate);
    return false;
}

struct tls_identity *tls_identity_create(const char *certificate, const char *private_key,
                                         struct haul_error *error)
{
    struct tls_identity *identity = alloc_zeroed(sizeof(*identity));
    struct text file = {0};
    struct text key_file = {0};
    const char *key_path = private_key ? private_key : certificate;
    bool good;

    if (!identity) {
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory for the client certificate");
        return NULL;
    }
    good = read_file(certificate, "certificate", &file, error) &&
           (!private_key || read_file(private_key, "private key", &key_file, error)) &&
           take_chain(identity, text_span(&file), certificate, error) &&
           take_key(identity, text_span(private_key ? &key_file : &file), key_path, error) &&
           try_out(identity, certificate, key_path, error);
    text_wipe(&file);
    text_wipe(&key_file);
    if (good)
        return identity;
    tls_identity_destroy(identity);
    return NULL;
}

void tls_identity_destroy(struct tls_identity *identity)
{
    if (!identity)
        return;
    text_free(&identity->chain);
    text_wipe(&identity->key);
    free(identity);
}
