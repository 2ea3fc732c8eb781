/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include <brotli/encode.h>
#define ZLIB_CONST
#include <zlib.h>
#include <zstd.h>

#include "coding/coding.h"

enum { PACKED_MAX = 256 * 1024, CONTENT_MAX = 96 * 1024, ZEROS = 32 * 1024 * 1024 };

static const struct coding_bounds wide = {
    .free_bytes = UINT64_MAX, .ratio = 1, .bytes_max = UINT64_MAX};

struct bytes {
    char *data;
    size_t len;
};

/* --- packing --------------------------------------------------------------------------------- */

enum way { WAY_GZIP, WAY_ZLIB, WAY_RAW, WAY_BR, WAY_ZSTD, WAY_STORED, WAY_COUNT };

static const char *const way_codings[WAY_COUNT] = {"gzip", "deflate", "deflate",
                                                   "br",   "zstd",    "x-gzip"};

static struct bytes pack_zlib(struct span content, int window_bits, int level)
{
    struct bytes packed = {.data = malloc(content.len + content.len / 100 + 1024)};
    z_stream stream = {0};

    assert_non_null(packed.data);
    assert_int_equal(deflateInit2(&stream, level, Z_DEFLATED, window_bits, 8, Z_DEFAULT_STRATEGY),
                     Z_OK);
    stream.next_in = (const Bytef *)content.data;
    stream.avail_in = (uInt)content.len;
    stream.next_out = (Bytef *)packed.data;
    stream.avail_out = (uInt)(content.len + content.len / 100 + 1024);
    assert_int_equal(deflate(&stream, Z_FINISH), Z_STREAM_END);
    packed.len = stream.total_out;
    assert_int_equal(deflateEnd(&stream), Z_OK);
    return packed;
}

static struct bytes pack_zstd(struct span content, int window_log)
{
    size_t room = ZSTD_compressBound(content.len) + 1024;
    struct bytes packed = {.data = malloc(room)};
    ZSTD_CCtx *context = ZSTD_createCCtx();
    ZSTD_inBuffer in = {.src = content.data, .size = content.len};
    ZSTD_outBuffer out = {.dst = packed.data, .size = room};

    assert_true(packed.data && context);
    (void)ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1);
    if (window_log > 0) {
        (void)ZSTD_CCtx_setParameter(context, ZSTD_c_windowLog, window_log);
        (void)ZSTD_CCtx_setParameter(context, ZSTD_c_contentSizeFlag, 0);
    }
    assert_int_equal(ZSTD_compressStream2(context, &out, &in, ZSTD_e_end), 0);
    packed.len = out.pos;
    (void)ZSTD_freeCCtx(context);
    return packed;
}

static struct bytes pack_br(struct span content)
{
    size_t room = BrotliEncoderMaxCompressedSize(content.len) + 1024;
    struct bytes packed = {.data = malloc(room), .len = room};

    assert_non_null(packed.data);
    assert_true(BrotliEncoderCompress(6, 22, BROTLI_MODE_GENERIC, content.len,
                                      (const uint8_t *)content.data, &packed.len,
                                      (uint8_t *)packed.data));
    return packed;
}

static struct bytes pack(enum way way, struct span content)
{
    switch (way) {
    case WAY_GZIP:
        return pack_zlib(content, 31, 6);
    case WAY_ZLIB:
        return pack_zlib(content, 15, 6);
    case WAY_RAW:
        return pack_zlib(content, -15, 6);
    case WAY_BR:
        return pack_br(content);
    case WAY_ZSTD:
        return pack_zstd(content, 0);
    case WAY_STORED:
        return pack_zlib(content, 31, 0);
    case WAY_COUNT:
        break;
    }
    fail();
    return (struct bytes){0};
}

static struct span span_at(struct bytes bytes)
{
    return span_make(bytes.data, bytes.len);
}

static void append(struct bytes *bytes, struct bytes more)
{
    bytes->data = realloc(bytes->data, bytes->len + more.len + 1);
    assert_non_null(bytes->data);
    memcpy(bytes->data + bytes->len, more.data, more.len);
    bytes->len += more.len;
    free(more.data);
}

static struct bytes copy_of(const char *text, size_t len)
{
    return (struct bytes){.data = unit_copy(text, len), .len = len};
}

