/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "cli/options.h"

enum { ARGUMENTS_MAX = 16 };

/* Parses the arguments up to a NULL. */
static bool parse(struct options *options, struct haul_error *error, ...)
{
    char *argv[ARGUMENTS_MAX + 1] = {(char *)(uintptr_t) "haul"};
    int argc = 1;
    va_list args;

    *error = (struct haul_error){0};
    va_start(args, error);
    while ((argv[argc] = va_arg(args, char *)) != NULL)
        assert_true(++argc <= ARGUMENTS_MAX);
    va_end(args);
    assert_true(options_init(options));
    return options_parse(options, argc, argv, error);
}

static void expect_error(const char *message, const char *first, const char *second)
{
    struct options options;
    struct haul_error error;

    assert_false(parse(&options, &error, first, second, NULL));
    assert_string_equal(error.text, message);
    assert_int_equal(error.status, HAUL_BAD_OPTION);
    assert_int_equal(haul_status_exit(error.status), 28);
    options_free(&options);
}

static void test_defaults(void **state)
{
    struct options o;
    struct haul_error error;

    (void)state;
    assert_true(parse(&o, &error, NULL));
    assert_int_equal(o.downloads_max, 64);
    assert_int_equal(o.connections_per_host, 0);
    assert_int_equal(o.tries_max, 5);
    assert_int_equal(o.retry_wait_ms, 1000);
    assert_int_equal(o.timeout_ms, 60000);
    assert_int_equal(o.connect_timeout_ms, 15000);
    assert_int_equal(o.wait_ms, 0);
    assert_int_equal(o.buffer_memory, 64 << 20);
    assert_int_equal(o.threads, 0);
    assert_int_equal(o.direct, HAUL_DIRECT_AUTO);
    assert_int_equal(o.allocation, HAUL_ALLOCATION_AUTO);
    assert_int_equal(o.log_level, HAUL_LOG_DEBUG);
    assert_int_equal(o.features_off, 0);
    assert_true(o.check_certificate && o.auto_file_renaming);
    assert_false(o.random_wait || o.proceed || o.dry_run || o.quiet || o.help || o.version);
    assert_false(o.download.discard);
    assert_null(o.download.out);
    assert_null(o.download.dir);
    assert_null(o.download.user_agent);
    assert_null(o.log);
    assert_null(o.input_file);
    assert_int_equal(o.download.headers.count, 0);
    assert_int_equal(o.url_count, 0);
    options_free(&o);
}

static void test_the_ways_to_write_a_value(void **state)
{
    struct options o;
    struct haul_error error;

    (void)state;
    assert_true(parse(&o, &error, "-j4", NULL));
    assert_int_equal(o.downloads_max, 4);
    options_free(&o);
    assert_true(parse(&o, &error, "-j", "5", NULL));
    assert_int_equal(o.downloads_max, 5);
    options_free(&o);
    assert_true(parse(&o, &error, "--max-concurrent-downloads=6", NULL));
    assert_int_equal(o.downloads_max, 6);
    options_free(&o);
    assert_true(parse(&o, &error, "--max-concurrent-downloads", "7", NULL));
    assert_int_equal(o.downloads_max, 7);
    options_free(&o);
    assert_true(parse(&o, &error, "--max-con=8", "--max-conc", "100000", "--max-t=0", NULL) ==
                false);
    options_free(&o);
    assert_true(parse(&o, &error, "--max-conc=100000", "--max-t", "0", "-x", "1", NULL));
    assert_int_equal(o.downloads_max, 100000);
    assert_int_equal(o.tries_max, 0);
    assert_int_equal(o.connections_per_host, 1);
    options_free(&o);
    assert_true(parse(&o, &error, "-d", "-odd", "--out=--=x", NULL));
    assert_string_equal(o.download.dir, "-odd");
    assert_string_equal(o.download.out, "--=x");
    options_free(&o);
    /* The last one wins. */
    assert_true(parse(&o, &error, "-j4", "-d", "a", "-d", "b", "-j3", NULL));
    assert_int_equal(o.downloads_max, 3);
    assert_string_equal(o.download.dir, "b");
    options_free(&o);
}

