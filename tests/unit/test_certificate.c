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
    client = tls_session_create(trust, span_of(host), 443, NOW_S, error);
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
        if (meet_with(trust, certificate, host, tls12, &error) != TLS_BAD)
            fail_msg("%s for %s is accepted", certificate, host);
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

/* ---- what wolfSSL alone would accept, and more that nobody should ---- */

static void accepted_by(const char *ca, const char *certificate, const char *host)
{
    struct tls_trust *trust = trust_of(ca, true);

    accept_with(trust, certificate, host);
    tls_trust_destroy(trust);
}

static void refused_by(const char *ca, const char *certificate, const char *expected)
{
    struct tls_trust *trust = trust_of(ca, true);

    refuse_with(trust, certificate, "localhost", expected);
    tls_trust_destroy(trust);
}

static void trust_fails(const char *path, const char *expected)
{
    struct tls_trust_options options = {.ca_certificate = path, .check = true};
    struct haul_error error;

    assert_null(tls_trust_create(&options, &error));
    assert_non_null(strstr(error.text, expected));
    printf("# %s\n", error.text);
}

static void test_signatures(void **state)
{
    (void)state;
    refused("sha1", "localhost", "the certificate of localhost is signed with SHA-1, which");
    refused_by("rsaca", "rsasha1", "is signed with SHA-1, which protects no more");
    refused_by("rsaca", "rsamd5", "is signed with MD5, which protects no more");
    refused_by("rsaca", "psssha1", "is signed with SHA-1");
    refused(
        "chainsha1", "localhost",
        "an authority behind the certificate of localhost, \"chainsha1ca\", is signed with SHA-1");
    accepted_by("rsaca", "rsa256", "localhost");
    accepted_by("rsaca", "pss256", "localhost");
    accepted("ed25519", "localhost");
    /* One that is trusted needs no signature, nor one that others made for it. */
    accepted_by("oldca", "byoldca", "localhost");
    accepted_by("rsaca", "crossed", "localhost");
    refused_by("otherca", "crossed", "\"rsaca\", is signed with SHA-1");
}

static void test_small_keys(void **state)
{
    char path[4096];

    (void)state;
    refused("small", "localhost", "RSA key too small");
    refused("chainsmall", "localhost", "RSA key too small");
    snprintf(path, sizeof(path), "%s/smallca.crt", directory);
    trust_fails(path, "RSA key too small");
}

static void test_name_constraints(void **state)
{
    static const char leaves_out[] = "name constraints leave out names";

    (void)state;
    refused("ipoutside", "127.0.0.1", leaves_out);
    refused("ipoutside", "::1", leaves_out);
    refused("ipoutside", "localhost", leaves_out);
    refused("ipexcluded", "127.0.0.1", leaves_out);
    refused("ipexcluded", "::1", leaves_out); /* as all names of the certificate count */
    accepted("ipinside", "127.0.0.1");
    accepted("ipinside", "::1");
    accepted("ipinside", "localhost");
    refused("dnsoutside", "localhost", "\"dnsoutside top\", may not vouch for this server");
    accepted("dnsinside", "localhost");
    refused("uriinside", "localhost", leaves_out);
}

static void test_authorities(void **state)
{
    struct tls_trust *trust;

    (void)state;
    /* Whoever holds the key of a server that is trusted has only that one. */
    trust = trust_of("selfsigned", true);
    refuse_with(trust, "forged", "localhost", "\"localhost\", is not an authority");
    refuse_with(trust, "forged", "127.0.0.1", "is not an authority");
    accept_with(trust, "selfsigned", "127.0.0.1");
    tls_trust_destroy(trust);
    refused_by("bareca", "bareforged", "\"bareca\", is not an authority");
    refused_by("signerca", "signerforged", "\"signerca\", may not sign certificates");
    refused_by("clientonlyca", "clientca",
               "\"clientonlyca\", may not sign certificates of servers");
    refused("clientsub", "localhost", "\"clientsubca\", may not sign certificates of servers");
    refused("notca", "localhost", "");
    refused("expiredca", "localhost", "\"expiredcaca\", expired on 20");
    refused("longpath", "localhost", "ASN CA path length");
    refused("selfpath", "localhost", "\"pathtop\", may not have other authorities below itself");
}

