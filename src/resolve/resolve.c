/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names to addresses, through c-ares on the ring.
 *
 *   resolve_ask() --> lookup (RUNNING) -- c-ares --> lookup (KEPT, until it expires)
 *        |                | questions                    |
 *        |                v                              v
 *        +<-- true: kept from before          resolver.answered --> question.done()
 *
 * A question is in one list at a time: that of its running lookup, then `answered`, then none;
 * so taking it back is taking it out of a list.
 *
 * c-ares runs only below resolve_ask(), watch_done(), timer_fired() and close_channel(). Its
 * callbacks change our objects and call nobody: `done` is called by settle() afterwards, when it
 * may ask again, or destroy the resolver.
 *
 * Each socket of c-ares has a watch, which owns the poll under way. c-ares closes sockets
 * whenever it likes, and their numbers come back: a closed watch is out of the list at once, its
 * poll is cancelled, and the poll's completion ends it, looking at nothing else.
 */
#include "resolve/resolve.h"

#include <ares.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/map.h"

enum {
    TRY_MS = 3000, /* for the first try; c-ares doubles it for the next */
    TRIES = 2,
    TTL_MIN_S = 1,
    TTL_MAX_S = 300,
    FAILURE_S = 5,
    KEPT_MAX = 10000,
    NAME_BYTES_MAX = 254 /* with a last dot */
};

enum lookup_state {
    LOOKUP_RUNNING, /* questions */
    LOOKUP_KEPT     /* link, expires_ns, status, reason, count, addresses */
};

struct lookup {
    struct map_node node;
    struct resolver *resolver;
    enum lookup_state state;
    int family;
    struct list questions;
    struct list link; /* in resolver.kept */
    uint64_t expires_ns;
    enum haul_status status;
    const char *reason;
    size_t count;
    struct address *addresses; /* NULL: none */
    char key[];                /* '4' or '6', the name in lower case, NUL */
};

/* A socket of c-ares. References: the list's, and the poll's. */
struct watch {
    struct ref ref;
    struct op op;
    struct list node;
    struct resolver *resolver; /* not to be used once closed */
    int fd;
    short events; /* wanted */
    short polled; /* of the poll under way */
    bool closed;
};

struct resolver {
    struct ref ref; /* the creator's, and one while settle() may call back */
    struct ring *ring;
    const struct log *log;
    ares_channel channel; /* valid while channel_open */
    bool channel_open;
    bool channel_suspect; /* name servers failed: read the configuration anew when all is quiet */
    bool destroyed;
    struct timer timer;
    struct map lookups;
    size_t running;
    struct list kept; /* lookups, oldest first */
    size_t kept_count;
    struct list watches;
    struct list answered; /* questions whose answer is filled in */
};

/* ---- questions and lookups ---- */

void resolve_question_init(struct resolve_question *question,
                           void (*done)(struct resolve_question *question))
{
    *question = (struct resolve_question){.done = done, .reason = ""};
    list_init(&question->node);
}

void resolve_drop(struct resolve_question *question)
{
    list_remove(&question->node);
}

static void question_answer(struct resolve_question *question, enum haul_status status,
                            const char *reason)
{
    question->status = status;
    question->reason = reason;
    question->count = 0;
}

static void question_answer_kept(struct resolve_question *question, const struct lookup *lookup)
{
    question_answer(question, lookup->status, lookup->reason);
    question->count = lookup->count;
    if (lookup->count > 0)
        memcpy(question->addresses, lookup->addresses, lookup->count * sizeof(struct address));
}

static void lookup_free(struct lookup *lookup)
{
    struct list *node;

    while ((node = list_pop_front(&lookup->questions)))
        ;
    map_remove(&lookup->resolver->lookups, &lookup->node);
    if (list_is_linked(&lookup->link)) {
        list_remove(&lookup->link);
        lookup->resolver->kept_count--;
    }
    free(lookup->addresses);
    free(lookup);
}

