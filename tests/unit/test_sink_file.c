/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file sink against real directories: names, files of other programs, directories, and letting
 * go. What is kept for another run is test_sink_file_partial's, how bytes get to the disk is
 * test_sink_file_ways'. */
#include "tests/unit/sink_file_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sink/file_name.h"

enum { NOBODY = 65534, MANY_DIRECTORIES = 70 };

/* ---- publishing ---- */

static void test_fresh(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * BASES; i++) {
        struct user user;
        struct put puts[2];
        char path[1100];

        begin_at(bases[i / 2], i % 2 ? HAUL_FEATURE_RENAME_NOREPLACE : 0);
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_int_equal(extents_prefix(&user.sink->stored), 0);
        assert_int_equal(user.sink->have_total, UINT64_MAX);
        assert_false(user.sink->foreign);
        assert_int_equal(count_files(), 0); /* nothing before the response */
        assert_int_equal(open_sink(&user, false), HAUL_OK);
        assert_true(is_there(partial_of("a.jpg", URL, 0)));
        put_start(&user, &puts[1], "world", 5, 6); /* in any order */
        put_start(&user, &puts[0], "hello ", 6, 0);
        assert_int_equal(put_end(&puts[0]), HAUL_OK);
        assert_int_equal(put_end(&puts[1]), HAUL_OK);
        assert_false(is_there("a.jpg"));
        assert_int_equal(publish(&user), HAUL_OK);
        snprintf(path, sizeof(path), "%s/a.jpg", f.path);
        assert_span(text_span(&user.sink->path), path);
        assert_span(text_span(&user.sink->name), "a.jpg");
        release(&user);
        assert_file("a.jpg", "hello world");
        assert_int_equal(count_files(), 1);
        end();
    }
}

static void test_name_taken(void **state)
{
    struct user user;

    (void)state;
    begin();
    put_file("a.jpg", "old");
    assert_int_equal(mkdirat(f.fd, "a.1.jpg", 0755), 0);
    assert_int_equal(symlinkat("nowhere", f.fd, "a.2.jpg"), 0);
    make(&user, "a.jpg", URL);
    fetch(&user, "new");
    assert_int_equal(publish(&user), HAUL_OK);
    assert_span(text_span(&user.sink->name), "a.3.jpg");
    release(&user);
    assert_file("a.jpg", "old");
    assert_file("a.3.jpg", "new");
    assert_int_equal(count_files(), 4);
    end();
}

static void test_no_renaming(void **state)
{
    struct sink_file_options options;
    struct user user;

    (void)state;
    begin();
    options = usual("a.jpg", URL);
    options.auto_renaming = false;
    put_file("a.jpg", "old");
    make_with(&user, &options);
    assert_int_equal(prepare(&user), HAUL_EXISTS);
    release(&user);
    assert_int_equal(unlinkat(f.fd, "a.jpg", 0), 0);
    make_with(&user, &options);
    fetch(&user, "new");
    put_file("a.jpg", "came meanwhile");
    assert_int_equal(publish(&user), HAUL_EXISTS);
    assert_int_equal(abandon(&user, false), HAUL_OK);
    assert_false(user.sink->kept);
    release(&user);
    assert_file("a.jpg", "came meanwhile");
    assert_int_equal(count_files(), 1);
    end();
}

static void test_one_name_at_once(void **state)
{
    struct sink_file_options options;
    struct user a, b, c;

    (void)state;
    begin();
    make(&a, "a.jpg", URL);
    make(&b, "a.jpg", URL "?other");
    fetch(&a, "of a");
    fetch(&b, "of b");
    options = usual("a.jpg", URL "?third");
    options.auto_renaming = false;
    make_with(&c, &options);
    assert_int_equal(prepare(&c), HAUL_IN_USE);
    release(&c);
    assert_int_equal(publish(&b), HAUL_OK);
    assert_int_equal(publish(&a), HAUL_OK);
    release(&a);
    release(&b);
    assert_file("a.jpg", "of a");
    assert_file("a.1.jpg", "of b");
    assert_int_equal(count_files(), 2);
    end();
}

