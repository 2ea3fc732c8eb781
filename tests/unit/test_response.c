/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "http/response.h"

#define OK_LINE "HTTP/1.1 200 OK\r\n"

/* Feeds all of input, in pieces that end where their memory ends; *at is how much was taken. */
static enum response_progress feed(struct response *response, struct span input, size_t piece,
                                   size_t *at, struct haul_error *error)
{
    *at = 0;
    while (*at < input.len) {
        size_t len = input.len - *at < piece ? input.len - *at : piece, taken;
        char *copy = unit_copy(input.data + *at, len);
        enum response_progress progress = response_head(response, copy, len, &taken, error);

        free(copy);
        *at += taken;
        if (progress != RESPONSE_MORE)
            return progress;
        assert_int_equal(taken, len);
    }
    return RESPONSE_MORE;
}

struct head_row {
    const char *input; /* a "|" stands where the head must end */
    bool to_head;
    int status;
    enum response_framing framing;
    int64_t length; /* -1: has none */
    bool keep_alive;
};

static const struct head_row good_heads[] = {
    /* framing: RFC 9112 6.3 */
    {OK_LINE "Content-Length: 5\r\n\r\n|hello", false, 200, RESPONSE_LENGTH, 5, true},
    {OK_LINE "Content-Length: 0\r\n\r\n|", false, 200, RESPONSE_LENGTH, 0, true},
    {OK_LINE "content-length:\t7 \r\n\r\n|", false, 200, RESPONSE_LENGTH, 7, true},
    {OK_LINE "Content-Length: 9223372036854775807\r\n\r\n|", false, 200, RESPONSE_LENGTH, INT64_MAX,
     true},
    {OK_LINE "\r\n|hello", false, 200, RESPONSE_UNTIL_CLOSE, -1, false},
    {OK_LINE "Connection: keep-alive\r\n\r\n|x", false, 200, RESPONSE_UNTIL_CLOSE, -1, false},
    {OK_LINE "Transfer-Encoding: chunked\r\n\r\n|5\r\n", false, 200, RESPONSE_CHUNKED, -1, true},
    {OK_LINE "Transfer-Encoding: CHUNKED \r\n\r\n|", false, 200, RESPONSE_CHUNKED, -1, true},
    {"HTTP/1.1 204 No Content\r\n\r\n|HTTP/1.1", false, 204, RESPONSE_EMPTY, -1, true},
    {"HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n|", false, 204, RESPONSE_EMPTY, 0, true},
    {"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\n|", false, 204, RESPONSE_EMPTY, 5, false},
    {"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n|", false, 204, RESPONSE_EMPTY, -1,
     false},
    {"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n|", false, 304, RESPONSE_EMPTY, 5,
     true},
    {"HTTP/1.1 304 Not Modified\r\nConnection: close\r\n\r\n|", false, 304, RESPONSE_EMPTY, -1,
     false},
    {"HTTP/1.1 206 Partial Content\r\nContent-Length: 1\r\n\r\n|", false, 206, RESPONSE_LENGTH, 1,
     true},
    {"HTTP/1.1 205 Reset\r\n\r\n|", false, 205, RESPONSE_UNTIL_CLOSE, -1, false},
    {"HTTP/1.1 999 \r\nContent-Length: 1\r\n\r\n|", false, 999, RESPONSE_LENGTH, 1, true},
    /* HEAD */
    {OK_LINE "Content-Length: 5\r\n\r\n|HTTP/1.1", true, 200, RESPONSE_EMPTY, 5, true},
    {OK_LINE "Transfer-Encoding: chunked\r\n\r\n|", true, 200, RESPONSE_EMPTY, -1, true},
    {OK_LINE "\r\n|", true, 200, RESPONSE_EMPTY, -1, true},
    {OK_LINE "Connection: close\r\n\r\n|", true, 200, RESPONSE_EMPTY, -1, false},
    {"HTTP/1.0 200 OK\r\n\r\n|", true, 200, RESPONSE_EMPTY, -1, false},
    {"HTTP/1.1 404 Not Found\r\nContent-Length: 5\r\n\r\n|", true, 404, RESPONSE_EMPTY, 5, true},
    {"HTTP/1.1 103 Hints\r\nLink: x\r\n\r\n" OK_LINE "\r\n|", true, 200, RESPONSE_EMPTY, -1, true},
    /* connections: RFC 9112 9.3 */
    {OK_LINE "Connection: close\r\nContent-Length: 5\r\n\r\n|", false, 200, RESPONSE_LENGTH, 5,
     false},
    {OK_LINE "Connection: foo, CLOSE\r\nContent-Length: 5\r\n\r\n|", false, 200, RESPONSE_LENGTH, 5,
     false},
    {"HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\n|", false, 200, RESPONSE_LENGTH, 5, false},
    {"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 5\r\n\r\n|", false, 200,
     RESPONSE_LENGTH, 5, true},
    {"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n|", false, 200,
     RESPONSE_CHUNKED, -1, false},
    {OK_LINE "Connection: upgrade\r\nUpgrade: h2c\r\nContent-Length: 5\r\n\r\n|hello", false, 200,
     RESPONSE_LENGTH, 5, true},
    {OK_LINE "Connection: upgrade\r\nUpgrade: h2c\r\n\r\n|hello", false, 200, RESPONSE_UNTIL_CLOSE,
     -1, false},
    {OK_LINE "Upgrade: h2,h2c\r\nConnection: Upgrade\r\nContent-Length: 5\r\n\r\n|", true, 200,
     RESPONSE_EMPTY, 5, true},
    /* interim responses */
    {"HTTP/1.1 100 Continue\r\n\r\n" OK_LINE "Content-Length: 5\r\n\r\n|h", false, 200,
     RESPONSE_LENGTH, 5, true},
    {"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 9\r\n\r\n"
     "HTTP/1.1 102 Processing\r\nConnection: close\r\n\r\n"
     "HTTP/1.0 199 What\r\n\r\n" OK_LINE "Content-Length: 5\r\n\r\n|h",
     false, 200, RESPONSE_LENGTH, 5, true},
    /* line ends: RFC 9112 2.2 */
    {"HTTP/1.1 200 OK\nContent-Length: 5\n\n|hello", false, 200, RESPONSE_LENGTH, 5, true},
    {"HTTP/1.1 200 OK\r\nContent-Length: 5\n\r\n|hello", false, 200, RESPONSE_LENGTH, 5, true},
    {"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n|5\r\n", false, 200, RESPONSE_CHUNKED, -1,
     true},
    {"\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n|\r\n", false, 200, RESPONSE_LENGTH, 5,
     true},
    /* status lines */
    {"HTTP/1.1 200 \r\nContent-Length: 5\r\n\r\n|", false, 200, RESPONSE_LENGTH, 5, true},
    {"HTTP/1.1 200\r\nContent-Length: 5\r\n\r\n|", false, 200, RESPONSE_LENGTH, 5, true},
    {"HTTP/1.1 200 \xc3\xa4\tb\r\nContent-Length: 5\r\n\r\n|", false, 200, RESPONSE_LENGTH, 5,
     true},
    /* fields */
    {OK_LINE "X:\r\nY: \r\nZ: a\tb\xff\r\nContent-Length: 5\r\n\r\n|", false, 200, RESPONSE_LENGTH,
     5, true},
};

