/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/internal.h - what the files of this room share; nobody else includes it.
 */
#pragma once

#include "sentry/vfs/mount.h"

/* dentry.c: the cache. References are returned; NULL: not there, or out of memory. */
struct dentry *dentry_find(struct dentry *parent, const struct vfs_name *name);
/* A new hashed child; takes over the reference on inode (NULL: negative). */
struct dentry *dentry_add(struct dentry *parent, const struct vfs_name *name, struct inode *inode);
/* An unhashed one that shows as deleted, for O_TMPFILE. Takes over the inode's reference. */
struct dentry *dentry_new_unhashed(struct dentry *parent, const char *name, struct inode *inode);
/* Out of the hash: the name means something else, or nothing, from now on. */
void dentry_drop(struct dentry *d);
/* A negative dentry becomes positive; takes over the reference. */
void dentry_instantiate(struct dentry *d, struct inode *inode);
/* d takes the place (parent and name) of target, which is dropped. 0, -ENOMEM. */
int dentry_move(struct dentry *d, struct dentry *target);
int dentry_exchange(struct dentry *a, struct dentry *b);
bool dentry_is_below(const struct dentry *d, const struct dentry *ancestor); /* or the same */
/* Free every unused dentry below and including d. */
void dentry_shrink(struct dentry *d);

static inline struct vfs_name dentry_name(const struct dentry *d)
{
	return (struct vfs_name){ .bytes = d->name, .len = d->name_len };
}

/* mount.c */
/* The mount on this path, topmost of this mountpoint only; not referenced. NULL: none. */
struct mount *mount_on(const struct path *p);
/* 0 or -EROFS. */
int mount_writable(const struct mount *m);

/* mount_ops.c: what mount(2) and the calls of mount_api.h are made of. */
/* An instance of a type, as ctx->cred may have it; ms: MS_* of the superblock. */
int superblock_make(const struct vfs_ctx *ctx, const char *type, const char *source,
		    const char *data, uint64_t ms, struct superblock **ret);
int superblock_reconfigure(const struct vfs_ctx *ctx, struct superblock *sb, uint64_t ms,
			   const char *data);
bool mount_is_too_revealing(const struct mount_ns *ns, const struct superblock *sb, uint32_t flags);
/* A detached copy of a mount of ns, or of the tree from a path on. */
int mount_copy(struct mount_ns *ns, const struct path *from, bool recursive, struct mount **ret);
/* Put a detached tree on a place; takes over its reference in any case. */
int mount_graft(struct mount *tree, const struct path *at);
/* What is mounted at `from`, or held by a file, goes to `at`. */
int mount_move(struct mount_ns *ns, const struct path *from, const struct path *at);

/* namei.c */
int inode_lookup_child(struct dentry *dir, const struct vfs_name *name, struct dentry **ret);
/* -EACCES, -EROFS of a path; mask MAY_*. */
int path_permission(const struct path *p, const struct cred *cred, unsigned int mask);

/* attr.c: open(2) with O_TRUNC. */
int file_truncate_opened(struct file *f, uint64_t size);
/* Clear set-id bits before data changes (file_remove_privs()). inode->lock is held. */
int inode_strip_privs(struct inode *inode, const struct cred *cred);

/* inotify.c, locks.c, epoll.c: what file.c tells them. */
void epoll_forget(struct file *f);
