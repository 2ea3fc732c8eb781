/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <errno.h>

#include "base/status.h"

static void test_table(void **state)
{
    (void)state;
    assert_int_equal(HAUL_OK, 0);
    assert_int_equal(haul_status_exit(HAUL_OK), 0);
    for (int i = 0; i < HAUL_STATUS_COUNT; i++) {
        enum haul_status status = (enum haul_status)i;
        const char *text = haul_status_text(status);

        assert_true(strlen(text) > 0);
        assert_int_not_equal(text[strlen(text) - 1], '.');
        assert_true(haul_status_exit(status) >= 0 && haul_status_exit(status) < 126);
        assert_int_equal(haul_status_exit(status) == 0, status == HAUL_OK);
    }
}

/* Numbers that aria2c(1) documents, and classes that the retries depend on. */
static void test_rows(void **state)
{
    static const struct {
        enum haul_status status;
        int exit_status;
        enum status_retry retry;
    } rows[] = {
        {HAUL_FAILED, 1, STATUS_RETRY_NEVER},        {HAUL_TIMEOUT, 2, STATUS_RETRY_RETRY},
        {HAUL_NOT_FOUND, 3, STATUS_RETRY_NEVER},     {HAUL_NETWORK, 6, STATUS_RETRY_RETRY},
        {HAUL_SHORT_BODY, 6, STATUS_RETRY_RETRY},    {HAUL_UNFINISHED, 7, STATUS_RETRY_NEVER},
        {HAUL_DISK_FULL, 9, STATUS_RETRY_NEVER},     {HAUL_EXISTS, 13, STATUS_RETRY_NEVER},
        {HAUL_HOST_UNKNOWN, 19, STATUS_RETRY_NEVER}, {HAUL_RESOLVER, 19, STATUS_RETRY_RETRY},
        {HAUL_HTTP_ERROR, 22, STATUS_RETRY_NEVER},   {HAUL_SERVER_ERROR, 22, STATUS_RETRY_RETRY},
        {HAUL_REDIRECTS, 23, STATUS_RETRY_NEVER},    {HAUL_UNAUTHORIZED, 24, STATUS_RETRY_NEVER},
        {HAUL_BAD_OPTION, 28, STATUS_RETRY_NEVER},   {HAUL_BUSY, 29, STATUS_RETRY_BUSY},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        assert_int_equal(haul_status_exit(rows[i].status), rows[i].exit_status);
        assert_int_equal(status_retry(rows[i].status), rows[i].retry);
    }
}

static void test_error(void **state)
{
    struct haul_error error = {0};

    (void)state;
    error_set(&error, HAUL_BAD_URL, 0, "the port is %d", 0);
    assert_int_equal(error.status, HAUL_BAD_URL);
    assert_int_equal(error.system_errno, 0);
    assert_string_equal(error.text, "the port is 0");
    error_set(&error, HAUL_CREATE, ENOENT, "opening %s", "a/b");
    assert_int_equal(error.status, HAUL_CREATE);
    assert_int_equal(error.system_errno, ENOENT);
    assert_string_equal(error.text, "opening a/b: No such file or directory");
    error_set(&error, HAUL_CREATE, 99999, "x");
    assert_non_null(strstr(error.text, "99999"));
    error_set(NULL, HAUL_FAILED, 0, "nobody asks");
}

/* Every length around the limit: nothing is lost without "...", the reason never. */
static void test_long_error(void **state)
{
    char line[400];

    (void)state;
    memset(line, 'x', sizeof(line));
    for (int system_errno = 0; system_errno <= ENOENT; system_errno += ENOENT) {
        const char *reason = system_errno ? ": No such file or directory" : "";

        for (size_t len = 200; len < sizeof(line); len++) {
            struct haul_error error;
            size_t room = sizeof(error.text) - 1 - strlen(reason);

            memset(&error, 0x55, sizeof(error));
            error_set(&error, HAUL_FAILED, system_errno, "%.*s", (int)len, line);
            assert_int_equal(strlen(error.text), (len < room ? len : room) + strlen(reason));
            assert_string_equal(error.text + strlen(error.text) - strlen(reason), reason);
            assert_int_equal(strstr(error.text, "...") != NULL, len > room);
        }
    }
}

/* It is never cut within a character. */
static void test_long_error_in_utf8(void **state)
{
    static const char *const characters[] = {"\xc3\xa4", "\xe2\x82\xac", "\xf0\x9f\x98\x80"};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(characters); i++) {
        for (size_t start = 0; start < 8; start++) {
            struct haul_error error;
            struct text line = {0};
            struct span rest;

            for (size_t j = 0; j < start; j++)
                text_add_char(&line, 'x');
            while (line.len < 300)
                text_add(&line, span_of(characters[i]));
            error_set(&error, HAUL_FAILED, 0, "%s", line.data);
            rest = span_of(error.text);
            assert_true(rest.len > sizeof(error.text) - 8);
            for (; rest.len > 0; rest = span_sub(rest, text_utf8_length(rest), rest.len))
                assert_true(text_utf8_length(rest) > 0);
            text_free(&line);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_rows),
        cmocka_unit_test(test_error),
        cmocka_unit_test(test_long_error),
        cmocka_unit_test(test_long_error_in_utf8),
    };

    return UNIT_RUN(tests);
}
