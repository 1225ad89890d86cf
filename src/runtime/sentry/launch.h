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
#include "wire/sentry_msg.h"

/* What parent and staged child share; the child has the parent's memory at the clone. */
struct launch {
	struct sandbox_launch box;
	int sentry_fd, gofer_fd, stub_fd; /* owned: the programs, O_PATH */
	int events;			  /* owned: the event sink, or -EBADF */
	uint32_t event_mask;		  /* what goes there */
	int gofer_userns;		  /* owned: maps of linux.uidMappings, or -EBADF */
	struct idmap_fds idmaps;
	uint32_t profile, network; /* SENTRY_PROFILE_*, SENTRY_NETWORK_* */
	/* Of a container that is added to a pod's sandbox. */
	int sandbox;		 /* owned: connection to its control server, or -EBADF */
	uint32_t own_namespaces; /* what it does not share with it (enum sentry_own) */
	char *pid_ns_of; /* owned: id of the container whose pid namespace it joins; or NULL */
	/* owned: pidfds of what its guests come from and of the first of them (nursery.h), or
	 * -EBADF */
	int nursery[SENTRY_NURSERY_FDS];
	int nursery_placed; /* owned: eventfd: it is in its cgroup, or -EBADF */
};
#define LAUNCH_INIT                                                                             \
	{                                                                                       \
		.box = SANDBOX_LAUNCH_INIT, .sentry_fd = -EBADF, .gofer_fd = -EBADF,            \
		.stub_fd = -EBADF, .gofer_userns = -EBADF, .events = -EBADF, .sandbox = -EBADF, \
		.nursery = { -EBADF, -EBADF }, .nursery_placed = -EBADF                         \
	}
void launch_done(struct launch *launch);

/* What is opened before anything is made: programs, namespaces to join, ids, sockets. */
int launch_prepare(struct launch *launch, struct creation *cr, struct err *err);

/* What the staged child of a member has made. */
struct stage_member {
	int description, gofer;
	int slave; /* its terminal, or -EBADF */
	int null;  /* /dev/null */
	int proc;  /* O_PATH of the host's /proc */
};

/*
 * Make everything up to the gate: returns when the sentry has loaded the container's first process
 * and closed its cage. On failure nothing lives and the sentence is that of whoever failed.
 */
int launch_sandbox(struct creation *cr, struct sandbox *ret, struct err *err);

/*
 * The same for a container that becomes a part of cr->sandbox: its gofer, and the waiter that the
 * staged child becomes (sandbox/waiter.h), in a pid namespace that ends with the latter.
 */
int launch_member(struct creation *cr, struct sandbox *ret, struct err *err);

/* In the clone. */
__attribute__((noreturn)) void stage_sandbox(void *launch);

/* The end of the staged child of a member: `gofer` and `slave` are its descriptors. On failure
 * only. */
int stage_become_member(struct launch *launch, const struct stage_member *with, struct err *err);