static void check_head(const struct head_row *row, struct response *response, struct span input,
                       size_t head_len, size_t piece)
{
    struct haul_error error = {0};
    size_t at;

    response_start(response, row->to_head);
    if (feed(response, input, piece, &at, &error) != RESPONSE_DONE)
        fail_msg("%s: in pieces of %zu: \"%s\"", row->input, piece, error.text);
    if (at != head_len || response_status(response) != row->status ||
        response_framing(response) != row->framing ||
        response_has_length(response) != (row->length >= 0) ||
        response_length(response) != (row->length < 0 ? 0 : (uint64_t)row->length) ||
        response_keep_alive(response) != row->keep_alive)
        fail_msg("%s: in pieces of %zu: at %zu, status %d, framing %d, length %llu, keep alive %d",
                 row->input, piece, at, response_status(response), response_framing(response),
                 (unsigned long long)response_length(response), response_keep_alive(response));
}

static void test_good_heads(void **state)
{
    struct response *response = response_create();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good_heads); i++) {
        struct span rest = span_of(good_heads[i].input);
        struct span head = span_cut(&rest, '|');
        struct text input = {0};

        text_add(&input, head);
        text_add(&input, rest);
        for (size_t piece = 1; piece <= input.len; piece++)
            check_head(&good_heads[i], response, text_span(&input), head.len, piece);
        text_free(&input);
    }
    response_destroy(response);
}

