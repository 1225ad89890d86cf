/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inodes of the gofer's files. One per host file: two names of it lead to the same inode, found by
 * device and inode number, which the host cannot give to another file while the gofer holds it.
 *
 * Attributes are the host's. Exclusive mode asks for them only when a change of ours made them
 * stale; where a donated descriptor is open, fstat(2) answers without the gofer.
 */
#include "sentry/fs/goferfs/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sentry/core/hostwork.h"
#include "sentry/core/kclock.h"
#include "sentry/fs/devtmpfs/chrdev.h"

static uint32_t inodes;

uint32_t goferfs_inodes(void)
{
	return inodes;
}

uint64_t gofer_ino(const struct goferfs *fs, uint64_t dev, uint64_t ino)
{
	/* Mounts within a root: other devices, whose numbers must not meet those of the root's. */
	return dev == fs->dev ? ino : ino ^ (dev * 0x9e3779b97f4a7c15ull | 1ull << 63);
}

uint32_t gofer_file_hash(uint64_t dev, uint64_t ino)
{
	return (uint32_t)((dev * 31 + ino) * 0x9e3779b97f4a7c15ull >> 32);
}

uint32_t gofer_inode_hash(const struct list_head *node)
{
	const struct gofer_inode *gi = list_entry(node, struct gofer_inode, hash_node);

	return gofer_file_hash(gi->dev, gi->host_ino);
}

struct gofer_inode *gofer_inode_find(struct goferfs *fs, uint64_t dev, uint64_t ino)
{
	struct gofer_inode *gi;

	list_for_each(gi, khash_bucket(&fs->inodes, gofer_file_hash(dev, ino)),
		      hash_node) if (gi->dev == dev && gi->host_ino == ino) return gi;
	return NULL;
}

bool gofer_inode_known(struct goferfs *fs, uint64_t dev, uint64_t ino)
{
	return gofer_inode_find(fs, dev, ino) != NULL;
}

static void set_attr(struct gofer_inode *gi, const struct gofer_attr *attr)
{
	struct inode *inode = &gi->inode;

	inode->mode = (inode->mode & S_IFMT) | (attr->mode & 07777);
	inode->uid = attr->uid;
	inode->gid = attr->gid;
	inode->nlink = attr->nlink;
	inode->size = attr->size;
	inode->blocks = attr->blocks;
	inode->atime = (nsec_t)attr->atime_ns;
	inode->mtime = (nsec_t)attr->mtime_ns;
	inode->ctime = (nsec_t)attr->ctime_ns;
	if (attr->has_btime)
		inode->btime = (nsec_t)attr->btime_ns;
	gi->stale = false;
	if (!gi->fs->exclusive)
		gi->asked_at = kclock_monotonic();
}

void gofer_inode_apply(struct gofer_inode *gi, const struct gofer_attr *attr, uint32_t seq)
{
	if (seq == gi->seq)
		set_attr(gi, attr);
	else
		gi->stale = true;
}

static const struct inode_ops *ops_of(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
		return &gofer_dir_ops;
	case S_IFREG:
		return &gofer_file_ops_inode;
	case S_IFLNK:
		return &gofer_link_ops;
	default:
		return &gofer_special_ops;
	}
}

static bool type_known(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFDIR:
	case S_IFREG:
	case S_IFLNK:
	case S_IFCHR:
	case S_IFBLK:
	case S_IFIFO:
	case S_IFSOCK:
		return true;
	default:
		return false;
	}
}

int gofer_inode_get(struct goferfs *fs, const struct gofer_entry *entry, struct inode **ret)
{
	const struct gofer_attr *attr = &entry->attr;
	struct gofer_inode *gi = gofer_inode_find(fs, attr->dev, attr->ino);

	if (gi && (gi->inode.mode & S_IFMT) == (attr->mode & S_IFMT)) {
		gofer_forget(fs->conn, entry->node);
		/* What is cached is as good in exclusive mode, and newer if a write is under way.
		 */
		if (!fs->exclusive) {
			if (gi->opens)
				gi->stale = true;
			else
				set_attr(gi, attr);
		}
		*ret = inode_ref(&gi->inode);
		return 0;
	}
	gi = type_known(attr->mode) ? calloc(1, sizeof(*gi)) : NULL;
	if (!gi) {
		gofer_forget(fs->conn, entry->node);
		return type_known(attr->mode) ? -ENOMEM : -EIO;
	}
	inode_init(&gi->inode, &fs->sb, ops_of(attr->mode), gofer_ino(fs, attr->dev, attr->ino),
		   attr->mode, NULL);
	gi->inode.rdev = attr->rdev;
	gi->inode.btime = 0;
	gi->fs = fs;
	gi->node = entry->node;
	gi->dev = attr->dev;
	gi->host_ino = attr->ino;
	list_init(&gi->idle_node);
	khash_add(&fs->inodes, &gi->hash_node);
	set_attr(gi, attr);
	if (S_ISSOCK(attr->mode) || S_ISFIFO(attr->mode))
		gofer_special_share(gi);
	inodes++;
	*ret = &gi->inode;
	return 0;
}

void gofer_inode_evict(struct inode *inode)
{
	struct gofer_inode *gi = gofer_inode(inode);

	khash_del(&gi->fs->inodes, &gi->hash_node);
	gofer_special_drop(gi);
	gofer_content_drop(gi);
	gofer_handles_drop(gi);
	gofer_dir_forget_listing(inode);
	gofer_forget(gi->fs->conn, gi->node);
	free(gi->target);
	inode_fini(inode);
	free(gi);
	inodes--;
}