static void test_flags(void **state)
{
    struct options o;
    struct haul_error error;

    (void)state;
    assert_true(parse(&o, &error, "-qc", "--check-certificate=false", "--random-wait",
                      "--discard=true", "--auto-file-renaming=false", NULL));
    assert_true(o.quiet && o.proceed && o.random_wait && o.download.discard);
    assert_false(o.check_certificate || o.auto_file_renaming);
    options_free(&o);
    assert_true(parse(&o, &error, "-cfalse", "-qtrue", NULL));
    assert_true(o.quiet);
    assert_false(o.proceed);
    options_free(&o);
    /* A flag takes no argument that stands apart. */
    assert_true(parse(&o, &error, "--check-certificate", "false", NULL));
    assert_true(o.check_certificate);
    assert_int_equal(o.url_count, 1);
    options_free(&o);
    assert_true(parse(&o, &error, "-qj9", "-vh", NULL));
    assert_true(o.quiet && o.version && o.help);
    assert_int_equal(o.downloads_max, 9);
    options_free(&o);
}

static void test_urls(void **state)
{
    struct options o;
    struct haul_error error;

    (void)state;
    assert_true(parse(&o, &error, "http://a/", "-q", "http://b/", "-", "--", "-j", "--", NULL));
    assert_int_equal(o.url_count, 5);
    assert_string_equal(o.urls[0], "http://a/");
    assert_string_equal(o.urls[1], "http://b/");
    assert_string_equal(o.urls[2], "-");
    assert_string_equal(o.urls[3], "-j");
    assert_string_equal(o.urls[4], "--");
    options_free(&o);
}

static void test_seconds(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {{"1", 1000},      {"0.1", 100},        {"1.5", 1500},    {".25", 250},
                 {"2.0001", 2000}, {"86400", 86400000}, {"0.12345", 123}, {"007", 7000}};
    static const char *const bad[] = {
        "",     ".",     "1.",        "-1",    "+1", "1e3", "1s",  "0x10",
        "0.05", "86401", "86400.001", "1.5.5", " 1", "1,5", "nan", "18446744073709551615"};
    struct options o;
    struct haul_error error;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_true(parse(&o, &error, "-t", cases[i].text, NULL));
        assert_int_equal(o.timeout_ms, cases[i].ms);
        options_free(&o);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_false(parse(&o, &error, "-t", bad[i], NULL));
        assert_non_null(strstr(error.text, "a number of seconds from 0.1 to 86400"));
        options_free(&o);
    }
    assert_true(parse(&o, &error, "--wait=0", "--retry-wait=0.5", "--connect-timeout=3", NULL));
    assert_int_equal(o.wait_ms, 0);
    assert_int_equal(o.retry_wait_ms, 500);
    assert_int_equal(o.connect_timeout_ms, 3000);
    options_free(&o);
}

static void test_sizes(void **state)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } cases[] = {{"1M", 1 << 20},
                 {"1024K", 1 << 20},
                 {"1048576", 1 << 20},
                 {"0064m", 64 << 20},
                 {"1500k", 1500 << 10},
                 {"1g", 1 << 30},
                 {"16G", UINT64_C(16) << 30},
                 {"17179869184", UINT64_C(16) << 30},
                 {"1048577", 1048577}};
    /* The last ones would wrap to what is allowed: 2^64 + 1M, in each unit. */
    static const char *const bad[] = {"",
                                      "M",
                                      "0",
                                      "1",
                                      "1023K",
                                      "1048575",
                                      "17G",
                                      "64MB",
                                      "64MiB",
                                      "1.5M",
                                      "-1M",
                                      "+1M",
                                      "1 M",
                                      " 1M",
                                      "1M ",
                                      "0x1M",
                                      "1T",
                                      "MM",
                                      "1MM",
                                      "1M1",
                                      "18446744073710600192",
                                      "18014398509483008K",
                                      "17592186044417M",
                                      "17179869185G"};
    struct options o;
    struct haul_error error;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_true(parse(&o, &error, "--buffer-memory", cases[i].text, NULL));
        assert_int_equal(o.buffer_memory, cases[i].bytes);
        options_free(&o);
    }
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_false(parse(&o, &error, "--buffer-memory", bad[i], NULL));
        assert_non_null(strstr(error.text, "--buffer-memory: "));
        assert_non_null(strstr(error.text, "expected a size from 1M to 16G"));
        options_free(&o);
    }
}

