/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Values of header fields, read by a cursor: each take_...() moves the span behind what it has
 * read, or returns false. A value that is not wholly understood is not understood at all.
 */
#include "http/fields.h"

#include <stddef.h>
#include <time.h>

#include "base/check.h"

/* Longer delays become this one, 292 years, so that it can be counted in nanoseconds. */
#define DELAY_S_MAX ((uint64_t)(INT64_MAX / 1000000000))

static const char *const month_names[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
static const char *const day_names[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
static const char *const long_day_names[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                             "Thursday", "Friday", "Saturday"};

static bool take(struct span *s, struct span expected)
{
    if (!span_starts_nocase(*s, expected))
        return false;
    *s = span_sub(*s, expected.len, s->len);
    return true;
}

/* Exactly `digits` digits; with padded, the first may be a space. */
static bool take_digits(struct span *s, size_t digits, bool padded, unsigned *number)
{
    struct span part = span_sub(*s, 0, digits);
    uint64_t value;

    if (padded && part.len > 1 && part.data[0] == ' ')
        part = span_sub(part, 1, part.len);
    else if (part.len != digits)
        return false;
    if (!span_to_u64(part, &value))
        return false;
    *number = (unsigned)value;
    *s = span_sub(*s, digits, s->len);
    return true;
}

/* One of count names; *index is which. */
static bool take_name(struct span *s, const char *const *names, size_t count, unsigned *index)
{
    for (size_t i = 0; i < count; i++) {
        if (take(s, span_of(names[i]))) {
            *index = (unsigned)i;
            return true;
        }
    }
    return false;
}

static bool take_month(struct span *s, struct date *date)
{
    unsigned index;

    if (!take_name(s, month_names, COUNT_OF(month_names), &index))
        return false;
    date->month = index + 1;
    return true;
}

static bool take_time(struct span *s, struct date *date)
{
    return take_digits(s, 2, false, &date->hour) && take(s, SPAN(":")) &&
           take_digits(s, 2, false, &date->minute) && take(s, SPAN(":")) &&
           take_digits(s, 2, false, &date->second);
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool parse_imf_fixdate(struct span s, struct date *date)
{
    unsigned day;

    return take_name(&s, day_names, COUNT_OF(day_names), &day) && take(&s, SPAN(", ")) &&
           take_digits(&s, 2, false, &date->day) && take(&s, SPAN(" ")) && take_month(&s, date) &&
           take(&s, SPAN(" ")) && take_digits(&s, 4, false, &date->year) && take(&s, SPAN(" ")) &&
           take_time(&s, date) && take(&s, SPAN(" GMT")) && s.len == 0;
}

/* "Sunday, 06-Nov-94 08:49:37 GMT" */
static bool parse_rfc850_date(struct span s, struct date *date)
{
    unsigned day;

    if (!take_name(&s, long_day_names, COUNT_OF(long_day_names), &day) || !take(&s, SPAN(", ")) ||
        !take_digits(&s, 2, false, &date->day) || !take(&s, SPAN("-")) || !take_month(&s, date) ||
        !take(&s, SPAN("-")) || !take_digits(&s, 2, false, &date->year) || !take(&s, SPAN(" ")) ||
        !take_time(&s, date) || !take(&s, SPAN(" GMT")) || s.len != 0)
        return false;
    date->year += date->year < 70 ? 2000 : 1900; /* as POSIX and everybody else has it */
    return true;
}

/* "Sun Nov  6 08:49:37 1994" */
static bool parse_asctime_date(struct span s, struct date *date)
{
    unsigned day;

    return take_name(&s, day_names, COUNT_OF(day_names), &day) && take(&s, SPAN(" ")) &&
           take_month(&s, date) && take(&s, SPAN(" ")) && take_digits(&s, 2, true, &date->day) &&
           take(&s, SPAN(" ")) && take_time(&s, date) && take(&s, SPAN(" ")) &&
           take_digits(&s, 4, false, &date->year) && s.len == 0;
}

static bool is_leap(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static bool is_real(const struct date *date)
{
    static const unsigned char days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    unsigned last = days[date->month - 1];

    if (date->month == 2 && is_leap(date->year))
        last = 29;
    /* second 60: a leap second */
    return date->day >= 1 && date->day <= last && date->hour < 24 && date->minute < 60 &&
           date->second <= 60;
}

static int64_t unix_time(const struct date *date)
{
    /* Years that begin in March have their leap day at the end. */
    int64_t year = (int64_t)date->year - (date->month <= 2);
    int64_t month = (date->month + 9) % 12;
    int64_t before = year >= 0 ? year / 400 : -1; /* whole periods of 400 years */
    int64_t year_of_period = year - before * 400;
    int64_t day_of_year = (153 * month + 2) / 5 + date->day - 1;
    int64_t days = before * 146097 + year_of_period * 365 + year_of_period / 4 -
                   year_of_period / 100 + day_of_year - 719468;

    return ((days * 24 + date->hour) * 60 + date->minute) * 60 + date->second;
}

bool date_to_unix(const struct date *date, int64_t *unix_s)
{
    if (date->month < 1 || date->month > 12 || !is_real(date))
        return false;
    *unix_s = unix_time(date);
    return true;
}

bool field_date(struct span value, int64_t *unix_s)
{
    struct date date = {0};

    value = span_trim(value);
    if (!parse_imf_fixdate(value, &date) && !parse_rfc850_date(value, &date) &&
        !parse_asctime_date(value, &date))
        return false;
    return date_to_unix(&date, unix_s);
}

static bool is_digits(struct span s)
{
    for (size_t i = 0; i < s.len; i++)
        if (s.data[i] < '0' || s.data[i] > '9')
            return false;
    return s.len > 0;
}

bool field_retry_after(struct span value, int64_t now_s, uint64_t *delay_s)
{
    uint64_t delay;
    int64_t at_s;

    value = span_trim(value);
    if (is_digits(value)) {
        if (!span_to_u64(value, &delay))
            delay = UINT64_MAX;
    } else if (field_date(value, &at_s)) {
        delay = at_s > now_s ? (uint64_t)at_s - (uint64_t)now_s : 0;
    } else {
        return false;
    }
    *delay_s = delay < DELAY_S_MAX ? delay : DELAY_S_MAX;
    return true;
}

/* "bytes", blanks; leaves the rest. */
static bool take_unit(struct span *s)
{
    *s = span_trim(*s);
    if (!take(s, SPAN("bytes ")))
        return false;
    *s = span_trim(*s);
    return true;
}

/* A size; UINT64_MAX stands for one that is not known, so it is none. */
static bool to_size(struct span s, uint64_t *size)
{
    return span_to_u64(s, size) && *size != UINT64_MAX;
}

bool field_content_range(struct span value, struct content_range *range)
{
    struct content_range parsed = {.total = UINT64_MAX};
    struct span first, last;

    if (!take_unit(&value))
        return false;
    first = span_cut(&value, '-');
    last = span_cut(&value, '/');
    if (!to_size(first, &parsed.first) || !to_size(last, &parsed.last) ||
        (!span_equal(value, SPAN("*")) && !to_size(value, &parsed.total)))
        return false;
    if (parsed.first > parsed.last || parsed.last >= parsed.total)
        return false;
    *range = parsed;
    return true;
}

bool field_unsatisfied_range(struct span value, uint64_t *total)
{
    return take_unit(&value) && take(&value, SPAN("*/")) && to_size(value, total);
}

bool field_strong_etag(struct span value)
{
    value = span_trim(value);
    if (value.len < 2 || value.data[0] != '"' || value.data[value.len - 1] != '"')
        return false;
    for (size_t i = 1; i < value.len - 1; i++) {
        unsigned char c = (unsigned char)value.data[i];

        if (c <= ' ' || c == '"' || c == 0x7f)
            return false;
    }
    return true;
}

void field_add_date(int64_t unix_s, struct text *out)
{
    time_t time = (time_t)unix_s;
    struct tm utc;

    if (!gmtime_r(&time, &utc) || utc.tm_year > 9999 - 1900 || utc.tm_year < 1 - 1900)
        return;
    text_printf(out, "%s, %02d %s %04d %02d:%02d:%02d GMT", day_names[utc.tm_wday], utc.tm_mday,
                month_names[utc.tm_mon], utc.tm_year + 1900, utc.tm_hour, utc.tm_min, utc.tm_sec);
}

bool field_same_etag(struct span a, struct span b)
{
    if (span_starts_nocase(a, SPAN("W/")))
        a = span_sub(a, 2, a.len);
    if (span_starts_nocase(b, SPAN("W/")))
        b = span_sub(b, 2, b.len);
    return a.len > 0 && span_equal(a, b);
}
