/* SPDX-License-Identifier: GPL-3.0-or-later */
#ifndef RESOLVE_CHANNEL_H
#define RESOLVE_CHANNEL_H

#include <ares.h>

#include "base/status.h"
#include "resolve/search.h"
#include "resolve/servers.h"

/*
 * Reads /etc/resolv.conf. The channel asks for names as they are, and the name servers alone: those
 * of the file, if `servers` has none. What to search is left to the caller, in *search: c-ares
 * would do it for each family by itself, and so might find the addresses of one under another name
 * than those of the other. Returns c-ares's status.
 */
int channel_create(ares_channel *channel, const struct servers *servers,
                   ares_sock_state_cb socket_changed, void *context, struct search *search);
/* What a status of c-ares is for us, and why, as a static text. */
enum haul_status channel_status(int status, const char **reason);

#endif
