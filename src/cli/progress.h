/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The display on a terminal: a block at the bottom, one line for each active download and one for
 * the whole, drawn over again; above it, lines that stay. Nothing here calls the engine, and the
 * time is a parameter.
 *
 * A turn is progress_begin(), progress_add() for each download, progress_draw().
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"
#include "cli/output.h"
#include "haul/haul.h"

/* A rate that follows what happens now, without jumping. A zeroed one is fresh. */
struct meter {
    uint64_t first_ns; /* 0: nothing has been measured yet */
    uint64_t last_ns;
    uint64_t count;
    double per_second;
};

void meter_update(struct meter *meter, uint64_t now_ns, uint64_t count);
uint64_t meter_rate(const struct meter *meter);

/* What a line of the block says. */
struct progress_row {
    struct span name;
    uint64_t bytes;
    uint64_t total; /* UINT64_MAX: unknown */
    uint64_t rate;  /* bytes for each second */
};

struct progress_sum {
    struct haul_stats stats;
    uint64_t rate;
    uint64_t seconds_left; /* UINT64_MAX: can't be told */
};

/* The lines without colour or line end, no wider than `columns`. */
void progress_format_row(struct text *text, const struct progress_row *row, size_t columns);
void progress_format_sum(struct text *text, const struct progress_sum *sum, size_t columns);

enum { PROGRESS_LINES_MAX = 256 };

struct progress {
    struct output output; /* its lines are those that stay above */
    bool color;
    struct text block;                 /* is being put together */
    struct text line;                  /* scratch */
    struct meter meter;                /* of all bytes */
    uint64_t next_ns;                  /* not to be drawn again before */
    uint64_t now_ns;                   /* of this turn, and what follows */
    size_t columns;                    /* of the window */
    size_t line_count;                 /* of the block so far */
    size_t line_max;                   /* lines that the window has room for */
    size_t row_max;                    /* downloads of them */
    uint64_t rows_hidden;              /* those that were not */
    uint64_t bytes_left;               /* of the downloads whose length is known */
    uint64_t unknown;                  /* downloads whose length is not known */
    size_t widths[PROGRESS_LINES_MAX]; /* of the lines of the block, in columns */
    size_t drawn_count;                /* lines of the block that stand on the screen */
    size_t drawn_widths[PROGRESS_LINES_MAX];
};

/* Whether the descriptor is a terminal that can do it. */
bool progress_possible(int fd);
void progress_init(struct progress *progress, int fd, bool color);
/* A line that stays above the block. */
void progress_say(struct progress *progress, struct span line);
/* Whether it is time to draw again: ten times a second at most. */
bool progress_due(const struct progress *progress, uint64_t now_ns);
void progress_begin(struct progress *progress, uint64_t now_ns, const struct haul_stats *stats);
/* Shaped for haul_each_active(). The meter is the download's; it may be NULL. */
void progress_add(struct progress *progress, const struct haul_progress *download,
                  struct meter *meter);
void progress_draw(struct progress *progress, const struct haul_stats *stats);
/* Forgets what stands on the screen: something else has written there. */
void progress_forget(struct progress *progress);
/* Writes what was said, takes the block away, frees everything. Waits for a terminal that takes
 * nothing, but for seconds only. */
void progress_end(struct progress *progress);

#endif
