/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/mqueue/fs.c - the filesystem mqueue: a directory of the IPC namespace's queues. Each
 * mount has a superblock of its own over the same queues.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/fs/mqueue/internal.h"
#include "sentry/mm/ipc_ns.h"
#include "sentry/vfs/simple.h"

#define MQUEUE_MAGIC 0x19800202
#define FILE_SIZE    80 /* bytes of the status text, as Linux says */

struct mqueue_sb {
	struct superblock sb;
	struct mqueue_ns *ns; /* one reference; NULL: the internal one */
};

static const struct inode_ops root_ops, queue_ops;

static void copy_attributes(struct inode *inode)
{
	const struct mqueue *q = mq_inode_of(inode)->queue;

	inode->mode = q->mode;
	inode->uid = q->uid;
	inode->gid = q->gid;
	inode->nlink = q->unlinked ? 0 : 1;
	inode->size = FILE_SIZE;
	inode->atime = q->atime;
	inode->mtime = q->mtime;
	inode->ctime = q->ctime;
}

static int queue_getattr(struct inode *inode)
{
	copy_attributes(inode);
	return 0;
}

static int queue_setattr(struct inode *inode, const struct setattr *attr)
{
	struct mqueue *q = mq_inode_of(inode)->queue;

	if (attr->mask & SETATTR_MODE)
		q->mode = S_IFREG | (attr->mode & 07777);
	if (attr->mask & SETATTR_UID)
		q->uid = attr->uid;
	if (attr->mask & SETATTR_GID)
		q->gid = attr->gid;
	if (attr->mask & SETATTR_ATIME)
		q->atime = attr->atime;
	if (attr->mask & SETATTR_MTIME)
		q->mtime = attr->mtime;
	copy_attributes(inode);
	return 0;
}

static void queue_evict(struct inode *inode)
{
	struct mq_inode *mi = mq_inode_of(inode);

	mqueue_unref(mi->queue);
	inode_fini(inode);
	free(mi);
}

static const struct inode_ops queue_ops = {
	.getattr = queue_getattr,
	.setattr = queue_setattr,
	.open = mqueue_open_inode,
	.evict = queue_evict,
};

static const struct superblock_ops internal_sb_ops;

static struct superblock *internal_sb(void)
{
	static struct superblock sb;

	if (!sb.refs) {
		superblock_init(&sb, &internal_sb_ops, "mqueue", MQUEUE_MAGIC);
		sb.anonymous = true;
	}
	return &sb;
}

int mqueue_inode(struct superblock *sb, struct mqueue *q, struct inode **ret)
{
	struct mq_inode *mi = calloc(1, sizeof(*mi));

	if (!mi)
		return -ENOMEM;
	inode_init(&mi->inode, sb ? sb : internal_sb(), &queue_ops, q->ino, q->mode, NULL);
	mi->queue = mqueue_ref(q);
	copy_attributes(&mi->inode);
	*ret = &mi->inode;
	return 0;
}

static struct mqueue_ns *ns_of(const struct inode *inode)
{
	return container_of(inode->sb, struct mqueue_sb, sb)->ns;
}

static int root_lookup(struct inode *dir, const struct vfs_name *name, struct inode **ret)
{
	struct mqueue *q = mqueue_find(ns_of(dir), name->bytes, name->len);

	return q ? mqueue_inode(dir->sb, q, ret) : -ENOENT;
}

static int root_mknod(struct inode *dir, const struct vfs_name *name, uint32_t mode, uint64_t rdev,
		      const struct cred *cred, struct inode **ret)
{
	const struct mq_spec spec = { .name = name->bytes, .name_len = name->len, .mode = mode };
	struct task *t = task_current();
	struct mqueue *q;
	int r;

	if (!S_ISREG(mode) || !t)
		return -EPERM;
	if (mqueue_find(ns_of(dir), name->bytes, name->len))
		return -EEXIST;
	r = mqueue_new(ns_of(dir), t, &spec, &q);
	if (r == 0)
		r = mqueue_inode(dir->sb, q, ret);
	return r;
}

static int root_unlink(struct inode *dir, const struct vfs_name *name, struct inode *victim)
{
	mqueue_forget(mq_inode_of(victim)->queue);
	return 0;
}

/* Inode numbers only grow and the list is in their order: they are the positions. */
static int root_iterate(struct file *f, struct dir_sink *sink)
{
	struct mqueue *q;

	if (f->pos == 0 && !simple_emit(f, sink, ".", SIMPLE_ROOT_INO, DT_DIR, 1))
		return 0;
	if (f->pos == 1 && !simple_emit(f, sink, "..", SIMPLE_ROOT_INO, DT_DIR, 2))
		return 0;
	list_for_each(q, &ns_of(f->inode)->queues, node)
	{
		if (q->ino < f->pos)
			continue;
		if (!simple_emit(f, sink, q->name, q->ino, DT_REG, q->ino + 1))
			break;
	}
	return 0;
}

static const struct file_ops root_file_ops = {
	.iterate = root_iterate,
	.seek = simple_dir_seek,
	.release = simple_release,
};

static int root_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	return simple_open(&root_file_ops, flags, ret);
}

static const struct inode_ops root_ops = {
	.lookup = root_lookup,
	.mknod = root_mknod,
	.unlink = root_unlink,
	.open = root_open,
	.evict = simple_evict,
};

static int revalidate(struct dentry *d)
{
	return d->inode && (d->inode->ops != &queue_ops || !mq_inode_of(d->inode)->queue->unlinked);
}

static void put(struct superblock *sb)
{
	struct mqueue_sb *ms = container_of(sb, struct mqueue_sb, sb);

	mqueue_ns_unref(ms->ns);
	free(ms);
}

static const struct superblock_ops mqueue_sb_ops = {
	.revalidate = revalidate,
	.put = put,
};

/* Boot mounts before there is a task: those of the sandbox's first namespace come later. */
static int mqueue_mount(const struct filesystem_type *type, const char *source, const char *data,
			const struct cred *cred, struct superblock **ret)
{
	struct task *t = task_current();
	struct mqueue_ns *ns = t ? mqueue_ns_of(t) : mqueue_ns_boot();
	struct mqueue_sb *ms;
	int r;

	if (!ns)
		return -ENOMEM;
	if (t && !cred_ns_capable(cred, t->ns->ipc->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	ms = calloc(1, sizeof(*ms));
	if (!ms)
		return -ENOMEM;
	superblock_init(&ms->sb, &mqueue_sb_ops, type->name, MQUEUE_MAGIC);
	ms->sb.no_negative = true;
	ms->sb.no_cache = true;
	ms->ns = mqueue_ns_ref(ns);
	r = simple_root(&ms->sb, &root_ops, S_ISVTX | 0777);
	if (r < 0) {
		superblock_unref(&ms->sb);
		return r;
	}
	*ret = &ms->sb;
	return 0;
}

void mqueue_register(void)
{
	static struct filesystem_type type = {
		.name = "mqueue",
		.user_mount = true,
		.mount = mqueue_mount,
	};

	filesystem_register(&type);
}
