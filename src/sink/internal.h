/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The file sink, as its parts see it:
 *
 *     file.c          the steps prepare and open, begin and end
 *     file_names.c    the names that no other download of this engine uses
 *     file_find.c     what an earlier run has left
 *     file_write.c    how bytes get to the disk and back
 *     file_journal.c  what is durable is written down
 *     file_known.c    what stands under its name already, and the steps rename and leave
 *     file_end.c      the steps publish, set_aside and abandon
 */
#ifndef SINK_INTERNAL_H
#define SINK_INTERNAL_H

#include "base/check.h"
#include "sink/directory.h"
#include "sink/file_name.h"
#include "sink/journal.h"
#include "sink/sink.h"

enum file_journal_state {
    JOURNAL_RESTS, /* the timer runs if there is something to commit */
    JOURNAL_WAITS, /* for its turn among those of this thread: `turn` is in line */
    JOURNAL_COMMITS
};

struct sink_file;

/* `content` is what the file says, or will once the record that is being written is there. */
struct file_journal {
    enum file_journal_state state;
    int fd;               /* locked; -1: there is no file */
    bool off;             /* nothing more in the background until the next prepare */
    bool broken;          /* and nothing at the end either: what is in the file now is not known */
    bool full;            /* there was no room for it */
    bool named;           /* its own name and that of the data are durable */
    bool dirty;           /* something was written since the last commit began */
    bool holds;           /* a record says something of the data file that is open */
    bool turned;          /* it has had its turn: a commit in the background */
    uint64_t interval_ns; /* 0: only at the end */
    uint64_t began_ns;
    uint64_t took_ns; /* the last commit */
    struct timer timer;
    struct disk_turn turn;
    struct op op;
    struct directory_sync names;
    void (*then)(struct sink_file *file); /* waits for the commit's end; NULL: nobody does */
    void (*removed)(struct sink_file *file, int res); /* waits for file_remove_journal() */
    void (*freed)(struct sink_file *file, int res);   /* waits for file_journal_free_slot() */
    struct journal content;
    struct journal_copy syncing; /* goes into content once the data is synced */
    struct text record;
    char *read; /* JOURNAL_BYTES, while it is being read; or NULL */
};

struct sink_file {
    struct sink sink;
    struct directories *directories;
    const struct log *log;
    struct directory_wait wait;
    struct directory *directory; /* NULL until prepare has it */
    char *directory_root;
    char *directory_below; /* it: "" or a path */
    char *directory_path;  /* both together */
    char *url;
    bool auto_renaming;
    bool proceed;
    bool overwrite;
    bool no_clobber;
    bool fresh;
    bool special;
    bool remote_time;
    bool check;
    bool durable;
    struct text wanted; /* the name asked for; sink.name is what it will be, with a number */
    unsigned number;    /* of sink.name */
    struct text stem;   /* what temporary names begin with */
    bool renamed;       /* wanted is not what it was in the beginning */
    bool replaces;      /* what stands under its name is an older version */
    bool replaced;      /* what stood there is gone */
    char key[KNOWN_KEY_BYTES + 1];   /* of the URL; fresh */
    struct ring_standing *looked_at; /* while it is; or NULL */
    void (*look_then)(struct sink_file *file);
    struct known_wait known_wait;
    struct text partial; /* what the names of all that is not finished begin with */
    char data_names[JOURNAL_COPIES][FILE_NAME_BYTES_MAX + 1]; /* two slots: see journal.h */
    char journal_name[FILE_NAME_BYTES_MAX + 1];
    /* In directory->place, so that no other download of this engine uses them. */
    struct map_node name_claim;
    struct map_node partial_claim;
    bool name_claimed;
    bool partial_claimed;
    struct file_place place;
    struct claim { /* under way, or waiting for the place */
        const char *name;
        enum ring_claim how;
        int *fd;
        void (*done)(struct sink_file *file, int res); /* res >= 0: *fd is set */
        unsigned tries;
    } claim;
    struct timer claim_timer; /* it is locked: look again */
    int fd;                   /* of the data; -1: not open */
    unsigned slot;            /* which of data_names it has, or will have */
    enum haul_direct direct;
    enum haul_allocation allocation;
    bool wants_direct;         /* asked for or chosen, whether it can be or not */
    int direct_fd;             /* the same file, to be written past the page cache; -1: it is not */
    enum ring_write_way way;   /* CACHED, UNCACHED or DIRECT; what does not work falls back */
    bool laid_out;             /* it has its size already, or more */
    bool reused;               /* the data file had bytes, of a try or a run before */
    bool begun;                /* the data file was made or changed since prepare */
    bool adopted;              /* fd is another program's file, under its own name */
    struct text adopted_name;  /* that name, once sink.name is another */
    struct sink_line line;     /* adopted */
    struct haul_error trouble; /* its data may not be on the disk, whatever comes; OK: none */
    unsigned tried;            /* copies of the journal that prepare has looked at */
    bool keep;                 /* as abandon was told */
    bool shrunk;               /* it has given up some of what is stored, for room */
    bool aside;
    bool removed;                              /* some of its names have gone */
    void (*rest_gone)(struct sink_file *file); /* waits until what is beside the data is removed */
    struct directory_sync names;               /* of the step */
    struct ring_facts facts;
    struct file_journal journal;
};

