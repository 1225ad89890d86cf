/* SPDX-License-Identifier: Apache-2.0 */
/* Names: look-ups, and everything that makes, moves or removes one. The VFS holds the directories.
 */
#include "sentry/fs/goferfs/internal.h"

#include <errno.h>
#include <stdio.h>
#include <linux/fs.h>
#include <stdlib.h>
#include <string.h>

struct name_text {
	char text[VFS_NAME_MAX + 1];
};

static const char *name_text(const struct vfs_name *name, struct name_text *t)
{
	memcpy(t->text, name->bytes, name->len);
	t->text[name->len] = '\0';
	return t->text;
}

/* Names that nobody uses make way before the gofer's table is full. */
static void gofer_make_room(struct goferfs *fs)
{
	if (gofer_nodes(fs->conn) <= gofer_limits.nodes)
		return;
	gofer_ahead_drop_all();
	(void)dentry_prune(&fs->sb, GOFERFS_PRUNE);
}

/*
 * A call whose answer holds a node. When the gofer's table is full, names that nobody uses make way
 * and the call is made once more.
 */
static int call_for_node(struct gofer_inode *dir, struct gofer_call *call)
{
	int r;

	gofer_make_room(dir->fs);
	r = gofer_call(call);
	if (r != -ENFILE)
		return r;
	gofer_ahead_drop_all();
	(void)dentry_prune(&dir->fs->sb, GOFERFS_PRUNE);
	gofer_call_done(call);
	gofer_forget_now(dir->fs->conn);
	return gofer_call(call);
}

static struct gofer_conn *conn_of(struct inode *dir)
{
	return gofer_inode(dir)->fs->conn;
}

static int walk_one(struct gofer_inode *dir, const char *name, struct gofer_entry *ret)
{
	GOFER_CALL(call, dir->fs->conn, .type = GOFER_WALK,
		   .walk = { .node = dir->node, .count = 1 }, .names = { name });
	const int r = call_for_node(dir, &call);

	if (r < 0)
		return r;
	if (call.answer.walk.found != 1)
		return call.answer.walk.stop ? gofer_errno(call.answer.walk.stop) : -EIO;
	gofer_answer_entry(&call.answer, 0, ret);
	return 0;
}

static int dir_lookup(struct inode *dir, const struct vfs_name *name, struct inode **ret)
{
	struct gofer_inode *gi = gofer_inode(dir);
	struct name_text t;
	struct gofer_entry entry;
	int64_t i;
	int r;

	if (gi->listing) {
		i = gofer_listing_find(gi->listing, name);
		if (i < 0)
			return -ENOENT;
		gofer_make_room(gi->fs);
		r = gofer_ahead_lookup(gi, (uint32_t)i, ret);
		if (r != -ENFILE && r != -ENOMEM)
			return r;
	}
	if (gofer_expected_take(gi, name_text(name, &t), &r, ret))
		return r;
	r = walk_one(gi, name_text(name, &t), &entry);
	return r < 0 ? r : gofer_inode_get(gi->fs, &entry, ret);
}

/* Shared mode: does the name still lead to this inode? */
int gofer_revalidate(struct dentry *d)
{
	const struct vfs_name name = { .bytes = d->name, .len = d->name_len };
	struct gofer_inode *gi, *dir;
	struct inode *now;
	int r;

	if (d->parent == d || !d->inode)
		return d->inode != NULL;
	dir = gofer_inode(d->parent->inode);
	gi = gofer_inode(inode_ref(d->inode));
	r = dir_lookup(&dir->inode, &name, &now);
	if (r == 0) {
		r = now == &gi->inode;
		inode_unref(now);
	} else if (r == -ENOENT) {
		r = 0;
	}
	inode_unref(&gi->inode);
	return r;
}

/* Owner and mode of what is made in a directory: the rules of set-gid directories. */
static struct gofer_make wanted(struct inode *dir, uint32_t mode, const struct cred *cred)
{
	struct inode child = { .mode = mode };

	inode_init_owner(&child, dir, cred);
	return (struct gofer_make){ .dir = gofer_inode(dir)->node,
				    .mode = child.mode & 07777,
				    .uid = child.uid,
				    .gid = child.gid };
}

