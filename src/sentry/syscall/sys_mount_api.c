/* SPDX-License-Identifier: Apache-2.0 */
/*
 * open_tree(2), move_mount(2), fsopen(2), fsconfig(2), fsmount(2), fspick(2).
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/mount.h>

#include "sentry/syscall/sys_vfs.h"
#include "sentry/vfs/mount_api.h"

#define AT_RECURSIVE_FLAG 0x8000
#define OPEN_TREE_KNOWN                                                          \
	(OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | \
	 AT_RECURSIVE_FLAG | AT_SYMLINK_NOFOLLOW)
#define MOVE_KNOWN                                                                   \
	(MOVE_MOUNT_F_SYMLINKS | MOVE_MOUNT_F_AUTOMOUNTS | MOVE_MOUNT_F_EMPTY_PATH | \
	 MOVE_MOUNT_T_SYMLINKS | MOVE_MOUNT_T_AUTOMOUNTS | MOVE_MOUNT_T_EMPTY_PATH)
#define PICK_KNOWN \
	(FSPICK_CLOEXEC | FSPICK_SYMLINK_NOFOLLOW | FSPICK_NO_AUTOMOUNT | FSPICK_EMPTY_PATH)

struct word {
	char text[FS_CONFIG_KEY_MAX + 1];
};

static bool may_mount(const struct task *t)
{
	return task_ns_capable(t, t->ns->mnt->user_ns, CAP_SYS_ADMIN);
}

/* 0, -EFAULT, -EINVAL: too long. */
static int get_word(struct task *t, uaddr_t addr, struct word *ret)
{
	const ssize_t r = user_copy_string(task_um(t), ret->text, addr, sizeof(ret->text));

	return r == -ENAMETOOLONG ? -EINVAL : r < 0 ? (int)r : 0;
}

sysret_t sys_open_tree(struct task *t, const struct syscall_args *a)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	const unsigned int flags = arg_uint(a, 2);
	const bool clone = flags & OPEN_TREE_CLONE;
	struct file *f;
	struct path p;
	int r;

	if (flags & ~(unsigned int)OPEN_TREE_KNOWN || (flags & AT_RECURSIVE_FLAG && !clone))
		return -EINVAL;
	if (clone && !may_mount(t))
		return -EPERM;
	r = sys_walk(t, arg_int(a, 0), arg_uaddr(a, 1), sys_walk_flags((int)flags), &p);
	if (r < 0)
		return r;
	if (clone)
		r = vfs_open_tree(&ctx, t->ns->mnt, &p, flags & AT_RECURSIVE_FLAG, &f);
	else
		r = vfs_open_path(&ctx, &p, O_PATH, &f);
	path_unref(&p);
	return r < 0 ? r : sys_install(t, f, flags & OPEN_TREE_CLOEXEC);
}

static unsigned int move_walk(unsigned int flags, unsigned int symlinks, unsigned int empty)
{
	return (flags & symlinks ? WALK_FOLLOW : 0u) | (flags & empty ? WALK_EMPTY : 0u);
}

sysret_t sys_move_mount(struct task *t, const struct syscall_args *a)
{
	const unsigned int flags = arg_uint(a, 4);
	struct path from, to;
	sysret_t r;

	if (!may_mount(t))
		return -EPERM;
	if (flags & ~(unsigned int)MOVE_KNOWN)
		return -EINVAL;
	r = sys_walk(t, arg_int(a, 0), arg_uaddr(a, 1),
		     move_walk(flags, MOVE_MOUNT_F_SYMLINKS, MOVE_MOUNT_F_EMPTY_PATH), &from);
	if (r < 0)
		return r;
	r = sys_walk(t, arg_int(a, 2), arg_uaddr(a, 3),
		     move_walk(flags, MOVE_MOUNT_T_SYMLINKS, MOVE_MOUNT_T_EMPTY_PATH), &to);
	if (r == 0) {
		r = vfs_move_mount(t->ns->mnt, &from, &to);
		path_unref(&to);
	}
	path_unref(&from);
	return r;
}

sysret_t sys_fsopen(struct task *t, const struct syscall_args *a)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	const unsigned int flags = arg_uint(a, 1);
	struct word type;
	struct file *f;
	int r;

	if (!may_mount(t))
		return -EPERM;
	if (flags & ~(unsigned int)FSOPEN_CLOEXEC)
		return -EINVAL;
	r = get_word(t, arg_uaddr(a, 0), &type);
	if (r == -EINVAL) /* no type has such a long name */
		r = -ENODEV;
	if (r == 0)
		r = fs_config_open(&ctx, type.text, &f);
	return r < 0 ? r : sys_install(t, f, flags & FSOPEN_CLOEXEC);
}

