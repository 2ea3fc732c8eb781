/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/input.h"
#include "cli/job.h"

struct fixture {
    struct options options;
    struct report report;
    struct input *input;
    char path[64]; /* of the list */
    int list;      /* its writing end */
    int reading;   /* of a pipe; -1: a file */
    int said;
    char read_back[8192];
    struct haul_request request;
    int fd;
};

static void done(haul_download *download, void *user)
{
    (void)download;
    (void)user;
}

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    assert_true(options_init(&f->options));
    f->reading = -1;
    f->said = memfd_create("said", MFD_CLOEXEC);
    assert_true(f->said >= 0);
    report_init(&f->report, f->said, false, false);
}

static void open_input(struct fixture *f)
{
    struct input_options options = {
        .options = &f->options, .report = &f->report, .done = done, .owner = f};
    struct haul_error error = {0};

    f->options.input_file = strdup(f->path);
    f->input = input_create(&options, &error);
    if (!f->input)
        print_error("%s\n", error.text);
    assert_non_null(f->input);
}

static void begin_bytes(struct fixture *f, const char *list, size_t len)
{
    setup(f);
    f->list = memfd_create("list", MFD_CLOEXEC);
    assert_true(f->list >= 0);
    assert_int_equal(pwrite(f->list, list, len, 0), len);
    snprintf(f->path, sizeof(f->path), "/proc/self/fd/%d", f->list);
    open_input(f);
    /* So that messages name the same file always. */
    strcpy(f->options.input_file, "list");
}

static void begin(struct fixture *f, const char *list)
{
    begin_bytes(f, list, strlen(list));
}

static void begin_pipe(struct fixture *f)
{
    int fds[2];

    setup(f);
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    f->reading = fds[0];
    f->list = fds[1];
    snprintf(f->path, sizeof(f->path), "/proc/self/fd/%d", f->reading);
    open_input(f);
    close(f->reading);
    strcpy(f->options.input_file, "pipe");
}

static void feed(struct fixture *f, const char *text)
{
    assert_int_equal(write(f->list, text, strlen(text)), strlen(text));
}

static void close_list(struct fixture *f)
{
    close(f->list);
    f->list = -1;
}

static void end(struct fixture *f)
{
    input_destroy(f->input);
    if (f->list >= 0)
        close(f->list);
    report_free(&f->report);
    close(f->said);
    options_free(&f->options);
}

static enum haul_source_answer ask(struct fixture *f)
{
    memset(&f->request, 0xaa, sizeof(f->request));
    f->fd = -1;
    return input_next(f->input, &f->request, &f->fd);
}

/* A long stretch of a file without a download is read in several calls. */
static enum haul_source_answer ask_on(struct fixture *f)
{
    enum haul_source_answer answer;

    do {
        answer = ask(f);
    } while (answer == HAUL_SOURCE_WAIT);
    return answer;
}

/* The next download is this one. */
static void expect(struct fixture *f, const char *url, uint64_t line)
{
    struct job *job;

    assert_int_equal(ask(f), HAUL_SOURCE_READY);
    assert_string_equal(f->request.url, url);
    assert_int_equal(f->request.size, sizeof(f->request));
    assert_ptr_equal(f->request.done, done);
    job = f->request.user;
    assert_int_equal(job->line, line);
    assert_ptr_equal(job->owner, f);
    free(job);
}

/* All that is left, waiting as an engine would. */
static size_t count_rest(struct fixture *f)
{
    size_t count = 0;

    for (;;) {
        switch (ask(f)) {
        case HAUL_SOURCE_READY:
            free(f->request.user);
            count++;
            break;
        case HAUL_SOURCE_WAIT: {
            struct pollfd ready = {.fd = f->fd, .events = POLLIN};

            assert_int_equal(poll(&ready, 1, 5000), 1);
            break;
        }
        case HAUL_SOURCE_END:
            return count;
        }
    }
}

