/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * relay [-p PORT] [-r RATES] [-d DELAY_MS] [-c CUTS] [-s STALLS] TO_PORT
 *
 * Passes TCP connections to 127.0.0.1:PORT (0, the default, lets the kernel pick; it is printed on
 * stdout once the socket listens) on to 127.0.0.1:TO_PORT, as a long and narrow line would: both
 * directions arrive DELAY_MS late, and what comes back is held to so many bytes a second.
 *
 *   -r RATES    bytes a second; 0: as many as come
 *   -c CUTS     reset the connection once so many bytes have come back; 0: don't
 *   -s STALLS   hold what comes back after so many bytes; 0: don't
 *
 * Each is a list with commas: the first number is the first connection's, and so on; the last one
 * is that of all others too.
 *
 * Lines on stdin are commands: "report" is answered on stdout by one line of JSON with what each
 * connection has carried and when, "cut" resets all connections, "stall" holds what comes back on
 * all until "go". The end of stdin ends the relay, with a last report.
 *
 * One thread. Sockets are watched edge-triggered, so each end knows by itself whether it can be
 * read or written, and a connection that waits for its rate costs nothing but a time-out. A
 * direction is a ring of bytes:
 *
 *   recv, as the rate allows --> | sent ... | due ... | waits for its time ... | --> send
 *                                           ^ marks: up to which byte at which time
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    EVENTS_MAX = 64,
    MARKS = 1024,         /* of one millisecond at least: the longest delay */
    NUMBERS_MAX = 64,     /* in a list */
    RING_SPARE = 1 << 18, /* beyond what the delay fills */
    RING_OPEN = 8 << 20   /* where no rate says how much that is */
};

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S  UINT64_C(1000000000)
/* A rate is paid out in pieces of at least so long, and one that was not used is kept so long. */
#define PIECE_NS (2 * NS_PER_MS)
#define SAVED_NS (20 * NS_PER_MS)

struct numbers {
    uint64_t value[NUMBERS_MAX];
    unsigned count; /* 0: none given, all are 0 */
};

/* What is told of a connection; times in seconds since the relay began, 0: not yet. */
struct record {
    uint64_t up_bytes;
    uint64_t down_bytes;
    double begin;
    double first; /* byte that came back, as it was passed on */
    double last;
    double end;
};

struct end {
    struct connection *connection;
    int fd;
    bool readable;
    bool writable;
};

struct mark {
    uint64_t until_bytes; /* may be sent ... */
    uint64_t due_ns;      /* ... from then on */
};

/* One direction. */
struct stream {
    struct end *from;
    struct end *to;
    char *ring;
    size_t ring_bytes;
    uint64_t got_bytes;
    uint64_t sent_bytes;
    struct mark marks[MARKS];
    unsigned first_mark;
    unsigned mark_count;
    uint64_t rate;    /* 0: unlimited */
    uint64_t paid_ns; /* up to then, the rate has been used */
    uint64_t cut_bytes;
    uint64_t stall_bytes;
    bool ended; /* nothing more will be received */
    bool shut;  /* and that has been passed on */
};

struct connection {
    struct connection *next;
    struct end client;
    struct end server;
    struct stream up;
    struct stream down;
    size_t record; /* its place */
    bool dead;     /* closed; goes once no event can point here */
};

static struct {
    int epoll_fd;
    int listen_fd;
    uint16_t to_port;
    uint64_t delay_ns;
    struct numbers rates;
    struct numbers cuts;
    struct numbers stalls;
    uint64_t began_ns;
    bool stalled;
    struct connection *connections;
    struct record *records;
    size_t record_count;
    char command[64];
    size_t command_bytes;
} relay;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

static double seconds(uint64_t time_ns)
{
    return (double)(time_ns - relay.began_ns) / 1e9;
}

static uint64_t number_of(const struct numbers *numbers, size_t connection)
{
    if (numbers->count == 0)
        return 0;
    return numbers->value[connection < numbers->count ? connection : numbers->count - 1];
}

/* Connections. */

