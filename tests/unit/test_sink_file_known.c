/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What stands under a file's name already: it is left, replaced, or known again; and names that
 * come late. */
#include "sink_file_fixture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "sink/known.h"

#define OTHER "http://h.example/other"

/* ---- the attribute ---- */

static void test_mark(void **state)
{
    static const char *const etags[] = {"", "\"a\"", "W/\"a b\"", "\"\xc3\xa4\""};
    char key[KNOWN_KEY_BYTES + 1], other[KNOWN_KEY_BYTES + 1];

    (void)state;
    known_key(SPAN(URL), key);
    known_key(SPAN(OTHER), other);
    assert_int_equal(strlen(key), KNOWN_KEY_BYTES);
    assert_string_not_equal(key, other);
    for (size_t i = 0; i < COUNT_OF(etags) * 2; i++) {
        struct known_mark mark = {.key = span_of(key),
                                  .elsewhere = i % 2,
                                  .bytes = UINT64_MAX - i,
                                  .made_ns = (int64_t)i,
                                  .etag = span_of(etags[i / 2])};
        struct text value = {0};
        struct known_mark read;

        known_write(&mark, &value);
        assert_true(known_read(text_span(&value), &read));
        assert_span(read.key, key);
        assert_int_equal(read.elsewhere, i % 2);
        assert_true(read.bytes == UINT64_MAX - i && read.made_ns == (int64_t)i);
        assert_span(read.etag, etags[i / 2]);
        for (size_t cut = 0; cut < KNOWN_KEY_BYTES + 1; cut++)
            assert_false(known_read(span_sub(text_span(&value), 0, cut), &read));
        text_free(&value);
    }
}

static void test_bad_mark(void **state)
{
    static const char *const values[] = {
        "0123456789abcdef0123456789abcdeg 1 2 \"a\"",
        "0123456789abcdef0123456789abcdef+1 2 \"a\"",
        "0123456789abcdef0123456789abcdef \"a\"",
        "0123456789abcdef0123456789abcdef 1 \"a\"",
        "0123456789abcdef0123456789abcdef -1 2 \"a\"",
        "0123456789abcdef0123456789abcdef 1 18446744073709551615 \"a\"",
        "0123456789abcdef0123456789abcdef 1 2 \"a\"\r\n",
        "0123456789abcdef0123456789abcdef 1 2 \"a\nb\"",
        "0123456789abcdef0123456789abcdef 1 2 *",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(values); i++) {
        struct known_mark mark;

        if (known_read(span_of(values[i]), &mark))
            fail_msg("%s", values[i]);
    }
}

/* ---- the sink ---- */

static enum haul_status rename_sink(struct user *user, const char *name)
{
    return STEP(user, user->sink->operations->rename(user->sink, span_of(name), false));
}

static enum haul_status leave(struct user *user)
{
    return STEP(user, user->sink->operations->leave(user->sink));
}

static void assert_path(const struct user *user, const char *name)
{
    char path[sizeof(f.path) + 300];

    snprintf(path, sizeof(path), "%s/%s", f.path, name);
    assert_span(text_span(&user->sink->path), path);
    assert_span(text_span(&user->sink->name), name);
}

static void test_late_name(void **state)
{
    struct user user, other;

    (void)state;
    begin();
    make(&user, "a.jpg", URL);
    make(&other, "a.jpg", OTHER);
    fetch(&user, "mine");
    assert_true(is_there(partial_of("a.jpg", URL, 0)));
    assert_int_equal(rename_sink(&user, "late.png"), HAUL_OK);
    assert_int_equal(rename_sink(&user, "late.png"), HAUL_OK);
    fetch(&other, "other");
    assert_span(text_span(&other.sink->name), "a.jpg");
    assert_int_equal(rename_sink(&other, "late.png"), HAUL_OK);
    assert_span(text_span(&other.sink->name), "late.1.png");
    assert_true(is_there(partial_of("a.jpg", URL, 0)));
    assert_int_equal(publish(&user), HAUL_OK);
    assert_int_equal(publish(&other), HAUL_OK);
    assert_path(&user, "late.png");
    assert_path(&other, "late.1.png");
    assert_file("late.png", "mine");
    assert_file("late.1.png", "other");
    assert_int_equal(count_files(), 2);
    release(&user);
    release(&other);
    end();
}

/* The temporary name is of another one from the beginning; and a name that looks like one of those
 * is none. */
