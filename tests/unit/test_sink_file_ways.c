/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How the file sink gets bytes to the disk: in every way that there is, whatever of it the kernel
 * or the file system lacks, the file is the same; and if it can't be, nothing wrong is left. */
#include "tests/unit/sink_file_fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/stat.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ring/buffers.h"
#include "sink/internal.h"

enum {
    LARGE = SINK_DIRECT_BYTES_MIN,
    BODY_MAX = LARGE + 2 * RING_DIRECT_BYTES,
    MAP_BYTES = BODY_MAX + RING_DIRECT_BYTES,
    PUTS_MAX = 4,
    SKEW = 13, /* of memory that does not agree with the place in the file */
    MIB = 1024 * 1024
};

static const uint32_t features_off[] = {0, HAUL_FEATURE_DIRECT, HAUL_FEATURE_FALLOCATE,
                                        HAUL_FEATURE_DONTCACHE, UINT32_MAX};
static const enum haul_direct directs[] = {HAUL_DIRECT_AUTO, HAUL_DIRECT_ALWAYS, HAUL_DIRECT_NEVER};
static const enum haul_allocation allocations[] = {HAUL_ALLOCATION_AUTO, HAUL_ALLOCATION_NONE,
                                                   HAUL_ALLOCATION_TRUNC, HAUL_ALLOCATION_FALLOC,
                                                   HAUL_ALLOCATION_PREALLOC};

/* The body, twice: page-aligned, and not. */
static char *aligned_body;
static char *skewed_body;

