/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A handful of hashes, gone through one by one. */
#include "tls/pins.h"

#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/hash.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/base64.h"
#include "tls/internal.h"
#include "tls/pem.h"

enum { PIN_BYTES = WC_SHA256_DIGEST_SIZE };

struct tls_pins {
    size_t count;
    uint8_t hashes[][PIN_BYTES];
};

static const struct span prefix = SPAN("sha256//");

static bool hash_key(struct span key, uint8_t hash[PIN_BYTES])
{
    return wc_Sha256Hash((const byte *)key.data, (word32)key.len, hash) == 0;
}

static void say_no_memory(struct haul_error *error)
{
    error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory for the pinned public keys");
}

static struct tls_pins *make_room(size_t count, struct haul_error *error)
{
    struct tls_pins *pins = alloc_zeroed(sizeof(*pins) + count * sizeof(pins->hashes[0]));

    if (!pins)
        say_no_memory(error);
    return pins;
}

static struct tls_pins *parse(struct span list, struct haul_error *error)
{
    struct tls_pins *pins;
    size_t room = 1;

    for (size_t i = 0; i < list.len; i++)
        room += list.data[i] == ';';
    pins = make_room(room, error);
    while (pins && list.len > 0) {
        struct span pin = span_trim(span_cut(&list, ';'));
        struct span base64 = span_sub(pin, prefix.len, pin.len);
        size_t len = 0;

        if (pin.len == 0 && list.len == 0) /* a semicolon at the end */
            break;
        if (span_equal(span_sub(pin, 0, prefix.len), prefix) &&
            base64_decode(base64, pins->hashes[pins->count], PIN_BYTES, &len) && len == PIN_BYTES) {
            pins->count++;
            continue;
        }
        error_set(
            error, HAUL_BAD_OPTION, 0,
            "\"%.*s\" is no pinned public key: sha256// and the 44 characters of a SHA-256 in "
            "Base64 are expected, and semicolons between several",
            SPAN_ARG(pin));
        tls_pins_destroy(pins);
        return NULL;
    }
    return pins;
}

/* Of a file: the first public key in PEM, or all of it where it is DER. */
static bool find_key(struct span file, struct text *key)
{
    struct span rest = file;
    struct pem_block block;

    while (pem_next(&rest, &block))
        if (span_equal(block.label, SPAN("PUBLIC KEY")))
            return pem_decode(&block, key);
    text_add(key, file);
    return !key->failed;
}

static struct tls_pins *read_key(const char *path, struct haul_error *error)
{
    struct text file = {0};
    struct text key = {0};
    struct tls_pins *pins = NULL;
    int result = pem_read_file(AT_FDCWD, path, &file);
    bool found =
        result == 0 && find_key(text_span(&file), &key) && certificate_is_key(text_span(&key));

    if (found)
        pins = make_room(1, error);
    else if (result == ENOMEM || key.failed)
        say_no_memory(error);
    else if (result != 0)
        error_set(error, HAUL_BAD_OPTION, result,
                  "can't read the pinned public key in %s (or is it a hash that lacks sha256// "
                  "before it?)",
                  path);
    else
        error_set(error, HAUL_BAD_OPTION, 0, "there is no public key, PEM or DER, in %s", path);
    if (pins && hash_key(text_span(&key), pins->hashes[0]))
        pins->count = 1;
    text_free(&file);
    text_free(&key);
    return pins;
}

struct tls_pins *tls_pins_create(const char *pins, struct haul_error *error)
{
    struct span list = span_trim(span_of(pins));

    if (list.len == 0) {
        error_set(error, HAUL_BAD_OPTION, 0, "there is no pinned public key in \"%s\"", pins);
        return NULL;
    }
    return span_starts_nocase(list, prefix) ? parse(list, error) : read_key(pins, error);
}

void tls_pins_destroy(struct tls_pins *pins)
{
    free(pins);
}

bool tls_pins_hold(const struct tls_pins *pins, struct span key)
{
    uint8_t hash[PIN_BYTES];

    if (!hash_key(key, hash))
        return false;
    for (size_t i = 0; i < pins->count; i++)
        if (memcmp(pins->hashes[i], hash, PIN_BYTES) == 0)
            return true;
    return false;
}

void tls_pins_add_key(struct text *text, struct span key)
{
    uint8_t hash[PIN_BYTES];

    if (!hash_key(key, hash))
        return;
    text_add(text, prefix);
    base64_add(text, span_make((const char *)hash, PIN_BYTES));
}