static const struct {
    const char *input;
    const char *error;
} bad_heads[] = {
    /* two answers to where the body ends */
    {OK_LINE "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", "Content-Length"},
    {OK_LINE "Content-Length: 5, 6\r\n\r\n", "Content-Length"},
    {OK_LINE "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding"},
    {OK_LINE "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n", "Content-Length"},
    {OK_LINE "Transfer-Encoding: gzip\r\nContent-Length: 5\r\n\r\n", "Content-Length"},
    {OK_LINE "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "chunked"},
    {OK_LINE "Transfer-Encoding: gzip, chunked\r\n\r\n", "Transfer-Encoding"},
    {OK_LINE "Transfer-Encoding: chunked, gzip\r\n\r\n", "Transfer-Encoding"},
    {OK_LINE "Transfer-Encoding: gzip\r\n\r\n", "Transfer-Encoding"},
    {OK_LINE "Transfer-Encoding: identity\r\n\r\n", "Transfer-Encoding"},
    {OK_LINE "Transfer-Encoding: xchunked\r\n\r\n", "Transfer-Encoding"},
    {OK_LINE "Transfer-Encoding: chunked;a=b\r\n\r\n", "Transfer-Encoding"},
    {OK_LINE "Transfer-Encoding: \"chunked\"\r\n\r\n", "Transfer-Encoding"},
    {OK_LINE "Transfer-Encoding:\r\n\r\n", "Transfer-Encoding"},
    {OK_LINE "Transfer-Encoding: \x0b"
             "chunked\r\n\r\n",
     "not valid"},
    /* lengths that are none */
    {OK_LINE "Content-Length: 18446744073709551616\r\n\r\n", "Content-Length"},
    {OK_LINE "Content-Length: 99999999999999999999999\r\n\r\n", "Content-Length"},
    {OK_LINE "Content-Length: 18446744073709551615\r\n\r\n", "beyond that of any file"},
    {OK_LINE "Content-Length: 9223372036854775808\r\n\r\n", "beyond that of any file"},
    {OK_LINE "Content-Length: -1\r\n\r\n", "Content-Length"},
    {OK_LINE "Content-Length: +1\r\n\r\n", "Content-Length"},
    {OK_LINE "Content-Length: 0x5\r\n\r\n", "Content-Length"},
    {OK_LINE "Content-Length: 5 5\r\n\r\n", "Content-Length"},
    {OK_LINE "Content-Length: 5;\r\n\r\n", "Content-Length"},
    {OK_LINE "Content-Length:\r\n\r\n", "Content-Length"},
    {OK_LINE "Content-Length: \r\n\r\n", "Content-Length"},
    /* line ends, names, values */
    {"HTTP/1.1 200 OK\rContent-Length: 5\r\r", "not valid"},
    {OK_LINE "A: b\rContent-Length: 5\r\n\r\n", "not valid"},
    {OK_LINE "Content-Length : 5\r\n\r\n", "not valid"},
    {OK_LINE " Content-Length: 5\r\n\r\n", "not valid"},
    {OK_LINE "Content Length: 5\r\n\r\n", "not valid"},
    {OK_LINE "Content-Length\r\n\r\n", "not valid"},
    {OK_LINE ": 5\r\n\r\n", "not valid"},
    {OK_LINE "A: b\x01\r\n\r\n", "not valid"},
    {OK_LINE "A\x80: b\r\n\r\n", "not valid"},
    /* versions and status */
    {"HTTP/0.9 200 OK\r\n\r\n", "HTTP/0.9"},
    {"HTTP/2.0 200 OK\r\n\r\n", "HTTP/2.0"},
    {"HTTP/2 200\r\n\r\n", "HTTP"},
    {"HTTP/3.0 200 OK\r\n\r\n", "HTTP"},
    {"HTTP/1.2 200 OK\r\n\r\n", "HTTP"},
    {"HTTP/1.1 20 OK\r\n\r\n", "not valid"},
    {"HTTP/1.1 2000 OK\r\n\r\n", "not valid"},
    {"HTTP/1.1 000 OK\r\n\r\n" OK_LINE "\r\n", "000"},
    {"HTTP/1.1 099 OK\r\n\r\n" OK_LINE "\r\n", "099"},
    {"HTTP/1.1 abc OK\r\n\r\n", "not valid"},
    {"HTTP/1.1  200 OK\r\n\r\n", "not valid"},
    {"HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", "another protocol"},
    {"HTTP/1.1 101 Switching\r\n\r\n", "another protocol"},
    /* something else */
    {"<html><body>hello</body></html>\r\n", "\"<"},
    {"SSH-2.0-OpenSSH_9.2\r\n", "\"S"},
    {"ICY 200 OK\r\n\r\n", "\"I"},
    {"\x1b[31m\r\n", "\"\\x1b"},
    {"GET / HTTP/1.1\r\n\r\n", "\"G"},
    {"\x15\x03\x01\x02\x02\x16", "TLS"},
    {"\x16\x03\x03\x02\x02\x16", "TLS"},
};

static void test_bad_heads(void **state)
{
    struct response *response = response_create();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad_heads); i++) {
        struct span input = span_of(bad_heads[i].input);

        for (size_t piece = 1; piece <= input.len; piece++) {
            struct haul_error error = {0};
            size_t at;

            response_start(response, false);
            if (feed(response, input, piece, &at, &error) != RESPONSE_BAD)
                fail_msg("%s: in pieces of %zu: taken", bad_heads[i].input, piece);
            assert_int_equal(error.status, HAUL_BAD_RESPONSE);
            if (!strstr(error.text, bad_heads[i].error))
                fail_msg("%s: in pieces of %zu: \"%s\"", bad_heads[i].input, piece, error.text);
        }
    }
    response_destroy(response);
}