static void test_one_url_at_once(void **state)
{
    struct user users[3];

    (void)state;
    begin();
    for (size_t i = 0; i < COUNT_OF(users); i++) {
        make(&users[i], "a.jpg", URL);
        assert_int_equal(prepare(&users[i]), HAUL_OK);
    }
    for (size_t i = 0; i < COUNT_OF(users); i++) {
        assert_int_equal(open_sink(&users[i], false), HAUL_OK);
        assert_true(is_there(partial_of("a.jpg", URL, (unsigned)i)));
    }
    assert_int_equal(put_now(&users[0], "0", 0), HAUL_OK);
    assert_int_equal(put_now(&users[1], "1", 0), HAUL_OK);
    assert_int_equal(put_now(&users[2], "2", 0), HAUL_OK);
    for (size_t i = 0; i < COUNT_OF(users); i++) {
        assert_int_equal(publish(&users[i]), HAUL_OK);
        release(&users[i]);
    }
    assert_file("a.jpg", "0");
    assert_file("a.1.jpg", "1");
    assert_file("a.2.jpg", "2");
    assert_int_equal(count_files(), 3);
    end();
}

static void test_longest_name(void **state)
{
    char name[FILE_NAME_BYTES_MAX + 1];
    struct user users[2];

    (void)state;
    begin();
    memset(name, 'a', FILE_NAME_BYTES_MAX - 4);
    memcpy(name + FILE_NAME_BYTES_MAX - 4, ".jpg", 5);
    for (size_t i = 0; i < 2; i++) {
        make(&users[i], name, URL);
        fetch(&users[i], i == 0 ? "first" : "second");
    }
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(publish(&users[i]), HAUL_OK);
    assert_file(name, "first");
    assert_int_equal(users[1].sink->name.len, FILE_NAME_BYTES_MAX);
    assert_file(users[1].sink->name.data, "second");
    for (size_t i = 0; i < 2; i++)
        release(&users[i]);
    end();
}

/* What a server calls like one of our partial files is not to be taken for one. */
static void test_name_like_partial(void **state)
{
    struct user user;

    (void)state;
    begin();
    make(&user, "a.01234567.haul", URL);
    fetch(&user, "abc");
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_file("a.01234567.haul_", "abc");
    end();
}

/* ---- set aside ---- */

static void test_set_aside(void **state)
{
    (void)state;
    for (int taken = 0; taken < 2; taken++) {
        const char *name = taken ? "a.jpg.checksum-mismatch.1" : "a.jpg.checksum-mismatch";
        char path[1100];
        struct user user;

        begin();
        put_file("a.jpg", "old");
        if (taken)
            put_file("a.jpg.checksum-mismatch", "set aside before");
        make(&user, "a.jpg", URL);
        fetch(&user, "wrong");
        assert_int_equal(set_aside(&user), HAUL_OK);
        snprintf(path, sizeof(path), "%s/%s", f.path, name);
        assert_span(text_span(&user.sink->path), path);
        release(&user);
        assert_file(name, "wrong");
        assert_file("a.jpg", "old");
        assert_int_equal(count_files(), 2 + taken);
        end();
    }
}

static void test_set_aside_without_renaming(void **state)
{
    struct sink_file_options options;
    struct user user;

    (void)state;
    begin();
    options = usual("a.jpg", URL);
    options.auto_renaming = false;
    make_with(&user, &options);
    fetch(&user, "wrong");
    put_file("a.jpg.checksum-mismatch", "set aside before");
    assert_int_equal(set_aside(&user), HAUL_OK);
    release(&user);
    assert_file("a.jpg.checksum-mismatch", "set aside before");
    assert_file("a.jpg.checksum-mismatch.1", "wrong");
    assert_int_equal(count_files(), 2);
    end();
}

/* ---- proceed ---- */

static void make_proceeding(struct user *user, bool auto_renaming)
{
    struct sink_file_options options = usual("a.jpg", URL);

    options.proceed = true;
    options.auto_renaming = auto_renaming;
    make_with(user, &options);
}

