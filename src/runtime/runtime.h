/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime/runtime.h - containers on this host: life cycle, state, and the isolation classes behind
 * it.
 *
 * A container is a directory ROOT/ID with state.json (version 1; written atomically before anything
 * outside the directory is made, so that `delete --force` finds all that a killed runtime left),
 * the config.json it was made from, and while it is created a socket start.sock on which its init
 * process waits. Every operation that changes a container holds the lock, flock(2) on the
 * directory; `state`, `list`, `ps`, `wait` and `events` work without it. Nothing here is
 * thread-safe: one process, one thread.
 *
 * Status is never believed from the file alone: "running" means that the init process with the
 * recorded pid and start time lives and is no zombie.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "host/cgroup.h"
#include "host/cgroup_stats.h"
#include "oci/spec.h"
#include "oci/state.h"

enum isolation {
	ISOLATION_UNSET = -1,
	ISOLATION_NS,
	ISOLATION_SENTRY,
	ISOLATION_VM,
	ISOLATION_MAX,
};

/* "ns", "sentry", "vm"; from text -EINVAL with a sentence that lists the three. */
const char *isolation_name(enum isolation isolation);
int isolation_from_name(const char *name, enum isolation *ret, struct err *err);

/* How sandboxes of class sentry work; numbers are enums of wire/sentry_msg.h. */
struct sentry_settings {
	uint32_t platform, overlay;
	uint32_t file_access, file_access_mounts;
	uint32_t host_uds;
	bool core_scheduling;	       /* a core-scheduling cookie for each sandbox */
	const char *network;	       /* none, host or pod */
	const char *stub_profile;      /* checked or direct */
	const char *strace;	       /* "": off */
	const char *debug;	       /* rooms with commas; "": none */
	const char *events;	       /* which are told: names with commas, "all" */
	const char *event_sink;	       /* absolute path; "": nobody is told */
	uint32_t ids_first, ids_count; /* of sandbox_ids (sandbox/ids.h) */
};

/* What machines of class vm are made of (vm/settings.h), as the configuration has it: texts. */
struct vm_settings {
	const char *kernel, *image, *qemu, *virtiofsd; /* absolute paths; "": where they belong */
	const char *accel, *machine, *memory, *cpus, *overhead, *boot_timeout, *debug_console;
	const char *max_memory, *max_cpus; /* "": as much as the host has */
	const char *templates;		   /* "off", "on" */
	const char *cache;		   /* "auto", "always", "none" */
	const char *template_dir;	   /* absolute; "": in root. No annotation changes it */
	const char *nested;
};

/* Settings of one invocation, after flags, configuration files and defaults were merged
 * (runtime/config.h). */
struct runtime {
	const char *root; /* the directory of container directories; made on demand, mode 0711 */
	enum cgroup_manager cgroup_manager;
	bool rootless;		  /* permission problems with cgroups are tolerated */
	enum isolation isolation; /* chosen before the bundle was read, or ISOLATION_UNSET */
	enum isolation default_isolation;	/* from the configuration */
	const char *const *allowed_annotations; /* NULL-terminated or NULL */
	const char *libexec; /* directory of the helper programs of other classes */
	struct sentry_settings sentry;
	struct vm_settings vm;
};

/* Kinds of hooks that config.json holds and that later verbs have to run. */
enum container_hooks {
	CONTAINER_HAS_POSTSTART = 1u << 0,
	CONTAINER_HAS_POSTSTOP = 1u << 1,
};

struct container {
	char *id;
	char *bundle; /* absolute */
	char *rootfs; /* absolute */
	enum isolation isolation;
	enum oci_status status; /* as just observed */
	pid_t pid;		/* init, in our pid namespace; 0 when stopped */
	uint64_t start_time;	/* of pid: field 22 of /proc/PID/stat, clock ticks */
	char *created;		/* RFC 3339 with nanoseconds, UTC */
	uid_t owner;
	struct cgroup *cgroup; /* NULL: none */
	json_t *annotations;   /* object */
	char *oci_version;
	int dir_fd;  /* the container's directory; owned */
	int lock_fd; /* the same number as dir_fd while the lock is held, else -EBADF */
	const struct runtime *runtime;
	int root_fd;	    /* the directory of container directories; owned */
	unsigned int hooks; /* CONTAINER_HAS_* */
	bool private_pid;   /* a pid namespace of its own: all processes end with init */
	char *rdt_clos;	    /* class of service in resctrl, or NULL */
	bool rdt_made;	    /* ... and this container made it */
	char *sandbox;	    /* id of the pod's sandbox that it is a part of, or NULL */
	/* What runs its machine (machine_accel_name()); NULL: no machine, or not known. */
	const char *accelerator;
};

/* Load and observe. -ENOENT: "container does not exist". `lock`: take the exclusive lock first. */
int container_load(const struct runtime *rt, const char *id, bool lock, struct container **ret,
		   struct err *err);
void container_free(struct container *c); /* accepts NULL; drops the lock */

/*
 * All containers of the root, sorted by id, to be looked at: they hold no descriptors and cannot be
 * locked. Broken directories are skipped with a warning.
 */
int container_list(const struct runtime *rt, struct container ***ret, size_t *ret_len,
		   struct err *err);
/* The same for who takes away what is nobody's: one that cannot be read is an error. */
int container_list_all(const struct runtime *rt, struct container ***ret, size_t *ret_len,
		       struct err *err);
void container_list_free(struct container **list, size_t len);

/* "invalid container ID format" unless [A-Za-z0-9_+.-]{1,1024}, not "." or "..". */
int container_id_check(const char *id, struct err *err);

