/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *     a leg comes --+-- the body is stopping ------------------------> goes back at once
 *                   +-- somebody leads, or the sink rests: held ------> as if it came then
 *                   +-- nobody else is at work: it leads -----------\
 *                   \-- others are: it takes a part of what is left --> request --> goes back
 */
#include "engine/body.h"

#include "engine/plan.h"
#include "engine/request.h"
#include "engine/transfer.h"
#include "http/request.h"

void body_init(struct body *body)
{
    *body = (struct body){.total = UINT64_MAX};
    list_init(&body->legs);
    list_init(&body->held);
}

void body_free(struct body *body)
{
    CHECK(body->leg_count == 0 && !list_is_linked(&body->held));
    text_free(&body->validator);
    extents_free(&body->earlier);
    url_free(&body->url);
    CHECK(!body->verify);
}

void body_show(struct haul_download *transfer)
{
    uint64_t bytes = transfer->sink ? extents_bytes(&transfer->sink->stored) : 0;

    atomic_store_explicit(&transfer->shown_bytes, bytes, memory_order_relaxed);
    atomic_store_explicit(&transfer->shown_total, transfer->body.total, memory_order_relaxed);
}

void body_show_more(struct haul_download *transfer, uint64_t bytes)
{
    bytes += atomic_load_explicit(&transfer->shown_bytes, memory_order_relaxed);
    atomic_store_explicit(&transfer->shown_bytes, bytes, memory_order_relaxed);
}

bool body_complete(const struct haul_download *transfer)
{
    const struct body *body = &transfer->body;

    if (body->unchanged)
        return true;
    if (transfer->kind == HAUL_SINK_NONE || body->total == UINT64_MAX)
        return body->ended;
    return extents_has(&transfer->sink->stored, 0, body->total) &&
           (body->open || body->total > 0 || transfer->verified);
}

/* --- what it must hash to -------------------------------------------------------------------- */

bool body_want_digests(struct haul_download *transfer, bool anew)
{
    struct body *body = &transfer->body;

    if (anew)
        verify_reset(body->verify);
    if (transfer->kind == HAUL_SINK_NONE ||
        (!body->decided && !body->is_announced && !transfer->names.sha256))
        return true;
    if (!body->verify)
        body->verify = verify_create(&transfer->worker->verify_room, transfer->sink);
    if (!body->verify)
        return false;
    if (body->decided)
        (void)verify_want(body->verify, VERIFY_USER, &body->checksum);
    if (body->is_announced)
        (void)verify_want(body->verify, VERIFY_SERVER, &body->announced);
    if (transfer->names.sha256)
        verify_want_sha256(body->verify);
    return true;
}

static void verify_stopped(void *context, const struct haul_error *error)
{
    struct body *body = context;
    void (*then)(void *) = body->hushed;

    (void)error;
    body->hushing = false;
    body->hushed = NULL;
    if (then)
        then(body->hushed_context);
}

static void begin_hushing(struct body *body)
{
    if (!body->hushing)
        verify_stop(body->verify, verify_stopped, body);
    body->hushing = true;
}

void body_hush(struct haul_download *transfer, void (*then)(void *context), void *context)
{
    struct body *body = &transfer->body;

    if (!body->verify) {
        then(context);
        return;
    }
    CHECK(!body->hushed);
    body->hushed = then;
    body->hushed_context = context;
    begin_hushing(body);
}

/* --- what is left ---------------------------------------------------------------------------- */

static struct leg *leg_at(struct list *node)
{
    return LIST_ITEM(node, struct leg, node);
}

/* What nobody has or is at. */
static bool find_hole(const struct haul_download *transfer, struct extent *hole)
{
    const struct body *body = &transfer->body;
    uint64_t from = 0;
    bool found;

    do {
        found = extents_hole(&transfer->sink->stored, from, body->total, hole);
        from = hole->from;
        for (struct list *node = body->legs.next; found && node != &body->legs; node = node->next) {
            const struct extent *taken = &leg_at(node)->range;

            if (taken->from <= hole->from && taken->to > hole->from) {
                from = taken->to; /* look on behind it */
                break;
            }
            if (taken->from > hole->from && taken->from < hole->to)
                hole->to = taken->from;
        }
    } while (found && from != hole->from && from < body->total);
    return found && from == hole->from;
}

