/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Who is accepted and who is refused, with the certificates of tools/gencert (argv: its path, and
 * the directory to write them to), in both versions of TLS.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "tests/unit/tls_server.h"
#include "tls/internal.h"

static const char *directory;

static struct tls_trust *trust_of(const char *ca, bool check)
{
    char path[4096];
    struct tls_trust_options options = {.ca_certificate = path, .check = check};
    struct haul_error error;
    struct tls_trust *trust;

    snprintf(path, sizeof(path), "%s/%s.crt", directory, ca);
    trust = tls_trust_create(&options, &error);
    if (!trust)
        fail_msg("%s", error.text);
    return trust;
}

static enum tls_progress meet_with(struct tls_trust *trust, const char *certificate,
                                   const char *host, bool tls12, struct haul_error *error)
{
    struct tls_server_options options = {
        .directory = directory, .certificate = certificate, .tls12 = tls12};
    struct tls_server server;
    struct tls_session *client;
    enum tls_progress progress;

    *error = (struct haul_error){0};
    tls_server_start(&server, &options);
    client = tls_session_create(trust, span_of(host), error);
    assert_non_null(client);
    progress = tls_server_shake(&server, client, 1 << 16, error);
    tls_session_destroy(client);
    tls_server_stop(&server);
    return progress;
}

static void accept_with(struct tls_trust *trust, const char *certificate, const char *host)
{
    struct haul_error error;

    for (int tls12 = 0; tls12 <= 1; tls12++)
        if (meet_with(trust, certificate, host, tls12, &error) != TLS_OK)
            fail_msg("%s for %s: %s", certificate, host, error.text);
}

static void refuse_with(struct tls_trust *trust, const char *certificate, const char *host,
                        const char *expected)
{
    struct haul_error error;

    for (int tls12 = 0; tls12 <= 1; tls12++) {
        assert_int_equal(meet_with(trust, certificate, host, tls12, &error), TLS_BAD);
        if (error.status != HAUL_CERTIFICATE || !strstr(error.text, expected) ||
            strlen(error.text) + 4 > sizeof(error.text))
            fail_msg("%s for %s: %d, \"%s\" should say \"%s\"", certificate, host, error.status,
                     error.text, expected);
    }
    printf("# %s\n", error.text);
}

static void accepted(const char *certificate, const char *host)
{
    struct tls_trust *trust = trust_of("ca", true);

    accept_with(trust, certificate, host);
    tls_trust_destroy(trust);
}

static void refused(const char *certificate, const char *host, const char *expected)
{
    struct tls_trust *trust = trust_of("ca", true);

    refuse_with(trust, certificate, host, expected);
    tls_trust_destroy(trust);
}

static void test_names(void **state)
{
    (void)state;
    accepted("ecdsa", "localhost");
    accepted("ecdsa", "LOCALHOST");
    accepted("ecdsa", "localhost.");
    accepted("rsa", "one.media.localhost");
    refused("ecdsa", "media.localhost", "not for media.localhost");
    refused("ecdsa", "xlocalhost", "not for xlocalhost");
    refused("ecdsa", "localhos", "not for localhos");
    refused("wrongname", "localhost", "is for other.example, not for localhost");
    refused("cnonly", "localhost", "no host at all");
}

static void test_addresses(void **state)
{
    (void)state;
    accepted("ipsan", "127.0.0.1");
    accepted("ecdsa", "127.0.0.2");
    accepted("ecdsa", "::1");
    accepted("ecdsa", "0:0:0:0:0:0:0:1");
    refused("ecdsa", "127.0.0.3", "not for IP address 127.0.0.3");
    refused("ecdsa", "::2", "not for IP address ::2");
    /* mapped into IPv6 it is another address */
    refused("ipsan", "::ffff:127.0.0.1", "not for IP address");
    refused("noip", "127.0.0.1", "not for IP address 127.0.0.1");
    refused("cnonly", "127.0.0.1", "not for IP address");
    /* a DNS entry is not an address, whatever it looks like, nor the other way round */
    refused("dnslooksip", "127.0.0.1", "not for IP address 127.0.0.1");
    refused("ipsan", "localhost", "is for IP address 127.0.0.1, not for localhost");
}

static void test_wildcards(void **state)
{
    (void)state;
    accepted("wildcard", "a.wild.localhost");
    accepted("wildcard", "A.Wild.Localhost");
    refused("wildcard", "a.b.wild.localhost", "is for *.wild.localhost");
    refused("wildcard", "wild.localhost", "is for *.wild.localhost");
    refused("wildcard", "localhost", "is for *.wild.localhost");
}

