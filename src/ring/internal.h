/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the files of this folder share, and nobody else sees. */
#ifndef RING_INTERNAL_H
#define RING_INTERNAL_H

#include <liburing.h>

#include "ring/offload.h"
#include "ring/ring.h"

enum { RING_ENTRIES = 1024, RING_ENTRIES_MIN = 64, RING_BATCH = 256, RING_RANDOM = 64 };

struct completion {
    struct op *op;
    int res;
};

/* Memory whose pages the kernel keeps pinned, in pieces that are registered as they are used. */
struct fixed {
    const char *data; /* NULL: none was lent */
    size_t piece_count;
    bool *pieces; /* that are registered */
    bool begun;   /* the table is there */
    bool refused; /* the kernel does not want to */
};

struct ring {
    struct io_uring uring;
    unsigned setup_flags;
    uint32_t features_off;
    bool enabled; /* bound to its thread */
    bool turning;
    size_t busy;
    size_t moving;  /* of them, receives, sends and writes in the kernel: who only polls is idle */
    size_t syncing; /* of them, syncs */
    bool many_workers; /* the kernel may have as many threads for us as syncs are worth */
    uint64_t now_ns;
    struct wheel wheel;
    struct list ready;       /* ops that were carried out at once and wait for their `done` */
    struct list yielded;     /* ops that are ready from the next turn on */
    struct mailbox finished; /* ops that helper threads are done with */
    struct offload *offload;
    int wake_fd;
    bool wake_armed;
    char features[96];
    size_t random_left;
    uint64_t random[RING_RANDOM];
    struct completion batch[RING_BATCH];
    struct fixed fixed;
};

/* The registered buffer that holds this memory; -1: none. */
int fixed_find(struct ring *ring, const char *data, size_t len);

/* Takes the reference and marks the op as under way. */
void op_begin(struct ring *ring, struct op *op, enum op_state state);
/* For a request that was carried out at once: `done` follows from the loop. */
void op_ready(struct ring *ring, struct op *op, int res);

uint64_t clock_monotonic_ns(void);

enum { WRITE_AT_ONCE_BYTES = 64 * 1024 };
/* Not in the headers of Linux before 6.14. */
#ifndef RWF_DONTCACHE
#define RWF_DONTCACHE 0x80
#endif
/* len, or -errno. */
int file_write_all(int fd, const void *data, size_t len, uint64_t offset, int rw_flags);

#endif
