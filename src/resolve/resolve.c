/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Names to addresses, through c-ares on the ring.
 *
 *   resolve_ask() --> lookup WAITING --pump()--> RUNNING -- c-ares --> KEPT, until it expires
 *        |                | questions             |    (or WAITING, first in the queue, to ask for
 *        |                v                       v     the next name that it may stand for)
 *        +<-- true: hosts file, or kept    resolver.answered --> question.done()
 *
 * A question is in one list at a time: that of its lookup, then `answered`, then none; so taking it
 * back is taking it out of a list. A lookup that waits goes with its last question.
 *
 * c-ares runs only below pump(), watch_done(), timer_fired() and close_channel(). Its
 * callbacks change our objects and call nobody: `done` is called by settle() afterwards, when it
 * may ask again, or destroy the resolver.
 *
 * Each socket of c-ares has a watch, which owns the poll under way. c-ares closes sockets
 * whenever it likes, and their numbers come back: a closed watch is out of the list at once, its
 * poll is cancelled, and the poll's completion ends it, looking at nothing else.
 */
#include "resolve/resolve.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/map.h"
#include "resolve/channel.h"
#include "resolve/hosts.h"
#include "resolve/search.h"

enum {
    TTL_MIN_S = 1,
    TTL_MAX_S = 300,
    UNKNOWN_S = 30, /* that there is no such name, or no address of the family */
    TROUBLE_S = 1,  /* that the name servers failed: who tries again should be in luck soon */
    KEPT_MAX = 10000,
    LOOK_MS = 1000, /* between two looks whether a file is another one */
    HOSTS_BYTES_MAX = 64 * 1024 * 1024
};

static const char hosts_path[] = "/etc/hosts";
static const char configuration_path[] = "/etc/resolv.conf";

enum lookup_state {
    LOOKUP_WAITING, /* questions; link, in resolver.waiting */
    LOOKUP_RUNNING, /* questions */
    LOOKUP_KEPT     /* link, in resolver.kept; expires_ns, status, reason, count, addresses */
};

