/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "engine/template.h"

static const char digits[] = "44aff4ab2d7c3250525675a08f0cfa9591168cffe51791c5f5bbc417c15a6c38";

struct row {
    const char *text;
    const char *url;
    const char *name;
    const char *directories;
    const char *result;
};

static void try_row(const struct row *row, const char *sha256)
{
    struct text directories = {0}, name = {0};
    struct template_values values = {
        .name = span_of(row->name), .sha256 = span_of(sha256), .number = 42};
    struct template_needs needs;
    struct haul_error error;
    struct url url;

    assert_true(url_parse(&url, span_of(row->url), &error));
    values.url = &url;
    if (!template_check(span_of(row->text), &needs, &error))
        fail_msg("%s: %s", row->text, error.text);
    template_directories(span_of(row->text), &values, &directories);
    template_name(span_of(row->text), &values, &name);
    if (!span_equal(text_span(&directories), span_of(row->directories)) ||
        !span_equal(text_span(&name), span_of(row->result)))
        fail_msg("%s: %.*s, %.*s", row->text, SPAN_ARG(text_span(&directories)),
                 SPAN_ARG(text_span(&name)));
    url_free(&url);
    text_free(&directories);
    text_free(&name);
}

static void test_words(void **state)
{
    static const struct row rows[] = {
        {"{name}", "http://a/b", "b.jpg", "", "b.jpg"},
        {"{n}{ext}", "http://a/b", "b.jpg", "", "42.jpg"},
        {"{n:04}{ext}", "http://a/b", "b.tar.gz", "", "0042.gz"},
        {"{n:0}-{name}", "http://a/b", "b", "", "42-b"},
        {"{name}{ext}", "http://a/b", ".hidden", "", ".hidden"},
        {"x{ext}", "http://a/b", "a sentence. It has a dot in it", "", "x"},
        {"{sha256}{ext}", "http://a/b", "b.jpg", "",
         "44aff4ab2d7c3250525675a08f0cfa9591168cffe51791c5f5bbc417c15a6c38.jpg"},
        {"{host}/{path}/{name}", "http://A.example/x/y/z?q", "z", "a.example/x/y", "z"},
        {"{host}/{path}/{name}", "http://a/", "index.html", "a", "index.html"},
        {"{path}/{name}", "http://a/z", "z", "", "z"},
        {"{host}/{name}", "https://a:443/z", "z", "a", "z"},
        {"{host}/{name}", "http://a:8080/z", "z", "a:8080", "z"},
        {"{host}/{name}", "http://u:p@[::1]:8080/z", "z", "[::1]:8080", "z"},
        {"sub/./{host}-{n}//{name}.old", "http://a/z", "z", "sub/a-42", "z.old"},
        {"{{{n}}", "http://a/z", "z", "", "{42}"},
        {"a}b", "http://a/z", "z", "", "a}b"},
        {"{{name}", "http://a/z", "z", "", "{name}"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        try_row(&rows[i], digits);
    try_row(&(struct row){"{sha256}.x", "http://a/z", "z", "", "{sha256}.x"}, "");
}

static void test_hostile(void **state)
{
    static const struct row rows[] = {
        {"{path}/{name}", "http://a/%2e%2e/%2fetc/x%00/z", "z", "_etc/x_", "z"},
        {"{path}/{name}", "http://a/..%2f..%2fx/z", "z", ".._.._x", "z"},
        {"{path}/{name}", "http://a//b///c/z", "z", "b/c", "z"},
        {"{ext}", "http://a/z", "z", "", "_"},
        {".{ext}", "http://a/z", "z.", "", "__"},
        {"{name}", "http://a/z", "..", "", "__"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        try_row(&rows[i], digits);
}

/* A component that becomes too long is cut, and keeps its extension. */
static void test_long(void **state)
{
    char long_name[260], result[260];

    (void)state;
    memset(long_name, 'a', 251);
    strcpy(long_name + 251, ".jpg");
    strcpy(result, "42-");
    memset(result + 3, 'a', 248);
    strcpy(result + 251, ".jpg");
    try_row(&(struct row){"{n}-{name}", "http://a/z", long_name, "", result}, digits);
}

static void test_needs(void **state)
{
    static const struct {
        const char *text;
        struct template_needs needs;
    } rows[] = {
        {"plain", {false, false, false}},      {"sub/plain}", {false, false, false}},
        {"{{", {true, false, false}},          {"{host}/x", {true, false, false}},
        {"{n}", {true, false, false}},         {"a{ext}", {true, true, false}},
        {"{name}", {true, true, false}},       {"{sha256}", {true, false, true}},
        {"{sha256}{ext}", {true, true, true}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct template_needs needs;
        struct haul_error error;

        assert_true(template_check(span_of(rows[i].text), &needs, &error));
        assert_int_equal(needs.words, rows[i].needs.words);
        assert_int_equal(needs.name, rows[i].needs.name);
        assert_int_equal(needs.sha256, rows[i].needs.sha256);
    }
}

static void test_refused(void **state)
{
    static const struct {
        const char *text;
        const char *why; /* part of it */
    } rows[] = {
        {"{nam}", "{nam} in the name"},
        {"{}", "{sha256}; {{ is a brace"},
        {"a{", "stands for nothing"},
        {"a{name", "{name in"},
        {"{n:}", "{n:}"},
        {"{n:4}", "{n:4}"},
        {"{n:021}", "{n:021}"},
        {"{n:0x}", "{n:0x}"},
        {"{name:04}", "{name:04}"},
        {"{Name}", "{Name}"},
        {"{name}/x", "{name} is known too"},
        {"{ext}/x", "{ext} is known too"},
        {"{sha256}/x", "{sha256} is"},
        {"{path}", "{path} stands for directories"},
        {"a{path}/x", "{path} stands for"},
        {"x/{path}", "{path} stands for"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        size_t len = strlen(rows[i].text);
        char *copy = unit_copy(rows[i].text, len);
        struct template_needs needs;
        struct haul_error error;

        assert_false(template_check(span_make(copy, len), &needs, &error));
        assert_int_equal(error.status, HAUL_BAD_OPTION);
        if (!strstr(error.text, rows[i].why))
            fail_msg("%s: %s", rows[i].text, error.text);
        free(copy);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words), cmocka_unit_test(test_hostile), cmocka_unit_test(test_long),
        cmocka_unit_test(test_needs), cmocka_unit_test(test_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