static void test_chain(void **state)
{
    struct tls_trust *trust;

    (void)state;
    accepted("chain", "localhost");
    refused("nochain", "localhost", "was issued by \"haul intermediate CA\"");
    refused("unknown", "localhost", "was issued by \"haul other CA\"");
    refused("selfsigned", "localhost", "is self-signed");
    refused("expired", "localhost", "expired on 20");
    refused("future", "localhost", "is not valid before 20");
    /* What one server sends does not vouch for another one. */
    trust = trust_of("ca", true);
    accept_with(trust, "chain", "localhost");
    refuse_with(trust, "nochain", "localhost", "haul intermediate CA");
    tls_trust_destroy(trust);
    /* An intermediate, or the certificate itself, may be what is trusted. */
    trust = trust_of("intermediate", true);
    accept_with(trust, "nochain", "localhost");
    refuse_with(trust, "ecdsa", "localhost", "was issued by \"haul test CA\"");
    tls_trust_destroy(trust);
    trust = trust_of("selfsigned", true);
    accept_with(trust, "selfsigned", "localhost");
    refuse_with(trust, "selfsigned", "other.example", "not for other.example");
    refuse_with(trust, "ecdsa", "localhost", "haul test CA");
    tls_trust_destroy(trust);
}

static void test_no_check(void **state)
{
    static const char *const names[] = {"unknown", "expired", "wrongname", "selfsigned", "cnonly"};
    struct tls_trust *trust = trust_of("ca", false);

    (void)state;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        accept_with(trust, names[i], "localhost");
        accept_with(trust, names[i], "127.0.0.1");
    }
    tls_trust_destroy(trust);
}

/* ---- where the trust comes from ---- */

static void trust_fails(const char *path, const char *expected)
{
    struct tls_trust_options options = {.ca_certificate = path, .check = true};
    struct haul_error error;

    assert_null(tls_trust_create(&options, &error));
    assert_non_null(strstr(error.text, expected));
    printf("# %s\n", error.text);
}

static void write_file(const char *path, const char *data, size_t len)
{
    FILE *file = fopen(path, "w");

    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
}

static size_t read_file(const char *path, char *data, size_t room)
{
    FILE *file = fopen(path, "r");
    size_t len;

    assert_non_null(file);
    len = fread(data, 1, room, file);
    fclose(file);
    return len;
}

static void test_trust_files(void **state)
{
    static const char broken[] = "-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIU\n"
                                 "-----END CERTIFICATE-----\n";
    struct tls_trust_options options = {.check = true};
    struct tls_trust *trust;
    char data[65536];
    char path[4096];
    size_t len;

    (void)state;
    trust_fails("/nonexistent/ca.pem", "/nonexistent/ca.pem: No such file or directory");
    trust_fails("/", "in /: Is a directory");
    trust_fails("/dev/null", "no PEM certificate in /dev/null");
    snprintf(path, sizeof(path), "%s/expired.crt", directory);
    trust_fails(path, "has expired");
    snprintf(path, sizeof(path), "%s/ecdsa.key", directory);
    trust_fails(path, "no PEM certificate");

    /* A broken one does not keep the next one out, nor does it pass for a certificate. */
    len = (size_t)snprintf(data, sizeof(data), "# text before\n%s", broken);
    snprintf(path, sizeof(path), "%s/broken.pem", directory);
    write_file(path, data, len);
    trust_fails(path, "can't be used");
    snprintf(path, sizeof(path), "%s/ca.crt", directory);
    len += read_file(path, data + len, sizeof(data) - len);
    snprintf(path, sizeof(path), "%s/broken.pem", directory);
    write_file(path, data, len);
    options.ca_certificate = path;
    trust = tls_trust_create(&options, NULL);
    assert_non_null(trust);
    assert_int_equal(trust->loaded, 1);
    assert_int_equal(trust->unusable, 1);
    accept_with(trust, "ecdsa", "localhost");
    tls_trust_destroy(trust);
    unlink(path);
    tls_trust_destroy(NULL);
}

