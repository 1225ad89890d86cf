/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ns/ns.h - class ns: a container made of namespaces, cgroups, capabilities and seccomp.
 *
 * The caller (src/runtime on the host, later the agent in a guest) has parsed everything and owns
 * every descriptor that it passes; nothing here reads config.json or writes state. A staged child
 * is cloned with the new namespaces and inherits the parsed specification; the two talk over a
 * socket in fixed messages (child.h). While the child mounts, the parent places it in its cgroup.
 * At the end the child becomes caisson-init (src/init), which waits at the gate and then executes
 * the user's program.
 *
 * Whatever fails, no process of a half-made container survives: the child dies with its parent
 * (PR_SET_PDEATHSIG) until ns_create() has returned 0.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "host/cgroup.h"
#include "host/seccomp.h"
#include "oci/spec.h"

/* How the new process is told to go on (INIT_GATE_* in wire/init_msg.h). */
enum ns_gate {
	NS_GATE_STREAM, /* ns_open_gate() on the same struct ns_child: run, exec */
	NS_GATE_LISTEN, /* ns_knock() from another process, through the socket file: create, start
			 */
};

struct ns_terminal {
	bool wanted;
	int console_socket; /* connected unix socket that takes the pty master, or -EBADF: keep it
			     */
	unsigned short rows, cols; /* 0: the kernel's default */
};

struct ns_create_options {
	const struct oci_spec *spec;
	const char *id;
	const char *bundle; /* absolute */
	const char *rootfs; /* absolute path of the root file system */
	/*
	 * NULL: none. Its cgroup2 directory is made here, the rest by on_namespaces
	 * (cgroup_create); the child enters it by itself, which is much cheaper than being moved
	 * (host/cgroup.h, cgroup_join).
	 */
	struct cgroup *cgroup;
	const struct seccomp_program *seccomp;
	enum ns_gate gate;
	int gate_fd; /* a listening unix socket for NS_GATE_LISTEN, else -EBADF */
	struct ns_terminal terminal;
	unsigned int preserve_fds; /* descriptors 3..2+n go to the container */
	bool no_pivot;
	bool no_new_keyring;
	bool keep_original_groups; /* run.oci.keep_original_groups */
	bool unprivileged;	   /* the runtime is not root on the host */
	/*
	 * Called in the parent with the child's pid once its namespaces exist, before it is let
	 * further: make the cgroup and apply limits, move network devices, RDT.
	 */
	int (*on_namespaces)(void *arg, pid_t pid, struct err *err);
	/*
	 * Called in the parent where a pid namespace is joined: the process has been replaced by
	 * its child in that namespace, which is the one that stays.
	 */
	int (*on_forked)(void *arg, pid_t pid, struct err *err);
	/* Called in the parent when mounts are made and pivot_root(2) is not: prestart,
	 * createRuntime. */
	int (*on_environment)(void *arg, pid_t pid, struct err *err);
	/*
	 * Called in the child before pivot_root(2): createContainer; and when the gate has opened,
	 * in the container with its credentials: startContainer.
	 */
	int (*on_container)(void *arg, pid_t pid, struct err *err);
	int (*on_start)(void *arg, pid_t pid, struct err *err); /* NULL: no startContainer hooks */
	void *arg;
};

/* A process of a container as its maker sees it. */
struct ns_child {
	pid_t pid;  /* in the caller's pid namespace; a child of the caller */
	int pidfd;  /* owned */
	int report; /* owned: the socket to the process, until exec or ns_release() */
	int master; /* owned: pty master when the terminal stays here, or -EBADF */
};
#define NS_CHILD_INIT                                               \
	{                                                           \
		.pidfd = -EBADF, .report = -EBADF, .master = -EBADF \
	}

/*
 * Receives the seccomp notify descriptor (borrowed for the call) as soon as the filter is
 * installed, before the program runs: the program may already be blocked in a call that only the
 * receiver answers.
 */
typedef int (*ns_listener_fn)(void *arg, int listener, struct err *err);

/* Close what the child struct owns; does not touch the process. */
void ns_child_done(struct ns_child *child);

/*
 * Make a container whose init process waits at the gate. On failure everything is undone and the
 * process reaped. -EINVAL and friends with the sentence of the step that failed, wherever it ran.
 *
 * NS_GATE_LISTEN: returns when the process waits at the gate, with its final credentials unless
 * there is on_start. NS_GATE_STREAM: returns when the callbacks are done; the rest of the set-up
 * goes on in the child, and its errors are reported by ns_open_gate().
 */
int ns_create(const struct ns_create_options *options, struct ns_child *ret, struct err *err);

/*
 * Make a socket like that of NS_GATE_LISTEN, which has NS_GATE_BACKLOG (listen(2)): `name` below
 * dirfd, mode 0600. Returns the listening descriptor for gate_fd. -EADDRINUSE if the name is taken.
 */
#define NS_GATE_BACKLOG 1
int ns_listen(int dirfd, const char *name, int backlog, struct err *err);

/* NS_GATE_LISTEN: from now on the process outlives its maker (until then it dies with it). */
int ns_release(struct ns_child *child, struct err *err);

/*
 * NS_GATE_STREAM: let the process go on and wait until its exec has happened (0) or failed (-errno,
 * sentence): `exec /bin/x: No such file or directory`. on_listener may be NULL.
 */
int ns_open_gate(struct ns_child *child, ns_listener_fn on_listener, void *arg, struct err *err);

/* The same for NS_GATE_LISTEN, from any process: connect to the socket `name` below dirfd. */
int ns_knock(int dirfd, const char *name, ns_listener_fn on_listener, void *arg, struct err *err);

struct ns_exec_options {
	const struct oci_spec *spec; /* process, and of linux personality and memoryPolicy */
	pid_t container_pid;	     /* its init, verified by the caller by start time */
	int container_pidfd;
	const struct seccomp_program *seccomp;
	const struct cgroup *cgroup; /* where the process goes; NULL: it stays in the caller's */
	struct ns_terminal terminal;
	unsigned int preserve_fds;
	bool unprivileged;
	/* As in ns_create_options: with the pid of the new process, before it has any power inside.
	 */
	int (*on_process)(void *arg, pid_t pid, struct err *err);
	void *arg;
};

/*
 * Make a process in a running container behind a stream gate; as ns_create(). ret->pid is a child
 * of the caller and in the container's pid namespace.
 */
int ns_exec(const struct ns_exec_options *options, struct ns_child *ret, struct err *err);
