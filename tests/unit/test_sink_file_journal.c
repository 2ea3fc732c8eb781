/* SPDX-License-Identifier: GPL-3.0-or-later */
/* When the file sink writes down what is durable, and what becomes of a file whose data or whose
 * journal can't be brought to the disk. */
#include "tests/unit/sink_file_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sink/internal.h"

enum { INTERVAL_MS = 20, NOBODY = 65534, SMALL_DISK_BYTES = 1024 * 1024 };

static void make_saving(struct user *user, const char *name, uint64_t interval_ms)
{
    struct sink_file_options options = usual(name, URL);

    options.save_interval_ms = interval_ms;
    make_with(user, &options);
    assert_int_equal(prepare(user), HAUL_OK);
}

static struct file_journal *journal_in(const struct user *user)
{
    return &sink_file_of(user->sink)->journal;
}

/* For longer than an interval; true once the condition holds. */
#define TURN_UNTIL(condition)                                                                      \
    ({                                                                                             \
        for (int turn = 0; turn < 50 * INTERVAL_MS && !(condition); turn++)                        \
            turn_ms(1);                                                                            \
        (condition);                                                                               \
    })

/* Until what was written is recorded. */
static void wait_commit(const struct user *user)
{
    assert_true(TURN_UNTIL(!journal_in(user)->dirty && journal_in(user)->state == JOURNAL_RESTS));
}

