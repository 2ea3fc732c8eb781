/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sim [-v] [-t] FROM[-TO]: simulates these seeds. -v shows all that happens, -t runs each seed
 * twice and compares. Ends with a line that tells how many seeds there were and how many failed,
 * and with 1 if any did.
 *
 * Seeds run in a process of their own, many one after the other, so that one that breaks, in
 * whatever way, costs only itself.
 */
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/wheel.h"
#include "tests/sim/check_internal.h"
#include "tests/sim/disk.h"
#include "tests/sim/scenario.h"

enum { SEED_SECONDS_MAX = 60, LIFE_SECONDS_MAX = 6 * 60 * 60, TURN_MS = 1000, FAILED_MAX = 50 };

/* --- a life ---------------------------------------------------------------------------------- */

static void ended(haul_download *download, void *user)
{
    struct want *want = user;
    struct haul_result result;

    if (want->scenario->world->survivor)
        return; /* nobody hears it any more */
    haul_download_result(download, &result);
    check_told(want, &result);
}

static void log_line(void *context, enum haul_log_level level, const char *line)
{
    (void)level;
    world_show(context, line);
}

static void submit(struct scenario *scenario, haul_engine *engine)
{
    for (size_t i = 0; i < scenario->want_count; i++) {
        struct want *want = &scenario->wants[i];
        struct haul_request request;
        struct haul_error error;

        want->submitted = !want->finished;
        want->told = false;
        want->sent_before = want->resource.sent_bytes;
        want->kept_before = want->kept_bytes;
        want->there_before = check_partials(want);
        if (want->finished)
            continue;
        HAUL_REQUEST_INIT(&request);
        request.url = want->url;
        request.mirrors = want->mirrors;
        request.mirror_count = want->mirror_count;
        request.checksum = want->checksum[0] ? want->checksum : NULL;
        request.out = want->out[0] ? want->out : NULL;
        request.sink = want->memory ? HAUL_SINK_MEMORY : HAUL_SINK_FILE;
        request.done = ended;
        request.user = want;
        if (!haul_submit(engine, &request, NULL, &error))
            world_fail(scenario->world, "%s is refused: %s", want->url, error.text);
    }
}

/* Until all is told, or the crash. */
static void turn(struct world *world, haul_engine *engine, uint64_t stop_ns)
{
    uint64_t end_ns = world->now_ns + LIFE_SECONDS_MAX * (uint64_t)NS_PER_S;
    int64_t turn_ms;

    do {
        if (world->now_ns >= stop_ns) {
            world_trace(world, "STOP", 0, 0, 0);
            world->counts.stops++;
            haul_cancel_all(engine);
            stop_ns = UINT64_MAX;
        }
        if (world->now_ns > end_ns)
            world_fail(world, "the downloads take for ever");
        turn_ms =
            stop_ns == UINT64_MAX ? TURN_MS : (int64_t)((stop_ns - world->now_ns) / NS_PER_MS) + 1;
    } while (!world->survivor && haul_run(engine, turn_ms < TURN_MS ? turn_ms : TURN_MS) > 0);
}

static void check_told_all(struct scenario *scenario)
{
    for (size_t i = 0; i < scenario->want_count; i++)
        if (scenario->wants[i].submitted && !scenario->wants[i].told)
            world_fail(scenario->world, "%s is never told", scenario->wants[i].url);
}

/* After a crash the engine lives on for a moment, on a disk that nobody will see again: to its end,
 * so that every simulated crash is a clean shut-down as well. */
static void live(struct scenario *scenario)
{
    struct world *world = scenario->world;
    struct haul_error error;
    haul_engine *engine;
    uint64_t stop_ns;
    uint64_t crashed_ns = 0;
    bool crashed;

    scenario_plan_life(scenario, &stop_ns);
    disk_begin_life(world->disk);
    world->counts.lives++;
    world_trace(world, "LIFE", scenario->life, world->crash, scenario->calm);
    engine = haul_engine_create(&scenario->options, &error);
    if (!engine)
        world_fail(world, "no engine: %s", error.text);
    submit(scenario, engine);
    turn(world, engine, stop_ns);
    if (!world->survivor)
        check_told_all(scenario);
    haul_engine_destroy(engine);
    if (disk_open_count(world->disk) > 0)
        world_fail(world, "%zu files and directories are left open", disk_open_count(world->disk));
    crashed = world->survivor;
    if (crashed) {
        world->counts.kills += world->crash == CRASH_KILL;
        world->counts.power_losses += world->crash == CRASH_POWER;
        disk_destroy(world->disk);
        world->disk = world->survivor;
        world->survivor = NULL;
        crashed_ns = world->crashed_ns;
    }
    if (crashed && world->crash == CRASH_POWER)
        scenario->power_lost = true;
    if (!crashed)
        check_resumed(scenario);
    check_disk(scenario, crashed ? world->crash : CRASH_NONE);
    if (crashed && world->crash == CRASH_KILL)
        check_killed(scenario, crashed_ns);
}

static bool all_finished(const struct scenario *scenario)
{
    for (size_t i = 0; i < scenario->want_count; i++)
        if (!scenario->wants[i].finished)
            return false;
    return true;
}

static void add_counts(struct counts *sum, const struct counts *counts)
{
    const uint64_t *from = (const uint64_t *)counts;
    uint64_t *to = (uint64_t *)sum;

    for (size_t i = 0; i < sizeof(*counts) / sizeof(*from); i++)
        to[i] += from[i];
}

