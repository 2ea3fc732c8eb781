/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How far a request has come, how fast it is, and when that is too slow. */
#include "engine/pace.h"

enum {
    PACE_MS = 500, /* over which the speed is taken */
    SLOW_S = 5     /* for so long a connection may be too slow */
};

uint64_t request_position(const struct request *request)
{
    const struct leg *leg = request->leg;
    uint64_t at = request->base_bytes + request->exchange.received_bytes;

    if (request->state == REQUEST_SETTLING)
        return leg->range.to;
    return request->state == REQUEST_BODY && at > leg->range.from ? at : leg->range.from;
}

static uint64_t speed_of(uint64_t bytes, uint64_t ns)
{
    return ns == 0 ? 0 : (uint64_t)((double)bytes * (double)NS_PER_S / (double)ns);
}

/* While nothing comes, nothing notes how slow it has become. */
uint64_t request_speed(const struct request *request)
{
    uint64_t ns = ring_now_ns(request->worker->ring) - request->pace_ns;
    uint64_t speed = request->leg->speed;

    if (request->state == REQUEST_BODY && ns > PACE_MS * (uint64_t)NS_PER_MS)
        speed = speed_of(request->pace_bytes, ns) + 1; /* 0 would be unknown */
    return speed;
}

void pace_note(struct request *request, size_t bytes)
{
    uint64_t now = ring_now_ns(request->worker->ring);

    request->pace_bytes += bytes;
    request->slow_bytes += bytes;
    if (now - request->pace_ns < PACE_MS * (uint64_t)NS_PER_MS)
        return;
    request->leg->speed = speed_of(request->pace_bytes, now - request->pace_ns);
    request->pace_ns = now;
    request->pace_bytes = 0;
}

void pace_start(struct request *request)
{
    request->pace_ns = ring_now_ns(request->worker->ring);
    request->pace_bytes = 0;
    request->slow_bytes = 0;
    if (request->worker->options->lowest_speed > 0)
        ring_timer_start(request->worker->ring, &request->pace_timer,
                         request->pace_ns + SLOW_S * (uint64_t)NS_PER_S);
}

void pace_due(struct timer *timer)
{
    struct request *request = CONTAINER_OF(timer, struct request, pace_timer);
    uint64_t lowest = request->worker->options->lowest_speed;
    uint64_t speed = request->slow_bytes / SLOW_S;
    struct haul_error error;

    if (request->state != REQUEST_BODY)
        return;
    /* Where we are the ones who are waited for, the connection can't be judged. */
    if (speed < lowest && request->exchange.receiving) {
        request->leg->speed = speed;
        error_set(&error, HAUL_TOO_SLOW, 0, "%llu bytes per second, for %d s",
                  (unsigned long long)speed, SLOW_S);
        request_abort(request, &error);
        return;
    }
    request->slow_bytes = 0;
    ring_timer_start(request->worker->ring, timer,
                     ring_now_ns(request->worker->ring) + SLOW_S * (uint64_t)NS_PER_S);
}
