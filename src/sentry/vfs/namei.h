/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/vfs/namei.h - the one place where paths are walked (path_resolution(7)), and the
 * operations on names that the path calls of the syscall room are made of.
 *
 * `at` is where a relative path starts: NULL means ctx->cwd. Paths are kernel strings.
 */
#pragma once

#include "sentry/vfs/file.h"

enum walk_flags {
	WALK_FOLLOW = 1u << 0,	    /* follow a symlink in the last component */
	WALK_DIRECTORY = 1u << 1,   /* the result must be a directory */
	WALK_EMPTY = 1u << 2,	    /* AT_EMPTY_PATH: "" is the start itself */
	WALK_PARENT = 1u << 3,	    /* of this room: stop at the parent (walk.h) */
	WALK_NO_XDEV = 1u << 4,	    /* RESOLVE_NO_XDEV: -EXDEV */
	WALK_NO_MAGIC = 1u << 5,    /* RESOLVE_NO_MAGICLINKS: -ELOOP */
	WALK_NO_SYMLINKS = 1u << 6, /* RESOLVE_NO_SYMLINKS: -ELOOP */
	WALK_BENEATH = 1u << 7,	    /* RESOLVE_BENEATH: -EXDEV */
	WALK_IN_ROOT = 1u << 8,	    /* RESOLVE_IN_ROOT: the start is the root */
	WALK_NO_AUTOMOUNT = 1u << 9,
};

/* Errors: -ENOENT -ENOTDIR -ELOOP -EACCES -ENAMETOOLONG -EXDEV. *ret carries references. */
int path_walk(const struct vfs_ctx *ctx, const struct path *at, const char *name,
	      unsigned int flags, struct path *ret);

/*
 * In open flags: open for execution, for exec and its interpreters, with O_RDONLY. Wants a regular
 * file, execute permission and no MOUNT_NOEXEC (-EACCES), nobody who writes (-ETXTBSY); while the
 * file is open, nobody can open it for writing.
 */
#define VFS_OPEN_EXEC 0x20u

/* open(2) and openat2(2): flags are O_*, mode is masked by ctx->umask, walk has WALK_NO_* bits. */
int vfs_open(const struct vfs_ctx *ctx, const struct path *at, const char *name, uint32_t flags,
	     uint32_t mode, unsigned int walk, struct file **ret);
/* Open what a path already leads to (no walk). */
int vfs_open_path(const struct vfs_ctx *ctx, const struct path *p, uint32_t flags,
		  struct file **ret);

int vfs_mknod(const struct vfs_ctx *ctx, const struct path *at, const char *name, uint32_t mode,
	      uint64_t rdev);
int vfs_mkdir(const struct vfs_ctx *ctx, const struct path *at, const char *name, uint32_t mode);
int vfs_symlink(const struct vfs_ctx *ctx, const struct path *at, const char *name,
		const char *target);
int vfs_link(const struct vfs_ctx *ctx, const struct path *old, const struct path *at,
	     const char *name);
int vfs_unlink(const struct vfs_ctx *ctx, const struct path *at, const char *name, bool directory);
int vfs_rename(const struct vfs_ctx *ctx, const struct path *old_at, const char *old_name,
	       const struct path *new_at, const char *new_name, uint32_t flags);
/* Judges permission, stamps ctime, clears set-id bits as chown(2) does. */
int vfs_setattr(const struct vfs_ctx *ctx, const struct path *p, const struct setattr *attr);
/* truncate(2): -EFSIZELIMIT beyond ctx->fsize_limit. */
int vfs_truncate(const struct vfs_ctx *ctx, const struct path *p, uint64_t size);
/* ftruncate(2): permission was judged at open. */
int file_truncate(struct file *f, uint64_t size, uint64_t fsize_limit);
/* struct stat of an inode seen through a mount; refreshes attributes. */
int vfs_stat(const struct path *p, struct stat *ret);

int vfs_statfs(const struct path *p, struct statfs *ret);
/* access(2) with ctx->cred; mask MAY_*, 0: exists. Judges MOUNT_NOEXEC too. */
int vfs_access(const struct vfs_ctx *ctx, const struct path *p, unsigned int mask);
/* The target of a link, also of one that leads to an object; *ret is the caller's. -EINVAL. */
int vfs_readlink(const struct vfs_ctx *ctx, const struct path *p, char **ret);

/* Extended attributes with the namespaces' rules (xattr(7)). Results as in inode_ops. */
#define VFS_XATTR_NAME_MAX  255u
#define VFS_XATTR_VALUE_MAX 65536u
ssize_t vfs_getxattr(const struct vfs_ctx *ctx, const struct path *p, const char *name, void *value,
		     size_t size);
int vfs_setxattr(const struct vfs_ctx *ctx, const struct path *p, const char *name,
		 const void *value, size_t size, int flags);
ssize_t vfs_listxattr(const struct vfs_ctx *ctx, const struct path *p, char *list, size_t size);
int vfs_removexattr(const struct vfs_ctx *ctx, const struct path *p, const char *name);

/*
 * bind(2) of a unix socket of this type: inode->bound becomes `bound`. *ret carries a reference;
 * *ret_host_fd is the caller's, or -EBADF where the host does not take part. -EADDRINUSE.
 */
int vfs_bind_socket(const struct vfs_ctx *ctx, const char *name, int type, void *bound,
		    struct inode **ret, int *ret_host_fd);

/* Mounting. flags are MS_* of mount(2); the caller has judged CAP_SYS_ADMIN. */
int vfs_mount(const struct vfs_ctx *ctx, struct mount_ns *ns, const char *source,
	      const char *target, const char *type, uint64_t flags, const char *data);
int vfs_umount(const struct vfs_ctx *ctx, struct mount_ns *ns, const char *target, int flags);
int vfs_pivot_root(const struct vfs_ctx *ctx, struct mount_ns *ns, const char *new_root,
		   const char *put_old);

/* Boot: a namespace whose root is this superblock; mount a superblock at a path of it. */
int mount_ns_new(struct superblock *root, uint32_t mount_flags, const char *source,
		 struct mount_ns **ret);
/* `user`: who the copy belongs to; with a user namespace of its own it can take nothing away. */
int mount_ns_copy(struct mount_ns *ns, struct user_ns *user, struct path *root, struct path *cwd,
		  struct mount_ns **ret);
struct mount_ns *mount_ns_ref(struct mount_ns *ns);
void mount_ns_unref(struct mount_ns *ns);
int vfs_attach(struct mount_ns *ns, struct superblock *sb, const struct path *at,
	       uint32_t mount_flags, const char *source);