int gofer_inode_refresh(struct gofer_inode *gi, const struct gofer_handle *h)
{
	struct stat st;
	struct gofer_attr attr;

	if (fstat(h->host_fd, &st) < 0)
		return -EIO;
	attr = (struct gofer_attr){
		.mode = st.st_mode,
		.nlink = (uint32_t)st.st_nlink,
		.uid = st.st_uid,
		.gid = st.st_gid,
		.size = (uint64_t)st.st_size,
		.blocks = (uint64_t)st.st_blocks,
		.atime_ns = (int64_t)inode_time(&st.st_atim),
		.mtime_ns = (int64_t)inode_time(&st.st_mtim),
		.ctime_ns = (int64_t)inode_time(&st.st_ctim),
	};
	set_attr(gi, &attr);
	return 0;
}

int gofer_inode_getattr(struct inode *inode)
{
	struct gofer_inode *gi = gofer_inode(inode);
	const struct gofer_handle *h = gofer_handle_any(gi);
	GOFER_CALL(call, gi->fs->conn, .type = GOFER_GETATTR, .node = { gi->node });
	const uint32_t seq = gi->seq;
	int r;

	if (h)
		return gofer_inode_refresh(gi, h);
	if (!gi->stale &&
	    (gi->fs->exclusive || kclock_monotonic() - gi->asked_at < GOFERFS_FRESH_NS))
		return 0; /* nobody else changes it; or the walk that led here has just asked */
	r = gofer_call(&call);
	if (r == 0)
		gofer_inode_apply(gi, &call.answer.attr.attr, seq);
	return r;
}

static uint32_t valid_of(uint32_t mask)
{
	uint32_t valid = 0;

	valid |= mask & SETATTR_MODE ? GOFER_SET_MODE : 0;
	valid |= mask & SETATTR_UID ? GOFER_SET_UID : 0;
	valid |= mask & SETATTR_GID ? GOFER_SET_GID : 0;
	valid |= mask & SETATTR_SIZE ? GOFER_SET_SIZE : 0;
	/* With a size come the host's own times. */
	if (!(mask & SETATTR_SIZE)) {
		valid |= mask & SETATTR_ATIME ? GOFER_SET_ATIME : 0;
		valid |= mask & SETATTR_MTIME ? GOFER_SET_MTIME : 0;
	}
	return valid;
}

struct cut {
	int host_fd;
	off_t size;
};

static long cut(void *arg)
{
	const struct cut *c = arg;

	return ftruncate(c->host_fd, c->size) < 0 ? -errno : 0;
}

/* A size alone, where a descriptor that can write is at hand: without the gofer. */
static int resize_here(struct gofer_inode *gi, uint64_t size)
{
	struct gofer_handle *h = gofer_handle_ref(gi->handles[HANDLE_WRITE]);
	struct cut c = { .host_fd = h->host_fd, .size = (off_t)size };
	int r;

	gi->seq++;
	gi->stale = true;
	r = (int)(gi->inode.size > GOFERFS_HELPER_CUT ? hostwork_call(cut, &c) : cut(&c));
	if (r == 0)
		r = gofer_inode_refresh(gi, h);
	gofer_handle_unref(h);
	return gofer_errno(r);
}

/* The caller holds inode->lock, as who writes does: sizes do not cross. ctime is the host's. */
int gofer_inode_setattr(struct inode *inode, const struct setattr *attr)
{
	struct gofer_inode *gi = gofer_inode(inode);
	GOFER_CALL(call, gi->fs->conn, .type = GOFER_SETATTR,
		   .setattr = { .node = gi->node,
				.valid = valid_of(attr->mask),
				.mode = attr->mode & 07777,
				.uid = attr->uid,
				.gid = attr->gid,
				.size = attr->size,
				.atime_ns = (int64_t)attr->atime,
				.mtime_ns = (int64_t)attr->mtime });
	struct gofer_handle *h;
	uint32_t seq;
	int r;

	if (!call.request.setattr.valid)
		return 0;
	if (call.request.setattr.valid == GOFER_SET_SIZE && gi->handles[HANDLE_WRITE])
		return resize_here(gi, attr->size);
	/* Who has it open without a descriptor keeps what he may. */
	if (gi->content && gi->opens && gofer_handle_get(gi, GOFER_OPEN_READ, true, &h) == 0)
		gofer_handle_unref(h);
	seq = ++gi->seq;
	gi->stale = true;
	r = gofer_call(&call);
	if (r == 0)
		gofer_inode_apply(gi, &call.answer.attr.attr, seq);
	else
		gi->stale = true; /* a part of it may be done */
	if (call.request.setattr.valid & GOFER_SET_SIZE)
		gofer_content_drop(gi);
	return r;
}

/* A device is a number: one of ours, whatever the host has behind it. */
static int node_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	return S_ISCHR(inode->mode) ? chrdev_open(inode, flags, ret) : -ENXIO;
}

/* Devices, fifos and sockets: the VFS opens what stands behind them in the sandbox. */
static int node_connect(struct inode *inode, int type, int *ret_fd)
{
	const struct gofer_inode *gi = gofer_inode(inode);
	GOFER_CALL(call, gi->fs->conn, .type = GOFER_CONNECT,
		   .connect = { .node = gi->node, .socket_type = (uint32_t)type });
	int r = -ECONNREFUSED;

	if (S_ISSOCK(inode->mode) && gi->fs->flags & GOFER_ROOT_CONNECT)
		r = gofer_call(&call);
	if (r == 0)
		*ret_fd = TAKE_FD(call.fd);
	return r;
}

const struct inode_ops gofer_special_ops = {
	.connect = node_connect,
	.getattr = gofer_inode_getattr,
	.setattr = gofer_inode_setattr,
	.open = node_open,
	.getxattr = gofer_getxattr,
	.setxattr = gofer_setxattr,
	.listxattr = gofer_listxattr,
	.removexattr = gofer_removexattr,
	.evict = gofer_inode_evict,
};