static void assert_found(const char *name, const char *stored)
{
    struct user user;

    make(&user, name, URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_stored(&user, stored);
    release(&user);
}

/* ---- when ---- */

static void test_in_the_background(void **state)
{
    (void)state;
    for (size_t i = 0; i < BASES; i++) {
        struct user user;

        begin_at(bases[i], 0);
        make_saving(&user, "a.jpg", INTERVAL_MS);
        open_version(&user, 0);
        put_version(&user, 0, 0, 2 * BLOCK);
        assert_false(is_there(journal_of("a.jpg", URL)));
        wait_commit(&user);
        assert_true(is_there(journal_of("a.jpg", URL)));
        put_version(&user, 0, 3 * BLOCK, 4 * BLOCK);
        wait_commit(&user);
        put_version(&user, 0, 4 * BLOCK, 5 * BLOCK); /* nobody writes this down */
        release(&user);                              /* as a crash would leave it */
        make_saving(&user, "a.jpg", INTERVAL_MS);
        assert_stored(&user, "0-8192 12288-16384");
        open_version(&user, 0);
        put_version(&user, 0, 2 * BLOCK, 3 * BLOCK);
        wait_commit(&user);
        put_version(&user, 0, 4 * BLOCK, BODY_BYTES);
        assert_int_equal(publish(&user), HAUL_OK);
        release(&user);
        assert_body("a.jpg", 0);
        assert_int_equal(count_files(), 1);
        assert_int_equal(f.logged, 0);
        end();
    }
}

/* What costs nothing: no interval, nothing that another run could go on from, nothing new. */
static void test_not_in_the_background(void **state)
{
    static const struct sink_version none = {.total = BODY_BYTES};

    (void)state;
    for (int how = 0; how < 3; how++) {
        struct user user;

        begin();
        make_saving(&user, "a.jpg", how == 0 ? 0 : INTERVAL_MS);
        user.version = how == 1 ? none : versions[0];
        assert_int_equal(open_sink(&user, false), HAUL_OK);
        put_version(&user, 0, 0, how == 2 ? BLOCK - 1 : 3 * BLOCK);
        for (int i = 0; i < 4 * INTERVAL_MS; i++)
            turn_ms(1);
        assert_false(is_there(journal_of("a.jpg", URL)));
        if (how == 2) { /* until there is something */
            put_version(&user, 0, BLOCK - 1, BLOCK);
            wait_commit(&user);
            assert_true(is_there(journal_of("a.jpg", URL)));
            assert_false(timer_runs(&journal_in(&user)->timer));
        }
        release(&user);
        end();
    }
}

/* The sync may or may not have caught what was written while it was under way: so it is not
 * recorded, but by the next commit. */
static void test_written_meanwhile(void **state)
{
    struct user user;

    (void)state;
    begin();
    make_saving(&user, "a.jpg", INTERVAL_MS);
    open_version(&user, 0);
    put_version(&user, 0, 0, 2 * BLOCK);
    assert_true(TURN_UNTIL(journal_in(&user)->state == JOURNAL_COMMITS));
    put_version(&user, 0, 2 * BLOCK, 3 * BLOCK);
    assert_true(TURN_UNTIL(journal_in(&user)->holds));
    release(&user); /* as a crash would leave it */
    assert_found("a.jpg", "0-8192");
    end();
}

/* Many are due at once: a few at a time, and all have their turn. */
static void test_turns(void **state)
{
    enum { FILES = 11 };
    struct user users[FILES];
    unsigned most = 0, waited = 0, recorded = 0;

    (void)state;
    begin();
    for (size_t i = 0; i < FILES; i++) {
        char name[8];

        snprintf(name, sizeof(name), "%zu", i);
        make_saving(&users[i], name, INTERVAL_MS);
        open_version(&users[i], 0);
        put_version(&users[i], 0, 0, 2 * BLOCK);
    }
    for (int turn = 0; turn < 500 && recorded < FILES; turn++) {
        struct disk *disk = directories_disk(f.directories);

        turn_ms(1);
        most = disk->syncs > most ? disk->syncs : most;
        waited |= list_is_linked(&disk->waiting_syncs);
        recorded = 0;
        for (size_t i = 0; i < FILES; i++)
            recorded += journal_in(&users[i])->holds;
    }
    assert_int_equal(recorded, FILES);
    assert_int_equal(most, 4);
    assert_true(waited);
    for (size_t i = 0; i < FILES; i++)
        release(&users[i]);
    end();
}

/* Whatever comes while a file waits for its turn, or is being synced. */
static void start_sync(struct user *user)
{
    assert_true(TURN_UNTIL(journal_in(user)->state != JOURNAL_RESTS));
    assert_int_equal(journal_in(user)->state, JOURNAL_COMMITS);
}

static void test_published_meanwhile(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        struct user user;

        begin();
        make_saving(&user, "a.jpg", INTERVAL_MS);
        open_version(&user, 0);
        put_version(&user, 0, 0, 2 * BLOCK);
        if (how == 1)
            wait_commit(&user);
        put_version(&user, 0, 2 * BLOCK, BODY_BYTES);
        if (how == 2) {
            while (disk_begin_sync(directories_disk(f.directories)))
                ;
            assert_true(TURN_UNTIL(journal_in(&user)->state == JOURNAL_WAITS));
        } else {
            start_sync(&user);
        }
        assert_int_equal(publish(&user), HAUL_OK);
        assert_body("a.jpg", 0);
        release(&user);
        if (how == 2)
            for (int i = 0; i < 4; i++)
                disk_end_sync(directories_disk(f.directories));
        while (ring_busy(f.ring) > 0)
            turn_ms(1);
        assert_int_equal(count_files(), 1);
        end();
    }
}

/* The name can't be had after all. */
static void test_published_in_vain(void **state)
{
    struct sink_file_options options;
    struct user user;

    (void)state;
    begin();
    options = usual("a.jpg", URL);
    options.auto_renaming = false;
    options.save_interval_ms = INTERVAL_MS;
    make_with(&user, &options);
    assert_int_equal(prepare(&user), HAUL_OK);
    open_version(&user, 0);
    put_version(&user, 0, 0, BODY_BYTES);
    start_sync(&user);
    put_file("a.jpg", "came meanwhile");
    assert_int_equal(publish(&user), HAUL_EXISTS);
    assert_int_equal(abandon(&user, true), HAUL_OK);
    assert_true(user.sink->kept);
    release(&user);
    assert_found("a.jpg", "0-20491");
    assert_file("a.jpg", "came meanwhile");
    end();
}

static void test_abandoned_meanwhile(void **state)
{
    (void)state;
    for (int keep = 0; keep < 2; keep++) {
        struct user user;

        begin();
        make_saving(&user, "a.jpg", INTERVAL_MS);
        open_version(&user, 0);
        put_version(&user, 0, 0, 2 * BLOCK);
        start_sync(&user);
        put_version(&user, 0, 2 * BLOCK, 3 * BLOCK); /* the sync that is under way misses it */
        assert_int_equal(abandon(&user, keep), HAUL_OK);
        assert_int_equal(user.sink->kept, keep);
        release(&user);
        assert_int_equal(count_files(), keep ? 2 : 0);
        assert_found("a.jpg", keep ? "0-12288" : "");
        end();
    }
}

