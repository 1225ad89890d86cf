/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/mount.h - trees of mounts and their propagation (mount_namespaces(7)), and what /proc
 * shows of them.
 */
#pragma once

#include "sentry/vfs/namei.h"

#define MOUNT_NS_MAX	   100000u /* fs.mount-max */
#define MOUNT_NS_COUNT_MAX 4096u   /* user.max_mnt_namespaces, of the sandbox */

/* Mounts that see each other's changes, and the slaves that follow them. */
struct peer_group {
	unsigned int refs;	  /* members and slaves */
	int id;			  /* "shared:N" of mountinfo */
	struct list_head members; /* mount.peer_node */
	struct list_head slaves;  /* mount.slave_node */
	bool heard;		  /* while an audience is gathered */
};

/* A detached mount: takes references on sb and root. NULL: out of memory. */
struct mount *mount_new(struct superblock *sb, struct dentry *root, uint32_t flags,
			const char *source);
struct mount *mount_ref(struct mount *m);
void mount_unref(struct mount *m); /* accepts NULL */

/* A detached copy with the same peers and master; root: the part that it shows. */
struct mount *mount_clone(struct mount *m, struct dentry *root);

/* Put a mount (its reference is handed over) on a path, or take it off (the caller owns it then).
 */
void mount_attach(struct mount *m, const struct path *at);
void mount_detach(struct mount *m);

/* Depth first: the one after m in the tree of top; NULL: no more. */
struct mount *mount_tree_next(struct mount *m, const struct mount *top);
unsigned int mount_tree_len(struct mount *top);
/* Take a whole tree apart, leaves first, and drop the namespace's references. */
void mount_tree_detach(struct mount *top);
/* A detached copy from `root` on; without `unbindable`, such mounts are left out. 0, -ENOMEM. */
int mount_tree_copy(struct mount *top, struct dentry *root, bool unbindable, struct mount **ret);
/* It came from a more privileged namespace: keeps its restrictions and what it hides. */
void mount_tree_lock(struct mount *top);
/* A detached tree becomes part of a namespace. */
void mount_tree_set_ns(struct mount *top, struct mount_ns *ns);

/* propagate.c */
int mount_make_shared(struct mount *m); /* 0, -ENOMEM */
void mount_make_slave(struct mount *m);
void mount_make_private(struct mount *m);
void mount_make_unbindable(struct mount *m);
void mount_join_peers(struct mount *m, struct peer_group *group);
void mount_enslave(struct mount *m, struct peer_group *master);
void mount_leave_peers(struct mount *m);
void mount_leave_master(struct mount *m);

/*
 * Attach a tree and its copies at every peer and slave of the target. Takes over `tree` on success.
 * 0, -ENOMEM, -ENOSPC.
 */
int mount_propagate(struct mount *tree, const struct path *at);
/* The counterparts of a mount that is about to leave: detached where nothing is mounted on them. */
void mount_propagate_umount(struct mount *m);

/*
 * mount_setattr(2) on the mount at p: MOUNT_* flags to set and clear, one of MS_SHARED, MS_PRIVATE,
 * MS_SLAVE, MS_UNBINDABLE or 0. 0, -EINVAL, -EPERM.
 */
int vfs_mount_setattr(const struct path *p, struct mount_ns *ns, bool recursive, uint32_t set,
		      uint32_t clear, uint64_t propagation);

/*
 * Text of /proc/PID/mounts or (with mountinfo) /proc/PID/mountinfo as seen from root; *ret is the
 * caller's. 0, -ENOMEM.
 */
int mount_ns_show(struct mount_ns *ns, const struct path *root, bool mountinfo, char **ret,
		  size_t *ret_len);

/* May this be a layer of an overlay, or be written as its upper one? -EINVAL, -EROFS. */
int mount_may_layer(const struct path *p, bool upper);
