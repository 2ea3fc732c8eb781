/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Input: a certificate in DER, a peer's before it is known who it is. */
#include "tests/fuzz/fuzz.h"

#include "tls/internal.h"

static bool within(struct span part, struct span whole)
{
    return part.len == 0 ||
           (part.data >= whole.data && part.data + part.len <= whole.data + whole.len);
}

static void check_parts(const struct certificate *certificate, struct span der)
{
    const struct span parts[] = {
        certificate->issuer,    certificate->subject,  certificate->subject_name,
        certificate->not_after, certificate->key,      certificate->not_before,
        certificate->signature, certificate->names,    certificate->purposes,
        certificate->permitted, certificate->excluded,
    };

    for (size_t i = 0; i < COUNT_OF(parts); i++)
        CHECK(within(parts[i], der));
}

/* What is said of it is text that does nothing to a terminal. */
static void check_text(const struct certificate *certificate)
{
    struct text text = {0};

    certificate_add_date(&text, certificate->not_before);
    certificate_add_date(&text, certificate->not_after);
    certificate_add_name(&text, certificate->subject_name);
    certificate_add_names(&text, certificate);
    CHECK(fuzz_is_utf8(text_span(&text)));
    for (size_t i = 0; i < text.len;) {
        struct span character = span_sub(text_span(&text), i, text.len);

        character.len = text_utf8_length(character);
        CHECK(!text_is_control(character));
        i += character.len;
    }
    text_free(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const hosts[] = {"localhost", "a.example.com", "127.0.0.1", "::1"};
    struct span der = fuzz_span(data, size);
    struct certificate certificate;

    (void)certificate_is_key(der);
    if (!certificate_parse(&certificate, der))
        return 0;
    check_parts(&certificate, der);
    for (size_t i = 0; i < COUNT_OF(hosts); i++) {
        struct tls_peer peer;

        CHECK(tls_peer_init(&peer, span_of(hosts[i])));
        (void)certificate_is_for(&certificate, &peer);
        (void)certificate_permits(&certificate, &certificate, &peer);
    }
    (void)certificate_is_self_issued(&certificate);
    (void)certificate_weakness(&certificate);
    (void)certificate_may_serve(&certificate);
    (void)certificate_not_issuer(&certificate);
    (void)certificate_ends_s(&certificate);
    check_text(&certificate);
    return 0;
}