/* The record is of what was there before; so the new version may not take its place. */
static void test_begun_anew_meanwhile(void **state)
{
    struct user user;

    (void)state;
    begin();
    make_saving(&user, "a.jpg", INTERVAL_MS);
    open_version(&user, 0);
    put_version(&user, 0, 0, 2 * BLOCK);
    start_sync(&user);
    user.version = versions[1];
    assert_int_equal(open_sink(&user, false), HAUL_OK);
    assert_true(is_there(beside_of("a.jpg", URL)));
    put_version(&user, 1, 0, BLOCK);
    release(&user); /* as a crash would leave it */
    make_saving(&user, "a.jpg", INTERVAL_MS);
    assert_stored(&user, "0-8192");
    assert_span(text_span(&user.sink->validator), "\"v1\"");
    release(&user);
    end();
}

/* ---- trouble ---- */

/* The descriptor is a pipe's from now on: no such file can be synced, nor written to at a place. */
static void spoil(int fd)
{
    int fds[2];

    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    assert_int_equal(dup3(fds[1], fd, O_CLOEXEC), fd);
    close(fds[0]);
    close(fds[1]);
}

/* What can't be synced is neither recorded nor published, whatever comes later; what was recorded
 * before stays true. */
static void test_data_cannot_be_synced(void **state)
{
    (void)state;
    for (int recorded = 0; recorded < 2; recorded++) {
        struct user user;
        struct put put;

        begin();
        make_saving(&user, "a.jpg", INTERVAL_MS);
        open_version(&user, 0);
        if (recorded) {
            put_version(&user, 0, 0, BLOCK);
            wait_commit(&user);
        }
        put_version(&user, 0, BLOCK, 3 * BLOCK);
        spoil(sink_file_of(user.sink)->fd);
        assert_true(TURN_UNTIL(sink_file_of(user.sink)->trouble.status != HAUL_OK));
        put_start(&user, &put, bodies[0], BLOCK, 0);
        assert_int_equal(put_end(&put), HAUL_FILE_IO);
        assert_int_equal(put.error.system_errno, EINVAL);
        assert_int_equal(publish(&user), HAUL_FILE_IO);
        assert_int_equal(user.error.system_errno, EINVAL);
        assert_int_equal(abandon(&user, true), HAUL_OK);
        assert_int_equal(user.sink->kept, recorded);
        release(&user);
        assert_found("a.jpg", recorded ? "0-4096" : "");
        assert_false(is_there("a.jpg"));
        assert_int_equal(count_files(), recorded ? 2 : 0);
        end();
    }
}

/* Nor is it recorded by whatever changes the journal later. */
static void test_data_cannot_be_synced_and_is_left(void **state)
{
    struct user user;

    (void)state;
    begin();
    leave_partial("a.jpg", URL, 0, 2 * BLOCK);
    make_saving(&user, "a.jpg", INTERVAL_MS);
    user.version = versions[1];
    assert_int_equal(open_sink(&user, false), HAUL_OK);
    put_version(&user, 1, 0, BLOCK);
    wait_commit(&user);
    put_version(&user, 1, BLOCK, 3 * BLOCK);
    spoil(sink_file_of(user.sink)->fd);
    assert_true(TURN_UNTIL(sink_file_of(user.sink)->trouble.status != HAUL_OK));
    user.version = versions[0];
    assert_int_equal(open_sink(&user, false), HAUL_OK); /* takes the older one out */
    release(&user);
    assert_found("a.jpg", "0-4096");
    end();
}

