/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Calls on files and directories that are carried out at once, with `done` to follow from the loop.
 * io_uring would hand each of them to a worker thread, which costs a small file more than the call
 * itself (measured: see the notes in src/README.md).
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "ring/internal.h"

enum {
    CLAIM_TRIES = 16,
    CLOCK_NAPS_MAX = 40,
    RING_FD_PATH_BYTES = sizeof("/proc/self/fd/-2147483648/")
};

static int answer(int res)
{
    return res < 0 ? -errno : res;
}

int file_write_all(int fd, const void *data, size_t len, uint64_t offset, int rw_flags)
{
    size_t moved = 0;

    while (moved < len) {
        struct iovec vector = {.iov_base = (char *)(uintptr_t)data + moved, .iov_len = len - moved};
        ssize_t res = rw_flags
                          ? pwritev2(fd, &vector, 1, (off_t)(offset + moved), rw_flags)
                          : pwrite(fd, vector.iov_base, vector.iov_len, (off_t)(offset + moved));

        if (res < 0 && errno == EINTR)
            continue;
        if (res < 0)
            return -errno;
        if (res == 0)
            return -ENOSPC;
        moved += (size_t)res;
    }
    return (int)len;
}

/* --- past the page cache --------------------------------------------------------------------- */

/* What the file system says (Linux 6.1; 0: nothing): tmpfs takes the flag and goes through the page
 * cache all the same. */
static unsigned direct_multiple(int fd)
{
    struct statx status;

    if (statx(fd, "", AT_EMPTY_PATH, STATX_DIOALIGN, &status) < 0 ||
        !(status.stx_mask & STATX_DIOALIGN))
        return 0;
    if (status.stx_dio_offset_align == 0)
        return UINT_MAX; /* it says no */
    return status.stx_dio_offset_align > status.stx_dio_mem_align ? status.stx_dio_offset_align
                                                                  : status.stx_dio_mem_align;
}

static int open_direct(int fd)
{
    char path[32];

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    return answer(open(path, O_WRONLY | O_DIRECT | O_CLOEXEC));
}

void ring_open_direct(struct ring *ring, struct op *op, int fd, bool even_if_unsure)
{
    unsigned multiple = direct_multiple(fd);
    bool good = multiple == 0 ? even_if_unsure : RING_DIRECT_BYTES % multiple == 0;
    int res = -EOPNOTSUPP;

    if (good && !(ring->features_off & HAUL_FEATURE_DIRECT))
        res = open_direct(fd);
    op_ready(ring, op, res < 0 ? -EOPNOTSUPP : res);
}

static int write_zeros(struct op *op)
{
    static const char zeros[64 * 1024];
    uint64_t size = op->offset;
    struct stat status;
    int res = answer(fstat(op->fd, &status));

    if (res < 0)
        return res;
    for (uint64_t at = (uint64_t)status.st_size; at < size && res >= 0; at += sizeof(zeros)) {
        uint64_t left = size - at;

        if (op->stop)
            return -ECANCELED;
        res = file_write_all(op->fd, zeros, left < sizeof(zeros) ? (size_t)left : sizeof(zeros), at,
                             0);
    }
    return res < 0 ? res : 0;
}

/* Some file systems keep what they had got before there was no more: a full disk, for everybody. */
static int allocate_or_nothing(int fd, uint64_t len)
{
    struct stat before;
    int res = answer(fstat(fd, &before));

    if (res < 0)
        return res;
    do
        res = answer(fallocate(fd, 0, 0, (off_t)len));
    while (res == -EINTR);
    if (res == -ENOSPC || res == -EDQUOT)
        (void)!ftruncate(fd, before.st_size);
    return res == -ENOSYS ? -EOPNOTSUPP : res;
}

void ring_allocate(struct ring *ring, struct op *op, int fd, uint64_t len, bool zeros)
{
    int res = -EOPNOTSUPP;

    if (!(ring->features_off & HAUL_FEATURE_FALLOCATE))
        res = allocate_or_nothing(fd, len);
    if (res != -EOPNOTSUPP || !zeros) {
        op_ready(ring, op, res);
        return;
    }
    op->fd = fd;
    op->offset = len;
    ring_offload(ring, op, write_zeros);
}

