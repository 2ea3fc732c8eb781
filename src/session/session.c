/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session/session.h"

#include <errno.h>
#include <string.h>

#include "session/files.h"

enum { COOKIE_FILE_BYTES_MAX = 64 * 1024 * 1024, NETRC_BYTES_MAX = 16 * 1024 * 1024 };

static bool fail_without_memory(struct haul_error *error)
{
    error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    return false;
}

/* A file that will be written may not be there yet. */
static bool is_first_run(const struct session_setup *setup, const struct haul_error *trouble)
{
    return trouble->system_errno == ENOENT && setup->save_cookies &&
           strcmp(setup->load_cookies, setup->save_cookies) == 0;
}

static bool load_cookies(struct session *session, const struct session_setup *setup,
                         struct haul_error *error)
{
    struct haul_error trouble;
    struct jar_faults faults;
    struct text file = {0};

    if (!setup->load_cookies)
        return true;
    if (!files_read(setup->load_cookies, COOKIE_FILE_BYTES_MAX, &file, NULL, &trouble)) {
        text_wipe(&file);
        if (is_first_run(setup, &trouble))
            return true;
        *error = trouble;
        return false;
    }
    jar_read(session->jar, text_span(&file), setup->now_s, &faults);
    text_wipe(&file);
    if (faults.malformed > 0)
        log_write(setup->log, HAUL_LOG_WARN,
                  "%s: %zu lines are no cookies in Netscape's format, line %zu first",
                  setup->load_cookies, faults.malformed, faults.first);
    log_write(setup->log, HAUL_LOG_INFO, "%s: %zu cookies; %zu others had expired",
              setup->load_cookies, jar_count(session->jar), faults.expired);
    return true;
}

/* A netrc file that can't be read is one that has nothing: it is there for other programs too.
 * False: out of memory. */
static bool read_netrc(const struct session_setup *setup, struct netrc **netrc)
{
    struct haul_error trouble;
    struct text file = {0};
    bool private = true;

    *netrc = NULL;
    if (!setup->netrc_path)
        return true;
    if (!files_read(setup->netrc_path, NETRC_BYTES_MAX, &file, &private, &trouble)) {
        text_wipe(&file);
        if (trouble.system_errno != ENOENT)
            log_write(setup->log, HAUL_LOG_WARN, "%s", trouble.text);
        return trouble.status != HAUL_OUT_OF_MEMORY;
    }
    if (!private)
        log_write(setup->log, HAUL_LOG_WARN,
                  "%s holds passwords, but others can read it (chmod 600)", setup->netrc_path);
    *netrc = netrc_parse(text_span(&file), setup->seed);
    text_wipe(&file);
    if (*netrc)
        log_write(setup->log, HAUL_LOG_INFO, "%s: logins for %zu hosts", setup->netrc_path,
                  netrc_count(*netrc));
    return *netrc;
}

bool session_init(struct session *session, const struct session_setup *setup,
                  struct haul_error *error)
{
    struct netrc *netrc;

    *session = (struct session){.save_cookies = setup->save_cookies};
    session->jar = jar_create(setup->seed);
    if (read_netrc(setup, &netrc))
        session->logins = logins_create(netrc, setup->auth_challenge, setup->seed);
    if (!session->jar || !session->logins)
        (void)fail_without_memory(error);
    else if ((!setup->save_cookies || files_check_replace(setup->save_cookies, error)) &&
             load_cookies(session, setup, error))
        return true;
    session_finish(session);
    return false;
}

void session_finish(struct session *session)
{
    jar_destroy(session->jar);
    logins_destroy(session->logins);
    *session = (struct session){0};
}

bool session_save(struct session *session, int64_t now_s, struct haul_error *error)
{
    struct text file = {0};
    bool good;

    if (!session->save_cookies ||
        (session->saved && session->saved_changes == jar_changes(session->jar)))
        return true;
    jar_write(session->jar, now_s, &file);
    good = !file.failed ? files_replace(session->save_cookies, text_span(&file), error)
                        : fail_without_memory(error);
    text_wipe(&file);
    session->saved = good;
    session->saved_changes = jar_changes(session->jar);
    return good;
}
