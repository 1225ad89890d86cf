/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/tmpfs/dir.c - directories: two trees of the same entries, by name for look-ups and by
 * cookie for getdents(2), whose positions stay right while names come and go.
 */
#include <assert.h>
#include <errno.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

#include "sentry/core/kclock.h"
#include "sentry/fs/devtmpfs/chrdev.h"
#include "sentry/fs/tmpfs/node.h"
#include "sentry/vfs/simple.h"

#define COOKIE_FIRST 2u /* 0 is ".", 1 is ".." */

static int compare(const struct vfs_name *name, const struct tmpfs_entry *e)
{
	const int r = memcmp(name->bytes, e->name, name->len < e->len ? name->len : e->len);

	return r ? r : (int)name->len - (int)e->len;
}

static struct tmpfs_entry *entry_find(const struct tmpfs_inode *dir, const struct vfs_name *name)
{
	struct rb_node *n = dir->names.root;

	while (n) {
		struct tmpfs_entry *e = rb_entry(n, struct tmpfs_entry, by_name);
		const int r = compare(name, e);

		if (r == 0)
			return e;
		n = r < 0 ? n->left : n->right;
	}
	return NULL;
}

static struct tmpfs_entry *entry_new(const struct vfs_name *name, struct inode *inode)
{
	struct tmpfs_entry *e = calloc(1, sizeof(*e) + name->len + 1u);

	if (!e)
		return NULL;
	memcpy(e->name, name->bytes, name->len);
	e->len = name->len;
	e->inode = inode;
	list_init(&e->doomed);
	return e;
}

static void touch(struct inode *inode)
{
	inode->mtime = inode->ctime = kclock_realtime();
}

static void entry_insert(struct tmpfs_inode *dir, struct tmpfs_entry *e)
{
	const struct vfs_name name = { .bytes = e->name, .len = e->len };
	struct rb_node **link = &dir->names.root, *parent = NULL;

	while (*link) {
		parent = *link;
		link = compare(&name, rb_entry(parent, struct tmpfs_entry, by_name)) < 0
			       ? &parent->left
			       : &parent->right;
	}
	rb_insert(&dir->names, &e->by_name, parent, link);
	e->cookie = dir->next_cookie++;
	parent = rb_last(&dir->cookies);
	link = parent ? &parent->right : &dir->cookies.root;
	rb_insert(&dir->cookies, &e->by_cookie, parent, link);
	dir->entries++;
	dir->inode.size += TMPFS_DIRENT_SIZE;
	if (S_ISDIR(e->inode->mode)) {
		dir->inode.nlink++;
		tmpfs_inode(e->inode)->parent = &dir->inode;
	}
	touch(&dir->inode);
}

/* The entry's memory and its reference are the caller's afterwards. */
static void entry_remove(struct tmpfs_inode *dir, struct tmpfs_entry *e)
{
	rb_erase(&dir->names, &e->by_name);
	rb_erase(&dir->cookies, &e->by_cookie);
	dir->entries--;
	dir->inode.size -= TMPFS_DIRENT_SIZE;
	if (S_ISDIR(e->inode->mode)) {
		dir->inode.nlink--;
		tmpfs_inode(e->inode)->parent = NULL;
	}
	touch(&dir->inode);
}

/*
 * A tree may be deeper than our stack: names of a directory that goes wait in one list, and who is
 * here first works it off.
 */
void tmpfs_dir_free(struct tmpfs_inode *t)
{
	static struct list_head doomed = LIST_HEAD_INIT(doomed);
	static bool draining;
	struct rb_node *n, *next;

	for (n = rb_first(&t->cookies); n; n = next) {
		struct tmpfs_entry *e = rb_entry(n, struct tmpfs_entry, by_cookie);

		next = rb_next(n);
		list_add_tail(&e->doomed, &doomed);
	}
	if (draining)
		return;
	draining = true;
	while (!list_empty(&doomed)) {
		struct tmpfs_entry *e = list_first(&doomed, struct tmpfs_entry, doomed);

		list_del(&e->doomed);
		inode_unref(e->inode);
		free(e);
	}
	draining = false;
}

static int dir_lookup(struct inode *dir, const struct vfs_name *name, struct inode **ret)
{
	struct tmpfs_entry *e = entry_find(tmpfs_inode(dir), name);

	if (!e)
		return -ENOENT;
	*ret = inode_ref(e->inode);
	return 0;
}

/* The new inode gets a name; on success *ret has a reference of its own. */
static int add_new(struct inode *dir, const struct vfs_name *name, struct tmpfs_inode *t,
		   struct inode **ret)
{
	struct tmpfs_entry *e = entry_new(name, &t->inode);

