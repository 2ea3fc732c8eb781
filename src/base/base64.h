/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Base64 (RFC 4648 4). */
#ifndef BASE_BASE64_H
#define BASE_BASE64_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"

/* With or without what fills up the last group (RFC 9651 4.2.7). False: something else is in it, or
 * it is more than bytes_max. */
bool base64_decode(struct span text, uint8_t *bytes, size_t bytes_max, size_t *len);
/* With what fills up the last group. */
void base64_add(struct text *text, struct span bytes);

#endif
