/* SPDX-License-Identifier: GPL-3.0-or-later */
/* On a sink of the test's own, whose reads end when the test says so, and with a helper thread that
 * can be kept busy. */
#include "unit.h"

#include <errno.h>
#include <stdatomic.h>

#include "engine/verify.h"

enum { KIB = 1024, MIB = 1024 * 1024, CHUNK = 256 * KIB, FAKES = 6, CHUNKS_MAX = 64 };

#define PATIENCE_NS (UINT64_C(20) * (uint64_t)NS_PER_S)

static struct ring *ring;
static struct verify_room room;
static char *content; /* what all should come to be */
static size_t size;

/* ---- a sink that can be read ---- */

struct fake {
    struct sink sink;
    char *file;
    bool slow; /* reads wait for let_read() */
    struct sink_read *waiting;
    int read_error; /* the next read fails */
    unsigned reads;
    uint64_t read_bytes;
    bool gone;
};

static unsigned reading, reading_most; /* of all fakes */

static struct fake *fake_of(struct sink *sink)
{
    return CONTAINER_OF(sink, struct fake, sink);
}

static void read_over(struct op *op, int res)
{
    struct sink_read *read = CONTAINER_OF(op, struct sink_read, op);
    struct fake *fake = fake_of(read->sink);
    struct haul_error error = {.status = HAUL_OK};

    (void)res;
    reading--;
    if (fake->read_error)
        error_set(&error, HAUL_FILE_IO, fake->read_error, "can't read");
    else
        memcpy(read->data, fake->file + read->offset, read->len);
    read->done(read, &error);
}

static void let_read(struct fake *fake)
{
    struct sink_read *read = fake->waiting;

    fake->waiting = NULL;
    ring_later(ring, &read->op);
}

static void fake_read(struct sink *sink, struct sink_read *read)
{
    struct fake *fake = fake_of(sink);

    assert_null(fake->waiting);
    assert_true(read->len > 0 && read->len <= MIB);
    fake->reads++;
    fake->read_bytes += read->len;
    if (++reading > reading_most)
        reading_most = reading;
    op_init(&read->op, read_over, &sink->ref);
    fake->waiting = read;
    if (!fake->slow)
        let_read(fake);
}

static void fake_destroy(struct sink *sink)
{
    struct fake *fake = fake_of(sink);

    extents_free(&sink->stored);
    free(fake->file);
    fake->gone = true;
}

static const struct sink_operations readable = {.read = fake_read, .destroy = fake_destroy};
static const struct sink_operations unreadable = {.destroy = fake_destroy};

static void fake_init(struct fake *fake, const struct sink_operations *operations)
{
    *fake = (struct fake){.file = calloc(1, size + 1)};
    assert_non_null(fake->file);
    sink_init(&fake->sink, operations, ring);
}

/* Writes that have ended. */
static void store(struct fake *fake, uint64_t from, uint64_t to)
{
    memcpy(fake->file + from, content + from, to - from);
    assert_true(extents_add(&fake->sink.stored, from, to));
}

/* ---- pieces, whose memory goes with their done ---- */

struct lent {
    struct verify_piece piece;
    char *data;
    bool taken;
    unsigned done;
};

static unsigned done_order[CHUNKS_MAX * 4], done_count;
static struct lent lents[CHUNKS_MAX * 4];
static unsigned lent_count;
static bool calling; /* no done may come now */

static void piece_done(struct verify_piece *piece)
{
    struct lent *lent = CONTAINER_OF(piece, struct lent, piece);

    assert_false(calling);
    lent->done++;
    free(lent->data);
    lent->data = NULL;
    done_order[done_count++] = (unsigned)(lent - lents);
}

static struct lent *offer(struct verify *verify, uint64_t from, uint64_t to)
{
    struct lent *lent = &lents[lent_count++];

    assert_true(lent_count <= COUNT_OF(lents));
    *lent = (struct lent){.piece.done = piece_done};
    lent->data = unit_copy(content + from, to - from);
    calling = true;
    lent->taken = verify_chunk(verify, &lent->piece, from, lent->data, to - from);
    calling = false;
    if (!lent->taken) {
        free(lent->data);
        lent->data = NULL;
    }
    return lent;
}

/* ---- the loop ---- */

static _Atomic bool helper_blocked, helper_waits;
static struct op block_op;
static struct ref block_ref;

static void block_last(struct ref *ref)
{
    (void)ref;
}

static int block_work(struct op *op)
{
    (void)op;
    helper_waits = true;
    while (helper_blocked)
        usleep(200);
    return 0;
}

static void block_done(struct op *op, int res)
{
    (void)op;
    (void)res;
}

/* From now on what is given to the helper stays there. */
static void block_helper(void)
{
    helper_blocked = true;
    helper_waits = false;
    ref_init(&block_ref, block_last);
    op_init(&block_op, block_done, &block_ref);
    ring_offload(ring, &block_op, block_work);
    while (!helper_waits)
        usleep(200);
}

