/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *     decode_add --> pieces --> coding_step() --> out --full--> user.made --> lent
 *                      |                                                       |
 *                 user.taken                                   decode_give <---+
 *
 * A step takes up to STEP_BYTES and makes as many at most. The first one follows the call that
 * makes it possible, all others are a turn apart.
 *
 * Digests that servers announce are of the body as it is sent (RFC 9530 2, RFC 3230 4.3.2). But who
 * packs what another program has announced seldom knows that, so a digest may be of either.
 */
#include "engine/decode.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "engine/request.h"

enum { STEP_BYTES = 2 * CHUNK_BYTES_MIN, SHOWN_BYTES = 40 };

static const struct haul_error fine = {.status = HAUL_OK};

struct piece {
    struct chunk *chunk;
    struct span left;
};

struct decode {
    struct ref ref;
    struct op op; /* the next step */
    struct decode_setup setup;
    struct coding *coding;
    struct piece pieces[EXCHANGE_CHUNKS_MAX];
    unsigned piece_count;
    struct chunk *out; /* being filled; NULL: none */
    uint64_t out_offset;
    unsigned lent;
    bool goes_on; /* the last step could have made more */
    bool ending;
    bool stopped;
    bool stepping;
    bool verified;
    struct digest announced;
    struct hash packed_hash; /* if something is announced, as is... */
    struct hash hash;        /* ...that of what comes out */
};

/* --- what to ask for ------------------------------------------------------------------------- */

bool decode_may_ask(const struct leg *leg, bool ranged)
{
    const struct haul_download *transfer = leg->transfer;
    const struct haul_options *options = transfer->worker->options;

    return options->accept_codings && !ranged && transfer->kind != HAUL_SINK_NONE &&
           options->check_digest != HAUL_CHECK_DIGEST_REQUIRE &&
           !(transfer->extra && transfer->extra->range) && !coding_is_packed_name(leg->url.path);
}

/* Whether the file is one that the coding makes: then it is not packed twice. */
static bool is_packed_file(const struct coding_list *list, const struct response *response)
{
    return list->count == 1 &&
           coding_is_type(list->kinds[0], response_field(response, "content-type"));
}

/* As an error or the log shows it. */
static void show(struct text *shown, struct span value)
{
    text_add_escaped(shown, span_sub(value, 0, SHOWN_BYTES));
}

static bool list_codings(const struct response *response, struct coding_list *list,
                         struct haul_error *error)
{
    struct text shown = {0};
    struct span value, unknown;
    size_t at = 0;

    while ((value = response_next_field(response, "content-encoding", &at)).data) {
        if (coding_list_add(list, value, &unknown))
            continue;
        show(&shown, unknown);
        error_set(error, HAUL_BAD_RESPONSE, 0,
                  "the server has packed it in a way (%.*s) that haul can't unpack; without "
                  "--compressed it is stored as it comes",
                  SPAN_ARG(text_span(&shown)));
        text_free(&shown);
        return false;
    }
    return true;
}

bool decode_find(struct leg *leg, const struct response *response, struct coding_list *list,
                 struct haul_error *error)
{
    struct haul_download *transfer = leg->transfer;
    struct span value = response_field(response, "content-encoding");
    struct text shown = {0};

    list->count = 0;
    if (value.len == 0 || response_framing(response) == RESPONSE_EMPTY)
        return true;
    if (decode_may_ask(leg, leg->request->ranged) && !list_codings(response, list, error))
        return false;
    if (is_packed_file(list, response))
        list->count = 0;
    if (list->count > 0 || span_equal_nocase(value, SPAN("identity")))
        return true;
    show(&shown, value);
    log_write(&transfer->worker->log, HAUL_LOG_INFO,
              "%s: stored as it comes, though the server says that it is packed (%.*s)",
              transfer->shown_url, SPAN_ARG(text_span(&shown)));
    text_free(&shown);
    return true;
}

/* --- the end --------------------------------------------------------------------------------- */

static void give_out(struct decode *decode)
{
    if (decode->out)
        buffers_give(decode->setup.buffers, decode->out);
    decode->out = NULL;
}

static void decode_free(struct ref *ref)
{
    struct decode *decode = CONTAINER_OF(ref, struct decode, ref);

    coding_destroy(decode->coding);
    free(decode);
}

static void drop_piece(struct decode *decode)
{
    struct chunk *chunk = decode->pieces[0].chunk;

    decode->piece_count--;
    for (unsigned i = 0; i < decode->piece_count; i++)
        decode->pieces[i] = decode->pieces[i + 1];
    decode->setup.user->taken(decode->setup.context, chunk);
}

void decode_stop(struct decode *decode)
{
    decode->stopped = true;
    if (!decode->stepping)
        give_out(decode);
    while (decode->piece_count > 0)
        drop_piece(decode);
}

void decode_release(struct decode *decode)
{
    CHECK(decode->stopped && decode->lent == 0 && decode->piece_count == 0);
    ref_drop(&decode->ref);
}

bool decode_is_verified(const struct decode *decode)
{
    return decode->verified;
}

uint64_t decode_garbage_bytes(const struct decode *decode)
{
    return coding_garbage_bytes(decode->coding);
}

static void tell_end(struct decode *decode, const struct haul_error *error)
{
    decode->stopped = true;
    decode->setup.user->ended(decode->setup.context, error);
}

