/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a download's file is called. Three times something comes to be known of it:
 *
 *     before the request     host, path and name of the URL as asked for, and the number:
 * naming_path() with the response      what the server calls it (Content-Disposition):
 * naming_hear() at the end             the hash of what is stored: naming_last()
 *
 * Directories and temporary names are made of the first alone, so that a later run finds what this
 * one leaves.
 */
#ifndef ENGINE_NAMING_H
#define ENGINE_NAMING_H

#include <stdbool.h>

#include "base/text.h"
#include "engine/template.h"
#include "haul/haul.h"
#include "http/response.h"

struct haul_download;

/* `out` of a request. False: *error says what is wrong with it. */
bool naming_check(const char *out, struct haul_error *error);
/* Of a transfer that has been made, with what was asked for: what its names wait for. */
void naming_init(struct haul_download *transfer);
/* Path below the directory, and what temporary names begin with; empty: the same name. */
void naming_path(const struct haul_download *transfer, struct text *path, struct text *temporary);
/* Whether the server calls it something else than what it would get: then *name is the new name,
 * and remembered. In the worker's thread, as is what follows. */
bool naming_hear(struct haul_download *transfer, const struct response *response,
                 struct text *name);
void naming_last(const struct haul_download *transfer, struct span sha256, struct text *name);

#endif
