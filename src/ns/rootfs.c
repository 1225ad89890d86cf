/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/rootfs.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "base/str.h"
#include "ns/devices.h"
#include "ns/mask.h"
#include "ns/mount_bind.h"
#include "ns/mount_entry.h"
#include "ns/mount_fs.h"
#include "ns/rootfs_enter.h"

#define PTY_MAJOR_FIRST 136u /* UNIX98 pty slaves: 136..143 (devices.txt) */
#define PTY_MAJOR_LAST	143u

/*
 * The path of the root as a mount of its own. A mount that propagates would show everything that is
 * mounted below it on the host: the mount that holds the root is made private first.
 */
static int bind_root(struct rootfs *rootfs)
{
	AUTO_CLOSE int fd = open(rootfs->path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int tree = -EBADF;

	if (fd < 0)
		return -errno;
	tree = open_tree(fd, "",
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_EMPTY_PATH);
	if (tree < 0 ||
	    move_mount(tree, "", fd, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return -errno;
	rootfs->root_fd = TAKE_FD(tree);
	return 0;
}

static int perform_mounts(struct rootfs *rootfs, struct err *err)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < rootfs->spec->mounts_len; i++)
		r = mount_entry_perform(rootfs, i, err);
	return r;
}

int rootfs_prepare(struct rootfs *rootfs, struct err *err)
{
	/* Modes of nodes and directories are exact. */
	const mode_t mask = umask(0);
	int r = rootfs_isolate(rootfs, err);

	if (r == 0 && (r = bind_root(rootfs)) < 0)
		(void)err_sys(err, r, "root file system %s", rootfs->path);
	if (r == 0)
		r = perform_mounts(rootfs, err);
	if (r == 0 && devices_wanted(rootfs->spec))
		r = devices_make(rootfs, err);
	(void)umask(mask);
	/* Where runc's createContainer hooks start; the steps above have been in several places. */
	if (r == 0 && fchdir(rootfs->root_fd) < 0)
		return err_sys(err, -errno, "enter the root file system");
	return r;
}

/* An ordinary file or a device, never a link or a directory (CVE-2025-52565). */
static int open_console_place(const struct rootfs *rootfs)
{
	AUTO_CLOSE int dev = fd_open_resolve(rootfs->root_fd, "/dev", O_PATH | O_DIRECTORY, 0,
					     RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	AUTO_CLOSE int fd = -EBADF;
	struct stat st;

	if (dev < 0)
		return dev;
	fd = openat(dev, "console", O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0 && errno == EEXIST)
		fd = openat(dev, "console", O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISLNK(st.st_mode))
		return -ELOOP;
	return S_ISREG(st.st_mode) || S_ISCHR(st.st_mode) ? TAKE_FD(fd) : -EINVAL;
}

int rootfs_console(struct rootfs *rootfs, int slave, struct err *err)
{
	AUTO_CLOSE int place = -EBADF;
	AUTO_CLOSE int clone = -EBADF;
	struct stat st;

	if (fstat(slave, &st) < 0)
		return err_sys(err, -errno, "terminal");
	if (!S_ISCHR(st.st_mode) || major(st.st_rdev) < PTY_MAJOR_FIRST ||
	    major(st.st_rdev) > PTY_MAJOR_LAST)
		return err_set(err, -ENOTTY, "the console is not a pseudo-terminal");
	place = open_console_place(rootfs);
	if (place < 0)
		return err_sys(err, place, "/dev/console");
	clone = open_tree(slave, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (clone < 0 ||
	    move_mount(clone, "", place, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return err_sys(err, -errno, "mount the terminal at /dev/console");
	return 0;
}

int rootfs_finish(struct rootfs *rootfs, struct err *err)
{
	int r = 0;

	for (size_t i = 0; i < rootfs->readonly_len; i++) {
		r = mount_set_readonly(rootfs->readonly_fds[i], false);
		if (r < 0)
			return err_sys(err, r, "make a mount read-only");
	}
	if (rootfs->spec->root.readonly) {
		r = mount_set_readonly(rootfs->root_fd, false);
		if (r < 0)
			return err_sys(err, r, "make the root file system read-only");
	}
	r = mask_apply(rootfs->root_fd, rootfs->spec, err);
	return r < 0 ? r : rootfs_propagate(rootfs, err);
}

void rootfs_done(struct rootfs *rootfs)
{
	if (!rootfs)
		return;
	for (size_t i = 0; i < rootfs->readonly_len; i++)
		(void)close(rootfs->readonly_fds[i]);
	free(rootfs->readonly_fds);
	rootfs->readonly_fds = NULL;
	rootfs->readonly_len = 0;
	auto_close_p(&rootfs->dev_fd);
	auto_close_p(&rootfs->root_fd);
	rootfs->dev_fd = rootfs->root_fd = -EBADF;
}
