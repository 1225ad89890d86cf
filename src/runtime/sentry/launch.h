/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/sentry/launch.h - the processes of a sandbox, from the runtime's side.
 *
 * A staged child is cloned with new pid, mount, ipc and uts namespaces (and the network namespace
 * that config.json and --network say), as in class ns (ns/stage.h, whose messages it uses). It
 * enters the cgroups, opens the container's files, starts the gofer as its child and becomes
 * caisson-sentry, pid 1 of that pid namespace: when it dies, the kernel ends gofer, zygote and
 * stubs with it.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "ns/idmap.h"
#include "ns/namespaces.h"
#include "runtime/creation.h"
#include "runtime/sentry/ids.h"

/* What parent and staged child share; the child has the parent's memory at the clone. */
struct launch {
	struct creation *cr;
	int sentry_fd, gofer_fd, stub_fd; /* owned: the programs, O_PATH */
	int control;			  /* owned: the listening socket */
	int stage[2];			  /* owned: ns/stage.h; [0] the parent's */
	int report[2];			  /* owned: struct sentry_report; [0] the parent's */
	int events;			  /* owned: the event sink, or -EBADF */
	uint32_t event_mask;		  /* what goes there */
	int gofer_userns;		  /* owned: maps of linux.uidMappings, or -EBADF */
	struct idmap_fds idmaps;
	struct ns_joined joined;
	struct sandbox_ids ids;
	bool unprivileged; /* a new user namespace around everything */
	int unshare;	   /* CLONE_NEW*: what the child makes while the parent makes the cgroups */
	bool placed;	   /* in the child: it knows that it is in its cgroups */
	bool terminal_stays;
	uint32_t profile;
	int oom_score; /* of the runtime itself (oom.h) */
};

/* The processes as their maker holds them. */
struct sandbox {
	pid_t pid;
	int pidfd;  /* owned */
	int report; /* owned; -EBADF once it was released or started */
	int master; /* owned: pty master that stays here, or -EBADF */
};
#define SANDBOX_INIT                                                \
	{                                                           \
		.pidfd = -EBADF, .report = -EBADF, .master = -EBADF \
	}
void sandbox_done(struct sandbox *sandbox);

/*
 * Make everything up to the gate: returns when the sentry has loaded the container's first process
 * and closed its cage. On failure nothing lives and the sentence is that of whoever failed.
 */
int launch_sandbox(struct creation *cr, struct sandbox *ret, struct err *err);

/* Say SENTRY_GO_RELEASE or SENTRY_GO_START; the latter waits for the answer. */
int sandbox_go(struct sandbox *sandbox, char go, struct err *err);

/* In the clone. */
__attribute__((noreturn)) void stage_sandbox(struct launch *l);

/* An O_PATH descriptor of a program of ours; the caller's. -ENOENT names the path. */
int launch_program(const struct runtime *rt, const char *name, struct err *err);
