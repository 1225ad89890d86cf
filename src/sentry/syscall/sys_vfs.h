/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/syscall/sys_vfs.h - what the calls on files and paths share: paths and descriptors from
 * arguments, signals that come with an errno.
 */
#pragma once

#include "sentry/syscall/syscall.h"

struct path_text {
	char text[VFS_PATH_MAX];
};

/* 0, -EFAULT, -ENAMETOOLONG. */
int sys_get_path(struct task *t, uaddr_t addr, struct path_text *ret);

/* Where a path starts: a reference. -EBADF; absolute paths do not look at dirfd. */
int sys_get_at(struct task *t, int dirfd, const char *name, struct path *ret);

/* Both, and the walk (WALK_*). */
int sys_walk(struct task *t, int dirfd, uaddr_t name, unsigned int walk, struct path *ret);

/* AT_SYMLINK_NOFOLLOW, AT_SYMLINK_FOLLOW and AT_EMPTY_PATH as WALK_*; others are the caller's. */
static inline unsigned int sys_walk_flags(int at_flags)
{
	return (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : WALK_FOLLOW) |
	       (at_flags & AT_EMPTY_PATH ? WALK_EMPTY : 0);
}

/* The result of a write: SIGPIPE with EPIPE, SIGXFSZ with the limit of RLIMIT_FSIZE. */
sysret_t sys_write_result(struct task *t, ssize_t r);

/* A file into the caller's table: takes over the reference. The number, or -errno. */
sysret_t sys_install(struct task *t, struct file *f, bool cloexec);

/* A deadline from a relative struct timespec of the guest (NULL: never). -EINVAL, -EFAULT. */
int sys_get_timeout(struct task *t, uaddr_t addr, nsec_t *ret_deadline);
/* What is left of it, written back as Linux does; a fault is ignored. */
void sys_put_timeout(struct task *t, uaddr_t addr, nsec_t deadline);

/* The sigmask of ppoll and kin. addr 0: none. *ret_set: the mask is in force. */
int sys_enter_sigmask(struct task *t, uaddr_t addr, uint64_t size, bool *ret_set);
/* r is the call's result: -EINTR keeps the mask for the handler. */
sysret_t sys_leave_sigmask(struct task *t, bool set, sysret_t r);

/* MOUNT_ATTR_* of fsmount(2) as MOUNT_*. -EINVAL. */
int sys_mount_attr(uint64_t attr, uint32_t *ret);
