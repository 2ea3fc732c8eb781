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

void content_fill(const struct content *content, uint64_t offset, char *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        uint64_t word = word_at(content, (offset + done) / WORD);
        size_t from = (size_t)((offset + done) % WORD);
        size_t part = WORD - from < len - done ? WORD - from : len - done;

        memcpy(data + done, (const char *)&word + from, part);
        done += part;
    }
}

size_t content_match(const struct content *content, uint64_t offset, const char *data, size_t len)
{
    size_t done = 0;

    while (done < len) {
        uint64_t word = word_at(content, (offset + done) / WORD);
        size_t from = (size_t)((offset + done) % WORD);
        size_t part = WORD - from < len - done ? WORD - from : len - done;

        if (memcmp(data + done, (const char *)&word + from, part) != 0) {
            while (data[done] == ((const char *)&word)[from++])
                done++;
            return done;
        }
        done += part;
    }
    return done;
}