static struct lookup *lookup_create(struct resolver *resolver, struct span key, int family)
{
    struct lookup *lookup = alloc_zeroed(sizeof(*lookup) + key.len + 1);

    if (!lookup)
        return NULL;
    lookup->resolver = resolver;
    lookup->state = LOOKUP_RUNNING;
    lookup->family = family;
    list_init(&lookup->questions);
    list_init(&lookup->link);
    memcpy(lookup->key, key.data, key.len);
    if (!map_put(&resolver->lookups, &lookup->node, span_make(lookup->key, key.len))) {
        free(lookup);
        return NULL;
    }
    return lookup;
}

/* RUNNING to KEPT: the addresses of c-ares, and for how long. Returns c-ares's status. */
static int lookup_take(struct lookup *lookup, const struct ares_addrinfo *result, int *ttl_s)
{
    size_t count = 0;

    for (const struct ares_addrinfo_cname *cname = result->cnames; cname; cname = cname->next)
        if (cname->ttl < *ttl_s)
            *ttl_s = cname->ttl;
    for (const struct ares_addrinfo_node *node = result->nodes; node; node = node->ai_next)
        count += node->ai_family == lookup->family;
    if (count == 0)
        return ARES_ENODATA;
    if (count > RESOLVE_ADDRESSES_MAX)
        count = RESOLVE_ADDRESSES_MAX;
    lookup->addresses = alloc_zeroed(count * sizeof(struct address));
    if (!lookup->addresses)
        return ARES_ENOMEM;
    for (const struct ares_addrinfo_node *node = result->nodes; node; node = node->ai_next) {
        struct address *address = &lookup->addresses[lookup->count];

        if (node->ai_family != lookup->family || lookup->count == count)
            continue;
        CHECK(node->ai_addrlen <= sizeof(address->v6));
        memcpy(&address->any, node->ai_addr, node->ai_addrlen);
        address->len = node->ai_addrlen;
        lookup->count++;
        if (node->ai_ttl < *ttl_s)
            *ttl_s = node->ai_ttl;
    }
    return ARES_SUCCESS;
}

static enum haul_status status_of(int status, const char **reason)
{
    switch (status) {
    case ARES_SUCCESS:
        *reason = "";
        return HAUL_OK;
    case ARES_ENOTFOUND:
        *reason = "there is no such name";
        return HAUL_HOST_UNKNOWN;
    case ARES_ENODATA:
        *reason = "the name has no address";
        return HAUL_HOST_UNKNOWN;
    case ARES_EBADNAME:
        *reason = "that can't be a host name";
        return HAUL_HOST_UNKNOWN;
    case ARES_ENOMEM:
        *reason = "out of memory";
        return HAUL_OUT_OF_MEMORY;
    case ARES_ETIMEOUT:
        *reason = "no name server answered in time";
        return HAUL_RESOLVER;
    case ARES_ECONNREFUSED: /* also when all of them answered SERVFAIL */
        *reason = "the name servers are unreachable, or fail";
        return HAUL_RESOLVER;
    default:
        *reason = ares_strerror(status);
        return HAUL_RESOLVER;
    }
}

static void keep(struct lookup *lookup, int ttl_s)
{
    struct resolver *resolver = lookup->resolver;

    lookup->state = LOOKUP_KEPT;
    lookup->expires_ns = ring_now_ns(resolver->ring) + (uint64_t)ttl_s * (uint64_t)NS_PER_S;
    list_push_back(&resolver->kept, &lookup->link);
    if (++resolver->kept_count > KEPT_MAX)
        lookup_free(LIST_ITEM(resolver->kept.next, struct lookup, link));
}

