/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * llhttp does the parsing; here stand the limits, the storage, and the framing. The parser is
 * paused where its work and ours meet, so that its position is exact there:
 *
 *   READS_HEAD --1xx--> READS_HEAD (the parser begins anew)
 *       |
 *       +--final head--> HEAD_WHOLE --chunked--> READS_CHUNKS --last chunk--> READS_TRAILER -->
 * ENDED
 *
 * and from each to BROKEN, which only response_start() leaves.
 *
 * Invariants: head_bytes never passes RESPONSE_HEAD_BYTES_MAX, because the parser is not given
 * more than what is left of it while it reads a head or a trailer. The store holds the reason
 * phrase and then each field's name and value, of the current head only; its memory and that of
 * the field table stay for the next response.
 */
#include "http/response.h"

#include <llhttp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/text.h"

enum {
    FIELDS_AT_FIRST = 32,
    HTTP2_FRAME_HEAD_BYTES = 9,
    SHOWN_MAX = 16 /* bytes of a garbled answer that an error shows */
};

enum response_state {
    RESPONSE_READS_HEAD,    /* first: how the current head begins */
    RESPONSE_HEAD_WHOLE,    /* status, fields, framing: valid from here on */
    RESPONSE_READS_CHUNKS,  /* frame_bytes */
    RESPONSE_READS_TRAILER, /* fields are counted, not stored */
    RESPONSE_ENDED,         /* the chunked body is whole */
    RESPONSE_BROKEN         /* nothing is valid */
};

/* Places in the store. */
struct field {
    uint32_t name;
    uint32_t name_len;
    uint32_t value;
    uint32_t value_len;
};

struct response {
    llhttp_t parser;
    enum response_state state;
    bool to_head;

    int status;
    enum response_framing framing;
    bool has_length;
    bool keep_alive;
    uint64_t length;

    size_t head_bytes;    /* of all heads and the trailer */
    unsigned fields_seen; /* in all heads and the trailer */
    unsigned interim_seen;

    struct text store;
    size_t reason_len;
    struct field *fields;
    size_t field_count;
    size_t field_capacity;
    bool in_name; /* the name of fields[field_count] is still arriving */

    char first[SHOWN_MAX];
    size_t first_len;
    bool version_seen;

    /* During response_unchunk(). */
    char *body;
    size_t body_len;
    bool chunk_progress; /* a chunk began, or some of it came */
    size_t frame_bytes;  /* since the last progress */

    struct haul_error *error; /* during a call; filled already if the state is BROKEN */
};

/* From a callback: the sentence is final, the parser stops. */
__attribute__((format(printf, 2, 3))) static int refuse(struct response *response,
                                                        const char *format, ...)
{
    char text[200];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    error_set(response->error, HAUL_BAD_RESPONSE, 0, "%s", text);
    response->state = RESPONSE_BROKEN;
    return -1;
}

/* --- what the parser tells --- */

static struct response *of(llhttp_t *parser)
{
    return parser->data;
}

static int on_version_complete(llhttp_t *parser)
{
    struct response *response = of(parser);
    unsigned major = llhttp_get_http_major(parser);
    unsigned minor = llhttp_get_http_minor(parser);

    response->version_seen = true;
    if (major != 1 || minor > 1)
        return refuse(response, "the server answered in HTTP/%u.%u; haul speaks HTTP/1.1 and 1.0",
                      major, minor);
    return 0;
}

/* llhttp lets a NUL pass here, though not in a field. */
static int on_status(llhttp_t *parser, const char *at, size_t len)
{
    if (memchr(at, '\0', len))
        return refuse(of(parser), "the response is not valid HTTP: a NUL byte in its status line");
    text_add(&of(parser)->store, span_make(at, len));
    return 0;
}

static int on_status_complete(llhttp_t *parser)
{
    of(parser)->reason_len = of(parser)->store.len;
    return 0;
}

