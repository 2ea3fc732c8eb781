/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Input: a byte of flags, and a journal. The fuzzer can't guess checksums and hashes, so they are
 * put right, where the flags say so, in each block that begins as a record does.
 */
#include "tests/fuzz/fuzz.h"

#include "sink/journal.h"

enum { SEAL = 1, SPREAD = 2, LENGTH_AT = 12, HASHES_AT = 24, HEAD_BYTES = 48, SUM_BYTES = 8 };

static const char url[] = "http://h/f";

static void put(char *at, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (char)(value >> 8 * i);
}

static size_t get_length(const char *record)
{
    size_t len = 0;

    for (size_t i = 4; i-- > 0;)
        len = len << 8 | (unsigned char)record[LENGTH_AT + i];
    return len;
}

static void seal(char *record, size_t left)
{
    size_t len;

    if (left < HEAD_BYTES + SUM_BYTES || memcmp(record, "hauljrnl", 8) != 0)
        return;
    len = get_length(record);
    if (len < HEAD_BYTES + SUM_BYTES || len > left)
        len = left < (size_t)JOURNAL_RECORD_BLOCKS_MAX * JOURNAL_BLOCK_BYTES
                  ? left
                  : (size_t)JOURNAL_RECORD_BLOCKS_MAX * JOURNAL_BLOCK_BYTES;
    put(record + 8, 1, 4);
    put(record + LENGTH_AT, len, 4);
    put(record + HASHES_AT, span_hash(span_of(url), 1), 8);
    put(record + HASHES_AT + 8, span_hash(span_of(url), 2), 8);
    put(record + len - SUM_BYTES, span_hash(span_make(record, len - SUM_BYTES), 1), SUM_BYTES);
}

/* Each record that the input has begins a block, so that short inputs have several. */
static size_t spread(char *bytes, struct span input)
{
    size_t used = 0;

    while (input.len > 0 && used < JOURNAL_BYTES) {
        size_t len = input.len;

        for (size_t i = 1; i + 8 <= input.len && len == input.len; i++)
            if (memcmp(input.data + i, "hauljrnl", 8) == 0)
                len = i;
        input.len -= len;
        if (len > JOURNAL_BYTES - used)
            len = JOURNAL_BYTES - used;
        memcpy(bytes + used, input.data, len);
        seal(bytes + used, len);
        input.data += len;
        used += (len + JOURNAL_BLOCK_BYTES - 1) / JOURNAL_BLOCK_BYTES * JOURNAL_BLOCK_BYTES;
    }
    return used;
}

static void check_copy(const struct journal_copy *copy)
{
    struct extents sound = {0};
    uint64_t file_bytes = copy->total / 2;
    uint64_t end = 0;

    for (size_t i = 0; i < extents_count(&copy->stored); i++) {
        struct extent extent = extents_at(&copy->stored, i);

        CHECK(extent.from < extent.to && extent.to <= copy->total);
        CHECK(i == 0 || extent.from > end);
        end = extent.to;
    }
    CHECK(journal_sound(&copy->stored, copy->total, file_bytes, &sound));
    for (size_t i = 0; i < extents_count(&sound); i++) {
        struct extent extent = extents_at(&sound, i);

        CHECK(extents_has(&copy->stored, extent.from, extent.to) && extent.to <= file_bytes);
        CHECK(extent.from % JOURNAL_BLOCK_BYTES == 0);
    }
    extents_free(&sound);
}

static void check_same(const struct journal_copy *a, const struct journal_copy *b)
{
    CHECK(a->there == b->there);
    if (!a->there)
        return;
    CHECK(a->decided == b->decided && a->total == b->total);
    CHECK(span_equal(text_span(&a->validator), text_span(&b->validator)));
    CHECK(extents_count(&a->stored) == extents_count(&b->stored));
    for (size_t i = 0; i < extents_count(&a->stored); i++)
        CHECK(extents_at(&a->stored, i).from == extents_at(&b->stored, i).from &&
              extents_at(&a->stored, i).to == extents_at(&b->stored, i).to);
}

/* What was read can be gone on from: the next record counts, and says the same. */
static void go_on(struct journal *journal, char *bytes, size_t len)
{
    uint64_t sequence = journal->sequence, offset = 0;
    struct text record = {0};
    struct journal again;

    /* There is a last number, which none of our own journals ever comes to. */
    for (int i = 0; i < 3 && sequence < UINT64_MAX - 1; i++) {
        CHECK(journal_append(journal, span_of(url), &record, &offset));
        CHECK(offset + record.len <= JOURNAL_BYTES && record.len % JOURNAL_BLOCK_BYTES == 0);
        memcpy(bytes + offset, record.data, record.len);
        if (len < offset + record.len)
            len = (size_t)offset + record.len;
        CHECK(journal_read(&again, span_make(bytes, len), span_of(url)));
        CHECK(again.sequence == ++sequence && again.block == journal->block);
        for (size_t copy = 0; copy < JOURNAL_COPIES; copy++)
            check_same(&journal->copies[copy], &again.copies[copy]);
        journal_free(&again);
    }
    text_free(&record);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char bytes[JOURNAL_BYTES];
    struct span input = fuzz_span(data, size);
    uint8_t flags = fuzz_byte(&input);
    struct journal journal;
    size_t len;
    char *copy;

    memset(bytes, 0, sizeof(bytes));
    if (flags & SPREAD) {
        len = spread(bytes, input);
    } else {
        len = input.len < sizeof(bytes) ? input.len : sizeof(bytes);
        memcpy(bytes, input.data, len);
        for (size_t at = 0; flags & SEAL && at < len; at += JOURNAL_BLOCK_BYTES)
            seal(bytes + at, len - at);
    }
    copy = fuzz_copy(span_make(bytes, len));
    CHECK(journal_read(&journal, span_make(copy, len), span_of(url)));
    free(copy);
    CHECK(journal.used <= JOURNAL_BLOCKS && journal.block + journal.blocks <= JOURNAL_BLOCKS);
    for (size_t i = 0; i < JOURNAL_COPIES; i++) {
        CHECK(journal.sequence > 0 || !journal.copies[i].there);
        CHECK(journal.mentioned[i] || !journal.copies[i].there);
        check_copy(&journal.copies[i]);
    }
    go_on(&journal, bytes, len);
    journal_free(&journal);
    return 0;
}
