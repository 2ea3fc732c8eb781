/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A string under construction. An allocation that fails is remembered, and what is added after it
 * is dropped: check `failed` once, at the end.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/span.h"

/* A zeroed struct text is the empty string. */
struct text {
    char *data; /* NUL-terminated once anything was added; owned here */
    size_t len;
    size_t capacity;
    bool failed;
};

void text_free(struct text *text);
void text_wipe(struct text *text);  /* the same for secrets: nothing is left in the memory */
void text_clear(struct text *text); /* keeps the memory, forgets a failure */
/* So many bytes can be added without an allocation; false: there is no memory, which is no failure
 * of what is added later. */
bool text_reserve(struct text *text, size_t len);
void text_add(struct text *text, struct span s); /* s must not be of this text */
void text_add_char(struct text *text, char c);
__attribute__((format(printf, 2, 3))) void text_printf(struct text *text, const char *format, ...);
__attribute__((format(printf, 2, 0))) void text_vprintf(struct text *text, const char *format,
                                                        va_list args);
struct span text_span(const struct text *text);
/* Writes a copy of s for people: control characters, and bytes that are no UTF-8, as \xHH. */
void text_add_escaped(struct text *text, struct span s);
/* The bytes of the well-formed UTF-8 character (RFC 3629) that s begins with: 1 to 4, or 0. */
size_t text_utf8_length(struct span s);
/* Whether this one character does something to a terminal instead of being shown. */
bool text_is_control(struct span character);

#endif
