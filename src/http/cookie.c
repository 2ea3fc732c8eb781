/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Cookies are read as browsers read them, which is more kindly than any server is allowed to write
 * them: the section numbers are those of RFC 6265bis.
 */
#include "http/cookie.h"

#include "base/check.h"
#include "http/fields.h"
#include "http/request.h"

/* --- dates (5.1.1) --------------------------------------------------------------------------- */

static bool is_date_delimiter(char c)
{
    unsigned char byte = (unsigned char)c;

    return byte == '\t' || (byte >= 0x20 && byte <= 0x2f) || (byte >= 0x3b && byte <= 0x40) ||
           (byte >= 0x5b && byte <= 0x60) || (byte >= 0x7b && byte <= 0x7e);
}

/* min to max digits, which no further one follows. */
static bool take_number(struct span *s, size_t min, size_t max, unsigned *number)
{
    size_t len = 0;
    unsigned sum = 0;

    while (len < s->len && span_is_digit(s->data[len])) {
        if (++len > max)
            return false;
        sum = sum * 10 + (unsigned)(s->data[len - 1] - '0');
    }
    if (len < min)
        return false;
    *s = span_sub(*s, len, s->len);
    *number = sum;
    return true;
}

static bool take_colon(struct span *s)
{
    if (s->len == 0 || s->data[0] != ':')
        return false;
    *s = span_sub(*s, 1, s->len);
    return true;
}

static bool read_time(struct span token, struct date *date)
{
    struct date read = *date;

    if (!take_number(&token, 1, 2, &read.hour) || !take_colon(&token) ||
        !take_number(&token, 1, 2, &read.minute) || !take_colon(&token) ||
        !take_number(&token, 1, 2, &read.second))
        return false;
    *date = read;
    return true;
}

static bool read_month(struct span token, struct date *date)
{
    static const char names[] = "janfebmaraprmayjunjulaugsepoctnovdec";

    for (unsigned i = 0; i < 12; i++) {
        if (span_starts_nocase(token, span_make(names + (size_t)3 * i, 3))) {
            date->month = i + 1;
            return true;
        }
    }
    return false;
}

bool cookie_date(struct span text, int64_t *unix_s)
{
    struct date date = {0};
    bool has_time = false, has_day = false, has_month = false, has_year = false;

    while (text.len > 0) {
        struct span token = text, rest;
        size_t len = 0;

        while (len < text.len && !is_date_delimiter(text.data[len]))
            len++;
        token.len = len;
        text = span_sub(text, len + 1, text.len);
        rest = token;
        if (!has_time && read_time(token, &date))
            has_time = true;
        else if (!has_day && take_number(&rest, 1, 2, &date.day))
            has_day = true;
        else if (!has_month && read_month(token, &date))
            has_month = true;
        else if (!has_year && take_number(&token, 2, 4, &date.year))
            has_year = true;
    }
    if (!has_time || !has_day || !has_month || !has_year || date.second > 59)
        return false;
    if (date.year <= 99)
        date.year += date.year >= 70 ? 1900 : 2000;
    return date.year >= 1601 && date_to_unix(&date, unix_s);
}

/* --- Set-Cookie (5.6) ------------------------------------------------------------------------ */

/* What the attributes have said so far; Max-Age is stronger than Expires, wherever it stands. */
struct lifetimes {
    bool has_expires;
    int64_t expires_s;
    bool has_max_age;
    int64_t max_age_s; /* INT64_MIN: at once */
};

static void read_max_age(struct span value, struct lifetimes *lifetimes)
{
    bool negative = value.len > 0 && value.data[0] == '-';
    struct span digits = span_sub(value, negative, value.len);
    uint64_t seconds;

    for (size_t i = 0; i < digits.len; i++)
        if (!span_is_digit(digits.data[i]))
            return;
    if (digits.len == 0)
        return;
    if (!span_to_u64(digits, &seconds) || seconds > COOKIE_AGE_S_MAX)
        seconds = COOKIE_AGE_S_MAX;
    lifetimes->has_max_age = true;
    lifetimes->max_age_s = negative || seconds == 0 ? INT64_MIN : (int64_t)seconds;
}

static void read_attribute(struct span attribute, struct cookie *cookie,
                           struct lifetimes *lifetimes)
{
    struct span name = span_trim(span_cut(&attribute, '='));
    struct span value = span_trim(attribute);

