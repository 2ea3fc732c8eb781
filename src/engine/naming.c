/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A name that is no template stands for itself, whatever is in it; --force-directories is a
 * template. */
#include "engine/naming.h"

#include <string.h>

#include "engine/transfer.h"
#include "http/disposition.h"
#include "sink/file_name.h"

static const char by_path[] = "{host}/{path}/{name}";

/* --- before ---------------------------------------------------------------------------------- */

/* `out` is the user's word, but a list may come from elsewhere: nothing leaves the directory. */
static bool check_path(const char *out, struct haul_error *error)
{
    struct span rest = span_of(out), name = rest;

    while (rest.len > 0) {
        name = span_cut(&rest, '/');
        if (span_equal(name, SPAN("..")) || name.len > FILE_NAME_BYTES_MAX)
            break;
    }
    if (out[0] == '/') {
        error_set(error, HAUL_BAD_OPTION, 0,
                  "out=%s begins with a slash, but is taken as relative to the directory: name "
                  "that with -d (dir=)",
                  out);
        return false;
    }
    if (name.len > 0 && name.len <= FILE_NAME_BYTES_MAX && out[strlen(out) - 1] != '/' &&
        !span_equal(name, SPAN("..")) && !span_equal(name, SPAN(".")))
        return true;
    error_set(error, HAUL_BAD_OPTION, 0, "out=%s is not the name of a file in the directory", out);
    return false;
}

bool naming_check(const char *out, struct haul_error *error)
{
    struct template_needs needs;

    return check_path(out, error) && template_check(span_of(out), &needs, error);
}

void naming_init(struct haul_download *transfer)
{
    const struct haul_options *options = &transfer->engine->options.public;
    struct haul_error error;

    transfer->names = (struct template_needs){.name = true};
    if (transfer->out)
        (void)template_check(span_of(transfer->out), &transfer->names, &error);
    else
        transfer->names.words = options->force_directories;
    if (transfer->kind != HAUL_SINK_FILE)
        transfer->names.sha256 = false;
}

static struct span template_of(const struct haul_download *transfer)
{
    return span_of(transfer->out ? transfer->out : by_path);
}

/* As asked for: where redirects have led to does not count. */
static bool find_values(const struct haul_download *transfer, struct url *url,
                        struct template_values *values, struct text *url_name)
{
    if (!url_parse(url, span_of(transfer->asked_url), NULL))
        return false;
    url_file_name(url, url_name);
    *values = (struct template_values){
        .url = url, .name = text_span(url_name), .number = transfer->number};
    if (transfer->told_name.len > 0)
        values->name = text_span(&transfer->told_name);
    return true;
}

void naming_path(const struct haul_download *transfer, struct text *path, struct text *temporary)
{
    struct template_values values;
    struct text name = {0};
    struct url url;

    if (!transfer->names.words) {
        if (transfer->out)
            text_add(path, span_of(transfer->out));
        else
            url_file_name(&transfer->lead.url, path);
        return;
    }
    if (find_values(transfer, &url, &values, &name)) {
        template_directories(template_of(transfer), &values, path);
        if (path->len > 0)
            text_add_char(path, '/');
        template_name(template_of(transfer), &values, path);
        text_add(temporary, text_span(&name));
        url_free(&url);
    } else {
        path->failed = true; /* it was parsed before: there is no memory */
    }
    path->failed = path->failed || name.failed;
    text_free(&name);
}

/* --- after ----------------------------------------------------------------------------------- */

void naming_last(const struct haul_download *transfer, struct span sha256, struct text *name)
{
    struct template_values values;
    struct text url_name = {0};
    struct url url;

    if (!transfer->names.words) {
        text_add(name, text_span(&transfer->told_name));
        return;
    }
    if (find_values(transfer, &url, &values, &url_name)) {
        values.sha256 = sha256;
        template_name(template_of(transfer), &values, name);
        url_free(&url);
    } else {
        name->failed = true;
    }
    name->failed = name->failed || url_name.failed;
    text_free(&url_name);
}

bool naming_hear(struct haul_download *transfer, const struct response *response, struct text *name)
{
    struct span value;

    if (!transfer->names.name || !transfer->worker->options->content_disposition)
        return false;
    value = response_field(response, "content-disposition");
    if (!value.data)
        return false;
    text_clear(&transfer->told_name);
    if (!disposition_name(value, &transfer->told_name))
        return false;
    naming_last(transfer, span_of(NULL), name);
    name->failed = name->failed || transfer->told_name.failed;
    return true;
}
