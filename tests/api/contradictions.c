/* SPDX-License-Identifier: GPL-3.0-or-later */
/* contradictions URL: requests whose fields don't go together, and what becomes of each. */
#include <stdio.h>

#include "haul/haul.h"

static void fetch(haul_engine *engine, const char *what, struct haul_request *request)
{
    struct haul_result result;
    struct haul_error error;
    haul_download *download;

    if (!haul_submit(engine, request, &download, &error)) {
        printf("%s: refused: %s\n", what, error.text);
        return;
    }
    download = haul_next(engine, -1);
    haul_download_result(download, &result);
    printf("%s: %s%s\n", what, result.status == HAUL_OK ? "done" : "failed: ", result.error);
    haul_download_release(download);
}

static void begin(struct haul_request *request, const char *url)
{
    HAUL_REQUEST_INIT(request);
    request->url = url;
    request->sink = HAUL_SINK_MEMORY;
}

static void fetch_bodies(haul_engine *engine, const char *url)
{
    struct haul_request request;

    begin(&request, url);
    request.method = "POST";
    request.data_bytes = 5;
    fetch(engine, "length without data", &request);
    begin(&request, url);
    request.data = "";
    fetch(engine, "data without length", &request);
    begin(&request, url);
    request.content_type = "text/x";
    fetch(engine, "type without data", &request);
    begin(&request, url);
    request.method = "";
    fetch(engine, "empty method", &request);
    begin(&request, url);
    request.range = "";
    fetch(engine, "empty range", &request);
}

static void fetch_logins(haul_engine *engine, const char *url)
{
    struct haul_request request;

    begin(&request, url);
    request.password = "secret";
    fetch(engine, "password without user", &request);
    begin(&request, url);
    request.username = "user";
    fetch(engine, "user without password", &request);
    begin(&request, url);
    request.username = "us:er";
    request.password = "secret";
    fetch(engine, "colon in user", &request);
    begin(&request, url);
    request.username = "";
    request.password = "";
    fetch(engine, "empty login", &request);
    begin(&request, url);
    request.bearer = "";
    fetch(engine, "empty bearer", &request);
    begin(&request, url);
    request.referer = "";
    request.proxy = "";
    request.user_agent = "";
    fetch(engine, "empty rest", &request);
}

int main(int argc, char **argv)
{
    struct haul_options options;
    struct haul_error error;
    haul_engine *engine;

    if (argc != 2)
        return 2;
    HAUL_OPTIONS_INIT(&options);
    options.tries_max = 1;
    options.timeout_ms = 1000;
    options.all_proxy = "";
    engine = haul_engine_create(&options, &error);
    if (!engine) {
        printf("no engine: %s\n", error.text);
        return 1;
    }
    fetch_bodies(engine, argv[1]);
    fetch_logins(engine, argv[1]);
    haul_engine_destroy(engine);
    return 0;
}
