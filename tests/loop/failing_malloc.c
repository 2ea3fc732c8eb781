/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * LD_PRELOAD=failing_malloc.so: makes one allocation of a program fail, as if memory had run out.
 *
 *   FAILING_MALLOC_NTH     which, counted from 1 and from the beginning of main() on; 0 or unset:
 *                          none, they are only counted
 *   FAILING_MALLOC_MORE    so many of those that follow fail too [0]; "all" is all
 *   FAILING_MALLOC_REPORT  a file that is told "N allocations" at the end of the program, and, when
 *                          one is made to fail, what was asked for and the calls that led there
 *
 * What counts are malloc, calloc, realloc, posix_memalign, aligned_alloc, memalign and mmap of
 * anonymous memory, on all threads. The calls go on to whoever is next, which may be
 * AddressSanitizer (its ASAN_OPTIONS=verify_asan_link_order=0 lets this library come before it).
 */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE /* RTLD_NEXT */
#endif
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))

enum { EARLY_BYTES = 1 << 16, FRAMES_MAX = 40 };

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
    void *(*memalign)(size_t, size_t);
    void *(*aligned_alloc)(size_t, size_t);
    int (*posix_memalign)(void **, size_t, size_t);
    void *(*mmap)(void *, size_t, int, int, int, off_t);
    int (*main)(int, char **, char **);
} next;

/* dlsym() may allocate itself before there is anybody to pass that on to. */
static _Alignas(16) char early[EARLY_BYTES];
static size_t early_used;

static atomic_bool counting;
static atomic_ullong count;
static unsigned long long first_failing;
static unsigned long long last_failing;
static int report_fd = -1;
static __thread bool reporting; /* what is allocated meanwhile does not count */

static bool is_early(const void *data)
{
    return (const char *)data >= early && (const char *)data < early + EARLY_BYTES;
}

static void *early_alloc(size_t size)
{
    size = (size + 15) / 16 * 16;
    if (size > EARLY_BYTES - early_used)
        return NULL;
    void *data = early + early_used;
    early_used += size;
    return data;
}

static void find_next(void)
{
    static bool looking;
    if (looking)
        return;
    looking = true;
    *(void **)&next.calloc = dlsym(RTLD_NEXT, "calloc");
    *(void **)&next.realloc = dlsym(RTLD_NEXT, "realloc");
    *(void **)&next.free = dlsym(RTLD_NEXT, "free");
    *(void **)&next.memalign = dlsym(RTLD_NEXT, "memalign");
    *(void **)&next.aligned_alloc = dlsym(RTLD_NEXT, "aligned_alloc");
    *(void **)&next.posix_memalign = dlsym(RTLD_NEXT, "posix_memalign");
    *(void **)&next.mmap = dlsym(RTLD_NEXT, "mmap");
    *(void **)&next.malloc = dlsym(RTLD_NEXT, "malloc"); /* last: it tells that all are there */
    looking = false;
}

static bool is_ready(void)
{
    if (!next.malloc)
        find_next();
    return next.malloc != NULL;
}

static void report(unsigned long long number, const char *what, size_t size)
{
    void *frames[FRAMES_MAX];
    if (report_fd < 0)
        return;
    reporting = true;
    dprintf(report_fd, "allocation %llu fails: %s of %zu bytes\n", number, what, size);
    backtrace_symbols_fd(frames, backtrace(frames, FRAMES_MAX), report_fd);
    reporting = false;
}

static bool fails(const char *what, size_t size)
{
    if (!atomic_load_explicit(&counting, memory_order_relaxed) || reporting)
        return false;
    unsigned long long number = atomic_fetch_add(&count, 1) + 1;
    if (number < first_failing || number > last_failing)
        return false;
    if (number == first_failing)
        report(number, what, size);
    errno = ENOMEM;
    return true;
}

SHOWN void *malloc(size_t size)
{
    if (!is_ready())
        return early_alloc(size);
    return fails("malloc", size) ? NULL : next.malloc(size);
}

SHOWN void *calloc(size_t items, size_t size)
{
    if (!is_ready())
        return early_alloc(items * size); /* never given back, so still zero */
    return fails("calloc", items * size) ? NULL : next.calloc(items, size);
}

SHOWN void *realloc(void *data, size_t size)
{
    if (is_early(data)) {
        void *moved = malloc(size);
        size_t most = (size_t)(early + EARLY_BYTES - (char *)data);
        if (moved)
            memcpy(moved, data, size < most ? size : most);
        return moved;
    }
    if (!is_ready())
        return early_alloc(size);
    return fails("realloc", size) ? NULL : next.realloc(data, size);
}

SHOWN void free(void *data)
{
    if (!is_early(data) && is_ready())
        next.free(data);
}

SHOWN void *memalign(size_t alignment, size_t size)
{
    return !is_ready() || fails("memalign", size) ? NULL : next.memalign(alignment, size);
}

SHOWN void *aligned_alloc(size_t alignment, size_t size)
{
    return !is_ready() || fails("aligned_alloc", size) ? NULL : next.aligned_alloc(alignment, size);
}

SHOWN int posix_memalign(void **data, size_t alignment, size_t size)
{
    return !is_ready() || fails("posix_memalign", size)
               ? ENOMEM
               : next.posix_memalign(data, alignment, size);
}

SHOWN void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (!is_ready() || ((flags & MAP_ANONYMOUS) && fails("mmap", size))) {
        errno = ENOMEM;
        return MAP_FAILED;
    }
    return next.mmap(address, size, protection, flags, fd, offset);
}

/* AddressSanitizer calls it for each thread, and takes a failure for one of its own. */
SHOWN int pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes)
{
    int (*get)(pthread_t, pthread_attr_t *);
    *(void **)&get = dlsym(RTLD_NEXT, "pthread_getattr_np");
    reporting = true;
    int result = get(thread, attributes);
    reporting = false;
    return result;
}

static unsigned long long setting(const char *name)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : 0;
}

static int counted_main(int argc, char **argv, char **environment)
{
    const char *report_path = getenv("FAILING_MALLOC_REPORT");
    const char *more = getenv("FAILING_MALLOC_MORE");
    void *frame;
    first_failing = setting("FAILING_MALLOC_NTH");
    last_failing = more && strcmp(more, "all") == 0
                       ? UINT64_MAX
                       : first_failing + setting("FAILING_MALLOC_MORE");
    if (first_failing == 0)
        last_failing = 0;
    if (report_path)
        report_fd = open(report_path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    backtrace(&frame, 1); /* loads what it needs */
    atomic_store(&counting, true);
    int status = next.main(argc, argv, environment);
    atomic_store(&counting, false);
    if (report_fd >= 0)
        dprintf(report_fd, "%llu allocations\n", atomic_load(&count));
    return status;
}

SHOWN int __libc_start_main(int (*main)(int, char **, char **), int argc, char **argv,
                            void (*init)(void), void (*fini)(void), void (*rtld_fini)(void),
                            void *stack_end)
{
    int (*start)(int (*)(int, char **, char **), int, char **, void (*)(void), void (*)(void),
                 void (*)(void), void *);
    *(void **)&start = dlsym(RTLD_NEXT, "__libc_start_main");
    next.main = main;
    return start(counted_main, argc, argv, init, fini, rtld_fini, stack_end);
}
