/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writing to a descriptor that is somebody else's too: a terminal, a pipe, a log. */
#ifndef CLI_OUTPUT_H
#define CLI_OUTPUT_H

#include <stdbool.h>

#include "base/span.h"

/* All of it, in one write() if the system takes it so. False: it can't be written; errno says why.
 */
bool output_write(int fd, struct span s);

#endif
