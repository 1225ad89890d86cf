/* SPDX-License-Identifier: Apache-2.0 */
/*
 * host/cgroup.h - the control group of one container: cgroups(7), v1, hybrid and v2.
 *
 * A struct cgroup is a set of directories, one per v1 hierarchy and at most one of cgroup2. It is
 * made from config.json (cgroup_new) or from what state.json remembers (cgroup_from_paths); neither
 * touches the system. On the hybrid layout (controllers on v1, a cgroup2 mount at .../unified) the
 * v1 directories carry the limits and the cgroup2 one is only there for cgroup.kill and
 * cgroup.freeze.
 *
 * Paths: linux.cgroupsPath absolute ("/a/b") counts from the top of each hierarchy as this process
 * sees it, relative ("a/b") from the cgroup that this process is in, as runc does; absent:
 * relative, the container's id; in systemd's words ("a-b.slice:cri-containerd:ID", which
 * containerd's CRI plugin writes below a slice) where systemd would have it, from the top, rootless
 * from where the user's own systemd begins: "/a.slice/a-b.slice/cri-containerd-ID.scope". ".."
 * never leaves that place. Errors name controller, file and value: "memory: write 1024 to
 * memory.limit_in_bytes: ...".
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/err.h"
#include "oci/spec.h"

enum cgroup_layout {
	CGROUP_LAYOUT_NONE,
	CGROUP_LAYOUT_V1,
	CGROUP_LAYOUT_HYBRID, /* v1 controllers and a cgroup2 mount */
	CGROUP_LAYOUT_V2,
};

enum cgroup_manager {
	CGROUP_MANAGER_CGROUPFS,
	CGROUP_MANAGER_SYSTEMD, /* refused here with -ENOTSUP: a later issue brings its helper */
	CGROUP_MANAGER_DISABLED,
};

struct cgroup_options {
	enum cgroup_manager manager;
	const char *path; /* linux.cgroupsPath or NULL */
	const char *id;	  /* container id */
	/* True where missing permission is no error unless limits were asked for (rootless). */
	bool rootless;
	const struct cgroup_program *program; /* or NULL; outlives the cgroup */
};

/* A directory that this cgroup owns or uses. */
struct cgroup_dir {
	const char *controllers; /* "memory", "cpu,cpuacct", "name=systemd"; "" for cgroup2 */
	const char *path;	 /* absolute directory below a cgroup mount */
};

struct cgroup;

enum cgroup_layout cgroup_layout(void); /* read once from /proc/self/mountinfo, then cached */

/*
 * From linux.cgroupsPath. -ENOTSUP for the manager systemd and for a host without cgroups (unless
 * rootless), -EINVAL for the top of a hierarchy.
 */
int cgroup_new(const struct cgroup_options *options, struct cgroup **ret, struct err *err);
/* From state.json. -EINVAL for a path that is not absolute and normalised. */
int cgroup_from_paths(const struct cgroup_dir *dirs, size_t len, struct cgroup **ret,
		      struct err *err);
void cgroup_free(struct cgroup *cg); /* accepts NULL; removes nothing */

/* The directories, for state.json; borrowed. */
size_t cgroup_dirs(const struct cgroup *cg, const struct cgroup_dir **ret);

/*
 * Whether every directory is there. Rootless, they may never have been made
 * (cgroup_options.rootless): then the container lives in the groups that the runtime was in.
 */
bool cgroup_exists(const struct cgroup *cg);

/* The path of one controller ("memory") or of cgroup2 (""), or NULL. */
const char *cgroup_path(const struct cgroup *cg, const char *controller);

/*
 * Make the directories (parents too). -EBUSY when one already holds processes (two containers must
 * not share a cgroup by accident). What was made stays for cgroup_remove() after a failure.
 */
int cgroup_create(struct cgroup *cg, struct err *err);

/* The same refusal before anything is made: -EBUSY. One hierarchy stands for all. */
int cgroup_check_free(const struct cgroup *cg, struct err *err);

/*
 * True if cgroup_create() was refused because others live in the cgroup: then it must be neither
 * signalled nor removed. The directories that were new, of other hierarchies, are gone afterwards.
 */
bool cgroup_abandon_taken(struct cgroup *cg);

