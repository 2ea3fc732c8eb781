/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The loop: requests to the kernel and their completions, timers, clock, randomness, helper
 * threads. Everything that may block, and everything that tells one run from another, goes
 * through here; a simulator replaces this folder at link time.
 *
 * A request is an `op` embedded in the object that it serves. From the call that starts it to its
 * completion the ring holds a reference on op.owner; what the kernel reads or writes (buffers,
 * addresses, names) lives in that owner or in a pool until then. `done` is called exactly once,
 * from ring_turn(), never from within the call that started the request; res is >= 0 or -errno.
 * All functions belong to the thread that first calls ring_turn(), but for ring_wake() and
 * mailboxes.
 *
 * How a request is carried out (an SQE, a call at once, a helper thread) is decided in here.
 */
#ifndef RING_RING_H
#define RING_RING_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/ref.h"
#include "base/span.h"
#include "base/status.h"
#include "base/text.h"
#include "base/wheel.h"
#include "ring/address.h"
#include "ring/mailbox.h"

struct ring;

enum op_state {
    OP_IDLE,
    OP_KERNEL, /* an SQE stands for it: fd, data, left, offset tell what is still to be moved */
    OP_READY,  /* carried out already: res is valid, node is in the ring's ready list */
    OP_HELPER  /* with a helper thread: work, mail */
};

struct op {
    void (*done)(struct op *op, int res);
    struct ref *owner;
    /* private from here */
    enum op_state state;
    int fd;
    int res;
    uint8_t code; /* of the SQE; all of the buffer must be moved where `whole` is set */
    bool whole;
    bool moves;        /* counts among those that move bytes in the kernel */
    bool cancelled;    /* not to be taken up again */
    _Atomic bool stop; /* OP_HELPER: the work should end early, if it can */
    bool polling;      /* the SQE is a poll that comes before the request is tried again */
    bool syncs;        /* counts among the syncs */
    bool closes;       /* fd was opened for this request alone */
    int rw_flags;      /* RWF_ of a write... */
    int fixed;         /* ...and the registered buffer that it comes from; -1: none */
    void *data;
    size_t len;
    size_t moved;
    uint64_t offset;
    struct list node;
    struct mail mail;
    int (*work)(struct op *op);
};

struct ring_options {
    uint32_t features_off;   /* enum haul_feature */
    unsigned helper_threads; /* at most; at least 1 */
};

/* NULL: *error says why (HAUL_NO_IO_URING tells how to allow it). */
struct ring *ring_create(const struct ring_options *options, struct haul_error *error);
/* No request may be under way: CHECKed. NULL is allowed. */
void ring_destroy(struct ring *ring);

/*
 * Submits what is queued, waits until something completes, a timer is due, ring_wake() is called
 * or the clock reaches until_ns, and calls what that completes. 0, or -errno if the ring failed.
 */
int ring_turn(struct ring *ring, uint64_t until_ns);
/* Makes ring_turn() return soon. Any thread, any signal handler. */
void ring_wake(struct ring *ring);
/* Requests that have been started and are not done. */
size_t ring_busy(const struct ring *ring);
/* "defer-taskrun single-issuer ...": what is in use, for the log. Static storage of the ring. */
const char *ring_features(const struct ring *ring);

/* How many descriptors this process may have open (getrlimit(2)). */
size_t ring_descriptors_max(const struct ring *ring);

/* Monotonic, read once a turn and by ring_read_clock(); and seconds since 1970. */
void ring_read_clock(struct ring *ring);
uint64_t ring_now_ns(const struct ring *ring);
int64_t ring_wall_s(const struct ring *ring);
/* From the system's generator, unpredictable. */
uint64_t ring_random(struct ring *ring);
void ring_timer_start(struct ring *ring, struct timer *timer, uint64_t at_ns);

void op_init(struct op *op, void (*done)(struct op *op, int res), struct ref *owner);
bool op_busy(const struct op *op);
/* Asks for an early end, which comes through `done` (-ECANCELED, or whatever it was in time for;
 * helper threads end early only where the work looks at op->stop).
 * Allowed on an op that is not busy. */
void ring_cancel(struct ring *ring, struct op *op);

/* Does nothing: `done` follows from the loop, in the same turn if one is going on. */
void ring_later(struct ring *ring, struct op *op);
/* The same once a turn, after all that the kernel has completed: for work that is long, and done
 * piece by piece so that others are not held up. */
void ring_yield(struct ring *ring, struct op *op);

