/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "sink/journal.h"

#define URL "http://h.example/a.jpg"

enum { BLOCK = JOURNAL_BLOCK_BYTES, ROUNDS = 3000 };

/* The file, as far as it was written. */
static char file[JOURNAL_BYTES];
static size_t file_len;

static void begin(void)
{
    memset(file, 0, sizeof(file));
    file_len = 0;
}

/* A copy with `count` extents of a block each, every other block from `first` on. */
static void set(struct journal *journal, unsigned slot, const char *validator, uint64_t first,
                size_t count)
{
    struct extents stored = {0};

    for (size_t i = 0; i < count; i++)
        assert_true(extents_add(&stored, (first + 2 * i) * BLOCK, (first + 2 * i + 1) * BLOCK));
    assert_true(journal_set(&journal->copies[slot], &stored, span_of(validator), UINT64_C(1) << 40,
                            slot == 1));
    journal->newest = slot;
    extents_free(&stored);
}

/* Where it was put. */
static uint64_t append(struct journal *journal)
{
    struct text record = {0};
    uint64_t offset;

    assert_true(journal_append(journal, SPAN(URL), &record, &offset));
    assert_int_equal(record.len % BLOCK, 0);
    assert_int_equal(offset % BLOCK, 0);
    assert_in_range(offset + record.len, BLOCK, JOURNAL_BYTES);
    memcpy(file + offset, record.data, record.len);
    if (file_len < offset + record.len)
        file_len = offset + record.len;
    text_free(&record);
    return offset;
}

/* Without the zeros behind it. */
static size_t record_bytes(const char *record)
{
    return (unsigned char)record[12] | (size_t)(unsigned char)record[13] << 8;
}

/* From memory that ends where the bytes do. */
static void read_bytes(struct journal *journal, const char *bytes, size_t len)
{
    char *copy = unit_copy(bytes, len);

    assert_true(journal_read(journal, span_make(copy, len), SPAN(URL)));
    free(copy);
}

static void assert_copy(const struct journal *journal, unsigned slot, const char *validator,
                        uint64_t first, size_t count)
{
    const struct journal_copy *copy = &journal->copies[slot];

    assert_true(copy->there);
    assert_span(text_span(&copy->validator), validator);
    assert_int_equal(copy->total, UINT64_C(1) << 40);
    assert_int_equal(copy->decided, slot == 1);
    assert_int_equal(extents_count(&copy->stored), count);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(extents_at(&copy->stored, i).from, (first + 2 * i) * BLOCK);
        assert_int_equal(extents_at(&copy->stored, i).to, (first + 2 * i + 1) * BLOCK);
    }
}

static void test_round_trip(void **state)
{
    struct journal journal = {0}, got;

    (void)state;
    begin();
    read_bytes(&got, "", 0);
    assert_int_equal(got.sequence, 0);
    set(&journal, 0, "\"v1\"", 3, 5);
    assert_int_equal(append(&journal), 0);
    read_bytes(&got, file, file_len);
    assert_int_equal(got.sequence, 1);
    assert_copy(&got, 0, "\"v1\"", 3, 5);
    assert_false(got.copies[1].there);
    assert_true(got.mentioned[0] && !got.mentioned[1]);
    assert_int_equal(got.newest, 0);
    journal_free(&got);
    set(&journal, 1, "", 0, 0); /* nothing stored, no validator */
    append(&journal);
    read_bytes(&got, file, file_len);
    assert_int_equal(got.sequence, 2);
    assert_int_equal(got.block, 1);
    assert_int_equal(got.newest, 1);
    assert_copy(&got, 0, "\"v1\"", 3, 5);
    assert_copy(&got, 1, "", 0, 0);
    journal_free(&got);
    /* Only the last one counts; but what others mention is told. */
    journal_drop(&journal.copies[0]);
    append(&journal);
    read_bytes(&got, file, file_len);
    assert_false(got.copies[0].there);
    assert_true(got.mentioned[0] && got.mentioned[1]);
    journal_free(&got);
    journal_free(&journal);
}

