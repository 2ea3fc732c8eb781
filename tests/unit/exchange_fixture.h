/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the tests of the exchange share: one exchange on the real ring, its user, and the server at
 * the other end of a socket pair, which is the test itself.
 */
#ifndef TESTS_EXCHANGE_FIXTURE_H
#define TESTS_EXCHANGE_FIXTURE_H

#include "unit.h"

#include "net/exchange.h"

enum {
    BUDGET = 8 * CHUNK_BYTES_MAX,
    OTHERS_MAX = BUDGET / CHUNK_BYTES_MIN,
    BODY_BYTES = 2 * 1024 * 1024,
    SHORT_MS = 60 /* of a timeout that is meant to pass */
};

#define PATIENCE_NS  (UINT64_C(20) * (uint64_t)NS_PER_S)
#define REQUEST      "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
#define ORIGIN       "http://h:80"
#define LARGE_LENGTH "Content-Length: 2097152\r\n"
#define CHUNKED      "Transfer-Encoding: chunked\r\n"

/* What the user of the exchange does when it is called. */
enum act { GO_ON, ABORT, STOP, GIVE_BACK };

struct exchange_fixture {
    struct ring *ring;
    struct buffers *buffers;
    struct response *response;
    struct exchange exchange;
    int server;
    enum act at_head;
    enum act at_body;
    bool keep;            /* the user keeps what it is lent */
    bool eager;           /* asked for in `head`, as are... */
    bool aligned;         /* ...this... */
    uint64_t base_bytes;  /* ...this... */
    size_t chunk_bytes;   /* ...the largest chunks (0: any)... */
    unsigned lent_max;    /* ...how many of them (0: as many as possible)... */
    uint64_t deadline_ms; /* ...and this; 0: none */
    unsigned heads;
    unsigned bodies;
    unsigned endings;
    bool forget; /* the body is only counted */
    uint64_t body_bytes;
    struct text body;
    size_t last_size; /* of the chunk that was lent last */
    size_t last_len;
    size_t largest_size;
    unsigned misaligned; /* chunks that were not as asked for */
    struct chunk *lent[EXCHANGE_CHUNKS_MAX];
    size_t lent_count;
    struct connection *connection; /* that `ended` gave back */
    bool reusable;
    struct haul_error error;
    bool starting;
    struct chunk *others[OTHERS_MAX]; /* what somebody else has of the buffers */
    size_t other_count;
};

extern struct exchange_fixture f;

void begin(void);
void begin_with(uint64_t timeout_ms);
void end(void); /* CHECKs that everything has been given back */
void start(void);
void start_to(bool to_head);
void drop_connection(void);

void turn_ms(uint64_t ms);
void settle(void); /* until nothing more happens without the server or the user */
void give_one(void);
void give_all(void);
enum haul_status finish(void); /* goes on until the end, giving back what is lent */
void wait_head(void);

size_t serve(const char *data, size_t len); /* as much as the socket takes */
void serve_text(const char *text);
void serve_head(const char *framing);
/* The rest of a body, while the exchange goes on. */
enum haul_status serve_rest(const char *data, size_t at, size_t len);
/* Until nothing goes any more, of BODY_BYTES; returns up to where. */
size_t serve_until_stuck(const char *data, size_t at);
char *make_body(size_t len); /* to be freed */
void assert_body(const char *data, size_t len);

/* share NULL: for a moment. Takes in pieces of `bytes` until there are no more. */
void take_others(struct buffers_share *share, size_t bytes);
void give_other(void);
void give_others(void);

#endif
