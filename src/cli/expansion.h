/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What one argument or line of a list stands for with -P: one download after the other, whose URL,
 * mirrors and file name step together.
 */
#ifndef CLI_EXPANSION_H
#define CLI_EXPANSION_H

#include "base/status.h"
#include "cli/options.h"
#include "cli/pattern.h"

/* A zeroed one is empty. The strings are valid until the next call. */
struct expansion {
    struct pattern *patterns; /* of the URL, then of each mirror */
    size_t pattern_count;
    struct text url;
    struct text name;
    struct text *mirror_texts;
    const char **mirrors;
    const char *out; /* NULL: none was given */
};

/*
 * out: as it was asked for, may be NULL. Each mirror has as many results as the URL, or no pattern
 * in it. False: *error; the expansion is empty.
 */
bool expansion_begin(struct expansion *expansion, const char *url,
                     const struct download_options *download, const char *out,
                     struct haul_error *error);
/* Writes the next URL, mirrors and name. False: *error. */
bool expansion_write(struct expansion *expansion, const char *out, struct haul_error *error);
/* On to the next. False: that was the last. */
bool expansion_step(struct expansion *expansion);
void expansion_free(struct expansion *expansion);

#endif
