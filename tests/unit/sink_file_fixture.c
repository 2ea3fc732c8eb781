/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/unit/sink_file_fixture.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sink/file_name.h"

#define PATIENCE_NS (UINT64_C(20) * (uint64_t)NS_PER_S)

enum { DESCRIPTORS_MAX = 1000 };

const char *const bases[] = {"/tmp", "/dev/shm"};

struct sink_file_fixture f;

char bodies[VERSIONS][BODY_BYTES];

const struct sink_version versions[VERSIONS] = {
    {.validator = {.data = "\"v1\"", .len = 4}, .total = BODY_BYTES},
    {.validator = {.data = "\"v2\"", .len = 4}, .total = BODY_BYTES},
};

static void logged(void *context, enum haul_log_level level, const char *line)
{
    (void)context;
    (void)level;
    (void)line;
    f.logged++;
}

void begin_ring(uint32_t features_off)
{
    struct ring_options options = {.features_off = features_off, .helper_threads = 1};
    struct haul_error error;

    f.ring = ring_create(&options, &error);
    CHECK(f.ring);
    f.log = (struct log){.level = HAUL_LOG_WARN, .write = logged};
    f.logged = 0;
    f.names = names_create(ring_random(f.ring));
    CHECK(f.names);
    f.directories = directories_create(f.ring, f.names, DESCRIPTORS_MAX);
    CHECK(f.directories);
}

static void make_bodies(void)
{
    uint64_t random = 5;

    for (unsigned i = 0; i < VERSIONS; i++)
        for (size_t k = 0; k < BODY_BYTES; k++)
            bodies[i][k] = (char)unit_random(&random);
}

void begin_at(const char *base, uint32_t features_off)
{
    begin_ring(features_off);
    snprintf(f.path, sizeof(f.path), "%s/haul-sink-XXXXXX", base);
    CHECK(mkdtemp(f.path));
    f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CHECK(f.fd >= 0);
    make_bodies();
}

void begin(void)
{
    begin_at(bases[0], 0);
}

void turn_ms(uint64_t ms)
{
    ring_read_clock(f.ring);
    CHECK(ring_turn(f.ring, ring_now_ns(f.ring) + ms * (uint64_t)NS_PER_MS) == 0);
}

void end_ring(void)
{
    while (ring_busy(f.ring) > 0)
        turn_ms(100);
    directories_destroy(f.directories);
    names_destroy(f.names);
    ring_destroy(f.ring);
}

static void remove_all(void)
{
    char command[sizeof(f.path) + 16];

    snprintf(command, sizeof(command), "rm -rf '%s'", f.path);
    CHECK(system(command) == 0);
    close(f.fd);
}

void end(void)
{
    end_ring();
    remove_all();
}

static void step_done(void *context, const struct haul_error *error)
{
    struct user *user = context;

    user->steps++;
    user->error = *error;
}

static void turn_until(const unsigned *count)
{
    uint64_t limit;

    ring_read_clock(f.ring);
    limit = ring_now_ns(f.ring) + PATIENCE_NS;
    while (*count == 0 && ring_now_ns(f.ring) < limit)
        CHECK(ring_turn(f.ring, limit) == 0);
    CHECK(*count == 1);
}

enum haul_status wait_step(struct user *user)
{
    turn_until(&user->steps);
    return user->error.status;
}

enum haul_status prepare(struct user *user)
{
    return STEP(user, user->sink->operations->prepare(user->sink));
}

enum haul_status open_sink(struct user *user, bool resume)
{
    return STEP(user, user->sink->operations->open(user->sink, resume, &user->version));
}

enum haul_status publish(struct user *user)
{
    return STEP(user, user->sink->operations->publish(user->sink));
}

enum haul_status set_aside(struct user *user)
{
    return STEP(user, user->sink->operations->set_aside(user->sink));
}

enum haul_status abandon(struct user *user, bool keep)
{
    return STEP(user, user->sink->operations->abandon(user->sink, keep));
}

static void put_done(struct sink_write *write, const struct haul_error *error)
{
    struct put *put = CONTAINER_OF(write, struct put, write);

    put->done++;
    put->error = *error;
}

void put_start(struct user *user, struct put *put, const char *data, size_t len, uint64_t offset)
{
    *put = (struct put){
        .write = {.done = put_done, .data = data, .len = len, .offset = offset},
    };
    sink_write(user->sink, &put->write);
    CHECK(put->done == 0);
}

enum haul_status put_end(struct put *put)
{
    turn_until(&put->done);
    return put->error.status;
}

enum haul_status put_now(struct user *user, const char *text, uint64_t offset)
{
    struct put put;

    put_start(user, &put, text, strlen(text), offset);
    return put_end(&put);
}

void make_with(struct user *user, const struct sink_file_options *options)
{
    *user = (struct user){.sink = sink_file_create(f.directories, options),
                          .version = {.total = UINT64_MAX}};
    CHECK(user->sink);
    sink_set_user(user->sink, step_done, user);
}

