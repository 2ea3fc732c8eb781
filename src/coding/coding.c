/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The chain: what comes in passes the codings from the one that was put on last to the one that was
 * put on first. Between two stands a small buffer, which is filled when it is empty.
 *
 *     in --> stages[0] --> between[0] --> stages[1] --> ... --> out
 *
 * Growth is held against what has come in at the very beginning, after each of them: else one
 * coding could unpack without end what the next one swallows.
 */
#include "coding/coding.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "coding/stage.h"

enum { BETWEEN_BYTES = 16 * 1024 };

struct between {
    char *data;
    struct span left; /* of data: not taken yet */
};

struct coding {
    struct coding_bounds bounds;
    uint64_t taken_bytes;
    unsigned count;
    struct stage stages[CODING_CHAIN_MAX];
    struct between between[CODING_CHAIN_MAX - 1];
};

/* --- names ----------------------------------------------------------------------------------- */

static const struct {
    const char *name;
    enum coding_kind kind;
} names[] = {
    {"gzip", CODING_GZIP},       {"x-gzip", CODING_GZIP}, /* RFC 9110 8.4.1.3 */
    {"deflate", CODING_DEFLATE}, {"br", CODING_BR},       {"zstd", CODING_ZSTD},
};

static const struct {
    const char *type;
    enum coding_kind kind;
} types[] = {
    {"application/gzip", CODING_GZIP},
    {"application/x-gzip", CODING_GZIP},
    {"application/x-gunzip", CODING_GZIP},
    {"application/x-tgz", CODING_GZIP},
    {"application/x-gtar-compressed", CODING_GZIP},
    {"application/x-compressed-tar", CODING_GZIP},
    {"application/zlib", CODING_DEFLATE},
    {"application/brotli", CODING_BR},
    {"application/x-brotli", CODING_BR},
    {"application/zstd", CODING_ZSTD},
    {"application/x-zstd", CODING_ZSTD},
    {"application/x-zstd-compressed-tar", CODING_ZSTD},
};

static const char *const packed_endings[] = {
    ".gz", ".tgz", ".taz", ".svgz", ".emz", ".wmz",  ".vgz",
    ".z",  ".zz",  ".br",  ".tbr",  ".zst", ".tzst",
};

const char *coding_name(enum coding_kind kind)
{
    size_t i = 0;

    while (names[i].kind != kind)
        i++;
    return names[i].name;
}

static bool is_nothing(struct span name)
{
    return name.len == 0 || span_equal_nocase(name, SPAN("identity")) ||
           span_equal_nocase(name, SPAN("none"));
}

static bool find_kind(struct span name, enum coding_kind *kind)
{
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (span_equal_nocase(name, span_of(names[i].name))) {
            *kind = names[i].kind;
            return true;
        }
    }
    return false;
}

bool coding_list_add(struct coding_list *list, struct span value, struct span *unknown)
{
    while (value.len > 0) {
        struct span name = span_trim(span_cut(&value, ','));

        if (is_nothing(name))
            continue;
        *unknown = name;
        if (list->count == CODING_CHAIN_MAX || !find_kind(name, &list->kinds[list->count]))
            return false;
        list->count++;
    }
    return true;
}

bool coding_is_type(enum coding_kind kind, struct span content_type)
{
    struct span type = span_trim(span_cut(&content_type, ';'));

    for (size_t i = 0; i < COUNT_OF(types); i++)
        if (types[i].kind == kind && span_equal_nocase(type, span_of(types[i].type)))
            return true;
    return false;
}

bool coding_is_packed_name(struct span name)
{
    for (size_t i = 0; i < COUNT_OF(packed_endings); i++) {
        struct span ending = span_of(packed_endings[i]);

        if (name.len > ending.len &&
            span_equal_nocase(span_sub(name, name.len - ending.len, ending.len), ending))
            return true;
    }
    return false;
}

/* --- the chain ------------------------------------------------------------------------------- */

static const struct stage_operations *operations_of(enum coding_kind kind)
{
    switch (kind) {
    case CODING_GZIP:
        return &stage_gzip;
    case CODING_DEFLATE:
        return &stage_deflate;
    case CODING_BR:
        return &stage_br;
    case CODING_ZSTD:
        break;
    }
    return &stage_zstd;
}

struct coding *coding_create(const struct coding_list *list, const struct coding_bounds *bounds)
{
    struct coding *coding = alloc_zeroed(sizeof(*coding));

