/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the file sink keeps of an unfinished download, and what it makes of what it finds. When that
 * is written down is test_sink_file_journal's. */
#include "tests/unit/sink_file_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- taken up ---- */

static void test_taken_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < BASES; i++) {
        struct user user;

        begin_at(bases[i], 0);
        leave_partial("a.jpg", URL, 0, 2 * BLOCK + 100);
        assert_int_equal(count_files(), 2);
        assert_true(is_there(partial_of("a.jpg", URL, 0)));
        assert_true(is_there(journal_of("a.jpg", URL)));
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_stored(&user, "0-8192"); /* whole blocks */
        assert_int_equal(user.sink->have_total, BODY_BYTES);
        assert_span(text_span(&user.sink->validator), "\"v1\"");
        assert_false(user.sink->have_decided);
        assert_false(user.sink->foreign);
        open_version(&user, 0);
        assert_stored(&user, "0-8192");
        put_version(&user, 0, 2 * BLOCK, BODY_BYTES);
        assert_int_equal(publish(&user), HAUL_OK);
        release(&user);
        assert_body("a.jpg", 0);
        assert_int_equal(count_files(), 1);
        end();
    }
}

static void read_done(struct sink_read *read, const struct haul_error *error)
{
    CHECK(error->status == HAUL_OK);
    read->data = NULL;
}

static void assert_readable(struct user *user, unsigned which, size_t from, size_t to)
{
    char got[BODY_BYTES];
    struct sink_read read = {.done = read_done, .data = got, .len = to - from, .offset = from};

    sink_read(user->sink, &read);
    while (read.data)
        turn_ms(100);
    assert_int_equal(memcmp(got, bodies[which] + from, to - from), 0);
}

