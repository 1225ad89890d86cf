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

#include "sentry/arch/regs.h"
#include "sentry/core/ktimer.h"
#include "sentry/mm/mm.h"
#include "sentry/task/container.h"
#include "sentry/task/namespaces.h"
#include "sentry/task/pid.h"
#include "sentry/task/signal.h"
#include "sentry/vfs/fd_table.h"
#include "sentry/vfs/namei.h"

struct task;
struct thread_group;
struct session;
struct process_group;
struct tty; /* fs/devpts */
struct posix_timers;
struct seccomp_filter;
struct ptrace_link;

/* Root, working directory and umask: shared with CLONE_FS. */
struct fs_context {
	unsigned int refs;
	struct path root, cwd;
	uint32_t umask;
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

/* What restart_syscall(2) continues: filled by task_restart_block(). */
#define RESTART_ARGS 6
struct restart_block {
	int64_t (*fn)(struct task *t, const struct restart_block *block); /* NULL: EINTR */
	uint64_t arg[RESTART_ARGS];
};

/* Calls of the read and the write family, and their bytes (/proc/PID/io). */
struct io_account {
	uint64_t read_calls, read_bytes, write_calls, write_bytes;
};

struct task {
	/* immutable, but exec by a thread that is not the leader exchanges pid */
	struct thread_group *tg;     /* one reference */
	struct pid *pid;	     /* one reference; its number in each pid namespace */
	struct container *container; /* one reference */

	struct fiber *fiber; /* NULL: not started, or ended */
	unsigned int refs;
	enum task_state state; /* stops and ends; task_state_now() knows the rest */
	bool in_guest;	       /* in platform->thread_run() */

	/* registers while in the kernel: task/run.h */
	struct arch_regs regs;
	bool regs_valid, regs_dirty, regs_replaced, no_restart;
	bool in_syscall, call_done; /* the last event was a call; its result is in call_result */
	int64_t call_result;
	uint64_t trap_no, trap_error, trap_addr; /* of the last fault, for signal frames */

	/* owner task only */
	struct platform_thread *thread;
	struct platform_thread *last_thread; /* the one that it ran in last, or NULL */
	struct mm *mm;			     /* NULL after exit */
	struct fd_table *files;
	struct fs_context *fs;
	struct namespaces *ns;
	const struct cred *cred;  /* task_set_cred() */
	struct user_usage *usage; /* what the real uid has: task/user_usage.h */
	char comm[16];
	uint64_t robust_list, robust_list_len;
	uint64_t clear_child_tid;
	uint64_t rseq_addr;
	uint32_t personality;
	int exit_code;	/* wait(2) status */
	bool exiting;	/* leaves for good at the end of this call */
	bool exec_kill; /* another thread of the group is in exec */
	bool did_exec;	/* since its birth: setpgid(2) */
	bool vfork_done;
	struct waitq vfork_wait;   /* the parent of vfork(2) sleeps here */
	bool stop_pending;	   /* takes part in a group stop that is being made */
	uint64_t robust_pi;	   /* futex word of a PI lock that it is about to take, or 0 */
	struct list_head pi_owned; /* task/futex_pi.c */
	struct list_head tracees, tracer_node; /* task/ptrace.c */

	/* signals: task/signal.h */
	struct task_signals sig;

