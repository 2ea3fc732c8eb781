/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The command: options in, an engine that takes its downloads from the input, a loop that lets the
 * engine work and says how far it is, an exit status out.
 *
 * Signals only set a flag and wake the engine; the loop does the rest. The first SIGINT or SIGTERM
 * stops in good order, the second has its usual effect. Whoever started us with one of them
 * ignored, wants it so.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "base/wheel.h"
#include "cli/format.h"
#include "cli/input.h"
#include "cli/job.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/pattern.h"
#include "cli/progress.h"
#include "cli/proxies.h"
#include "cli/report.h"
#include "haul/haul.h"

enum {
    TICK_MS = 100,
    PAUSE_MS = 5000,                /* a longer one is worth a word */
    LISTING_BYTES_MAX = 1024 * 1024 /* unlike messages, it waits for its reader */
};

enum { CPU_SETS = 8 }; /* of 1024 CPUs each: more than Linux can be built for */

/* What a signal handler may touch. */
static struct {
    haul_engine *engine; /* set before the handlers are, and while they are */
    volatile sig_atomic_t stops;
    volatile sig_atomic_t continued; /* others may have written to the terminal */
} signals;

enum app_state {
    APP_RUNNING,
    APP_STOPPING /* everything has been cancelled */
};

struct app {
    enum app_state state;
    struct options options;
    struct report report;
    struct progress progress; /* valid where report.progress is set */
    struct input *input;
    haul_engine *engine;
    struct text listing; /* of --dry-run, not yet sent */
    struct output listing_output;
    bool listing_failed;
    uint64_t started_ns;
    uint64_t paused_ns; /* since when all that is left waits for hosts; 0: it does not */
    bool pause_said;
    bool full_disk_said;
    struct text netrc_path;
    struct proxies proxies;
};

static uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * (uint64_t)NS_PER_S + (uint64_t)now.tv_nsec;
}

static void on_stop(int number)
{
    int saved = errno;

    if (signals.stops > 0) {
        signal(number, SIG_DFL);
        raise(number);
    }
    signals.stops = 1;
    haul_wake(signals.engine);
    errno = saved;
}

static void on_continue(int number)
{
    int saved = errno;

    (void)number;
    signals.continued = 1;
    haul_wake(signals.engine);
    errno = saved;
}

static void handle(int number, void (*handler)(int number))
{
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    struct sigaction old;

    sigemptyset(&action.sa_mask);
    if (sigaction(number, NULL, &old) == 0 && old.sa_handler != SIG_IGN)
        sigaction(number, &action, NULL);
}

static void handle_signals(haul_engine *engine)
{
    signals.engine = engine;
    handle(SIGINT, on_stop);
    handle(SIGTERM, on_stop);
    handle(SIGHUP, on_stop);
    handle(SIGCONT, on_continue);
}

static void unhandle_signals(void)
{
    handle(SIGINT, SIG_DFL);
    handle(SIGTERM, SIG_DFL);
    handle(SIGHUP, SIG_DFL);
    handle(SIGCONT, SIG_DFL);
    signals.engine = NULL;
}

/* A file that is opened as descriptor 2 would get our messages. What stands in for a descriptor
 * that is closed fails where that would have failed. */
static void fill_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0)
            (void)open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY);
}

static void prepare_process(void)
{
    struct rlimit files;

    fill_standard_descriptors();
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    /* -j may ask for many; nobody here uses select(), for which the limit is kept low. */
    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max;
        (void)setrlimit(RLIMIT_NOFILE, &files);
    }
}

static bool is_stdout(const char *name)
{
    return name && strcmp(name, "-") == 0;
}

/* Whether several files may have different names by it. */
static bool is_template(const char *out)
{
    return strchr(out, '{') != NULL;
}

/* Whether the one URL is a pattern (-P) of several; what is wrong with it is said later. */
static bool is_pattern(const struct options *options)
{
    struct pattern pattern = {0};
    bool several = options->parameterized && options->url_count == 1 &&
                   pattern_parse(&pattern, span_of(options->urls[0]), NULL) && pattern.count > 1;

    pattern_free(&pattern);
    return several;
}