    CHECK(list->count > 0 && list->count <= CODING_CHAIN_MAX);
    if (!coding)
        return NULL;
    coding->bounds = *bounds;
    coding->count = list->count;
    for (unsigned i = 0; i < list->count; i++)
        coding->stages[i].operations = operations_of(list->kinds[list->count - 1 - i]);
    for (unsigned i = 0; i + 1 < list->count; i++) {
        coding->between[i].data = alloc_zeroed(BETWEEN_BYTES);
        if (!coding->between[i].data) {
            coding_destroy(coding);
            return NULL;
        }
    }
    return coding;
}

void coding_destroy(struct coding *coding)
{
    if (!coding)
        return;
    for (unsigned i = 0; i < coding->count; i++) {
        struct stage *stage = &coding->stages[i];

        if (stage->library)
            stage->operations->free(stage);
        if (i + 1 < coding->count)
            free(coding->between[i].data);
    }
    free(coding);
}

/* --- a step ---------------------------------------------------------------------------------- */

static bool is_within(const struct coding *coding, const struct stage *stage,
                      struct haul_error *error)
{
    const struct coding_bounds *bounds = &coding->bounds;

    if (stage->made_bytes > bounds->bytes_max) {
        error_set(error, HAUL_FAILED, 0,
                  "the body unpacks (%s) to more than %llu bytes, which are the most that haul "
                  "unpacks: fetch it as it is",
                  stage->operations->name, (unsigned long long)bounds->bytes_max);
        return false;
    }
    if (stage->made_bytes > bounds->free_bytes &&
        stage->made_bytes / bounds->ratio > coding->taken_bytes) {
        error_set(error, HAUL_FAILED, 0,
                  "the body unpacks (%s) to more than %llu times its size, as bombs do: fetch it "
                  "as it is",
                  stage->operations->name, (unsigned long long)bounds->ratio);
        return false;
    }
    return true;
}

/* One run of one stage; adds what it has moved to *work. False: *error. */
static bool run(struct coding *coding, unsigned index, struct span *in, char *out, size_t room,
                size_t *made, size_t *work, struct haul_error *error)
{
    struct stage *stage = &coding->stages[index];
    size_t before = in->len, taken;

    *made = 0;
    if (room == 0 || (in->len == 0 && !stage->full))
        return true;
    if (!stage_run(stage, in, out, room, made, error))
        return false;
    taken = before - in->len;
    if (index == 0)
        coding->taken_bytes += taken;
    *work += taken + *made;
    return is_within(coding, stage, error);
}

/* Lets each of them work once. False: *error. */
static bool pass(struct coding *coding, struct span *in, char *out, size_t room, size_t *made,
                 size_t *work, struct haul_error *error)
{
    for (unsigned i = 0; i < coding->count; i++) {
        struct span *from = i == 0 ? in : &coding->between[i - 1].left;
        bool last = i + 1 == coding->count;
        size_t more;

        if (last) {
            if (!run(coding, i, from, out + *made, room - *made, &more, work, error))
                return false;
            *made += more;
        } else if (coding->between[i].left.len == 0) {
            struct between *to = &coding->between[i];

            if (!run(coding, i, from, to->data, BETWEEN_BYTES, &more, work, error))
                return false;
            to->left = span_make(to->data, more);
        }
    }
    return true;
}

enum coding_progress coding_step(struct coding *coding, struct span *in, char *out, size_t room,
                                 size_t *made, struct haul_error *error)
{
    size_t work = 0;

    CHECK(room > 0);
    *made = 0;
    while (*made < room && work < CODING_STEP_BYTES_MAX) {
        size_t before = work;

        if (!pass(coding, in, out, room, made, &work, error))
            return CODING_BROKEN;
        if (work > before)
            continue;
        if (in->len == 0)
            return CODING_WANTS;
        error_set(error, HAUL_BAD_RESPONSE, 0, "the body can't be unpacked: it leads nowhere");
        return CODING_BROKEN;
    }
    return CODING_GOES_ON;
}

bool coding_end(const struct coding *coding, struct haul_error *error)
{
    for (unsigned i = 0; i < coding->count; i++) {
        const struct stage *stage = &coding->stages[i];

        if (stage_is_whole(stage) && (i == 0 || coding->between[i - 1].left.len == 0))
            continue;
        error_set(error, HAUL_SHORT_BODY, 0, "the body (%s) ended early, after %llu bytes",
                  stage->operations->name, (unsigned long long)coding->taken_bytes);
        return false;
    }
    return true;
}

uint64_t coding_garbage_bytes(const struct coding *coding)
{
    uint64_t bytes = 0;

    for (unsigned i = 0; i < coding->count; i++)
        bytes += coding->stages[i].garbage_bytes;
    return bytes;
}