/* Compresses, but not too well. */
static struct bytes make_content(size_t len)
{
    struct bytes content = {.data = malloc(len + 1), .len = len};
    uint64_t random = 4711;

    assert_non_null(content.data);
    for (size_t i = 0; i < len; i++)
        content.data[i] = "abcdefgh \n<>0123"[unit_random(&random) >> 60 & (i % 7 < 3 ? 15 : 3)];
    return content;
}

/* --- unpacking ------------------------------------------------------------------------------- */

struct unpacked {
    struct bytes bytes;
    bool whole;
    struct haul_error error;
    uint64_t garbage;
    uint64_t steps;
    size_t room; /* of bytes; what is beyond is counted and dropped */
};

static struct coding *create(const char *codings, const struct coding_bounds *bounds)
{
    struct coding_list list = {.count = 0};
    struct coding *coding;
    struct span unknown;

    assert_true(coding_list_add(&list, span_of(codings), &unknown));
    coding = coding_create(&list, bounds);
    assert_non_null(coding);
    return coding;
}

static void keep(struct unpacked *result, const char *data, size_t len)
{
    if (result->bytes.len + len <= result->room)
        memcpy(result->bytes.data + result->bytes.len, data, len);
    result->bytes.len += len;
}

/* In pieces of `piece` bytes, into room for `room`; each ends where its memory ends. */
static struct unpacked unpack(const char *codings, struct span packed, size_t piece, size_t room,
                              const struct coding_bounds *bounds)
{
    struct coding *coding = create(codings, bounds);
    struct unpacked result = {.bytes.data = malloc(CONTENT_MAX), .room = CONTENT_MAX};
    enum coding_progress progress = CODING_WANTS;
    char *out = malloc(room);

    assert_true(out && result.bytes.data);
    while (packed.len > 0 && progress != CODING_BROKEN) {
        size_t len = packed.len < piece ? packed.len : piece;
        char *copy = unit_copy(packed.data, len);
        struct span in = span_make(copy, len);

        do {
            size_t made = 0, before = in.len;

            progress = coding_step(coding, &in, out, room, &made, &result.error);
            assert_true(made <= room && in.len <= before);
            assert_true(before - in.len <= CODING_STEP_BYTES_MAX + 64 * 1024);
            keep(&result, out, made);
            result.steps++;
        } while (progress == CODING_GOES_ON);
        assert_true(progress == CODING_BROKEN || in.len == 0);
        packed = span_sub(packed, len, packed.len);
        free(copy);
    }
    if (progress != CODING_BROKEN)
        result.whole = coding_end(coding, &result.error);
    result.garbage = coding_garbage_bytes(coding);
    coding_destroy(coding);
    free(out);
    return result;
}

static void check_whole(const char *codings, struct span packed, size_t piece, size_t room,
                        struct span content)
{
    struct unpacked result = unpack(codings, packed, piece, room, &wide);

    if (!result.whole)
        fail_msg("%s by %zu to %zu: %s", codings, piece, room, result.error.text);
    assert_int_equal(result.bytes.len, content.len);
    assert_memory_equal(result.bytes.data, content.data, content.len);
    free(result.bytes.data);
}

/* Of what is too long to be kept. */
static void check_counts(const char *codings, struct span packed, size_t bytes,
                         const struct coding_bounds *bounds)
{
    struct unpacked result = unpack(codings, packed, 4096, 65536, bounds);

    if (!result.whole)
        fail_msg("%s: %s", codings, result.error.text);
    assert_int_equal(result.bytes.len, bytes);
    free(result.bytes.data);
}

static void check_error(const char *codings, struct span packed, enum haul_status status,
                        const struct coding_bounds *bounds)
{
    struct unpacked result = unpack(codings, packed, SIZE_MAX, 4096, bounds);

    assert_false(result.whole);
    if (result.error.status != status)
        fail_msg("%s: %d (%s) instead of %d", codings, (int)result.error.status, result.error.text,
                 (int)status);
    free(result.bytes.data);
}

/* --- names ----------------------------------------------------------------------------------- */

