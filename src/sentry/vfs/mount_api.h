/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/mount_api.h - open_tree(2), move_mount(2), fsopen(2), fsconfig(2), fsmount(2),
 * fspick(2): mounts that files hold, and file systems that are described step by step.
 *
 * The caller has judged CAP_SYS_ADMIN over the mount namespace where the calls want it.
 */
#pragma once

#include "sentry/vfs/mount.h"

#define FS_CONFIG_KEY_MAX     255u  /* bytes of a key or a value (strndup_user() of 256) */
#define FS_CONFIG_OPTIONS_MAX 4095u /* bytes of all options (PAGE_SIZE) */

/* open_tree(2) with OPEN_TREE_CLONE: an O_PATH file that holds a detached copy. 0, -EINVAL,
 * -ENOMEM. */
int vfs_open_tree(const struct vfs_ctx *ctx, struct mount_ns *ns, const struct path *from,
		  bool recursive, struct file **ret);

/* 0, -EINVAL, -ELOOP, -ENOENT, -ENOSPC, -ENOMEM. */
int vfs_move_mount(struct mount_ns *ns, const struct path *from, const struct path *to);

/* A file that describes a new instance of `type`. 0, -ENODEV, -ENOMEM. */
int fs_config_open(const struct vfs_ctx *ctx, const char *type, struct file **ret);
/* One that changes what is mounted at a path. 0, -EINVAL (no mount), -ENOMEM. */
int fs_config_pick(const struct vfs_ctx *ctx, const struct path *p, struct file **ret);
bool fs_config_file(const struct file *f);

/* FSCONFIG_SET_FLAG (value NULL) and FSCONFIG_SET_STRING: 0, -EBUSY, -EINVAL, -ENOMEM. */
int fs_config_set(struct file *f, const char *key, const char *value);
/* FSCONFIG_CMD_CREATE, FSCONFIG_CMD_RECONFIGURE: 0, -EBUSY, -EPERM, or what the type says. */
int fs_config_create(const struct vfs_ctx *ctx, struct file *f);
int fs_config_reconfigure(const struct vfs_ctx *ctx, struct file *f);

/* An O_PATH file that holds a mount of what was created. 0, -EBUSY, -EINVAL, -EPERM, -ENOMEM. */
int fs_config_mount(const struct vfs_ctx *ctx, struct mount_ns *ns, struct file *f,
		    uint32_t mount_flags, struct file **ret);
