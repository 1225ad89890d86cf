/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/poll.h - waiting for several files at once: what poll(2) and select(2) are made of.
 */
#pragma once

#include "sentry/vfs/file.h"

struct poll_want {
	struct file *file; /* NULL: ignored */
	uint32_t events;   /* POLL*; POLLERR and POLLHUP are always told */
	uint32_t revents;  /* set beforehand (POLLNVAL) counts as ready */
	struct fiber *fiber;
	struct wait_entry wait;
};

/*
 * Wait until one is ready: their number, 0 at the deadline (0: do not wait), or -EINTR when a
 * signal came first.
 */
int poll_many(struct poll_want *wants, size_t len, nsec_t deadline);

/* One file, for calls that block on it: 0, -ERESTARTSYS. */
int poll_one(struct file *f, uint32_t events);
