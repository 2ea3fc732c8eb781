/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file sink where few descriptors may be open: sinks wait for each other's files and
 * directories.
 */
#include "tests/unit/sink_file_fixture.h"

#include <sys/stat.h>

enum { FILES_MAX = 3, DIRECTORIES_MAX = 1 };

static void begin_with_few(void)
{
    begin();
    directories_destroy(f.directories);
    f.directories = directories_create(f.ring, f.names, FILES_MAX + DIRECTORIES_MAX);
    assert_non_null(f.directories);
}

/* Nothing happens that has not been started. */
static void settle(void)
{
    for (int i = 0; i < 10; i++)
        turn_ms(0);
}

static void start_open(struct user *user)
{
    user->steps = 0;
    user->sink->operations->open(user->sink, false, &user->version);
    settle();
}

/* FILES_MAX are open, and the others wait for that. */
static void open_many(struct user *users, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char name[24];

        snprintf(name, sizeof(name), "%zu", i);
        make(&users[i], name, URL);
        assert_int_equal(prepare(&users[i]), HAUL_OK);
        assert_true(users[i].sink->open_waits);
        start_open(&users[i]);
        assert_int_equal(users[i].steps, i < FILES_MAX);
        assert_int_equal(users[i].sink->open_waits, i >= FILES_MAX);
    }
}

static void finish_many(struct user *users, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!users[i].sink)
            continue;
        assert_int_equal(publish(&users[i]), HAUL_OK);
        release(&users[i]);
    }
    end();
}

static void test_files_wait(void **state)
{
    struct user users[FILES_MAX + 4];

    (void)state;
    begin_with_few();
    open_many(users, COUNT_OF(users));
    assert_int_equal(publish(&users[1]), HAUL_OK);
    release(&users[1]);
    settle();
    assert_int_equal(users[FILES_MAX].steps, 1); /* in the order in which they came */
    assert_int_equal(users[FILES_MAX + 1].steps, 0);
    release(&users[FILES_MAX + 1]); /* whoever goes is not waited for */
    assert_int_equal(abandon(&users[0], false), HAUL_OK);
    settle();
    assert_int_equal(users[FILES_MAX + 2].steps, 1);
    release(&users[0]);
    release(&users[2]); /* without either */
    settle();
    assert_int_equal(users[FILES_MAX + 3].steps, 1);
    assert_int_equal(users[FILES_MAX + 1].steps, 0);
    finish_many(users, COUNT_OF(users));
}

/* Where a file can't be opened, its place goes on. */
static void test_place_of_a_failure(void **state)
{
    struct user users[FILES_MAX + 2];

    (void)state;
    begin_with_few();
    open_many(users, COUNT_OF(users));
    assert_int_equal(mkdirat(f.fd, partial_of("3", URL, 0), 0755), 0);
    assert_int_equal(publish(&users[0]), HAUL_OK);
    release(&users[0]);
    settle();
    assert_int_equal(users[FILES_MAX].steps, 1);
    assert_int_equal(users[FILES_MAX].error.status, HAUL_CREATE);
    assert_int_equal(users[FILES_MAX + 1].steps, 1);
    assert_int_equal(users[FILES_MAX + 1].error.status, HAUL_OK);
    assert_int_equal(abandon(&users[FILES_MAX], false), HAUL_OK);
    release(&users[FILES_MAX]);
    finish_many(users, COUNT_OF(users));
}

static void test_hurry_while_waiting(void **state)
{
    struct user users[FILES_MAX + 2];
    struct user *last = &users[FILES_MAX + 1];

    (void)state;
    begin_with_few();
    open_many(users, COUNT_OF(users));
    last->sink->operations->hurry(last->sink);
    assert_int_equal(last->steps, 0); /* it is told from the loop */
    settle();
    assert_int_equal(last->steps, 1);
    assert_int_equal(last->error.status, HAUL_UNFINISHED);
    assert_int_equal(abandon(last, false), HAUL_OK);
    release(last);
    users[0].steps = 0; /* what doesn't wait goes on */
    users[0].sink->operations->hurry(users[0].sink);
    settle();
    assert_int_equal(users[0].steps, 0);
    assert_int_equal(abandon(&users[1], false), HAUL_OK);
    release(&users[1]);
    settle();
    assert_int_equal(users[FILES_MAX].error.status, HAUL_OK);
    finish_many(users, COUNT_OF(users));
}

