/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Records hold messages, and either may be cut anywhere: so there is a cursor for each of the two.
 */
#include "tls/flight.h"

#include <string.h>

#include "tls/record.h"

enum {
    SERVER_HELLO = 2,
    SERVER_HELLO_DONE = 14,
    EXTENSION_VERSIONS = 43, /* RFC 8446 4.2.1: what tells TLS 1.3 */
    RANDOM_END = 2 + 32      /* version, random; then the session's ID */
};

static size_t number(const uint8_t *bytes, size_t count)
{
    size_t value = 0;

    for (size_t i = 0; i < count; i++)
        value = value << 8 | bytes[i];
    return value;
}

/* Fills a header from the input. True: it is whole. */
static bool fill(uint8_t *header, size_t size, size_t *len, struct span *input)
{
    size_t take = size - *len < input->len ? size - *len : input->len;

    if (take > 0)
        memcpy(header + *len, input->data, take);
    *len += take;
    *input = span_sub(*input, take, input->len);
    return *len == size;
}

/* Of a whole ServerHello; one that can't be read is left to whom it is for. */
static bool is_tls13(struct span hello)
{
    const uint8_t *bytes = (const uint8_t *)hello.data;
    size_t at = RANDOM_END;

    if (hello.len < at + 1)
        return true;
    at += 1 + (size_t)bytes[at] + 2 + 1 + 2; /* cipher suite, compression, length of extensions */
    while (at + 4 <= hello.len) {
        if (number(bytes + at, 2) == EXTENSION_VERSIONS)
            return true;
        at += 4 + number(bytes + at + 2, 2);
    }
    return false;
}

/* Bytes of messages. True: over. */
static bool take_messages(struct flight *flight, struct span content)
{
    while (content.len > 0) {
        uint8_t *header = flight->message_header;
        size_t take;

        if (flight->message_header_len < sizeof(flight->message_header)) {
            if (!fill(header, sizeof(flight->message_header), &flight->message_header_len,
                      &content))
                return false;
            flight->message_left = number(header + 1, 3);
            if (header[0] == SERVER_HELLO && flight->message_left > FLIGHT_HELLO_BYTES_MAX)
                return true;
        }
        take = flight->message_left < content.len ? flight->message_left : content.len;
        if (header[0] == SERVER_HELLO)
            text_add(&flight->hello, span_sub(content, 0, take));
        content = span_sub(content, take, content.len);
        flight->message_left -= take;
        if (flight->message_left > 0)
            return false;
        flight->message_header_len = 0;
        if (flight->hello.failed || header[0] == SERVER_HELLO_DONE ||
            (header[0] == SERVER_HELLO && is_tls13(text_span(&flight->hello))))
            return true;
    }
    return false;
}

void flight_free(struct flight *flight)
{
    text_free(&flight->hello);
}

bool flight_is_over(struct flight *flight, struct span input)
{
    flight->total += input.len;
    flight->over = flight->over || flight->total > FLIGHT_BYTES_MAX;
    while (!flight->over && input.len > 0) {
        size_t take;

        if (flight->header_len < sizeof(flight->header)) {
            if (!fill(flight->header, sizeof(flight->header), &flight->header_len, &input))
                return false;
            flight->record_left = number(flight->header + 3, 2);
            if (flight->header[0] != RECORD_HANDSHAKE) {
                flight->over = true;
                break;
            }
        }
        take = flight->record_left < input.len ? flight->record_left : input.len;
        flight->over = take_messages(flight, span_sub(input, 0, take));
        input = span_sub(input, take, input.len);
        flight->record_left -= take;
        if (flight->record_left == 0)
            flight->header_len = 0;
    }
    return flight->over;
}
