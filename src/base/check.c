/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The one place where the library speaks: it is about to abort, and nobody else can tell why. */
#include "base/check.h"

#include <stdio.h>
#include <stdlib.h>

void check_failed(const char *condition, const char *file, int line)
{
    fprintf(stderr, "haul: bug: %s:%d: %s\n", file, line, condition);
    abort();
}
