/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What can be asked of the command: one table of options, from which the command line, --help and
 * the option lines of a list (-i) are read and written.
 */
#ifndef CLI_OPTIONS_H
#define CLI_OPTIONS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "base/status.h"
#include "base/text.h"

/* A zeroed one is empty; the strings are owned by it. */
struct string_list {
    char **items;
    size_t count;
    size_t capacity;
};

/* Options that a single download of a list may have as well. Strings are owned; NULL: not set. */
struct download_options {
    char *dir;
    char *out;
    char *user_agent;
    char *checksum;
    struct string_list headers;
    struct string_list mirrors;
    char *method;
    struct string_list data;
    char *data_binary;
    struct string_list form;
    char *referer;
    char *range;
    char *user;
    char *password;
    char *bearer;
    bool discard;
};

enum { THREADS_MAX = 64, THREADS_AUTO = THREADS_MAX + 1 /* as many as there are CPUs for us */ };

/* A zeroed one is what options_init() begins with. Strings are owned; NULL: not set. */
struct options {
    struct download_options download;
    char *input_file;
    uint64_t downloads_max;
    uint64_t connections_per_host; /* 0: not set */
    uint64_t threads;              /* or THREADS_AUTO */
    uint64_t buffer_memory;        /* bytes */
    uint64_t tries_max;
    uint64_t retry_wait_ms;
    uint64_t timeout_ms;
    uint64_t connect_timeout_ms;
    uint64_t wait_ms;
    bool random_wait;
    char *ca_certificate;
    bool check_certificate;
    bool auto_file_renaming;
    bool proceed;
    uint64_t split;
    uint64_t split_bytes_min;
    uint64_t lowest_speed;
    uint64_t save_interval_ms;
    bool durable;
    uint64_t disk_full_waits; /* bool */
    uint64_t check_digest;    /* enum haul_check_digest */
    bool check_integrity;
    bool accept_codings;
    uint64_t redirects_max;
    bool allow_downgrade;
    char *load_cookies;
    char *save_cookies;
    bool auth_challenge;
    bool no_netrc;
    char *netrc_path;
    char *http_proxy;
    char *http_proxy_user;
    char *http_proxy_password;
    char *https_proxy;
    char *https_proxy_user;
    char *https_proxy_password;
    char *all_proxy;
    char *all_proxy_user;
    char *all_proxy_password;
    char *no_proxy;
    bool content_disposition;
    bool allow_overwrite;
    bool no_clobber;
    bool conditional_get;
    bool remote_time;
    bool force_directories;
    char *dns_servers;
    struct string_list resolve;
    char *interface;
    bool disable_ipv6;
    uint64_t min_tls_version; /* enum haul_tls_version */
    char *certificate;
    char *private_key;
    char *pinned_public_key;
    bool certificate_status;
    bool parameterized;
    uint64_t direct;     /* enum haul_direct */
    uint64_t allocation; /* enum haul_allocation */
    bool dry_run;
    bool quiet;
    char *log;
    uint64_t log_level;    /* enum haul_log_level */
    uint64_t features_off; /* enum haul_feature bits */
    bool help;
    bool version;
    const char **urls; /* the array is owned, its strings are argv's */
    size_t url_count;
};

/* Sets the defaults. False: out of memory. options_free() is allowed either way. */
bool options_init(struct options *options);
void options_free(struct options *options);
/* argv[0] is skipped. False: *error names the option and says what is wrong with it. */
bool options_parse(struct options *options, int argc, char **argv, struct haul_error *error);
/* Appends the text of --help. */
void options_help(struct text *text);

void download_options_free(struct download_options *download);
/*
 * One option line of a list, "NAME=VALUE" or the name of a flag, without its indentation. False:
 * *error says what is wrong.
 */
bool download_options_set(struct download_options *download, struct span line,
                          struct haul_error *error);

/* One more URL of the same file. False: *error. */
bool download_options_add_mirror(struct download_options *download, struct span url,
                                 struct haul_error *error);

#endif