static void test_uses(void **state)
{
    struct tls_trust *trust = trust_of("ca", true);
    struct haul_error error;

    (void)state;
    /* The server of TLS 1.2 itself would not use it. */
    assert_int_equal(meet_with(trust, "crlsigner", "localhost", false, &error), TLS_BAD);
    assert_non_null(strstr(error.text, "is not one for servers"));
    tls_trust_destroy(trust);
    refused("client", "localhost", "Ext Key Use");
    refused("anypurpose", "localhost", "is not one for servers");
    refused("critical", "localhost", "Critical extension");
    refused("nul", "localhost", "is for localhost\\x00.example, not for localhost");
    refused("mapped", "127.0.0.1", "is for IP address ::ffff:127.0.0.1, not for");
    accepted("mapped", "::ffff:127.0.0.1");
    refused("partwild", "ab.wild.localhost", "is for a*.wild.localhost");
    refused("partwild", "a*.wild.localhost", "is for a*.wild.localhost");
    accepted("upper", "localhost");
    accepted("upper", "LocalHost.");
}

/* What one server sends does not vouch for another one that is met meanwhile. */
static void test_chain_of_another(void **state)
{
    struct tls_server_options options = {
        .directory = directory, .certificate = "chain", .tls12 = true};
    struct tls_trust *trust = trust_of("ca", true);
    struct tls_server server;
    struct haul_error error;
    struct tls_session *client;
    char piece[1 << 16];

    (void)state;
    tls_server_start(&server, &options);
    client = tls_session_create(trust, SPAN("localhost"), 443, NOW_S, &error);
    assert_non_null(client);
    assert_int_equal(tls_handshake(client, &error), TLS_WANT_INPUT);
    tls_server_take(&server, client);
    assert_true(tls_server_accept(&server));
    assert_int_not_equal(tls_server_give(&server, client, sizeof(piece), piece), 0);
    /* It has read the certificates, and waits for the server's Finished. */
    assert_int_equal(tls_handshake(client, &error), TLS_WANT_INPUT);
    refuse_with(trust, "nochain", "localhost", "haul intermediate CA");
    assert_int_equal(tls_server_shake(&server, client, sizeof(piece), &error), TLS_OK);
    tls_session_destroy(client);
    tls_server_stop(&server);
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
    trust_fails("/proc/self/mem", "/proc/self/mem: Input/output error");
    trust_fails("/", "no usable PEM certificate in /");
    trust_fails("/dev/null", "no usable PEM certificate in /dev/null");
    snprintf(path, sizeof(path), "%s/expired.crt", directory);
    trust_fails(path, "has expired");
    snprintf(path, sizeof(path), "%s/ecdsa.key", directory);
    trust_fails(path, "no usable PEM certificate");

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

/* A certificate of the shortest kind with this extension (its OID in DER, and the contents of the
 * SEQUENCE that it is). Returns its length. */
static size_t certificate_of(const char oid[5], const char *value, size_t value_len, char *out)
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

    len = der_put(buffer, 0x30, value, value_len);
    len = der_put(buffer, 0x04, buffer, len);
    memcpy(extension, oid, 5);
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

static size_t certificate_with(const char *names, size_t names_len, char *out)
{
    return certificate_of("\x06\x03\x55\x1d\x11", names, names_len, out);
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

/* ---- name constraints, without signatures ---- */

/* Whether an authority with these NameConstraints may vouch for a host of a certificate with these
 * GeneralNames; -1: it is malformed. */
static int permits(const char *constraints, size_t constraints_len, const char *names,
                   size_t names_len, const char *host)
{
    struct certificate authority;
    struct certificate certificate;
    struct tls_peer peer;
    char der[2][1024];
    size_t len = certificate_of("\x06\x03\x55\x1d\x1e", constraints, constraints_len, der[0]);

    if (!certificate_parse(&authority, span_make(der[0], len)))
        return -1;
    len = certificate_with(names, names_len, der[1]);
    assert_true(certificate_parse(&certificate, span_make(der[1], len)));
    assert_true(tls_peer_init(&peer, span_of(host)));
    return certificate_permits(&authority, &certificate, &peer);
}

#define PERMITS(constraints, names, host)                                                          \
    permits(constraints, sizeof(constraints) - 1, names, sizeof(names) - 1, host)

#define IP4  "\x87\x04\x0a\x01\x02\x03"
#define NAME "\x82\x09www.a.com"

static void test_constraints_of_names(void **state)
{
    (void)state;
    assert_int_equal(PERMITS("\xa0\x09\x30\x07\x82\x05"
                             "a.com",
                             NAME, "www.a.com"),
                     1);
    assert_int_equal(PERMITS("\xa0\x09\x30\x07\x82\x05"
                             "A.COM",
                             NAME, "www.a.com"),
                     1);
    assert_int_equal(PERMITS("\xa0\x0a\x30\x08\x82\x06"
                             ".a.com",
                             NAME, "www.a.com"),
                     1);
    assert_int_equal(PERMITS("\xa0\x0e\x30\x0c\x82\x0a"
                             ".www.a.com",
                             NAME, "www.a.com"),
                     0);
    assert_int_equal(PERMITS("\xa0\x0b\x30\x09\x82\x07"
                             "w.a.com",
                             NAME, "www.a.com"),
                     0);
    assert_int_equal(PERMITS("\xa0\x09\x30\x07\x82\x05"
                             "b.com",
                             NAME, "www.a.com"),
                     0);
    assert_int_equal(PERMITS("\xa0\x12\x30\x07\x82\x05"
                             "b.com"
                             "\x30\x07\x82\x05"
                             "a.com",
                             NAME, "www.a.com"),
                     1);
    assert_int_equal(PERMITS("\xa1\x09\x30\x07\x82\x05"
                             "b.com",
                             NAME, "www.a.com"),
                     1);
    assert_int_equal(PERMITS("\xa1\x09\x30\x07\x82\x05"
                             "a.com",
                             NAME, "www.a.com"),
                     0);
    assert_int_equal(PERMITS("\xa1\x04\x30\x02\x82\x00", NAME, "www.a.com"), 0);
    /* both: excluded outweighs */
    assert_int_equal(PERMITS("\xa0\x09\x30\x07\x82\x05"
                             "a.com"
                             "\xa1\x0d\x30\x0b\x82\x09"
                             "www.a.com",
                             NAME, "www.a.com"),
                     0);
    /* what a wildcard stands for */
    assert_int_equal(PERMITS("\xa1\x0d\x30\x0b\x82\x09"
                             "www.a.com",
                             "\x82\x07*.a.com", "www.a.com"),
                     0);
    assert_int_equal(PERMITS("\xa1\x0d\x30\x0b\x82\x09"
                             "www.a.com",
                             "\x82\x07*.a.com", "web.a.com"),
                     1);
    /* kinds that we can't compare matter when such a name is there: URI */
    assert_int_equal(PERMITS("\xa0\x04\x30\x02\x86\x00", NAME, "www.a.com"), 1);
    assert_int_equal(PERMITS("\xa0\x04\x30\x02\x86\x00", NAME "\x86\x01x", "www.a.com"), 0);
    assert_int_equal(PERMITS("\xa1\x04\x30\x02\x86\x00", NAME "\x86\x01x", "www.a.com"), 0);
}

static void test_constraints_of_addresses(void **state)
{
    static const char six[] = "\x87\x10\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01";

    (void)state;
    assert_int_equal(PERMITS("\xa0\x0c\x30\x0a\x87\x08\x0a\0\0\0\xff\0\0\0", IP4, "10.1.2.3"), 1);
    assert_int_equal(PERMITS("\xa0\x0c\x30\x0a\x87\x08\x0b\0\0\0\xff\0\0\0", IP4, "10.1.2.3"), 0);
    assert_int_equal(PERMITS("\xa0\x0c\x30\x0a\x87\x08\x0b\0\0\0\xff\0\0\0", NAME, "www.a.com"), 1);
    assert_int_equal(PERMITS("\xa1\x0c\x30\x0a\x87\x08\x0a\0\0\0\xff\0\0\0", IP4, "10.1.2.3"), 0);
    assert_int_equal(PERMITS("\xa1\x0c\x30\x0a\x87\x08\x0b\0\0\0\xff\0\0\0", IP4, "10.1.2.3"), 1);
    assert_int_equal(PERMITS("\xa1\x0c\x30\x0a\x87\x08\0\0\0\0\0\0\0\0", IP4, "10.1.2.3"), 0);
    assert_int_equal(
        PERMITS("\xa0\x0c\x30\x0a\x87\x08\x0a\x01\x02\x03\xff\xff\xff\xff", IP4, "10.1.2.3"), 1);
    /* the other family */
    assert_int_equal(permits("\xa0\x0c\x30\x0a\x87\x08\x0a\0\0\0\xff\0\0\0", 14, six,
                             sizeof(six) - 1, "2001:db8::1"),
                     0);
    assert_int_equal(permits("\xa0\x24\x30\x22\x87\x20\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0"
                             "\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0",
                             38, six, sizeof(six) - 1, "2001:db8::1"),
                     1);
    assert_int_equal(permits("\xa0\x24\x30\x22\x87\x20\x20\x01\x0d\xb9\0\0\0\0\0\0\0\0\0\0\0\0"
                             "\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0",
                             38, six, sizeof(six) - 1, "2001:db8::1"),
                     0);
    /* malformed: neither length; a minimum; a maximum; empty lists; in the wrong order */
    assert_int_equal(PERMITS("\xa0\x08\x30\x06\x87\x04\x0a\0\0\0", IP4, "10.1.2.3"), -1);
    assert_int_equal(PERMITS("\xa0\x07\x30\x05\x82\x00\x80\x01\x01", NAME, "www.a.com"), -1);
    assert_int_equal(PERMITS("\xa0\x07\x30\x05\x82\x00\x81\x01\x00", NAME, "www.a.com"), -1);
    assert_int_equal(PERMITS("\xa0\x07\x30\x05\x82\x00\x80\x01\x00", NAME, "www.a.com"), 1);
    assert_int_equal(PERMITS("\xa0\x00", NAME, "www.a.com"), -1);
    assert_int_equal(PERMITS("\xa1\x04\x30\x02\x82\x00\xa0\x04\x30\x02\x82\x00", NAME, "www.a.com"),
                     -1);
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
            certificate_weakness(&certificate);
            certificate_not_issuer(&certificate);
            certificate_may_serve(&certificate);
            certificate_add_names(&text, &certificate);
            certificate_add_name(&text, certificate.subject);
            certificate_add_date(&text, certificate.not_after);
            text_free(&text);
        }
    }
    free(copy);
}

