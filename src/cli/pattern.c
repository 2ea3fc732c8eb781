/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A pattern is its bytes without backslashes, cut into pieces:
 *
 *   before, glob, before, glob, ... tail
 *
 * Each glob counts its own results; to step is to add one to the last of them, with carry.
 */
#include "cli/pattern.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

enum { DIGITS_MAX = 32, OUTSIDE_ESCAPES = 4 /* of those below */ };

/* What a backslash takes the meaning of: outside of braces the first four only, since browsers
 * have it for a slash there. */
static const char escapes[] = "{}[],\\";

struct parser {
    struct pattern *pattern;
    struct span text;
    size_t at;
    size_t literal; /* where in the bytes what stands before the next glob begins */
    struct haul_error *error;
};

static bool out_of_memory(struct haul_error *error)
{
    error_set(error, HAUL_OUT_OF_MEMORY, 0, "out of memory");
    return false;
}

/* at: the byte that is wrong; its column counts characters. */
static bool wrong(const struct parser *parser, size_t at, const char *why)
{
    size_t column = 1;

    for (size_t i = 0; i < at; i++)
        column += ((unsigned char)parser->text.data[i] & 0xc0) != 0x80;
    error_set(parser->error, HAUL_BAD_URL, 0, "the pattern is wrong at column %zu: %s", column,
              why);
    return false;
}

static void add(struct parser *parser, struct span s)
{
    text_add(&parser->pattern->bytes, s);
    parser->at += s.len;
}

/* Takes "\x" if x is one of the first `count` that can be escaped. */
static bool take_escape(struct parser *parser, size_t count)
{
    struct span two = span_sub(parser->text, parser->at, 2);

    if (two.len < 2 || two.data[0] != '\\' || !memchr(escapes, two.data[1], count))
        return false;
    parser->at++;
    add(parser, span_sub(two, 1, 1));
    return true;
}

/* The length of "[...]" that is no range: an IPv6 address, or nothing; else 0. */
static size_t plain_brackets(struct span s)
{
    size_t end = span_find(s, ']');
    size_t colons = 0;

    if (end == s.len)
        return 0;
    for (size_t i = 1; i < end; i++) {
        if (s.data[i] == '%' && colons >= 2)
            break; /* a zone, which whoever reads the URL will refuse */
        if (s.data[i] != ':' && s.data[i] != '.' && span_hex_value(s.data[i]) < 0)
            return 0;
        colons += s.data[i] == ':';
    }
    return end == 1 || colons >= 2 ? end + 1 : 0;
}

/* --- globs --- */

/* What stands before it is known. NULL: *error. */
static struct pattern_glob *begin_glob(struct parser *parser)
{
    struct pattern *pattern = parser->pattern;
    struct pattern_glob *glob;

    if (pattern->glob_count == PATTERN_GLOBS_MAX) {
        (void)wrong(parser, parser->at, "a URL can't have more than 32 such parts");
        return NULL;
    }
    if (pattern->glob_count == pattern->glob_capacity) {
        size_t capacity = pattern->glob_capacity ? pattern->glob_capacity * 2 : 4;
        struct pattern_glob *globs = alloc_grow(pattern->globs, capacity, sizeof(*globs));

        if (!globs) {
            (void)out_of_memory(parser->error);
            return NULL;
        }
        pattern->globs = globs;
        pattern->glob_capacity = capacity;
    }
    glob = &pattern->globs[pattern->glob_count++];
    *glob = (struct pattern_glob){
        .before = {.from = parser->literal, .len = pattern->bytes.len - parser->literal}};
    return glob;
}

static bool end_glob(struct parser *parser, const struct pattern_glob *glob, size_t start)
{
    struct pattern *pattern = parser->pattern;

    parser->literal = pattern->bytes.len;
    if (__builtin_mul_overflow(pattern->count, glob->count, &pattern->count))
        return wrong(parser, start, "it stands for more URLs than can be counted");
    return true;
}

static bool add_item(struct parser *parser, size_t from)
{
    struct pattern *pattern = parser->pattern;

    if (pattern->item_count == pattern->item_capacity) {
        size_t capacity = pattern->item_capacity ? pattern->item_capacity * 2 : 8;
        struct pattern_piece *items = alloc_grow(pattern->items, capacity, sizeof(*items));

        if (!items)
            return out_of_memory(parser->error);
        pattern->items = items;
        pattern->item_capacity = capacity;
    }
    pattern->items[pattern->item_count++] =
        (struct pattern_piece){.from = from, .len = pattern->bytes.len - from};
    return true;
}