static void test_temporary(void **state)
{
    struct sink_file_options options;
    struct user user;

    (void)state;
    begin();
    options = usual("wanted", URL);
    options.temporary = SPAN("stem");
    make_with(&user, &options);
    fetch(&user, "mine");
    assert_true(is_there(partial_of("stem", URL, 0)));
    assert_int_equal(rename_sink(&user, "x.01234567.haul2"), HAUL_OK);
    assert_int_equal(publish(&user), HAUL_OK);
    assert_file("x.01234567.haul2_", "mine");
    assert_int_equal(count_files(), 1);
    release(&user);
    end();
}

static void test_late_name_that_is_taken(void **state)
{
    struct sink_file_options options;
    struct user user;

    (void)state;
    begin();
    put_file("late", "there");
    options = usual("a", URL);
    options.auto_renaming = false;
    make_with(&user, &options);
    fetch(&user, "mine");
    assert_int_equal(rename_sink(&user, "late"), HAUL_EXISTS);
    assert_int_equal(abandon(&user, false), HAUL_OK);
    release(&user);
    assert_file("late", "there");
    assert_int_equal(count_files(), 1);
    end();
}

static void test_no_clobber(void **state)
{
    struct sink_file_options options;
    struct user user;

    (void)state;
    begin();
    put_file("a", "there");
    options = usual("a", URL);
    options.no_clobber = true;
    make_with(&user, &options);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_true(user.sink->standing);
    assert_int_equal(leave(&user), HAUL_OK);
    assert_path(&user, "a");
    release(&user);
    /* Late, with something begun. */
    options = usual("b", OTHER);
    options.no_clobber = true;
    make_with(&user, &options);
    fetch(&user, "mine");
    assert_false(user.sink->standing);
    assert_int_equal(rename_sink(&user, "a"), HAUL_OK);
    assert_true(user.sink->standing);
    assert_int_equal(leave(&user), HAUL_OK);
    assert_path(&user, "a");
    release(&user);
    assert_file("a", "there");
    assert_int_equal(count_files(), 1);
    end();
}

static void test_overwrite(void **state)
{
    struct sink_file_options options;
    struct user user;

    (void)state;
    begin();
    put_file("a", "there");
    ring_file_clock_pass(f.ring);
    end_ring();
    begin_ring(0);
    for (int i = 0; i < 2; i++) { /* the second is another of the same run */
        options = usual("a", i ? OTHER : URL);
        options.overwrite = true;
        options.auto_renaming = i;
        make_with(&user, &options);
        fetch(&user, i ? "second" : "first");
        assert_int_equal(publish(&user), HAUL_OK);
        assert_path(&user, i ? "a.1" : "a");
        release(&user);
    }
    assert_file("a", "first");
    assert_file("a.1", "second");
    assert_int_equal(count_files(), 2);
    end();
}

/* ---- known files ---- */