/* Makes what call says; the answer is an entry. */
static int make(struct inode *dir, const struct vfs_name *name, struct gofer_call *call,
		struct inode **ret)
{
	struct gofer_inode *gi = gofer_inode(dir);
	struct name_text t;
	int r;

	call->request.names[0] = name_text(name, &t);
	call->request.names_len = 1;
	r = call_for_node(gi, call);
	gofer_dir_changed(dir);
	if (r == 0)
		r = gofer_inode_get(gi->fs, &call->answer.entry, ret);
	if (r == 0)
		gofer_dir_add(dir, name, *ret);
	else
		gofer_dir_forget_listing(dir);
	return r;
}

static int make_regular(struct inode *dir, const struct vfs_name *name, uint32_t mode,
			const struct cred *cred, struct inode **ret)
{
	GOFER_CALL(call, conn_of(dir), .type = GOFER_CREATE, .make = wanted(dir, mode, cred));
	int r;

	call.request.make.flags = GOFER_OPEN_READ | GOFER_OPEN_WRITE;
	r = make(dir, name, &call, ret);
	/* Most files are made to be opened for writing at once. */
	if (r == 0 && S_ISREG((*ret)->mode))
		gofer_handle_adopt(gofer_inode(*ret), TAKE_FD(call.fd));
	return r;
}

static int dir_tmpfile(struct inode *dir, uint32_t mode, const struct cred *cred,
		       struct inode **ret)
{
	GOFER_CALL(call, conn_of(dir), .type = GOFER_TMPFILE,
		   .make = wanted(dir, S_IFREG | (mode & 07777), cred));
	int r;

	call.request.make.flags = GOFER_OPEN_READ | GOFER_OPEN_WRITE;
	r = call_for_node(gofer_inode(dir), &call);
	if (r == 0)
		r = gofer_inode_get(gofer_inode(dir)->fs, &call.answer.entry, ret);
	if (r == 0)
		gofer_handle_adopt(gofer_inode(*ret), TAKE_FD(call.fd));
	return r;
}

/* Where the host's filesystem has no O_TMPFILE: a name for a moment. */
static int make_and_unlink(struct gofer_inode *top, struct gofer_call *call)
{
	static uint64_t serial;
	char name[32];
	GOFER_CALL(unlink, top->fs->conn, .type = GOFER_UNLINK, .unlink = { .dir = top->node },
		   .names_len = 1, .names = { name });
	int r;

	call->request.type = GOFER_CREATE;
	call->request.names_len = 1;
	call->request.names[0] = name;
	/* One that is there was left by a sandbox that was killed at this moment. */
	do {
		gofer_call_done(call);
		(void)snprintf(name, sizeof(name), ".caisson-store-%llu",
			       (unsigned long long)++serial);
		r = call_for_node(top, call);
	} while (r == -EEXIST && serial % NAMELESS_TRIES != 0);
	return r < 0 ? r : gofer_call(&unlink);
}

int goferfs_nameless_file(struct superblock *sb, int *ret_fd)
{
	struct gofer_inode *top = gofer_inode(sb->root->inode);
	const struct gofer_make make = { .dir = top->node,
					 .mode = 0600,
					 .flags = GOFER_OPEN_READ | GOFER_OPEN_WRITE };
	GOFER_CALL(nameless, top->fs->conn, .type = GOFER_TMPFILE, .make = make);
	GOFER_CALL(named, top->fs->conn, .type = GOFER_CREATE, .make = make);
	struct gofer_call *call = &nameless;
	int r = call_for_node(top, call);

	if (r == -EOPNOTSUPP || r == -EISDIR || r == -EINVAL) {
		call = &named;
		r = make_and_unlink(top, call);
	}
	if (r < 0)
		return r;
	gofer_forget(top->fs->conn, call->answer.entry.node);
	*ret_fd = TAKE_FD(call->fd);
	return 0;
}