static void unblock_helper(void)
{
    helper_blocked = false;
}

static void turn_a_little(void)
{
    ring_read_clock(ring);
    assert_int_equal(ring_turn(ring, ring_now_ns(ring) + (uint64_t)NS_PER_MS / 2), 0);
}

static void turn_until_quiet(void)
{
    uint64_t limit;

    ring_read_clock(ring);
    limit = ring_now_ns(ring) + PATIENCE_NS;
    while (ring_busy(ring) > 0 && ring_now_ns(ring) < limit)
        assert_int_equal(ring_turn(ring, limit), 0);
    assert_int_equal(ring_busy(ring), 0);
}

struct told {
    unsigned count;
    struct haul_error error;
};

static void told_done(void *context, const struct haul_error *error)
{
    struct told *told = context;

    assert_false(calling);
    for (unsigned i = 0; i < lent_count; i++)
        assert_int_equal(lents[i].done, lents[i].taken);
    told->count++;
    told->error = *error;
}

static void wait_for(const struct told *told)
{
    uint64_t limit;

    ring_read_clock(ring);
    limit = ring_now_ns(ring) + PATIENCE_NS;
    while (told->count == 0 && ring_now_ns(ring) < limit)
        assert_int_equal(ring_turn(ring, limit), 0);
    assert_int_equal(told->count, 1);
}

static enum haul_status finish_error(struct verify *verify, struct haul_error *error)
{
    struct told told = {0};

    calling = true;
    verify_finish(verify, size, told_done, &told);
    calling = false;
    assert_true(verify_busy(verify));
    wait_for(&told);
    assert_false(verify_busy(verify));
    *error = told.error;
    return told.error.status;
}

static enum haul_status finish(struct verify *verify)
{
    struct haul_error error;

    return finish_error(verify, &error);
}

static void stop_start(struct verify *verify, struct told *told)
{
    *told = (struct told){0};
    calling = true;
    verify_stop(verify, told_done, told);
    calling = false;
    assert_int_equal(told->count, 0);
}

static void stop(struct verify *verify)
{
    struct told told;

    stop_start(verify, &told);
    wait_for(&told);
    assert_int_equal(told.error.status, HAUL_OK);
    assert_false(verify_busy(verify));
}

static void digest_of(enum hash_type type, struct digest *digest)
{
    struct hash hash;

    hash_begin(&hash, type);
    hash_add(&hash, content, size);
    hash_end(&hash, digest);
}

static void want(struct verify *verify, enum verify_source source, enum hash_type type)
{
    struct digest digest;

    digest_of(type, &digest);
    assert_int_equal(verify_want(verify, source, &digest), VERIFY_TAKEN);
    assert_true(verify_wants(verify));
}

static void want_other(struct verify *verify, enum verify_source source, enum hash_type type)
{
    struct digest digest;

    digest_of(type, &digest);
    digest.bytes[hash_bytes(type) - 1] ^= 1;
    assert_int_equal(verify_want(verify, source, &digest), VERIFY_TAKEN);
}

static void begin(size_t content_size)
{
    struct ring_options options = {.helper_threads = 1};
    struct haul_error error;
    uint64_t seed = 4711;

    ring = ring_create(&options, &error);
    assert_non_null(ring);
    verify_room_init(&room, ring);
    size = content_size;
    content = malloc(size + 1);
    for (size_t i = 0; i < size; i++)
        content[i] = (char)unit_random(&seed);
    lent_count = done_count = 0;
    reading = reading_most = 0;
}

/* Everybody has got back what is theirs. */
static void end(void)
{
    turn_until_quiet();
    for (unsigned i = 0; i < lent_count; i++)
        if (lents[i].done != lents[i].taken)
            fail_msg("piece %u: %u times", i, lents[i].done);
    lent_count = done_count = 0;
    verify_room_free(&room);
    ring_destroy(ring);
    free(content);
}

static struct verify *begin_one(size_t content_size, struct fake *fake,
                                const struct sink_operations *operations)
{
    struct verify *verify;

    begin(content_size);
    fake_init(fake, operations);
    verify = verify_create(&room, &fake->sink);
    assert_non_null(verify);
    assert_false(verify_wants(verify));
    return verify;
}

static void end_one(struct verify *verify, struct fake *fake)
{
    assert_false(verify_busy(verify));
    verify_release(verify);
    sink_release(&fake->sink);
    end();
    assert_true(fake->gone);
}

/* ---- in order ---- */

