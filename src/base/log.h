/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where the library's remarks go: to whoever asked for them. It never prints by itself. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>

#include "base/status.h"

struct log {
    enum haul_log_level level; /* HAUL_LOG_NONE: nothing is formatted */
    /* line: NUL-terminated, without a line end, valid during the call, control characters escaped
     */
    void (*write)(void *context, enum haul_log_level level, const char *line);
    void *context;
};

bool log_wants(const struct log *log, enum haul_log_level level);
__attribute__((format(printf, 3, 4))) void
log_write(const struct log *log, enum haul_log_level level, const char *format, ...);

#endif