/* "{a,b}" */
static bool parse_set(struct parser *parser)
{
    struct pattern *pattern = parser->pattern;
    struct pattern_glob *glob = begin_glob(parser);
    size_t start = parser->at++;
    size_t item = pattern->bytes.len;

    if (!glob)
        return false;
    glob->is_set = true;
    glob->first_item = pattern->item_count;
    while (parser->at < parser->text.len) {
        char c = parser->text.data[parser->at];

        if (take_escape(parser, sizeof(escapes) - 1))
            continue;
        if (c == '}' && parser->at == start + 1)
            return wrong(parser, start, "there is nothing between the braces");
        if (c == '{' || c == '[' || c == ']')
            return wrong(parser, parser->at,
                         "braces and brackets between braces need a backslash before them");
        if (c != ',' && c != '}') {
            add(parser, span_sub(parser->text, parser->at, 1));
            continue;
        }
        if (!add_item(parser, item))
            return false;
        item = pattern->bytes.len;
        parser->at++;
        if (c == '}') {
            glob->count = pattern->item_count - glob->first_item;
            return end_glob(parser, glob, start);
        }
    }
    return wrong(parser, start, "\"{\" without a \"}\"; where no pattern is meant, write \"\\{\"");
}

static bool is_letter(struct span s, char first, char last)
{
    return s.len == 1 && s.data[0] >= first && s.data[0] <= last;
}

/* Where the range begins and ends. NULL: all is well; else why not. */
static const char *parse_ends(struct pattern_glob *glob, struct span from, struct span to,
                              uint64_t *last)
{
    glob->is_letters = (is_letter(from, 'a', 'z') && is_letter(to, 'a', 'z')) ||
                       (is_letter(from, 'A', 'Z') && is_letter(to, 'A', 'Z'));
    if (glob->is_letters) {
        glob->first = (unsigned char)from.data[0];
        *last = (unsigned char)to.data[0];
    } else if (!span_to_u64(from, &glob->first) || !span_to_u64(to, last)) {
        return "a range has two numbers or two letters, such as [1-100], [001-100], [a-z]; where "
               "none is meant, write \"\\[\" and \"\\]\"";
    } else if (from.data[0] == '0') {
        if (from.len > DIGITS_MAX)
            return "the range begins with too many zeros";
        glob->digits = (unsigned)from.len;
    }
    return glob->first > *last ? "the range must go upwards" : NULL;
}

/* s: what stands between the brackets. */
static const char *parse_range(struct pattern_glob *glob, struct span s)
{
    struct span whole = s;
    struct span ends = span_cut(&s, ':');
    bool has_step = ends.len < whole.len;
    struct span from = span_cut(&ends, '-');
    uint64_t last = 0;
    const char *why = parse_ends(glob, from, ends, &last);

    glob->step = 1;
    if (why)
        return why;
    if (has_step && (!span_to_u64(s, &glob->step) || glob->step == 0))
        return "a step is a number from 1 on, as in [0-100:10]";
    if (glob->step > 1 && glob->step > last - glob->first)
        return "the step is larger than the range";
    if (__builtin_add_overflow((last - glob->first) / glob->step, 1U, &glob->count))
        return "it stands for more URLs than can be counted";
    return NULL;
}

static bool parse_brackets(struct parser *parser)
{
    size_t start = parser->at;
    struct span rest = span_sub(parser->text, start, SIZE_MAX);
    size_t len = span_find(rest, ']');
    struct pattern_glob *glob;
    const char *why;

    if (len == rest.len)
        return wrong(parser, start,
                     "\"[\" without a \"]\"; where no pattern is meant, write \"\\[\"");
    glob = begin_glob(parser);
    if (!glob)
        return false;
    why = parse_range(glob, span_sub(rest, 1, len - 1));
    if (why)
        return wrong(parser, start, why);
    parser->at += len + 1;
    return end_glob(parser, glob, start);
}

/* --- all together --- */

