/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 *     value:   [type] *( ";" parameter )          parameter: name "=" ( token | "quoted" | junk )
 *
 * - filename* (RFC 8187) comes before filename, wherever it stands; of several of one kind, the
 *   first that can be read counts. The type does not matter: who downloads has decided already.
 * - Without quotes a value reaches to the next semicolon, blanks and all; a quote that is never
 *   closed reaches to the end.
 * - filename is read as what its bytes look like: encoded words (RFC 2047), percent escapes that
 *   come to UTF-8, UTF-8, else Windows-1252, of which ISO-8859-1 is a part.
 * - Of a path, the last component is the name. A backslash escapes what stands behind it, unless
 *   the value begins as a path of Windows does.
 */
#include "http/disposition.h"

#include <string.h>

#include "base/check.h"
#include "http/escape.h"
#include "http/url.h"

enum { RUNE_BYTES_MAX = 3 };

/* --- characters ------------------------------------------------------------------------------ */

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct span trim(struct span s)
{
    while (s.len > 0 && is_blank(s.data[0]))
        s = span_sub(s, 1, s.len);
    while (s.len > 0 && is_blank(s.data[s.len - 1]))
        s.len--;
    return s;
}

static bool is_utf8(struct span s)
{
    while (s.len > 0) {
        size_t len = text_utf8_length(s);

        if (len == 0)
            return false;
        s = span_sub(s, len, s.len);
    }
    return true;
}

/* One below U+10000. */
static void add_rune(struct text *out, unsigned rune)
{
    char bytes[RUNE_BYTES_MAX];
    size_t len = 0;

    if (rune < 0x80) {
        bytes[len++] = (char)rune;
    } else if (rune < 0x800) {
        bytes[len++] = (char)(0xc0 | rune >> 6);
        bytes[len++] = (char)(0x80 | (rune & 0x3f));
    } else {
        bytes[len++] = (char)(0xe0 | rune >> 12);
        bytes[len++] = (char)(0x80 | (rune >> 6 & 0x3f));
        bytes[len++] = (char)(0x80 | (rune & 0x3f));
    }
    text_add(out, span_make(bytes, len));
}

/* What the Web means by ISO-8859-1. Five bytes of 0x80 to 0x9f stand for nothing. */
static void add_latin(struct text *out, struct span s)
{
    static const unsigned short high[32] = {
        0x20ac, 0x81,   0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
        0x2039, 0x0152, 0x8d,   0x017d, 0x8f,   0x90,   0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
        0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x9d,   0x017e, 0x0178};

    for (size_t i = 0; i < s.len; i++) {
        unsigned char byte = (unsigned char)s.data[i];

        add_rune(out, byte >= 0x80 && byte < 0xa0 ? high[byte - 0x80] : byte);
    }
}

enum charset { CHARSET_UTF8, CHARSET_LATIN, CHARSET_UNKNOWN };

static enum charset charset_of(struct span name)
{
    if (span_equal_nocase(name, SPAN("utf-8")) || span_equal_nocase(name, SPAN("utf8")))
        return CHARSET_UTF8;
    if (span_equal_nocase(name, SPAN("iso-8859-1")) || span_equal_nocase(name, SPAN("us-ascii")) ||
        span_equal_nocase(name, SPAN("windows-1252")))
        return CHARSET_LATIN;
    return CHARSET_UNKNOWN;
}

/* False: it is not of that set. */
static bool add_in_charset(struct text *out, struct span s, enum charset charset)
{
    if (charset == CHARSET_UNKNOWN || (charset == CHARSET_UTF8 && !is_utf8(s)))
        return false;
    if (charset == CHARSET_UTF8)
        text_add(out, s);
    else
        add_latin(out, s);
    return true;
}

/* --- encoded words (RFC 2047) ---------------------------------------------------------------- */

static int base64_value(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c ? strchr(digits, c) : NULL;

    return at ? (int)(at - digits) : -1;
}