    if (value.len > COOKIE_ATTRIBUTE_BYTES_MAX)
        return;
    if (span_equal_nocase(name, SPAN("expires"))) {
        lifetimes->has_expires =
            cookie_date(value, &lifetimes->expires_s) || lifetimes->has_expires;
    } else if (span_equal_nocase(name, SPAN("max-age"))) {
        read_max_age(value, lifetimes);
    } else if (span_equal_nocase(name, SPAN("domain"))) {
        cookie->domain =
            value.len > 0 && value.data[0] == '.' ? span_sub(value, 1, value.len) : value;
    } else if (span_equal_nocase(name, SPAN("path"))) {
        cookie->path = value.len > 0 && value.data[0] == '/' ? value : span_make("", 0);
    } else if (span_equal_nocase(name, SPAN("secure"))) {
        cookie->secure = true;
    } else if (span_equal_nocase(name, SPAN("httponly"))) {
        cookie->http_only = true;
    }
}

static void settle_lifetime(const struct lifetimes *lifetimes, int64_t now_s, struct cookie *cookie)
{
    int64_t last_s = now_s + COOKIE_AGE_S_MAX;

    cookie->persistent = lifetimes->has_max_age || lifetimes->has_expires;
    if (lifetimes->has_max_age && lifetimes->max_age_s == INT64_MIN)
        cookie->expires_s = INT64_MIN;
    else if (lifetimes->has_max_age)
        cookie->expires_s = now_s + lifetimes->max_age_s;
    else if (lifetimes->has_expires)
        cookie->expires_s = lifetimes->expires_s < last_s ? lifetimes->expires_s : last_s;
}

bool cookie_parse(struct span value, int64_t now_s, struct cookie *cookie)
{
    struct lifetimes lifetimes = {0};
    struct span pair;

    *cookie = (struct cookie){
        .name = span_make("", 0), .domain = span_make("", 0), .path = span_make("", 0)};
    if (!request_check_value(value))
        return false;
    pair = span_cut(&value, ';');
    if (span_find(pair, '=') < pair.len)
        cookie->name = span_trim(span_cut(&pair, '='));
    cookie->value = span_trim(pair);
    if (cookie->name.len + cookie->value.len > COOKIE_PAIR_BYTES_MAX ||
        cookie->name.len + cookie->value.len == 0)
        return false;
    while (value.len > 0)
        read_attribute(span_cut(&value, ';'), cookie, &lifetimes);
    settle_lifetime(&lifetimes, now_s, cookie);
    return cookie_keeps_promise(cookie);
}

bool cookie_keeps_promise(const struct cookie *cookie)
{
    /* Without a name, the value would be read as one where it arrives. */
    struct span first = cookie->name.len > 0 ? cookie->name : cookie->value;
    bool host = span_starts_nocase(first, SPAN("__Host-"));

    if (!host && !span_starts_nocase(first, SPAN("__Secure-")))
        return true;
    if (cookie->name.len == 0 || !cookie->secure)
        return false;
    return !host || (cookie->domain.len == 0 && span_equal(cookie->path, SPAN("/")));
}

/* --- where it belongs (5.1.3, 5.1.4) --------------------------------------------------------- */

/* Of hosts as URLs have them: only an IPv6 address holds a colon, and only an IPv4 address ends in
 * a label of digits. */
bool cookie_is_address(struct span host)
{
    size_t at = host.len;

    if (span_find(host, ':') < host.len)
        return true;
    while (at > 0 && span_is_digit(host.data[at - 1]))
        at--;
    return at < host.len && (at == 0 || host.data[at - 1] == '.');
}

bool cookie_domain_matches(struct span host, struct span domain)
{
    size_t above = host.len - domain.len;

    if (domain.len == 0 || domain.len > host.len)
        return false;
    if (above == 0)
        return span_equal(host, domain);
    return host.data[above - 1] == '.' && span_equal(span_sub(host, above, host.len), domain) &&
           !cookie_is_address(host);
}

bool cookie_path_matches(struct span path, struct span cookie_path)
{
    if (cookie_path.len == 0 || !span_equal(span_sub(path, 0, cookie_path.len), cookie_path))
        return false;
    return path.len == cookie_path.len || cookie_path.data[cookie_path.len - 1] == '/' ||
           path.data[cookie_path.len] == '/';
}

struct span cookie_default_path(struct span path)
{
    size_t len = path.len;

    if (path.len == 0 || path.data[0] != '/')
        return SPAN("/");
    while (path.data[len - 1] != '/')
        len--;
    return span_sub(path, 0, len > 1 ? len - 1 : 1);
}
