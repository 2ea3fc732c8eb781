/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *     0           position            claimed
 *     |  hashed   | in hand | pieces, |  what comes next begins here, or a little behind it, or
 *     |           |         | gaps    |  will be read back
 *
 * One thing is under way at a time: the first piece, or a buffer with what stands before it, is
 * with a helper thread, or the buffer is being filled.
 *
 *     IDLE ------> HASHING -----+
 *      ^ \            ^         |
 *      |  WAITING     |         |
 *      |     \        |         |
 *      |      > READING         |
 *      +------------------------+
 *
 * A transfer that is resumed has something to be read back first, and would for ever read what it
 * has just written if only chunks were taken that begin exactly where everything before them has
 * been hashed. So one is also taken when the little that is missing before it will be there soon:
 * `offered` tells what is stored or on its way.
 */
#include "engine/verify.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

enum { SOURCES = VERIFY_SERVER + 1, BLOCK_BYTES = 64 * 1024, SHOWN_DIGITS = 16 };

static const struct haul_error fine = {.status = HAUL_OK};

enum verify_state {
    VERIFY_IDLE,
    VERIFY_WAITING, /* node is in room->waiting */
    VERIFY_READING, /* read is under way, into buffer */
    VERIFY_HASHING  /* a helper has hashes, data and len, which are of `hand` or of buffer */
};

/* What is asked for: to be done once. */
struct asked {
    verify_done *done; /* NULL: it is not */
    void *context;
};

struct wanted {
    bool given;
    struct digest digest;
};

struct verify {
    struct ref ref;
    struct verify_room *room;
    struct sink *sink;
    enum verify_state state;
    struct asked stop;   /* comes before... */
    struct asked finish; /* ...this */
    uint64_t bytes;      /* of finish */
    struct wanted wanted[SOURCES];
    bool sha256_wanted;
    bool sha256_found;
    struct digest sha256;
    struct hash hashes[SOURCES + 1]; /* one of each type that is wanted */
    unsigned hash_count;             /* 0: not begun */
    uint64_t position;
    uint64_t claimed;
    struct list pieces;     /* in order; between them may be what will be read back */
    struct list given_back; /* pieces whose done is to come, from `later` */
    struct verify_piece *hand;
    const char *data;
    size_t len;
    struct list node;
    char *buffer;
    struct sink_read read;
    struct op op; /* HASHING */
    struct op later;
    struct extents offered;  /* what is stored or being written, but for what has been claimed... */
    bool offered_known;      /* ...if this is so */
    struct haul_error error; /* of a read: nothing goes on */
};

static void go_on(struct verify *verify);
static void read_now(struct verify *verify);

/* --- the room -------------------------------------------------------------------------------- */

void verify_room_init(struct verify_room *room, struct ring *ring)
{
    *room = (struct verify_room){.ring = ring};
    list_init(&room->waiting);
}

void verify_room_free(struct verify_room *room)
{
    CHECK(room->taken == 0 && !list_is_linked(&room->waiting));
    while (room->buffer_count > 0)
        free(room->buffers[--room->buffer_count]);
}

static bool take_buffer(struct verify *verify)
{
    struct verify_room *room = verify->room;

    if (room->taken == VERIFY_READS_MAX || list_is_linked(&room->waiting))
        return false;
    verify->buffer = room->buffer_count > 0 ? room->buffers[--room->buffer_count]
                                            : alloc_grow(NULL, VERIFY_READ_BYTES, 1);
    if (verify->buffer)
        room->taken++;
    return verify->buffer != NULL;
}

/* To whoever waits for it, if anybody does. */
static void give_buffer(struct verify *verify)
{
    struct verify_room *room = verify->room;
    struct list *node = list_pop_front(&room->waiting);
    char *buffer = verify->buffer;

    verify->buffer = NULL;
    if (node) {
        struct verify *next = LIST_ITEM(node, struct verify, node);

        next->buffer = buffer;
        read_now(next);
    } else {
        room->taken--;
        room->buffers[room->buffer_count++] = buffer;
    }
}

/* --- what is told ---------------------------------------------------------------------------- */

static void tell_later(struct verify *verify)
{
    if (!op_busy(&verify->later))
        ring_later(verify->room->ring, &verify->later);
}

/* Nothing is hashed yet. */
static void begin_anew(struct verify *verify)
{
    verify->position = 0;
    verify->claimed = 0;
    verify->hash_count = 0;
    verify->error = fine;
    verify->offered_known = false;
}

/* What is in line is not hashed from memory. */
static void give_back(struct verify *verify)
{
    list_move_all(&verify->pieces, &verify->given_back);
    verify->claimed = verify->position + (verify->state == VERIFY_HASHING ? verify->len : 0);
    verify->offered_known = false;
    if (list_is_linked(&verify->given_back))
        tell_later(verify);
}

