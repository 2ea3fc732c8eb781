/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * early DIRECTORY COOKIES PROXY URL...: engines that are destroyed after one turn, after two, and
 * so on, with requests of all kinds under way; the last lives until all have ended.
 */
#include <stdio.h>

#include "haul/haul.h"

enum { TURNS_MAX = 40, COPIES = 3 };

static bool submit_all(haul_engine *engine, char **urls, int count, const char *proxy)
{
    static const char *const headers[] = {"Content-Type: text/x", "Cookie: a=b"};
    struct haul_request request;
    struct haul_error error;

    for (int i = 0; i < COPIES * count * 4; i++) {
        HAUL_REQUEST_INIT(&request);
        request.url = urls[i / 4 % count];
        request.sink = i % 3 == 0 ? HAUL_SINK_FILE : HAUL_SINK_MEMORY;
        request.username = "user";
        request.password = "pass";
        if (i % 4 == 1) {
            request.data = "secret";
            request.data_bytes = 6;
        } else if (i % 4 == 2) {
            request.proxy = proxy;
            request.headers = headers;
            request.header_count = 2;
        } else if (i % 4 == 3) {
            request.range = "0-0";
            request.mirrors = (const char *const *)urls;
            request.mirror_count = (size_t)count;
        }
        if (!haul_submit(engine, &request, NULL, &error)) {
            fprintf(stderr, "%s\n", error.text);
            return false;
        }
    }
    return true;
}

static bool live(const struct haul_options *options, int turns, char **argv, int argc)
{
    struct haul_error error;
    haul_engine *engine = haul_engine_create(options, &error);
    bool submitted;

    if (!engine) {
        fprintf(stderr, "%s\n", error.text);
        return false;
    }
    submitted = submit_all(engine, argv + 4, argc - 4, argv[3]);
    while (submitted && turns-- > 0 && haul_run(engine, 20) > 0)
        ;
    haul_engine_destroy(engine);
    return submitted;
}

int main(int argc, char **argv)
{
    struct haul_options options;

    if (argc < 5)
        return 2;
    for (unsigned threads = 0; threads <= 2; threads += 2) {
        HAUL_OPTIONS_INIT(&options);
        options.directory = argv[1];
        options.save_cookies = argv[2];
        options.threads = threads;
        options.tries_max = 1;
        options.timeout_ms = 300;
        options.connections_per_host = 20;
        options.check_certificate = false;
        for (int turns = 0; turns <= TURNS_MAX; turns++)
            if (!live(&options, turns < TURNS_MAX ? turns : 100000, argv, argc))
                return 1;
    }
    return 0;
}
