/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Assertions that stay on in release builds: a broken invariant must stop before it costs data. */
#ifndef BASE_CHECK_H
#define BASE_CHECK_H

#include <stddef.h>

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (__builtin_expect(!(condition), 0))                                                     \
            check_failed(#condition, __FILE__, __LINE__);                                          \
    } while (0)

/* For a place that no path reaches. */
#define UNREACHABLE() check_failed("unreachable", __FILE__, __LINE__)

#define CONTAINER_OF(pointer, type, member)                                                        \
    ((type *)(void *)((char *)(pointer)-offsetof(type, member)))

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Says what broke on standard error and aborts. */
_Noreturn void check_failed(const char *condition, const char *file, int line);

#endif