static void test_lists(void **state)
{
    static const struct {
        const char *value;
        const char *kinds;   /* g d b z, in order */
        const char *unknown; /* NULL: all are known */
    } rows[] = {
        {"", "", NULL},
        {"gzip", "g", NULL},
        {"GZip", "g", NULL},
        {"x-gzip", "g", NULL},
        {"deflate", "d", NULL},
        {"br", "b", NULL},
        {"zstd", "z", NULL},
        {"identity", "", NULL},
        {"none", "", NULL},
        {" gzip ,\tbr ", "gb", NULL},
        {"gzip,identity,br,", "gb", NULL},
        {",,gzip,,", "g", NULL},
        {"gzip,gzip,br,zstd", "ggbz", NULL},
        {"gzip,gzip,gzip,gzip,br", "gggg", "br"},
        {"compress", "", "compress"},
        {"gzip, utf-8", "g", "utf-8"},
        {"gzip;q=1", "", "gzip;q=1"},
        {"gzip br", "", "gzip br"},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct coding_list list = {.count = 0};
        struct span unknown = SPAN("");
        bool known = coding_list_add(&list, span_of(rows[i].value), &unknown);
        char kinds[CODING_CHAIN_MAX + 1] = "";

        for (unsigned j = 0; j < list.count; j++)
            kinds[j] = "gdbz"[list.kinds[j]];
        assert_string_equal(kinds, rows[i].kinds);
        assert_int_equal(known, rows[i].unknown == NULL);
        if (rows[i].unknown)
            assert_span(unknown, rows[i].unknown);
    }
    assert_string_equal(coding_name(CODING_GZIP), "gzip");
    assert_string_equal(coding_name(CODING_ZSTD), "zstd");
}

static void test_packed_files(void **state)
{
    (void)state;
    assert_true(coding_is_type(CODING_GZIP, SPAN("application/gzip")));
    assert_true(coding_is_type(CODING_GZIP, SPAN("Application/X-GZip ; charset=binary")));
    assert_true(coding_is_type(CODING_ZSTD, SPAN("application/zstd")));
    assert_false(coding_is_type(CODING_BR, SPAN("application/gzip")));
    assert_false(coding_is_type(CODING_GZIP, SPAN("text/html")));
    assert_false(coding_is_type(CODING_GZIP, SPAN("")));
    assert_true(coding_is_packed_name(SPAN("/a/x.tar.gz")));
    assert_true(coding_is_packed_name(SPAN("X.TGZ")));
    assert_true(coding_is_packed_name(SPAN("/x.tar.zst")));
    assert_false(coding_is_packed_name(SPAN(".gz")));
    assert_false(coding_is_packed_name(SPAN("/x.gzip")));
    assert_false(coding_is_packed_name(SPAN("/gz")));
    assert_false(coding_is_packed_name(SPAN("")));
}

/* --- what is good ---------------------------------------------------------------------------- */

static void test_formats(void **state)
{
    static const size_t lens[] = {0, 1, 2, 300, 5000, 70000};
    static const size_t pieces[] = {1, 2, 3, 1000, SIZE_MAX};
    static const size_t rooms[] = {1, 2, 4096, 65536};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(lens); i++) {
        struct bytes content = make_content(lens[i]);

        for (enum way way = 0; way < WAY_COUNT; way++) {
            struct bytes packed = pack(way, span_at(content));

            for (size_t p = 0; p < COUNT_OF(pieces); p++)
                for (size_t r = 0; r < COUNT_OF(rooms); r++)
                    check_whole(way_codings[way], span_at(packed), pieces[p], rooms[r],
                                span_at(content));
            free(packed.data);
        }
        free(content.data);
    }
}

static void test_nothing_is_empty(void **state)
{
    (void)state;
    for (enum way way = 0; way < WAY_COUNT; way++)
        check_whole(way_codings[way], SPAN(""), 1, 1, SPAN(""));
    check_whole("gzip, br", SPAN(""), 1, 1, SPAN(""));
}

static void test_members(void **state)
{
    struct bytes content = make_content(3000);
    static const enum way ways[] = {WAY_GZIP, WAY_ZSTD};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(ways); i++) {
        const char *codings = way_codings[ways[i]];
        struct bytes packed = pack(ways[i], span_sub(span_at(content), 0, 1000));
        size_t first = packed.len;

        append(&packed, pack(ways[i], SPAN("")));
        append(&packed, pack(ways[i], span_sub(span_at(content), 1000, 2000)));
        for (size_t piece = 1; piece < 9; piece++)
            check_whole(codings, span_at(packed), piece, piece * 7, span_at(content));
        check_whole(codings, span_make(packed.data, first), SIZE_MAX, 99,
                    span_sub(span_at(content), 0, 1000));
        check_error(codings, span_make(packed.data, first + 1), HAUL_SHORT_BODY, &wide);
        check_error(codings, span_make(packed.data, packed.len - 1), HAUL_SHORT_BODY, &wide);
        free(packed.data);
    }
    free(content.data);
}

