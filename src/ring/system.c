/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the system is set up as: its small text files, its interfaces, and where sockets start. */
#include <errno.h>
#include <fcntl.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ring/internal.h"

enum { READ_BYTES = 16384 };

static struct ring_mark mark_of(const struct stat *facts)
{
    return (struct ring_mark){
        .device = facts->st_dev,
        .inode = facts->st_ino,
        .bytes = (uint64_t)facts->st_size,
        .written_ns = facts->st_mtim.tv_sec * NS_PER_S + facts->st_mtim.tv_nsec,
        .changed_ns = facts->st_ctim.tv_sec * NS_PER_S + facts->st_ctim.tv_nsec,
    };
}

struct ring_mark ring_mark(struct ring *ring, const char *path)
{
    struct stat facts;

    (void)ring;
    return stat(path, &facts) == 0 ? mark_of(&facts) : (struct ring_mark){0};
}

bool ring_mark_equal(const struct ring_mark *a, const struct ring_mark *b)
{
    return a->device == b->device && a->inode == b->inode && a->bytes == b->bytes &&
           a->written_ns == b->written_ns && a->changed_ns == b->changed_ns;
}

int ring_read_text(struct ring *ring, const char *path, size_t bytes_max, struct text *text,
                   struct ring_mark *mark)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a pipe there must not hold us up */
    char bytes[READ_BYTES];
    struct stat facts;
    ssize_t got = -1;
    int res;

    (void)ring;
    *mark = (struct ring_mark){0};
    if (fd < 0)
        return -errno;
    if (fstat(fd, &facts) == 0) {
        *mark = mark_of(&facts);
        while ((got = read(fd, bytes, sizeof(bytes))) > 0 && text->len <= bytes_max)
            text_add(text, span_make(bytes, (size_t)got));
    }
    res = got < 0 ? -errno : got > 0 ? -EFBIG : text->failed ? -ENOMEM : 0;
    close(fd);
    return res;
}

/* --- where sockets start ----------------------------------------------------------------------*/

int ring_bind(struct ring *ring, int fd, const struct address *address)
{
    int one = 1;

    (void)ring;
    /* The port is chosen with the peer known, so that it may be in use for another one. */
    (void)setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &one, sizeof(one));
    return bind(fd, &address->any, address->len) == 0 ? 0 : -errno;
}

int ring_bind_device(struct ring *ring, int fd, const char *name)
{
    (void)ring;
    return setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, name, (socklen_t)strlen(name)) == 0 ? 0
                                                                                           : -errno;
}

/* Of several addresses of a family the first, but rather one that is not for the link alone. */
static void take_address(struct address *kept, const struct sockaddr *found, socklen_t len)
{
    if (kept->len > 0 &&
        (found->sa_family == AF_INET || !IN6_IS_ADDR_LINKLOCAL(&kept->v6.sin6_addr)))
        return;
    memcpy(&kept->any, found, len);
    kept->len = len;
}

int ring_interface(struct ring *ring, const char *name, struct address *v4, struct address *v6)
{
    struct ifaddrs *all;

    (void)ring;
    *v4 = *v6 = (struct address){0};
    if (if_nametoindex(name) == 0)
        return -ENODEV;
    if (getifaddrs(&all) != 0)
        return -errno;
    for (const struct ifaddrs *each = all; each; each = each->ifa_next) {
        if (!each->ifa_addr || strcmp(each->ifa_name, name) != 0)
            continue;
        if (each->ifa_addr->sa_family == AF_INET)
            take_address(v4, each->ifa_addr, sizeof(v4->v4));
        else if (each->ifa_addr->sa_family == AF_INET6)
            take_address(v6, each->ifa_addr, sizeof(v6->v6));
    }
    freeifaddrs(all);
    return 0;
}
