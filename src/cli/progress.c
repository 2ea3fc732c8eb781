/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How the screen is kept in order: the cursor always stands at the end of the block's last line.
 * A turn moves it up to the block's first line, writes the lines that stay, then the block, all
 * with one write(), and with the terminal's own wrapping off while it writes the block, so that
 * even a character that is wider than we think can't break a line in two.
 *
 * A window that became narrower has wrapped the lines that stand there: their widths tell how many
 * rows they take now. Nothing is hidden (no cursor off, no other screen): being killed at any
 * moment leaves the terminal as it was.
 */
#include "cli/progress.h"

#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/check.h"
#include "base/wheel.h"
#include "cli/format.h"

enum {
    ROWS_STANDARD = 24,
    COLUMNS_STANDARD = 80,
    DURATION_MAX_S = 100 * 24 * 60 * 60, /* nobody wants to know, and it would not fit */
    ABOVE_BYTES_MAX = 64 * 1024,

    /* Widths of the columns of a row, each with what stands before it. */
    CELLS_PERCENT = 6,
    CELLS_BYTES = 12,
    CELLS_TOTAL = 14,
    CELLS_RATE = 14,
    CELLS_LEFT = 8,
    CELLS_NAME_MIN = 24 /* the columns give way to it, from the right */
};

static const uint64_t draw_interval_ns = 100 * NS_PER_MS;
static const uint64_t measure_interval_ns = 50 * NS_PER_MS;
static const double meter_memory_ns = 3e9;

void meter_update(struct meter *meter, uint64_t now_ns, uint64_t count)
{
    uint64_t step_ns = now_ns - meter->last_ns;
    double step;
    double share;
    double whole;

    if (meter->first_ns == 0 || now_ns < meter->last_ns) {
        *meter = (struct meter){.first_ns = now_ns, .last_ns = now_ns, .count = count};
        return;
    }
    if (step_ns < measure_interval_ns)
        return;
    step = (double)step_ns;
    /* At first the plain average, so that the first value is not taken for more than it is. */
    whole = (double)(now_ns - meter->first_ns);
    share = step / (step + meter_memory_ns);
    if (share < step / whole)
        share = step / whole;
    /* Fewer than before: it has started over. */
    if (count >= meter->count)
        meter->per_second +=
            share * ((double)(count - meter->count) * 1e9 / step - meter->per_second);
    meter->count = count;
    meter->last_ns = now_ns;
}

uint64_t meter_rate(const struct meter *meter)
{
    return (uint64_t)(meter->per_second + 0.5);
}

/* Appends s at the right end of a column so wide. */
static void add_right(struct text *text, struct span s, size_t columns)
{
    size_t cells = format_cells(s);

    if (cells < columns)
        text_printf(text, "%*s", (int)(columns - cells), "");
    text_add(text, s);
}

static unsigned percent(const struct progress_row *row)
{
    if (row->bytes >= row->total)
        return 100;
    return (unsigned)((double)row->bytes * 100.0 / (double)row->total);
}

/* UINT64_MAX: can't be told. */
static uint64_t seconds_to_go(const struct progress_row *row)
{
    if (row->total == UINT64_MAX || row->rate == 0 || row->bytes > row->total)
        return UINT64_MAX;
    return (row->total - row->bytes) / row->rate;
}

/* What stands right of the name; returns its width. */
static size_t add_columns(struct text *text, const struct progress_row *row, size_t columns)
{
    bool known = row->total != UINT64_MAX;
    size_t room = columns > CELLS_NAME_MIN ? columns - CELLS_NAME_MIN : 0;
    size_t used = CELLS_PERCENT;
    struct text cell = {0};

    if (columns < CELLS_PERCENT * 2)
        return 0;
    if (known)
        text_printf(&cell, "%u%%", percent(row));
    add_right(text, text_span(&cell), CELLS_PERCENT);
    text_clear(&cell);
    if (used + CELLS_BYTES + CELLS_RATE <= room) {
        bool wide = used + CELLS_BYTES + CELLS_TOTAL + CELLS_RATE + CELLS_LEFT <= room;

        format_size(&cell, row->bytes);
        add_right(text, text_span(&cell), CELLS_BYTES);
        text_clear(&cell);
        if (wide && known) {
            format_size(&cell, row->total);
            text_printf(text, " of ");
        }
        if (wide)
            add_right(text, text_span(&cell), CELLS_TOTAL - (known ? 4 : 0));
        text_clear(&cell);
        format_rate(&cell, row->rate);
        add_right(text, text_span(&cell), CELLS_RATE);
        text_clear(&cell);
        if (wide && seconds_to_go(row) < DURATION_MAX_S)
            format_duration(&cell, seconds_to_go(row));
        if (wide)
            add_right(text, text_span(&cell), CELLS_LEFT);
        used += CELLS_BYTES + CELLS_RATE + (wide ? CELLS_TOTAL + CELLS_LEFT : 0);
    }
    text_free(&cell);
    return used;
}

