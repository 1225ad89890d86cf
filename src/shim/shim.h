/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shim/shim.h - one shim: the containers of a group (a pod, or one container), their processes, and
 * who is told about them.
 *
 * One process, one thread, one loop. Everything here belongs to the loop's callbacks.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "base/list.h"
#include "base/loop.h"
#include "shim/publish.h"
#include "shim/settings.h"
#include "shim/streams.h"
#include "shim/ttrpc.h"

struct shim {
	struct loop *loop;
	struct ttrpc_server *server;
	struct publisher *publisher;
	struct manage *manage; /* NULL: it has no management socket */
	const char *program;   /* the name it was called by */
	const char *ns;	       /* of containerd */
	const char *group;     /* the container that it was started for: the pod's sandbox */
	const char *socket;    /* the path it listens at; NULL: none */
	int null_fd;	       /* /dev/null */
	struct list_head tasks;
	struct list_head workers;
	unsigned int workers_len;
	uint64_t workers_started;
	struct loop_source *first_timer; /* who has no container by then ends */
	struct loop_source *end_timer;	 /* NULL: it does not end */
	int64_t end_ms;			 /* when it ends at the latest */
};

enum proc_state {
	PROC_NEW,     /* of init: it is being created */
	PROC_CREATED, /* not started */
	PROC_RUNNING,
	PROC_STOPPED, /* and that was told */
};

/* The first process of a container, or one of exec. */
struct proc {
	struct list_head node; /* of task.execs */
	struct task *task;
	char *exec_id; /* owned; "": the first */
	pid_t pid;     /* 0: none yet */
	enum proc_state state;
	bool busy;  /* a worker is about to make or start it: its end is told afterwards */
	bool ended; /* it was reaped */
	uint32_t exit_status;
	struct timespec exited_at;
	struct streams streams;
	struct list_head waiters;
	/* Delete, while the streams carry what is left. */
	struct ttrpc_call *delete_call; /* NULL: not asked */
	struct loop_source *delete_timer;
	int64_t delete_ms; /* it waits until then */
	/* It has ended, and that is told when its output has been read, or then. */
	struct loop_source *tell_timer;
	int64_t tell_ms;
	uint8_t *spec; /* owned: what exec shall run, until it is started */
	size_t spec_len;
};

enum { OOM_HOST, OOM_SANDBOX, OOM_WATCHES };

/* Notices of a kernel that it killed for want of memory. */
struct oom_watch {
	struct task *task;
	int fd;			    /* or -EBADF */
	struct loop_source *source; /* or NULL */
	struct loop_source *rest;   /* a timer, of a sandbox's notices */
	struct cgroup *cgroup;	    /* owned; NULL: the notices come from a sandbox */
	uint64_t kills;
};

/* A container as containerd knows it. */
struct task {
	struct list_head node; /* of shim.tasks; on none: it was deleted */
	struct shim *shim;
	unsigned int refs;
	char *id, *bundle; /* owned */
	struct settings *settings;
	enum isolation isolation;
	struct proc init;
	struct list_head execs;
	unsigned int waiters_len; /* of all processes */
	bool paused;
	bool shared_pid; /* its processes do not end with the first */
	bool deleting;
	bool unwanted; /* deleted while it was being created */
	struct oom_watch oom[OOM_WATCHES];
};

/* ---- task.c ---- */

/* A task that is on the list, with one reference of the list's. -EINVAL, -ENOMEM. */
int task_new(struct shim *s, const char *id, const char *bundle, struct task **ret,
	     struct err *err);
void task_get(struct task *t);
void task_put(struct task *t);
/* Take it off the list. */
void task_remove(struct task *t);
struct task *task_find(const struct shim *s, const char *id); /* NULL: none */

int proc_new(struct task *t, const char *exec_id, struct proc **ret, struct err *err);
void proc_free(struct proc *p);				     /* of an exec */
struct proc *proc_find(struct task *t, const char *exec_id); /* "": the first; NULL: none */

/* Of one task. Its connection has room for others then: Kill and Delete (TTRPC_CALLS_MAX). */
#define WAITERS_MAX 512u

/*
 * Answer `call` when the process has ended. A client that gives up says nothing: calls that nobody
 * wants any more make room. -ENOMEM, -EAGAIN (WAITERS_MAX): the call is still the caller's.
 */
int proc_add_waiter(struct proc *p, struct ttrpc_call *call);

/* A worker has done with it: tell its end, if that came meanwhile. */
void proc_settle(struct proc *p);

/* Reap all of them that have ended: for who has just ended them. */
void task_reap(struct task *t);
/* Ends that are not told yet (somebody reads the output still, or what a first process left is
 * being killed) are told now. */
void task_tell_ends(struct task *t);
/* The end of this one, if it waits for who reads the output; of a first process the others' before.
 * For calls whose answer says that it has ended: the next call shall say so, too. */
void proc_tell_end(struct proc *p);

/* Reap what has ended, tell whoever wants to know. */
void shim_reap(struct shim *s);

/* Remove its sockets from the directory, once: who asks for the group gets a new shim. */
void shim_unlink(struct shim *s);

/* End when all answers and events are out. */
void shim_end(struct shim *s);

/* ---- oom.c ---- */

/* Watch the container's cgroup on the host, before its program starts. Failures are logged. */
void oom_watch_cgroup(struct task *t);
/* Watch `fd` of container_oom_fd(), which becomes the watch's. */
void oom_watch_sandbox(struct task *t, int fd);
/* Tell what has not been told: before the end of a process is. */
void oom_look(struct task *t);
void oom_stop(struct task *t);
