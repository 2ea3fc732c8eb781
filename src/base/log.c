/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/log.h"

#include <stdarg.h>

#include "base/text.h"

bool log_wants(const struct log *log, enum haul_log_level level)
{
    return log->write && level <= log->level && level != HAUL_LOG_NONE;
}

void log_write(const struct log *log, enum haul_log_level level, const char *format, ...)
{
    struct text raw = {0}, line = {0};
    va_list args;

    if (!log_wants(log, level))
        return;
    va_start(args, format);
    text_vprintf(&raw, format, args);
    va_end(args);
    text_add_escaped(&line, text_span(&raw));
    if (!raw.failed && !line.failed && line.data)
        log->write(log->context, level, line.data);
    text_free(&raw);
    text_free(&line);
}