/* The bytes that the header of journal.h promises, so that no later haul reads them otherwise. */
static void test_format(void **state)
{
    static const unsigned char head[] = {'h', 'a', 'u', 'l', 'j', 'r', 'n', 'l', 1, 0, 0, 0,
                                         101, 0,   0,   0,   1,   0,   0,   0,   0, 0, 0, 0};
    static const unsigned char copy[] = {1,  0, 0, 0, 1, 0, 0, 0, 1,  2,   3,   4,   5,   6,   7,
                                         8,  5, 0, 0, 0, 1, 0, 0, 0,  '"', 'a', 'b', 'c', '"', 0,
                                         16, 0, 0, 0, 0, 0, 0, 0, 32, 0,   0,   0,   0,   0,   0};
    struct journal journal = {.newest = 1};
    struct extents stored = {0};

    (void)state;
    begin();
    assert_true(extents_add(&stored, BLOCK, 2 * BLOCK));
    assert_true(journal_set(&journal.copies[1], &stored, SPAN("\"abc\""),
                            UINT64_C(0x0807060504030201), true));
    append(&journal);
    assert_memory_equal(file, head, sizeof(head));
    assert_int_equal(file[40], 1);
    assert_int_equal(file[44], 1);
    assert_memory_equal(file + 48, copy, sizeof(copy));
    for (size_t i = 101; i < BLOCK; i++)
        assert_int_equal(file[i], 0);
    extents_free(&stored);
    journal_free(&journal);
}

/* It goes round; a record never touches the one before it, and the last one is always found. */
static void test_goes_round(void **state)
{
    struct journal journal = {0};
    uint64_t random = 9, from = 0, to = 0;
    bool wrapped = false;

    (void)state;
    begin();
    for (int round = 1; round < ROUNDS / 10; round++) {
        size_t count = unit_random(&random) % (JOURNAL_EXTENTS_MAX + 1);
        size_t other = unit_random(&random) % (JOURNAL_EXTENTS_MAX + 1);
        struct journal got;
        uint64_t offset;

        set(&journal, 1, "\"b\"", 0, other);
        set(&journal, 0, "\"a\"", 1, count);
        offset = append(&journal);
        assert_true(offset + (uint64_t)journal.blocks * BLOCK <= from || offset >= to);
        wrapped |= offset < from;
        from = offset;
        to = offset + (uint64_t)journal.blocks * BLOCK;
        read_bytes(&got, file, file_len);
        assert_int_equal(got.sequence, round);
        assert_int_equal(got.block, journal.block);
        assert_int_equal(got.blocks, journal.blocks);
        assert_copy(&got, 0, "\"a\"", 1, count);
        assert_copy(&got, 1, "\"b\"", 0, other);
        journal_free(&journal);
        journal = got; /* another run goes on */
    }
    assert_true(wrapped);
    journal_free(&journal);
}

/* A write that a crash cut short, at any byte, leaves the record before it. */
static void test_cut_short(void **state)
{
    struct journal journal = {0};
    char before[JOURNAL_BYTES];
    uint64_t random = 4;

    (void)state;
    begin();
    set(&journal, 0, "\"a\"", 1, 1);
    append(&journal);
    for (int round = 0; round < 40; round++) {
        size_t len, count = unit_random(&random) % JOURNAL_EXTENTS_MAX;
        struct journal got;
        uint64_t offset;

        memcpy(before, file, sizeof(file));
        set(&journal, 0, "\"a\"", 1, count + 1);
        offset = append(&journal);
        len = (size_t)journal.blocks * BLOCK;
        for (size_t cut = 0; cut < len; cut += 1 + unit_random(&random) % 400) {
            char after[JOURNAL_BYTES];
            bool whole;

            memcpy(after, before, sizeof(after));
            memcpy(after + offset, file + offset, cut);
            whole = memcmp(after + offset, file + offset, record_bytes(file + offset)) == 0;
            read_bytes(&got, after, sizeof(after));
            assert_int_equal(got.sequence, journal.sequence - !whole);
            journal_free(&got);
        }
    }
    journal_free(&journal);
}