static void connection_close(struct connection *c, bool reset)
{
    if (c->dead)
        return;
    if (reset) {
        struct linger linger = {.l_onoff = 1};
        setsockopt(c->client.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
        setsockopt(c->server.fd, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    }
    close(c->client.fd);
    close(c->server.fd);
    relay.records[c->record].end = seconds(now_ns());
    c->dead = true;
}

static void connections_sweep(void)
{
    struct connection **at = &relay.connections;
    while (*at) {
        struct connection *c = *at;
        if (!c->dead) {
            at = &c->next;
            continue;
        }
        *at = c->next;
        free(c->up.ring);
        free(c->down.ring);
        free(c);
    }
}

static void end_watch(struct end *end, struct connection *c)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
                                .data.ptr = end};
    int on = 1;
    end->connection = c;
    setsockopt(end->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (epoll_ctl(relay.epoll_fd, EPOLL_CTL_ADD, end->fd, &event) < 0)
        die("epoll_ctl");
}

static void stream_init(struct stream *s, struct end *from, struct end *to, uint64_t rate)
{
    s->from = from;
    s->to = to;
    s->rate = rate;
    s->paid_ns = now_ns();
    s->ring_bytes =
        rate ? (size_t)(rate * (relay.delay_ns + SAVED_NS) / NS_PER_S) + RING_SPARE : RING_OPEN;
    s->ring = malloc(s->ring_bytes);
    if (!s->ring)
        die("malloc");
}

/* The server's side; its buffer is small, for else the server would be far ahead of the rate. */
static int dial(void)
{
    int size = 1 << 17;
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(relay.to_port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof size);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) < 0 && errno != EINPROGRESS) {
        close(fd);
        return -1;
    }
    return fd;
}

static void connection_begin(int fd)
{
    int server_fd = dial();
    if (server_fd < 0) {
        close(fd);
        return;
    }
    struct connection *c = calloc(1, sizeof *c);
    relay.records = realloc(relay.records, (relay.record_count + 1) * sizeof *relay.records);
    if (!c || !relay.records)
        die("malloc");
    c->record = relay.record_count++;
    relay.records[c->record] = (struct record){.begin = seconds(now_ns())};
    c->client.fd = fd;
    c->server.fd = server_fd;
    end_watch(&c->client, c);
    end_watch(&c->server, c);
    stream_init(&c->up, &c->client, &c->server, 0);
    stream_init(&c->down, &c->server, &c->client, number_of(&relay.rates, c->record));
    c->down.cut_bytes = number_of(&relay.cuts, c->record);
    c->down.stall_bytes = number_of(&relay.stalls, c->record);
    c->next = relay.connections;
    relay.connections = c;
}

static void accept_all(void)
{
    int fd;
    while ((fd = accept4(relay.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0)
        connection_begin(fd);
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        die("accept");
}

/* Streams. */

/* How much may be received now. */
static size_t stream_room(const struct stream *s, uint64_t now)
{
    uint64_t room = s->ring_bytes - (s->got_bytes - s->sent_bytes);
    uint64_t to_wrap = s->ring_bytes - s->got_bytes % s->ring_bytes;
    if (s->mark_count == MARKS)
        return 0;
    if (room > to_wrap)
        room = to_wrap;
    if (s->rate) {
        uint64_t earned = 0;
        if (now >= s->paid_ns + PIECE_NS)
            earned = (now - s->paid_ns) * s->rate / NS_PER_S;
        if (room > earned)
            room = earned;
    }
    return (size_t)room;
}

static void stream_mark(struct stream *s, uint64_t now)
{
    uint64_t due = now + relay.delay_ns;
    if (s->mark_count > 0) {
        struct mark *last = &s->marks[(s->first_mark + s->mark_count - 1) % MARKS];
        if (due < last->due_ns + NS_PER_MS) {
            last->until_bytes = s->got_bytes;
            return;
        }
    }
    s->marks[(s->first_mark + s->mark_count++) % MARKS] = (struct mark){s->got_bytes, due};
}

/* Whether something moved. */
static bool stream_receive(struct stream *s, uint64_t now)
{
    if (!s->from->readable || s->ended)
        return false;
    if (s->rate && s->paid_ns + SAVED_NS < now)
        s->paid_ns = now - SAVED_NS;
    size_t room = stream_room(s, now);
    if (room == 0)
        return false;
    ssize_t got = recv(s->from->fd, s->ring + s->got_bytes % s->ring_bytes, room, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN)) {
        s->from->readable = false;
        return false;
    }
    if (got < 0) {
        connection_close(s->from->connection, true);
        return false;
    }
    if (got == 0) {
        s->ended = true;
    } else {
        s->got_bytes += (uint64_t)got;
        if (s->rate)
            s->paid_ns += (uint64_t)got * NS_PER_S / s->rate;
    }
    stream_mark(s, now);
    return true;
}

/* What is due, and neither held nor to be cut off. */
static uint64_t stream_due(struct stream *s, uint64_t now)
{
    uint64_t until = s->sent_bytes;
    while (s->mark_count > 0 && s->marks[s->first_mark].due_ns <= now) {
        until = s->marks[s->first_mark].until_bytes;
        if (until > s->sent_bytes)
            break;
        s->first_mark = (s->first_mark + 1) % MARKS;
        s->mark_count--;
    }
    if (s->stall_bytes && until > s->stall_bytes)
        until = s->stall_bytes;
    if (s->cut_bytes && until > s->cut_bytes)
        until = s->cut_bytes;
    return until - s->sent_bytes;
}

static bool stream_held(const struct stream *s)
{
    struct connection *c = s->from->connection;
    return s == &c->down && relay.stalled;
}

static void stream_note(struct stream *s, uint64_t now)
{
    struct connection *c = s->from->connection;
    struct record *record = &relay.records[c->record];
    if (s == &c->up) {
        record->up_bytes = s->sent_bytes;
        return;
    }
    record->down_bytes = s->sent_bytes;
    record->last = seconds(now);
    if (record->first == 0)
        record->first = record->last;
}

static bool stream_send(struct stream *s, uint64_t now)
{
    if (!s->to->writable || s->shut || stream_held(s))
        return false;
    uint64_t due = stream_due(s, now);
    if (due == 0) {
        if (!s->ended || s->mark_count > 0 || s->sent_bytes < s->got_bytes)
            return false;
        shutdown(s->to->fd, SHUT_WR);
        s->shut = true;
        return true;
    }
    uint64_t to_wrap = s->ring_bytes - s->sent_bytes % s->ring_bytes;
    size_t count = (size_t)(due < to_wrap ? due : to_wrap);
    ssize_t sent = send(s->to->fd, s->ring + s->sent_bytes % s->ring_bytes, count, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOTCONN)) {
        s->to->writable = false;
        return false;
    }
    if (sent < 0) {
        connection_close(s->to->connection, true);
        return false;
    }
    s->sent_bytes += (uint64_t)sent;
    stream_note(s, now);
    if (s->cut_bytes && s->sent_bytes >= s->cut_bytes)
        connection_close(s->to->connection, true);
    return true;
}

