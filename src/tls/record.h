/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The receiving half of TLS's record layer after the handshake (RFC 8446 5; RFC 5246 6 with the
 * ciphers of RFC 5288 and 7905): ciphertext in, each record's plaintext straight to where the
 * caller wants it. wolfSSL keeps everything that is
 * not application data: such messages are sealed again for it, as if no application data had come
 * between them, so that it answers KeyUpdates, keeps tickets and hears of the end.
 */
#ifndef TLS_RECORD_H
#define TLS_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/span.h"

enum {
    RECORD_HEADER_BYTES = 5,
    RECORD_TAG_BYTES = 16,
    RECORD_CONTENT_MAX = 16384,
    /* Content and tag, and with TLS 1.2 a part of the nonce; with 1.3 a byte for the type, where
     * RFC 8446 5.4 bounds padding so that there is no more. */
    RECORD_BYTES_MAX = RECORD_HEADER_BYTES + 8 + RECORD_CONTENT_MAX + RECORD_TAG_BYTES,
    RECORD_TLS12_SECRET_BYTES = 48 + 32 + 32 /* master secret, server's and client's random */
};

/* RFC 8446 B.1, B.3 and 6. */
enum record_type {
    RECORD_CHANGE_CIPHER_SPEC = 20,
    RECORD_ALERT = 21,
    RECORD_HANDSHAKE = 22,
    RECORD_APPLICATION_DATA = 23
};
enum { RECORD_NEW_SESSION_TICKET = 4, RECORD_KEY_UPDATE = 24 };
enum { RECORD_CLOSE_NOTIFY = 0, RECORD_USER_CANCELED = 90 };

struct record_reader;

enum record_step {
    RECORD_WANTS_INPUT, /* all input is taken */
    RECORD_DATA,        /* plaintext, as far as there is room; the rest stays */
    RECORD_MESSAGE,     /* one handshake message or alert: record_message(), record_seal() */
    /* From here on the connection is unusable, and every further step says the same. */
    RECORD_DAMAGED,    /* not what the peer has sealed, or not in this place */
    RECORD_TOO_LONG,   /* beyond the limits of a record or a message */
    RECORD_UNEXPECTED, /* sealed by the peer, but against the rules of TLS */
    RECORD_NO_MEMORY
};

/*
 * suite: its number in the ClientHello; secret: for those of TLS 1.3 the server's application
 * traffic secret, for others RECORD_TLS12_SECRET_BYTES. The input then begins with the first record
 * after the server's Finished. NULL: out of memory, or no such suite.
 */
struct record_reader *record_reader_create(uint16_t suite, const uint8_t *secret, size_t len);
void record_reader_destroy(struct record_reader *reader); /* wipes the keys; NULL is allowed */
/*
 * Goes on by one record at most, and takes what it has used off the input. room 0: plaintext stays
 * in the reader. *got: bytes of plaintext, with RECORD_DATA only.
 */
enum record_step record_read(struct record_reader *reader, struct span *input, char *data,
                             size_t room, size_t *got);
/* Whether record_read() has something to tell without more input. */
bool record_pending(const struct record_reader *reader);
/* After RECORD_MESSAGE, until the next step. */
enum record_type record_message(const struct record_reader *reader, struct span *message);
/*
 * One record with this content, under the peer's keys and as the next of those sealed here; valid
 * until the next call. To be called once for each message: a KeyUpdate changes the keys behind it.
 * The content: at most RECORD_CONTENT_MAX. Empty: out of memory.
 */
struct span record_seal(struct record_reader *reader, enum record_type type, struct span content);

#endif
