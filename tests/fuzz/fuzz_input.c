/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Input: a list, as -i takes it. Whatever stands in it, each download that is handed out is one
 * that its lines ask for, and the rest is said in lines that do nothing to a terminal.
 */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/input.h"
#include "cli/job.h"

enum { CALLS_MAX = 100000, SAID_MAX = 64 * 1024 };

static void done(haul_download *download, void *user)
{
    (void)download;
    (void)user;
}

static void check_text(const char *text, bool may_be_empty)
{
    struct span s = span_of(text);

    CHECK(text && (may_be_empty || s.len > 0));
    CHECK(span_find(s, '\n') == s.len);
}

static bool stands_in(struct span part, struct span whole)
{
    return part.len <= whole.len && memmem(whole.data, whole.len, part.data, part.len);
}

static uint64_t count_lines(struct span list)
{
    uint64_t lines = 1;

    for (size_t i = 0; i < list.len; i++)
        lines += list.data[i] == '\n';
    return lines;
}

static void check_request(const struct haul_request *request, struct span list)
{
    CHECK(request->size == sizeof(*request) && request->done == done);
    check_text(request->url, false);
    CHECK(stands_in(span_of(request->url), list));
    CHECK(span_equal(span_trim(span_of(request->url)), span_of(request->url)));
    for (size_t i = 0; i < request->mirror_count; i++) {
        check_text(request->mirrors[i], false);
        CHECK(stands_in(span_of(request->mirrors[i]), list));
    }
    for (size_t i = 0; i < request->header_count; i++) {
        check_text(request->headers[i], false);
        CHECK(stands_in(span_of(request->headers[i]), list));
    }
    if (request->out)
        CHECK(strcmp(request->out, "-") != 0 && stands_in(span_of(request->out), list));
    if (request->directory)
        check_text(request->directory, true);
    CHECK(request->sink == HAUL_SINK_FILE || request->sink == HAUL_SINK_DISCARD);
}

/* Returns how many downloads there are. */
static size_t read_list(struct input *input, struct span list)
{
    struct haul_request request;
    uint64_t line = 0, lines = count_lines(list);
    size_t count = 0;
    int fd = -1;

    for (int i = 0; i < CALLS_MAX; i++) {
        struct job *job;

        memset(&request, 0xaa, sizeof(request));
        switch (input_next(input, &request, &fd)) {
        case HAUL_SOURCE_END:
            return count;
        case HAUL_SOURCE_WAIT:
            CHECK(fd >= 0);
            break;
        case HAUL_SOURCE_READY:
            job = request.user;
            CHECK(job->line > line && job->line <= lines);
            line = job->line;
            free(job);
            check_request(&request, list);
            count++;
            break;
        }
    }
    UNREACHABLE(); /* the list has no end */
}

static void check_said(int fd)
{
    static char said[SAID_MAX];
    ssize_t len = pread(fd, said, sizeof(said), 0);
    struct span rest;

    CHECK(len >= 0);
    rest = span_make(said, (size_t)len);
    if (rest.len == sizeof(said)) /* cut, maybe within a character */
        return;
    CHECK(rest.len == 0 || said[rest.len - 1] == '\n');
    while (rest.len > 0) {
        struct span character = span_sub(rest, 0, text_utf8_length(rest));

        CHECK(character.len > 0 && (character.data[0] == '\n' || !text_is_control(character)));
        rest = span_sub(rest, character.len, rest.len);
    }
}

static int memory_file(const char *name)
{
    int fd = memfd_create(name, MFD_CLOEXEC);

    CHECK(fd >= 0);
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span list = fuzz_span(data, size);
    struct options options;
    struct report report;
    struct input_options input_options = {.options = &options, .report = &report, .done = done};
    struct haul_error error = {0};
    struct input *input;
    int fd = memory_file("list"), said = memory_file("said");
    char path[64];

    CHECK(pwrite(fd, data, size, 0) == (ssize_t)size && options_init(&options));
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    options.input_file = strdup(path);
    report_init(&report, said, false, false);
    input = input_create(&input_options, &error);
    CHECK(input);
    read_list(input, list);
    input_destroy(input);
    report_free(&report);
    check_said(said);
    options_free(&options);
    close(fd);
    close(said);
    return 0;
}
