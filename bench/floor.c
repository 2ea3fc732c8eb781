/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * floor MODE [-c CHUNK] [-n CONNECTIONS] LIST DIRECTORY
 *
 * The limits that a downloader is held against: the least that can be done to fetch the URLs of a
 * list into files on this machine. No TLS, no checks: http://IPv4:PORT/path answered with 200 and a
 * Content-Length; a file gets the name that stands behind the last slash.
 *
 *   recv           receive and throw away (DIRECTORY is not touched)
 *   recv-write     blocking recv, then write
 *   splice         socket to pipe to file
 *   uring          io_uring recv and ring write, overlapped, two buffers a file
 *   uring-waitall  the same with MSG_WAITALL: full chunks, fewer of them
 *   direct         recv(MSG_WAITALL) and O_DIRECT writes into fallocated blocks, registered
 *                  buffers, overlapped
 *   files          epoll over CONNECTIONS kept-alive connections, for many small files
 *   renamed        the same, and each file gets its name when it is complete
 *   wait           the same without files: what an origin and the kernel allow
 *
 * The first three fetch one URL after the other, the ring modes all at once. CHUNK is 1M if not
 * given (K and M understood). Prints one line.
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "floor.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <liburing.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { STREAMS_MAX = 1024, CONNECTIONS_MAX = 1 << 20, BUFFERS = 2 };

static const char *program_mode;

void die(const char *what, int error)
{
    fprintf(stderr, "floor %s: %s: %s\n", program_mode, what, error ? strerror(error) : "failed");
    exit(1);
}

/* ---- one URL ---- */

static void target_parse(struct target *t, const char *url)
{
    char host[64];
    const char *scheme = "http://";
    if (strncmp(url, scheme, strlen(scheme)) != 0)
        die("only http:// is known", 0);
    const char *authority = url + strlen(scheme);
    const char *path = strchr(authority, '/');
    const char *colon = strchr(authority, ':');
    if (!path || (colon && colon > path))
        die("URL without a path", 0);
    size_t host_bytes = (size_t)((colon ? colon : path) - authority);
    if (host_bytes >= sizeof host)
        die("host too long", 0);
    memcpy(host, authority, host_bytes);
    host[host_bytes] = 0;
    unsigned long port = colon ? strtoul(colon + 1, NULL, 10) : 80;
    t->address = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (port > 65535 || inet_pton(AF_INET, host, &t->address.sin_addr) != 1)
        die("host must be an IPv4 address", 0);
    int bytes = snprintf(t->request, sizeof t->request, "GET %s HTTP/1.1\r\nHost: %s:%lu\r\n\r\n",
                         path, host, port);
    if (bytes < 0 || (size_t)bytes >= sizeof t->request)
        die("URL too long", 0);
    t->request_bytes = (size_t)bytes;
    const char *name = strrchr(path, '/') + 1;
    if (!*name || strlen(name) >= sizeof t->name)
        die("URL without a file name, or with a long one", 0);
    memcpy(t->name, name, strlen(name) + 1);
}

bool target_next(struct target *t, FILE *list)
{
    char line[2048];
    if (!fgets(line, sizeof line, list))
        return false;
    line[strcspn(line, "\r\n")] = 0;
    target_parse(t, line);
    return true;
}

uint64_t head_length(const char *head)
{
    static const char name[] = "\r\nContent-Length:";
    const char *length = strcasestr(head, name);
    if (strncmp(head, "HTTP/1.1 200", 12) != 0 || !length)
        die("want a 200 with Content-Length", 0);
    return strtoull(length + strlen(name), NULL, 10);
}

/* Reads exactly the head: what follows is the body's first byte. Returns Content-Length. */
static uint64_t head_read(int fd)
{
    char head[HEAD_MAX + 1];
    for (;;) {
        ssize_t got = recv(fd, head, HEAD_MAX, MSG_PEEK);
        if (got <= 0)
            die("recv", got < 0 ? errno : 0);
        head[got] = 0;
        char *end = strstr(head, "\r\n\r\n");
        if (!end && got == HEAD_MAX)
            die("head too long", 0);
        if (!end)
            continue;
        if (recv(fd, head, (size_t)(end + 4 - head), MSG_WAITALL) != end + 4 - head)
            die("recv", errno);
        *end = 0;
        return head_length(head);
    }
}