static void test_environment(void **state)
{
    struct tls_trust_options options = {.check = true};
    struct tls_trust *trust;
    char folder[4096];
    char path[4096 + 8];
    char target[4096 + 8];

    (void)state;
    snprintf(path, sizeof(path), "%s/ca.crt", directory);
    setenv("SSL_CERT_FILE", path, 1);
    trust = tls_trust_create(&options, NULL);
    assert_non_null(trust);
    assert_int_equal(trust->loaded, 1);
    accept_with(trust, "ecdsa", "localhost");
    tls_trust_destroy(trust);
    setenv("SSL_CERT_FILE", "/nonexistent", 1);
    trust_fails(NULL, "/nonexistent");
    unsetenv("SSL_CERT_FILE");

    snprintf(folder, sizeof(folder), "%s/folder", directory);
    snprintf(path, sizeof(path), "%s/a.crt", folder);
    snprintf(target, sizeof(target), "%s/ca.crt", directory);
    setenv("SSL_CERT_DIR", folder, 1);
    unlink(path);
    rmdir(folder);
    trust_fails(NULL, "folder");
    assert_int_equal(mkdir(folder, 0700), 0);
    trust_fails(NULL, "no usable PEM certificate");
    assert_int_equal(symlink(target, path), 0);
    trust = tls_trust_create(&options, NULL);
    assert_non_null(trust);
    assert_int_equal(trust->loaded, 1);
    accept_with(trust, "ecdsa", "localhost");
    tls_trust_destroy(trust);
    unlink(path);
    rmdir(folder);
    unsetenv("SSL_CERT_DIR");
}

/* Not a check of the bundle, which is the machine's; but all of it should be usable. */
static void test_system_bundle(void **state)
{
    static const char bundle[] = "/etc/ssl/certs/ca-certificates.crt";
    struct tls_trust_options options = {.check = true};
    struct tls_trust *trust;
    struct haul_error error;
    struct timespec from;
    struct timespec to;

    (void)state;
    if (access(bundle, R_OK) != 0)
        skip();
    clock_gettime(CLOCK_MONOTONIC, &from);
    trust = tls_trust_create(&options, &error);
    clock_gettime(CLOCK_MONOTONIC, &to);
    if (!trust)
        fail_msg("%s", error.text);
    printf("# %zu trusted, %zu not usable, %.1f ms\n", trust->loaded, trust->unusable,
           (double)(to.tv_sec - from.tv_sec) * 1e3 + (double)(to.tv_nsec - from.tv_nsec) / 1e6);
    assert_true(trust->loaded > 50);
    refuse_with(trust, "ecdsa", "localhost", "was issued by \"haul test CA\"");
    tls_trust_destroy(trust);
}

/* ---- the reader ---- */

static size_t der_put(char *out, uint8_t tag, const char *data, size_t len)
{
    size_t head = len < 128 ? 2 : len < 256 ? 3 : 4;

    memmove(out + head, data, len);
    out[0] = (char)tag;
    if (head == 2)
        out[1] = (char)len;
    else if (head == 3)
        out[1] = (char)0x81;
    else
        out[1] = (char)0x82;
    for (size_t i = 2; i < head; i++)
        out[i] = (char)(len >> (8 * (head - 1 - i)));
    return head + len;
}

/* A certificate of the shortest kind with these GeneralNames. Returns its length. */
static size_t certificate_with(const char *names, size_t names_len, char *out)
{
    static const char before[] = "\x02\x01\x01"  /* serialNumber */
                                 "\x30\x00"      /* signature */
                                 "\x30\x00"      /* issuer */
                                 "\x30\x1e"      /* validity */
                                 "\x17\x0d"      /* notBefore */
                                 "240501000000Z" /* UTCTime */
                                 "\x17\x0d"      /* notAfter */
                                 "991231000000Z" /* UTCTime */
                                 "\x30\x00"      /* subject */
                                 "\x30\x00";     /* subjectPublicKeyInfo */
    char buffer[1024];
    char extension[1024];
    size_t len;

    len = der_put(buffer, 0x30, names, names_len);
    len = der_put(buffer, 0x04, buffer, len);
    memcpy(extension, "\x06\x03\x55\x1d\x11", 5);
    memcpy(extension + 5, buffer, len);
    len = der_put(buffer, 0x30, extension, len + 5);
    len = der_put(buffer, 0x30, buffer, len);
    len = der_put(buffer, 0xa3, buffer, len);
    memcpy(extension, before, sizeof(before) - 1);
    memcpy(extension + sizeof(before) - 1, buffer, len);
    len = der_put(buffer, 0x30, extension, len + sizeof(before) - 1);
    memcpy(buffer + len, "\x30\x00\x03\x01\x00", 5);
    return der_put(out, 0x30, buffer, len + 5);
}

