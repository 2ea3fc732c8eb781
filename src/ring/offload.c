/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * One queue under one lock, a few threads that take from it; what is done goes to the ring's
 * mailbox.
 */
#include "ring/offload.h"

#include <pthread.h>
#include <stdlib.h>

#include "base/alloc.h"
#include "ring/internal.h"
#include "ring/thread.h"

enum { THREADS_MAX = 16 };

struct offload {
    struct ring *ring;
    pthread_mutex_t lock;
    pthread_cond_t more;
    struct list queue; /* under lock, as is ending */
    bool ending;
    unsigned thread_max;
    unsigned thread_count;
    pthread_t threads[THREADS_MAX];
};

static void *helper_main(void *context)
{
    struct offload *offload = context;

    for (;;) {
        struct list *node;
        struct op *op;

        pthread_mutex_lock(&offload->lock);
        while (!(node = list_pop_front(&offload->queue)) && !offload->ending)
            pthread_cond_wait(&offload->more, &offload->lock);
        pthread_mutex_unlock(&offload->lock);
        if (!node)
            return NULL;
        op = LIST_ITEM(node, struct op, node);
        op->res = op->work(op);
        if (mailbox_post(&offload->ring->finished, &op->mail))
            ring_wake(offload->ring);
    }
}

struct offload *offload_create(struct ring *ring, unsigned thread_count)
{
    struct offload *offload = alloc_zeroed(sizeof(*offload));

    if (!offload)
        return NULL;
    offload->ring = ring;
    offload->thread_max = thread_count > THREADS_MAX ? THREADS_MAX : thread_count;
    CHECK(offload->thread_max > 0);
    list_init(&offload->queue);
    pthread_mutex_init(&offload->lock, NULL);
    pthread_cond_init(&offload->more, NULL);
    return offload;
}

void offload_destroy(struct offload *offload)
{
    if (!offload)
        return;
    pthread_mutex_lock(&offload->lock);
    CHECK(!list_is_linked(&offload->queue));
    offload->ending = true;
    pthread_cond_broadcast(&offload->more);
    pthread_mutex_unlock(&offload->lock);
    for (unsigned i = 0; i < offload->thread_count; i++)
        thread_join(offload->threads[i]);
    pthread_cond_destroy(&offload->more);
    pthread_mutex_destroy(&offload->lock);
    free(offload);
}

static bool start_thread(struct offload *offload)
{
    if (!thread_start(&offload->threads[offload->thread_count], helper_main, offload))
        return false;
    offload->thread_count++;
    return true;
}

bool offload_add(struct offload *offload, struct op *op)
{
    if (offload->thread_count < offload->thread_max && !start_thread(offload) &&
        offload->thread_count == 0)
        return false;
    pthread_mutex_lock(&offload->lock);
    list_push_back(&offload->queue, &op->node);
    pthread_cond_signal(&offload->more);
    pthread_mutex_unlock(&offload->lock);
    return true;
}
