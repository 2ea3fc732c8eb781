/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The work of one grant: make the sink ready, get a connection, one exchange on it, and the body
 * into the sink. Objects are used over and over. In the thread of their worker.
 */
#ifndef ENGINE_REQUEST_H
#define ENGINE_REQUEST_H

#include "engine/decode.h"
#include "engine/transfer.h"
#include "net/exchange.h"

enum request_state {
    REQUEST_IDLE,
    REQUEST_PREPARING,  /* a step of the sink is under way */
    REQUEST_CHECKING,   /* a file that was there is being hashed */
    REQUEST_READING,    /* what is to be compared is being read back */
    REQUEST_CONNECTING, /* connect */
    REQUEST_HEAD,       /* exchange */
    REQUEST_NAMING,     /* exchange waits; a step of the sink is under way: another name */
    REQUEST_OPENING,    /* exchange waits; a step of the sink is under way */
    REQUEST_BODY,       /* exchange */
    REQUEST_DRAINING,   /* exchange; the body is read to keep the connection, and thrown away */
    REQUEST_SETTLING    /* the network's part is over, error is final; writes, a read or a step of
                           the sink may be under way */
};

struct request_write {
    struct sink_write write;
    struct request *request;
    struct chunk *chunk; /* NULL: the place is free */
    unsigned users;      /* of the chunk: the write, the piece */
    struct verify_piece piece;
};

struct request {
    struct list node; /* of the idle ones */
    enum request_state state;
    struct worker *worker;
    struct leg *leg;
    struct connect connect;
    struct exchange exchange;
    struct response *response;
    struct text head;
    struct request_write writes[EXCHANGE_CHUNKS_MAX];
    unsigned writing;      /* of them */
    bool step;             /* a step or read of the sink is under way */
    bool fresh;            /* an idle connection has failed us: take a new one */
    bool reused;           /* the connection has carried others before */
    bool ending;           /* being aborted: what still comes is stored, but decides nothing */
    bool conditional;      /* the request asks for another version than the one that is there */
    bool ranged;           /* the request asks for a part only... */
    struct extent asked;   /* ...which is this; to UINT64_MAX: up to the end */
    bool whole;            /* the response is the whole body, whatever leg->range says */
    uint64_t base_bytes;   /* where the response's body begins in the file */
    size_t compare_bytes;  /* so many at its beginning are there already, and must be the same */
    char *compare;         /* they; NULL: there are none */
    struct sink_read read; /* of them */
    struct coding_list codings; /* to be taken off the body; maybe none */
    struct decode *decode;      /* which does so; NULL: none are */
    struct digest announced;    /* of that body, by the server... */
    bool is_announced;          /* ...if it has */
    uint64_t drain_bytes;       /* thrown away so far */
    struct timer pace_timer;
    uint64_t pace_ns;    /* since when... */
    uint64_t pace_bytes; /* ...these have come */
    uint64_t slow_bytes; /* the same since pace_timer was started */
    struct haul_error error;
};

/* NULL: out of memory. */
struct request *request_take(struct worker *worker);
void request_destroy(struct request *request); /* an idle one, not in the list */
void request_start(struct request *request, struct leg *leg);
/* Ends as soon as what is under way lets it, with body_leg_over(). */
void request_abort(struct request *request, const struct haul_error *error);

/* From its parts: the response's body goes to the sink; or it does not, and is read only to keep
 * the connection; or nothing can go on, of no leg. */
void request_open(struct request *request);
void request_drop(struct request *request);
void request_fail_all(struct request *request, const struct haul_error *error);

/* Up to where its leg's range has been received; what has ended has nothing before it any more. */
uint64_t request_position(const struct request *request);
/* Bytes per second, over the last moments; 0: not known yet. */
uint64_t request_speed(const struct request *request);
/* Somebody else fetches what is behind `to`. */
void request_cut(struct request *request, uint64_t to);
/* False: its response is not the whole body. Else its leg goes on to the end of it. */
bool request_take_all(struct request *request);

/* For its own parts: a chunk of the body goes to the sink; and the network's part is over. */
void request_store(struct request *request, struct chunk *chunk, struct span data, uint64_t offset);
void request_finish(struct request *request, const struct haul_error *error);

#endif
