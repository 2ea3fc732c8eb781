/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * From what a URL has between "//" and the path to what is looked up and sent:
 *
 *   raw --unescape--> name --lower case, or--> name --ends in a number?--> IPv4 address
 *                            UTS46, punycode        \--labels---> name
 *
 * A name of ASCII alone, which nearly all are, is gone through once and never sees the tables of
 * Unicode. What those make of others is looked at again byte by byte: some characters fall apart
 * into several, with a slash among them.
 *
 * Departures from the browsers: a name whose labels no resolver could take (empty, or longer than
 * 63 bytes) is refused here and not there; and so is what IDNA2008 forbids, unless it is given in
 * its xn-- form: emoji, hyphens in the third and fourth place of a label beside others that are not
 * ASCII.
 */
#include "http/host.h"

#include <arpa/inet.h>
#include <idn2.h>
#include <string.h>

#include "base/check.h"
#include "http/escape.h"

enum {
    LABEL_BYTES_MAX = 63,
    UNICODE_BYTES_MAX = 1024 /* of a name before it becomes punycode */
};

/* What stands between percent escapes is taken as it is. */
struct decoded {
    char data[UNICODE_BYTES_MAX + 1];
    size_t len;
    bool ascii;
};

/* The byte in lower case; 0: no name has it (the standard's forbidden domain code points). */
static const unsigned char host_bytes[128] = {
    ['!'] = '!', ['"'] = '"', ['$'] = '$', ['&'] = '&', ['\''] = '\'', ['('] = '(', [')'] = ')',
    ['*'] = '*', ['+'] = '+', [','] = ',', ['-'] = '-', ['.'] = '.',   ['0'] = '0', ['1'] = '1',
    ['2'] = '2', ['3'] = '3', ['4'] = '4', ['5'] = '5', ['6'] = '6',   ['7'] = '7', ['8'] = '8',
    ['9'] = '9', [';'] = ';', ['='] = '=', ['A'] = 'a', ['B'] = 'b',   ['C'] = 'c', ['D'] = 'd',
    ['E'] = 'e', ['F'] = 'f', ['G'] = 'g', ['H'] = 'h', ['I'] = 'i',   ['J'] = 'j', ['K'] = 'k',
    ['L'] = 'l', ['M'] = 'm', ['N'] = 'n', ['O'] = 'o', ['P'] = 'p',   ['Q'] = 'q', ['R'] = 'r',
    ['S'] = 's', ['T'] = 't', ['U'] = 'u', ['V'] = 'v', ['W'] = 'w',   ['X'] = 'x', ['Y'] = 'y',
    ['Z'] = 'z', ['_'] = '_', ['`'] = '`', ['a'] = 'a', ['b'] = 'b',   ['c'] = 'c', ['d'] = 'd',
    ['e'] = 'e', ['f'] = 'f', ['g'] = 'g', ['h'] = 'h', ['i'] = 'i',   ['j'] = 'j', ['k'] = 'k',
    ['l'] = 'l', ['m'] = 'm', ['n'] = 'n', ['o'] = 'o', ['p'] = 'p',   ['q'] = 'q', ['r'] = 'r',
    ['s'] = 's', ['t'] = 't', ['u'] = 'u', ['v'] = 'v', ['w'] = 'w',   ['x'] = 'x', ['y'] = 'y',
    ['z'] = 'z', ['{'] = '{', ['}'] = '}', ['~'] = '~'};

static struct span behind(struct span s, size_t from)
{
    return span_sub(s, from, s.len);
}

static bool name_too_long(struct haul_error *error)
{
    error_set(error, HAUL_BAD_URL, 0, "the host name is longer than %d bytes", HOST_BYTES_MAX);
    return false;
}

static bool label_too_long(struct haul_error *error)
{
    error_set(error, HAUL_BAD_URL, 0, "a part of the host name is longer than %d bytes",
              LABEL_BYTES_MAX);
    return false;
}

static bool bad_byte(unsigned char c, struct haul_error *error)
{
    error_set(error, HAUL_BAD_URL, 0,
              c > ' ' && c < 0x7f ? "the host name holds a \"%c\", which none can have"
                                  : "the host name holds the byte \\x%02x, which none can have",
              c);
    return false;
}

/* --- names --- */

/* name: ASCII. */
static bool lower_name(struct host_name *host, struct span name, struct haul_error *error)
{
    if (name.len >= sizeof(host->data))
        return name_too_long(error);
    for (size_t i = 0; i < name.len; i++) {
        unsigned char c = (unsigned char)name.data[i];

        CHECK(c < sizeof(host_bytes));
        host->data[i] = (char)host_bytes[c];
        if (host_bytes[c] == 0)
            return bad_byte(c, error);
    }
    host->data[name.len] = '\0';
    host->len = name.len;
    return true;
}

static bool decode(struct decoded *decoded, struct span raw, struct haul_error *error)
{
    decoded->len = 0;
    decoded->ascii = true;
    while (raw.len > 0) {
        unsigned char c = escape_take_byte(&raw);

        if (c < sizeof(host_bytes) && host_bytes[c] == 0)
            return bad_byte(c, error);
        if (decoded->len == UNICODE_BYTES_MAX)
            return name_too_long(error);
        decoded->data[decoded->len++] = (char)c;
        decoded->ascii = decoded->ascii && c < 0x80;
    }
    decoded->data[decoded->len] = '\0';
    return true;
}