static int map_bodies(void **state)
{
    uint64_t random = 17;
    char *memory = mmap(NULL, 2 * (size_t)MAP_BYTES, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_true(memory != MAP_FAILED);
    aligned_body = memory;
    skewed_body = memory + MAP_BYTES + SKEW;
    for (size_t i = 0; i < BODY_MAX; i += sizeof(uint64_t)) {
        uint64_t value = unit_random(&random);

        memcpy(aligned_body + i, &value, sizeof(value));
    }
    memcpy(skewed_body, aligned_body, BODY_MAX);
    return 0;
}

static int unmap_bodies(void **state)
{
    (void)state;
    return munmap(aligned_body, 2 * (size_t)MAP_BYTES);
}

/* One way of writing, and what is to come of it. */
struct way {
    enum haul_direct direct;
    enum haul_allocation allocation;
    uint32_t off;
    uint64_t expected; /* UINT64_MAX: unknown */
    size_t len;        /* of the body */
    bool skewed;       /* some pieces come from memory that does not agree */
    bool spent;        /* a burst has filled the page cache before */
};

/* What the disk under the build directory can; tells that of both in one word. */
static bool disk_is_direct;
static bool disk_allocates;

static void probe_disk(void)
{
    int fd = openat(f.fd, "probe", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    struct statx status = {0};

    CHECK(fd >= 0 && statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) == 0);
    disk_is_direct = (status.stx_mask & STATX_DIOALIGN) && status.stx_dio_offset_align > 0 &&
                     RING_DIRECT_BYTES % status.stx_dio_offset_align == 0 &&
                     RING_DIRECT_BYTES % status.stx_dio_mem_align == 0;
    disk_allocates = fallocate(fd, 0, 0, 100) == 0;
    if (!disk_is_direct)
        print_message("no O_DIRECT in %s\n", f.path);
    close(fd);
    CHECK(unlinkat(f.fd, "probe", 0) == 0);
}

static void begin_on_disk(uint32_t off)
{
    begin_at(unit_build_directory(), off);
    probe_disk();
}

/* What is left of the burst: all or nothing. */
static void set_burst(bool spent)
{
    struct disk *disk = directories_disk(f.directories);

    CHECK(disk->busy_bytes == 0 && !list_is_linked(&disk->waiting));
    disk_init(disk);
    CHECK(!spent || disk_spend(disk, disk->burst_bytes, DISK_FILE));
}

static bool wants_direct(const struct way *way)
{
    return way->expected != UINT64_MAX &&
           (way->direct == HAUL_DIRECT_ALWAYS ||
            (way->direct == HAUL_DIRECT_AUTO &&
             way->expected >= (way->spent ? LARGE : SINK_DIRECT_BYTES_SURE)));
}

/* Where it goes depends on the burst. */
static bool may_be_direct(const struct way *way)
{
    return way->direct == HAUL_DIRECT_AUTO && way->expected != UINT64_MAX && way->expected >= LARGE;
}

static bool gets_blocks(const struct way *way)
{
    bool possible = disk_allocates && !(way->off & HAUL_FEATURE_FALLOCATE);

    switch (way->allocation) {
    case HAUL_ALLOCATION_AUTO:
        return possible && (wants_direct(way) || may_be_direct(way));
    case HAUL_ALLOCATION_NONE:
    case HAUL_ALLOCATION_TRUNC:
        return false;
    case HAUL_ALLOCATION_FALLOC:
        return possible;
    case HAUL_ALLOCATION_PREALLOC:
        return true;
    }
    return false;
}

static bool gets_direct(const struct way *way)
{
    return disk_is_direct && !(way->off & HAUL_FEATURE_DIRECT) && wants_direct(way) &&
           (way->direct == HAUL_DIRECT_ALWAYS || gets_blocks(way));
}

static void make_way(struct user *user, const struct way *way)
{
    struct sink_file_options options = usual("a.jpg", URL);

    options.direct = way->direct;
    options.allocation = way->allocation;
    make_with(user, &options);
}

static uint64_t size_of(const char *name)
{
    struct stat status;

    CHECK(fstatat(f.fd, name, &status, AT_SYMLINK_NOFOLLOW) == 0);
    return (uint64_t)status.st_size;
}

/* Opens and looks at what was decided; have: what is there already. */
static void open_way(struct user *user, const struct way *way, uint64_t have)
{
    bool known = way->expected != UINT64_MAX && way->expected > 0;
    bool sized = known && (gets_blocks(way) || way->allocation == HAUL_ALLOCATION_TRUNC);

    user->version.total = way->expected;
    user->version.validator = versions[0].validator;
    set_burst(way->spent);
    assert_int_equal(open_sink(user, have > 0), HAUL_OK);
    if (have == 0) /* else it may be as an earlier try has laid it out */
        assert_int_equal(size_of(partial_of("a.jpg", URL, 0)), sized ? way->expected : 0);
    assert_true(user->sink->writes_max > 0 && user->sink->writes_max <= PUTS_MAX);
    if (disk_is_direct) {
        assert_int_equal(user->sink->aligned, gets_direct(way));
        assert_int_equal(user->sink->chunk_bytes_max,
                         gets_direct(way) ? CHUNK_BYTES_MAX : SINK_CHUNK_BYTES);
    }
}

/* Whether the partial file is open to be written past the page cache. */
static bool is_direct(void)
{
    struct stat want, have;
    bool direct = false;

    CHECK(fstatat(f.fd, partial_of("a.jpg", URL, 0), &want, 0) == 0);
    for (int fd = 0; fd < 64; fd++)
        if (fstat(fd, &have) == 0 && have.st_ino == want.st_ino && have.st_dev == want.st_dev)
            direct |= (fcntl(fd, F_GETFL) & O_DIRECT) != 0;
    return direct;
}

/* In pieces of any length, up to four at once. */
static void put_body(struct user *user, const struct way *way, size_t from, size_t to)
{
    struct put puts[PUTS_MAX];
    uint64_t random = way->len + from + 1;
    unsigned first = 0, count = 0;

    while (from < to || count > 0) {
        size_t len = (size_t)1 << unit_random(&random) % 21;
        bool skewed = way->skewed && unit_random(&random) % 2;

        if (unit_random(&random) % 2)
            len = (size_t)(unit_random(&random) % len + 1);
        if (len > to - from)
            len = to - from;
        if (from < to && count < PUTS_MAX) {
            put_start(user, &puts[(first + count++) % PUTS_MAX],
                      (skewed ? skewed_body : aligned_body) + from, len, from);
            from += len;
        } else {
            assert_int_equal(put_end(&puts[first++ % PUTS_MAX]), HAUL_OK);
            count--;
        }
    }
}

/* The bytes and the size; and nothing else in the directory. */
static void assert_published(const struct way *way)
{
    int fd = openat(f.fd, "a.jpg", O_RDONLY | O_CLOEXEC);
    struct stat status;
    void *got;

    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &status), 0);
    assert_int_equal(status.st_size, way->len);
    if (way->len > 0) {
        got = mmap(NULL, way->len, PROT_READ, MAP_SHARED, fd, 0);
        assert_true(got != MAP_FAILED);
        assert_int_equal(memcmp(got, aligned_body, way->len), 0);
        munmap(got, way->len);
    }
    assert_int_equal(count_files(), 1);
    close(fd);
    assert_int_equal(unlinkat(f.fd, "a.jpg", 0), 0);
}

