/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "ring/mailbox.h"

enum { LETTERS = 10, SENDERS = 4, POSTS = 100000, WAIT_MS_MAX = 30000 };

struct letter {
    unsigned sender;
    unsigned number;
    unsigned seen;
    struct mail mail;
};

static struct letter *letter_of(struct mail *mail)
{
    return CONTAINER_OF(mail, struct letter, mail);
}

static void test_order(void **state)
{
    struct letter letters[LETTERS] = {0};
    struct mailbox mailbox;
    unsigned count;

    (void)state;
    mailbox_init(&mailbox);
    assert_null(mailbox_take(&mailbox));
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < LETTERS; i++) {
            letters[i].number = i;
            assert_int_equal(mailbox_post(&mailbox, &letters[i].mail), i == 0);
        }
        count = 0;
        for (struct mail *mail = mailbox_take(&mailbox); mail; mail = mail->next)
            assert_int_equal(letter_of(mail)->number, count++);
        assert_int_equal(count, LETTERS);
        assert_null(mailbox_take(&mailbox));
    }
}

struct post_office {
    struct mailbox mailbox;
    int wake_fd;
    struct letter *letters; /* SENDERS times POSTS */
};

struct sender {
    struct post_office *office;
    unsigned number;
    pthread_t thread;
};

static void *sender_main(void *context)
{
    struct sender *sender = context;
    struct letter *letters = sender->office->letters + (size_t)sender->number * POSTS;

    for (unsigned i = 0; i < POSTS; i++) {
        uint64_t one = 1;

        letters[i].sender = sender->number;
        letters[i].number = i;
        /* As the ring does: who finds the box empty wakes the receiver. Were one wake missing, it
         * would wait for good. */
        if (mailbox_post(&sender->office->mailbox, &letters[i].mail) &&
            write(sender->office->wake_fd, &one, sizeof(one)) != sizeof(one))
            abort();
    }
    return NULL;
}

/* Takes what is there; each sender's letters must come in the order of posting. */
static size_t receive(struct post_office *office, unsigned *next)
{
    size_t count = 0;

    for (struct mail *mail = mailbox_take(&office->mailbox); mail; mail = mail->next) {
        struct letter *letter = letter_of(mail);

        assert_int_equal(letter->number, next[letter->sender]);
        next[letter->sender]++;
        letter->seen++;
        count++;
    }
    return count;
}

static void test_threads(void **state)
{
    struct post_office office = {.wake_fd = eventfd(0, EFD_CLOEXEC)};
    struct sender senders[SENDERS];
    unsigned next[SENDERS] = {0};
    size_t count = 0;

    (void)state;
    mailbox_init(&office.mailbox);
    office.letters = calloc((size_t)SENDERS * POSTS, sizeof(*office.letters));
    assert_non_null(office.letters);
    for (unsigned i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.office = &office, .number = i};
        assert_int_equal(pthread_create(&senders[i].thread, NULL, sender_main, &senders[i]), 0);
    }
    while (count < (size_t)SENDERS * POSTS) {
        struct pollfd fd = {.fd = office.wake_fd, .events = POLLIN};
        uint64_t value;

        assert_int_equal(poll(&fd, 1, WAIT_MS_MAX), 1);
        assert_int_equal(read(office.wake_fd, &value, sizeof(value)), sizeof(value));
        count += receive(&office, next);
    }
    for (unsigned i = 0; i < SENDERS; i++)
        assert_int_equal(pthread_join(senders[i].thread, NULL), 0);
    assert_null(mailbox_take(&office.mailbox));
    for (size_t i = 0; i < (size_t)SENDERS * POSTS; i++)
        assert_int_equal(office.letters[i].seen, 1);
    free(office.letters);
    close(office.wake_fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_threads),
    };

    return UNIT_RUN(tests);
}