/* Nothing is read, of whatever sink; short ones are not even taken. */
static void test_in_order(void **state)
{
    static const size_t lens[] = {CHUNK, 1, VERIFY_AT_ONCE_BYTES, VERIFY_AT_ONCE_BYTES + 1, MIB, 3};

    (void)state;
    for (int kind = 0; kind < 2; kind++) {
        for (enum hash_type type = HASH_MD5; type <= HASH_SHA512; type++) {
            struct fake fake;
            struct verify *verify = begin_one(3 * MIB, &fake, kind ? &unreadable : &readable);

            want(verify, VERIFY_USER, type);
            for (size_t at = 0, i = 0; at < size; i++) {
                size_t len = lens[i % COUNT_OF(lens)];

                if (len > size - at)
                    len = size - at;
                offer(verify, at, at + len);
                if (i % 2)
                    turn_a_little();
                store(&fake, at, at + len);
                verify_stored(verify);
                at += len;
            }
            assert_int_equal(finish(verify), HAUL_OK);
            assert_int_equal(fake.reads, 0);
            end_one(verify, &fake);
        }
    }
}

/* Beside any other type, or alone; of a file that comes, or is read back. */
static void test_sha256_is_told(void **state)
{
    (void)state;
    for (int way = 0; way < 8; way++) {
        struct fake fake;
        struct verify *verify = begin_one(way & 1 ? 0 : 3 * CHUNK, &fake, &readable);
        struct digest wanted, told;

        digest_of(HASH_SHA256, &wanted);
        if (way & 2)
            want(verify, VERIFY_USER, way & 4 ? HASH_SHA256 : HASH_MD5);
        verify_want_sha256(verify);
        assert_true(verify_wants(verify));
        assert_false(verify_sha256(verify, &told));
        if (way & 4)
            offer(verify, 0, size / 2);
        store(&fake, 0, size);
        verify_stored(verify);
        assert_int_equal(finish(verify), HAUL_OK);
        assert_true(verify_sha256(verify, &told));
        assert_true(digest_equal(&told, &wanted));
        end_one(verify, &fake);
    }
}

static void test_short_ones_at_once(void **state)
{
    struct fake fake;
    struct verify *verify = begin_one(100, &fake, &unreadable);

    (void)state;
    want(verify, VERIFY_USER, HASH_SHA256);
    assert_false(offer(verify, 0, 60)->taken);
    assert_false(offer(verify, 60, 100)->taken);
    assert_int_equal(ring_busy(ring), 0);
    assert_int_equal(finish(verify), HAUL_OK);
    end_one(verify, &fake);
}

static void test_nothing(void **state)
{
    struct fake fake;
    struct verify *verify = begin_one(0, &fake, &unreadable);

    (void)state;
    want(verify, VERIFY_USER, HASH_SHA256);
    assert_int_equal(finish(verify), HAUL_OK);
    verify_reset(verify);
    end_one(verify, &fake);
    verify = begin_one(0, &fake, &unreadable);
    want_other(verify, VERIFY_USER, HASH_SHA256);
    assert_int_equal(finish(verify), HAUL_CHECKSUM);
    end_one(verify, &fake);
    assert_false(verify_wants(NULL));
    assert_false(verify_busy(NULL));
    verify_stored(NULL);
    verify_reset(NULL);
    verify_release(NULL);
}

/* Those in order stay lent, however slow the hashing is; others are not taken. */
static void test_line(void **state)
{
    struct fake fake;
    struct verify *verify = begin_one(8 * CHUNK, &fake, &readable);

    (void)state;
    want(verify, VERIFY_USER, HASH_SHA1);
    block_helper();
    for (uint64_t i = 0; i < 4; i++)
        assert_true(offer(verify, i * CHUNK, (i + 1) * CHUNK)->taken);
    assert_false(offer(verify, 5 * CHUNK, 6 * CHUNK)->taken);
    assert_true(offer(verify, 4 * CHUNK, 4 * CHUNK + 1)->taken); /* short, but not its turn */
    turn_a_little();
    assert_int_equal(done_count, 0);
    unblock_helper();
    turn_until_quiet();
    assert_int_equal(done_count, 5);
    for (unsigned i = 0; i < 4; i++)
        assert_int_equal(done_order[i], i);
    assert_int_equal(done_order[4], 5);
    store(&fake, 0, size);
    verify_stored(verify);
    assert_int_equal(finish(verify), HAUL_OK);
    assert_int_equal(fake.read_bytes, size - (4 * CHUNK + 1));
    end_one(verify, &fake);
}

/* ---- out of order ---- */

static void test_out_of_order(void **state)
{
    struct fake fake;
    struct verify *verify = begin_one(8 * MIB, &fake, &readable);

    (void)state;
    want(verify, VERIFY_USER, HASH_SHA256);
    for (uint64_t at = 4 * MIB; at < 8 * MIB; at += MIB) {
        assert_false(offer(verify, at, at + MIB)->taken);
        store(&fake, at, at + MIB);
        verify_stored(verify);
    }
    turn_until_quiet();
    assert_int_equal(fake.reads, 0); /* it is not their turn */
    for (uint64_t at = 0; at < 4 * MIB; at += MIB) {
        assert_true(offer(verify, at, at + MIB)->taken);
        store(&fake, at, at + MIB);
        verify_stored(verify);
    }
    turn_until_quiet();
    assert_int_equal(fake.read_bytes, 4 * MIB); /* beside the transfer, before it is finished */
    assert_int_equal(finish(verify), HAUL_OK);
    assert_int_equal(fake.read_bytes, 4 * MIB);
    end_one(verify, &fake);
}

