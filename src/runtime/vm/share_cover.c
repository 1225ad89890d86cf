/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/share_cover.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/statmount.h"
#include "ns/mount_fs.h"
#include "runtime/sandbox/submounts.h"

#define ROUNDS	 100
#define ROUND_US 1000

#ifndef CONFIGFS_MAGIC
#define CONFIGFS_MAGIC 0x62656570 /* fs/configfs/mount.c */
#endif
#ifndef MQUEUE_MAGIC
#define MQUEUE_MAGIC 0x19800202 /* ipc/mqueue.c */
#endif

static bool is_magic(uint64_t magic)
{
	switch (magic) {
	case PROC_SUPER_MAGIC:
	case SYSFS_MAGIC:
	case CGROUP_SUPER_MAGIC:
	case CGROUP2_SUPER_MAGIC:
	case DEVPTS_SUPER_MAGIC:
	case MQUEUE_MAGIC:
	case DEBUGFS_MAGIC:
	case TRACEFS_MAGIC:
	case SECURITYFS_MAGIC:
	case BPF_FS_MAGIC:
	case BINFMTFS_MAGIC:
	case CONFIGFS_MAGIC:
	case EFIVARFS_MAGIC:
	case PSTOREFS_MAGIC:
	case RDTGROUP_SUPER_MAGIC:
	case SELINUX_MAGIC:
	case SMACK_MAGIC:
		return true;
	default:
		return false;
	}
}

bool share_is_of_kernel(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && is_magic((uint64_t)fs.f_type);
}

static int cover(int fd, struct err *err)
{
	const struct mount_fs fs = { .type = "tmpfs",
				     .data = "mode=755,size=4k",
				     .attr = MOUNT_ATTR_RDONLY };
	AUTO_CLOSE int empty = -EBADF;
	const int r = mount_fs_create(&fs, &empty, err);

	if (r < 0)
		return r;
	return move_mount(empty, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0
		       ? -errno
		       : 0;
}

/* What paths lead to. */
static int cover_all(int top, struct buf *mountinfo, struct err *err)
{
	AUTO_STRV char **places = NULL;
	int r = submounts_below(top, mountinfo, &places);

	for (size_t i = 0; r == 0 && places && places[i]; i++) {
		AUTO_CLOSE int fd = fd_open_resolve(top, places[i], O_PATH | O_CLOEXEC, 0,
						    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

		/* Below one that is covered already, or hidden by another. */
		if (fd < 0 || !share_is_of_kernel(fd))
			continue;
		r = cover(fd, err);
	}
	return r;
}

struct below {
	struct mount_below *mounts; /* owned */
	size_t len;
};

static void below_done(struct below *b)
{
	mounts_below_free(b->mounts, b->len);
}

static const struct mount_below *find(const struct below *b, uint64_t id)
{
	for (size_t i = 0; i < b->len; i++) {
		if (b->mounts[i].id == id)
			return &b->mounts[i];
	}
	return NULL;
}

/* Another one, which is not `except`, lies on its root directory. */
static bool is_under(const struct below *b, const struct mount_below *m, uint64_t except)
{
	for (size_t i = 0; i < b->len; i++) {
		const struct mount_below *other = &b->mounts[i];

		if (other->parent == m->id && other->id != except && *other->point &&
		    str_eq(other->point, m->point))
			return true;
	}
	return false;
}

/* It, or what it is mounted in, however directories are called. */
static bool is_covered(const struct below *b, const struct mount_below *m)
{
	uint64_t from = 0;

	for (; m; m = find(b, m->parent)) {
		if (is_under(b, m, from))
			return true;
		from = m->id;
	}
	return false;
}

/* Of the entry of the tree that it lies in: the last part of its point. */
static void name_of(const struct below *b, const struct mount_below *m, uint64_t top,
		    char ret[static SHARE_COVER_NAME_MAX])
{
	const char *slash;

	while (m && m->parent != top)
		m = find(b, m->parent);
	slash = m ? strrchr(m->point, '/') : NULL;
	(void)snprintf(ret, SHARE_COVER_NAME_MAX, "%s", slash ? slash + 1 : "");
}

/* 1; 0: not yet; -errno. Where the kernel cannot tell it is as paths were. */
static int all_covered(int top, char ret_name[static SHARE_COVER_NAME_MAX])
{
	AUTO(below_done) struct below b = { 0 };
	uint64_t id;
	int r = statmount_id(top, "", false, &id);

	if (r == 0)
		r = mounts_below_list(id, &b.mounts, &b.len);
	if (r < 0)
		return r == -ENODATA ? 1 : r;
	for (size_t i = 0; i < b.len; i++) {
		if (is_magic(b.mounts[i].magic) && !is_covered(&b, &b.mounts[i])) {
			name_of(&b, &b.mounts[i], id, ret_name);
			return 0;
		}
	}
	return 1;
}

int share_cover_kernels(int top, const char *source, struct buf *mountinfo, struct err *err)
{
	const int r = cover_all(top, mountinfo, err);

	return r < 0 ? err_sys(err, r, "%s: cover what is of the host's kernel", source) : 0;
}

int share_cover_again(int top, char ret_name[static SHARE_COVER_NAME_MAX])
{
	struct err ignored = { 0 };

	for (int round = 0; round < ROUNDS; round++) {
		AUTO_BUF struct buf mountinfo = { 0 };
		int r = all_covered(top, ret_name);

		if (r != 0)
			return r < 0 ? r : 0;
		r = cover_all(top, &mountinfo, &ignored);
		if (r < 0)
			return r;
		(void)usleep(ROUND_US);
	}
	return -EBUSY;
}
