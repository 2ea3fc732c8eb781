/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Opening directories. What lies below the user's own is opened relative to that, such that the
 * kernel itself refuses to leave it, however quickly somebody exchanges a component for a link:
 *
 *     root --open--> descriptor --openat2(RESOLVE_BENEATH)--> descriptor of what is below
 *
 * What is missing is made component by component, each in the descriptor of the one before it.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ring/internal.h"

enum {
    FLAGS = O_PATH | O_DIRECTORY | O_CLOEXEC,
    MOVED_TRIES = 16 /* somebody renames directories while the kernel looks at them */
};

static int answer(int res)
{
    return res < 0 ? -errno : res;
}

/* --- syncing --------------------------------------------------------------------------------- */

/* The names in a directory, with as much trust as the file system deserves. */
static int sync_names(int directory, const char *path)
{
    int fd = answer(openat(directory, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    int res = fd < 0 ? fd : answer(fsync(fd));

    if (fd >= 0)
        close(fd);
    return res == -EINVAL || res == -EROFS || res == -EOPNOTSUPP ? 0 : res;
}

static int sync_parent(const char *path)
{
    char parent[PATH_MAX];
    size_t len = strlen(path);

    while (len > 0 && path[len - 1] == '/')
        len--;
    while (len > 0 && path[len - 1] != '/')
        len--;
    if (len == 0)
        return sync_names(AT_FDCWD, ".");
    memcpy(parent, path, len);
    parent[len] = '\0';
    return sync_names(AT_FDCWD, parent);
}

/* --- the user's own -------------------------------------------------------------------------- */

/* Where it is there already, the answer is not always EEXIST: on a read-only or foreign part of the
 * path. */
static int make_directory(const char *path, bool durable)
{
    struct stat status;
    int res = answer(mkdir(path, 0777));

    if (res == 0)
        return durable ? sync_parent(path) : 0;
    if (res == -EEXIST || res == -EISDIR)
        return 0;
    return stat(path, &status) < 0 || !S_ISDIR(status.st_mode) ? res : 0;
}

static int make_directories(const char *path, bool durable)
{
    char prefix[PATH_MAX];
    size_t len = strlen(path);
    int res = 0;

    if (len >= sizeof(prefix))
        return -ENAMETOOLONG;
    for (size_t i = 1; i <= len && res == 0; i++) {
        if (path[i] != '/' && path[i] != '\0')
            continue;
        memcpy(prefix, path, i);
        prefix[i] = '\0';
        res = make_directory(prefix, durable);
    }
    return res;
}

static int open_root(const struct ring_place *place, bool make)
{
    int fd = answer(open(place->root, FLAGS));
    int res;

    if (fd != -ENOENT || !make)
        return fd;
    res = make_directories(place->root, place->durable);
    return res < 0 ? res : answer(open(place->root, FLAGS));
}

/* --- below it -------------------------------------------------------------------------------- */

/* -ENOSYS: the kernel, or what stands between it and us, does not know how. */
static int open_beneath(int root, const char *path)
{
    struct open_how how = {.flags = FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS};
    int res = -EAGAIN;

    for (int try = 0; try < MOVED_TRIES && (res == -EAGAIN || res == -EINTR); try++)
        res = answer((int)syscall(SYS_openat2, root, path, &how, sizeof(how)));
    return res == -EPERM ? -ENOSYS : res;
}

static int open_component(int parent, const char *name)
{
    struct stat status;
    int fd = answer(openat(parent, name, FLAGS | O_NOFOLLOW));

    if (strcmp(name, "..") == 0) {
        if (fd >= 0)
            close(fd);
        return -EXDEV;
    }
    if (fd == -ENOTDIR && fstatat(parent, name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
        S_ISLNK(status.st_mode))
        return -ELOOP;
    return fd;
}

/* One step: the prefix of a path below root that ends with `name`, which stands in parent. */
struct step {
    int root;
    int parent;
    const char *prefix;
    const char *name;
};

static int take_step(const struct step *step, bool beneath)
{
    int fd = beneath ? open_beneath(step->root, step->prefix) : -ENOSYS;

    return fd == -ENOSYS ? open_component(step->parent, step->name) : fd;
}

static int make_step(const struct step *step, bool beneath, const struct ring_place *place)
{
    int fd = take_step(step, beneath);
    int res;

    if (fd != -ENOENT || !place->make)
        return fd;
    res = answer(mkdirat(step->parent, step->name, 0777));
    if (res < 0 && res != -EEXIST)
        return res;
    if (place->durable) /* whoever made it: it may not have got round to that yet */
        res = sync_names(step->parent, ".");
    else
        res = 0;
    return res < 0 ? res : take_step(step, beneath);
}

static int walk(int root, const struct ring_place *place, bool beneath)
{
    char prefix[PATH_MAX], *name = prefix;
    struct step step = {.root = root, .parent = root, .prefix = prefix};
    int fd = -EINVAL;

    size_t bytes = strlen(place->below) + 1;

    if (bytes > sizeof(prefix))
        return -ENAMETOOLONG;
    memcpy(prefix, place->below, bytes);
    for (char *next; name; name = next) {
        char *slash = strchr(name, '/');

        next = slash ? slash + 1 : NULL;
        if (slash)
            *slash = '\0';
        step.name = name;
        if (*name != '\0') {
            fd = make_step(&step, beneath, place);
            if (step.parent != root)
                close(step.parent);
            if (fd < 0)
                return fd;
            step.parent = fd;
        }
        if (slash)
            *slash = '/';
    }
    return fd;
}

static int open_below(int root, const struct ring_place *place, bool beneath)
{
    int fd = beneath ? open_beneath(root, place->below) : -ENOSYS;

    if (fd == -ENOENT && place->make)
        fd = walk(root, place, true);
    return fd == -ENOSYS ? walk(root, place, false) : fd;
}

/* --- all of it ------------------------------------------------------------------------------- */

static int open_place(const struct ring_place *place, bool beneath)
{
    int root = open_root(place, place->make);
    int fd;

    if (root < 0 || place->below[0] == '\0')
        return root;
    fd = open_below(root, place, beneath);
    close(root);
    return fd;
}

static int open_in_helper(struct op *op)
{
    return open_place(op->data, op->len > 0);
}

void ring_open_directory(struct ring *ring, struct op *op, const struct ring_place *place)
{
    bool beneath = !(ring->features_off & HAUL_FEATURE_OPENAT2);
    struct ring_place existing = *place;
    int fd;

    existing.make = existing.make && !existing.durable;
    fd = open_place(&existing, beneath);
    if (fd != -ENOENT || !place->make || !place->durable) {
        op_ready(ring, op, fd);
        return;
    }
    op->data = (void *)(uintptr_t)place; /* syncing takes its time */
    op->len = beneath;
    ring_offload(ring, op, open_in_helper);
}