static void test_proceed(void **state)
{
    struct user user;
    struct stat before, after;
    struct put puts[2];

    (void)state;
    begin();
    put_file("a.jpg", "hello ");
    assert_int_equal(fstatat(f.fd, "a.jpg", &before, 0), 0);
    make_proceeding(&user, true);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_int_equal(extents_prefix(&user.sink->stored), 6);
    assert_true(user.sink->foreign);
    assert_int_equal(user.sink->validator.len, 0);
    assert_int_equal(open_sink(&user, true), HAUL_OK);
    put_start(&user, &puts[0], "wor", 3, 6);
    put_start(&user, &puts[1], "ld", 2, 9);
    assert_int_equal(put_end(&puts[0]), HAUL_OK);
    assert_int_equal(put_end(&puts[1]), HAUL_OK);
    assert_int_equal(publish(&user), HAUL_OK);
    assert_span(text_span(&user.sink->name), "a.jpg");
    release(&user);
    assert_file("a.jpg", "hello world");
    assert_int_equal(fstatat(f.fd, "a.jpg", &after, 0), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(count_files(), 1);
    end();
}

/* It stays, and grows, whatever becomes of the download. */
static void test_proceed_breaks(void **state)
{
    struct user user;

    (void)state;
    begin();
    put_file("a.jpg", "hello ");
    make_proceeding(&user, true);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_int_equal(open_sink(&user, true), HAUL_OK);
    assert_int_equal(put_now(&user, "wor", 6), HAUL_OK);
    assert_int_equal(abandon(&user, true), HAUL_OK);
    assert_true(user.sink->kept);
    release(&user);
    assert_file("a.jpg", "hello wor");
    assert_int_equal(count_files(), 1);
    end();
}

static void test_proceed_not_continued(void **state)
{
    struct user user;

    (void)state;
    for (int renaming = 0; renaming < 2; renaming++) {
        begin();
        put_file("a.jpg", "old");
        make_proceeding(&user, renaming);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_int_equal(extents_prefix(&user.sink->stored), 3);
        assert_int_equal(open_sink(&user, false), HAUL_OK);
        assert_false(user.sink->foreign);
        assert_int_equal(put_now(&user, "new", 0), HAUL_OK);
        assert_int_equal(publish(&user), renaming ? HAUL_OK : HAUL_EXISTS);
        if (!renaming)
            assert_int_equal(abandon(&user, false), HAUL_OK);
        release(&user);
        assert_file("a.jpg", "old");
        if (renaming)
            assert_file("a.1.jpg", "new");
        assert_int_equal(count_files(), renaming ? 2 : 1);
        end();
    }
}

/* It was another program's, and is not what it should be now: its name must not say it is. */
static void test_proceed_set_aside(void **state)
{
    struct user user;

    (void)state;
    begin();
    put_file("a.jpg", "hello ");
    make_proceeding(&user, false);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_int_equal(open_sink(&user, true), HAUL_OK);
    assert_int_equal(put_now(&user, "weird", 6), HAUL_OK);
    assert_int_equal(set_aside(&user), HAUL_OK);
    release(&user);
    assert_file("a.jpg.checksum-mismatch", "hello weird");
    assert_int_equal(count_files(), 1);
    end();
}

/* Nothing to continue, or nothing that can be. */
static void test_proceed_with_others(void **state)
{
    struct user user;
    int fd;

    (void)state;
    begin();
    make_proceeding(&user, false);
    fetch(&user, "new");
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_file("a.jpg", "new");
    fd = openat(f.fd, "a.jpg", O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    make_proceeding(&user, true);
    assert_int_equal(prepare(&user), HAUL_IN_USE);
    release(&user);
    close(fd);
    assert_int_equal(unlinkat(f.fd, "a.jpg", 0), 0);
    assert_int_equal(mkdirat(f.fd, "a.jpg", 0755), 0);
    make_proceeding(&user, false);
    assert_int_equal(prepare(&user), HAUL_EXISTS);
    release(&user);
    make_proceeding(&user, true);
    fetch(&user, "new");
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_file("a.1.jpg", "new");
    end();
}

/* ---- directories ---- */

static void test_directories(void **state)
{
    struct sink_file_options options;
    struct user users[2];
    char below[1100], path[1200];

    (void)state;
    begin();
    snprintf(below, sizeof(below), "%s/x/y", f.path);
    options = usual("ignored", URL);
    options.directory = below;
    options.out = "z/w/a.jpg";
    for (size_t i = 0; i < 2; i++) { /* both wait for the same one */
        make_with(&users[i], &options);
        users[i].sink->operations->prepare(users[i].sink);
        assert_int_equal(users[i].steps, 0);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(wait_step(&users[i]), HAUL_OK);
        assert_int_equal(open_sink(&users[i], false), HAUL_OK);
        assert_int_equal(publish(&users[i]), HAUL_OK);
        snprintf(path, sizeof(path), "%s/z/w/a%s.jpg", below, i == 0 ? "" : ".1");
        assert_span(text_span(&users[i].sink->path), path);
        release(&users[i]);
    }
    assert_file("x/y/z/w/a.jpg", "");
    assert_file("x/y/z/w/a.1.jpg", "");
    end();
}

static void test_directory_in_the_way(void **state)
{
    struct sink_file_options options;
    struct user users[2];

    (void)state;
    begin();
    put_file("x", "a file");
    options = usual("ignored", URL);
    options.out = "x/y/a.jpg";
    for (size_t i = 0; i < 2; i++) {
        make_with(&users[i], &options);
        users[i].sink->operations->prepare(users[i].sink);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(wait_step(&users[i]), HAUL_DIRECTORY);
        assert_int_equal(users[i].error.system_errno, ENOTDIR);
        assert_int_equal(abandon(&users[i], false), HAUL_OK);
        release(&users[i]);
    }
    assert_int_equal(unlinkat(f.fd, "x", 0), 0);
    make_with(&users[0], &options); /* an earlier failure is not remembered */
    fetch(&users[0], "abc");
    assert_int_equal(publish(&users[0]), HAUL_OK);
    release(&users[0]);
    assert_file("x/y/a.jpg", "abc");
    end();
}

/* More than are kept open. */
static void test_many_directories(void **state)
{
    (void)state;
    begin();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY_DIRECTORIES; i++) {
            struct sink_file_options options = usual("ignored", URL);
            struct user user;
            char out[64];

            snprintf(out, sizeof(out), "%d/a%d", i, round);
            options.out = out;
            make_with(&user, &options);
            fetch(&user, out);
            assert_int_equal(publish(&user), HAUL_OK);
            release(&user);
            assert_file(out, out);
        }
    }
    end();
}

