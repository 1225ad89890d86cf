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
