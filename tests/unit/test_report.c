/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/report.h"

struct fixture {
    struct report report;
    int fd;
    char said[64 * 1024];
};

static void begin(struct fixture *f, bool quiet, bool color)
{
    f->fd = memfd_create("said", MFD_CLOEXEC);
    assert_true(f->fd >= 0);
    report_init(&f->report, f->fd, quiet, color);
}

/* What stands in a file from its beginning. */
static const char *read_back(int fd, char *buffer, size_t size)
{
    ssize_t got = pread(fd, buffer, size - 1, 0);

    assert_true(got >= 0);
    buffer[got] = '\0';
    return buffer;
}

static const char *said(struct fixture *f)
{
    report_flush(&f->report);
    return read_back(f->fd, f->said, sizeof(f->said));
}

static void end(struct fixture *f)
{
    report_free(&f->report);
    close(f->fd);
}

static struct haul_result result_of(enum haul_status status, const char *error)
{
    return (struct haul_result){.status = status,
                                .error = error,
                                .url = "https://me:secret@host/a.jpg",
                                .shown_url = "https://host/a.jpg",
                                .final_url = "https://host/a.jpg",
                                .path = status == HAUL_OK ? "dir/a.jpg" : "",
                                .name = "a.jpg",
                                .tries = 1,
                                .total = UINT64_MAX};
}

static void ended(struct fixture *f, enum haul_status status)
{
    struct haul_result result = result_of(status, "because");

    report_result(&f->report, &result, "", 0);
}

static void test_done(void **state)
{
    struct haul_result result = result_of(HAUL_OK, "");
    struct fixture f;

    (void)state;
    begin(&f, false, false);
    result.bytes = 3 * 1024 * 1024;
    result.resumed_bytes = 1024 * 1024;
    result.duration_ns = 500000000;
    report_result(&f.report, &result, "list", 7);
    result.path = "";
    result.bytes = 0;
    result.resumed_bytes = 0;
    report_result(&f.report, &result, "", 0);
    assert_string_equal(said(&f), "done: dir/a.jpg (3.0 MiB, 4.0 MiB/s)\n"
                                  "done: https://host/a.jpg (0 B)\n");
    assert_int_equal(report_exit_status(&f.report), 0);
    end(&f);
}

static void test_failed(void **state)
{
    struct haul_result result = result_of(HAUL_NOT_FOUND, "the server \x1bsays 404");
    struct fixture f;

    (void)state;
    begin(&f, false, false);
    report_result(&f.report, &result, "li\nst", 12);
    result = result_of(HAUL_TIMEOUT, "");
    result.tries = 5;
    result.bytes = 10;
    report_result(&f.report, &result, "", 0);
    result = result_of(HAUL_NETWORK, "reset");
    result.kept = true;
    report_result(&f.report, &result, "", 0);
    assert_string_equal(
        said(&f), "failed: li\\x0ast:12: https://host/a.jpg: the server \\x1bsays 404\n"
                  "failed: https://host/a.jpg: timed out (5 tries); --timeout=SEC waits longer\n"
                  "failed: https://host/a.jpg: reset; what has come is kept, the same command "
                  "goes on from there\n");
    assert_int_equal(report_exit_status(&f.report), 2);
    end(&f);
}

/* --timeout is not what bounds names, connecting and the handshake. */
static void test_advice_for_a_timeout(void **state)
{
    struct haul_result result = result_of(HAUL_CONNECT_TIMEOUT, "the TLS handshake took too long");
    struct fixture f;

    (void)state;
    begin(&f, false, false);
    report_result(&f.report, &result, "", 0);
    assert_non_null(strstr(said(&f), "; --connect-timeout=SEC waits longer\n"));
    result.status = HAUL_TIMEOUT;
    report_result(&f.report, &result, "", 0);
    assert_non_null(strstr(said(&f), "; --timeout=SEC waits longer\n"));
    end(&f);
}

static void expect_exit(int expected, const enum haul_status *statuses, size_t count)
{
    struct fixture f;

    begin(&f, true, false);
    for (size_t i = 0; i < count; i++)
        ended(&f, statuses[i]);
    assert_int_equal(report_exit_status(&f.report), expected);
    /* In the other order. */
    end(&f);
    begin(&f, true, false);
    for (size_t i = count; i-- > 0;)
        ended(&f, statuses[i]);
    assert_int_equal(report_exit_status(&f.report), expected);
    end(&f);
}

