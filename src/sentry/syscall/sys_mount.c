/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mount(2), umount2(2), pivot_root(2), mount_setattr(2).
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/mount.h>
#include <stdlib.h>

#include "sentry/syscall/event.h"
#include "sentry/syscall/sys_vfs.h"
#include "sentry/vfs/mount.h"

#define DATA_MAX	  4096u /* PAGE_SIZE: what Linux copies */
#define AT_RECURSIVE_FLAG 0x8000
#define ATTR_KNOWN                                                                      \
	(MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | \
	 MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME | MOUNT_ATTR_NOSYMFOLLOW)

/* An optional string; *ret is NULL for 0. Text without a NUL is cut, as in Linux. */
static int get_string(struct task *t, uaddr_t addr, char **ret)
{
	char *text;
	ssize_t r;

	*ret = NULL;
	if (!addr)
		return 0;
	text = calloc(1, DATA_MAX + 1);
	if (!text)
		return -ENOMEM;
	r = user_copy_string(task_um(t), text, addr, DATA_MAX);
	if (r < 0 && r != -ENAMETOOLONG) {
		free(text);
		return (int)r;
	}
	*ret = text;
	return 0;
}

static sysret_t told(struct task *t, const struct event_mount_call *call, int r)
{
	if (event_wanted(EVENT_mount))
		event_mounted(t, call, r);
	return r;
}

static bool may_mount(const struct task *t)
{
	return task_ns_capable(t, t->ns->mnt->user_ns, CAP_SYS_ADMIN);
}

sysret_t sys_mount(struct task *t, const struct syscall_args *a)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	AUTO_FREE char *source = NULL, *type = NULL, *data = NULL;
	struct path_text target;
	int r = get_string(t, arg_uaddr(a, 2), &type);

	if (r == 0)
		r = get_string(t, arg_uaddr(a, 0), &source);
	if (r == 0)
		r = get_string(t, arg_uaddr(a, 4), &data);
	if (r == 0)
		r = sys_get_path(t, arg_uaddr(a, 1), &target);
	if (r < 0)
		return r;
	r = !may_mount(t)
		    ? -EPERM
		    : vfs_mount(&ctx, t->ns->mnt, source, target.text, type, arg_u64(a, 3), data);
	return told(t,
		    &(struct event_mount_call){ "mount", source, target.text, type, arg_u64(a, 3) },
		    r);
}

sysret_t sys_umount2(struct task *t, const struct syscall_args *a)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	struct event_mount_call call = { .call = "umount2", .flags = arg_uint(a, 1) };
	struct path_text target;
	int r;

	if (!may_mount(t))
		return told(t, &call, -EPERM);
	r = sys_get_path(t, arg_uaddr(a, 0), &target);
	if (r < 0)
		return r;
	call.target = target.text;
	return told(t, &call, vfs_umount(&ctx, t->ns->mnt, target.text, arg_int(a, 1)));
}

static void swap_path(struct path *slot, const struct path *old, const struct path *new)
{
	struct path was = *slot;

	if (!path_equal(slot, old))
		return;
	*slot = path_ref(new);
	path_unref(&was);
}

/* chroot_fs_refs() of Linux: who stood at the old root stands at the new one. */
static void move_everyone(struct task *t, const struct path *old, const struct path *new)
{
	struct pid_ns *ns = task_pid_ns(t);
	struct thread_group *tg;
	int pid = 0;

	while ((tg = thread_group_next(ns, pid + 1, &pid)) != NULL) {
		struct task *other;

		list_for_each(other, &tg->tasks, tg_node)
		{
			if (!other->fs || !other->ns || other->ns->mnt != t->ns->mnt)
				continue;
			swap_path(&other->fs->root, old, new);
			swap_path(&other->fs->cwd, old, new);
		}
		thread_group_unref(tg);
	}
}

sysret_t sys_pivot_root(struct task *t, const struct syscall_args *a)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	struct path_text new_root, put_old;
	struct path old, new;
	int r;

	if (!may_mount(t))
		return -EPERM;
	r = sys_get_path(t, arg_uaddr(a, 0), &new_root);
	if (r == 0)
		r = sys_get_path(t, arg_uaddr(a, 1), &put_old);
	if (r == 0)
		r = path_walk(&ctx, NULL, new_root.text, WALK_FOLLOW | WALK_DIRECTORY, &new);
	if (r < 0)
		return r;
	old = path_ref(&t->fs->root);
	r = vfs_pivot_root(&ctx, t->ns->mnt, new_root.text, put_old.text);
	if (r == 0)
		move_everyone(t, &old, &new);
	path_unref(&old);
	path_unref(&new);
	return told(
		t, &(struct event_mount_call){ "pivot_root", new_root.text, put_old.text, NULL, 0 },
		r);
}

