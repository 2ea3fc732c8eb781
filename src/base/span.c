/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/span.h"

#include <string.h>

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
}

struct span span_of(const char *text)
{
    return (struct span){.data = text ? text : "", .len = text ? strlen(text) : 0};
}

struct span span_make(const char *data, size_t len)
{
    return (struct span){.data = data, .len = len};
}

bool span_equal(struct span a, struct span b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

bool span_equal_nocase(struct span a, struct span b)
{
    return a.len == b.len && span_starts_nocase(a, b);
}

bool span_starts_nocase(struct span s, struct span prefix)
{
    if (s.len < prefix.len)
        return false;
    for (size_t i = 0; i < prefix.len; i++)
        if (lower(s.data[i]) != lower(prefix.data[i]))
            return false;
    return true;
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

struct span span_trim(struct span s)
{
    while (s.len > 0 && is_blank(s.data[0]))
        s = span_sub(s, 1, s.len);
    while (s.len > 0 && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

struct span span_sub(struct span s, size_t from, size_t len)
{
    if (from > s.len)
        from = s.len;
    if (from > 0) /* data of an empty span may be NULL */
        s.data += from;
    s.len -= from;
    if (s.len > len)
        s.len = len;
    return s;
}

size_t span_find(struct span s, char c)
{
    const char *at = s.len > 0 ? memchr(s.data, c, s.len) : NULL;

    return at ? (size_t)(at - s.data) : s.len;
}

struct span span_cut(struct span *s, char c)
{
    size_t at = span_find(*s, c);
    struct span before = span_sub(*s, 0, at);

    *s = span_sub(*s, at + 1, s->len);
    return before;
}

bool span_to_u64(struct span s, uint64_t *value)
{
    uint64_t sum = 0;

    if (s.len == 0)
        return false;
    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
        if (__builtin_mul_overflow(sum, 10U, &sum) ||
            __builtin_add_overflow(sum, (uint64_t)(s.data[i] - '0'), &sum))
            return false;
    }
    *value = sum;
    return true;
}

/* SipHash-1-3 (Aumasson and Bernstein): with a secret seed, nobody outside can choose keys that
 * collide. */
struct sip {
    uint64_t v0, v1, v2, v3;
};

static uint64_t rotate(uint64_t word, unsigned bits)
{
    return word << bits | word >> (64 - bits);
}

static void sip_round(struct sip *sip)
{
    sip->v0 += sip->v1;
    sip->v2 += sip->v3;
    sip->v1 = rotate(sip->v1, 13) ^ sip->v0;
    sip->v3 = rotate(sip->v3, 16) ^ sip->v2;
    sip->v0 = rotate(sip->v0, 32);
    sip->v2 += sip->v1;
    sip->v0 += sip->v3;
    sip->v1 = rotate(sip->v1, 17) ^ sip->v2;
    sip->v3 = rotate(sip->v3, 21) ^ sip->v0;
    sip->v2 = rotate(sip->v2, 32);
}

static void sip_word(struct sip *sip, uint64_t word)
{
    sip->v3 ^= word;
    sip_round(sip);
    sip->v0 ^= word;
}

uint64_t span_hash(struct span s, uint64_t seed)
{
    struct sip sip = {seed ^ 0x736f6d6570736575U, ~seed ^ 0x646f72616e646f6dU,
                      seed ^ 0x6c7967656e657261U, ~seed ^ 0x7465646279746573U};
    uint64_t last = (uint64_t)s.len << 56;
    size_t at = 0;

    for (; s.len - at >= sizeof(uint64_t); at += sizeof(uint64_t)) {
        uint64_t word;

        memcpy(&word, s.data + at, sizeof(word));
        sip_word(&sip, word);
    }
    if (at < s.len)
        memcpy(&last, s.data + at, s.len - at); /* at most 7 bytes: the length stays */
    sip_word(&sip, last);
    sip.v2 ^= 0xff;
    for (int i = 0; i < 3; i++)
        sip_round(&sip);
    return sip.v0 ^ sip.v1 ^ sip.v2 ^ sip.v3;
}

int span_hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}
