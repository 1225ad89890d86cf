/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/boot/sandbox.h - what this sentry runs: the container that it was started for, whose end
 * is the sandbox's, and the other containers of its pod. Shared by the files of this room.
 */
#pragma once

#include "base/err.h"
#include "base/list.h"
#include "sentry/core/kloop.h"
#include "sentry/fs/proc/sysinfo.h"
#include "sentry/task/task.h"
#include "wire/sentry_msg.h"

#define MEMBERS_MAX 256u /* containers at one time */

struct client;

/* A container. */
struct member {
	unsigned int refs; /* its own until its end, and one of each connection */
	struct list_head node;

	/* immutable after it was made */
	struct sentry_container *description; /* owned */
	struct container *container;	      /* one reference, as the following */
	struct pid_ns *pid_ns;
	struct mount_ns *mounts;
	struct namespaces *ns;
	struct gofer_conn *files;
	struct superblock *root; /* of the gofer, until the first process is loaded */

	struct task *init;	   /* the first process; one reference */
	struct terminal *terminal; /* its terminal, or NULL; owned */
	bool started;		   /* the gate is open */
	bool ended;		   /* init has ended; wait_status is valid */
	int wait_status;

	/* of a container that was added to the sandbox */
	struct sandbox_info machine; /* with its limits */
	struct waitq changed;	     /* ended */
	struct client *maker;	     /* whose CREATE it was, and who hears of its end; or NULL */
	bool lost;		     /* its gofer or its nursery has ended */
	struct kloop_fd listener;    /* its control socket; owned */
	int freezer; /* owned: the file of the host that says whether it is paused, or -EBADF */
	unsigned int askers;	   /* connections that have asked otherwise */
	unsigned int clients_kept; /* of SENTRY_CLIENTS_KEPT, those that are taken */
};

extern struct member sandbox;		    /* the first; never freed */
extern struct list_head members;	    /* the first and the others */
struct member *member_find(const char *id); /* borrowed, or NULL */

/* Open the gate: -EINVAL when it is open. From a fiber. */
int member_start(struct member *m);

/* SIGKILL to its first process, whether it was started or not. From a fiber, or the loop. */
void member_kill(struct member *m);

struct member *member_ref(struct member *m);
void member_unref(struct member *m);

/* What the sentry exits with: a wait(2) status as an exit code, 128 + n for signal n. */
int exit_code_of(int wait_status);
