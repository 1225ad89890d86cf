/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/locks.h - advisory locks: POSIX record locks, open file description locks, flock(2).
 *
 * POSIX locks belong to a descriptor table (`owner`), the others to an open file description.
 */
#pragma once

#include "sentry/vfs/file.h"

#define LOCKS_MAX 65536u /* of one sandbox; ENOLCK */

enum lock_kind {
	LOCK_KIND_POSIX,
	LOCK_KIND_OFD,
	LOCK_KIND_FLOCK,
};

struct file_lock {
	enum lock_kind kind;
	const void *owner; /* identity only */
	int pid;	   /* for l_pid and /proc/locks; -1 for OFD */
	int type;	   /* F_RDLCK, F_WRLCK, F_UNLCK */
	uint64_t start;	   /* bytes */
	uint64_t end;	   /* last byte, inclusive; INT64_MAX: to the end */
};

/*
 * Set, change or (F_UNLCK) remove a lock. 0, -EAGAIN (with wait unset), -EDEADLK (POSIX only),
 * -ENOLCK, -ERESTARTSYS.
 */
int lock_set(struct inode *inode, const struct file_lock *lock, bool wait);

/* The first lock that keeps `lock` from being set: 1 and *ret, or 0. */
int lock_test(struct inode *inode, const struct file_lock *lock, struct file_lock *ret);

/* flock(2): op is LOCK_SH, LOCK_EX or LOCK_UN. Replaces what the description holds. */
int lock_flock(struct file *f, int op, bool wait);

/* Every lock of an owner on an inode goes (close of a descriptor, end of a description). */
void locks_release(struct inode *inode, const void *owner);

/* inode_fini() */
void locks_free(struct inode *inode);

/* What a filesystem has at inode->locks_at, when the last inode goes. Accepts NULL. */
struct lock_context;
void lock_context_free(struct lock_context *c);

/* One line of /proc/locks each; *ret is the caller's. 0, -ENOMEM. */
int locks_show(char **ret, size_t *ret_len);
