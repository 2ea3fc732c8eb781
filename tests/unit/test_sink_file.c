/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The file sink against real directories, on the disk and in memory: names, partial files, errors.
 */
#include "unit.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/check.h"
#include "sink/directory.h"
#include "sink/file_name.h"
#include "sink/sink.h"

enum { NOBODY = 65534, MANY_DIRECTORIES = 70 };

#define ATTRIBUTE   "user.haul.partial"
#define URL         "http://h.example/a.jpg"
#define PATIENCE_NS (UINT64_C(20) * (uint64_t)NS_PER_S)

static const char *const bases[] = {"/tmp", "/dev/shm"};

static struct {
    struct ring *ring;
    struct names *names;
    struct directories *directories;
    char path[64];
    int fd;
    bool attributes; /* the file system has them */
} f;

/* ---- fixture; CHECKs, because children use it as well ---- */

static void begin_ring(uint32_t features_off)
{
    struct ring_options options = {.features_off = features_off, .helper_threads = 1};
    struct haul_error error;

    f.ring = ring_create(&options, &error);
    CHECK(f.ring);
    f.names = names_create(ring_random(f.ring));
    CHECK(f.names);
    f.directories = directories_create(f.ring, f.names);
    CHECK(f.directories);
}

static void begin_at(const char *base, uint32_t features_off)
{
    int fd;

    begin_ring(features_off);
    snprintf(f.path, sizeof(f.path), "%s/haul-sink-XXXXXX", base);
    CHECK(mkdtemp(f.path));
    f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    fd = openat(f.fd, "probe", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    CHECK(f.fd >= 0 && fd >= 0);
    f.attributes = fsetxattr(fd, ATTRIBUTE, "x", 1, 0) == 0;
    close(fd);
    CHECK(unlinkat(f.fd, "probe", 0) == 0);
}

static void begin(void)
{
    begin_at(bases[0], 0);
}

static void turn_ms(uint64_t ms)
{
    ring_read_clock(f.ring);
    CHECK(ring_turn(f.ring, ring_now_ns(f.ring) + ms * (uint64_t)NS_PER_MS) == 0);
}

static void end_ring(void)
{
    while (ring_busy(f.ring) > 0)
        turn_ms(100);
    directories_destroy(f.directories);
    names_destroy(f.names);
    ring_destroy(f.ring);
}

static void remove_all(void)
{
    char command[128];

    snprintf(command, sizeof(command), "rm -rf '%s'", f.path);
    CHECK(system(command) == 0);
    close(f.fd);
}

static void end(void)
{
    end_ring();
    remove_all();
}

/* One download's use of a sink. */
struct user {
    struct sink *sink;
    unsigned steps;
    struct haul_error error;
};

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

static enum haul_status wait_step(struct user *user)
{
    turn_until(&user->steps);
    return user->error.status;
}

#define STEP(user, call) ((user)->steps = 0, (call), wait_step(user))

static enum haul_status prepare(struct user *user)
{
    return STEP(user, user->sink->operations->prepare(user->sink));
}

static enum haul_status open_sink(struct user *user, bool resume)
{
    return STEP(user, user->sink->operations->open(user->sink, resume));
}

static enum haul_status publish(struct user *user)
{
    return STEP(user, user->sink->operations->publish(user->sink));
}

static enum haul_status abandon(struct user *user, uint64_t bytes, const struct sink_version *keep)
{
    return STEP(user, user->sink->operations->abandon(user->sink, bytes, keep));
}

struct put {
    struct sink_write write;
    unsigned done;
    struct haul_error error;
};

static void put_done(struct sink_write *write, const struct haul_error *error)
{
    struct put *put = CONTAINER_OF(write, struct put, write);

    put->done++;
    put->error = *error;
}

static void put_start(struct user *user, struct put *put, const char *data, size_t len,
                      uint64_t offset)
{
    *put = (struct put){
        .write = {.done = put_done, .data = data, .len = len, .offset = offset},
    };
    sink_write(user->sink, &put->write);
    CHECK(put->done == 0);
}

static enum haul_status put_end(struct put *put)
{
    turn_until(&put->done);
    return put->error.status;
}

static enum haul_status put_now(struct user *user, const char *text, uint64_t offset)
{
    struct put put;

    put_start(user, &put, text, strlen(text), offset);
    return put_end(&put);
}

static void make_with(struct user *user, const struct sink_file_options *options)
{
    *user = (struct user){.sink = sink_file_create(f.directories, options)};
    CHECK(user->sink);
    sink_set_user(user->sink, step_done, user);
}

/* The usual: renames, does not proceed. */
static struct sink_file_options usual(const char *name, const char *url)
{
    return (struct sink_file_options){
        .directory = f.path, .suggested = span_of(name), .url = url, .auto_renaming = true};
}

static void make(struct user *user, const char *name, const char *url)
{
    struct sink_file_options options = usual(name, url);

    make_with(user, &options);
}

static void release(struct user *user)
{
    sink_release(user->sink);
    user->sink = NULL;
}

/* ---- files ---- */

static void put_file(const char *name, const char *text)
{
    int fd = openat(f.fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

    CHECK(fd >= 0);
    CHECK(write(fd, text, strlen(text)) == (ssize_t)strlen(text));
    close(fd);
}

static void assert_file(const char *name, const char *want)
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
    assert_int_equal(fgetxattr(fd, ATTRIBUTE, text, sizeof(text)), -1); /* it tells the URL */
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    close(fd);
}

static size_t count_files(void)
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

/* Static storage. */
static const char *partial_of(const char *name, const char *url, unsigned copy)
{
    static char result[FILE_NAME_BYTES_MAX + 1];
    struct text text = {0};

    file_name_partial(&text, span_of(name), span_of(url), copy);
    snprintf(result, sizeof(result), "%s", text.data);
    text_free(&text);
    return result;
}

static bool is_there(const char *name)
{
    return faccessat(f.fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

static const struct sink_version version = {
    .validator = {.data = "\"v1\"", .len = 4},
    .total = 11,
};

/* ---- publishing ---- */

static void fetch(struct user *user, const char *text)
{
    assert_int_equal(prepare(user), HAUL_OK);
    assert_int_equal(user->sink->have_bytes, 0);
    assert_int_equal(open_sink(user, false), HAUL_OK);
    assert_int_equal(put_now(user, text, 0), HAUL_OK);
}

static void test_fresh(void **state)
{
    (void)state;
    for (size_t i = 0; i < 2 * COUNT_OF(bases); i++) {
        struct user user;
        struct put puts[2];
        char path[128];

        begin_at(bases[i / 2], i % 2 ? HAUL_FEATURE_RENAME_NOREPLACE : 0);
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_int_equal(user.sink->have_bytes, 0);
        assert_int_equal(user.sink->have_total, UINT64_MAX);
        assert_false(user.sink->foreign);
        assert_int_equal(count_files(), 0); /* nothing before the response */
        assert_int_equal(open_sink(&user, false), HAUL_OK);
        assert_true(is_there(partial_of("a.jpg", URL, 0)));
        put_start(&user, &puts[1], "world", 5, 6); /* in any order */
        put_start(&user, &puts[0], "hello ", 6, 0);
        assert_int_equal(put_end(&puts[0]), HAUL_OK);
        assert_int_equal(put_end(&puts[1]), HAUL_OK);
        assert_false(is_there("a.jpg"));
        assert_int_equal(publish(&user), HAUL_OK);
        snprintf(path, sizeof(path), "%s/a.jpg", f.path);
        assert_span(text_span(&user.sink->path), path);
        assert_span(text_span(&user.sink->name), "a.jpg");
        release(&user);
        assert_file("a.jpg", "hello world");
        assert_int_equal(count_files(), 1);
        end();
    }
}

static void test_name_taken(void **state)
{
    struct user user;

    (void)state;
    begin();
    put_file("a.jpg", "old");
    assert_int_equal(mkdirat(f.fd, "a.1.jpg", 0755), 0);
    assert_int_equal(symlinkat("nowhere", f.fd, "a.2.jpg"), 0);
    make(&user, "a.jpg", URL);
    fetch(&user, "new");
    assert_int_equal(publish(&user), HAUL_OK);
    assert_span(text_span(&user.sink->name), "a.3.jpg");
    release(&user);
    assert_file("a.jpg", "old");
    assert_file("a.3.jpg", "new");
    assert_int_equal(count_files(), 4);
    end();
}

static void test_no_renaming(void **state)
{
    struct sink_file_options options;
    struct user user;

    (void)state;
    begin();
    options = usual("a.jpg", URL);
    options.auto_renaming = false;
    put_file("a.jpg", "old");
    make_with(&user, &options);
    assert_int_equal(prepare(&user), HAUL_EXISTS);
    release(&user);
    assert_int_equal(unlinkat(f.fd, "a.jpg", 0), 0);
    make_with(&user, &options);
    fetch(&user, "new");
    put_file("a.jpg", "came meanwhile");
    assert_int_equal(publish(&user), HAUL_EXISTS);
    assert_int_equal(abandon(&user, 3, NULL), HAUL_OK);
    assert_false(user.sink->kept);
    release(&user);
    assert_file("a.jpg", "came meanwhile");
    assert_int_equal(count_files(), 1);
    end();
}

static void test_one_name_at_once(void **state)
{
    struct sink_file_options options;
    struct user a, b, c;

    (void)state;
    begin();
    make(&a, "a.jpg", URL);
    make(&b, "a.jpg", URL "?other");
    fetch(&a, "of a");
    fetch(&b, "of b");
    options = usual("a.jpg", URL "?third");
    options.auto_renaming = false;
    make_with(&c, &options);
    assert_int_equal(prepare(&c), HAUL_IN_USE);
    release(&c);
    assert_int_equal(publish(&b), HAUL_OK);
    assert_int_equal(publish(&a), HAUL_OK);
    release(&a);
    release(&b);
    assert_file("a.jpg", "of a");
    assert_file("a.1.jpg", "of b");
    assert_int_equal(count_files(), 2);
    end();
}

static void test_one_url_at_once(void **state)
{
    struct user users[3];

    (void)state;
    begin();
    for (size_t i = 0; i < COUNT_OF(users); i++) {
        make(&users[i], "a.jpg", URL);
        assert_int_equal(prepare(&users[i]), HAUL_OK);
    }
    for (size_t i = 0; i < COUNT_OF(users); i++) {
        assert_int_equal(open_sink(&users[i], false), HAUL_OK);
        assert_true(is_there(partial_of("a.jpg", URL, (unsigned)i)));
    }
    assert_int_equal(put_now(&users[0], "0", 0), HAUL_OK);
    assert_int_equal(put_now(&users[1], "1", 0), HAUL_OK);
    assert_int_equal(put_now(&users[2], "2", 0), HAUL_OK);
    for (size_t i = 0; i < COUNT_OF(users); i++) {
        assert_int_equal(publish(&users[i]), HAUL_OK);
        release(&users[i]);
    }
    assert_file("a.jpg", "0");
    assert_file("a.1.jpg", "1");
    assert_file("a.2.jpg", "2");
    assert_int_equal(count_files(), 3);
    end();
}

static void test_longest_name(void **state)
{
    char name[FILE_NAME_BYTES_MAX + 1];
    struct user users[2];

    (void)state;
    begin();
    memset(name, 'a', FILE_NAME_BYTES_MAX - 4);
    memcpy(name + FILE_NAME_BYTES_MAX - 4, ".jpg", 5);
    for (size_t i = 0; i < 2; i++) {
        make(&users[i], name, URL);
        fetch(&users[i], i == 0 ? "first" : "second");
    }
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(publish(&users[i]), HAUL_OK);
    assert_file(name, "first");
    assert_int_equal(users[1].sink->name.len, FILE_NAME_BYTES_MAX);
    assert_file(users[1].sink->name.data, "second");
    for (size_t i = 0; i < 2; i++)
        release(&users[i]);
    end();
}

/* What a server calls like one of our partial files is not to be taken for one. */
static void test_name_like_partial(void **state)
{
    struct user user;

    (void)state;
    begin();
    make(&user, "a.01234567.haul", URL);
    fetch(&user, "abc");
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_file("a.01234567.haul_", "abc");
    end();
}

/* ---- partial files ---- */

static void leave_partial(const char *name, const char *url, const char *text)
{
    struct user user;

    make(&user, name, url);
    fetch(&user, text);
    /* More was written than is known to be sound. */
    assert_int_equal(put_now(&user, "more", strlen(text) + 10), HAUL_OK);
    assert_int_equal(abandon(&user, strlen(text), &version), HAUL_OK);
    assert_int_equal(user.sink->kept, f.attributes);
    release(&user);
}

static void test_taken_up(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT_OF(bases); i++) {
        struct user user;
        struct stat status;

        begin_at(bases[i], 0);
        leave_partial("a.jpg", URL, "hello ");
        assert_int_equal(count_files(), f.attributes);
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        if (f.attributes) {
            assert_int_equal(fstatat(f.fd, partial_of("a.jpg", URL, 0), &status, 0), 0);
            assert_int_equal(status.st_size, 6);
            assert_int_equal(user.sink->have_bytes, 6);
            assert_int_equal(user.sink->have_total, 11);
            assert_span(text_span(&user.sink->validator), "\"v1\"");
            assert_false(user.sink->foreign);
            assert_int_equal(open_sink(&user, true), HAUL_OK);
            assert_int_equal(put_now(&user, "world", 6), HAUL_OK);
        } else {
            assert_int_equal(user.sink->have_bytes, 0);
            assert_int_equal(open_sink(&user, false), HAUL_OK);
            assert_int_equal(put_now(&user, "hello world", 0), HAUL_OK);
        }
        assert_int_equal(publish(&user), HAUL_OK);
        release(&user);
        assert_file("a.jpg", "hello world");
        assert_int_equal(count_files(), 1);
        end();
    }
}

static void test_other_url_keeps_off(void **state)
{
    struct user user;

    (void)state;
    begin();
    if (!f.attributes) {
        end();
        skip();
    }
    leave_partial("a.jpg", URL, "hello ");
    make(&user, "a.jpg", URL "?other");
    fetch(&user, "other");
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_file("a.jpg", "other");
    make(&user, "a.jpg", URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_int_equal(user.sink->have_bytes, 6);
    assert_int_equal(open_sink(&user, true), HAUL_OK);
    assert_int_equal(put_now(&user, "world", 6), HAUL_OK);
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_file("a.1.jpg", "hello world");
    assert_file("a.jpg", "other");
    end();
}

/* The description goes before what it describes; then a crash leaves a file without one. */
static void test_begun_anew(void **state)
{
    struct stat status;
    struct user user;

    (void)state;
    begin();
    if (!f.attributes) {
        end();
        skip();
    }
    leave_partial("a.jpg", URL, "hello ");
    make(&user, "a.jpg", URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_int_equal(user.sink->have_bytes, 6);
    assert_int_equal(open_sink(&user, false), HAUL_OK);
    assert_int_equal(fstatat(f.fd, partial_of("a.jpg", URL, 0), &status, 0), 0);
    assert_int_equal(status.st_size, 0);
    assert_int_equal(put_now(&user, "HELLO ", 0), HAUL_OK);
    release(&user); /* as a crash would leave it */
    assert_file(partial_of("a.jpg", URL, 0), "HELLO ");
    make(&user, "a.jpg", URL);
    fetch(&user, "bye"); /* nothing of it was taken up */
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_file("a.jpg", "bye");
    assert_int_equal(count_files(), 1);
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
    assert_int_equal(put_now(&user, "hello and more", 0), HAUL_OK);
    assert_int_equal(prepare(&user), HAUL_OK);
    user.sink->have_bytes = 6;
    assert_int_equal(open_sink(&user, true), HAUL_OK);
    assert_int_equal(put_now(&user, "you", 6), HAUL_OK);
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_file("a.jpg", "hello you");
    end();
}

static void test_abandon(void **state)
{
    static const struct sink_version none = {.total = 11};
    static const struct {
        uint64_t bytes;
        const struct sink_version *keep;
        bool kept;
    } rows[] = {
        {6, NULL, false},
        {6, &none, false},
        {0, &version, false},
        {6, &version, true},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct user user;

        begin();
        make(&user, "a.jpg", URL); /* before anything was opened */
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_int_equal(abandon(&user, rows[i].bytes, rows[i].keep), HAUL_OK);
        assert_false(user.sink->kept);
        release(&user);
        make(&user, "a.jpg", URL);
        fetch(&user, "hello ");
        assert_int_equal(abandon(&user, rows[i].bytes, rows[i].keep), HAUL_OK);
        assert_int_equal(user.sink->kept, rows[i].kept && f.attributes);
        assert_int_equal(count_files(), user.sink->kept);
        release(&user);
        end();
    }
}

/* Taken up, and broken again before a byte came, or with bytes that can't be described: what was
 * there before is there after. */
static void test_abandon_taken_up(void **state)
{
    struct user user;

    (void)state;
    begin();
    if (!f.attributes) {
        end();
        skip();
    }
    leave_partial("a.jpg", URL, "hello ");
    for (int round = 0; round < 3; round++) {
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_int_equal(user.sink->have_bytes, 6);
        if (round > 0)
            assert_int_equal(open_sink(&user, true), HAUL_OK);
        if (round > 1)
            assert_int_equal(put_now(&user, "wor", 6), HAUL_OK);
        assert_int_equal(abandon(&user, 0, NULL), HAUL_OK);
        assert_true(user.sink->kept);
        release(&user);
    }
    make(&user, "a.jpg", URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_int_equal(user.sink->have_bytes, 6);
    release(&user);
    end();
}

/* Leaves a partial file of six bytes with this description, where # stands for the URL's hash. */
static void describe(const char *description)
{
    int fd = openat(f.fd, partial_of("a.jpg", URL, 0), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
    struct text text = {0};

    for (const char *at = description; *at; at++) {
        if (*at == '#')
            text_printf(&text, "%016llx%016llx", (unsigned long long)span_hash(SPAN(URL), 1),
                        (unsigned long long)span_hash(SPAN(URL), 2));
        else
            text_add_char(&text, *at);
    }
    assert_int_equal(pwrite(fd, "hello ", 6, 0), 6);
    assert_int_equal(fsetxattr(fd, ATTRIBUTE, text.data, text.len, 0), 0);
    text_free(&text);
    close(fd);
}

static const struct {
    const char *text;
    uint64_t bytes; /* 0: no description */
} descriptions[] = {
    {"1\n6\n11\n#\n\"v1\"", 6},
    {"1\n5\n11\n#\n\"v1\"", 5},
    {"1\n7\n11\n#\n\"v1\"", 0},
    {"1\n0\n11\n#\n\"v1\"", 0},
    {"1\n6\n11\n#\n", 0},
    {"1\n6\n11\n#", 0},
    {"2\n6\n11\n#\n\"v1\"", 0},
    {"1\n-6\n11\n#\n\"v1\"", 0},
    {"1\n6\nx\n#\n\"v1\"", 0},
    {"1\n6\n11\n#0\n\"v1\"", 0},
    {"1\n6\n11\n" URL "\n\"v1\"", 0},
    {"1\n6", 0},
    {"x", 0},
};

/* A description that is cut, of another kind, or false is none; the file is ours by its name. */
static void test_bad_descriptions(void **state)
{
    (void)state;
    begin();
    for (size_t i = 0; i < (f.attributes ? COUNT_OF(descriptions) : 0); i++) {
        struct user user;

        describe(descriptions[i].text);
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_int_equal(user.sink->have_bytes, descriptions[i].bytes);
        assert_int_equal(user.sink->validator.len, descriptions[i].bytes ? 4 : 0);
        assert_int_equal(open_sink(&user, false), HAUL_OK);
        assert_int_equal(put_now(&user, "new", 0), HAUL_OK);
        assert_int_equal(publish(&user), HAUL_OK);
        release(&user);
        assert_file("a.jpg", "new");
        assert_int_equal(count_files(), 1);
        assert_int_equal(unlinkat(f.fd, "a.jpg", 0), 0);
    }
    end();
}

/* A false description must not become true of what is written after it, or a crash then would mix
 * two versions. */
static void test_descriptions_go(void **state)
{
    (void)state;
    begin();
    for (size_t i = 0; i < (f.attributes ? COUNT_OF(descriptions) : 0); i++) {
        struct user user;

        describe(descriptions[i].text);
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_int_equal(open_sink(&user, false), HAUL_OK);
        assert_int_equal(put_now(&user, "another version", 0), HAUL_OK);
        release(&user); /* as a crash would leave it */
        make(&user, "a.jpg", URL);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_int_equal(user.sink->have_bytes, 0);
        release(&user);
        assert_int_equal(unlinkat(f.fd, partial_of("a.jpg", URL, 0), 0), 0);
    }
    end();
}

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
    assert_int_equal(prepare(&user), HAUL_IN_USE);
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
        assert_int_equal(prepare(&user), HAUL_CREATE);
        assert_int_equal(abandon(&user, 0, NULL), HAUL_OK);
        release(&user);
        assert_int_equal(unlinkat(f.fd, name, kind == 0 ? AT_REMOVEDIR : 0), 0);
    }
    assert_file("a.jpg", "new");
    end();
}

/* Somebody removes or makes the partial file while it is being worked with. */
static void test_partial_meddled_with(void **state)
{
    struct user user;
    const char *name;

    (void)state;
    begin();
    name = partial_of("a.jpg", URL, 0);
    make(&user, "a.jpg", URL);
    assert_int_equal(prepare(&user), HAUL_OK);
    put_file(name, "came meanwhile");
    assert_int_equal(open_sink(&user, false), HAUL_IN_USE);
    assert_int_equal(abandon(&user, 0, NULL), HAUL_OK);
    release(&user);
    assert_file(name, "came meanwhile");
    make(&user, "a.jpg", URL);
    fetch(&user, "abc");
    assert_int_equal(unlinkat(f.fd, name, 0), 0);
    assert_int_equal(publish(&user), HAUL_RENAME);
    assert_int_equal(user.error.system_errno, ENOENT);
    assert_int_equal(abandon(&user, 3, NULL), HAUL_OK); /* removes nothing, and nothing is wrong */
    assert_false(user.sink->kept);
    release(&user);
    assert_int_equal(count_files(), 0);
    end();
}

/* ---- proceed ---- */

static void make_proceeding(struct user *user, bool auto_renaming)
{
    struct sink_file_options options = usual("a.jpg", URL);

    options.proceed = true;
    options.auto_renaming = auto_renaming;
    make_with(user, &options);
}

static void test_proceed(void **state)
{
    struct user user;
    struct stat before, after;
    struct put puts[2];

    (void)state;
    begin();
    put_file("a.jpg", "hello ");
    assert_int_equal(fstatat(f.fd, "a.jpg", &before, 0), 0);
    make_proceeding(&user, true);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_int_equal(user.sink->have_bytes, 6);
    assert_true(user.sink->foreign);
    assert_int_equal(user.sink->validator.len, 0);
    assert_int_equal(open_sink(&user, true), HAUL_OK);
    put_start(&user, &puts[0], "wor", 3, 6);
    put_start(&user, &puts[1], "ld", 2, 9);
    assert_int_equal(put_end(&puts[0]), HAUL_OK);
    assert_int_equal(put_end(&puts[1]), HAUL_OK);
    assert_int_equal(publish(&user), HAUL_OK);
    assert_span(text_span(&user.sink->name), "a.jpg");
    release(&user);
    assert_file("a.jpg", "hello world");
    assert_int_equal(fstatat(f.fd, "a.jpg", &after, 0), 0);
    assert_int_equal(before.st_ino, after.st_ino);
    assert_int_equal(count_files(), 1);
    end();
}

/* It stays, and grows, whatever becomes of the download. */
static void test_proceed_breaks(void **state)
{
    struct user user;

    (void)state;
    begin();
    put_file("a.jpg", "hello ");
    make_proceeding(&user, true);
    assert_int_equal(prepare(&user), HAUL_OK);
    assert_int_equal(open_sink(&user, true), HAUL_OK);
    assert_int_equal(put_now(&user, "wor", 6), HAUL_OK);
    assert_int_equal(abandon(&user, 9, &version), HAUL_OK);
    assert_true(user.sink->kept);
    release(&user);
    assert_file("a.jpg", "hello wor");
    assert_int_equal(count_files(), 1);
    end();
}

static void test_proceed_not_continued(void **state)
{
    struct user user;

    (void)state;
    for (int renaming = 0; renaming < 2; renaming++) {
        begin();
        put_file("a.jpg", "old");
        make_proceeding(&user, renaming);
        assert_int_equal(prepare(&user), HAUL_OK);
        assert_int_equal(user.sink->have_bytes, 3);
        assert_int_equal(open_sink(&user, false), HAUL_OK);
        assert_false(user.sink->foreign);
        assert_int_equal(put_now(&user, "new", 0), HAUL_OK);
        assert_int_equal(publish(&user), renaming ? HAUL_OK : HAUL_EXISTS);
        if (!renaming)
            assert_int_equal(abandon(&user, 3, NULL), HAUL_OK);
        release(&user);
        assert_file("a.jpg", "old");
        if (renaming)
            assert_file("a.1.jpg", "new");
        assert_int_equal(count_files(), renaming ? 2 : 1);
        end();
    }
}

/* Nothing to continue, or nothing that can be. */
static void test_proceed_with_others(void **state)
{
    struct user user;
    int fd;

    (void)state;
    begin();
    make_proceeding(&user, false);
    fetch(&user, "new");
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_file("a.jpg", "new");
    fd = openat(f.fd, "a.jpg", O_RDONLY | O_CLOEXEC);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    make_proceeding(&user, true);
    assert_int_equal(prepare(&user), HAUL_IN_USE);
    release(&user);
    close(fd);
    assert_int_equal(unlinkat(f.fd, "a.jpg", 0), 0);
    assert_int_equal(mkdirat(f.fd, "a.jpg", 0755), 0);
    make_proceeding(&user, false);
    assert_int_equal(prepare(&user), HAUL_EXISTS);
    release(&user);
    make_proceeding(&user, true);
    fetch(&user, "new");
    assert_int_equal(publish(&user), HAUL_OK);
    release(&user);
    assert_file("a.1.jpg", "new");
    end();
}

/* ---- directories ---- */

static void test_directories(void **state)
{
    struct sink_file_options options;
    struct user users[2];
    char below[128], path[192];

    (void)state;
    begin();
    snprintf(below, sizeof(below), "%s/x/y", f.path);
    options = usual("ignored", URL);
    options.directory = below;
    options.out = "z/w/a.jpg";
    for (size_t i = 0; i < 2; i++) { /* both wait for the same one */
        make_with(&users[i], &options);
        users[i].sink->operations->prepare(users[i].sink);
        assert_int_equal(users[i].steps, 0);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(wait_step(&users[i]), HAUL_OK);
        assert_int_equal(open_sink(&users[i], false), HAUL_OK);
        assert_int_equal(publish(&users[i]), HAUL_OK);
        snprintf(path, sizeof(path), "%s/z/w/a%s.jpg", below, i == 0 ? "" : ".1");
        assert_span(text_span(&users[i].sink->path), path);
        release(&users[i]);
    }
    assert_file("x/y/z/w/a.jpg", "");
    assert_file("x/y/z/w/a.1.jpg", "");
    end();
}

static void test_directory_in_the_way(void **state)
{
    struct sink_file_options options;
    struct user users[2];

    (void)state;
    begin();
    put_file("x", "a file");
    options = usual("ignored", URL);
    options.out = "x/y/a.jpg";
    for (size_t i = 0; i < 2; i++) {
        make_with(&users[i], &options);
        users[i].sink->operations->prepare(users[i].sink);
    }
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(wait_step(&users[i]), HAUL_DIRECTORY);
        assert_int_equal(users[i].error.system_errno, ENOTDIR);
        assert_int_equal(abandon(&users[i], 0, NULL), HAUL_OK);
        release(&users[i]);
    }
    assert_int_equal(unlinkat(f.fd, "x", 0), 0);
    make_with(&users[0], &options); /* an earlier failure is not remembered */
    fetch(&users[0], "abc");
    assert_int_equal(publish(&users[0]), HAUL_OK);
    release(&users[0]);
    assert_file("x/y/a.jpg", "abc");
    end();
}

/* More than are kept open. */
static void test_many_directories(void **state)
{
    (void)state;
    begin();
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < MANY_DIRECTORIES; i++) {
            struct sink_file_options options = usual("ignored", URL);
            struct user user;
            char out[64];

            snprintf(out, sizeof(out), "%d/a%d", i, round);
            options.out = out;
            make_with(&user, &options);
            fetch(&user, out);
            assert_int_equal(publish(&user), HAUL_OK);
            release(&user);
            assert_file(out, out);
        }
    }
    end();
}

/* ---- letting go in the middle ---- */

static void test_release_under_way(void **state)
{
    (void)state;
    for (int step = 0; step < 6; step++) {
        struct user user;
        struct put put;

        begin();
        put_file("a.jpg", "old");
        if (step == 0 && f.attributes)
            leave_partial("a.jpg", URL, "hello ");
        make(&user, "a.jpg", URL);
        if (step >= 1)
            assert_int_equal(prepare(&user), HAUL_OK);
        if (step >= 2)
            assert_int_equal(open_sink(&user, false), HAUL_OK);
        user.steps = 0;
        switch (step) {
        case 0:
            user.sink->operations->prepare(user.sink);
            break;
        case 1:
            user.sink->operations->open(user.sink, false);
            break;
        case 2:
            put_start(&user, &put, "abc", 3, 0);
            break;
        case 3:
            user.sink->operations->publish(user.sink);
            break;
        case 4:
            user.sink->operations->abandon(user.sink, 3, &version);
            break;
        default:
            break;
        }
        release(&user);
        end();
        assert_int_equal(user.steps, 0);
    }
}

/* ---- trouble, in children of their own ---- */

/* What the parent has, so that a child that makes its own has lost nothing. */
static struct ring *ring_of_parent;
static struct directories *directories_of_parent;

/* What fn returns; children must not return into cmocka. */
static int in_child(int (*fn)(void))
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

enum { CHILD_CANNOT = 255 };

static int write_beyond_limit(void)
{
    struct rlimit limit = {.rlim_cur = 10000, .rlim_max = 10000};
    static char data[8000];
    struct sink_file_options options;
    struct put puts[3];
    struct user user;

    begin_ring(0);
    signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &limit) == 0);
    make(&user, "a.jpg", URL);
    CHECK(prepare(&user) == HAUL_OK && open_sink(&user, false) == HAUL_OK);
    for (size_t i = 0; i < 3; i++)
        put_start(&user, &puts[i], data, sizeof(data), i * sizeof(data));
    CHECK(put_end(&puts[0]) == HAUL_OK);
    CHECK(put_end(&puts[1]) == HAUL_FILE_IO && puts[1].error.system_errno == EFBIG);
    CHECK(put_end(&puts[2]) == HAUL_FILE_IO);
    CHECK(abandon(&user, sizeof(data), &version) == HAUL_OK);
    release(&user);
    /* A foreign one gets no holes: what stands behind a write that failed fails. */
    put_file("b.jpg", "hello ");
    options = usual("b.jpg", URL);
    options.proceed = true;
    make_with(&user, &options);
    CHECK(prepare(&user) == HAUL_OK && open_sink(&user, true) == HAUL_OK);
    put_start(&user, &puts[0], data, sizeof(data), 9000);
    put_start(&user, &puts[1], "x", 1, 6);
    CHECK(put_end(&puts[0]) == HAUL_FILE_IO);
    CHECK(put_end(&puts[1]) == HAUL_FILE_IO);
    CHECK(put_now(&user, "world", 6) == HAUL_OK);
    CHECK(abandon(&user, 11, NULL) == HAUL_OK);
    release(&user);
    end_ring();
    return 0;
}