/* What is not refused for being folded must not bring line ends into a value. */
static void test_folded(void **state)
{
    static const char *const inputs[] = {
        OK_LINE "A: b\r\n c\r\nContent-Length: 5\r\n\r\n",
        OK_LINE "A: b\n\tc\nContent-Length: 5\r\n\r\n",
        OK_LINE "A:\r\n c\r\nContent-Length: 5\r\n\r\n",
        OK_LINE "Content-Length: 5\r\n 6\r\n\r\n",
        OK_LINE "Content-Length:\r\n 6\r\n\r\n",
        OK_LINE "Transfer-Encoding: chunked\r\n , gzip\r\n\r\n",
        OK_LINE "Transfer-Encoding:\r\n chunked\r\n\r\n",
    };
    struct response *response = response_create();

    (void)state;
    for (size_t i = 0; i < COUNT_OF(inputs); i++) {
        struct span input = span_of(inputs[i]);
        enum response_progress whole = RESPONSE_MORE;

        for (size_t piece = input.len; piece > 0; piece--) {
            size_t at;
            enum response_progress progress;

            response_start(response, false);
            progress = feed(response, input, piece, &at, NULL);
            if (piece == input.len)
                whole = progress;
            assert_int_equal(progress, whole);
            assert_int_not_equal(progress, RESPONSE_MORE);
            if (progress == RESPONSE_DONE)
                for (const char *c = response_field(response, "a").data; c && *c > ' '; c++)
                    assert_true(*c != '\r' && *c != '\n');
        }
    }
    response_destroy(response);
}

/* An HTTP/2 server speaks first; it is told by its first nine bytes. */
static void test_http2(void **state)
{
    static const char settings[] = "\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80";
    struct response *response = response_create();
    struct haul_error error = {0};
    size_t at;

    (void)state;
    assert_int_equal(feed(response, span_make(settings, sizeof(settings) - 1), 100, &at, &error),
                     RESPONSE_BAD);
    assert_non_null(strstr(error.text, "HTTP/2"));
    response_start(response, false);
    assert_int_equal(feed(response, span_make(settings, sizeof(settings) - 1), 1, &at, NULL),
                     RESPONSE_BAD);
    response_destroy(response);
}