#define EXPECT_EXIT(expected, ...)                                                                 \
    do {                                                                                           \
        const enum haul_status statuses[] = {__VA_ARGS__};                                         \
        expect_exit((expected), statuses, COUNT_OF(statuses));                                     \
    } while (0)

static void test_exit_status(void **state)
{
    (void)state;
    EXPECT_EXIT(0, HAUL_OK);
    EXPECT_EXIT(3, HAUL_NOT_FOUND);
    EXPECT_EXIT(1, HAUL_CERTIFICATE, HAUL_OK, HAUL_TLS);
    EXPECT_EXIT(22, HAUL_CERTIFICATE, HAUL_HTTP_ERROR);
    EXPECT_EXIT(3, HAUL_HTTP_ERROR, HAUL_NOT_FOUND, HAUL_BUSY, HAUL_OK);
    EXPECT_EXIT(7, HAUL_OK, HAUL_UNFINISHED);
    /* Work that is left shows only where nothing has failed. */
    EXPECT_EXIT(22, HAUL_UNFINISHED, HAUL_HTTP_ERROR);
    EXPECT_EXIT(1, HAUL_UNFINISHED, HAUL_CERTIFICATE);
}

static void test_work_left_in_the_list(void **state)
{
    struct fixture f;

    (void)state;
    begin(&f, false, false);
    ended(&f, HAUL_OK);
    report_work_left(&f.report);
    assert_int_equal(report_exit_status(&f.report), 7);
    report_summary(&f.report, 1000000000);
    assert_non_null(strstr(said(&f), "1 done; the input was not read to its end\n"));
    end(&f);
}

static void test_bad_lines(void **state)
{
    struct haul_error error = {.status = HAUL_BAD_OPTION, .text = "x: no such option"};
    struct fixture f;

    (void)state;
    begin(&f, false, true);
    report_bad_line(&f.report, "list", 3, &error);
    error.text[1] = '\x1b';
    report_bad_line(&f.report, "list", 4, &error);
    assert_string_equal(said(&f), "\x1b[31mfailed\x1b[0m: list:3: x: no such option\n"
                                  "\x1b[31mfailed\x1b[0m: list:4: x\\x1b no such option\n");
    assert_int_equal(report_exit_status(&f.report), 28);
    assert_int_equal(f.report.failed, 2);
    end(&f);
}

static void test_quiet_but_for_what_is_fatal(void **state)
{
    struct haul_error error = {.status = HAUL_NO_IO_URING, .text = "no io_uring"};
    struct fixture f;

    (void)state;
    begin(&f, true, false);
    ended(&f, HAUL_OK);
    ended(&f, HAUL_NOT_FOUND);
    report_say(&f.report, "hello");
    report_summary(&f.report, 1);
    assert_string_equal(said(&f), "");
    report_fatal(&f.report, &error);
    assert_string_equal(said(&f), "haul: no io_uring\n");
    end(&f);
}

static void test_summary(void **state)
{
    struct haul_result result = result_of(HAUL_OK, "");
    struct fixture f;

    (void)state;
    begin(&f, false, false);
    result.bytes = 1024 * 1024;
    report_result(&f.report, &result, "", 0);
    said(&f);
    assert_int_equal(ftruncate(f.fd, 0), 0);
    lseek(f.fd, 0, SEEK_SET);
    /* One download needs no summary. */
    report_summary(&f.report, 1);
    assert_string_equal(said(&f), "");
    ended(&f, HAUL_UNFINISHED);
    result = result_of(HAUL_UNFINISHED, "");
    result.kept = true;
    report_result(&f.report, &result, "", 0);
    f.report.failed = 3;
    report_summary(&f.report, UINT64_C(4000000000));
    assert_string_equal(said(&f), "1 done, 3 failed, 2 unfinished; 1.0 MiB in 4.0s (256.0 KiB/s); "
                                  "1 partial file kept: the same URL to the same place goes on\n");
    f.report.unfinished = 0;
    f.report.kept = 0;
    assert_int_equal(ftruncate(f.fd, 0), 0);
    lseek(f.fd, 0, SEEK_SET);
    report_summary(&f.report, UINT64_C(64000000000));
    assert_string_equal(said(&f), "1 done, 3 failed; 1.0 MiB in 1m04s (16.0 KiB/s)\n");
    end(&f);
}

