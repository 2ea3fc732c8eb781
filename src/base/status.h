/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Operating errors. The table of statuses stands in the public header, because its numbers are
 * part of the ABI; this is the one place of the lower layers that includes it.
 */
#ifndef BASE_STATUS_H
#define BASE_STATUS_H

#include <stdbool.h>

#include "haul/haul.h"

enum status_retry { STATUS_RETRY_NEVER, STATUS_RETRY_RETRY, STATUS_RETRY_BUSY };

enum status_retry status_retry(enum haul_status status);

/*
 * Says what went wrong, where it was detected: system_errno is 0 where the system is not to
 * blame, else its reason is appended to the text. A text that does not fit ends in "...". error
 * may be NULL.
 */
__attribute__((format(printf, 4, 5))) void error_set(struct haul_error *error,
                                                     enum haul_status status, int system_errno,
                                                     const char *format, ...);

#endif
