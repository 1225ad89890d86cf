/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/wait.h - wait4(2) and waitid(2).
 */
#pragma once

#include <sys/resource.h>

#include "sentry/task/task.h"

enum wait_who { WAIT_FOR_ANY, WAIT_FOR_PID, WAIT_FOR_PGRP };

struct wait_request {
	enum wait_who who;
	struct pid *pid; /* of the process or group; borrowed */
	int options;	 /* WNOHANG, WEXITED, WSTOPPED, WCONTINUED, WNOWAIT, __WALL ... */
};

struct wait_result {
	int pid;    /* as the caller sees it */
	int status; /* wait status */
	int code;   /* CLD_* */
	uint32_t uid;
	struct rusage usage;
};

/* 1: somebody; 0: nobody yet (WNOHANG); -ECHILD, -ERESTARTSYS. */
int task_wait(struct task *t, const struct wait_request *req, struct wait_result *ret);

/*
 * getrusage(2)'s figures of a process: its own, or those of its ended children. Of memory that is
 * still there they are what mm_usage() said last.
 */
void thread_group_rusage(const struct thread_group *tg, struct rusage *ret);
/* Page faults, as above. */
void thread_group_faults(const struct thread_group *tg, uint64_t *ret_min, uint64_t *ret_maj);
/* Keep the figures of the memory that a process is about to leave (exec, its end). May park. */
void thread_group_memory_ends(struct thread_group *tg, struct mm *mm);
void thread_group_rusage_children(const struct thread_group *tg, struct rusage *ret);