static void test_log(void **state)
{
    char path[] = "/tmp/haul-test-XXXXXX";
    int fd = mkstemp(path);
    struct haul_error error;
    struct fixture f;
    char log[4096];

    (void)state;
    assert_true(fd >= 0);
    begin(&f, true, false);
    assert_int_equal(write(fd, "old\n", 4), 4);
    assert_true(report_open_log(&f.report, path, HAUL_LOG_NOTICE, &error));
    assert_true((fcntl(f.report.log_fd, F_GETFD) & FD_CLOEXEC) != 0);
    report_log(&f.report, HAUL_LOG_DEBUG, "too fine");
    report_log(&f.report, HAUL_LOG_INFO, "too fine");
    report_log(&f.report, HAUL_LOG_NOTICE, "noticed");
    ended(&f, HAUL_NOT_FOUND);
    read_back(fd, log, sizeof(log));
    /* "2026-01-02T03:04:05.678Z NOTICE noticed" */
    assert_int_equal(strncmp(log, "old\n2", 5), 0);
    assert_non_null(strstr(log, "Z NOTICE noticed\n"));
    assert_non_null(strstr(log, "Z ERROR  failed: https://host/a.jpg: because\n"));
    assert_null(strstr(log, "too fine"));
    assert_int_equal(log[4 + 10], 'T');
    assert_int_equal(log[4 + 19], '.');
    assert_int_equal(log[4 + 23], 'Z');
    end(&f);
    begin(&f, true, false);
    assert_false(report_open_log(&f.report, "/nonexistent/log", HAUL_LOG_DEBUG, &error));
    assert_string_equal(error.text,
                        "can't open the log /nonexistent/log: No such file or directory");
    end(&f);
    unlink(path);
    close(fd);
}

static void test_a_full_log_does_not_stop_anything(void **state)
{
    struct haul_error error;
    struct fixture f;

    (void)state;
    begin(&f, false, false);
    assert_true(report_open_log(&f.report, "/dev/full", HAUL_LOG_DEBUG, &error));
    report_log(&f.report, HAUL_LOG_DEBUG, "lost");
    report_log(&f.report, HAUL_LOG_DEBUG, "lost too, but that was said");
    report_say(&f.report, "still here");
    assert_string_equal(said(&f), "haul: the log ends here, it can't be written: No space left on "
                                  "device\nstill here\n");
    end(&f);
}

/* A slow reader gets every line, one that does not read at all holds nothing up. */
static void test_a_pipe_that_nobody_reads(void **state)
{
    static char buffer[64 * 1024];
    struct text text = {0};
    struct report report;
    int fds[2];
    ssize_t got;

    (void)state;
    assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
    report_init(&report, fds[1], false, false);
    for (int i = 0; i < 40000; i++) {
        report_say(&report, "0123456789 0123456789");
        if (i % 100 == 0)
            report_flush(&report);
    }
    assert_int_equal(report.output.left_out, 0);
    for (int i = 0; i < 100000; i++)
        report_say(&report, "0123456789 0123456789");
    report_say(&report, "the last");
    assert_true(report.output.left_out > 0);
    assert_true(report.output.lines.len <= 1024 * 1024);
    assert_int_equal(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
    assert_int_equal(fcntl(fds[0], F_SETFL, O_NONBLOCK), 0);
    do {
        report_flush(&report);
        while ((got = read(fds[0], buffer, sizeof(buffer))) > 0)
            text_add(&text, span_make(buffer, (size_t)got));
    } while (output_waits(&report.output) || report.output.lines.len > 0);
    assert_non_null(strstr(text_span(&text).data, "9\n... "));
    assert_non_null(strstr(text_span(&text).data, " lines left out\n0123456789 "));
    assert_non_null(strstr(text_span(&text).data, "\nthe last\n"));
    report_free(&report);
    text_free(&text);
    close(fds[0]);
    close(fds[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_done),
        cmocka_unit_test(test_failed),
        cmocka_unit_test(test_advice_for_a_timeout),
        cmocka_unit_test(test_exit_status),
        cmocka_unit_test(test_work_left_in_the_list),
        cmocka_unit_test(test_bad_lines),
        cmocka_unit_test(test_quiet_but_for_what_is_fatal),
        cmocka_unit_test(test_summary),
        cmocka_unit_test(test_log),
        cmocka_unit_test(test_a_full_log_does_not_stop_anything),
        cmocka_unit_test(test_a_pipe_that_nobody_reads),
    };

    return UNIT_RUN(tests);
}
