/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"

struct status_row {
    const char *text;
    int exit_status;
    enum status_retry retry;
};

static const struct status_row rows[] = {
#define ROW(name, exit_status, retry, text) {text, exit_status, STATUS_RETRY_##retry},
    HAUL_STATUSES(ROW)
#undef ROW
};

static const struct status_row *row(enum haul_status status)
{
    CHECK((size_t)status < COUNT_OF(rows));
    return &rows[status];
}

const char *haul_status_text(enum haul_status status)
{
    return row(status)->text;
}

int haul_status_exit(enum haul_status status)
{
    return row(status)->exit_status;
}

enum status_retry status_retry(enum haul_status status)
{
    return row(status)->retry;
}

/* At this byte, or before it where that lies within a UTF-8 character. */
static void end_early(char *text, size_t at)
{
    for (int back = 0; back < 3 && ((unsigned char)text[at] & 0xc0) == 0x80; back++)
        at--;
    memcpy(text + at, "...", sizeof("..."));
}

void error_set(struct haul_error *error, enum haul_status status, int system_errno,
               const char *format, ...)
{
    char reason[96] = "";
    size_t room;
    va_list args;
    int len;

    if (!error)
        return;
    error->status = status;
    error->system_errno = system_errno;
    if (system_errno != 0) {
        char buffer[64];

        snprintf(reason, sizeof(reason), ": %s", strerror_r(system_errno, buffer, sizeof(buffer)));
    }
    room = sizeof(error->text) - strlen(reason);
    va_start(args, format);
    len = vsnprintf(error->text, room, format, args);
    va_end(args);
    if (len >= (int)room)
        end_early(error->text, room - sizeof("..."));
    memcpy(error->text + strlen(error->text), reason, strlen(reason) + 1);
}
