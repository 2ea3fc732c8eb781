/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * example_callbacks DIRECTORY LIST-URL
 *
 * Two stages: fetches a list into memory, one URL a line, and then the files that it names into
 * DIRECTORY. What comes next is decided where a download ends, in its callback.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "haul/haul.h"

struct gallery {
    haul_engine *engine;
    unsigned files;
    unsigned failed;
    uint64_t bytes;
};

static void file_done(haul_download *download, void *user)
{
    struct gallery *gallery = user;
    struct haul_result result;

    haul_download_result(download, &result);
    if (result.status == HAUL_OK) {
        gallery->files++;
        gallery->bytes += result.bytes;
    } else {
        gallery->failed++;
        fprintf(stderr, "%s: %s\n", result.url, result.error);
    }
}

static void fetch(struct gallery *gallery, const char *url, enum haul_sink sink,
                  void (*done)(haul_download *download, void *user))
{
    struct haul_request request;
    struct haul_error error;

    HAUL_REQUEST_INIT(&request);
    request.url = url;
    request.sink = sink;
    request.done = done;
    request.user = gallery;
    if (!haul_submit(gallery->engine, &request, NULL, &error)) {
        gallery->failed++;
        fprintf(stderr, "%s\n", error.text);
    }
}

static void list_done(haul_download *download, void *user)
{
    struct gallery *gallery = user;
    struct haul_result result;
    const char *line;
    const char *end;

    haul_download_result(download, &result);
    if (result.status != HAUL_OK) {
        gallery->failed++;
        fprintf(stderr, "%s: %s\n", result.url, result.error);
        return;
    }
    /* The data is the result's, and has no NUL at its end. */
    line = result.data;
    end = line + result.bytes;
    while (line < end) {
        const char *newline = memchr(line, '\n', (size_t)(end - line));
        const char *line_end = newline ? newline : end;
        char *url = strndup(line, (size_t)(line_end - line));

        if (url && *url)
            fetch(gallery, url, HAUL_SINK_FILE, file_done);
        free(url);
        line = newline ? newline + 1 : end;
    }
}

int main(int argc, char **argv)
{
    struct gallery gallery = {0};
    struct haul_options options;
    struct haul_error error;
    int trouble;

    if (argc != 3) {
        fprintf(stderr, "usage: %s DIRECTORY LIST-URL\n", argv[0]);
        return 2;
    }
    HAUL_OPTIONS_INIT(&options);
    options.directory = argv[1];
    options.ca_certificate = getenv("EXAMPLE_CA");
    options.threads = getenv("EXAMPLE_THREADS") ? 3 : 0;
    gallery.engine = haul_engine_create(&options, &error);
    if (!gallery.engine) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    fetch(&gallery, argv[2], HAUL_SINK_MEMORY, list_done);
    trouble = haul_wait_all(gallery.engine);
    haul_engine_destroy(gallery.engine);
    if (trouble < 0)
        fprintf(stderr, "%s\n", strerror(-trouble));
    printf("%u files, %" PRIu64 " bytes\n", gallery.files, gallery.bytes);
    return trouble < 0 || gallery.failed > 0;
}
