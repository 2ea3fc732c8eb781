/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Input: a file like /etc/hosts. */
#include "tests/fuzz/fuzz.h"

#include <sys/socket.h>

#include "resolve/hosts.h"

enum { ADDRESSES_MAX = 16 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const names[] = {"localhost", "h", "a.example.com", "", "LOCALHOST"};
    char *copy = fuzz_copy(fuzz_span(data, size));
    struct hosts *hosts = hosts_parse(span_make(copy, size), 1);

    CHECK(hosts);
    free(copy); /* nothing of it is needed any more */
    CHECK(hosts_count(hosts) <= size);
    for (size_t i = 0; i < COUNT_OF(names); i++) {
        struct address addresses[ADDRESSES_MAX];
        size_t four = 0, six = 0;
        bool known = hosts_find(hosts, span_of(names[i]), AF_INET, addresses, ADDRESSES_MAX, &four);

        CHECK(known ==
              hosts_find(hosts, span_of(names[i]), AF_INET6, addresses, ADDRESSES_MAX, &six));
        CHECK(four <= ADDRESSES_MAX && six <= ADDRESSES_MAX);
        CHECK(!known || (hosts_count(hosts) > 0 && four + six > 0));
    }
    hosts_free(hosts);
    return 0;
}
