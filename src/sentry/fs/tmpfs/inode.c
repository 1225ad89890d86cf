/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/tmpfs/inode.c - attributes, opening and the end of inodes; seals and memfds.
 */
#include <errno.h>
#include <linux/memfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sentry/fs/tmpfs/node.h"
#include "sentry/vfs/anon.h"
#include "sentry/vfs/simple.h"

#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL 0x0008U /* Linux 6.3 */
#endif
#ifndef F_SEAL_EXEC
#define F_SEAL_EXEC 0x0020 /* Linux 6.3 */
#endif
#define SEALS_ALL                                                                         \
	(F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE | \
	 F_SEAL_EXEC)

int tmpfs_getattr(struct inode *inode)
{
	return S_ISREG(inode->mode) ? tmpfs_data_refresh(tmpfs_inode(inode)) : 0;
}

int tmpfs_setattr(struct inode *inode, const struct setattr *attr)
{
	struct tmpfs_inode *t = tmpfs_inode(inode);
	int r;

	if (attr->mask & SETATTR_MODE && t->seals & F_SEAL_EXEC &&
	    (attr->mode ^ inode->mode) & 0111)
		return -EPERM;
	if (attr->mask & SETATTR_SIZE) {
		if (!S_ISREG(inode->mode))
			return -EINVAL;
		r = tmpfs_data_resize(t, attr->size);
		if (r < 0)
			return r;
	}
	return simple_setattr(inode, attr);
}

int tmpfs_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	const int r = simple_open(S_ISDIR(inode->mode) ? &tmpfs_dir_file_ops : &tmpfs_file_ops,
				  flags, ret);

	if (r == 0)
		(*ret)->mode |= FMODE_ATOMIC_POS;
	return r;
}

void tmpfs_evict(struct inode *inode)
{
	struct tmpfs_inode *t = tmpfs_inode(inode);

	if (S_ISDIR(inode->mode))
		tmpfs_dir_free(t);
	else if (S_ISREG(inode->mode))
		tmpfs_data_free(t);
	free(t->target);
	tmpfs_xattrs_free(t);
	tmpfs_sb(inode->sb)->inodes--;
	inode_fini(inode);
	free(t);
}

/* memfds live on an instance of their own that is mounted nowhere. */
static int memfd_sb(struct tmpfs_sb **ret)
{
	static struct superblock *sb;
	const struct tmpfs_options options = { .size = INT64_MAX, .inodes = UINT32_MAX };
	int r = 0;

	if (!sb)
		r = tmpfs_new(&options, &sb);
	if (r == 0)
		*ret = tmpfs_sb(sb);
	return r;
}

int tmpfs_memfd(const char *name, unsigned int flags, const struct cred *cred, struct file **ret)
{
	char text[VFS_NAME_MAX + 16];
	struct tmpfs_sb *sb;
	struct tmpfs_inode *t;
	struct path path;
	struct file *f;
	int r = memfd_sb(&sb);

	if (r == 0)
		r = tmpfs_inode_new(sb, S_IFREG | 0777, cred, &t);
	if (r < 0)
		return r;
	t->inode.nlink = 0;
	if (flags & MFD_NOEXEC_SEAL) {
		t->inode.mode &= ~0111u;
		t->seals = F_SEAL_EXEC;
	} else if (flags & MFD_ALLOW_SEALING) {
		t->seals = 0;
	}
	(void)snprintf(text, sizeof(text), "/memfd:%s", name);
	r = anon_path_for_inode(text, &t->inode, &path);
	if (r < 0)
		return r;
	f = calloc(1, sizeof(*f));
	if (f) {
		file_init(f, &tmpfs_file_ops, &path, cred, O_RDWR);
		f->mode |= FMODE_ATOMIC_POS;
		*ret = f;
	}
	path_unref(&path);
	return f ? 0 : -ENOMEM;
}

int tmpfs_get_seals(const struct file *f)
{
	return f->ops == &tmpfs_file_ops ? (int)tmpfs_inode(f->inode)->seals : -EINVAL;
}

static int add_seals(struct tmpfs_inode *t, unsigned int seals)
{
	if (t->seals & F_SEAL_SEAL)
		return -EPERM;
	if (seals & F_SEAL_WRITE && !(t->seals & F_SEAL_WRITE) && t->inode.writable_maps > 0)
		return -EBUSY;
	if (seals & F_SEAL_EXEC && !(t->inode.mode & 0111))
		seals |= F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE | F_SEAL_FUTURE_WRITE;
	t->seals |= seals;
	return 0;
}

/* Who sees a seal sees no change any more: a write that is under way comes to its end first. */
int tmpfs_add_seals(struct file *f, unsigned int seals)
{
	int r;

	if (f->ops != &tmpfs_file_ops)
		return -EINVAL;
	if (!(f->mode & FMODE_WRITE))
		return -EPERM;
	if (seals & ~(unsigned int)SEALS_ALL)
		return -EINVAL;
	krwlock_write_lock(&f->inode->lock);
	r = add_seals(tmpfs_inode(f->inode), seals);
	krwlock_write_unlock(&f->inode->lock);
	return r;
}
