/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * slowserver PORT DELAY_MS [BODY_BYTES [PIECE_BYTES]]
 *
 * Answers every GET on 127.0.0.1:PORT with a fixed body, DELAY_MS after the request's head was
 * complete; with PIECE_BYTES, no more than that at a time, every DELAY_MS. Carries many thousands
 * of kept-alive connections on one thread. PORT 0 lets the kernel pick; the port is printed on
 * stdout once the socket listens. SIGTERM ends it.
 *
 * The delay is one constant, so answers fall due in the order in which requests came: a FIFO of
 * waiting connections is all the timer that is needed. A request sent before the last one was
 * answered (pipelining) waits in the socket.
 *
 *   READING --head complete--> WAITING --due--> WRITING --all sent--> READING
 *                                 ^               |
 *                                 \--piece sent---/
 *
 * A connection that closes while WAITING stays in the FIFO (its `dead` flag set) until it falls
 * due.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* accept4 */
#endif
#include <errno.h>
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
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { EVENTS_MAX = 512 };

enum state { READING, WAITING, WRITING };

struct connection {
    struct connection *next; /* in the FIFO, while WAITING */
    uint64_t due_ns;         /* valid in WAITING */
    size_t sent_bytes;       /* of the answer; valid in WAITING and WRITING */
    size_t until_bytes;      /* of it, what may be sent now */
    int fd;
    enum state state;
    unsigned tail; /* how much of CR LF CR LF the bytes read last match */
    bool dead;
};

static struct {
    int epoll_fd;
    int listen_fd;
    uint64_t delay_ns;
    char *answer;
    size_t answer_bytes;
    size_t piece_bytes;
    struct connection *first;
    struct connection **end;
} server;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void connection_watch(struct connection *c, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.ptr = c};
    if (epoll_ctl(server.epoll_fd, EPOLL_CTL_MOD, c->fd, &event) < 0)
        die("epoll_ctl");
}

static void connection_close(struct connection *c)
{
    close(c->fd);
    if (c->state == WAITING)
        c->dead = true; /* the FIFO still points here */
    else
        free(c);
}

static void connection_wait(struct connection *c)
{
    c->state = WAITING;
    c->due_ns = now_ns() + server.delay_ns;
    c->next = NULL;
    *server.end = c;
    server.end = &c->next;
    connection_watch(c, EPOLLRDHUP); /* a client that gives up is noticed, its bytes are not read */
}

/* True when the bytes end a head. Bytes behind it are another request's; clients here do not
 * pipeline. */
static bool head_ends(struct connection *c, const char *bytes, size_t count)
{
    static const char pattern[] = "\r\n\r\n";
    for (size_t i = 0; i < count; i++) {
        if (bytes[i] == pattern[c->tail])
            c->tail++;
        else
            c->tail = bytes[i] == '\r';
        if (c->tail == 4) {
            c->tail = 0;
            return true;
        }
    }
    return false;
}

static void connection_read(struct connection *c)
{
    char bytes[4096];
    ssize_t got = recv(c->fd, bytes, sizeof bytes, 0);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (got <= 0)
        connection_close(c);
    else if (head_ends(c, bytes, (size_t)got)) {
        c->sent_bytes = 0;
        connection_wait(c);
    }
}

static void connection_write(struct connection *c)
{
    ssize_t sent =
        send(c->fd, server.answer + c->sent_bytes, c->until_bytes - c->sent_bytes, MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) {
        connection_close(c);
        return;
    }
    if (sent > 0)
        c->sent_bytes += (size_t)sent;
    if (c->sent_bytes < c->until_bytes) {
        connection_watch(c, EPOLLOUT);
    } else if (c->sent_bytes < server.answer_bytes) {
        connection_wait(c);
    } else {
        c->state = READING;
        connection_watch(c, EPOLLIN);
    }
}