/* What no single option can tell. */
static bool check_options(const struct options *options, struct haul_error *error)
{
    const struct download_options *download = &options->download;
    const char *out = download->out;
    bool urls = options->input_file || options->url_count > 1;
    bool several = urls || is_pattern(options);
    const char *why = NULL;

    if ((several && download->checksum) || (urls && download->mirrors.count > 0))
        why =
            "--checksum and --mirror are about one file, but there may be several downloads; in "
            "a list (-i), an indented line \"checksum=TYPE=HEX\" below a URL is for its file, and "
            "its mirrors stand behind it, with tabs between";
    else if (out && several && !is_template(out))
        why = "-o names one file, but there may be several downloads; in a list (-i), an "
              "indented line \"out=NAME\" below a URL names its file, and {n} or another template "
              "in the name, with -P also {1} for the first pattern, makes it several names";
    else if (is_stdout(out) && options->download.discard)
        why = "-o - and --discard don't go together";
    else if (is_stdout(out) && is_stdout(options->log))
        why = "-o - and --log=- would both write to standard output";
    else if (options->dry_run && is_stdout(options->log))
        why = "--dry-run and --log=- would both write to standard output";
    if (why)
        error_set(error, HAUL_BAD_OPTION, 0, "%s", why);
    return !why;
}

static void set_display(struct app *app)
{
    const struct options *options = &app->options;
    const char *no_color = getenv("NO_COLOR");
    bool possible = progress_possible(STDERR_FILENO);
    bool color = possible && !(no_color && *no_color != '\0');
    bool stdout_used =
        options->dry_run || is_stdout(options->download.out) || is_stdout(options->log);

    report_init(&app->report, STDERR_FILENO, options->quiet, color);
    if (!possible || options->quiet || (stdout_used && isatty(STDOUT_FILENO)))
        return;
    progress_init(&app->progress, STDERR_FILENO, color);
    app->report.progress = &app->progress;
}

static unsigned threads_wanted(const struct options *options)
{
    cpu_set_t sets[CPU_SETS];
    int cpus = 1;

    if (options->threads != THREADS_AUTO)
        return (unsigned)options->threads;
    /* The machine may have more, but a container or taskset(1) leaves us these. */
    if (sched_getaffinity(0, sizeof(sets), sets) == 0)
        cpus = CPU_COUNT_S(sizeof(sets), sets);
    return cpus > THREADS_MAX ? THREADS_MAX : (unsigned)cpus;
}

/* Where the logins of hosts stand; a file of the user's choice must be there, ~/.netrc need not. */
static bool find_netrc(struct app *app, struct haul_error *error)
{
    const struct options *options = &app->options;
    const char *home = getenv("HOME");

    if (options->no_netrc)
        return true;
    if (options->netrc_path && access(options->netrc_path, R_OK) != 0) {
        error_set(error, HAUL_BAD_OPTION, errno, "can't read --netrc-path=%s", options->netrc_path);
        return false;
    }
    if (options->netrc_path)
        text_printf(&app->netrc_path, "%s", options->netrc_path);
    else if (home && *home != '\0')
        text_printf(&app->netrc_path, "%s/.netrc", home);
    if (app->netrc_path.failed)
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    return !app->netrc_path.failed;
}

static const char *environment(const char *name)
{
    return getenv(name);
}

