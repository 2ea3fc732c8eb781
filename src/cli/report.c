/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Lines for people wait until the loop has turned once: ten thousand small files a second must not
 * be as many writes. Nor do the downloads wait for whoever does not read them. Lines of the log are
 * written at once, for they matter most when the process dies. Whatever comes from servers or lists
 * is escaped before it is shown.
 */
#include "cli/report.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/wheel.h"
#include "cli/format.h"
#include "cli/output.h"

enum {
    LINES_BYTES_MAX = 1024 * 1024,
    RESERVED_BYTES = 4096 /* so long a line can be said when no memory is left */
};

#define RED   "\x1b[31m"
#define GREEN "\x1b[32m"
#define PLAIN "\x1b[0m"

void report_init(struct report *report, int fd, bool quiet, bool color)
{
    *report = (struct report){.quiet = quiet, .color = color, .log_fd = -1};
    output_init(&report->output, fd, LINES_BYTES_MAX);
    (void)text_reserve(&report->line, RESERVED_BYTES);
}

static void close_log(struct report *report)
{
    if (report->log_fd > STDERR_FILENO)
        close(report->log_fd);
    report->log_fd = -1;
}

void report_free(struct report *report)
{
    bool said = output_send_lines(&report->output) && !report->speechless;

    output_finish(&report->output);
    if (!said)
        output_out_of_memory(report->output.fd);
    output_free(&report->output);
    close_log(report);
    text_free(&report->line);
}

bool report_open_log(struct report *report, const char *path, enum haul_log_level level,
                     struct haul_error *error)
{
    report->log_level = level;
    if (strcmp(path, "-") == 0) {
        report->log_fd = STDOUT_FILENO;
        return true;
    }
    report->log_fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0666);
    if (report->log_fd >= 0)
        return true;
    error_set(error, HAUL_CREATE, errno, "can't open the log %s", path);
    return false;
}

static const char *level_name(enum haul_log_level level)
{
    switch (level) {
    case HAUL_LOG_NONE:
        break;
    case HAUL_LOG_ERROR:
        return "ERROR";
    case HAUL_LOG_WARN:
        return "WARN";
    case HAUL_LOG_NOTICE:
        return "NOTICE";
    case HAUL_LOG_INFO:
        return "INFO";
    case HAUL_LOG_DEBUG:
        return "DEBUG";
    }
    return "";
}

/* Shows one line, coloured up to its first ':'. */
static void show(struct report *report, struct span line, const char *color)
{
    struct text colored = {0};
    size_t head = span_find(line, ':');

    if (color && report->color) {
        text_printf(&colored, "%s", color);
        text_add(&colored, span_sub(line, 0, head));
        text_printf(&colored, PLAIN);
        text_add(&colored, span_sub(line, head, line.len));
        if (!colored.failed)
            line = text_span(&colored);
    }
    if (report->progress)
        progress_say(report->progress, line);
    else if (!output_add_line(&report->output, line))
        (void)output_send_lines(&report->output);
    text_free(&colored);
}

void report_log(void *context, enum haul_log_level level, const char *line)
{
    struct report *report = context;
    struct text text = {0};
    struct timespec now;
    struct tm utc;

    if (report->log_fd < 0 || level == HAUL_LOG_NONE || level > report->log_level)
        return;
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    text_printf(&text, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %-6s %s\n", utc.tm_year + 1900,
                utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                (int)(now.tv_nsec / NS_PER_MS), level_name(level), line);
    /* A log that can't be written must not stop the downloads, nor end without a word. */
    if (!text.failed && !output_write(report->log_fd, text_span(&text))) {
        text_clear(&text);
        text_printf(&text, "haul: the log ends here, it can't be written: %s", strerror(errno));
        close_log(report);
        show(report, text_span(&text), RED);
    }
    text_free(&text);
}

/* What report->line has come to: to the log, and to people. */
static void end_line(struct report *report, enum haul_log_level level, const char *color)
{
    if (report->line.failed) {
        report->speechless = report->speechless || !report->quiet;
        return;
    }
    report_log(report, level, text_span(&report->line).data);
    if (!report->quiet)
        show(report, text_span(&report->line), color);
}

void report_say(struct report *report, const char *line)
{
    text_clear(&report->line);
    text_add(&report->line, span_of(line));
    end_line(report, HAUL_LOG_NOTICE, NULL);
}

