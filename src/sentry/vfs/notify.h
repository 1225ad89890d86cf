/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/notify.h - inotify(7): what happened is told here, by the VFS.
 *
 * Filesystems tell nothing themselves. All of it is cheap while nobody watches.
 */
#pragma once

#include <sys/inotify.h>

#include "sentry/vfs/file.h"

#define INOTIFY_INSTANCES_MAX 1024u  /* fs.inotify.max_user_instances, of the sandbox */
#define INOTIFY_WATCHES_MAX   65536u /* fs.inotify.max_user_watches, of the sandbox */
#define INOTIFY_QUEUE_MAX     16384u /* fs.inotify.max_queued_events */

/* Something happened to the object at p: its own watches and (with the name) its parent's. */
void notify_path(const struct path *p, uint32_t mask);
/* The same for an object that is not reached by a path. */
void notify_inode(struct inode *inode, uint32_t mask);
/* A name of a directory came or went. */
void notify_name(struct inode *dir, const struct vfs_name *name, uint32_t mask, uint32_t cookie,
		 bool is_dir);
/* The last link is gone: IN_DELETE_SELF, and the watches end. */
void notify_deleted(struct inode *inode);
/* A filesystem left: IN_UNMOUNT and the watches end. */
void notify_unmounted(struct superblock *sb);
uint32_t notify_new_cookie(void);

/*
 * F_NOTIFY of fcntl(2): `changed` is called when something of mask (IN_* of inotify(7)) happens to
 * what is in the directory, once or (many) every time; more than one call adds, mask 0 ends it. It
 * must not park. 0, -ENOTDIR, -ENOSPC, -ENOMEM.
 */
int dnotify_set(struct file *f, uint32_t mask, bool many, void (*changed)(struct file *f));
/* The description is going. */
void dnotify_release(struct file *f);

/* inode_fini() */
void watches_free(struct inode *inode);

/* inotify_init1(2): flags are O_NONBLOCK. 0, -EMFILE, -ENOMEM. */
int inotify_open(const struct cred *cred, uint32_t flags, struct file **ret);
/* The watch descriptor, or -errno of inotify_add_watch(2). f is any file. */
int inotify_add(struct file *f, struct inode *inode, uint32_t mask);
int inotify_remove(struct file *f, int wd);
