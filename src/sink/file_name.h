/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The names a file may get, and the name it has until it is complete. Pure. */
#ifndef SINK_FILE_NAME_H
#define SINK_FILE_NAME_H

#include <stdbool.h>

#include "base/span.h"
#include "base/text.h"

enum { FILE_NAME_BYTES_MAX = 255, FILE_NAME_NUMBER_MAX = 999999 };

/* All clear *text first and keep within FILE_NAME_BYTES_MAX, cutting between UTF-8 characters. */

/* The name itself for number 0; "name.N.ext" beyond, as aria2c has it. */
void file_name_numbered(struct text *text, struct span name, unsigned number);
/* "name.HASH", where eight hexadecimal digits stand for the URL, and for `copy`, which tells
 * downloads of one URL apart. What an unfinished download has in the directory is called so, with
 * one of these behind it: there is room for them. */
#define FILE_NAME_DATA    ".haul"
#define FILE_NAME_BESIDE  ".haul2" /* another version, while the one that was there is kept */
#define FILE_NAME_JOURNAL ".haul.journal"
void file_name_partial(struct text *text, struct span name, struct span url, unsigned copy);
/* "name.checksum-mismatch". */
void file_name_aside(struct text *text, struct span name);
/* A name that nothing unfinished has: with "_" behind it where it looks like one of theirs. So
 * nothing that haul publishes, whoever chose the name, is ever taken for a partial file and
 * emptied. */
void file_name_final(struct text *text, struct span name);

#endif
