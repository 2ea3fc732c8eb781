/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Every number that is read is checked before it is used: the bytes may be anybody's. */
#include "sink/journal.h"

#include <string.h>

#include "base/check.h"

enum {
    VERSION = 1,
    LENGTH_AT = 12,
    CHECKSUM_BYTES = 8,
    COPY_BYTES = 24,
    EXTENT_BYTES = 16,
    FLAG_DECIDED = 1,
    RECORD_BYTES_MAX = JOURNAL_RECORD_BLOCKS_MAX * JOURNAL_BLOCK_BYTES
};

static const struct span magic = {.data = "hauljrnl", .len = 8};

_Static_assert(48 +
                       JOURNAL_COPIES * (COPY_BYTES + JOURNAL_VALIDATOR_BYTES_MAX +
                                         JOURNAL_EXTENTS_MAX * EXTENT_BYTES) +
                       CHECKSUM_BYTES <=
                   RECORD_BYTES_MAX,
               "the longest record");
/* It begins at the first block only when it would not fit in behind the one before it. */
_Static_assert(JOURNAL_BLOCKS + 1 - 2 * JOURNAL_RECORD_BLOCKS_MAX >= JOURNAL_RECORD_BLOCKS_MAX,
               "a record touches the one before it");

void journal_drop(struct journal_copy *copy)
{
    text_free(&copy->validator);
    extents_free(&copy->stored);
    *copy = (struct journal_copy){0};
}

void journal_free(struct journal *journal)
{
    for (size_t i = 0; i < JOURNAL_COPIES; i++)
        journal_drop(&journal->copies[i]);
    *journal = (struct journal){0};
}

bool journal_set(struct journal_copy *copy, const struct extents *stored, struct span validator,
                 uint64_t total, bool decided)
{
    text_clear(&copy->validator);
    text_add(&copy->validator, validator);
    copy->total = total;
    copy->decided = decided;
    copy->there = !copy->validator.failed && extents_copy(&copy->stored, stored);
    return copy->there;
}

/* --- reading --------------------------------------------------------------------------------- */

/* What is left of a record; a number beyond its end is 0 and makes it bad. */
struct reader {
    struct span rest;
    bool bad;
};

static uint64_t take(struct reader *reader, size_t bytes)
{
    uint64_t value = 0;

    if (reader->rest.len < bytes) {
        reader->bad = true;
        return 0;
    }
    for (size_t i = bytes; i-- > 0;)
        value = value << 8 | (unsigned char)reader->rest.data[i];
    reader->rest = span_sub(reader->rest, bytes, reader->rest.len);
    return value;
}

static struct span take_span(struct reader *reader, size_t bytes)
{
    struct span span = span_sub(reader->rest, 0, bytes);

    reader->bad = reader->bad || span.len < bytes;
    reader->rest = span_sub(reader->rest, bytes, reader->rest.len);
    return span;
}

/* The record that these bytes begin with, without its checksum, if that is right; else empty. */
static struct span checked_record(struct span bytes)
{
    struct reader reader = {.rest = span_sub(bytes, LENGTH_AT, 4)};
    struct reader sum;
    size_t len = (size_t)take(&reader, 4);
    struct span record = span_sub(bytes, 0, len - CHECKSUM_BYTES);

    if (reader.bad || len < CHECKSUM_BYTES || len > RECORD_BYTES_MAX || len > bytes.len)
        return span_make("", 0);
    sum.rest = span_sub(bytes, len - CHECKSUM_BYTES, CHECKSUM_BYTES);
    sum.bad = false;
    if (take(&sum, CHECKSUM_BYTES) != span_hash(record, VERSION))
        return span_make("", 0);
    return record;
}

/* False: out of memory. */
static bool read_extents(struct reader *reader, size_t count, struct journal_copy *copy)
{
    uint64_t before = 0;

    for (size_t i = 0; i < count && !reader->bad; i++) {
        uint64_t from = take(reader, 8), to = take(reader, 8);

        reader->bad = reader->bad || from >= to || to > copy->total || (i > 0 && from <= before);
        if (!reader->bad && !extents_add(&copy->stored, from, to))
            return false;
        before = to;
    }
    return true;
}

/* False: out of memory. */
static bool read_copy(struct reader *reader, struct journal *journal)
{
    uint64_t slot = take(reader, 4), flags = take(reader, 4), total = take(reader, 8);
    size_t validator_len = (size_t)take(reader, 4), count = (size_t)take(reader, 4);
    struct span validator = take_span(reader, validator_len);
    struct journal_copy *copy;

    if (reader->bad || slot >= JOURNAL_COPIES || journal->copies[slot].there ||
        validator_len > JOURNAL_VALIDATOR_BYTES_MAX || count > JOURNAL_EXTENTS_MAX) {
        reader->bad = true;
        return true;
    }
    copy = &journal->copies[slot];
    copy->there = true;
    copy->decided = flags & FLAG_DECIDED;
    copy->total = total;
    journal->mentioned[slot] = true;
    text_add(&copy->validator, validator);
    return !copy->validator.failed && read_extents(reader, count, copy);
}

/* What the record says, if it is a good one of this URL; *journal was zeroed. False: out of memory.
 */
static bool read_record(struct journal *journal, struct span record, struct span url, bool *good)
{
    struct reader reader = {.rest = record};
    struct span mark = take_span(&reader, magic.len);
    uint64_t version = take(&reader, 4), sequence, hash, second_hash, count, newest;

    (void)take(&reader, 4); /* its length: known */
    sequence = take(&reader, 8);
    hash = take(&reader, 8);
    second_hash = take(&reader, 8);
    count = take(&reader, 4);
    newest = take(&reader, 4);
    *good = !reader.bad && span_equal(mark, magic) && version == VERSION && sequence > 0 &&
            sequence < UINT64_MAX && hash == span_hash(url, 1) &&
            second_hash == span_hash(url, 2) && count <= JOURNAL_COPIES && newest < JOURNAL_COPIES;
    for (uint64_t i = 0; *good && i < count; i++) {
        if (!read_copy(&reader, journal))
            return false;
        *good = !reader.bad;
    }
    *good = *good && reader.rest.len == 0;
    journal->sequence = sequence;
    journal->newest = (unsigned)newest;
    return true;
}

