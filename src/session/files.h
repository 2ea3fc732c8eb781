/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Small files, read and written at once, before and after all that the engine's loop does. */
#ifndef SESSION_FILES_H
#define SESSION_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"
#include "base/status.h"
#include "base/text.h"

/* Appends the file's content. False: *error, with ENOENT as its errno where there is none.
 * *private: only its owner can read it; may be NULL. */
bool files_read(const char *path, size_t bytes_max, struct text *content, bool *private,
                struct haul_error *error);
/* Whether files_replace() is likely to do: what can't be is better known before all the work.
 * False: *error. */
bool files_check_replace(const char *path, struct haul_error *error);
/* Puts a file there that only its owner can read, in the place of what is there: whole, or not at
 * all. */
bool files_replace(const char *path, struct span content, struct haul_error *error);

#endif