static bool not_converted(int why, struct haul_error *error)
{
    const char *text = "the host name breaks a rule of internationalized names";

    if (why == IDN2_MALLOC) {
        error_set(error, HAUL_OUT_OF_MEMORY, 0, "no memory is left for a host name");
        return false;
    }
    if (why == IDN2_TOO_BIG_DOMAIN)
        return name_too_long(error);
    if (why == IDN2_TOO_BIG_LABEL || why == IDN2_PUNYCODE_BIG_OUTPUT)
        return label_too_long(error);
    if (why == IDN2_ENCODING_ERROR)
        text = "the host name holds bytes that are no UTF-8";
    else if (why == IDN2_PUNYCODE_BAD_INPUT || why == IDN2_PUNYCODE_OVERFLOW)
        text = "the host name has an xn-- part that stands for no name";
    else if (why == IDN2_DISALLOWED || why == IDN2_UNASSIGNED)
        text =
            "the host name holds a character that internationalized names may not have; if there "
            "is such a host, its xn-- form will do";
    error_set(error, HAUL_BAD_URL, 0, "%s (%s)", text, idn2_strerror_name(why));
    return false;
}

/* Punycode has letters, digits and hyphens alone, which libidn2 does not look at closely. */
static bool check_punycode(struct span name, struct haul_error *error)
{
    while (name.len > 0) {
        struct span label = span_cut(&name, '.');
        bool good = true;

        if (!span_starts_nocase(label, SPAN("xn--")))
            continue;
        for (size_t i = 0; i < label.len; i++) {
            char c = label.data[i];

            good = good && (span_is_digit(c) || c == '-' || (c >= 'a' && c <= 'z'));
        }
        if (!good)
            return not_converted(IDN2_PUNYCODE_BAD_INPUT, error);
    }
    return true;
}

/* What is not ASCII becomes punycode; what is punycode already has to be right. */
static bool convert(struct host_name *host, const struct decoded *decoded, struct haul_error *error)
{
    /* Whoever writes xn-- means it, so that only what it can't be is refused. */
    int flags = IDN2_NONTRANSITIONAL | (decoded->ascii ? IDN2_NO_ALABEL_ROUNDTRIP : 0);
    uint8_t *converted = NULL;
    int why = idn2_lookup_u8((const uint8_t *)decoded->data, &converted, flags);
    struct span name;
    bool good = true;

    if (why != IDN2_OK)
        return not_converted(why, error);
    name = span_of((const char *)converted);
    for (size_t i = 0; i < name.len && good; i++)
        if ((unsigned char)name.data[i] >= sizeof(host_bytes))
            good = bad_byte((unsigned char)name.data[i], error);
    good = good && lower_name(host, name, error) &&
           check_punycode(span_make(host->data, host->len), error);
    idn2_free(converted);
    return good;
}

static bool has_punycode(struct span name)
{
    while (name.len >= 4)
        if (span_starts_nocase(span_cut(&name, '.'), SPAN("xn--")))
            return true;
    return false;
}

/* Whether nothing needs to be decoded or converted. */
static bool is_plain(struct span raw)
{
    bool hyphens = false;

    for (size_t i = 0; i < raw.len; i++) {
        unsigned char c = (unsigned char)raw.data[i];

        if (c >= 0x80 || c == '%')
            return false;
        hyphens = hyphens || (c == '-' && i > 0 && raw.data[i - 1] == '-');
    }
    return !hyphens || !has_punycode(raw);
}

static bool check_labels(struct span name, struct haul_error *error)
{
    size_t label = 0;

    if (name.data[name.len - 1] == '.')
        name.len--;
    if (name.len > HOST_BYTES_MAX)
        return name_too_long(error);
    for (size_t i = 0; i <= name.len; i++) {
        if (i < name.len && name.data[i] != '.')
            continue;
        if (i == label) {
            error_set(error, HAUL_BAD_URL, 0, "the host name has nothing between two dots");
            return false;
        }
        if (i - label > LABEL_BYTES_MAX)
            return label_too_long(error);
        label = i + 1;
    }
    return true;
}

/* --- IPv4 --- */

/* One number of an IPv4 address: decimal, octal after "0", hexadecimal after "0x". */
static bool ipv4_number(struct span s, uint64_t *value)
{
    unsigned base = 10;

    if (s.len == 0)
        return false;
    if (span_starts_nocase(s, SPAN("0x"))) {
        base = 16;
        s = behind(s, 2);
    } else if (s.len > 1 && s.data[0] == '0') {
        base = 8;
        s = behind(s, 1);
    }
    *value = 0;
    for (size_t i = 0; i < s.len; i++) {
        int digit = span_hex_value(s.data[i]);

        if (digit < 0 || digit >= (int)base)
            return false;
        *value = *value * base + (unsigned)digit;
        if (*value > UINT32_MAX)
            *value = (uint64_t)UINT32_MAX + 1; /* too large, however long it goes on */
    }
    return true;
}

