/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/sim/content.h"

#include <string.h>

#include "tests/sim/dice.h"

enum { WORD = sizeof(uint64_t) };

static uint64_t word_at(const struct content *content, uint64_t index)
{
    uint64_t key = index * WORD < content->old_bytes ? content->old_key : content->key;
    uint64_t value = (key ^ index * UINT64_C(0x9e3779b97f4a7c15)) * UINT64_C(0xbf58476d1ce4e5b9);

    return value ^ value >> 32;
}

/* The part of one word that [offset, offset + len) begins with. */
static size_t part_of_word(uint64_t offset, size_t len)
{
    size_t left = WORD - (size_t)(offset % WORD);

    return left < len ? left : len;
}

void content_fill(const struct content *content, uint64_t offset, char *data, size_t len)
{
    while (len > 0) {
        uint64_t word = word_at(content, offset / WORD);
        size_t part = part_of_word(offset, len);

        if (part == WORD)
            memcpy(data, &word, WORD);
        else
            memcpy(data, (const char *)&word + offset % WORD, part);
        data += part;
        offset += part;
        len -= part;
    }
}

size_t content_match(const struct content *content, uint64_t offset, const char *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        uint64_t word = word_at(content, (offset + done) / WORD), found;
        size_t from = (size_t)((offset + done) % WORD);
        size_t part = part_of_word(offset + done, len - done);

        if (part == WORD) {
            memcpy(&found, data + done, WORD);
            if (found == word) {
                done += WORD;
                continue;
            }
        }
        for (size_t i = 0; i < part; i++, done++)
            if (data[done] != ((const char *)&word)[from + i])
                return done;
    }
    return done;
}
