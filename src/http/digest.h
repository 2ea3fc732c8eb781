/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a server says its content hashes to. Pure. Of several digests the strongest is given; those
 * of types that are not known, and those that are not whole, count for nothing; a field that is
 * malformed as a whole has none. All are of the bytes as they are sent: with a Content-Encoding,
 * before anything is decoded.
 */
#ifndef HTTP_DIGEST_H
#define HTTP_DIGEST_H

#include <stdbool.h>

#include "crypto/hash.h"
#include "http/response.h"

/* Repr-Digest and Content-Digest (RFC 9530): "sha-256=:BASE64:, sha-512=:BASE64:". */
bool field_digest(struct span value, struct digest *digest);
/* Digest (RFC 3230, obsolete): "SHA-256=BASE64,MD5=BASE64". */
bool field_old_digest(struct span value, struct digest *digest);

/* Of the whole file, whatever part of it this response brings: what Repr-Digest or Digest say, and
 * Content-Digest where the response is the whole. */
bool response_digest(const struct response *response, struct digest *digest);
/* Of the bytes that a 206 brings. */
bool response_part_digest(const struct response *response, struct digest *digest);

#endif