static void test_threads(void **state)
{
    static const char *const bad[] = {
        "", "65", "-1", "Auto", "auto ", "1K", "18446744073709551616"};
    struct options o;
    struct haul_error error;

    (void)state;
    assert_true(parse(&o, &error, "--threads=64", NULL));
    assert_int_equal(o.threads, THREADS_MAX);
    options_free(&o);
    assert_true(parse(&o, &error, "--threads=auto", NULL));
    assert_int_equal(o.threads, THREADS_AUTO);
    options_free(&o);
    assert_true(parse(&o, &error, "--threads=auto", "--threads", "0", NULL));
    assert_int_equal(o.threads, 0);
    options_free(&o);
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        assert_false(parse(&o, &error, "--threads", bad[i], NULL));
        assert_non_null(strstr(error.text, "expected a number from 0 to 64, or auto"));
        options_free(&o);
    }
}

static void test_how_files_are_written(void **state)
{
    static const struct {
        const char *direct;
        uint64_t direct_value;
        const char *allocation;
        uint64_t allocation_value;
    } cases[] = {{"auto", HAUL_DIRECT_AUTO, "auto", HAUL_ALLOCATION_AUTO},
                 {"always", HAUL_DIRECT_ALWAYS, "none", HAUL_ALLOCATION_NONE},
                 {"never", HAUL_DIRECT_NEVER, "trunc", HAUL_ALLOCATION_TRUNC},
                 {"never", HAUL_DIRECT_NEVER, "falloc", HAUL_ALLOCATION_FALLOC},
                 {"auto", HAUL_DIRECT_AUTO, "prealloc", HAUL_ALLOCATION_PREALLOC}};
    struct options o;
    struct haul_error error;

    (void)state;
    for (size_t i = 0; i < COUNT_OF(cases); i++) {
        assert_true(parse(&o, &error, "--direct", cases[i].direct, "--file-allocation",
                          cases[i].allocation, NULL));
        assert_int_equal(o.direct, cases[i].direct_value);
        assert_int_equal(o.allocation, cases[i].allocation_value);
        options_free(&o);
    }
}

static void test_choices_and_lists(void **state)
{
    struct options o;
    struct haul_error error;

    (void)state;
    assert_true(parse(&o, &error, "--log-level=warn", "--header=A: b", "--header", "C: d", "-l-",
                      "--kernel-features-off=defer-taskrun,rename-noreplace", NULL));
    assert_int_equal(o.log_level, HAUL_LOG_WARN);
    assert_int_equal(o.features_off, HAUL_FEATURE_DEFER_TASKRUN | HAUL_FEATURE_RENAME_NOREPLACE);
    assert_string_equal(o.log, "-");
    assert_int_equal(o.download.headers.count, 2);
    assert_string_equal(o.download.headers.items[0], "A: b");
    assert_string_equal(o.download.headers.items[1], "C: d");
    options_free(&o);
    /* An empty user agent is one. */
    assert_true(parse(&o, &error, "-U", "", NULL));
    assert_string_equal(o.download.user_agent, "");
    options_free(&o);
}

static void test_many_headers(void **state)
{
    struct download_options download = {0};
    struct haul_error error;

    (void)state;
    for (int i = 0; i < 1000; i++)
        assert_true(download_options_set(&download, SPAN("header=X: y"), &error));
    assert_int_equal(download.headers.count, 1000);
    download_options_free(&download);
    assert_int_equal(download.headers.count, 0);
}