void report_fatal(struct report *report, const struct haul_error *error)
{
    text_clear(&report->line);
    text_printf(&report->line, "haul: ");
    text_add_escaped(&report->line, span_of(error->text));
    if (report->line.failed) {
        report->speechless = true;
        return;
    }
    report_log(report, HAUL_LOG_ERROR, text_span(&report->line).data);
    show(report, text_span(&report->line), RED);
}

static uint64_t bytes_received(const struct haul_result *result)
{
    return result->bytes > result->resumed_bytes ? result->bytes - result->resumed_bytes : 0;
}

/* What people can do about it, NULL where there is nothing short to say. */
static const char *advice(const struct haul_result *result)
{
    switch (result->status) {
    case HAUL_TIMEOUT:
        return "--timeout=SEC waits longer";
    case HAUL_CONNECT_TIMEOUT:
        return "--connect-timeout=SEC waits longer";
    case HAUL_EXISTS:
        return "--auto-file-renaming would give it another name";
    case HAUL_CANNOT_RESUME:
        return "to a file (without -o -) it would be begun anew";
    case HAUL_UNAUTHORIZED:
        return result->http_status == 401
                   ? "--http-user and --http-passwd, --bearer or ~/.netrc log in"
                   : "--all-proxy=http://USER:PASSWORD@... logs in to it, if it takes Basic";
    case HAUL_TOO_SLOW:
        return "a lower --lowest-speed-limit, or none, would let it go on";
    case HAUL_DISK_FULL:
        return "with --disk-full=wait it would wait until there is room";
    case HAUL_BUSY:
        return "try later, or with -x 1 and --wait";
    case HAUL_OK:
    case HAUL_FAILED:
    case HAUL_OUT_OF_MEMORY:
    case HAUL_NO_IO_URING:
    case HAUL_CERTIFICATE: /* its own text knows better what to do */
    case HAUL_TLS:
    case HAUL_NOT_FOUND:
    case HAUL_NETWORK:
    case HAUL_SHORT_BODY:
    case HAUL_UNFINISHED:
    case HAUL_CHECKSUM:
    case HAUL_IN_USE:
    case HAUL_RENAME:
    case HAUL_CREATE:
    case HAUL_FILE_IO:
    case HAUL_DIRECTORY:
    case HAUL_HOST_UNKNOWN:
    case HAUL_RESOLVER:
    case HAUL_BAD_RESPONSE:
    case HAUL_HTTP_ERROR:
    case HAUL_SERVER_ERROR:
    case HAUL_REDIRECTS:
    case HAUL_BAD_URL:
    case HAUL_BAD_OPTION:
    case HAUL_STATUS_COUNT:
        break;
    }
    return NULL;
}

static void count_status(struct report *report, enum haul_status status)
{
    int exit_status = haul_status_exit(status);

    report->trouble = true;
    if (exit_status > 1 && (report->exit_status == 0 || exit_status < report->exit_status))
        report->exit_status = exit_status;
}

static uint64_t rate_of(uint64_t bytes, uint64_t duration_ns)
{
    return duration_ns == 0 ? 0 : (uint64_t)((double)bytes * 1e9 / (double)duration_ns);
}

static void report_done(struct report *report, const struct haul_result *result)
{
    struct text *line = &report->line;

    text_printf(line, result->unchanged ? "unchanged: " : "done: ");
    if (result->path[0] != '\0')
        text_add_escaped(line, span_of(result->path));
    else
        text_add_escaped(line, span_of(result->shown_url));
    if (result->unchanged) {
        report->done++;
        end_line(report, HAUL_LOG_NOTICE, GREEN);
        return;
    }
    text_printf(line, " (");
    format_size(line, result->bytes);
    if (bytes_received(result) > 0 && result->duration_ns > 0) {
        text_printf(line, ", ");
        format_rate(line, rate_of(bytes_received(result), result->duration_ns));
    }
    text_printf(line, ")");
    report->done++;
    end_line(report, HAUL_LOG_NOTICE, GREEN);
}

static void add_place(struct text *text, const char *list, uint64_t line)
{
    if (line == 0)
        return;
    text_add_escaped(text, span_of(list));
    text_printf(text, ":%llu: ", (unsigned long long)line);
}