static uint32_t attr_flags(uint64_t attr)
{
	static const struct {
		uint64_t attr;
		uint32_t flag;
	} map[] = {
		{ MOUNT_ATTR_RDONLY, MOUNT_RDONLY },
		{ MOUNT_ATTR_NOSUID, MOUNT_NOSUID },
		{ MOUNT_ATTR_NODEV, MOUNT_NODEV },
		{ MOUNT_ATTR_NOEXEC, MOUNT_NOEXEC },
		{ MOUNT_ATTR_NODIRATIME, MOUNT_NODIRATIME },
		{ MOUNT_ATTR_NOSYMFOLLOW, MOUNT_NOSYMFOLLOW },
	};
	uint32_t flags = 0;

	for (size_t i = 0; i < sizeof(map) / sizeof(map[0]); i++)
		if (attr & map[i].attr)
			flags |= map[i].flag;
	return flags;
}

int sys_mount_attr(uint64_t attr, uint32_t *ret)
{
	const uint64_t atime = attr & MOUNT_ATTR__ATIME;

	if (attr & ~(uint64_t)ATTR_KNOWN)
		return -EINVAL;
	*ret = attr_flags(attr);
	if (atime == MOUNT_ATTR_RELATIME)
		*ret |= MOUNT_RELATIME;
	else if (atime == MOUNT_ATTR_NOATIME)
		*ret |= MOUNT_NOATIME;
	else if (atime != MOUNT_ATTR_STRICTATIME)
		return -EINVAL;
	return 0;
}

static int attr_masks(const struct mount_attr *attr, uint32_t *ret_set, uint32_t *ret_clear)
{
	const uint64_t atime = attr->attr_set & MOUNT_ATTR__ATIME;

	if ((attr->attr_set | attr->attr_clr) & ~(uint64_t)ATTR_KNOWN)
		return -EINVAL;
	*ret_set = attr_flags(attr->attr_set);
	*ret_clear = attr_flags(attr->attr_clr);
	/* The access time is one of three, and is cleared as a whole. */
	if (!(attr->attr_clr & MOUNT_ATTR__ATIME))
		return atime ? -EINVAL : 0;
	if ((attr->attr_clr & MOUNT_ATTR__ATIME) != MOUNT_ATTR__ATIME)
		return -EINVAL;
	*ret_clear |= MOUNT_NOATIME | MOUNT_RELATIME;
	if (atime == MOUNT_ATTR_NOATIME)
		*ret_set |= MOUNT_NOATIME;
	else if (atime == MOUNT_ATTR_RELATIME)
		*ret_set |= MOUNT_RELATIME;
	else if (atime != MOUNT_ATTR_STRICTATIME)
		return -EINVAL;
	return 0;
}

sysret_t sys_mount_setattr(struct task *t, const struct syscall_args *a)
{
	const int flags = arg_int(a, 2);
	struct mount_attr attr;
	uint32_t set, clear;
	struct path p;
	int r;

	if (flags & ~(AT_EMPTY_PATH | AT_RECURSIVE_FLAG | AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT) ||
	    arg_u64(a, 4) < sizeof(attr))
		return -EINVAL;
	if (arg_u64(a, 4) > sizeof(attr))
		return -E2BIG;
	if (!may_mount(t))
		return -EPERM;
	if (user_copy_in(task_um(t), &attr, arg_uaddr(a, 3), sizeof(attr)) < 0)
		return -EFAULT;
	if (attr.propagation & ~(uint64_t)(MS_SHARED | MS_PRIVATE | MS_SLAVE | MS_UNBINDABLE) ||
	    attr.propagation & (attr.propagation - 1))
		return -EINVAL;
	r = attr_masks(&attr, &set, &clear);
	if (r == 0)
		r = sys_walk(t, arg_int(a, 0), arg_uaddr(a, 1), sys_walk_flags(flags), &p);
	if (r < 0)
		return r;
	r = vfs_mount_setattr(&p, t->ns->mnt, flags & AT_RECURSIVE_FLAG, set, clear,
			      attr.propagation);
	path_unref(&p);
	return r;
}