sysret_t sys_fspick(struct task *t, const struct syscall_args *a)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	const unsigned int flags = arg_uint(a, 2);
	const unsigned int walk = (flags & FSPICK_SYMLINK_NOFOLLOW ? 0u : WALK_FOLLOW) |
				  (flags & FSPICK_EMPTY_PATH ? WALK_EMPTY : 0u);
	struct file *f;
	struct path p;
	int r;

	if (!may_mount(t))
		return -EPERM;
	if (flags & ~(unsigned int)PICK_KNOWN)
		return -EINVAL;
	r = sys_walk(t, arg_int(a, 0), arg_uaddr(a, 1), walk, &p);
	if (r < 0)
		return r;
	r = fs_config_pick(&ctx, &p, &f);
	path_unref(&p);
	return r < 0 ? r : sys_install(t, f, flags & FSPICK_CLOEXEC);
}

/* What each command wants of key, value and aux. */
static int judge_config(const struct syscall_args *a)
{
	const bool key = arg_uaddr(a, 2), value = arg_uaddr(a, 3);
	const int aux = arg_int(a, 4);

	if (arg_int(a, 0) < 0)
		return -EINVAL;
	switch (arg_uint(a, 1)) {
	case FSCONFIG_SET_FLAG:
		return key && !value && !aux ? 0 : -EINVAL;
	case FSCONFIG_SET_STRING:
		return key && value && !aux ? 0 : -EINVAL;
	case FSCONFIG_SET_BINARY:
		return key && value && aux > 0 && aux <= 1 << 20 ? 0 : -EINVAL;
	case FSCONFIG_SET_PATH:
	case FSCONFIG_SET_PATH_EMPTY:
		return key && value && (aux == AT_FDCWD || aux >= 0) ? 0 : -EINVAL;
	case FSCONFIG_SET_FD:
		return key && !value && aux >= 0 ? 0 : -EINVAL;
	case FSCONFIG_CMD_CREATE:
	case FSCONFIG_CMD_RECONFIGURE:
		return !key && !value && !aux ? 0 : -EINVAL;
	default:
		return -EOPNOTSUPP;
	}
}

static sysret_t configure(struct task *t, struct file *f, const struct syscall_args *a)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	const unsigned int command = arg_uint(a, 1);
	struct word key, value;
	int r;

	if (command == FSCONFIG_CMD_CREATE)
		return fs_config_create(&ctx, f);
	if (command == FSCONFIG_CMD_RECONFIGURE)
		return fs_config_reconfigure(&ctx, f);
	r = get_word(t, arg_uaddr(a, 2), &key);
	if (r == 0 && command == FSCONFIG_SET_STRING)
		r = get_word(t, arg_uaddr(a, 3), &value);
	if (r < 0)
		return r;
	if (command != FSCONFIG_SET_FLAG && command != FSCONFIG_SET_STRING)
		return -EINVAL; /* no type here has such a parameter */
	return fs_config_set(f, key.text, command == FSCONFIG_SET_STRING ? value.text : NULL);
}

sysret_t sys_fsconfig(struct task *t, const struct syscall_args *a)
{
	AUTO_FILE struct file *f = NULL;
	const int r = judge_config(a);

	if (r < 0)
		return r;
	f = fd_get(t->files, arg_int(a, 0));
	if (!f)
		return -EBADF;
	return fs_config_file(f) ? configure(t, f, a) : -EINVAL;
}

sysret_t sys_fsmount(struct task *t, const struct syscall_args *a)
{
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	const unsigned int flags = arg_uint(a, 1);
	AUTO_FILE struct file *config = NULL;
	struct file *f;
	uint32_t attr;
	int r;

	if (!may_mount(t))
		return -EPERM;
	if (flags & ~(unsigned int)FSMOUNT_CLOEXEC)
		return -EINVAL;
	r = sys_mount_attr(arg_uint(a, 2), &attr);
	if (r < 0)
		return r;
	config = fd_get(t->files, arg_int(a, 0));
	if (!config)
		return -EBADF;
	if (!fs_config_file(config))
		return -EINVAL;
	r = fs_config_mount(&ctx, t->ns->mnt, config, attr, &f);
	return r < 0 ? r : sys_install(t, f, flags & FSMOUNT_CLOEXEC);
}