static void engine_options(struct app *app, struct haul_options *engine)
{
    const struct options *options = &app->options;

    HAUL_OPTIONS_INIT(engine);
    engine->downloads_max = (unsigned)options->downloads_max;
    engine->connections_per_host = (unsigned)options->connections_per_host;
    engine->wait_ms = options->wait_ms;
    engine->random_wait = options->random_wait;
    engine->tries_max = (unsigned)options->tries_max;
    engine->retry_wait_ms = options->retry_wait_ms;
    engine->timeout_ms = options->timeout_ms;
    engine->connect_timeout_ms = options->connect_timeout_ms;
    if (options->download.dir)
        engine->directory = options->download.dir;
    if (options->download.user_agent)
        engine->user_agent = options->download.user_agent;
    engine->headers = (const char *const *)options->download.headers.items;
    engine->header_count = options->download.headers.count;
    engine->ca_certificate = options->ca_certificate;
    engine->check_certificate = options->check_certificate;
    engine->auto_file_renaming = options->auto_file_renaming;
    engine->proceed = options->proceed;
    engine->threads = threads_wanted(options);
    engine->buffer_memory = options->buffer_memory;
    engine->split = (unsigned)options->split;
    engine->split_bytes_min = options->split_bytes_min;
    engine->lowest_speed = options->lowest_speed;
    engine->save_interval_ms = options->save_interval_ms;
    engine->durable = options->durable;
    engine->disk_full_waits = options->disk_full_waits != 0;
    engine->check_digest = (enum haul_check_digest)options->check_digest;
    engine->check_integrity = options->check_integrity;
    engine->direct = (enum haul_direct)options->direct;
    engine->allocation = (enum haul_allocation)options->allocation;
    engine->accept_codings = options->accept_codings;
    engine->redirects_max = (unsigned)options->redirects_max;
    engine->allow_downgrade = options->allow_downgrade;
    engine->load_cookies = options->load_cookies;
    engine->save_cookies = options->save_cookies;
    engine->auth_challenge = options->auth_challenge;
    engine->netrc_path = app->netrc_path.len > 0 ? app->netrc_path.data : NULL;
    engine->http_proxy = app->proxies.http;
    engine->https_proxy = app->proxies.https;
    engine->all_proxy = app->proxies.all;
    engine->no_proxy = app->proxies.none;
    engine->content_disposition = options->content_disposition;
    engine->allow_overwrite = options->allow_overwrite;
    engine->no_clobber = options->no_clobber;
    engine->conditional_get = options->conditional_get;
    engine->remote_time = options->remote_time;
    engine->force_directories = options->force_directories;
    engine->dns_servers = options->dns_servers;
    engine->resolve = (const char *const *)options->resolve.items;
    engine->resolve_count = options->resolve.count;
    engine->interface = options->interface;
    engine->disable_ipv6 = options->disable_ipv6;
    engine->min_tls_version = (enum haul_tls_version)options->min_tls_version;
    engine->certificate = options->certificate;
    engine->private_key = options->private_key;
    engine->pinned_public_key = options->pinned_public_key;
    engine->certificate_status = options->certificate_status;
    engine->features_off = (uint32_t)options->features_off;
    if (options->log) {
        engine->log_level = (enum haul_log_level)options->log_level;
        engine->log = report_log;
        engine->log_context = &app->report;
    }
}

/* A line of --dry-run: URL, status, size and name, with tabs between; "-" for what is unknown. */
static void list_download(struct app *app, const struct haul_result *result)
{
    struct text *listing = &app->listing;

    if (result->http_status == 0)
        return;
    text_add_escaped(listing, span_of(result->final_url));
    text_printf(listing, "\t%d\t", result->http_status);
    if (result->status == HAUL_OK && result->total != UINT64_MAX)
        text_printf(listing, "%llu", (unsigned long long)result->total);
    else
        text_add_char(listing, '-');
    text_add_char(listing, '\t');
    if (result->status == HAUL_OK && result->name[0] != '\0')
        text_add_escaped(listing, span_of(result->name));
    else
        text_add_char(listing, '-');
    text_add_char(listing, '\n');
}

static void download_done(haul_download *download, void *user)
{
    struct job *job = user;
    struct app *app = job->owner;
    struct haul_result result = {0};

    haul_download_result(download, &result);
    if (app->options.dry_run)
        list_download(app, &result);
    if (!app->options.dry_run || result.status != HAUL_OK)
        report_result(&app->report, &result, input_name(app->input), job->line);
    else
        report_listed(&app->report);
    free(job);
}

static void draw_download(void *context, const struct haul_progress *download)
{
    struct app *app = context;
    struct job *job = download->user;

    progress_add(&app->progress, download, &job->meter);
}

static void draw(struct app *app)
{
    uint64_t now_ns = clock_ns();
    struct haul_stats stats = {.size = sizeof(stats)};

    if (signals.continued) {
        signals.continued = 0;
        progress_forget(&app->progress);
    }
    if (!progress_due(&app->progress, now_ns))
        return;
    haul_engine_stats(app->engine, &stats);
    /* Bad lines of the list never came to the engine. */
    stats.failed = app->report.failed;
    progress_begin(&app->progress, now_ns, &stats);
    haul_each_active(app->engine, draw_download, app);
    progress_draw(&app->progress, &stats);
}

