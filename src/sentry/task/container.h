/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/container.h - what the tasks of one container share, and its limits.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sentry/core/waitq.h"

#define CONTAINER_TASKS_MAX 32768 /* limit of any container; boot may set a lower one */

struct platform_nursery;
struct sandbox_info;
struct seccomp_filter;

enum container_frozen { CONTAINER_FROZEN_ALONE = 1, CONTAINER_FROZEN_POD = 2 };

struct container {
	unsigned int refs;
	char *id;		/* owned */
	unsigned int tasks;	/* threads with a fiber, and zombies */
	unsigned int live;	/* of them: those with a fiber */
	struct waitq emptied;	/* `live` has become 0 */
	unsigned int frozen;	/* why none of its tasks runs guest code, but to be killed; or 0 */
	struct waitq frost;	/* thawed; or one has left guest code while it is frozen */
	unsigned int tasks_max; /* 1..CONTAINER_TASKS_MAX: fork is EAGAIN beyond */
	bool allow_setid;	/* set-uid, set-gid and file capabilities count at exec */
	struct seccomp_filter
		*seccomp; /* of config.json: each first task begins with it; one ref */
	/* What its cgroup says, borrowed from boot; NULL: what the sandbox's says. */
	const struct sandbox_info *machine;
	/* What its processes are forked from, boot's; NULL: the sandbox's own. */
	struct platform_nursery *nursery;
};

/* refs 1. NULL: out of memory. */
struct container *container_new(const char *id, unsigned int tasks_max);
struct container *container_ref(struct container *c);
void container_unref(struct container *c); /* accepts NULL */
