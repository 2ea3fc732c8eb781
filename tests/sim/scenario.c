/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/sim/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/wheel.h"
#include "tests/sim/disk.h"

enum { LIVES_MAX = 9, CAPACITY_BYTES = 1 << 30 };

/* --- servers --------------------------------------------------------------------------------- */

static void make_hosts(struct scenario *scenario)
{
    struct net *net = scenario->world->net;
    struct dice *dice = &scenario->dice;

    net->host_count = (size_t)dice_between(dice, 1, 3);
    for (size_t i = 0; i < net->host_count; i++) {
        struct host *host = &net->hosts[i];

        snprintf(host->name, sizeof(host->name), "host%zu.test", i);
        host->address_count = (size_t)dice_between(dice, 1, NET_ADDRESSES_MAX);
        for (size_t number = 0; number < host->address_count; number++) {
            host->v6[number] = dice_permille(dice, 400);
            host->reach[number] = dice_permille(dice, 700)   ? REACH_GOOD
                                  : dice_permille(dice, 500) ? REACH_REFUSED
                                                             : REACH_SILENT;
        }
        host->reach[dice_below(dice, host->address_count)] = REACH_GOOD;
    }
}

static uint64_t some_size(struct dice *dice)
{
    uint64_t most = dice_permille(dice, 50)    ? SIZE_MAX_BYTES
                    : dice_permille(dice, 300) ? SIZE_MAX_BYTES / 2
                                               : 300 * 1024;
    uint64_t size = dice_permille(dice, 300) ? dice_size(dice, most) : dice_below(dice, most);

    if (dice_permille(dice, 50))
        return 0;
    if (dice_permille(dice, 200))
        return (size + 4095) / 4096 * 4096;
    return size;
}

/* Later versions are often of the same size, and often begin as the first one did. */
static void make_versions(struct resource *resource, struct dice *dice)
{
    resource->version_count =
        dice_permille(dice, 500) ? 1 : (unsigned)dice_between(dice, 2, RESOURCE_VERSIONS_MAX);
    resource->current = 0;
    for (unsigned i = 0; i < resource->version_count; i++) {
        struct content *content = &resource->versions[i];

        content->size =
            i > 0 && dice_permille(dice, 600) ? resource->versions[0].size : some_size(dice);
        content->key = dice_next(dice);
        content->old_key = resource->versions[0].key;
        if (i > 0 && dice_permille(dice, 300))
            content->old_bytes = dice_below(dice, content->size + 1) / 8 * 8;
    }
}

static enum validator some_validator(struct dice *dice)
{
    static const enum validator validators[] = {
        VALIDATOR_ETAG, VALIDATOR_ETAG,      VALIDATOR_ETAG,     VALIDATOR_ETAG, VALIDATOR_DATE,
        VALIDATOR_DATE, VALIDATOR_WEAK_ETAG, VALIDATOR_NEW_DATE, VALIDATOR_NONE};

    return validators[dice_below(dice, COUNT_OF(validators))];
}

static struct copy *make_copy(struct scenario *scenario, struct want *want, const char *kind,
                              size_t number)
{
    struct net *net = scenario->world->net;
    struct dice *dice = &scenario->dice;
    struct copy *copy = &net->copies[net->copy_count++];

    CHECK(net->copy_count <= NET_COPIES_MAX);
    copy->host = (size_t)dice_below(dice, net->host_count);
    snprintf(copy->path, sizeof(copy->path), "/%s%zu/r%u.bin", kind, number, want->resource.number);
    copy->resource = &want->resource;
    copy->ranges = dice_permille(dice, 900);
    copy->validator = some_validator(dice);
    copy->framing = dice_permille(dice, 800)   ? FRAMING_LENGTH
                    : dice_permille(dice, 500) ? FRAMING_CHUNKED
                                               : FRAMING_CLOSE;
    copy->old = number > 0 && dice_permille(dice, 200);
    copy->own_tags = dice_permille(dice, 500);
    copy->digests = dice_permille(dice, 300);
    return copy;
}

/* --- downloads ------------------------------------------------------------------------------- */

