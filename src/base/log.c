/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/text.h"

bool log_wants(const struct log *log, enum haul_log_level level)
{
    return log->write && level <= log->level && level != HAUL_LOG_NONE;
}

void log_write(const struct log *log, enum haul_log_level level, const char *format, ...)
{
    struct text line = {0};
    char raw[1024];
    va_list args;

    if (!log_wants(log, level))
        return;
    va_start(args, format);
    vsnprintf(raw, sizeof(raw), format, args);
    va_end(args);
    text_add_escaped(&line, span_of(raw));
    if (!line.failed)
        log->write(log->context, level, line.data);
    text_free(&line);
}
