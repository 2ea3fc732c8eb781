/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HTTP servers: honest ones, which hold resources in versions, and what can be wrong with them.
 *
 * A resource is what a URL stands for; a copy is one as one server has it, under one path. Faults
 * that a client can't possibly notice are left out: a server that sends other bytes under the right
 * numbers and names.
 */
#ifndef TESTS_SIM_SERVER_H
#define TESTS_SIM_SERVER_H

#include "base/span.h"
#include "base/text.h"
#include "crypto/hash.h"
#include "tests/sim/content.h"
#include "tests/sim/world.h"

enum { RESOURCE_VERSIONS_MAX = 4, ARRIVALS_MAX = 512 };

struct resource {
    unsigned number;
    unsigned version_count;
    unsigned current; /* the version that servers have now */
    struct content versions[RESOURCE_VERSIONS_MAX];
    struct digest sha256[RESOURCE_VERSIONS_MAX];
    bool hashed[RESOURCE_VERSIONS_MAX];
    bool slandered;      /* a server has sent a wrong digest of it */
    uint64_t sent_bytes; /* of bodies, as far as somebody has received them; ... */
    size_t arrival_count;
    struct {
        uint64_t at_ns;
        uint64_t sent_bytes;
    } arrivals[ARRIVALS_MAX]; /* ... and when: the last of them, [arrival_count % ARRIVALS_MAX] next
                               */
};

enum validator {
    VALIDATOR_ETAG,
    VALIDATOR_DATE,      /* a Last-Modified long ago */
    VALIDATOR_WEAK_ETAG, /* no good for If-Range */
    VALIDATOR_NEW_DATE,  /* a Last-Modified of just now: neither */
    VALIDATOR_NONE
};

enum framing { FRAMING_LENGTH, FRAMING_CHUNKED, FRAMING_CLOSE };

struct copy {
    size_t host; /* of net->hosts */
    char path[48];
    struct resource *resource;
    bool ranges;           /* honours Range */
    bool old;              /* has the first version, and never another one */
    bool own_tags;         /* the same version has another ETag here than elsewhere */
    bool digests;          /* sends Repr-Digest */
    const char *file_name; /* sends Content-Disposition; NULL: it does not */
    enum validator validator;
    enum framing framing;
    struct copy *redirect; /* NULL: it is here */
};

enum ending { ENDING_KEEP, ENDING_FIN, ENDING_RESET, ENDING_STALL };

/* What is sent for one request: head, then a part of a version, up to where it ends. */
struct reply {
    char *head; /* owned; with a body that is not just content behind it */
    size_t head_len;
    const struct content *content;
    struct resource *resource; /* counts what is received of content; NULL: nobody does */
    uint64_t from;
    uint64_t len;
    uint64_t extra; /* of len, bytes that belong to no answer */
    uint64_t cut;   /* so many bytes of all that come before the ending */
    enum ending ending;
    uint64_t think_ns;
    uint64_t burst_bytes; /* come at once, ... */
    uint64_t pause_ns;    /* ... then this is waited */
};

struct net;

/* What a server has at this place now. */
unsigned copy_version(const struct copy *copy);
void resource_sent(struct resource *resource, uint64_t bytes, uint64_t now_ns);
/* What sent_bytes was then; UINT64_MAX: that is not known any more. */
uint64_t resource_sent_at(const struct resource *resource, uint64_t at_ns);
/* What stands for this version in ETag or Last-Modified; empty: nothing does. */
void copy_validator(const struct copy *copy, unsigned version, int64_t now_s, struct text *text);
void resource_hash(struct resource *resource, unsigned version, enum hash_type type,
                   struct digest *digest);
/* The answer to a request's head. */
void server_answer(struct net *net, size_t host, struct span head, struct reply *reply);

#endif