static int fetch_start(const struct target *t, uint64_t *body_bytes)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (const struct sockaddr *)&t->address, sizeof t->address) < 0)
        die("connect", errno);
    if (send(fd, t->request, t->request_bytes, MSG_NOSIGNAL) != (ssize_t)t->request_bytes)
        die("send", errno);
    *body_bytes = head_read(fd);
    return fd;
}

int file_create(const struct job *job, const char *name, int flags)
{
    int fd =
        openat(job->directory_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | flags, 0644);
    if (fd < 0)
        die(name, errno);
    return fd;
}

unsigned char *buffer_alloc(size_t bytes)
{
    void *buffer = aligned_alloc(ALIGN, (bytes + ALIGN - 1) / ALIGN * ALIGN);
    if (!buffer)
        die("memory", ENOMEM);
    memset(buffer, 0, bytes);
    return buffer;
}

/* ---- blocking modes: one body from socket to file ---- */

typedef void body_fn(int socket_fd, int file_fd, uint64_t body_bytes, size_t chunk_bytes,
                     unsigned char *buffer);

static size_t smaller(uint64_t left, size_t chunk_bytes)
{
    return left < chunk_bytes ? (size_t)left : chunk_bytes;
}

static size_t receive(int socket_fd, unsigned char *buffer, size_t bytes)
{
    ssize_t got = recv(socket_fd, buffer, bytes, 0);
    if (got <= 0)
        die("recv", got < 0 ? errno : 0);
    return (size_t)got;
}

static void body_recv(int socket_fd, int file_fd, uint64_t body_bytes, size_t chunk_bytes,
                      unsigned char *buffer)
{
    (void)file_fd;
    while (body_bytes)
        body_bytes -= receive(socket_fd, buffer, smaller(body_bytes, chunk_bytes));
}

static void body_recv_write(int socket_fd, int file_fd, uint64_t body_bytes, size_t chunk_bytes,
                            unsigned char *buffer)
{
    while (body_bytes) {
        size_t got = receive(socket_fd, buffer, smaller(body_bytes, chunk_bytes));
        if (write(file_fd, buffer, got) != (ssize_t)got)
            die("write", errno);
        body_bytes -= got;
    }
}

static void body_splice(int socket_fd, int file_fd, uint64_t body_bytes, size_t chunk_bytes,
                        unsigned char *buffer)
{
    int ends[2];
    (void)buffer;
    if (pipe2(ends, O_CLOEXEC) < 0)
        die("pipe", errno);
    if (fcntl(ends[0], F_SETPIPE_SZ, (int)chunk_bytes) < 0) /* beyond 1 MiB only for root */
        die("F_SETPIPE_SZ", errno);
    while (body_bytes) {
        ssize_t got = splice(socket_fd, NULL, ends[1], NULL, smaller(body_bytes, chunk_bytes),
                             SPLICE_F_MOVE | SPLICE_F_MORE);
        if (got <= 0)
            die("splice from the socket", got < 0 ? errno : 0);
        body_bytes -= (uint64_t)got;
        while (got) {
            ssize_t put =
                splice(ends[0], NULL, file_fd, NULL, (size_t)got, SPLICE_F_MOVE | SPLICE_F_MORE);
            if (put <= 0)
                die("splice to the file", put < 0 ? errno : 0);
            got -= put;
        }
    }
    close(ends[0]);
    close(ends[1]);
}

/* ---- ring modes ---- */

enum engine_kind { BLOCKING, RING, MANY };

struct mode {
    const char *name;
    enum engine_kind kind;
    body_fn *body; /* BLOCKING */
    bool no_file;
    bool waitall;
    bool direct; /* O_DIRECT, fallocate, registered buffers */
    enum floor_files files;
};

