/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the legs of one transfer have in common while a worker has any of them: the sink, the
 * version of the resource, and who fetches which part of it. In the worker's thread.
 *
 * Until the sink is open one leg goes alone, the leader; others that come meanwhile are held. A leg
 * that begins while none else is at work is the leader again: it asks for what is missing, or for
 * the whole if nothing can be gone on from.
 */
#ifndef ENGINE_BODY_H
#define ENGINE_BODY_H

#include <stdatomic.h>
#include <stdbool.h>

#include "base/extents.h"
#include "base/list.h"
#include "base/status.h"
#include "base/text.h"
#include "engine/post.h"
#include "engine/verify.h"
#include "http/url.h"

struct haul_download;
struct leg;
struct sink_version;

struct body {
    bool prepared;    /* the sink has said what it has from before... */
    bool looked;      /* ...for the first time */
    bool open;        /* the sink takes what belongs to this version */
    bool resting;     /* the sink is being closed between two tries */
    bool fresh;       /* what is stored can't be gone on from */
    bool coded;       /* what is stored was unpacked: neither its length nor what names its
                         version are known, and nothing can be gone on from */
    bool ranges;      /* parts of it can be asked for */
    bool ranges_good; /* one has come */
    bool ranges_bad;  /* that went wrong: not again */
    bool single;      /* it comes in one piece: no part of it can be asked for again */
    bool decided;     /* a checksum of the whole will tell whether all is well */
    bool checked;     /* a file that was there has been hashed */
    bool ended;       /* of unknown length: its end has come */
    bool unchanged;   /* the file that is there already is the download: nothing is fetched */
    bool stopping;    /* all legs are to come back, for `error` */
    struct haul_error error;
    struct leg *leader; /* NULL: none has to go alone */
    struct list legs;   /* at work, leader included */
    unsigned leg_count; /* of them */
    struct list held;
    unsigned coming;       /* legs that were asked for and have not come */
    struct text validator; /* of what is stored, or is going to be; empty: none that is strong */
    unsigned validator_source;
    uint64_t total;         /* UINT64_MAX: unknown */
    struct extents earlier; /* stored by an earlier run, and not held against the server's yet */
    uint64_t resumed_bytes; /* from before this download */
    uint64_t received_bytes;
    struct verify *verify;   /* NULL: the content need not hash to anything */
    struct digest checksum;  /* that the user has given, if decided */
    struct digest announced; /* by the server of this version... */
    bool is_announced;       /* ...if it has */
    bool hushing;            /* verify_stop() is under way */
    void (*hushed)(void *context);
    void *hushed_context;
    /* To the engine's thread: more legs are wanted, at this URL. */
    struct message wanted;
    _Atomic bool wanted_sent; /* it has not been read: its fields are not to be changed */
    unsigned wanted_legs;     /* in all */
    unsigned wanted_source;
    struct url url;
};

void body_init(struct body *body);
void body_free(struct body *body);

/* --- from the worker ------------------------------------------------------------------------- */

/* A leg has come, for one request. It goes back by worker_leg_ended(). */
void body_begin(struct leg *leg);
/* Lets it end early, if it has not ended yet. */
void body_cancel(struct leg *leg);
bool body_complete(const struct haul_download *transfer);
/* Once nothing is being hashed any more, and nothing is counted on that the sink may not have soon,
 * `then` is called, maybe at once. One at a time. */
void body_hush(struct haul_download *transfer, void (*then)(void *context), void *context);

/* --- from requests --------------------------------------------------------------------------- */

/* The sink has been prepared. */
void body_take_up(struct haul_download *transfer);
/* Whether what is stored may be gone on from with bytes of this source. */
bool body_may_resume(const struct haul_download *transfer, unsigned source);
/* What is to be noted of what will be stored, for another run. */
struct sink_version body_version(const struct haul_download *transfer);
/* What the content must hash to is what the user says, and the response that is at hand. anew: the
 * sink begins from nothing. False: out of memory. */
bool body_want_digests(struct haul_download *transfer, bool anew);
/* The leader's sink is open; the others may begin. */
void body_opened(struct leg *leader);
/* How many bytes before an offset are to be fetched again and compared; 0: none. */
size_t body_compare_bytes(const struct haul_download *transfer, uint64_t offset);
/* No leg can go on as it is: all are ended, but this one, whose request ends by itself. anew:
 * what is stored is not to be gone on from. */
void body_stop(struct leg *leg, const struct haul_error *error, bool anew);
/* The server does not give this leg the part that it was to fetch: whoever gets the whole body
 * takes all of it. False: nobody does. */
bool body_join(struct leg *leg);
/* The leg's request is over. */
void body_leg_over(struct leg *leg, const struct haul_error *error);
/* For whoever looks on: what is stored, and what has just come. */
void body_show(struct haul_download *transfer);
void body_show_more(struct haul_download *transfer, uint64_t bytes);

#endif
