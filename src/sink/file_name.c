/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Both keep within NAME_MAX; a name that has to be cut is cut between UTF-8 characters. */
#include "sink/file_name.h"

static const char partial_suffix[] = ".haul";

/* At most len bytes of the name, without half a character at the end. */
static struct span cut(struct span name, size_t len)
{
    if (name.len <= len)
        return name;
    while (len > 0 && ((unsigned char)name.data[len] & 0xc0) == 0x80)
        len--;
    return span_sub(name, 0, len);
}

/* Where the extension begins: the last dot that is neither first nor far from the end. */
static size_t extension_at(struct span name)
{
    for (size_t at = name.len; at-- > 1 && name.len - at <= 16;)
        if (name.data[at] == '.')
            return at;
    return name.len;
}

void file_name_numbered(struct text *text, struct span name, unsigned number)
{
    size_t at = extension_at(name);
    struct span extension = span_sub(name, at, name.len);
    struct text middle = {0};

    text_clear(text);
    if (number == 0) {
        text_add(text, name);
        return;
    }
    text_printf(&middle, ".%u", number);
    text_add(text, cut(span_sub(name, 0, at), FILE_NAME_BYTES_MAX - middle.len - extension.len));
    text_add(text, text_span(&middle));
    text_add(text, extension);
    text->failed = text->failed || middle.failed;
    text_free(&middle);
}

void file_name_partial(struct text *text, struct span name)
{
    size_t room = FILE_NAME_BYTES_MAX - (sizeof(partial_suffix) - 1);

    text_clear(text);
    text_add(text, cut(name, name.len <= room ? name.len : room - 17));
    if (name.len > room)
        text_printf(text, "~%016llx", (unsigned long long)span_hash(name, 0));
    text_add(text, span_of(partial_suffix));
}