/* RFC 8878 3.1.2 */
static void test_skippable_frames(void **state)
{
    struct bytes packed = copy_of("\x5a\x2a\x4d\x18\x03\x00\x00\x00xyz", 11);

    (void)state;
    append(&packed, pack(WAY_ZSTD, SPAN("content")));
    append(&packed, copy_of("\x50\x2a\x4d\x18\x00\x00\x00\x00", 8));
    for (size_t piece = 1; piece < 20; piece++)
        check_whole("zstd", span_at(packed), piece, 5, SPAN("content"));
    check_error("zstd", span_make(packed.data, 7), HAUL_SHORT_BODY, &wide);
    free(packed.data);
}

static void test_chains(void **state)
{
    static const struct {
        const char *codings;
        enum way ways[CODING_CHAIN_MAX];
        unsigned count;
    } rows[] = {
        {"gzip, br", {WAY_GZIP, WAY_BR}, 2},
        {"br, gzip", {WAY_BR, WAY_GZIP}, 2},
        {"deflate, identity, zstd, gzip", {WAY_RAW, WAY_ZSTD, WAY_GZIP}, 3},
        {"zstd, br, deflate, x-gzip", {WAY_ZSTD, WAY_BR, WAY_ZLIB, WAY_GZIP}, 4},
        {"gzip, gzip", {WAY_STORED, WAY_STORED}, 2},
    };
    struct bytes content = make_content(60000);

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct bytes packed = pack(rows[i].ways[0], span_at(content));

        for (unsigned j = 1; j < rows[i].count; j++) {
            struct bytes inner = packed;

            packed = pack(rows[i].ways[j], span_at(inner));
            free(inner.data);
        }
        for (size_t piece = 1; piece < 70000; piece = piece * 5 + 1)
            check_whole(rows[i].codings, span_at(packed), piece, piece, span_at(content));
        check_error(rows[i].codings, span_make(packed.data, packed.len / 2), HAUL_SHORT_BODY,
                    &wide);
        free(packed.data);
    }
    free(content.data);
}

/* --- what is not ----------------------------------------------------------------------------- */

static void test_truncated(void **state)
{
    struct bytes content = make_content(1500);

    (void)state;
    for (enum way way = 0; way < WAY_COUNT; way++) {
        struct bytes packed = pack(way, span_at(content));

        for (size_t len = 1; len < packed.len; len++) {
            check_error(way_codings[way], span_make(packed.data, len), HAUL_SHORT_BODY, &wide);
        }
        free(packed.data);
    }
    free(content.data);
}

static void test_something_else(void **state)
{
    static const char html[] = "<!DOCTYPE html><title>not packed at all</title>";

    (void)state;
    for (enum way way = 0; way < WAY_COUNT; way++)
        check_error(way_codings[way], SPAN(html), HAUL_BAD_RESPONSE, &wide);
    check_error("gzip", SPAN("\x1f\x8c"), HAUL_BAD_RESPONSE, &wide);
    check_error("gzip", SPAN("x"), HAUL_BAD_RESPONSE, &wide); /* at once */
    check_error("zstd", SPAN("\x28\xb5\x2f\xfe"), HAUL_BAD_RESPONSE, &wide);
    check_error("deflate", SPAN("\x78\xbb\x00\x00\x00\x00"), HAUL_BAD_RESPONSE, &wide); /* FDICT */
    check_error("zstd", SPAN("\x28\xb5\x2f\xfd\x01\x00\x07\x00\x00"), HAUL_BAD_RESPONSE,
                &wide);                                                        /* a dictionary */
    check_error("br", SPAN("\x11\x00\x00\x00\x00"), HAUL_BAD_RESPONSE, &wide); /* large window */
}