/* What an earlier run has left is read, and then no more. */
static void test_resumed(void **state)
{
    struct fake fake;
    struct verify *verify = begin_one(12 * MIB, &fake, &readable);
    unsigned taken = 0;

    (void)state;
    store(&fake, 0, 5 * MIB);
    want(verify, VERIFY_USER, HASH_SHA256);
    for (uint64_t at = 5 * MIB; at < size; at += CHUNK) {
        taken += offer(verify, at, at + CHUNK)->taken;
        store(&fake, at, at + CHUNK);
        verify_stored(verify);
        turn_a_little();
        turn_a_little();
    }
    assert_int_equal(finish(verify), HAUL_OK);
    assert_true(taken >= 16);
    assert_int_equal(fake.read_bytes, size - taken * CHUNK);
    end_one(verify, &fake);
}

/* A chunk is taken across what is being written, and waits for that. */
static void test_catches_up(void **state)
{
    struct fake fake;
    struct verify *verify = begin_one(4 * MIB, &fake, &readable);
    uint64_t far = 2 * MIB + CHUNK;
    struct lent *near;

    (void)state;
    store(&fake, 0, far);
    want(verify, VERIFY_USER, HASH_SHA256);
    assert_false(offer(verify, far, far + CHUNK)->taken); /* too much is missing */
    verify_stored(verify);
    turn_until_quiet();
    assert_int_equal(fake.read_bytes, far);
    /* The one before it is not stored yet. */
    near = offer(verify, far + CHUNK, far + 2 * CHUNK);
    assert_true(near->taken);
    assert_true(offer(verify, far + 2 * CHUNK, size)->taken);
    turn_until_quiet();
    assert_int_equal(near->done, 0);
    store(&fake, far + CHUNK, size); /* these come first */
    verify_stored(verify);
    turn_until_quiet();
    assert_int_equal(near->done, 0);
    store(&fake, far, far + CHUNK);
    verify_stored(verify);
    turn_until_quiet();
    assert_int_equal(near->done, 1);
    assert_int_equal(fake.read_bytes, far + CHUNK);
    assert_int_equal(finish(verify), HAUL_OK);
    end_one(verify, &fake);
}

/* Nobody is held for what nobody writes. */
static void test_gap_that_nobody_writes(void **state)
{
    struct fake fake;
    struct verify *verify = begin_one(2 * MIB, &fake, &readable);

    (void)state;
    want(verify, VERIFY_USER, HASH_SHA256);
    assert_false(offer(verify, CHUNK, 2 * CHUNK)->taken);
    assert_false(offer(verify, 2 * CHUNK, 3 * CHUNK)->taken);
    assert_false(offer(verify, 4 * CHUNK, 5 * CHUNK)->taken);
    assert_true(offer(verify, 0, CHUNK)->taken);
    assert_false(offer(verify, 5 * CHUNK, 6 * CHUNK)->taken); /* the fourth is missing */
    assert_true(offer(verify, 3 * CHUNK, 4 * CHUNK)->taken);
    assert_true(offer(verify, 6 * CHUNK, 7 * CHUNK)->taken);
    assert_true(offer(verify, 7 * CHUNK, 8 * CHUNK)->taken);
    store(&fake, 0, size);
    verify_stored(verify);
    assert_int_equal(finish(verify), HAUL_OK);
    assert_int_equal(fake.read_bytes, 4 * CHUNK);
    end_one(verify, &fake);
}

/* Of a chunk that begins earlier, only the rest is hashed. */
static void test_overlap(void **state)
{
    struct fake fake;
    struct verify *verify = begin_one(4 * CHUNK, &fake, &unreadable);

    (void)state;
    want(verify, VERIFY_USER, HASH_SHA256);
    assert_true(offer(verify, 0, CHUNK)->taken);
    assert_false(offer(verify, 100, CHUNK)->taken);
    assert_true(offer(verify, CHUNK - 4096, 3 * CHUNK)->taken);
    turn_until_quiet();
    assert_false(offer(verify, 3 * CHUNK - 1, 3 * CHUNK + 1)->taken); /* at once */
    assert_true(offer(verify, 3 * CHUNK, size)->taken);
    assert_int_equal(finish(verify), HAUL_OK);
    end_one(verify, &fake);
}

struct leg {
    uint64_t at, stored, end;
};

/* One chunk comes, or all that have come are stored; gives how much is going to be hashed from
 * memory. */
static uint64_t step_leg(struct verify *verify, struct fake *fake, struct leg *leg, uint64_t *seed)
{
    uint64_t len = unit_random(seed) % CHUNK + 1, from = leg->at;

    if (len > leg->end - leg->at)
        len = leg->end - leg->at;
    if (len > 0 && leg->at - leg->stored < 2 * CHUNK) {
        leg->at += len;
        return offer(verify, from, from + len)->taken ? len : 0;
    }
    store(fake, leg->stored, leg->at);
    leg->stored = leg->at;
    verify_stored(verify);
    return 0;
}