static bool has_attributes(void)
{
    int fd = openat(f.fd, "probe", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    bool able = fsetxattr(fd, KNOWN_ATTRIBUTE, "x", 1, 0) == 0;

    close(fd);
    assert_int_equal(unlinkat(f.fd, "probe", 0), 0);
    return able;
}

static void make_fresh(struct user *user, const char *name, const char *url)
{
    struct sink_file_options options = usual(name, url);

    options.fresh = true;
    make_with(user, &options);
}

/* late: the name it gets in the end; NULL: its own. */
static void fetch_fresh(const char *name, const char *url, const char *late, const char *etag,
                        const char *text)
{
    struct user user;

    make_fresh(&user, name, url);
    assert_int_equal(prepare(&user), HAUL_OK);
    if (late)
        assert_int_equal(rename_sink(&user, late), HAUL_OK);
    assert_int_equal(open_sink(&user, false), HAUL_OK);
    assert_int_equal(put_now(&user, text, 0), HAUL_OK);
    text_clear(&user.sink->etag);
    text_add(&user.sink->etag, span_of(etag));
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
}

static void assert_known(const char *name, const char *url, const char *etag, const char *found)
{
    struct user user;

    make_fresh(&user, name, url);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_int_equal(user.sink->known, etag != NULL);
    if (etag)
        assert_span(text_span(&user.sink->known_etag), etag);
    if (etag) {
        assert_int_equal(leave(&user), HAUL_OK);
        assert_path(&user, found);
    } else {
        assert_int_equal(abandon(&user, false), HAUL_OK);
    }
    release(&user);
}

static void test_known(void **state)
{
    (void)state;
    begin();
    if (!has_attributes()) {
        end();
        skip();
    }
    fetch_fresh("a", URL, NULL, "\"1\"", "one");
    assert_known("a", URL, "\"1\"", "a");
    assert_known("a", OTHER, NULL, NULL);
    fetch_fresh("a", URL, NULL, "\"2\"", "two");
    assert_file("a", "two");
    assert_known("a", URL, "\"2\"", "a");
    fetch_fresh("a", OTHER, NULL, "", "other");
    assert_file("a", "two");
    assert_file("a.1", "other");
    fetch_fresh("b", "http://h.example/b", "late", "\"b\"", "late");
    assert_int_equal(count_files(), 3);
    end_ring();
    begin_ring(0); /* the next run */
    assert_known("a", OTHER, "", "a.1");
    assert_known("b", "http://h.example/b", "\"b\"", "late");
    assert_known("a", URL, "\"2\"", "a");
    assert_known("c", "http://h.example/c", NULL, NULL);
    fetch_fresh("b", "http://h.example/b", "late", "\"c\"", "newer");
    assert_file("late", "newer");
    assert_int_equal(count_files(), 3);
    end();
}

/* Whoever has claimed its name meanwhile: a file of this URL is replaced, and the other finds that
 * the name is taken. */
static void test_known_though_claimed(void **state)
{
    struct user other, user;

    (void)state;
    begin();
    if (!has_attributes()) {
        end();
        skip();
    }
    fetch_fresh("a", URL, NULL, "\"1\"", "one");
    make_fresh(&other, "a", OTHER);
    assert_int_equal(prepare(&other), HAUL_OK);
    assert_span(text_span(&other.sink->name), "a");
    make_fresh(&user, "a", URL);
    fetch(&user, "two");
    assert_true(user.sink->known);
    assert_span(text_span(&user.sink->name), "a");
    assert_int_equal(publish(&user), HAUL_OK);
    assert_path(&user, "a");
    assert_file("a", "two");
    assert_int_equal(open_sink(&other, false), HAUL_OK);
    assert_int_equal(put_now(&other, "other", 0), HAUL_OK);
    assert_int_equal(publish(&other), HAUL_OK);
    assert_path(&other, "a.1");
    assert_file("a", "two");
    release(&user);
    release(&other);
    end();
}

/* What says nothing of itself may be of this URL; no link and no directory is. */
static void test_unmarked(void **state)
{
    struct user user;

    (void)state;
    begin();
    put_file("a", "there");
    assert_int_equal(symlinkat("a", f.fd, "link"), 0);
    assert_int_equal(mkdirat(f.fd, "sub", 0755), 0);
    assert_known("a", URL, NULL, NULL); /* another one of this run has brought it */
    ring_file_clock_pass(f.ring);
    end_ring();
    begin_ring(0);
    assert_known("a", URL, "", "a");
    assert_known("link", URL, NULL, NULL);
    assert_known("sub", URL, NULL, NULL);
    make_fresh(&user, "a", URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_int_equal(user.sink->known_bytes, 5);
    assert_int_equal(abandon(&user, false), HAUL_OK);
    release(&user);
    assert_file("a", "there");
    end();
}

static int64_t modified_of(const char *name)
{
    struct stat status;

    assert_int_equal(fstatat(f.fd, name, &status, 0), 0);
    return status.st_mtim.tv_sec;
}

static void test_time(void **state)
{
    (void)state;
    for (int way = 0; way < 4; way++) {
        bool remote = way & 1, fresh = way & 2;
        struct sink_file_options options;
        struct user user;

        begin_at(bases[0], HAUL_FEATURE_XATTR);
        options = usual("a", URL);
        options.remote_time = remote;
        options.fresh = fresh;
        make_with(&user, &options);
        fetch(&user, "mine");
        user.sink->has_modified = true;
        user.sink->modified_s = 1234567;
        assert_int_equal(publish(&user), HAUL_OK);
        assert_int_equal(modified_of("a") == 1234567, remote || fresh);
        release(&user);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mark),
        cmocka_unit_test(test_bad_mark),
        cmocka_unit_test(test_late_name),
        cmocka_unit_test(test_temporary),
        cmocka_unit_test(test_late_name_that_is_taken),
        cmocka_unit_test(test_no_clobber),
        cmocka_unit_test(test_overwrite),
        cmocka_unit_test(test_known),
        cmocka_unit_test(test_known_though_claimed),
        cmocka_unit_test(test_unmarked),
        cmocka_unit_test(test_time),
    };

    return UNIT_RUN(tests);
}