static bool name_is_for(const char *pattern, const char *host)
{
    char names[512];
    char der[1024];
    struct certificate certificate;
    struct tls_peer peer;
    size_t len = der_put(names, 0x82, pattern, strlen(pattern));

    len = certificate_with(names, len, der);
    assert_true(certificate_parse(&certificate, span_make(der, len)));
    assert_true(tls_peer_init(&peer, span_of(host)));
    return certificate_is_for(&certificate, &peer);
}

static void test_patterns(void **state)
{
    (void)state;
    assert_true(name_is_for("a.example", "a.example"));
    assert_true(name_is_for("*.a.example", "b.a.example"));
    assert_false(name_is_for("*.a.example", "a.example"));
    assert_false(name_is_for("*.a.example", ".a.example"));
    assert_false(name_is_for("*.a.example", "c.b.a.example"));
    /* too wide */
    assert_false(name_is_for("*", "localhost"));
    assert_false(name_is_for("*.", "localhost"));
    assert_false(name_is_for("*.localhost", "a.localhost"));
    assert_false(name_is_for("*.com", "example.com"));
    assert_false(name_is_for("*.*.com", "a.example.com"));
    /* not a whole first label */
    assert_false(name_is_for("b*.a.example", "ba.a.example"));
    assert_false(name_is_for("*b.a.example", "ab.a.example"));
    assert_false(name_is_for("www.*.example", "www.a.example"));
    assert_false(name_is_for("**.a.example", "b.a.example"));
    assert_false(name_is_for("", "a.example"));
    assert_false(name_is_for("127.0.0.1", "127.0.0.1"));
    assert_false(name_is_for("*.0.0.1", "127.0.0.1"));
}

static void test_reader(void **state)
{
    static const char names[] = "\x82\x09"
                                "a.example"
                                "\x87\x04\x7f\0\0\x01"
                                "\x87\x03\x7f\0\0"
                                "\x82\x0b"
                                "b\x1b.example\0"
                                "\x82\x01"
                                "c";
    struct certificate certificate;
    struct text text = {0};
    char der[1024];
    size_t len = certificate_with(names, sizeof(names) - 1, der);

    (void)state;
    assert_true(certificate_parse(&certificate, span_make(der, len)));
    certificate_add_names(&text, &certificate);
    assert_string_equal(text.data,
                        "a.example, IP address 127.0.0.1, something malformed and 2 more");
    text_clear(&text);
    certificate_add_date(&text, certificate.not_before);
    certificate_add_date(&text, certificate.not_after);
    certificate_add_date(&text, SPAN("20510203040506Z"));
    assert_string_equal(text.data, "2024-05-011999-12-312051-02-03");
    text_clear(&text);
    certificate_add_name(&text, certificate.subject);
    assert_string_equal(text.data, "\"\"");
    text_free(&text);
    assert_true(certificate_is_self_issued(&certificate));
    /* any other length is refused */
    for (size_t i = 0; i < len; i++)
        assert_false(certificate_parse(&certificate, span_make(der, i)));
    der[len] = 0;
    assert_false(certificate_parse(&certificate, span_make(der, len + 1)));
}

/* No byte that is changed makes the reader step outside, which the sanitizers watch. */
static void test_reader_damage(void **state)
{
    static const char names[] = "\x82\x09"
                                "a.example"
                                "\x87\x04\x7f\0\0\x01";
    char der[1024];
    size_t len = certificate_with(names, sizeof(names) - 1, der);
    char *copy = malloc(len);
    struct tls_peer peer;

    (void)state;
    assert_non_null(copy);
    assert_true(tls_peer_init(&peer, SPAN("127.0.0.1")));
    for (size_t at = 0; at < len; at++) {
        for (int value = 0; value < 256; value++) {
            struct certificate certificate;
            struct text text = {0};

            memcpy(copy, der, len);
            copy[at] = (char)value;
            if (!certificate_parse(&certificate, span_make(copy, len)))
                continue;
            certificate_is_for(&certificate, &peer);
            certificate_add_names(&text, &certificate);
            certificate_add_name(&text, certificate.subject);
            certificate_add_date(&text, certificate.not_after);
            text_free(&text);
        }
    }
    free(copy);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),         cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_wildcards),     cmocka_unit_test(test_chain),
        cmocka_unit_test(test_no_check),      cmocka_unit_test(test_trust_files),
        cmocka_unit_test(test_environment),   cmocka_unit_test(test_system_bundle),
        cmocka_unit_test(test_patterns),      cmocka_unit_test(test_reader),
        cmocka_unit_test(test_reader_damage),
    };

    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
    directory = tls_server_certificates(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