/* --- files ----------------------------------------------------------------------------------- */

/* Whether the open file is still what the name says: its holder before us may have renamed it
 * between our open() and our flock(). */
static bool is_named(const struct stat *opened, int directory, const char *name)
{
    struct stat named;

    return fstatat(directory, name, &named, AT_SYMLINK_NOFOLLOW) == 0 &&
           opened->st_ino == named.st_ino && opened->st_dev == named.st_dev;
}

static int lock_file(int fd, int directory, const char *name)
{
    struct stat status;

    if (flock(fd, LOCK_EX | LOCK_NB) < 0)
        return errno == EWOULDBLOCK ? -EBUSY : -errno;
    if (fstat(fd, &status) < 0)
        return -errno;
    if (!S_ISREG(status.st_mode))
        return -EEXIST; /* a FIFO or a device that somebody put there */
    return is_named(&status, directory, name) ? fd : -ESTALE;
}

static int claim_file(int directory, const char *name, enum ring_claim claim)
{
    int flags = O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK;
    int res = -ESTALE;

    if (claim == RING_CLAIM_NEW)
        flags |= O_EXCL;
    for (int try = 0; try < CLAIM_TRIES && (res == -ESTALE || res == -EINTR); try++) {
        int fd = openat(directory, name, flags, 0666);

        if (fd < 0)
            return errno == EEXIST && claim == RING_CLAIM_NEW ? -EBUSY : -errno;
        res = lock_file(fd, directory, name);
        if (res < 0)
            close(fd);
    }
    return res == -ESTALE ? -EBUSY : res;
}

void ring_claim(struct ring *ring, struct op *op, int directory, const char *name,
                enum ring_claim claim)
{
    op_ready(ring, op, claim_file(directory, name, claim));
}

void ring_unlock(struct ring *ring, int fd)
{
    (void)ring;
    (void)flock(fd, LOCK_UN);
}

void ring_truncate(struct ring *ring, struct op *op, int fd, uint64_t len)
{
    op_ready(ring, op, answer(ftruncate(fd, (off_t)len)));
}

/* Where the file system knows no RENAME_NOREPLACE: a hard link does not replace either. */
static int link_then_unlink(int directory, const char *from, const char *to)
{
    if (linkat(directory, from, directory, to, 0) < 0)
        return -errno;
    (void)unlinkat(directory, from, 0); /* the file has its name, whatever becomes of the old one */
    return 0;
}

/* The last resort, for file systems without hard links (FAT): a race is possible, but only with a
 * program that does not ask for our lock. */
static int look_then_rename(int directory, const char *from, const char *to)
{
    struct stat status;

    if (fstatat(directory, to, &status, AT_SYMLINK_NOFOLLOW) == 0)
        return -EEXIST;
    return answer(renameat(directory, from, directory, to));
}

static int rename_alone(const struct ring *ring, int directory, const char *from, const char *to)
{
    int res = -EINVAL;

    if (!(ring->features_off & HAUL_FEATURE_RENAME_NOREPLACE))
        res = answer(renameat2(directory, from, directory, to, RENAME_NOREPLACE));
    if (res == -EINVAL || res == -ENOSYS)
        res = link_then_unlink(directory, from, to);
    if (res == -EPERM || res == -EOPNOTSUPP || res == -EMLINK)
        res = look_then_rename(directory, from, to);
    return res;
}

void ring_rename(struct ring *ring, struct op *op, int directory, const char *from, const char *to,
                 bool replace)
{
    int res = replace ? answer(renameat(directory, from, directory, to))
                      : rename_alone(ring, directory, from, to);

    if (replace && res == -EISDIR)
        res = -EEXIST;
    op_ready(ring, op, res);
}

void ring_unlink(struct ring *ring, struct op *op, int directory, const char *name)
{
    op_ready(ring, op, answer(unlinkat(directory, name, 0)));
}

void ring_exists(struct ring *ring, struct op *op, int directory, const char *name)
{
    struct stat status;
    int res = answer(fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW));

    op_ready(ring, op, res == 0 ? 1 : res == -ENOENT ? 0 : res);
}