/* In any order, of several runs, until all is there without another request. */
static void test_holes(void **state)
{
    struct user user;

    (void)state;
    begin();
    make(&user, "a.jpg", URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    open_version(&user, 0);
    put_version(&user, 0, 4 * BLOCK + 1000, BODY_BYTES);
    put_version(&user, 0, BLOCK - 1, 3 * BLOCK);
    assert_stored(&user, "4095-12288 17384-20491");
    assert_readable(&user, 0, BLOCK, 3 * BLOCK);
    assert_int_equal(abandon(&user, true), HAUL_OK);
    release(&user);
    make(&user, "a.jpg", URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_stored(&user, "4096-12288 20480-20491");
    assert_readable(&user, 0, BLOCK, 3 * BLOCK); /* also before it is opened */
    open_version(&user, 0);
    put_version(&user, 0, 0, BLOCK);
    put_version(&user, 0, 3 * BLOCK, 5 * BLOCK);
    assert_stored(&user, "0-20491");
    assert_int_equal(abandon(&user, true), HAUL_OK);
    release(&user);
    make(&user, "a.jpg", URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_stored(&user, "0-20491");
    assert_int_equal(publish(&user), HAUL_OK); /* nothing was asked for */
    release(&user);
    assert_body("a.jpg", 0);
    assert_int_equal(count_files(), 1);
    end();
}

static void test_other_url_keeps_off(void **state)
{
    struct user user;

    (void)state;
    begin();
    leave_partial("a.jpg", URL, 0, 2 * BLOCK);
    make(&user, "a.jpg", URL "?other");
    fetch(&user, "other");
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_file("a.jpg", "other");
    make(&user, "a.jpg", URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    open_version(&user, 0);
    put_version(&user, 0, 2 * BLOCK, BODY_BYTES);
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_body("a.1.jpg", 0);
    assert_file("a.jpg", "other");
    assert_int_equal(count_files(), 2);
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
    assert_stored(&user, "");
    assert_int_equal(put_now(&user, "hello ", 0), HAUL_OK);
    assert_int_equal(put_now(&user, "u", 8), HAUL_OK);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_int_equal(open_sink(&user, true), HAUL_OK);
    assert_stored(&user, "0-6 8-9");
    assert_int_equal(put_now(&user, "yo", 6), HAUL_OK);
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_file("a.jpg", "hello you");
    end();
}

/* ---- abandoned ---- */

static void test_abandon(void **state)
{
    static const struct sink_version none = {.total = BODY_BYTES};
    static const struct sink_version decided = {.total = BODY_BYTES, .decided = true};
    static const struct sink_version unknown = {.validator = {.data = "\"v1\"", .len = 4},
                                                .total = UINT64_MAX};
    static const struct {
        const struct sink_version *version;
        size_t bytes;
        bool keep;
        bool kept;
    } rows[] = {
        {&versions[0], 2 * BLOCK, false, false}, {&none, 2 * BLOCK, true, false},
        {&versions[0], 0, true, false},          {&versions[0], BLOCK - 1, true, false},
        {&versions[0], BLOCK, true, true},       {&decided, BLOCK, true, true},
        {&unknown, BODY_BYTES, true, true},
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
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_int_equal(open_sink(&user, false), HAUL_OK);
        if (rows[i].bytes > 0)
            put_version(&user, 0, 0, rows[i].bytes);
        assert_int_equal(abandon(&user, rows[i].keep), HAUL_OK);
        assert_int_equal(user.sink->kept, rows[i].kept);
        assert_int_equal(count_files(), rows[i].kept ? 2 : 0);
        release(&user);
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_int_equal(extents_count(&user.sink->stored), rows[i].kept);
        assert_int_equal(user.sink->have_decided, rows[i].version->decided);
        assert_int_equal(user.sink->have_total, rows[i].kept ? rows[i].version->total : UINT64_MAX);
        assert_int_equal(abandon(&user, false), HAUL_OK); /* now it goes, in any case */
        assert_int_equal(count_files(), 0);
        release(&user);
        end();
    }
}

/* Taken up, and broken again before a byte came, or with bytes that make no whole block: what was
 * there before is there after. */
static void test_abandon_taken_up(void **state)
{
    (void)state;
    begin();
    leave_partial("a.jpg", URL, 0, 2 * BLOCK);
    for (int round = 0; round < 4; round++) {
        struct user user;

        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_stored(&user, "0-8192");
        if (round > 0)
            open_version(&user, 0);
        if (round > 1)
            put_version(&user, 0, 4 * BLOCK, 4 * BLOCK + 5);
        if (round < 3)
            assert_int_equal(abandon(&user, true), HAUL_OK);
        assert_int_equal(user.sink->kept, round < 3);
        release(&user); /* as a crash would leave it, the last time */
    }
    assert_int_equal(count_files(), 2);
    end();
}

/* ---- beside ---- */

/* Opens the second version, where there is something of the first. */
static void begin_second(struct user *user)
{
    make(user, "a.jpg", URL);
    assert_int_equal(prepare(user), HAUL_OK);
    assert_stored(user, "0-8192");
    user->version = versions[1];
    assert_int_equal(open_sink(user, false), HAUL_OK);
    assert_stored(user, "");
    assert_true(is_there(partial_of("a.jpg", URL, 0)));
    assert_true(is_there(beside_of("a.jpg", URL)));
}

/* Another version is written beside what there is. That stays until the new one is complete. */
static void test_beside_published(void **state)
{
    struct user user;

    (void)state;
    begin();
    leave_partial("a.jpg", URL, 0, 2 * BLOCK);
    begin_second(&user);
    put_version(&user, 1, 0, BODY_BYTES);
    assert_int_equal(count_files(), 3);
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_body("a.jpg", 1);
    assert_int_equal(count_files(), 1);
    end();
}

/* What was begun beside it and not recorded is nothing, and what there was is gone on with. */
static void test_beside_lost(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct user user;

        begin();
        leave_partial("a.jpg", URL, 0, 2 * BLOCK);
        begin_second(&user);
        put_version(&user, 1, 0, how == 0 ? 4 * BLOCK : BLOCK - 1);
        if (how > 0) {
            assert_int_equal(abandon(&user, true), HAUL_OK);
            assert_true(user.sink->kept);
        }
        release(&user); /* as a crash would leave it, the first time */
        assert_int_equal(is_there(beside_of("a.jpg", URL)), how == 0);
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_stored(&user, "0-8192");
        assert_span(text_span(&user.sink->validator), "\"v1\"");
        open_version(&user, 0);
        put_version(&user, 0, 2 * BLOCK, BODY_BYTES);
        assert_int_equal(publish(&user), HAUL_OK);
        release(&user);
        assert_body("a.jpg", 0);
        assert_int_equal(count_files(), 1);
        end();
    }
}

static void leave_both(size_t second_bytes)
{
    struct user user;

    leave_partial("a.jpg", URL, 0, 2 * BLOCK);
    begin_second(&user);
    put_version(&user, 1, 0, second_bytes);
    assert_int_equal(abandon(&user, true), HAUL_OK);
    assert_true(user.sink->kept);
    assert_int_equal(count_files(), 3);
    release(&user);
}

/* The newer one is preferred; the other one goes when it is complete. */
static void test_beside_taken_up(void **state)
{
    (void)state;
    for (int lost = 0; lost < 2; lost++) {
        struct user user;

        begin();
        leave_both(BLOCK);
        if (lost)
            assert_int_equal(unlinkat(f.fd, beside_of("a.jpg", URL), 0), 0);
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_stored(&user, lost ? "0-8192" : "0-4096");
        assert_span(text_span(&user.sink->validator), lost ? "\"v1\"" : "\"v2\"");
        open_version(&user, !lost);
        put_version(&user, !lost, BLOCK, BODY_BYTES);
        assert_int_equal(publish(&user), HAUL_OK);
        release(&user);
        assert_body("a.jpg", !lost);
        assert_int_equal(count_files(), 1);
        end();
    }
}

/* Of three versions, the oldest makes way, and nothing that was said of it is said of the third. */
static void test_third_version(void **state)
{
    (void)state;
    for (int how = 0; how < 4; how++) {
        struct user user;

        begin();
        leave_both(3 * BLOCK);
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_stored(&user, "0-12288");
        user.version = versions[0];
        assert_int_equal(open_sink(&user, false), HAUL_OK);
        put_version(&user, 0, 0, how == 2 ? BODY_BYTES : BLOCK);
        if (how == 1)
            assert_int_equal(abandon(&user, true), HAUL_OK);
        if (how == 2)
            assert_int_equal(publish(&user), HAUL_OK);
        release(&user); /* as a crash would leave it, the first time and the last */
        if (how == 3)
            assert_int_equal(unlinkat(f.fd, beside_of("a.jpg", URL), 0), 0);
        if (how != 2) {
            make(&user, "a.jpg", URL);
            assert_int_equal(prepare(&user), HAUL_OK);
            assert_stored(&user, how == 0 ? "0-12288" : how == 1 ? "0-4096" : "");
            open_version(&user, how == 0);
            put_version(&user, how == 0, how == 0 ? 3 * BLOCK : how == 1 ? BLOCK : 0, BODY_BYTES);
            assert_int_equal(publish(&user), HAUL_OK);
            release(&user);
        }
        assert_body("a.jpg", how == 0);
        assert_int_equal(count_files(), 1);
        end();
    }
}

/* A second version within one run, recorded or not. */
static void test_beside_in_one_run(void **state)
{
    struct user user;

    (void)state;
    begin();
    leave_partial("a.jpg", URL, 0, 2 * BLOCK);
    begin_second(&user);
    put_version(&user, 1, 0, 3 * BLOCK);
    assert_int_equal(prepare(&user), HAUL_OK);
    user.version = versions[0];
    assert_int_equal(open_sink(&user, false), HAUL_OK); /* in the same place: it was not recorded */
    put_version(&user, 0, BLOCK, 4 * BLOCK);
    assert_int_equal(abandon(&user, true), HAUL_OK);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_stored(&user, "4096-16384");
    assert_int_equal(abandon(&user, true), HAUL_OK);
    release(&user);
    assert_int_equal(count_files(), 3);
    end();
}

/* ---- journals that are none ---- */

static void put_journal(const char *bytes, size_t len)
{
    int fd = openat(f.fd, journal_of("a.jpg", URL), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, len, 0), len);
    close(fd);
}

static void get_journal(const char *url, char *bytes)
{
    int fd = openat(f.fd, journal_of("a.jpg", url), O_RDWR | O_CLOEXEC);

    assert_int_equal(read(fd, bytes, JOURNAL_BYTES + 1), JOURNAL_BYTES);
    close(fd);
}

static void assert_begun_anew(void)
{
    struct user user;

    make(&user, "a.jpg", URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_stored(&user, "");
    assert_int_equal(user.sink->validator.len, 0);
    assert_false(is_there(journal_of("a.jpg", URL))); /* before anything is written */
    open_version(&user, 1);
    put_version(&user, 1, 0, BODY_BYTES);
    release(&user); /* as a crash would leave it */
    make(&user, "a.jpg", URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_stored(&user, "");
    open_version(&user, 1);
    put_version(&user, 1, 0, BODY_BYTES);
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_body("a.jpg", 1);
    assert_int_equal(count_files(), 1);
    assert_int_equal(unlinkat(f.fd, "a.jpg", 0), 0);
}

/* What is cut, changed, or of another URL says nothing; the data is ours by its name. */
static void test_bad_journals(void **state)
{
    static char others[JOURNAL_BYTES + 1], bytes[JOURNAL_BYTES + 1];

    (void)state;
    begin();
    leave_partial("a.jpg", URL "?other", 0, 2 * BLOCK);
    get_journal(URL "?other", others);
    assert_int_equal(unlinkat(f.fd, journal_of("a.jpg", URL "?other"), 0), 0);
    assert_int_equal(unlinkat(f.fd, partial_of("a.jpg", URL "?other", 0), 0), 0);
    for (size_t at = 0; at < 98; at += 7) {
        leave_partial("a.jpg", URL, 0, 2 * BLOCK);
        get_journal(URL, bytes);
        bytes[at] ^= 1;
        put_journal(bytes, at == 7 ? 90 : at == 14 ? 0 : JOURNAL_BYTES);
        if (at == 0)
            put_journal(others, JOURNAL_BYTES);
        assert_begun_anew();
    }
    end();
}

/* Data that is shorter than it should be, or gone. */
static void test_bad_data(void **state)
{
    static const struct {
        off_t size; /* -1: gone */
        const char *stored;
    } rows[] = {{2 * BLOCK, "0-8192"},
                {2 * BLOCK - 1, "0-4096"},
                {BLOCK, "0-4096"},
                {BLOCK - 1, ""},
                {0, ""},
                {-1, ""}};

    (void)state;
    begin();
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct user user;

        leave_partial("a.jpg", URL, 0, 2 * BLOCK);
        if (rows[i].size < 0) {
            assert_int_equal(unlinkat(f.fd, partial_of("a.jpg", URL, 0), 0), 0);
        } else {
            int fd = openat(f.fd, partial_of("a.jpg", URL, 0), O_RDWR | O_CLOEXEC);

            assert_int_equal(ftruncate(fd, rows[i].size), 0);
            close(fd);
        }
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_stored(&user, rows[i].stored);
        assert_int_equal(user.sink->open_waits, rows[i].stored[0] == '\0');
        open_version(&user, 0);
        put_version(&user, 0, 0, BODY_BYTES);
        assert_int_equal(publish(&user), HAUL_OK);
        release(&user);
        assert_body("a.jpg", 0);
        assert_int_equal(count_files(), 1);
        assert_int_equal(unlinkat(f.fd, "a.jpg", 0), 0);
    }
    end();
}

/* ---- others ---- */

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
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_int_equal(open_sink(&user, false), HAUL_IN_USE);
    assert_int_equal(abandon(&user, true), HAUL_OK);
    assert_false(user.sink->kept);
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
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_int_equal(open_sink(&user, false), HAUL_CREATE);
        assert_int_equal(abandon(&user, false), HAUL_OK);
        release(&user);
        assert_int_equal(unlinkat(f.fd, name, kind == 0 ? AT_REMOVEDIR : 0), 0);
    }
    assert_file("a.jpg", "new");
    end();
}

/* Another process has what an earlier run has left: journal and data, or one of them. Neither is
 * touched. */
static void test_in_use(void **state)
{
    (void)state;
    for (int which = 0; which < 2; which++) {
        struct user user;
        int fd;

        begin();
        leave_partial("a.jpg", URL, 0, 2 * BLOCK);
        fd = openat(f.fd, which == 0 ? journal_of("a.jpg", URL) : partial_of("a.jpg", URL, 0),
                    O_RDONLY | O_CLOEXEC);
        assert_int_equal(flock(fd, LOCK_EX), 0);
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_IN_USE);
        assert_int_equal(abandon(&user, false), HAUL_OK);
        release(&user);
        close(fd);
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_stored(&user, "0-8192");
        release(&user);
        end();
    }
}

