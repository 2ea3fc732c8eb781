/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * threads SCENE THREADS DIRECTORY URL...
 *
 * Uses an engine with so many threads in ways that bring its threads close to each other, and
 * checks what haul.h promises whatever their number: callbacks of all kinds come in the thread that
 * runs the engine and only while it does, every download ends exactly once, and the counts agree.
 * Prints "DONE UNFINISHED FAILED BYTES LOOKS", and ends with 1 at the first broken promise; a look
 * is one at a download while it is active.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "haul/haul.h"

enum { ROUNDS = 20, COPIES = 8, PER_HOST = 32, WAKES = 200, LOOK_MS = 5 };

#define EXPECT(condition)                                                                          \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: not so: %s\n", __LINE__, #condition);                        \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

struct scene {
    haul_engine *engine;
    struct haul_options options;
    pthread_t thread; /* that runs the engine */
    int inside;       /* of a call that may call back */
    char **urls;
    size_t url_count;
    size_t next; /* of the source, or of a chain */
    size_t submitted;
    uint64_t done, unfinished, failed, bytes;
    uint64_t lines, looks;
    unsigned seed;
};

static void expect_here(const struct scene *scene)
{
    EXPECT(pthread_equal(pthread_self(), scene->thread) && scene->inside);
}

static void on_log(void *context, enum haul_log_level level, const char *line)
{
    struct scene *scene = context;

    expect_here(scene);
    EXPECT(level <= HAUL_LOG_DEBUG && strlen(line) > 0);
    scene->lines++;
}

static void count(struct scene *scene, const haul_download *download)
{
    struct haul_result result;

    EXPECT(haul_download_ended(download));
    haul_download_result(download, &result);
    EXPECT(result.user == scene);
    scene->bytes += result.bytes - result.resumed_bytes;
    if (result.status == HAUL_OK) {
        scene->done++;
        EXPECT(result.error[0] == '\0' && result.bytes == result.total);
    } else if (result.status == HAUL_UNFINISHED) {
        scene->unfinished++;
    } else {
        scene->failed++;
        fprintf(stderr, "%s: %s\n", result.url, result.error);
    }
}

static void on_done(haul_download *download, void *user)
{
    struct scene *scene = user;

    expect_here(scene);
    count(scene, download);
}

static haul_download *submit(struct scene *scene, const char *url, const char *out,
                             void (*done)(haul_download *download, void *user), int with_handle)
{
    struct haul_request request;
    struct haul_result result;
    struct haul_error error;
    haul_download *handle = NULL;

    HAUL_REQUEST_INIT(&request);
    request.url = url;
    request.out = out;
    request.done = done;
    request.user = scene;
    if (!haul_submit(scene->engine, &request, with_handle ? &handle : NULL, &error)) {
        fprintf(stderr, "%s\n", error.text);
        exit(1);
    }
    scene->submitted++;
    if (!handle)
        return NULL;
    haul_download_result(handle, &result);
    EXPECT(result.status == HAUL_UNFINISHED && strcmp(result.url, url) == 0);
    return handle;
}

static void on_progress(void *context, const struct haul_progress *progress)
{
    struct scene *scene = context;

    expect_here(scene);
    EXPECT(progress->name && progress->shown_url && progress->tries > 0);
    EXPECT(progress->bytes <= progress->total && progress->started_ns <= progress->now_ns);
    scene->looks++;
}

static void look(struct scene *scene)
{
    struct haul_stats stats = {.size = sizeof(stats)};

    scene->inside = 1;
    haul_each_active(scene->engine, on_progress, scene);
    scene->inside = 0;
    haul_engine_stats(scene->engine, &stats);
    EXPECT(stats.done == scene->done && stats.active <= scene->options.downloads_max);
}

static int run(struct scene *scene, int64_t timeout_ms)
{
    int left;

    scene->inside = 1;
    left = haul_run(scene->engine, timeout_ms);
    scene->inside = 0;
    EXPECT(left >= 0);
    return left;
}

static void begin(struct scene *scene)
{
    struct haul_error error;

    scene->inside = 1;
    scene->engine = haul_engine_create(&scene->options, &error);
    scene->inside = 0;
    if (scene->engine)
        return;
    fprintf(stderr, "%s\n", error.text);
    exit(1);
}

static void end(struct scene *scene)
{
    scene->inside = 1;
    haul_engine_destroy(scene->engine);
    scene->inside = 0;
    EXPECT(scene->done + scene->unfinished + scene->failed == scene->submitted);
}

/* Short waits of different length, the same in every run. */
static int64_t some_ms(struct scene *scene)
{
    scene->seed = scene->seed * 1103515245 + 12345;
    return scene->seed >> 16 & 7;
}

/* --- scenes ---------------------------------------------------------------------------------- */

static enum haul_source_answer next_url(void *context, struct haul_request *request, int *fd)
{
    struct scene *scene = context;

    (void)fd;
    expect_here(scene);
    if (scene->next == scene->url_count)
        return HAUL_SOURCE_END;
    request->url = scene->urls[scene->next++];
    request->done = on_done;
    request->user = scene;
    scene->submitted++;
    return HAUL_SOURCE_READY;
}