static bool check_digest(struct decode *decode, struct haul_error *error)
{
    struct digest packed, plain;

    if (!decode->setup.announced)
        return true;
    hash_end(&decode->packed_hash, &packed);
    hash_end(&decode->hash, &plain);
    decode->verified =
        digest_equal(&packed, &decode->announced) || digest_equal(&plain, &decode->announced);
    if (!decode->verified)
        error_set(error, HAUL_CHECKSUM, 0,
                  "its %s is not what the server says, neither packed nor unpacked",
                  hash_name(decode->announced.type));
    return decode->verified;
}

/* --- steps ----------------------------------------------------------------------------------- */

static void lend_out(struct decode *decode)
{
    struct chunk *chunk = decode->out;
    uint64_t offset = decode->out_offset;

    decode->out = NULL;
    decode->out_offset += chunk->len;
    decode->lent++;
    decode->setup.user->made(decode->setup.context, chunk, offset);
}

static bool has_work(const struct decode *decode)
{
    return !decode->stopped && (decode->out || decode->lent < decode->setup.lent_max) &&
           (decode->piece_count > 0 || decode->goes_on || decode->ending);
}

static bool take_out(struct decode *decode)
{
    struct buffers *buffers = decode->setup.buffers;

    if (!decode->out)
        decode->out = buffers_take(buffers, NULL,
                                   buffers_scarce(buffers) ? (size_t)CHUNK_BYTES_MIN : STEP_BYTES);
    return decode->out != NULL;
}

/* All that has come is unpacked. */
static void rest(struct decode *decode)
{
    struct haul_error error = fine;

    if (decode->out->len == 0)
        give_out(decode);
    else if (decode->ending || decode->setup.eager || buffers_scarce(decode->setup.buffers))
        lend_out(decode);
    if (!decode->ending || decode->stopped)
        return;
    if (coding_end(decode->coding, &error))
        (void)check_digest(decode, &error);
    tell_end(decode, &error);
}

/* One call of the library; false: *error. */
static bool advance(struct decode *decode, struct haul_error *error)
{
    struct piece *piece = decode->piece_count > 0 ? &decode->pieces[0] : NULL;
    struct span in = piece ? span_sub(piece->left, 0, STEP_BYTES) : SPAN("");
    struct span before = in;
    struct chunk *out = decode->out;
    enum coding_progress progress;
    size_t made = 0;

    progress =
        coding_step(decode->coding, &in, out->data + out->len, out->size - out->len, &made, error);
    if (decode->setup.announced) {
        hash_add(&decode->packed_hash, before.data, before.len - in.len);
        hash_add(&decode->hash, out->data + out->len, made);
    }
    out->len += made;
    decode->goes_on = progress == CODING_GOES_ON;
    if (piece)
        piece->left = span_sub(piece->left, before.len - in.len, piece->left.len);
    return progress != CODING_BROKEN;
}

static void step(struct decode *decode)
{
    struct haul_error error = fine;

    if (!take_out(decode)) {
        error_set(&error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        tell_end(decode, &error);
        return;
    }
    if (!advance(decode, &error)) {
        tell_end(decode, &error);
        return;
    }
    if (decode->piece_count > 0 && decode->pieces[0].left.len == 0)
        drop_piece(decode);
    if (decode->stopped)
        return;
    if (decode->out->len == decode->out->size)
        lend_out(decode);
    else if (!decode->goes_on && decode->piece_count == 0)
        rest(decode);
}

/* One step now, the others later. The user may stop and release it meanwhile. */
static void run(struct decode *decode)
{
    if (decode->stepping || op_busy(&decode->op) || !has_work(decode))
        return;
    ref_hold(&decode->ref);
    decode->stepping = true;
    step(decode);
    decode->stepping = false;
    if (decode->stopped)
        give_out(decode);
    else if (has_work(decode))
        ring_yield(decode->setup.ring, &decode->op);
    ref_drop(&decode->ref);
}

static void turn_came(struct op *op, int res)
{
    (void)res;
    run(CONTAINER_OF(op, struct decode, op));
}

/* --- from the user --------------------------------------------------------------------------- */

void decode_add(struct decode *decode, struct chunk *chunk, size_t from, size_t len)
{
    CHECK(!decode->ending && !decode->stopped && decode->piece_count < EXCHANGE_CHUNKS_MAX);
    decode->pieces[decode->piece_count++] =
        (struct piece){.chunk = chunk, .left = span_make(chunk->data + from, len)};
    run(decode);
}

void decode_end(struct decode *decode)
{
    decode->ending = true;
    run(decode);
}

void decode_give(struct decode *decode, struct chunk *chunk)
{
    CHECK(decode->lent > 0);
    decode->lent--;
    buffers_give(decode->setup.buffers, chunk);
    if (!decode->stepping && !op_busy(&decode->op) && has_work(decode))
        ring_yield(decode->setup.ring, &decode->op);
}

struct decode *decode_create(const struct decode_setup *setup)
{
    struct decode *decode = alloc_zeroed(sizeof(*decode));
    struct coding_bounds bounds = {
        .free_bytes = DECODE_FREE_BYTES, .ratio = DECODE_RATIO_MAX, .bytes_max = DECODE_BYTES_MAX};

    if (!decode)
        return NULL;
    decode->coding = coding_create(setup->codings, &bounds);
    if (!decode->coding) {
        free(decode);
        return NULL;
    }
    ref_init(&decode->ref, decode_free);
    op_init(&decode->op, turn_came, &decode->ref);
    decode->setup = *setup;
    if (setup->announced) {
        decode->announced = *setup->announced;
        decode->setup.announced = &decode->announced;
        hash_begin(&decode->packed_hash, decode->announced.type);
        hash_begin(&decode->hash, decode->announced.type);
    }
    return decode;
}
