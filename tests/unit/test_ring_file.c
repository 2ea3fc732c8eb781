/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the ring does to files, against real file systems; the loop itself is test_ring's, writing
 * is test_ring_write's. */
#include "tests/unit/ring_file_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MANY = 200 };

/* ---- claims ---- */

static int claim(const char *name, enum ring_claim how)
{
    return DO(ring_claim(f.ring, &f.op, f.directory, name, how));
}

static void test_claim(void **state)
{
    (void)state;
    for (size_t base = 0; base < BASES; base++) {
        int fd;

        begin(bases[base], 0);
        fd = claim("new", RING_CLAIM_NEW);
        assert_true(fd >= 0);
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        assert_int_equal(DO(ring_write(f.ring, &f.op, fd, RING_WRITE_CACHED, "abc", 3, 0)), 3);
        assert_int_equal(claim("new", RING_CLAIM_KEEP), -EBUSY);
        assert_int_equal(claim("new", RING_CLAIM_NEW), -EBUSY);
        assert_content("new", "abc");
        ring_close(f.ring, fd);
        assert_int_equal(claim("new", RING_CLAIM_NEW), -EBUSY); /* something has come to be there */
        assert_content("new", "abc");
        fd = claim("new", RING_CLAIM_KEEP);
        assert_true(fd >= 0);
        assert_content("new", "abc");
        ring_close(f.ring, fd);
        fd = claim("kept", RING_CLAIM_KEEP); /* made, if it is not there */
        assert_true(fd >= 0);
        assert_content("kept", "");
        ring_close(f.ring, fd);
        end();
    }
}

/* A lock of another program's holds us off as well. */
static void test_claim_locked(void **state)
{
    int fd, other;

    (void)state;
    begin("/tmp", 0);
    put("a", "abc");
    other = openat(f.directory, "a", O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(other, LOCK_SH), 0);
    assert_int_equal(claim("a", RING_CLAIM_KEEP), -EBUSY);
    close(other);
    fd = claim("a", RING_CLAIM_KEEP);
    assert_true(fd >= 0);
    ring_close(f.ring, fd);
    end();
}

static void test_claim_of_other_things(void **state)
{
    static const enum ring_claim hows[] = {RING_CLAIM_KEEP, RING_CLAIM_NEW};
    static const struct {
        const char *name;
        int kept;
    } rows[] = {
        {"fifo", -EEXIST}, {"link", -ELOOP},       {"dangling", -ELOOP},
        {"sub", -EISDIR},  {"gone/file", -ENOENT}, {"file/file", -ENOTDIR},
    };

    (void)state;
    begin("/tmp", 0);
    put("file", "abc");
    assert_int_equal(mkfifoat(f.directory, "fifo", 0644), 0);
    assert_int_equal(symlinkat("file", f.directory, "link"), 0);
    assert_int_equal(symlinkat("nowhere", f.directory, "dangling"), 0);
    assert_int_equal(mkdirat(f.directory, "sub", 0755), 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_int_equal(claim(rows[i].name, RING_CLAIM_KEEP), rows[i].kept);
    for (size_t i = 0; i < COUNT_OF(rows); i++)
        assert_true(claim(rows[i].name, RING_CLAIM_NEW) < 0);
    for (size_t i = 0; i < COUNT_OF(hows); i++) {
        char longest[FILENAME_MAX];

        memset(longest, 'a', 256);
        longest[256] = '\0';
        assert_int_equal(claim(longest, hows[i]), -ENAMETOOLONG);
        longest[255] = '\0';
        if (i == 0) {
            int fd = claim(longest, hows[i]);

            assert_true(fd >= 0);
            ring_close(f.ring, fd);
        }
    }
    assert_content("file", "abc");
    assert_int_equal(faccessat(f.directory, "nowhere", F_OK, 0), -1);
    end();
}

/* ---- names ---- */

static int rename_to(const char *from, const char *to)
{
    return DO(ring_rename(f.ring, &f.op, f.directory, from, to, false));
}

static void test_rename(void **state)
{
    static const uint32_t features[] = {0, HAUL_FEATURE_RENAME_NOREPLACE};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(features) * BASES; i++) {
        begin(bases[i / 2], features[i % 2]);
        put("a", "of a");
        put("b", "of b");
        assert_int_equal(mkdirat(f.directory, "sub", 0755), 0);
        assert_int_equal(symlinkat("nowhere", f.directory, "dangling"), 0);
        assert_int_equal(rename_to("a", "b"), -EEXIST);
        assert_int_equal(rename_to("a", "sub"), -EEXIST);
        assert_int_equal(rename_to("a", "dangling"), -EEXIST);
        assert_int_equal(rename_to("gone", "c"), -ENOENT);
        assert_content("a", "of a");
        assert_content("b", "of b");
        assert_int_equal(rename_to("a", "c"), 0);
        assert_content("c", "of a");
        assert_int_equal(faccessat(f.directory, "a", F_OK, 0), -1);
        end();
    }
}