static void test_fields(void **state)
{
    static const char input[] = "HTTP/1.1 103 Hints\r\nOnly-Interim: x\r\n\r\n"
                                "HTTP/1.1 404 Not Found \r\n"
                                "Location: \t/a b\t \r\n"
                                "ETag: \"first\"\r\n"
                                "etag: \"second\"\r\n"
                                "Empty:\r\n"
                                "Location-Not: n\r\n"
                                "Content-Length: 5\r\n"
                                "\r\n";
    struct response *response = response_create();

    (void)state;
    for (size_t piece = 1; piece < sizeof(input); piece++) {
        size_t at, next;

        response_start(response, false);
        assert_int_equal(feed(response, span_make(input, sizeof(input) - 1), piece, &at, NULL),
                         RESPONSE_DONE);
        assert_span(response_reason(response), "Not Found");
        assert_span(response_field(response, "LOCATION"), "/a b");
        assert_span(response_field(response, "Etag"), "\"first\"");
        assert_span(response_field(response, "empty"), "");
        assert_non_null(response_field(response, "empty").data);
        assert_null(response_field(response, "only-interim").data);
        assert_null(response_field(response, "locatio").data);
        next = 0;
        assert_span(response_next_field(response, "etag", &next), "\"first\"");
        assert_span(response_next_field(response, "etag", &next), "\"second\"");
        assert_null(response_next_field(response, "etag", &next).data);
        assert_null(response_next_field(response, "etag", &next).data);
        assert_null(response_field(response, "").data);
    }
    response_start(response, false);
    assert_null(response_field(response, "location").data);
    assert_int_equal(response_reason(response).len, 0);
    response_destroy(response);
}

/* A head of exactly `len` bytes with `fields` fields besides. */
static void make_head(struct text *input, size_t len, unsigned fields)
{
    text_clear(input);
    text_add(input, SPAN(OK_LINE));
    for (unsigned i = 0; i < fields; i++)
        text_add(input, SPAN("a:b\r\n"));
    text_add(input, SPAN("Long: "));
    while (input->len + 4 < len)
        text_add_char(input, 'x');
    text_add(input, SPAN("\r\n\r\n"));
}

static enum response_progress try_head(struct response *response, const struct text *input,
                                       size_t piece, struct haul_error *error)
{
    size_t at;
    enum response_progress progress;

    response_start(response, false);
    progress = feed(response, text_span(input), piece, &at, error);
    if (progress == RESPONSE_DONE)
        assert_int_equal(at, input->len);
    return progress;
}

static void test_limits(void **state)
{
    static const size_t pieces[] = {1, 1000, 4096, SIZE_MAX};
    struct response *response = response_create();
    struct text input = {0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        struct haul_error error = {0};

        make_head(&input, RESPONSE_HEAD_BYTES_MAX, 0);
        assert_int_equal(try_head(response, &input, pieces[i], &error), RESPONSE_DONE);
        make_head(&input, RESPONSE_HEAD_BYTES_MAX + 1, 0);
        assert_int_equal(try_head(response, &input, pieces[i], &error), RESPONSE_BAD);
        assert_non_null(strstr(error.text, "300 KiB"));
        make_head(&input, 0, RESPONSE_FIELDS_MAX - 1);
        assert_int_equal(try_head(response, &input, pieces[i], &error), RESPONSE_DONE);
        make_head(&input, 0, RESPONSE_FIELDS_MAX);
        assert_int_equal(try_head(response, &input, pieces[i], &error), RESPONSE_BAD);
        assert_non_null(strstr(error.text, "1000 header fields"));
    }
    text_free(&input);
    response_destroy(response);
}

