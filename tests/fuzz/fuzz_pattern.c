/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Input: a pattern of URLs, a NUL, and a file name with references to its parts. */
#include "tests/fuzz/fuzz.h"

#include "cli/pattern.h"

enum { STEPS_MAX = 200 };

/* What is escaped throughout stands for itself. */
static void check_literal(struct span text)
{
    struct text escaped = {0}, url = {0};
    struct pattern pattern;

    for (size_t i = 0; i < text.len; i++) {
        if (span_find(SPAN("{}[]"), text.data[i]) < 4)
            text_add_char(&escaped, '\\');
        text_add_char(&escaped, text.data[i]);
    }
    if (pattern_parse(&pattern, text_span(&escaped), NULL)) {
        CHECK(pattern.count == 1 && pattern.glob_count == 0 && !pattern_step(&pattern));
        pattern_write(&pattern, &url);
        CHECK(span_equal(text_span(&url), text));
        pattern_free(&pattern);
    } else {
        CHECK(text.len == 0);
    }
    text_free(&escaped);
    text_free(&url);
}

static void check_steps(struct pattern *pattern, struct span name, size_t input_bytes)
{
    uint64_t steps = 1;

    CHECK(pattern->count >= 1 && pattern->glob_count <= PATTERN_GLOBS_MAX);
    for (;;) {
        struct text url = {0}, out = {0};
        struct haul_error error = {0};

        pattern_write(pattern, &url);
        CHECK(url.len <= input_bytes + PATTERN_GLOBS_MAX * 64);
        if (!pattern_name(pattern, name, &out, &error))
            CHECK(error.status == HAUL_BAD_OPTION && error.text[0]);
        text_free(&url);
        text_free(&out);
        if (!pattern_step(pattern)) {
            CHECK(steps == pattern->count);
            return;
        }
        if (++steps > STEPS_MAX)
            return;
        CHECK(steps <= pattern->count);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span name = fuzz_span(data, size);
    struct span text = span_cut(&name, '\0');
    char *copy = fuzz_copy(text);
    struct haul_error error = {0};
    struct pattern pattern;

    if (pattern_parse(&pattern, span_make(copy, text.len), &error)) {
        free(copy);
        check_steps(&pattern, name, size);
        pattern_free(&pattern);
    } else {
        free(copy);
        CHECK(error.status == HAUL_BAD_URL && error.text[0]);
    }
    check_literal(text);
    return 0;
}
