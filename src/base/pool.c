/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "base/pool.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"

void pool_init(struct pool *pool, size_t object_bytes, size_t kept_max)
{
    CHECK(object_bytes >= sizeof(void *));
    *pool = (struct pool){.object_bytes = object_bytes, .kept_max = kept_max};
}

void *pool_take(struct pool *pool)
{
    void *object = pool->first;

    if (object) {
        memcpy(&pool->first, object, sizeof(void *));
        memset(object, 0, pool->object_bytes);
        pool->kept--;
    } else {
        object = alloc_zeroed(pool->object_bytes);
    }
    if (object)
        pool->out++;
    return object;
}

void pool_give(struct pool *pool, void *object)
{
    CHECK(pool->out > 0);
    pool->out--;
    if (pool->kept == pool->kept_max) {
        free(object);
        return;
    }
    memcpy(object, &pool->first, sizeof(void *));
    pool->first = object;
    pool->kept++;
}

void pool_free(struct pool *pool)
{
    CHECK(pool->out == 0);
    while (pool->first) {
        void *object = pool->first;

        memcpy(&pool->first, object, sizeof(void *));
        free(object);
    }
    pool->kept = 0;
}