static void fail(struct verify *verify, const struct haul_error *error)
{
    verify->error = *error;
    give_back(verify);
}

static struct hash *hash_of(struct verify *verify, enum hash_type type)
{
    for (unsigned i = 0; i < verify->hash_count; i++)
        if (verify->hashes[i].type == type)
            return &verify->hashes[i];
    return NULL;
}

static void begin_hashes(struct verify *verify)
{
    for (size_t i = 0; i < SOURCES; i++)
        if (verify->wanted[i].given && !hash_of(verify, verify->wanted[i].digest.type))
            hash_begin(&verify->hashes[verify->hash_count++], verify->wanted[i].digest.type);
    if (verify->sha256_wanted && !hash_of(verify, HASH_SHA256))
        hash_begin(&verify->hashes[verify->hash_count++], HASH_SHA256);
}

/* Where two that differ are to be shown from, so that it can be seen. */
static size_t show_from(const char *a, const char *b)
{
    size_t at = 0;

    while (a[at] == b[at])
        at++;
    if (at < SHOWN_DIGITS)
        return 0;
    return at + SHOWN_DIGITS < strlen(a) ? at : strlen(a) - SHOWN_DIGITS;
}

static void compare(struct verify *verify, const struct digest *found, enum verify_source source,
                    struct haul_error *error)
{
    const struct digest *wanted = &verify->wanted[source].digest;
    char found_hex[HASH_HEX_MAX], wanted_hex[HASH_HEX_MAX];
    const char *cut;
    size_t from;

    if (!verify->wanted[source].given || wanted->type != found->type || digest_equal(wanted, found))
        return;
    digest_hex(found, found_hex);
    digest_hex(wanted, wanted_hex);
    from = show_from(found_hex, wanted_hex);
    cut = from > 0 ? "..." : "";
    error_set(error, HAUL_CHECKSUM, 0, "its %s is %s%.*s..., and not %s%.*s... as %s",
              hash_name(found->type), cut, SHOWN_DIGITS, found_hex + from, cut, SHOWN_DIGITS,
              wanted_hex + from, source == VERIFY_USER ? "asked for" : "the server says");
}

static void judge(struct verify *verify, struct haul_error *error)
{
    *error = verify->error;
    if (error->status != HAUL_OK)
        return;
    if (verify->position != verify->bytes) {
        error_set(error, HAUL_FILE_IO, 0,
                  "what came out of order can't be read back to be checked");
        return;
    }
    if (verify->hash_count == 0)
        begin_hashes(verify); /* of nothing */
    for (unsigned i = 0; i < verify->hash_count; i++) {
        struct digest found;

        hash_end(&verify->hashes[i], &found);
        if (found.type == HASH_SHA256) {
            verify->sha256 = found;
            verify->sha256_found = true;
        }
        compare(verify, &found, VERIFY_SERVER, error);
        compare(verify, &found, VERIFY_USER, error); /* this is what counts */
    }
}

static void tell(struct asked *asked, const struct haul_error *error)
{
    verify_done *done = asked->done;

    asked->done = NULL;
    done(asked->context, error);
}

/* From the loop: tells what was asked for, if it has come to an end. */
static void settle(struct verify *verify)
{
    struct haul_error error;

    if (verify->state != VERIFY_IDLE || list_is_linked(&verify->pieces) ||
        list_is_linked(&verify->given_back))
        return;
    if (verify->stop.done) {
        tell(&verify->stop, &fine);
        if (verify->finish.done) {
            go_on(verify);
            tell_later(verify);
        }
    } else if (verify->finish.done) {
        judge(verify, &error);
        begin_anew(verify);
        tell(&verify->finish, &error);
    }
}

static void later_done(struct op *op, int res)
{
    struct verify *verify = CONTAINER_OF(op, struct verify, later);
    struct list *node;

    (void)res;
    while ((node = list_pop_front(&verify->given_back))) {
        struct verify_piece *piece = LIST_ITEM(node, struct verify_piece, node);

        piece->done(piece);
    }
    settle(verify);
}

/* --- hashing --------------------------------------------------------------------------------- */

/* Block by block, so that the second hash finds it in the CPU's cache. */
static void hash_data(struct verify *verify, const char *data, size_t len)
{
    while (len > 0) {
        size_t block = len < BLOCK_BYTES ? len : BLOCK_BYTES;

        for (unsigned i = 0; i < verify->hash_count; i++)
            hash_add(&verify->hashes[i], data, block);
        data += block;
        len -= block;
    }
}