/* Somebody begins while this one has asked, and has the file still or was killed. */
static void test_begun_meanwhile(void **state)
{
    (void)state;
    for (int killed = 0; killed < 2; killed++) {
        struct user users[2];

        begin();
        make(&users[0], "a.jpg", URL);
        assert_int_equal(prepare(&users[0]), HAUL_OK);
        leave_partial("b.jpg", URL, 0, 2 * BLOCK); /* the same of another name... */
        assert_int_equal(
            renameat(f.fd, partial_of("b.jpg", URL, 0), f.fd, partial_of("a.jpg", URL, 0)), 0);
        assert_int_equal(renameat(f.fd, journal_of("b.jpg", URL), f.fd, journal_of("a.jpg", URL)),
                         0);
        if (killed)
            assert_int_equal(unlinkat(f.fd, journal_of("a.jpg", URL), 0), 0);
        users[0].version = versions[1];
        assert_int_equal(open_sink(&users[0], false), killed ? HAUL_OK : HAUL_IN_USE);
        if (killed)
            put_version(&users[0], 1, 0, BODY_BYTES);
        assert_int_equal(killed ? publish(&users[0]) : abandon(&users[0], true), HAUL_OK);
        release(&users[0]);
        make(&users[1], "a.jpg", URL);
        assert_int_equal(prepare(&users[1]), HAUL_OK);
        assert_stored(&users[1], killed ? "" : "0-8192");
        release(&users[1]);
        end();
    }
}