static void test_garbage(void **state)
{
    static const char *const garbages[] = {"x", "\n", "garbage", "\x1fy", "\x28\xb5 no frame"};
    struct bytes content = make_content(500);

    (void)state;
    for (enum way way = 0; way < WAY_COUNT; way++) {
        for (size_t i = 0; i < COUNT_OF(garbages); i++) {
            struct bytes packed = pack(way, span_at(content));

            append(&packed, copy_of(garbages[i], strlen(garbages[i])));
            for (size_t piece = 1; piece < 1000; piece *= 10) {
                struct unpacked result =
                    unpack(way_codings[way], span_at(packed), piece, 100, &wide);

                assert_true(result.whole);
                assert_int_equal(result.garbage, strlen(garbages[i]));
                assert_int_equal(result.bytes.len, content.len);
                free(result.bytes.data);
            }
            free(packed.data);
        }
    }
    free(content.data);
}

static void test_much_garbage(void **state)
{
    (void)state;
    for (enum way way = 0; way < WAY_COUNT; way++) {
        struct bytes packed = pack(way, SPAN("content"));
        size_t len = packed.len;
        char *zeros = calloc(1, CODING_GARBAGE_BYTES_MAX + 1);

        assert_non_null(zeros);
        append(&packed, (struct bytes){.data = zeros, .len = CODING_GARBAGE_BYTES_MAX + 1});
        check_whole(way_codings[way], span_make(packed.data, packed.len - 1), 999, 99,
                    SPAN("content"));
        check_error(way_codings[way], span_at(packed), HAUL_BAD_RESPONSE, &wide);
        assert_true(packed.len - len > CODING_GARBAGE_BYTES_MAX);
        free(packed.data);
    }
}

/* What has a good checksum never gives something else (zlib's misses such as +1 -2 +1); what has
 * none must at least come to an end. */
static void test_flipped_bits(void **state)
{
    static const struct coding_bounds bounds = {
        .free_bytes = CONTENT_MAX, .ratio = 1, .bytes_max = CONTENT_MAX};
    struct bytes content = make_content(700);

    (void)state;
    for (enum way way = 0; way < WAY_COUNT; way++) {
        struct bytes packed = pack(way, span_at(content));
        bool checked = way != WAY_RAW && way != WAY_ZLIB && way != WAY_BR;

        for (size_t bit = 0; bit < packed.len * 8; bit++) {
            struct unpacked result;

            packed.data[bit / 8] ^= (char)(1 << bit % 8);
            result = unpack(way_codings[way], span_at(packed), 100, 333, &bounds);
            if (result.whole && checked && result.bytes.len > 0) {
                assert_int_equal(result.bytes.len, content.len);
                assert_memory_equal(result.bytes.data, content.data, content.len);
            }
            free(result.bytes.data);
            packed.data[bit / 8] ^= (char)(1 << bit % 8);
        }
        free(packed.data);
    }
    free(content.data);
}

static void test_random_bytes(void **state)
{
    static const char *const codings[] = {"gzip", "deflate", "br", "zstd", "br, deflate"};
    static const struct coding_bounds bounds = {
        .free_bytes = 1 << 20, .ratio = 100, .bytes_max = 1 << 22};
    uint64_t random = 99;

    (void)state;
    for (int round = 0; round < 4000; round++) {
        char bytes[200];
        size_t len = unit_random(&random) % sizeof(bytes) + 1;
        struct unpacked result;

        for (size_t i = 0; i < len; i++)
            bytes[i] = (char)(unit_random(&random) >> 56);
        if (round % 3 == 0 && len > 4)
            memcpy(bytes, round % 2 ? "\x28\xb5\x2f\xfd" : "\x1f\x8b\x08\x00", 4);
        result = unpack(codings[round % 5], span_make(bytes, len), 1 + len / 3, 777, &bounds);
        free(result.bytes.data);
    }
}

/* --- bounds ---------------------------------------------------------------------------------- */

static struct bytes pack_zeros(enum way way)
{
    char *zeros = calloc(1, ZEROS);
    struct bytes packed;

    assert_non_null(zeros);
    packed = pack(way, span_make(zeros, ZEROS));
    free(zeros);
    return packed;
}

