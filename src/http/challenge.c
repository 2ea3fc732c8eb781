/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A challenge and its parameters are both parted by commas, so only what follows a word tells which
 * it is: "=" makes it a parameter of the challenge before, anything else a scheme.
 */
#include "http/challenge.h"

#include "http/request.h"

static bool is_gap(char c)
{
    return c == ' ' || c == '\t' || c == ',' || c == '\n';
}

static void skip_gaps(struct span *s)
{
    while (s->len > 0 && is_gap(s->data[0]))
        *s = span_sub(*s, 1, s->len);
}

static void skip_blanks(struct span *s)
{
    while (s->len > 0 && (s->data[0] == ' ' || s->data[0] == '\t'))
        *s = span_sub(*s, 1, s->len);
}

/* Up to a gap, "=" or a quote; may be empty. */
static struct span take_word(struct span *s)
{
    size_t len = 0;
    struct span word;

    while (len < s->len && !is_gap(s->data[len]) && s->data[len] != '=' && s->data[len] != '"')
        len++;
    word = span_sub(*s, 0, len);
    *s = span_sub(*s, len, s->len);
    return word;
}

/* A quoted string with its quotes, or what stands before the next gap. A quote that does not end
 * ends with the field. */
static struct span take_value(struct span *s)
{
    size_t len = 0;
    struct span value;

    if (s->len > 0 && s->data[0] == '"') {
        for (len = 1; len < s->len && s->data[len] != '"' && s->data[len] != '\n'; len++)
            if (s->data[len] == '\\' && len + 1 < s->len && s->data[len + 1] != '\n')
                len++;
        len += len < s->len && s->data[len] == '"';
    } else {
        while (len < s->len && !is_gap(s->data[len]))
            len++;
    }
    value = span_sub(*s, 0, len);
    *s = span_sub(*s, len, s->len);
    return value;
}

/* "name = value"; false: something else stands there, and nothing is taken. */
static bool take_parameter(struct span *s, struct span *name, struct span *value)
{
    struct span rest = *s;

    *name = take_word(&rest);
    skip_blanks(&rest);
    if (name->len == 0 || rest.len == 0 || rest.data[0] != '=')
        return false;
    rest = span_sub(rest, 1, rest.len);
    skip_blanks(&rest);
    *value = take_value(&rest);
    *s = rest;
    return true;
}

/* Letters, digits and a few marks, then any number of "=", then the end or a comma. */
static bool take_token68(struct span *s, struct span *token68)
{
    struct span rest = *s;
    size_t len = 0, filled = 0;

    while (len < rest.len && !is_gap(rest.data[len]) && rest.data[len] != '=' &&
           rest.data[len] != '"')
        len++;
    while (len + filled < rest.len && rest.data[len + filled] == '=')
        filled++;
    *token68 = span_sub(rest, 0, len + filled);
    rest = span_sub(rest, len + filled, rest.len);
    skip_blanks(&rest);
    if (len == 0 || (rest.len > 0 && rest.data[0] != ',' && rest.data[0] != '\n'))
        return false;
    *s = rest;
    return true;
}

/* Something that is neither scheme nor parameter; it begins with no gap, so some of it is taken. */
static void skip_stray(struct span *s)
{
    (void)take_value(s);
}

/* False: what stands there is none. */
static bool take_scheme(struct span *s, struct span *scheme)
{
    struct span rest = *s, name, value;

    if (take_parameter(&rest, &name, &value))
        return false;
    rest = *s;
    name = take_word(&rest);
    if (!request_check_token(name))
        return false;
    *scheme = name;
    *s = rest;
    return true;
}

bool challenge_next(struct span *rest, struct challenge *challenge)
{
    struct span name, value, scheme, at;

    *challenge = (struct challenge){.token68 = span_make("", 0)};
    skip_gaps(rest);
    while (rest->len > 0 && !take_scheme(rest, &challenge->scheme)) {
        if (!take_parameter(rest, &name, &value))
            skip_stray(rest);
        skip_gaps(rest);
    }
    challenge->parameters = span_make(rest->data, 0);
    if (challenge->scheme.len == 0)
        return false;
    skip_blanks(rest);
    if (take_token68(rest, &challenge->token68))
        return true;
    challenge->token68 = span_make("", 0);
    challenge->parameters = *rest;
    for (;;) {
        at = *rest;
        skip_gaps(rest);
        if (rest->len == 0 || (scheme = *rest, take_scheme(&scheme, &name)))
            break;
        if (!take_parameter(rest, &name, &value))
            skip_stray(rest);
    }
    challenge->parameters.len = (size_t)(at.data - challenge->parameters.data);
    return true;
}

static void unquote(struct span raw, struct text *value)
{
    if (raw.len == 0 || raw.data[0] != '"') {
        text_add(value, raw);
        return;
    }
    for (size_t i = 1; i < raw.len && raw.data[i] != '"'; i++) {
        if (raw.data[i] == '\\' && i + 1 < raw.len)
            i++;
        text_add_char(value, raw.data[i]);
    }
}

bool challenge_parameter(const struct challenge *challenge, struct span name, struct text *value)
{
    struct span rest = challenge->parameters, found, raw;

    text_clear(value);
    skip_gaps(&rest);
    while (rest.len > 0) {
        if (!take_parameter(&rest, &found, &raw)) {
            skip_stray(&rest);
        } else if (span_equal_nocase(found, name)) {
            unquote(raw, value);
            return true;
        }
        skip_gaps(&rest);
    }
    return false;
}
