/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Input: a .netrc. */
#include "tests/fuzz/fuzz.h"

#include "session/netrc.h"

static void find(const struct netrc *netrc, struct span host)
{
    struct login login = {0}, again = {0};

    if (!netrc_find(netrc, host, SPAN(""), false, &login)) {
        /* What holds for any host holds for this one. */
        CHECK(!netrc_find(netrc, host, SPAN(""), true, &login) || netrc_count(netrc) > 0);
        return;
    }
    CHECK(netrc_count(netrc) > 0);
    CHECK(netrc_find(netrc, host, SPAN(""), true, &again));
    CHECK(span_equal(login.user, again.user) && span_equal(login.password, again.password));
    /* Maybe with another password: one that is for any user of the host comes first. */
    if (login.user.len > 0)
        CHECK(netrc_find(netrc, host, login.user, false, &again) &&
              span_equal(login.user, again.user));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char *copy = fuzz_copy(fuzz_span(data, size));
    struct netrc *netrc = netrc_parse(span_make(copy, size), 1);

    CHECK(netrc);
    free(copy); /* nothing of it is needed any more */
    CHECK(netrc_count(netrc) <= size / 2);
    find(netrc, SPAN("h"));
    find(netrc, SPAN("example.com"));
    find(netrc, SPAN(""));
    netrc_destroy(netrc);
    return 0;
}
