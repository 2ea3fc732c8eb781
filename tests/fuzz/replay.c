/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Calls a fuzz target with each file of a corpus, and with each of its beginnings that is cut at a
 * power of two: what the fuzzers have found stays found, also with another compiler. */
#include "tests/fuzz/fuzz.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_BYTES_MAX = 1024 * 1024 };

static unsigned tests;

static void replay(const char *path, const char *name)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct stat stat;
    uint8_t *content;

    CHECK(fd >= 0 && fstat(fd, &stat) == 0 && stat.st_size <= FILE_BYTES_MAX);
    content = malloc((size_t)stat.st_size + 1);
    CHECK(content && read(fd, content, (size_t)stat.st_size) == stat.st_size);
    close(fd);
    printf("# %s\n", name);
    fflush(stdout);
    for (size_t len = 0; len < (size_t)stat.st_size; len = len * 2 + 1) {
        char *beginning = fuzz_copy(fuzz_span(content, len));

        LLVMFuzzerTestOneInput((const uint8_t *)beginning, len);
        free(beginning);
    }
    LLVMFuzzerTestOneInput(content, (size_t)stat.st_size);
    free(content);
    printf("ok %u - %s\n", ++tests, name);
}

static void replay_folder(const char *path)
{
    DIR *folder = opendir(path);
    struct dirent *entry;

    CHECK(folder);
    while ((entry = readdir(folder))) {
        struct text file = {0};

        if (entry->d_name[0] == '.')
            continue;
        text_printf(&file, "%s/%s", path, entry->d_name);
        CHECK(!file.failed);
        replay(file.data, entry->d_name);
        text_free(&file);
    }
    closedir(folder);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++) {
        struct stat stat;

        if (lstat(argv[i], &stat) != 0) {
            printf("Bail out! there is no %s\n", argv[i]);
            return 1;
        }
        if (S_ISDIR(stat.st_mode))
            replay_folder(argv[i]);
        else
            replay(argv[i], argv[i]);
    }
    printf("1..%u\n", tests);
    return tests > 0 ? 0 : 1;
}
