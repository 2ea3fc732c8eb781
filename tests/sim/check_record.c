/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What a journal says is there must be there, in every state of the disk that can be reached: of
 * the one version that it names, or, where a checksum decides in the end, of any.
 */
#include <limits.h>
#include <string.h>

#include "sink/journal.h"
#include "tests/sim/check_internal.h"
#include "tests/sim/disk.h"
#include "tests/sim/net.h"

static bool is_validator_of(const struct copy *copy, unsigned version, struct span validator)
{
    struct text text = {0};
    bool same;

    copy_validator(copy, version, 0, &text);
    CHECK(!text.failed);
    same = span_equal(text_span(&text), validator);
    text_free(&text);
    return same;
}

/* Whose it is; UINT_MAX: no server has ever sent it. */
static unsigned version_of(const struct want *want, struct span validator)
{
    const struct net *net = want->scenario->world->net;

    for (size_t i = 0; i < net->copy_count; i++)
        for (unsigned version = 0; version <= want->resource.current; version++)
            if (net->copies[i].resource == &want->resource &&
                is_validator_of(&net->copies[i], version, validator))
                return version;
    return UINT_MAX;
}

/* How many bytes are of any version, each of whichever. */
static size_t match_any(const struct resource *resource, uint64_t offset, const char *data,
                        size_t len)
{
    size_t done = 0, best = 1;

    while (done < len && best > 0) {
        best = 0;
        for (unsigned i = 0; i <= resource->current; i++) {
            const struct content *content = &resource->versions[i];
            size_t match = content_match(content, offset + done, data + done, len - done);

            best = match > best ? match : best;
        }
        done += best;
    }
    return done;
}

static void check_extent(const struct want *want, const struct journal_copy *copy, unsigned version,
                         struct extent extent, const char *data)
{
    const struct resource *resource = &want->resource;
    size_t len = (size_t)(extent.to - extent.from), match;

    if (copy->decided)
        match = match_any(resource, extent.from, data + extent.from, len);
    else
        match = content_match(&resource->versions[version], extent.from, data + extent.from, len);
    if (match == len)
        return;
    check_describe(want, data, extent.to);
    world_fail(want->scenario->world,
               "%s: the journal has bytes %llu to %llu of version %u, and byte %llu is wrong",
               want->url, (unsigned long long)extent.from, (unsigned long long)extent.to, version,
               (unsigned long long)(extent.from + match));
}

static bool is_all_of(const struct want *want, const struct extents *extents, const char *data,
                      unsigned version)
{
    for (size_t i = 0; i < extents_count(extents); i++) {
        struct extent extent = extents_at(extents, i);
        size_t len = (size_t)(extent.to - extent.from);

        if (content_match(&want->resource.versions[version], extent.from, data + extent.from,
                          len) != len)
            return false;
    }
    return true;
}

/* The record is good, and the file is there. */
static void check_copy(const struct want *want, const struct journal_copy *copy, const char *data,
                       uint64_t size, struct recorded *recorded)
{
    struct world *world = want->scenario->world;
    struct span validator = text_span(&copy->validator);
    unsigned version = validator.len > 0 ? version_of(want, validator) : UINT_MAX;
    const struct copy *first = want->copies[0];
    unsigned current = copy_version(first);
    struct extents sound = {0}, all = {0};

    if (version == UINT_MAX && (validator.len > 0 || !copy->decided))
        world_fail(world, "%s: the journal has version %.*s, which never was", want->url,
                   SPAN_ARG(validator));
    CHECK(journal_sound(&copy->stored, copy->total, size, &sound) &&
          journal_sound(&copy->stored, copy->total, UINT64_MAX, &all));
    if (extents_bytes(&sound) < extents_bytes(&all) && !want->scenario->was_full)
        world_fail(world, "%s: the journal has %llu bytes, and the file but %llu", want->url,
                   (unsigned long long)extents_bytes(&all), (unsigned long long)size);
    for (size_t i = 0; i < extents_count(&sound); i++)
        check_extent(want, copy, version, extents_at(&sound, i), data);
    *recorded = (struct recorded){.says = true,
                                  .bytes = extents_bytes(&sound),
                                  .extents = extents_count(&sound),
                                  .version = UINT_MAX};
    for (unsigned i = 0; i <= want->resource.current; i++)
        if (i == version || (version == UINT_MAX && is_all_of(want, &sound, data, i)))
            recorded->version = i;
    recorded->fits =
        first->ranges && recorded->version == current &&
        (copy->total == UINT64_MAX || copy->total == want->resource.versions[current].size) &&
        (validator.len == 0 || is_validator_of(first, current, validator));
    extents_free(&sound);
    extents_free(&all);
}

/* As a run takes them up: the newer one first. */
static void check_copies(const struct want *want, const struct journal *journal,
                         struct recorded *recorded)
{
    for (unsigned i = 0; i < JOURNAL_COPIES; i++) {
        unsigned slot = i == 0 ? journal->newest : 1 - journal->newest;
        struct recorded found = {0};
        const char *data;
        uint64_t size;
        char path[256];

        check_partial_path(want, slot == 0 ? PARTIAL_DATA : PARTIAL_BESIDE, path);
        if (!journal->copies[slot].there ||
            !disk_find(want->scenario->world->disk, path, &data, &size))
            continue;
        check_copy(want, &journal->copies[slot], data, size, &found);
        if (recorded->bytes == 0)
            *recorded = found;
    }
}

void check_record(const struct want *want, struct recorded *recorded)
{
    struct journal journal = {0};
    const char *data;
    uint64_t size;
    char path[256];

    *recorded = (struct recorded){.version = UINT_MAX};
    check_partial_path(want, PARTIAL_JOURNAL, path);
    if (!disk_find(want->scenario->world->disk, path, &data, &size))
        return;
    if (size > JOURNAL_BYTES)
        world_fail(want->scenario->world, "%s has grown to %llu bytes", path,
                   (unsigned long long)size);
    CHECK(journal_read(&journal, span_make(data, (size_t)size), span_of(want->url)));
    check_copies(want, &journal, recorded);
    recorded->says = journal.sequence > 0;
    journal_free(&journal);
}