static void connection_pump(struct connection *c, uint64_t now)
{
    bool moved = true;
    while (moved && !c->dead) {
        moved = false;
        struct stream *streams[] = {&c->up, &c->down};
        for (int i = 0; i < 2 && !c->dead; i++) {
            moved |= stream_receive(streams[i], now);
            if (!c->dead)
                moved |= stream_send(streams[i], now);
        }
    }
    if (c->up.shut && c->down.shut)
        connection_close(c, false);
}

/* When it has something to do though nothing happens at its sockets. */
static uint64_t stream_next_ns(const struct stream *s)
{
    uint64_t next = UINT64_MAX;
    if (s->from->readable && !s->ended && s->rate && s->mark_count < MARKS &&
        s->got_bytes - s->sent_bytes < s->ring_bytes)
        next = s->paid_ns + PIECE_NS;
    if (s->to->writable && s->mark_count > 0 && !stream_held(s) &&
        !(s->stall_bytes && s->sent_bytes >= s->stall_bytes) &&
        s->marks[s->first_mark].due_ns < next)
        next = s->marks[s->first_mark].due_ns;
    return next;
}

/* Commands. */

static void report(void)
{
    uint64_t up = 0;
    uint64_t down = 0;
    printf("{\"connections\": [");
    for (size_t i = 0; i < relay.record_count; i++) {
        const struct record *r = &relay.records[i];
        printf("%s{\"up\": %" PRIu64 ", \"down\": %" PRIu64
               ", \"begin\": %.4f, \"first\": %.4f, \"last\": %.4f, \"end\": %.4f}",
               i > 0 ? ", " : "", r->up_bytes, r->down_bytes, r->begin, r->first, r->last, r->end);
        up += r->up_bytes;
        down += r->down_bytes;
    }
    printf("], \"up\": %" PRIu64 ", \"down\": %" PRIu64 ", \"now\": %.4f}\n", up, down,
           seconds(now_ns()));
    fflush(stdout);
}

static void command_run(const char *command)
{
    if (strcmp(command, "report") == 0) {
        report();
    } else if (strcmp(command, "cut") == 0) {
        for (struct connection *c = relay.connections; c; c = c->next)
            connection_close(c, true);
    } else if (strcmp(command, "stall") == 0 || strcmp(command, "go") == 0) {
        relay.stalled = command[0] == 's';
    } else {
        fprintf(stderr, "relay: no such command: %s\n", command);
        exit(2);
    }
}

static void command_read(void)
{
    size_t room = sizeof relay.command - 1 - relay.command_bytes;
    ssize_t got = read(STDIN_FILENO, relay.command + relay.command_bytes, room);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0) {
        report();
        exit(0);
    }
    relay.command_bytes += (size_t)got;
    char *end;
    while ((end = memchr(relay.command, '\n', relay.command_bytes)) != NULL) {
        size_t used = (size_t)(end - relay.command) + 1;
        *end = '\0';
        command_run(relay.command);
        relay.command_bytes -= used;
        memmove(relay.command, relay.command + used, relay.command_bytes);
    }
    if (relay.command_bytes == sizeof relay.command - 1) {
        fputs("relay: the command has no end\n", stderr);
        exit(2);
    }
}