static size_t list_parts(const struct body *body, struct plan_part parts[SPLIT_MAX])
{
    size_t count = 0;

    for (struct list *node = body->legs.next; node != &body->legs; node = node->next) {
        const struct leg *leg = leg_at(node);

        CHECK(count < SPLIT_MAX);
        parts[count++] = (struct plan_part){.at = request_position(leg->request),
                                            .to = leg->range.to,
                                            .speed = request_speed(leg->request)};
    }
    return count;
}

static struct leg *leg_number(const struct body *body, size_t index)
{
    struct list *node = body->legs.next;

    while (index-- > 0)
        node = node->next;
    return leg_at(node);
}

/* A range for one more leg, and who has to give it up; NULL: nobody. False: nothing is left. */
static bool find_range(const struct haul_download *transfer, uint64_t speed, struct extent *range,
                       struct leg **victim)
{
    const struct body *body = &transfer->body;
    struct plan_part parts[SPLIT_MAX];
    struct plan plan = {
        .parts = parts,
        .bytes_min = transfer->worker->options->split_bytes_min,
        .coming = body->coming,
        .speed = speed,
    };
    size_t index;

    *victim = NULL;
    if (!body->ranges || body->total == UINT64_MAX)
        return false;
    if (find_hole(transfer, range)) {
        *range = plan_hole(&plan, *range);
        return true;
    }
    plan.part_count = list_parts(body, parts);
    if (!plan_split(&plan, range, &index))
        return false;
    *victim = leg_number(body, index);
    return true;
}

/* --- a leg's way back ------------------------------------------------------------------------ */

static void end_others(struct body *body, const struct leg *leg)
{
    struct haul_error stopped;
    struct list *node = body->legs.next;

    error_set(&stopped, HAUL_UNFINISHED, 0, "stopped");
    /* Each takes itself out of the list as it ends, but maybe not at once. */
    while (node != &body->legs) {
        struct leg *other = leg_at(node);

        node = node->next;
        if (other != leg)
            request_abort(other->request, &stopped);
    }
}

static void begin_held(struct haul_download *transfer)
{
    struct body *body = &transfer->body;
    struct list *node;

    while (!body->leader && !body->resting && (node = list_pop_front(&body->held)))
        body_begin(leg_at(node));
}

static void send_back(struct leg *leg)
{
    struct haul_download *transfer = leg->transfer;
    struct body *body = &transfer->body;

    if (body->stopping && leg->outcome != LEG_COMPLETE)
        leg->outcome = LEG_STOPPED;
    worker_leg_ended(transfer->worker, leg);
}

/* A leg for which there is no request. */
static void send_back_idle(struct leg *leg)
{
    leg->outcome = body_complete(leg->transfer) ? LEG_COMPLETE : LEG_DONE;
    leg->more = false;
    send_back(leg);
}

static void rested(void *context, const struct haul_error *error)
{
    struct leg *leg = context;
    struct haul_download *transfer = leg->transfer;

    (void)error;
    transfer->body.resting = false;
    begin_held(transfer);
    send_back(leg);
}

/* Nobody knows when the next grant will be. A file that stays open until then spares the syncing;
 * but where descriptors are short, those with a grant would wait for those who wait for one. And a
 * full disk is better waited for with all that is there written down. */
static bool must_rest(const struct leg *leg)
{
    const struct sink *sink = leg->transfer->sink;
    const struct body *body = &leg->transfer->body;

    if (body->leg_count > 0 || body_complete(leg->transfer))
        return false;
    if (body->stopping && body->error.status == HAUL_DISK_FULL)
        return true;
    return sink->operations->scarce && sink->operations->scarce(leg->transfer->sink);
}

static void rest_now(void *context)
{
    struct leg *leg = context;
    struct sink *sink = leg->transfer->sink;

    sink_set_user(sink, rested, leg);
    sink->operations->abandon(sink, true);
}

static void rest(struct leg *leg)
{
    struct body *body = &leg->transfer->body;

    body->prepared = false;
    body->open = false;
    body->resting = true;
    body_hush(leg->transfer, rest_now, leg);
}

/* However the body was framed: a part is whole only with as many bytes as were to come. */
static void check_whole(struct leg *leg)
{
    struct haul_download *transfer = leg->transfer;
    struct extent hole;

    if (transfer->kind == HAUL_SINK_NONE || transfer->body.total == UINT64_MAX ||
        !extents_hole(&transfer->sink->stored, leg->range.from,
                      leg->range.to < transfer->body.total ? leg->range.to : transfer->body.total,
                      &hole))
        return;
    error_set(&leg->error, HAUL_SHORT_BODY, 0, "%llu of %llu bytes have come",
              (unsigned long long)extents_bytes(&transfer->sink->stored),
              (unsigned long long)transfer->body.total);
}

