/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The certificate that haul shows to servers that ask for one, with those in between, and its key.
 * Read once, so that trouble is told before the first connection, and pipes can be read from. Never
 * changes once it is made; threads may share it.
 */
#ifndef TLS_IDENTITY_H
#define TLS_IDENTITY_H

#include "base/status.h"

struct tls_identity;

/* PEM files; private_key NULL: it is in the certificate's file. NULL: *error. */
struct tls_identity *tls_identity_create(const char *certificate, const char *private_key,
                                         struct haul_error *error);
void tls_identity_destroy(struct tls_identity *identity); /* wipes the key; NULL is allowed */

#endif