static void download(const struct way *way)
{
    struct user user;

    make_way(&user, way);
    assert_int_equal(prepare(&user), HAUL_OK);
    open_way(&user, way, 0);
    put_body(&user, way, 0, way->len);
    assert_int_equal(is_direct(), user.sink->aligned);
    assert_int_equal(sink_file_of(user.sink)->way == RING_WRITE_DIRECT,
                     user.sink->aligned); /* no write was wrong for it */
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_published(way);
}

/* Every way that can be asked for, by what is missing; the large ones not in all combinations. */
static void test_ways(void **state)
{
    static const size_t sizes[] = {0, 1, 4095, 4096, 4097, 100000, LARGE - 1, LARGE, LARGE + 1};

    (void)state;
    for (size_t off = 0; off < COUNT_OF(features_off); off++) {
        begin_on_disk(features_off[off]);
        for (size_t i = 0; i < COUNT_OF(directs) * COUNT_OF(allocations); i++) {
            struct way way = {.off = features_off[off],
                              .direct = directs[i % COUNT_OF(directs)],
                              .allocation = allocations[i / COUNT_OF(directs)]};

            for (size_t k = 0; k < COUNT_OF(sizes); k++) {
                if (sizes[k] >= LARGE - 1 && off > 0 && (i + off + k) % 3 != 0)
                    continue;
                way.len = sizes[k];
                way.expected = sizes[k];
                way.skewed = (i + k) % 2;
                way.spent = true;
                download(&way);
                way.spent = false;
                if (way.direct == HAUL_DIRECT_AUTO && sizes[k] >= LARGE)
                    download(&way);
            }
            way.len = 100000;
            way.expected = UINT64_MAX;
            download(&way);
        }
        end();
    }
}

/* The same in memory, where nothing is written past the page cache, whatever it says. */
static void test_ways_in_memory(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(directs) * COUNT_OF(allocations); i++) {
        struct way way = {.direct = directs[i % COUNT_OF(directs)],
                          .allocation = allocations[i / COUNT_OF(directs)],
                          .expected = LARGE + 1,
                          .len = LARGE + 1,
                          .skewed = true};
        struct user user;

        begin_at("/dev/shm", 0);
        make_way(&user, &way);
        assert_int_equal(prepare(&user), HAUL_OK);
        user.version.total = way.expected;
        set_burst(true);
        assert_int_equal(open_sink(&user, false), HAUL_OK);
        put_body(&user, &way, 0, way.len);
        assert_int_equal(publish(&user), HAUL_OK);
        release(&user);
        assert_published(&way);
        end();
    }
}

/* Broken off at an odd place, with more behind it that does not count, and gone on with by another
 * run, in another way even. */
