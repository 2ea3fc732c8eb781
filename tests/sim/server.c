/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An answer is first planned as an honest server would give it, then perhaps spoiled, then written.
 * What spoils it is either to be seen in the answer (other numbers, another version under its own
 * name), or the answer breaks off.
 */
#include "tests/sim/server.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "base/text.h"
#include "base/wheel.h"
#include "tests/sim/net.h"

enum { LONG_AGO_S = 1600000000, CHUNK_MAX = 20000 };

struct request {
    const struct copy *copy; /* NULL: there is none */
    bool ranged;
    uint64_t first;
    uint64_t last; /* UINT64_MAX: to the end */
    struct span if_range;
    bool conditional; /* it asks for what is newer than something */
};

struct answer {
    struct net *net;
    struct dice *dice;
    const struct copy *copy;
    const struct content *content; /* of the version that this answer is of */
    unsigned version;
    int status;
    uint64_t from; /* what is sent of it */
    uint64_t len;
    uint64_t length; /* what the fields say of that */
    uint64_t first;
    uint64_t last;
    uint64_t total;
    bool without_range;
    uint64_t retry_after_s; /* UINT64_MAX: not said */
    bool garbage;
    bool loops;
    enum ending ending;
    bool cut_head;
    bool cut_body;
    bool trickles;
    bool wrong_digest;
    unsigned extra_bytes;
};

unsigned copy_version(const struct copy *copy)
{
    return copy->old ? 0 : copy->resource->current;
}

/* --- what has been sent ---------------------------------------------------------------------- */

void resource_sent(struct resource *resource, uint64_t bytes, uint64_t now_ns)
{
    size_t place = resource->arrival_count++ % ARRIVALS_MAX;

    resource->sent_bytes += bytes;
    resource->arrivals[place].at_ns = now_ns;
    resource->arrivals[place].sent_bytes = resource->sent_bytes;
}

uint64_t resource_sent_at(const struct resource *resource, uint64_t at_ns)
{
    for (size_t i = resource->arrival_count; i-- > 0;) {
        if (resource->arrival_count - i > ARRIVALS_MAX)
            return UINT64_MAX;
        if (resource->arrivals[i % ARRIVALS_MAX].at_ns <= at_ns)
            return resource->arrivals[i % ARRIVALS_MAX].sent_bytes;
    }
    return 0;
}

/* --- digests --------------------------------------------------------------------------------- */

void resource_hash(struct resource *resource, unsigned version, enum hash_type type,
                   struct digest *digest)
{
    const struct content *content = &resource->versions[version];
    struct hash hash;
    char data[4096];

    hash_begin(&hash, type);
    for (uint64_t done = 0; done < content->size;) {
        size_t part =
            content->size - done < sizeof(data) ? (size_t)(content->size - done) : sizeof(data);

        content_fill(content, done, data, part);
        hash_add(&hash, data, part);
        done += part;
    }
    hash_end(&hash, digest);
}

static const struct digest *known_digest(struct resource *resource, unsigned version)
{
    if (!resource->hashed[version])
        resource_hash(resource, version, HASH_SHA256, &resource->sha256[version]);
    resource->hashed[version] = true;
    return &resource->sha256[version];
}

static void add_base64(struct text *text, const uint8_t *bytes, size_t len)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

    for (size_t at = 0; at < len; at += 3) {
        unsigned bits = 0;

        for (size_t i = 0; i < 3; i++)
            bits = bits << 8 | (at + i < len ? bytes[at + i] : 0);
        for (size_t i = 0; i < 4; i++)
            text_add_char(text, at + i <= len ? digits[bits >> (18 - 6 * i) & 63] : '=');
    }
}

/* --- the request ----------------------------------------------------------------------------- */

/* The value of a field; data NULL: there is none. */
static struct span field(struct span head, const char *name)
{
    struct span wanted = span_of(name);

    while (head.len > 0) {
        struct span line = span_cut(&head, '\n');

        if (span_starts_nocase(line, wanted) && line.len > wanted.len &&
            line.data[wanted.len] == ':') {
            line = span_sub(line, wanted.len + 1, line.len);
            if (line.len > 0 && line.data[line.len - 1] == '\r')
                line.len--;
            return span_trim(line);
        }
    }
    return (struct span){0};
}

static const struct copy *find_copy(const struct net *net, size_t host, struct span path)
{
    for (size_t i = 0; i < net->copy_count; i++)
        if (net->copies[i].host == host && span_equal(path, span_of(net->copies[i].path)))
            return &net->copies[i];
    return NULL;
}

