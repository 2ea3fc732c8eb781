/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Proxies from options and environment, as the library takes them. */
#ifndef CLI_PROXIES_H
#define CLI_PROXIES_H

#include <stdbool.h>

#include "base/text.h"
#include "cli/options.h"

/* A zeroed one says nothing. Pointers: into it, the options, or the environment; NULL: not said. */
struct proxies {
    const char *http;
    const char *https;
    const char *all;
    const char *none;
    struct text http_text; /* with logins: owned */
    struct text https_text;
    struct text all_text;
};

/*
 * An option goes before the environment, and --all-proxy before all of the environment's proxies.
 * Of HTTP_PROXY only the form in small letters is read, because in a CGI program the other one is a
 * header of the client's. An empty variable says nothing. False: out of memory.
 */
bool proxies_find(struct proxies *proxies, const struct options *options,
                  const char *(*environment)(const char *name));
void proxies_free(struct proxies *proxies);

#endif