static void expect_end(struct fixture *f, const char *said)
{
    ssize_t got;

    assert_int_equal(ask(f), HAUL_SOURCE_END);
    assert_int_equal(ask(f), HAUL_SOURCE_END);
    report_flush(&f->report);
    got = pread(f->said, f->read_back, sizeof(f->read_back) - 1, 0);
    assert_true(got >= 0);
    f->read_back[got] = '\0';
    assert_string_equal(f->read_back, said);
}

static void test_plain_list(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "http://a/1\nhttp://a/2\r\n\n   \n# comment\n\thttp\n"
              "http://a/3 \t\n  # indented\n \t\r\nhttp://a/4");
    expect(&f, "http://a/1", 1);
    assert_null(f.request.out);
    assert_null(f.request.directory);
    assert_null(f.request.user_agent);
    assert_int_equal(f.request.header_count, 0);
    assert_int_equal(f.request.sink, HAUL_SINK_FILE);
    /* Its option on line 6 is none. */
    expect(&f, "http://a/3", 7);
    expect(&f, "http://a/4", 10);
    expect_end(&f, "failed: list:6: http: no such option of a download\n");
    end(&f);
}

static void test_empty_lists(void **state)
{
    static const char *const lists[] = {
        "", "\n", "\r\n", "#", "\xef\xbb\xbf", "\xef\xbb\xbf\n# a", "   ", "\t\n\n\n"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lists); i++) {
        struct fixture f;

        begin(&f, lists[i]);
        expect_end(&f, "");
        assert_int_equal(report_exit_status(&f.report), 0);
        end(&f);
    }
}

static void test_byte_order_mark(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "\xef\xbb\xbfhttp://a/1\n\xef\xbb\xbfhttp://a/2\n");
    expect(&f, "http://a/1", 1);
    expect(&f, "\xef\xbb\xbfhttp://a/2", 2);
    expect_end(&f, "");
    end(&f);
}

static void test_options_of_downloads(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "http://a/1\n out=x/y z\n\tdir=/tmp\n# between\n\n  header=A: 1\n  header=B: 2\n"
              "  user-agent=me\nhttp://a/2\n discard=true\nhttp://a/3\n");
    expect(&f, "http://a/1", 1);
    assert_string_equal(f.request.out, "x/y z");
    assert_string_equal(f.request.directory, "/tmp");
    assert_string_equal(f.request.user_agent, "me");
    assert_int_equal(f.request.header_count, 2);
    assert_string_equal(f.request.headers[0], "A: 1");
    assert_string_equal(f.request.headers[1], "B: 2");
    expect(&f, "http://a/2", 9);
    assert_int_equal(f.request.sink, HAUL_SINK_DISCARD);
    assert_null(f.request.out);
    assert_int_equal(f.request.header_count, 0);
    expect(&f, "http://a/3", 11);
    assert_int_equal(f.request.sink, HAUL_SINK_FILE);
    expect_end(&f, "");
    end(&f);
}

static void test_bad_options_fail_their_download_only(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, " out=orphan\n out=again\nhttp://a/1\n out=x\n piece=md5=0\n nonsense\n"
              "http://a/2\n out\nhttp://a/3\n out=-\nhttp://a/4\n max-tries=2\nhttp://a/5\n");
    expect(&f, "http://a/5", 13);
    expect_end(&f, "failed: list:1: an option, but no URL before it\n"
                   "failed: list:5: piece: no such option of a download\n"
                   "failed: list:8: out: a value is missing; expected FILE\n"
                   "failed: list:10: out: \"-\" can't be the file of a list's line\n"
                   "failed: list:12: max-tries: can't be set for a single download; use "
                   "--max-tries for all of them\n");
    assert_int_equal(f.report.failed, 5);
    assert_int_equal(report_exit_status(&f.report), 28);
    end(&f);
}

static void test_mirrors(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, "http://a/1\thttp://b/1\t\thttp://c/1\nhttp://a/2\t\n");
    expect(&f, "http://a/1", 1);
    assert_int_equal(f.request.mirror_count, 2);
    assert_string_equal(f.request.mirrors[0], "http://b/1");
    assert_string_equal(f.request.mirrors[1], "http://c/1");
    expect(&f, "http://a/2", 2);
    assert_int_equal(f.request.mirror_count, 0);
    expect_end(&f, "");
    end(&f);
}