/* Legs that write at random speeds, in any order; some of it is there from before, and sometimes
 * all stop and go on. */
static void test_random(void **state)
{
    uint64_t hashed_from_memory = 0, all_read = 0;

    (void)state;
    for (uint64_t round = 1; round <= 60; round++) {
        struct leg legs[4];
        uint64_t seed = round, from_memory = 0, left = 1;
        struct fake fake;
        struct verify *verify = begin_one(6 * MIB + round * 1000, &fake, &readable);
        size_t part = size / COUNT_OF(legs);

        (round % 3 ? want : want_other)(verify, VERIFY_USER, HASH_MD5);
        want(verify, VERIFY_SERVER, HASH_SHA256);
        for (size_t i = 0; i < COUNT_OF(legs); i++) {
            legs[i].at = legs[i].stored = i * part;
            legs[i].end = i + 1 < COUNT_OF(legs) ? (i + 1) * part : size;
        }
        if (round % 2)
            legs[0].at = legs[0].stored = unit_random(&seed) % part;
        store(&fake, 0, legs[0].stored);
        while (left > 0) {
            from_memory +=
                step_leg(verify, &fake, &legs[unit_random(&seed) % COUNT_OF(legs)], &seed);
            if (unit_random(&seed) % 4 == 0)
                turn_a_little();
            if (round % 5 == 0 && unit_random(&seed) % 20 == 0)
                stop(verify);
            left = 0;
            for (size_t i = 0; i < COUNT_OF(legs); i++)
                left += legs[i].end - legs[i].stored;
        }
        assert_int_equal(finish(verify), round % 3 ? HAUL_OK : HAUL_CHECKSUM);
        if (round % 5) /* nothing twice */
            assert_true(fake.read_bytes + from_memory <= size);
        hashed_from_memory += from_memory;
        all_read += fake.read_bytes;
        end_one(verify, &fake);
    }
    assert_true(hashed_from_memory > 60 * MIB && all_read > 60 * MIB); /* a test of both */
}

/* ---- what is wanted ---- */

static void test_mismatch(void **state)
{
    (void)state;
    for (int source = VERIFY_USER; source <= VERIFY_SERVER; source++) {
        struct fake fake;
        struct verify *verify = begin_one(CHUNK, &fake, &readable);
        struct digest digest;
        struct haul_error error;
        char hex[HASH_HEX_MAX];

        digest_of(HASH_SHA256, &digest);
        digest_hex(&digest, hex);
        digest.bytes[0] ^= 0xff;
        assert_int_equal(verify_want(verify, source, &digest), VERIFY_TAKEN);
        /* Of two, one is enough. */
        want(verify, source == VERIFY_USER ? VERIFY_SERVER : VERIFY_USER, HASH_SHA512);
        offer(verify, 0, CHUNK);
        assert_int_equal(finish_error(verify, &error), HAUL_CHECKSUM);
        hex[16] = '\0';
        assert_non_null(strstr(error.text, "sha-256"));
        assert_non_null(strstr(error.text, hex));
        digest_hex(&digest, hex);
        hex[16] = '\0';
        assert_non_null(strstr(error.text, hex));
        assert_non_null(
            strstr(error.text, source == VERIFY_USER ? "asked for" : "the server says"));
        end_one(verify, &fake);
    }
}

/* Wherever they differ, it can be seen. */
static void test_difference_is_shown(void **state)
{
    (void)state;
    for (size_t at = 0; at < 32; at++) {
        struct fake fake;
        struct verify *verify = begin_one(1, &fake, &readable);
        struct digest digest;
        struct haul_error error;
        char found[20], wanted[20], *text;

        digest_of(HASH_SHA256, &digest);
        digest.bytes[at] ^= 0xff;
        assert_int_equal(verify_want(verify, VERIFY_USER, &digest), VERIFY_TAKEN);
        offer(verify, 0, 1);
        assert_int_equal(finish_error(verify, &error), HAUL_CHECKSUM);
        text = error.text + strlen("its sha-256 is ") + (at < 8 ? 0 : 3);
        snprintf(found, sizeof(found), "%.16s", text);
        text = strstr(error.text, "and not ") + strlen("and not ") + (at < 8 ? 0 : 3);
        snprintf(wanted, sizeof(wanted), "%.16s", text);
        assert_int_equal(strspn(found, "0123456789abcdef"), 16);
        assert_int_equal(strspn(wanted, "0123456789abcdef"), 16);
        assert_string_not_equal(found, wanted);
        end_one(verify, &fake);
    }
}

