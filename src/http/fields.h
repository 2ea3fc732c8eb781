/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Values of single header fields. Pure. */
#ifndef HTTP_FIELDS_H
#define HTTP_FIELDS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/span.h"
#include "base/text.h"

/* In UTC. */
struct date {
    unsigned year;
    unsigned month; /* from 1 */
    unsigned day;
    unsigned hour;
    unsigned minute;
    unsigned second; /* 60: a leap second */
};
/* Seconds since 1970; false: there is no such day or time. */
bool date_to_unix(const struct date *date, int64_t *unix_s);
/* An HTTP-date in any of its three forms (RFC 9110 5.6.7), as seconds since 1970. */
bool field_date(struct span value, int64_t *unix_s);
/* Appends it in the form that is to be sent, if it is of the years 1 to 9999. */
void field_add_date(int64_t unix_s, struct text *out);
/* Retry-After (RFC 9110 10.2.3): seconds, or a date against now_s; a date gone by is 0; never
 * more than 292 years, so that it can be counted in nanoseconds. */
bool field_retry_after(struct span value, int64_t now_s, uint64_t *delay_s);
/* Content-Range (RFC 9110 14.4) "bytes 0-9/100", or "bytes 0-9/" "*": total is then UINT64_MAX.
 * Only if first <= last < total. */
struct content_range {
    uint64_t first;
    uint64_t last;
    uint64_t total;
};
bool field_content_range(struct span value, struct content_range *range);
/* "bytes " "*" "/100" of a 416. */
bool field_unsatisfied_range(struct span value, uint64_t *total);
/* The weak comparison of two entity tags (RFC 9110 8.8.3.2), which may be empty. */
bool field_same_etag(struct span a, struct span b);
/* Whether an entity tag is a strong one (RFC 9110 8.8.3), fit for If-Range. */
bool field_strong_etag(struct span value);

#endif
