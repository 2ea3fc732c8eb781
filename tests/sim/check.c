/* SPDX-License-Identifier: GPL-3.0-or-later */

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wheel.h"
#include "tests/sim/check_internal.h"
#include "tests/sim/disk.h"

enum {
    HOLE_BYTES = 2 * 4096,
    SPLIT_BYTES = 64 * 1024,
    UNRECORDED_BYTES = 2 * 32 * 1024, /* two chunks of a connection */
    COMMIT_NS = 600 * NS_PER_MS
};

/* --- what is told ---------------------------------------------------------------------------- */

static void check_finished(struct want *want, const struct haul_result *result)
{
    struct world *world = want->scenario->world;
    const char *data;
    uint64_t size;

    if (!disk_find(world->disk, result->path, &data, &size))
        world_fail(world, "%s is done, but there is no file %s", want->url, result->path);
    if (!check_is_right(want, data, size)) {
        check_describe(want, data, size);
        world_fail(world, "%s is done, but %s is wrong", want->url, result->path);
    }
    if (result->bytes != size)
        world_fail(world, "%s is done with %llu bytes, but %s has %llu", want->url,
                   (unsigned long long)result->bytes, result->path, (unsigned long long)size);
    if (want->scenario->options.durable && !disk_is_durable(world->disk, result->path))
        world_fail(world, "%s is done, but %s would not survive", want->url, result->path);
    if (disk_sync_failed(world->disk, result->path))
        world_fail(world, "%s is done, though a sync of %s has failed", want->url, result->path);
    want->left = check_partials(want);
    if (want->left & ~check_excused(want))
        world_fail(world, "%s is done, and something is left of it (%u)", want->url, want->left);
    if (disk_troubles(world->disk, want->directory) & 1U << DISK_SYNC_DIRECTORY)
        want->left |= 1U << PARTIAL_JOURNAL; /* an empty one may come back */
    want->finished = true;
    want->life = want->scenario->life;
    snprintf(want->path, sizeof(want->path), "%s", result->path);
}

/* What says that it is there is there, and else nothing new is. */
static void check_kept(struct want *want, const struct haul_result *result)
{
    struct world *world = want->scenario->world;
    unsigned there = check_partials(want);
    struct recorded recorded;

    check_record(want, &recorded);
    if (result->kept && recorded.bytes == 0 && !check_excused(want))
        world_fail(world, "%s is kept, and there is nothing to go on from", want->url);
    if (!result->kept && (there & ~want->there_before & ~check_excused(want)))
        world_fail(world, "%s is not kept, and something is left of it (%u)", want->url, there);
}

/* Nothing of it is ever on the disk, and nothing is kept. */
static void check_memory(struct want *want, const struct haul_result *result)
{
    struct world *world = want->scenario->world;

    if (result->kept || (result->status != HAUL_OK && result->data))
        world_fail(world, "%s ends with %d, and there is something of it", want->url,
                   result->status);
    if (result->status != HAUL_OK)
        return;
    if (!check_is_right(want, result->data, result->bytes)) {
        check_describe(want, result->data, result->bytes);
        world_fail(world, "%s is done, but wrong", want->url);
    }
    want->finished = true;
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
    if (want->memory)
        check_memory(want, result);
    else if (result->status == HAUL_OK)
        check_finished(want, result);
    else
        check_kept(want, result);
}

/* --- what was fetched ------------------------------------------------------------------------ */

/* From the server that is asked first, which is not passed over for want of a digest, nor left for
 * being slow; and not from several, of which some may send what nobody has asked them for. */
static bool can_resume(const struct want *want)
{
    const struct haul_options *options = &want->scenario->options;
    bool one_source =
        want->mirror_count == 0 || (options->split == 1 && options->lowest_speed == 0);

    return want->kept_bytes > 0 && one_source &&
           (options->check_digest != HAUL_CHECK_DIGEST_REQUIRE || want->copies[0]->digests ||
            want->checksum[0]);
}

/* What may come twice: before each hole a block to compare, and what leads up to the next; and what
 * is received of a part already when another connection takes it over. */
