/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sentry/ids.h - the user and group id of a sandbox, never shared by two that live.
 *
 * From a configured range each sandbox takes a pair: the first is its sentry's, the second its
 * gofer's. A pair is taken by a lock on one byte of ROOT/@ids (an open file description lock of
 * fcntl(2)), which the sentry holds open: whatever ends it gives the pair back.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "runtime/runtime.h"

struct sandbox_ids {
	uint32_t sentry, gofer; /* uid and gid; 0: stay who we are */
	int held_fd;		/* owned: the lock; /dev/null without a range */
};
#define SANDBOX_IDS_INIT          \
	{                         \
		.held_fd = -EBADF \
	}

/*
 * Take a pair. Where the runtime is not the host's root there is no range: the ids stay 0 and a
 * user namespace separates. -EAGAIN: all are in use.
 */
int sandbox_ids_take(const struct runtime *rt, int root_fd, struct sandbox_ids *ret,
		     struct err *err);

/* "FIRST:COUNT" -> settings. -EINVAL: not numbers, an odd count, ids above 2^32 - 2 or 0. */
int sandbox_ids_parse(const char *text, struct sentry_settings *ret, struct err *err);