/* An error is final for as long as this process has the file, also after a rest. */
static void test_trouble_outlasts_a_rest(void **state)
{
    struct user user;

    (void)state;
    begin();
    make_saving(&user, "a.jpg", INTERVAL_MS);
    open_version(&user, 0);
    put_version(&user, 0, 0, BLOCK);
    wait_commit(&user);
    put_version(&user, 0, BLOCK, 3 * BLOCK);
    spoil(sink_file_of(user.sink)->fd);
    assert_int_equal(abandon(&user, true), HAUL_OK);
    assert_true(user.sink->kept);
    assert_int_equal(prepare(&user), HAUL_FILE_IO);
    assert_int_equal(user.error.system_errno, EINVAL);
    assert_int_equal(abandon(&user, true), HAUL_OK);
    assert_true(user.sink->kept);
    release(&user);
    assert_found("a.jpg", "0-4096"); /* another run may try */
    end();
}

/* The same where it is the last commit that fails. */
static void test_data_cannot_be_synced_at_the_end(void **state)
{
    struct user user;

    (void)state;
    begin();
    make_saving(&user, "a.jpg", 0);
    open_version(&user, 0);
    put_version(&user, 0, 0, 3 * BLOCK);
    spoil(sink_file_of(user.sink)->fd);
    assert_int_equal(abandon(&user, true), HAUL_OK);
    assert_false(user.sink->kept);
    release(&user);
    assert_int_equal(count_files(), 0);
    end();
}

/* Without a journal, a download goes on. */
static void test_journal_cannot_be_made(void **state)
{
    struct user user;

    (void)state;
    begin();
    make_saving(&user, "a.jpg", INTERVAL_MS);
    open_version(&user, 0);
    put_version(&user, 0, 0, BLOCK);
    assert_int_equal(mkdirat(f.fd, journal_of("a.jpg", URL), 0755), 0);
    wait_commit(&user);
    assert_int_equal(f.logged, 1);
    put_version(&user, 0, BLOCK, BODY_BYTES);
    for (int i = 0; i < 3 * INTERVAL_MS; i++)
        turn_ms(1);
    assert_int_equal(f.logged, 1);
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_body("a.jpg", 0);
    end();
}

static void test_journal_cannot_be_written(void **state)
{
    (void)state;
    for (int publishes = 0; publishes < 2; publishes++) {
        struct user user;

        begin();
        make_saving(&user, "a.jpg", INTERVAL_MS);
        open_version(&user, 0);
        put_version(&user, 0, 0, BLOCK);
        wait_commit(&user);
        spoil(journal_in(&user)->fd);
        put_version(&user, 0, BLOCK, BODY_BYTES);
        wait_commit(&user);
        assert_int_equal(f.logged, 1);
        assert_int_equal(publishes ? publish(&user) : abandon(&user, true), HAUL_OK);
        assert_int_equal(user.sink->kept, !publishes); /* by the record before */
        release(&user);
        if (publishes)
            assert_body("a.jpg", 0);
        else
            assert_found("a.jpg", "0-4096");
        assert_int_equal(count_files(), 2); /* the journal that can't be emptied stays */
        assert_int_equal(f.logged, 1 + publishes);
        end();
    }
}

/* One that comes to be there after prepare has looked is of a process that was killed at its end.
 * What it says must not come to be said of what is written now. */
static void test_stray_journal(void **state)
{
    struct user user;

    (void)state;
    begin();
    leave_partial("b.jpg", URL, 1, 4 * BLOCK);
    make_saving(&user, "b.jpg", INTERVAL_MS);
    open_version(&user, 1);
    put_version(&user, 1, 4 * BLOCK, 5 * BLOCK);
    assert_int_equal(abandon(&user, true), HAUL_OK); /* a second record, and so a later one */
    release(&user);
    make_saving(&user, "a.jpg", INTERVAL_MS);
    assert_int_equal(renameat(f.fd, journal_of("b.jpg", URL), f.fd, journal_of("a.jpg", URL)), 0);
    open_version(&user, 0);
    put_version(&user, 0, 0, BLOCK);
    wait_commit(&user);
    release(&user); /* as a crash would leave it */
    make_saving(&user, "a.jpg", INTERVAL_MS);
    assert_stored(&user, "0-4096");
    assert_span(text_span(&user.sink->validator), "\"v1\"");
    release(&user);
    end();
}