static void test_want(void **state)
{
    struct fake fake;
    struct verify *verify = begin_one(CHUNK, &fake, &readable);
    struct digest sha256, sha256_other, sha512, md5;

    (void)state;
    digest_of(HASH_SHA256, &sha256);
    sha256_other = sha256;
    sha256_other.bytes[5] ^= 1;
    digest_of(HASH_SHA512, &sha512);
    digest_of(HASH_MD5, &md5);
    assert_int_equal(verify_want(verify, VERIFY_USER, &sha256), VERIFY_TAKEN);
    assert_int_equal(verify_want(verify, VERIFY_SERVER, &sha256_other), VERIFY_REFUTED);
    assert_int_equal(verify_want(verify, VERIFY_SERVER, &sha512), VERIFY_TAKEN);
    assert_int_equal(verify_want(verify, VERIFY_SERVER, &sha512), VERIFY_TAKEN);
    sha512.bytes[63] ^= 1;
    assert_int_equal(verify_want(verify, VERIFY_SERVER, &sha512), VERIFY_CHANGED);
    assert_int_equal(verify_want(verify, VERIFY_SERVER, &md5), VERIFY_IGNORED);
    assert_int_equal(verify_want(verify, VERIFY_SERVER, &sha256_other), VERIFY_REFUTED);
    /* Another version may say otherwise. */
    verify_reset(verify);
    assert_int_equal(verify_want(verify, VERIFY_SERVER, &sha512), VERIFY_TAKEN);
    verify_reset(verify);
    /* Once it is being hashed, only what needs no other hash can still be wanted. */
    assert_true(offer(verify, 0, CHUNK)->taken);
    assert_int_equal(verify_want(verify, VERIFY_SERVER, &md5), VERIFY_IGNORED);
    assert_int_equal(verify_want(verify, VERIFY_SERVER, &sha256_other), VERIFY_REFUTED);
    assert_int_equal(verify_want(verify, VERIFY_SERVER, &sha256), VERIFY_TAKEN);
    assert_int_equal(finish(verify), HAUL_OK);
    end_one(verify, &fake);
}

static void test_nothing_wanted(void **state)
{
    struct fake fake;
    struct verify *verify = begin_one(CHUNK, &fake, &readable);

    (void)state;
    assert_false(offer(verify, 0, CHUNK)->taken);
    store(&fake, 0, CHUNK);
    verify_stored(verify);
    assert_int_equal(ring_busy(ring), 0);
    end_one(verify, &fake);
}

/* ---- a file that is there already ---- */

static void test_whole_file(void **state)
{
    struct fake fake;
    struct verify *verify = begin_one(3 * MIB + 17, &fake, &readable);

    (void)state;
    store(&fake, 0, size);
    want(verify, VERIFY_USER, HASH_SHA256);
    assert_int_equal(finish(verify), HAUL_OK);
    assert_int_equal(fake.read_bytes, size);
    /* Whatever became of it, it may be asked again... */
    fake.file[2 * MIB] ^= 1;
    assert_int_equal(finish(verify), HAUL_CHECKSUM);
    /* ...or be fetched anew. */
    extents_clear(&fake.sink.stored);
    verify_reset(verify);
    fake.reads = 0;
    offer(verify, 0, MIB);
    offer(verify, MIB, size);
    store(&fake, 0, size);
    verify_stored(verify);
    assert_int_equal(finish(verify), HAUL_OK);
    assert_int_equal(fake.reads, 0);
    end_one(verify, &fake);
}

/* ---- trouble ---- */

static void test_read_error(void **state)
{
    struct fake fake;
    struct verify *verify = begin_one(3 * MIB, &fake, &readable);
    struct haul_error error;

    (void)state;
    store(&fake, 0, MIB);
    want(verify, VERIFY_USER, HASH_SHA256);
    fake.read_error = EIO;
    assert_true(offer(verify, MIB, 2 * MIB)->taken);
    turn_until_quiet();
    assert_int_equal(done_count, 1); /* it is not kept for what will not be read */
    assert_false(offer(verify, 2 * MIB, 3 * MIB)->taken);
    store(&fake, MIB, size);
    fake.read_error = 0;
    verify_stored(verify);
    assert_int_equal(finish_error(verify, &error), HAUL_FILE_IO);
    assert_int_equal(error.system_errno, EIO);
    assert_int_equal(fake.reads, 1);
    assert_int_equal(finish(verify), HAUL_OK); /* as from the beginning */
    fake.read_error = EIO;
    assert_int_equal(finish(verify), HAUL_FILE_IO);
    fake.read_error = 0;
    verify_reset(verify);
    assert_int_equal(finish(verify), HAUL_OK);
    end_one(verify, &fake);
}

/* In the end, with a piece in line. */
static void test_read_error_at_last(void **state)
{
    struct fake fake;
    struct verify *verify = begin_one(2 * MIB, &fake, &readable);

    (void)state;
    store(&fake, 0, MIB);
    fake.slow = true;
    fake.read_error = EIO;
    want(verify, VERIFY_USER, HASH_SHA256);
    assert_true(offer(verify, MIB, 2 * MIB)->taken);
    store(&fake, MIB, size);
    fake.slow = false;
    let_read(&fake);
    assert_int_equal(finish(verify), HAUL_FILE_IO);
    assert_int_equal(done_count, 1);
    end_one(verify, &fake);
}

