/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The descriptor may have been made non-blocking by another process that shares it; then
 * output_write() waits. To make it so ourselves would change it for the others, so struct output
 * asks poll() first, and writes no more at once than a pipe that is ready takes for sure. A
 * terminal that is ready may take a single byte only: it is opened once more, where we may.
 */
#include "cli/output.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

enum {
    PIECE_BYTES = 4096,
    RETRY_MS = 10,
    RESERVED_BYTES = 4096,   /* for lines: so many can be said when no memory is left */
    LEFT_OUT_BYTES_MAX = 64, /* of the word about lines that were left out */
    FINISH_MS = 2000         /* without any progress */
};

bool output_write(int fd, struct span s)
{
    while (s.len > 0) {
        ssize_t written = write(fd, s.data, s.len);

        if (written >= 0) {
            s = span_sub(s, (size_t)written, s.len);
        } else if (errno == EAGAIN) {
            struct pollfd ready = {.fd = fd, .events = POLLOUT};

            (void)poll(&ready, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

void output_out_of_memory(int fd)
{
    (void)output_write(fd, SPAN("haul: out of memory\n"));
}

static int open_again(int fd)
{
    struct text path = {0};
    int own_fd = -1;

    if (!isatty(fd))
        return 0;
    text_printf(&path, "/proc/self/fd/%d", fd);
    if (!path.failed)
        own_fd = open(path.data, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    text_free(&path);
    return own_fd > 0 ? own_fd : 0;
}

void output_init(struct output *output, int fd, size_t lines_max)
{
    *output = (struct output){.fd = fd, .own_fd = open_again(fd), .lines_max = lines_max};
    if (lines_max > 0 && text_reserve(&output->lines, RESERVED_BYTES))
        (void)text_reserve(&output->rest, RESERVED_BYTES);
}

void output_free(struct output *output)
{
    if (output->own_fd > 0)
        close(output->own_fd);
    text_free(&output->lines);
    text_free(&output->rest);
    *output = (struct output){.fd = -1};
}

static bool takes_more(const struct output *output, int timeout_ms)
{
    struct pollfd ready = {.fd = output->fd, .events = POLLOUT};

    return poll(&ready, 1, timeout_ms) == 1;
}

static void drop_front(struct text *text, size_t len)
{
    if (len == 0)
        return;
    memmove(text->data, text->data + len, text->len - len + 1);
    text->len -= len;
}

/* Writes what is taken at once. */
static void push(struct output *output)
{
    struct span left = text_span(&output->rest);
    bool is_own = output->own_fd > 0;

    if (output->rest.failed)
        output->broken = ENOMEM;
    while (left.len > 0 && output->broken == 0) {
        ssize_t written;

        if (!takes_more(output, 0))
            break;
        written = write(is_own ? output->own_fd : output->fd, left.data,
                        is_own || left.len < PIECE_BYTES ? left.len : PIECE_BYTES);
        if (written >= 0)
            left = span_sub(left, (size_t)written, left.len);
        else if (errno == EAGAIN)
            break;
        else if (errno != EINTR)
            output->broken = errno;
    }
    if (output->broken != 0)
        text_clear(&output->rest);
    else
        drop_front(&output->rest, output->rest.len - left.len);
}

bool output_ready(struct output *output)
{
    push(output);
    return output->broken != 0 || (output->rest.len == 0 && takes_more(output, 0));
}

bool output_waits(const struct output *output)
{
    return output->rest.len > 0;
}

void output_send(struct output *output, struct span s)
{
    if (output->broken == 0 && s.len > 0)
        text_add(&output->rest, s);
    push(output);
}

bool output_wait(struct output *output, int timeout_ms)
{
    size_t before = output->rest.len;
    int left_ms = timeout_ms;

    while (before > 0 && output->rest.len == before) {
        if (left_ms == 0 || !takes_more(output, left_ms))
            return false;
        push(output);
        if (output->rest.len < before)
            break;
        /* Ready, but for less than this needs. */
        (void)poll(NULL, 0, RETRY_MS);
        if (left_ms > 0)
            left_ms = left_ms > RETRY_MS ? left_ms - RETRY_MS : 0;
    }
    return true;
}

void output_finish(struct output *output)
{
    int limit_ms = output->own_fd > 0 || output->hurried ? FINISH_MS : -1;

    while (output_waits(output) && output_wait(output, limit_ms))
        continue;
}

/* What is older goes by halves, so that it is not moved for each line. */
static void leave_lines_out(struct output *output)
{
    struct span left = text_span(&output->lines);

    while (left.len > output->lines_max / 2) {
        (void)span_cut(&left, '\n');
        output->left_out++;
    }
    drop_front(&output->lines, output->lines.len - left.len);
}

bool output_add_line(struct output *output, struct span line)
{
    if (!text_reserve(&output->lines, line.len + 1)) {
        output->left_out++;
        return true;
    }
    text_add(&output->lines, line);
    text_add_char(&output->lines, '\n');
    if (output->lines.len <= output->lines_max)
        return true;
    if (output_ready(output))
        return false;
    leave_lines_out(output);
    return true;
}

void output_take_lines(struct output *output, struct text *text)
{
    if (output->left_out > 0)
        text_printf(text, "... %llu line%s left out\n", (unsigned long long)output->left_out,
                    output->left_out == 1 ? "" : "s");
    output->left_out = 0;
    text_add(text, text_span(&output->lines));
    text_clear(&output->lines);
}

bool output_send_lines(struct output *output)
{
    bool waiting = output->lines.len > 0 || output->left_out > 0;
    bool room = !waiting || output->broken != 0 ||
                text_reserve(&output->rest, output->lines.len + LEFT_OUT_BYTES_MAX);

    if (waiting && room)
        output_take_lines(output, &output->rest);
    push(output);
    return room;
}