/* Where descriptors are short, files go before journals; but what is abandoned gets one. */
static void test_few_descriptors(void **state)
{
    struct user users[3];

    (void)state;
    begin();
    directories_destroy(f.directories);
    f.directories = directories_create(f.ring, f.names, COUNT_OF(users) + 1);
    for (size_t i = 0; i < COUNT_OF(users); i++) {
        char name[8];

        snprintf(name, sizeof(name), "%zu", i);
        make_saving(&users[i], name, INTERVAL_MS);
        open_version(&users[i], 0);
        put_version(&users[i], 0, 0, BLOCK);
    }
    for (int i = 0; i < 4 * INTERVAL_MS; i++)
        turn_ms(1);
    assert_int_equal(count_files(), COUNT_OF(users));
    assert_int_equal(abandon(&users[0], true), HAUL_OK);
    assert_true(users[0].sink->kept);
    wait_commit(&users[1]); /* there is room for one, and then for two */
    assert_int_equal(publish(&users[1]), HAUL_OK);
    wait_commit(&users[2]);
    assert_int_equal(publish(&users[2]), HAUL_OK);
    for (size_t i = 0; i < COUNT_OF(users); i++)
        release(&users[i]);
    assert_found("0", "0-4096");
    assert_int_equal(f.logged, 0);
    end();
}

/* Some file systems tell of a lost write only when the file is closed: then it has no name. */
static void test_cannot_be_closed(void **state)
{
    (void)state;
    for (int recorded = 0; recorded < 2; recorded++) {
        struct user user;

        begin();
        make_saving(&user, "a.jpg", INTERVAL_MS);
        open_version(&user, 0);
        put_version(&user, 0, 0, BODY_BYTES);
        if (recorded)
            wait_commit(&user);
        close(sink_file_of(user.sink)->fd);
        assert_int_equal(publish(&user), HAUL_FILE_IO);
        assert_int_equal(user.error.system_errno, EBADF);
        assert_false(is_there("a.jpg"));
        assert_int_equal(abandon(&user, true), HAUL_OK);
        assert_int_equal(user.sink->kept, recorded);
        release(&user);
        assert_found("a.jpg", recorded ? "0-20491" : "");
        assert_int_equal(count_files(), recorded ? 2 : 0);
        end();
    }
}

static int fill_disk(void)
{
    static char data[SMALL_DISK_BYTES];
    struct put put;
    struct user user;

    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", f.path, "tmpfs", 0, "size=1m") < 0)
        return CHILD_CANNOT;
    close(f.fd);
    f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    begin_ring(0);
    make(&user, "a.jpg", URL);
    user.version = (struct sink_version){.validator = versions[0].validator, .total = UINT64_MAX};
    CHECK(prepare(&user) == HAUL_OK && open_sink(&user, false) == HAUL_OK);
    for (size_t at = 0;; at += BLOCK) {
        put_start(&user, &put, data, BLOCK, at);
        if (put_end(&put) != HAUL_OK)
            break;
        CHECK(at < sizeof(data));
    }
    CHECK(put.error.status == HAUL_DISK_FULL && put.error.system_errno == ENOSPC);
    CHECK(abandon(&user, true) == HAUL_OK);
    CHECK(user.sink->kept);
    release(&user);
    make(&user, "a.jpg", URL);
    CHECK(prepare(&user) == HAUL_OK);
    CHECK(extents_prefix(&user.sink->stored) >= SMALL_DISK_BYTES - 32 * BLOCK);
    release(&user);
    end_ring();
    return 0;
}

/* What is there is kept, though there is no room left to say so. */
static void test_disk_full(void **state)
{
    int result;

    (void)state;
    begin();
    result = in_child(fill_disk);
    end();
    if (result == CHILD_CANNOT)
        skip();
    assert_int_equal(result, 0);
}

/* ---- durable ---- */

static void make_durable(struct user *user, const char *name, uint64_t interval_ms)
{
    struct sink_file_options options = usual(name, URL);

    options.durable = true;
    options.save_interval_ms = interval_ms;
    make_with(user, &options);
    assert_int_equal(prepare(user), HAUL_OK);
}

