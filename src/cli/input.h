/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What there is to download: the URLs among the arguments, then those of a list. The memory does
 * not grow with the list.
 *
 * A list is aria2c's: a line for each download, mirrors separated by tabs; the indented lines that
 * follow are options of it; '#' begins a comment.
 */
#ifndef CLI_INPUT_H
#define CLI_INPUT_H

#include "cli/options.h"
#include "cli/report.h"
#include "haul/haul.h"

struct input;

struct input_options {
    const struct options *options; /* outlives the input */
    struct report *report;         /* the same; told of bad lines */
    /* For every request that is handed out; user is a struct job with this owner, and done frees
     * it. */
    void (*done)(haul_download *download, void *user);
    void *owner;
};

/* Opens the list. NULL: *error says why not. */
struct input *input_create(const struct input_options *options, struct haul_error *error);
void input_destroy(struct input *input); /* NULL is allowed */
/* Shaped for haul_source.next; context is the input. Sets every field of the request. */
enum haul_source_answer input_next(void *context, struct haul_request *request, int *fd);
/* The list's name for people. */
const char *input_name(const struct input *input);

#endif