static const struct mode modes[] = {
    {.name = "recv", .body = body_recv, .no_file = true},
    {.name = "recv-write", .body = body_recv_write},
    {.name = "splice", .body = body_splice},
    {.name = "uring", .kind = RING},
    {.name = "uring-waitall", .kind = RING, .waitall = true},
    {.name = "direct", .kind = RING, .waitall = true, .direct = true},
    {.name = "files", .kind = MANY, .files = FLOOR_FILES},
    {.name = "renamed", .kind = MANY, .files = FLOOR_RENAMED},
    {.name = "wait", .kind = MANY, .no_file = true},
};

struct stream;

enum buffer_state { FREE, RECEIVING, WRITING };

struct buffer {
    struct stream *stream;
    unsigned char *bytes;
    uint64_t offset; /* in the file; WRITING */
    size_t filled;   /* body bytes in it; RECEIVING and WRITING */
    size_t written;  /* WRITING */
    unsigned index;  /* among the registered ones */
    enum buffer_state state;
};

struct stream {
    struct buffer buffer[BUFFERS];
    uint64_t body_bytes;
    uint64_t received;
    uint64_t done;
    int socket_fd;
    int file_fd;
};

struct engine {
    struct io_uring ring;
    const struct mode *mode;
    size_t chunk_bytes;
    struct stream *streams;
    unsigned live;
};

static struct io_uring_sqe *engine_sqe(struct engine *e)
{
    struct io_uring_sqe *sqe = io_uring_get_sqe(&e->ring);
    if (!sqe)
        die("ring full", 0); /* sized for every buffer: cannot happen */
    return sqe;
}

/* A chunk that is not the last is filled to its end before it is written, where MSG_WAITALL asks
 * for that: O_DIRECT needs it. */
static void buffer_receive(struct engine *e, struct buffer *b)
{
    struct stream *s = b->stream;
    size_t want = smaller(s->body_bytes - s->received, e->chunk_bytes - b->filled);
    struct io_uring_sqe *sqe = engine_sqe(e);
    io_uring_prep_recv(sqe, s->socket_fd, b->bytes + b->filled, want,
                       e->mode->waitall ? MSG_WAITALL : 0);
    io_uring_sqe_set_data(sqe, b);
    b->state = RECEIVING;
}

static void buffer_write(struct engine *e, struct buffer *b)
{
    struct io_uring_sqe *sqe = engine_sqe(e);
    const unsigned char *from = b->bytes + b->written;
    size_t bytes = b->filled - b->written;
    uint64_t offset = b->offset + b->written;
    if (e->mode->direct) { /* the last block is padded, ftruncate cuts it off */
        bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
        io_uring_prep_write_fixed(sqe, b->stream->file_fd, from, (unsigned)bytes, offset,
                                  (int)b->index);
    } else {
        io_uring_prep_write(sqe, b->stream->file_fd, from, (unsigned)bytes, offset);
    }
    io_uring_sqe_set_data(sqe, b);
    b->state = WRITING;
}

/* One receive at a time keeps the stream's order; the writes may overtake one another. */
static void stream_receive(struct engine *e, struct stream *s)
{
    if (s->received == s->body_bytes)
        return;
    for (unsigned i = 0; i < BUFFERS; i++)
        if (s->buffer[i].state == RECEIVING)
            return;
    for (unsigned i = 0; i < BUFFERS; i++) {
        if (s->buffer[i].state == FREE) {
            s->buffer[i].filled = 0;
            buffer_receive(e, &s->buffer[i]);
            return;
        }
    }
}

static void stream_finish(struct engine *e, struct stream *s)
{
    if (e->mode->direct && ftruncate(s->file_fd, (off_t)s->body_bytes) < 0)
        die("ftruncate", errno);
    close(s->file_fd);
    close(s->socket_fd);
    e->live--;
}

