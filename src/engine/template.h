/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names with words in braces that stand for something else. Pure.
 *
 *     {host}    of the URL as asked for, with its port unless that is the scheme's own
 *     {path}    the directories of its path; a directory of its own, or several, or none
 *     {name}    as the server says, or else the URL
 *     {ext}     the end of that, with its dot, if it has one
 *     {n}       the number of the download in its engine, from 1; {n:04}: with four digits at least
 *     {sha256}  of what is stored
 *     {{        a brace
 *
 * What stands for a word never has a slash in it, but for {path}; no component is ".", ".." or
 * longer than a file system takes, nor does it hold control characters.
 */
#ifndef ENGINE_TEMPLATE_H
#define ENGINE_TEMPLATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "base/text.h"
#include "http/url.h"

/* What the words stand for. */
struct template_values {
    const struct url *url;
    struct span name;   /* one safe component */
    struct span sha256; /* hexadecimal digits; empty: not known yet, the word stands for itself */
    uint64_t number;
};

/* What the last component has to wait for. */
struct template_needs {
    bool words;  /* any at all, or "{{" */
    bool name;   /* {name} or {ext}: the response */
    bool sha256; /* the end */
};

/* False: *error (HAUL_BAD_OPTION) says what is wrong. */
bool template_check(struct span text, struct template_needs *needs, struct haul_error *error);
/* Of a template that has been checked: appends the directories, without a slash at the end, and
 * the last component. */
void template_directories(struct span text, const struct template_values *values, struct text *out);
void template_name(struct span text, const struct template_values *values, struct text *out);

#endif