/* Sockets: connect(2), recv(2), send(2), poll(2). recv: what there is, 0 at the peer's end; send:
 * all bytes, or an error. */
int ring_socket(struct ring *ring, int family); /* TCP, no delay; the descriptor or -errno */
/* Before it connects: from this address (port 0: any), or through this device. 0 or -errno. */
int ring_bind(struct ring *ring, int fd, const struct address *address);
int ring_bind_device(struct ring *ring, int fd, const char *name);
/* An address of each family that the interface has (len 0: none). 0 or -errno; -ENODEV: there is no
 * interface of this name. */
int ring_interface(struct ring *ring, const char *name, struct address *v4, struct address *v6);
void ring_connect(struct ring *ring, struct op *op, int fd, const struct address *address);
void ring_recv(struct ring *ring, struct op *op, int fd, void *buffer, size_t len);
/* The same for a socket that a poll has found readable: at once, if there is still something. */
void ring_recv_ready(struct ring *ring, struct op *op, int fd, void *buffer, size_t len);
void ring_send(struct ring *ring, struct op *op, int fd, const void *data, size_t len);
void ring_poll(struct ring *ring, struct op *op, int fd, short events);
/* What an idle connection is at, without waiting. */
enum ring_socket_look { RING_SOCKET_SILENT, RING_SOCKET_DATA, RING_SOCKET_CLOSED };
enum ring_socket_look ring_look(struct ring *ring, int fd);
/* At once and without waiting; no request may be under way on fd. 0; or -errno: it is closed all
 * the same, but what was written to it may be lost. */
int ring_close(struct ring *ring, int fd);
/* What closing it would tell, while it stays open. */
int ring_flush(struct ring *ring, int fd);

/*
 * Files. A directory is a descriptor, a name one component in it. What stands behind an O_PATH or
 * a lock is the kernel's: crashes and other processes are seen as they are.
 */
/*
 * A directory. `root`, relative to the working directory, is the user's own, and may be or hold
 * links. What is `below` it may be named by anybody: its components are followed as they are found
 * at that moment, links too, but never out of root (openat2(2), Linux 5.6; before that, no link is
 * followed there). make: what is missing is created, with `durable` for good: where a name was made
 * is synced. Both strings stay valid until `done`, as the place does.
 */
struct ring_place {
    const char *root;
    const char *below; /* "": it is root itself */
    bool make;
    bool durable;
};
/* -EXDEV: it leads out of root; -ELOOP: there is a link that can't be followed. */
void ring_open_directory(struct ring *ring, struct op *op, const struct ring_place *place);

enum ring_claim {
    RING_CLAIM_NEW,  /* nothing may be there under this name */
    RING_CLAIM_KEEP, /* what is there is taken as it is */
};
/*
 * Opens a regular file for reading and writing, created if need be, and locks it (flock(2)) for as
 * long as it is open, such that whoever holds it is alone and the name is its. -EBUSY: somebody
 * else does, or something has come to be there (NEW). -ELOOP, -EISDIR ...: something else stands
 * there.
 */
void ring_claim(struct ring *ring, struct op *op, int directory, const char *name,
                enum ring_claim claim);
/* Gives the lock up, before the file is closed. Closing alone would leave it for as long as the
 * kernel holds the file for a request that is over already, which may be a moment longer. */
void ring_unlock(struct ring *ring, int fd);
/* How a write goes to the disk. */
enum ring_write_way {
    RING_WRITE_CACHED,   /* into the page cache, as write(2) does */
    RING_WRITE_UNCACHED, /* the same, but written back at once and dropped (RWF_DONTCACHE, Linux
                            6.14); -EOPNOTSUPP where that is unknown */
    RING_WRITE_DIRECT /* to a descriptor of ring_open_direct(); data, len and offset are multiples
                         of RING_DIRECT_BYTES */
};
enum { RING_DIRECT_BYTES = 4096 };
/* pwrite(2) of all bytes, or an error; -ENOSPC and the like after part of them is an error. */
void ring_write(struct ring *ring, struct op *op, int fd, enum ring_write_way way, const void *data,
                size_t len, uint64_t offset);
/* pread(2) of all bytes; res: how many, fewer only at the end of the file. */
void ring_read(struct ring *ring, struct op *op, int fd, void *buffer, size_t len, uint64_t offset);
/* Memory that direct writes will come from, again and again: its pages are registered with the
 * kernel, piece by piece as they are first written from, if it may lock so many (RLIMIT_MEMLOCK).
 * Once for a ring; to be taken back before it is unmapped, with no write under way. */
