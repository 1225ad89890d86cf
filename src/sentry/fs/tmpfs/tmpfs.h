/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sentry/fs/tmpfs/tmpfs.h - tmpfs(5) and memfd_create(2).
 *
 * Files up to TMPFS_SMALL_MAX bytes lie in the sentry's memory; larger ones, and those that were
 * mapped, in a memfile each. An instance with a store has the latter on its disk, from
 * TMPFS_STORED_MIN bytes on.
 */
#pragma once

#include "sentry/vfs/file.h"

#define TMPFS_SMALL_MAX	      (64u * 1024)
#define TMPFS_STORED_MIN      4096u
#define TMPFS_XATTR_BYTES_MAX (128u * 1024) /* of one inode, names and values */
#define TMPFS_INODES_DEFAULT  1000000u

/*
 * Where an instance keeps contents that are not to lie in memory. Of whoever embeds it, until
 * tmpfs_new() has been called with it: then it is told its end.
 */
struct tmpfs_store {
	/* A new file without a name: a descriptor, the caller's. May park. 0 or -errno. */
	int (*file)(struct tmpfs_store *store, int *ret_fd);
	int (*statfs)(struct tmpfs_store *store, struct statfs *ret);
	void (*done)(struct tmpfs_store *store); /* the instance has ended; or NULL */
};

struct tmpfs_options {
	uint64_t size;	 /* bytes; 0: half of the memory */
	uint64_t inodes; /* 0: TMPFS_INODES_DEFAULT */
	uint32_t mode;	 /* of the root; 0: 01777 */
	uint32_t uid, gid;
	const struct user_ns *ns;  /* in whose ids the options of a mount are; borrowed */
	struct tmpfs_store *store; /* NULL: memory; as long as the instance */
};

/* Once, before anything else of this file. */
void tmpfs_register(void);

/* An instance with its root. options may be NULL. 0, -ENOMEM. */
int tmpfs_new(const struct tmpfs_options *options, struct superblock **ret);

/* The limit of every instance that asks for none (the container's memory limit). */
void tmpfs_set_default_size(uint64_t bytes);

/* memfd_create(2): flags are MFD_ALLOW_SEALING and MFD_NOEXEC_SEAL. 0, -ENOMEM. */
int tmpfs_memfd(const char *name, unsigned int flags, const struct cred *cred, struct file **ret);

/* F_GET_SEALS and F_ADD_SEALS: -EINVAL (not of tmpfs), -EPERM, -EBUSY. */
int tmpfs_get_seals(const struct file *f);
int tmpfs_add_seals(struct file *f, unsigned int seals);
