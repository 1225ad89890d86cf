/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jail/jail.h - how a process of ours locks itself in before it serves a hostile peer.
 *
 * In stages, each of which needs a right that a later one takes away: descriptors, an empty root
 * directory, no core dumps and no new privileges, Landlock, capabilities, system calls. A process
 * that cannot take one of them must end. Not undone by anything.
 *
 * No libc (base/sys.h): also for programs without one. Functions return 0 or -errno.
 */
#pragma once

#include <linux/filter.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum jail_stage {
	JAIL_DESCRIPTORS,
	JAIL_ROOT,
	JAIL_DUMP,
	JAIL_LANDLOCK,
	JAIL_CAPABILITIES,
	JAIL_FILTER,
};

struct jail_plan {
	const int *keep; /* descriptors, ascending; all others are closed */
	size_t keep_len;
	const int *trees; /* files may be opened and changed only below these */
	size_t trees_len;
	bool rooted;	       /* whoever started the process has given it an empty root already */
	uint64_t capabilities; /* 1 << CAP_*; what the process does not have it does not get */
	const struct sock_filter *filter; /* made by scripts/gen-seccomp */
	unsigned short filter_len;
	uint32_t filter_flags; /* SECCOMP_FILTER_FLAG_*: TSYNC with several threads */
};

/* All stages in order. On failure *ret_failed is the one that did. One thread, or filter_flags. */
int jail_enter(const struct jail_plan *plan, enum jail_stage *ret_failed);

/* A word for messages. */
const char *jail_stage_name(enum jail_stage stage);

/* Each stage by itself. */

int jail_close_others(const int *keep, size_t keep_len);

/*
 * A mount namespace of the process's own whose root is an empty, read-only file system; root and
 * working directory lie there. Needs CAP_SYS_ADMIN in the user namespace.
 */
int jail_empty_root(void);

/*
 * The same in two steps, for who has a mount namespace already: afterwards root and working
 * directory lie in the empty file system, and *ret_old says whether the old root is still mounted
 * over it, until jail_leave_old_root(), which waits for a grace period of RCU.
 */
int jail_enter_empty_root(bool *ret_old);
int jail_leave_old_root(void);

/* RLIMIT_CORE {1,1} (0 does not keep a core_pattern pipe away), not dumpable, no_new_privs. */
int jail_no_dump(void);

/*
 * landlock(7), a second line behind the descriptors: below the trees (directories or files)
 * everything but executing, devices and their ioctls; elsewhere nothing; no TCP, no signal and no
 * abstract socket outside of the process. What the kernel does not know is left out, and a kernel
 * without Landlock is no error. Needs no_new_privs.
 */
int jail_landlock(const int *trees, size_t len);

/*
 * Rules for landlock_restrict_self(2) under which a process can signal only itself and what it has
 * made since: a descriptor, the caller's. -EOPNOTSUPP before Linux 6.12 or without Landlock.
 */
int jail_landlock_signals(void);

/* Permitted and effective become what is in both; the rest, ambient and bounding set go. */
int jail_capabilities(uint64_t keep);

int jail_filter(const struct sock_filter *filter, unsigned short len, uint32_t flags);
