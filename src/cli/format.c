/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Columns are counted by our own table of wide characters, not by the locale's: names come from
 * servers and are UTF-8 whatever the locale says. The table is coarse (whole blocks of symbols
 * that are mostly emoji): a column too many leaves a gap, one too few would break the display.
 */
#include "cli/format.h"

#include "base/check.h"

void format_size(struct text *text, uint64_t bytes)
{
    static const char *const units[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    uint64_t whole = bytes;
    uint64_t rest = 0; /* of 1024 parts of what follows the point */
    size_t unit = 0;
    uint64_t tenths;

    if (bytes < 1024) {
        text_printf(text, "%u B", (unsigned)bytes);
        return;
    }
    rest = whole % 1024;
    whole /= 1024;
    while (whole >= 1024) {
        rest = whole % 1024;
        whole /= 1024;
        unit++;
    }
    tenths = whole * 10 + (rest * 10 + 512) / 1024;
    if (tenths >= 10240) {
        tenths = 10;
        unit++;
    }
    CHECK(unit < COUNT_OF(units));
    text_printf(text, "%u.%u %s", (unsigned)(tenths / 10), (unsigned)(tenths % 10), units[unit]);
}

void format_rate(struct text *text, uint64_t bytes_per_second)
{
    format_size(text, bytes_per_second);
    text_printf(text, "/s");
}

void format_duration(struct text *text, uint64_t seconds)
{
    unsigned long long s = seconds;

    if (s < 60)
        text_printf(text, "%llus", s);
    else if (s < 3600)
        text_printf(text, "%llum%02llus", s / 60, s % 60);
    else if (s < 48 * 3600)
        text_printf(text, "%lluh%02llum", s / 3600, s / 60 % 60);
    else
        text_printf(text, "%llud%02lluh", s / (24 * 3600), s / 3600 % 24);
}

struct range {
    uint32_t first;
    uint32_t last;
};

static const struct range wide[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x23e9, 0x23ff},   {0x25fd, 0x25fe},
    {0x2600, 0x27bf},   {0x2b00, 0x2bff},   {0x2e80, 0x303f},   {0x3040, 0xa4cf},
    {0xa960, 0xa97f},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe10, 0xfe19},
    {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x16fe0, 0x18dff},
    {0x1aff0, 0x1b2ff}, {0x1d300, 0x1d37f}, {0x1f000, 0x1faff}, {0x20000, 0x3ffff},
};

static const struct range combining[] = {
    {0x0300, 0x036f}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff}, {0x200b, 0x200f},
    {0x20d0, 0x20ff}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xe0100, 0xe01ef},
};

static bool is_in(uint32_t character, const struct range *ranges, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (character >= ranges[i].first && character <= ranges[i].last)
            return true;
    return false;
}

/* Takes one character from the front of valid UTF-8; what is not, goes byte by byte. */
static uint32_t next_character(struct span *s, struct span *bytes)
{
    unsigned char lead = (unsigned char)s->data[0];
    size_t len = lead < 0xc0 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    uint32_t character = len == 1 ? lead : lead & (0x7fU >> len);

    if (len > s->len)
        len = 1;
    for (size_t i = 1; i < len; i++)
        character = character << 6 | ((unsigned char)s->data[i] & 0x3fU);
    *bytes = span_sub(*s, 0, len);
    *s = span_sub(*s, len, s->len);
    return character;
}

static size_t cells_of(uint32_t character)
{
    if (character < 0x300)
        return 1;
    if (is_in(character, combining, COUNT_OF(combining)))
        return 0;
    return is_in(character, wide, COUNT_OF(wide)) ? 2 : 1;
}

size_t format_cells(struct span s)
{
    struct span bytes;
    size_t cells = 0;

    while (s.len > 0)
        cells += cells_of(next_character(&s, &bytes));
    return cells;
}

size_t format_cut(struct text *text, struct span s, size_t columns)
{
    size_t cells = format_cells(s);
    size_t taken = 0;

    if (cells <= columns) {
        text_add(text, s);
        return cells;
    }
    if (columns == 0)
        return 0;
    while (s.len > 0) {
        struct span bytes;

        cells = cells_of(next_character(&s, &bytes));
        if (taken + cells > columns - 1)
            break;
        text_add(text, bytes);
        taken += cells;
    }
    text_printf(text, "\u2026");
    return taken + 1;
}
