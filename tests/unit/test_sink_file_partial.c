/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the file sink keeps of an unfinished download, and what it makes of what it finds. */
#include "tests/unit/sink_file_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static void test_taken_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < BASES; i++) {
        struct user user;
        struct stat status;

        begin_at(bases[i], 0);
        leave_partial("a.jpg", URL, "hello ");
        assert_int_equal(count_files(), f.attributes);
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        if (f.attributes) {
            assert_int_equal(fstatat(f.fd, partial_of("a.jpg", URL, 0), &status, 0), 0);
            assert_int_equal(status.st_size, 6);
            assert_int_equal(extents_prefix(&user.sink->stored), 6);
            assert_int_equal(user.sink->have_total, 11);
            assert_span(text_span(&user.sink->validator), "\"v1\"");
            assert_false(user.sink->foreign);
            assert_int_equal(open_sink(&user, true), HAUL_OK);
            assert_int_equal(put_now(&user, "world", 6), HAUL_OK);
        } else {
            assert_int_equal(extents_prefix(&user.sink->stored), 0);
            assert_int_equal(open_sink(&user, false), HAUL_OK);
            assert_int_equal(put_now(&user, "hello world", 0), HAUL_OK);
        }
        assert_int_equal(publish(&user), HAUL_OK);
        release(&user);
        assert_file("a.jpg", "hello world");
        assert_int_equal(count_files(), 1);
        end();
    }
}

