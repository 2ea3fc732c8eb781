/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How numbers and names are written for people. Pure: everything is appended to a text. */
#ifndef CLI_FORMAT_H
#define CLI_FORMAT_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"

/* "0 B", "1023 B", "1.0 KiB", "3.7 GiB". */
void format_size(struct text *text, uint64_t bytes);
/* The same for a second: "3.7 MiB/s". */
void format_rate(struct text *text, uint64_t bytes_per_second);
/* "0s", "59s", "1m05s", "1h02m", "3d04h". */
void format_duration(struct text *text, uint64_t seconds);
/* How many columns a terminal takes for valid UTF-8 without control characters; where terminals
 * differ, rather one too many. */
size_t format_cells(struct span s);
/* At most so many columns of s, the rest replaced by "…" (where there is room for it). Returns the
 * columns taken. */
size_t format_cut(struct text *text, struct span s, size_t columns);

#endif
