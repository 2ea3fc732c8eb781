/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of the file sink share: a directory of its own, a ring, and the user of a sink. It
 * CHECKs rather than asserts where children use it as well.
 */
#ifndef TESTS_SINK_FILE_FIXTURE_H
#define TESTS_SINK_FILE_FIXTURE_H

#include "unit.h"

#include "sink/directory.h"
#include "sink/journal.h"
#include "sink/names.h"
#include "sink/sink.h"

#define URL "http://h.example/a.jpg"

struct sink_file_fixture {
    struct ring *ring;
    struct names *names;
    struct directories *directories;
    char path[1024];
    int fd; /* of that directory */
    struct log log;
    unsigned logged; /* lines */
};

extern struct sink_file_fixture f;

enum { BASES = 2 };
extern const char *const bases[BASES]; /* wherever temporary files go, and memory */

void begin_ring(uint32_t features_off);
void begin_at(const char *base, uint32_t features_off);
void begin(void);
void end_ring(void);
void end(void);
void turn_ms(uint64_t ms);

/* One download's use of a sink. */
struct user {
    struct sink *sink;
    unsigned steps;
    struct haul_error error;
    struct sink_version version; /* to open with */
};

/* Starts a step and gives what became of it. */
#define STEP(user, call) ((user)->steps = 0, (call), wait_step(user))

/* The usual: renames, does not proceed. */
struct sink_file_options usual(const char *name, const char *url);
void make(struct user *user, const char *name, const char *url);
void make_with(struct user *user, const struct sink_file_options *options);
void release(struct user *user);
enum haul_status wait_step(struct user *user);
enum haul_status prepare(struct user *user);
enum haul_status open_sink(struct user *user, bool resume);
enum haul_status publish(struct user *user);
enum haul_status set_aside(struct user *user);
enum haul_status abandon(struct user *user, bool keep);

struct put {
    struct sink_write write;
    unsigned done;
    struct haul_error error;
};

void put_start(struct user *user, struct put *put, const char *data, size_t len, uint64_t offset);
enum haul_status put_end(struct put *put);
enum haul_status put_now(struct user *user, const char *text, uint64_t offset);

/* Two versions of one resource, of one length. */
enum { BLOCK = JOURNAL_BLOCK_BYTES, BODY_BYTES = 5 * BLOCK + 11, VERSIONS = 2 };
extern char bodies[VERSIONS][BODY_BYTES];
extern const struct sink_version versions[VERSIONS];

/* Up to where it could be published. */
void fetch(struct user *user, const char *text);
/* Writes so much of a version, and waits for it. */
void put_version(struct user *user, unsigned which, size_t from, size_t to);
/* Opens for a version, which is resumed if something is stored. */
void open_version(struct user *user, unsigned which);
/* What a run leaves that was stopped when it had so much of a version. */
void leave_partial(const char *name, const char *url, unsigned which, size_t bytes);
void assert_stored(const struct user *user, const char *want); /* "0-4096 8192-12288" */

void put_file(const char *name, const char *text);
void assert_file(const char *name, const char *want);
bool is_there(const char *name);
size_t count_files(void);
void assert_body(const char *name, unsigned which);
/* Static storage, good for a few calls. */
const char *partial_of(const char *name, const char *url, unsigned copy);
const char *beside_of(const char *name, const char *url);
const char *journal_of(const char *name, const char *url);

/* What fn returns in a child of its own, which has to begin a ring of its own; CHILD_CANNOT: what
 * it wanted to try is not possible here. */
enum { CHILD_CANNOT = 255 };
int in_child(int (*fn)(void));

#endif