static void test_resumed(void **state)
{
    static const struct {
        size_t len;
        size_t kept;
        bool spent;
    } sizes[] = {{100000, 4097, true},
                 {100000, 40961, true},
                 {100000, 99999, true},
                 {LARGE + 1, LARGE / 2 + 77, true},
                 {LARGE + 1, LARGE / 2 + 77, false}};
    static const size_t offs[] = {0, COUNT_OF(features_off) - 1};

    (void)state;
    for (size_t off = 0; off < COUNT_OF(offs); off++) {
        begin_on_disk(features_off[offs[off]]);
        for (size_t i = 0; i < COUNT_OF(directs) * COUNT_OF(allocations); i++) {
            for (size_t k = 0; k < COUNT_OF(sizes); k++) {
                struct way way = {.off = features_off[offs[off]],
                                  .direct = directs[i % COUNT_OF(directs)],
                                  .allocation = allocations[i / COUNT_OF(directs)],
                                  .expected = sizes[k].len,
                                  .len = sizes[k].len,
                                  .skewed = (i + k) % 2,
                                  .spent = sizes[k].spent};
                size_t sound = sizes[k].kept - sizes[k].kept % BLOCK;
                struct user user;

                make_way(&user, &way);
                assert_int_equal(prepare(&user), HAUL_OK);
                open_way(&user, &way, 0);
                put_body(&user, &way, 0, sizes[k].kept);
                assert_int_equal(abandon(&user, true), HAUL_OK);
                assert_true(user.sink->kept);
                release(&user);
                assert_int_equal(size_of(partial_of("a.jpg", URL, 0)), sizes[k].kept);
                if (i % 2)
                    way.direct = directs[(i + k) % COUNT_OF(directs)];
                make_way(&user, &way);
                assert_int_equal(prepare(&user), HAUL_OK);
                assert_int_equal(extents_prefix(&user.sink->stored), sound);
                open_way(&user, &way, sound);
                put_body(&user, &way, sound, way.len);
                assert_int_equal(publish(&user), HAUL_OK);
                release(&user);
                assert_published(&way);
            }
        }
        end();
    }
}

/* A try that breaks, and the next one is of another size: the way is chosen anew, also back from
 * past the page cache. */
static void test_opened_in_another_way(void **state)
{
    static const struct {
        uint64_t expected;
        bool spent;
    } sizes[] = {
        {UINT64_MAX, true}, {1000, true}, {100000, true}, {LARGE + 1, true}, {LARGE + 1, false}};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(directs) * COUNT_OF(sizes) * COUNT_OF(sizes); i++) {
        size_t from = i % COUNT_OF(sizes), to = i / COUNT_OF(sizes) % COUNT_OF(sizes);
        struct way way = {.direct = directs[i / COUNT_OF(sizes) / COUNT_OF(sizes)],
                          .allocation = allocations[(from + to) % COUNT_OF(allocations)],
                          .expected = sizes[from].expected,
                          .spent = sizes[from].spent};
        struct user user;

        begin_on_disk(0);
        make_way(&user, &way);
        assert_int_equal(prepare(&user), HAUL_OK);
        open_way(&user, &way, 0);
        way.len = way.expected < 777 ? (size_t)way.expected : 777;
        put_body(&user, &way, 0, way.len);
        way.expected = sizes[to].expected;
        way.spent = sizes[to].spent;
        way.len = way.expected == UINT64_MAX ? 54321 : (size_t)way.expected;
        assert_int_equal(prepare(&user), HAUL_OK);
        open_way(&user, &way, i % 2 ? 777 : 0);
        put_body(&user, &way, i % 2 ? 777 : 0, way.len);
        assert_int_equal(is_direct(), user.sink->aligned); /* not one of the try before */
        assert_int_equal(publish(&user), HAUL_OK);
        release(&user);
        assert_published(&way);
        end();
    }
}

/* ---- the disk, which all files share ---- */