/* No part has ever come, and nobody else is left to ask for one: a server that turns away all but
 * one connection is let alone with that. */
static void check_ranges(struct leg *leg)
{
    struct body *body = &leg->transfer->body;

    if (leg->error.status == HAUL_OK || body->stopping || !body->ranges || body->ranges_good ||
        body->leg_count != 1 || leg->source != body->validator_source || !body_join(leg))
        return;
    log_write(&leg->transfer->worker->log, HAUL_LOG_NOTICE, "%s: %s; one connection fetches it all",
              leg->transfer->shown_url, leg->error.text);
}

static enum leg_outcome outcome_of(const struct leg *leg)
{
    if (leg->error.status != HAUL_OK)
        return LEG_FAILED;
    if (leg->next_url.text)
        return LEG_REDIRECTED;
    return body_complete(leg->transfer) ? LEG_COMPLETE : LEG_DONE;
}

void body_leg_over(struct leg *leg, const struct haul_error *error)
{
    struct haul_download *transfer = leg->transfer;
    struct body *body = &transfer->body;
    bool led = body->leader == leg;
    struct extent range;
    struct leg *victim;

    list_remove(&leg->node);
    body->leg_count--;
    leg->request = NULL;
    if (led)
        body->leader = NULL;
    /* What the response's head has told outweighs how the connection ended after it. */
    if (error->status != HAUL_OK && leg->error.status == HAUL_OK)
        leg->error = *error;
    if (leg->error.status == HAUL_OK && !leg->next_url.text && !body->stopping && body->open)
        check_whole(leg);
    if (leg->challenge.len == 0)
        check_ranges(leg);
    leg->outcome = outcome_of(leg);
    leg->more = leg->outcome == LEG_DONE && find_range(transfer, leg->speed, &range, &victim);
    leg->range = (struct extent){0};
    body_show(transfer);
    if (must_rest(leg)) {
        rest(leg);
        return;
    }
    if (leg->outcome == LEG_COMPLETE)
        end_others(body, leg); /* they are at what one connection has fetched meanwhile */
    begin_held(transfer);
    send_back(leg);
}

/* --- a leg's beginning ----------------------------------------------------------------------- */