/*
 * The quick way in, for a child that this process is about to make. A write to cgroup.procs takes a
 * lock that every fork on the host reads, and unless it was taken just before, that costs a grace
 * period of RCU: 7 to 14 ms measured for one container on an otherwise quiet host. Two ways in do
 * not take it:
 *  - cgroup2: clone3(2) with CLONE_INTO_CGROUP and the descriptor of cgroup_clone_fd();
 *  - v1: a thread that writes 0, itself, to the file "tasks" (for a process of one thread the
 * whole). So: cgroup_clone_fd(), clone3(), cgroup_create(), cgroup_join_open(), and in the child,
 * to which the descriptors were inherited or passed, cgroup_join(): about 0.1 ms, no waiting.
 */

/*
 * Make the cgroup2 directory, before cgroup_create(), and return a descriptor for
 * CLONE_INTO_CGROUP. -ENOENT, without a message, where there is no cgroup2 (or none that a rootless
 * caller may use).
 */
int cgroup_clone_fd(struct cgroup *cg, struct err *err);

#define CGROUP_JOIN_MAX 32

struct cgroup_join {
	int fds[CGROUP_JOIN_MAX]; /* owned, close-on-exec, open for writing */
	size_t len;
};

/*
 * Open what a child writes to. `cloned`: it is born in cgroup2; otherwise cgroup.procs of cgroup2
 * is in the list too (and the wait). On failure *ret is empty.
 */
int cgroup_join_open(const struct cgroup *cg, bool cloned, struct cgroup_join *ret,
		     struct err *err);
void cgroup_join_done(struct cgroup_join *join);

/*
 * In the child, while it has one thread: enter every cgroup. 0 or -errno. The kernel judges by the
 * rights of the process that opened the files, so a new user namespace does not matter.
 * Async-signal-safe. On failure *ret_at (may be NULL) is the index of the descriptor.
 */
int cgroup_join(const struct cgroup_join *join, size_t *ret_at);

/*
 * Move a process (all its threads) into every directory, for exec. Where cgroup2 refuses our
 * directory, because the container turned controllers on for children of its own (-EBUSY), pid
 * joins the cgroup of `beside`, a process of the container, if that lies below ours.
 */
int cgroup_enter_beside(const struct cgroup *cg, pid_t pid, pid_t beside, struct err *err);

/*
 * Move a process that a sandbox made into every directory but that of v1's freezer, which holds
 * even the killed: the sandbox could not end before it is thawed. The number is that of the
 * caller's pid namespace, which is so all that it can name.
 */
int cgroup_move(const struct cgroup *cg, pid_t pid, struct err *err);

/*
 * Move what is left in it to the directories of another one, as far as that has the same. Best
 * effort: 0, or -errno of the first that stays.
 */
int cgroup_hand_over(const struct cgroup *from, const struct cgroup *to);

/*
 * The lowest limit of memory, in bytes, that a directory above the container's own has: its pod's,
 * a slice's. UINT64_MAX: there is none, or none that is seen from here.
 */
uint64_t cgroup_memory_above(const struct cgroup *cg);

/*
 * Between begin and end what cgroup_apply() writes to files (not: device rules) is kept in memory;
 * undo puts it back as far as the kernel lets it, and ends it. -ENOMEM; undo: -errno with the first
 * file that keeps its new text.
 */
int cgroup_journal_begin(struct cgroup *cg);
int cgroup_journal_undo(struct cgroup *cg, struct err *err);
void cgroup_journal_end(struct cgroup *cg);

/*
 * Apply limits. Every field that the kernel's layout cannot honour is an error naming it, except
 * those the specification allows to ignore (kernel memory). Device rules apply on v1 through
 * devices.allow and devices.deny, on v2 by a BPF_CGROUP_DEVICE program. `update` is true for a
 * running container (memory and swap limits are then ordered so that both fit; devices are left
 * alone unless given).
 */
int cgroup_apply(const struct cgroup *cg, const struct oci_resources *resources, bool update,
		 struct err *err);

/*
 * The devices that every container has (null, zero, full, random, urandom, tty, ptmx, pts, and
 * mknod of all): rules to put after the spec's, as runc and crun do. Borrowed.
 */