/* Nobody can make it say something else by chance, or make it read beyond its bytes. */
static void test_damaged(void **state)
{
    struct journal journal = {0}, got;
    uint64_t random = 7;

    (void)state;
    begin();
    set(&journal, 0, "\"a\"", 1, 3);
    set(&journal, 1, "\"b\"", 1, 40);
    append(&journal);
    for (int round = 0; round < ROUNDS; round++) {
        char bad[JOURNAL_BYTES];
        size_t len = unit_random(&random) % 4 == 0 ? unit_random(&random) % file_len : file_len;
        size_t flips = unit_random(&random) % 4;

        memcpy(bad, file, file_len);
        for (size_t i = 0; i < flips; i++)
            bad[unit_random(&random) % 900] ^= (char)(1 << unit_random(&random) % 8);
        read_bytes(&got, bad, len);
        if (got.sequence > 0)
            assert_int_equal(memcmp(bad, file, record_bytes(file)), 0);
        journal_free(&got);
    }
    journal_free(&journal);
}

/* Puts a right checksum under whatever the record says. */
static void seal(char *record, size_t len)
{
    uint64_t sum;

    record[12] = (char)len;
    record[13] = (char)(len >> 8);
    sum = span_hash(span_make(record, len - 8), 1);
    for (size_t i = 0; i < 8; i++)
        record[len - 8 + i] = (char)(sum >> 8 * i);
}

/* Records whose checksum is right, and that make no sense. */
static void test_senseless(void **state)
{
    static const struct {
        size_t at;
        char value;
    } rows[] = {
        {0, 'H'},           /* the mark */
        {8, 2},             /* another version */
        {16, 0},            /* sequence */
        {24, 1},            /* URL */
        {32, 1},   {40, 1}, /* fewer copies, more... */
        {40, 3},            /* ...or none of ours */
        {44, 2},            /* newest */
        {48, 1},            /* the same slot twice */
        {48, 2},            /* no slot */
        {64, 4},            /* the validator's length */
        {67, 1},            /* far beyond the end */
        {68, 0},            /* extents */
        {69, 2},            /* too many */
        {82, 64},           /* from behind to */
        {92, 96},           /* the second extent begins in the first */
        {104, 99},          /* beyond the total */
    };
    struct journal journal = {0}, got;
    size_t len;

    (void)state;
    begin();
    set(&journal, 0, "\"a\"", 1, 2);
    set(&journal, 1, "\"b\"", 1, 1);
    append(&journal);
    len = record_bytes(file);
    seal(file, len);
    read_bytes(&got, file, BLOCK);
    assert_int_equal(got.sequence, 1);
    journal_free(&got);
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        char bad[BLOCK];

        memcpy(bad, file, sizeof(bad));
        assert_true(bad[rows[i].at] != rows[i].value);
        bad[rows[i].at] = rows[i].value;
        seal(bad, len);
        read_bytes(&got, bad, sizeof(bad));
        assert_int_equal(got.sequence, 0);
        assert_false(got.copies[0].there || got.copies[1].there || got.mentioned[0]);
        journal_free(&got);
    }
    /* Nothing could follow the last sequence number. */
    for (int last = 0; last < 2; last++) {
        char bad[BLOCK];

        memcpy(bad, file, sizeof(bad));
        memset(bad + 16, 0xff, 8);
        bad[16] = (char)(last ? 0xff : 0xfe);
        seal(bad, len);
        read_bytes(&got, bad, sizeof(bad));
        assert_int_equal(got.sequence, last ? 0 : UINT64_MAX - 1);
        journal_free(&got);
    }
    for (size_t shorter = 0; shorter < len; shorter++) {
        char bad[BLOCK] = {0};

        memcpy(bad, file, shorter);
        if (shorter >= 24)
            seal(bad, shorter);
        read_bytes(&got, bad, sizeof(bad));
        assert_int_equal(got.sequence, 0);
        journal_free(&got);
    }
    journal_free(&journal);
}