/* Opens a file of so many bytes, writes nothing and gives it up again. */
static bool opens_direct(enum haul_direct direct, uint64_t expected)
{
    struct way way = {.direct = direct, .allocation = HAUL_ALLOCATION_AUTO};
    struct user user;
    bool chosen;

    make_way(&user, &way);
    user.version.total = expected;
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_int_equal(open_sink(&user, false), HAUL_OK);
    chosen = sink_file_of(user.sink)->wants_direct;
    assert_int_equal(is_direct(),
                     chosen && disk_is_direct && (disk_allocates || direct == HAUL_DIRECT_ALWAYS));
    assert_int_equal(abandon(&user, false), HAUL_OK);
    release(&user);
    return chosen;
}

/* Only what might go past the page cache takes from the burst, until one does not fit. */
static void test_burst(void **state)
{
    struct disk *disk;

    (void)state;
    begin_on_disk(0);
    disk = directories_disk(f.directories);
    assert_true(disk->burst_bytes >= 2 * (size_t)LARGE);
    assert_true(disk_spend(disk, disk->burst_bytes - 2 * (size_t)LARGE, DISK_FILE));
    assert_true(opens_direct(HAUL_DIRECT_AUTO, SINK_DIRECT_BYTES_SURE));
    assert_true(opens_direct(HAUL_DIRECT_ALWAYS, LARGE));
    assert_false(opens_direct(HAUL_DIRECT_NEVER, LARGE));
    assert_false(opens_direct(HAUL_DIRECT_AUTO, LARGE - 1));
    assert_false(opens_direct(HAUL_DIRECT_AUTO, UINT64_MAX));
    assert_int_equal(disk->burst_bytes, 2 * LARGE);
    assert_false(opens_direct(HAUL_DIRECT_AUTO, LARGE));
    assert_int_equal(disk->burst_bytes, LARGE);
    assert_true(opens_direct(HAUL_DIRECT_AUTO, LARGE + 1));
    assert_int_equal(disk->burst_bytes, LARGE);
    assert_false(opens_direct(HAUL_DIRECT_AUTO, LARGE));
    assert_int_equal(disk->burst_bytes, 0);
    assert_true(opens_direct(HAUL_DIRECT_AUTO, LARGE));
    end();
}

/* Far apart, in a file with whatever between them. */
static uint64_t place_of(size_t file, size_t number)
{
    return (number + 1) * (SINK_DIRECT_BYTES_SURE / PUTS_MAX / 2) + file * RING_DIRECT_BYTES;
}

/* Two files at once with more than the disk is to have under way: what goes beyond waits, or into
 * the page cache if it may, and all of it gets there. */
static void test_disk_shared(void **state)
{
    enum { FILES = 2 };

    (void)state;
    for (int spent = 0; spent < 2; spent++) {
        struct way way = {.direct = HAUL_DIRECT_AUTO, .expected = SINK_DIRECT_BYTES_SURE};
        struct put puts[FILES * PUTS_MAX];
        struct user users[FILES];
        struct disk *disk;
        size_t burst;

        begin_on_disk(0);
        set_burst(spent);
        disk = directories_disk(f.directories);
        burst = disk->burst_bytes;
        for (size_t i = 0; i < FILES; i++) {
            make_way(&users[i], &way);
            assert_int_equal(prepare(&users[i]), HAUL_OK);
            users[i].version.total = way.expected;
            assert_int_equal(open_sink(&users[i], false), HAUL_OK);
        }
        for (size_t i = 0; i < FILES * PUTS_MAX; i++)
            put_start(&users[i % FILES], &puts[i], aligned_body + i * RING_DIRECT_BYTES, MIB,
                      place_of(i % FILES, i / FILES));
        if (gets_direct(&way)) {
            assert_in_range(disk->busy_bytes, MIB, (FILES * PUTS_MAX - 1) * MIB);
            assert_int_equal(list_is_linked(&disk->waiting), spent);
            assert_int_equal(burst - disk->burst_bytes,
                             spent ? 0 : FILES * PUTS_MAX * MIB - disk->busy_bytes);
        }
        for (size_t i = 0; i < FILES * PUTS_MAX; i++)
            assert_int_equal(puts[i].done ? puts[i].error.status : put_end(&puts[i]), HAUL_OK);
        assert_int_equal(disk->busy_bytes, 0);
        for (size_t i = 0; i < FILES * PUTS_MAX; i++) {
            static char got[MIB];

            assert_int_equal(pread(sink_file_of(users[i % FILES].sink)->fd, got, MIB,
                                   (off_t)place_of(i % FILES, i / FILES)),
                             MIB);
            assert_int_equal(memcmp(got, aligned_body + i * RING_DIRECT_BYTES, MIB), 0);
        }
        for (size_t i = 0; i < FILES; i++) {
            assert_int_equal(abandon(&users[i], false), HAUL_OK);
            release(&users[i]);
        }
        end();
    }
}