static void start_request(struct leg *leg)
{
    struct haul_download *transfer = leg->transfer;
    struct body *body = &transfer->body;
    struct request *request = request_take(transfer->worker);
    struct haul_error error;

    list_push_back(&body->legs, &leg->node);
    body->leg_count++;
    if (request) {
        leg->request = request;
        request_start(request, leg);
        return;
    }
    error_set(&error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    body_leg_over(leg, &error);
}

static bool take_range(struct leg *leg)
{
    struct body *body = &leg->transfer->body;
    struct leg *victim;

    if (body->coming > 0)
        body->coming--;
    if (!find_range(leg->transfer, leg->speed, &leg->range, &victim))
        return false;
    if (victim)
        request_cut(victim->request, leg->range.from);
    return true;
}

void body_begin(struct leg *leg)
{
    struct body *body = &leg->transfer->body;

    if ((body->leader || body->resting) && !body->stopping) {
        list_push_back(&body->held, &leg->node);
        return;
    }
    if (body->leg_count == 0 && !body->stopping) {
        body->leader = leg;
        leg->range = (struct extent){.from = 0, .to = UINT64_MAX};
    }
    if (!body->stopping && (body->leader == leg || take_range(leg)))
        start_request(leg);
    else
        send_back_idle(leg);
}

void body_cancel(struct leg *leg)
{
    struct haul_error error;

    if (!list_is_linked(&leg->node))
        return; /* it is on its way back already */
    if (!leg->request) {
        list_remove(&leg->node);
        send_back_idle(leg);
        return;
    }
    error_set(&error, HAUL_UNFINISHED, 0, "stopped");
    request_abort(leg->request, &error);
}

/* --- what requests find out ------------------------------------------------------------------ */

void body_take_up(struct haul_download *transfer)
{
    struct body *body = &transfer->body;
    struct sink *sink = transfer->sink;
    bool usable = sink->foreign || (sink->have_decided ? body->decided : sink->validator.len > 0);
    bool first = !body->looked;

    body->prepared = true;
    body->looked = true;
    body->coded = false;
    text_clear(&body->validator);
    extents_clear(&body->earlier);
    if (body->fresh || !usable || !request_check_value(text_span(&sink->validator)))
        return;
    text_add(&body->validator, text_span(&sink->validator));
    body->validator_source = 0;
    body->total = sink->have_total;
    if (!extents_copy(&body->earlier, &sink->stored))
        extents_clear(&body->earlier);
    if (first)
        body->resumed_bytes = extents_bytes(&sink->stored);
}

bool body_may_resume(const struct haul_download *transfer, unsigned source)
{
    const struct body *body = &transfer->body;

    if (body->single || body->coded || body->fresh || extents_count(&transfer->sink->stored) == 0)
        return false;
    return body->decided || transfer->sink->foreign ||
           (body->validator.len > 0 && source == body->validator_source);
}

/* Another run asks the first URL first: a mirror's validator would prove nothing to it. What is of
 * several servers, or of no version, only the checksum holds together. */
struct sink_version body_version(const struct haul_download *transfer)
{
    const struct body *body = &transfer->body;
    struct sink_version version = {.total = body->total};

    if (body->single || body->coded)
        return version;
    if (body->validator_source == 0)
        version.validator = text_span(&body->validator);
    version.decided = body->decided && (version.validator.len == 0 || transfer->sources.count > 1);
    return version;
}

/* Tells the engine's thread how many legs there is work for. */
static void want_legs(struct leg *leader)
{
    struct haul_download *transfer = leader->transfer;
    struct body *body = &transfer->body;
    const struct haul_options *options = transfer->worker->options;
    uint64_t missing = body->total - extents_bytes(&transfer->sink->stored);
    unsigned wanted = plan_connections(missing, options->split_bytes_min, options->split);

    body->coming = 0;
    if (!body->ranges || wanted < 2 ||
        atomic_load_explicit(&body->wanted_sent, memory_order_acquire))
        return;
    url_free(&body->url);
    if (!url_copy(&body->url, &leader->url))
        return; /* one connection is enough */
    body->coming = wanted - 1;
    body->wanted_legs = wanted;
    body->wanted_source = leader->source;
    atomic_store_explicit(&body->wanted_sent, true, memory_order_relaxed);
    worker_want_legs(transfer->worker, transfer);
}

void body_opened(struct leg *leader)
{
    struct haul_download *transfer = leader->transfer;
    struct body *body = &transfer->body;

    CHECK(body->leader == leader);
    body->open = true;
    body->fresh = false;
    body->leader = NULL;
    body->ranges = !body->single && !body->ranges_bad && !transfer->sink->sequential &&
                   body->total != UINT64_MAX && (body->decided || body->validator.len > 0) &&
                   (transfer->sink->operations->read || !verify_wants(body->verify));
    if (leader->range.to > body->total)
        leader->range.to = body->total;
    body_show(transfer);
    want_legs(leader);
    begin_held(transfer);
}

size_t body_compare_bytes(const struct haul_download *transfer, uint64_t offset)
{
    size_t bytes = offset < RING_DIRECT_BYTES ? (size_t)offset : RING_DIRECT_BYTES;

    if (!transfer->sink->operations->read ||
        !extents_has(&transfer->body.earlier, offset - bytes, offset))
        return 0;
    return bytes;
}

void body_stop(struct leg *leg, const struct haul_error *error, bool anew)
{
    struct body *body = &leg->transfer->body;
    struct list *node;

    if (anew) {
        body->fresh = true;
        body->resumed_bytes = 0;
    }
    if (body->stopping)
        return;
    body->stopping = true;
    body->error = *error;
    /* What waits for bytes that may never come holds chunks, and what was about to be stored may
     * not be. */
    if (body->verify)
        begin_hushing(body);
    while ((node = list_pop_front(&body->held)))
        send_back_idle(leg_at(node));
    end_others(body, leg);
}

bool body_join(struct leg *leg)
{
    struct body *body = &leg->transfer->body;

    body->ranges = false;
    body->ranges_bad = true;
    for (struct list *node = body->legs.next; node != &body->legs; node = node->next)
        if (leg_at(node) != leg && request_take_all(leg_at(node)->request)) {
            leg->range = (struct extent){0}; /* it is not to fetch anything any more */
            return true;
        }
    return false;
}
