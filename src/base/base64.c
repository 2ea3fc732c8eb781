/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/base64.h"

static int base64_value(char c)
{
    if (c >= 'A' && c <= 'Z')
        return c - 'A';
    if (c >= 'a' && c <= 'z')
        return c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return c - '0' + 52;
    if (c == '+')
        return 62;
    return c == '/' ? 63 : -1;
}

bool base64_decode(struct span text, uint8_t *bytes, size_t bytes_max, size_t *len)
{
    uint32_t word = 0;
    unsigned bits = 0;

    *len = 0;
    for (int i = 0; i < 2 && text.len > 0 && text.data[text.len - 1] == '='; i++)
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        int value = base64_value(text.data[i]);

        if (value < 0)
            return false;
        word = word << 6 | (uint32_t)value;
        bits += 6;
        if (bits < 8)
            continue;
        if (*len == bytes_max)
            return false;
        bits -= 8;
        bytes[(*len)++] = (uint8_t)(word >> bits);
    }
    return bits < 6;
}

void base64_add(struct text *text, struct span bytes)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    while (bytes.len > 0) {
        size_t count = bytes.len < 3 ? bytes.len : 3;
        uint32_t word = 0;

        for (size_t i = 0; i < 3; i++)
            word = word << 8 | (i < count ? (uint8_t)bytes.data[i] : 0);
        for (size_t i = 0; i < 4; i++)
            text_add_char(text, i <= count ? digits[word >> (18 - 6 * i) & 63] : '=');
        bytes = span_sub(bytes, count, bytes.len);
    }
}