static bool reserve_field(struct response *response)
{
    size_t capacity = response->field_capacity ? response->field_capacity * 2 : FIELDS_AT_FIRST;
    struct field *fields;

    if (response->field_count < response->field_capacity)
        return true;
    fields = alloc_grow(response->fields, capacity, sizeof(*fields));
    if (!fields)
        return false;
    response->fields = fields;
    response->field_capacity = capacity;
    return true;
}

static int begin_field(struct response *response)
{
    response->in_name = true;
    if (++response->fields_seen > RESPONSE_FIELDS_MAX)
        return refuse(response, "the response has more than %d header fields", RESPONSE_FIELDS_MAX);
    if (response->state == RESPONSE_READS_TRAILER)
        return 0;
    if (!reserve_field(response)) {
        response->store.failed = true;
        return -1;
    }
    response->fields[response->field_count] = (struct field){.name = (uint32_t)response->store.len};
    return 0;
}

static int on_header_field(llhttp_t *parser, const char *at, size_t len)
{
    struct response *response = of(parser);

    if (!response->in_name && begin_field(response) != 0)
        return -1;
    if (response->state != RESPONSE_READS_TRAILER)
        text_add(&response->store, span_make(at, len));
    return 0;
}

static int on_header_field_complete(llhttp_t *parser)
{
    struct response *response = of(parser);
    struct field *field;

    response->in_name = false;
    if (response->state == RESPONSE_READS_TRAILER)
        return 0;
    field = &response->fields[response->field_count];
    field->value = (uint32_t)response->store.len;
    field->name_len = field->value - field->name;
    return 0;
}

static int on_header_value(llhttp_t *parser, const char *at, size_t len)
{
    if (of(parser)->state != RESPONSE_READS_TRAILER)
        text_add(&of(parser)->store, span_make(at, len));
    return 0;
}

static int on_header_value_complete(llhttp_t *parser)
{
    struct response *response = of(parser);
    struct field *field;

    if (response->state == RESPONSE_READS_TRAILER)
        return 0;
    field = &response->fields[response->field_count++];
    field->value_len = (uint32_t)response->store.len - field->value;
    return 0;
}

/*
 * Pauses behind the head. The parser takes a HEAD's answer for one without a body only if it is
 * told so here, and then knows whether the connection can go on: that one pauses a step later.
 */
static int on_headers_complete(llhttp_t *parser)
{
    struct response *response = of(parser);

    response->status = llhttp_get_status_code(parser);
    if (response->to_head && response->status >= 200)
        return 1;
    response->keep_alive = llhttp_should_keep_alive(parser) != 0;
    return HPE_PAUSED;
}

static int on_chunk_header(llhttp_t *parser)
{
    struct response *response = of(parser);

    response->chunk_progress = true;
    if (parser->content_length > 0)
        return 0;
    response->state = RESPONSE_READS_TRAILER;
    return HPE_PAUSED;
}

/* Moves the chunk's bytes to the front. They never overtake the parser: framing only goes away. */
static int on_body(llhttp_t *parser, const char *at, size_t len)
{
    struct response *response = of(parser);

    response->chunk_progress = true;
    if (response->body + response->body_len != at)
        memmove(response->body + response->body_len, at, len);
    response->body_len += len;
    return 0;
}

static int on_message_complete(llhttp_t *parser)
{
    struct response *response = of(parser);

    if (response->state == RESPONSE_READS_HEAD)
        response->keep_alive = llhttp_should_keep_alive(parser) != 0;
    else
        response->state = RESPONSE_ENDED;
    return HPE_PAUSED;
}