static void test_unlink_and_exists(void **state)
{
    static const char *const names[] = {"file", "sub", "dangling"};

    (void)state;
    begin("/tmp", 0);
    put("file", "abc");
    assert_int_equal(mkdirat(f.directory, "sub", 0755), 0);
    assert_int_equal(symlinkat("nowhere", f.directory, "dangling"), 0);
    for (size_t i = 0; i < COUNT_OF(names); i++)
        assert_int_equal(DO(ring_exists(f.ring, &f.op, f.directory, names[i])), 1);
    assert_int_equal(DO(ring_exists(f.ring, &f.op, f.directory, "gone")), 0);
    assert_int_equal(DO(ring_exists(f.ring, &f.op, f.directory, "file/x")), -ENOTDIR);
    assert_int_equal(DO(ring_unlink(f.ring, &f.op, f.directory, "gone")), -ENOENT);
    assert_int_equal(DO(ring_unlink(f.ring, &f.op, f.directory, "sub")), -EISDIR);
    assert_int_equal(DO(ring_unlink(f.ring, &f.op, f.directory, "dangling")), 0);
    assert_int_equal(DO(ring_unlink(f.ring, &f.op, f.directory, "file")), 0);
    assert_int_equal(DO(ring_exists(f.ring, &f.op, f.directory, "file")), 0);
    end();
}

static int open_directory(const char *below, bool make)
{
    char path[PATH_MAX];

    assert_in_range(snprintf(path, sizeof(path), "%s%s", f.path, below), 1, sizeof(path) - 1);
    return DO(ring_open_directory(f.ring, &f.op,
                                  &(struct ring_place){.root = path, .below = "", .make = make}));
}

static void test_directory(void **state)
{
    static const struct {
        const char *below;
        bool make;
        int res; /* 0: opened */
    } rows[] = {
        {"", false, 0},
        {"", true, 0},
        {"/", true, 0},
        {"/gone", false, -ENOENT},
        {"/new", true, 0},
        {"/new", false, 0},
        {"/a/b//c/../d/", true, 0},
        {"/a/b/d", false, 0},
        {"/file", true, -ENOTDIR},
        {"/file/x", true, -ENOTDIR},
        {"/dangling/x", true, -ENOENT},
    };
    char *longest = malloc(PATH_MAX + 2);

    (void)state;
    begin("/tmp", 0);
    put("file", "abc");
    assert_int_equal(symlinkat("nowhere", f.directory, "dangling"), 0);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        int res = open_directory(rows[i].below, rows[i].make);

        if (rows[i].res < 0) {
            assert_int_equal(res, rows[i].res);
            continue;
        }
        assert_true(res >= 0);
        assert_int_equal(fcntl(res, F_GETFD), FD_CLOEXEC);
        assert_int_equal(DO(ring_exists(f.ring, &f.op, res, "nothing")), 0);
        ring_close(f.ring, res);
    }
    memset(longest, '/', PATH_MAX + 1);
    longest[PATH_MAX + 1] = '\0';
    assert_int_equal(
        DO(ring_open_directory(f.ring, &f.op,
                               &(struct ring_place){.root = longest, .below = "", .make = true})),
        -ENAMETOOLONG);
    free(longest);
    end();
}

/* ---- open files ---- */

static void test_truncate_sync_facts(void **state)
{
    struct ring_facts facts;
    int fd;

    (void)state;
    begin("/tmp", 0);
    put("a", "0123456789");
    fd = openat(f.directory, "a", O_RDWR | O_CLOEXEC);
    assert_int_equal(DO(ring_facts(f.ring, &f.op, fd, &facts)), 0);
    assert_int_equal(facts.bytes, 10);
    assert_true(facts.own);
    assert_int_equal(DO(ring_truncate(f.ring, &f.op, fd, 4)), 0);
    assert_content("a", "0123");
    assert_int_equal(DO(ring_truncate(f.ring, &f.op, fd, UINT64_C(1) << 33)), 0);
    assert_int_equal(DO(ring_facts(f.ring, &f.op, fd, &facts)), 0);
    assert_int_equal(facts.bytes, UINT64_C(1) << 33);
    assert_int_equal(DO(ring_sync(f.ring, &f.op, fd)), 0);
    if (geteuid() == 0) {
        assert_int_equal(fchown(fd, 65534, 65534), 0);
        assert_int_equal(DO(ring_facts(f.ring, &f.op, fd, &facts)), 0);
        assert_false(facts.own);
    }
    assert_int_equal(ring_close(f.ring, fd), 0);
    assert_int_equal(ring_close(f.ring, fd), -EBADF);
    assert_int_equal(DO(ring_sync(f.ring, &f.op, fd)), -EBADF);
    assert_int_equal(DO(ring_truncate(f.ring, &f.op, fd, 0)), -EBADF);
    assert_int_equal(DO(ring_facts(f.ring, &f.op, fd, &facts)), -EBADF);
    end();
}

