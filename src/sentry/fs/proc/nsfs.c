/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/proc/nsfs.c - inodes and files of namespaces. An inode is made when a link is followed;
 * two of one namespace have the same number.
 */
#include "sentry/fs/proc/nsfs.h"

#include <errno.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

#include "sentry/mm/ipc_ns.h"
#include "sentry/task/pid.h"
#include "sentry/task/task.h"
#include "sentry/vfs/fd_table.h"
#include "sentry/vfs/anon.h"
#include "sentry/vfs/namei.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

struct ns_inode {
	struct inode inode;
	struct ns_ref ref; /* object: one reference */
};

const char *nsfs_kind_name(uint64_t kind)
{
	switch (kind) {
	case CLONE_NEWCGROUP:
		return "cgroup";
	case CLONE_NEWIPC:
		return "ipc";
	case CLONE_NEWNS:
		return "mnt";
	case CLONE_NEWNET:
		return "net";
	case CLONE_NEWPID:
		return "pid";
	case CLONE_NEWTIME:
		return "time";
	case CLONE_NEWUSER:
		return "user";
	default:
		return "uts";
	}
}

static const struct ns_ops *ops_above(uint64_t kind)
{
	switch (kind) {
	case CLONE_NEWNET:
		return ns_ops_of(NS_NET);
	case CLONE_NEWCGROUP:
		return ns_ops_of(NS_CGROUP);
	case CLONE_NEWTIME:
		return ns_ops_of(NS_TIME);
	default:
		return NULL;
	}
}

static void object_ref(const struct ns_ref *ref)
{
	const struct ns_ops *ops = ops_above(ref->kind);

	if (!ref->object)
		return;
	if (ops)
		ops->ref(ref->object);
	else if (ref->kind == CLONE_NEWUSER)
		(void)user_ns_ref(ref->object);
	else if (ref->kind == CLONE_NEWIPC)
		ipc_ns_ref(ref->object);
	else if (ref->kind == CLONE_NEWNS)
		mount_ns_ref(ref->object);
	else if (ref->kind == CLONE_NEWPID)
		pid_ns_ref(ref->object);
	else if (ref->kind == CLONE_NEWUTS)
		uts_ns_ref(ref->object);
}

static void object_unref(const struct ns_ref *ref)
{
	const struct ns_ops *ops = ops_above(ref->kind);

	if (!ref->object)
		return;
	if (ops)
		ops->unref(ref->object);
	else if (ref->kind == CLONE_NEWUSER)
		user_ns_unref(ref->object);
	else if (ref->kind == CLONE_NEWIPC)
		ipc_ns_unref(ref->object);
	else if (ref->kind == CLONE_NEWNS)
		mount_ns_unref(ref->object);
	else if (ref->kind == CLONE_NEWPID)
		pid_ns_unref(ref->object);
	else if (ref->kind == CLONE_NEWUTS)
		uts_ns_unref(ref->object);
}

static struct ns_inode *ns_inode_of(const struct inode *inode)
{
	return container_of(inode, struct ns_inode, inode);
}

struct user_ns *nsfs_owner(const struct ns_ref *ref)
{
	const struct ns_ops *ops = ops_above(ref->kind);

	if (!ref->object)
		return NULL;
	switch (ref->kind) {
	case CLONE_NEWUTS:
		return ((const struct uts_ns *)ref->object)->user_ns;
	case CLONE_NEWIPC:
		return ((const struct ipc_ns *)ref->object)->user_ns;
	case CLONE_NEWNS:
		return ((const struct mount_ns *)ref->object)->user_ns;
	case CLONE_NEWPID:
		return pid_ns_user(ref->object);
	case CLONE_NEWUSER:
		return ((const struct user_ns *)ref->object)->parent;
	default:
		return ops && ops->owner ? ops->owner(ref->object) : NULL;
	}
}

/* A descriptor of another namespace: within reach only when the caller's own is not below it. */
static long open_other(const struct ns_ref *ref)
{
	struct task *t = task_current();
	const struct vfs_ctx ctx = task_vfs_ctx(t);
	struct file *f = NULL;
	struct path p;
	int r = nsfs_path(ref, &p);

	if (r < 0)
		return r;
	r = vfs_open_path(&ctx, &p, O_RDONLY, &f);
	path_unref(&p);
	return r < 0 ? r : fd_install(t->files, f, true, task_rlimit(t, RLIMIT_NOFILE));
}

