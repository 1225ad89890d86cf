/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sentry/zygote.h - the zygote of the stubs, started by who still may name its user.
 *
 * Stubs have a user id of the host that is neither the sentry's nor the gofer's, in a user
 * namespace that the sentry's user owns: the sentry reaches them without any capability, they reach
 * nobody. Only root can make such a namespace, so the zygote is born before the staged child
 * becomes the sentry, whose child it then is.
 */
#pragma once

#include <errno.h>

#include "base/err.h"
#include "runtime/sandbox/ids.h"

struct zygote_plan {
	const struct sandbox_ids *ids; /* ids->guest is not 0 */
	int program;		       /* caisson-stub */
	int proc;		       /* directory: a procfs of ours */
	int null;		       /* /dev/null */
};

struct zygote {
	int sock;  /* owned: the sentry's end */
	int pidfd; /* owned */
};
#define ZYGOTE_INIT                             \
	{                                       \
		.sock = -EBADF, .pidfd = -EBADF \
	}
void zygote_done(struct zygote *zygote);

/*
 * Before the root directory is left, since who is in a chroot gets no user namespace. It waits.
 * 0 or what clone3(2) says. Clears the caller's parent-death signal.
 */
int zygote_clone(const struct zygote_plan *plan, struct zygote *ret, struct err *err);

/* When pivot_root(2) has moved it along: it gets its ids and goes on. */
int zygote_release(const struct zygote_plan *plan, struct zygote *zygote, struct err *err);
