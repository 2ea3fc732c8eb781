/* SPDX-License-Identifier: GPL-3.0-or-later */
/* zstd, by libzstd. */
#include <zstd.h>
#include <zstd_errors.h>

#include "coding/stage.h"

enum { WINDOW_LOG_MAX = 23 }; /* 8 MiB (RFC 9659 3) */

/* RFC 8878 3.1: a frame, or one to be skipped. */
static enum stage_mark mark(const unsigned char *bytes, size_t len)
{
    static const unsigned char frame[] = {0x28, 0xb5, 0x2f, 0xfd};
    static const unsigned char skippable[] = {0x50, 0x2a, 0x4d, 0x18};
    bool is_frame = true, is_skippable = true;

    for (size_t i = 0; i < len; i++) {
        is_frame = is_frame && bytes[i] == frame[i];
        is_skippable = is_skippable && (i == 0 ? bytes[i] & 0xf0 : bytes[i]) == skippable[i];
    }
    if (!is_frame && !is_skippable)
        return STAGE_MARK_NO;
    return len < sizeof(frame) ? STAGE_MARK_MORE : STAGE_MARK_YES;
}

static bool begin(struct stage *stage, const unsigned char *bytes, size_t len)
{
    (void)bytes;
    (void)len;
    if (stage->library)
        return true;
    stage->library = ZSTD_createDCtx();
    return stage->library && !ZSTD_isError(ZSTD_DCtx_setParameter(
                                 stage->library, ZSTD_d_windowLogMax, WINDOW_LOG_MAX));
}

static enum stage_answer run(struct stage *stage, struct span *in, char *out, size_t room,
                             size_t *made)
{
    ZSTD_inBuffer input = {.src = in->data, .size = in->len};
    ZSTD_outBuffer output = {.dst = out, .size = room};
    size_t answer = ZSTD_decompressStream(stage->library, &output, &input);

    *made = output.pos;
    *in = span_sub(*in, input.pos, in->len);
    if (answer == 0)
        return STAGE_ENDED;
    if (!ZSTD_isError(answer))
        return STAGE_MOVED;
    return ZSTD_getErrorCode(answer) == ZSTD_error_memory_allocation ? STAGE_NO_MEMORY : STAGE_BAD;
}

static void zstd_free(struct stage *stage)
{
    (void)ZSTD_freeDCtx(stage->library);
}

const struct stage_operations stage_zstd = {
    .name = "zstd",
    .repeats = true,
    .mark = mark,
    .begin = begin,
    .run = run,
    .free = zstd_free,
};
