/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The steps: the name as it is if it comes first, each domain, the name as it is if it comes last.
 */
#include "resolve/search.h"

#include <stdlib.h>
#include <string.h>

enum { LABEL_BYTES_MAX = 63 };

void search_clear(struct search *search)
{
    for (size_t i = 0; i < search->domain_count; i++)
        free(search->domains[i]);
    free(search->domains);
    *search = (struct search){0};
}

static bool is_absolute(struct span name)
{
    return name.len > 0 && name.data[name.len - 1] == '.';
}

bool search_is_name(struct span name)
{
    size_t label = 0;

    if (is_absolute(name))
        name.len--;
    if (name.len == 0 || name.len > SEARCH_NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.data[i];

        if (c <= ' ' || c == 0x7f || c == '\\')
            return false;
        if (c != '.') {
            label++;
        } else if (label == 0) {
            return false;
        } else {
            label = 0;
        }
        if (label > LABEL_BYTES_MAX)
            return false;
    }
    return label > 0;
}

bool search_as_is_first(const struct search *search, struct span name)
{
    size_t dots = 0;

    for (size_t i = 0; i < name.len; i++)
        dots += name.data[i] == '.';
    return is_absolute(name) || dots >= search->dots;
}

/* False: that would be no name. */
static bool join(char candidate[SEARCH_NAME_ROOM], struct span name, const char *domain)
{
    struct span rest = span_of(domain);

    if (rest.len > 0 && rest.data[0] == '.') /* "." is the root, in which the name is as it is */
        rest = span_sub(rest, 1, rest.len);
    if (rest.len == 0 || name.len + 1 + rest.len >= SEARCH_NAME_ROOM)
        return false;
    memcpy(candidate, name.data, name.len);
    candidate[name.len] = '.';
    memcpy(candidate + name.len + 1, rest.data, rest.len);
    candidate[name.len + 1 + rest.len] = '\0';
    return search_is_name(span_of(candidate));
}

bool search_next(const struct search *search, struct span name, size_t *step,
                 char candidate[SEARCH_NAME_ROOM], bool *as_is)
{
    size_t last = search->domain_count + 1;
    bool first = search_as_is_first(search, name);

    while (*step <= last) {
        size_t now = (*step)++;

        *as_is = now == (first ? 0 : last);
        if (*as_is) {
            memcpy(candidate, name.data, name.len);
            candidate[name.len] = '\0';
            return true;
        }
        if (now > 0 && now < last && !is_absolute(name) &&
            join(candidate, name, search->domains[now - 1]))
            return true;
    }
    return false;
}