static void test_errors_name_option_value_and_what_is_expected(void **state)
{
    (void)state;
    expect_error("--max-concurrent-downloads: \"0\" won't do; expected a number from 1 to 100000",
                 "-j0", NULL);
    expect_error("--max-concurrent-downloads: \"a\\x1bb\" won't do; expected a number from 1 to "
                 "100000",
                 "-j",
                 "a\x1b"
                 "b");
    expect_error("--max-connection-per-server: \"4x\" won't do; expected a number from 1 to 100000",
                 "-qx4x", NULL);
    expect_error("--check-certificate: \"maybe\" won't do; expected true or false",
                 "--check-certificate=maybe", NULL);
    expect_error("--check-certificate: a value is missing; expected true or false",
                 "--check-certificate=", NULL);
    expect_error("--log-level: \"loud\" won't do; expected debug, info, notice, warn or error",
                 "--log-level", "loud");
    expect_error("--timeout: a value is missing; expected a number of seconds from 0.1 to 86400",
                 "-t", NULL);
    expect_error("--buffer-memory: \"64MB\" won't do; expected a size from 1M to 16G",
                 "--buffer-memory=64MB", NULL);
    expect_error("--threads: \"many\" won't do; expected a number from 0 to 64, or auto",
                 "--threads", "many");
    expect_error("--direct: \"true\" won't do; expected auto, always or never", "--direct=true",
                 NULL);
    expect_error("--file-allocation: a value is missing; expected auto, none, trunc, falloc or "
                 "prealloc",
                 "--file-allocation", NULL);
    expect_error("--header: a value is missing; expected TEXT", "--header=", NULL);
    expect_error("--kernel-features-off: \"defer-taskrun,x\" won't do; expected single-issuer, "
                 "defer-taskrun, coop-taskrun, rename-noreplace, direct, fallocate, dontcache, "
                 "fixed, openat2 or xattr",
                 "--kernel-features-off=defer-taskrun,x", NULL);
}

static void test_long_values_are_cut_between_characters(void **state)
{
    char value[512] = "--timeout=x";
    char expected[512] = "--timeout: \"x";

    (void)state;
    for (int i = 0; i < 50; i++)
        strcat(value, "\u00e9");
    for (int i = 0; i < 39; i++)
        strcat(expected, "\u00e9");
    strcat(expected, "...\" won't do; expected a number of seconds from 0.1 to 86400");
    expect_error(expected, value, NULL);
    strcpy(value, "--timeout=x");
    strcpy(expected, "--timeout: \"x");
    for (int i = 0; i < 30; i++)
        strcat(value, "\x1b");
    for (int i = 0; i < 19; i++)
        strcat(expected, "\\x1b");
    strcat(expected, "...\" won't do; expected a number of seconds from 0.1 to 86400");
    expect_error(expected, value, NULL);
}

static void test_unknown_options(void **state)
{
    (void)state;
    expect_error("--max-tires: no such option; did you mean --max-tries?", "--max-tires=3", NULL);
    expect_error("--no-check-certificate: no such option; did you mean --check-certificate=false?",
                 "--no-check-certificate", NULL);
    expect_error("--usr-agent: no such option; did you mean --user-agent?", "--usr-agent", NULL);
    expect_error("--piece: no such option; haul --help lists them", "--piece", NULL);
    expect_error("--zzzzzzzz: no such option; haul --help lists them", "--zzzzzzzz", NULL);
    expect_error("--: no such option; haul --help lists them", "--=x", NULL);
    expect_error("-Y: no such option; haul --help lists them", "-Y", NULL);
    expect_error("-\\xc3x: no such option; haul --help lists them", "-\xc3x", NULL);
    /* What is hidden has no short form and is not proposed. */
    expect_error("--kernel: no such option; haul --help lists them", "--kernel", NULL);
    expect_error("--kernel-feature-off: no such option; haul --help lists them",
                 "--kernel-feature-off", NULL);
}

static void test_options_of_other_programs(void **state)
{
    (void)state;
    expect_error("--insecure: no such option; did you mean --check-certificate=false?",
                 "--insecure", NULL);
    /* What would be the beginning of another option. */
    expect_error("--user: no such option; did you mean --http-user and --http-passwd?",
                 "--user=a:b", NULL);
    expect_error("--retry: no such option; did you mean --max-tries?", "--retry=9", NULL);
    expect_error("-H: no such option; did you mean --header?", "-HA: b", NULL);
    expect_error("-L: no such option; haul follows redirects without it", "-qLO", NULL);
    expect_error("--L: no such option; haul --help lists them", "--L", NULL);
}

static void test_ambiguous_prefixes(void **state)
{
    struct options o;
    struct haul_error error;

    (void)state;
    expect_error("--max-c could be any of --max-concurrent-downloads, --max-connection-per-server",
                 "--max-c=3", NULL);
    /* A whole name is no prefix: --log, --log-level. */
    assert_true(parse(&o, &error, "--log=x", "--log-=info", NULL));
    assert_string_equal(o.log, "x");
    assert_int_equal(o.log_level, HAUL_LOG_INFO);
    options_free(&o);
}

