/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/kernfs/kernfs.c - superblocks, inodes, names and links of synthetic trees.
 */
#include "sentry/fs/kernfs/kernfs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/hash.h"

static const struct inode_ops node_ops, guarded_ops, link_ops, magic_ops;

#define KERN_ROOT_INO 1

/* Of the parent's number and the name; 0 to 15 stay free. */
uint64_t kern_child_ino(const struct inode *dir, const char *name, size_t len)
{
	uint64_t h = hash64(HASH64_BEGIN ^ dir->ino, name, len);

	h = (h ^ (h >> 32)) & 0xffffffffull;
	return h < 16 ? h + 16 : h;
}

bool vfs_name_is(const struct vfs_name *name, const char *text)
{
	return strlen(text) == name->len && !memcmp(text, name->bytes, name->len);
}

int vfs_name_number(const struct vfs_name *name, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;

	if (name->len > 19 || (name->bytes[0] == '0' && name->len > 1))
		return -ENOENT;
	for (size_t i = 0; i < name->len; i++) {
		const unsigned int digit = (unsigned char)name->bytes[i] - (unsigned int)'0';

		if (digit > 9)
			return -ENOENT;
		value = value * 10 + digit;
	}
	if (value > max)
		return -ENOENT;
	*ret = value;
	return 0;
}

int kern_show_data(struct kern_inode *ki, struct buf *b)
{
	return buf_puts(b, ki->node->data);
}

int kern_parse_int(const char *text, int64_t min, int64_t max, int64_t *ret)
{
	char *end;
	long long value;

	errno = 0;
	value = strtoll(text, &end, 10);
	if (end == text)
		return -EINVAL;
	end += strspn(end, " \t\n");
	if (*end)
		return -EINVAL;
	if (errno || value < min || value > max)
		return -ERANGE;
	*ret = value;
	return 0;
}

struct kern_inode *kern_inode_of_dentry(const struct dentry *d)
{
	return d->inode ? kern_inode_of(d->inode) : NULL;
}

static const struct inode_ops *ops_of(const struct kern_node *node)
{
	if (S_ISLNK(node->mode))
		return node->follow ? &magic_ops : &link_ops;
	return node->permission ? &guarded_ops : &node_ops;
}

static struct kern_inode *inode_make(struct kernfs *fs, uint64_t ino, const struct kern_node *node,
				     void *obj, uint64_t arg)
{
	struct kern_inode *ki = calloc(1, sizeof(*ki));

	if (!ki)
		return NULL;
	inode_init(&ki->inode, &fs->sb, ops_of(node), ino, node->mode, NULL);
	ki->inode.uid = 0;
	ki->inode.gid = 0;
	ki->inode.nlink = S_ISDIR(node->mode) ? 2 : 1;
	ki->node = node;
	ki->obj = obj;
	ki->arg = arg;
	if (obj && fs->ops->obj_ref)
		fs->ops->obj_ref(obj);
	if (fs->ops->owner)
		fs->ops->owner(ki);
	return ki;
}

int kern_inode_new(struct kern_inode *dir, const struct vfs_name *name,
		   const struct kern_node *node, void *obj, uint64_t arg, struct inode **ret)
{
	const uint64_t ino = kern_child_ino(&dir->inode, name->bytes, name->len);
	struct kern_inode *ki = inode_make(kernfs_of(&dir->inode), ino, node, obj, arg);

	if (!ki)
		return -ENOMEM;
	*ret = &ki->inode;
	return 0;
}

static int op_lookup(struct inode *dir, const struct vfs_name *name, struct inode **ret)
{
	struct kern_inode *ki = kern_inode_of(dir);
	const struct kern_node *node = ki->node;

	if (!S_ISDIR(node->mode))
		return -ENOTDIR;
	for (const struct kern_node *c = node->children; c && c->name; c++) {
		if (!vfs_name_is(name, c->name))
			continue;
		if (node->hidden && node->hidden(ki, c))
			return -ENOENT;
		return kern_inode_new(ki, name, c, ki->obj, ki->arg, ret);
	}
	return node->lookup ? node->lookup(ki, name, ret) : -ENOENT;
}