static void test_bombs(void **state)
{
    static const struct coding_bounds bounds = {
        .free_bytes = 1 << 20, .ratio = 500, .bytes_max = UINT64_MAX};
    static const struct coding_bounds size = {
        .free_bytes = UINT64_MAX, .ratio = 1, .bytes_max = 2 << 20};

    (void)state;
    for (enum way way = 0; way < WAY_STORED; way++) {
        struct bytes packed = pack_zeros(way);
        struct unpacked result = unpack(way_codings[way], span_at(packed), 50, 65536, &bounds);

        print_message("%d zeros by %s: %zu bytes, 1:%zu\n", ZEROS, way_codings[way], packed.len,
                      ZEROS / packed.len);
        assert_false(result.whole);
        assert_int_equal(result.error.status, HAUL_FAILED);
        assert_non_null(strstr(result.error.text, "500 times"));
        assert_true(result.bytes.len <= bounds.free_bytes + 2 * 65536);
        free(result.bytes.data);
        check_error(way_codings[way], span_at(packed), HAUL_FAILED, &size);
        check_counts(way_codings[way], span_at(packed), ZEROS, &wide);
        free(packed.data);
    }
}

/* What is within the ratio, or small, passes. */
static void test_within_bounds(void **state)
{
    static const struct coding_bounds bounds = {
        .free_bytes = 1 << 20, .ratio = 500, .bytes_max = 64 << 20};
    char *zeros = calloc(1, ZEROS);
    struct bytes packed;
    uint64_t random = 7;

    (void)state;
    assert_non_null(zeros);
    packed = pack(WAY_ZSTD, span_make(zeros, 1 << 20));
    check_counts("zstd", span_at(packed), 1 << 20, &bounds);
    free(packed.data);
    for (size_t i = 0; i < ZEROS; i += 1024)
        zeros[i] = (char)(unit_random(&random) >> 56);
    packed = pack(WAY_GZIP, span_make(zeros, ZEROS));
    assert_true(ZEROS / packed.len > 100 && ZEROS / packed.len < 500);
    check_counts("gzip", span_at(packed), ZEROS, &bounds);
    free(packed.data);
    free(zeros);
}

/* A coding may unpack without end what the next one swallows. */
static void test_swallowed(void **state)
{
    static const struct coding_bounds bounds = {
        .free_bytes = 1 << 20, .ratio = 500, .bytes_max = UINT64_MAX};
    struct bytes empty = pack(WAY_GZIP, SPAN(""));
    struct bytes members = {.data = malloc(ZEROS), .len = 0};
    struct bytes packed;
    struct unpacked result;

    (void)state;
    assert_non_null(members.data);
    while (members.len + empty.len <= ZEROS) {
        memcpy(members.data + members.len, empty.data, empty.len);
        members.len += empty.len;
    }
    packed = pack(WAY_BR, span_at(members));
    result = unpack("gzip, br", span_at(packed), SIZE_MAX, 65536, &bounds);
    assert_false(result.whole);
    assert_int_equal(result.error.status, HAUL_FAILED);
    assert_int_equal(result.bytes.len, 0);
    assert_true(result.steps >= (1 << 20) / CODING_STEP_BYTES_MAX);
    free(result.bytes.data);
    free(packed.data);
    free(members.data);
    free(empty.data);
}

/* RFC 9659 3 */
static void test_zstd_windows(void **state)
{
    char *zeros = calloc(1, ZEROS);
    struct bytes packed;

    (void)state;
    assert_non_null(zeros);
    packed = pack_zstd(span_make(zeros, ZEROS), 23);
    check_counts("zstd", span_at(packed), ZEROS, &wide);
    free(packed.data);
    packed = pack_zstd(span_make(zeros, ZEROS), 24);
    check_error("zstd", span_at(packed), HAUL_BAD_RESPONSE, &wide);
    free(packed.data);
    free(zeros);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lists),          cmocka_unit_test(test_packed_files),
        cmocka_unit_test(test_formats),        cmocka_unit_test(test_nothing_is_empty),
        cmocka_unit_test(test_members),        cmocka_unit_test(test_skippable_frames),
        cmocka_unit_test(test_chains),         cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_something_else), cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_much_garbage),   cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_random_bytes),   cmocka_unit_test(test_bombs),
        cmocka_unit_test(test_within_bounds),  cmocka_unit_test(test_swallowed),
        cmocka_unit_test(test_zstd_windows),
    };

    return UNIT_RUN(tests);
}
