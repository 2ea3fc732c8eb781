/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What there is on the disk, and whether it may be. */
#include <stdio.h>
#include <string.h>

#include "sink/file_name.h"
#include "tests/sim/check_internal.h"
#include "tests/sim/disk.h"

enum { NUMBER_MAX = 60 };

/* --- content --------------------------------------------------------------------------------- */

static bool is_version(const struct content *content, const char *data, uint64_t size)
{
    return content->size == size && content_match(content, 0, data, (size_t)size) == size;
}

bool check_is_right(const struct want *want, const char *data, uint64_t size)
{
    const struct resource *resource = &want->resource;

    if (want->checksum[0])
        return is_version(&resource->versions[want->checksum_version], data, size);
    for (unsigned i = 0; i <= resource->current; i++)
        if (is_version(&resource->versions[i], data, size))
            return true;
    return false;
}

void check_describe(const struct want *want, const char *data, uint64_t size)
{
    const struct resource *resource = &want->resource;

    fprintf(stderr, "resource %u: %llu bytes:", resource->number, (unsigned long long)size);
    for (unsigned i = 0; i < resource->version_count; i++)
        fprintf(stderr, " version %u%s has %llu, the first %zu are the same;", i,
                i > resource->current ? " (never seen)" : "",
                (unsigned long long)resource->versions[i].size,
                content_match(&resource->versions[i], 0, data, (size_t)size));
    fputc('\n', stderr);
}

/* --- names ----------------------------------------------------------------------------------- */

void check_partial_path(const struct want *want, enum partial partial, char path[256])
{
    static const char *const suffixes[PARTIAL_COUNT] = {
        [PARTIAL_DATA] = FILE_NAME_DATA,
        [PARTIAL_BESIDE] = FILE_NAME_BESIDE,
        [PARTIAL_JOURNAL] = FILE_NAME_JOURNAL,
    };
    struct text text = {0};

    file_name_partial(&text, span_of(want->name), span_of(want->url), 0);
    CHECK(!text.failed);
    snprintf(path, 256, "%s/%s%s", want->directory, text.data, suffixes[partial]);
    text_free(&text);
}

unsigned check_partials(const struct want *want)
{
    unsigned there = 0;
    const char *data;
    uint64_t size;
    char path[256];

    for (enum partial i = 0; i < PARTIAL_COUNT; i++) {
        check_partial_path(want, i, path);
        if (disk_find(want->scenario->world->disk, path, &data, &size))
            there |= 1U << i;
    }
    return there;
}

/* Whether `path` is the name, with whatever number. */
static bool is_numbered(const struct want *want, struct span name, const char *path)
{
    size_t len = strlen(want->directory);
    struct text text = {0};
    bool is = false;

    if (strncmp(path, want->directory, len) != 0 || path[len] != '/')
        return false;
    for (unsigned number = 0; number <= NUMBER_MAX && !is; number++) {
        file_name_numbered(&text, name, number);
        CHECK(!text.failed);
        is = span_equal(text_span(&text), span_of(path + len + 1));
    }
    text_free(&text);
    return is;
}

static bool is_final(const struct want *want, const char *path)
{
    return is_numbered(want, span_of(want->name), path) ||
           (want->late_name[0] && is_numbered(want, span_of(want->late_name), path));
}

static bool is_name_aside(const struct want *want, const char *name, const char *path)
{
    struct text text = {0};
    bool is;

    file_name_aside(&text, span_of(name));
    CHECK(!text.failed);
    is = is_numbered(want, text_span(&text), path);
    text_free(&text);
    return is;
}

static bool is_aside(const struct want *want, const char *path)
{
    return is_name_aside(want, want->name, path) ||
           (want->late_name[0] && is_name_aside(want, want->late_name, path));
}

static bool is_partial(const struct want *want, const char *path)
{
    char partial[256];

    for (enum partial i = 0; i < PARTIAL_COUNT; i++) {
        check_partial_path(want, i, partial);
        if (strcmp(partial, path) == 0)
            return true;
    }
    return false;
}

/* Whose it may be, by its name; and, if there is one, by its content. */
static struct want *find_want(struct scenario *scenario, const char *path,
                              bool (*is)(const struct want *want, const char *path),
                              const struct span *content)
{
    struct want *found = NULL;

    for (size_t i = scenario->want_count; i-- > 0;) {
        struct want *want = &scenario->wants[i];

        if (want->memory || !is(want, path))
            continue;
        if (content && check_is_right(want, content->data, content->len))
            return want;
        found = want;
    }
    return found;
}

/* --- what may be left ------------------------------------------------------------------------ */

unsigned check_excused(const struct want *want)
{
    static const unsigned removing =
        1U << DISK_UNLINK | 1U << DISK_TRUNCATE | 1U << DISK_SYNC | 1U << DISK_CLAIM;
    static const unsigned looking =
        1U << DISK_CLAIM | 1U << DISK_READ | 1U << DISK_EXISTS | 1U << DISK_FACTS;
    unsigned excused = 0;
    char path[256];

    for (enum partial i = 0; i < PARTIAL_COUNT; i++) {
        unsigned troubles;

        check_partial_path(want, i, path);
        troubles = disk_troubles(want->scenario->world->disk, path);
        if (troubles & removing)
            excused |= 1U << i;
        if (i != PARTIAL_BESIDE && (troubles & looking)) /* nobody knows what else there is */
            excused = (1U << PARTIAL_COUNT) - 1;
    }
    return excused;
}

