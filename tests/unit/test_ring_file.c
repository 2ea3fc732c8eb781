/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the ring does to files, against real file systems; the loop itself is test_ring's. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "ring/ring.h"

enum { LARGE_BYTES = 1024 * 1024, BESIDE = 3 };

#define PATIENCE_NS (UINT64_C(20) * (uint64_t)NS_PER_S)

struct fixture {
    struct ring *ring;
    char path[PATH_MAX];
    int directory;
    struct ref ref;
    struct op op;
    int res;
    unsigned calls;
    bool starting;
};

static struct fixture f;

static void last(struct ref *ref)
{
    (void)ref;
}

static void done(struct op *op, int res)
{
    CHECK(op == &f.op && !f.starting); /* never from within the call */
    f.calls++;
    f.res = res;
}

/* An eventfd that stays silent, and ops that wait for it: what else is going on in a busy ring. */
struct beside {
    int fd;
    struct ref ref;
    struct op ops[BESIDE];
};

static void beside_done(struct op *op, int res)
{
    (void)op;
    (void)res;
}

static void begin_beside(struct beside *beside)
{
    beside->fd = eventfd(0, EFD_CLOEXEC);
    ref_init(&beside->ref, last);
    for (size_t i = 0; i < BESIDE; i++) {
        op_init(&beside->ops[i], beside_done, &beside->ref);
        ring_poll(f.ring, &beside->ops[i], beside->fd, POLLIN);
    }
}

static void end_beside(struct beside *beside)
{
    for (size_t i = 0; i < BESIDE; i++)
        ring_cancel(f.ring, &beside->ops[i]);
    while (ring_busy(f.ring) > 0)
        assert_int_equal(ring_turn(f.ring, ring_now_ns(f.ring) + (uint64_t)NS_PER_S), 0);
    close(beside->fd);
}

