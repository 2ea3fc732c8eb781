/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Messages from many threads to one, without locks: a stack that the receiver takes whole. */
#ifndef RING_MAILBOX_H
#define RING_MAILBOX_H

#include <stdatomic.h>
#include <stdbool.h>

/* Stands in the object that is sent; in one mailbox at a time. */
struct mail {
    struct mail *next;
};

struct mailbox {
    _Atomic(struct mail *) last;
};

void mailbox_init(struct mailbox *mailbox);
/* Any thread. True: it was empty, so the receiver is to be woken. */
bool mailbox_post(struct mailbox *mailbox, struct mail *mail);
/* The receiver: all mail, oldest first, linked by next; NULL if there is none. */
struct mail *mailbox_take(struct mailbox *mailbox);

#endif