static void read_request(struct net *net, size_t host, struct span head, struct request *request)
{
    struct span line = span_sub(head, 0, span_find(head, '\r'));
    struct span range = field(head, "range");

    *request = (struct request){.last = UINT64_MAX};
    (void)span_cut(&line, ' ');
    request->copy = find_copy(net, host, span_cut(&line, ' '));
    request->if_range = field(head, "if-range");
    request->conditional =
        field(head, "if-none-match").data || field(head, "if-modified-since").data;
    if (!range.data)
        return;
    request->ranged = true;
    if (!span_starts_nocase(range, SPAN("bytes=")))
        world_fail(net->world, "it asks for the range %.*s", SPAN_ARG(range));
    range = span_sub(range, 6, range.len);
    if (!span_to_u64(span_cut(&range, '-'), &request->first) ||
        (range.len > 0 && !span_to_u64(range, &request->last)) || request->last < request->first)
        world_fail(net->world, "it asks for a range that is none");
}

/* --- validators ------------------------------------------------------------------------------ */

static void add_date(struct text *text, int64_t unix_s)
{
    time_t seconds = (time_t)unix_s;
    struct tm parts;
    char date[40];

    CHECK(gmtime_r(&seconds, &parts));
    CHECK(strftime(date, sizeof(date), "%a, %d %b %Y %H:%M:%S GMT", &parts) > 0);
    text_add(text, span_of(date));
}

void copy_validator(const struct copy *copy, unsigned version, int64_t now_s, struct text *text)
{
    switch (copy->validator) {
    case VALIDATOR_WEAK_ETAG:
        text_add(text, SPAN("W/"));
        text_printf(text, "\"r%u-v%u\"", copy->resource->number, version);
        break;
    case VALIDATOR_ETAG:
        text_printf(text, "\"r%u-v%u%s\"", copy->resource->number, version,
                    copy->own_tags ? copy->path : "");
        break;
    case VALIDATOR_DATE:
        add_date(text, LONG_AGO_S + version * INT64_C(100000));
        break;
    case VALIDATOR_NEW_DATE:
        add_date(text, now_s);
        break;
    case VALIDATOR_NONE:
        break;
    }
}

static bool condition_holds(const struct answer *answer, struct span if_range, int64_t now_s)
{
    struct text validator = {0};
    bool holds;

    if (!if_range.data)
        return true;
    copy_validator(answer->copy, answer->version, now_s, &validator);
    holds =
        (answer->copy->validator == VALIDATOR_ETAG || answer->copy->validator == VALIDATOR_DATE) &&
        span_equal(text_span(&validator), if_range);
    text_free(&validator);
    return holds;
}

/* --- an honest answer ------------------------------------------------------------------------ */

static int64_t wall_s(const struct net *net)
{
    return ring_wall_s(net->world->ring);
}

static void plan_whole(struct answer *answer)
{
    answer->status = 200;
    answer->from = 0;
    answer->len = answer->length = answer->content->size;
}

static void plan_part(struct answer *answer, uint64_t first, uint64_t last)
{
    if (first >= answer->content->size) {
        answer->status = 416;
        answer->len = answer->length = 0;
        return;
    }
    if (last >= answer->content->size)
        last = answer->content->size - 1;
    answer->status = 206;
    answer->from = answer->first = first;
    answer->last = last;
    answer->len = answer->length = last - first + 1;
}

static void plan(struct answer *answer, const struct request *request)
{
    const struct copy *copy = request->copy;

    answer->retry_after_s = UINT64_MAX;
    answer->copy = copy;
    if (!copy) {
        answer->status = 404;
        return;
    }
    answer->version = copy_version(copy);
    answer->content = &copy->resource->versions[answer->version];
    answer->total = answer->content->size;
    if (copy->redirect)
        answer->status = 302;
    else if (request->ranged && copy->ranges &&
             condition_holds(answer, request->if_range, wall_s(answer->net)))
        plan_part(answer, request->first, request->last);
    else
        plan_whole(answer);
}

/* --- what spoils it -------------------------------------------------------------------------- */

static enum ending some_ending(struct dice *dice)
{
    static const enum ending endings[] = {ENDING_FIN, ENDING_RESET, ENDING_RESET, ENDING_STALL};

    return endings[dice_below(dice, COUNT_OF(endings))];
}

static void plan_empty(struct answer *answer, int status)
{
    answer->status = status;
    answer->len = answer->length = 0;
}

static void spoil_status(struct answer *answer)
{
    static const int statuses[] = {503, 503, 429, 500, 502, 504, 408,
                                   404, 403, 410, 401, 416, 418, 304};

    plan_empty(answer, statuses[dice_below(answer->dice, COUNT_OF(statuses))]);
    if (dice_permille(answer->dice, 500))
        answer->retry_after_s = dice_below(answer->dice, 6);
}