static void version_changes(struct event *event)
{
    struct want *want = CONTAINER_OF(event, struct want, change);

    if (want->resource.current + 1 < want->resource.version_count)
        want->resource.current++;
}

/* Where it is asked for, or a mirror; some lead elsewhere first. */
static void add_copy(struct scenario *scenario, struct want *want, char url[128])
{
    struct copy *copy = make_copy(scenario, want, "a", want->copy_count);

    if (dice_permille(&scenario->dice, 100))
        copy->redirect = make_copy(scenario, want, "elsewhere", want->copy_count);
    want->copies[want->copy_count++] = copy->redirect ? copy->redirect : copy;
    snprintf(url, 128, "http://%s%s", scenario->world->net->hosts[copy->host].name, copy->path);
}

static void make_checksum(struct want *want, struct dice *dice)
{
    enum hash_type type = (enum hash_type)dice_below(dice, HASH_SHA512 + 1);
    struct digest digest;
    char hex[HASH_HEX_MAX];

    if (dice_permille(dice, 600)) /* or there would be little that is right */
        want->resource.version_count = 1;
    want->checksum_version = (unsigned)dice_below(dice, want->resource.version_count);
    resource_hash(&want->resource, want->checksum_version, type, &digest);
    digest_hex(&digest, hex);
    snprintf(want->checksum, sizeof(want->checksum), "%s=%s", hash_name(type), hex);
}

static void make_want(struct scenario *scenario, unsigned number)
{
    struct want *want = &scenario->wants[number];
    struct dice *dice = &scenario->dice;

    want->scenario = scenario;
    want->resource.number = number;
    event_init(&want->change, scenario->world, version_changes);
    make_versions(&want->resource, dice);
    if (scenario->steady) {
        want->resource.version_count = 1;
        want->resource.versions[0].size = dice_between(dice, SIZE_MAX_BYTES / 4, SIZE_MAX_BYTES);
    }
    add_copy(scenario, want, want->url);
    if (dice_permille(dice, 300) && !scenario->steady)
        want->mirror_count = (size_t)dice_between(dice, 1, MIRRORS_MAX);
    for (size_t i = 0; i < want->mirror_count; i++) {
        add_copy(scenario, want, want->mirror_urls[i]);
        want->mirrors[i] = want->mirror_urls[i];
    }
    if (dice_permille(dice, 300))
        make_checksum(want, dice);
    want->memory = dice_permille(dice, 70);
    snprintf(want->name, sizeof(want->name), "r%u.bin", number);
    snprintf(want->directory, sizeof(want->directory), SCENARIO_ROOT);
    if (dice_permille(dice, 300)) {
        bool below = dice_permille(dice, 200);

        snprintf(want->name, sizeof(want->name), "o%u.data", number);
        snprintf(want->out, sizeof(want->out), "%so%u.data", below ? "below/" : "", number);
        if (below)
            snprintf(want->directory, sizeof(want->directory), SCENARIO_ROOT "/below");
    }
}

/* What servers call it; two in a row the same. */
static void name_late(struct scenario *scenario, struct dice *dice)
{
    for (unsigned i = 0; i < scenario->want_count; i++) {
        struct want *want = &scenario->wants[i];

        snprintf(want->late_name, sizeof(want->late_name), "r%u.late", i & ~1U);
        for (size_t k = 0; k < want->copy_count; k++)
            if (dice_permille(dice, 800) && !want->out[0])
                want->copies[k]->file_name = want->late_name;
    }
}

static void make_foreign(struct scenario *scenario, const struct want *want)
{
    struct foreign *foreign = &scenario->foreigns[scenario->foreign_count++];
    char *data;

    foreign->content = (struct content){.size = dice_size(&scenario->dice, 9000),
                                        .key = dice_next(&scenario->dice)};
    snprintf(foreign->path, sizeof(foreign->path), SCENARIO_ROOT "/%s", want->name);
    data = alloc_zeroed((size_t)foreign->content.size);
    CHECK(data);
    content_fill(&foreign->content, 0, data, (size_t)foreign->content.size);
    disk_put(scenario->world->disk, foreign->path, data, foreign->content.size);
    free(data);
}

/* --- options --------------------------------------------------------------------------------- */