void ring_lend_memory(struct ring *ring, const char *data, size_t bytes);
void ring_take_memory_back(struct ring *ring);
/* Opens a file that is open already once more, for direct writes (O_DIRECT), through /proc. res:
 * the descriptor, to be closed before or after the other; -EOPNOTSUPP where that is of no use: the
 * file system refuses it, or says it wants other multiples (STATX_DIOALIGN); where it says nothing,
 * unless `even_if_unsure`. */
void ring_open_direct(struct ring *ring, struct op *op, int fd, bool even_if_unsure);
/* fallocate(2): blocks up to len, which becomes the file's size; -EOPNOTSUPP where the file system
 * has none of it, unless `zeros`: then a helper thread writes them behind the file's end. */
void ring_allocate(struct ring *ring, struct op *op, int fd, uint64_t len, bool zeros);
/* write(2) of all bytes to a pipe, terminal or file, at its own position. */
void ring_write_stream(struct ring *ring, struct op *op, int fd, const void *data, size_t len);
void ring_truncate(struct ring *ring, struct op *op, int fd, uint64_t len);
/* fdatasync(2): content and size. */
void ring_sync(struct ring *ring, struct op *op, int fd);
/* The names in a directory: those made, changed and removed before this was started. */
void ring_sync_directory(struct ring *ring, struct op *op, int directory);
/* Within one directory. replace: what has the other name, unless it is a directory, has had it up
 * to the moment when this one gets it, a link included; else, and for directories, -EEXIST. */
void ring_rename(struct ring *ring, struct op *op, int directory, const char *from, const char *to,
                 bool replace);
void ring_unlink(struct ring *ring, struct op *op, int directory, const char *name);
/* res: 1 there is something under that name (a dangling link too), 0 there is nothing. */
void ring_exists(struct ring *ring, struct op *op, int directory, const char *name);
struct ring_facts {
    uint64_t bytes;
    bool own; /* belongs to the user whom this process acts for */
};
/* Of an open file. */
void ring_facts(struct ring *ring, struct op *op, int fd, struct ring_facts *facts);

/* The system's settings, small texts in /etc: at once. */
struct ring_mark { /* tells one content of a file from another; all 0: there is none */
    uint64_t device, inode, bytes;
    int64_t written_ns, changed_ns;
};
struct ring_mark ring_mark(struct ring *ring, const char *path);
bool ring_mark_equal(const struct ring_mark *a, const struct ring_mark *b);
/* Appends to text. 0 or -errno; -EFBIG: there is more than bytes_max of it. */
int ring_read_text(struct ring *ring, const char *path, size_t bytes_max, struct text *text,
                   struct ring_mark *mark);

/* What a finished file is known by, besides its content: a time, and an attribute that programs may
 * attach to it (xattr(7)), if the file system has such. */
enum { RING_ATTRIBUTE_BYTES_MAX = 512 };
struct ring_standing {
    bool regular;
    uint64_t bytes;
    int64_t modified_s;     /* since 1970 */
    int64_t changed_ns;     /* when it got this content, this name or this time */
    size_t attribute_bytes; /* 0: it has none, or none that can be read */
    char attribute[RING_ATTRIBUTE_BYTES_MAX];
};
/* res: 1 there is something under that name, 0 there is nothing. */
void ring_look_up(struct ring *ring, struct op *op, int directory, const char *name,
                  const char *attribute, struct ring_standing *standing);
/* What time file systems note at this moment: nothing that is changed from now on has an earlier
 * one, if the clock is not set. */
int64_t ring_file_clock_ns(const struct ring *ring);
/* Waits until that is later than what they have noted so far: a tick of the kernel's, 10 ms at
 * most.
 */
void ring_file_clock_pass(const struct ring *ring);
/* Of an open file, at once. 0 or -errno. */
int ring_set_modified(struct ring *ring, int fd, int64_t modified_s);
int ring_set_attribute(struct ring *ring, int fd, const char *attribute, struct span value);
/* All regular files of a directory that have the attribute, one by one, told from a helper thread:
 * `found` may touch only what the owner lets it. False ends it. The listing stays until `done`. */
struct ring_listing {
    const char *attribute;
    bool (*found)(void *context, const char *name, struct span value);
    void *context;
};
void ring_list(struct ring *ring, struct op *op, int directory, const struct ring_listing *listing);

/* Runs work(op) on a helper thread; its answer becomes res. It may touch only what the owner lets
 * it: nobody else may use that meanwhile. */
void ring_offload(struct ring *ring, struct op *op, int (*work)(struct op *op));

#endif
