/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/task/task.h - tasks, thread groups, process groups, sessions, containers.
 *
 * A task is a guest thread: one fiber (its kernel side) and one platform thread. Field groups say
 * who writes them; under the monitor (core/fiber.h) reading needs no lock.
 * Rooms above (fs, net, syscall) may ask for task_current(); rooms below get what they need passed.
 */
#pragma once

#include <stdint.h>
#include <sys/resource.h>

#include "sentry/mm/mm.h"
#include "sentry/task/pid.h"
#include "sentry/task/signal.h"
#include "sentry/vfs/fd_table.h"
#include "sentry/vfs/namei.h"

struct task;
struct thread_group;
struct session;
struct process_group;
struct container;
struct tty; /* fs/devpts */

/* Root, working directory and umask: shared with CLONE_FS. */
struct fs_context {
	unsigned int refs;
	struct path root, cwd;
	uint32_t umask;
};

/* Namespaces, replaced as a whole (unshare, setns, clone). Reference counted, immutable. */
struct namespaces {
	unsigned int refs;
	struct uts_ns *uts;
	struct ipc_ns *ipc;
	struct mount_ns *mnt;
	struct pid_ns *pid_for_children;
	struct net_ns *net; /* net/ */
	struct user_ns *user;
	struct cgroup_ns *cgroup;
	struct time_ns *time;
};

enum task_state {
	TASK_RUNNING,  /* in guest code or in the kernel */
	TASK_SLEEPING, /* parked interruptibly */
	TASK_BLOCKED,  /* parked, not interruptible ("D") */
	TASK_STOPPED,  /* job control */
	TASK_TRACED,   /* ptrace stop */
	TASK_ZOMBIE,
	TASK_DEAD,
};

struct task {
	/* immutable */
	struct thread_group *tg; /* one reference */
	struct pid *pid;	 /* one reference; its number in each pid namespace */
	struct fiber *fiber;
	struct container *container; /* one reference */

	unsigned int refs;
	enum task_state state;

	/* owner task only */
	struct platform_thread *thread;
	struct mm *mm; /* NULL after exit */
	struct fd_table *files;
	struct fs_context *fs;
	struct namespaces *ns;
	const struct cred *cred; /* task_set_cred() */
	char comm[16];
	uint64_t robust_list, robust_list_len;
	uint64_t clear_child_tid;
	uint64_t rseq_addr;
	uint32_t personality;
	int exit_code; /* wait(2) status */
	bool exiting;
	bool vfork_done;

	/* signals: task/signal.h */
	struct task_signals sig;

	struct list_head tg_node;	/* thread_group.tasks */
	struct ptrace_link *ptrace;	/* NULL: not traced */
	struct seccomp_filter *seccomp; /* newest first; NULL: none */
	uint64_t utime_ns, stime_ns, nvcsw, nivcsw, min_flt, maj_flt, start_ns;
	int nice, policy, rt_priority;
	uint64_t affinity[16]; /* CPU mask, 1024 CPUs */
	uint64_t syscall_nr;   /* of the call that it is in, for /proc/PID/syscall and strace */
	void *restart;	       /* restart block, task/restart.h */
};

/* The process: what its threads share. */
struct thread_group {
	unsigned int refs;
	struct pid *pid;
	struct task *leader;
	struct list_head tasks;
	unsigned int live;
	struct thread_group *parent; /* not referenced; reparented at its exit */
	struct list_head children, sibling;
	struct process_group *pgrp;
	struct session *session;
	struct sighand *sighand; /* shared with CLONE_SIGHAND */
	struct sig_queue shared_pending;
	struct waitq wait_child; /* wait4 of this process; also its pidfds' readers */
	struct waitq exit_wait;
	struct rlimit limits[RLIM_NLIMITS];
	int exit_signal; /* for the parent */
	int exit_status; /* wait status once it is a zombie */
	bool zombie, group_exit, stopped, continued_pending, did_exec, subreaper, no_reap;
	int stop_signal;
	uint64_t cutime_ns, cstime_ns;
	struct posix_timers *timers;
	struct sem_undo_list *sem_undo; /* mm/sem.h; NULL: none */
	void *itimers;
};

struct process_group {
	unsigned int refs;
	struct pid *pid;
	struct session *session;
	struct list_head members; /* thread_group.pgrp_node is private to task/ */
};

struct session {
	unsigned int refs;
	struct pid *pid;
	struct tty *tty; /* controlling terminal, NULL: none; kept by fs/tty */
	struct process_group *foreground;
};

/* The task whose fiber runs; NULL in the loop. */
struct task *task_current(void);

struct task *task_ref(struct task *t);
void task_unref(struct task *t);

/* Look-ups by number in a pid namespace: a reference, or NULL. */
struct task *task_find(struct pid_ns *ns, int tid);
struct thread_group *thread_group_find(struct pid_ns *ns, int pid);
struct process_group *process_group_find(struct pid_ns *ns, int pgid);
/* Iterate thread groups of a namespace in order of pid: the first with number >= from, or NULL. */
struct thread_group *thread_group_next(struct pid_ns *ns, int from, int *ret_pid);

int task_tid(const struct task *t, const struct pid_ns *ns); /* 0: not visible there */
int task_tgid(const struct task *t, const struct pid_ns *ns);
struct pid_ns *task_pid_ns(const struct task *t);

struct vfs_ctx task_vfs_ctx(struct task *t);
struct mm_limits task_mm_limits(const struct task *t);
static inline struct user_memory *task_um(struct task *t)
{
	return &t->mm->um;
}
uint64_t task_rlimit(const struct task *t, int resource);    /* soft limit */
void task_set_cred(struct task *t, const struct cred *cred); /* takes the reference */
bool task_capable(const struct task *t, unsigned int cap);

/* Boot: the first process of a container, not started. Its fiber runs after task_start(). */
struct task_spec {
	struct container *container;
	struct namespaces *ns;
	struct path root, cwd;
	const struct cred *cred;
	struct fd_table *files;
	const struct rlimit *limits; /* RLIM_NLIMITS */
	char *const *argv;
	char *const *envp;
	uint32_t umask;
	struct thread_group *parent; /* NULL: it becomes pid 1 of its namespace */
	bool new_session;
	/* Called once when the process has ended. From kernel code; must not park. */
	void (*on_exit)(void *arg, struct thread_group *tg, int wait_status);
	void *on_exit_arg;
};
/* Opens and loads the program: errors of execve(2). */
int task_spawn(const struct task_spec *spec, struct task **ret);
void task_start(struct task *t);

/* End a whole process, as do_group_exit(): wait status. */
void thread_group_exit(struct thread_group *tg, int wait_status);
