/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/boot/events.h - the event stream of --event-sink: from its ring to SENTRY_FD_EVENTS.
 *
 * A file is written by a helper thread, a socket or fifo when it takes something: no task waits for
 * either. A reader that goes ends the stream.
 */
#pragma once

#include "base/err.h"
#include "wire/sentry_msg.h"

/* Before the first process is loaded. 0: also without a stream. */
int events_start(const struct sentry_container *c, struct err *err);

/* From a fiber: wait until every listener has got what is there, for a second at most. */
void events_end(void);