static void stop(struct app *app)
{
    struct haul_stats stats = {.size = sizeof(stats)};

    app->state = APP_STOPPING;
    app->report.output.hurried = true;
    app->listing_output.hurried = true;
    haul_engine_stats(app->engine, &stats);
    if (!stats.source_ended)
        report_work_left(&app->report);
    haul_cancel_all(app->engine);
}

static void check_listing(struct app *app)
{
    struct haul_error error = {0};

    if (app->listing_output.broken == 0 || app->listing_failed)
        return;
    app->listing_failed = true;
    error_set(&error, HAUL_FILE_IO, app->listing_output.broken, "can't write to standard output");
    report_failure(&app->report, &error);
    if (app->state == APP_RUNNING && app->engine)
        stop(app);
}

static void flush(struct app *app)
{
    struct output *output = &app->listing_output;

    output_send(output, text_span(&app->listing));
    text_clear(&app->listing);
    while (output->rest.len > LISTING_BYTES_MAX && signals.stops == 0)
        (void)output_wait(output, TICK_MS);
    check_listing(app);
    report_flush(&app->report);
}

/* Nobody who waits for the listing is to miss its end; a signal has its usual effect by now. */
static void finish_listing(struct app *app)
{
    flush(app);
    output_finish(&app->listing_output);
    check_listing(app);
}

/* Where there is no display, a long pause would look as if nothing went on. */
static void tell_pause(struct app *app)
{
    struct haul_stats stats = {.size = sizeof(stats)};
    struct text line = {0};
    uint64_t now_ns = clock_ns();

    haul_engine_stats(app->engine, &stats);
    if (stats.active > 0 || stats.waiting == 0 || stats.paused_hosts == 0) {
        app->paused_ns = 0;
        app->pause_said = false;
        return;
    }
    if (app->paused_ns == 0)
        app->paused_ns = now_ns;
    if (app->pause_said || now_ns - app->paused_ns < PAUSE_MS * NS_PER_MS)
        return;
    app->pause_said = true;
    text_printf(&line, "waiting: %llu host%s asked for a pause",
                (unsigned long long)stats.paused_hosts, stats.paused_hosts == 1 ? "" : "s");
    report_say(&app->report, text_span(&line).data);
    text_free(&line);
}

/* Somebody has to make room. Once is enough, though it is tried again and again. */
static void tell_full_disk(struct app *app)
{
    struct haul_stats stats = {.size = sizeof(stats)};

    if (app->full_disk_said || !app->options.disk_full_waits)
        return;
    haul_engine_stats(app->engine, &stats);
    app->full_disk_said = stats.room_waits > 0;
    if (app->full_disk_said)
        report_say(&app->report, "waiting for room: a disk is full");
}

static int64_t turn_ms(const struct app *app)
{
    if (app->report.progress || output_waits(&app->report.output) ||
        app->report.output.lines.len > 0 || output_waits(&app->listing_output))
        return TICK_MS;
    return app->options.quiet ? -1 : PAUSE_MS;
}

static int loop(struct app *app)
{
    for (;;) {
        int left = haul_run(app->engine, turn_ms(app));

        if (signals.stops > 0 && app->state == APP_RUNNING && left > 0) {
            report_say(&app->report, "stopping; once more to leave at once");
            stop(app);
        }
        if (!app->report.progress && left > 0)
            tell_pause(app);
        tell_full_disk(app);
        flush(app);
        if (app->report.progress)
            draw(app);
        if (left <= 0)
            return left;
    }
}

static void tell_fewer_downloads(struct app *app)
{
    struct haul_stats stats = {.size = sizeof(stats)};
    struct text line = {0};
    struct rlimit files;

    haul_engine_stats(app->engine, &stats);
    if (stats.downloads_max >= app->options.downloads_max || getrlimit(RLIMIT_NOFILE, &files) < 0)
        return;
    text_printf(&line, "only %llu files may be open (ulimit -n): %llu downloads at once, not %llu",
                (unsigned long long)files.rlim_cur, (unsigned long long)stats.downloads_max,
                (unsigned long long)app->options.downloads_max);
    report_say(&app->report, text_span(&line).data);
    text_free(&line);
}

