/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tests/fuzz/wire.h"

static void run_head(struct response *response, struct span bytes, struct span cuts,
                     struct wire_outcome *outcome)
{
    struct haul_error error = {0};
    size_t at = 0, next_cut = 0;

    outcome->head = RESPONSE_MORE;
    while (at < bytes.len && outcome->head == RESPONSE_MORE) {
        size_t len = fuzz_piece(cuts, &next_cut, bytes.len - at), taken;
        char *piece = fuzz_copy(span_sub(bytes, at, len));

        outcome->head = response_head(response, piece, len, &taken, &error);
        CHECK(taken <= len && (outcome->head != RESPONSE_MORE || taken == len));
        free(piece);
        at += taken;
    }
    if (outcome->head == RESPONSE_BAD)
        CHECK(error.status == HAUL_BAD_RESPONSE && error.text[0]);
    else
        CHECK(error.status == HAUL_OK);
    outcome->head_bytes = at;
}

static void run_chunks(struct response *response, struct span bytes, struct span cuts,
                       struct wire_outcome *outcome)
{
    struct haul_error error = {0};
    size_t at = 0, next_cut = 0;

    outcome->body = RESPONSE_MORE;
    while (at < bytes.len && outcome->body == RESPONSE_MORE) {
        size_t len = fuzz_piece(cuts, &next_cut, bytes.len - at), taken, body_len;
        char *piece = fuzz_copy(span_sub(bytes, at, len));

        outcome->body = response_unchunk(response, piece, len, &body_len, &taken, &error);
        CHECK(body_len <= taken && taken <= len);
        CHECK(outcome->body != RESPONSE_MORE || taken == len);
        CHECK(outcome->body != RESPONSE_BAD || (taken == 0 && body_len == 0));
        text_add(&outcome->content, span_make(piece, body_len));
        free(piece);
        at += taken;
    }
    CHECK((error.status == HAUL_BAD_RESPONSE) == (outcome->body == RESPONSE_BAD));
    outcome->framed_bytes = at;
}

/* Nothing of a head may begin a line of a request, a log or a display. */
static void check_text(struct span text)
{
    for (size_t i = 0; i < text.len; i++)
        CHECK(text.data[i] != '\r' && text.data[i] != '\n' && text.data[i] != '\0');
}

static void check_head(const struct response *response)
{
    static const char *const names[] = {"content-length", "transfer-encoding", "location", "etag",
                                        "content-range",  "retry-after",       "x",        ""};
    enum response_framing framing = response_framing(response);
    int status = response_status(response);

    CHECK(status >= 200 && status <= 999);
    check_text(response_reason(response));
    for (size_t i = 0; i < COUNT_OF(names); i++)
        check_text(response_field(response, names[i]));
    if (response_field(response, "content-length").data && framing != RESPONSE_EMPTY)
        CHECK(framing == RESPONSE_LENGTH && !response_field(response, "transfer-encoding").data);
    if (status == 204 || status == 304)
        CHECK(framing == RESPONSE_EMPTY);
    CHECK(framing != RESPONSE_UNTIL_CLOSE || !response_keep_alive(response));
    CHECK(framing != RESPONSE_LENGTH || response_has_length(response));
}

void wire_run(struct response *response, bool to_head, struct span bytes, struct span cuts,
              struct wire_outcome *outcome)
{
    *outcome = (struct wire_outcome){0};
    response_start(response, to_head);
    run_head(response, bytes, cuts, outcome);
    if (outcome->head != RESPONSE_DONE)
        return;
    check_head(response);
    outcome->status = response_status(response);
    outcome->framing = response_framing(response);
    outcome->length = response_length(response);
    outcome->has_length = response_has_length(response);
    outcome->keep_alive = response_keep_alive(response);
    CHECK(!to_head || outcome->framing == RESPONSE_EMPTY);
    if (outcome->framing == RESPONSE_CHUNKED)
        run_chunks(response, span_sub(bytes, outcome->head_bytes, bytes.len), cuts, outcome);
}

static bool take_line(struct span *rest, struct span *line)
{
    size_t end = span_find(*rest, '\n');

    if (end == rest->len || end == 0 || rest->data[end - 1] != '\r')
        return false;
    *line = span_sub(*rest, 0, end - 1);
    *rest = span_sub(*rest, end + 1, rest->len);
    return span_find(*line, '\r') == line->len;
}

static bool take_size(struct span line, uint64_t *size)
{
    size_t digits = 0;

    *size = 0;
    for (; digits < line.len && span_hex_value(line.data[digits]) >= 0; digits++) {
        if (*size >> 60)
            return false;
        *size = *size << 4 | (unsigned)span_hex_value(line.data[digits]);
    }
    return digits > 0 && (digits == line.len || line.data[digits] == ';');
}

bool wire_unchunk(struct span bytes, struct text *content, size_t *framed_bytes)
{
    struct span rest = bytes, line;
    uint64_t size;

    for (;;) {
        if (!take_line(&rest, &line) || !take_size(line, &size))
            return false;
        if (size == 0)
            break;
        if (rest.len < 2 || size > rest.len - 2)
            return false;
        text_add(content, span_sub(rest, 0, (size_t)size));
        rest = span_sub(rest, (size_t)size, rest.len);
        if (!take_line(&rest, &line) || line.len > 0)
            return false;
    }
    do {
        if (!take_line(&rest, &line))
            return false;
    } while (line.len > 0);
    *framed_bytes = bytes.len - rest.len;
    return true;
}