/* The loop. */

static int timeout_ms(void)
{
    uint64_t next = UINT64_MAX;
    for (const struct connection *c = relay.connections; c; c = c->next) {
        uint64_t up = stream_next_ns(&c->up);
        uint64_t down = stream_next_ns(&c->down);
        next = up < next ? up : next;
        next = down < next ? down : next;
    }
    if (next == UINT64_MAX)
        return -1;
    uint64_t now = now_ns();
    return next <= now ? 0 : (int)((next - now + NS_PER_MS - 1) / NS_PER_MS);
}

static void take(const struct epoll_event *event)
{
    if (event->data.ptr == &relay.listen_fd) {
        accept_all();
    } else if (event->data.ptr == relay.command) {
        command_read();
    } else {
        struct end *end = event->data.ptr;
        if (event->events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
            end->readable = true;
        if (event->events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
            end->writable = true;
    }
}

static void serve(void)
{
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int count = epoll_wait(relay.epoll_fd, events, EVENTS_MAX, timeout_ms());
        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < count; i++)
            take(&events[i]);
        uint64_t now = now_ns();
        for (struct connection *c = relay.connections; c; c = c->next)
            connection_pump(c, now);
        connections_sweep();
    }
}

static void watch(int fd, void *what)
{
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = what};
    /* EPERM: a file, such as /dev/null, which is no use as a line of commands. */
    if (epoll_ctl(relay.epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 && errno != EPERM)
        die("epoll_ctl");
}

static uint16_t listen_on(uint16_t port)
{
    int on = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    relay.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (relay.listen_fd < 0)
        die("socket");
    setsockopt(relay.listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(relay.listen_fd, (struct sockaddr *)&address, sizeof address) < 0)
        die("bind");
    if (listen(relay.listen_fd, 1024) < 0)
        die("listen");
    if (getsockname(relay.listen_fd, (struct sockaddr *)&address, &length) < 0)
        die("getsockname");
    return ntohs(address.sin_port);
}

static uint64_t number(const char *text, char **end, uint64_t most)
{
    errno = 0;
    uintmax_t value = strtoumax(text, end, 10);
    if (errno || *end == text || *text == '-' || value > most) {
        fprintf(stderr, "relay: not a number up to %" PRIu64 ": %s\n", most, text);
        exit(2);
    }
    return value;
}

static uint64_t only_number(const char *text, uint64_t most)
{
    char *end;
    uint64_t value = number(text, &end, most);
    if (*end) {
        fprintf(stderr, "relay: not a number: %s\n", text);
        exit(2);
    }
    return value;
}

static void read_numbers(struct numbers *numbers, const char *text)
{
    char *end;
    numbers->count = 0;
    for (;; text = end + 1) {
        if (numbers->count == NUMBERS_MAX) {
            fputs("relay: too many numbers\n", stderr);
            exit(2);
        }
        numbers->value[numbers->count++] = number(text, &end, UINT64_C(1) << 40);
        if (*end != ',')
            break;
    }
    if (*end) {
        fprintf(stderr, "relay: no list of numbers: %s\n", text);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    uint16_t port = 0;
    int option;
    while ((option = getopt(argc, argv, "p:r:d:c:s:")) != -1) {
        if (option == 'p')
            port = (uint16_t)only_number(optarg, UINT16_MAX);
        else if (option == 'd')
            relay.delay_ns = only_number(optarg, MARKS - 2) * NS_PER_MS;
        else if (option == 'r')
            read_numbers(&relay.rates, optarg);
        else if (option == 'c')
            read_numbers(&relay.cuts, optarg);
        else if (option == 's')
            read_numbers(&relay.stalls, optarg);
        else
            return 2;
    }
    if (optind != argc - 1) {
        fputs("usage: relay [-p PORT] [-r RATES] [-d DELAY_MS] [-c CUTS] [-s STALLS] TO_PORT\n",
              stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    relay.to_port = (uint16_t)only_number(argv[optind], UINT16_MAX);
    relay.began_ns = now_ns();
    relay.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (relay.epoll_fd < 0)
        die("epoll");
    uint16_t listening = listen_on(port);
    watch(relay.listen_fd, &relay.listen_fd);
    watch(STDIN_FILENO, relay.command);
    printf("%u\n", (unsigned)listening);
    fflush(stdout);
    serve();
}