static void test_nul_bytes(void **state)
{
    static const char list[] = "http://a/1\nhttp://a\0/2\n out=x\nhttp://a/3\n out=\0\nhttp://a/4\n"
                               "#\0\n\0\n";
    struct fixture f;

    (void)state;
    begin_bytes(&f, list, sizeof(list) - 1);
    expect(&f, "http://a/1", 1);
    expect(&f, "http://a/4", 6);
    expect_end(&f, "failed: list:2: the line has a NUL byte in it\n"
                   "failed: list:5: the line has a NUL byte in it\n"
                   "failed: list:8: the line has a NUL byte in it\n");
    assert_int_equal(f.report.failed, 3);
    end(&f);
}

/* Lines of these lengths, one after the other; those beyond 64 KiB fail. */
static void expect_lengths(const size_t *lengths, size_t count, const char *line_end)
{
    struct text list = {0};
    size_t failed = 0;
    size_t good = 0;
    struct fixture f;

    for (size_t i = 0; i < count; i++) {
        text_add(&list, SPAN("http://"));
        for (size_t j = 7; j < lengths[i]; j++)
            text_add_char(&list, (char)('a' + i % 26));
        text_add(&list, span_of(line_end));
        *(lengths[i] <= 64 * 1024 ? &good : &failed) += 1;
    }
    begin_bytes(&f, list.data, list.len);
    for (size_t i = 0; i < count; i++) {
        if (lengths[i] > 64 * 1024)
            continue;
        assert_int_equal(ask_on(&f), HAUL_SOURCE_READY);
        assert_int_equal(strlen(f.request.url), lengths[i]);
        assert_int_equal(f.request.url[lengths[i] - 1], 'a' + i % 26);
        assert_int_equal(((struct job *)f.request.user)->line, i + 1);
        free(f.request.user);
        good--;
    }
    assert_int_equal(ask(&f), HAUL_SOURCE_END);
    assert_int_equal(good, 0);
    assert_int_equal(f.report.failed, failed);
    end(&f);
    text_free(&list);
}

static void test_long_lines(void **state)
{
    static const size_t around[] = {65535, 65536, 65537, 65538, 10, 65536, 70000, 65536, 65536};
    static const size_t huge[] = {1000000, 10, 131070, 131072, 131074, 131076, 262144, 20, 65537};
    static const size_t one[] = {65536};
    static const size_t last[] = {65537};

    (void)state;
    expect_lengths(around, COUNT_OF(around), "\n");
    expect_lengths(around, COUNT_OF(around), "\r\n");
    expect_lengths(huge, COUNT_OF(huge), "\n");
    expect_lengths(huge, COUNT_OF(huge), "\r\n");
    expect_lengths(one, 1, "");
    expect_lengths(last, 1, "");
}

static void test_long_comments_and_options(void **state)
{
    struct text list = {0};
    struct fixture f;

    (void)state;
    text_add(&list, SPAN("http://a/1\n out=x\n#"));
    for (size_t i = 0; i < 300000; i++)
        text_add_char(&list, 'x');
    text_add(&list, SPAN("\n dir=y\nhttp://a/2\n out="));
    for (size_t i = 0; i < 300000; i++)
        text_add_char(&list, 'x');
    text_add(&list, SPAN("\n dir=y\nhttp://a/3"));
    begin_bytes(&f, list.data, list.len);
    expect(&f, "http://a/1", 1);
    assert_string_equal(f.request.out, "x");
    assert_string_equal(f.request.directory, "y");
    expect(&f, "http://a/3", 8);
    expect_end(&f, "failed: list:6: the line is longer than 64 KiB\n");
    end(&f);
    text_free(&list);
}

