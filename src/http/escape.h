/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Percent escapes (RFC 3986 2.1). */
#ifndef HTTP_ESCAPE_H
#define HTTP_ESCAPE_H

#include <stdbool.h>

#include "base/span.h"

/* Whether s begins with an escape. */
static inline bool escape_begins(struct span s)
{
    return s.len >= 3 && s.data[0] == '%' && span_hex_value(s.data[1]) >= 0 &&
           span_hex_value(s.data[2]) >= 0;
}

/* Takes one byte off *s, which may not be empty, or an escape that stands for one. */
static inline unsigned char escape_take_byte(struct span *s)
{
    bool escape = escape_begins(*s);
    unsigned char byte = (unsigned char)s->data[0];

    if (escape)
        byte = (unsigned char)(span_hex_value(s->data[1]) * 16 + span_hex_value(s->data[2]));
    *s = span_sub(*s, escape ? 3 : 1, s->len);
    return byte;
}

#endif
