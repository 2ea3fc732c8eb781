/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A count of who still needs an object. Not atomic: an object belongs to one thread. The last
 * ref_drop() calls `last`, which ends the object; `last` must not be called by anybody else.
 */
#ifndef BASE_REF_H
#define BASE_REF_H

#include <stdint.h>

#include "base/check.h"

struct ref {
    uint32_t count;
    void (*last)(struct ref *ref);
};

static inline void ref_init(struct ref *ref, void (*last)(struct ref *ref))
{
    ref->count = 1;
    ref->last = last;
}

static inline void ref_hold(struct ref *ref)
{
    CHECK(ref->count > 0 && ref->count < UINT32_MAX);
    ref->count++;
}

static inline void ref_drop(struct ref *ref)
{
    CHECK(ref->count > 0);
    if (--ref->count == 0)
        ref->last(ref);
}

#endif
