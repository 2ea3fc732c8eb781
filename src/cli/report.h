/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is said to people and to the log when something ends, and the exit status that follows from
 * it all. Everything for people goes to one descriptor, standard error, or above the display.
 */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/status.h"
#include "base/text.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "haul/haul.h"

struct report {
    struct output output; /* of lines that report_flush() writes, where there is no display */
    bool quiet;
    bool color;
    struct progress *progress; /* NULL: no display; not owned */
    struct text line;          /* scratch */
    bool speechless;           /* there was no memory for a line */
    int log_fd;                /* -1: no log */
    enum haul_log_level log_level;
    uint64_t done;
    uint64_t failed;
    uint64_t unfinished;
    uint64_t kept;   /* of the unfinished: there is something to go on from */
    uint64_t bytes;  /* received for those that are done or not */
    bool trouble;    /* something has failed */
    int exit_status; /* of the failures: the lowest but 0 and 1; 0: none such */
    bool work_left;  /* of the list, not only of what was begun */
};

void report_init(struct report *report, int fd, bool quiet, bool color);
/* Writes what is left, as progress_end() does, and closes the log. */
void report_free(struct report *report);

/* Appends to the file, or writes to standard output for "-". */
bool report_open_log(struct report *report, const char *path, enum haul_log_level level,
                     struct haul_error *error);
/* Shaped for haul_options.log; context is the report. */
void report_log(void *context, enum haul_log_level level, const char *line);

/* A line for people, unless they want quiet; to the log as a notice. */
void report_say(struct report *report, const char *line);
/* The same, said in any case: "haul: ...". For what keeps the command from working at all. */
void report_fatal(struct report *report, const struct haul_error *error);
/* A download has ended. list, line: where it was asked for; line 0: as an argument. */
void report_result(struct report *report, const struct haul_result *result, const char *list,
                   uint64_t line);
/* A download could not begin, for what stands in a line of the list. */
void report_bad_line(struct report *report, const char *list, uint64_t line,
                     const struct haul_error *error);
/* The head of one was asked for and has come; it stands in the listing. */
void report_listed(struct report *report);
/* Something that belongs to no download went wrong, and counts. */
void report_failure(struct report *report, const struct haul_error *error);
/* Work is left that was not even taken in. */
void report_work_left(struct report *report);
/* The last line, where there was more than one download or something went wrong. */
void report_summary(struct report *report, uint64_t duration_ns);
/* Writes the lines that were kept back to be written at once, where that needs no waiting. */
void report_flush(struct report *report);
int report_exit_status(const struct report *report);

#endif