/* The limits hold for all heads together. */
static void test_interim_limits(void **state)
{
    struct response *response = response_create();
    struct haul_error error = {0};
    struct text input = {0};

    (void)state;
    for (int i = 0; i < RESPONSE_INTERIM_MAX; i++)
        text_add(&input, SPAN("HTTP/1.1 102 Processing\r\nA: b\r\n\r\n"));
    text_add(&input, SPAN(OK_LINE "\r\n"));
    assert_int_equal(try_head(response, &input, 7, &error), RESPONSE_DONE);
    text_clear(&input);
    for (int i = 0; i <= RESPONSE_INTERIM_MAX; i++)
        text_add(&input, SPAN("HTTP/1.1 102 Processing\r\n\r\n"));
    assert_int_equal(try_head(response, &input, 7, &error), RESPONSE_BAD);
    assert_non_null(strstr(error.text, "16 interim"));
    for (int round = 0; round < 2; round++) {
        text_clear(&input);
        for (int i = 0; i < 10; i++) {
            text_add(&input, SPAN("HTTP/1.1 102 Processing\r\nLong: "));
            for (int x = 0; x < 30600; x++)
                text_add_char(&input, 'x');
            text_add(&input, SPAN("\r\n\r\n"));
        }
        for (int i = 0; i < 200 + 1200 * round; i++)
            text_add_char(&input, '\n');
        text_add(&input, SPAN(OK_LINE "\r\n"));
        assert_int_equal(try_head(response, &input, 4096, &error),
                         round ? RESPONSE_BAD : RESPONSE_DONE);
    }
    assert_non_null(strstr(error.text, "300 KiB"));
    text_free(&input);
    response_destroy(response);
}

/* --- chunked bodies --- */

static void start_chunked(struct response *response)
{
    static const char head[] = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    size_t taken;

    response_start(response, false);
    assert_int_equal(response_head(response, head, sizeof(head) - 1, &taken, NULL), RESPONSE_DONE);
    assert_int_equal(response_framing(response), RESPONSE_CHUNKED);
}

/* Feeds pieces of `first` bytes, then of `piece` bytes; *at is how much was taken. */
static enum response_progress unchunk(struct response *response, struct span input, size_t first,
                                      size_t piece, struct text *body, size_t *at,
                                      struct haul_error *error)
{
    enum response_progress progress = RESPONSE_MORE;

    text_clear(body);
    *at = 0;
    for (size_t want = first; *at < input.len && progress == RESPONSE_MORE; want = piece) {
        size_t len = input.len - *at < want ? input.len - *at : want, body_len, taken;
        char *copy = unit_copy(input.data + *at, len);

        progress = response_unchunk(response, copy, len, &body_len, &taken, error);
        assert_true(body_len <= taken && taken <= len);
        assert_true(progress != RESPONSE_MORE || taken == len);
        text_add(body, span_make(copy, body_len));
        free(copy);
        *at += taken;
    }
    return progress;
}

static const struct {
    const char *input; /* a "|" stands where the body must end */
    const char *body;
} good_chunks[] = {
    {"5\r\nhello\r\n0\r\n\r\n|", "hello"},
    {"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n|HTTP/1.1 200 OK\r\n", "hello world"},
    {"0\r\n\r\n|0\r\n\r\n", ""},
    {"000\r\n\r\n|", ""},
    {"00005\r\nhello\r\n0\r\n\r\n|\r\n", "hello"},
    {"a\r\n0123456789\r\nA\r\n0123456789\r\n0\r\n\r\n|", "01234567890123456789"},
    {"5;name=value;x=\"y;\"\r\nhello\r\n0;last\r\n\r\n|", "hello"},
    {"1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\nTrailer: x\r\nAnother:\r\n\r\n|junk", "abc"},
    {"8\r\n0\r\n\r\n0\r\n\r\n0\r\n\r\n|", "0\r\n\r\n0\r\n"},
};

static void test_unchunk(void **state)
{
    struct response *response = response_create();
    struct text body = {0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(good_chunks); i++) {
        struct span rest = span_of(good_chunks[i].input);
        struct span chunks = span_cut(&rest, '|');
        struct text input = {0};

        text_add(&input, chunks);
        text_add(&input, rest);
        for (size_t split = 1; split <= 2 * input.len; split++) {
            /* every position of one split, then every size of piece */
            size_t first = split <= input.len ? split : split - input.len;
            size_t piece = split <= input.len ? input.len : first;
            struct haul_error error = {0};
            size_t at;

            start_chunked(response);
            if (unchunk(response, text_span(&input), first, piece, &body, &at, &error) !=
                    RESPONSE_DONE ||
                at != chunks.len)
                fail_msg("%s: first %zu, then %zu: at %zu: \"%s\"", good_chunks[i].input, first,
                         piece, at, error.text);
            assert_span(text_span(&body), good_chunks[i].body);
            assert_true(response_keep_alive(response));
            assert_int_equal(response_status(response), 200);
            assert_null(response_field(response, "trailer").data);
        }
        text_free(&input);
    }
    text_free(&body);
    response_destroy(response);
}