static void begin(const char *base, uint32_t features_off)
{
    struct ring_options options = {.features_off = features_off, .helper_threads = 1};
    struct haul_error error;

    memset(&f, 0, sizeof(f));
    f.ring = ring_create(&options, &error);
    assert_non_null(f.ring);
    snprintf(f.path, sizeof(f.path), "%s/haul-ring-XXXXXX", base);
    assert_non_null(mkdtemp(f.path));
    f.directory = open(f.path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(f.directory >= 0);
    ref_init(&f.ref, last);
    op_init(&f.op, done, &f.ref);
}

static void end(void)
{
    char command[PATH_MAX + 16];

    assert_int_equal(f.ref.count, 1);
    assert_int_equal(ring_busy(f.ring), 0);
    ring_destroy(f.ring);
    close(f.directory);
    snprintf(command, sizeof(command), "rm -rf '%s'", f.path);
    assert_int_equal(system(command), 0);
}

static int wait_done(void)
{
    unsigned calls = f.calls;
    uint64_t limit;

    f.starting = false;
    assert_int_equal(f.ref.count, 2);
    ring_read_clock(f.ring);
    limit = ring_now_ns(f.ring) + PATIENCE_NS;
    while (f.calls == calls && ring_now_ns(f.ring) < limit)
        assert_int_equal(ring_turn(f.ring, limit), 0);
    assert_int_equal(f.calls, calls + 1);
    assert_int_equal(f.ref.count, 1);
    return f.res;
}

/* Starts a request by f.op and gives what became of it. */
#define DO(call) (f.starting = true, (call), wait_done())

static void put(const char *name, const char *text)
{
    int fd = openat(f.directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void assert_content(const char *name, const char *want)
{
    int fd = openat(f.directory, name, O_RDONLY | O_CLOEXEC);
    char text[64];
    ssize_t got;

    assert_true(fd >= 0);
    got = read(fd, text, sizeof(text));
    assert_in_range(got, 0, sizeof(text));
    assert_span(span_make(text, (size_t)got), want);
    close(fd);
}

/* In memory, and wherever temporary files go; where it has to be a disk: unit_build_directory(). */
static const char *const bases[] = {"/tmp", "/dev/shm"};

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
    for (size_t base = 0; base < COUNT_OF(bases); base++) {
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

/* False: not here; that is said. */
static bool begin_direct(uint32_t features_off, int *fd)
{
    begin(unit_build_directory(), features_off);
    *fd = create_file("a");
    if (DO(ring_set_direct(f.ring, &f.op, *fd, true)) == 0)
        return true;
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
        int fd;

        possible = begin_direct(0, &fd);
        if (!possible)
            break;
        assert_true(is_direct(fd));
        if (busy)
            begin_beside(&beside);
        for (size_t i = 0; i < COUNT_OF(lens); i++) {
            for (uint64_t offset = 0; offset < UINT64_C(1) << 33;
                 offset = offset * 5 + WAY_OFFSET) {
                offset -= offset % RING_DIRECT_BYTES;
                assert_int_equal(write_way(fd, RING_WRITE_DIRECT, data, lens[i], offset), lens[i]);
                assert_bytes("a", data, lens[i], offset);
            }
        }
        if (busy)
            end_beside(&beside);
        close(fd);
        end();
    }
    munmap(data, LARGE_BYTES);
    if (!possible)
        skip();
}

/* Odd ends beside whole blocks, of one file: each is read as it was written, in any order. */
static void test_write_aside(void **state)
{
    static const struct {
        enum ring_write_way way;
        size_t from;
        size_t to;
    } parts[] = {
        {RING_WRITE_ASIDE, 5000, 8192},
        {RING_WRITE_DIRECT, 8192, 81920},
        {RING_WRITE_ASIDE, 81920, 81921},
        {RING_WRITE_ASIDE, 1, 5000},
        {RING_WRITE_ASIDE, 81921, 86016},
        {RING_WRITE_DIRECT, 86016, 90112},
        {RING_WRITE_ASIDE, 0, 1},
        {RING_WRITE_ASIDE, 90112, LARGE_BYTES - 3}, /* long, and odd at its end */
    };
    char *data = map_random(LARGE_BYTES);
    int fd;

    (void)state;
    if (!begin_direct(0, &fd)) {
        munmap(data, LARGE_BYTES);
        skip();
    }
    for (size_t i = 0; i < COUNT_OF(parts); i++) {
        size_t len = parts[i].to - parts[i].from;

        assert_int_equal(write_way(fd, parts[i].way, data + parts[i].from, len, parts[i].from),
                         len);
        assert_true(is_direct(fd));
        assert_bytes("a", data + parts[i].from, len, parts[i].from);
    }
    assert_bytes("a", data, LARGE_BYTES - 3, 0);
    assert_int_equal(DO(ring_sync(f.ring, &f.op, fd)), 0);
    assert_bytes("a", data, LARGE_BYTES - 3, 0);
    ring_unset_direct(f.ring, fd);
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
        int fd;

        if (!begin_direct(off ? HAUL_FEATURE_FIXED : 0, &fd)) {
            munmap(data, 3 * LARGE_BYTES);
            skip();
        }
        ring_lend_memory(f.ring, data, 2 * LARGE_BYTES);
        for (size_t i = 0; i < 2 * COUNT_OF(parts); i++) {
            size_t from = parts[i / 2].from, len = parts[i / 2].len;

            assert_int_equal(write_way(fd, RING_WRITE_DIRECT, data + from, len, i * LARGE_BYTES),
                             len);
            assert_bytes("a", data + from, len, i * LARGE_BYTES);
            data[from + i] ^= 1; /* what is registered is the memory, not what was in it */
        }
        ring_unset_direct(f.ring, fd);
        assert_int_equal(write_way(fd, RING_WRITE_CACHED, data + 1, LARGE_BYTES, 1), LARGE_BYTES);
        assert_bytes("a", data + 1, LARGE_BYTES, 1);
        ring_take_memory_back(f.ring);
        close(fd);
        end();
    }
    munmap(data, 3 * LARGE_BYTES);
}

/* tmpfs takes the flag and goes through the page cache all the same: that is of no use, but does
 * no harm either. */
static void test_set_direct(void **state)
{
    struct statfs status;
    int fd, res;

    (void)state;
    begin(unit_build_directory(), HAUL_FEATURE_DIRECT);
    fd = create_file("a");
    assert_int_equal(DO(ring_set_direct(f.ring, &f.op, fd, true)), -EOPNOTSUPP);
    assert_false(is_direct(fd));
    close(fd);
    end();
    begin("/dev/shm", 0);
    fd = create_file("a");
    if (fstatfs(fd, &status) == 0 && status.f_type == TMPFS_MAGIC) {
        assert_int_equal(DO(ring_set_direct(f.ring, &f.op, fd, false)), -EOPNOTSUPP);
        assert_false(is_direct(fd));
    }
    res = DO(ring_set_direct(f.ring, &f.op, fd, true));
    assert_true(res == 0 || res == -EOPNOTSUPP);
    assert_int_equal(is_direct(fd), res == 0);
    if (res == 0)
        assert_int_equal(write_way(fd, RING_WRITE_ASIDE, "hello", 5, 7), 5);
    ring_unset_direct(f.ring, fd);
    assert_false(is_direct(fd));
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
    int fd;

    (void)state;
    begin(bases[1], HAUL_FEATURE_FALLOCATE);
    fd = create_file("a");
    f.starting = true;
    ring_allocate(f.ring, &f.op, fd, UINT64_C(1) << 30, true);
    ring_cancel(f.ring, &f.op);
    assert_int_equal(wait_done(), -ECANCELED);
    assert_int_equal(fstat(fd, &status), 0);
    assert_true(status.st_size < INT64_C(1) << 30);
    close(fd);
    end();
}

/* ---- claims ---- */

static int claim(const char *name, enum ring_claim how)
{
    return DO(ring_claim(f.ring, &f.op, f.directory, name, how));
}

static void test_claim(void **state)
{
    (void)state;
    for (size_t base = 0; base < COUNT_OF(bases); base++) {
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
    return DO(ring_rename(f.ring, &f.op, f.directory, from, to));
}

static void test_rename(void **state)
{
    static const uint32_t features[] = {0, HAUL_FEATURE_RENAME_NOREPLACE};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(features) * COUNT_OF(bases); i++) {
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
    return DO(ring_open_directory(f.ring, &f.op, path, make));
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
    assert_int_equal(DO(ring_open_directory(f.ring, &f.op, longest, true)), -ENAMETOOLONG);
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
    close(fd);
    assert_int_equal(DO(ring_sync(f.ring, &f.op, fd)), -EBADF);
    assert_int_equal(DO(ring_truncate(f.ring, &f.op, fd, 0)), -EBADF);
    assert_int_equal(DO(ring_facts(f.ring, &f.op, fd, &facts)), -EBADF);
    end();
}

static void test_attributes(void **state)
{
    static const char name[] = "user.haul.test";
    char value[16];
    int fd, res;

    (void)state;
    begin("/tmp", 0);
    fd = openat(f.directory, "a", O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    res = DO(ring_get_attribute(f.ring, &f.op, fd, name, value, sizeof(value)));
    if (res == -EOPNOTSUPP) {
        print_message("no attributes on this file system\n");
    } else {
        assert_int_equal(res, -ENODATA);
        assert_int_equal(DO(ring_remove_attribute(f.ring, &f.op, fd, name)), -ENODATA);
        assert_int_equal(DO(ring_set_attribute(f.ring, &f.op, fd, name, "abc", 3)), 0);
        res = DO(ring_get_attribute(f.ring, &f.op, fd, name, value, sizeof(value)));
        assert_int_equal(res, 3);
        assert_memory_equal(value, "abc", 3);
        assert_int_equal(DO(ring_set_attribute(f.ring, &f.op, fd, name, "defgh", 5)), 0);
        assert_int_equal(DO(ring_get_attribute(f.ring, &f.op, fd, name, value, 2)), -ERANGE);
        assert_int_equal(DO(ring_remove_attribute(f.ring, &f.op, fd, name)), 0);
        res = DO(ring_get_attribute(f.ring, &f.op, fd, name, value, sizeof(value)));
        assert_int_equal(res, -ENODATA);
    }
    close(fd);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_write_full),
        cmocka_unit_test(test_write_stream_to_file),
        cmocka_unit_test(test_write_uncached),
        cmocka_unit_test(test_write_direct),
        cmocka_unit_test(test_write_aside),
        cmocka_unit_test(test_write_from_lent_memory),
        cmocka_unit_test(test_set_direct),
        cmocka_unit_test(test_allocate),
        cmocka_unit_test(test_allocate_in_vain),
        cmocka_unit_test(test_allocate_cancelled),
        cmocka_unit_test(test_claim),
        cmocka_unit_test(test_claim_locked),
        cmocka_unit_test(test_claim_of_other_things),
        cmocka_unit_test(test_rename),
        cmocka_unit_test(test_unlink_and_exists),
        cmocka_unit_test(test_directory),
        cmocka_unit_test(test_truncate_sync_facts),
        cmocka_unit_test(test_attributes),
    };

    return UNIT_RUN(tests);
}