static int op_readlink(struct inode *inode, char **ret)
{
	struct kern_inode *ki = kern_inode_of(inode);
	char *target;

	if (!S_ISLNK(ki->node->mode))
		return -EINVAL;
	if (ki->node->readlink)
		return ki->node->readlink(ki, ret);
	if (!ki->node->data)
		return -EINVAL;
	target = strdup(ki->node->data);
	if (!target)
		return -ENOMEM;
	*ret = target;
	return 0;
}

static int op_follow(struct inode *inode, struct path *ret)
{
	struct kern_inode *ki = kern_inode_of(inode);

	return ki->node->follow(ki, ret);
}

static int op_getattr(struct inode *inode)
{
	struct kern_inode *ki = kern_inode_of(inode);
	const struct kernfs *fs = kernfs_of(inode);

	if (fs->ops->owner)
		fs->ops->owner(ki);
	return ki->node->getattr ? ki->node->getattr(ki) : 0;
}

/* Truncation by O_TRUNC is nothing; everything else about these files is fixed. */
static int op_setattr(struct inode *inode, const struct setattr *attr)
{
	const uint32_t harmless = SETATTR_SIZE | SETATTR_ATIME | SETATTR_MTIME | SETATTR_CTIME;

	return attr->mask & ~harmless ? -EPERM : 0;
}

static int op_permission(struct inode *inode, const struct cred *cred, unsigned int mask)
{
	struct kern_inode *ki = kern_inode_of(inode);

	return ki->node->permission(ki, cred, mask);
}

static void op_evict(struct inode *inode)
{
	struct kern_inode *ki = kern_inode_of(inode);
	const struct kernfs *fs = kernfs_of(inode);

	if (ki->obj && fs->ops->obj_unref)
		fs->ops->obj_unref(ki->obj);
	inode_fini(inode);
	free(ki);
}

static const struct inode_ops node_ops = {
	.lookup = op_lookup,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.open = kern_open,
	.evict = op_evict,
};

static const struct inode_ops guarded_ops = {
	.lookup = op_lookup,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.open = kern_open,
	.permission = op_permission,
	.evict = op_evict,
};

static const struct inode_ops link_ops = {
	.readlink = op_readlink,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.evict = op_evict,
};

static const struct inode_ops magic_ops = {
	.readlink = op_readlink,
	.follow = op_follow,
	.getattr = op_getattr,
	.setattr = op_setattr,
	.evict = op_evict,
};

static void sb_put(struct superblock *sb)
{
	struct kernfs *fs = container_of(sb, struct kernfs, sb);

	if (fs->ops->free_info)
		fs->ops->free_info(fs->info);
	free(fs);
}

int kernfs_mount(const char *type, uint64_t magic, const struct kernfs_ops *ops, void *info,
		 const struct kern_node *root, struct superblock **ret)
{
	struct kernfs *fs = calloc(1, sizeof(*fs));
	struct kern_inode *ki;

	if (!fs) {
		if (ops->free_info)
			ops->free_info(info);
		return -ENOMEM;
	}
	fs->ops = ops;
	fs->info = info;
	fs->sb_ops = (struct superblock_ops){
		.revalidate = ops->revalidate,
		.show_options = ops->show_options,
		.remount = ops->remount,
		.put = sb_put,
	};
	superblock_init(&fs->sb, &fs->sb_ops, type, magic);
	fs->sb.no_negative = true;
	fs->sb.no_cache = true;
	ki = inode_make(fs, KERN_ROOT_INO, root, NULL, 0);
	if (ki) {
		fs->sb.root = dentry_new_root(&fs->sb, &ki->inode);
		inode_unref(&ki->inode);
	}
	if (!fs->sb.root) {
		superblock_unref(&fs->sb);
		return -ENOMEM;
	}
	*ret = &fs->sb;
	return 0;
}