/* A 206 of another part than the one asked for, and it says so; or whose numbers disagree. */
static void spoil_range(struct answer *answer)
{
    struct dice *dice = answer->dice;
    uint64_t size = answer->content->size, first;

    switch (dice_below(dice, 8)) {
    case 0: /* from elsewhere on */
        plan_part(answer, dice_below(dice, size), answer->last);
        break;
    case 1: /* not to the end */
        plan_part(answer, answer->first, dice_between(dice, answer->first, answer->last));
        break;
    case 2:
        plan_part(answer, 0, size - 1);
        break;
    case 3:
        answer->total += dice_between(dice, 1, 10000);
        break;
    case 4:
        answer->without_range = true;
        break;
    case 5:
        answer->length = dice_below(dice, 2 * answer->length);
        break;
    case 6: /* as many bytes as were asked for, but from elsewhere */
    case 7:
        first = dice_below(dice, size - answer->length + 1);
        plan_part(answer, first, first + answer->length - 1);
        break;
    }
    if (answer->status == 206 && answer->last < answer->first)
        plan_whole(answer);
}

/* It looks at the range, but not at the condition; what it is, it says. */
static void forget_condition(struct answer *answer, const struct request *request)
{
    if (request->ranged &&
        (answer->copy->validator == VALIDATOR_ETAG || answer->copy->validator == VALIDATOR_DATE))
        plan_part(answer, request->first, request->last);
}

static void change_version(struct answer *answer, const struct request *request)
{
    struct resource *resource = answer->copy->resource;

    if (resource->current + 1 < resource->version_count)
        resource->current++;
    plan(answer, request);
}

static void spoil(struct answer *answer, const struct request *request)
{
    if (answer->status == 206 && dice_permille(answer->dice, 300)) {
        spoil_range(answer); /* the worst that can be done, where it can be */
        return;
    }
    switch (dice_below(answer->dice, 22)) {
    case 0:
    case 1:
        answer->cut_head = true;
        break;
    case 2:
    case 3:
    case 4:
    case 7:
    case 8:
    case 16:
    case 17:
    case 18:
    case 19:
    case 20:
    case 21:
        answer->cut_body = true;
        break;
    case 5:
    case 6:
        spoil_status(answer);
        break;
    case 9:
        plan_whole(answer);
        break;
    case 10:
        forget_condition(answer, request);
        break;
    case 11:
        change_version(answer, request);
        break;
    case 12:
        answer->trickles = true;
        break;
    case 13:
        answer->wrong_digest = dice_permille(answer->dice, 300);
        answer->garbage = dice_permille(answer->dice, 300);
        break;
    case 14:
        answer->extra_bytes = (unsigned)dice_between(answer->dice, 1, 100);
        break;
    case 15:
        answer->loops = dice_permille(answer->dice, 300);
        if (answer->loops)
            plan_empty(answer, 302);
        break;
    }
}

/* --- on the wire ----------------------------------------------------------------------------- */

static void add_fields(struct text *head, const struct answer *answer, enum framing framing)
{
    const struct copy *copy = answer->copy;
    const struct copy *to = answer->loops ? copy : copy->redirect;
    int64_t now_s = wall_s(answer->net);

    text_add(head, SPAN("Date: "));
    add_date(head, now_s);
    text_add(head, SPAN("\r\n"));
    if (answer->status == 302)
        text_printf(head, "Location: http://%s%s\r\n", answer->net->hosts[to->host].name, to->path);
    if (copy->validator != VALIDATOR_NONE && answer->status < 300) {
        bool etag = copy->validator == VALIDATOR_ETAG || copy->validator == VALIDATOR_WEAK_ETAG;

        text_add(head, etag ? SPAN("ETag: ") : SPAN("Last-Modified: "));
        copy_validator(copy, answer->version, now_s, head);
        text_add(head, SPAN("\r\n"));
    }
    if (copy->file_name && answer->status < 300)
        text_printf(head, "Content-Disposition: attachment; filename=\"%s\"\r\n", copy->file_name);
    if (copy->digests && answer->status < 300) {
        struct digest digest = *known_digest(copy->resource, answer->version);

        digest.bytes[0] = (uint8_t)(digest.bytes[0] + answer->wrong_digest);
        copy->resource->slandered = copy->resource->slandered || answer->wrong_digest;
        text_add(head, SPAN("Repr-Digest: sha-256=:"));
        add_base64(head, digest.bytes, hash_bytes(HASH_SHA256));
        text_add(head, SPAN(":\r\n"));
    }
    if (answer->status == 206 && !answer->without_range)
        text_printf(head, "Content-Range: bytes %llu-%llu/%llu\r\n",
                    (unsigned long long)answer->first, (unsigned long long)answer->last,
                    (unsigned long long)answer->total);
    if (answer->status == 416)
        text_printf(head, "Content-Range: bytes */%llu\r\n", (unsigned long long)answer->total);
    if (answer->retry_after_s != UINT64_MAX)
        text_printf(head, "Retry-After: %llu\r\n", (unsigned long long)answer->retry_after_s);
    if (framing == FRAMING_LENGTH)
        text_printf(head, "Content-Length: %llu\r\n", (unsigned long long)answer->length);
    else if (framing == FRAMING_CHUNKED)
        text_add(head, SPAN("Transfer-Encoding: chunked\r\n"));
    else
        text_add(head, SPAN("Connection: close\r\n"));
}