static void answer_due(uint64_t now)
{
    while (server.first && server.first->due_ns <= now) {
        struct connection *c = server.first;
        server.first = c->next;
        if (!server.first)
            server.end = &server.first;
        if (c->dead) {
            free(c);
            continue;
        }
        c->state = WRITING;
        c->until_bytes = server.answer_bytes - c->sent_bytes > server.piece_bytes
                             ? c->sent_bytes + server.piece_bytes
                             : server.answer_bytes;
        connection_write(c);
    }
}

static void accept_all(void)
{
    int on = 1;
    int fd;
    while ((fd = accept4(server.listen_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *c = calloc(1, sizeof *c);
        if (!c)
            die("calloc");
        c->fd = fd;
        c->state = READING;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
        if (epoll_ctl(server.epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0)
            die("epoll_ctl");
    }
    if (errno != EAGAIN && errno != ECONNABORTED && errno != EINTR)
        die("accept");
}

static void connection_event(struct connection *c)
{
    switch (c->state) {
    case READING:
        connection_read(c);
        break;
    case WAITING:
        connection_close(c); /* only EPOLLRDHUP and errors are reported here */
        break;
    case WRITING:
        connection_write(c);
        break;
    }
}

static int timeout_ms(void)
{
    if (!server.first)
        return -1;
    uint64_t now = now_ns();
    if (server.first->due_ns <= now)
        return 0;
    return (int)((server.first->due_ns - now + 999999u) / 1000000u);
}

static void serve(void)
{
    struct epoll_event events[EVENTS_MAX];
    for (;;) {
        int count = epoll_wait(server.epoll_fd, events, EVENTS_MAX, timeout_ms());
        if (count < 0 && errno != EINTR)
            die("epoll_wait");
        for (int i = 0; i < count; i++) {
            if (events[i].data.ptr)
                connection_event(events[i].data.ptr);
            else
                accept_all();
        }
        answer_due(now_ns());
    }
}

static uint16_t listen_on(uint16_t port)
{
    int on = 1;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    server.listen_fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (server.listen_fd < 0)
        die("socket");
    setsockopt(server.listen_fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(server.listen_fd, (struct sockaddr *)&address, sizeof address) < 0)
        die("bind");
    if (listen(server.listen_fd, 65535) < 0) /* the kernel cuts it to net.core.somaxconn */
        die("listen");
    if (getsockname(server.listen_fd, (struct sockaddr *)&address, &length) < 0)
        die("getsockname");
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    server.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (server.epoll_fd < 0 ||
        epoll_ctl(server.epoll_fd, EPOLL_CTL_ADD, server.listen_fd, &event) < 0)
        die("epoll");
    return ntohs(address.sin_port);
}

static void make_answer(size_t body_bytes)
{
    char head[160];
    int head_bytes = snprintf(head, sizeof head,
                              "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                              "Content-Length: %zu\r\n\r\n",
                              body_bytes);
    server.answer_bytes = (size_t)head_bytes + body_bytes;
    server.answer = malloc(server.answer_bytes);
    if (!server.answer)
        die("malloc");
    memcpy(server.answer, head, (size_t)head_bytes);
    memset(server.answer + head_bytes, 'x', body_bytes);
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

static uint64_t number(const char *text, uint64_t most)
{
    char *end;
    errno = 0;
    uintmax_t value = strtoumax(text, &end, 10);
    if (errno || end == text || *end || *text == '-' || value > most) {
        fprintf(stderr, "slowserver: not a number up to %" PRIu64 ": %s\n", most, text);
        exit(2);
    }
    return value;
}

int main(int argc, char **argv)
{
    if (argc < 3 || argc > 5) {
        fputs("usage: slowserver PORT DELAY_MS [BODY_BYTES [PIECE_BYTES]]\n", stderr);
        return 2;
    }
    signal(SIGPIPE, SIG_IGN);
    raise_file_limit();
    server.end = &server.first;
    server.delay_ns = number(argv[2], 3600000) * 1000000u;
    make_answer(argc > 3 ? number(argv[3], 1u << 30) : 1024);
    server.piece_bytes = argc > 4 ? number(argv[4], 1u << 30) : SIZE_MAX;
    printf("%u\n", (unsigned)listen_on((uint16_t)number(argv[1], 65535)));
    fflush(stdout);
    serve();
}