/* All that is listed, with somebody who looks on all the time. */
static void play_all(struct scene *scene)
{
    struct haul_source source = {.size = sizeof(source), .next = next_url, .context = scene};
    struct haul_stats stats = {.size = sizeof(stats)};

    begin(scene);
    haul_set_source(scene->engine, &source);
    while (run(scene, LOOK_MS) > 0)
        look(scene);
    haul_engine_stats(scene->engine, &stats);
    EXPECT(stats.done == scene->done && stats.failed == scene->failed);
    EXPECT(stats.bytes == scene->bytes && stats.requests >= stats.done && stats.connections > 0);
    EXPECT(stats.active == 0 && stats.waiting == 0);
    end(scene);
    EXPECT(scene->lines > scene->submitted);
}

/* Names that several downloads want. */
static void play_names(struct scene *scene)
{
    begin(scene);
    for (size_t copy = 0; copy < COPIES; copy++)
        for (size_t i = 0; i < scene->url_count; i++)
            submit(scene, scene->urls[i], "same.bin", on_done, 0);
    while (run(scene, -1) > 0)
        look(scene);
    end(scene);
}

/* Each end begins another. */
static void on_link(haul_download *download, void *user)
{
    struct scene *scene = user;

    on_done(download, user);
    if (scene->next < scene->url_count)
        submit(scene, scene->urls[scene->next++], NULL, on_link, 0);
}

static void play_chain(struct scene *scene)
{
    begin(scene);
    submit(scene, scene->urls[scene->next++], NULL, on_link, 0);
    scene->inside = 1;
    EXPECT(haul_wait_all(scene->engine) == 0);
    scene->inside = 0;
    end(scene);
}

/* Downloads are stopped at all times of their life, also by another's end. */
static void play_cancel(struct scene *scene)
{
    haul_download **handles = calloc(scene->url_count, sizeof(*handles));

    EXPECT(handles);
    for (int round = 0; round < ROUNDS; round++) {
        haul_download *ended;

        begin(scene);
        for (size_t i = 0; i < scene->url_count; i++)
            handles[i] = submit(scene, scene->urls[i], NULL, NULL, 1);
        for (size_t i = 0; i < scene->url_count; i += 2) {
            run(scene, some_ms(scene));
            haul_cancel(handles[i]);
            haul_cancel(handles[i]);
        }
        for (;;) {
            scene->inside = 1;
            ended = haul_next(scene->engine, -1);
            scene->inside = 0;
            if (!ended)
                break;
            count(scene, ended);
            haul_cancel(ended);
            haul_download_release(ended);
        }
        end(scene);
    }
    free(handles);
}

/* All are stopped, and taken leave of before they have ended. */
static void play_cancel_all(struct scene *scene)
{
    for (int round = 0; round < ROUNDS; round++) {
        begin(scene);
        for (int copy = 0; copy < COPIES; copy++)
            for (size_t i = 0; i < scene->url_count; i++)
                haul_download_release(submit(scene, scene->urls[i], NULL, on_done, 1));
        run(scene, some_ms(scene));
        haul_cancel_all(scene->engine);
        while (run(scene, -1) > 0)
            ;
        end(scene);
    }
}

static void play_destroy(struct scene *scene)
{
    for (int round = 0; round < ROUNDS; round++) {
        int64_t turns = some_ms(scene);

        begin(scene);
        for (size_t i = 0; i < scene->url_count; i++)
            submit(scene, scene->urls[i], NULL, on_done, 0);
        for (int64_t turn = 0; turn < turns; turn++)
            run(scene, some_ms(scene));
        end(scene);
    }
}

static void *wake_often(void *context)
{
    for (int i = 0; i < WAKES; i++)
        haul_wake(context);
    return NULL;
}

/* Others wake the engine; the last wake comes before the last run. */
static void play_wake(struct scene *scene)
{
    pthread_t waker;

    begin(scene);
    for (size_t i = 0; i < scene->url_count; i++)
        submit(scene, scene->urls[i], NULL, on_done, 0);
    EXPECT(pthread_create(&waker, NULL, wake_often, scene->engine) == 0);
    while (run(scene, -1) > 0)
        ;
    EXPECT(pthread_join(waker, NULL) == 0);
    end(scene);
}

static const struct {
    const char *name;
    void (*play)(struct scene *scene);
} scenes[] = {
    {"all", play_all},       {"names", play_names},           {"chain", play_chain},
    {"cancel", play_cancel}, {"cancel-all", play_cancel_all}, {"destroy", play_destroy},
    {"wake", play_wake},
};

int main(int argc, char **argv)
{
    struct scene scene = {.thread = pthread_self()};

    if (argc < 5) {
        fprintf(stderr, "usage: %s SCENE THREADS DIRECTORY URL...\n", argv[0]);
        return 2;
    }
    HAUL_OPTIONS_INIT(&scene.options);
    scene.options.threads = (unsigned)strtoul(argv[2], NULL, 10);
    scene.options.directory = argv[3];
    scene.options.connections_per_host = PER_HOST;
    scene.options.retry_wait_ms = 1;
    scene.options.ca_certificate = getenv("EXAMPLE_CA");
    scene.options.log_level = HAUL_LOG_DEBUG;
    scene.options.log = on_log;
    scene.options.log_context = &scene;
    scene.urls = argv + 4;
    scene.url_count = (size_t)argc - 4;
    for (size_t i = 0; i < sizeof(scenes) / sizeof(scenes[0]); i++) {
        if (strcmp(argv[1], scenes[i].name) != 0)
            continue;
        scenes[i].play(&scene);
        printf("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", scene.done,
               scene.unfinished, scene.failed, scene.bytes, scene.looks);
        return 0;
    }
    fprintf(stderr, "there is no scene %s\n", argv[1]);
    return 2;
}
