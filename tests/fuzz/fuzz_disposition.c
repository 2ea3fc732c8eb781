/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Input: the value of a Content-Disposition field. */
#include "tests/fuzz/fuzz.h"

#include "http/disposition.h"

enum { SHORT_BYTES = 200 /* a name of these was not cut, which may leave a blank at its end */ };

/* Said in the way that leaves no doubt, it is the same name. */
static void check_again(struct span name)
{
    struct text value = {0}, again = {0};

    text_add(&value, SPAN("attachment; filename*=UTF-8''"));
    for (size_t i = 0; i < name.len; i++)
        text_printf(&value, "%%%02x", (unsigned char)name.data[i]);
    CHECK(disposition_name(text_span(&value), &again));
    CHECK(span_equal(text_span(&again), name));
    text_free(&value);
    text_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct text name = {0};
    struct span found;

    text_add(&name, SPAN("dir/"));
    if (!disposition_name(fuzz_span(data, size), &name)) {
        CHECK(span_equal(text_span(&name), SPAN("dir/")));
        text_free(&name);
        return 0;
    }
    CHECK(span_starts_nocase(text_span(&name), SPAN("dir/")));
    found = span_sub(text_span(&name), 4, name.len);
    fuzz_check_name(found);
    CHECK(found.data[0] != '.' && found.data[0] != '-');
    if (found.len < SHORT_BYTES)
        check_again(found);
    text_free(&name);
    return 0;
}
