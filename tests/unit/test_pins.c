/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "unit.h"

#include "tls/pins.h"

/* The shortest thing with the outline of a SubjectPublicKeyInfo, in DER and in PEM, and its hash;
 * and the hash of nothing. */
static const char key[] = "\x30\x05\x30\x00\x03\x01\x00";
static const char key_pem[] =
    "-----BEGIN PUBLIC KEY-----\nMAUwAAMBAA==\n-----END PUBLIC KEY-----\n";
#define KEY_PIN     "sha256//el/0McHnwpuNV2vL9PrFOaCURNH8xo2Kq/T2Or74t8k="
#define NOTHING_PIN "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="

static bool holds(const char *list)
{
    struct haul_error error = {0};
    struct tls_pins *pins = tls_pins_create(list, &error);
    bool held;

    if (!pins)
        fail_msg("%s: %s", list, error.text);
    held = tls_pins_hold(pins, SPAN(key));
    tls_pins_destroy(pins);
    return held;
}

static void test_what_is_held(void **state)
{
    struct text text = {0};

    (void)state;
    tls_pins_add_key(&text, SPAN(key));
    assert_span(text_span(&text), KEY_PIN);
    text_free(&text);
    assert_true(holds(KEY_PIN));
    assert_true(holds(NOTHING_PIN ";" KEY_PIN));
    assert_true(holds(" " KEY_PIN " ; " NOTHING_PIN ";"));
    assert_false(holds(NOTHING_PIN));
    assert_false(holds(NOTHING_PIN ";" NOTHING_PIN));
}

static void test_bad_lists(void **state)
{
    static const char *const bad[] = {
        "sha256//",
        "sha256//AAAA",
        "sha256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFUA",
        "sha256//47DEQpj8HBSa+_TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        NOTHING_PIN ";;" KEY_PIN,
        NOTHING_PIN ";md5//AAAA",
        NOTHING_PIN "," KEY_PIN,
        "SHA256//47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
        "",
        "  ",
    };

    (void)state;
    for (size_t i = 0; i < COUNT_OF(bad); i++) {
        struct haul_error error = {0};

        assert_null(tls_pins_create(bad[i], &error));
        assert_int_equal(error.status, HAUL_BAD_OPTION);
        assert_non_null(strstr(error.text, "pinned public key"));
    }
    tls_pins_destroy(NULL);
}

/* What the file says; NULL: it holds no key. */
static void try_file(const char *data, size_t len, bool has_key)
{
    char path[PATH_MAX + 16];
    struct haul_error error = {0};
    struct tls_pins *pins;
    FILE *file;

    snprintf(path, sizeof(path), "%s/pins.%d", unit_build_directory(), (int)getpid());
    file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    pins = tls_pins_create(path, &error);
    unlink(path);
    assert_int_equal(pins != NULL, has_key);
    if (pins)
        assert_true(tls_pins_hold(pins, SPAN(key)));
    else
        assert_non_null(strstr(error.text, "no public key"));
    tls_pins_destroy(pins);
}

static void test_files(void **state)
{
    static const char other[] =
        "-----BEGIN CERTIFICATE-----\nMAUwAAMBAA==\n-----END CERTIFICATE-----\n";
    struct haul_error error = {0};

    (void)state;
    try_file(key, sizeof(key) - 1, true);
    try_file(key_pem, sizeof(key_pem) - 1, true);
    try_file(key, sizeof(key), false);
    try_file(key, sizeof(key) - 2, false);
    try_file(other, sizeof(other) - 1, false);
    try_file("", 0, false);
    assert_null(tls_pins_create("/nonexistent", &error));
    assert_non_null(strstr(error.text, "/nonexistent"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_is_held),
        cmocka_unit_test(test_bad_lists),
        cmocka_unit_test(test_files),
    };

    return UNIT_RUN(tests);
}
