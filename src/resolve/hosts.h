/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The names of /etc/hosts (hosts(5)). Pure. Such a file may hold hundreds of thousands of names
 * that somebody wants never to be reached, so it is read once, not for each question.
 */
#ifndef RESOLVE_HOSTS_H
#define RESOLVE_HOSTS_H

#include <stddef.h>
#include <stdint.h>

#include "base/span.h"
#include "ring/address.h"

struct hosts;

/* Lines that can't be understood are skipped. NULL: out of memory. */
struct hosts *hosts_parse(struct span text, uint64_t seed);
void hosts_free(struct hosts *hosts); /* NULL is allowed */
size_t hosts_count(const struct hosts *hosts);
/*
 * The addresses (port 0) of this family that the name has, in the file's order, at most max of
 * them. False: the name is not in the file. It may be there without an address of this family,
 * and then nobody else is to be asked for one: *count is 0.
 */
bool hosts_find(const struct hosts *hosts, struct span name, int family, struct address *addresses,
                size_t max, size_t *count);

#endif
