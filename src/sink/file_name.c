/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sink/file_name.h"

#include "base/check.h"

/* ".01234567"; and what may follow. */
enum { HASH_BYTES = 9, SUFFIX_BYTES_MAX = sizeof(FILE_NAME_JOURNAL) - 1 };

static const char *const suffixes[] = {FILE_NAME_DATA, FILE_NAME_BESIDE, FILE_NAME_JOURNAL};

/* At most len bytes of the name, without half a character at the end. */
static struct span cut(struct span name, size_t len)
{
    size_t at = len;

    if (name.len <= len)
        return name;
    while (at > 0 && len - at < 3 && ((unsigned char)name.data[at] & 0xc0) == 0x80)
        at--;
    return span_sub(name, 0, at);
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
        text_add(text, cut(name, FILE_NAME_BYTES_MAX));
        return;
    }
    text_printf(&middle, ".%u", number);
    text_add(text, cut(span_sub(name, 0, at), FILE_NAME_BYTES_MAX - middle.len - extension.len));
    text_add(text, text_span(&middle));
    text_add(text, extension);
    text->failed = text->failed || middle.failed;
    text_free(&middle);
}

void file_name_partial(struct text *text, struct span name, struct span url, unsigned copy)
{
    text_clear(text);
    text_add(text, cut(name, FILE_NAME_BYTES_MAX - HASH_BYTES - SUFFIX_BYTES_MAX));
    text_printf(text, ".%08x", (unsigned)span_hash(url, copy));
}

static bool looks_partial(struct span name, struct span suffix)
{
    size_t bytes = HASH_BYTES + suffix.len;
    struct span mark = span_sub(name, name.len - bytes, bytes);

    if (name.len < bytes || mark.data[0] != '.' ||
        !span_equal(span_sub(mark, HASH_BYTES, mark.len), suffix))
        return false;
    for (size_t i = 1; i < HASH_BYTES; i++)
        if (!((mark.data[i] >= '0' && mark.data[i] <= '9') ||
              (mark.data[i] >= 'a' && mark.data[i] <= 'f')))
            return false;
    return true;
}

void file_name_aside(struct text *text, struct span name)
{
    static const struct span mark = {.data = ".checksum-mismatch", .len = 18};

    text_clear(text);
    text_add(text, cut(name, FILE_NAME_BYTES_MAX - mark.len));
    text_add(text, mark);
}

void file_name_final(struct text *text, struct span name)
{
    bool partial = false;

    text_clear(text);
    name = cut(name, FILE_NAME_BYTES_MAX);
    for (size_t i = 0; i < COUNT_OF(suffixes); i++)
        partial = partial || looks_partial(name, span_of(suffixes[i]));
    if (partial) {
        text_add(text, cut(name, FILE_NAME_BYTES_MAX - 1));
        text_add_char(text, '_');
    } else {
        text_add(text, name);
    }
}
