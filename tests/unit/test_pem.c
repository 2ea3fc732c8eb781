/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>

#include "tls/pem.h"

#define BLOCK(label, body) "-----BEGIN " label "-----\n" body "-----END " label "-----\n"

static void test_blocks(void **state)
{
    static const char file[] = "# a comment with ----- in it\n" BLOCK(
        "A",
        "Zm9v\n") "between\r\n-----BEGIN B C-----\r\nZm9v\r\nYmFy\r\n-----END B C-----" BLOCK("D",
                                                                                              "");
    char *copy = unit_copy(file, sizeof(file) - 1);
    struct span pem = span_make(copy, sizeof(file) - 1);
    struct pem_block block;
    struct text text = {0};

    (void)state;
    assert_true(pem_next(&pem, &block));
    assert_span(block.label, "A");
    assert_true(pem_decode(&block, &text));
    assert_true(pem_next(&pem, &block));
    assert_span(block.label, "B C");
    assert_span(block.whole, "-----BEGIN B C-----\r\nZm9v\r\nYmFy\r\n-----END B C-----");
    assert_true(pem_decode(&block, &text));
    assert_span(text_span(&text), "foofoobar");
    assert_true(pem_next(&pem, &block));
    assert_span(block.label, "D");
    assert_true(pem_decode(&block, &text));
    assert_span(text_span(&text), "foofoobar");
    assert_false(pem_next(&pem, &block));
    text_free(&text);
    free(copy);
}

/* Broken ones, each before a good one, which is still found; and nothing else. */
static void test_broken_blocks(void **state)
{
    static const char *const broken[] = {
        "-----BEGIN A",
        "-----BEGIN A\n-----\n",
        "-----BEGIN A-----",
        "-----BEGIN A-----\nZm9v\n",
        "-----BEGIN A-----\nZm9v\n-----END",
        "-----BEGIN A-----\nZm9v\n-----END \n",
        "-----BEGIN A-----\nZm9v\n-----END B-----\n",
        "-----BEGIN A-----\nZm9v\n-----END A\n-----\n",
        "-----END A-----\n",
        "-----BEGIN -----END -----",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(broken); i++) {
        struct text text = {0};
        struct span pem;
        struct pem_block block;
        char *copy;

        text_add(&text, span_of(broken[i]));
        text_add(&text, SPAN(BLOCK("GOOD", "Zm9v\n")));
        copy = unit_copy(text.data, text.len);
        pem = span_make(copy, text.len);
        assert_true(pem_next(&pem, &block));
        assert_span(block.label, "GOOD");
        assert_false(pem_next(&pem, &block));
        /* nor is there one without it */
        pem = span_make(copy, strlen(broken[i]));
        assert_false(pem_next(&pem, &block));
        free(copy);
        text_free(&text);
    }
}

static void test_no_base64(void **state)
{
    static const char *const bad[] = {BLOCK("A", "Proc-Type: 4,ENCRYPTED\n\nZm9v\n"),
                                      BLOCK("A", "Zm9v!\n"), BLOCK("A", "Z\n")};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct span pem = span_of(bad[i]);
        struct text text = {0};
        struct pem_block block;

        text_add(&text, SPAN("x"));
        assert_true(pem_next(&pem, &block));
        assert_false(pem_decode(&block, &text));
        assert_false(text.failed);
        assert_span(text_span(&text), "x");
        text_free(&text);
    }
}

static void test_files(void **state)
{
    struct text text = {0};

    (void)state;
    assert_int_equal(pem_read_file(AT_FDCWD, "/nonexistent", &text), ENOENT);
    assert_int_equal(pem_read_file(AT_FDCWD, "/", &text), EISDIR);
    assert_int_equal(pem_read_file(AT_FDCWD, "/dev/zero", &text), EFBIG);
    assert_true(text.len <= PEM_FILE_BYTES_MAX);
    text_clear(&text);
    assert_int_equal(pem_read_file(AT_FDCWD, "/dev/null", &text), 0);
    assert_int_equal(text.len, 0);
    text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_blocks),
        cmocka_unit_test(test_broken_blocks),
        cmocka_unit_test(test_no_base64),
        cmocka_unit_test(test_files),
    };

    return UNIT_RUN(tests);
}
