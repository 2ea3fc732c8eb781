/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A template is read anew each time: it is short, and so nothing of it has to be kept. Directories
 * are made before the request is sent, so they can't be called after what only the response tells.
 */
#include "engine/template.h"

#include "base/check.h"
#include "http/escape.h"

enum { EXTENSION_BYTES_MAX = 16, WIDTH_MAX = 20 };

enum word { WORD_HOST, WORD_PATH, WORD_NAME, WORD_EXT, WORD_N, WORD_SHA256, WORD_COUNT };

static const char *const word_names[WORD_COUNT] = {
    [WORD_HOST] = "host", [WORD_PATH] = "path", [WORD_NAME] = "name",
    [WORD_EXT] = "ext",   [WORD_N] = "n",       [WORD_SHA256] = "sha256",
};

/* A piece of a component. */
struct piece {
    bool is_word;
    enum word word;
    unsigned width; /* WORD_N */
    struct span literal;
};

/* --- reading --------------------------------------------------------------------------------- */

/* "04": zeros in front, up to four digits. */
static bool read_width(struct span text, unsigned *width)
{
    uint64_t value;

    *width = 0;
    if (text.len == 0)
        return true;
    if (text.data[0] != '0' || !span_to_u64(text, &value) || value > WIDTH_MAX)
        return false;
    *width = (unsigned)value;
    return true;
}

static bool find_word(struct span text, struct piece *piece)
{
    bool colon = span_find(text, ':') < text.len;
    struct span name = span_cut(&text, ':');

    for (piece->word = 0; piece->word < WORD_COUNT; piece->word++)
        if (span_equal(name, span_of(word_names[piece->word])))
            break;
    if (piece->word == WORD_COUNT || (colon && (piece->word != WORD_N || text.len == 0)))
        return false;
    piece->is_word = true;
    return read_width(text, &piece->width);
}

/* Takes the next piece off a component that is not empty. False: no word is written so. */
static bool take_piece(struct span *rest, struct piece *piece)
{
    size_t brace = span_find(*rest, '{'), end;

    *piece = (struct piece){.literal = span_sub(*rest, 0, brace)};
    if (brace > 0) {
        *rest = span_sub(*rest, brace, rest->len);
        return true;
    }
    if (rest->len > 1 && rest->data[1] == '{') {
        piece->literal = span_sub(*rest, 0, 1);
        *rest = span_sub(*rest, 2, rest->len);
        return true;
    }
    end = span_find(*rest, '}');
    piece->literal = span_sub(*rest, 0, end + 1);
    if (end == rest->len || !find_word(span_sub(*rest, 1, end - 1), piece))
        return false;
    *rest = span_sub(*rest, end + 1, rest->len);
    return true;
}

static size_t name_at(struct span text)
{
    size_t at = text.len;

    while (at > 0 && text.data[at - 1] != '/')
        at--;
    return at;
}

static bool check_word(struct span component, const struct piece *piece, bool last,
                       struct haul_error *error)
{
    const char *name = word_names[piece->word];

    if (piece->word == WORD_PATH && (last || piece->literal.len != component.len)) {
        error_set(error, HAUL_BAD_OPTION, 0,
                  "{path} stands for directories: it must have a component of the name to itself, "
                  "and not the last, as in {host}/{path}/{name}");
        return false;
    }
    if (!last &&
        (piece->word == WORD_NAME || piece->word == WORD_EXT || piece->word == WORD_SHA256)) {
        error_set(error, HAUL_BAD_OPTION, 0,
                  "{%s} is known too late to be the name of a directory: only the last component "
                  "of the name may hold it",
                  name);
        return false;
    }
    return true;
}

static bool check_component(struct span component, bool last, struct template_needs *needs,
                            struct haul_error *error)
{
    struct span rest = component;
    struct piece piece;

