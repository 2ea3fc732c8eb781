/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What one thread of an engine tells another: a message stands in the object that it is about, and
 * with it goes the right to touch that object. Between one pair of threads messages keep their
 * order. Where sender and receiver are one thread, sending is a call and nothing else.
 */
#ifndef ENGINE_POST_H
#define ENGINE_POST_H

#include <stdbool.h>

#include "ring/mailbox.h"

struct ring;

/* On one way at a time; the object stays until it has arrived. */
struct message {
    struct mail mail;
    void (*arrived)(struct message *message); /* in the receiver's thread */
};

/* The receiving end. */
struct inbox {
    struct mailbox mailbox;
    struct ring *ring; /* which is woken by what comes */
};

/* A sending end; of the sender. */
struct outbox {
    struct inbox *to; /* NULL: the receiver works in the sender's thread */
    bool wake;        /* its ring is to be woken */
};

void inbox_init(struct inbox *inbox, struct ring *ring);
/* The receiver: takes all that has come, oldest first. */
void inbox_read(struct inbox *inbox);
/* The receiver may sleep until outbox_flush(): many messages, one wake-up. */
void outbox_send(struct outbox *outbox, struct message *message,
                 void (*arrived)(struct message *message));
void outbox_flush(struct outbox *outbox);

#endif