	struct list_head tg_node;	/* thread_group.tasks */
	struct ptrace_link *ptrace;	/* NULL: not traced */
	int ptrace_signal;		/* what the tracer gave at the end of a stop */
	unsigned int users;		/* calls of tracers that use its thread and memory */
	struct seccomp_filter *seccomp; /* newest first; NULL: none */
	bool seccomp_strict;		/* SECCOMP_MODE_STRICT */
	uint64_t utime_ns, stime_ns, start_ns;
	uint64_t nvcsw, nivcsw, parks_before, yields_before; /* task/account.h */
	struct io_account io;
	int nice, policy, rt_priority;
	bool reset_on_fork;    /* SCHED_RESET_ON_FORK: children start as ordinary tasks */
	uint64_t affinity[16]; /* CPU mask, 1024 CPUs */
	uint64_t syscall_nr;   /* of the call that it is in, for /proc/PID/syscall and strace */
	struct restart_block restart;
	uint64_t timer_slack_ns;
	uint32_t ioprio;
};

/* The process: what its threads share. */
struct thread_group {
	unsigned int refs;
	struct pid *pid; /* one reference */
	struct task *leader;
	struct list_head tasks;
	unsigned int live;	     /* threads that have not ended */
	struct thread_group *parent; /* not referenced; reparented at its exit; NULL: none */
	struct task *parent_thread;  /* who made it, for PR_SET_PDEATHSIG; may be NULL */
	struct list_head children, sibling;
	struct process_group *pgrp; /* one reference */
	struct list_head pgrp_node;
	struct session *session; /* one reference */
	struct container *container;
	struct sighand *sighand; /* shared with CLONE_SIGHAND */
	struct sig_queue shared_pending;
	struct waitq wait_child; /* wait4 of this process's threads */
	unsigned int frozen;	 /* no thread enters guest code: task/freeze.h */
	struct waitq freeze_wait;
	struct waitq exit_wait; /* a thread has ended: exec waits for it */
	struct rlimit limits[RLIM_NLIMITS];
	int exit_signal; /* for the parent; 0: none */
	int exit_status; /* wait status; valid with group_exit or zombie */
	bool zombie;	 /* all threads have ended */
	bool released;	 /* waited for: in no list any more */
	bool thp_disable, membarrier_private;
	bool nproc_exceeded; /* a set*uid went beyond RLIMIT_NPROC: execve fails */
	bool group_exit, stopped, continued_pending, stop_reported, did_exec, subreaper;
	bool keep_init;	      /* pid 1: fatal signals from inside do nothing */
	struct task *exec_by; /* the thread that ends the others for its exec, or NULL */
	unsigned int execs;   /* threads in execve: wait with task_exec_wait() */
	int stop_signal;
	unsigned int stop_count; /* threads that have yet to stop */
	/* of ended threads, and of children that were waited for */
	uint64_t utime_ns, stime_ns, cutime_ns, cstime_ns, nvcsw, nivcsw, min_flt, maj_flt;
	uint64_t cmin_flt, cmaj_flt, cnvcsw, cnivcsw, max_rss, cmax_rss;
	struct io_account io; /* also of children that were waited for */
	bool mm_borrowed;     /* CLONE_VM without CLONE_THREAD: its faults are another's */
	nsec_t start_ns;
	int oom_score_adj,
		oom_score_adj_min;   /* /proc/PID/oom_score_adj; the lowest without a right */
	uint32_t login_uid;	     /* /proc/PID/loginuid, plus one; 0: not set */
	struct posix_timers *timers; /* NULL: none; task/posix_timers.h */
	bool tty_left;		     /* TIOCNOTTY: the session's terminal is not this process's */
	struct sem_undo_list *sem_undo; /* mm/sem.h; NULL: none */
	struct itimers *itimers;	/* NULL: none; task/itimer.h */
	void (*on_exit)(void *arg, struct thread_group *tg, int wait_status);
	void *on_exit_arg;
};

struct process_group {
	unsigned int refs;
	struct pid *pid;
	struct session *session;
	struct list_head members; /* thread_group.pgrp_node */
};

struct session {
	unsigned int refs;
	struct pid *pid;
	struct tty *tty;		  /* controlling terminal, NULL: none; kept by fs/tty */
	struct process_group *foreground; /* one reference, or NULL */
	struct thread_group *leader;	  /* NULL: ended */
	unsigned int members;		  /* processes */
};

/* The task whose fiber runs; NULL in the loop. */
struct task *task_current(void);

struct task *task_ref(struct task *t);
void task_unref(struct task *t);
struct thread_group *thread_group_ref(struct thread_group *tg);
void thread_group_unref(struct thread_group *tg);
struct process_group *process_group_ref(struct process_group *pgrp);
void process_group_unref(struct process_group *pgrp);
struct session *session_ref(struct session *session);
void session_unref(struct session *session);

/* Look-ups by number in a pid namespace: a reference, or NULL. */
struct task *task_find(struct pid_ns *ns, int tid);
struct thread_group *thread_group_find(struct pid_ns *ns, int pid);
struct process_group *process_group_find(struct pid_ns *ns, int pgid);
/* Iterate thread groups of a namespace in order of pid: the first with number >= from, or NULL. */
struct thread_group *thread_group_next(struct pid_ns *ns, int from, int *ret_pid);

/* "R", "S", "T", "t", "Z", "X" of /proc/PID/stat come from this. */
enum task_state task_state_now(const struct task *t);

int task_tid(const struct task *t, const struct pid_ns *ns); /* 0: not visible there */
int task_tgid(const struct task *t, const struct pid_ns *ns);
struct pid_ns *task_pid_ns(const struct task *t);

struct vfs_ctx task_vfs_ctx(struct task *t);
struct mm_limits task_mm_limits(const struct task *t);
static inline struct user_memory *task_um(struct task *t)
{
	return &t->mm->um;
}
uint64_t task_rlimit(const struct task *t, int resource); /* soft limit */
/* sched_setaffinity(2): bits of CPUs; more than there are is all of them. */
void task_set_affinity(struct task *t, const uint64_t mask[16]);
void task_set_cred(struct task *t, const struct cred *cred); /* takes the reference */
/* Over the whole sandbox; over what belongs to a user namespace; over the task's own one. */
bool task_capable(const struct task *t, unsigned int cap);
bool task_ns_capable(const struct task *t, const struct user_ns *ns, unsigned int cap);
bool task_own_capable(const struct task *t, unsigned int cap);
/* How a kernel id looks to a task. */
uint32_t task_uid_out(const struct task *t, uint32_t kuid);
uint32_t task_gid_out(const struct task *t, uint32_t kgid);
/* CPU time that a task, or a process with its ended threads, has used. */
void task_cpu_ns(const struct task *t, uint64_t *ret_user, uint64_t *ret_system);
void thread_group_cpu_ns(const struct thread_group *tg, uint64_t *ret_user, uint64_t *ret_system);
/* Anonymous memory of a process that is resident, bytes. May park. */
uint64_t thread_group_anon(const struct thread_group *tg);

/* Have restart_syscall(2) call fn with these arguments: returns -ERESTART_RESTARTBLOCK. */
int64_t task_restart_block(struct task *t, const struct restart_block *block);

struct fs_context *fs_context_new(const struct path *root, const struct path *cwd, uint32_t umask);
struct fs_context *fs_context_copy(const struct fs_context *fs);
void fs_context_unref(struct fs_context *fs);

/* Boot: its threads leave guest code, if only for a moment. False: none was there. */
bool thread_group_interrupt(struct thread_group *tg);

/* Boot: the first process of a container, not started. Its fiber runs after task_start(). */
struct task_spec {
	struct container *container;
	struct namespaces *ns;
	struct path root, cwd;
	const struct cred *cred;
	struct fd_table *files;
	const struct rlimit *limits; /* RLIM_NLIMITS */
	const char *program;	     /* path; NULL: argv[0] */
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
/* On -ENOMEM it has ended as if it had been killed. Nothing for one that was killed before. From a
 * fiber. */
int task_start(struct task *t);

/* setpgid(2) and setsid(2). */
int task_setpgid(struct task *t, int nr, int pgid);
int task_setsid(struct task *t);

/* End a whole process, as do_group_exit(): wait status. */
void thread_group_exit(struct thread_group *tg, int wait_status);
