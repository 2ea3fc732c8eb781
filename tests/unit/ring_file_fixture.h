/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tests of the ring's calls on files share: a directory of its own, and one request. */
#ifndef TESTS_RING_FILE_FIXTURE_H
#define TESTS_RING_FILE_FIXTURE_H

#include "unit.h"

#include "ring/ring.h"

struct ring_file_fixture {
    struct ring *ring;
    char path[PATH_MAX];
    int directory;
    struct ref ref;
    struct op op;
    int res;
    unsigned calls;
    bool starting;
};

extern struct ring_file_fixture f;

/* Wherever temporary files go, and memory; where it has to be a disk: unit_build_directory(). */
enum { BASES = 2 };
extern const char *const bases[BASES];

void begin(const char *base, uint32_t features_off);
void end(void);
int wait_done(void);

/* Starts a request by f.op and gives what became of it. */
#define DO(call) (f.starting = true, (call), wait_done())

/* An eventfd that stays silent, and ops that wait for it: what else is going on in a busy ring. */
struct beside {
    int fd;
    struct ref ref;
    struct op ops[3];
};

void begin_beside(struct beside *beside);
void end_beside(struct beside *beside);

void put(const char *name, const char *text);
void assert_content(const char *name, const char *want);

#endif