/* Another program's file is written as that program would: into the page cache, one write after
 * the other, with nothing laid out. */
static void test_adopted(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(directs) * COUNT_OF(allocations); i++) {
        struct sink_file_options options;
        struct way way = {.len = LARGE + 1, .skewed = i % 2};
        struct put puts[PUTS_MAX];
        struct user user;
        size_t at = 5;

        begin_on_disk(0);
        options = usual("a.jpg", URL);
        options.proceed = true;
        options.direct = directs[i % COUNT_OF(directs)];
        options.allocation = allocations[i / COUNT_OF(directs)];
        aligned_body[5] = '\0'; /* so that the file is a text of five bytes */
        put_file("a.jpg", aligned_body);
        aligned_body[5] = skewed_body[5];
        make_with(&user, &options);
        assert_int_equal(prepare(&user), HAUL_OK);
        user.version.total = way.len;
        assert_int_equal(open_sink(&user, true), HAUL_OK);
        assert_false(user.sink->aligned);
        assert_int_equal(size_of("a.jpg"), 5);
        for (size_t k = 0; k < PUTS_MAX; k++) {
            put_start(&user, &puts[k], aligned_body + at, 100000, at);
            at += 100000;
        }
        for (size_t k = PUTS_MAX; k > 0; k--) /* in line: when the last is over, all are */
            assert_int_equal(k == PUTS_MAX ? put_end(&puts[k - 1]) : puts[k - 1].done - 1, 0);
        assert_int_equal(size_of("a.jpg"), at);
        put_body(&user, &way, at, way.len);
        assert_int_equal(publish(&user), HAUL_OK);
        release(&user);
        assert_published(&way);
        end();
    }
}

/* ---- trouble ---- */