/* Devices are the sandbox's own business: on the host nobody shall find one. */
static int dir_mknod(struct inode *dir, const struct vfs_name *name, uint32_t mode, uint64_t rdev,
		     const struct cred *cred, struct inode **ret)
{
	GOFER_CALL(call, conn_of(dir), .type = GOFER_MKNOD, .make = wanted(dir, mode, cred));

	(void)rdev;
	switch (mode & S_IFMT) {
	case S_IFREG:
	case 0:
		return make_regular(dir, name, mode, cred, ret);
	case S_IFIFO:
	case S_IFSOCK:
		call.request.make.mode |= mode & S_IFMT;
		return make(dir, name, &call, ret);
	default:
		return -EPERM;
	}
}

static int dir_bind(struct inode *dir, const struct vfs_name *name, uint32_t mode, int type,
		    const struct cred *cred, struct inode **ret, int *ret_fd)
{
	const struct gofer_make want = wanted(dir, mode & 07777, cred);
	GOFER_CALL(call, conn_of(dir), .type = GOFER_BIND,
		   .bind = { .dir = want.dir,
			     .mode = want.mode,
			     .uid = want.uid,
			     .gid = want.gid,
			     .socket_type = (uint32_t)type });
	int r;

	if (!(gofer_inode(dir)->fs->flags & GOFER_ROOT_BIND))
		return -EOPNOTSUPP;
	r = make(dir, name, &call, ret);
	if (r == 0)
		*ret_fd = TAKE_FD(call.fd);
	return r;
}

static int dir_mkdir(struct inode *dir, const struct vfs_name *name, uint32_t mode,
		     const struct cred *cred, struct inode **ret)
{
	GOFER_CALL(call, conn_of(dir), .type = GOFER_MKDIR,
		   .make = wanted(dir, S_IFDIR | (mode & 07777), cred));
	const int r = make(dir, name, &call, ret);

	if (r == 0)
		gofer_dir_is_empty(*ret);
	return r;
}

static int dir_symlink(struct inode *dir, const struct vfs_name *name, const char *target,
		       const struct cred *cred, struct inode **ret)
{
	const struct gofer_make want = wanted(dir, S_IFLNK | 0777, cred);
	const size_t len = strlen(target);
	GOFER_CALL(call, conn_of(dir), .type = GOFER_SYMLINK,
		   .symlink = { .dir = want.dir,
				.uid = want.uid,
				.gid = want.gid,
				.target_len = (uint32_t)len },
		   .blob = target, .blob_len = len);

	if (len == 0)
		return -ENOENT;
	if (len > GOFER_SYMLINK_MAX)
		return -ENAMETOOLONG;
	return make(dir, name, &call, ret);
}

static int dir_link(struct inode *dir, const struct vfs_name *name, struct inode *target)
{
	struct gofer_inode *gi = gofer_inode(target);
	struct name_text t;
	GOFER_CALL(call, gi->fs->conn, .type = GOFER_LINK,
		   .link = { .dir = gofer_inode(dir)->node, .node = gi->node },
		   .names = { name_text(name, &t) });
	const uint32_t seq = ++gi->seq;
	const int r = gofer_call(&call);

	gofer_dir_changed(dir);
	if (r == 0) {
		gofer_inode_apply(gi, &call.answer.attr.attr, seq);
		gofer_dir_add(dir, name, target);
	}
	return r;
}

/* One name fewer. Descriptors of a file without a name are not kept for later. */
static void lost_name(struct inode *inode)
{
	struct gofer_inode *gi = gofer_inode(inode);

	gi->seq++;
	gi->stale = true;
	if (S_ISDIR(inode->mode))
		inode->nlink = 0;
	else if (inode->nlink)
		inode->nlink--;
	if (inode->nlink == 0 && gi->opens == 0)
		gofer_handles_drop(gi);
}

static int remove_name(struct inode *dir, const struct vfs_name *name, struct inode *victim,
		       uint32_t flags)
{
	struct name_text t;
	const struct gofer_request request = {
		.type = GOFER_UNLINK,
		.unlink = { .dir = gofer_inode(dir)->node, .flags = flags },
		.names = { name_text(name, &t) },
	};
	const int r = gofer_ask(conn_of(dir), &request);

	gofer_dir_changed(dir);
	if (r == 0) {
		gofer_dir_remove(dir, name);
		lost_name(victim);
	}
	return r;
}

static int dir_unlink(struct inode *dir, const struct vfs_name *name, struct inode *victim)
{
	return remove_name(dir, name, victim, 0);
}