static void test_bad_chunks(void **state)
{
    static const char *const inputs[] = {
        "x\r\n",
        "-1\r\n",
        "+5\r\nhello\r\n",
        "0x5\r\nhello\r\n",
        " 5\r\nhello\r\n",
        "5 \r\nhello\r\n",
        "\r\n5\r\nhello\r\n",
        "10000000000000000\r\n",
        "fffffffffffffffff\r\n",
        "5\nhello\r\n0\r\n\r\n", /* the bare LF is for heads only */
        "5\r\nhello\n0\r\n\r\n",
        "5\r\nhello\r\n0\n\n",
        "5\rhello\r\n",
        "5\r\nhello0\r\n\r\n",
        "5\r\nhelloo\r\n",
        "5\r\nhello\r\n0\r\nBad Name: x\r\n\r\n",
        "5\r\nhello\r\n0\r\nA: b\n\r\n",
        "5\r\nhello\r\n0\r\nA: \x01\r\n\r\n",
        "5\r\nhello\r\n0\r\nX\r\n\r\n",
    };
    struct response *response = response_create();
    struct text body = {0};

    (void)state;
    for (size_t i = 0; i < COUNT_OF(inputs); i++) {
        for (size_t piece = 1; piece <= strlen(inputs[i]); piece++) {
            struct haul_error error = {0};
            size_t at;

            start_chunked(response);
            if (unchunk(response, span_of(inputs[i]), piece, piece, &body, &at, &error) !=
                RESPONSE_BAD)
                fail_msg("%s: taken", inputs[i]);
            assert_int_equal(error.status, HAUL_BAD_RESPONSE);
            assert_non_null(strstr(error.text, "not valid HTTP"));
        }
    }
    text_free(&body);
    response_destroy(response);
}

/* start, count times `filler`, end: how it ends, in one piece and in many. */
static void check_limit(const char *start, const char *filler, size_t count, const char *end,
                        enum response_progress expected, const char *text)
{
    static const size_t pieces[] = {1000, 65536, SIZE_MAX};
    struct response *response = response_create();
    struct text input = {0}, body = {0};

    text_add(&input, span_of(start));
    for (size_t i = 0; i < count; i++)
        text_add(&input, span_of(filler));
    text_add(&input, span_of(end));
    for (size_t i = 0; i < COUNT_OF(pieces); i++) {
        struct haul_error error = {0};
        size_t at;

        start_chunked(response);
        if (unchunk(response, text_span(&input), pieces[i], pieces[i], &body, &at, &error) !=
            expected)
            fail_msg("%s%s%s in pieces of %zu: %s", start, filler, end, pieces[i], error.text);
        if (expected == RESPONSE_BAD && !strstr(error.text, text))
            fail_msg("%s", error.text);
    }
    text_free(&input);
    text_free(&body);
    response_destroy(response);
}

static void test_chunk_limits(void **state)
{
    (void)state;
    check_limit("0\r\n", "a:b\r\n", RESPONSE_FIELDS_MAX - 1, "\r\n", RESPONSE_DONE, NULL);
    check_limit("0\r\n", "a:b\r\n", RESPONSE_FIELDS_MAX, "\r\n", RESPONSE_BAD, "1000");
    check_limit("0\r\nA: ", "x", 300 * 1024 - 100, "\r\n\r\n", RESPONSE_DONE, NULL);
    check_limit("0\r\nA: ", "x", 300 * 1024, "\r\n\r\n", RESPONSE_BAD, "300 KiB");
    check_limit("0\r\nA:", " ", 300 * 1024, "\r\n\r\n", RESPONSE_BAD, "300 KiB");
    check_limit("0\r\nA: ", "x", 2000000, "", RESPONSE_BAD, "300 KiB");
    check_limit("", "0", 300 * 1024 + 1, "", RESPONSE_BAD, "300 KiB");
    check_limit("5;a=", "x", 300 * 1024, "", RESPONSE_BAD, "300 KiB");
    /* many chunks with extensions are no trouble */
    check_limit("", "1;abc=defghijklm\r\nx\r\n", 100000, "0\r\n\r\n", RESPONSE_DONE, NULL);
}

