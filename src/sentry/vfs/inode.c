/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/inode.c - life, permission and ownership of inodes.
 */
#include "sentry/vfs/inode.h"

#include <assert.h>
#include <errno.h>
#include <linux/capability.h>
#include <string.h>

#include "sentry/core/kclock.h"
#include "sentry/vfs/locks.h"
#include "sentry/vfs/notify.h"
#include "sentry/vfs/superblock.h"

void inode_init(struct inode *inode, struct superblock *sb, const struct inode_ops *ops,
		uint64_t ino, uint32_t mode, const struct cred *cred)
{
	const nsec_t now = kclock_realtime();

	inode->ops = ops;
	inode->sb = superblock_ref(sb);
	inode->ino = ino;
	inode->refs = 1;
	inode->mode = mode;
	inode->uid = cred ? cred->fsuid : 0;
	inode->gid = cred ? cred->fsgid : 0;
	inode->nlink = 1;
	inode->atime = inode->mtime = inode->ctime = inode->btime = now;
	krwlock_init(&inode->lock);
	list_init(&inode->leases);
	waitq_init(&inode->lease_waiters);
}

void inode_fini(struct inode *inode)
{
	locks_free(inode);
	watches_free(inode);
	superblock_unref(inode->sb);
	inode->sb = NULL;
}

struct inode *inode_ref(struct inode *inode)
{
	inode->refs++;
	return inode;
}

void inode_unref(struct inode *inode)
{
	if (!inode)
		return;
	assert(inode->refs > 0);
	if (--inode->refs > 0)
		return;
	assert(inode->ops->evict);
	inode->ops->evict(inode);
}

bool inode_capable(const struct inode *inode, const struct cred *cred, unsigned int cap)
{
	return cred_own_capable(cred, cap) &&
	       (!cred->user_ns || (user_ns_uid_raw(cred->user_ns, inode->uid) != ID_INVALID &&
				   user_ns_gid_raw(cred->user_ns, inode->gid) != ID_INVALID));
}

int inode_permission_generic(const struct inode *inode, const struct cred *cred, unsigned int mask)
{
	uint32_t bits = inode->mode & 0777;

	if (cred->fsuid == inode->uid)
		bits >>= 6;
	else if (cred_in_group(cred, inode->gid))
		bits >>= 3;
	if ((mask & ~bits & 7) == 0)
		return 0;
	if (S_ISDIR(inode->mode)) {
		if (!(mask & MAY_WRITE) && inode_capable(inode, cred, CAP_DAC_READ_SEARCH))
			return 0;
		return inode_capable(inode, cred, CAP_DAC_OVERRIDE) ? 0 : -EACCES;
	}
	if (mask == MAY_READ && inode_capable(inode, cred, CAP_DAC_READ_SEARCH))
		return 0;
	if ((!(mask & MAY_EXEC) || inode->mode & 0111) &&
	    inode_capable(inode, cred, CAP_DAC_OVERRIDE))
		return 0;
	return -EACCES;
}

int inode_permission(struct inode *inode, const struct cred *cred, unsigned int mask)
{
	if (inode->ops->permission)
		return inode->ops->permission(inode, cred, mask);
	return inode_permission_generic(inode, cred, mask);
}

bool inode_owner_or_capable(const struct inode *inode, const struct cred *cred)
{
	return cred->fsuid == inode->uid ||
	       (cred_own_capable(cred, CAP_FOWNER) &&
		user_ns_uid_raw(cred->user_ns, inode->uid) != ID_INVALID);
}

void inode_init_owner(struct inode *child, const struct inode *dir, const struct cred *cred)
{
	child->uid = cred->fsuid;
	if (!(dir->mode & S_ISGID)) {
		child->gid = cred->fsgid;
		return;
	}
	child->gid = dir->gid;
	if (S_ISDIR(child->mode))
		child->mode |= S_ISGID;
	else if ((child->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
		 !cred_in_group(cred, dir->gid) && !inode_capable(dir, cred, CAP_FSETID))
		child->mode &= ~(uint32_t)S_ISGID;
}