static void test_read(void **state)
{
    enum { LARGE = 3 * 1024 * 1024 };
    char *large = malloc(LARGE), *got = malloc(2 * LARGE);
    uint64_t random = 1;

    (void)state;
    for (size_t i = 0; i < LARGE; i++)
        large[i] = (char)unit_random(&random);
    for (size_t base = 0; base < BASES; base++) {
        int fd;

        begin(bases[base], 0);
        fd = openat(f.directory, "a", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
        assert_int_equal(DO(ring_read(f.ring, &f.op, fd, got, 1, 0)), 0);
        assert_int_equal(pwrite(fd, large, LARGE, 0), LARGE);
        assert_int_equal(DO(ring_read(f.ring, &f.op, fd, got, LARGE, 0)), LARGE);
        assert_memory_equal(got, large, LARGE);
        assert_int_equal(DO(ring_read(f.ring, &f.op, fd, got, 1000, 77)), 1000);
        assert_memory_equal(got, large + 77, 1000);
        /* fewer only where the file ends */
        assert_int_equal(DO(ring_read(f.ring, &f.op, fd, got, 2 * LARGE, 3)), LARGE - 3);
        assert_memory_equal(got, large + 3, LARGE - 3);
        assert_int_equal(DO(ring_read(f.ring, &f.op, fd, got, 9, LARGE - 9)), 9);
        assert_int_equal(DO(ring_read(f.ring, &f.op, fd, got, 9, LARGE)), 0);
        close(fd);
        assert_int_equal(DO(ring_read(f.ring, &f.op, fd, got, 9, 0)), -EBADF);
        end();
    }
    free(large);
    free(got);
}

struct many {
    struct op ops[MANY];
    struct ref ref;
    unsigned well;
};

static void synced(struct op *op, int res)
{
    struct many *many = CONTAINER_OF(op->owner, struct many, ref);

    many->well += res == 0;
}

static void nobody(struct ref *ref)
{
    (void)ref;
}

/* More than the kernel has threads for us at first; and as many again. */
static void test_many_syncs(void **state)
{
    (void)state;
    for (size_t base = 0; base < BASES; base++) {
        struct many many = {.well = 0};
        int fd;

        begin(bases[base], 0);
        put("a", "of a");
        fd = openat(f.directory, "a", O_RDWR | O_CLOEXEC);
        ref_init(&many.ref, nobody);
        for (unsigned round = 1; round <= 2; round++) {
            for (size_t i = 0; i < MANY; i++) {
                op_init(&many.ops[i], synced, &many.ref);
                if (i % 2)
                    ring_sync_directory(f.ring, &many.ops[i], f.directory);
                else
                    ring_sync(f.ring, &many.ops[i], fd);
            }
            while (ring_busy(f.ring) > 0)
                assert_int_equal(ring_turn(f.ring, UINT64_MAX), 0);
            assert_int_equal(many.well, round * MANY);
        }
        close(fd);
        end();
    }
}

static int lowest_free_descriptor(void)
{
    int fd = dup(STDIN_FILENO);

    close(fd);
    return fd;
}

static void test_sync_directory(void **state)
{
    (void)state;
    for (size_t base = 0; base < BASES; base++) {
        int free_before, fd;

        begin(bases[base], 0);
        put("a", "of a");
        free_before = lowest_free_descriptor();
        assert_int_equal(DO(ring_sync_directory(f.ring, &f.op, f.directory)), 0);
        assert_int_equal(DO(ring_sync(f.ring, &f.op, f.directory)), -EBADF); /* as O_PATH has it */
        assert_int_equal(lowest_free_descriptor(), free_before);
        fd = openat(f.directory, "a", O_RDWR | O_CLOEXEC);
        assert_int_equal(DO(ring_sync_directory(f.ring, &f.op, fd)), -ENOTDIR);
        assert_int_equal(DO(ring_sync(f.ring, &f.op, fd)), 0); /* does not close it */
        assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
        close(fd);
        end();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_claim),
        cmocka_unit_test(test_claim_locked),
        cmocka_unit_test(test_claim_of_other_things),
        cmocka_unit_test(test_rename),
        cmocka_unit_test(test_unlink_and_exists),
        cmocka_unit_test(test_directory),
        cmocka_unit_test(test_truncate_sync_facts),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_many_syncs),
        cmocka_unit_test(test_sync_directory),
    };

    return UNIT_RUN(tests);
}