/* The usual: renames, does not proceed. */
struct sink_file_options usual(const char *name, const char *url)
{
    return (struct sink_file_options){
        .directory = f.path,
        .suggested = span_of(name),
        .url = url,
        .auto_renaming = true,
        .log = &f.log,
    };
}

void make(struct user *user, const char *name, const char *url)
{
    struct sink_file_options options = usual(name, url);

    make_with(user, &options);
}

void release(struct user *user)
{
    sink_release(user->sink);
    user->sink = NULL;
}

/* ---- files ---- */

void put_file(const char *name, const char *text)
{
    int fd = openat(f.fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    CHECK(fd >= 0);
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

void assert_file(const char *name, const char *want)
{
    int fd = openat(f.fd, name, O_RDONLY | O_CLOEXEC);
    char text[64];
    ssize_t got;

    if (fd < 0)
        print_error("%s is not there\n", name);
    assert_true(fd >= 0);
    got = read(fd, text, sizeof(text));
    assert_in_range(got, 0, sizeof(text));
    assert_span(span_make(text, (size_t)got), want);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
}

size_t count_files(void)
{
    DIR *directory;
    size_t count = 0;

    directory = fdopendir(openat(f.fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    assert_non_null(directory);
    for (struct dirent *entry; (entry = readdir(directory));)
        count += entry->d_name[0] != '.' || strlen(entry->d_name) > 2;
    closedir(directory);
    return count;
}

void assert_body(const char *name, unsigned which)
{
    static char got[BODY_BYTES + 1];
    int fd = openat(f.fd, name, O_RDONLY | O_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(read(fd, got, sizeof(got)), BODY_BYTES);
    assert_int_equal(memcmp(got, bodies[which], BODY_BYTES), 0);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
}

static const char *name_part(const char *name, const char *url, unsigned copy, const char *suffix)
{
    static char results[4][FILE_NAME_BYTES_MAX + 1];
    static unsigned turn;
    char *result = results[turn++ % COUNT_OF(results)];
    struct text text = {0};

    file_name_partial(&text, span_of(name), span_of(url), copy);
    snprintf(result, sizeof(results[0]), "%s%s", text.data, suffix);
    text_free(&text);
    return result;
}

const char *partial_of(const char *name, const char *url, unsigned copy)
{
    return name_part(name, url, copy, FILE_NAME_DATA);
}

const char *beside_of(const char *name, const char *url)
{
    return name_part(name, url, 0, FILE_NAME_BESIDE);
}

const char *journal_of(const char *name, const char *url)
{
    return name_part(name, url, 0, FILE_NAME_JOURNAL);
}

bool is_there(const char *name)
{
    return faccessat(f.fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

void fetch(struct user *user, const char *text)
{
    assert_int_equal(prepare(user), HAUL_OK);
    assert_stored(user, "");
    assert_int_equal(open_sink(user, false), HAUL_OK);
    assert_int_equal(put_now(user, text, 0), HAUL_OK);
}

void open_version(struct user *user, unsigned which)
{
    user->version = versions[which];
    assert_int_equal(open_sink(user, extents_count(&user->sink->stored) > 0), HAUL_OK);
}

void put_version(struct user *user, unsigned which, size_t from, size_t to)
{
    struct put put;

    put_start(user, &put, bodies[which] + from, to - from, from);
    assert_int_equal(put_end(&put), HAUL_OK);
}

void leave_partial(const char *name, const char *url, unsigned which, size_t bytes)
{
    struct user user;

    make(&user, name, url);
    assert_int_equal(prepare(&user), HAUL_OK);
    open_version(&user, which);
    put_version(&user, which, 0, bytes);
    assert_int_equal(abandon(&user, true), HAUL_OK);
    assert_true(user.sink->kept);
    release(&user);
}

void assert_stored(const struct user *user, const char *want)
{
    const struct extents *stored = &user->sink->stored;
    struct text text = {0};

    for (size_t i = 0; i < extents_count(stored); i++) {
        struct extent extent = extents_at(stored, i);

        text_printf(&text, "%s%llu-%llu", i > 0 ? " " : "", (unsigned long long)extent.from,
                    (unsigned long long)extent.to);
    }
    assert_span(text_span(&text), want);
    text_free(&text);
}

/* ---- trouble, in children of their own ---- */

/* What the parent has, so that a child that makes its own has lost nothing. */
static struct ring *ring_of_parent;
static struct directories *directories_of_parent;

/* What fn returns; children must not return into cmocka. */
int in_child(int (*fn)(void))
{
    pid_t child;
    int status;

    ring_of_parent = f.ring;
    directories_of_parent = f.directories;
    child = fork();
    assert_true(child >= 0);
    if (child == 0)
        _exit(fn());
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}
