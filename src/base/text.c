/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

bool text_reserve(struct text *text, size_t len)
{
    size_t capacity = text->capacity ? text->capacity : 64;
    char *data;

    if (text->len + len < text->capacity)
        return true;
    while (capacity <= text->len + len)
        capacity *= 2;
    data = alloc_grow(text->data, capacity, 1);
    if (!data)
        return false;
    if (!text->data)
        data[0] = '\0';
    text->data = data;
    text->capacity = capacity;
    return true;
}

/* Room for len more bytes and a NUL. */
static bool make_room(struct text *text, size_t len)
{
    text->failed = text->failed || !text_reserve(text, len);
    return !text->failed;
}

void text_free(struct text *text)
{
    free(text->data);
    *text = (struct text){0};
}

void text_wipe(struct text *text)
{
    if (text->data)
        explicit_bzero(text->data, text->capacity);
    text_free(text);
}

void text_clear(struct text *text)
{
    text->len = 0;
    text->failed = false;
    if (text->data)
        text->data[0] = '\0';
}

void text_add(struct text *text, struct span s)
{
    if (!make_room(text, s.len))
        return;
    if (s.len > 0)
        memcpy(text->data + text->len, s.data, s.len);
    text->len += s.len;
    text->data[text->len] = '\0';
}

void text_add_char(struct text *text, char c)
{
    text_add(text, span_make(&c, 1));
}

void text_vprintf(struct text *text, const char *format, va_list args)
{
    va_list again;
    int len;

    va_copy(again, args);
    len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (len < 0 || !make_room(text, (size_t)len))
        return;
    vsnprintf(text->data + text->len, (size_t)len + 1, format, args);
    text->len += (size_t)len;
}

void text_printf(struct text *text, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    text_vprintf(text, format, args);
    va_end(args);
}

struct span text_span(const struct text *text)
{
    return span_make(text->data ? text->data : "", text->len);
}

size_t text_utf8_length(struct span s)
{
    const unsigned char *p = (const unsigned char *)s.data;
    size_t len;

    if (s.len == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    len = p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    if (p[0] < 0xc2 || p[0] > 0xf4 || s.len < len)
        return 0;
    for (size_t i = 1; i < len; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
        (p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
        return 0;
    return len;
}

/* C0, DEL and C1 (U+0080 to U+009F) drive terminals; so do U+202A-E and U+2066-9 (direction). */
bool text_is_control(struct span character)
{
    const unsigned char *p = (const unsigned char *)character.data;

    if (character.len == 1)
        return p[0] < 0x20 || p[0] == 0x7f;
    if (character.len == 2)
        return p[0] == 0xc2 && p[1] < 0xa0;
    return character.len == 3 && p[0] == 0xe2 &&
           ((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) ||
            (p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9));
}

void text_add_escaped(struct text *text, struct span s)
{
    while (s.len > 0) {
        size_t len = text_utf8_length(s);
        bool plain = len > 0 && !text_is_control(span_sub(s, 0, len));

        if (len == 0)
            len = 1;
        if (plain)
            text_add(text, span_sub(s, 0, len));
        else
            for (size_t i = 0; i < len; i++)
                text_printf(text, "\\x%02x", (unsigned char)s.data[i]);
        s = span_sub(s, len, s.len);
    }
}