void ring_facts(struct ring *ring, struct op *op, int fd, struct ring_facts *facts)
{
    struct stat status;
    int res = answer(fstat(fd, &status));

    if (res == 0)
        *facts = (struct ring_facts){.bytes = (uint64_t)status.st_size,
                                     .own = status.st_uid == geteuid()};
    op_ready(ring, op, res);
}

/* --- what a file is known by ----------------------------------------------------------------- */

static int64_t file_time_ns(const struct timespec *time)
{
    return time->tv_sec * NS_PER_S + time->tv_nsec;
}

/* They note it by ticks of the kernel's. */
int64_t ring_file_clock_ns(const struct ring *ring)
{
    struct timespec now;

    (void)ring;
    clock_gettime(CLOCK_REALTIME_COARSE, &now);
    return file_time_ns(&now);
}

void ring_file_clock_pass(const struct ring *ring)
{
    static const struct timespec nap = {.tv_nsec = 500 * 1000};
    int64_t before_ns = ring_file_clock_ns(ring);

    for (int i = 0; i < CLOCK_NAPS_MAX && ring_file_clock_ns(ring) == before_ns; i++)
        (void)nanosleep(&nap, NULL);
}

/* There is no getxattrat(2) before Linux 6.13. */
static size_t read_attribute(int directory, const char *name, const char *attribute, char *value)
{
    char path[RING_FD_PATH_BYTES + NAME_MAX + 1];
    ssize_t res;

    if (snprintf(path, sizeof(path), "/proc/self/fd/%d/%s", directory, name) >= (int)sizeof(path))
        return 0;
    res = lgetxattr(path, attribute, value, RING_ATTRIBUTE_BYTES_MAX);
    return res < 0 ? 0 : (size_t)res;
}

void ring_look_up(struct ring *ring, struct op *op, int directory, const char *name,
                  const char *attribute, struct ring_standing *standing)
{
    struct stat status;
    int res = answer(fstatat(directory, name, &status, AT_SYMLINK_NOFOLLOW));

    standing->attribute_bytes = 0;
    standing->regular = res == 0 && S_ISREG(status.st_mode);
    if (res == 0) {
        standing->bytes = (uint64_t)status.st_size;
        standing->modified_s = status.st_mtim.tv_sec;
        standing->changed_ns = file_time_ns(&status.st_ctim);
    }
    if (standing->regular && attribute && !(ring->features_off & HAUL_FEATURE_XATTR))
        standing->attribute_bytes = read_attribute(directory, name, attribute, standing->attribute);
    op_ready(ring, op, res == 0 ? 1 : res == -ENOENT ? 0 : res);
}

int ring_set_modified(struct ring *ring, int fd, int64_t modified_s)
{
    struct timespec times[] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = modified_s}};

    (void)ring;
    return answer(futimens(fd, times));
}

int ring_set_attribute(struct ring *ring, int fd, const char *attribute, struct span value)
{
    if (ring->features_off & HAUL_FEATURE_XATTR)
        return -EOPNOTSUPP;
    return answer(fsetxattr(fd, attribute, value.data, value.len, 0));
}

static int list_directory(struct op *op)
{
    const struct ring_listing *listing = op->data;
    int fd = answer(openat(op->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    DIR *directory = fd < 0 ? NULL : fdopendir(fd);
    bool more = directory != NULL;

    if (fd >= 0 && !directory)
        close(fd);
    while (more && !op->stop) {
        const struct dirent *entry = readdir(directory);
        char value[RING_ATTRIBUTE_BYTES_MAX];
        size_t len;

        if (!entry)
            break;
        if (entry->d_type != DT_REG && entry->d_type != DT_UNKNOWN)
            continue;
        len = read_attribute(op->fd, entry->d_name, listing->attribute, value);
        if (len > 0)
            more = listing->found(listing->context, entry->d_name, span_make(value, len));
    }
    if (directory)
        closedir(directory);
    return fd < 0 ? fd : 0;
}

void ring_list(struct ring *ring, struct op *op, int directory, const struct ring_listing *listing)
{
    op->fd = directory;
    op->data = (void *)(uintptr_t)listing;
    if (ring->features_off & HAUL_FEATURE_XATTR)
        op_ready(ring, op, 0);
    else
        ring_offload(ring, op, list_directory);
}