static void test_other_url_keeps_off(void **state)
{
    struct user user;

    (void)state;
    begin();
    if (!f.attributes) {
        end();
        skip();
    }
    leave_partial("a.jpg", URL, "hello ");
    make(&user, "a.jpg", URL "?other");
    fetch(&user, "other");
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_file("a.jpg", "other");
    make(&user, "a.jpg", URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_int_equal(extents_prefix(&user.sink->stored), 6);
    assert_int_equal(open_sink(&user, true), HAUL_OK);
    assert_int_equal(put_now(&user, "world", 6), HAUL_OK);
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_file("a.1.jpg", "hello world");
    assert_file("a.jpg", "other");
    end();
}

/* The description goes before what it describes; then a crash leaves a file without one. */
static void test_begun_anew(void **state)
{
    struct stat status;
    struct user user;

    (void)state;
    begin();
    if (!f.attributes) {
        end();
        skip();
    }
    leave_partial("a.jpg", URL, "hello ");
    make(&user, "a.jpg", URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_int_equal(extents_prefix(&user.sink->stored), 6);
    assert_int_equal(open_sink(&user, false), HAUL_OK);
    assert_int_equal(fstatat(f.fd, partial_of("a.jpg", URL, 0), &status, 0), 0);
    assert_int_equal(status.st_size, 0);
    assert_int_equal(put_now(&user, "HELLO ", 0), HAUL_OK);
    release(&user); /* as a crash would leave it */
    assert_file(partial_of("a.jpg", URL, 0), "HELLO ");
    make(&user, "a.jpg", URL);
    fetch(&user, "bye"); /* nothing of it was taken up */
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_file("a.jpg", "bye");
    assert_int_equal(count_files(), 1);
    end();
}

/* Tried anew in one run: from nothing, then from what is there. */
static void test_opened_again(void **state)
{
    struct user user;

    (void)state;
    begin();
    make(&user, "a.jpg", URL);
    fetch(&user, "something long");
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_int_equal(open_sink(&user, false), HAUL_OK);
    assert_int_equal(extents_count(&user.sink->stored), 0);
    assert_int_equal(put_now(&user, "hello ", 0), HAUL_OK);
    assert_int_equal(put_now(&user, "u", 8), HAUL_OK);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_int_equal(open_sink(&user, true), HAUL_OK);
    assert_int_equal(extents_prefix(&user.sink->stored), 6);
    assert_int_equal(put_now(&user, "yo", 6), HAUL_OK);
    assert_int_equal(extents_prefix(&user.sink->stored), 9);
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_file("a.jpg", "hello you");
    end();
}

static void test_abandon(void **state)
{
    static const struct sink_version none = {.total = 11};
    static const struct {
        const char *text;
        const struct sink_version *version;
        bool keep;
        bool kept;
    } rows[] = {
        {"hello ", &version, false, false},
        {"hello ", &none, true, false},
        {"", &version, true, false},
        {"hello ", &version, true, true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct user user;

        begin();
        make(&user, "a.jpg", URL); /* before anything was opened */
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_int_equal(abandon(&user, rows[i].keep), HAUL_OK);
        assert_false(user.sink->kept);
        release(&user);
        make(&user, "a.jpg", URL);
        user.version = *rows[i].version;
        fetch(&user, rows[i].text);
        assert_int_equal(abandon(&user, rows[i].keep), HAUL_OK);
        assert_int_equal(user.sink->kept, rows[i].kept && f.attributes);
        assert_int_equal(count_files(), user.sink->kept);
        release(&user);
        end();
    }
}

/* Taken up, and broken again before a byte came, or with bytes that can't be described: what was
 * there before is there after. */
static void test_abandon_taken_up(void **state)
{
    struct user user;

    (void)state;
    begin();
    if (!f.attributes) {
        end();
        skip();
    }
    leave_partial("a.jpg", URL, "hello ");
    for (int round = 0; round < 3; round++) {
        make(&user, "a.jpg", URL);
        user.version = version;
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_int_equal(extents_prefix(&user.sink->stored), 6);
        if (round > 0)
            assert_int_equal(open_sink(&user, true), HAUL_OK);
        if (round > 1)
            assert_int_equal(put_now(&user, "wor", 8), HAUL_OK);
        assert_int_equal(abandon(&user, true), HAUL_OK);
        assert_true(user.sink->kept);
        release(&user);
    }
    make(&user, "a.jpg", URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_int_equal(extents_prefix(&user.sink->stored), 6);
    release(&user);
    end();
}

/* Leaves a partial file of six bytes with this description, where # stands for the URL's hash. */
static void describe(const char *description)
{
    int fd = openat(f.fd, partial_of("a.jpg", URL, 0), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    struct text text = {0};

    for (const char *at = description; *at; at++) {
        if (*at == '#')
            text_printf(&text, "%016llx%016llx", (unsigned long long)span_hash(SPAN(URL), 1),
                        (unsigned long long)span_hash(SPAN(URL), 2));
        else
            text_add_char(&text, *at);
    }
    assert_int_equal(pwrite(fd, "hello ", 6, 0), 6);
    assert_int_equal(fsetxattr(fd, ATTRIBUTE, text.data, text.len, 0), 0);
    text_free(&text);
    close(fd);
}

static const struct {
    const char *text;
    uint64_t bytes; /* 0: no description */
} descriptions[] = {
    {"1\n6\n11\n#\n\"v1\"", 6},
    {"1\n5\n11\n#\n\"v1\"", 5},
    {"1\n7\n11\n#\n\"v1\"", 0},
    {"1\n0\n11\n#\n\"v1\"", 0},
    {"1\n6\n11\n#\n", 0},
    {"1\n6\n11\n#", 0},
    {"2\n6\n11\n#\n\"v1\"", 0},
    {"1\n-6\n11\n#\n\"v1\"", 0},
    {"1\n6\nx\n#\n\"v1\"", 0},
    {"1\n6\n11\n#0\n\"v1\"", 0},
    {"1\n6\n11\n" URL "\n\"v1\"", 0},
    {"1\n6", 0},
    {"x", 0},
};

/* A description that is cut, of another kind, or false is none; the file is ours by its name. */
static void test_bad_descriptions(void **state)
{
    (void)state;
    begin();
    for (size_t i = 0; i < (f.attributes ? COUNT_OF(descriptions) : 0); i++) {
        struct user user;

        describe(descriptions[i].text);
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_int_equal(extents_prefix(&user.sink->stored), descriptions[i].bytes);
        assert_int_equal(user.sink->validator.len, descriptions[i].bytes ? 4 : 0);
        assert_int_equal(open_sink(&user, false), HAUL_OK);
        assert_int_equal(put_now(&user, "new", 0), HAUL_OK);
        assert_int_equal(publish(&user), HAUL_OK);
        release(&user);
        assert_file("a.jpg", "new");
        assert_int_equal(count_files(), 1);
        assert_int_equal(unlinkat(f.fd, "a.jpg", 0), 0);
    }
    end();
}

/* A false description must not become true of what is written after it, or a crash then would mix
 * two versions. */
static void test_descriptions_go(void **state)
{
    (void)state;
    begin();
    for (size_t i = 0; i < (f.attributes ? COUNT_OF(descriptions) : 0); i++) {
        struct user user;

        describe(descriptions[i].text);
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_int_equal(open_sink(&user, false), HAUL_OK);
        assert_int_equal(put_now(&user, "another version", 0), HAUL_OK);
        release(&user); /* as a crash would leave it */
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_int_equal(extents_prefix(&user.sink->stored), 0);
        release(&user);
        assert_int_equal(unlinkat(f.fd, partial_of("a.jpg", URL, 0), 0), 0);
    }
    end();
}

static void test_partial_in_the_way(void **state)
{
    struct user user;
    const char *name;
    int fd;

    (void)state;
    begin();
    name = partial_of("a.jpg", URL, 0);
    put_file(name, "left by nobody knows whom");
    make(&user, "a.jpg", URL); /* ours, by its name: begun anew */
    fetch(&user, "new");
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_file("a.jpg", "new");
    put_file(name, "of another process");
    fd = openat(f.fd, name, O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    make(&user, "a.jpg", URL);
    assert_int_equal(prepare(&user), HAUL_IN_USE);
    release(&user);
    close(fd);
    assert_file(name, "of another process");
    assert_int_equal(unlinkat(f.fd, name, 0), 0);
    for (int kind = 0; kind < 3; kind++) {
        assert_int_equal(kind == 0   ? mkdirat(f.fd, name, 0755)
                         : kind == 1 ? mkfifoat(f.fd, name, 0644)
                                     : symlinkat("a.jpg", f.fd, name),
                         0);
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_CREATE);
        assert_int_equal(abandon(&user, false), HAUL_OK);
        release(&user);
        assert_int_equal(unlinkat(f.fd, name, kind == 0 ? AT_REMOVEDIR : 0), 0);
    }
    assert_file("a.jpg", "new");
    end();
}

/* Somebody removes or makes the partial file while it is being worked with. */
static void test_partial_meddled_with(void **state)
{
    struct user user;
    const char *name;

    (void)state;
    begin();
    name = partial_of("a.jpg", URL, 0);
    make(&user, "a.jpg", URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    put_file(name, "came meanwhile");
    assert_int_equal(open_sink(&user, false), HAUL_IN_USE);
    assert_int_equal(abandon(&user, false), HAUL_OK);
    release(&user);
    assert_file(name, "came meanwhile");
    make(&user, "a.jpg", URL);
    fetch(&user, "abc");
    assert_int_equal(unlinkat(f.fd, name, 0), 0);
    assert_int_equal(publish(&user), HAUL_RENAME);
    assert_int_equal(user.error.system_errno, ENOENT);
    assert_int_equal(abandon(&user, false), HAUL_OK); /* removes nothing, and nothing is wrong */
    assert_false(user.sink->kept);
    release(&user);
    assert_int_equal(count_files(), 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken_up),
        cmocka_unit_test(test_other_url_keeps_off),
        cmocka_unit_test(test_begun_anew),
        cmocka_unit_test(test_opened_again),
        cmocka_unit_test(test_abandon),
        cmocka_unit_test(test_abandon_taken_up),
        cmocka_unit_test(test_bad_descriptions),
        cmocka_unit_test(test_descriptions_go),
        cmocka_unit_test(test_partial_in_the_way),
        cmocka_unit_test(test_partial_meddled_with),
    };

    return UNIT_RUN(tests);
}
