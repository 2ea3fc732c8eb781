/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Threads of the library's own: signals stay with the program's. */
#ifndef RING_THREAD_H
#define RING_THREAD_H

#include <pthread.h>
#include <stdbool.h>

/* Starts one with all signals blocked; to be joined. False: there is none to be had. */
bool thread_start(pthread_t *thread, void *(*main)(void *context), void *context);
void thread_join(pthread_t thread);

#endif