static long open_owner(struct user_ns *user)
{
	const struct ns_ref ref = { CLONE_NEWUSER, user_ns_id(user, USER_INIT_ID), user };

	return user_ns_inside(user, task_current()->cred->user_ns) ? open_other(&ref) : -EPERM;
}

static long open_parent(const struct ns_ref *of)
{
	struct ns_ref ref = { .kind = CLONE_NEWPID };

	if (of->kind == CLONE_NEWUSER)
		return of->object ? open_owner(((const struct user_ns *)of->object)->parent)
				  : -EPERM;
	if (of->kind != CLONE_NEWPID)
		return -EINVAL;
	ref.object = of->object ? pid_ns_parent(of->object) : NULL;
	if (!ref.object || !pid_ns_inside(ref.object, task_pid_ns(task_current())))
		return -EPERM;
	ref.id = pid_ns_id(ref.object);
	return open_other(&ref);
}

static long owner_uid(const struct ns_ref *ref, uint64_t arg, struct user_memory *um)
{
	const struct user_ns *ns = ref->object;
	const uint32_t uid = task_uid_out(task_current(), ns ? ns->owner : 0);

	if (ref->kind != CLONE_NEWUSER)
		return -EINVAL;
	return user_copy_out(um, arg, &uid, sizeof(uid));
}

static long ns_ioctl(struct file *f, unsigned int cmd, uint64_t arg, struct user_memory *um)
{
	const struct ns_ref *ref = &ns_inode_of(f->inode)->ref;

	switch (cmd) {
	case NS_GET_NSTYPE:
		return (long)ref->kind;
	case NS_GET_USERNS:
		return ref->kind == CLONE_NEWUSER ? open_parent(ref) : open_owner(nsfs_owner(ref));
	case NS_GET_PARENT:
		return open_parent(ref);
	case NS_GET_OWNER_UID:
		return owner_uid(ref, arg, um);
	default:
		return -ENOTTY;
	}
}

static void ns_release(struct file *f)
{
	file_fini(f);
	free(f);
}

static const struct file_ops ns_file_ops = {
	.ioctl = ns_ioctl,
	.release = ns_release,
};

static int ns_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	struct file *f = calloc(1, sizeof(*f));

	if (!f)
		return -ENOMEM;
	file_init(f, &ns_file_ops, NULL, NULL, flags);
	*ret = f;
	return 0;
}

static void ns_evict(struct inode *inode)
{
	struct ns_inode *ni = ns_inode_of(inode);

	object_unref(&ni->ref);
	inode_fini(inode);
	free(ni);
}

static const struct inode_ops ns_inode_ops = {
	.open = ns_open,
	.evict = ns_evict,
};

static struct superblock *nsfs_sb(void)
{
	static const struct superblock_ops ops;
	static struct superblock sb;

	if (!sb.refs) {
		superblock_init(&sb, &ops, "nsfs", NSFS_MAGIC);
		sb.anonymous = true;
	}
	return &sb;
}

int nsfs_path(const struct ns_ref *ref, struct path *ret)
{
	struct ns_inode *ni = calloc(1, sizeof(*ni));
	char name[48];
	int r;

	if (!ni)
		return -ENOMEM;
	inode_init(&ni->inode, nsfs_sb(), &ns_inode_ops, ref->id, S_IFREG | 0444, NULL);
	ni->ref = *ref;
	object_ref(ref);
	(void)snprintf(name, sizeof(name), "%s:[%llu]", nsfs_kind_name(ref->kind),
		       (unsigned long long)ref->id);
	r = anon_path_for_inode(name, &ni->inode, ret);
	if (r == 0)
		ret->dentry->unhashed = false;
	return r;
}

bool nsfs_file(const struct file *f, struct ns_ref *ret)
{
	if (f->ops != &ns_file_ops)
		return false;
	*ret = ns_inode_of(f->inode)->ref;
	return true;
}
