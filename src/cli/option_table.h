/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The one table of options. A row says where its value goes: an offset into struct options, or
 * into struct download_options where a single download may have it too. What the types put there:
 *
 *   FLAG bool, NUMBER uint64_t, SECONDS uint64_t (milliseconds), SIZE uint64_t (bytes),
 *   TEXT char * (owned), LIST struct string_list, CHOICE and SET uint64_t (of struct
 *   option_choice; SET: ORed)
 *
 * Rows stand in the order of --help; groups are not split.
 */
#ifndef CLI_OPTION_TABLE_H
#define CLI_OPTION_TABLE_H

#include "cli/options.h"

enum option_type {
    OPTION_FLAG,
    OPTION_NUMBER,
    OPTION_SECONDS,
    OPTION_SIZE, /* "64M": K, M and G are powers of 1024, as aria2's */
    OPTION_TEXT,
    OPTION_LIST,
    OPTION_CHOICE,
    OPTION_SET
};

enum option_scope {
    SCOPE_COMMAND,
    SCOPE_ENGINE,
    SCOPE_DOWNLOAD /* the offset is one into struct download_options */
};

enum option_group {
    GROUP_INPUT,
    GROUP_OUTPUT,
    GROUP_PACE,
    GROUP_TROUBLE,
    GROUP_HTTP,
    GROUP_LOGIN,
    GROUP_NETWORK,
    GROUP_TLS,
    GROUP_DISPLAY,
    GROUP_HIDDEN
};

struct option_choice {
    const char *name; /* NULL ends a list of them */
    uint64_t value;
};

struct option_row {
    const char *name;
    char letter; /* 0: none */
    enum option_type type;
    enum option_scope scope;
    enum option_group group;
    size_t offset;
    uint64_t min; /* NUMBER: itself; SECONDS: milliseconds; SIZE, TEXT, LIST: bytes */
    uint64_t max; /* NUMBER, SECONDS, SIZE */
    const struct option_choice *choices; /* NUMBER: words besides the numbers; NULL: none */
    const char *placeholder;             /* of the value */
    const char *standard;                /* parsed first of all; NULL: leave it zero */
    const char *help;                    /* --help adds the standard to it */
};

/* What other programs call something, so that people try it here: said about a name that is no
 * option, and is never taken for the beginning of one. */
struct option_hint {
    const char *name; /* a letter stands behind a dash */
    const char *hint;
};

extern const struct option_row option_rows[];
extern const size_t option_row_count;
extern const struct option_hint option_hints[];
extern const size_t option_hint_count;
/* By group; NULL: not shown. */
extern const char *const option_group_titles[];

#endif
