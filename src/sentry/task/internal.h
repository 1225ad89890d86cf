/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/internal.h - private to task/: what its files offer each other.
 */
#pragma once

#include "sentry/task/task.h"

/* task.c: half-built objects, freed by task_unref() and thread_group_unref(). */
struct task *task_alloc(struct container *container);
struct thread_group *thread_group_alloc(struct container *container);
/* Become visible: pid (its reference is taken over), group, container's count. */
void task_publish(struct task *t, struct pid *pid);
/* Out of the group and of its number. */
void task_release(struct task *t);
/* Within the limits of container and user? 0 or -EAGAIN. */
int task_may_create(const struct task *by, const struct container *container);
int task_start_fiber(struct task *t);
/* False: it waits for task_start(). */
bool task_began(const struct task *t);

/* run.c */
void task_main(void *arg);

/* exit.c: the last thing that a task's fiber does. */
void task_exit(struct task *t);
/* A process that nobody waits for any more leaves all lists. */
void thread_group_release(struct thread_group *tg);
/*
 * All threads have ended, and no tracer has yet to wait for one that is not the leader: only then
 * may the process be waited for.
 */
bool thread_group_reapable(const struct thread_group *tg);
/* It may have become so: tell who waits, or release it. */
void thread_group_ended(struct thread_group *tg);
/* SIGCHLD and a wake-up for the parent, of a stop or continuation (CLD_*). */
void parent_notify_stop(struct thread_group *tg, int code);
/* The process is a zombie: tell the parent. True: nobody will wait for it. */
bool parent_notify_exit(struct thread_group *tg);
void vfork_release(struct task *t);

/* exec.c: end the other threads of the group; the caller then has the group's pid. 0, -EINTR. */
int thread_group_alone(struct task *t);

/* pgrp.c */
int session_new(struct pid *pid, struct session **ret);
int process_group_new(struct pid *pid, struct session *session, struct process_group **ret);
void process_group_join(struct thread_group *tg, struct process_group *pgrp);
void process_group_leave(struct thread_group *tg);
bool process_group_orphaned(const struct process_group *pgrp);
/*
 * tg lost its tie to `parent`: a group that is an orphan now (not counting `without`) and has
 * stopped members gets SIGHUP and SIGCONT.
 */
void process_group_check_orphans(struct thread_group *tg, struct thread_group *parent,
				 const struct thread_group *without);

/* seccomp and friends of task_struct that are freed with it */
void task_free_parts(struct task *t);

/* ptrace.c */
struct queued_signal;
void ptrace_group_stop(struct task *t);
void ptrace_continued(struct task *t); /* SIGCONT: one that only listens traps again */
void ptrace_stop_now(struct task *t);
int ptrace_signal_stop(struct task *t, int sig, siginfo_t *info);
void ptrace_handler_entered(struct task *t);
