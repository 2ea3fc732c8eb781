/* SPDX-License-Identifier: GPL-3.0-or-later */
/* br, by libbrotlidec. Windows beyond the format's 16 MiB stay forbidden, as they are by default.
 */
#include <brotli/decode.h>

#include "coding/stage.h"

/* The format has none. */
static enum stage_mark mark(const unsigned char *bytes, size_t len)
{
    (void)bytes;
    (void)len;
    return STAGE_MARK_YES;
}

static bool begin(struct stage *stage, const unsigned char *bytes, size_t len)
{
    (void)bytes;
    (void)len;
    stage->library = BrotliDecoderCreateInstance(NULL, NULL, NULL);
    return stage->library != NULL;
}

static bool is_memory(BrotliDecoderErrorCode code)
{
    return code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES &&
           code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES;
}

static enum stage_answer run(struct stage *stage, struct span *in, char *out, size_t room,
                             size_t *made)
{
    const uint8_t *next_in = (const uint8_t *)in->data;
    uint8_t *next_out = (uint8_t *)out;
    size_t in_left = in->len, room_left = room;
    BrotliDecoderResult result = BrotliDecoderDecompressStream(stage->library, &in_left, &next_in,
                                                               &room_left, &next_out, NULL);

    *made = room - room_left;
    *in = span_sub(*in, in->len - in_left, in->len);
    if (result == BROTLI_DECODER_RESULT_SUCCESS)
        return STAGE_ENDED;
    if (result != BROTLI_DECODER_RESULT_ERROR)
        return STAGE_MOVED;
    return is_memory(BrotliDecoderGetErrorCode(stage->library)) ? STAGE_NO_MEMORY : STAGE_BAD;
}

static void brotli_free(struct stage *stage)
{
    BrotliDecoderDestroyInstance(stage->library);
}

const struct stage_operations stage_br = {
    .name = "br",
    .mark = mark,
    .begin = begin,
    .run = run,
    .free = brotli_free,
};
