/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The descriptor may have been made non-blocking by another process that shares it; then we wait.
 */
#include "cli/output.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

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