static bool parse_next(struct parser *parser)
{
    struct span rest = span_sub(parser->text, parser->at, SIZE_MAX);
    size_t plain;

    switch (rest.data[0]) {
    case '{':
        return parse_set(parser);
    case '[':
        plain = plain_brackets(rest);
        if (plain == 0)
            return parse_brackets(parser);
        add(parser, span_sub(rest, 0, plain));
        return true;
    case '}':
    case ']':
        return wrong(parser, parser->at,
                     rest.data[0] == '}'
                         ? "\"}\" without a \"{\"; where no pattern is meant, write \"\\}\""
                         : "\"]\" without a \"[\"; where no pattern is meant, write \"\\]\"");
    default:
        if (!take_escape(parser, OUTSIDE_ESCAPES))
            add(parser, span_sub(rest, 0, 1));
        return true;
    }
}

bool pattern_parse(struct pattern *pattern, struct span text, struct haul_error *error)
{
    struct parser parser = {.pattern = pattern, .text = text, .error = error};
    bool good = true;

    *pattern = (struct pattern){.count = 1};
    while (good && parser.at < text.len)
        good = parse_next(&parser);
    if (good && pattern->bytes.failed)
        good = out_of_memory(error);
    if (!good) {
        pattern_free(pattern);
        return false;
    }
    pattern->tail.from = parser.literal;
    pattern->tail.len = pattern->bytes.len - parser.literal;
    return true;
}

void pattern_free(struct pattern *pattern)
{
    text_free(&pattern->bytes);
    free(pattern->items);
    free(pattern->globs);
    *pattern = (struct pattern){0};
}

bool pattern_step(struct pattern *pattern)
{
    for (size_t i = pattern->glob_count; i > 0; i--) {
        struct pattern_glob *glob = &pattern->globs[i - 1];

        if (++glob->at < glob->count)
            return true;
        glob->at = 0;
    }
    return false;
}

static struct span piece_span(const struct pattern *pattern, struct pattern_piece piece)
{
    return span_sub(text_span(&pattern->bytes), piece.from, piece.len);
}

static void add_glob(const struct pattern *pattern, const struct pattern_glob *glob,
                     struct text *out)
{
    uint64_t value = glob->first + glob->at * glob->step;

    if (glob->is_set)
        text_add(out, piece_span(pattern, pattern->items[glob->first_item + glob->at]));
    else if (glob->is_letters)
        text_add_char(out, (char)value);
    else
        text_printf(out, "%0*llu", (int)glob->digits, (unsigned long long)value);
}

void pattern_write(const struct pattern *pattern, struct text *url)
{
    for (size_t i = 0; i < pattern->glob_count; i++) {
        text_add(url, piece_span(pattern, pattern->globs[i].before));
        add_glob(pattern, &pattern->globs[i], url);
    }
    text_add(url, piece_span(pattern, pattern->tail));
}

/* The glob's value is no template: its braces are doubled. */
static void add_value(const struct pattern *pattern, const struct pattern_glob *glob,
                      struct text *out)
{
    struct text value = {0};

    add_glob(pattern, glob, &value);
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] == '{')
            text_add_char(out, '{');
        text_add_char(out, value.data[i]);
    }
    out->failed = out->failed || value.failed;
    text_free(&value);
}

bool pattern_name(const struct pattern *pattern, struct span name, struct text *out,
                  struct haul_error *error)
{
    while (name.len > 0) {
        struct span inner = span_sub(name, 1, SIZE_MAX);
        size_t len = span_find(inner, '}');
        uint64_t number;

        if (name.data[0] == '{' && inner.len > 0 && inner.data[0] == '{') {
            text_add(out, span_sub(name, 0, 2));
            name = span_sub(name, 2, SIZE_MAX);
        } else if (name.data[0] == '{' && len < inner.len &&
                   span_to_u64(span_sub(inner, 0, len), &number)) {
            if (number == 0 || number > pattern->glob_count) {
                error_set(error, HAUL_BAD_OPTION, 0,
                          "out: {%llu} stands for nothing: the URL has %zu pattern%s in it",
                          (unsigned long long)number, pattern->glob_count,
                          pattern->glob_count == 1 ? "" : "s");
                return false;
            }
            add_value(pattern, &pattern->globs[number - 1], out);
            name = span_sub(inner, len + 1, SIZE_MAX);
        } else {
            text_add_char(out, name.data[0]);
            name = inner;
        }
    }
    return true;
}
