/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/attr.c - attributes: stat, setattr, truncation, access, extended attributes.
 */
#include <errno.h>
#include <linux/capability.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/xattr.h>

#include "base/str.h"
#include "sentry/core/kclock.h"
#include "sentry/vfs/file_caps.h"
#include "sentry/vfs/internal.h"
#include "sentry/vfs/lease.h"
#include "sentry/vfs/notify.h"

#ifndef SOCKFS_MAGIC
#define SOCKFS_MAGIC 0x534F434B
#endif

static int refresh(struct inode *inode)
{
	return inode->ops->getattr ? inode->ops->getattr(inode) : 0;
}

int vfs_stat(const struct path *p, struct stat *ret)
{
	struct inode *inode = p->dentry->inode;
	const int r = refresh(inode);

	if (r < 0)
		return r;
	memset(ret, 0, sizeof(*ret));
	ret->st_dev = inode->sb->dev;
	ret->st_ino = inode->ino;
	ret->st_mode = inode->mode;
	ret->st_nlink = inode->nlink;
	ret->st_uid = inode->uid;
	ret->st_gid = inode->gid;
	ret->st_rdev = inode->rdev;
	ret->st_size = (off_t)inode->size;
	ret->st_blksize = 4096;
	ret->st_blocks = (blkcnt_t)inode->blocks;
	ret->st_atim = inode_timespec(inode->atime);
	ret->st_mtim = inode_timespec(inode->mtime);
	ret->st_ctim = inode_timespec(inode->ctime);
	return 0;
}

int vfs_statfs(const struct path *p, struct statfs *ret)
{
	struct superblock *sb = p->dentry->sb;
	const uint32_t flags = p->mnt ? p->mnt->flags : 0;
	int r = 0;

	memset(ret, 0, sizeof(*ret));
	ret->f_type = (__fsword_t)sb->magic;
	if (sb->anonymous && S_ISFIFO(p->dentry->inode->mode))
		ret->f_type = PIPEFS_MAGIC;
	if (sb->anonymous && S_ISSOCK(p->dentry->inode->mode))
		ret->f_type = SOCKFS_MAGIC;
	ret->f_bsize = 4096;
	ret->f_namelen = VFS_NAME_MAX;
	if (sb->ops->statfs)
		r = sb->ops->statfs(sb, ret);
	if (ret->f_frsize == 0)
		ret->f_frsize = ret->f_bsize;
	/* ST_* of statvfs(3), with ST_VALID; ST_RELATIME is 4096 */
	ret->f_flags = 0x20;
	if (flags & MOUNT_RDONLY || sb->rdonly)
		ret->f_flags |= 1;
	ret->f_flags |= (flags & MOUNT_NOSUID ? 2 : 0) | (flags & MOUNT_NODEV ? 4 : 0) |
			(flags & MOUNT_NOEXEC ? 8 : 0) | (flags & MOUNT_NOATIME ? 1024 : 0) |
			(flags & MOUNT_NODIRATIME ? 2048 : 0) | (flags & MOUNT_RELATIME ? 4096 : 0);
	return r;
}

int vfs_access(const struct vfs_ctx *ctx, const struct path *p, unsigned int mask)
{
	struct inode *inode = p->dentry->inode;
	int r = refresh(inode);

	if (r < 0)
		return r;
	if (mask & MAY_EXEC && S_ISREG(inode->mode) && p->mnt && p->mnt->flags & MOUNT_NOEXEC)
		return -EACCES;
	r = inode_permission(inode, ctx->cred, mask);
	if (r < 0 || !(mask & MAY_WRITE))
		return r;
	if (S_ISREG(inode->mode) || S_ISDIR(inode->mode) || S_ISLNK(inode->mode))
		return mount_writable(p->mnt);
	return 0;
}

int vfs_readlink(const struct vfs_ctx *ctx, const struct path *p, char **ret)
{
	struct inode *inode = p->dentry->inode;
	struct path to = { 0 };
	int r;

	if (!S_ISLNK(inode->mode))
		return -EINVAL;
	if (inode->ops->readlink)
		return inode->ops->readlink(inode, ret);
	if (!inode->ops->follow)
		return -EINVAL;
	r = inode->ops->follow(inode, &to);
	if (r < 0)
		return r;
	r = path_to_text(&to, ctx->root, ret);
	path_unref(&to);
	return r;
}

/* setattr_prepare() of Linux. */
static int may_setattr(const struct inode *inode, const struct cred *cred,
		       const struct setattr *attr)
{
	const bool capable = inode_capable(inode, cred, CAP_CHOWN);

	if (attr->mask & SETATTR_UID && (cred->fsuid != inode->uid || attr->uid != inode->uid) &&
	    !capable)
		return -EPERM;
	if (attr->mask & SETATTR_GID &&
	    (cred->fsuid != inode->uid ||
	     (attr->gid != inode->gid && !cred_in_group(cred, attr->gid))) &&
	    !capable)
		return -EPERM;
	if (attr->mask & SETATTR_MODE && !inode_owner_or_capable(inode, cred))
		return -EPERM;
	return 0;
}

