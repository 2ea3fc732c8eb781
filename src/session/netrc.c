/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *     machine HOST login NAME password WORD account WORD
 *     default login NAME password WORD
 *     macdef NAME ... up to an empty line
 *
 * in words, with any blanks and line ends between; a word may be quoted, with backslashes in it; a
 * "#" where a key could stand begins a comment. An entry of "default" without a "machine" is for
 * hosts that have none, wherever it stands.
 */
#include "session/netrc.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"
#include "base/text.h"

struct entry {
    struct map_node node; /* the first of its host */
    struct entry *next;   /* the next of the same host */
    struct entry *last;   /* of the first: the last of the same host */
    struct text host;     /* lower case; empty: "default" */
    struct text user;
    struct text password;
};

struct netrc {
    struct map hosts;
    struct entry *fallback; /* NULL: none */
    size_t count;
};

enum { WORD_BYTES_MAX = 4096 };

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static char unescape(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return c;
    }
}

/* A quote that does not end before its line does is no quote of ours: the word is dropped. */
static void take_quoted(struct span *s, struct text *word)
{
    size_t at = 1;

    for (; at < s->len && s->data[at] != '"' && s->data[at] != '\n'; at++) {
        if (s->data[at] == '\\' && at + 1 < s->len && s->data[at + 1] != '\n')
            text_add_char(word, unescape(s->data[++at]));
        else
            text_add_char(word, s->data[at]);
    }
    if (at == s->len || s->data[at] == '\n')
        text_clear(word);
    *s = span_sub(*s, at + 1, s->len);
}

/* False: the file is over. */
static bool take_word(struct span *s, struct text *word)
{
    size_t len = 0;

    text_clear(word);
    while (s->len > 0 && is_blank(s->data[0]))
        *s = span_sub(*s, 1, s->len);
    if (s->len == 0)
        return false;
    if (s->data[0] == '"') {
        take_quoted(s, word);
        return true;
    }
    while (len < s->len && !is_blank(s->data[len]))
        len++;
    text_add(word, span_sub(*s, 0, len));
    *s = span_sub(*s, len, s->len);
    return true;
}

static void skip_macro(struct span *s)
{
    span_cut(s, '\n');
    while (s->len > 0) {
        struct span line = span_cut(s, '\n');

        if (line.len == 0 || span_equal(line, SPAN("\r")))
            break;
    }
}

static void free_entry(struct entry *entry)
{
    text_free(&entry->host);
    text_wipe(&entry->user);
    text_wipe(&entry->password);
    free(entry);
}

static void lower(struct text *text)
{
    for (size_t i = 0; i < text->len; i++)
        if (text->data[i] >= 'A' && text->data[i] <= 'Z')
            text->data[i] = (char)(text->data[i] + ('a' - 'A'));
}

/* Takes the entry, which may be of no use. False: out of memory. */
static bool keep(struct netrc *netrc, struct entry *entry, bool fallback)
{
    struct map_node *node;

    if (!entry)
        return true;
    if (entry->host.failed || entry->user.failed || entry->password.failed) {
        free_entry(entry);
        return false;
    }
    if ((fallback && netrc->fallback) || (!fallback && entry->host.len == 0)) {
        free_entry(entry);
        return true;
    }
    netrc->count++;
    if (fallback) {
        netrc->fallback = entry;
        return true;
    }
    lower(&entry->host);
    node = map_find(&netrc->hosts, text_span(&entry->host));
    if (node) {
        struct entry *first = MAP_ITEM(node, struct entry, node);

        first->last->next = entry;
        first->last = entry;
        return true;
    }
    entry->last = entry;
    if (map_put(&netrc->hosts, &entry->node, text_span(&entry->host)))
        return true;
    netrc->count--;
    free_entry(entry);
    return false;
}

static bool parse(struct netrc *netrc, struct span file, struct text *word)
{
    struct entry *entry = NULL;
    bool fallback = false, kept = true;

    while (kept && take_word(&file, word)) {
        struct span key = text_span(word);

        if (key.len > 0 && key.data[0] == '#') {
            /* What was taken of the comment held no line end. */
            span_cut(&file, '\n');
        } else if (span_equal(key, SPAN("macdef"))) {
            skip_macro(&file);
        } else if (span_equal(key, SPAN("machine")) || span_equal(key, SPAN("default"))) {
            bool next_fallback = span_equal(key, SPAN("default"));

            kept = keep(netrc, entry, fallback);
            fallback = next_fallback;
            entry = alloc_zeroed(sizeof(*entry));
            if (!entry)
                return false;
            if (!fallback && take_word(&file, word))
                text_add(&entry->host, text_span(word));
        } else if (span_equal(key, SPAN("login"))) {
            if (take_word(&file, word) && entry && entry->user.len == 0)
                text_add(&entry->user, text_span(word));
        } else if (span_equal(key, SPAN("password"))) {
            if (take_word(&file, word) && entry && entry->password.len == 0)
                text_add(&entry->password, text_span(word));
        } else if (span_equal(key, SPAN("account"))) {
            (void)take_word(&file, word);
        }
    }
    return keep(netrc, entry, fallback) && kept && !word->failed;
}

struct netrc *netrc_parse(struct span file, uint64_t seed)
{
    struct netrc *netrc = alloc_zeroed(sizeof(*netrc));
    struct text word = {0};
    bool parsed;

    if (!netrc)
        return NULL;
    map_init(&netrc->hosts, seed);
    parsed = text_reserve(&word, WORD_BYTES_MAX) && parse(netrc, file, &word);
    text_wipe(&word);
    if (parsed)
        return netrc;
    netrc_destroy(netrc);
    return NULL;
}

void netrc_destroy(struct netrc *netrc)
{
    struct map_node *node;

    if (!netrc)
        return;
    while ((node = map_any(&netrc->hosts))) {
        struct entry *entry = MAP_ITEM(node, struct entry, node), *next;

        map_remove(&netrc->hosts, node);
        for (; entry; entry = next) {
            next = entry->next;
            free_entry(entry);
        }
    }
    map_free(&netrc->hosts);
    if (netrc->fallback)
        free_entry(netrc->fallback);
    free(netrc);
}

size_t netrc_count(const struct netrc *netrc)
{
    return netrc->count;
}

static bool fits(const struct entry *entry, struct span user)
{
    if (user.len == 0)
        return entry->user.len > 0;
    if (entry->user.len == 0)
        return entry->password.len > 0; /* else it says nothing, and hides nothing */
    return span_equal(text_span(&entry->user), user);
}

static bool take(const struct entry *entry, struct span user, struct login *login)
{
    login->user = user.len > 0 ? user : text_span(&entry->user);
    login->password = text_span(&entry->password);
    return true;
}

bool netrc_find(const struct netrc *netrc, struct span host, struct span user, bool fallback,
                struct login *login)
{
    struct map_node *node = map_find(&netrc->hosts, host);

    if (node)
        for (const struct entry *entry = MAP_ITEM(node, struct entry, node); entry;
             entry = entry->next)
            if (fits(entry, user))
                return take(entry, user, login);
    if (!node && fallback && netrc->fallback && fits(netrc->fallback, user))
        return take(netrc->fallback, user, login);
    return false;
}
