/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/ring_file_fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PATIENCE_NS (UINT64_C(20) * (uint64_t)NS_PER_S)

struct ring_file_fixture f;

const char *const bases[BASES] = {"/tmp", "/dev/shm"};

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

static void beside_done(struct op *op, int res)
{
    (void)op;
    (void)res;
}

void begin_beside(struct beside *beside)
{
    beside->fd = eventfd(0, EFD_CLOEXEC);
    ref_init(&beside->ref, last);
    for (size_t i = 0; i < COUNT_OF(beside->ops); i++) {
        op_init(&beside->ops[i], beside_done, &beside->ref);
        ring_poll(f.ring, &beside->ops[i], beside->fd, POLLIN);
    }
}

void end_beside(struct beside *beside)
{
    for (size_t i = 0; i < COUNT_OF(beside->ops); i++)
        ring_cancel(f.ring, &beside->ops[i]);
    while (ring_busy(f.ring) > 0)
        assert_int_equal(ring_turn(f.ring, ring_now_ns(f.ring) + (uint64_t)NS_PER_S), 0);
    close(beside->fd);
}

void begin(const char *base, uint32_t features_off)
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

void end(void)
{
    char command[PATH_MAX + 16];

    assert_int_equal(f.ref.count, 1);
    assert_int_equal(ring_busy(f.ring), 0);
    ring_destroy(f.ring);
    close(f.directory);
    snprintf(command, sizeof(command), "rm -rf '%s'", f.path);
    assert_int_equal(system(command), 0);
}

int wait_done(void)
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

void put(const char *name, const char *text)
{
    int fd = openat(f.directory, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

void assert_content(const char *name, const char *want)
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