/* Set-id bits that a change of owner clears; 0 if there is none. */
static uint32_t set_id_bits(const struct inode *inode)
{
	uint32_t bits = 0;

	if (S_ISDIR(inode->mode))
		return 0;
	bits |= inode->mode & S_ISUID;
	if (inode->mode & S_IXGRP)
		bits |= inode->mode & S_ISGID;
	return bits;
}

static int setattr_now(struct inode *inode, const struct setattr *attr)
{
	uint32_t events = 0;
	int r;

	if (!inode->ops->setattr)
		return -EPERM;
	r = inode->ops->setattr(inode, attr);
	if (r < 0)
		return r;
	if (attr->mask & SETATTR_SIZE)
		events |= IN_MODIFY;
	if (attr->mask & (SETATTR_MODE | SETATTR_UID | SETATTR_GID))
		events |= IN_ATTRIB;
	else if (attr->mask & (SETATTR_ATIME | SETATTR_MTIME) && !(attr->mask & SETATTR_SIZE))
		events |= IN_ATTRIB;
	return (int)events;
}

int vfs_setattr(const struct vfs_ctx *ctx, const struct path *p, const struct setattr *attr)
{
	struct inode *inode = p->dentry->inode;
	struct setattr now = *attr;
	int r = mount_writable(p->mnt);

	if (r < 0)
		return r;
	krwlock_write_lock(&inode->lock);
	r = refresh(inode);
	if (r == 0)
		r = may_setattr(inode, ctx->cred, attr);
	if (r == 0) {
		now.mode &= 07777;
		if (now.mask & SETATTR_MODE && now.mode & S_ISGID && !S_ISDIR(inode->mode) &&
		    !cred_in_group(ctx->cred, now.mask & SETATTR_GID ? now.gid : inode->gid) &&
		    !inode_capable(inode, ctx->cred, CAP_FSETID))
			now.mode &= ~(uint32_t)S_ISGID;
		if (now.mask & (SETATTR_UID | SETATTR_GID) && !(now.mask & SETATTR_MODE) &&
		    set_id_bits(inode)) {
			now.mask |= SETATTR_MODE;
			now.mode = inode->mode & 07777 & ~set_id_bits(inode);
		}
		now.mask |= SETATTR_CTIME;
		now.ctime = kclock_realtime();
		if (now.mask & (SETATTR_UID | SETATTR_GID))
			r = file_caps_strip(inode);
	}
	if (r == 0)
		r = setattr_now(inode, &now);
	krwlock_write_unlock(&inode->lock);
	if (r > 0)
		notify_path(p, (uint32_t)r);
	return r < 0 ? r : 0;
}

int inode_strip_privs(struct inode *inode, const struct cred *cred)
{
	const uint32_t bits = set_id_bits(inode);
	struct setattr attr = { .mask = SETATTR_MODE, .mode = inode->mode & 07777 & ~bits };
	const int r = file_caps_strip(inode);

	if (r < 0)
		return r;
	if (!S_ISREG(inode->mode) || !bits || (cred && inode_capable(inode, cred, CAP_FSETID)))
		return 0;
	return inode->ops->setattr ? inode->ops->setattr(inode, &attr) : 0;
}

static int truncate_locked(struct inode *inode, const struct cred *cred, uint64_t size)
{
	struct setattr attr = { .mask = SETATTR_SIZE | SETATTR_MTIME | SETATTR_CTIME,
				.size = size };
	int r = inode_strip_privs(inode, cred);

	if (r < 0)
		return r;
	attr.mtime = attr.ctime = kclock_realtime();
	r = setattr_now(inode, &attr);
	return r < 0 ? r : 0;
}

static int truncate_inode(struct inode *inode, const struct cred *cred, uint64_t size,
			  uint64_t limit)
{
	int r;

	if (size > INT64_MAX)
		return -EFBIG;
	krwlock_write_lock(&inode->lock);
	r = size > limit && size > inode->size ? -EFSIZELIMIT : truncate_locked(inode, cred, size);
	krwlock_write_unlock(&inode->lock);
	return r;
}

int vfs_truncate(const struct vfs_ctx *ctx, const struct path *p, uint64_t size)
{
	struct inode *inode = p->dentry->inode;
	int r;

	if (S_ISDIR(inode->mode))
		return -EISDIR;
	if (!S_ISREG(inode->mode))
		return -EINVAL;
	r = path_permission(p, ctx->cred, MAY_WRITE);
	if (r < 0)
		return r;
	if (inode->denied_writes)
		return -ETXTBSY;
	r = lease_break(inode, true, false);
	if (r == 0)
		r = truncate_inode(inode, ctx->cred, size, ctx->fsize_limit);
	if (r == 0)
		notify_path(p, IN_MODIFY);
	return r;
}