void progress_format_row(struct text *text, const struct progress_row *row, size_t columns)
{
    struct text right = {0};
    struct text name = {0};
    size_t used = add_columns(&right, row, columns);
    size_t cells;

    text_add_escaped(&name, row->name);
    cells = format_cut(text, text_span(&name), columns - used);
    if (used > 0)
        text_printf(text, "%*s", (int)(columns - used - cells), "");
    text_add(text, text_span(&right));
    text_free(&right);
    text_free(&name);
}

void progress_format_sum(struct text *text, const struct progress_sum *sum, size_t columns)
{
    const struct haul_stats *stats = &sum->stats;
    struct text line = {0};

    text_printf(&line, "%llu done, ", (unsigned long long)stats->done);
    if (stats->failed > 0)
        text_printf(&line, "%llu failed, ", (unsigned long long)stats->failed);
    text_printf(&line, "%llu%s left  ", (unsigned long long)(stats->active + stats->waiting),
                stats->source_ended ? "" : "+");
    format_size(&line, stats->bytes);
    text_printf(&line, "  ");
    format_rate(&line, sum->rate);
    if (sum->seconds_left != UINT64_MAX) {
        text_printf(&line, "  ");
        format_duration(&line, sum->seconds_left);
        text_printf(&line, " left");
    }
    if (stats->paused_hosts > 0)
        text_printf(&line, "  (%llu %s)", (unsigned long long)stats->paused_hosts,
                    stats->paused_hosts == 1 ? "server paused" : "servers paused");
    format_cut(text, text_span(&line), columns);
    text_free(&line);
}

bool progress_possible(int fd)
{
    const char *term = getenv("TERM");

    return isatty(fd) && term && *term != '\0' && strcmp(term, "dumb") != 0;
}

void progress_init(struct progress *progress, int fd, bool color)
{
    *progress = (struct progress){.color = color};
    output_init(&progress->output, fd, ABOVE_BYTES_MAX);
}

/* How many rows of the window the block takes, as wide as the window is now. */
static size_t rows_drawn(const struct progress *progress)
{
    size_t rows = 0;

    for (size_t i = 0; i < progress->drawn_count; i++) {
        size_t width = progress->drawn_widths[i];

        rows += width == 0 ? 1 : (width + progress->columns - 1) / progress->columns;
    }
    return rows;
}

/* From the end of the block to its first column and row. */
static void add_way_to_top(const struct progress *progress, struct text *text)
{
    size_t rows = rows_drawn(progress);

    text_add_char(text, '\r');
    if (rows > 1)
        text_printf(text, "\x1b[%zuA", rows - 1);
}

static void write_text(struct progress *progress, struct text *text)
{
    if (!text->failed)
        output_send(&progress->output, text_span(text));
    text_clear(text);
}

/* Takes the block away, and puts what stays where it was. */
static void add_above(struct progress *progress, struct text *screen)
{
    if (progress->drawn_count > 0) {
        add_way_to_top(progress, screen);
        text_printf(screen, "\x1b[J");
    }
    progress->drawn_count = 0;
    output_take_lines(&progress->output, screen);
}

static void write_above(struct progress *progress)
{
    add_above(progress, &progress->line);
    write_text(progress, &progress->line);
}

void progress_say(struct progress *progress, struct span line)
{
    if (!output_add_line(&progress->output, line))
        write_above(progress);
}

bool progress_due(const struct progress *progress, uint64_t now_ns)
{
    return progress->output.broken == 0 && now_ns >= progress->next_ns;
}

static void ask_window(struct progress *progress, size_t *rows)
{
    struct winsize size = {0};

    if (ioctl(progress->output.fd, TIOCGWINSZ, &size) != 0 || size.ws_row == 0 || size.ws_col == 0)
        size = (struct winsize){.ws_row = ROWS_STANDARD, .ws_col = COLUMNS_STANDARD};
    progress->columns = size.ws_col;
    *rows = size.ws_row;
}

/* Ends a line of the block that stands in progress->line. */
static void add_line(struct progress *progress, const char *color)
{
    struct span line = text_span(&progress->line);

    CHECK(progress->line_count < PROGRESS_LINES_MAX);
    if (progress->line_count > 0)
        text_add_char(&progress->block, '\n');
    progress->widths[progress->line_count++] = format_cells(line);
    if (progress->color && color)
        text_printf(&progress->block, "%s", color);
    text_add(&progress->block, line);
    if (progress->color && color)
        text_printf(&progress->block, "\x1b[0m");
    text_printf(&progress->block, "\x1b[K");
    text_clear(&progress->line);
}