/* Several at once share the syncs of their directory. */
static void test_durable(void **state)
{
    enum { FILES = 8 };

    (void)state;
    for (size_t i = 0; i < BASES; i++) {
        struct user users[FILES];

        begin_at(bases[i], 0);
        for (size_t k = 0; k < FILES; k++) {
            char name[8];

            snprintf(name, sizeof(name), "%zu", k);
            make_durable(&users[k], name, k % 2 ? INTERVAL_MS : 0);
            open_version(&users[k], 0);
            put_version(&users[k], 0, 0, BODY_BYTES);
            if (k % 4 == 1)
                wait_commit(&users[k]);
            if (k % 4 == 3)
                start_sync(&users[k]);
        }
        for (size_t k = 0; k < FILES; k++) {
            users[k].steps = 0;
            if (k == 0)
                users[k].sink->operations->set_aside(users[k].sink);
            else
                users[k].sink->operations->publish(users[k].sink);
        }
        for (size_t k = 0; k < FILES; k++) {
            assert_int_equal(users[k].steps ? users[k].error.status : wait_step(&users[k]),
                             HAUL_OK);
            release(&users[k]);
        }
        assert_body("0.checksum-mismatch", 0);
        for (size_t k = 1; k < FILES; k++) {
            char name[8];

            snprintf(name, sizeof(name), "%zu", k);
            assert_body(name, 0);
        }
        while (ring_busy(f.ring) > 0)
            turn_ms(1);
        assert_int_equal(count_files(), FILES);
        end();
    }
}

static void test_durable_data_fails(void **state)
{
    struct user user;

    (void)state;
    begin();
    make_durable(&user, "a.jpg", 0);
    open_version(&user, 0);
    put_version(&user, 0, 0, BODY_BYTES);
    spoil(sink_file_of(user.sink)->fd);
    assert_int_equal(publish(&user), HAUL_FILE_IO);
    assert_int_equal(user.error.system_errno, EINVAL);
    assert_int_equal(abandon(&user, true), HAUL_OK);
    assert_false(user.sink->kept);
    release(&user);
    assert_int_equal(count_files(), 0);
    end();
}

/* In a directory that may be written to but not read, and so not be synced. */
static int work_as_nobody(void)
{
    struct user user;

    if (geteuid() == 0 &&
        (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
        return CHILD_CANNOT;
    begin_ring(0);
    for (int durable = 0; durable < 2; durable++) {
        if (durable)
            make_durable(&user, "a.jpg", 0);
        else
            make_saving(&user, "a.jpg", 0);
        user.version = versions[0];
        CHECK(open_sink(&user, false) == HAUL_OK);
        CHECK(put_now(&user, "abc", 0) == HAUL_OK);
        CHECK(publish(&user) == (durable ? HAUL_FILE_IO : HAUL_OK));
        if (durable) {
            CHECK(user.error.system_errno == EACCES);
            CHECK(abandon(&user, true) == HAUL_OK && !user.sink->kept);
        }
        release(&user);
        CHECK(is_there("a.jpg") && !is_there("a.1.jpg"));
        CHECK(!is_there(partial_of("a.jpg", URL, 0)));
    }
    end_ring();
    return 0;
}

static void test_durable_name_fails(void **state)
{
    int result;

    (void)state;
    begin();
    assert_int_equal(fchmod(f.fd, 0733), 0);
    if (geteuid() != 0)
        assert_int_equal(fchmod(f.fd, 0333), 0);
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
        cmocka_unit_test(test_in_the_background),
        cmocka_unit_test(test_not_in_the_background),
        cmocka_unit_test(test_written_meanwhile),
        cmocka_unit_test(test_turns),
        cmocka_unit_test(test_published_meanwhile),
        cmocka_unit_test(test_published_in_vain),
        cmocka_unit_test(test_abandoned_meanwhile),
        cmocka_unit_test(test_begun_anew_meanwhile),
        cmocka_unit_test(test_data_cannot_be_synced),
        cmocka_unit_test(test_data_cannot_be_synced_and_is_left),
        cmocka_unit_test(test_trouble_outlasts_a_rest),
        cmocka_unit_test(test_data_cannot_be_synced_at_the_end),
        cmocka_unit_test(test_journal_cannot_be_made),
        cmocka_unit_test(test_journal_cannot_be_written),
        cmocka_unit_test(test_stray_journal),
        cmocka_unit_test(test_few_descriptors),
        cmocka_unit_test(test_cannot_be_closed),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_durable),
        cmocka_unit_test(test_durable_data_fails),
        cmocka_unit_test(test_durable_name_fails),
    };

    return UNIT_RUN(tests);
}
