/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * File names out of what a server chose. Whatever comes in, what goes out is one component of a
 * path, in valid UTF-8, that shows in a terminal as what it is.
 */
#include "http/url.h"

#include <string.h>

#include "http/escape.h"

enum {
    NAME_BYTES_MAX = 255,     /* of Linux's file systems */
    EXTENSION_BYTES_MAX = 16, /* longer is no extension but a sentence with a dot in it */
};

/* Cuts what stands in *name from `start` on to len bytes, or less, between characters. */
static void cut(struct text *name, size_t start, size_t len)
{
    if (name->len - start <= len)
        return;
    name->len = start + len;
    while (name->len > start && ((unsigned char)name->data[name->len] & 0xc0) == 0x80)
        name->len--;
    name->data[name->len] = '\0';
}

/* Shortens the name that begins at `start` to what a file system takes. */
static void shorten(struct text *name, size_t start)
{
    char kept[EXTENSION_BYTES_MAX];
    struct span whole = span_sub(text_span(name), start, SIZE_MAX);
    size_t dot = whole.len;

    if (whole.len <= NAME_BYTES_MAX)
        return;
    while (dot > 0 && whole.data[dot - 1] != '.')
        dot--;
    if (dot > 1 && whole.len - dot + 1 <= sizeof(kept)) {
        struct span extension = span_sub(whole, dot - 1, SIZE_MAX);

        memcpy(kept, extension.data, extension.len);
        cut(name, start, NAME_BYTES_MAX - extension.len);
        text_add(name, span_make(kept, extension.len));
    } else {
        cut(name, start, NAME_BYTES_MAX);
    }
}

void name_sanitize(struct span raw, struct text *name)
{
    size_t start = name->len;
    struct span result;

    while (raw.len > 0) {
        size_t len = text_utf8_length(raw);
        struct span character = span_sub(raw, 0, len > 0 ? len : 1);

        if (len == 0 || character.data[0] == '/' || text_is_control(character))
            text_add_char(name, '_');
        else
            text_add(name, character);
        raw = span_sub(raw, character.len, raw.len);
    }
    if (name->failed)
        return;
    result = span_sub(text_span(name), start, SIZE_MAX);
    if (result.len == 0)
        text_add_char(name, '_');
    else if (span_equal(result, SPAN(".")) || span_equal(result, SPAN("..")))
        memset(name->data + start, '_', result.len);
    else
        shorten(name, start);
}

void url_file_name(const struct url *url, struct text *name)
{
    struct span last = url->path;
    struct text decoded = {0};

    while (span_find(last, '/') < last.len)
        span_cut(&last, '/');
    if (last.len == 0)
        last = SPAN("index.html");
    while (last.len > 0)
        text_add_char(&decoded, (char)escape_take_byte(&last));
    name->failed = name->failed || decoded.failed;
    name_sanitize(text_span(&decoded), name);
    text_free(&decoded);
}
