/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The attribute: 32 hexadecimal digits, "*" or a blank, the size, a blank, the time, a blank, the
 * ETag. While a directory is gone through, the map is the helper thread's. */
#include "sink/known.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/map.h"

/* --- the attribute --------------------------------------------------------------------------- */

void known_key(struct span url, char key[KNOWN_KEY_BYTES + 1])
{
    static const char digits[] = "0123456789abcdef";

    for (uint64_t half = 0; half < 2; half++) {
        uint64_t hash = span_hash(url, half);

        for (size_t i = 0; i < KNOWN_KEY_BYTES / 2; i++)
            key[half * KNOWN_KEY_BYTES / 2 + i] = digits[hash >> (60 - 4 * i) & 15];
    }
    key[KNOWN_KEY_BYTES] = '\0';
}

void known_write(const struct known_mark *mark, struct text *value)
{
    text_add(value, mark->key);
    text_add_char(value, mark->elsewhere ? '*' : ' ');
    text_printf(value, "%llu %llu ", (unsigned long long)mark->bytes,
                (unsigned long long)mark->made_ns);
    text_add(value, mark->etag);
}

/* Anybody may have written it, and it is to be sent to servers. "*" would be whatever they have. */
bool known_is_etag(struct span etag)
{
    for (size_t i = 0; i < etag.len; i++)
        if ((unsigned char)etag.data[i] < 0x20 || etag.data[i] == 0x7f)
            return false;
    return etag.len == 0 || (etag.data[0] != '*' && etag.data[0] != ',');
}

bool known_read(struct span value, struct known_mark *mark)
{
    uint64_t made_ns;

    if (value.len < KNOWN_KEY_BYTES + 1 ||
        (value.data[KNOWN_KEY_BYTES] != '*' && value.data[KNOWN_KEY_BYTES] != ' '))
        return false;
    *mark = (struct known_mark){.key = span_sub(value, 0, KNOWN_KEY_BYTES),
                                .elsewhere = value.data[KNOWN_KEY_BYTES] == '*'};
    for (size_t i = 0; i < KNOWN_KEY_BYTES; i++)
        if (span_hex_value(mark->key.data[i]) < 0)
            return false;
    value = span_sub(value, KNOWN_KEY_BYTES + 1, value.len);
    if (!span_to_u64(span_cut(&value, ' '), &mark->bytes) ||
        !span_to_u64(span_cut(&value, ' '), &made_ns) || made_ns > INT64_MAX)
        return false;
    mark->made_ns = (int64_t)made_ns;
    mark->etag = value;
    return known_is_etag(value);
}

/* --- a directory's --------------------------------------------------------------------------- */

struct entry {
    struct map_node node;
    int64_t made_ns;
    char key[KNOWN_KEY_BYTES];
    char name[];
};

struct known_names {
    struct map map;
    bool ready;
    struct ring_listing listing;
    struct op op;
    struct list waiting;
};

/* False: there is an entry that is as new. */
static bool make_way(struct known_names *names, const struct known_mark *mark)
{
    struct map_node *node = map_find(&names->map, mark->key);

    if (!node)
        return true;
    if (MAP_ITEM(node, struct entry, node)->made_ns >= mark->made_ns)
        return false;
    map_remove(&names->map, node);
    free(MAP_ITEM(node, struct entry, node));
    return true;
}

/* In a helper's thread. What there is no memory for is not known. */
static bool found(void *context, const char *name, struct span value)
{
    struct known_names *names = context;
    struct known_mark mark;
    size_t bytes = strlen(name) + 1;
    struct entry *entry;

    if (!known_read(value, &mark) || !mark.elsewhere || !make_way(names, &mark))
        return true;
    entry = alloc_zeroed(sizeof(*entry) + bytes);
    if (!entry)
        return false;
    entry->made_ns = mark.made_ns;
    memcpy(entry->key, mark.key.data, mark.key.len);
    memcpy(entry->name, name, bytes);
    if (map_put(&names->map, &entry->node, span_make(entry->key, sizeof(entry->key))))
        return true;
    free(entry);
    return false;
}

static void listed(struct op *op, int res)
{
    struct known_names *names = CONTAINER_OF(op, struct known_names, op);
    struct list waiting;
    struct list *node;

    (void)res; /* what can't be looked at is not known */
    names->ready = true;
    list_init(&waiting);
    list_move_all(&names->waiting, &waiting);
    while ((node = list_pop_front(&waiting))) {
        struct known_wait *wait = LIST_ITEM(node, struct known_wait, node);

        wait->done(wait);
    }
}

struct known_names *known_names_create(struct ring *ring, int directory, struct ref *owner)
{
    struct known_names *names = alloc_zeroed(sizeof(*names));

    if (!names)
        return NULL;
    map_init(&names->map, ring_random(ring));
    list_init(&names->waiting);
    op_init(&names->op, listed, owner);
    names->listing =
        (struct ring_listing){.attribute = KNOWN_ATTRIBUTE, .found = found, .context = names};
    ring_list(ring, &names->op, directory, &names->listing);
    return names;
}

void known_names_destroy(struct known_names *names)
{
    struct map_node *node;

    if (!names)
        return;
    CHECK(!op_busy(&names->op) && !list_is_linked(&names->waiting));
    while ((node = map_any(&names->map))) {
        map_remove(&names->map, node);
        free(MAP_ITEM(node, struct entry, node));
    }
    map_free(&names->map);
    free(names);
}

bool known_names_ready(struct known_names *names, struct known_wait *wait)
{
    if (names->ready)
        return true;
    list_init(&wait->node);
    list_push_back(&names->waiting, &wait->node);
    return false;
}

struct span known_names_find(const struct known_names *names, struct span key)
{
    struct map_node *node = map_find(&names->map, key);

    return node ? span_of(MAP_ITEM(node, struct entry, node)->name) : span_of(NULL);
}