/* Whatever comes, in whatever pieces: no crash, and the pieces make no difference. */
static void test_random(void **state)
{
    static const char *const pieces[] = {"HTTP/1.1 200 OK\r\n",
                                         "HTTP/1.0 404 \n",
                                         "HTTP/1.1 100 C\r\n\r\n",
                                         "\r\n",
                                         "\r\n\r\n",
                                         "Content-Length: 3\r\n",
                                         "Transfer-Encoding: chunked\r\n",
                                         "Connection: close\r\n",
                                         "A: b",
                                         ":",
                                         " ",
                                         "\t",
                                         "0\r\n",
                                         "3\r\nabc\r\n",
                                         "\n",
                                         "\r",
                                         "0\r\n\r\n",
                                         "5;x\r\nhello\r\n",
                                         "\x16",
                                         "HTTP/",
                                         "x"};
    struct response *response = response_create();
    struct text input = {0}, bodies[2] = {0};
    uint64_t seed = 7;

    (void)state;
    for (int round = 0; round < 50000; round++) {
        uint64_t count = unit_random(&seed) % 10;
        bool to_head = unit_random(&seed) % 4 == 0;
        enum response_progress ends[2];
        size_t taken[2] = {0}, body_taken[2] = {0};

        text_clear(&input);
        if (unit_random(&seed) % 4)
            text_add(&input, SPAN("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"));
        if (unit_random(&seed) % 4)
            text_add(&input, SPAN("\r\n"));
        for (uint64_t i = 0; i < count; i++)
            text_add(&input, span_of(pieces[unit_random(&seed) % COUNT_OF(pieces)]));
        for (size_t way = 0; way < 2; way++) {
            size_t piece = way ? 1 + unit_random(&seed) % 5 : SIZE_MAX;

            response_start(response, to_head);
            text_clear(&bodies[way]);
            ends[way] = feed(response, text_span(&input), piece, &taken[way], NULL);
            if (ends[way] == RESPONSE_DONE && response_framing(response) == RESPONSE_CHUNKED)
                ends[way] = unchunk(response, span_sub(text_span(&input), taken[way], SIZE_MAX),
                                    piece, piece, &bodies[way], &body_taken[way], NULL);
        }
        assert_int_equal(ends[0], ends[1]);
        if (ends[0] != RESPONSE_BAD) {
            assert_true(span_equal(text_span(&bodies[0]), text_span(&bodies[1])));
            assert_int_equal(taken[0], taken[1]);
            assert_int_equal(body_taken[0], body_taken[1]);
        }
    }
    text_free(&input);
    text_free(&bodies[0]);
    text_free(&bodies[1]);
    response_destroy(response);
    response_destroy(NULL);
}

/* Wherever it stands. */
static void test_nul(void **state)
{
    static const char good[] = OK_LINE "Name: value\r\n\r\n";
    struct response *response = response_create();

    (void)state;
    for (size_t i = 0; i < sizeof(good) - 1; i++) {
        char bad[sizeof(good)];
        size_t at;

        memcpy(bad, good, sizeof(good));
        bad[i] = '\0';
        for (size_t piece = 1; piece < sizeof(good); piece++) {
            response_start(response, false);
            assert_int_equal(feed(response, span_make(bad, sizeof(bad) - 1), piece, &at, NULL),
                             RESPONSE_BAD);
        }
    }
    response_destroy(response);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good_heads),   cmocka_unit_test(test_nul),
        cmocka_unit_test(test_bad_heads),    cmocka_unit_test(test_folded),
        cmocka_unit_test(test_http2),        cmocka_unit_test(test_fields),
        cmocka_unit_test(test_limits),       cmocka_unit_test(test_interim_limits),
        cmocka_unit_test(test_unchunk),      cmocka_unit_test(test_bad_chunks),
        cmocka_unit_test(test_chunk_limits), cmocka_unit_test(test_random),
    };

    return UNIT_RUN(tests);
}
