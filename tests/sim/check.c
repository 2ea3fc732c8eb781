/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/sim/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink/file_name.h"
#include "tests/sim/disk.h"

enum { AGAIN_BYTES = 4096, AGAIN_BYTES_A_LEG = 2 * 4096 };

static bool is_version(const struct content *content, const char *data, uint64_t size)
{
    return content->size == size && content_match(content, 0, data, (size_t)size) == size;
}

/* Whether this is all of one version that servers have had, and of the one that the checksum is of,
 * if there is one. */
static bool is_right(const struct want *want, const char *data, uint64_t size)
{
    const struct resource *resource = &want->resource;

    if (want->checksum[0])
        return is_version(&resource->versions[want->checksum_version], data, size);
    for (unsigned i = 0; i <= resource->current; i++)
        if (is_version(&resource->versions[i], data, size))
            return true;
    return false;
}

/* How it came to be wrong, for people. */
static void describe(const struct resource *resource, const char *data, uint64_t size)
{
    fprintf(stderr, "resource %u: %llu bytes:", resource->number, (unsigned long long)size);
    for (unsigned i = 0; i < resource->version_count; i++)
        fprintf(stderr, " version %u%s has %llu, the first %zu are the same;", i,
                i > resource->current ? " (never seen)" : "",
                (unsigned long long)resource->versions[i].size,
                content_match(&resource->versions[i], 0, data, (size_t)size));
    fputc('\n', stderr);
}

/* --- what is told ---------------------------------------------------------------------------- */

static void check_finished(struct want *want, const struct haul_result *result)
{
    struct world *world = want->scenario->world;
    const char *data;
    uint64_t size;

    if (!disk_find(world->disk, result->path, &data, &size))
        world_fail(world, "%s is done, but there is no file %s", want->url, result->path);
    if (!is_right(want, data, size)) {
        describe(&want->resource, data, size);
        world_fail(world, "%s is done, but %s is wrong", want->url, result->path);
    }
    if (result->bytes != size)
        world_fail(world, "%s is done with %llu bytes, but %s has %llu", want->url,
                   (unsigned long long)result->bytes, result->path, (unsigned long long)size);
    if (want->scenario->options.durable && !disk_is_durable(world->disk, result->path))
        world_fail(world, "%s is done, but %s would not survive", want->url, result->path);
    want->finished = true;
    snprintf(want->path, sizeof(want->path), "%s", result->path);
}

void check_told(struct want *want, const struct haul_result *result)
{
    struct world *world = want->scenario->world;

    world_trace_text(world, "told", want->url, result->status);
    if (want->told)
        world_fail(world, "%s is told twice", want->url);
    want->told = true;
    want->status = result->status;
    world->counts.done += result->status == HAUL_OK;
    world->counts.stopped += result->status == HAUL_UNFINISHED;
    world->counts.failed += result->status != HAUL_OK && result->status != HAUL_UNFINISHED;
    world->counts.kept += result->kept;
    world->counts.resumed += result->resumed_bytes > 0;
    want->mismatched = want->mismatched || result->status == HAUL_CHECKSUM;
    want->kept_bytes = result->kept ? result->bytes : 0;
    want->kept_version = want->resource.current;
    if (result->status == HAUL_OK)
        check_finished(want, result);
}

/* --- what there is --------------------------------------------------------------------------- */

struct look {
    struct scenario *scenario;
    enum crash crash;
    char damaged[WANTS_MAX * 4][256]; /* to be removed, as people would */
    size_t damaged_count;
};

static const struct foreign *find_foreign(const struct scenario *scenario, const char *path)
{
    for (size_t i = 0; i < scenario->foreign_count; i++)
        if (strcmp(scenario->foreigns[i].path, path) == 0)
            return &scenario->foreigns[i];
    return NULL;
}

static bool ends_with(const char *text, const char *end)
{
    return strlen(text) >= strlen(end) && strcmp(text + strlen(text) - strlen(end), end) == 0;
}

/* What an unfinished download has. */
static bool is_partial(const char *path)
{
    return ends_with(path, FILE_NAME_DATA) || ends_with(path, FILE_NAME_BESIDE) ||
           ends_with(path, FILE_NAME_JOURNAL);
}

/* "r3.bin", "o3.1.data" ... */
static struct want *find_want(struct scenario *scenario, const char *path)
{
    const char *name = strrchr(path, '/') + 1;
    unsigned number = (unsigned)(name[1] - '0');

    if ((name[0] != 'r' && name[0] != 'o') || number >= scenario->want_count || name[2] != '.')
        return NULL;
    return &scenario->wants[number];
}

static void check_final(struct look *look, struct want *want, const char *path, const char *data,
                        uint64_t size)
{
    struct world *world = look->scenario->world;

    if (is_right(want, data, size))
        return;
    if (look->crash != CRASH_POWER || look->scenario->options.durable) {
        describe(&want->resource, data, size);
        world_fail(world, "%s has its name, but is wrong", path);
    }
    world->counts.damaged++;
    CHECK(look->damaged_count < COUNT_OF(look->damaged));
    snprintf(look->damaged[look->damaged_count++], sizeof(look->damaged[0]), "%s", path);
    if (want->finished && strcmp(want->path, path) == 0)
        want->finished = false;
}

/* What was put aside is not what was wanted; in an earlier life, or in this one. */
static void check_aside(struct look *look, struct want *want, const char *path, const char *data,
                        uint64_t size)
{
    struct world *world = look->scenario->world;

    if (look->crash != CRASH_NONE)
        want->mismatched = true; /* there was nobody left to tell */
    if (!want->mismatched)
        world_fail(world, "%s was put aside, and nobody was told", path);
    if (want->checksum[0] && !want->resource.slandered && !look->scenario->power_lost &&
        is_right(want, data, size))
        world_fail(world, "%s was put aside, and is right", path);
}