/* Out of order, in a sink that can't be read; or not there at all. */
static void test_not_all_there(void **state)
{
    struct fake fake;
    struct verify *verify = begin_one(2 * MIB, &fake, &unreadable);

    (void)state;
    want(verify, VERIFY_USER, HASH_SHA256);
    assert_false(offer(verify, MIB, 2 * MIB)->taken);
    assert_true(offer(verify, 0, MIB)->taken);
    store(&fake, 0, size);
    verify_stored(verify);
    assert_int_equal(finish(verify), HAUL_FILE_IO);
    end_one(verify, &fake);

    verify = begin_one(2 * MIB, &fake, &readable);
    want(verify, VERIFY_USER, HASH_SHA256);
    assert_false(offer(verify, CHUNK, 2 * CHUNK)->taken); /* it fails to be stored */
    assert_true(offer(verify, 0, CHUNK)->taken);
    assert_true(offer(verify, 2 * CHUNK, size)->taken);
    store(&fake, 0, CHUNK);
    store(&fake, 2 * CHUNK, size);
    verify_stored(verify);
    assert_int_equal(finish(verify), HAUL_FILE_IO);
    end_one(verify, &fake);
}

/* ---- stopping ---- */

enum moment { MOMENT_IDLE, MOMENT_HASHING, MOMENT_READING, MOMENT_READ_HASHING, MOMENT_WAITING };

/* Brings it there, with two pieces in line but for MOMENT_IDLE. */
static void bring_to(enum moment moment, struct verify *verify, struct fake *fake)
{
    uint64_t at = 0;

    if (moment == MOMENT_IDLE)
        return;
    if (moment == MOMENT_HASHING || moment == MOMENT_READ_HASHING)
        block_helper();
    if (moment != MOMENT_HASHING) {
        at = CHUNK;
        store(fake, 0, at);
    }
    if (moment == MOMENT_READING)
        fake->slow = true;
    if (moment == MOMENT_WAITING)
        room.taken = VERIFY_READS_MAX; /* by others */
    for (int i = 0; i < 3; i++, at += CHUNK)
        assert_true(offer(verify, at, at + CHUNK)->taken);
    if (moment == MOMENT_READ_HASHING)
        for (int i = 0; i < 20; i++)
            turn_a_little();
}

static void leave(enum moment moment, struct fake *fake)
{
    unblock_helper();
    if (moment == MOMENT_READING)
        let_read(fake);
    if (moment == MOMENT_WAITING)
        room.taken = 0;
    fake->slow = false;
}

/* Stopped while it is at something, it ends soon, gives back what it has, and either goes on or
 * begins anew, or that was it. */
static void test_stop(void **state)
{
    (void)state;
    for (enum moment moment = MOMENT_IDLE; moment <= MOMENT_WAITING; moment++) {
        for (int then = 0; then < 4; then++) {
            struct fake fake;
            struct verify *verify = begin_one(2 * MIB, &fake, &readable);
            struct told told, never = {0};

            want(verify, VERIFY_USER, HASH_SHA256);
            want(verify, VERIFY_SERVER, HASH_SHA1);
            bring_to(moment, verify, &fake);
            if (then == 3) { /* while finishing */
                store(&fake, 0, size);
                verify_finish(verify, size, told_done, &never);
            }
            stop_start(verify, &told);
            assert_false(offer(verify, size - CHUNK, size)->taken);
            for (int i = 0; i < 10; i++)
                turn_a_little();
            if (moment == MOMENT_HASHING || moment == MOMENT_READ_HASHING ||
                moment == MOMENT_READING)
                assert_int_equal(told.count, 0); /* the helper, or the sink, still has it */
            else
                assert_int_equal(told.count, 1);
            leave(moment, &fake);
            wait_for(&told);
            assert_int_equal(told.error.status, HAUL_OK);
            turn_until_quiet();
            assert_int_equal(never.count, 0);
            assert_int_equal(done_count, moment == MOMENT_IDLE ? 0 : 3);
            if (then == 1) { /* with another version */
                verify_reset(verify);
                extents_clear(&fake.sink.stored);
                content[0] ^= 1;
                want(verify, VERIFY_SERVER, HASH_SHA512);
            }
            if (then < 2) {
                fake.read_bytes = 0;
                store(&fake, 0, size);
                assert_int_equal(finish(verify), then == 1 ? HAUL_CHECKSUM : HAUL_OK);
                if (moment == MOMENT_HASHING && then == 0) /* what was in hand counts */
                    assert_int_equal(fake.read_bytes, size - CHUNK);
            }
            end_one(verify, &fake);
        }
    }
}

