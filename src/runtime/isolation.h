/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/isolation.h - what a class of isolation implements, and which class a container gets.
 *
 * The life cycle (create.c, start.c, run.c, exec.c, delete.c) owns directories, state, cgroups,
 * hooks of the runtime's namespaces and the order of things. Through this table it asks a class for
 * processes.
 */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/err.h"
#include "host/seccomp.h"
#include "oci/spec.h"
#include "runtime/runtime.h"

struct creation;

/* A process that a class made: the init process of a container, or one of exec. */
struct process {
	pid_t pid;  /* a child of the caller; 0: none */
	int pidfd;  /* borrowed from data */
	int master; /* borrowed from data: pty master when the terminal stays here, or -EBADF */
	void *data; /* the class's own, ended by process_done() */
};
#define PROCESS_INIT                              \
	{                                         \
		.pidfd = -EBADF, .master = -EBADF \
	}

/* A terminal for a new process. */
struct process_terminal {
	bool wanted;
	int console_socket; /* connected socket that takes the master, or -EBADF: it stays here */
	unsigned short rows, cols; /* 0: the kernel's default */
};

/* What exec asks for; everything is borrowed. */
struct exec_request {
	const struct oci_spec
		*spec; /* the new process, with the container's seccomp and personality */
	const struct seccomp_program *seccomp; /* NULL: none */
	int container_pidfd;
	struct process_terminal terminal;
	unsigned int preserve_fds;
	const char *const *cgroups; /* --cgroup values, NULL-terminated, or NULL */
	bool shell;		    /* in the class's own machine, not in the container */
};

/*
 * All return 0 or -errno with a sentence. A class's processes die with the caller until release()
 * or open() has returned 0.
 */
struct isolation_ops {
	const char *name;
	bool has_shell; /* exec takes exec_request.shell */
	/*
	 * Its supervisor, which serves many, gets no stream of a first container or an exec that
	 * may keep it waiting (sandbox/carriers.h).
	 */
	bool carries_streams;

	/*
	 * Make the container of a creation up to its gate: creation->process. Calls back
	 * creation_on_process() with the pid before the process gets any further, and
	 * creation_on_environment() when its mounts are made.
	 */
	int (*create)(struct creation *creation, struct err *err);
	/*
	 * Instead of create() for a container of a pod: a part of cr->sandbox, which was running a
	 * moment ago and whose lock nobody holds for us (sandbox/pod.h). NULL: pods are joined by
	 * the namespaces of config.json alone.
	 */
	int (*create_member)(struct creation *creation, struct err *err);
	/* For create: the process outlives us and waits at its socket. */
	int (*release)(struct process *process, struct err *err);
	/* Let the process of a creation or exec run its program; returns when that has begun. */
	int (*open)(struct process *process, const struct oci_spec *spec, struct container *c,
		    struct err *err);
	/* The same for a container that another process created. */
	int (*start)(struct container *c, struct err *err);
	/* Make a process in a running container that waits for open(). */
	int (*exec)(struct container *c, const struct exec_request *request, struct process *ret,
		    struct err *err);
	/*
	 * Any but SIGKILL to the container's first process, or to all; of a running class without
	 * (NULL) the host's processes are signalled.
	 */
	int (*signal)(struct container *c, int sig, bool all, struct err *err);
	/*
	 * Of a part of a pod's sandbox, whose processes no freezer of the host knows by themselves:
	 * before its cgroup, which says that it is paused, is frozen or thawed. *ret_hold, the
	 * caller's, is open until then: who dies before has asked for nothing. NULL: it cannot be.
	 */
	int (*freeze_member)(struct container *c, bool frozen, int *ret_hold, struct err *err);
	/*
	 * It is no part of another one and was paused: what could not be taken away from it
	 * meanwhile is. Problems are logged. NULL: nothing.
	 */
	void (*resumed)(struct container *c);
	/*
	 * Of a container that may be a pod's sandbox, before its own cgroup is frozen: those of its
	 * pod whose cgroups are not below that run no more, as long as its own is frozen or
	 * *ret_hold, the caller's, is open. -EBADF: there are none. NULL: the same.
	 */
	int (*hold_pod)(struct container *c, int *ret_hold, struct err *err);
	/*
	 * Its program reaches no socket of the host: whoever waits for sd_notify(3) is told when it
	 * runs.
	 */
	bool ready_when_started;
	/* Tasks of the host that a container of this class has besides its own: pids.max is that
	 * much higher. */
	unsigned int extra_pids;
	/*
	 * Instead of it: the limits of the host's cgroup for the container's, changed in place,
	 * limits->unified.items too. NULL: they are the same.
	 */
	void (*host_limits)(const struct container *c, struct oci_resources *limits);
	/*
	 * What the host's cgroup lets be opened instead of what the container's rules say, for a
	 * class that has its own processes there alone. NULL: the container's rules.
	 */
	const struct oci_device_rule *host_devices;
	size_t host_devices_len;
	/* What the cgroup cannot tell, or tells of other processes. NULL: nothing. */
	void (*stats)(struct container *c, struct cgroup_stats *stats);
	/*
	 * Instead of container_update()'s order, cgroups first: the whole of it, undone as far as
	 * it fails. NULL: update().
	 */
	int (*resize)(struct container *c, const struct oci_resources *resources, struct err *err);
	/* After the cgroups were updated: what is shown inside. NULL: nothing to do. */
	int (*update)(struct container *c, const struct oci_resources *resources, struct err *err);
	/* container_processes(); NULL: they are the host's. */
	int (*processes)(struct container *c, struct container_process **ret, size_t *ret_len,
			 struct err *err);
	/* container_debug(); NULL: there is nothing to ask. */
	int (*debug)(struct container *c, const char *what, struct buf *ret, struct err *err);
	/* container_oom_fd(); NULL: the container has no kernel of its own that would do it. */
	int (*oom_fd)(struct container *c, struct err *err);
	/* container_events(); NULL: there are none. */
	int (*events)(struct container *c, uint32_t mask, container_event_fn *fn, void *arg,
		      struct err *err);
	/*
	 * The container's processes are gone, and it is being deleted: what they may have left
	 * outside of its directory and cgroups. Problems are logged. NULL: nothing.
	 */
	void (*forget)(const struct container *c, const struct oci_spec *spec);
	/* Close what a process handle owns; the process itself lives on. Accepts an empty one. */
	void (*process_done)(struct process *process);
};

extern const struct isolation_ops class_ns;
extern const struct isolation_ops class_sentry;
extern const struct isolation_ops class_vm;

/* What `limits` of the container's cgroup on the host are, with the extras of its class. */
void isolation_add_extras(const struct isolation_ops *ops, const struct container *c,
			  struct oci_resources *limits);

/* The table of a class. */
int isolation_ops_get(enum isolation isolation, const struct isolation_ops **ret, struct err *err);

/*
 * The class of a new container: the invocation's choice (flag, name of the program), then the
 * annotation io.caisson.isolation, then the configuration's default. -EPERM names both when the
 * annotation contradicts the invocation and allowed_annotations does not list it.
 */
int isolation_choose(const struct runtime *rt, const struct oci_spec *spec, enum isolation *ret,
		     struct err *err);

/* allowed_annotations of the configuration lists the key. */
bool isolation_annotation_allowed(const struct runtime *rt, const char *key);

#define ISOLATION_ANNOTATION "io.caisson.isolation"
