/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hashes of files: the types that aria2c knows, bit by bit as the data comes, and what they come
 * to. Pure; a hash may be used from any thread, by one at a time.
 */
#ifndef CRYPTO_HASH_H
#define CRYPTO_HASH_H

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"

/* The stronger, the greater. The first two tell damage, but no longer malice. */
enum hash_type { HASH_MD5, HASH_SHA1, HASH_SHA224, HASH_SHA256, HASH_SHA384, HASH_SHA512 };

enum { HASH_BYTES_MAX = 64, HASH_HEX_MAX = 2 * HASH_BYTES_MAX + 1, HASH_STATE_BYTES = 256 };

/* What some data hashes to. */
struct digest {
    enum hash_type type;
    uint8_t bytes[HASH_BYTES_MAX]; /* hash_bytes() of them */
};

/* Nothing is allocated for it: it may be left at any time. */
struct hash {
    enum hash_type type;
    alignas(16) unsigned char state[HASH_STATE_BYTES]; /* private */
};

const char *hash_name(enum hash_type type); /* "sha-256"; static */
size_t hash_bytes(enum hash_type type);
/* By its name, with or without hyphen, in any case. */
bool hash_find(struct span name, enum hash_type *type);

void hash_begin(struct hash *hash, enum hash_type type);
void hash_add(struct hash *hash, const void *data, size_t len);
/* The hash is to be begun anew after it. */
void hash_end(struct hash *hash, struct digest *digest);

/* Takes as long whether they differ early or late. */
bool digest_equal(const struct digest *a, const struct digest *b);
/* Of as many bytes as its type has; false: of another number of them. */
bool digest_make(struct digest *digest, enum hash_type type, const uint8_t *bytes, size_t len);
void digest_hex(const struct digest *digest, char hex[HASH_HEX_MAX]); /* NUL-terminated */
/* "TYPE=HEX", as --checksum has it. False: *error (HAUL_BAD_OPTION) says what is wrong with it. */
bool digest_parse(struct span text, struct digest *digest, struct haul_error *error);

#endif