/* Blocks end anywhere: the same list, shifted byte by byte through the end of the first one. */
static void test_lines_across_blocks(void **state)
{
    (void)state;
    for (size_t shift = 0; shift < 64; shift++) {
        struct text list = {0};
        struct fixture f;

        text_add_char(&list, '#');
        while (list.len < 64 * 1024 - shift)
            text_add_char(&list, '.');
        text_add(&list, SPAN("\r\nhttp://a/1\r\n out=x\r\nhttp://a/2\r\n\tdir=y\r\n"));
        begin_bytes(&f, list.data, list.len);
        expect(&f, "http://a/1", 2);
        assert_string_equal(f.request.out, "x");
        expect(&f, "http://a/2", 4);
        assert_string_equal(f.request.directory, "y");
        expect_end(&f, "");
        end(&f);
        text_free(&list);
    }
}

static void test_arguments_go_first(void **state)
{
    static const char *argv[] = {"http://x/1", "http://x/2"};
    struct fixture f;

    (void)state;
    begin(&f, "http://a/1\n");
    f.options.urls = malloc(sizeof(argv));
    assert_non_null(f.options.urls);
    memcpy(f.options.urls, argv, sizeof(argv));
    f.options.url_count = 2;
    f.options.download.dir = strdup("everywhere");
    f.options.download.discard = true;
    expect(&f, "http://x/1", 0);
    /* What holds for all is the engine's. */
    assert_null(f.request.directory);
    assert_int_equal(f.request.sink, HAUL_SINK_DISCARD);
    expect(&f, "http://x/2", 0);
    expect(&f, "http://a/1", 1);
    assert_null(f.request.directory);
    assert_int_equal(f.request.sink, HAUL_SINK_DISCARD);
    expect_end(&f, "");
    end(&f);
}

static void test_sinks_of_arguments(void **state)
{
    static const char *argv[] = {"http://x/1"};
    struct input_options options;
    struct fixture f;

    (void)state;
    setup(&f);
    f.list = -1;
    f.options.urls = malloc(sizeof(argv));
    assert_non_null(f.options.urls);
    memcpy(f.options.urls, argv, sizeof(argv));
    f.options.url_count = 1;
    options = (struct input_options){
        .options = &f.options, .report = &f.report, .done = done, .owner = &f};
    f.options.download.out = strdup("-");
    f.input = input_create(&options, NULL);
    expect(&f, "http://x/1", 0);
    assert_int_equal(f.request.sink, HAUL_SINK_FD);
    assert_int_equal(f.request.fd, STDOUT_FILENO);
    assert_null(f.request.out);
    expect_end(&f, "");
    input_destroy(f.input);

    f.options.download.out[0] = 'o';
    f.input = input_create(&options, NULL);
    expect(&f, "http://x/1", 0);
    assert_int_equal(f.request.sink, HAUL_SINK_FILE);
    assert_string_equal(f.request.out, "o");
    input_destroy(f.input);

    f.options.dry_run = true;
    f.input = input_create(&options, NULL);
    expect(&f, "http://x/1", 0);
    assert_int_equal(f.request.sink, HAUL_SINK_NONE);
    end(&f);
}

static void expect_wait(struct fixture *f)
{
    assert_int_equal(ask(f), HAUL_SOURCE_WAIT);
    assert_true(f->fd >= 0);
}

static void wait_for(struct fixture *f, int timeout_ms, int expected)
{
    struct pollfd ready = {.fd = f->fd, .events = POLLIN};

    assert_int_equal(poll(&ready, 1, timeout_ms), expected);
}

static void test_a_pipe_is_read_as_it_comes(void **state)
{
    struct fixture f;

    (void)state;
    begin_pipe(&f);
    expect_wait(&f);
    wait_for(&f, 30, 0);
    feed(&f, "http://a/1");
    wait_for(&f, 5000, 1);
    expect_wait(&f);
    /* Half a line makes nobody wake up in vain. */
    wait_for(&f, 50, 0);
    feed(&f, "\nhttp://a/2\nhtt");
    wait_for(&f, 5000, 1);
    expect(&f, "http://a/1", 1);
    /* The next one has begun, so this one is complete. */
    expect(&f, "http://a/2", 2);
    expect_wait(&f);
    feed(&f, "p://a/3\n out=x\n");
    close_list(&f);
    wait_for(&f, 5000, 1);
    expect(&f, "http://a/3", 3);
    assert_string_equal(f.request.out, "x");
    expect_end(&f, "");
    end(&f);
}