static const llhttp_settings_t settings = {
    .on_version_complete = on_version_complete,
    .on_status = on_status,
    .on_status_complete = on_status_complete,
    .on_header_field = on_header_field,
    .on_header_field_complete = on_header_field_complete,
    .on_header_value = on_header_value,
    .on_header_value_complete = on_header_value_complete,
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

/* --- what goes wrong --- */

static enum response_progress bad(struct response *response)
{
    response->state = RESPONSE_BROKEN;
    return RESPONSE_BAD;
}

static enum response_progress too_large(struct response *response)
{
    refuse(response, "the response has more than %d KiB of header fields",
           RESPONSE_HEAD_BYTES_MAX / 1024);
    return RESPONSE_BAD;
}

/* What the server speaks, if not HTTP/1: the usual mistakes by their first bytes. */
static void explain_first(struct response *response)
{
    const unsigned char *first = (const unsigned char *)response->first;
    struct text shown = {0};
    size_t len = response->first_len;

    if ((first[0] == 0x15 || first[0] == 0x16) && (len < 2 || first[1] == 3)) {
        refuse(response, "the server speaks TLS on this port: the URL should begin with https://");
        return;
    }
    /* A SETTINGS frame on stream 0, with which every HTTP/2 server begins. */
    if (len >= HTTP2_FRAME_HEAD_BYTES && memcmp(first + 3, "\4\0\0\0\0\0", 6) == 0) {
        refuse(response, "the server speaks HTTP/2 on this port; haul speaks HTTP/1.1");
        return;
    }
    text_add_escaped(&shown, span_make(response->first, len));
    refuse(response, "the answer begins with \"%s\", which is not HTTP/1.1",
           shown.failed || shown.len == 0 ? "" : shown.data);
    text_free(&shown);
}

/* The parser has stopped: the reason becomes the error, unless a callback has said it already. */
static enum response_progress explain(struct response *response, llhttp_errno_t number)
{
    const char *reason = llhttp_get_error_reason(&response->parser);

    if (response->store.failed)
        error_set(response->error, HAUL_OUT_OF_MEMORY, 0, "no memory is left for a response");
    else if (response->state == RESPONSE_BROKEN)
        return RESPONSE_BAD;
    else if (number == HPE_INVALID_VERSION)
        refuse(response, "the server answered in a version of HTTP other than 1.1 and 1.0");
    else if (response->state == RESPONSE_READS_HEAD && !response->version_seen)
        explain_first(response);
    else
        refuse(response, "the response is not valid HTTP: %s",
               reason && reason[0] ? reason : llhttp_errno_name(number));
    return bad(response);
}

/* --- the head --- */

static void remember_first(struct response *response, const char *data, size_t len)
{
    size_t room = sizeof(response->first) - response->first_len;

    if (len > room)
        len = room;
    if (len > 0)
        memcpy(response->first + response->first_len, data, len);
    response->first_len += len;
}

/* Gives the parser len bytes; *eaten is how far it came. */
static llhttp_errno_t execute(struct response *response, const char *data, size_t len,
                              size_t *eaten)
{
    llhttp_errno_t number = HPE_OK;

    *eaten = 0;
    if (len > 0)
        number = llhttp_execute(&response->parser, data, len);
    if (number == HPE_PAUSED)
        *eaten = (size_t)(llhttp_get_error_pos(&response->parser) - data);
    else if (number == HPE_OK)
        *eaten = len;
    return response->store.failed && number == HPE_OK ? HPE_USER : number;
}

/* The same within what is left of the limit; HPE_USER where that is not enough. */
static llhttp_errno_t execute_limited(struct response *response, const char *data, size_t len,
                                      size_t *eaten)
{
    size_t room = RESPONSE_HEAD_BYTES_MAX - response->head_bytes;
    llhttp_errno_t number = execute(response, data, len < room ? len : room, eaten);

    response->head_bytes += *eaten;
    if (number != HPE_OK || len <= room)
        return number;
    too_large(response);
    return HPE_USER;
}

static void begin_head(struct response *response)
{
    llhttp_init(&response->parser, HTTP_RESPONSE, &settings);
    /* RFC 9112 2.2 lets a bare LF end a line; where a head ends stays beyond doubt. */
    llhttp_set_lenient_optional_cr_before_lf(&response->parser, 1);
    response->parser.data = response;
    response->state = RESPONSE_READS_HEAD;
    text_clear(&response->store);
    response->reason_len = 0;
    response->field_count = 0;
    response->in_name = false;
    response->first_len = 0;
    response->version_seen = false;
}

static bool pass_over_interim(struct response *response)
{
    if (response->status < 100) {
        refuse(response, "the server answered with the status %03d, which there is not",
               response->status);
        return false;
    }
    if (response->status == 101) {
        refuse(response, "the server switched to another protocol, unasked");
        return false;
    }
    if (++response->interim_seen > RESPONSE_INTERIM_MAX) {
        refuse(response, "the server sent more than %d interim responses", RESPONSE_INTERIM_MAX);
        return false;
    }
    begin_head(response);
    return true;
}

static struct span field_name(const struct response *response, size_t index)
{
    const struct field *field = &response->fields[index];

    return span_sub(text_span(&response->store), field->name, field->name_len);
}

static struct span field_value(const struct response *response, size_t index)
{
    const struct field *field = &response->fields[index];

    return span_trim(span_sub(text_span(&response->store), field->value, field->value_len));
}

static size_t count_fields(const struct response *response, struct span name)
{
    size_t count = 0;

    for (size_t i = 0; i < response->field_count; i++)
        count += span_equal_nocase(field_name(response, i), name);
    return count;
}

/*
 * How the body ends (RFC 9112 6.3). Two answers to that question are how responses are smuggled
 * past a proxy, so they are refused even where the RFC lets one of them win.
 */
static bool settle_framing(struct response *response)
{
    size_t codings = count_fields(response, SPAN("transfer-encoding"));
    struct span coding = response_field(response, "transfer-encoding");
    struct span length = response_field(response, "content-length");
    bool chunked = codings == 1 && span_equal_nocase(coding, SPAN("chunked"));
    bool no_content = response->status == 204 || response->status == 304;

    response->has_length = length.data != NULL;
    if (response->has_length && codings > 0) {
        refuse(response, "the response has both a Content-Length and a Transfer-Encoding");
        return false;
    }
    if (response->has_length && !span_to_u64(length, &response->length)) {
        refuse(response, "the response has a Content-Length that is no number");
        return false;
    }
    if (response->length > INT64_MAX) {
        refuse(response, "the response has a Content-Length beyond that of any file");
        return false;
    }
    if (response->to_head || no_content) {
        response->framing = RESPONSE_EMPTY;
    } else if (codings > 0 && !chunked) {
        refuse(response, "the response has a Transfer-Encoding other than \"chunked\", unasked");
        return false;
    } else if (chunked) {
        response->framing = RESPONSE_CHUNKED;
    } else {
        response->framing = response->has_length ? RESPONSE_LENGTH : RESPONSE_UNTIL_CLOSE;
    }
    /* What HTTP/1.0 says of codings can't be trusted (RFC 9112 6.1), nor can a 204 with a body. */
    if ((codings > 0 && llhttp_get_http_minor(&response->parser) == 0) ||
        (response->status == 204 && (codings > 0 || response->length > 0)))
        response->keep_alive = false;
    return true;
}

enum response_progress response_head(struct response *response, const char *data, size_t len,
                                     size_t *taken, struct haul_error *error)
{
    *taken = 0;
    response->error = error;
    for (;;) {
        llhttp_errno_t number;
        size_t eaten;

        CHECK(response->state == RESPONSE_READS_HEAD);
        remember_first(response, data + *taken, len - *taken);
        number = execute_limited(response, data + *taken, len - *taken, &eaten);
        *taken += eaten;
        if (number == HPE_OK)
            return RESPONSE_MORE;
        if (number != HPE_PAUSED || response->store.failed)
            return explain(response, number);
        if (response->status >= 200) {
            if (!settle_framing(response))
                return RESPONSE_BAD;
            response->state = RESPONSE_HEAD_WHOLE;
            return RESPONSE_DONE;
        }
        if (!pass_over_interim(response))
            return RESPONSE_BAD;
    }
}

/* --- the chunked body --- */

/* Between two chunks may stand an extension, or zeros before a size: not without end. */
static bool count_frame_bytes(struct response *response, size_t eaten)
{
    if (response->chunk_progress)
        response->frame_bytes = 0;
    else
        response->frame_bytes += eaten;
    if (response->frame_bytes <= RESPONSE_HEAD_BYTES_MAX)
        return true;
    refuse(response, "the response has more than %d KiB between two chunks",
           RESPONSE_HEAD_BYTES_MAX / 1024);
    return false;
}

enum response_progress response_unchunk(struct response *response, char *data, size_t len,
                                        size_t *body_len, size_t *taken, struct haul_error *error)
{
    llhttp_errno_t number = HPE_OK;
    size_t at = 0, eaten;

    CHECK(response->framing == RESPONSE_CHUNKED);
    response->error = error;
    response->body = data;
    response->body_len = 0;
    if (response->state == RESPONSE_HEAD_WHOLE) {
        response->state = RESPONSE_READS_CHUNKS;
        llhttp_set_lenient_optional_cr_before_lf(&response->parser, 0);
        /* The framing is settled: a Content-Length in the trailer is one more field to ignore (RFC
         * 9110 6.5.1), which llhttp would take for trouble. */
        llhttp_set_lenient_chunked_length(&response->parser, 1);
        llhttp_resume(&response->parser);
    }
    CHECK(response->state == RESPONSE_READS_CHUNKS || response->state == RESPONSE_READS_TRAILER);
    if (response->state == RESPONSE_READS_CHUNKS) {
        response->chunk_progress = false;
        number = execute(response, data, len, &eaten);
        at = eaten;
        if (number == HPE_OK && !count_frame_bytes(response, eaten))
            number = HPE_USER;
        if (number == HPE_PAUSED) { /* behind the size of the last chunk */
            llhttp_resume(&response->parser);
            number = HPE_OK;
        }
    }
    if (number == HPE_OK && response->state == RESPONSE_READS_TRAILER) {
        number = execute_limited(response, data + at, len - at, &eaten);
        at += eaten;
    }
    response->body = NULL;
    *body_len = response->body_len;
    *taken = at;
    if (number == HPE_OK)
        return RESPONSE_MORE;
    if (number == HPE_PAUSED && response->state == RESPONSE_ENDED)
        return RESPONSE_DONE;
    *body_len = 0;
    *taken = 0;
    return explain(response, number);
}

/* --- from without --- */

struct response *response_create(void)
{
    struct response *response = alloc_zeroed(sizeof(*response));

    if (response)
        response_start(response, false);
    return response;
}

void response_destroy(struct response *response)
{
    if (!response)
        return;
    text_free(&response->store);
    free(response->fields);
    free(response);
}

void response_start(struct response *response, bool to_head)
{
    response->to_head = to_head;
    response->status = 0;
    response->framing = RESPONSE_EMPTY;
    response->has_length = false;
    response->length = 0;
    response->keep_alive = false;
    response->head_bytes = 0;
    response->fields_seen = 0;
    response->interim_seen = 0;
    response->frame_bytes = 0;
    begin_head(response);
}

int response_status(const struct response *response)
{
    return response->status;
}

struct span response_reason(const struct response *response)
{
    return span_trim(span_sub(text_span(&response->store), 0, response->reason_len));
}

enum response_framing response_framing(const struct response *response)
{
    return response->framing;
}

uint64_t response_length(const struct response *response)
{
    return response->length;
}

bool response_has_length(const struct response *response)
{
    return response->has_length;
}

bool response_keep_alive(const struct response *response)
{
    return response->keep_alive;
}

struct span response_next_field(const struct response *response, const char *name, size_t *at)
{
    struct span wanted = span_of(name);

    while (*at < response->field_count) {
        size_t index = (*at)++;
        struct span found = field_name(response, index);

        /* Most names are already told apart by their length, without a call. */
        if (found.len == wanted.len && span_equal_nocase(found, wanted))
            return field_value(response, index);
    }
    return (struct span){0};
}

struct span response_field(const struct response *response, const char *name)
{
    size_t at = 0;

    return response_next_field(response, name, &at);
}