/* It goes on where it was. */
static void test_stop_and_go_on(void **state)
{
    struct fake fake;
    struct verify *verify = begin_one(4 * CHUNK, &fake, &unreadable);
    struct told told;

    (void)state;
    want(verify, VERIFY_USER, HASH_SHA256);
    block_helper();
    assert_true(offer(verify, 0, CHUNK)->taken);
    assert_true(offer(verify, CHUNK, 2 * CHUNK)->taken);
    stop_start(verify, &told);
    unblock_helper();
    wait_for(&told);
    assert_false(offer(verify, 0, CHUNK)->taken); /* what was in hand counts */
    assert_true(offer(verify, CHUNK, 3 * CHUNK)->taken);
    stop(verify);
    assert_true(offer(verify, 3 * CHUNK, 4 * CHUNK)->taken);
    assert_int_equal(finish(verify), HAUL_OK);
    end_one(verify, &fake);
}

/* It is asked to finish before it has stopped. */
static void test_stop_and_finish(void **state)
{
    (void)state;
    for (enum moment moment = MOMENT_IDLE; moment <= MOMENT_WAITING; moment++) {
        struct fake fake;
        struct verify *verify = begin_one(2 * MIB, &fake, &readable);
        struct told stopped, finished = {0};

        want(verify, VERIFY_USER, HASH_SHA256);
        bring_to(moment, verify, &fake);
        store(&fake, 0, size);
        stop_start(verify, &stopped);
        calling = true;
        verify_finish(verify, size, told_done, &finished);
        calling = false;
        leave(moment, &fake);
        wait_for(&stopped);
        assert_int_equal(finished.count, 0);
        wait_for(&finished);
        assert_int_equal(finished.error.status, HAUL_OK);
        end_one(verify, &fake);
    }
}

/* What is about to be read is not taken from memory when it comes once more. */
static void test_twice(void **state)
{
    struct fake fake;
    struct verify *verify = begin_one(4 * CHUNK, &fake, &readable);

    (void)state;
    want(verify, VERIFY_USER, HASH_SHA256);
    store(&fake, 0, CHUNK);
    room.taken = VERIFY_READS_MAX; /* it has to wait for a buffer */
    verify_stored(verify);
    assert_false(offer(verify, 0, CHUNK)->taken);
    assert_true(offer(verify, CHUNK, 4 * CHUNK)->taken);
    store(&fake, CHUNK, size);
    stop(verify);
    room.taken = 0;
    assert_int_equal(finish(verify), HAUL_OK);
    assert_int_equal(fake.read_bytes, size);
    end_one(verify, &fake);
}

/* ---- many at once ---- */

static void test_room(void **state)
{
    struct fake fakes[FAKES];
    struct verify *all[FAKES];
    struct told told[FAKES] = {{0}}, stopped;

    (void)state;
    begin(3 * MIB);
    for (size_t i = 0; i < FAKES; i++) {
        fake_init(&fakes[i], &readable);
        fakes[i].slow = true;
        store(&fakes[i], 0, size);
        all[i] = verify_create(&room, &fakes[i].sink);
        want(all[i], VERIFY_USER, HASH_SHA256);
        verify_finish(all[i], size, told_done, &told[i]);
    }
    turn_a_little();
    assert_int_equal(reading, VERIFY_READS_MAX);
    stop_start(all[FAKES - 1], &stopped); /* one that waits */
    wait_for(&stopped);
    for (size_t i = 0; i < FAKES; i++) {
        fakes[i].slow = false;
        if (fakes[i].waiting)
            let_read(&fakes[i]);
    }
    for (size_t i = 0; i < FAKES - 1; i++) {
        wait_for(&told[i]);
        assert_int_equal(told[i].error.status, HAUL_OK);
        assert_int_equal(fakes[i].read_bytes, size);
    }
    assert_int_equal(reading_most, VERIFY_READS_MAX);
    assert_int_equal(fakes[FAKES - 1].reads, 0);
    for (size_t i = 0; i < FAKES; i++) {
        verify_release(all[i]);
        sink_release(&fakes[i].sink);
    }
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_in_order),
        cmocka_unit_test(test_sha256_is_told),
        cmocka_unit_test(test_short_ones_at_once),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_line),
        cmocka_unit_test(test_out_of_order),
        cmocka_unit_test(test_resumed),
        cmocka_unit_test(test_catches_up),
        cmocka_unit_test(test_gap_that_nobody_writes),
        cmocka_unit_test(test_overlap),
        cmocka_unit_test(test_random),
        cmocka_unit_test(test_mismatch),
        cmocka_unit_test(test_difference_is_shown),
        cmocka_unit_test(test_want),
        cmocka_unit_test(test_nothing_wanted),
        cmocka_unit_test(test_whole_file),
        cmocka_unit_test(test_read_error),
        cmocka_unit_test(test_read_error_at_last),
        cmocka_unit_test(test_not_all_there),
        cmocka_unit_test(test_stop),
        cmocka_unit_test(test_stop_and_go_on),
        cmocka_unit_test(test_stop_and_finish),
        cmocka_unit_test(test_twice),
        cmocka_unit_test(test_room),
    };

    return UNIT_RUN(tests);
}