static void test_an_open_pipe_does_not_hold_the_last_one_back(void **state)
{
    struct fixture f;

    (void)state;
    begin_pipe(&f);
    feed(&f, "http://a/1\n");
    expect_wait(&f);
    wait_for(&f, 5000, 1);
    expect(&f, "http://a/1", 1);
    expect_wait(&f);
    wait_for(&f, 50, 0);
    /* Too late. */
    feed(&f, " out=x\n dir=y\n");
    expect_wait(&f);
    feed(&f, "http://a/2\n# remark");
    expect_wait(&f);
    wait_for(&f, 5000, 1);
    expect(&f, "http://a/2", 4);
    close_list(&f);
    expect_end(&f, "failed: pipe:2: an option that came too late: its download has begun\n");
    end(&f);
}

static void test_a_block_that_ends_between_url_and_options(void **state)
{
    struct fixture f;

    (void)state;
    begin_pipe(&f);
    feed(&f, "http://a/1\n");
    expect_wait(&f);
    feed(&f, " out=");
    expect_wait(&f);
    /* Something of it has begun: it is waited for, however long it takes. */
    wait_for(&f, 60, 0);
    feed(&f, "x\r");
    expect_wait(&f);
    feed(&f, "\n");
    expect_wait(&f);
    wait_for(&f, 5000, 1);
    expect(&f, "http://a/1", 1);
    assert_string_equal(f.request.out, "x");
    close_list(&f);
    expect_end(&f, "");
    end(&f);
}

static void test_pipes_of_all_chunks(void **state)
{
    static const char list[] = "http://a/1\n out=a\n\n#c\nhttp://a/2\r\n\tdir=b\r\nhttp://a/3";

    (void)state;
    for (size_t chunk = 1; chunk < sizeof(list); chunk++) {
        struct fixture f;
        char piece[sizeof(list)];
        size_t count = 0;

        begin_pipe(&f);
        for (size_t at = 0; at < sizeof(list) - 1; at += chunk) {
            enum haul_source_answer answer;

            snprintf(piece, chunk + 1, "%s", list + at);
            feed(&f, piece);
            while ((answer = ask(&f)) == HAUL_SOURCE_READY) {
                count++;
                free(f.request.user);
            }
            assert_int_equal(answer, HAUL_SOURCE_WAIT);
        }
        close_list(&f);
        count += count_rest(&f);
        assert_int_equal(count, 3);
        expect_end(&f, "");
        end(&f);
    }
}

static void test_stdin_stays_as_it_is(void **state)
{
    int saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
    struct fixture f;
    int fds[2];

    (void)state;
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(dup2(fds[0], STDIN_FILENO), STDIN_FILENO);
    close(fds[0]);
    setup(&f);
    f.list = fds[1];
    strcpy(f.path, "-");
    open_input(&f);
    assert_string_equal(input_name(f.input), "stdin");
    assert_int_equal(fcntl(STDIN_FILENO, F_GETFL) & O_NONBLOCK, 0);
    expect_wait(&f);
    feed(&f, "http://a/1\n o=1\n");
    close_list(&f);
    expect_end(&f, "failed: stdin:2: o: no such option of a download\n");
    assert_int_equal(fcntl(STDIN_FILENO, F_GETFL) & O_NONBLOCK, 0);
    end(&f);
    if (saved >= 0) {
        assert_int_equal(dup2(saved, STDIN_FILENO), STDIN_FILENO);
        close(saved);
    } else {
        close(STDIN_FILENO);
    }
}

static void expect_no_input(const char *path, const char *message)
{
    struct input_options options;
    struct haul_error error;
    struct fixture f;

    setup(&f);
    f.list = -1;
    f.options.input_file = strdup(path);
    options = (struct input_options){.options = &f.options, .report = &f.report, .done = done};
    f.input = input_create(&options, &error);
    assert_null(f.input);
    assert_string_equal(error.text, message);
    end(&f);
}

