/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ring/thread.h"

#include <signal.h>

#include "base/check.h"

bool thread_start(pthread_t *thread, void *(*main)(void *context), void *context)
{
    sigset_t all, before;
    int error;

    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    error = pthread_create(thread, NULL, main, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == 0;
}

void thread_join(pthread_t thread)
{
    CHECK(pthread_join(thread, NULL) == 0);
}
