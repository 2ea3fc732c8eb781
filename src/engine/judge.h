/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What to do with a response whose head is there: the one place that knows what HTTP's statuses
 * mean for a download. In the thread of the worker that has the transfer.
 */
#ifndef ENGINE_JUDGE_H
#define ENGINE_JUDGE_H

#include "engine/transfer.h"
#include "http/response.h"

enum transfer_verdict {
    TRANSFER_FETCH,  /* the whole body is wanted, from its beginning */
    TRANSFER_RESUME, /* the body continues what is stored */
    TRANSFER_DROP    /* the body is of no use; the leg's error or next_url is set, or the transfer's
                        body is stopped, or there is nothing left to do */
};
enum transfer_verdict transfer_judge(struct leg *leg, const struct response *response);

#endif
