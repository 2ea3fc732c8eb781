/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Directories below the user's own, names that are replaced, and what files are known by. */
#include "ring_file_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

static int open_below(const char *below, bool make, bool durable)
{
    struct ring_place place = {.root = f.path, .below = below, .make = make, .durable = durable};

    return DO(ring_open_directory(f.ring, &f.op, &place));
}

static bool is_same(int fd, const char *path)
{
    struct stat a, b;

    return fstat(fd, &a) == 0 && fstatat(f.directory, path, &b, 0) == 0 && a.st_ino == b.st_ino &&
           a.st_dev == b.st_dev;
}

static void test_below(void **state)
{
    static const struct {
        const char *below;
        bool make;
        int res;         /* 0: opened */
        int res_without; /* openat2 */
        const char *is;
    } rows[] = {
        {"sub", false, 0, 0, "sub"},
        {"sub/", false, 0, 0, "sub"},
        {"sub//deep", false, 0, 0, "sub/deep"},
        {"new", false, -ENOENT, -ENOENT, NULL},
        {"new/a//b/c", true, 0, 0, "new/a/b/c"},
        {"sub/made", true, 0, 0, "sub/made"},
        {"within", false, 0, -ELOOP, "sub/deep"},
        {"within/made", true, 0, -ELOOP, "sub/deep/made"},
        {"sub/up", true, 0, -ELOOP, "sub"},
        {"out", true, -EXDEV, -ELOOP, NULL},
        {"out/made", true, -EXDEV, -ELOOP, NULL},
        {"absolute", true, -EXDEV, -ELOOP, NULL},
        {"absolute/made/more", true, -EXDEV, -ELOOP, NULL},
        {"loop/made", true, -ELOOP, -ELOOP, NULL},
        {"dangling/made", true, -ENOENT, -ELOOP, NULL},
        {"..", true, -EXDEV, -EXDEV, NULL},
        {"sub/../..", true, -EXDEV, -EXDEV, NULL},
        {"/tmp", true, -EXDEV, -ENOENT, NULL},
        {"file", true, -ENOTDIR, -ENOTDIR, NULL},
        {"file/x", true, -ENOTDIR, -ENOTDIR, NULL},
    };
    static const uint32_t features[] = {0, HAUL_FEATURE_OPENAT2};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows) * COUNT_OF(features) * 2; i++) {
        const size_t row = i / 4;
        bool without = i % 2;
        int want = without ? rows[row].res_without : rows[row].res, res;

        if (strcmp(rows[row].below, "/tmp") == 0 && without)
            continue; /* the walk takes it as relative */
        begin("/tmp", features[i % 2]);
        put("file", "abc");
        assert_int_equal(mkdirat(f.directory, "sub", 0755), 0);
        assert_int_equal(mkdirat(f.directory, "sub/deep", 0755), 0);
        assert_int_equal(symlinkat("sub/deep", f.directory, "within"), 0);
        assert_int_equal(symlinkat("../sub", f.directory, "sub/up"), 0);
        assert_int_equal(symlinkat("../..", f.directory, "out"), 0);
        assert_int_equal(symlinkat("/tmp", f.directory, "absolute"), 0);
        assert_int_equal(symlinkat("loop", f.directory, "loop"), 0);
        assert_int_equal(symlinkat("nowhere", f.directory, "dangling"), 0);
        res = open_below(rows[row].below, rows[row].make, i / 2 % 2);
        if (want < 0 ? res != want : res < 0 || !is_same(res, rows[row].is))
            fail_msg("%s: %d", rows[row].below, res);
        if (res >= 0)
            ring_close(f.ring, res);
        end();
    }
}

/* The user's own directory may be a link, and be made with what is below it. */
static void test_root(void **state)
{
    char root[2 * PATH_MAX];
    int res;

    (void)state;
    begin("/tmp", 0);
    assert_int_equal(mkdirat(f.directory, "real", 0755), 0);
    assert_int_equal(symlinkat("real", f.directory, "link"), 0);
    for (int durable = 0; durable < 2; durable++) {
        snprintf(root, sizeof(root), "%s/link/made%d", f.path, durable);
        res = DO(ring_open_directory(
            f.ring, &f.op,
            &(struct ring_place){.root = root, .below = "a/b", .make = true, .durable = durable}));
        assert_true(res >= 0);
        assert_true(is_same(res, durable ? "real/made1/a/b" : "real/made0/a/b"));
        ring_close(f.ring, res);
    }
    end();
}

static int replace(const char *from, const char *to)
{
    return DO(ring_rename(f.ring, &f.op, f.directory, from, to, true));
}