static int dir_rmdir(struct inode *dir, const struct vfs_name *name, struct inode *victim)
{
	return remove_name(dir, name, victim, GOFER_UNLINK_DIR);
}

/* The same in the listings. back: what an exchange puts in the old place. */
static void names_moved(struct inode *old_dir, const struct vfs_name *old_name,
			const struct inode *moved, struct inode *new_dir,
			const struct vfs_name *new_name, const struct inode *back)
{
	gofer_dir_remove(old_dir, old_name);
	gofer_dir_remove(new_dir, new_name);
	gofer_dir_add(new_dir, new_name, moved);
	if (back)
		gofer_dir_add(old_dir, old_name, back);
}

static int dir_rename(struct inode *old_dir, const struct vfs_name *old_name, struct inode *moved,
		      struct inode *new_dir, const struct vfs_name *new_name,
		      struct inode *replaced, uint32_t flags)
{
	struct name_text old_text, new_text;
	struct gofer_request request = {
		.type = GOFER_RENAME,
		.rename = { .old_dir = gofer_inode(old_dir)->node,
			    .new_dir = gofer_inode(new_dir)->node },
		.names = { name_text(old_name, &old_text), name_text(new_name, &new_text) },
	};
	int r;

	if (flags & ~(uint32_t)(RENAME_NOREPLACE | RENAME_EXCHANGE))
		return -EINVAL; /* a whiteout is a device node */
	request.rename.flags = (flags & RENAME_NOREPLACE ? GOFER_RENAME_NOREPLACE : 0u) |
			       (flags & RENAME_EXCHANGE ? GOFER_RENAME_EXCHANGE : 0u);
	r = gofer_ask(conn_of(old_dir), &request);
	gofer_dir_changed(old_dir);
	gofer_dir_changed(new_dir);
	gofer_inode(moved)->stale = true;
	if (r == 0)
		names_moved(old_dir, old_name, moved, new_dir, new_name,
			    flags & RENAME_EXCHANGE ? replaced : NULL);
	if (r == 0 && replaced && !(flags & RENAME_EXCHANGE))
		lost_name(replaced);
	else if (replaced)
		gofer_inode(replaced)->stale = true;
	return r;
}

static int link_readlink(struct inode *inode, char **ret)
{
	struct gofer_inode *gi = gofer_inode(inode);
	GOFER_CALL(call, gi->fs->conn, .type = GOFER_READLINK, .node = { gi->node });
	char *target;
	int r;

	if (!gi->target) {
		r = gofer_call(&call);
		if (r < 0)
			return r;
		/* Not strndup(3): the text has no end of its own. */
		target = malloc(call.answer.tail_len + 1);
		if (!target)
			return -ENOMEM;
		if (call.answer.tail_len)
			memcpy(target, call.answer.tail, call.answer.tail_len);
		target[call.answer.tail_len] = '\0';
		free(gi->target); /* another fiber asked as well */
		gi->target = target;
	}
	*ret = strdup(gi->target);
	return *ret ? 0 : -ENOMEM;
}

const struct inode_ops gofer_dir_ops = {
	.lookup = dir_lookup,
	.mknod = dir_mknod,
	.mkdir = dir_mkdir,
	.symlink = dir_symlink,
	.link = dir_link,
	.unlink = dir_unlink,
	.rmdir = dir_rmdir,
	.rename = dir_rename,
	.tmpfile = dir_tmpfile,
	.bind = dir_bind,
	.getattr = gofer_inode_getattr,
	.setattr = gofer_inode_setattr,
	.open = gofer_dir_open,
	.getxattr = gofer_getxattr,
	.setxattr = gofer_setxattr,
	.listxattr = gofer_listxattr,
	.removexattr = gofer_removexattr,
	.evict = gofer_inode_evict,
};

const struct inode_ops gofer_link_ops = {
	.readlink = link_readlink,
	.getattr = gofer_inode_getattr,
	.setattr = gofer_inode_setattr,
	.getxattr = gofer_getxattr,
	.setxattr = gofer_setxattr,
	.listxattr = gofer_listxattr,
	.removexattr = gofer_removexattr,
	.evict = gofer_inode_evict,
};
