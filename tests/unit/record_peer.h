/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A peer of TLS 1.3, or 1.2, that seals whatever a test wants, allowed or not. */
#ifndef TESTS_RECORD_PEER_H
#define TESTS_RECORD_PEER_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct record_peer {
    uint16_t suite;
    uint8_t secret[48];
    uint8_t key[32];
    uint8_t iv[12];
    uint64_t sequence;
};

/* What record_reader_create() wants to know of a suite. */
size_t record_peer_secret_bytes(uint16_t suite);
void record_peer_init(struct record_peer *peer, uint16_t suite, const uint8_t *secret);
void record_peer_update(struct record_peer *peer);
/* Adds a record with this content, its type, and, with TLS 1.3, so many zeros behind it. type 0:
 * none. */
void record_peer_seal(struct record_peer *peer, uint8_t type, struct span content, size_t padding,
                      struct text *output);

#endif
