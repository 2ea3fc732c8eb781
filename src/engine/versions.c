/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the library is made of. */
#include "haul/haul.h"
#include "tls/tls.h"

const char *haul_versions(void)
{
    return tls_aes_accelerated() ? "haul " HAUL_VERSION ", " VERSIONS ", AES accelerated"
                                 : "haul " HAUL_VERSION ", " VERSIONS
                                   ", AES not accelerated (slow)";
}

bool haul_aes_accelerated(void)
{
    return tls_aes_accelerated();
}
