/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A post is a compare-and-swap on the stack's top; taking all empties it in one exchange, so no
 * node is ever popped alone and the ABA problem does not arise. */
#include "ring/mailbox.h"

#include <stddef.h>

void mailbox_init(struct mailbox *mailbox)
{
    atomic_init(&mailbox->last, NULL);
}

bool mailbox_post(struct mailbox *mailbox, struct mail *mail)
{
    struct mail *last = atomic_load_explicit(&mailbox->last, memory_order_relaxed);

    do {
        mail->next = last;
    } while (!atomic_compare_exchange_weak_explicit(&mailbox->last, &last, mail,
                                                    memory_order_release, memory_order_relaxed));
    return last == NULL;
}

struct mail *mailbox_take(struct mailbox *mailbox)
{
    struct mail *mail = atomic_exchange_explicit(&mailbox->last, NULL, memory_order_acquire);
    struct mail *oldest = NULL;

    while (mail) {
        struct mail *next = mail->next;

        mail->next = oldest;
        oldest = mail;
        mail = next;
    }
    return oldest;
}
