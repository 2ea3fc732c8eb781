/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Writing to a descriptor that is somebody else's too: a terminal, a pipe, a log. Through a struct
 * output it is written to without waiting: what is not taken is kept, and lines are left out where
 * too many wait.
 */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"

/* All of it, in one write() if the system takes it so; waits as long as that takes. False: it can't
 * be written; errno says why. */
bool output_write(int fd, struct span s);
/* What can be said when there is no memory to say more. */
void output_out_of_memory(int fd);

/* A zeroed one may be freed. */
struct output {
    int fd;     /* not owned */
    int own_fd; /* the same terminal, opened so that it never waits; 0: it is none, or we may not */
    size_t lines_max;  /* bytes of lines */
    struct text lines; /* to be written; each ends in a line feed */
    uint64_t left_out; /* lines that stood before them */
    struct text rest;  /* sent, but not taken yet */
    bool hurried;      /* the user has asked for an end: output_finish() is not to wait for long */
    int broken;        /* errno of why it can't be written to any more; 0: it can */
};

/* Where more than lines_max bytes of lines wait, the older ones are left out. */
void output_init(struct output *output, int fd, size_t lines_max);
/* Does not write. */
void output_free(struct output *output);
/* Whether what was sent has been taken, and more would be. True also where it is broken. */
bool output_ready(struct output *output);
/* Whether something was sent that has not been taken. */
bool output_waits(const struct output *output);
/* Writes as much as is taken at once, and keeps the rest. */
void output_send(struct output *output, struct span s);
/* Waits until some of that is taken; false: it was not in this time (negative: no limit), or a
 * signal came. */
bool output_wait(struct output *output, int timeout_ms);
/* Waits for all of it; where it is a terminal, which may be stopped, or `hurried` is set, no longer
 * than two seconds while nothing is taken. */
void output_finish(struct output *output);
/* Keeps the line; one for which there is no memory is left out. False: many wait, and they could be
 * sent now. */
bool output_add_line(struct output *output, struct span line);
/* Moves the lines to the end of a text, with a word about those that were left out. */
void output_take_lines(struct output *output, struct text *text);
/* Sends the lines. False: there is no memory to do so now, they still wait. */
bool output_send_lines(struct output *output);

#endif