struct create_options {
	const char *id;
	const char *bundle; /* as given; NULL: "." */
	const char *config; /* NULL: config.json in the bundle */
	const char *console_socket;
	const char *pid_file;
	const char *pidfd_socket;
	unsigned int preserve_fds;
	bool no_pivot, no_new_keyring;
	bool detach; /* run only */
	bool keep;   /* run only: do not delete when it ends */
	bool tied;   /* run only: the container ends with the caller, however that ends */
};

/* create: leaves the container "created". Undoes everything on failure. */
int container_create(const struct runtime *rt, const struct create_options *options,
		     struct err *err);

/*
 * Take the lock of a container that was loaded without it, and observe it again. -ENOENT when it
 * was deleted meanwhile. container_unlock() accepts a container that holds none.
 */
int container_lock(struct container *c, struct err *err);
void container_unlock(struct container *c);

/* start a created container. A failing poststart hook stops it again (runtime-spec 1.3). */
int container_start(struct container *c, struct err *err);

/*
 * run: create and start; unless detached, pass terminal, signals and streams, wait, delete.
 * *ret_status: exit code of the container (128 + N for signal N), 0 when detached.
 */
int container_run(const struct runtime *rt, const struct create_options *options, int *ret_status,
		  struct err *err);

struct exec_options {
	const char *process; /* --process FILE, or NULL: use argv and the flags below */
	const char *const *argv;
	const char *const *env; /* NAME=VALUE, added to the container's */
	const char *cwd;
	const char *user; /* UID[:GID] */
	const uint32_t *additional_gids;
	size_t additional_gids_len;
	const char *const *caps;
	const char *apparmor, *process_label;
	const char *console_socket, *pid_file, *pidfd_socket;
	const char *const *cgroups; /* PATH or CONTROLLERS:PATH */
	unsigned int preserve_fds;
	bool tty, detach, no_new_privs, ignore_paused;
	bool shell; /* debug: in the container's machine, with all rights; -ENOTSUP without one */
	pid_t *ret_pid; /* detach: the process, for who will be its parent; or NULL */
};
/*
 * Run a process in a container that is created or running (paused: ignore_paused) and, unless
 * detached, stay with it. *ret_status: its exit code, 128 + N for signal N, 0 when detached.
 */
int container_exec(struct container *c, const struct exec_options *options, int *ret_status,
		   struct err *err);

/*
 * kill. `all`: every process of the container, no error when none is left. Without: -ESRCH,
 * "container not running". SIGKILL thaws a paused container, and ends every process where the pid
 * namespace is shared.
 */
int container_kill(struct container *c, int sig, bool all, struct err *err);

/* delete; -EBUSY: "cannot delete container ID that is not stopped: STATUS" unless `force`. */
int container_delete(struct container *c, bool force, struct err *err);
/* delete --force of an id whose directory may be missing or half-made: 0 when nothing is left. */
int container_delete_force(const struct runtime *rt, const char *id, struct err *err);

/* Freeze a created or running container, thaw a paused one; -ENOTSUP without a cgroup. */
int container_pause(struct container *c, struct err *err);
int container_resume(struct container *c, struct err *err);
/* Apply what is set in `resources`, but for device rules. -ESRCH: stopped; -ENOTSUP: no cgroup. */
int container_update(struct container *c, const struct oci_resources *resources, struct err *err);
/* What it has used; done with cgroup_stats_done(). -ESRCH: stopped; -ENOTSUP: no cgroup. */
int container_stats(struct container *c, struct cgroup_stats *ret, struct err *err);
/* The processes of its cgroup, without one init alone. *ret is the caller's, NULL for none. */
int container_pids(struct container *c, pid_t **ret, size_t *ret_len, struct err *err);
/*
 * What the container's own kernel says of itself: "tasks", "mounts", "vmas", "fds", "metrics",
 * "stacks"; printable lines appended to *ret. -ENOTSUP for a class without one, -EINVAL for
 * another word.
 */
int container_debug(struct container *c, const char *what, struct buf *ret, struct err *err);

/*
 * A socket that has a message whenever the container's own kernel has killed one of its processes
 * for want of memory, and an end with the container; the caller's. -ENOTSUP for a class without
 * one: the host's kernel does it then, and cgroup_oom_fd() tells.
 */
int container_oom_fd(struct container *c, struct err *err);

/*
 * Follow its event stream (docs/EVENTS.md): fn gets every record of a type in `mask` until the
 * container ends (0) or fn fails. -ENOTSUP for a class without one, -ESRCH when it does not run.
 */
struct event_record;
typedef int container_event_fn(void *arg, const struct event_record *record, struct err *err);
int container_events(struct container *c, uint32_t mask, container_event_fn *fn, void *arg,
		     struct err *err);
/* A process as the container's own kernel knows it. */
struct container_process {
	int pid, ppid; /* inside */
	uint32_t uid, threads;
	uint64_t start_ns; /* since the epoch */
	uint64_t cpu_ns;
	char state;	   /* as in ps(1) */
	char command[128]; /* args, cut; printable */
};
/*
 * Of classes whose processes are not the host's; -ENOTSUP, without a message, of the others: use
 * container_pids(). *ret is the caller's, NULL for none.
 */
int container_processes(struct container *c, struct container_process **ret, size_t *ret_len,
			struct err *err);
/*
 * Wait until the init process has ended; *ret_status is its exit code (128 + N for signal N) where
 * the kernel tells it to someone who is not the parent (Linux 6.15, or a zombie not yet reaped),
 * else -1.
 */
int container_wait(struct container *c, int *ret_status, struct err *err);
/* The state document of the specification, as hooks and `state` get it. *ret is the caller's. */
int container_state_json(const struct container *c, json_t **ret, struct err *err);
