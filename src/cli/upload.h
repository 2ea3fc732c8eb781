/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The body of a request from what was asked for with --data, --data-binary or --form. */
#ifndef CLI_UPLOAD_H
#define CLI_UPLOAD_H

#include "base/status.h"
#include "base/text.h"
#include "cli/options.h"

enum { UPLOAD_BYTES_MAX = 64 * 1024 * 1024 };

/* A zeroed one is empty; owned, to be freed with upload_free(). */
struct upload {
    bool there; /* the request has a body, which may be of no length */
    struct text data;
    struct text content_type; /* empty: as the library has it */
};

/* Whether the options ask for a body. */
bool upload_wanted(const struct download_options *download);
/* Reads the files that are named. False: *error says why there can be none. */
bool upload_make(struct upload *upload, const struct download_options *download,
                 struct haul_error *error);
void upload_free(struct upload *upload);

#endif
