/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * proxy DIRECTORY THREADS ENGINE-PROXY [URL PROXY]...: fetches each through the proxy that its
 * request asks for, one after the other; "-" asks for none in particular, "" for none at all.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "haul/haul.h"

static const char *unless_dash(const char *text)
{
    return strcmp(text, "-") == 0 ? NULL : text;
}

static void fetch(haul_engine *engine, const char *url, const char *proxy)
{
    struct haul_request request;
    struct haul_result result;
    struct haul_error error;
    haul_download *download;

    HAUL_REQUEST_INIT(&request);
    request.url = url;
    request.proxy = unless_dash(proxy);
    if (!haul_submit(engine, &request, &download, &error)) {
        printf("refused: %s\n", error.text);
        return;
    }
    download = haul_next(engine, -1);
    haul_download_result(download, &result);
    printf("%s: %s\n", result.status == HAUL_OK ? "done" : "failed", result.error);
    haul_download_release(download);
}

int main(int argc, char **argv)
{
    struct haul_options options;
    struct haul_error error;
    haul_engine *engine;

    if (argc < 4)
        return 2;
    HAUL_OPTIONS_INIT(&options);
    options.directory = argv[1];
    options.threads = strcmp(argv[2], "0") == 0 ? 0 : 2;
    options.all_proxy = unless_dash(argv[3]);
    options.no_proxy = "127.0.0.2";
    engine = haul_engine_create(&options, &error);
    if (!engine) {
        printf("no engine: %s\n", error.text);
        return 0;
    }
    for (int i = 4; i + 1 < argc; i += 2)
        fetch(engine, argv[i], argv[i + 1]);
    haul_engine_destroy(engine);
    return 0;
}
