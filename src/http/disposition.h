/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Content-Disposition (RFC 6266): the file name in it. Pure. What servers send is seldom what the
 * RFC asks for; where browsers agree on how to read it nevertheless, so is it read here.
 */
#ifndef HTTP_DISPOSITION_H
#define HTTP_DISPOSITION_H

#include <stdbool.h>

#include "base/span.h"
#include "base/text.h"

/*
 * Appends the name, in UTF-8, made fit to be a file's: one component, as name_sanitize() has it,
 * which begins with neither a dot nor a dash, so that no server chooses a file that is hidden or
 * that a command takes for an option. False: there is none, and nothing is appended.
 */
bool disposition_name(struct span value, struct text *name);

#endif
