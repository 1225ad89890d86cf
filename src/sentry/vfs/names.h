/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/names.h - the judgements that names.c and rename.c share. Of this room only.
 */
#pragma once

#include "sentry/vfs/namei.h"

/* Errors of may_create() and may_delete() of Linux; dir's inode is locked. */
int names_may_create(const struct path *dir, const struct cred *cred);
int names_may_delete(const struct path *dir, const struct dentry *victim, const struct cred *cred,
		     bool want_dir);
/* Tell the watchers that a name is gone. */
void names_removed(struct inode *dir, const struct vfs_name *name, struct inode *victim);
