/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is outside of blocks is skipped: bundles have comments there. */
#include "tls/pem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "base/base64.h"

int pem_read_file(int directory, const char *name, struct text *text)
{
    char buffer[16384];
    ssize_t got;
    int result = 0;
    int fd = openat(directory, name, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return errno;
    while ((got = read(fd, buffer, sizeof(buffer))) != 0) {
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            result = errno;
        else if (text->len + (size_t)got > PEM_FILE_BYTES_MAX)
            result = EFBIG;
        else
            text_add(text, span_make(buffer, (size_t)got));
        if (text->failed)
            result = ENOMEM;
        if (result != 0)
            break;
    }
    explicit_bzero(buffer, sizeof(buffer)); /* it may have been a key */
    close(fd);
    return result;
}

/* Where needle begins in s; s.len if it does not. */
static size_t find(struct span s, struct span needle)
{
    const char *at = s.len > 0 ? memmem(s.data, s.len, needle.data, needle.len) : NULL;

    return at ? (size_t)(at - s.data) : s.len;
}

/* A label ends on the line that it begins on. */
static bool take_label(struct span rest, struct span *label)
{
    size_t len = find(rest, SPAN("-----"));

    *label = span_sub(rest, 0, len);
    return len < rest.len && span_find(*label, '\n') == label->len;
}

bool pem_next(struct span *pem, struct pem_block *block)
{
    const struct span begin = SPAN("-----BEGIN ");
    const struct span end = SPAN("-----END ");
    const struct span dashes = SPAN("-----");

    for (;;) {
        struct span rest;
        struct span label;
        size_t len;

        *pem = span_sub(*pem, find(*pem, begin), pem->len);
        if (pem->len == 0)
            return false;
        rest = span_sub(*pem, begin.len, pem->len);
        len = find(rest, end);
        block->whole = *pem;
        *pem = rest; /* the next one may begin within one that is broken off */
        if (!take_label(rest, &block->label) || len < block->label.len + dashes.len ||
            !take_label(span_sub(rest, len + end.len, rest.len), &label) ||
            !span_equal(label, block->label))
            continue;
        block->body = span_sub(rest, label.len + dashes.len, len - label.len - dashes.len);
        if (find(block->body, begin) < block->body.len)
            continue;
        len += end.len + label.len + dashes.len;
        block->whole = span_sub(block->whole, 0, begin.len + len);
        *pem = span_sub(rest, len, rest.len);
        return true;
    }
}

bool pem_decode(const struct pem_block *block, struct text *text)
{
    size_t before = text->len;
    size_t len;

    if (!text_reserve(text, block->body.len)) {
        text->failed = true;
        return false;
    }
    for (size_t i = 0; i < block->body.len; i++)
        if (!strchr(" \t\r\n", block->body.data[i]) || !block->body.data[i])
            text_add_char(text, block->body.data[i]);
    /* In place: it is never ahead of what it reads. */
    if (text->failed || !base64_decode(span_sub(text_span(text), before, SIZE_MAX),
                                       (uint8_t *)text->data + before, text->len - before, &len)) {
        text->len = before;
        return false;
    }
    text->len = before + len;
    return true;
}
