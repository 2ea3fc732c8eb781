/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the downloads of one engine have in common with each other before a server: cookies and
 * logins. In the engine's thread. Its files are read when it is made, and written by
 * session_save(), with plain system calls.
 */
#ifndef SESSION_SESSION_H
#define SESSION_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "base/status.h"
#include "session/jar.h"
#include "session/logins.h"

struct session_setup {
    const char *load_cookies; /* NULL: none */
    const char *save_cookies; /* NULL: they are not kept */
    const char *netrc_path;   /* NULL: none */
    bool auth_challenge;
    const struct log *log;
    uint64_t seed;
    int64_t now_s;
};

struct session {
    struct jar *jar;
    struct logins *logins;
    const char *save_cookies; /* borrowed */
    bool saved;               /* as the jar was after so many changes */
    uint64_t saved_changes;
};

/* False: *error, and there is nothing to be finished. */
bool session_init(struct session *session, const struct session_setup *setup,
                  struct haul_error *error);
void session_finish(struct session *session); /* a zeroed one too */
/* Writes the cookies to where they are to be kept, unless the file is up to date. */
bool session_save(struct session *session, int64_t now_s, struct haul_error *error);

#endif