static void buffer_received(struct engine *e, struct buffer *b, size_t bytes)
{
    struct stream *s = b->stream;
    b->filled += bytes;
    s->received += bytes;
    if (e->mode->waitall && b->filled < e->chunk_bytes && s->received < s->body_bytes) {
        buffer_receive(e, b);
        return;
    }
    b->offset = s->received - b->filled;
    b->written = 0;
    buffer_write(e, b);
    stream_receive(e, s);
}

static void buffer_written(struct engine *e, struct buffer *b, size_t bytes)
{
    struct stream *s = b->stream;
    b->written += bytes;
    if (b->written < b->filled) {
        buffer_write(e, b);
        return;
    }
    s->done += b->filled;
    b->state = FREE;
    if (s->done == s->body_bytes)
        stream_finish(e, s);
    else
        stream_receive(e, s);
}

static void engine_complete(struct engine *e, struct buffer *b, int result)
{
    const char *what = b->state == RECEIVING ? "recv" : "write";
    if (result <= 0)
        die(what, -result);
    if (b->state == RECEIVING)
        buffer_received(e, b, (size_t)result);
    else
        buffer_written(e, b, (size_t)result);
}

static void stream_start(struct engine *e, struct stream *s, const struct target *t,
                         const struct job *job)
{
    s->socket_fd = fetch_start(t, &s->body_bytes);
    s->file_fd = file_create(job, t->name, e->mode->direct ? O_DIRECT : 0);
    if (s->body_bytes == 0) {
        stream_finish(e, s);
        return;
    }
    if (e->mode->direct && fallocate(s->file_fd, 0, 0, (off_t)s->body_bytes) < 0)
        die("fallocate", errno);
    stream_receive(e, s);
}

static void engine_init(struct engine *e, unsigned count)
{
    struct iovec *vectors = calloc((size_t)count * BUFFERS, sizeof *vectors);
    e->streams = calloc(count, sizeof *e->streams);
    if (!vectors || !e->streams)
        die("memory", ENOMEM);
    unsigned entries = count * BUFFERS;
    int error = io_uring_queue_init(entries, &e->ring,
                                    IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN);
    if (error == -EINVAL) /* before Linux 6.1 */
        error = io_uring_queue_init(entries, &e->ring, 0);
    if (error)
        die("io_uring", -error);
    for (unsigned i = 0; i < entries; i++) {
        struct buffer *b = &e->streams[i / BUFFERS].buffer[i % BUFFERS];
        b->stream = &e->streams[i / BUFFERS];
        b->bytes = buffer_alloc(e->chunk_bytes);
        b->index = i;
        vectors[i] = (struct iovec){.iov_base = b->bytes, .iov_len = e->chunk_bytes};
    }
    error = e->mode->direct ? io_uring_register_buffers(&e->ring, vectors, entries) : 0;
    if (error)
        die("io_uring_register_buffers (see ulimit -l)", -error);
    free(vectors);
    e->live = count;
}

static void engine_loop(struct engine *e)
{
    while (e->live) {
        struct io_uring_cqe *cqe;
        unsigned head;
        unsigned count = 0;
        int error = io_uring_submit_and_wait(&e->ring, 1);
        if (error < 0 && error != -EINTR)
            die("io_uring_submit_and_wait", -error);
        io_uring_for_each_cqe(&e->ring, head, cqe)
        {
            engine_complete(e, io_uring_cqe_get_data(cqe), cqe->res);
            count++;
        }
        io_uring_cq_advance(&e->ring, count);
    }
}

/* ---- measuring ---- */

static uint64_t run_blocking(const struct job *job)
{
    unsigned char *buffer = buffer_alloc(job->chunk_bytes);
    struct target t;
    uint64_t total = 0;
    while (target_next(&t, job->list)) {
        uint64_t body_bytes;
        int socket_fd = fetch_start(&t, &body_bytes);
        int file_fd = job->mode->no_file ? -1 : file_create(job, t.name, 0);
        job->mode->body(socket_fd, file_fd, body_bytes, job->chunk_bytes, buffer);
        close(socket_fd);
        if (file_fd >= 0)
            close(file_fd);
        total += body_bytes;
    }
    free(buffer);
    return total;
}

