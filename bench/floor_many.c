/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * floor's modes for many requests: one epoll loop, kept-alive connections that take the next URL of
 * the list when they are through with one.
 *
 *   CONNECTING --writable--> HEAD --head is here--> BODY --all of it--> HEAD (next URL)
 *                                                                        | list at its end
 *                                                                        v
 *                                                                      CLOSED
 *
 * Events are edge-triggered and asked for once, so that a small file takes send, a share of
 * epoll_wait, recv, openat, write and close. A receive that does not fill the buffer has emptied
 * the socket; what comes later makes a new edge. A head that does not come in one piece is not put
 * up with, for on loopback it always does.
 */
#include "floor.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

enum { EVENTS_MAX = 512 };

enum state { CONNECTING, HEAD, BODY, CLOSED };

struct connection {
    uint64_t left_bytes; /* of the body; valid in BODY */
    int fd;
    int file_fd; /* valid in BODY, -1 if bodies go nowhere */
    enum state state;
    char name[NAME_MAX_BYTES]; /* of the file asked for */
};

struct loop {
    const struct job *job;
    unsigned char *buffer; /* one for all: nothing stays in it between two events */
    uint64_t bytes;
    int epoll_fd;
    unsigned live;
    enum floor_files files;
};

static void connection_end(struct loop *l, struct connection *c)
{
    close(c->fd);
    c->state = CLOSED;
    l->live--;
}

static void connection_ask(struct loop *l, struct connection *c, const struct target *t)
{
    if (send(c->fd, t->request, t->request_bytes, MSG_NOSIGNAL) != (ssize_t)t->request_bytes)
        die("send", errno);
    if (l->files != FLOOR_NO_FILES)
        memcpy(c->name, t->name, sizeof c->name);
    c->state = HEAD;
}

static void connection_ask_next(struct loop *l, struct connection *c)
{
    struct target t;
    if (target_next(&t, l->job->list))
        connection_ask(l, c, &t);
    else
        connection_end(l, c);
}

static void partial_name(const struct connection *c, char *name, size_t bytes)
{
    int len = snprintf(name, bytes, "%s.part", c->name);
    if (len < 0 || (size_t)len >= bytes)
        die(c->name, ENAMETOOLONG);
}

static int file_begin(const struct loop *l, const struct connection *c)
{
    char name[NAME_MAX_BYTES + 8];
    switch (l->files) {
    case FLOOR_NO_FILES:
        break;
    case FLOOR_FILES:
        return file_create(l->job, c->name, 0);
    case FLOOR_RENAMED:
        partial_name(c, name, sizeof name);
        return file_create(l->job, name, O_EXCL);
    }
    return -1;
}

static void file_end(const struct loop *l, const struct connection *c)
{
    char name[NAME_MAX_BYTES + 8];
    int directory = l->job->directory_fd;
    if (l->files == FLOOR_RENAMED) {
        partial_name(c, name, sizeof name);
        if (renameat2(directory, name, directory, c->name, RENAME_NOREPLACE) < 0)
            die(c->name, errno);
    }
    close(c->file_fd);
}

static void connection_body(struct loop *l, struct connection *c, const unsigned char *bytes,
                            size_t count)
{
    if (count > c->left_bytes)
        die("more came than was announced", 0);
    if (c->file_fd >= 0 && count && write(c->file_fd, bytes, count) != (ssize_t)count)
        die("write", errno);
    c->left_bytes -= count;
    if (c->left_bytes)
        return;
    if (c->file_fd >= 0)
        file_end(l, c);
    connection_ask_next(l, c);
}

static void connection_head(struct loop *l, struct connection *c, size_t count)
{
    static const char end[] = "\r\n\r\n";
    char *text = (char *)l->buffer;
    char *found = memmem(text, count, end, strlen(end));
    if (!found)
        die("the head came in pieces", 0);
    *found = 0;
    c->left_bytes = head_length(text);
    c->file_fd = file_begin(l, c);
    c->state = BODY;
    l->bytes += c->left_bytes;
    size_t head_bytes = (size_t)(found - text) + strlen(end);
    connection_body(l, c, l->buffer + head_bytes, count - head_bytes);
}

static void connection_receive(struct loop *l, struct connection *c)
{
    for (;;) {
        size_t room = l->job->chunk_bytes;
        ssize_t got = recv(c->fd, l->buffer, room, 0);
        if (got < 0 && errno == EAGAIN)
            return;
        if (got <= 0)
            die("recv", got < 0 ? errno : 0);
        if (c->state == HEAD)
            connection_head(l, c, (size_t)got);
        else
            connection_body(l, c, l->buffer, (size_t)got);
        if ((size_t)got < room || c->state != BODY)
            return;
    }
}

static void connection_event(struct loop *l, struct connection *c, uint32_t events)
{
    if (c->state == CONNECTING) {
        int error = 0;
        socklen_t error_bytes = sizeof error;
        if (events & (EPOLLERR | EPOLLHUP)) {
            getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &error_bytes);
            die("connect", error);
        }
        connection_ask_next(l, c);
    } else if (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) {
        connection_receive(l, c);
    }
}

static void connection_start(struct loop *l, struct connection *c,
                             const struct sockaddr_in *address)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = c};
    c->state = CONNECTING;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        die("socket", errno);
    if (connect(c->fd, (const struct sockaddr *)address, sizeof *address) < 0 &&
        errno != EINPROGRESS)
        die("connect", errno);
    if (epoll_ctl(l->epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0)
        die("epoll_ctl", errno);
    l->live++;
}

static void loop_turn(struct loop *l)
{
    struct epoll_event events[EVENTS_MAX];
    int count = epoll_wait(l->epoll_fd, events, EVENTS_MAX, -1);
    if (count < 0 && errno != EINTR)
        die("epoll_wait", errno);
    for (int i = 0; i < count; i++)
        connection_event(l, events[i].data.ptr, events[i].events);
}

static void raise_file_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

uint64_t floor_many(const struct job *job, enum floor_files files)
{
    struct loop l = {.job = job, .files = files};
    struct connection *connections = calloc(job->connections, sizeof *connections);
    struct target first;
    if (!connections)
        die("memory", ENOMEM);
    raise_file_limit();
    l.buffer = buffer_alloc(job->chunk_bytes);
    l.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (l.epoll_fd < 0)
        die("epoll_create1", errno);
    if (!target_next(&first, job->list))
        die("the list is empty", 0);
    rewind(job->list);
    for (unsigned i = 0; i < job->connections; i++)
        connection_start(&l, &connections[i], &first.address);
    while (l.live)
        loop_turn(&l);
    close(l.epoll_fd);
    free(l.buffer);
    free(connections);
    return l.bytes;
}
