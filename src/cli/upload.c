/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Forms with files are written as RFC 7578 has them, with names escaped as browsers do. */
#include "cli/upload.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "base/check.h"

enum { READ_BYTES = 64 * 1024 };

/* "-" is standard input. */
static bool read_file(struct text *data, const char *name, struct haul_error *error)
{
    bool standard = strcmp(name, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(name, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    ssize_t got = fd < 0 ? -1 : 1;

    while (got > 0 && data->len <= UPLOAD_BYTES_MAX && text_reserve(data, READ_BYTES)) {
        got = read(fd, data->data + data->len, READ_BYTES);
        if (got < 0 && errno == EINTR)
            got = 1;
        else if (got > 0)
            data->len += (size_t)got;
    }
    if (got < 0)
        error_set(error, HAUL_BAD_OPTION, errno, "can't read %s, which is to be sent", name);
    if (fd >= 0 && !standard)
        close(fd);
    return got >= 0;
}

/* curl's reading of @FILE: line ends and NUL bytes are left out. */
static void add_without_line_ends(struct text *data, struct span file)
{
    for (size_t i = 0; i < file.len; i++)
        if (file.data[i] != '\r' && file.data[i] != '\n' && file.data[i] != '\0')
            text_add_char(data, file.data[i]);
}

static bool add_fields(struct text *data, const struct string_list *fields,
                       struct haul_error *error)
{
    bool good = true;

    for (size_t i = 0; good && i < fields->count; i++) {
        const char *field = fields->items[i];
        struct text file = {0};

        if (i > 0)
            text_add_char(data, '&');
        if (field[0] == '@') {
            good = read_file(&file, field + 1, error);
            add_without_line_ends(data, text_span(&file));
        } else {
            text_add(data, span_of(field));
        }
        data->failed = data->failed || file.failed;
        text_free(&file);
    }
    return good;
}

/* --- multipart/form-data --------------------------------------------------------------------- */

/* Quotes and line ends would end the parameter. */
static void add_parameter(struct text *data, struct span value)
{
    for (size_t i = 0; i < value.len; i++) {
        char c = value.data[i];

        if (c == '"' || c == '\r' || c == '\n')
            text_printf(data, "%%%02X", (unsigned)c);
        else
            text_add_char(data, c);
    }
}

static struct span last_component(struct span path)
{
    struct span rest = path, name = path;

    while (rest.len > 0)
        name = span_cut(&rest, '/');
    return name;
}

/* NAME=TEXT or NAME=@FILE */
static bool add_part(struct text *data, const char *field, struct span boundary,
                     struct haul_error *error)
{
    struct span value = span_of(field);
    struct span name = span_cut(&value, '=');

    if (name.len == 0 || !strchr(field, '=')) {
        error_set(error, HAUL_BAD_OPTION, 0,
                  "form: \"%s\" should look like NAME=TEXT or NAME=@FILE", field);
        return false;
    }
    text_printf(data, "--%.*s\r\nContent-Disposition: form-data; name=\"", SPAN_ARG(boundary));
    add_parameter(data, name);
    text_add_char(data, '"');
    if (value.len > 0 && value.data[0] == '@') {
        const char *file = value.data + 1;

        text_add(data, SPAN("; filename=\""));
        add_parameter(data, last_component(span_of(file)));
        text_add(data, SPAN("\"\r\nContent-Type: application/octet-stream\r\n\r\n"));
        if (!read_file(data, file, error))
            return false;
    } else {
        text_add(data, SPAN("\r\n\r\n"));
        text_add(data, value);
    }
    text_add(data, SPAN("\r\n"));
    return true;
}

/* Nothing that is sent contains 128 random bits. */
static bool make_form(struct upload *upload, const struct string_list *form,
                      struct haul_error *error)
{
    unsigned long long random[2] = {0};
    struct text boundary = {0};
    bool good = getrandom(random, sizeof(random), 0) == (ssize_t)sizeof(random);

    if (!good)
        error_set(error, HAUL_FAILED, errno, "there are no random bytes for the border of a form");
    text_printf(&boundary, "haul-%016llx%016llx", random[0], random[1]);
    for (size_t i = 0; good && i < form->count; i++)
        good = add_part(&upload->data, form->items[i], text_span(&boundary), error);
    text_printf(&upload->data, "--%s--\r\n", text_span(&boundary).data);
    text_printf(&upload->content_type, "multipart/form-data; boundary=%s",
                text_span(&boundary).data);
    upload->data.failed = upload->data.failed || boundary.failed;
    text_free(&boundary);
    return good;
}

/* --- all together ---------------------------------------------------------------------------- */

bool upload_wanted(const struct download_options *download)
{
    return download->data.count > 0 || download->data_binary || download->form.count > 0;
}

static bool make(struct upload *upload, const struct download_options *download,
                 struct haul_error *error)
{
    const char *binary = download->data_binary;
    int kinds = (download->data.count > 0) + (binary != NULL) + (download->form.count > 0);

    if (kinds > 1) {
        error_set(error, HAUL_BAD_OPTION, 0,
                  "data, data-binary and form don't go together: a request has one body");
        return false;
    }
    if (download->form.count > 0)
        return make_form(upload, &download->form, error);
    if (!binary)
        return add_fields(&upload->data, &download->data, error);
    if (binary[0] == '@')
        return read_file(&upload->data, binary + 1, error);
    text_add(&upload->data, span_of(binary));
    return true;
}

bool upload_make(struct upload *upload, const struct download_options *download,
                 struct haul_error *error)
{
    upload->there = upload_wanted(download);
    if (!upload->there)
        return true;
    if (!make(upload, download, error))
        return false;
    if (upload->data.failed || upload->content_type.failed) {
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        return false;
    }
    if (upload->data.len > UPLOAD_BYTES_MAX) {
        error_set(error, HAUL_BAD_OPTION, 0, "more than 64 MiB are to be sent with one request");
        return false;
    }
    return true;
}

void upload_free(struct upload *upload)
{
    text_free(&upload->data);
    text_free(&upload->content_type);
    upload->there = false;
}
