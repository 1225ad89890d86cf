/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sandbox/launch.h - how a sandbox comes to be, from the runtime's side and from that of
 * the staged child.
 *
 * The child is cloned into a new pid namespace and makes mount, ipc, uts and network namespaces
 * itself, as in class ns (ns/stage.h, whose messages are used). It enters the cgroups, runs hooks,
 * does what its class needs and becomes the supervisor: when that dies, the kernel ends all of the
 * sandbox with it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "ns/namespaces.h"
#include "runtime/creation.h"
#include "runtime/sandbox/ids.h"
#include "runtime/sandbox/sandbox.h"

/* What parent and staged child share; the child has the parent's memory at the clone. */
struct sandbox_launch {
	struct creation *cr;
	int control;		 /* owned: the listening socket */
	int stage[2];		 /* owned: ns/stage.h; [0] the parent's */
	int report[2];		 /* owned: struct sentry_report; [0] the parent's */
	struct ns_joined joined; /* owned */
	struct sandbox_ids ids;
	bool unprivileged; /* a new user namespace around everything */
	int unshare;	   /* CLONE_NEW*: what the child makes while the parent makes the cgroups */
	bool placed;	   /* in the child: it knows that it is in its cgroups */
	int oom_score;	   /* of the runtime itself (oom.h) */
	/* Borrowed: instead of isolation_ops.host_devices, with what the child opens; or NULL. */
	struct oci_device_rule *devices;
	size_t devices_len;
	/*
	 * Or NULL: what else is done when the cgroups are there and the child is in them, while it
	 * goes on. Not before: what it does may keep the cgroups of the whole host busy for long.
	 */
	int (*on_cgroups)(void *arg, struct err *err);
};
#define SANDBOX_LAUNCH_INIT                                                                   \
	{                                                                                     \
		.control = -EBADF, .stage = { -EBADF, -EBADF }, .report = { -EBADF, -EBADF }, \
		.joined = NS_JOINED_INIT, .ids = SANDBOX_IDS_INIT                             \
	}
void sandbox_launch_done(struct sandbox_launch *launch);

/* Ids and sockets. The namespaces to join are the caller's to open. */
int sandbox_launch_open(struct sandbox_launch *launch, struct creation *cr, struct err *err);

/*
 * Clone the child, place it, run hooks when it asks, and wait until its supervisor says
 * SENTRY_REPORT_READY. `child` runs in the clone and does not return. On failure nothing lives and
 * the sentence is that of whoever failed.
 */
typedef void sandbox_child_fn(void *arg);
int sandbox_launch_run(struct sandbox_launch *launch, sandbox_child_fn *child, void *arg,
		       struct sandbox *ret, struct err *err);

/*
 * Before another run after one that has failed. The first may have done nothing that is not done
 * again: no hooks, no interface that was moved, no terminal that was sent.
 */
int sandbox_launch_again(struct sandbox_launch *launch, struct err *err);

/* Whether the first was such a one. */
bool sandbox_launch_may_again(const struct sandbox_launch *launch);

/* For the child, in this order. */

/* Dies with its maker; signals as they are by default; mapped; namespaces of `unshare`. */
int sandbox_stage_begin(const struct sandbox_launch *launch, struct err *err);

/* Whether anybody else acts on the sandbox's namespaces before its processes are there. */
bool sandbox_has_hooks(const struct sandbox_launch *launch);

/* In the cgroups: prestart and createRuntime hooks (by the parent), createContainer hooks. */
int sandbox_stage_hooks(struct sandbox_launch *launch, struct err *err);

/*
 * The terminal, if one is wanted: its master goes to its taker, the slave (the caller's; else
 * *ret_slave stays) is raw and our controlling terminal.
 */
int sandbox_stage_terminal(const struct sandbox_launch *launch, int *ret_slave, struct err *err);

/* Enter the cgroups, unless that was done. */
int sandbox_stage_place(struct sandbox_launch *launch, struct err *err);

/* The end of a child that could not become the supervisor. */
__attribute__((noreturn)) void sandbox_stage_fail(struct sandbox_launch *launch,
						  const struct err *err);

/* SIGKILL when the parent ends. creds_become() and a change of ids take it back. */
int sandbox_die_with_parent(struct err *err);

/* 65536 descriptors, or as many as are allowed: one for each file that is known or open. */
int sandbox_raise_files(struct err *err);