/* A validator that no record of ours has could not be written again. */
static void test_long_validator(void **state)
{
    (void)state;
    for (size_t more = 0; more < 2; more++) {
        struct journal journal = {0}, got;
        size_t len;

        begin();
        set(&journal, 0, "", 0, 0);
        append(&journal);
        len = record_bytes(file) + JOURNAL_VALIDATOR_BYTES_MAX + more;
        memset(file + 72, 'v', sizeof(file) - 72);
        file[64] = (char)(JOURNAL_VALIDATOR_BYTES_MAX + more);
        file[65] = (char)((JOURNAL_VALIDATOR_BYTES_MAX + more) >> 8);
        seal(file, len);
        read_bytes(&got, file, BLOCK);
        assert_int_equal(got.sequence, more ? 0 : 1);
        journal_free(&got);
        journal_free(&journal);
    }
}

static void test_too_many_extents(void **state)
{
    struct journal journal = {0}, got;

    (void)state;
    begin();
    set(&journal, 0, "\"a\"", 1, JOURNAL_EXTENTS_MAX + 100);
    append(&journal);
    read_bytes(&got, file, file_len);
    assert_copy(&got, 0, "\"a\"", 1, JOURNAL_EXTENTS_MAX);
    journal_free(&got);
    journal_free(&journal);
}

static void test_sound(void **state)
{
    static const struct {
        uint64_t from, to, total, file_bytes;
        struct extent sound; /* empty: nothing */
    } rows[] = {
        {0, 8192, UINT64_MAX, 8192, {0, 8192}},
        {0, 8191, UINT64_MAX, 8192, {0, 4096}},
        {1, 8192, UINT64_MAX, 8192, {4096, 8192}},
        {1, 8191, UINT64_MAX, 8192, {0, 0}},
        {0, 8191, 8191, 8191, {0, 8191}},
        {0, 8191, 8191, 100000, {0, 8191}},
        {0, 8191, 8192, 100000, {0, 4096}},
        {0, 8191, 8191, 8190, {0, 4096}}, /* the file was cut off */
        {0, 8192, 8192, 4095, {0, 0}},
        {8192, 12288, 12288, 8192, {0, 0}},
        {5000, 5001, 5001, 5001, {0, 0}},
        {UINT64_MAX - 1, UINT64_MAX, UINT64_MAX, UINT64_MAX, {0, 0}},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(rows); i++) {
        struct extents stored = {0}, sound = {0};

        assert_true(extents_add(&sound, 5, 6)); /* is replaced */
        assert_true(extents_add(&stored, rows[i].from, rows[i].to));
        assert_true(journal_sound(&stored, rows[i].total, rows[i].file_bytes, &sound));
        assert_int_equal(extents_count(&sound), rows[i].sound.to > 0);
        if (rows[i].sound.to > 0) {
            assert_int_equal(extents_at(&sound, 0).from, rows[i].sound.from);
            assert_int_equal(extents_at(&sound, 0).to, rows[i].sound.to);
        }
        extents_free(&stored);
        extents_free(&sound);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_format),
        cmocka_unit_test(test_goes_round),     cmocka_unit_test(test_cut_short),
        cmocka_unit_test(test_damaged),        cmocka_unit_test(test_senseless),
        cmocka_unit_test(test_long_validator), cmocka_unit_test(test_too_many_extents),
        cmocka_unit_test(test_sound),
    };

    return UNIT_RUN(tests);
}
