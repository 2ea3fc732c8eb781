/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *     AT_MARK --the format's first bytes--> IN_STREAM --its end--> AT_MARK, where it may repeat
 *        |                                                           |
 *        \---- something else ----> broken if it is the first, else BEHIND: passed over
 *
 * The first bytes are held against the format here and not by the library: so it is known at once
 * whether what follows a stream is another one, however few bytes come at a time.
 */
#include "coding/stage.h"

static bool fail(const struct stage *stage, enum haul_status status, const char *what,
                 struct haul_error *error)
{
    error_set(error, status, 0, "the body can't be unpacked (%s): %s", stage->operations->name,
              what);
    return false;
}

bool stage_is_whole(const struct stage *stage)
{
    if (stage->state == STAGE_AT_MARK)
        return stage->mark_len == 0;
    return stage->state == STAGE_BEHIND;
}

static bool pass_over(struct stage *stage, struct span *in, struct haul_error *error)
{
    stage->garbage_bytes += in->len;
    *in = span_sub(*in, in->len, 0);
    if (stage->garbage_bytes > CODING_GARBAGE_BYTES_MAX)
        return fail(stage, HAUL_BAD_RESPONSE, "too much follows its end", error);
    return true;
}

static bool begin(struct stage *stage, struct haul_error *error)
{
    stage->mark_used = 0;
    stage->state = STAGE_IN_STREAM;
    if (!stage->operations->begin(stage, stage->mark, stage->mark_len))
        return fail(stage, HAUL_OUT_OF_MEMORY, "out of memory", error);
    return true;
}

/* Looks at what comes until it is clear what it is. */
static bool read_mark(struct stage *stage, struct span *in, struct haul_error *error)
{
    enum stage_mark mark = stage->operations->mark(stage->mark, stage->mark_len);

    while (mark == STAGE_MARK_MORE && in->len > 0) {
        CHECK(stage->mark_len < sizeof(stage->mark));
        stage->mark[stage->mark_len++] = (unsigned char)in->data[0];
        *in = span_sub(*in, 1, in->len);
        mark = stage->operations->mark(stage->mark, stage->mark_len);
    }
    if (mark == STAGE_MARK_YES)
        return begin(stage, error);
    if (mark == STAGE_MARK_MORE)
        return true;
    if (stage->streams == 0)
        return fail(stage, HAUL_BAD_RESPONSE, "it is something else", error);
    stage->garbage_bytes = stage->mark_len;
    stage->state = STAGE_BEHIND;
    return true;
}

static void end_stream(struct stage *stage)
{
    stage->streams++;
    stage->mark_len = 0;
    stage->state = stage->operations->repeats ? STAGE_AT_MARK : STAGE_BEHIND;
}

static bool run_stream(struct stage *stage, struct span *in, char *out, size_t room, size_t *made,
                       struct haul_error *error)
{
    bool marked = stage->mark_used < stage->mark_len;
    struct span mark =
        span_make((const char *)stage->mark + stage->mark_used, stage->mark_len - stage->mark_used);
    size_t more = 0;
    enum stage_answer answer =
        stage->operations->run(stage, marked ? &mark : in, out + *made, room - *made, &more);

    *made += more;
    if (marked)
        stage->mark_used = stage->mark_len - mark.len;
    if (answer == STAGE_NO_MEMORY)
        return fail(stage, HAUL_OUT_OF_MEMORY, "out of memory", error);
    if (answer == STAGE_BAD)
        return fail(stage, HAUL_BAD_RESPONSE, "it is broken", error);
    if (answer == STAGE_ENDED)
        end_stream(stage);
    return true;
}

bool stage_run(struct stage *stage, struct span *in, char *out, size_t room, size_t *made,
               struct haul_error *error)
{
    bool good = true;

    *made = 0;
    if (stage->state == STAGE_BEHIND)
        good = pass_over(stage, in, error);
    else if (stage->state == STAGE_AT_MARK && in->len > 0)
        good = read_mark(stage, in, error);
    if (good && stage->state == STAGE_IN_STREAM)
        good = run_stream(stage, in, out, room, made, error);
    /* The library has not been asked yet for what the mark's bytes or an end behind it have made.
     */
    stage->full = *made == room || stage->mark_used < stage->mark_len;
    stage->made_bytes += *made;
    return good;
}