    while (rest.len > 0) {
        size_t before = rest.len;

        if (!take_piece(&rest, &piece)) {
            error_set(error, HAUL_BAD_OPTION, 0,
                      "%.*s in the name of a file stands for nothing: there are {host}, {path}, "
                      "{name}, {ext}, {n} or {n:04}, and {sha256}; {{ is a brace",
                      SPAN_ARG(span_sub(piece.literal, 0, 40)));
            return false;
        }
        needs->words = needs->words || piece.is_word || before - rest.len > piece.literal.len;
        if (!piece.is_word)
            continue;
        if (!check_word(component, &piece, last, error))
            return false;
        needs->name = needs->name || piece.word == WORD_NAME || piece.word == WORD_EXT;
        needs->sha256 = needs->sha256 || piece.word == WORD_SHA256;
    }
    return true;
}

bool template_check(struct span text, struct template_needs *needs, struct haul_error *error)
{
    struct span directories = span_sub(text, 0, name_at(text));

    *needs = (struct template_needs){.words = false};
    while (directories.len > 0)
        if (!check_component(span_cut(&directories, '/'), false, needs, error))
            return false;
    return check_component(span_sub(text, name_at(text), text.len), true, needs, error);
}

/* --- writing --------------------------------------------------------------------------------- */

/* Cut as numbered names are (sink/file_name.c): a dot in front is no extension. */
static struct span extension(struct span name)
{
    for (size_t at = name.len; at-- > 1 && name.len - at <= EXTENSION_BYTES_MAX;)
        if (name.data[at] == '.')
            return span_sub(name, at, name.len);
    return span_make("", 0);
}

static void add_word(const struct piece *piece, const struct template_values *values,
                     struct text *out)
{
    switch (piece->word) {
    case WORD_HOST:
        text_add(out, values->url->authority);
        break;
    case WORD_NAME:
        text_add(out, values->name);
        break;
    case WORD_EXT:
        text_add(out, extension(values->name));
        break;
    case WORD_N:
        text_printf(out, "%0*llu", (int)piece->width, (unsigned long long)values->number);
        break;
    case WORD_SHA256:
        text_add(out, values->sha256.len > 0 ? values->sha256 : piece->literal);
        break;
    case WORD_PATH:
    case WORD_COUNT:
        break;
    }
}

static void add_component(struct span component, const struct template_values *values,
                          struct text *out)
{
    struct text raw = {0};
    struct piece piece;

    while (component.len > 0 && take_piece(&component, &piece)) {
        if (piece.is_word)
            add_word(&piece, values, &raw);
        else
            text_add(&raw, piece.literal);
    }
    out->failed = out->failed || raw.failed;
    name_sanitize(text_span(&raw), out);
    text_free(&raw);
}

/* Of the URL's path, each decoded once. */
static void add_path(const struct url *url, struct text *out)
{
    struct span path = span_sub(url->path, 0, name_at(url->path));
    struct text raw = {0};

    while (path.len > 0) {
        struct span component = span_cut(&path, '/');

        if (component.len == 0)
            continue;
        text_clear(&raw);
        while (component.len > 0)
            text_add_char(&raw, (char)escape_take_byte(&component));
        if (out->len > 0)
            text_add_char(out, '/');
        out->failed = out->failed || raw.failed;
        name_sanitize(text_span(&raw), out);
    }
    text_free(&raw);
}

void template_directories(struct span text, const struct template_values *values, struct text *out)
{
    struct span directories = span_sub(text, 0, name_at(text));

    while (directories.len > 0) {
        struct span component = span_cut(&directories, '/');

        if (span_equal(component, SPAN("{path}"))) {
            add_path(values->url, out);
        } else if (component.len > 0 && !span_equal(component, SPAN("."))) {
            if (out->len > 0)
                text_add_char(out, '/');
            add_component(component, values, out);
        }
    }
}

void template_name(struct span text, const struct template_values *values, struct text *out)
{
    add_component(span_sub(text, name_at(text), text.len), values, out);
}