static void test_lists_that_are_none(void **state)
{
    struct fixture f;

    (void)state;
    expect_no_input("/nonexistent", "can't open the list /nonexistent: No such file or directory");
    expect_no_input("/tmp", "can't read the list /tmp: Is a directory");
    setup(&f);
    f.list = -1;
    strcpy(f.path, "/dev/null");
    open_input(&f);
    expect_end(&f, "");
    end(&f);
}

static void test_a_list_of_a_million(void **state)
{
    struct text line = {0};
    struct fixture f;
    size_t before;
    size_t most = 0;

    (void)state;
    begin(&f, "");
    for (int i = 0; i < 1000; i++) {
        text_clear(&line);
        for (int j = 0; j < 1000; j++)
            text_printf(&line, "http://host%d/path/%d\n out=name%d\n", j, i, i * 1000 + j);
        feed(&f, line.data);
    }
    text_free(&line);
    before = mallinfo2().uordblks;
    for (size_t i = 0; i < 1000000; i++) {
        assert_int_equal(ask(&f), HAUL_SOURCE_READY);
        free(f.request.user);
        if (mallinfo2().uordblks > most)
            most = mallinfo2().uordblks;
    }
    assert_true(most < before + 100000);
    expect_end(&f, "");
    end(&f);
}

/* All that a line stands for, with its options and its number, before the next line. */
static void test_patterns(void **state)
{
    struct fixture f;

    (void)state;
    setup(&f);
    f.options.parameterized = true;
    f.list = memfd_create("list", MFD_CLOEXEC);
    assert_true(f.list >= 0);
    feed(&f, "a[1-2]\tm{x,y}\tz\n out={1}.bin\n user-agent=u\n{\nb{c,d}\n");
    snprintf(f.path, sizeof(f.path), "/proc/self/fd/%d", f.list);
    open_input(&f);
    for (unsigned i = 1; i <= 2; i++) {
        expect(&f, i == 1 ? "a1" : "a2", 1);
        assert_string_equal(f.request.out, i == 1 ? "1.bin" : "2.bin");
        assert_string_equal(f.request.user_agent, "u");
        assert_int_equal(f.request.mirror_count, 2);
        assert_string_equal(f.request.mirrors[0], i == 1 ? "mx" : "my");
        assert_string_equal(f.request.mirrors[1], "z");
    }
    expect(&f, "bc", 5);
    assert_null(f.request.out);
    assert_int_equal(f.request.mirror_count, 0);
    assert_int_equal(f.report.failed, 1);
    expect(&f, "bd", 5);
    assert_int_equal(ask(&f), HAUL_SOURCE_END);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_list),
        cmocka_unit_test(test_empty_lists),
        cmocka_unit_test(test_byte_order_mark),
        cmocka_unit_test(test_options_of_downloads),
        cmocka_unit_test(test_bad_options_fail_their_download_only),
        cmocka_unit_test(test_mirrors),
        cmocka_unit_test(test_nul_bytes),
        cmocka_unit_test(test_long_lines),
        cmocka_unit_test(test_long_comments_and_options),
        cmocka_unit_test(test_lines_across_blocks),
        cmocka_unit_test(test_arguments_go_first),
        cmocka_unit_test(test_sinks_of_arguments),
        cmocka_unit_test(test_a_pipe_is_read_as_it_comes),
        cmocka_unit_test(test_an_open_pipe_does_not_hold_the_last_one_back),
        cmocka_unit_test(test_a_block_that_ends_between_url_and_options),
        cmocka_unit_test(test_pipes_of_all_chunks),
        cmocka_unit_test(test_stdin_stays_as_it_is),
        cmocka_unit_test(test_lists_that_are_none),
        cmocka_unit_test(test_a_list_of_a_million),
        cmocka_unit_test(test_patterns),
    };

    return UNIT_RUN(tests);
}