static inline struct sink_file *sink_file_of(struct sink *sink)
{
    return CONTAINER_OF(sink, struct sink_file, sink);
}

static inline struct sink_file *sink_file_of_op(struct op *op)
{
    return sink_file_of(CONTAINER_OF(op, struct sink, op));
}

/* The sink's op, for the next part of the step. */
static inline struct op *file_step(struct sink_file *file, void (*done)(struct op *op, int res))
{
    file->sink.op.done = done;
    return &file->sink.op;
}

static inline const char *file_name_of(const struct sink_file *file)
{
    return file->sink.name.data;
}

/* What people are told that is being written. */
static inline const char *file_data_name(const struct sink_file *file)
{
    return file->adopted ? file_name_of(file) : file->data_names[file->slot];
}

/* --- file.c ---------------------------------------------------------------------------------- */

/* What went wrong; res, as the ring gives it, may turn the status into HAUL_DISK_FULL. */
__attribute__((format(printf, 4, 5))) void
file_error(struct haul_error *error, enum haul_status status, int res, const char *format, ...);
/* Ends the step with it. */
__attribute__((format(printf, 4, 5))) void
file_fail(struct sink_file *file, enum haul_status status, int res, const char *format, ...);
void file_fail_claim(struct sink_file *file, int res);
void file_fail_existing(struct sink_file *file);
/* Opens and locks, once there is a place for it. */
void file_claim(struct sink_file *file, const char *name, enum ring_claim how, int *fd,
                void (*done)(struct sink_file *file, int res));
/* Closes all descriptors. What closing the data's says: 0, or -errno. */
int file_close(struct sink_file *file);
/* As it was before prepare, which may follow. */
void file_forget(struct sink_file *file);
/* The second half of prepare: whether an earlier run has left something to go on from. */
void file_found(struct sink_file *file, bool found);

/* --- file_names.c ---------------------------------------------------------------------------- */

bool file_take_names(struct sink_file *file, struct haul_error *error);
/* The next name after sink.name, under which something has come to stand; or one that says that
 * the content is not what it should be. */
bool file_take_next_name(struct sink_file *file, struct haul_error *error);
bool file_take_aside_name(struct sink_file *file, struct haul_error *error);
/* Another one to be wanted, instead of what it has. */
bool file_take_other_name(struct sink_file *file, struct span name, struct haul_error *error);
/* sink.name is the wanted name, without a number, whoever has it. */
void file_show_wanted(struct sink_file *file);
void file_give_names(struct sink_file *file);

/* --- file_find.c ----------------------------------------------------------------------------- */

/* Ends in file_found(), or fails the step. */
void file_find(struct sink_file *file);

/* --- file_write.c ---------------------------------------------------------------------------- */

/* The last part of open, once there is an empty or cut file: makes the room for it that the options
 * ask for, and chooses how it is written. Ends the step. */
void file_lay_out(struct sink_file *file);
int file_close_direct(struct sink_file *file); /* 0, or -errno */
void file_write(struct sink *sink, struct sink_write *write);
void file_read(struct sink *sink, struct sink_read *read);

/* --- file_journal.c -------------------------------------------------------------------------- */

void file_journal_init(struct sink_file *file, uint64_t interval_ns);
/* As far as memory goes; nothing is under way. */
void file_journal_free(struct sink_file *file);
/* A write has ended well. */
void file_journal_note(struct sink_file *file);
/* Nothing more in the background. True: nothing is under way; else `then` is called once that is
 * so, from the loop. */
bool file_journal_rest(struct sink_file *file, void (*then)(struct sink_file *file));
/* Whether another run could go on from what is stored. */
bool file_journal_wants(const struct sink_file *file);
/* A commit, of a journal at rest. `then` finds in `holds` whether there is a record, which may be
 * an earlier one. */
void file_journal_commit(struct sink_file *file, void (*then)(struct sink_file *file));
/* Writes a journal at rest anew, without what its records say about the slot of the data. res: 0,
 * or -errno. */
void file_journal_free_slot(struct sink_file *file, void (*done)(struct sink_file *file, int res));
/* Syncing a file or a directory has failed: that is final. */
void file_set_trouble(struct sink_file *file, int res);
/* Whether a file system that can't sync directories says so; it has to be trusted then. */
bool file_cant_sync_names(int res);

/* --- file_known.c ---------------------------------------------------------------------------- */

/* What sink.known tells of is looked for, under the wanted name or another; or the step fails. */
void file_look(struct sink_file *file, void (*then)(struct sink_file *file));
void file_rename(struct sink *sink, struct span name, bool exact);
void file_leave(struct sink *sink);

/* --- file_end.c ------------------------------------------------------------------------------ */

void file_publish(struct sink *sink);
void file_set_aside(struct sink *sink);
void file_abandon(struct sink *sink, bool keep);
/* Removes what there is of it under its temporary names. */
void file_discard(struct sink_file *file, void (*then)(struct sink_file *file));
void file_set_path(struct sink_file *file);
/* Removes the journal for good, if there is one. res: 0, or -errno: then it is there still. */
void file_remove_journal(struct sink_file *file, void (*done)(struct sink_file *file, int res));

#endif
