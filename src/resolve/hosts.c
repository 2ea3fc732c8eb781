/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Each name on a line is an entry; the first one of a name stands in the map, others hang on it.
 * The text is kept, in lower case, because the keys lie in it.
 */
#include "resolve/hosts.h"

#include <stdlib.h>

#include "base/alloc.h"
#include "base/map.h"

/* Of one name: nobody asks for as many, and the way to the last is gone for each one more. */
enum { CHAIN_MAX = 64, NAME_BYTES_MAX = 254 };

struct entry {
    struct map_node node; /* in the map: the first of its name alone */
    struct entry *more;   /* the next of this name */
    struct address address;
};

struct hosts {
    struct map names;
    char *text;
    struct entry *entries;
    size_t count;
    size_t capacity;
};

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v';
}

/* The next word of the line; empty: there is none. */
static struct span next_word(struct span *line)
{
    size_t from = 0;
    size_t to;
    struct span word;

    while (from < line->len && is_blank(line->data[from]))
        from++;
    to = from;
    while (to < line->len && !is_blank(line->data[to]))
        to++;
    word = span_sub(*line, from, to - from);
    *line = span_sub(*line, to, line->len);
    return word;
}

static struct span without_last_dot(struct span name)
{
    if (name.len > 1 && name.data[name.len - 1] == '.')
        name.len--;
    return name;
}

/* As many entries as there are words, so that none has to move. */
static bool make_room(struct hosts *hosts, struct span text)
{
    bool inside = false;

    for (size_t i = 0; i < text.len; i++) {
        bool word = !is_blank(text.data[i]) && text.data[i] != '\n';

        hosts->capacity += word && !inside;
        inside = word;
    }
    hosts->text = alloc_zeroed(text.len + 1);
    hosts->entries = alloc_grow(NULL, hosts->capacity + 1, sizeof(struct entry));
    if (!hosts->text || !hosts->entries)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];

        hosts->text[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    return true;
}

/* False: out of memory. */
static bool add_name(struct hosts *hosts, struct span name, const struct address *address)
{
    struct entry *entry = &hosts->entries[hosts->count];
    struct map_node *node;
    struct entry *last;
    int before = 1;

    name = without_last_dot(name);
    if (name.len == 0 || name.len > NAME_BYTES_MAX)
        return true;
    *entry = (struct entry){.address = *address};
    node = map_find(&hosts->names, name);
    if (!node) {
        hosts->count++;
        return map_put(&hosts->names, &entry->node, name);
    }
    for (last = MAP_ITEM(node, struct entry, node); last->more; last = last->more)
        before++;
    if (before < CHAIN_MAX) {
        last->more = entry;
        hosts->count++;
    }
    return true;
}

static bool add_line(struct hosts *hosts, struct span line)
{
    struct address address;
    struct span word;

    line = span_sub(line, 0, span_find(line, '#'));
    if (!address_parse(&address, next_word(&line), 0))
        return true;
    while ((word = next_word(&line)).len > 0)
        if (!add_name(hosts, word, &address))
            return false;
    return true;
}

struct hosts *hosts_parse(struct span text, uint64_t seed)
{
    struct hosts *hosts = alloc_zeroed(sizeof(*hosts));
    struct span rest;

    if (!hosts)
        return NULL;
    map_init(&hosts->names, seed);
    if (!make_room(hosts, text)) {
        hosts_free(hosts);
        return NULL;
    }
    rest = span_make(hosts->text, text.len);
    while (rest.len > 0) {
        if (!add_line(hosts, span_cut(&rest, '\n'))) {
            hosts_free(hosts);
            return NULL;
        }
    }
    return hosts;
}

void hosts_free(struct hosts *hosts)
{
    if (!hosts)
        return;
    map_free(&hosts->names);
    free(hosts->entries);
    free(hosts->text);
    free(hosts);
}

size_t hosts_count(const struct hosts *hosts)
{
    return hosts->names.count;
}

bool hosts_find(const struct hosts *hosts, struct span name, int family, struct address *addresses,
                size_t max, size_t *count)
{
    char lower[NAME_BYTES_MAX];
    struct map_node *node;

    *count = 0;
    name = without_last_dot(name);
    if (hosts->names.count == 0 || name.len > sizeof(lower))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        char c = name.data[i];

        lower[i] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
    }
    node = map_find(&hosts->names, span_make(lower, name.len));
    if (!node)
        return false;
    for (const struct entry *entry = MAP_ITEM(node, struct entry, node); entry && *count < max;
         entry = entry->more)
        if (entry->address.any.sa_family == family)
            addresses[(*count)++] = entry->address;
    return true;
}