static bool add_base64(struct text *out, struct span s)
{
    unsigned word = 0, bits = 0;

    while (s.len > 0 && s.data[s.len - 1] == '=')
        s.len--;
    for (size_t i = 0; i < s.len; i++) {
        int value = base64_value(s.data[i]);

        if (value < 0)
            return false;
        word = (word << 6 | (unsigned)value) & 0xffff;
        bits += 6;
        if (bits < 8)
            continue;
        bits -= 8;
        text_add_char(out, (char)(word >> bits & 0xff));
    }
    return bits < 6;
}

static bool add_quoted_printable(struct text *out, struct span s)
{
    for (size_t i = 0; i < s.len; i++) {
        int high = i + 2 < s.len ? span_hex_value(s.data[i + 1]) : -1;
        int low = i + 2 < s.len ? span_hex_value(s.data[i + 2]) : -1;

        if (s.data[i] == '=' && (high < 0 || low < 0))
            return false;
        if (s.data[i] == '=') {
            text_add_char(out, (char)(high * 16 + low));
            i += 2;
        } else {
            text_add_char(out, s.data[i] == '_' ? ' ' : s.data[i]);
        }
    }
    return true;
}

/* Takes "=?charset?Q?text?=" off *s, and adds what it says. False: none stands there. */
static bool take_word(struct span *s, struct text *out)
{
    struct span rest = *s, charset, encoding, content;
    struct text bytes = {0};
    bool good;

    if (!span_starts_nocase(rest, SPAN("=?")))
        return false;
    rest = span_sub(rest, 2, rest.len);
    charset = span_cut(&rest, '?');
    charset = span_cut(&charset, '*'); /* with a language (RFC 2231) */
    encoding = span_cut(&rest, '?');
    content = span_sub(rest, 0, span_find(rest, '?'));
    rest = span_sub(rest, content.len, rest.len);
    if (!span_starts_nocase(rest, SPAN("?=")))
        return false;
    if (span_equal_nocase(encoding, SPAN("B")))
        good = add_base64(&bytes, content);
    else
        good = span_equal_nocase(encoding, SPAN("Q")) && add_quoted_printable(&bytes, content);
    good = good && add_in_charset(out, text_span(&bytes), charset_of(charset));
    out->failed = out->failed || bytes.failed;
    text_free(&bytes);
    if (good)
        *s = span_sub(rest, 2, rest.len);
    return good;
}

/* What lies between two words is no part of them, if it is blank. */
static bool add_words(struct text *out, struct span s)
{
    bool any = false;

    while (s.len > 0) {
        struct span rest = s;

        if (take_word(&s, out)) {
            any = true;
            rest = trim(s);
            if (span_starts_nocase(rest, SPAN("=?")))
                s = rest;
        } else {
            text_add_char(out, s.data[0]);
            s = span_sub(s, 1, s.len);
        }
    }
    return any;
}

/* --- values ---------------------------------------------------------------------------------- */

static bool add_unescaped(struct text *out, struct span s)
{
    bool any = false;

    while (s.len > 0) {
        any = any || escape_begins(s);
        text_add_char(out, (char)escape_take_byte(&s));
    }
    return any;
}

/* filename: see above for what its bytes may be. */
static void add_plain(struct text *out, struct span value)
{
    struct text read = {0};

    if (!add_words(&read, value)) {
        text_clear(&read);
        if (!add_unescaped(&read, value) || !is_utf8(text_span(&read))) {
            text_clear(&read);
            text_add(&read, value);
        }
    }
    if (is_utf8(text_span(&read)))
        text_add(out, text_span(&read));
    else
        add_latin(out, text_span(&read));
    out->failed = out->failed || read.failed;
    text_free(&read);
}

/* filename*: charset'language'escaped. */
static void add_extended(struct text *out, struct span value)
{
    size_t first = span_find(value, '\'');
    struct span charset = span_cut(&value, '\'');
    size_t second = span_find(value, '\'');
    struct text bytes = {0};

    if (first == charset.len && value.len > second) {
        (void)span_cut(&value, '\'');
        (void)add_unescaped(&bytes, value);
        (void)add_in_charset(out, text_span(&bytes), charset_of(charset));
    }
    out->failed = out->failed || bytes.failed;
    text_free(&bytes);
}