int file_truncate_opened(struct file *f, uint64_t size)
{
	const int r = truncate_inode(f->inode, f->cred, size, UINT64_MAX);

	if (r == 0)
		notify_path(&f->path, IN_MODIFY);
	return r;
}

int file_truncate(struct file *f, uint64_t size, uint64_t fsize_limit)
{
	int r;

	if (!f->inode || !S_ISREG(f->inode->mode) || !(f->mode & FMODE_WRITE))
		return -EINVAL;
	r = truncate_inode(f->inode, f->cred, size, fsize_limit);
	if (r == 0)
		notify_path(&f->path, IN_MODIFY);
	return r;
}

/* xattr_permission() of Linux. */
static int xattr_permission(const struct vfs_ctx *ctx, const struct path *p, const char *name,
			    unsigned int mask)
{
	struct inode *inode = p->dentry->inode;

	if (mask & MAY_WRITE && mount_writable(p->mnt) < 0)
		return -EROFS;
	if (str_after(name, "system.")) /* no filesystem here has access control lists */
		return -EOPNOTSUPP;
	if (str_after(name, "security."))
		return 0;
	if (str_after(name, "trusted.")) {
		if (cred_capable(ctx->cred, CAP_SYS_ADMIN))
			return 0;
		return mask & MAY_WRITE ? -EPERM : -ENODATA;
	}
	if (str_after(name, "user.")) {
		if (!S_ISREG(inode->mode) && !S_ISDIR(inode->mode))
			return mask & MAY_WRITE ? -EPERM : -ENODATA;
		if (S_ISDIR(inode->mode) && inode->mode & S_ISVTX && mask & MAY_WRITE &&
		    !inode_owner_or_capable(inode, ctx->cred))
			return -EPERM;
	}
	return inode_permission(inode, ctx->cred, mask);
}

/* Of security.*, who may write or remove one; the rules of a new security.capability are its own.
 */
static int may_change_security(const struct inode *inode, const struct cred *cred, const char *name)
{
	if (strcmp(name, FILE_CAPS_XATTR) == 0)
		return inode_capable(inode, cred, CAP_SETFCAP) ? 0 : -EPERM;
	if (str_after(name, "security.") &&
	    !cred_ns_capable(cred, inode->sb->user_ns, CAP_SYS_ADMIN))
		return -EPERM;
	return 0;
}

ssize_t vfs_getxattr(const struct vfs_ctx *ctx, const struct path *p, const char *name, void *value,
		     size_t size)
{
	struct inode *inode = p->dentry->inode;
	const int r = xattr_permission(ctx, p, name, MAY_READ);

	if (r < 0)
		return r;
	if (strcmp(name, FILE_CAPS_XATTR) == 0 && inode->ops->getxattr)
		return file_caps_show(inode, ctx->cred, value, size);
	return inode->ops->getxattr ? inode->ops->getxattr(inode, name, value, size) : -EOPNOTSUPP;
}

int vfs_setxattr(const struct vfs_ctx *ctx, const struct path *p, const char *name,
		 const void *value, size_t size, int flags)
{
	struct inode *inode = p->dentry->inode;
	const bool caps = strcmp(name, FILE_CAPS_XATTR) == 0;
	struct vfs_ns_cap_data own;
	int r = caps ? file_caps_judge(inode, ctx->cred, &value, &size, &own) : 0;

	if (r == 0)
		r = xattr_permission(ctx, p, name, MAY_WRITE);
	if (r < 0)
		return r;
	if (!inode->ops->setxattr)
		return -EOPNOTSUPP;
	if (!caps && may_change_security(inode, ctx->cred, name) < 0)
		return -EPERM;
	krwlock_write_lock(&inode->lock);
	if (caps)
		inode->no_caps = false;
	r = inode->ops->setxattr(inode, name, value, size, flags);
	if (r == 0 && !inode->sb->own_times)
		inode->ctime = kclock_realtime();
	krwlock_write_unlock(&inode->lock);
	if (r == 0)
		notify_path(p, IN_ATTRIB);
	return r;
}

ssize_t vfs_listxattr(const struct vfs_ctx *ctx, const struct path *p, char *list, size_t size)
{
	struct inode *inode = p->dentry->inode;

	return inode->ops->listxattr ? inode->ops->listxattr(inode, list, size) : 0;
}

int vfs_removexattr(const struct vfs_ctx *ctx, const struct path *p, const char *name)
{
	struct inode *inode = p->dentry->inode;
	int r = xattr_permission(ctx, p, name, MAY_WRITE);

	if (r < 0)
		return r;
	if (!inode->ops->removexattr)
		return -EOPNOTSUPP;
	r = may_change_security(inode, ctx->cred, name);
	if (r < 0)
		return r;
	krwlock_write_lock(&inode->lock);
	r = inode->ops->removexattr(inode, name);
	if (r == 0 && !inode->sb->own_times)
		inode->ctime = kclock_realtime();
	krwlock_write_unlock(&inode->lock);
	if (r == 0)
		notify_path(p, IN_ATTRIB);
	return r;
}