/* A body in chunks is written out. */
static void add_chunks(struct text *head, const struct answer *answer)
{
    char data[CHUNK_MAX];

    for (uint64_t done = 0; done < answer->len;) {
        size_t part = (size_t)dice_between(answer->dice, 1, CHUNK_MAX);

        if (part > answer->len - done)
            part = (size_t)(answer->len - done);
        content_fill(answer->content, answer->from + done, data, part);
        text_printf(head, "%zx\r\n", part);
        text_add(head, span_make(data, part));
        text_add(head, SPAN("\r\n"));
        done += part;
    }
    text_add(head, SPAN("0\r\n\r\n"));
}

static void set_pace(struct reply *reply, const struct answer *answer)
{
    struct dice *dice = answer->dice;
    bool slow = dice_permille(dice, answer->net->world->faults.slow);

    reply->think_ns = dice_permille(dice, 500) ? 0 : dice_below(dice, 30 * NS_PER_MS);
    if (slow)
        reply->think_ns = dice_below(dice, 3 * NS_PER_S);
    reply->burst_bytes =
        dice_permille(dice, 200) ? UINT32_MAX : dice_between(dice, 1000, 32 * 1024);
    reply->pause_ns = dice_below(dice, dice_permille(dice, 300) ? 300 * NS_PER_MS : 50 * NS_PER_MS);
    if (answer->trickles) {
        reply->burst_bytes = 1 + (reply->head_len + reply->len) / dice_between(dice, 5, 30);
        reply->pause_ns = dice_below(dice, 3 * NS_PER_S);
    }
}

static void set_cut(struct reply *reply, const struct answer *answer, enum framing framing,
                    size_t head_end)
{
    struct dice *dice = answer->dice;

    reply->cut = reply->head_len + reply->len;
    reply->ending = framing == FRAMING_CLOSE ? ENDING_FIN : ENDING_KEEP;
    if (answer->length > answer->len && answer->status < 300)
        reply->ending = ENDING_FIN; /* more was announced: nothing else can follow */
    if (answer->cut_head)
        reply->cut = dice_below(dice, head_end);
    else if (answer->cut_body && reply->cut > head_end)
        reply->cut = dice_between(dice, head_end, reply->cut - 1);
    else
        return;
    reply->ending = some_ending(dice);
    /* Nobody can tell this from the end of the body. */
    if (framing == FRAMING_CLOSE && reply->ending == ENDING_FIN)
        reply->ending = ENDING_RESET;
}

static void write_reply(struct answer *answer, struct reply *reply)
{
    enum framing framing = FRAMING_LENGTH;
    struct text head = {0};
    size_t head_end;

    if (answer->copy && answer->status == 200)
        framing = answer->copy->framing;
    text_printf(&head, answer->garbage ? "HTP %d\r\n" : "HTTP/1.1 %d Whatever\r\n", answer->status);
    if (answer->copy)
        add_fields(&head, answer, framing);
    else
        text_add(&head, SPAN("Content-Length: 0\r\n"));
    text_add(&head, SPAN("\r\n"));
    head_end = head.len;
    reply->content = answer->content;
    reply->from = answer->from;
    reply->len = answer->len;
    if (framing == FRAMING_CHUNKED) {
        add_chunks(&head, answer);
        reply->len = 0;
    } else if (reply->len > 0) {
        reply->resource = answer->copy->resource;
        if (framing == FRAMING_LENGTH && answer->length < answer->len)
            reply->extra = answer->len - answer->length;
        else if (framing == FRAMING_LENGTH)
            reply->len += reply->extra = answer->extra_bytes;
    }
    CHECK(!head.failed);
    reply->head = head.data;
    reply->head_len = head.len;
    set_cut(reply, answer, framing, head_end);
    set_pace(reply, answer);
}

void server_answer(struct net *net, size_t host, struct span head, struct reply *reply)
{
    struct answer answer = {.net = net, .dice = &net->dice};
    struct request request;

    net->world->counts.requests++;
    read_request(net, host, head, &request);
    plan(&answer, &request);
    if (answer.copy && dice_permille(answer.dice, net->world->faults.response))
        spoil(&answer, &request);
    if (answer.status == 304 && request.conditional)
        plan_empty(&answer, 412); /* that could be believed */
    write_reply(&answer, reply);
    world_trace(net->world, "answer", (uint64_t)answer.status, answer.from, answer.len);
}