static void make_options(struct scenario *scenario)
{
    static const enum haul_direct directs[] = {HAUL_DIRECT_AUTO, HAUL_DIRECT_AUTO,
                                               HAUL_DIRECT_ALWAYS, HAUL_DIRECT_NEVER};
    struct haul_options *options = &scenario->options;
    struct dice *dice = &scenario->dice;

    HAUL_OPTIONS_INIT(options);
    options->directory = SCENARIO_ROOT;
    options->downloads_max = (unsigned)dice_between(dice, 1, 8);
    options->connections_per_host = (unsigned)dice_below(dice, 5);
    options->tries_max = dice_permille(dice, 100) ? 0 : (unsigned)dice_between(dice, 2, 8);
    options->retry_wait_ms = dice_between(dice, 1, 2000);
    options->timeout_ms = dice_between(dice, 2000, 10000);
    options->connect_timeout_ms = dice_between(dice, 2000, 10000);
    options->wait_ms = dice_permille(dice, 100) ? dice_below(dice, 500) : 0;
    options->auto_file_renaming = dice_permille(dice, 800);
    options->buffer_memory = 1;
    options->direct = directs[dice_below(dice, COUNT_OF(directs))];
    options->allocation =
        dice_permille(dice, 400)
            ? HAUL_ALLOCATION_AUTO
            : (enum haul_allocation)dice_below(dice, HAUL_ALLOCATION_PREALLOC + 1);
    options->split = dice_permille(dice, 400) ? 1 : (unsigned)dice_between(dice, 2, 6);
    options->split_bytes_min = UINT64_C(4096) << dice_below(dice, 7);
    options->save_interval_ms = dice_permille(dice, 200) ? 0 : dice_size(dice, 2000);
    options->disk_full_waits = dice_permille(dice, 300);
    options->durable = dice_permille(dice, 300);
    options->check_digest =
        dice_permille(dice, 600)
            ? HAUL_CHECK_DIGEST_AUTO
            : (enum haul_check_digest)dice_below(dice, HAUL_CHECK_DIGEST_NO + 1);
    options->lowest_speed = dice_permille(dice, 200) ? dice_size(dice, 100000) : 0;
}

/* Of files that are there already, or get the same name. */
static void make_names(struct scenario *scenario)
{
    struct dice dice = dice_make(scenario->world->seed, 5);
    struct haul_options *options = &scenario->options;

    if (dice_permille(&dice, 600))
        return;
    if (dice_permille(&dice, 700))
        name_late(scenario, &dice);
    options->allow_overwrite = dice_permille(&dice, 300);
    options->conditional_get = dice_permille(&dice, 300);
    options->remote_time = dice_permille(&dice, 300);
}

/* --- lives ----------------------------------------------------------------------------------- */

static unsigned some_rate(struct dice *dice, unsigned most)
{
    return dice_permille(dice, 500) ? 0 : (unsigned)dice_below(dice, most + 1);
}

static void plan_weather(struct scenario *scenario)
{
    struct dice *dice = &scenario->dice;

    scenario->world->faults = (struct faults){
        .response = some_rate(dice, 700),
        .connect = some_rate(dice, 300),
        .resolve = some_rate(dice, 300),
        .disk = some_rate(dice, 20),
        .sync = some_rate(dice, 300),
        .close = dice_permille(dice, 200) ? some_rate(dice, 300) : 0,
        .descriptors = some_rate(dice, 100),
        .slow = some_rate(dice, 400),
    };
    disk_set_capacity(scenario->world->disk, CAPACITY_BYTES);
    if (dice_permille(dice, 200)) {
        disk_set_capacity(scenario->world->disk, dice_size(dice, 2 * SIZE_MAX_BYTES));
        scenario->was_full = true;
        if (scenario->options.disk_full_waits || dice_permille(dice, 300))
            event_start(&scenario->room, dice_below(dice, 30 * NS_PER_S));
    }
    for (size_t i = 0; i < scenario->want_count; i++)
        if (dice_permille(dice, 300))
            event_start(&scenario->wants[i].change, dice_below(dice, 20 * NS_PER_S));
}