/* "C:\..." or "\\host\...", where the backslash of a name that was escaped stands twice. */
static bool is_windows_path(struct span s)
{
    bool drive = s.len > 3 && ((s.data[0] | 0x20) >= 'a' && (s.data[0] | 0x20) <= 'z') &&
                 s.data[1] == ':' && s.data[2] == '\\' && s.data[3] != '\\';
    bool share = s.len > 2 && s.data[0] == '\\' && s.data[1] == '\\' && s.data[2] != '\\' &&
                 span_find(span_sub(s, 2, s.len), '\\') < s.len - 2;

    return drive || share;
}

/* The inside of a quoted string, up to its end. */
static struct span quoted_span(struct span s)
{
    size_t end = 0;
    bool path = is_windows_path(s);

    while (end < s.len && s.data[end] != '"')
        end += s.data[end] == '\\' && !path && end + 1 < s.len ? 2 : 1;
    return span_sub(s, 0, end);
}

static void add_quoted(struct text *out, struct span s)
{
    bool path = is_windows_path(s);

    for (size_t i = 0; i < s.len; i++) {
        if (s.data[i] == '\\' && !path && i + 1 < s.len)
            i++;
        text_add_char(out, is_blank(s.data[i]) ? ' ' : s.data[i]);
    }
}

/* Takes the next parameter off *rest, up to and with its semicolon. */
static struct span take_parameter(struct span *rest, struct text *value)
{
    size_t end = 0;
    struct span name;

    while (end < rest->len && rest->data[end] != '=' && rest->data[end] != ';')
        end++;
    name = trim(span_sub(*rest, 0, end));
    text_clear(value);
    if (end == rest->len || rest->data[end] == ';') {
        *rest = span_sub(*rest, end + 1, rest->len);
        return span_make("", 0);
    }
    *rest = span_sub(*rest, end + 1, rest->len);
    while (rest->len > 0 && is_blank(rest->data[0]))
        *rest = span_sub(*rest, 1, rest->len);
    if (rest->len > 0 && rest->data[0] == '"') {
        struct span inside = quoted_span(span_sub(*rest, 1, rest->len));

        add_quoted(value, inside);
        *rest = span_sub(*rest, inside.len + 2, rest->len);
        (void)span_cut(rest, ';');
    } else {
        text_add(value, trim(span_cut(rest, ';')));
    }
    return name;
}

/* --- the name -------------------------------------------------------------------------------- */

static bool is_separator(char c)
{
    return c == '/' || c == '\\';
}

static struct span last_component(struct span s)
{
    size_t at;

    s = trim(s);
    while (s.len > 0 && is_separator(s.data[s.len - 1]))
        s.len--;
    at = s.len;
    while (at > 0 && !is_separator(s.data[at - 1]))
        at--;
    return trim(span_sub(s, at, s.len));
}

/* Whether something is left of it that can be a name. */
static bool add_name(struct text *name, struct span raw)
{
    struct span last = last_component(raw);
    size_t at = name->len;

    if (last.len == 0 || span_equal(last, SPAN(".")) || span_equal(last, SPAN("..")))
        return false;
    name_sanitize(last, name);
    if (!name->failed && (name->data[at] == '.' || name->data[at] == '-'))
        name->data[at] = '_';
    return true;
}

/* Whether what stands before the first semicolon is a parameter: the type is missing. */
static bool begins_with_parameter(struct span value)
{
    struct span type = span_sub(value, 0, span_find(value, ';'));

    return span_find(type, '=') < type.len;
}

bool disposition_name(struct span value, struct text *name)
{
    struct text raw = {0}, extended = {0}, plain = {0};
    bool found;

    if (!begins_with_parameter(value))
        (void)span_cut(&value, ';');
    while (value.len > 0) {
        struct span parameter = take_parameter(&value, &raw);

        if (span_equal_nocase(parameter, SPAN("filename*")) && extended.len == 0)
            add_extended(&extended, text_span(&raw));
        else if (span_equal_nocase(parameter, SPAN("filename")) && plain.len == 0)
            add_plain(&plain, text_span(&raw));
    }
    name->failed = name->failed || raw.failed || extended.failed || plain.failed;
    found = add_name(name, text_span(&extended)) || add_name(name, text_span(&plain));
    text_free(&raw);
    text_free(&extended);
    text_free(&plain);
    return found;
}