static void report_failed(struct report *report, const struct haul_result *result, const char *list,
                          uint64_t list_line)
{
    struct text *line = &report->line;
    const char *hint = advice(result);

    text_printf(line, "failed: ");
    add_place(line, list, list_line);
    text_add_escaped(line, span_of(result->shown_url));
    text_printf(line, ": ");
    text_add_escaped(
        line, span_of(result->error[0] != '\0' ? result->error : haul_status_text(result->status)));
    if (result->tries > 1)
        text_printf(line, " (%u tries)", result->tries);
    if (hint) {
        text_printf(line, "; %s", hint);
    } else if (result->status == HAUL_CHECKSUM && result->path[0] != '\0') {
        text_printf(line, "; it is kept as ");
        text_add_escaped(line, span_of(result->path));
    } else if (result->kept) {
        text_printf(line, "; what has come is kept, the same command goes on from there");
    }
    report->failed++;
    count_status(report, result->status);
    end_line(report, HAUL_LOG_ERROR, RED);
}

void report_result(struct report *report, const struct haul_result *result, const char *list,
                   uint64_t line)
{
    text_clear(&report->line);
    report->bytes += bytes_received(result);
    if (result->status == HAUL_OK) {
        report_done(report, result);
    } else if (result->status == HAUL_UNFINISHED) {
        /* Whoever has stopped the command knows; the summary counts them. */
        report->unfinished++;
        report->kept += result->kept;
        text_printf(&report->line, "unfinished: ");
        text_add_escaped(&report->line, span_of(result->shown_url));
        if (!report->line.failed)
            report_log(report, HAUL_LOG_INFO, text_span(&report->line).data);
    } else {
        report_failed(report, result, list, line);
    }
}

void report_bad_line(struct report *report, const char *list, uint64_t line,
                     const struct haul_error *error)
{
    text_clear(&report->line);
    text_printf(&report->line, "failed: ");
    add_place(&report->line, list, line);
    text_add_escaped(&report->line, span_of(error->text));
    report->failed++;
    count_status(report, error->status);
    end_line(report, HAUL_LOG_ERROR, RED);
}

void report_listed(struct report *report)
{
    report->done++;
}

void report_failure(struct report *report, const struct haul_error *error)
{
    count_status(report, error->status);
    report_fatal(report, error);
}

void report_work_left(struct report *report)
{
    report->work_left = true;
}

/* "; 1.2 GiB in 9.4s (130.7 MiB/s)" */
static void add_pace(struct text *line, uint64_t bytes, uint64_t duration_ns)
{
    uint64_t tenths = (duration_ns + NS_PER_S / 20) / (NS_PER_S / 10);

    text_printf(line, "; ");
    format_size(line, bytes);
    text_printf(line, " in ");
    if (tenths < 100)
        text_printf(line, "%u.%us", (unsigned)(tenths / 10), (unsigned)(tenths % 10));
    else
        format_duration(line, (tenths + 5) / 10);
    text_printf(line, " (");
    format_rate(line, rate_of(bytes, duration_ns));
    text_printf(line, ")");
}

void report_summary(struct report *report, uint64_t duration_ns)
{
    struct text *line = &report->line;

    if (report->done + report->failed + report->unfinished < 2 && report->unfinished == 0 &&
        !report->work_left)
        return;
    text_clear(line);
    text_printf(line, "%llu done", (unsigned long long)report->done);
    if (report->failed > 0)
        text_printf(line, ", %llu failed", (unsigned long long)report->failed);
    if (report->unfinished > 0)
        text_printf(line, ", %llu unfinished", (unsigned long long)report->unfinished);
    if (report->bytes > 0)
        add_pace(line, report->bytes, duration_ns);
    if (report->work_left)
        text_printf(line, "; the input was not read to its end");
    if (report->kept == 1)
        text_printf(line, "; 1 partial file kept: the same URL to the same place goes on");
    else if (report->kept > 1)
        text_printf(line, "; %llu partial files kept: the same URLs to the same place go on",
                    (unsigned long long)report->kept);
    end_line(report, HAUL_LOG_NOTICE, NULL);
}

void report_flush(struct report *report)
{
    if (output_ready(&report->output))
        (void)output_send_lines(&report->output);
}

int report_exit_status(const struct report *report)
{
    if (report->trouble)
        return report->exit_status > 1 ? report->exit_status : 1;
    return report->unfinished > 0 || report->work_left ? haul_status_exit(HAUL_UNFINISHED) : 0;
}