/* The last column stays empty: a terminal may wrap a line that fills it. */
static size_t line_columns(const struct progress *progress)
{
    return progress->columns - 1;
}

void progress_begin(struct progress *progress, uint64_t now_ns, const struct haul_stats *stats)
{
    size_t rows;

    ask_window(progress, &rows);
    progress->line_max = rows - 1 < PROGRESS_LINES_MAX ? rows - 1 : PROGRESS_LINES_MAX;
    /* One for the sum, and one for "... and N more" where not all fit. */
    progress->row_max = progress->line_max > 0 ? progress->line_max - 1 : 0;
    if (stats->active > progress->row_max && progress->row_max > 0)
        progress->row_max--;
    progress->now_ns = now_ns;
    progress->next_ns = now_ns + draw_interval_ns;
    progress->line_count = 0;
    progress->rows_hidden = 0;
    progress->bytes_left = 0;
    progress->unknown = 0;
    text_clear(&progress->block);
    text_clear(&progress->line);
    meter_update(&progress->meter, now_ns, stats->bytes);
}

void progress_add(struct progress *progress, const struct haul_progress *download,
                  struct meter *meter)
{
    bool has_name = download->name[0] != '\0';
    struct progress_row row = {.bytes = download->bytes, .total = download->total};
    struct text url = {0};

    if (download->total == UINT64_MAX)
        progress->unknown++;
    else if (download->total > download->bytes)
        progress->bytes_left += download->total - download->bytes;
    if (meter) {
        meter_update(meter, progress->now_ns, download->bytes);
        row.rate = meter_rate(meter);
    }
    if (progress->line_count >= progress->row_max) {
        progress->rows_hidden++;
        return;
    }
    if (!has_name)
        text_add_escaped(&url, span_of(download->shown_url));
    row.name = has_name ? span_of(download->name) : text_span(&url);
    progress_format_row(&progress->line, &row, line_columns(progress));
    text_free(&url);
    add_line(progress, NULL);
}

/* What is to come in bytes, where downloads of unknown length are taken to be like those that are
 * done; UINT64_MAX where there is no way to tell. */
static uint64_t seconds_left(const struct progress *progress, const struct haul_stats *stats)
{
    double unknown = (double)(progress->unknown + stats->waiting);
    double bytes = (double)progress->bytes_left;
    double seconds;

    if (!stats->source_ended || meter_rate(&progress->meter) == 0)
        return UINT64_MAX;
    if (unknown > 0 && stats->done == 0)
        return UINT64_MAX;
    if (unknown > 0)
        bytes += unknown * (double)stats->bytes / (double)stats->done;
    seconds = bytes / progress->meter.per_second;
    return seconds < 1e9 ? (uint64_t)(seconds + 0.5) : UINT64_MAX;
}

void progress_draw(struct progress *progress, const struct haul_stats *stats)
{
    struct progress_sum sum = {.stats = *stats,
                               .rate = meter_rate(&progress->meter),
                               .seconds_left = seconds_left(progress, stats)};
    struct text *screen = &progress->line;

    /* A terminal that was stopped with ^S must not stop the downloads. */
    if (!output_ready(&progress->output))
        return;
    if (progress->line_max == 0) {
        write_above(progress);
        return;
    }
    if (progress->rows_hidden > 0 && progress->line_count + 2 <= progress->line_max) {
        struct text more = {0};

        text_printf(&more, "... and %llu more", (unsigned long long)progress->rows_hidden);
        format_cut(screen, text_span(&more), line_columns(progress));
        text_free(&more);
        add_line(progress, NULL);
    }
    progress_format_sum(screen, &sum, line_columns(progress));
    add_line(progress, "\x1b[1m");
    if (progress->output.lines.len > 0)
        add_above(progress, screen);
    else if (progress->drawn_count > 0)
        add_way_to_top(progress, screen);
    text_printf(screen, "\x1b[?7l");
    text_add(screen, text_span(&progress->block));
    text_printf(screen, "\x1b[?7h\x1b[J");
    write_text(progress, screen);
    progress->drawn_count = progress->line_count;
    memcpy(progress->drawn_widths, progress->widths,
           progress->line_count * sizeof(progress->widths[0]));
}

void progress_forget(struct progress *progress)
{
    progress->drawn_count = 0;
    progress->next_ns = 0;
}

void progress_end(struct progress *progress)
{
    write_above(progress);
    output_finish(&progress->output);
    output_free(&progress->output);
    text_free(&progress->block);
    text_free(&progress->line);
}
