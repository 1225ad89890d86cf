/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/vfs/anon.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "sentry/core/kclock.h"
#include "sentry/vfs/internal.h"
#include "sentry/vfs/simple.h"

static struct superblock anon_sb;
static struct inode *root_inode;
static struct mount *anon_mount;

static int anon_setattr(struct inode *inode, const struct setattr *attr)
{
	if (attr->mask & SETATTR_SIZE)
		return -EINVAL;
	return simple_setattr(inode, attr);
}

static const struct inode_ops anon_ops = {
	.setattr = anon_setattr,
	.evict = simple_evict,
};

static const struct superblock_ops anon_sb_ops = { 0 };

static int anon_inode_new(uint32_t mode, const struct cred *cred, struct inode **ret)
{
	struct inode *inode = calloc(1, sizeof(*inode));

	if (!inode)
		return -ENOMEM;
	inode_init(inode, &anon_sb, &anon_ops, anon_sb.next_ino++, mode, cred);
	*ret = inode;
	return 0;
}

/* The first caller makes the filesystem; it stays. */
static int anon_start(void)
{
	int r;

	if (anon_mount)
		return 0;
	superblock_init(&anon_sb, &anon_sb_ops, "anon_inodefs", ANON_INODE_FS_MAGIC);
	anon_sb.anonymous = true;
	r = anon_inode_new(S_IFDIR | 0755, NULL, &root_inode);
	if (r < 0)
		return r;
	anon_sb.root = dentry_new_root(&anon_sb, root_inode);
	if (anon_sb.root)
		anon_mount = mount_new(&anon_sb, anon_sb.root, 0, "anon_inodefs");
	return anon_mount ? 0 : -ENOMEM;
}

int anon_path_for_inode(const char *name, struct inode *inode, struct path *ret)
{
	struct dentry *d;
	int r = anon_start();

	if (r < 0) {
		inode_unref(inode);
		return r;
	}
	d = dentry_new_unhashed(NULL, name, inode);
	if (!d)
		return -ENOMEM;
	*ret = (struct path){ .mnt = mount_ref(anon_mount), .dentry = d };
	return 0;
}

int anon_path_new(const char *class_or_null, const char *name, uint32_t mode,
		  const struct cred *cred, struct path *ret)
{
	AUTO_FREE char *text = NULL;
	struct inode *inode = NULL;
	int r = anon_start();

	if (r == 0)
		r = anon_inode_new(mode, cred, &inode);
	if (r < 0)
		return r;
	if (!name) {
		r = str_printf(&text, "%s:[%llu]", class_or_null, (unsigned long long)inode->ino);
		if (r < 0) {
			inode_unref(inode);
			return r;
		}
	}
	r = anon_path_for_inode(name ? name : text, inode, ret);
	if (r == 0)
		ret->dentry->unhashed = false;
	return r;
}

int anon_file_init(struct file *f, const struct file_ops *ops, const char *name,
		   const struct cred *cred, uint32_t flags)
{
	AUTO_FREE char *text = NULL;
	struct path p;
	int r = str_printf(&text, "anon_inode:%s", name);

	if (r == 0)
		r = anon_path_new(NULL, text, 0600, NULL, &p);
	if (r < 0)
		return r;
	file_init(f, ops, &p, cred, flags);
	path_unref(&p);
	return 0;
}