static bool limit_files(rlim_t bytes)
{
    struct rlimit limit = {.rlim_cur = bytes, .rlim_max = RLIM_INFINITY};

    signal(SIGXFSZ, SIG_IGN);
    return setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

static int write_beyond_limit(void)
{
    static char data[40000];
    struct sink_file_options options;
    struct put puts[3];
    struct user user;

    begin_ring(0);
    CHECK(limit_files(50000));
    make(&user, "a.jpg", URL);
    user.version.validator = versions[0].validator;
    CHECK(prepare(&user) == HAUL_OK && open_sink(&user, false) == HAUL_OK);
    for (size_t i = 0; i < 3; i++)
        put_start(&user, &puts[i], data, sizeof(data), i * sizeof(data));
    CHECK(put_end(&puts[0]) == HAUL_OK);
    CHECK(put_end(&puts[1]) == HAUL_FILE_IO && puts[1].error.system_errno == EFBIG);
    CHECK(put_end(&puts[2]) == HAUL_FILE_IO);
    CHECK(abandon(&user, true) == HAUL_OK);
    release(&user);
    /* A foreign one gets no holes: what stands behind a write that failed fails. */
    put_file("b.jpg", "hello ");
    options = usual("b.jpg", URL);
    options.proceed = true;
    make_with(&user, &options);
    CHECK(prepare(&user) == HAUL_OK && open_sink(&user, true) == HAUL_OK);
    put_start(&user, &puts[0], data, sizeof(data), 49000);
    put_start(&user, &puts[1], "x", 1, 6);
    CHECK(put_end(&puts[0]) == HAUL_FILE_IO);
    CHECK(put_end(&puts[1]) == HAUL_FILE_IO);
    CHECK(put_now(&user, "world", 6) == HAUL_OK);
    CHECK(abandon(&user, false) == HAUL_OK);
    release(&user);
    end_ring();
    return 0;
}

static void test_write_error(void **state)
{
    struct user user;

    (void)state;
    begin();
    assert_int_equal(in_child(write_beyond_limit), 0);
    make(&user, "a.jpg", URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_stored(&user, "0-36864");
    release(&user);
    end();
}

/* Four in line, and the second fails: what was there and the first are sound, the others come to
 * nothing. */
static int adopted_beyond_limit(void)
{
    struct sink_file_options options;
    struct put puts[PUTS_MAX];
    struct user user;

    begin_ring(0);
    CHECK(limit_files(15000));
    put_file("a.jpg", "hello");
    options = usual("a.jpg", URL);
    options.proceed = true;
    make_with(&user, &options);
    CHECK(prepare(&user) == HAUL_OK && open_sink(&user, true) == HAUL_OK);
    for (size_t i = 0; i < PUTS_MAX; i++)
        put_start(&user, &puts[i], aligned_body + i * 8000, 8000, 5 + i * 8000);
    CHECK(put_end(&puts[3]) == HAUL_FILE_IO);
    CHECK(puts[0].done == 1 && puts[0].error.status == HAUL_OK);
    for (size_t i = 1; i < PUTS_MAX; i++)
        CHECK(puts[i].done == 1 && puts[i].error.system_errno == EFBIG);
    CHECK(abandon(&user, false) == HAUL_OK);
    release(&user);
    end_ring();
    return 0;
}

static void test_adopted_error(void **state)
{
    char got[8005];
    int fd;

    (void)state;
    begin();
    assert_int_equal(in_child(adopted_beyond_limit), 0);
    fd = openat(f.fd, "a.jpg", O_RDONLY | O_CLOEXEC);
    assert_int_equal(read(fd, got, sizeof(got)), sizeof(got));
    assert_memory_equal(got, "hello", 5);
    assert_memory_equal(got + 5, aligned_body, 8000);
    assert_in_range(lseek(fd, 0, SEEK_END), 8005, 15000); /* and has no hole */
    close(fd);
    end();
}

/* Past the page cache: what can't be laid out is told before a byte is asked for; what can't be
 * written ends all writes, and what is sound is kept. */
static int direct_beyond_limit(void)
{
    struct way way = {.direct = HAUL_DIRECT_ALWAYS, .expected = LARGE};
    struct put puts[PUTS_MAX];
    struct user user;

    begin_ring(0);
    CHECK(limit_files(2 * MIB + 1000));
    for (int zeros = 0; zeros < 2 && disk_allocates; zeros++) {
        way.allocation = zeros ? HAUL_ALLOCATION_PREALLOC : HAUL_ALLOCATION_FALLOC;
        make_way(&user, &way);
        user.version.total = way.expected;
        CHECK(prepare(&user) == HAUL_OK && open_sink(&user, false) == HAUL_FILE_IO);
        CHECK(user.error.system_errno == EFBIG);
        CHECK(abandon(&user, false) == HAUL_OK && !user.sink->kept);
        CHECK(!is_there(partial_of("a.jpg", URL, 0)));
        release(&user);
    }
    way.allocation = HAUL_ALLOCATION_NONE;
    make_way(&user, &way);
    user.version.validator = versions[0].validator;
    user.version.total = way.expected;
    CHECK(prepare(&user) == HAUL_OK && open_sink(&user, false) == HAUL_OK);
    for (size_t i = 0; i < PUTS_MAX; i++)
        put_start(&user, &puts[i], aligned_body + i * MIB, MIB, i * MIB);
    for (size_t i = 0; i < PUTS_MAX; i++)
        CHECK(put_end(&puts[i]) == (i < 2 ? HAUL_OK : HAUL_FILE_IO));
    CHECK(puts[2].error.system_errno == EFBIG);
    CHECK(abandon(&user, true) == HAUL_OK);
    release(&user);
    end_ring();
    return 0;
}

static void test_direct_error(void **state)
{
    struct user user;

    (void)state;
    begin_on_disk(0);
    assert_int_equal(in_child(direct_beyond_limit), 0);
    assert_int_equal(count_files(), 2);
    make(&user, "a.jpg", URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_stored(&user, "0-2097152");
    release(&user);
    end();
}

static int fill_small_disk(void)
{
    struct way way = {.allocation = HAUL_ALLOCATION_FALLOC, .expected = 2 * MIB};
    struct put puts[PUTS_MAX];
    struct user user;
    unsigned full = 0;

    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", f.path, "tmpfs", 0, "size=1m") < 0)
        return CHILD_CANNOT;
    close(f.fd);
    f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    begin_ring(0);
    for (int zeros = 0; zeros < 2; zeros++) { /* there is no room to be laid out */
        way.allocation = zeros ? HAUL_ALLOCATION_PREALLOC : HAUL_ALLOCATION_FALLOC;
        make_way(&user, &way);
        user.version.total = way.expected;
        CHECK(prepare(&user) == HAUL_OK && open_sink(&user, false) == HAUL_DISK_FULL);
        CHECK(abandon(&user, false) == HAUL_OK);
        CHECK(!is_there(partial_of("a.jpg", URL, 0)));
        release(&user);
    }
    way.allocation = HAUL_ALLOCATION_NONE;
    make_way(&user, &way);
    CHECK(prepare(&user) == HAUL_OK && open_sink(&user, false) == HAUL_OK);
    for (size_t i = 0; i < PUTS_MAX; i++)
        put_start(&user, &puts[i], aligned_body + i * 400000, 400000, i * 400000);
    for (size_t i = 0; i < PUTS_MAX; i++) {
        enum haul_status status = put_end(&puts[i]);

        CHECK(status == HAUL_OK ||
              (status == HAUL_DISK_FULL && puts[i].error.system_errno == ENOSPC));
        full += status == HAUL_DISK_FULL;
    }
    CHECK(full >= 2);
    CHECK(abandon(&user, false) == HAUL_OK);
    CHECK(!is_there(partial_of("a.jpg", URL, 0)));
    release(&user);
    way.expected = 500000; /* and then there is room again */
    make_way(&user, &way);
    user.version.total = way.expected;
    CHECK(prepare(&user) == HAUL_OK && open_sink(&user, false) == HAUL_OK);
    put_start(&user, &puts[0], aligned_body, 500000, 0);
    CHECK(put_end(&puts[0]) == HAUL_OK && publish(&user) == HAUL_OK);
    release(&user);
    end_ring();
    return 0;
}

static void test_disk_full(void **state)
{
    int result;

    (void)state;
    begin();
    result = in_child(fill_small_disk);
    end();
    if (result == CHILD_CANNOT)
        skip();
    assert_int_equal(result, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ways),          cmocka_unit_test(test_ways_in_memory),
        cmocka_unit_test(test_resumed),       cmocka_unit_test(test_opened_in_another_way),
        cmocka_unit_test(test_burst),         cmocka_unit_test(test_disk_shared),
        cmocka_unit_test(test_adopted),       cmocka_unit_test(test_write_error),
        cmocka_unit_test(test_adopted_error), cmocka_unit_test(test_direct_error),
        cmocka_unit_test(test_disk_full),
    };

    return cmocka_run_group_tests(tests, map_bodies, unmap_bodies);
}
