/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The list is read in blocks; lines are looked at where they lie in the buffer. A download is
 * complete when the next one begins or the list ends; from a pipe or a terminal also when nothing
 * more has come for a moment, for its writer may be waiting to see it done. (A moment, because a
 * writer's block may end between a URL and its options.)
 *
 *    INPUT_ARGUMENTS -> INPUT_BETWEEN --URL--> INPUT_HELD --next URL, end--> handed out
 *                             ^                  |   |                          |
 *                             |          bad option  '--silence--> handed out   |
 *                             |                  v                     v        |
 *                             |           INPUT_REJECTED         INPUT_PASSED   |
 *                             '-----------------------------------------------'
 *
 * With -P a URL stands for several downloads. They are handed out one after the other (`item`),
 * while nothing else goes on.
 *
 * - buffer[start, end) has been read and not been used up; [start, scanned) holds no line end.
 * - A line is used up only when it has been dealt with, so a URL that completes the download before
 *   it is simply seen again.
 * - A pipe is read only when poll() says that there is something; no descriptor is made
 *   non-blocking, since that would hit everyone who shares it.
 */
#include "cli/input.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/wheel.h"
#include "cli/expansion.h"
#include "cli/job.h"
#include "cli/upload.h"

enum {
    LINE_BYTES_MAX = 64 * 1024, /* without the line end */
    READS_MAX = 16,
    READ_BYTES = 64 * 1024,
    BUFFER_BYTES = LINE_BYTES_MAX + 2 + READ_BYTES
};

static const long silence_ns = 20 * NS_PER_MS;

enum input_state {
    INPUT_ARGUMENTS, /* next_url is valid */
    INPUT_BETWEEN,   /* no download has begun; an option has nothing to belong to */
    INPUT_HELD,      /* url, url_line and download are valid: more options may come */
    INPUT_REJECTED,  /* the download that has begun is bad, and has been reported */
    INPUT_PASSED,    /* the last download went without waiting for more options */
    INPUT_ENDED
};

/* What is being handed out. */
struct item {
    uint64_t line;   /* of the list; 0: an argument */
    const char *url; /* a pattern with -P */
    const struct download_options *download;
    const char *out;
    bool more; /* the expansion has not come to its end */
};

struct input {
    enum input_state state;
    struct input_options options;
    size_t next_url;
    int fd;         /* of the list; -1: none */
    int wait_fd;    /* readable when there is more, or the silence is long enough; -1: a file, which
                       is read without waiting */
    int silence_fd; /* timer, in wait_fd */
    bool silence;   /* the timer runs */
    bool ended;     /* nothing more can be read */
    bool skipping;  /* in the rest of a line that was too long */
    char *buffer;
    size_t start;
    size_t scanned;
    size_t end;
    uint64_t line; /* number of the one at start */
    struct text url;
    uint64_t url_line;
    struct download_options download;
    struct upload upload_of_all; /* what the command line wants to be sent with each request */
    struct upload upload_of_one; /* what a line of the list has instead */
    struct item item;
    struct expansion expansion; /* of the item, with -P */
};

const char *input_name(const struct input *input)
{
    const char *file = input->options.options->input_file;

    return !file ? "" : strcmp(file, "-") == 0 ? "stdin" : file;
}

/* Lets the list be waited for; false: it is none that can be (a file), which never makes us wait.
 */
static bool make_waitable(struct input *input)
{
    struct epoll_event event = {.events = EPOLLIN};

    input->wait_fd = epoll_create1(EPOLL_CLOEXEC);
    input->silence_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (input->wait_fd >= 0 && input->silence_fd >= 0 &&
        epoll_ctl(input->wait_fd, EPOLL_CTL_ADD, input->silence_fd, &event) == 0 &&
        epoll_ctl(input->wait_fd, EPOLL_CTL_ADD, input->fd, &event) == 0)
        return true;
    if (errno != EPERM)
        return false;
    close(input->wait_fd);
    input->wait_fd = -1;
    return true;
}

static bool open_list(struct input *input, struct haul_error *error)
{
    const char *file = input->options.options->input_file;
    struct stat stat;

    input->fd = strcmp(file, "-") == 0 ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                                       : open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    input->buffer = malloc(BUFFER_BYTES);
    if (!input->buffer) {
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        return false;
    }
    if (input->fd < 0 || fstat(input->fd, &stat) != 0) {
        error_set(error, HAUL_BAD_OPTION, errno, "can't open the list %s", file);
        return false;
    }
    if (S_ISDIR(stat.st_mode)) {
        error_set(error, HAUL_BAD_OPTION, EISDIR, "can't read the list %s", file);
        return false;
    }
    if (!S_ISREG(stat.st_mode) && !make_waitable(input)) {
        error_set(error, HAUL_BAD_OPTION, errno, "can't wait for the list %s", file);
        return false;
    }
    return true;
}

struct input *input_create(const struct input_options *options, struct haul_error *error)
{
    struct input *input = alloc_zeroed(sizeof(*input));

    if (!input) {
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        return NULL;
    }
    input->options = *options;
    input->fd = -1;
    input->wait_fd = -1;
    input->silence_fd = -1;
    input->line = 1;
    if (!upload_make(&input->upload_of_all, &options->options->download, error)) {
        input_destroy(input);
        return NULL;
    }
    if (options->options->input_file && !open_list(input, error)) {
        input_destroy(input);
        return NULL;
    }
    return input;
}

static void close_if_open(int fd)
{
    if (fd >= 0)
        close(fd);
}

void input_destroy(struct input *input)
{
    if (!input)
        return;
    close_if_open(input->fd);
    close_if_open(input->wait_fd);
    close_if_open(input->silence_fd);
    free(input->buffer);
    text_free(&input->url);
    upload_free(&input->upload_of_all);
    upload_free(&input->upload_of_one);
    expansion_free(&input->expansion);
    download_options_free(&input->download);
    free(input);
}

static void report_at(struct input *input, uint64_t line, const struct haul_error *error)
{
    report_bad_line(input->options.report, input_name(input), line, error);
}

/* The download that has begun can't be: one report, however much of it is bad. */
static void reject(struct input *input, const struct haul_error *error)
{
    report_at(input, input->line, error);
    input->state = INPUT_REJECTED;
}

static void set_silence(struct input *input, bool on)
{
    struct itimerspec when = {.it_value.tv_nsec = on ? silence_ns : 0};

    if (input->silence == on)
        return;
    input->silence = on;
    CHECK(timerfd_settime(input->silence_fd, 0, &when, NULL) == 0);
}

static bool readable(int fd, int timeout_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    return poll(&ready, 1, timeout_ms) == 1;
}

/* Reads what there is. False: nothing yet; it is to be waited for. */
static bool fill(struct input *input)
{
    struct haul_error error = {0};
    ssize_t got;

    if (input->wait_fd >= 0 && !readable(input->fd, 0))
        return false;
    if (input->start > 0) {
        memmove(input->buffer, input->buffer + input->start, input->end - input->start);
        input->scanned -= input->start;
        input->end -= input->start;
        input->start = 0;
    }
    CHECK(input->end + READ_BYTES <= BUFFER_BYTES);
    got = read(input->fd, input->buffer + input->end, READ_BYTES);
    if (got < 0 && errno == EINTR)
        return true;
    if (got < 0 && errno == EAGAIN)
        return false;
    if (input->wait_fd >= 0)
        set_silence(input, false);
    if (got < 0) {
        error_set(&error, HAUL_FILE_IO, errno, "can't read on");
        report_at(input, input->line, &error);
    }
    if (got > 0)
        input->end += (size_t)got;
    else
        input->ended = true;
    return true;
}

enum line_kind {
    LINE_NONE,    /* no whole line in the buffer */
    LINE_WHOLE,   /* in *line, without its end */
    LINE_TOO_LONG /* in *line: its beginning */
};

/* Looks at the next line, without using it up. */
static enum line_kind peek_line(struct input *input, struct span *line)
{
    const char *from = input->buffer + input->scanned;
    const char *found =
        input->scanned < input->end ? memchr(from, '\n', input->end - input->scanned) : NULL;
    size_t stop = found ? (size_t)(found - input->buffer) : input->end;

    input->scanned = stop;
    *line = span_make(input->buffer + input->start, stop - input->start);
    if (line->len > 0 && line->data[line->len - 1] == '\r')
        line->len--;
    if (line->len > LINE_BYTES_MAX)
        return LINE_TOO_LONG;
    return found || (input->ended && input->start < input->end) ? LINE_WHOLE : LINE_NONE;
}

/* Uses up the line that peek_line() has seen. What is too long and has no end yet, is skipped as
 * it comes. */
static void use_line(struct input *input)
{
    bool has_end = input->scanned < input->end;

    input->skipping = !has_end;
    input->start = has_end ? input->scanned + 1 : input->end;
    input->scanned = input->start;
    if (has_end)
        input->line++;
}

/* True: the rest of the long line has been passed. */
static bool skip_rest(struct input *input)
{
    struct span line;

    (void)peek_line(input, &line);
    use_line(input);
    return !input->skipping;
}

/* Cuts the next of the URIs that tabs separate; empty: there is none. */
static struct span cut_uri(struct span *uris)
{
    struct span uri = {0};

    while (uri.len == 0 && uris->len > 0)
        uri = span_trim(span_cut(uris, '\t'));
    return uri;
}

static void begin_download(struct input *input, struct span line)
{
    struct haul_error error = {0};
    struct span mirror;

    text_clear(&input->url);
    download_options_free(&input->download);
    input->download.discard = input->options.options->download.discard;
    text_add(&input->url, cut_uri(&line));
    if (input->url.failed) {
        error_set(&error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        reject(input, &error);
        return;
    }
    while ((mirror = cut_uri(&line)).len > 0) {
        if (!download_options_add_mirror(&input->download, mirror, &error)) {
            reject(input, &error);
            return;
        }
    }
    input->url_line = input->line;
    input->state = INPUT_HELD;
}

static void add_option(struct input *input, struct span line)
{
    const char *out;
    struct haul_error error = {0};

    switch (input->state) {
    case INPUT_REJECTED:
        return;
    case INPUT_BETWEEN:
        error_set(&error, HAUL_BAD_OPTION, 0, "an option, but no URL before it");
        reject(input, &error);
        return;
    case INPUT_PASSED:
        error_set(&error, HAUL_BAD_OPTION, 0,
                  "an option that came too late: its download has begun");
        reject(input, &error);
        return;
    case INPUT_HELD:
        if (!download_options_set(&input->download, line, &error)) {
            reject(input, &error);
            return;
        }
        out = input->download.out;
        if (out && strcmp(out, "-") == 0) {
            error_set(&error, HAUL_BAD_OPTION, 0, "out: \"-\" can't be the file of a list's line");
            reject(input, &error);
        }
        return;
    case INPUT_ARGUMENTS:
    case INPUT_ENDED:
        break;
    }
    UNREACHABLE();
}

static bool is_line_of_options(struct span line)
{
    return line.len > 0 && (line.data[0] == ' ' || line.data[0] == '\t');
}

/* Why a line can't be read at all, NULL if it can. */
static const char *flaw_of(struct span line, enum line_kind kind)
{
    if (kind == LINE_TOO_LONG)
        return "the line is longer than 64 KiB";
    return span_find(line, '\0') < line.len ? "the line has a NUL byte in it" : NULL;
}

static struct span without_mark(const struct input *input, struct span line)
{
    struct span mark = SPAN("\xef\xbb\xbf");

    return input->line == 1 && span_equal(span_sub(line, 0, mark.len), mark)
               ? span_sub(line, mark.len, line.len)
               : line;
}

/* Deals with one line. False: it begins the next download, and the one before is to go first. */
static bool take_line(struct input *input, struct span line, enum line_kind kind)
{
    const char *flaw;
    struct span content;
    struct haul_error error = {0};

    line = without_mark(input, line);
    content = span_trim(line);
    if (content.len > 0 && content.data[0] != '#') {
        bool options = is_line_of_options(line);

        if (!options && input->state == INPUT_HELD)
            return false;
        flaw = flaw_of(line, kind);
        if (flaw && !(options && input->state == INPUT_REJECTED)) {
            error_set(&error, options ? HAUL_BAD_OPTION : HAUL_BAD_URL, 0, "%s", flaw);
            reject(input, &error);
        } else if (options) {
            add_option(input, content);
        } else {
            begin_download(input, content);
        }
    }
    use_line(input);
    return true;
}

static const char *first_of(const char *own, const char *of_all)
{
    return own ? own : of_all;
}

/* What a line does not say for itself, the command line says for all. */
static void fill_request(struct haul_request *request, const struct download_options *own,
                         const struct download_options *all, const struct upload *upload)
{
    bool has_login = own->user || own->bearer;

    request->method = first_of(own->method, all->method);
    request->referer = first_of(own->referer, all->referer);
    request->range = first_of(own->range, all->range);
    request->username = has_login ? own->user : all->user;
    request->password = has_login ? own->password : all->password;
    request->bearer = has_login ? own->bearer : all->bearer;
    if (!upload->there)
        return;
    request->data = text_span(&upload->data).data;
    request->data_bytes = upload->data.len;
    if (upload->content_type.len > 0)
        request->content_type = upload->content_type.data;
}

/* False: *error. */
static bool begin_item(struct input *input, struct haul_error *error)
{
    const struct item *item = &input->item;

    upload_free(&input->upload_of_one);
    if (item->line > 0 && upload_wanted(item->download) &&
        !upload_make(&input->upload_of_one, item->download, error))
        return false;
    return !input->options.options->parameterized ||
           expansion_begin(&input->expansion, item->url, item->download, item->out, error);
}

static void set_sink(const struct input *input, struct haul_request *request)
{
    const struct download_options *download = input->item.download;

    request->sink = HAUL_SINK_FILE;
    request->fd = -1;
    if (input->options.options->dry_run) {
        request->sink = HAUL_SINK_NONE;
    } else if (download->discard) {
        request->sink = HAUL_SINK_DISCARD;
    } else if (download->out && strcmp(download->out, "-") == 0) {
        request->sink = HAUL_SINK_FD;
        request->fd = STDOUT_FILENO;
        request->out = NULL;
    }
}

static void set_expanded(const struct expansion *expansion, struct haul_request *request)
{
    request->url = text_span(&expansion->url).data;
    request->out = expansion->out;
    request->mirrors = expansion->mirrors;
}

/* Of the item, one download. False: *error. */
static bool make_request(struct input *input, struct haul_request *request,
                         struct haul_error *error)
{
    const struct options *options = input->options.options;
    const struct item *item = &input->item;
    const struct download_options *download = item->download;
    struct job *job;

    if (options->parameterized && !expansion_write(&input->expansion, item->out, error))
        return false;
    job = alloc_zeroed(sizeof(*job));
    if (!job) {
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        return false;
    }
    job->owner = input->options.owner;
    job->line = item->line;
    *request = (struct haul_request){.size = sizeof(*request),
                                     .url = item->url,
                                     .out = item->out,
                                     .checksum = download->checksum,
                                     .mirrors = (const char *const *)download->mirrors.items,
                                     .mirror_count = download->mirrors.count,
                                     .done = input->options.done,
                                     .user = job};
    if (options->parameterized)
        set_expanded(&input->expansion, request);
    fill_request(request, download, &options->download,
                 input->upload_of_one.there ? &input->upload_of_one : &input->upload_of_all);
    set_sink(input, request);
    /* What stands on the command line holds for all, so the engine has it. */
    if (item->line > 0) {
        request->directory = download->dir;
        request->user_agent = download->user_agent;
        request->headers = (const char *const *)download->headers.items;
        request->header_count = download->headers.count;
    }
    return true;
}

static void report_item(struct input *input, const struct haul_error *error)
{
    struct haul_error placed = *error;

    if (input->item.line == 0 && input->options.options->url_count > 1)
        error_set(&placed, error->status, 0, "URL %zu of the command line: %s", input->next_url,
                  error->text);
    report_at(input, input->item.line, &placed);
}

/* The next download of the item. False: it failed, and has been reported; nothing follows. */
static bool hand_out_next(struct input *input, struct haul_request *request)
{
    struct haul_error error = {0};
    bool made = make_request(input, request, &error);

    if (!made)
        report_item(input, &error);
    input->item.more =
        made && input->options.options->parameterized && expansion_step(&input->expansion);
    return made;
}

/* The download is as complete as can be told. False: it failed, and has been reported. */
static bool hand_out(struct input *input, struct haul_request *request, uint64_t line,
                     const char *url, const struct download_options *download)
{
    struct haul_error error = {0};

    input->item =
        (struct item){.line = line,
                      .url = url,
                      .download = download,
                      .out = first_of(download->out, input->options.options->download.out)};
    if (begin_item(input, &error))
        return hand_out_next(input, request);
    report_item(input, &error);
    return false;
}

static bool hand_out_argument(struct input *input, struct haul_request *request)
{
    const struct options *options = input->options.options;

    while (input->next_url < options->url_count)
        if (hand_out(input, request, 0, options->urls[input->next_url++], &options->download))
            return true;
    input->state = input->fd < 0 ? INPUT_ENDED : INPUT_BETWEEN;
    return false;
}

static bool hand_out_held(struct input *input, struct haul_request *request, enum input_state state)
{
    input->state = state;
    return hand_out(input, request, input->url_line, text_span(&input->url).data, &input->download);
}

/* There is no whole line, and nothing to read: whether the download at hand can go already. */
static bool goes_without_more(struct input *input)
{
    struct span begun = span_make(input->buffer + input->start, input->end - input->start);

    if (input->state != INPUT_HELD)
        return false;
    if (begun.len > 0 && begun.data[0] != '#' && begun.data[0] != '\r')
        return !is_line_of_options(begun);
    if (input->silence && readable(input->silence_fd, 0)) {
        set_silence(input, false);
        return true;
    }
    set_silence(input, true);
    return false;
}

enum haul_source_answer input_next(void *context, struct haul_request *request, int *fd)
{
    struct input *input = context;
    enum line_kind kind;
    struct span line;
    int reads = 0;

    if (input->item.more && hand_out_next(input, request))
        return HAUL_SOURCE_READY;
    if (input->state == INPUT_ARGUMENTS && hand_out_argument(input, request))
        return HAUL_SOURCE_READY;
    while (input->state != INPUT_ENDED) {
        bool skipped = !input->skipping || skip_rest(input);

        kind = skipped ? peek_line(input, &line) : LINE_NONE;
        if (kind != LINE_NONE) {
            if (!take_line(input, line, kind) && hand_out_held(input, request, INPUT_BETWEEN))
                return HAUL_SOURCE_READY;
        } else if (input->ended) {
            bool held = input->state == INPUT_HELD;

            if (held && hand_out_held(input, request, INPUT_ENDED))
                return HAUL_SOURCE_READY;
            input->state = INPUT_ENDED;
        } else if (reads++ == READS_MAX) {
            /* Downloads must not wait for the end of a long stretch without any. */
            *fd = input->wait_fd >= 0 ? input->wait_fd : input->fd;
            return HAUL_SOURCE_WAIT;
        } else if (!fill(input)) {
            if (!goes_without_more(input)) {
                *fd = input->wait_fd;
                return HAUL_SOURCE_WAIT;
            }
            if (hand_out_held(input, request, INPUT_PASSED))
                return HAUL_SOURCE_READY;
        }
    }
    return HAUL_SOURCE_END;
}
