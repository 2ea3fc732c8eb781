/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Plain system calls: they are made while no download is there yet, or none is left. A file is
 * replaced by renaming another one to its name, so that the old one is there until the new one is
 * whole and on the disk.
 */
#include "session/files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { READ_BYTES = 64 * 1024 };

static bool read_all(int fd, size_t bytes_max, struct text *content)
{
    for (;;) {
        ssize_t got;

        if (!text_reserve(content, READ_BYTES)) {
            errno = ENOMEM;
            return false;
        }
        got = read(fd, content->data + content->len, READ_BYTES);
        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return got == 0;
        content->len += (size_t)got;
        content->data[content->len] = '\0';
        if (content->len > bytes_max) {
            errno = EFBIG;
            return false;
        }
    }
}

static void cant_read(const char *path, struct haul_error *error)
{
    error_set(error, errno == ENOMEM ? HAUL_OUT_OF_MEMORY : HAUL_BAD_OPTION, errno, "can't read %s",
              path);
}

bool files_read(const char *path, size_t bytes_max, struct text *content, bool *private,
                struct haul_error *error)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    struct stat status;
    bool good;

    if (fd < 0) {
        cant_read(path, error);
        return false;
    }
    good = fstat(fd, &status) == 0 && read_all(fd, bytes_max, content);
    if (!good)
        cant_read(path, error);
    else if (private)
        *private = !S_ISREG(status.st_mode) || (status.st_mode & (S_IRWXG | S_IRWXO)) == 0;
    close(fd);
    return good;
}

static bool write_all(int fd, struct span content)
{
    while (content.len > 0) {
        ssize_t written = write(fd, content.data, content.len);

        if (written < 0 && errno == EINTR)
            continue;
        if (written < 0)
            return false;
        content = span_sub(content, (size_t)written, content.len);
    }
    return fsync(fd) == 0 || errno == EINVAL; /* a pipe can't be synced */
}

/* False: errno says why. */
static bool write_and_close(int fd, struct span content)
{
    bool good = write_all(fd, content);
    int reason = errno;

    if (close(fd) != 0 && good) {
        good = false;
        reason = errno;
    }
    errno = reason;
    return good;
}

/* temporary: ends in XXXXXX. */
static bool replace(const char *path, char *temporary, struct span content)
{
    int fd = mkostemp(temporary, O_CLOEXEC); /* with mode 0600 */
    int reason;

    if (fd < 0)
        return false;
    if (write_and_close(fd, content) && rename(temporary, path) == 0)
        return true;
    reason = errno;
    unlink(temporary);
    errno = reason;
    return false;
}

/* A device or a pipe is written to, and never replaced. */
static bool write_into(const char *path, struct span content)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);

    return fd >= 0 && write_and_close(fd, content);
}

static bool is_special(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && !S_ISREG(status.st_mode);
}

bool files_check_replace(const char *path, struct haul_error *error)
{
    char *real = realpath(path, NULL);
    const char *target = real ? real : path;
    struct text temporary = {0};
    bool good = is_special(target);
    int fd = -1;

    text_printf(&temporary, "%s.XXXXXX", target);
    if (temporary.failed)
        errno = ENOMEM;
    else if (!good)
        fd = mkostemp(temporary.data, O_CLOEXEC);
    if (fd >= 0)
        good = unlink(temporary.data) == 0 && close(fd) == 0;
    if (!good)
        error_set(error, errno == ENOMEM ? HAUL_OUT_OF_MEMORY : HAUL_BAD_OPTION, errno,
                  "it won't be possible to write %s", path);
    text_free(&temporary);
    free(real);
    return good;
}

bool files_replace(const char *path, struct span content, struct haul_error *error)
{
    char *real = realpath(path, NULL); /* what a link leads to is replaced, not the link */
    const char *target = real ? real : path;
    struct text temporary = {0};
    bool good = false;

    text_printf(&temporary, "%s.XXXXXX", target);
    if (is_special(target))
        good = write_into(target, content);
    else if (!temporary.failed)
        good = replace(target, temporary.data, content);
    else
        errno = ENOMEM;
    if (!good)
        error_set(error, errno == ENOMEM ? HAUL_OUT_OF_MEMORY : HAUL_FILE_IO, errno,
                  "can't write %s", path);
    text_free(&temporary);
    free(real);
    return good;
}
