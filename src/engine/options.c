/* SPDX-License-Identifier: GPL-3.0-or-later */
/* An engine's options: what is refused of them, and the copies that live as long as the engine. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "engine/engine.h"
#include "http/request.h"
#include "tls/identity.h"
#include "tls/pins.h"

#define MS_MAX (UINT64_C(366) * 24 * 60 * 60 * 1000)

enum { BUFFER_MEMORY = 64 * 1024 * 1024, SPLIT_BYTES_MIN = 20 * 1024 * 1024 };

void haul_options_init(struct haul_options *options, size_t size)
{
    struct haul_options defaults = {
        .size = size,
        .downloads_max = 64,
        .tries_max = 5,
        .retry_wait_ms = 1000,
        .timeout_ms = 60 * 1000,
        .connect_timeout_ms = 15 * 1000,
        .directory = ".",
        .user_agent = "haul/" HAUL_VERSION,
        .check_certificate = true,
        .auto_file_renaming = true,
        .buffer_memory = BUFFER_MEMORY,
        .split = 1,
        .split_bytes_min = SPLIT_BYTES_MIN,
        .save_interval_ms = 1000,
        .redirects_max = 20,
        .content_disposition = true,
    };

    CHECK(size <= sizeof(defaults));
    memcpy(options, &defaults, size);
}

bool engine_options_check(const struct haul_options *options, struct haul_error *error)
{
    if (options->size != sizeof(*options)) {
        error_set(error, HAUL_BAD_OPTION, 0, "the options are of another version of the library");
        return false;
    }
    if (options->timeout_ms > MS_MAX || options->connect_timeout_ms > MS_MAX ||
        options->wait_ms > MS_MAX || options->retry_wait_ms > MS_MAX) {
        error_set(error, HAUL_BAD_OPTION, 0, "a time is longer than a year");
        return false;
    }
    if (options->downloads_max == 0 || options->timeout_ms == 0 ||
        options->connect_timeout_ms == 0) {
        error_set(error, HAUL_BAD_OPTION, 0,
                  "the numbers of downloads and the timeouts must be "
                  "greater than 0");
        return false;
    }
    if (options->split == 0 || options->split > SPLIT_MAX) {
        error_set(error, HAUL_BAD_OPTION, 0, "a file can be had over 1 to %d connections",
                  SPLIT_MAX);
        return false;
    }
    if (options->threads > THREADS_MAX) {
        error_set(error, HAUL_BAD_OPTION, 0, "more than %d threads", THREADS_MAX);
        return false;
    }
    if ((unsigned)options->min_tls_version > HAUL_TLS_1_3) {
        error_set(error, HAUL_BAD_OPTION, 0, "there is no version of TLS with number %d",
                  (int)options->min_tls_version);
        return false;
    }
    if (options->private_key && !options->certificate) {
        error_set(error, HAUL_BAD_OPTION, 0, "a private key is of no use without its certificate");
        return false;
    }
    if (options->certificate_status && !options->check_certificate) {
        error_set(error, HAUL_BAD_OPTION, 0,
                  "an OCSP response says nothing of a certificate that is not checked");
        return false;
    }
    for (size_t i = 0; i < options->header_count; i++)
        if (!request_check_header(options->headers[i], error))
            return false;
    return engine_check_user_agent(options->user_agent, error);
}

/* The strings among the options, each of which may be NULL. */
static const size_t string_fields[] = {
    offsetof(struct haul_options, directory),         offsetof(struct haul_options, user_agent),
    offsetof(struct haul_options, ca_certificate),    offsetof(struct haul_options, load_cookies),
    offsetof(struct haul_options, save_cookies),      offsetof(struct haul_options, netrc_path),
    offsetof(struct haul_options, http_proxy),        offsetof(struct haul_options, https_proxy),
    offsetof(struct haul_options, all_proxy),         offsetof(struct haul_options, no_proxy),
    offsetof(struct haul_options, dns_servers),       offsetof(struct haul_options, interface),
    offsetof(struct haul_options, certificate),       offsetof(struct haul_options, private_key),
    offsetof(struct haul_options, pinned_public_key),
};
_Static_assert(COUNT_OF(string_fields) == ENGINE_STRINGS, "each has its copy");

static bool copy_strings(struct engine_options *copy, const struct haul_options *options)
{
    for (size_t i = 0; i < ENGINE_STRINGS; i++) {
        const char *string;

        memcpy(&string, (const char *)options + string_fields[i], sizeof(string));
        if (!engine_copy_string(&copy->strings[i], string))
            return false;
        memcpy((char *)&copy->public + string_fields[i], &copy->strings[i], sizeof(char *));
    }
    return true;
}

bool engine_options_copy(struct engine_options *copy, const struct haul_options *options)
{
    copy->public = *options;
    copy->public.header_count = 0;
    copy->public.resolve_count = 0;
    if (!copy_strings(copy, options) ||
        !engine_copy_strings(&copy->headers, options->headers, options->header_count))
        return false;
    copy->public.headers = (const char *const *)copy->headers;
    copy->public.header_count = options->header_count;
    if (!engine_copy_strings(&copy->resolve, options->resolve, options->resolve_count))
        return false;
    copy->public.resolve = (const char *const *)copy->resolve;
    copy->public.resolve_count = options->resolve_count;
    if (!copy->public.directory)
        copy->public.directory = ".";
    if (!copy->public.user_agent)
        copy->public.user_agent = "";
    return true;
}

bool engine_options_read(struct engine_options *options, struct haul_error *error)
{
    const struct haul_options *public = &options->public;

    if (public->certificate) {
        options->identity = tls_identity_create(public->certificate, public->private_key, error);
        if (!options->identity)
            return false;
    }
    if (public->pinned_public_key) {
        options->pins = tls_pins_create(public->pinned_public_key, error);
        if (!options->pins)
            return false;
    }
    options->tls = (struct tls_trust_options){
        .ca_certificate = public->ca_certificate,
        .check = public->check_certificate,
        .min_version = public->min_tls_version == HAUL_TLS_1_3 ? TLS_VERSION_1_3 : TLS_VERSION_1_2,
        .certificate_status = public->certificate_status,
        .identity = options->identity,
        .pins = options->pins,
    };
    return true;
}

void engine_options_free(struct engine_options *options)
{
    for (size_t i = 0; i < ENGINE_STRINGS; i++)
        free(options->strings[i]);
    engine_free_strings(options->headers, options->public.header_count);
    tls_identity_destroy(options->identity);
    tls_pins_destroy(options->pins);
    engine_free_strings(options->resolve, options->public.resolve_count);
}