/* --- what there is --------------------------------------------------------------------------- */

struct look {
    struct scenario *scenario;
    enum crash crash;
    char damaged[WANTS_MAX * 4][256]; /* to be removed, as people would */
    size_t damaged_count;
};

static struct foreign *find_foreign(struct scenario *scenario, const char *path)
{
    for (size_t i = 0; i < scenario->foreign_count; i++)
        if (strcmp(scenario->foreigns[i].path, path) == 0)
            return &scenario->foreigns[i];
    return NULL;
}

static void check_final(struct look *look, struct want *want, const char *path, const char *data,
                        uint64_t size)
{
    struct world *world = look->scenario->world;

    if (check_is_right(want, data, size))
        return;
    if (look->crash != CRASH_POWER || look->scenario->options.durable) {
        check_describe(want, data, size);
        world_fail(world, "%s has its name, but is wrong", path);
    }
    world->counts.damaged++;
    CHECK(look->damaged_count < COUNT_OF(look->damaged));
    snprintf(look->damaged[look->damaged_count++], sizeof(look->damaged[0]), "%s", path);
    for (size_t i = 0; i < look->scenario->want_count; i++)
        if (strcmp(look->scenario->wants[i].path, path) == 0)
            look->scenario->wants[i].finished = false;
}

/* What was put aside is not what was wanted; in an earlier life, or in this one. */
static void check_aside(struct look *look, const char *path, const char *data, uint64_t size)
{
    struct scenario *scenario = look->scenario;
    struct world *world = scenario->world;
    struct want *want = NULL;
    unsigned count = 0;
    bool mismatched = false;

    for (size_t i = 0; i < scenario->want_count; i++) {
        if (scenario->wants[i].memory || !is_aside(&scenario->wants[i], path))
            continue;
        want = &scenario->wants[i];
        if (look->crash != CRASH_NONE)
            want->mismatched = true; /* there was nobody left to tell */
        mismatched = mismatched || want->mismatched;
        count++;
    }
    if (!mismatched)
        world_fail(world, "%s was put aside, and nobody was told", path);
    if (count == 1 && want->checksum[0] && !want->resource.slandered &&
        !look->scenario->power_lost && check_is_right(want, data, size))
        world_fail(world, "%s was put aside, and is right", path);
}

static void look_at(void *context, const char *path, const char *data, uint64_t size)
{
    struct look *look = context;
    struct world *world = look->scenario->world;
    struct foreign *foreign = find_foreign(look->scenario, path);
    const struct haul_options *options = &look->scenario->options;
    struct span content = span_make(data, (size_t)size);
    struct want *want;

    world_trace_text(world, "there", path, size);
    if (foreign && is_version(&foreign->content, data, size))
        return;
    if (foreign && !options->allow_overwrite && !options->conditional_get)
        world_fail(world, "%s was somebody else's, and has changed", path);
    if (foreign)
        foreign->replaced = true;
    want = find_want(look->scenario, path, is_final, &content);
    if (want)
        check_final(look, want, path, data, size);
    else if (find_want(look->scenario, path, is_aside, NULL))
        check_aside(look, path, data, size);
    else if (!find_want(look->scenario, path, is_partial, NULL))
        world_fail(world, "nobody asked for %s", path);
}

static void check_foreigns(const struct scenario *scenario)
{
    const char *data;
    uint64_t size;

    for (size_t i = 0; i < scenario->foreign_count; i++)
        if (!scenario->foreigns[i].replaced &&
            !disk_find(scenario->world->disk, scenario->foreigns[i].path, &data, &size))
            world_fail(scenario->world, "%s was somebody else's, and is gone",
                       scenario->foreigns[i].path);
}

static void check_not_lost(struct scenario *scenario, enum crash crash)
{
    const char *data;
    uint64_t size;

    for (size_t i = 0; i < scenario->want_count; i++) {
        struct want *want = &scenario->wants[i];

        if (!want->finished || want->memory)
            continue;
        if (disk_find(scenario->world->disk, want->path, &data, &size) &&
            (want->life != scenario->life || check_is_right(want, data, size)))
            continue;
        if (crash != CRASH_POWER || scenario->options.durable)
            world_fail(scenario->world, "%s was done, and %s is gone, or another one's", want->url,
                       want->path);
        want->finished = false;
    }
}

/* Of a download that is done nothing is left, but for what could not be removed; and a loss of
 * power brings nothing back. */
static void check_left(struct want *want)
{
    struct world *world = want->scenario->world;
    unsigned there = check_partials(want);

    if (there & ~want->left)
        world_fail(world, "%s is done, and something is left of it (%u)", want->url, there);
}

void check_disk(struct scenario *scenario, enum crash crash)
{
    struct look look = {.scenario = scenario, .crash = crash};

    disk_each(scenario->world->disk, look_at, &look);
    for (size_t i = 0; i < look.damaged_count; i++)
        disk_remove(scenario->world->disk, look.damaged[i]);
    check_foreigns(scenario);
    check_not_lost(scenario, crash);
    for (size_t i = 0; i < scenario->want_count; i++) {
        struct want *want = &scenario->wants[i];
        struct recorded recorded;

        check_record(want, &recorded);
        want->recorded_bytes = recorded.bytes;
        want->kept_bytes = recorded.fits ? recorded.bytes : 0;
        want->kept_extents = recorded.extents;
        if (want->finished)
            check_left(want);
    }
}
