/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What fuzz targets share. A target is one LLVMFuzzerTestOneInput(): bytes that anybody may have
 * made go into a module, and what the module promises is CHECKed afterwards. libFuzzer calls it in
 * build/fuzz (tools/fuzz); replay.c calls it with the corpus in all other builds.
 */
#ifndef TESTS_FUZZ_H
#define TESTS_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "base/span.h"
#include "base/text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline struct span fuzz_span(const uint8_t *data, size_t size)
{
    return span_make((const char *)data, size);
}

/* A copy that ends where its memory ends, so that the sanitizer sees every byte read beyond; to be
 * freed. */
static inline char *fuzz_copy(struct span s)
{
    char *copy = malloc(s.len > 0 ? s.len : 1);

    CHECK(copy);
    if (s.len > 0)
        memcpy(copy, s.data, s.len);
    return copy;
}

/* Takes one byte off the front; 0 where there is none left. */
static inline uint8_t fuzz_byte(struct span *input)
{
    uint8_t byte = input->len > 0 ? (uint8_t)input->data[0] : 0;

    *input = span_sub(*input, 1, input->len);
    return byte;
}

static inline uint64_t fuzz_number(struct span *input, size_t bytes)
{
    uint64_t number = 0;

    for (size_t i = 0; i < bytes; i++)
        number = number << 8 | fuzz_byte(input);
    return number;
}

/* How long the next piece of `left` bytes is: one for each byte of *cuts, once round after the
 * other; all that is left where there are none. */
static inline size_t fuzz_piece(struct span cuts, size_t *next_cut, size_t left)
{
    size_t len;

    if (cuts.len == 0)
        return left;
    len = (uint8_t)cuts.data[(*next_cut)++ % cuts.len];
    /* Mostly short ones, where the seams are; long ones get on. */
    len = len < 192 ? len + 1 : (len - 191) * 512;
    return len < left ? len : left;
}

/* Whether all of it is printable ASCII without blanks: fit for a request line. */
static inline bool fuzz_is_wire_safe(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] <= ' ' || s.data[i] >= 0x7f)
            return false;
    return true;
}

static inline bool fuzz_is_utf8(struct span s)
{
    while (s.len > 0) {
        size_t len = text_utf8_length(s);

        if (len == 0)
            return false;
        s = span_sub(s, len, s.len);
    }
    return true;
}

/* One component of a path that does nothing to a terminal and that a file system takes. */
static inline void fuzz_check_name(struct span name)
{
    CHECK(name.len > 0 && name.len <= 255 && fuzz_is_utf8(name));
    CHECK(!span_equal(name, SPAN(".")) && !span_equal(name, SPAN("..")));
    for (size_t i = 0; i < name.len;) {
        struct span character = span_sub(name, i, name.len);

        character.len = text_utf8_length(character);
        CHECK(character.data[0] != '/' && !text_is_control(character));
        i += character.len;
    }
}

#endif