static void test_end_of_certificates(void **state)
{
    static const struct {
        const char *text;
        int64_t ends;
    } times[] = {
        {"700101000001Z", 1},
        {"491231235959Z", 2524607999},
        {"20500101000000Z", 2524608000},
        {"99991231235959Z", 253402300799},
        {"260230999999Z", 0},
        {"2601020304050", 0},
        {"abcdefghijklZ", 0},
        {"260102030405+0000", 0},
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(times); i++) {
        struct certificate certificate = {.not_after = span_of(times[i].text)};

        assert_int_equal(certificate_ends_s(&certificate), times[i].ends);
    }
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_end_of_certificates),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_addresses),
        cmocka_unit_test(test_wildcards),
        cmocka_unit_test(test_chain),
        cmocka_unit_test(test_signatures),
        cmocka_unit_test(test_small_keys),
        cmocka_unit_test(test_name_constraints),
        cmocka_unit_test(test_authorities),
        cmocka_unit_test(test_uses),
        cmocka_unit_test(test_chain_of_another),
        cmocka_unit_test(test_no_check),
        cmocka_unit_test(test_trust_files),
        cmocka_unit_test(test_environment),
        cmocka_unit_test(test_system_bundle),
        cmocka_unit_test(test_patterns),
        cmocka_unit_test(test_reader),
        cmocka_unit_test(test_constraints_of_names),
        cmocka_unit_test(test_constraints_of_addresses),
        cmocka_unit_test(test_reader_damage),
    };

    unsetenv("SSL_CERT_FILE");
    unsetenv("SSL_CERT_DIR");
    directory = tls_server_certificates(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
