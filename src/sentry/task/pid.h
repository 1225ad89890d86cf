/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/pid.h - process numbers in nested pid namespaces (pid_namespaces(7)).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"

#define PID_NS_LEVELS_MAX 32
#define PID_MAX		  32768

struct pid_ns;

/* One number per level, from the namespace of its birth up to the root. Reference counted. */
struct pid {
	unsigned int refs;
	unsigned int levels;
	struct pid_ns *ns;	   /* the innermost; one reference */
	int *numbers;		   /* [level] of each namespace, outermost first */
	struct task *task;	   /* the thread with this number, or NULL */
	void *tg, *pgrp, *session; /* what else uses the number */
};

int pid_ns_new(struct pid_ns *parent, struct pid_ns **ret); /* parent NULL: the sandbox's */
struct pid_ns *pid_ns_ref(struct pid_ns *ns);
void pid_ns_unref(struct pid_ns *ns);
struct thread_group *pid_ns_init(struct pid_ns *ns); /* its pid 1, or NULL */
uint64_t pid_ns_id(const struct pid_ns *ns);	     /* inode of /proc/PID/ns/pid */

int pid_alloc(struct pid_ns *ns, struct pid **ret); /* -EAGAIN: none is free */
struct pid *pid_ref(struct pid *pid);
void pid_unref(struct pid *pid);
int pid_nr(const struct pid *pid, const struct pid_ns *ns); /* 0: not visible there */
