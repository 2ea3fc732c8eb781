/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *     IDLE --queue--> WAITING --grant--> ACTIVE --its request is over--> IDLE
 *                        ^                                                 |
 *                        \----- more to do, a redirect, another try -------/
 *
 * The grant is given back when the request is over, so that another may start while this one's
 * file gets its name. Once no leg waits or is active, the transfer is decided over.
 *
 * A leg that fails while others go on is tried again for itself, and given up in the end: the
 * others fetch what it was to. Only what fails when no other is left counts as a try of the
 * transfer's.
 */
#include "engine/leg.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "engine/placement.h"
#include "http/proxy.h"
#include "http/request.h"
#include "polite/backoff.h"

enum { DISK_FULL_WAIT_S = 5 };

static const struct haul_error fine = {.status = HAUL_OK};

void leg_init(struct leg *leg, struct haul_download *transfer)
{
    *leg = (struct leg){.transfer = transfer};
    limiter_item_init(&leg->item);
    list_init(&leg->node);
}

static void forget_fields(struct leg *leg)
{
    text_wipe(&leg->cookies);
    text_wipe(&leg->authorization);
    text_wipe(&leg->set_cookies);
    text_free(&leg->challenge);
}

void leg_free(struct leg *leg)
{
    CHECK(leg->state == LEG_IDLE && !leg->request && !list_is_linked(&leg->node));
    url_free(&leg->url);
    url_free(&leg->next_url);
    text_free(&leg->way_memory);
    forget_fields(leg);
}

static struct leg *leg_at(struct haul_download *transfer, unsigned index)
{
    return index == 0 ? &transfer->lead : &transfer->others[index - 1];
}

static const struct haul_options *options_of(const struct haul_download *transfer)
{
    return &transfer->engine->options.public;
}

static uint64_t fresh_random(const struct leg *leg)
{
    return ring_random(leg->transfer->engine->ring);
}

/* --- waiting for a grant --------------------------------------------------------------------- */

static bool queue(struct leg *leg, uint64_t not_before_ns, enum limiter_kind kind)
{
    if (!limiter_add(leg->transfer->engine->limiter, &leg->item, url_origin(&leg->url),
                     not_before_ns, kind))
        return false;
    leg->state = LEG_WAITING;
    leg->transfer->waiting_legs++;
    return true;
}

bool leg_enter(struct leg *lead)
{
    lead->counted = true;
    return queue(lead, 0, LIMITER_NEXT);
}

/* Goes on after a request. Without memory the leg is given up, and found missing if it was the
 * last. */
