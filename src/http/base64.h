/* SPDX-License-Identifier: GPL-3.0-or-later */
/* RFC 4648 4. */
#ifndef HTTP_BASE64_H
#define HTTP_BASE64_H

#include "base/text.h"

static inline void base64_add(struct text *out, struct span s)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    while (s.len > 0) {
        unsigned bits = 0;
        char group[4];

        for (size_t i = 0; i < 3; i++)
            bits = bits << 8 | (i < s.len ? (unsigned char)s.data[i] : 0);
        for (size_t i = 0; i < 4; i++)
            group[i] = i <= s.len ? digits[bits >> (18 - 6 * i) & 63] : '=';
        text_add(out, span_make(group, sizeof(group)));
        s = span_sub(s, 3, s.len);
    }
}

#endif
