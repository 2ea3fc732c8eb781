/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What resources consist of: every byte is a function of version and offset, so that nothing need
 * be kept, and what is found somewhere tells where it belongs. Pure.
 */
#ifndef TESTS_SIM_CONTENT_H
#define TESTS_SIM_CONTENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One version of one resource. A later version may begin as an earlier one does. */
struct content {
    uint64_t size;
    uint64_t key;
    uint64_t old_key;
    uint64_t old_bytes; /* so many bytes at the beginning are of old_key; a multiple of 8 */
};

void content_fill(const struct content *content, uint64_t offset, char *data, size_t len);
/* How many bytes of data are right, from the first on. */
size_t content_match(const struct content *content, uint64_t offset, const char *data, size_t len);

#endif
