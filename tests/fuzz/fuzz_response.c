/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Input: struct wire. However the bytes are cut, the response is the same; and a chunked body that
 * is taken for whole is one to a reader who forgives nothing, with the same content: who sees
 * another end than others do can be fed a response that nobody sent.
 */
#include "tests/fuzz/wire.h"

static void compare(const struct wire_outcome *whole, const struct wire_outcome *cut)
{
    CHECK(whole->head == cut->head);
    if (whole->head != RESPONSE_DONE)
        return;
    CHECK(whole->head_bytes == cut->head_bytes && whole->status == cut->status);
    CHECK(whole->framing == cut->framing && whole->keep_alive == cut->keep_alive);
    CHECK(whole->has_length == cut->has_length && whole->length == cut->length);
    CHECK(whole->body == cut->body);
    if (whole->framing != RESPONSE_CHUNKED || whole->body == RESPONSE_BAD)
        return;
    CHECK(span_equal(text_span(&whole->content), text_span(&cut->content)));
    CHECK(whole->framed_bytes == cut->framed_bytes);
}

static void check_chunks(const struct wire_outcome *outcome, struct span bytes)
{
    struct text content = {0};
    size_t framed_bytes = 0;

    if (outcome->framing != RESPONSE_CHUNKED || outcome->body != RESPONSE_DONE)
        return;
    CHECK(wire_unchunk(span_sub(bytes, outcome->head_bytes, bytes.len), &content, &framed_bytes));
    CHECK(span_equal(text_span(&content), text_span(&outcome->content)));
    CHECK(framed_bytes == outcome->framed_bytes);
    text_free(&content);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct wire wire = wire_of(data, size);
    bool to_head = wire.flags & WIRE_TO_HEAD;
    struct response *response = response_create();
    struct wire_outcome whole, cut, single;

    CHECK(response);
    wire_run(response, to_head, wire.bytes, span_make("", 0), &whole);
    if (whole.head == RESPONSE_DONE)
        check_chunks(&whole, wire.bytes);
    wire_run(response, to_head, wire.bytes, wire.cuts, &cut);
    compare(&whole, &cut);
    wire_run(response, to_head, wire.bytes, span_make("", 1), &single);
    compare(&whole, &single);
    text_free(&whole.content);
    text_free(&cut.content);
    text_free(&single.content);
    response_destroy(response);
    return 0;
}
