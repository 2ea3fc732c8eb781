/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Input: a byte that says which kind of proxy it is, and what that answers. */
#include "tests/fuzz/fuzz.h"

#include "net/socks.h"

enum { STEPS_MAX = 10, OUT_BYTES_MAX = 1024 };

static const char *const proxies[] = {"socks4://p", "socks4a://user@p", "socks5://p", "socks5h://p",
                                      "socks5h://user:password@p"};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span rest = fuzz_span(data, size);
    struct proxy *proxy = proxy_parse(span_of(proxies[fuzz_byte(&rest) % COUNT_OF(proxies)]), NULL);
    struct haul_error error = {0};
    struct text out = {0};
    struct socks socks;
    struct url url;
    enum socks_progress progress = SOCKS_MORE;

    CHECK(proxy && url_parse(&url, SPAN("https://h.example:8443/"), NULL));
    socks_start(&socks, proxy, &url, NULL, &out);
    for (int steps = 0; progress == SOCKS_MORE; steps++) {
        char *piece;

        CHECK(socks.want > 0 && socks.want <= SOCKS_BYTES_MAX && steps < STEPS_MAX);
        CHECK(!out.failed && out.len <= OUT_BYTES_MAX);
        if (rest.len < socks.want)
            break;
        piece = fuzz_copy(span_sub(rest, 0, socks.want));
        rest = span_sub(rest, socks.want, rest.len);
        progress = socks_take(&socks, (const unsigned char *)piece, &out, &error);
        free(piece);
    }
    if (progress == SOCKS_REFUSED)
        CHECK(error.status != HAUL_OK && error.text[0] && !strstr(error.text, "password"));
    else
        CHECK(error.status == HAUL_OK);
    text_free(&out);
    url_free(&url);
    proxy_destroy(proxy);
    return 0;
}