static void queue_again(struct leg *leg, uint64_t not_before_ns)
{
    struct haul_download *transfer = leg->transfer;
    bool alone = transfer->active_legs == 0 && transfer->waiting_legs == 0;

    if (!queue(leg, not_before_ns, alone ? LIMITER_FIRST : LIMITER_EXTRA))
        error_set(&leg->error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
}

void legs_call_off(struct haul_download *transfer)
{
    for (unsigned i = 0; i < transfer->leg_count; i++) {
        struct leg *leg = leg_at(transfer, i);

        if (leg->state != LEG_WAITING)
            continue;
        limiter_remove(transfer->engine->limiter, &leg->item);
        leg->state = LEG_IDLE;
        transfer->waiting_legs--;
    }
}

void legs_cancel(struct haul_download *transfer)
{
    for (unsigned i = 0; i < transfer->leg_count; i++) {
        struct leg *leg = leg_at(transfer, i);

        if (leg->state == LEG_ACTIVE)
            worker_cancel(transfer->worker, leg);
    }
}

/* --- sources --------------------------------------------------------------------------------- */

static const char *source_url(const struct leg *leg)
{
    const struct sources *sources = &leg->transfer->sources;

    return leg->source < sources->count ? sources->all[leg->source].url : leg->transfer->asked_url;
}

/* Asks the leg's source from its beginning: where a redirect led may be good for a short time
 * only. Without memory the leg asks where it did before. */
static void use_source(struct leg *leg, unsigned source)
{
    struct url url;

    leg->source = source;
    leg->url_served = false;
    if (!url_parse(&url, span_of(source_url(leg)), NULL))
        return;
    url_free(&leg->url);
    leg->url = url;
    leg->redirects = 0;
    leg->reduced = false;
    leg->speed = 0;
}

/* Where all are used together, a further leg goes to another one. */
static unsigned best_source(const struct leg *leg)
{
    const struct haul_download *transfer = leg->transfer;

    if (transfer->sources.count == 0)
        return 0;
    return sources_best(&transfer->sources, &transfer->engine->speeds, transfer->body.decided);
}

/* Whether it is the server, and not this machine, that keeps the file from coming; and asking it
 * again would not help. */
static bool is_refusal(enum haul_status status)
{
    switch (status) {
    case HAUL_CERTIFICATE:
    case HAUL_TLS:
    case HAUL_NOT_FOUND:
    case HAUL_HOST_UNKNOWN:
    case HAUL_BAD_RESPONSE:
    case HAUL_HTTP_ERROR:
    case HAUL_REDIRECTS:
    case HAUL_UNAUTHORIZED:
    case HAUL_CHECKSUM:
        return true;
    case HAUL_OK:
    case HAUL_FAILED:
    case HAUL_OUT_OF_MEMORY:
    case HAUL_NO_IO_URING:
    case HAUL_TIMEOUT:
    case HAUL_CONNECT_TIMEOUT:
    case HAUL_NETWORK:
    case HAUL_SHORT_BODY:
    case HAUL_UNFINISHED:
    case HAUL_CANNOT_RESUME:
    case HAUL_DISK_FULL:
    case HAUL_IN_USE:
    case HAUL_EXISTS:
    case HAUL_RENAME:
    case HAUL_CREATE:
    case HAUL_FILE_IO:
    case HAUL_DIRECTORY:
    case HAUL_RESOLVER:
    case HAUL_SERVER_ERROR:
    case HAUL_BAD_URL:
    case HAUL_BAD_OPTION:
    case HAUL_BUSY:
    case HAUL_TOO_SLOW:
    case HAUL_STATUS_COUNT:
        break;
    }
    return false;
}

/* Whether a redirect has led to the leg's URL. */
static bool is_led(const struct leg *leg)
{
    struct url own;
    bool led;

    if (!url_parse(&own, span_of(source_url(leg)), NULL))
        return false;
    led = strcmp(own.text, leg->url.text) != 0;
    url_free(&own);
    return led;
}

/* What has been had there before is refused now: the redirect was good for a short time only, and
 * the source will say where to go next. */
static bool is_stale(const struct leg *leg)
{
    return leg->outcome == LEG_FAILED && leg->url_served && !leg->reduced &&
           is_refusal(leg->error.status) && is_led(leg);
}

static void note_source(struct leg *leg)
{
    struct haul_download *transfer = leg->transfer;
    struct source *source;

    if (transfer->sources.count == 0)
        return;
    source = &transfer->sources.all[leg->source];
    CHECK(source->users > 0);
    source->users--;
    source_speeds_learn(&transfer->engine->speeds, source->origin, leg->speed);
    if (leg->outcome != LEG_FAILED || is_stale(leg))
        return;
    source->failures++;
    source->refused = source->refused || leg->hopeless || is_refusal(leg->error.status);
}

/* --- another try ----------------------------------------------------------------------------- */

/* Whether the leg may turn to another source: beside others it may only if a checksum will tell
 * whether their bytes belong together. */
static bool may_turn(const struct leg *leg, bool alone)
{
    return alone || leg->transfer->body.decided;
}

/* The server may have done already what it is asked to do, and nobody is to do it twice (RFC 9110
 * 9.2.2). That it is busy says that it has not, and so does a refusal in so many words. */
static bool is_done_once(const struct leg *leg, const struct haul_error *error)
{
    bool refused = is_refusal(error->status) && leg->http_status >= 400;

    return leg->sent && !leg->reduced && !refused &&
           !request_extra_is_idempotent(leg->transfer->extra) &&
           status_retry(error->status) != STATUS_RETRY_BUSY;
}

/* alone: the transfer's try, else one of this leg's own. */
static bool may_retry(const struct leg *leg, const struct haul_error *error, bool alone)
{
    const struct haul_download *transfer = leg->transfer;
    const struct haul_options *options = options_of(transfer);
    unsigned tries = alone ? transfer->tries : leg->tries;
    unsigned tries_max = options->tries_max;

    if (is_done_once(leg, error))
        return false;
    if (transfer->sources.count > 0) {
        if (is_refusal(error->status) || leg->hopeless)
            return may_turn(leg, alone) && sources_left(&transfer->sources);
        if (may_turn(leg, alone))
            tries_max *= transfer->sources.count;
    }
    if (error->status == HAUL_DISK_FULL && options->disk_full_waits)
        return true;
    return !leg->hopeless && status_retry(error->status) != STATUS_RETRY_NEVER &&
           (tries_max == 0 || tries < tries_max);
}

static uint64_t retry_wait_ns(const struct leg *leg, const struct haul_error *error, bool alone)
{
    const struct haul_download *transfer = leg->transfer;

    if (error->status == HAUL_DISK_FULL)
        return DISK_FULL_WAIT_S * (uint64_t)NS_PER_S;
    /* A busy host is paused as a whole, by the limiter; what was too slow may be faster on a new
     * connection. */
    if (status_retry(error->status) == STATUS_RETRY_BUSY || error->status == HAUL_TOO_SLOW ||
        is_refusal(error->status))
        return 0;
    return backoff_ns(options_of(transfer)->retry_wait_ms * (uint64_t)NS_PER_MS,
                      alone ? transfer->tries : leg->tries, RETRY_WAIT_MAX_S * (uint64_t)NS_PER_S,
                      fresh_random(leg));
}

/* What a POST has led to is asked again, not what led there. */
static bool is_led_by_data(const struct leg *leg)
{
    return leg->reduced && !request_extra_is_idempotent(leg->transfer->extra);
}

static void retry(struct leg *leg, const struct haul_error *error, bool alone)
{
    struct haul_download *transfer = leg->transfer;
    struct haul_engine *engine = transfer->engine;
    uint64_t now = ring_now_ns(engine->ring);
    uint64_t wait = retry_wait_ns(leg, error, alone);
    unsigned source = may_turn(leg, alone) ? best_source(leg) : leg->source;

    engine->stats.retries++;
    if (error->status == HAUL_DISK_FULL)
        engine->stats.room_waits++;
    if (source != leg->source)
        wait = 0; /* another server has not been asked too much of */
    if ((source != leg->source || leg->redirects > 0) && !is_led_by_data(leg))
        use_source(leg, source);
    leg->counted = alone;
    log_write(&engine->log, HAUL_LOG_NOTICE, "%s: %s; try %u follows", transfer->shown_url,
              error->text, (alone ? transfer->tries : leg->tries) + 1);
    queue_again(leg, now + wait);
}

/* Another request, but no other try. */
static void ask_again(struct leg *leg)
{
    leg->tries--;
    if (leg->counted)
        leg->transfer->tries--;
    queue_again(leg, 0);
}

static void redirect(struct leg *leg)
{
    url_free(&leg->url);
    leg->url = leg->next_url;
    leg->next_url = (struct url){0};
    leg->url_served = false;
    ask_again(leg); /* judge() has counted it as a redirect */
}

/* --- the session --------------------------------------------------------------------------- */

/* Whether the leg asks the origin that its source's URL names: where a redirect may lead is none of
 * the user's choosing. */
static bool is_at_home(const struct leg *leg)
{
    const struct haul_download *transfer = leg->transfer;
    struct url own;
    bool same;

    if (leg->source == 0)
        return span_equal(url_origin(&leg->url), span_of(transfer->asked_origin));
    if (!url_parse(&own, span_of(source_url(leg)), NULL))
        return false;
    same = url_same_origin(&own, &leg->url);
    url_free(&own);
    return same;
}

static struct login_ask login_ask(const struct leg *leg)
{
    const struct request_extra *extra = leg->transfer->extra;
    struct login_ask ask = {
        .url = &leg->url, .method = transfer_method(leg), .own = is_at_home(leg)};

    if (extra) {
        ask.user = extra->username;
        ask.password = extra->password;
        ask.bearer = extra->bearer;
    }
    return ask;
}

/* What the request says of who asks. False: out of memory. */
static bool identify(struct leg *leg)
{
    struct haul_engine *engine = leg->transfer->engine;
    struct session *session = &engine->session;
    struct login_ask ask = login_ask(leg);

    if (jar_count(session->jar) > 0)
        jar_give(session->jar, &leg->url, ring_wall_s(engine->ring), &leg->cookies);
    logins_authorize(session->logins, &ask, &leg->login, &leg->authorization);
    return !leg->cookies.failed && !leg->authorization.failed;
}

/* The user's own line stands in the place of any answer. */
static bool has_own_authorization(const struct leg *leg)
{
    const struct haul_download *transfer = leg->transfer;
    const struct haul_options *options = options_of(transfer);

    return span_equal(url_origin(&leg->url), span_of(transfer->asked_origin)) &&
           (request_has_header(options->headers, options->header_count, SPAN("Authorization")) ||
            request_has_header((const char *const *)transfer->headers, transfer->header_count,
                               SPAN("Authorization")));
}

static enum login_answer answer(struct leg *leg)
{
    struct session *session = &leg->transfer->engine->session;
    uint64_t random[2] = {fresh_random(leg), fresh_random(leg)};
    struct login_ask ask;

    if (leg->outcome != LEG_FAILED || leg->error.status != HAUL_UNAUTHORIZED ||
        has_own_authorization(leg))
        return LOGIN_IN_VAIN;
    if (leg->challenge.failed)
        return LOGIN_NO_MEMORY;
    ask = login_ask(leg);
    return logins_answer(session->logins, &ask, text_span(&leg->challenge), random, &leg->login);
}

/* What the response has taught. */
static void learn(struct leg *leg)
{
    struct haul_engine *engine = leg->transfer->engine;
    struct span rest = text_span(&leg->set_cookies);

    while (rest.len > 0)
        jar_take(engine->session.jar, &leg->url, span_cut(&rest, '\n'), ring_wall_s(engine->ring));
    switch (answer(leg)) {
    case LOGIN_ANSWERED:
        log_write(&engine->log, HAUL_LOG_INFO, "%s: the server asks for a login, and gets it",
                  leg->transfer->shown_url);
        leg->outcome = LEG_CHALLENGED;
        leg->error = fine;
        break;
    case LOGIN_NO_MEMORY:
        error_set(&leg->error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        leg->login = (struct login_state){0};
        break;
    case LOGIN_IN_VAIN:
        leg->login = (struct login_state){0};
        break;
    }
    forget_fields(leg);
}

/* --- a request is over ----------------------------------------------------------------------- */

static enum limiter_outcome limiter_outcome_of(const struct leg *leg)
{
    enum haul_status status = leg->error.status;

    if (status != HAUL_OK && status_retry(status) == STATUS_RETRY_BUSY)
        return LIMITER_BUSY;
    return leg->http_status != 0 ? LIMITER_GOOD : LIMITER_BAD;
}

/* The transfer goes on without the leg that stood for it among all downloads: another one does. */
static void stand_in(struct haul_download *transfer)
{
    for (unsigned i = 0; i < transfer->leg_count; i++) {
        struct leg *leg = leg_at(transfer, i);

        if (leg->state == LEG_ACTIVE) {
            limiter_promote(transfer->engine->limiter, &leg->item);
            return;
        }
    }
}

static void give_back_grant(struct leg *leg)
{
    struct haul_download *transfer = leg->transfer;
    struct haul_engine *engine = transfer->engine;
    bool stood = leg->item.kind != LIMITER_EXTRA;

    leg->state = LEG_IDLE;
    transfer->active_legs--;
    if (transfer->active_legs == 0)
        list_remove(&transfer->active_node);
    if (engine->placement)
        placement_end(engine->placement, transfer->worker->number, leg->origin,
                      leg->connection_expected && leg->connection_made, leg->connection_kept);
    limiter_finish(engine->limiter, &leg->item, ring_now_ns(engine->ring), limiter_outcome_of(leg),
                   leg->retry_after_ns, fresh_random(leg));
    if (stood && transfer->active_legs > 0)
        stand_in(transfer);
}

/* What keeps the last leg from having all, or those that were given up before it. */
static struct haul_error find_error(struct leg *last)
{
    struct haul_download *transfer = last->transfer;
    struct haul_error error = last->error;

    for (unsigned i = 0; i < transfer->leg_count && error.status == HAUL_OK; i++)
        error = leg_at(transfer, i)->error;
    if (error.status == HAUL_OK)
        error_set(&error, HAUL_SHORT_BODY, 0, "parts of the file could not be had");
    return error;
}

/* No leg is at work, and none is going to be. */
static void decide(struct leg *last)
{
    struct haul_download *transfer = last->transfer;
    struct body *body = &transfer->body;
    bool stopped = transfer->stopping && !transfer->complete;

    if (transfer->cancelled) {
        error_set(&transfer->error, HAUL_UNFINISHED, 0, "stopped");
    } else if (transfer->complete) {
        transfer->error = fine;
    } else {
        transfer->error = stopped ? body->error : find_error(last);
    }
    transfer->stopping = false;
    transfer->complete = false;
    body->stopping = false;
    if (!transfer->cancelled && transfer->error.status != HAUL_OK &&
        may_retry(last, &transfer->error, true)) {
        struct haul_error error = transfer->error;

        retry(last, &error, true);
        if (transfer->waiting_legs > 0)
            return;
    }
    transfer_close(transfer);
}

/* What the leg does next, while others are at work, or nothing has gone wrong. Where none is, those
 * that wait are called off: whoever goes on alone stands for the transfer among all downloads, may
 * turn to a mirror, and asks for others again as soon as it knows that there is work for them. */
static void go_on(struct leg *leg)
{
    struct haul_download *transfer = leg->transfer;

    if (transfer->active_legs == 0)
        legs_call_off(transfer);
    switch (leg->outcome) {
    case LEG_DONE:
        leg->tries = 0;
        leg->counted = false;
        leg->url_served = true;
        if (leg->more)
            queue_again(leg, 0);
        break;
    case LEG_REDIRECTED:
        redirect(leg);
        break;
    case LEG_CHALLENGED:
        ask_again(leg);
        break;
    case LEG_FAILED:
        if (is_stale(leg)) {
            use_source(leg, leg->source);
            queue_again(leg, 0);
        } else if (transfer->active_legs > 0 && may_retry(leg, &leg->error, false)) {
            retry(leg, &leg->error, false);
        }
        break;
    case LEG_COMPLETE:
    case LEG_STOPPED:
        break;
    }
}

void leg_ended(struct message *message)
{
    struct leg *leg = CONTAINER_OF(message, struct leg, message);
    struct haul_download *transfer = leg->transfer;

    give_back_grant(leg);
    learn(leg);
    note_source(leg);
    transfer->complete = transfer->complete || leg->outcome == LEG_COMPLETE;
    transfer->stopping = transfer->stopping || leg->outcome == LEG_STOPPED || transfer->complete;
    if (transfer->cancelled || transfer->stopping)
        legs_call_off(transfer);
    else
        go_on(leg);
    if (transfer->active_legs == 0 && transfer->waiting_legs == 0)
        decide(leg);
}

/* --- more legs ------------------------------------------------------------------------------- */

static bool make_others(struct haul_download *transfer)
{
    unsigned count = options_of(transfer)->split - 1;

    if (transfer->others)
        return true;
    transfer->others = alloc_zeroed(count * sizeof(*transfer->others));
    if (!transfer->others)
        return false;
    for (unsigned i = 0; i < count; i++)
        leg_init(&transfer->others[i], transfer);
    transfer->leg_count += count;
    return true;
}

/* Goes where the leader has been led to, unless there is a better source. */
static bool direct(struct leg *leg, const struct url *url, unsigned source)
{
    unsigned best = leg->transfer->body.decided ? best_source(leg) : source;

    url_free(&leg->url);
    leg->source = best;
    leg->redirects = 0;
    leg->url_served = best == source;
    leg->speed = 0;
    if (best == source)
        return url_copy(&leg->url, url);
    return url_parse(&leg->url, span_of(source_url(leg)), NULL);
}

void legs_wanted(struct message *message)
{
    struct body *body = CONTAINER_OF(message, struct body, wanted);
    struct haul_download *transfer = CONTAINER_OF(body, struct haul_download, body);
    unsigned wanted = body->wanted_legs;
    unsigned source = body->wanted_source;
    bool useful = transfer->state == TRANSFER_RUNNING && !transfer->cancelled &&
                  !transfer->stopping && make_others(transfer);

    for (unsigned i = 0; useful && i < transfer->leg_count; i++) {
        struct leg *leg = leg_at(transfer, i);

        if (transfer->active_legs + transfer->waiting_legs >= wanted)
            break;
        if (leg->state != LEG_IDLE || !direct(leg, &body->url, source))
            continue;
        leg->tries = 0;
        leg->counted = false;
        queue_again(leg, 0);
    }
    atomic_store_explicit(&body->wanted_sent, false, memory_order_release);
}

/* --- a grant --------------------------------------------------------------------------------- */

/* A host is to see no more connections than if there were one worker: where a new one is about to
 * be made, an idle one of another worker goes. */
static void make_room(struct leg *leg)
{
    struct haul_engine *engine = leg->transfer->engine;
    unsigned number = placement_spare(engine->placement, leg->origin);

    if (number < engine->worker_count)
        worker_close_idle(engine->workers[number], leg->way);
}

/* The first leg's choice is that of all. */
static void choose_worker(struct leg *leg)
{
    struct haul_download *transfer = leg->transfer;
    struct haul_engine *engine = transfer->engine;
    unsigned number = transfer->sink ? transfer->worker->number : 0;

    if (engine->placement) {
        leg->origin = span_hash(leg->way, 0);
        if (!transfer->sink)
            number = placement_choose(engine->placement, leg->origin);
        leg->connection_expected = placement_begin(engine->placement, number, leg->origin);
        if (!leg->connection_expected)
            make_room(leg);
    }
    if (!transfer->sink)
        transfer->worker = engine->workers[number];
}

static void count_start(struct leg *leg)
{
    struct haul_download *transfer = leg->transfer;
    struct haul_engine *engine = transfer->engine;

    leg->state = LEG_ACTIVE;
    transfer->waiting_legs--;
    if (transfer->active_legs++ == 0)
        list_push_back(&engine->active, &transfer->active_node);
    if (transfer->started_ns == 0)
        transfer->started_ns = ring_now_ns(engine->ring);
    leg->tries++;
    if (leg->counted)
        transfer->tries++;
    if (transfer->sources.count > 0)
        transfer->sources.all[leg->source].users++;
}

static void choose_way(struct leg *leg)
{
    const struct request_extra *extra = leg->transfer->extra;

    leg->proxy = extra && extra->has_proxy
                     ? extra->proxy
                     : proxy_choose(leg->transfer->engine->proxies, &leg->url);
    leg->way = proxy_way(leg->proxy, &leg->url, &leg->way_memory);
}

void leg_start(struct leg *leg)
{
    struct haul_download *transfer = leg->transfer;

    count_start(leg);
    leg->http_status = 0;
    leg->retry_after_ns = 0;
    leg->hopeless = false;
    leg->sent = false;
    leg->error = fine;
    url_free(&leg->next_url); /* of a redirect whose try came to nothing */
    leg->connection_made = false;
    leg->connection_kept = false;
    choose_way(leg);
    choose_worker(leg);
    if (!transfer->sink)
        transfer->sink = transfer_make_sink(transfer);
    if (transfer->sink && !leg->way_memory.failed && identify(leg)) {
        worker_begin(transfer->worker, leg);
    } else {
        error_set(&leg->error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        leg->outcome = LEG_FAILED;
        leg_ended(&leg->message);
    }
}
