/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * example_gather DIRECTORY URL...
 *
 * Fetches all URLs at once into DIRECTORY and tells of each as it ends.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "haul/haul.h"

int main(int argc, char **argv)
{
    struct haul_options options;
    struct haul_error error;
    haul_engine *engine;
    haul_download *download;
    unsigned failed = 0;

    if (argc < 3) {
        fprintf(stderr, "usage: %s DIRECTORY URL...\n", argv[0]);
        return 2;
    }
    HAUL_OPTIONS_INIT(&options);
    options.directory = argv[1];
    options.ca_certificate = getenv("EXAMPLE_CA");
    options.threads = getenv("EXAMPLE_THREADS") ? 3 : 0;
    engine = haul_engine_create(&options, &error);
    if (!engine) {
        fprintf(stderr, "%s\n", error.text);
        return 1;
    }
    for (int i = 2; i < argc; i++) {
        struct haul_request request;

        HAUL_REQUEST_INIT(&request);
        request.url = argv[i];
        if (!haul_submit(engine, &request, &download, &error)) {
            fprintf(stderr, "%s\n", error.text);
            failed++;
        }
    }
    while ((download = haul_next(engine, -1))) {
        struct haul_result result;

        haul_download_result(download, &result);
        if (result.status == HAUL_OK) {
            printf("%s: %" PRIu64 " bytes\n", result.path, result.bytes);
        } else {
            printf("%s: %s\n", result.url, result.error);
            failed++;
        }
        haul_download_release(download);
    }
    haul_engine_destroy(engine);
    return failed > 0;
}