/* Called by c-ares, maybe from within ares_getaddrinfo(). */
static void lookup_done(void *context, int status, int timeouts, struct ares_addrinfo *result)
{
    struct lookup *lookup = context;
    struct resolver *resolver = lookup->resolver;
    int ttl_s = TTL_MAX_S;
    struct list *node;

    if (status == ARES_EDESTRUCTION) {
        ares_freeaddrinfo(result);
        return; /* close_channel() */
    }
    if (status == ARES_SUCCESS)
        status = lookup_take(lookup, result, &ttl_s);
    ares_freeaddrinfo(result);
    lookup->status = status_of(status, &lookup->reason);
    if (lookup->status == HAUL_RESOLVER)
        resolver->channel_suspect = true;
    if (lookup->status == HAUL_HOST_UNKNOWN)
        ttl_s = FAILURE_S;
    else if (lookup->status != HAUL_OK)
        ttl_s = 0; /* a server in trouble may be well again when the download is tried anew */
    else if (ttl_s < TTL_MIN_S)
        ttl_s = TTL_MIN_S;
    log_write(resolver->log, HAUL_LOG_DEBUG, "%s: %zu IPv%c addresses, %d timeouts, kept %d s%s%s",
              lookup->key + 1, lookup->count, lookup->key[0], timeouts, ttl_s,
              lookup->reason[0] ? ": " : "", lookup->reason);
    resolver->running--;
    while ((node = list_pop_front(&lookup->questions))) {
        question_answer_kept(LIST_ITEM(node, struct resolve_question, node), lookup);
        list_push_back(&resolver->answered, node);
    }
    keep(lookup, ttl_s);
}

/* ---- sockets and time ---- */

static void watch_last(struct ref *ref)
{
    free(CONTAINER_OF(ref, struct watch, ref));
}

static void watch_poll(struct watch *watch)
{
    watch->polled = watch->events;
    ring_poll(watch->resolver->ring, &watch->op, watch->fd, watch->events);
}

static void settle(struct resolver *resolver);

static void watch_done(struct op *op, int res)
{
    struct watch *watch = CONTAINER_OF(op, struct watch, op);
    struct resolver *resolver = watch->resolver;

    if (watch->closed)
        return;
    if (res == -ECANCELED) {
        watch_poll(watch);
        return;
    }
    /* An error is for both: c-ares reads or writes, and finds out. */
    ares_process_fd(resolver->channel, res < 0 || (res & ~POLLOUT) ? watch->fd : ARES_SOCKET_BAD,
                    res < 0 || (res & ~POLLIN) ? watch->fd : ARES_SOCKET_BAD);
    /* A poll that itself failed would only fail again; then c-ares's time limit has the word. */
    if (!watch->closed && !op_busy(op) && res >= 0)
        watch_poll(watch);
    settle(resolver);
}

static struct watch *watch_find(struct resolver *resolver, int fd)
{
    for (struct list *node = resolver->watches.next; node != &resolver->watches;
         node = node->next) {
        struct watch *watch = LIST_ITEM(node, struct watch, node);

        if (watch->fd == fd)
            return watch;
    }
    return NULL;
}

/* Called by c-ares: it opened a socket, wants other events of it, or is about to close it. */
static void socket_changed(void *context, ares_socket_t fd, int readable, int writable)
{
    struct resolver *resolver = context;
    struct watch *watch = watch_find(resolver, fd);
    short events = (short)((readable ? POLLIN : 0) | (writable ? POLLOUT : 0));

    if (events == 0) {
        if (!watch)
            return;
        watch->closed = true;
        list_remove(&watch->node);
        ring_cancel(resolver->ring, &watch->op);
        ref_drop(&watch->ref);
        return;
    }
    if (!watch) {
        watch = alloc_zeroed(sizeof(*watch));
        if (!watch)
            return; /* this socket stays silent, and the try times out */
        ref_init(&watch->ref, watch_last);
        op_init(&watch->op, watch_done, &watch->ref);
        watch->resolver = resolver;
        watch->fd = fd;
        list_init(&watch->node);
        list_push_back(&resolver->watches, &watch->node);
    }
    watch->events = events;
    if (!op_busy(&watch->op))
        watch_poll(watch);
    else if (watch->polled != events)
        ring_cancel(resolver->ring, &watch->op);
}

