/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Input: which codings, the number of cuts, the cuts, what is sent. However it is cut, and however
 * little room there is, the same comes out, never more than the bounds allow, and there is progress
 * in every step.
 */
#include "tests/fuzz/fuzz.h"

#include "coding/coding.h"

enum { BYTES_MAX = 256 * 1024, FREE_BYTES = 64 * 1024, RATIO = 100, STILL_MAX = 8 };

struct outcome {
    bool whole;
    enum haul_status status; /* of what broke it; OK */
    struct text content;
};

static void run_piece(struct coding *coding, struct span piece, size_t room,
                      struct outcome *outcome, bool *broken)
{
    enum coding_progress progress = CODING_GOES_ON;
    unsigned still = 0; /* steps without any progress */

    while (progress == CODING_GOES_ON) {
        struct haul_error error = {0};
        char *out = malloc(room);
        size_t made = 0, left = piece.len;

        CHECK(out);
        progress = coding_step(coding, &piece, out, room, &made, &error);
        CHECK(made <= room && piece.len <= left);
        still = made > 0 || piece.len < left ? 0 : still + 1;
        CHECK(still < STILL_MAX);
        text_add(&outcome->content, span_make(out, made));
        free(out);
        CHECK(outcome->content.len <= BYTES_MAX);
        if (progress == CODING_WANTS)
            CHECK(piece.len == 0 && error.status == HAUL_OK);
        *broken = progress == CODING_BROKEN;
        if (*broken) {
            CHECK(error.status == HAUL_BAD_RESPONSE || error.status == HAUL_FAILED);
            outcome->status = error.status;
        }
    }
}

static void run(const struct coding_list *list, struct span bytes, struct span cuts, size_t room,
                struct outcome *outcome)
{
    struct coding_bounds bounds = {
        .free_bytes = FREE_BYTES, .ratio = RATIO, .bytes_max = BYTES_MAX};
    struct coding *coding = coding_create(list, &bounds);
    struct haul_error error = {0};
    size_t at = 0, next_cut = 0;
    bool broken = false;

    *outcome = (struct outcome){0};
    CHECK(coding);
    while (at < bytes.len && !broken) {
        size_t len = fuzz_piece(cuts, &next_cut, bytes.len - at);
        char *piece = fuzz_copy(span_sub(bytes, at, len));

        run_piece(coding, span_make(piece, len), room, outcome, &broken);
        free(piece);
        at += len;
    }
    if (!broken)
        outcome->whole = coding_end(coding, &error);
    if (!broken && !outcome->whole)
        CHECK(error.status == HAUL_SHORT_BODY);
    coding_destroy(coding);
}

static bool is_beginning(const struct text *beginning, const struct text *of)
{
    return beginning->len <= of->len &&
           (beginning->len == 0 || memcmp(beginning->data, of->data, beginning->len) == 0);
}

/* Of what is not whole, the one may notice that it is broken while the other waits for more, or for
 * what grows too much. */
static void compare(const struct outcome *one, const struct outcome *other)
{
    CHECK(one->whole == other->whole);
    if (one->whole)
        CHECK(span_equal(text_span(&one->content), text_span(&other->content)));
    else
        CHECK(is_beginning(&one->content, &other->content) ||
              is_beginning(&other->content, &one->content));
}

/* libzstd (1.5) looks for a frame that it can unpack at once where the input of a call begins, even
 * if that lies within a frame's head: whoever makes a frame for that gets to see a difference. */
static bool has_zstd(const struct coding_list *list)
{
    return list->kinds[0] == CODING_ZSTD || (list->count > 1 && list->kinds[1] == CODING_ZSTD);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const enum coding_kind kinds[] = {CODING_GZIP, CODING_DEFLATE, CODING_BR, CODING_ZSTD};
    struct span input = fuzz_span(data, size);
    uint8_t which = fuzz_byte(&input);
    size_t count = fuzz_byte(&input) % 16, room;
    struct span cuts = span_sub(input, 0, count);
    struct coding_list list = {.count = which & 0x80 ? 2 : 1};
    struct outcome whole, cut;

    list.kinds[0] = kinds[which & 3];
    list.kinds[1] = kinds[which >> 2 & 3];
    room = which & 0x40 ? 1 + (which >> 4 & 3) : 4096;
    input = span_sub(input, cuts.len, input.len);
    run(&list, input, span_make("", 0), 65536, &whole);
    run(&list, input, cuts, room, &cut);
    if (!has_zstd(&list))
        compare(&whole, &cut);
    text_free(&whole.content);
    text_free(&cut.content);
    return 0;
}
