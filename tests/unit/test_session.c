/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <errno.h>
#include <sys/stat.h>

#include "session/files.h"
#include "session/session.h"

#define NOW 1700000000

struct place {
    char directory[64];
    char file[96];
};

static void make_place(struct place *place)
{
    snprintf(place->directory, sizeof(place->directory), "/tmp/haul-session-XXXXXX");
    assert_non_null(mkdtemp(place->directory));
    snprintf(place->file, sizeof(place->file), "%s/file", place->directory);
}

static void remove_place(struct place *place)
{
    unlink(place->file);
    assert_int_equal(rmdir(place->directory), 0); /* there is nothing else in it */
}

static void assert_content(const char *path, const char *expected)
{
    struct text content = {0};
    struct haul_error error;

    assert_true(files_read(path, 1 << 20, &content, NULL, &error));
    assert_span(text_span(&content), expected);
    text_free(&content);
}

static void test_replace(void **state)
{
    struct haul_error error;
    struct stat status;
    struct place place;
    char link[128];

    (void)state;
    make_place(&place);
    assert_true(files_replace(place.file, SPAN("one\n"), &error));
    assert_content(place.file, "one\n");
    assert_int_equal(stat(place.file, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_true(files_replace(place.file, SPAN("two\n"), &error));
    assert_content(place.file, "two\n");
    snprintf(link, sizeof(link), "%s/link", place.directory);
    assert_int_equal(symlink("file", link), 0);
    assert_true(files_replace(link, SPAN("three\n"), &error));
    assert_content(place.file, "three\n");
    assert_int_equal(lstat(link, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    unlink(link);
    assert_true(files_replace("/dev/null", SPAN("nothing\n"), &error));
    assert_int_equal(stat("/dev/null", &status), 0);
    assert_true(S_ISCHR(status.st_mode));
    remove_place(&place);
    assert_false(files_replace(place.file, SPAN("four\n"), &error));
    assert_int_equal(error.status, HAUL_FILE_IO);
    assert_int_equal(error.system_errno, ENOENT);
}

static void test_read(void **state)
{
    static char big[200000];
    struct text content = {0};
    struct haul_error error;
    struct place place;
    bool private = false;

    (void)state;
    make_place(&place);
    assert_false(files_read(place.file, 100, &content, &private, &error));
    assert_int_equal(error.system_errno, ENOENT);
    memset(big, 'x', sizeof(big));
    assert_true(files_replace(place.file, span_make(big, sizeof(big)), &error));
    assert_true(files_read(place.file, sizeof(big), &content, &private, &error));
    assert_int_equal(content.len, sizeof(big));
    assert_true(private);
    text_clear(&content);
    assert_false(files_read(place.file, sizeof(big) - 1, &content, &private, &error));
    assert_int_equal(error.system_errno, EFBIG);
    text_free(&content);
    assert_int_equal(chmod(place.file, 0640), 0);
    assert_true(files_read(place.file, sizeof(big), &content, &private, &error));
    assert_false(private);
    text_free(&content);
    remove_place(&place);
}

static void test_save(void **state)
{
    struct session session;
    struct haul_error error;
    struct place place;
    struct log log = {0};
    struct session_setup setup = {.log = &log, .now_s = NOW, .seed = 1};
    struct text field = {0};
    struct url url;

    (void)state;
    make_place(&place);
    assert_true(url_parse(&url, SPAN("http://h/"), NULL));
    setup.load_cookies = place.file;
    assert_false(session_init(&session, &setup, &error));
    assert_int_equal(error.system_errno, ENOENT);
    setup.save_cookies = place.file; /* the first run with it */
    assert_true(session_init(&session, &setup, &error));
    jar_take(session.jar, &url, SPAN("a=1"), NOW);
    assert_true(session_save(&session, NOW, &error));
    unlink(place.file);
    assert_true(session_save(&session, NOW, &error)); /* nothing has changed */
    assert_int_equal(access(place.file, F_OK), -1);
    jar_take(session.jar, &url, SPAN("b=2"), NOW);
    assert_true(session_save(&session, NOW, &error));
    session_finish(&session);
    session_finish(&session);

    assert_true(session_init(&session, &setup, &error));
    jar_give(session.jar, &url, NOW, &field);
    assert_span(text_span(&field), "a=1; b=2");
    session_finish(&session);
    text_free(&field);
    url_free(&url);
    remove_place(&place);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_replace),
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_save),
    };

    return UNIT_RUN(tests);
}