static uint64_t run_ring(const struct job *job)
{
    struct engine e = {.mode = job->mode, .chunk_bytes = job->chunk_bytes};
    struct target *targets = malloc(STREAMS_MAX * sizeof *targets);
    unsigned count = 0;
    uint64_t total = 0;
    if (!targets)
        die("memory", ENOMEM);
    while (count < STREAMS_MAX && target_next(&targets[count], job->list))
        count++;
    engine_init(&e, count);
    for (unsigned i = 0; i < count; i++)
        stream_start(&e, &e.streams[i], &targets[i], job);
    engine_loop(&e);
    for (unsigned i = 0; i < count; i++) {
        total += e.streams[i].body_bytes;
        for (unsigned k = 0; k < BUFFERS; k++)
            free(e.streams[i].buffer[k].bytes);
    }
    io_uring_queue_exit(&e.ring);
    free(e.streams);
    free(targets);
    return total;
}

static uint64_t run(const struct job *job)
{
    switch (job->mode->kind) {
    case BLOCKING:
        return run_blocking(job);
    case RING:
        return run_ring(job);
    case MANY:
        return floor_many(job, job->mode->files);
    }
    die("no such kind", 0);
}

static double seconds_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static double seconds_of(struct timeval t)
{
    return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static void measure(const struct job *job)
{
    struct rusage usage;
    double start = seconds_now();
    uint64_t bytes = run(job);
    double wall = seconds_now() - start;
    getrusage(RUSAGE_SELF, &usage); /* io_uring's workers are threads of this process: counted */
    double user = seconds_of(usage.ru_utime);
    double kernel = seconds_of(usage.ru_stime);
    printf("mode=%s chunk=%zu bytes=%" PRIu64 " wall=%.3f cpu=%.3f user=%.3f sys=%.3f\n",
           job->mode->name, job->chunk_bytes, bytes, wall, user + kernel, user, kernel);
}

/* ---- command line ---- */

_Noreturn static void usage(void)
{
    fputs("usage: floor MODE [-c CHUNK] [-n CONNECTIONS] LIST DIRECTORY\nmodes:", stderr);
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        fprintf(stderr, " %s", modes[i].name);
    fputs("\n", stderr);
    exit(2);
}

static const struct mode *mode_find(const char *name)
{
    for (size_t i = 0; i < sizeof modes / sizeof *modes; i++)
        if (strcmp(modes[i].name, name) == 0)
            return &modes[i];
    usage();
}

static size_t size_parse(const char *text, size_t least, size_t most)
{
    char *end;
    errno = 0;
    uintmax_t value = strtoumax(text, &end, 10);
    unsigned shift = *end == 'K' ? 10 : *end == 'M' ? 20 : 0;
    if (errno || end == text || end[shift ? 1 : 0] || value > most >> shift ||
        value << shift < least)
        usage();
    return (size_t)value << shift;
}

int main(int argc, char **argv)
{
    struct job job = {.connections = 1, .chunk_bytes = 1 << 20};
    int option;
    if (argc < 2)
        usage();
    job.mode = mode_find(argv[1]);
    program_mode = job.mode->name;
    argc--;
    argv++;
    while ((option = getopt(argc, argv, "c:n:")) != -1) {
        if (option == 'c')
            job.chunk_bytes = size_parse(optarg, ALIGN, 1 << 30);
        else if (option == 'n')
            job.connections = (unsigned)size_parse(optarg, 1, CONNECTIONS_MAX);
        else
            usage();
    }
    if (argc - optind != 2)
        usage();
    if (job.mode->direct && job.chunk_bytes % ALIGN)
        die("CHUNK must be a multiple of 4096", 0);
    job.list = fopen(argv[optind], "re");
    if (!job.list)
        die(argv[optind], errno);
    job.directory_fd = open(argv[optind + 1], O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (job.directory_fd < 0)
        die(argv[optind + 1], errno);
    measure(&job);
}