const struct oci_device_rule *cgroup_default_devices(size_t *ret_len);
/* Put them behind the rules of `resources`; the new list is the caller's to free. 0, -ENOMEM. */
int cgroup_add_default_devices(struct oci_resources *resources, struct oci_device_rule **ret);

/*
 * The program of these device rules, before there is a cgroup: on v2, cgroup_apply() of the same
 * rules, in this process or in one that it forked, attaches it and loads none. An emulated
 * processor takes 15 ms for what the kernel does to load one. Its descriptor is
 * cgroup_program_fd(), for who closes others; -EBADF of NULL. -EPERM, -EINVAL names the rule.
 */
struct cgroup_program;
int cgroup_program_load(const struct oci_resources *resources, struct cgroup_program **ret,
			struct err *err);
int cgroup_program_fd(const struct cgroup_program *program);
void cgroup_program_free(struct cgroup_program *program); /* accepts NULL */

/* Freeze or thaw and wait until it is so. -ENOTSUP without a freezer. */
int cgroup_freeze(const struct cgroup *cg, bool freeze, struct err *err);
/* The same for who cannot wait: -ETIMEDOUT after so long; what is not frozen runs on. */
int cgroup_freeze_within(const struct cgroup *cg, bool freeze, unsigned int freeze_ms,
			 struct err *err);
/*
 * Thaw the container's group and every one below it: a container may have made and frozen groups of
 * its own, and v1's freezer holds even the killed. Best effort.
 */
void cgroup_thaw_all(const struct cgroup *cg);
/* 1 frozen, also half, by who was killed at it; 0 not; or -errno. */
int cgroup_is_frozen(const struct cgroup *cg);
/*
 * The file that says what is asked of the group by itself, "1" frozen or "0": for who cannot open
 * it when he wants to know. The caller's; -ENOTSUP without a freezer.
 */
int cgroup_open_freezer(const struct cgroup *cg, struct err *err);

/* The processes in it and (recursive) below it; *ret is the caller's, one entry per pid. */
int cgroup_pids(const struct cgroup *cg, bool recursive, pid_t **ret, size_t *ret_len,
		struct err *err);

/*
 * Send sig to every process in and below, again until no new ones appear (freezing around it where
 * that helps). SIGKILL uses cgroup.kill where it exists, and thaws what is frozen.
 */
int cgroup_signal_all(const struct cgroup *cg, int sig, struct err *err);
/* The same for who cannot wait: what is not frozen after so long is signalled while it runs. */
int cgroup_signal_all_within(const struct cgroup *cg, int sig, unsigned int freeze_ms,
			     struct err *err);

/*
 * Remove the directories and those below. Kills nothing; waits up to a bounded time (about a
 * second) for exiting processes (-EBUSY after it). A missing directory is no error.
 */
int cgroup_remove(const struct cgroup *cg, struct err *err);

/*
 * A file for reading, again and again from offset 0; -ENOENT without that controller. memory.stat;
 * memory.events of v2 and memory.oom_control of v1, which count oom_kill; the limit.
 */
int cgroup_memory_stat_fd(const struct cgroup *cg);
int cgroup_memory_events_fd(const struct cgroup *cg);
int cgroup_memory_limit_fd(const struct cgroup *cg);

/*
 * A descriptor that becomes readable when the container meets its memory limit and a task is
 * killed: eventfd on memory.oom_control for v1, inotify on memory.events for v2. The caller reads
 * and closes, and asks cgroup_oom_confirm().
 */
int cgroup_oom_fd(const struct cgroup *cg, struct err *err);

/*
 * Whether a task was killed since the last call; *kills is the caller's memory of the count (0, and
 * one call, to begin with). cgroup2 tells of other events, too, such as memory.high. Always true on
 * v1, whose count may lag behind the notice.
 */
bool cgroup_oom_confirm(const struct cgroup *cg, uint64_t *kills);

/*
 * The group `sub` below this one, for exec --cgroup: in the hierarchies of `controllers`
 * ("cpu,memory"; NULL: all), the same group in the others. -EINVAL when there is no such
 * controller. ".." is the caller's to refuse. *ret is the caller's.
 */
int cgroup_subdir(const struct cgroup *cg, const char *controllers, const char *sub,
		  struct cgroup **ret, struct err *err);
