/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Files with certificates and keys in PEM (RFC 7468). Reads them at once: slow. */
#ifndef TLS_PEM_H
#define TLS_PEM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "base/text.h"

enum { PEM_FILE_BYTES_MAX = 16 << 20 };

/* Reads to the end, so that a pipe does as well. name: in the directory, or AT_FDCWD. Returns 0 or
 * an errno. */
int pem_read_file(int directory, const char *name, struct text *text);

struct pem_block {
    struct span label; /* "CERTIFICATE" */
    struct span body;  /* what is between the lines of dashes */
    struct span whole; /* with them */
};

/* Takes the next block, of whatever kind, out of *pem. False: there is none. */
bool pem_next(struct span *pem, struct pem_block *block);
/* Appends the block's bytes. False: it is no Base64, has a header (RFC 1421), or there is no
 * memory, which text->failed tells; nothing is appended then. */
bool pem_decode(const struct pem_block *block, struct text *text);

#endif