struct lookup {
    struct map_node node;
    struct resolver *resolver;
    enum lookup_state state;
    int family;
    struct list questions;
    struct list link;
    size_t step; /* of search_next() */
    bool as_is;  /* what is asked for is the name as it is */
    int failure; /* what c-ares has said so far of the names that it may stand for */
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
    bool channel_stale;   /* it has changed: nothing more is asked for until all is quiet */
    struct ring_mark configuration;
    uint64_t trouble_look_ns; /* when to look again whether it is another one */
    struct search search;
    struct resolver_options options;
    struct hosts *hosts; /* NULL: there are none */
    struct ring_mark hosts_mark;
    uint64_t hosts_look_ns; /* when to look again */
    bool unwatched;         /* there was no memory to watch a socket, which would stay silent */
    bool destroyed;
    struct timer timer;
    struct map lookups;
    struct list waiting; /* lookups, first come first */
    size_t running;
    struct list kept; /* lookups, those that nobody has asked for longest first */
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

static void question_answer(struct resolve_question *question, enum haul_status status,
                            const char *reason)
{
    question->lookup = NULL;
    question->waiting = false;
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

static void lookup_unlink(struct lookup *lookup)
{
    if (lookup->state == LOOKUP_KEPT)
        lookup->resolver->kept_count--;
    list_remove(&lookup->link);
}

static void lookup_free(struct lookup *lookup)
{
    struct list *node;

    while ((node = list_pop_front(&lookup->questions)))
        LIST_ITEM(node, struct resolve_question, node)->lookup = NULL;
    map_remove(&lookup->resolver->lookups, &lookup->node);
    lookup_unlink(lookup);
    free(lookup->addresses);
    free(lookup);
}

void resolve_drop(struct resolve_question *question)
{
    struct lookup *lookup = question->lookup;

    list_remove(&question->node);
    question->lookup = NULL;
    question->waiting = false;
    if (lookup && lookup->state == LOOKUP_WAITING && !list_is_linked(&lookup->questions))
        lookup_free(lookup);
}

static void question_wait_for(struct resolve_question *question, struct lookup *lookup)
{
    question->lookup = lookup;
    question->waiting = lookup->state == LOOKUP_WAITING;
    question->sent_ns = ring_now_ns(lookup->resolver->ring);
    list_push_back(&lookup->questions, &question->node);
}

static struct lookup *lookup_create(struct resolver *resolver, struct span key, int family)
{
    struct lookup *lookup = alloc_zeroed(sizeof(*lookup) + key.len + 1);

    if (!lookup)
        return NULL;
    lookup->resolver = resolver;
    lookup->state = LOOKUP_WAITING;
    lookup->family = family;
    lookup->failure = ARES_SUCCESS;
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

static void keep(struct lookup *lookup, int ttl_s)
{
    struct resolver *resolver = lookup->resolver;

    lookup->state = LOOKUP_KEPT;
    lookup->expires_ns = ring_now_ns(resolver->ring) + (uint64_t)ttl_s * (uint64_t)NS_PER_S;
    list_push_back(&resolver->kept, &lookup->link);
    if (++resolver->kept_count > KEPT_MAX)
        lookup_free(LIST_ITEM(resolver->kept.next, struct lookup, link));
}

/* Whether the name may stand for another one, which is to be asked for now. What the name as it is
 * comes to counts, if that is first; else any trouble there was. */
static bool lookup_goes_on(struct lookup *lookup, int status)
{
    struct span name = span_of(lookup->key + 1);
    bool as_is_first = search_as_is_first(&lookup->resolver->search, name);
    char candidate[SEARCH_NAME_ROOM];
    size_t step = lookup->step;
    bool as_is;

    if (as_is_first ? lookup->as_is
                    : lookup->failure == ARES_SUCCESS || lookup->failure == ARES_ENOTFOUND)
        lookup->failure = status;
    /* No address of this family, but maybe of the other: then the name is this one. */
    if (status == ARES_ENODATA)
        lookup->failure = status;
    if (status != ARES_ENOTFOUND && (as_is_first || status != ARES_ECONNREFUSED))
        return false;
    return search_next(&lookup->resolver->search, name, &step, candidate, &as_is);
}

static int lookup_keep_s(const struct lookup *lookup, int ttl_s)
{
    if (lookup->status == HAUL_HOST_UNKNOWN)
        return UNKNOWN_S;
    if (lookup->status != HAUL_OK)
        return TROUBLE_S;
    return ttl_s < TTL_MIN_S ? TTL_MIN_S : ttl_s;
}

/* Maybe the network is another one by now. */
static void note_trouble(struct resolver *resolver)
{
    uint64_t now = ring_now_ns(resolver->ring);
    struct ring_mark mark;

    resolver->channel_suspect = true;
    if (now < resolver->trouble_look_ns)
        return;
    resolver->trouble_look_ns = now + LOOK_MS * (uint64_t)NS_PER_MS;
    mark = ring_mark(resolver->ring, configuration_path);
    if (!ring_mark_equal(&mark, &resolver->configuration))
        resolver->channel_stale = true;
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
    resolver->running--;
    if (status != ARES_SUCCESS) {
        if (lookup_goes_on(lookup, status)) {
            lookup->state = LOOKUP_WAITING;
            list_push_front(&resolver->waiting, &lookup->link);
            return;
        }
        status = lookup->failure;
    }
    lookup->status = channel_status(status, &lookup->reason);
    if (lookup->status == HAUL_RESOLVER)
        note_trouble(resolver);
    ttl_s = lookup_keep_s(lookup, ttl_s);
    log_write(resolver->log, HAUL_LOG_DEBUG, "%s: %zu IPv%c addresses, %d timeouts, kept %d s%s%s",
              lookup->key + 1, lookup->count, lookup->key[0], timeouts, ttl_s,
              lookup->reason[0] ? ": " : "", lookup->reason);
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
static void pump(struct resolver *resolver);

/* After each call into c-ares that may open sockets. What is asked for on one that nobody watches
 * would only time out. */
static void check_watches(struct resolver *resolver)
{
    if (!resolver->unwatched)
        return;
    resolver->unwatched = false;
    ares_cancel(resolver->channel);
}

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
    check_watches(resolver);
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
        if (!watch) {
            resolver->unwatched = true;
            return;
        }
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
    do {
        while ((node = list_pop_front(&resolver->answered))) {
            struct resolve_question *question = LIST_ITEM(node, struct resolve_question, node);

            question->done(question);
        }
        if (!resolver->destroyed)
            pump(resolver);
    } while (list_is_linked(&resolver->answered));
    if (!resolver->destroyed)
        set_timer(resolver);
    ref_drop(&resolver->ref);
}

static void timer_fired(struct timer *timer)
{
    struct resolver *resolver = CONTAINER_OF(timer, struct resolver, timer);

    if (resolver->channel_open)
        ares_process_fd(resolver->channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
    check_watches(resolver);
    settle(resolver);
}

/* ---- c-ares itself ---- */

/* Returns c-ares's status. */
static int open_channel(struct resolver *resolver)
{
    int status;

    resolver->configuration = ring_mark(resolver->ring, configuration_path);
    resolver->channel_suspect = resolver->channel_stale = false;
    status = channel_create(&resolver->channel, &resolver->options.servers, socket_changed,
                            resolver, &resolver->search);
    resolver->channel_open = status == ARES_SUCCESS;
    return status;
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

struct resolver *resolver_create(struct ring *ring, const struct resolver_options *options,
                                 const struct log *log)
{
    struct resolver *resolver = alloc_zeroed(sizeof(*resolver));

    if (!resolver)
        return NULL;
    ref_init(&resolver->ref, resolver_last);
    resolver->ring = ring;
    resolver->log = log;
    if (options)
        resolver->options = *options;
    if (resolver->options.running_max == 0)
        resolver->options.running_max = RESOLVE_RUNNING_MAX;
    timer_init(&resolver->timer, timer_fired);
    map_init(&resolver->lookups, ring_random(ring));
    list_init(&resolver->waiting);
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
    while ((node = map_any(&resolver->lookups)))
        lookup_free(MAP_ITEM(node, struct lookup, node));
    map_free(&resolver->lookups);
    hosts_free(resolver->hosts);
    search_clear(&resolver->search);
    while (list_pop_front(&resolver->answered))
        ;
    ref_drop(&resolver->ref);
}

/* ---- asking ---- */

/* The domain itself, or a name in it. */
static bool is_in(struct span host, struct span domain)
{
    if (host.len > 0 && host.data[host.len - 1] == '.')
        host.len--;
    if (host.len > domain.len && host.data[host.len - domain.len - 1] != '.')
        return false;
    return host.len >= domain.len &&
           span_equal_nocase(span_sub(host, host.len - domain.len, domain.len), domain);
}

static void question_answer_loopback(struct resolve_question *question, int family)
{
    const struct in_addr v4 = {.s_addr = htonl(INADDR_LOOPBACK)};

    question_answer(question, HAUL_OK, "");
    question->count = 1;
    question->addresses[0] =
        family == AF_INET ? address_v4(&v4, 0) : address_v6(&in6addr_loopback, 0);
}

/* The lookup's key. */
static void make_key(char key[SEARCH_NAME_ROOM + 1], struct span host, int family)
{
    key[0] = family == AF_INET ? '4' : '6';
    for (size_t i = 0; i < host.len; i++) {
        char c = host.data[i];

        key[i + 1] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    key[host.len + 1] = '\0';
}

static void lookup_start(struct lookup *lookup)
{
    struct resolver *resolver = lookup->resolver;
    /* The order of the name servers' answer is kept: c-ares would open a socket for each address
     * to sort them. */
    struct ares_addrinfo_hints hints = {
        .ai_flags = ARES_AI_NOSORT, .ai_family = lookup->family, .ai_socktype = SOCK_STREAM};
    uint64_t now = ring_now_ns(resolver->ring);
    char name[SEARCH_NAME_ROOM];

    lookup->state = LOOKUP_RUNNING;
    resolver->running++;
    for (struct list *node = lookup->questions.next; node != &lookup->questions;
         node = node->next) {
        struct resolve_question *question = LIST_ITEM(node, struct resolve_question, node);

        if (question->waiting)
            question->sent_ns = now;
        question->waiting = false;
    }
    if (search_next(&resolver->search, span_of(lookup->key + 1), &lookup->step, name,
                    &lookup->as_is))
        ares_getaddrinfo(resolver->channel, name, NULL, &hints, lookup_done, lookup);
    else /* the configuration has changed meanwhile */
        lookup_done(lookup, ARES_ENOTFOUND, 0, NULL);
    check_watches(resolver);
}

/* False: nothing can be asked for, and the lookup has failed. */
static bool ready_channel(struct resolver *resolver, struct lookup *lookup)
{
    int status;

    if ((resolver->channel_suspect || resolver->channel_stale) && resolver->running == 0)
        close_channel(resolver);
    if (resolver->channel_open)
        return true;
    status = open_channel(resolver);
    if (status == ARES_SUCCESS)
        return true;
    lookup->as_is = true;
    resolver->running++;
    lookup_done(lookup, status, 0, NULL);
    return false;
}

/* Starts what may be asked for. Answers that are there at once go into `answered`. */
static void pump(struct resolver *resolver)
{
    while (list_is_linked(&resolver->waiting) &&
           resolver->running < resolver->options.running_max) {
        struct lookup *lookup = LIST_ITEM(resolver->waiting.next, struct lookup, link);

        if (resolver->channel_stale && resolver->running > 0)
            return;
        lookup_unlink(lookup);
        if (ready_channel(resolver, lookup))
            lookup_start(lookup);
    }
}

/* True: answered already. */
static bool start_lookup(struct resolver *resolver, struct resolve_question *question,
                         struct span key, int family)
{
    struct lookup *lookup = lookup_create(resolver, key, family);

    if (!lookup) {
        question_answer(question, HAUL_OUT_OF_MEMORY, "out of memory");
        return true;
    }
    question_wait_for(question, lookup);
    list_push_back(&resolver->waiting, &lookup->link);
    pump(resolver);
    if (!question->lookup) /* names that can't be asked for, and c-ares's own trouble */
        list_remove(&question->node);
    set_timer(resolver);
    return !question->lookup;
}

/* Once a second at most, whether it is still the same. One that can't be read has no names. */
static void refresh_hosts(struct resolver *resolver)
{
    uint64_t now = ring_now_ns(resolver->ring);
    struct ring_mark mark;
    struct text text = {0};
    int res;

    if (now < resolver->hosts_look_ns)
        return;
    resolver->hosts_look_ns = now + LOOK_MS * (uint64_t)NS_PER_MS;
    mark = ring_mark(resolver->ring, hosts_path);
    if (ring_mark_equal(&mark, &resolver->hosts_mark))
        return;
    hosts_free(resolver->hosts);
    resolver->hosts = NULL;
    res = ring_read_text(resolver->ring, hosts_path, HOSTS_BYTES_MAX, &text, &resolver->hosts_mark);
    if (res == 0)
        resolver->hosts = hosts_parse(text_span(&text), ring_random(resolver->ring));
    text_free(&text);
    if (!resolver->hosts && res != -ENOENT)
        log_write(resolver->log, HAUL_LOG_WARN, "%s: can't be read (%s)", hosts_path,
                  strerror(res == 0 ? ENOMEM : -res));
}

/* What needs no name server. */
static bool answer_here(struct resolver *resolver, struct resolve_question *question,
                        struct span host, int family)
{
    if (family == AF_INET6 && resolver->options.ipv6_off) {
        question_answer(question, HAUL_HOST_UNKNOWN, "IPv6 is switched off");
        return true;
    }
    if (is_in(host, SPAN("localhost"))) { /* RFC 6761 6.3: whatever a name server says */
        question_answer_loopback(question, family);
        return true;
    }
    if (is_in(host, SPAN("onion"))) { /* RFC 7686: nobody else's business */
        question_answer(question, HAUL_HOST_UNKNOWN, "names of .onion exist in Tor's network only");
        return true;
    }
    if (!search_is_name(host)) {
        question_answer(question, HAUL_HOST_UNKNOWN, "that can't be a host name");
        return true;
    }
    refresh_hosts(resolver);
    question_answer(question, HAUL_OK, "");
    if (!resolver->hosts || !hosts_find(resolver->hosts, host, family, question->addresses,
                                        RESOLVE_ADDRESSES_MAX, &question->count))
        return false;
    if (question->count == 0)
        question_answer(question, HAUL_HOST_UNKNOWN, "the name has no address");
    return true;
}

bool resolve_ask(struct resolver *resolver, struct resolve_question *question, struct span host,
                 int family)
{
    char key[SEARCH_NAME_ROOM + 1];
    struct map_node *node;
    struct lookup *lookup;

    CHECK(!list_is_linked(&question->node) && (family == AF_INET || family == AF_INET6));
    CHECK(!resolver->destroyed);
    if (answer_here(resolver, question, host, family))
        return true;
    make_key(key, host, family);
    node = map_find(&resolver->lookups, span_of(key));
    lookup = node ? MAP_ITEM(node, struct lookup, node) : NULL;
    if (lookup && lookup->state != LOOKUP_KEPT) {
        question_wait_for(question, lookup);
        return false;
    }
    if (lookup && lookup->expires_ns > ring_now_ns(resolver->ring)) {
        question_answer_kept(question, lookup);
        list_remove(&lookup->link);
        list_push_back(&resolver->kept, &lookup->link);
        return true;
    }
    if (lookup)
        lookup_free(lookup);
    return start_lookup(resolver, question, span_of(key), family);
}