/* Returns the trace, and adds to the counts. */
static uint64_t simulate(uint64_t seed, bool verbose, struct counts *counts)
{
    struct world *world = world_create(seed, verbose);
    struct scenario *scenario;
    uint64_t trace;

    world_now = world;
    scenario = scenario_create(world);
    if (verbose) {
        scenario->options.log_level = HAUL_LOG_DEBUG;
        scenario->options.log = log_line;
        scenario->options.log_context = world;
    }
    while (scenario->life < scenario->lives) {
        live(scenario);
        scenario->life = all_finished(scenario) ? scenario->lives : scenario->life + 1;
    }
    check_all_done(scenario);
    scenario_destroy(scenario);
    trace = world->trace;
    add_counts(counts, &world->counts);
    world_destroy(world);
    return trace;
}

/* --- many seeds ------------------------------------------------------------------------------ */

struct how {
    bool verbose;
    bool twice;
    bool broken;
    unsigned failed_max;
};

/* Shared with the process that simulates. */
struct progress {
    volatile uint64_t seed; /* under way */
    volatile uint64_t trace;
    struct counts counts;
};

/* Too long a time in one seed: not a matter of the simulated time. */
static void limit_time(void)
{
    struct itimerval limit = {.it_value = {.tv_sec = SEED_SECONDS_MAX}};

    (void)setitimer(ITIMER_PROF, &limit, NULL);
}

static int simulate_all(struct progress *progress, uint64_t to, const struct how *how)
{
    for (; progress->seed <= to; progress->seed++) {
        struct counts unused = {0};
        uint64_t trace;

        limit_time();
        trace = simulate(progress->seed, how->verbose, &progress->counts);
        if (how->twice && simulate(progress->seed, false, &unused) != trace) {
            fprintf(stderr, "seed %" PRIu64 ": another time it goes another way\n", progress->seed);
            return 1;
        }
        progress->trace = dice_mix(progress->trace + trace);
    }
    return 0;
}

/* Of a plant nothing but this counts. */
static bool is_violation(int status)
{
    return WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

static void tell_death(uint64_t seed, int status)
{
    if (WIFSIGNALED(status))
        fprintf(stderr, "seed %" PRIu64 ": %s\n", seed,
                WTERMSIG(status) == SIGPROF ? "it takes too long" : strsignal(WTERMSIG(status)));
    else if (!is_violation(status))
        fprintf(stderr, "seed %" PRIu64 ": ended with %d\n", seed, WEXITSTATUS(status));
}

static void show(const struct progress *progress)
{
    const struct counts *counts = &progress->counts;

    printf("# %" PRIu64 " lives: %" PRIu64 " kills, %" PRIu64 " losses of power, %" PRIu64
           " stops\n",
           counts->lives, counts->kills, counts->power_losses, counts->stops);
    printf("# %" PRIu64 " downloads done, %" PRIu64 " failed, %" PRIu64 " stopped; %" PRIu64
           " kept something, %" PRIu64 " went on from it; %" PRIu64 " files damaged; %" PRIu64
           " journals found up to date\n",
           counts->done, counts->failed, counts->stopped, counts->kept, counts->resumed,
           counts->damaged, counts->late);
    printf("# %" PRIu64 " requests, %" PRIu64 " calls on files\n# trace %016" PRIx64 "\n",
           counts->requests, counts->disk_calls, progress->trace);
}

/* How many failed. */
static unsigned run_seeds(uint64_t from, uint64_t to, const struct how *how)
{
    struct progress *progress =
        mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    unsigned failed = 0;

    CHECK(progress != MAP_FAILED);
    progress->seed = from;
    while (progress->seed <= to && failed < how->failed_max) {
        pid_t child;
        int status;

        fflush(stdout);
        child = fork();
        CHECK(child >= 0);
        if (child == 0)
            exit(simulate_all(progress, to, how));
        CHECK(waitpid(child, &status, 0) == child);
        if (status == 0)
            break;
        tell_death(progress->seed, status);
        failed += !how->broken || is_violation(status);
        progress->seed++;
    }
    show(progress);
    return failed;
}

static int usage(void)
{
    fputs("Usage: sim [-v] [-t] [-x] FROM[-TO]\n", stderr);
    return 2;
}

/* In the form of the Test Anything Protocol. */
static int run(uint64_t from, uint64_t to, const struct how *how)
{
    unsigned failed = run_seeds(from, to, how);
    bool good = how->broken == (failed > 0);

    printf("%sok 1 - seeds %" PRIu64 " to %" PRIu64, good ? "" : "not ", from, to);
    if (how->broken)
        printf(": one of them finds what is broken");
    else if (failed > 0)
        printf(": %u failed", failed);
    puts("\n1..1");
    return !good;
}

int main(int argc, char **argv)
{
    struct how how = {.failed_max = FAILED_MAX};
    uint64_t from, to;
    struct span range;
    int option;

    while ((option = getopt(argc, argv, "vtx")) != -1) {
        if (option == '?')
            return usage();
        how.verbose = how.verbose || option == 'v';
        how.twice = how.twice || option == 't';
        how.broken = how.broken || option == 'x';
    }
    if (optind + 1 != argc)
        return usage();
    range = span_of(argv[optind]);
    if (!span_to_u64(span_cut(&range, '-'), &from))
        return usage();
    to = from;
    if (range.len > 0 && !span_to_u64(range, &to))
        return usage();
    if (how.broken)
        how.failed_max = 1;
    (void)setvbuf(stdout, NULL, how.verbose ? _IOLBF : _IOFBF, BUFSIZ);
    return run(from, to, &how);
}
