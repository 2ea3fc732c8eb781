/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Input: a file of cookies in Netscape's format. What was understood of it is understood again. */
#include "tests/fuzz/fuzz.h"

#include "http/request.h"
#include "session/jar.h"

static const int64_t now_s = 784111777;

static size_t count_lines(struct span file)
{
    size_t lines = file.len > 0;

    for (size_t i = 0; i < file.len; i++)
        lines += file.data[i] == '\n';
    return lines;
}

static void check_given(struct jar *jar, const char *text)
{
    struct text field = {0};
    struct url url;

    CHECK(url_parse(&url, span_of(text), NULL));
    jar_give(jar, &url, now_s, &field);
    CHECK(field.len <= JAR_FIELD_BYTES_MAX && request_check_value(text_span(&field)));
    text_free(&field);
    url_free(&url);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span input = fuzz_span(data, size);
    struct jar *jar = jar_create(1), *other = jar_create(2);
    struct jar_faults faults = {0}, none = {0};
    struct text file = {0}, again = {0};

    CHECK(jar && other);
    jar_read(jar, input, now_s, &faults);
    CHECK(jar_count(jar) + faults.malformed + faults.expired <= count_lines(input));
    CHECK((faults.malformed > 0) == (faults.first > 0) && faults.first <= count_lines(input));
    jar_write(jar, now_s, &file);
    jar_read(other, text_span(&file), now_s, &none);
    CHECK(none.malformed == 0 && none.expired == 0 && jar_count(jar) == jar_count(other));
    jar_write(other, now_s, &again);
    CHECK(span_equal(text_span(&file), text_span(&again)));
    check_given(jar, "https://h/");
    check_given(jar, "http://www.example.com/a/b");
    text_free(&file);
    text_free(&again);
    jar_destroy(jar);
    jar_destroy(other);
    return 0;
}