static void test_write_error(void **state)
{
    struct stat status;

    (void)state;
    begin();
    assert_int_equal(in_child(write_beyond_limit), 0);
    if (f.attributes) {
        assert_int_equal(fstatat(f.fd, partial_of("a.jpg", URL, 0), &status, 0), 0);
        assert_int_equal(status.st_size, 8000);
    }
    end();
}

static int fill_small_disk(void)
{
    static char data[256 * 1024];
    struct user user;
    struct put put;

    if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", "none", MS_REC | MS_PRIVATE, NULL) < 0 ||
        mount("none", f.path, "tmpfs", 0, "size=64k") < 0)
        return CHILD_CANNOT;
    close(f.fd);
    f.fd = open(f.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    begin_ring(0);
    make(&user, "a.jpg", URL);
    CHECK(prepare(&user) == HAUL_OK && open_sink(&user, false) == HAUL_OK);
    put_start(&user, &put, data, sizeof(data), 0);
    CHECK(put_end(&put) == HAUL_DISK_FULL && put.error.system_errno == ENOSPC);
    CHECK(abandon(&user, 0, NULL) == HAUL_OK);
    CHECK(!is_there(partial_of("a.jpg", URL, 0)));
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

static int work_as_nobody(void)
{
    struct sink_file_options options;
    struct user user;

    if (geteuid() == 0 &&
        (setresgid(NOBODY, NOBODY, NOBODY) < 0 || setresuid(NOBODY, NOBODY, NOBODY) < 0))
        return CHILD_CANNOT;
    begin_ring(0);
    make(&user, "a.jpg", URL); /* the directory is there, but not ours to write in */
    CHECK(prepare(&user) == HAUL_OK);
    CHECK(open_sink(&user, false) == HAUL_CREATE && user.error.system_errno == EACCES);
    CHECK(abandon(&user, 0, NULL) == HAUL_OK);
    release(&user);
    options = usual("ignored", URL);
    options.out = "new/a.jpg";
    make_with(&user, &options);
    CHECK(prepare(&user) == HAUL_DIRECTORY && user.error.system_errno == EACCES);
    CHECK(abandon(&user, 0, NULL) == HAUL_OK);
    release(&user);
    end_ring();
    return 0;
}

static void test_no_permission(void **state)
{
    int result;

    (void)state;
    begin();
    assert_int_equal(fchmod(f.fd, 0555), 0);
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
        cmocka_unit_test(test_fresh),
        cmocka_unit_test(test_name_taken),
        cmocka_unit_test(test_no_renaming),
        cmocka_unit_test(test_one_name_at_once),
        cmocka_unit_test(test_one_url_at_once),
        cmocka_unit_test(test_longest_name),
        cmocka_unit_test(test_name_like_partial),
        cmocka_unit_test(test_taken_up),
        cmocka_unit_test(test_other_url_keeps_off),
        cmocka_unit_test(test_begun_anew),
        cmocka_unit_test(test_opened_again),
        cmocka_unit_test(test_abandon),
        cmocka_unit_test(test_abandon_taken_up),
        cmocka_unit_test(test_bad_descriptions),
        cmocka_unit_test(test_descriptions_go),
        cmocka_unit_test(test_partial_in_the_way),
        cmocka_unit_test(test_partial_meddled_with),
        cmocka_unit_test(test_proceed),
        cmocka_unit_test(test_proceed_breaks),
        cmocka_unit_test(test_proceed_not_continued),
        cmocka_unit_test(test_proceed_with_others),
        cmocka_unit_test(test_directories),
        cmocka_unit_test(test_directory_in_the_way),
        cmocka_unit_test(test_many_directories),
        cmocka_unit_test(test_release_under_way),
        cmocka_unit_test(test_write_error),
        cmocka_unit_test(test_disk_full),
        cmocka_unit_test(test_no_permission),
    };

    return UNIT_RUN(tests);
}