static void set_timer(struct resolver *resolver)
{
    uint64_t now = ring_now_ns(resolver->ring);
    struct timeval left;

    if (list_is_linked(&resolver->answered)) /* by a call to resolve_ask() for another question */
        ring_timer_start(resolver->ring, &resolver->timer, now);
    else if (resolver->channel_open && ares_timeout(resolver->channel, NULL, &left))
        ring_timer_start(resolver->ring, &resolver->timer,
                         now + (uint64_t)left.tv_sec * (uint64_t)NS_PER_S +
                             (uint64_t)left.tv_usec * 1000 + (uint64_t)NS_PER_MS);
    else
        timer_stop(&resolver->timer);
}

/* To be called last: the resolver may be gone afterwards. */
static void settle(struct resolver *resolver)
{
    struct list *node;

    ref_hold(&resolver->ref);
    while ((node = list_pop_front(&resolver->answered))) {
        struct resolve_question *question = LIST_ITEM(node, struct resolve_question, node);

        question->done(question);
    }
    if (!resolver->destroyed)
        set_timer(resolver);
    ref_drop(&resolver->ref);
}

static void timer_fired(struct timer *timer)
{
    struct resolver *resolver = CONTAINER_OF(timer, struct resolver, timer);

    if (resolver->channel_open)
        ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    settle(resolver);
}

/* ---- c-ares itself ---- */

/* Reads /etc/resolv.conf. Returns c-ares's status. ares_library_init() is not called: outside of
 * Windows it only counts who uses the library, in a global that is not safe for threads. */
static int open_channel(struct resolver *resolver)
{
    char lookups[] = "fb"; /* the hosts file, then the name servers */
    struct ares_options options = {.timeout = TRY_MS,
                                   .tries = TRIES,
                                   .lookups = lookups,
                                   .sock_state_cb = socket_changed,
                                   .sock_state_cb_data = resolver};
    int status = ares_init_options(&resolver->channel, &options,
                                   ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_LOOKUPS |
                                       ARES_OPT_SOCK_STATE_CB);

    if (status != ARES_SUCCESS)
        return status;
    resolver->channel_open = true;
    resolver->channel_suspect = false;
    return ARES_SUCCESS;
}

static void close_channel(struct resolver *resolver)
{
    if (!resolver->channel_open)
        return;
    ares_destroy(resolver->channel); /* closes its sockets, and with them the watches */
    resolver->channel_open = false;
    CHECK(!list_is_linked(&resolver->watches));
}

static void resolver_last(struct ref *ref)
{
    free(CONTAINER_OF(ref, struct resolver, ref));
}

struct resolver *resolver_create(struct ring *ring, const struct log *log)
{
    struct resolver *resolver = alloc_zeroed(sizeof(*resolver));

    if (!resolver)
        return NULL;
    ref_init(&resolver->ref, resolver_last);
    resolver->ring = ring;
    resolver->log = log;
    timer_init(&resolver->timer, timer_fired);
    map_init(&resolver->lookups, ring_random(ring));
    list_init(&resolver->kept);
    list_init(&resolver->watches);
    list_init(&resolver->answered);
    return resolver;
}

void resolver_destroy(struct resolver *resolver)
{
    struct map_node *node;

    if (!resolver)
        return;
    resolver->destroyed = true;
    timer_stop(&resolver->timer);
    close_channel(resolver);
    while (list_is_linked(&resolver->kept))
        lookup_free(LIST_ITEM(resolver->kept.next, struct lookup, link));
    while ((node = map_any(&resolver->lookups))) /* those that were running */
        lookup_free(MAP_ITEM(node, struct lookup, node));
    map_free(&resolver->lookups);
    while (list_pop_front(&resolver->answered))
        ;
    ref_drop(&resolver->ref);
}

