/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/boot/sandbox.h - what this sentry runs: one container (pods follow), its description and
 * its first process. Shared by the files of this room.
 */
#pragma once

#include "sentry/task/task.h"
#include "wire/sentry_msg.h"

struct sandbox {
	/* immutable after boot */
	struct sentry_container *description; /* owned */
	struct container *container;	      /* one reference, as the following */
	struct pid_ns *pid_ns;
	struct mount_ns *mounts;
	struct namespaces *ns;

	struct task
		*init; /* the first process; valid until it is waited for at the sandbox's end */
	struct terminal *terminal; /* its terminal, or NULL; owned */
	bool started;		   /* the gate is open */
	bool ended;		   /* init has ended; wait_status is valid */
	int wait_status;
	struct waitq changed; /* started or ended */
};

extern struct sandbox sandbox;

/* Open the gate: -EINVAL when it is open. From a fiber. */
int sandbox_start(void);

/* What the sentry exits with: a wait(2) status as an exit code, 128 + n for signal n. */
int exit_code_of(int wait_status);
