/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef ENGINE_UNPACK_H
#define ENGINE_UNPACK_H

#include "engine/request.h"

/* What is sent becomes more: it need not come in large chunks. */
enum { UNPACK_CHUNK_BYTES = 2 * CHUNK_BYTES_MIN };

/* Before the body comes: request->codings are to be taken off it, by request->decode from now on.
 * False: out of memory. */
bool unpack_start(struct request *request);

#endif
