/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the parts of floor share: the job, the list of URLs, one request and the head of its answer.
 * Whoever meets trouble dies of it: half a measurement is none.
 */
#ifndef BENCH_FLOOR_H
#define BENCH_FLOOR_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { ALIGN = 4096, HEAD_MAX = 16384, NAME_MAX_BYTES = 256 };

struct mode;

struct job {
    const struct mode *mode;
    FILE *list; /* a URL a line, read as far as the work has come */
    int directory_fd;
    size_t chunk_bytes;
    unsigned connections; /* of floor_many */
};

/* One line of the list. */
struct target {
    struct sockaddr_in address;
    char request[2048];
    char name[NAME_MAX_BYTES]; /* of the file: what is behind the last slash */
    size_t request_bytes;
};

/* error: an errno, or 0 where there is none. */
_Noreturn void die(const char *what, int error);
/* False at the list's end. */
bool target_next(struct target *t, FILE *list);
/* Takes the head, without its empty line and NUL-terminated; returns Content-Length. */
uint64_t head_length(const char *head);
int file_create(const struct job *job, const char *name, int flags);
/* Page-aligned and touched: page faults are not to be measured. The caller frees it. */
unsigned char *buffer_alloc(size_t bytes);

/* What becomes of the bodies. */
enum floor_files {
    FLOOR_NO_FILES,
    FLOOR_FILES,  /* written under their names */
    FLOOR_RENAMED /* under another name first, so that a name shows a complete file */
};

/* The whole list over so many kept-alive connections, into files or nowhere.
 * Returns the bytes of all bodies. */
uint64_t floor_many(const struct job *job, enum floor_files files);

#endif