/* A name whose last label is a number can only be an IPv4 address. */
static bool ends_in_number(struct span name)
{
    uint64_t value;
    size_t at;

    if (name.data[name.len - 1] == '.')
        name.len--;
    at = name.len;
    while (at > 0 && name.data[at - 1] != '.')
        at--;
    name = behind(name, at);
    if (name.len == 0 || !span_is_digit(name.data[0]))
        return false;
    for (at = 0; at < name.len && span_is_digit(name.data[at]);)
        at++;
    return at == name.len || ipv4_number(name, &value);
}

/* "127.1", "0x7f.0.0.1" and "2130706433" are 127.0.0.1 to some resolvers: make them so for all. */
static bool parse_ipv4(struct host_name *host, struct span name)
{
    uint32_t address = 0;
    unsigned count = 0;

    if (name.data[name.len - 1] == '.')
        name.len--;
    for (;;) {
        bool last = span_find(name, '.') == name.len;
        uint64_t number, limit;

        if (count == 4 || !ipv4_number(span_cut(&name, '.'), &number))
            return false;
        limit = last ? UINT64_C(1) << (8 * (4 - count)) : 256;
        if (number >= limit)
            return false;
        if (last) {
            address |= (uint32_t)number;
            break;
        }
        address |= (uint32_t)number << (8 * (3 - count));
        count++;
    }
    address = htonl(address);
    CHECK(inet_ntop(AF_INET, &address, host->data, sizeof(host->data)));
    host->len = strlen(host->data);
    return true;
}

bool host_parse(struct host_name *host, struct span raw, struct haul_error *error)
{
    struct host_name address;
    struct decoded decoded;
    struct span name;

    if (is_plain(raw)) {
        if (!lower_name(host, raw, error))
            return false;
    } else if (!decode(&decoded, raw, error)) {
        return false;
    } else {
        name = span_make(decoded.data, decoded.len);
        if (!(decoded.ascii && !has_punycode(name) ? lower_name(host, name, error)
                                                   : convert(host, &decoded, error)))
            return false;
    }
    name = span_make(host->data, host->len);
    if (name.len == 0) {
        error_set(error, HAUL_BAD_URL, 0, "the URL has no host");
        return false;
    }
    if (!ends_in_number(name))
        return check_labels(name, error);
    if (!parse_ipv4(&address, name)) {
        error_set(error, HAUL_BAD_URL, 0, "the host ends in a number, but is no IPv4 address");
        return false;
    }
    *host = address;
    return true;
}

/* --- IPv6 --- */

enum { PIECES = 8 };

/* Where the longest run of zeros that is worth "::" begins; PIECES: there is none. */
static size_t find_zeros(const uint16_t *pieces, size_t *len)
{
    size_t best = PIECES;

    *len = 1; /* one alone is not shortened */
    for (size_t at = 0; at < PIECES; at++) {
        size_t end = at;

        while (end < PIECES && pieces[end] == 0)
            end++;
        if (end - at > *len) {
            best = at;
            *len = end - at;
        }
    }
    return best;
}

/* As RFC 5952 and the URL standard have it; an IPv4 address within is two pieces like others. */
static void write_ipv6(struct host_name *host, const uint16_t *pieces)
{
    static const char digits[] = "0123456789abcdef";
    size_t run;
    size_t zeros = find_zeros(pieces, &run);

    host->len = 0;
    for (size_t i = 0; i < PIECES; i++) {
        if (i == zeros) {
            host->data[host->len++] = ':';
            if (i == 0)
                host->data[host->len++] = ':';
            i += run - 1;
            continue;
        }
        for (int shift = 12; shift >= 0; shift -= 4)
            if (shift == 0 || pieces[i] >> shift != 0)
                host->data[host->len++] = digits[pieces[i] >> shift & 15];
        if (i + 1 < PIECES)
            host->data[host->len++] = ':';
    }
    host->data[host->len] = '\0';
}

bool host_parse_ipv6(struct host_name *host, struct span raw, struct haul_error *error)
{
    struct in6_addr address;
    uint16_t pieces[PIECES];

    if (span_find(raw, '%') < raw.len) {
        error_set(
            error, HAUL_BAD_URL, 0,
            "an IPv6 address with a zone (%%) can't stand in a URL: it means something on one "
            "machine only");
        return false;
    }
    host->len = raw.len < sizeof(host->data) ? raw.len : 0;
    if (host->len > 0)
        memcpy(host->data, raw.data, host->len);
    host->data[host->len] = '\0';
    if (strlen(host->data) != raw.len || inet_pton(AF_INET6, host->data, &address) != 1) {
        error_set(error, HAUL_BAD_URL, 0, "what stands in the brackets is no IPv6 address");
        return false;
    }
    for (size_t i = 0; i < PIECES; i++)
        pieces[i] = (uint16_t)(address.s6_addr[2 * i] << 8 | address.s6_addr[2 * i + 1]);
    write_ipv6(host, pieces);
    return true;
}