/* What is there of a file is found, and waited for, before anything is asked of a server; and a
 * sink that is abandoned to make way is taken up like one of another run. */
static void test_scarce_files(void **state)
{
    struct user users[FILES_MAX + 1], user;

    (void)state;
    begin_with_few();
    make(&user, "a.jpg", URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    open_version(&user, 0);
    put_version(&user, 0, 0, 2 * BLOCK);
    assert_true(user.sink->operations->scarce(user.sink)); /* the only directory that may be */
    open_many(users, FILES_MAX - 1);
    assert_int_equal(abandon(&user, true), HAUL_OK);
    assert_true(user.sink->kept);
    assert_int_equal(extents_prefix(&user.sink->stored), 0);
    make(&users[FILES_MAX - 1], "last", URL);
    fetch(&users[FILES_MAX - 1], "");
    user.steps = 0;
    user.sink->operations->prepare(user.sink);
    settle();
    assert_int_equal(user.steps, 0);
    assert_int_equal(publish(&users[0]), HAUL_OK);
    release(&users[0]);
    assert_int_equal(wait_step(&user), HAUL_OK);
    assert_false(user.sink->open_waits);
    assert_stored(&user, "0-8192");
    assert_span(text_span(&user.sink->validator), "\"v1\"");
    open_version(&user, 0);
    put_version(&user, 0, 2 * BLOCK, BODY_BYTES);
    assert_int_equal(publish(&user), HAUL_OK);
    assert_false(user.sink->kept);
    release(&user);
    assert_body("a.jpg", 0);
    finish_many(users, FILES_MAX);
}

static void make_below(struct user *user, const char *out)
{
    struct sink_file_options options = usual("ignored", URL);

    options.out = out;
    make_with(user, &options);
    user->sink->operations->prepare(user->sink);
    settle();
}

static void test_directories_wait(void **state)
{
    struct user users[5];

    (void)state;
    begin_with_few();
    put_file("file", "in the way");
    make_below(&users[0], "x/a");
    make_below(&users[1], "file/b");
    make_below(&users[2], "y/c");
    make_below(&users[3], "z/d");
    make_below(&users[4], "x/e"); /* is open already */
    assert_int_equal(users[0].steps, 1);
    assert_true(users[0].sink->operations->scarce(users[0].sink));
    for (size_t i = 1; i < 4; i++)
        assert_int_equal(users[i].steps, 0);
    assert_int_equal(users[4].steps, 1);
    users[2].sink->operations->hurry(users[2].sink);
    settle();
    assert_int_equal(users[2].error.status, HAUL_UNFINISHED);
    assert_int_equal(open_sink(&users[0], false), HAUL_OK);
    assert_int_equal(publish(&users[0]), HAUL_OK);
    release(&users[0]);
    settle();
    assert_int_equal(users[3].steps, 0);
    assert_int_equal(abandon(&users[4], false), HAUL_OK); /* the last one in x */
    settle();
    assert_int_equal(users[1].error.status, HAUL_DIRECTORY); /* and its turn goes on */
    assert_int_equal(users[3].steps, 1);
    assert_int_equal(users[3].error.status, HAUL_OK);
    users[4].steps = 0;
    users[4].sink->operations->prepare(users[4].sink);
    settle();
    assert_int_equal(users[4].steps, 0);
    release(&users[3]);
    assert_int_equal(wait_step(&users[4]), HAUL_OK);
    for (size_t i = 0; i < COUNT_OF(users); i++)
        if (users[i].sink)
            release(&users[i]);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_files_wait),          cmocka_unit_test(test_place_of_a_failure),
        cmocka_unit_test(test_hurry_while_waiting), cmocka_unit_test(test_scarce_files),
        cmocka_unit_test(test_directories_wait),
    };

    return UNIT_RUN(tests);
}