/* Everything that may fail before the first download. */
static bool app_start(struct app *app, struct haul_error *error)
{
    struct haul_options engine;
    struct input_options input = {
        .options = &app->options, .report = &app->report, .done = download_done, .owner = app};
    struct haul_source source = {.size = sizeof(source), .next = input_next};

    if (app->options.log && !report_open_log(&app->report, app->options.log,
                                             (enum haul_log_level)app->options.log_level, error))
        return false;
    app->input = input_create(&input, error);
    if (!app->input)
        return false;
    if (!find_netrc(app, error))
        return false;
    if (!proxies_find(&app->proxies, &app->options, environment)) {
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        return false;
    }
    engine_options(app, &engine);
    app->engine = haul_engine_create(&engine, error);
    if (!app->engine)
        return false;
    tell_fewer_downloads(app);
    source.context = app->input;
    haul_set_source(app->engine, &source);
    return true;
}

static int app_run(struct app *app)
{
    struct haul_error error = {0};
    int left;

    app->started_ns = clock_ns();
    set_display(app);
    output_init(&app->listing_output, STDOUT_FILENO, 0);
    if (!check_options(&app->options, &error) || !app_start(app, &error)) {
        report_fatal(&app->report, &error);
        return haul_status_exit(error.status);
    }
    handle_signals(app->engine);
    left = loop(app);
    unhandle_signals();
    if (!haul_save_cookies(app->engine, &error))
        report_failure(&app->report, &error);
    haul_engine_destroy(app->engine);
    app->engine = NULL;
    if (left < 0) {
        error_set(&error, HAUL_FAILED, -left, "the kernel's ring failed");
        report_failure(&app->report, &error);
    }
    finish_listing(app);
    report_summary(&app->report, clock_ns() - app->started_ns);
    return report_exit_status(&app->report);
}

static void app_finish(struct app *app)
{
    haul_engine_destroy(app->engine);
    input_destroy(app->input);
    if (app->report.progress)
        progress_end(&app->progress);
    report_free(&app->report);
    text_free(&app->listing);
    text_free(&app->netrc_path);
    proxies_free(&app->proxies);
    output_free(&app->listing_output);
    options_free(&app->options);
}

static bool print(struct text *text)
{
    bool printed = !text->failed && output_write(STDOUT_FILENO, text_span(text));

    text_free(text);
    return printed;
}

__attribute__((format(printf, 1, 2))) static void complain(const char *format, ...)
{
    struct text text = {0};
    va_list args;

    va_start(args, format);
    text_vprintf(&text, format, args);
    va_end(args);
    text_add_char(&text, '\n');
    if (text.failed)
        output_out_of_memory(STDERR_FILENO);
    else
        (void)output_write(STDERR_FILENO, text_span(&text));
    text_free(&text);
}

/* What needs no engine. True: it has been said, and *status is what to exit with. */
static bool answer_at_once(const struct options *options, int *status)
{
    struct text text = {0};

    if (options->help)
        options_help(&text);
    else if (options->version)
        text_printf(&text, "%s\n", haul_versions());
    else if (options->url_count == 0 && !options->input_file) {
        complain("Usage: haul [OPTION]... URL...   or   haul [OPTION]... -i FILE\n"
                 "haul --help explains the options.");
        *status = haul_status_exit(HAUL_BAD_OPTION);
        return true;
    } else {
        return false;
    }
    *status = 0;
    if (!print(&text)) {
        complain("haul: can't write to standard output: %s", strerror(errno));
        *status = haul_status_exit(HAUL_FILE_IO);
    }
    return true;
}

int main(int argc, char **argv)
{
    struct app app = {.state = APP_RUNNING, .report.log_fd = -1};
    struct haul_error error = {0};
    int status;

    prepare_process();
    if (!options_init(&app.options) || !options_parse(&app.options, argc, argv, &error)) {
        complain("haul: %s", error.text[0] != '\0' ? error.text : "out of memory");
        status = haul_status_exit(error.status != HAUL_OK ? error.status : HAUL_OUT_OF_MEMORY);
    } else if (!answer_at_once(&app.options, &status)) {
        status = app_run(&app);
    }
    app_finish(&app);
    return status;
}
