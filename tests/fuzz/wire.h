/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a server sends, as the fuzzer makes it: flags, the number of cuts, the cuts, the bytes. And
 * what it must come to, said once more in another way.
 */
#ifndef TESTS_FUZZ_WIRE_H
#define TESTS_FUZZ_WIRE_H

#include "tests/fuzz/fuzz.h"

#include "http/response.h"

struct wire {
    uint8_t flags;
    struct span cuts; /* fuzz_piece() */
    struct span bytes;
};

enum { WIRE_TO_HEAD = 1 };

static inline struct wire wire_of(const uint8_t *data, size_t size)
{
    struct span input = fuzz_span(data, size);
    struct wire wire = {.flags = fuzz_byte(&input)};
    size_t count = fuzz_byte(&input) % 16;

    wire.cuts = span_sub(input, 0, count);
    wire.bytes = span_sub(input, wire.cuts.len, input.len);
    return wire;
}

/* What a response comes to, however it was cut. */
struct wire_outcome {
    enum response_progress head;
    enum response_progress body; /* of what is chunked */
    size_t head_bytes;           /* DONE: up to the body */
    size_t framed_bytes;         /* DONE: what the chunked body took */
    int status;
    enum response_framing framing;
    uint64_t length;
    bool has_length;
    bool keep_alive;
    struct text content; /* of what is chunked, unless it is bad */
};

/* Gives the bytes to the response in pieces. outcome->content is to be freed. */
void wire_run(struct response *response, bool to_head, struct span bytes, struct span cuts,
              struct wire_outcome *outcome);
/* A chunked body, read by the letter of RFC 9112 7.1 with nothing forgiven but what stands in an
 * extension or a trailer. False: it is not one, or not whole. */
bool wire_unchunk(struct span bytes, struct text *content, size_t *framed_bytes);

#endif
