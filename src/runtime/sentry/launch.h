/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sentry/launch.h - the processes of a sandbox of class sentry, from the runtime's side.
 *
 * The staged child (sandbox/launch.h) opens the container's files, starts the gofer as its child
 * and becomes caisson-sentry: when that dies, the kernel ends gofer, zygote and stubs with it.
 */
#pragma once

#include "base/err.h"
#include "ns/idmap.h"
#include "runtime/creation.h"
#include "runtime/sandbox/launch.h"

/* What parent and staged child share; the child has the parent's memory at the clone. */
struct launch {
	struct sandbox_launch box;
	int sentry_fd, gofer_fd, stub_fd; /* owned: the programs, O_PATH */
	int events;			  /* owned: the event sink, or -EBADF */
	uint32_t event_mask;		  /* what goes there */
	int gofer_userns;		  /* owned: maps of linux.uidMappings, or -EBADF */
	struct idmap_fds idmaps;
	uint32_t profile;
};

/*
 * Make everything up to the gate: returns when the sentry has loaded the container's first process
 * and closed its cage. On failure nothing lives and the sentence is that of whoever failed.
 */
int launch_sandbox(struct creation *cr, struct sandbox *ret, struct err *err);

/* In the clone. */
__attribute__((noreturn)) void stage_sandbox(void *launch);