static void test_lines_of_a_list(void **state)
{
    struct download_options d = {0};
    struct haul_error error = {0};

    (void)state;
    assert_true(download_options_set(&d, SPAN("out=a b"), &error));
    assert_true(download_options_set(&d, SPAN("dir = /tmp "), &error));
    assert_true(download_options_set(&d, SPAN("header=A: b=c"), &error));
    assert_true(download_options_set(&d, SPAN("header=D: e"), &error));
    assert_true(download_options_set(&d, SPAN("user-agent=me"), &error));
    assert_true(download_options_set(&d, SPAN("discard=true"), &error));
    assert_string_equal(d.out, "a b");
    assert_string_equal(d.dir, "/tmp");
    assert_string_equal(d.user_agent, "me");
    assert_true(d.discard);
    assert_int_equal(d.headers.count, 2);
    assert_string_equal(d.headers.items[0], "A: b=c");
    download_options_free(&d);

    assert_false(download_options_set(&d, SPAN("piece=sha-1=0"), &error));
    assert_string_equal(error.text, "piece: no such option of a download");
    assert_false(download_options_set(&d, SPAN("uot=a"), &error));
    assert_string_equal(error.text, "uot: no such option; did you mean out?");
    assert_false(download_options_set(&d, SPAN("o=a"), &error));
    assert_false(download_options_set(&d, SPAN("=a"), &error));
    assert_string_equal(error.text, ": no such option of a download");
    assert_false(download_options_set(&d, SPAN("out"), &error));
    assert_string_equal(error.text, "out: a value is missing; expected FILE");
    assert_false(download_options_set(&d, SPAN("out="), &error));
    assert_false(download_options_set(&d, SPAN("max-tries=3"), &error));
    assert_string_equal(error.text, "max-tries: can't be set for a single download; use "
                                    "--max-tries for all of them");
    assert_false(download_options_set(&d, SPAN("file-allocation=none"), &error));
    assert_string_equal(error.text, "file-allocation: can't be set for a single download; use "
                                    "--file-allocation for all of them");
    download_options_free(&d);
}

static void test_help_fits_the_screen(void **state)
{
    struct text text = {0};
    struct span rest;

    (void)state;
    options_help(&text);
    assert_false(text.failed);
    rest = text_span(&text);
    while (rest.len > 0) {
        struct span line = span_cut(&rest, '\n');

        assert_true(line.len <= 80);
        assert_true(line.len == 0 || line.data[line.len - 1] != ' ');
    }
    assert_non_null(strstr(text.data, "  -j, --max-concurrent-downloads=N\n"));
    assert_non_null(strstr(text.data, "downloads at once [64]\n"));
    assert_non_null(strstr(text.data, "      --threads=N         threads for the work"));
    assert_non_null(strstr(text.data, "each CPU [0]\n"));
    assert_non_null(strstr(text.data, "      --buffer-memory=SIZE\n"));
    assert_non_null(strstr(text.data, "1M is 1024K [64M]\n"));
    assert_non_null(strstr(text.data, "      --direct=WHEN "));
    assert_non_null(strstr(text.data, "      --file-allocation=HOW\n"));
    assert_non_null(strstr(text.data, "\nHTTP:\n"));
    assert_null(strstr(text.data, "kernel"));
    text_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_defaults),
        cmocka_unit_test(test_the_ways_to_write_a_value),
        cmocka_unit_test(test_flags),
        cmocka_unit_test(test_urls),
        cmocka_unit_test(test_seconds),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_threads),
        cmocka_unit_test(test_how_files_are_written),
        cmocka_unit_test(test_choices_and_lists),
        cmocka_unit_test(test_many_headers),
        cmocka_unit_test(test_errors_name_option_value_and_what_is_expected),
        cmocka_unit_test(test_long_values_are_cut_between_characters),
        cmocka_unit_test(test_unknown_options),
        cmocka_unit_test(test_options_of_other_programs),
        cmocka_unit_test(test_ambiguous_prefixes),
        cmocka_unit_test(test_lines_of_a_list),
        cmocka_unit_test(test_help_fits_the_screen),
    };

    return UNIT_RUN(tests);
}
