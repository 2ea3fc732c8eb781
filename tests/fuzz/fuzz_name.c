/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Input: what a server would like a file to be called. */
#include "tests/fuzz/fuzz.h"

#include "http/url.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text name = {0}, again = {0}, behind = {0}, escaped = {0};

    name_sanitize(fuzz_span(data, size), &name);
    fuzz_check_name(text_span(&name));
    name_sanitize(text_span(&name), &again);
    CHECK(span_equal(text_span(&name), text_span(&again)));
    /* What stands before it in the text stays. */
    text_add(&behind, SPAN("dir/"));
    name_sanitize(fuzz_span(data, size), &behind);
    CHECK(span_equal(span_sub(text_span(&behind), 0, 4), SPAN("dir/")));
    CHECK(span_equal(span_sub(text_span(&behind), 4, behind.len), text_span(&name)));
    /* And what is shown of any bytes is text. */
    text_add_escaped(&escaped, fuzz_span(data, size));
    CHECK(fuzz_is_utf8(text_span(&escaped)));
    for (size_t i = 0; i < escaped.len;) {
        struct span character = span_sub(text_span(&escaped), i, escaped.len);

        character.len = text_utf8_length(character);
        CHECK(!text_is_control(character));
        i += character.len;
    }
    text_free(&name);
    text_free(&again);
    text_free(&behind);
    text_free(&escaped);
    return 0;
}
