/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The names a file may get, and the name it has until it is complete. Pure. */
#ifndef SINK_FILE_NAME_H
#define SINK_FILE_NAME_H

#include "base/span.h"
#include "base/text.h"

enum { FILE_NAME_BYTES_MAX = 255, FILE_NAME_NUMBER_MAX = 9999 };

/* The name itself for number 0; "name.N.ext" beyond, as aria2c has it. Clears *text first. */
void file_name_numbered(struct text *text, struct span name, unsigned number);
/* "name.haul"; where that would be too long, the beginning of the name and a hash of all of it. */
void file_name_partial(struct text *text, struct span name);

#endif