	if (!e) {
		inode_unref(&t->inode);
		return -ENOMEM;
	}
	entry_insert(tmpfs_inode(dir), e);
	*ret = inode_ref(&t->inode);
	return 0;
}

static int make(struct inode *dir, const struct vfs_name *name, uint32_t mode, uint64_t rdev,
		const struct cred *cred, struct inode **ret)
{
	struct tmpfs_inode *t;
	int r;

	if (entry_find(tmpfs_inode(dir), name))
		return -EEXIST;
	r = tmpfs_inode_new(tmpfs_sb(dir->sb), mode, cred, &t);
	if (r < 0)
		return r;
	t->inode.rdev = rdev;
	inode_init_owner(&t->inode, dir, cred);
	return add_new(dir, name, t, ret);
}

static int dir_mknod(struct inode *dir, const struct vfs_name *name, uint32_t mode, uint64_t rdev,
		     const struct cred *cred, struct inode **ret)
{
	return make(dir, name, mode, rdev, cred, ret);
}

static int dir_mkdir(struct inode *dir, const struct vfs_name *name, uint32_t mode,
		     const struct cred *cred, struct inode **ret)
{
	return make(dir, name, S_IFDIR | (mode & 07777), 0, cred, ret);
}

static int dir_symlink(struct inode *dir, const struct vfs_name *name, const char *target,
		       const struct cred *cred, struct inode **ret)
{
	const size_t len = strlen(target);
	char *copy;
	int r;

	if (len >= VFS_PATH_MAX)
		return -ENAMETOOLONG;
	copy = strdup(target);
	if (!copy)
		return -ENOMEM;
	r = make(dir, name, S_IFLNK | 0777, 0, cred, ret);
	if (r < 0) {
		free(copy);
		return r;
	}
	tmpfs_inode(*ret)->target = copy;
	(*ret)->size = len;
	return 0;
}

static int dir_tmpfile(struct inode *dir, uint32_t mode, const struct cred *cred,
		       struct inode **ret)
{
	struct tmpfs_inode *t;
	int r = tmpfs_inode_new(tmpfs_sb(dir->sb), mode, cred, &t);

	if (r < 0)
		return r;
	inode_init_owner(&t->inode, dir, cred);
	t->inode.nlink = 0;
	*ret = &t->inode;
	return 0;
}

static int dir_link(struct inode *dir, const struct vfs_name *name, struct inode *target)
{
	struct tmpfs_entry *e;

	if (entry_find(tmpfs_inode(dir), name))
		return -EEXIST;
	e = entry_new(name, target);
	if (!e)
		return -ENOMEM;
	inode_ref(target);
	target->nlink++;
	target->ctime = kclock_realtime();
	entry_insert(tmpfs_inode(dir), e);
	return 0;
}

static void remove_entry(struct tmpfs_inode *dir, struct tmpfs_entry *e)
{
	struct inode *victim = e->inode;

	entry_remove(dir, e);
	free(e);
	victim->nlink -= S_ISDIR(victim->mode) ? 2 : 1;
	victim->ctime = kclock_realtime();
	inode_unref(victim);
}

static int dir_unlink(struct inode *dir, const struct vfs_name *name, struct inode *victim)
{
	struct tmpfs_entry *e = entry_find(tmpfs_inode(dir), name);

	if (!e || e->inode != victim)
		return -ENOENT;
	remove_entry(tmpfs_inode(dir), e);
	return 0;
}

static int dir_rmdir(struct inode *dir, const struct vfs_name *name, struct inode *victim)
{
	if (tmpfs_inode(victim)->entries > 0)
		return -ENOTEMPTY;
	return dir_unlink(dir, name, victim);
}

/* An entry changes its place; nothing can fail any more. */
static void entry_replace_inode(struct tmpfs_inode *dir, struct tmpfs_entry *e, struct inode *inode)
{
	if (S_ISDIR(e->inode->mode))
		dir->inode.nlink--;
	e->inode = inode;
	if (S_ISDIR(inode->mode)) {
		dir->inode.nlink++;
		tmpfs_inode(inode)->parent = &dir->inode;
	}
	touch(&dir->inode);
}

static int make_whiteout(struct tmpfs_inode *dir, const struct vfs_name *name)
{
	struct tmpfs_inode *t;
	struct inode *inode;
	int r = tmpfs_inode_new(tmpfs_sb(dir->inode.sb), S_IFCHR, NULL, &t);

	if (r < 0)
		return r;
	r = add_new(&dir->inode, name, t, &inode);
	if (r == 0)
		inode_unref(inode);
	return r;
}