static unsigned blocks_of(size_t bytes)
{
    return (unsigned)((bytes + JOURNAL_BLOCK_BYTES - 1) / JOURNAL_BLOCK_BYTES);
}

/* Takes `other` over if it is the later one, and what it mentions in any case. Frees it. */
static void merge(struct journal *journal, struct journal *other)
{
    for (size_t i = 0; i < JOURNAL_COPIES; i++) {
        journal->mentioned[i] |= other->mentioned[i];
        other->mentioned[i] = journal->mentioned[i];
    }
    if (other->sequence > journal->sequence) {
        struct journal earlier = *journal;

        *journal = *other;
        *other = earlier;
    }
    journal_free(other);
}

bool journal_read(struct journal *journal, struct span bytes, struct span url)
{
    unsigned used = blocks_of(bytes.len);

    *journal = (struct journal){0};
    for (unsigned block = 0; block < used && block < JOURNAL_BLOCKS; block++) {
        struct span rest = span_sub(bytes, (size_t)block * JOURNAL_BLOCK_BYTES, bytes.len);
        struct span record = checked_record(rest);
        struct journal found = {.block = block, .blocks = blocks_of(record.len + CHECKSUM_BYTES)};
        bool good = false;

        if (record.len > 0 && !read_record(&found, record, url, &good)) {
            journal_free(&found);
            journal_free(journal);
            return false;
        }
        if (good)
            merge(journal, &found);
        else
            journal_free(&found);
    }
    journal->used = used < JOURNAL_BLOCKS ? used : JOURNAL_BLOCKS;
    return true;
}

/* --- writing --------------------------------------------------------------------------------- */

static void put(struct text *text, uint64_t value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        text_add_char(text, (char)(value >> 8 * i));
}

static void put_copy(struct text *text, const struct journal_copy *copy, size_t slot)
{
    size_t count = extents_count(&copy->stored);

    CHECK(copy->validator.len <= JOURNAL_VALIDATOR_BYTES_MAX);
    if (count > JOURNAL_EXTENTS_MAX)
        count = JOURNAL_EXTENTS_MAX;
    put(text, slot, 4);
    put(text, copy->decided ? FLAG_DECIDED : 0, 4);
    put(text, copy->total, 8);
    put(text, copy->validator.len, 4);
    put(text, count, 4);
    text_add(text, text_span(&copy->validator));
    for (size_t i = 0; i < count; i++) {
        struct extent extent = extents_at(&copy->stored, i);

        put(text, extent.from, 8);
        put(text, extent.to, 8);
    }
}

static void put_record(struct text *text, const struct journal *journal, struct span url)
{
    size_t count = 0, len;

    for (size_t i = 0; i < JOURNAL_COPIES; i++)
        count += journal->copies[i].there;
    text_clear(text);
    text_add(text, magic);
    put(text, VERSION, 4);
    put(text, 0, 4);
    put(text, journal->sequence + 1, 8);
    put(text, span_hash(url, 1), 8);
    put(text, span_hash(url, 2), 8);
    put(text, count, 4);
    put(text, journal->newest, 4);
    for (size_t i = 0; i < JOURNAL_COPIES; i++)
        if (journal->copies[i].there)
            put_copy(text, &journal->copies[i], i);
    if (text->failed)
        return;
    len = text->len + CHECKSUM_BYTES;
    for (size_t i = 0; i < 4; i++)
        text->data[LENGTH_AT + i] = (char)(len >> 8 * i);
    put(text, span_hash(text_span(text), VERSION), CHECKSUM_BYTES);
    while (!text->failed && text->len % JOURNAL_BLOCK_BYTES != 0)
        text_add_char(text, '\0');
}

bool journal_append(struct journal *journal, struct span url, struct text *record, uint64_t *offset)
{
    unsigned block = journal->block + journal->blocks, blocks;

    put_record(record, journal, url);
    if (record->failed)
        return false;
    blocks = blocks_of(record->len);
    if (block + blocks > JOURNAL_BLOCKS)
        block = 0;
    *offset = (uint64_t)block * JOURNAL_BLOCK_BYTES;
    journal->sequence++;
    journal->block = block;
    journal->blocks = blocks;
    if (journal->used < block + blocks)
        journal->used = block + blocks;
    for (size_t i = 0; i < JOURNAL_COPIES; i++)
        journal->mentioned[i] |= journal->copies[i].there;
    return true;
}

/* --- what can be trusted --------------------------------------------------------------------- */

bool journal_sound(const struct extents *stored, uint64_t total, uint64_t file_bytes,
                   struct extents *sound)
{
    extents_clear(sound);
    for (size_t i = 0; i < extents_count(stored); i++) {
        struct extent extent = extents_at(stored, i);
        uint64_t odd = extent.from % JOURNAL_BLOCK_BYTES;

        if (odd > 0 && __builtin_add_overflow(extent.from, JOURNAL_BLOCK_BYTES - odd, &extent.from))
            continue;
        if (extent.to > file_bytes)
            extent.to = file_bytes;
        if (extent.to != total)
            extent.to -= extent.to % JOURNAL_BLOCK_BYTES;
        if (extent.from < extent.to && !extents_add(sound, extent.from, extent.to))
            return false;
    }
    return true;
}
