/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * How many sockets are open, counted from the attempt that opens one to the closing of the
 * connection that it became: descriptors are short until the kernel has let go of them.
 */
#ifndef NET_SOCKETS_H
#define NET_SOCKETS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

/* What all connectors have together; any thread. */
struct socket_budget {
    size_t open_max; /* does not change while it is in use */
    _Atomic size_t open;
};

/* What one of them has of it; one thread. */
struct socket_count {
    struct socket_budget *budget;
    size_t open;
    /* Is called before one more is opened: to close what nobody needs. */
    void (*make_room)(struct socket_count *count);
};

/* False: there is none to be had now. */
static inline bool socket_count_take(struct socket_count *count)
{
    count->make_room(count);
    if (atomic_fetch_add_explicit(&count->budget->open, 1, memory_order_relaxed) >=
        count->budget->open_max) {
        atomic_fetch_sub_explicit(&count->budget->open, 1, memory_order_relaxed);
        return false;
    }
    count->open++;
    return true;
}

/* After it was closed. */
static inline void socket_count_give(struct socket_count *count)
{
    count->open--;
    atomic_fetch_sub_explicit(&count->budget->open, 1, memory_order_relaxed);
}

#endif
