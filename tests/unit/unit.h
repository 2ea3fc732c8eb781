/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What every unit test needs: cmocka, spans in assertions, and numbers that a seed repeats. */
#ifndef UNIT_H
#define UNIT_H

#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/check.h"
#include "base/span.h"
#include "base/text.h"

#define assert_span(actual, expected)                                                              \
    unit_assert_span((actual), span_of(expected), __FILE__, __LINE__)

/* Runs an array of cmocka tests; main() returns what this returns. */
#define UNIT_RUN(tests) cmocka_run_group_tests((tests), NULL, NULL)

static inline void unit_assert_span(struct span actual, struct span expected, const char *file,
                                    int line)
{
    if (span_equal(actual, expected))
        return;
    print_error("got \"%.*s\", want \"%.*s\"\n", SPAN_ARG(actual), SPAN_ARG(expected));
    _fail(file, line);
}

/* A copy that ends where its memory ends, so that the sanitizer sees every byte read beyond. */
static inline char *unit_copy(const char *data, size_t len)
{
    char *copy = malloc(len > 0 ? len : 1);

    assert_non_null(copy);
    if (len > 0)
        memcpy(copy, data, len);
    return copy;
}

/* Where the test was built: on a disk, where /tmp may be memory. Static storage. */
static inline const char *unit_build_directory(void)
{
    static char path[PATH_MAX];
    ssize_t len = readlink("/proc/self/exe", path, sizeof(path) - 1);

    assert_true(len > 0);
    path[len] = '\0';
    *strrchr(path, '/') = '\0';
    return path;
}

/* xorshift64*; the state may not be 0. */
static inline uint64_t unit_random(uint64_t *state)
{
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * UINT64_C(2685821657736338717);
}

#endif
