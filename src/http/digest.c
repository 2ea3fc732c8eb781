/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Of a dictionary of structured fields (RFC 9651 4.2.2) as much is understood as is needed to tell
 * its members apart: whatever stands in those that are none of ours, a comma outside of quotes ends
 * them.
 */
#include "http/digest.h"

#include "base/base64.h"

/* Of each type, the last one counts, as in any dictionary. */
struct findings {
    bool found[HASH_SHA512 + 1];
    struct digest digests[HASH_SHA512 + 1];
};

static bool strongest(const struct findings *findings, struct digest *digest)
{
    for (size_t i = HASH_SHA512 + 1; i-- > 0;) {
        if (findings->found[i]) {
            *digest = findings->digests[i];
            return true;
        }
    }
    return false;
}

static void find(struct findings *findings, struct span name, struct span base64)
{
    uint8_t bytes[HASH_BYTES_MAX];
    enum hash_type type = HASH_SHA1;
    size_t len;

    /* In HTTP, SHA-1 has kept the name that it had when there was no other. */
    if (!span_equal_nocase(name, SPAN("sha")) && !hash_find(name, &type))
        return;
    findings->found[type] = base64_decode(base64, bytes, sizeof(bytes), &len) &&
                            digest_make(&findings->digests[type], type, bytes, len);
}

/* --- Repr-Digest, Content-Digest ------------------------------------------------------------- */

static bool is_key_char(char c, bool first)
{
    return (c >= 'a' && c <= 'z') || c == '*' ||
           (!first && ((c >= '0' && c <= '9') || c == '_' || c == '-' || c == '.'));
}

/* What stands before the next comma that is in no string; *s becomes what comes behind it. False:
 * a string has no end. */
static bool take_member(struct span *s, struct span *member, bool *last)
{
    bool quoted = false;
    size_t end = 0;

    for (; end < s->len && (quoted || s->data[end] != ','); end++) {
        if (quoted && s->data[end] == '\\')
            end++;
        else if (s->data[end] == '"')
            quoted = !quoted;
    }
    *last = end >= s->len;
    *member = span_trim(span_sub(*s, 0, end));
    *s = span_sub(*s, end + 1, s->len);
    return !quoted;
}

/* "=:BASE64:", maybe with parameters, which say nothing to us; anything else is no digest. */
static struct span bytes_of(struct span value)
{
    struct span nothing = SPAN("");
    struct span base64;

    if (!span_starts_nocase(value, SPAN("=:")))
        return nothing;
    value = span_sub(value, 2, value.len);
    if (span_find(value, ':') == value.len)
        return nothing;
    base64 = span_cut(&value, ':');
    return value.len == 0 || value.data[0] == ';' ? base64 : nothing;
}

/* False: no member of a dictionary. */
static bool read_member(struct findings *findings, struct span member)
{
    size_t end = 0;
    struct span value;

    while (end < member.len && is_key_char(member.data[end], end == 0))
        end++;
    value = span_sub(member, end, member.len);
    if (end == 0 || (value.len > 0 && value.data[0] != '=' && value.data[0] != ';'))
        return false;
    find(findings, span_sub(member, 0, end), bytes_of(value));
    return true;
}

bool field_digest(struct span value, struct digest *digest)
{
    struct findings findings = {0};
    struct span member;
    bool last = false;

    while (!last)
        if (!take_member(&value, &member, &last) || !read_member(&findings, member))
            return false;
    return strongest(&findings, digest);
}

/* --- Digest ---------------------------------------------------------------------------------- */

bool field_old_digest(struct span value, struct digest *digest)
{
    struct findings findings = {0};

    while (value.len > 0) {
        struct span member = span_cut(&value, ',');
        struct span name = span_cut(&member, '=');

        find(&findings, span_trim(name), span_trim(member));
    }
    return strongest(&findings, digest);
}

/* --- a response ------------------------------------------------------------------------------ */

static bool stronger(bool have, const struct digest *digest, bool other_have,
                     const struct digest *other)
{
    return other_have && (!have || other->type > digest->type);
}

bool response_digest(const struct response *response, struct digest *digest)
{
    struct digest other = {.type = HASH_MD5};
    bool have = field_digest(response_field(response, "repr-digest"), digest);

    if (stronger(have, digest, field_old_digest(response_field(response, "digest"), &other),
                 &other)) {
        *digest = other;
        have = true;
    }
    if (response_status(response) == 200 &&
        stronger(have, digest, field_digest(response_field(response, "content-digest"), &other),
                 &other)) {
        *digest = other;
        have = true;
    }
    return have;
}

bool response_part_digest(const struct response *response, struct digest *digest)
{
    return response_status(response) == 206 &&
           field_digest(response_field(response, "content-digest"), digest);
}