/* ---- asking ---- */

/* RFC 6761 6.3: these never leave the machine, whatever a name server says. */
static bool is_localhost(struct span host)
{
    static const char suffix[] = ".localhost";
    const size_t len = sizeof(suffix) - 1;

    if (host.len > 0 && host.data[host.len - 1] == '.')
        host.len--;
    if (host.len < len)
        return span_equal_nocase(host, SPAN("localhost"));
    return span_equal_nocase(span_sub(host, host.len - len, len), span_make(suffix, len));
}

static void question_answer_loopback(struct resolve_question *question, int family)
{
    const struct in_addr v4 = {.s_addr = htonl(INADDR_LOOPBACK)};

    question_answer(question, HAUL_OK, "");
    question->count = 1;
    question->addresses[0] =
        family == AF_INET ? address_v4(&v4, 0) : address_v6(&in6addr_loopback, 0);
}

/* The lookup's key; false: no host can have this name. */
static bool make_key(char key[NAME_BYTES_MAX + 2], struct span host, int family)
{
    if (host.len == 0 || host.len > NAME_BYTES_MAX || span_find(host, '\0') < host.len)
        return false;
    key[0] = family == AF_INET ? '4' : '6';
    for (size_t i = 0; i < host.len; i++) {
        char c = host.data[i];

        key[i + 1] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    key[host.len + 1] = '\0';
    return true;
}

/* True: answered already. */
static bool start_lookup(struct resolver *resolver, struct resolve_question *question,
                         struct span key, int family)
{
    /* The order of the name servers' answer is kept: c-ares would open a socket for each address
     * to sort them. */
    struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NOSORT, .ai_family = family, .ai_socktype = SOCK_STREAM};
    struct lookup *lookup;
    int status = ARES_SUCCESS;

    if (resolver->channel_suspect && resolver->running == 0)
        close_channel(resolver);
    if (!resolver->channel_open)
        status = open_channel(resolver);
    lookup = status == ARES_SUCCESS ? lookup_create(resolver, key, family) : NULL;
    if (!lookup) {
        const char *reason;
        enum haul_status result = status_of(status == ARES_SUCCESS ? ARES_ENOMEM : status, &reason);

        question_answer(question, result, reason);
        return true;
    }
    list_push_back(&lookup->questions, &question->node);
    resolver->running++;
    /* The hosts file, and names that can't be, are answered at once: into `answered`. */
    ares_getaddrinfo(resolver->channel, lookup->key + 1, NULL, &hints, lookup_done, lookup);
    if (lookup->state == LOOKUP_KEPT)
        list_remove(&question->node);
    set_timer(resolver);
    return lookup->state == LOOKUP_KEPT;
}

bool resolve_ask(struct resolver *resolver, struct resolve_question *question, struct span host,
                 int family)
{
    char key[NAME_BYTES_MAX + 2];
    struct map_node *node;
    struct lookup *lookup;

    CHECK(!list_is_linked(&question->node) && (family == AF_INET || family == AF_INET6));
    CHECK(!resolver->destroyed);
    if (is_localhost(host)) {
        question_answer_loopback(question, family);
        return true;
    }
    if (!make_key(key, host, family)) {
        question_answer(question, HAUL_HOST_UNKNOWN, "that can't be a host name");
        return true;
    }
    node = map_find(&resolver->lookups, span_of(key));
    lookup = node ? MAP_ITEM(node, struct lookup, node) : NULL;
    if (lookup && lookup->state == LOOKUP_RUNNING) {
        list_push_back(&lookup->questions, &question->node);
        return false;
    }
    if (lookup && lookup->expires_ns > ring_now_ns(resolver->ring)) {
        question_answer_kept(question, lookup);
        return true;
    }
    if (lookup)
        lookup_free(lookup);
    return start_lookup(resolver, question, span_of(key), family);
}
