/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the command keeps of a download while the engine has it: its `user` pointer. */
#ifndef CLI_JOB_H
#define CLI_JOB_H

#include <stdint.h>

#include "cli/progress.h"

/* Made by the input; freed by the download's done callback. */
struct job {
    void *owner;   /* of whoever takes what has ended */
    uint64_t line; /* of the list; 0: an argument */
    struct meter meter;
};

#endif
