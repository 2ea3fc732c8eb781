/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Writing to files in every way, and getting the room for them, against real file systems. */
#include "tests/unit/ring_file_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

enum { LARGE_BYTES = 1024 * 1024 };

/* ---- writing ---- */

static void write_and_compare(int fd, const char *data, size_t len, uint64_t offset)
{
    char *back = malloc(len);

    assert_non_null(back);
    assert_int_equal(DO(ring_write(f.ring, &f.op, fd, RING_WRITE_CACHED, data, len, offset)), len);
    assert_int_equal(pread(fd, back, len, (off_t)offset), len);
    assert_memory_equal(back, data, len);
    free(back);
}

/* Small and large ones, alone and beside others: at once and through the kernel's queue. */
static void test_write(void **state)
{
    static const size_t lens[] = {1, 4096, 65536, 65537, LARGE_BYTES};
    uint64_t random = 11;
    char *data = malloc(LARGE_BYTES);

    (void)state;
    assert_non_null(data);
    for (size_t i = 0; i < LARGE_BYTES; i++)
        data[i] = (char)unit_random(&random);
    for (size_t base = 0; base < BASES; base++) {
        for (int busy = 0; busy < 2; busy++) {
            struct beside beside;
            int fd;

            begin(bases[base], 0);
            if (busy)
                begin_beside(&beside);
            fd = openat(f.directory, "a", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
            for (size_t i = 0; i < COUNT_OF(lens); i++) {
                write_and_compare(fd, data, lens[i], 0);
                write_and_compare(fd, data, lens[i], 12345);
                write_and_compare(fd, data, lens[i], UINT64_C(5) << 30); /* sparse */
            }
            if (busy)
                end_beside(&beside);
            close(fd);
            end();
        }
    }
    free(data);
}

static void test_write_full(void **state)
{
    char *data = calloc(1, LARGE_BYTES);
    struct beside beside;
    int fd;

    (void)state;
    begin("/tmp", 0);
    fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(DO(ring_write(f.ring, &f.op, fd, RING_WRITE_CACHED, data, 10, 0)), -ENOSPC);
    assert_int_equal(DO(ring_write(f.ring, &f.op, fd, RING_WRITE_CACHED, data, LARGE_BYTES, 0)),
                     -ENOSPC);
    assert_int_equal(DO(ring_write_stream(f.ring, &f.op, fd, data, 10)), -ENOSPC);
    begin_beside(&beside);
    assert_int_equal(DO(ring_write(f.ring, &f.op, fd, RING_WRITE_CACHED, data, LARGE_BYTES, 0)),
                     -ENOSPC);
    end_beside(&beside);
    close(fd);
    assert_int_equal(DO(ring_write(f.ring, &f.op, fd, RING_WRITE_CACHED, data, 10, 0)), -EBADF);
    free(data);
    end();
}

/* A stream has a position of its own. */
static void test_write_stream_to_file(void **state)
{
    int fd;

    (void)state;
    begin("/tmp", 0);
    fd = openat(f.directory, "a", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    assert_int_equal(DO(ring_write_stream(f.ring, &f.op, fd, "abc", 3)), 3);
    assert_int_equal(DO(ring_write_stream(f.ring, &f.op, fd, "def", 3)), 3);
    assert_content("a", "abcdef");
    close(fd);
    fd = openat(f.directory, "a", O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(DO(ring_write_stream(f.ring, &f.op, fd, "ghi", 3)), 3);
    assert_content("a", "abcdefghi");
    close(fd);
    end();
}

/* ---- ways of writing ---- */

enum { WAY_OFFSET = 3 * RING_DIRECT_BYTES };

/* Page-aligned, to be given to munmap(). */
static char *map_random(size_t len)
{
    char *data = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t random = 13;

    assert_true(data != MAP_FAILED);
    for (size_t i = 0; i < len; i++)
        data[i] = (char)unit_random(&random);
    return data;
}

static int create_file(const char *name)
{
    int fd = openat(f.directory, name, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    return fd;
}

static bool is_direct(int fd)
{
    return fcntl(fd, F_GETFL) & O_DIRECT;
}

/* As another program reads it. */
static void assert_bytes(const char *name, const char *want, size_t len, uint64_t offset)
{
    int fd = openat(f.directory, name, O_RDONLY | O_CLOEXEC);
    char *got = malloc(len);

    assert_true(fd >= 0 && got);
    assert_int_equal(pread(fd, got, len, (off_t)offset), len);
    assert_memory_equal(got, want, len);
    free(got);
    close(fd);
}

static int write_way(int fd, enum ring_write_way way, const char *data, size_t len, uint64_t offset)
{
    return DO(ring_write(f.ring, &f.op, fd, way, data, len, offset));
}

/* Dropped from the page cache, or refused in words that a caller can act on. */
static void test_write_uncached(void **state)
{
    static const size_t lens[] = {1, 4096, 65537, LARGE_BYTES};
    const char *all[] = {bases[0], bases[1], unit_build_directory()};
    char *data = map_random(LARGE_BYTES);

    (void)state;
    for (size_t i = 0; i < 4 * COUNT_OF(all); i++) {
        bool off = i % 2, busy = i / 2 % 2;
        struct beside beside;
        int fd;

        begin(all[i / 4], off ? HAUL_FEATURE_DONTCACHE : 0);
        if (busy)
            begin_beside(&beside);
        fd = create_file("a");
        for (size_t k = 0; k < COUNT_OF(lens); k++) {
            int res = write_way(fd, RING_WRITE_UNCACHED, data, lens[k], 777);

            if (off || res < 0) {
                assert_int_equal(res, -EOPNOTSUPP);
                assert_int_equal(lseek(fd, 0, SEEK_END), 0); /* nothing of it was written */
            } else {
                assert_int_equal(res, lens[k]);
                assert_bytes("a", data, lens[k], 777);
            }
        }
        if (busy)
            end_beside(&beside);
        close(fd);
        end();
    }
    munmap(data, LARGE_BYTES);
}

/* A file, and the same for direct writes. False: not here; that is said. */
static bool begin_direct(uint32_t features_off, int *fd, int *direct)
{
    begin(unit_build_directory(), features_off);
    *fd = create_file("a");
    *direct = DO(ring_open_direct(f.ring, &f.op, *fd, true));
    if (*direct >= 0)
        return true;
    assert_int_equal(*direct, -EOPNOTSUPP);
    print_message("no O_DIRECT in %s\n", f.path);
    close(*fd);
    end();
    return false;
}

static void test_write_direct(void **state)
{
    static const size_t lens[] = {RING_DIRECT_BYTES, 3 * RING_DIRECT_BYTES, LARGE_BYTES};
    char *data = map_random(LARGE_BYTES);
    bool possible = true;

    (void)state;
    for (int busy = 0; possible && busy < 2; busy++) {
        struct beside beside;
        int fd, direct;

        possible = begin_direct(0, &fd, &direct);
        if (!possible)
            break;
        if (busy)
            begin_beside(&beside);
        close(fd); /* the other needs it no more */
        for (size_t i = 0; i < COUNT_OF(lens); i++) {
            for (uint64_t offset = 0; offset < UINT64_C(1) << 33;
                 offset = offset * 5 + WAY_OFFSET) {
                offset -= offset % RING_DIRECT_BYTES;
                assert_int_equal(write_way(direct, RING_WRITE_DIRECT, data, lens[i], offset),
                                 lens[i]);
                assert_bytes("a", data, lens[i], offset);
            }
        }
        if (busy)
            end_beside(&beside);
        close(direct);
        end();
    }
    munmap(data, LARGE_BYTES);
    if (!possible)
        skip();
}

/* Odd ends beside whole blocks, of one file: each is read as it was written, in any order. */
static void test_write_both(void **state)
{
    static const struct {
        enum ring_write_way way;
        size_t from;
        size_t to;
    } parts[] = {
        {RING_WRITE_CACHED, 5000, 8192},
        {RING_WRITE_DIRECT, 8192, 81920},
        {RING_WRITE_CACHED, 81920, 81921},
        {RING_WRITE_CACHED, 1, 5000},
        {RING_WRITE_CACHED, 81921, 86016},
        {RING_WRITE_DIRECT, 86016, 90112},
        {RING_WRITE_CACHED, 0, 1},
        {RING_WRITE_CACHED, 90112, LARGE_BYTES - 3}, /* long, and odd at its end */
        {RING_WRITE_DIRECT, 4096, 12288},            /* over what the page cache has */
    };
    char *data = map_random(LARGE_BYTES);
    int fd, direct;

    (void)state;
    if (!begin_direct(0, &fd, &direct)) {
        munmap(data, LARGE_BYTES);
        skip();
    }
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        size_t len = parts[i].to - parts[i].from;
        int to = parts[i].way == RING_WRITE_DIRECT ? direct : fd;

        assert_int_equal(write_way(to, parts[i].way, data + parts[i].from, len, parts[i].from),
                         len);
        assert_bytes("a", data + parts[i].from, len, parts[i].from);
    }
    assert_bytes("a", data, LARGE_BYTES - 3, 0);
    assert_int_equal(DO(ring_sync(f.ring, &f.op, fd)), 0);
    assert_bytes("a", data, LARGE_BYTES - 3, 0);
    close(direct);
    assert_false(is_direct(fd));
    assert_int_equal(write_way(fd, RING_WRITE_CACHED, data + 1, 77, 3), 77);
    assert_bytes("a", data + 1, 77, 3);
    close(fd);
    end();
    munmap(data, LARGE_BYTES);
}

/* From memory that is registered, from beside it, and across its pieces. */
static void test_write_from_lent_memory(void **state)
{
    static const struct {
        size_t from;
        size_t len;
    } parts[] = {
        {0, RING_DIRECT_BYTES},
        {LARGE_BYTES - RING_DIRECT_BYTES, RING_DIRECT_BYTES},
        {LARGE_BYTES, LARGE_BYTES},
        {0, LARGE_BYTES},
        {LARGE_BYTES - RING_DIRECT_BYTES, 2 * RING_DIRECT_BYTES},
        {2 * LARGE_BYTES - RING_DIRECT_BYTES, 2 * RING_DIRECT_BYTES},
        {2 * LARGE_BYTES, LARGE_BYTES},
    };
    char *data = map_random(3 * LARGE_BYTES);

    (void)state;
    for (int off = 0; off < 2; off++) {
        int fd, direct;

        if (!begin_direct(off ? HAUL_FEATURE_FIXED : 0, &fd, &direct)) {
            munmap(data, 3 * LARGE_BYTES);
            skip();
        }
        ring_lend_memory(f.ring, data, 2 * LARGE_BYTES);
        for (size_t i = 0; i < 2 * COUNT_OF(parts); i++) {
            size_t from = parts[i / 2].from, len = parts[i / 2].len;

            assert_int_equal(
                write_way(direct, RING_WRITE_DIRECT, data + from, len, i * LARGE_BYTES), len);
            assert_bytes("a", data + from, len, i * LARGE_BYTES);
            data[from + i] ^= 1; /* what is registered is the memory, not what was in it */
        }
        assert_int_equal(write_way(fd, RING_WRITE_CACHED, data + 1, LARGE_BYTES, 1), LARGE_BYTES);
        assert_bytes("a", data + 1, LARGE_BYTES, 1);
        ring_take_memory_back(f.ring);
        close(direct);
        close(fd);
        end();
    }
    munmap(data, 3 * LARGE_BYTES);
}

/* tmpfs takes the flag and goes through the page cache all the same: that is of no use, but does
 * no harm either. */
static void test_open_direct(void **state)
{
    struct statfs status;
    int fd, direct;

    (void)state;
    begin(unit_build_directory(), HAUL_FEATURE_DIRECT);
    fd = create_file("a");
    assert_int_equal(DO(ring_open_direct(f.ring, &f.op, fd, true)), -EOPNOTSUPP);
    close(fd);
    assert_int_equal(DO(ring_open_direct(f.ring, &f.op, fd, true)), -EOPNOTSUPP);
    end();
    begin("/dev/shm", 0);
    fd = create_file("a");
    assert_int_equal(unlinkat(f.directory, "a", 0), 0); /* its name doesn't matter */
    if (fstatfs(fd, &status) == 0 && status.f_type == TMPFS_MAGIC)
        assert_int_equal(DO(ring_open_direct(f.ring, &f.op, fd, false)), -EOPNOTSUPP);
    direct = DO(ring_open_direct(f.ring, &f.op, fd, true));
    assert_false(is_direct(fd));
    if (direct < 0) {
        assert_int_equal(direct, -EOPNOTSUPP);
    } else {
        struct stat one, other;

        assert_true(is_direct(direct));
        assert_true(fcntl(direct, F_GETFD) & FD_CLOEXEC);
        assert_int_equal(fstat(fd, &one) | fstat(direct, &other), 0);
        assert_int_equal(one.st_ino, other.st_ino);
        close(direct);
    }
    close(fd);
    end();
}

/* ---- allocating ---- */

static void assert_allocated(int fd, uint64_t len, uint64_t size)
{
    static char zeros[LARGE_BYTES];
    struct stat status;

    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, size);
    assert_true((uint64_t)status.st_blocks * 512 >= len);
    assert_bytes("a", "hello", 5, 0);
    if (size > 5)
        assert_bytes("a", zeros, (size_t)size - 5, 5);
}

static void test_allocate(void **state)
{
    static const uint64_t lens[] = {1, 5, 6, 4096, 65535, 65536, 65541, 65542, LARGE_BYTES};
    const char *all[] = {bases[0], bases[1], unit_build_directory()};

    (void)state;
    for (size_t i = 0; i < 4 * COUNT_OF(all); i++) {
        bool off = i % 2, zeros = i / 2 % 2;

        begin(all[i / 4], off ? HAUL_FEATURE_FALLOCATE : 0);
        for (size_t k = 0; k < COUNT_OF(lens); k++) {
            uint64_t size = lens[k] > 5 ? lens[k] : 5; /* what is there stays */
            int fd, res;

            put("a", "hello");
            fd = openat(f.directory, "a", O_RDWR | O_CLOEXEC);
            res = DO(ring_allocate(f.ring, &f.op, fd, lens[k], zeros));
            if (zeros || res == 0) {
                assert_int_equal(res, 0);
                assert_false(off && !zeros);
                assert_allocated(fd, lens[k], size);
            } else {
                assert_int_equal(res, -EOPNOTSUPP);
                assert_allocated(fd, 0, 5);
            }
            close(fd);
        }
        end();
    }
}

/* Trouble is told, and leaves the size as it was. */
static void test_allocate_in_vain(void **state)
{
    int fd, res;

    (void)state;
    begin(unit_build_directory(), 0);
    put("a", "hello");
    fd = openat(f.directory, "a", O_RDWR | O_CLOEXEC);
    res = DO(ring_allocate(f.ring, &f.op, fd, UINT64_C(1) << 62, false));
    assert_true(res == -EFBIG || res == -ENOSPC || res == -EOPNOTSUPP);
    assert_allocated(fd, 0, 5);
    close(fd);
    assert_int_equal(DO(ring_allocate(f.ring, &f.op, fd, 10, true)), -EBADF);
    end();
    begin(unit_build_directory(), HAUL_FEATURE_FALLOCATE);
    fd = open("/dev/full", O_RDWR | O_CLOEXEC);
    assert_int_equal(DO(ring_allocate(f.ring, &f.op, fd, 10, true)), -ENOSPC);
    close(fd);
    assert_int_equal(DO(ring_allocate(f.ring, &f.op, fd, 10, true)), -EBADF);
    end();
}

/* Many zeros are broken off. */
static void test_allocate_cancelled(void **state)
{
    struct stat status;
    int fd, res;

    (void)state;
    begin(bases[1], HAUL_FEATURE_FALLOCATE);
    fd = create_file("a");
    f.starting = true;
    ring_allocate(f.ring, &f.op, fd, UINT64_C(1) << 30, true);
    ring_cancel(f.ring, &f.op);
    res = wait_done();
    assert_int_equal(fstat(fd, &status), 0);
    close(fd);
    end(); /* before it may fail: that is much memory */
    assert_int_equal(res, -ECANCELED);
    assert_true(status.st_size < INT64_C(1) << 30);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_full),
        cmocka_unit_test(test_write_stream_to_file),
        cmocka_unit_test(test_write_uncached),
        cmocka_unit_test(test_write_direct),
        cmocka_unit_test(test_write_both),
        cmocka_unit_test(test_write_from_lent_memory),
        cmocka_unit_test(test_open_direct),
        cmocka_unit_test(test_allocate),
        cmocka_unit_test(test_allocate_in_vain),
        cmocka_unit_test(test_allocate_cancelled),
    };

    return UNIT_RUN(tests);
}