static int dir_rename(struct inode *old_dir, const struct vfs_name *old_name, struct inode *moved,
		      struct inode *new_dir, const struct vfs_name *new_name,
		      struct inode *replaced, uint32_t flags)
{
	struct tmpfs_inode *from = tmpfs_inode(old_dir), *to = tmpfs_inode(new_dir);
	struct tmpfs_entry *old = entry_find(from, old_name), *new = entry_find(to, new_name);
	struct tmpfs_entry *e;

	if (!old || old->inode != moved || (new ? new->inode : NULL) != replaced)
		return -ENOENT;
	if (flags & RENAME_EXCHANGE) {
		entry_replace_inode(from, old, replaced);
		entry_replace_inode(to, new, moved);
		moved->ctime = replaced->ctime = kclock_realtime();
		return 0;
	}
	if (replaced && S_ISDIR(replaced->mode) && tmpfs_inode(replaced)->entries > 0)
		return -ENOTEMPTY;
	e = entry_new(new_name, moved);
	if (!e)
		return -ENOMEM;
	entry_remove(from, old);
	if (flags & RENAME_WHITEOUT) {
		const int r = make_whiteout(from, old_name);

		if (r < 0) {
			entry_insert(from, old);
			free(e);
			return r;
		}
	}
	free(old);
	if (new)
		remove_entry(to, new);
	entry_insert(to, e);
	moved->ctime = kclock_realtime();
	return 0;
}

static struct rb_node *first_from(const struct tmpfs_inode *dir, uint64_t cookie)
{
	struct rb_node *n = dir->cookies.root, *best = NULL;

	while (n) {
		if (rb_entry(n, struct tmpfs_entry, by_cookie)->cookie >= cookie) {
			best = n;
			n = n->left;
		} else {
			n = n->right;
		}
	}
	return best;
}

static bool emit_dots(struct file *f, struct dir_sink *sink, const struct tmpfs_inode *dir)
{
	const uint64_t up = dir->parent ? dir->parent->ino : dir->inode.ino;

	if (f->pos == 0) {
		if (!sink->emit(sink, ".", 1, dir->inode.ino, 4 /* DT_DIR */, 1))
			return false;
		f->pos = 1;
	}
	if (f->pos == 1) {
		if (!sink->emit(sink, "..", 2, up, 4 /* DT_DIR */, COOKIE_FIRST))
			return false;
		f->pos = COOKIE_FIRST;
	}
	return true;
}

static int dir_iterate(struct file *f, struct dir_sink *sink)
{
	struct tmpfs_inode *dir = tmpfs_inode(f->inode);
	struct rb_node *n;

	if (!emit_dots(f, sink, dir))
		return 0;
	for (n = first_from(dir, f->pos); n; n = rb_next(n)) {
		const struct tmpfs_entry *e = rb_entry(n, struct tmpfs_entry, by_cookie);

		if (!sink->emit(sink, e->name, e->len, e->inode->ino,
				(e->inode->mode & S_IFMT) >> 12, e->cookie + 1))
			break;
		f->pos = e->cookie + 1;
	}
	return 0;
}

static int symlink_readlink(struct inode *inode, char **ret)
{
	*ret = strdup(tmpfs_inode(inode)->target);
	return *ret ? 0 : -ENOMEM;
}

const struct file_ops tmpfs_dir_file_ops = {
	.iterate = dir_iterate,
	.seek = simple_dir_seek,
	.release = simple_release,
};

#define COMMON_OPS                                                                      \
	.getattr = tmpfs_getattr, .setattr = tmpfs_setattr, .getxattr = tmpfs_getxattr, \
	.setxattr = tmpfs_setxattr, .listxattr = tmpfs_listxattr,                       \
	.removexattr = tmpfs_removexattr, .evict = tmpfs_evict

const struct inode_ops tmpfs_dir_ops = {
	.lookup = dir_lookup,
	.mknod = dir_mknod,
	.mkdir = dir_mkdir,
	.symlink = dir_symlink,
	.link = dir_link,
	.unlink = dir_unlink,
	.rmdir = dir_rmdir,
	.rename = dir_rename,
	.tmpfile = dir_tmpfile,
	.open = tmpfs_open,
	COMMON_OPS,
};

const struct inode_ops tmpfs_file_inode_ops = {
	.open = tmpfs_open,
	COMMON_OPS,
};

const struct inode_ops tmpfs_symlink_ops = {
	.readlink = symlink_readlink,
	COMMON_OPS,
};

static int special_node_open(struct inode *inode, uint32_t flags, struct file **ret)
{
	return S_ISCHR(inode->mode) ? chrdev_open(inode, flags, ret) : -ENXIO;
}

const struct inode_ops tmpfs_special_ops = {
	.open = special_node_open,
	COMMON_OPS,
};
