/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Public keys that a server must have one of: hashes of a SubjectPublicKeyInfo, as in RFC 7469 2.4
 * and of curl's --pinnedpubkey. Never changes once it is made; threads may share it.
 */
#ifndef TLS_PINS_H
#define TLS_PINS_H

#include "base/span.h"
#include "base/status.h"
#include "base/text.h"

struct tls_pins;

/* "sha256//BASE64", several with semicolons between; or the name of a file with a public key, PEM
 * or DER, which is read at once. NULL: *error. */
struct tls_pins *tls_pins_create(const char *pins, struct haul_error *error);
void tls_pins_destroy(struct tls_pins *pins); /* NULL is allowed */
/* Whether one is of this key, the whole SubjectPublicKeyInfo. */
bool tls_pins_hold(const struct tls_pins *pins, struct span key);
/* "sha256//BASE64", for people. */
void tls_pins_add_key(struct text *text, struct span key);

#endif