/* Somebody makes room. */
static void room_comes(struct event *event)
{
    disk_set_capacity(event->world->disk, CAPACITY_BYTES);
}

/* All goes well but for one call. */
static void plan_one_failure(struct scenario *scenario)
{
    scenario->world->faults.disk_call = dice_permille(&scenario->dice, 500)
                                            ? dice_size(&scenario->dice, 300)
                                            : 1 + dice_below(&scenario->dice, 60);
}

static void calm_down(struct scenario *scenario)
{
    scenario->world->faults = (struct faults){0};
    disk_set_capacity(scenario->world->disk, CAPACITY_BYTES);
}

static void crashes(struct event *event)
{
    disk_crash(event->world);
}

static void plan_crash(struct world *world, struct dice *dice)
{
    world->crash = dice_permille(dice, 500) ? CRASH_KILL : CRASH_POWER;
    if (dice_permille(dice, 300))
        event_start(&world->crashing, NS_PER_MS * dice_below(dice, 10 * 1000));
    else
        world->crash_countdown =
            dice_permille(dice, 500) ? dice_size(dice, 400) : 1 + dice_below(dice, 100);
}

void scenario_plan_life(struct scenario *scenario, uint64_t *stop_ns)
{
    struct world *world = scenario->world;
    struct dice *dice = &scenario->dice;

    *stop_ns = UINT64_MAX;
    world->crash = CRASH_NONE;
    world->crash_countdown = 0;
    event_stop(&world->crashing);
    event_stop(&scenario->room);
    for (size_t i = 0; i < scenario->want_count; i++)
        event_stop(&scenario->wants[i].change);
    scenario->calm =
        scenario->life + 1 == scenario->lives || scenario->steady || dice_permille(dice, 200);
    calm_down(scenario);
    if (!scenario->calm && dice_permille(dice, 200))
        plan_one_failure(scenario);
    else if (!scenario->calm)
        plan_weather(scenario);
    if (scenario->life + 1 == scenario->lives)
        return;
    if (dice_permille(dice, 700))
        plan_crash(world, dice);
    /* Whoever may try without end is stopped in the end. */
    if (dice_permille(dice, 400) || (scenario->options.tries_max == 0 && !scenario->calm))
        *stop_ns = world->now_ns + NS_PER_MS * dice_size(dice, 60 * 1000);
}

/* --- begin and end --------------------------------------------------------------------------- */

struct scenario *scenario_create(struct world *world)
{
    struct scenario *scenario = alloc_zeroed(sizeof(*scenario));

    CHECK(scenario);
    scenario->world = world;
    scenario->dice = dice_make(world->seed, 0);
    world->net = net_create(world);
    world->disk = disk_create(world, SCENARIO_ROOT, CAPACITY_BYTES);
    disk_make_directory(world->disk, SCENARIO_ROOT);
    world->descriptors_max = dice_permille(&scenario->dice, 700)
                                 ? DESCRIPTORS_MAX
                                 : (size_t)dice_between(&scenario->dice, 44, 80);
    event_init(&world->crashing, world, crashes);
    event_init(&scenario->room, world, room_comes);
    make_hosts(scenario);
    scenario->steady = dice_permille(&scenario->dice, 60);
    scenario->want_count = (size_t)dice_size(&scenario->dice, WANTS_MAX);
    for (unsigned i = 0; i < scenario->want_count; i++)
        make_want(scenario, i);
    for (size_t i = 0; i < scenario->want_count; i++)
        if (scenario->foreign_count < FOREIGN_MAX && dice_permille(&scenario->dice, 100))
            make_foreign(scenario, &scenario->wants[i]);
    make_options(scenario);
    scenario->lives = (unsigned)dice_between(&scenario->dice, 2, LIVES_MAX);
    make_names(scenario);
    return scenario;
}

void scenario_destroy(struct scenario *scenario)
{
    for (size_t i = 0; i < scenario->want_count; i++)
        event_stop(&scenario->wants[i].change);
    event_stop(&scenario->world->crashing);
    event_stop(&scenario->room);
    net_destroy(scenario->world->net);
    disk_destroy(scenario->world->disk);
    free(scenario);
}