/* In a helper's thread. */
static int hash_work(struct op *op)
{
    struct verify *verify = CONTAINER_OF(op, struct verify, op);

    hash_data(verify, verify->data, verify->len);
    return 0;
}

static void hash_done(struct op *op, int res)
{
    struct verify *verify = CONTAINER_OF(op, struct verify, op);
    struct verify_piece *piece = verify->hand;

    (void)res;
    verify->position += verify->len;
    verify->hand = NULL;
    verify->state = VERIFY_IDLE;
    if (!piece)
        give_buffer(verify);
    go_on(verify); /* before anybody is told: the helper need not wait */
    if (piece)
        piece->done(piece);
    settle(verify);
}

static void hash_next(struct verify *verify, const char *data, size_t len)
{
    if (verify->hash_count == 0)
        begin_hashes(verify);
    verify->data = data;
    verify->len = len;
    verify->state = VERIFY_HASHING;
    ring_offload(verify->room->ring, &verify->op, hash_work);
}

/* --- reading back ---------------------------------------------------------------------------- */

static struct verify_piece *first_piece(const struct verify *verify)
{
    return list_is_linked(&verify->pieces)
               ? LIST_ITEM(verify->pieces.next, struct verify_piece, node)
               : NULL;
}

/* How much can be read at the position, and is to be. */
static size_t readable(const struct verify *verify)
{
    const struct verify_piece *first = first_piece(verify);
    uint64_t end = extents_prefix(&verify->sink->stored);

    if (!verify->sink->operations->read)
        return 0;
    if (first && end > first->offset)
        end = first->offset;
    if (end <= verify->position)
        return 0;
    return end - verify->position < VERIFY_READ_BYTES ? (size_t)(end - verify->position)
                                                      : VERIFY_READ_BYTES;
}

static void claim(struct verify *verify, uint64_t to)
{
    if (verify->claimed < to)
        verify->claimed = to;
}

static void read_done(struct sink_read *read, const struct haul_error *error)
{
    struct verify *verify = CONTAINER_OF(read, struct verify, read);

    verify->state = VERIFY_IDLE;
    if (error->status == HAUL_OK && !verify->stop.done) {
        hash_next(verify, read->data, read->len);
    } else {
        give_buffer(verify);
        if (error->status != HAUL_OK)
            fail(verify, error);
        settle(verify);
    }
    ref_drop(&verify->ref);
}

/* The buffer is its. */
static void read_now(struct verify *verify)
{
    size_t len = readable(verify);

    CHECK(len > 0);
    verify->state = VERIFY_READING;
    verify->read.done = read_done;
    verify->read.data = verify->buffer;
    verify->read.len = len;
    verify->read.offset = verify->position;
    claim(verify, verify->position + len);
    ref_hold(&verify->ref);
    sink_read(verify->sink, &verify->read);
}