static void test_replace(void **state)
{
    struct stat status;

    (void)state;
    for (size_t i = 0; i < BASES; i++) {
        begin(bases[i], 0);
        put("a", "of a");
        put("b", "of b");
        put("c", "of c");
        put("target", "theirs");
        assert_int_equal(mkdirat(f.directory, "sub", 0755), 0);
        assert_int_equal(symlinkat("target", f.directory, "link"), 0);
        assert_int_equal(replace("a", "b"), 0);
        assert_content("b", "of a");
        assert_int_equal(replace("b", "new"), 0);
        assert_content("new", "of a");
        assert_int_equal(replace("new", "sub"), -EEXIST);
        assert_int_equal(replace("gone", "new"), -ENOENT);
        assert_int_equal(replace("c", "link"), 0);
        assert_int_equal(fstatat(f.directory, "link", &status, AT_SYMLINK_NOFOLLOW), 0);
        assert_true(S_ISREG(status.st_mode));
        assert_content("target", "theirs");
        end();
    }
}

static int look_up(const char *name, const char *attribute, struct ring_standing *standing)
{
    return DO(ring_look_up(f.ring, &f.op, f.directory, name, attribute, standing));
}

static void test_look_up(void **state)
{
    struct ring_standing standing;
    int64_t before;
    int fd;

    (void)state;
    begin("/tmp", 0);
    before = ring_file_clock_ns(f.ring);
    put("file", "abc");
    assert_int_equal(symlinkat("file", f.directory, "link"), 0);
    assert_int_equal(look_up("gone", NULL, &standing), 0);
    assert_int_equal(look_up("link", "user.test", &standing), 1);
    assert_false(standing.regular);
    fd = openat(f.directory, "file", O_RDWR | O_CLOEXEC);
    assert_int_equal(ring_set_modified(f.ring, fd, 1234567), 0);
    assert_int_equal(look_up("file", "user.test", &standing), 1);
    assert_true(standing.regular);
    assert_int_equal(standing.bytes, 3);
    assert_int_equal(standing.modified_s, 1234567);
    assert_true(standing.changed_ns >= before);
    assert_int_equal(standing.attribute_bytes, 0);
    if (ring_set_attribute(f.ring, fd, "user.test", SPAN("value")) == 0) {
        assert_int_equal(look_up("file", "user.test", &standing), 1);
        assert_span(span_make(standing.attribute, standing.attribute_bytes), "value");
        assert_int_equal(look_up("file", "user.other", &standing), 1);
        assert_int_equal(standing.attribute_bytes, 0);
    }
    close(fd);
    end();
    begin("/tmp", HAUL_FEATURE_XATTR);
    put("file", "abc");
    fd = openat(f.directory, "file", O_RDWR | O_CLOEXEC);
    assert_int_equal(ring_set_attribute(f.ring, fd, "user.test", SPAN("value")), -EOPNOTSUPP);
    close(fd);
    end();
}

static void test_clock(void **state)
{
    struct ring_standing standing;
    int64_t began;

    (void)state;
    begin("/tmp", 0);
    for (unsigned i = 0; i < 10; i++) {
        put("old", "abc");
        ring_file_clock_pass(f.ring);
        began = ring_file_clock_ns(f.ring);
        put("new", "abc");
        assert_int_equal(look_up("old", NULL, &standing), 1);
        assert_true(standing.changed_ns < began);
        assert_int_equal(look_up("new", NULL, &standing), 1);
        assert_true(standing.changed_ns >= began);
        assert_int_equal(unlinkat(f.directory, "old", 0), 0);
        assert_int_equal(unlinkat(f.directory, "new", 0), 0);
    }
    end();
}

static unsigned found_count;

static bool found(void *context, const char *name, struct span value)
{
    (void)context;
    CHECK(strncmp(name, "with", 4) == 0 && span_equal(value, SPAN("value")));
    return ++found_count < 3;
}

static void test_list(void **state)
{
    static const char *const names[] = {"with1", "without1", "with2", "without2"};
    struct ring_listing listing = {.attribute = "user.test", .found = found};
    bool able = true;

    (void)state;
    begin("/tmp", 0);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        int fd;

        put(names[i], "");
        fd = openat(f.directory, names[i], O_RDWR | O_CLOEXEC);
        if (i % 2 == 0)
            able = able && ring_set_attribute(f.ring, fd, "user.test", SPAN("value")) == 0;
        close(fd);
    }
    found_count = 0;
    assert_int_equal(DO(ring_list(f.ring, &f.op, f.directory, &listing)), 0);
    assert_int_equal(found_count, able ? 2 : 0);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_below),   cmocka_unit_test(test_root),
        cmocka_unit_test(test_replace), cmocka_unit_test(test_look_up),
        cmocka_unit_test(test_clock),   cmocka_unit_test(test_list),
    };

    return UNIT_RUN(tests);
}
