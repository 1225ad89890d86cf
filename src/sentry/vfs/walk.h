/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/walk.h - a walk in its parts, for the operations that stop at the parent. Of this room
 * only.
 */
#pragma once

#include "sentry/vfs/namei.h"

#define WALK_LINKS_MAX 40u /* MAXSYMLINKS */

enum last_type {
	LAST_NORM,
	LAST_DOT,
	LAST_DOTDOT,
	LAST_ROOT, /* no component at all */
};

struct walk {
	const struct vfs_ctx *ctx;
	unsigned int flags; /* WALK_* */
	struct path root;   /* where ".." and absolute links stop */
	struct path at;	    /* how far it got; with WALK_PARENT the parent */
	char *text;	    /* owned, once a link was followed */
	const char *rest;
	unsigned int links;

	/* the component at hand; after WALK_PARENT the last one, which was not looked up */
	struct vfs_name last; /* len 0: too long */
	enum last_type type;
	bool trailing; /* followed by a slash */
	bool final;
};

int walk_begin(struct walk *w, const struct vfs_ctx *ctx, const struct path *at, const char *name,
	       unsigned int flags);
int walk_run(struct walk *w);
/* Look up w->last in w->at; negative is success too. Mounts are followed. */
int walk_child(struct walk *w, struct path *ret);
/* Follow a symlink that stood at w->last; walk_run() goes on from there. */
int walk_follow(struct walk *w, const struct path *link);
void walk_done(struct walk *w);

/* Like inode_lookup_child() with dir->inode->lock held for writing. */
int inode_lookup_locked(struct dentry *dir, const struct vfs_name *name, struct dentry **ret);
