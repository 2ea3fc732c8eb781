/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Input: the value of a field that holds a date, a delay, a range or an entity tag. */
#include "tests/fuzz/fuzz.h"

#include <stdio.h>
#include <time.h>

#include "http/fields.h"
#include "http/request.h"

static const int64_t now_s = 784111777; /* Sun, 06 Nov 1994 08:49:37 GMT */

/* The C library's calendar is another one than ours. */
static void check_date(struct span value)
{
    int64_t when_s = 0, again_s = 0;
    time_t time;
    struct tm parts;
    char text[64];

    if (!field_date(value, &when_s))
        return;
    time = (time_t)when_s;
    CHECK(gmtime_r(&time, &parts) && parts.tm_year >= -1900 && parts.tm_year <= 9999 - 1900 + 1);
    if (parts.tm_year > 9999 - 1900)
        return; /* a leap second at the very end */
    CHECK(strftime(text, sizeof(text), "%a, %d %b ", &parts) > 0);
    snprintf(text + strlen(text), sizeof(text) - strlen(text), "%04d %02d:%02d:%02d GMT",
             parts.tm_year + 1900, parts.tm_hour, parts.tm_min, parts.tm_sec);
    CHECK(field_date(span_of(text), &again_s) && again_s == when_s);
    CHECK(timegm(&parts) == time);
}

static void check_delay(struct span value)
{
    uint64_t delay_s = 0, later_s = 0;
    int64_t when_s;

    if (!field_retry_after(value, now_s, &delay_s)) {
        CHECK(!field_date(value, &when_s));
        return;
    }
    CHECK(delay_s <= INT64_MAX / 1000000000);
    CHECK(field_retry_after(value, now_s + 10, &later_s) && later_s <= delay_s);
    if (field_date(value, &when_s) && delay_s < INT64_MAX / 1000000000)
        CHECK(delay_s == (when_s > now_s ? (uint64_t)(when_s - now_s) : 0));
    CHECK(field_retry_after(value, INT64_MAX, &later_s));
    CHECK(field_retry_after(value, INT64_MIN, &later_s) && later_s >= delay_s);
}

static void check_range(struct span value)
{
    struct content_range range = {0}, again = {0};
    uint64_t total = 0, total_again = 0;
    char text[100];

    if (field_content_range(value, &range)) {
        CHECK(range.first <= range.last && range.last < range.total);
        snprintf(text, sizeof(text), "bytes %llu-%llu/", (unsigned long long)range.first,
                 (unsigned long long)range.last);
        snprintf(text + strlen(text), sizeof(text) - strlen(text),
                 range.total == UINT64_MAX ? "*" : "%llu", (unsigned long long)range.total);
        CHECK(field_content_range(span_of(text), &again));
        CHECK(range.first == again.first && range.last == again.last && range.total == again.total);
        CHECK(!field_unsatisfied_range(value, &total));
    }
    if (field_unsatisfied_range(value, &total)) {
        snprintf(text, sizeof(text), "bytes */%llu", (unsigned long long)total);
        CHECK(field_unsatisfied_range(span_of(text), &total_again) && total == total_again);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span value = fuzz_span(data, size);

    check_date(value);
    check_delay(value);
    check_range(value);
    /* A strong entity tag goes back to the server as If-Range. */
    if (field_strong_etag(value))
        CHECK(request_check_value(span_trim(value)));
    return 0;
}
