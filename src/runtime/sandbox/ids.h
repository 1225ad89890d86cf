/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sandbox/ids.h - the user and group ids of a sandbox, never shared by two that live.
 *
 * From a configured range each sandbox takes three: its supervisor's (caisson-sentry, caisson-vm),
 * that of who serves its files (caisson-gofer, virtiofsd) and that of who runs the guest (stubs,
 * QEMU). They are taken by a lock on one byte of ROOT/@ids (an open file description lock of
 * fcntl(2)), which the supervisor holds open: whatever ends it gives them back.
 */
#pragma once

#include <stdint.h>

#include "base/err.h"
#include "runtime/runtime.h"

struct sandbox_ids {
	uint32_t supervisor, files, guest; /* uid and gid; 0: stay who we are */
	int held_fd;			   /* owned: the lock; /dev/null without a range */
};
#define SANDBOX_IDS_INIT          \
	{                         \
		.held_fd = -EBADF \
	}

/*
 * Take three. Where the runtime is not the host's root there is no range: the ids stay 0 and a
 * user namespace separates. -EAGAIN: all are in use.
 */
int sandbox_ids_take(const struct runtime *rt, int root_fd, struct sandbox_ids *ret,
		     struct err *err);

/* "FIRST:COUNT" -> settings. -EINVAL: not numbers, less than three, ids above 2^32 - 2 or 0. */
int sandbox_ids_parse(const char *text, struct sentry_settings *ret, struct err *err);
