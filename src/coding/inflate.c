/* SPDX-License-Identifier: GPL-3.0-or-later */
/* gzip and deflate, by zlib. */
#define ZLIB_CONST /* what goes in is not written to */
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "base/alloc.h"
#include "coding/stage.h"

enum { WINDOW_BITS = 15, GZIP_BITS = 16 };

static enum stage_mark gzip_mark(const unsigned char *bytes, size_t len)
{
    static const unsigned char magic[] = {0x1f, 0x8b};

    for (size_t i = 0; i < len && i < sizeof(magic); i++)
        if (bytes[i] != magic[i])
            return STAGE_MARK_NO;
    return len < sizeof(magic) ? STAGE_MARK_MORE : STAGE_MARK_YES;
}

/* Two bytes tell the zlib format from bare deflate. */
static enum stage_mark deflate_mark(const unsigned char *bytes, size_t len)
{
    (void)bytes;
    return len < 2 ? STAGE_MARK_MORE : STAGE_MARK_YES;
}

/* RFC 1950 2.2. In bare deflate they would be the beginning of a stored block with bits set in its
 * padding, which nothing writes. */
static bool is_zlib(const unsigned char *bytes)
{
    return (bytes[0] & 0x0f) == Z_DEFLATED && bytes[0] >> 4 <= 7 &&
           (bytes[0] << 8 | bytes[1]) % 31 == 0;
}

static bool begin(struct stage *stage, int window_bits)
{
    z_stream *stream = stage->library;

    if (stream)
        return inflateReset2(stream, window_bits) == Z_OK;
    stream = alloc_zeroed(sizeof(*stream));
    if (!stream)
        return false;
    if (inflateInit2(stream, window_bits) != Z_OK) {
        free(stream);
        return false;
    }
    stage->library = stream;
    return true;
}

static bool gzip_begin(struct stage *stage, const unsigned char *bytes, size_t len)
{
    (void)bytes;
    (void)len;
    return begin(stage, WINDOW_BITS + GZIP_BITS);
}

static bool deflate_begin(struct stage *stage, const unsigned char *bytes, size_t len)
{
    CHECK(len == 2);
    return begin(stage, is_zlib(bytes) ? WINDOW_BITS : -WINDOW_BITS);
}

static enum stage_answer run(struct stage *stage, struct span *in, char *out, size_t room,
                             size_t *made)
{
    z_stream *stream = stage->library;
    int answer;

    CHECK(in->len <= UINT_MAX && room <= UINT_MAX);
    stream->next_in = (const Bytef *)in->data;
    stream->avail_in = (uInt)in->len;
    stream->next_out = (Bytef *)out;
    stream->avail_out = (uInt)room;
    answer = inflate(stream, Z_NO_FLUSH);
    *made = room - stream->avail_out;
    *in = span_sub(*in, in->len - stream->avail_in, in->len);
    if (answer == Z_STREAM_END)
        return STAGE_ENDED;
    if (answer == Z_MEM_ERROR)
        return STAGE_NO_MEMORY;
    return answer == Z_OK || answer == Z_BUF_ERROR ? STAGE_MOVED : STAGE_BAD;
}

static void inflate_free(struct stage *stage)
{
    (void)inflateEnd(stage->library);
    free(stage->library);
}

const struct stage_operations stage_gzip = {
    .name = "gzip",
    .repeats = true,
    .mark = gzip_mark,
    .begin = gzip_begin,
    .run = run,
    .free = inflate_free,
};

const struct stage_operations stage_deflate = {
    .name = "deflate",
    .mark = deflate_mark,
    .begin = deflate_begin,
    .run = run,
    .free = inflate_free,
};
