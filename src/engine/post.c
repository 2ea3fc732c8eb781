/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Mail lies in the box from the moment it is sent; flushing only wakes who may sleep. A receiver
 * that is awake anyway finds it at once. */
#include "engine/post.h"

#include "base/check.h"
#include "ring/ring.h"

void inbox_init(struct inbox *inbox, struct ring *ring)
{
    mailbox_init(&inbox->mailbox);
    inbox->ring = ring;
}

void inbox_read(struct inbox *inbox)
{
    struct mail *mail = mailbox_take(&inbox->mailbox);

    while (mail) {
        struct message *message = CONTAINER_OF(mail, struct message, mail);

        mail = mail->next; /* its object may go, or send it back */
        message->arrived(message);
    }
}

void outbox_send(struct outbox *outbox, struct message *message,
                 void (*arrived)(struct message *message))
{
    if (!outbox->to) {
        arrived(message);
        return;
    }
    message->arrived = arrived;
    if (mailbox_post(&outbox->to->mailbox, &message->mail))
        outbox->wake = true;
}

void outbox_flush(struct outbox *outbox)
{
    if (!outbox->wake)
        return;
    outbox->wake = false;
    ring_wake(outbox->to->ring);
}