/* What a run has left that was killed early goes also when the download fails before it is opened;
 * but not what somebody has, or what a journal has come to tell of. */
static void test_leftover_of_a_failure(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct user user;
        int fd;

        begin();
        put_file(partial_of("a.jpg", URL, 0), "garbage");
        fd = openat(f.fd, partial_of("a.jpg", URL, 0), O_RDONLY | O_CLOEXEC);
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        if (how == 1)
            assert_int_equal(flock(fd, LOCK_EX), 0);
        if (how == 2)
            put_file(journal_of("a.jpg", URL), "of somebody who has been killed");
        assert_int_equal(abandon(&user, true), HAUL_OK);
        assert_false(user.sink->kept);
        release(&user);
        close(fd);
        assert_int_equal(is_there(partial_of("a.jpg", URL, 0)), how > 0);
        end();
    }
}

/* Somebody removes the partial file while it is being worked with. */
static void test_partial_removed(void **state)
{
    struct user user;

    (void)state;
    begin();
    make(&user, "a.jpg", URL);
    fetch(&user, "abc");
    assert_int_equal(unlinkat(f.fd, partial_of("a.jpg", URL, 0), 0), 0);
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
        cmocka_unit_test(test_holes),
        cmocka_unit_test(test_other_url_keeps_off),
        cmocka_unit_test(test_opened_again),
        cmocka_unit_test(test_abandon),
        cmocka_unit_test(test_abandon_taken_up),
        cmocka_unit_test(test_beside_published),
        cmocka_unit_test(test_beside_lost),
        cmocka_unit_test(test_beside_taken_up),
        cmocka_unit_test(test_third_version),
        cmocka_unit_test(test_beside_in_one_run),
        cmocka_unit_test(test_bad_journals),
        cmocka_unit_test(test_bad_data),
        cmocka_unit_test(test_partial_in_the_way),
        cmocka_unit_test(test_in_use),
        cmocka_unit_test(test_begun_meanwhile),
        cmocka_unit_test(test_leftover_of_a_failure),
        cmocka_unit_test(test_partial_removed),
    };

    return UNIT_RUN(tests);
}