static void look_at(void *context, const char *path, const char *data, uint64_t size)
{
    struct look *look = context;
    struct world *world = look->scenario->world;
    const struct foreign *foreign = find_foreign(look->scenario, path);
    struct want *want = find_want(look->scenario, path);

    world_trace_text(world, "there", path, size);
    if (foreign) {
        if (foreign->content.size != size ||
            content_match(&foreign->content, 0, data, (size_t)size) != size)
            world_fail(world, "%s was somebody else's, and has changed", path);
    } else if (!want) {
        world_fail(world, "nobody asked for %s", path);
    } else if (strstr(path, ".checksum-mismatch")) {
        check_aside(look, want, path, data, size);
    } else if (!is_partial(path)) {
        check_final(look, want, path, data, size);
    }
}

static void check_foreigns(const struct scenario *scenario)
{
    const char *data;
    uint64_t size;

    for (size_t i = 0; i < scenario->foreign_count; i++)
        if (!disk_find(scenario->world->disk, scenario->foreigns[i].path, &data, &size))
            world_fail(scenario->world, "%s was somebody else's, and is gone",
                       scenario->foreigns[i].path);
}

static void check_not_lost(struct scenario *scenario, enum crash crash)
{
    const char *data;
    uint64_t size;

    for (size_t i = 0; i < scenario->want_count; i++) {
        struct want *want = &scenario->wants[i];

        if (!want->finished || disk_find(scenario->world->disk, want->path, &data, &size))
            continue;
        if (crash != CRASH_POWER || scenario->options.durable)
            world_fail(scenario->world, "%s was done, and %s is gone", want->url, want->path);
        want->finished = false;
    }
}

void check_disk(struct scenario *scenario, enum crash crash)
{
    struct look look = {.scenario = scenario, .crash = crash};

    disk_each(scenario->world->disk, look_at, &look);
    for (size_t i = 0; i < look.damaged_count; i++)
        disk_remove(scenario->world->disk, look.damaged[i]);
    check_foreigns(scenario);
    check_not_lost(scenario, crash);
}

/* --- what was fetched ------------------------------------------------------------------------ */

/* Whether what is kept can be gone on from, by whoever keeps to the rules. */
static bool can_resume(const struct want *want)
{
    const struct copy *copy =
        want->copies[0]->redirect ? want->copies[0]->redirect : want->copies[0];

    return want->kept_bytes > 0 && copy->ranges && want->kept_version == want->resource.current &&
           (copy->validator == VALIDATOR_ETAG || copy->validator == VALIDATOR_DATE);
}

void check_resumed(struct scenario *scenario)
{
    for (size_t i = 0; i < scenario->want_count; i++) {
        const struct want *want = &scenario->wants[i];
        uint64_t sent = want->resource.sent_bytes - want->sent_before;
        uint64_t size = want->resource.versions[want->resource.current].size;
        uint64_t again = AGAIN_BYTES + AGAIN_BYTES_A_LEG * (uint64_t)scenario->options.split;

        if (scenario->calm && want->submitted && want->finished && can_resume(want) &&
            sent + want->kept_bytes > size + again)
            world_fail(scenario->world,
                       "%s: %llu of %llu bytes were kept, and %llu have been fetched", want->url,
                       (unsigned long long)want->kept_bytes, (unsigned long long)size,
                       (unsigned long long)sent);
    }
}

/* --- the end --------------------------------------------------------------------------------- */

static bool may_exist(const struct want *want)
{
    char path[256];
    const char *data;
    uint64_t size;

    snprintf(path, sizeof(path), SCENARIO_ROOT "/%s", want->out[0] ? want->out : want->name);
    return !want->scenario->options.auto_file_renaming && want->status == HAUL_EXISTS &&
           disk_find(want->scenario->world->disk, path, &data, &size);
}

/* Each time the mirrors are found out to have files of different sizes, all begins anew. */
static bool may_disagree(const struct want *want)
{
    const struct copy *first = want->copies[0];

    if (want->status != HAUL_SHORT_BODY || !want->checksum[0])
        return false;
    for (size_t i = 1; i < want->copy_count; i++)
        if (copy_version(want->copies[i]) != copy_version(first))
            return true;
    return false;
}

static void look_for_rest(void *context, const char *path, const char *data, uint64_t size)
{
    struct scenario *scenario = context;
    const struct want *want;

    (void)data;
    (void)size;
    if (!is_partial(path))
        return;
    want = find_want(scenario, path);
    if (want->finished || !(may_exist(want) || may_disagree(want)))
        world_fail(scenario->world, "all is done, and %s is left", path);
}

/* Nobody has it who could be asked for it, or nobody says what it must hash to. */
static bool may_mismatch(const struct want *want)
{
    if (want->status != HAUL_CHECKSUM)
        return false;
    for (size_t i = 0; i < want->copy_count; i++) {
        const struct copy *copy = want->copies[i];

        if (want->checksum[0] && copy_version(copy) != want->checksum_version)
            return true;
        if (want->scenario->options.check_digest == HAUL_CHECK_DIGEST_REQUIRE && !copy->digests)
            return true;
    }
    return false;
}

void check_all_done(struct scenario *scenario)
{
    for (size_t i = 0; i < scenario->want_count; i++) {
        const struct want *want = &scenario->wants[i];

        if (!want->finished && !may_exist(want) && !may_mismatch(want) && !may_disagree(want))
            world_fail(scenario->world, "nothing goes wrong any more, and %s ends with %d",
                       want->url, want->status);
    }
    if (scenario->calm)
        disk_each(scenario->world->disk, look_for_rest, scenario);
}