static void read_back(struct verify *verify)
{
    struct haul_error error;

    if (take_buffer(verify)) {
        read_now(verify);
    } else if (verify->room->taken > 0) {
        claim(verify, verify->position + readable(verify));
        verify->state = VERIFY_WAITING;
        list_push_back(&verify->room->waiting, &verify->node);
    } else {
        error_set(&error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
        fail(verify, &error);
        tell_later(verify);
    }
}

/* --- in order -------------------------------------------------------------------------------- */

static void go_on(struct verify *verify)
{
    struct verify_piece *first = first_piece(verify);

    if (verify->state != VERIFY_IDLE || verify->stop.done || verify->error.status != HAUL_OK)
        return;
    if (first && first->offset == verify->position) {
        list_remove(&first->node);
        verify->hand = first;
        hash_next(verify, first->data, first->len);
    } else if (readable(verify) > 0) {
        read_back(verify);
    } else if (first && verify->finish.done) {
        give_back(verify); /* what it waits for will not come */
    }
}

static bool know_offered(struct verify *verify)
{
    if (!verify->offered_known)
        verify->offered_known = extents_copy(&verify->offered, &verify->sink->stored);
    return verify->offered_known;
}

/* Whether what is missing before `offset` is little, and will be there soon. */
static bool is_near(struct verify *verify, uint64_t offset)
{
    return offset == verify->claimed ||
           (offset - verify->claimed <= VERIFY_GAP_BYTES_MAX && verify->sink->operations->read &&
            know_offered(verify) && extents_has(&verify->offered, verify->claimed, offset));
}

/* It will be stored, and read back. */
static void pass_over(struct verify *verify, uint64_t offset, size_t len)
{
    if (know_offered(verify))
        verify->offered_known = extents_add(&verify->offered, offset, offset + len);
}

bool verify_chunk(struct verify *verify, struct verify_piece *piece, uint64_t offset,
                  const char *data, size_t len)
{
    size_t skip;

    if (!verify_wants(verify) || verify->stop.done || verify->finish.done ||
        verify->error.status != HAUL_OK || offset + len <= verify->claimed)
        return false;
    skip = offset < verify->claimed ? (size_t)(verify->claimed - offset) : 0;
    offset += skip;
    if (!is_near(verify, offset)) {
        pass_over(verify, offset, len - skip);
        return false;
    }
    verify->claimed = offset + len - skip;
    if (offset == verify->position && len - skip <= VERIFY_AT_ONCE_BYTES) {
        /* So nothing is under way. */
        if (verify->hash_count == 0)
            begin_hashes(verify);
        hash_data(verify, data + skip, len - skip);
        verify->position = verify->claimed;
        return false;
    }
    piece->data = data + skip;
    piece->len = len - skip;
    piece->offset = offset;
    list_init(&piece->node);
    list_push_back(&verify->pieces, &piece->node);
    go_on(verify);
    return true;
}

void verify_stored(struct verify *verify)
{
    if (verify_wants(verify))
        go_on(verify);
}

/* --- what is wanted -------------------------------------------------------------------------- */

bool verify_wants(const struct verify *verify)
{
    return verify && (verify->sha256_wanted || verify->wanted[VERIFY_USER].given ||
                      verify->wanted[VERIFY_SERVER].given);
}

void verify_want_sha256(struct verify *verify)
{
    if (verify->hash_count == 0 || hash_of(verify, HASH_SHA256))
        verify->sha256_wanted = true;
}

bool verify_sha256(const struct verify *verify, struct digest *digest)
{
    if (verify->sha256_found)
        *digest = verify->sha256;
    return verify->sha256_found;
}

enum verify_answer verify_want(struct verify *verify, enum verify_source source,
                               const struct digest *digest)
{
    struct wanted *mine = &verify->wanted[source];
    const struct wanted *other =
        &verify->wanted[source == VERIFY_USER ? VERIFY_SERVER : VERIFY_USER];

    if (mine->given && mine->digest.type == digest->type)
        return digest_equal(&mine->digest, digest) ? VERIFY_TAKEN : VERIFY_CHANGED;
    if (other->given && other->digest.type == digest->type && !digest_equal(&other->digest, digest))
        return VERIFY_REFUTED;
    if (mine->given || (verify->hash_count > 0 && !hash_of(verify, digest->type)))
        return VERIFY_IGNORED;
    *mine = (struct wanted){.given = true, .digest = *digest};
    return VERIFY_TAKEN;
}

/* --- begin and end --------------------------------------------------------------------------- */

static void verify_last(struct ref *ref)
{
    struct verify *verify = CONTAINER_OF(ref, struct verify, ref);

    extents_free(&verify->offered);
    free(verify);
}

struct verify *verify_create(struct verify_room *room, struct sink *sink)
{
    struct verify *verify = alloc_zeroed(sizeof(*verify));

    if (!verify)
        return NULL;
    ref_init(&verify->ref, verify_last);
    verify->room = room;
    verify->sink = sink;
    list_init(&verify->pieces);
    list_init(&verify->given_back);
    list_init(&verify->node);
    op_init(&verify->op, hash_done, &verify->ref);
    op_init(&verify->later, later_done, &verify->ref);
    return verify;
}

bool verify_busy(const struct verify *verify)
{
    return verify && (verify->state != VERIFY_IDLE || verify->stop.done || verify->finish.done ||
                      list_is_linked(&verify->pieces) || list_is_linked(&verify->given_back));
}

void verify_release(struct verify *verify)
{
    CHECK(!verify_busy(verify));
    if (verify)
        ref_drop(&verify->ref);
}

void verify_reset(struct verify *verify)
{
    CHECK(!verify_busy(verify));
    if (!verify)
        return;
    begin_anew(verify);
    verify->wanted[VERIFY_SERVER].given = false;
    verify->sha256_found = false;
}

void verify_finish(struct verify *verify, uint64_t bytes, verify_done *done, void *context)
{
    CHECK(!verify->finish.done);
    verify->finish = (struct asked){.done = done, .context = context};
    verify->bytes = bytes;
    go_on(verify);
    tell_later(verify);
}

void verify_stop(struct verify *verify, verify_done *done, void *context)
{
    CHECK(!verify->stop.done);
    verify->stop = (struct asked){.done = done, .context = context};
    verify->finish.done = NULL;
    if (verify->state == VERIFY_WAITING) {
        list_remove(&verify->node);
        verify->state = VERIFY_IDLE;
    }
    give_back(verify);
    tell_later(verify);
}
