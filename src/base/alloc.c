/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every allocation of the library passes here, so that a test can make any of them fail. */
#include "base/alloc.h"

#include <stdlib.h>
#include <string.h>

void *alloc_zeroed(size_t bytes)
{
    return calloc(1, bytes);
}

char *alloc_copy(const char *data, size_t len)
{
    char *copy = malloc(len + 1);

    if (!copy)
        return NULL;
    if (len > 0)
        memcpy(copy, data, len);
    copy[len] = '\0';
    return copy;
}

void *alloc_grow(void *old, size_t count, size_t item_bytes)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, item_bytes, &bytes))
        return NULL;
    return realloc(old, bytes);
}

void alloc_forget(char *secret)
{
    if (secret)
        explicit_bzero(secret, strlen(secret));
    free(secret);
}