/* ---- letting go in the middle ---- */

static void test_release_under_way(void **state)
{
    (void)state;
    for (int step = 0; step < 6; step++) {
        struct user user;
        struct put put;

        begin();
        put_file("a.jpg", "old");
        if (step == 0)
            leave_partial("a.jpg", URL, 0, 2 * BLOCK);
        make(&user, "a.jpg", URL);
        if (step >= 1)
            assert_int_equal(prepare(&user), HAUL_OK);
        if (step >= 2)
            assert_int_equal(open_sink(&user, false), HAUL_OK);
        user.steps = 0;
        switch (step) {
        case 0:
            user.sink->operations->prepare(user.sink);
            break;
        case 1:
            user.sink->operations->open(user.sink, false, &user.version);
            break;
        case 2:
            put_start(&user, &put, "abc", 3, 0);
            break;
        case 3:
            user.sink->operations->publish(user.sink);
            break;
        case 4:
            user.sink->operations->abandon(user.sink, true);
            break;
        default:
            break;
        }
        release(&user);
        end();
        assert_int_equal(user.steps, 0);
    }
}

/* ---- trouble ---- */

static int work_as_nobody(void)
{
    struct sink_file_options options;
    struct user user;

    if (geteuid() == 0 &&
        (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
        return CHILD_CANNOT;
    begin_ring(0);
    make(&user, "a.jpg", URL); /* the directory is there, but not ours to write in */
    CHECK(prepare(&user) == HAUL_OK);
    CHECK(open_sink(&user, false) == HAUL_CREATE && user.error.system_errno == EACCES);
    CHECK(abandon(&user, false) == HAUL_OK);
    release(&user);
    options = usual("ignored", URL);
    options.out = "new/a.jpg";
    make_with(&user, &options);
    CHECK(prepare(&user) == HAUL_DIRECTORY && user.error.system_errno == EACCES);
    CHECK(abandon(&user, false) == HAUL_OK);
    release(&user);
    end_ring();
    return 0;
}

static void test_no_permission(void **state)
{
    int result;

    (void)state;
    begin();
    assert_int_equal(fchmod(f.fd, 0555), 0);
    result = in_child(work_as_nobody);
    assert_int_equal(fchmod(f.fd, 0755), 0);
    end();
    if (result == CHILD_CANNOT)
        skip();
    assert_int_equal(result, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fresh),
        cmocka_unit_test(test_name_taken),
        cmocka_unit_test(test_no_renaming),
        cmocka_unit_test(test_one_name_at_once),
        cmocka_unit_test(test_one_url_at_once),
        cmocka_unit_test(test_longest_name),
        cmocka_unit_test(test_name_like_partial),
        cmocka_unit_test(test_set_aside),
        cmocka_unit_test(test_set_aside_without_renaming),
        cmocka_unit_test(test_proceed),
        cmocka_unit_test(test_proceed_breaks),
        cmocka_unit_test(test_proceed_not_continued),
        cmocka_unit_test(test_proceed_set_aside),
        cmocka_unit_test(test_proceed_with_others),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_directory_in_the_way),
        cmocka_unit_test(test_many_directories),
        cmocka_unit_test(test_release_under_way),
        cmocka_unit_test(test_no_permission),
    };

    return UNIT_RUN(tests);
}