static uint64_t again_bytes(const struct want *want)
{
    unsigned split = want->scenario->options.split;

    return HOLE_BYTES * (split + want->kept_extents + 1) + SPLIT_BYTES * (uint64_t)(split - 1);
}

void check_resumed(struct scenario *scenario)
{
    for (size_t i = 0; i < scenario->want_count; i++) {
        const struct want *want = &scenario->wants[i];
        uint64_t sent = want->resource.sent_bytes - want->sent_before;
        uint64_t size = want->resource.versions[want->resource.current].size;

        if (scenario->calm && want->submitted && want->finished && can_resume(want) &&
            sent + want->kept_bytes > size + again_bytes(want))
            world_fail(scenario->world,
                       "%s: %llu of %llu bytes were kept, and %llu have been fetched", want->url,
                       (unsigned long long)want->kept_bytes, (unsigned long long)size,
                       (unsigned long long)sent);
    }
}

/* Whether the journal is written now and then, and no answer begins anew. */
static bool is_recorded(const struct want *want)
{
    const struct copy *copy = want->copies[0];

    return want->scenario->calm && want->scenario->options.save_interval_ms > 0 &&
           want->submitted && !want->told && !want->finished && !want->memory &&
           want->mirror_count == 0 && want->scenario->world->descriptors_max == DESCRIPTORS_MAX &&
           copy->framing == FRAMING_LENGTH && copy->ranges && want->resource.version_count == 1 &&
           (copy->validator == VALIDATOR_ETAG || copy->validator == VALIDATOR_DATE);
}

/* What came longer ago than the journal may lag behind. */
static uint64_t sent_long_ago(const struct want *want, uint64_t killed_ns)
{
    uint64_t interval_ns = want->scenario->options.save_interval_ms * NS_PER_MS;
    uint64_t lag_ns = 2 * interval_ns + COMMIT_NS;
    uint64_t sent = killed_ns > lag_ns ? resource_sent_at(&want->resource, killed_ns - lag_ns) : 0;

    return sent == UINT64_MAX || sent < want->sent_before ? 0 : sent - want->sent_before;
}

void check_killed(struct scenario *scenario, uint64_t killed_ns)
{
    for (size_t i = 0; i < scenario->want_count; i++) {
        const struct want *want = &scenario->wants[i];
        uint64_t sent = want->resource.sent_bytes - want->sent_before;
        uint64_t old = sent_long_ago(want, killed_ns);
        uint64_t held = UNRECORDED_BYTES * (uint64_t)scenario->options.split + again_bytes(want);

        if (!is_recorded(want) || want->kept_before + sent >= want->resource.versions[0].size)
            continue;
        scenario->world->counts.late += old > held;
        if (want->recorded_bytes + held < want->kept_before + old)
            world_fail(scenario->world,
                       "%s: there were %llu bytes, %llu have come longer ago, but the journal has "
                       "%llu",
                       want->url, (unsigned long long)want->kept_before, (unsigned long long)old,
                       (unsigned long long)want->recorded_bytes);
    }
}

/* --- the end --------------------------------------------------------------------------------- */

static bool may_exist(const struct want *want)
{
    char path[256];
    const char *data;
    uint64_t size;

    snprintf(path, sizeof(path), SCENARIO_ROOT "/%s", want->out[0] ? want->out : want->name);
    if (want->scenario->options.auto_file_renaming)
        return false;
    if (want->status == HAUL_IN_USE) /* servers call another one so, too */
        return want->late_name[0];
    if (want->status != HAUL_EXISTS)
        return false;
    if (disk_find(want->scenario->world->disk, path, &data, &size))
        return true;
    snprintf(path, sizeof(path), SCENARIO_ROOT "/%s", want->late_name);
    return want->late_name[0] && disk_find(want->scenario->world->disk, path, &data, &size);
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

/* What is done leaves nothing; what can't be done may. */
static void check_rest(struct want *want)
{
    if (!want->finished && !may_exist(want) && !may_disagree(want) &&
        (check_partials(want) & ~check_excused(want)))
        world_fail(want->scenario->world, "all is done, and something is left of %s", want->url);
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
    for (size_t i = 0; scenario->calm && i < scenario->want_count; i++)
        check_rest(&scenario->wants[i]);
}
