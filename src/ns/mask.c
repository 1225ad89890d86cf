/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/mask.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/fd.h"
#include "base/str.h"
#include "host/procfs.h"
#include "ns/mount_bind.h"
#include "ns/mount_fs.h"

#define RESOLVE_STRICT (RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)

struct mask {
	int root_fd;  /* borrowed */
	int proc_fd;  /* owned: the container's /proc, verified; -EBADF: it has none */
	int null_fd;  /* owned: the container's /dev/null, verified, once it is needed */
	int tmpfs_fd; /* owned: the mount on the first masked directory; the others are its clones
		       */
};

static void mask_done(struct mask *m)
{
	auto_close_p(&m->proc_fd);
	auto_close_p(&m->null_fd);
	auto_close_p(&m->tmpfs_fd);
}

/* A path to act on: `name` in dir_fd, or "" and dir_fd itself. */
struct spot {
	int dir_fd; /* borrowed or = owned_fd */
	const char *name;
	int owned_fd;
};

static void spot_done(struct spot *s)
{
	auto_close_p(&s->owned_fd);
}

/*
 * NAME of "/proc/NAME", for which no path has to be walked: the verified procfs has no links among
 * its names but these, which are left to the usual way.
 */
static const char *name_in_proc(const struct mask *m, const char *path)
{
	static const char *const links[] = { "self", "thread-self", "net", "mounts" };
	const char *name = str_after(path, "/proc/");

	if (m->proc_fd < 0 || !name || !*name || *name == '.' || strchr(name, '/'))
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		if (strcmp(name, links[i]) == 0)
			return NULL;
	}
	return name;
}

static int find_spot(const struct mask *m, const char *path, struct spot *ret)
{
	const char *in_proc = name_in_proc(m, path);

	if (in_proc) {
		ret->dir_fd = m->proc_fd;
		ret->name = in_proc;
		return 0;
	}
	ret->owned_fd = fd_open_resolve(m->root_fd, path, O_PATH, 0,
					RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
	ret->dir_fd = ret->owned_fd;
	ret->name = "";
	return ret->owned_fd < 0 ? ret->owned_fd : 0;
}

static int attach(int mount_fd, const struct spot *s)
{
	const unsigned int flags =
		MOVE_MOUNT_F_EMPTY_PATH | (*s->name ? 0u : (unsigned int)MOVE_MOUNT_T_EMPTY_PATH);

	return move_mount(mount_fd, "", s->dir_fd, s->name, flags) < 0 ? -errno : 0;
}

static int open_null(const struct mask *m)
{
	AUTO_CLOSE int fd = fd_open_resolve(m->root_fd, "/dev/null", O_PATH, 0, RESOLVE_STRICT);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return -EXDEV;
	return TAKE_FD(fd);
}

static int mask_file(struct mask *m, const struct spot *s, struct err *err)
{
	AUTO_CLOSE int fd = -EBADF;
	int r;

	if (m->null_fd < 0) {
		m->null_fd = open_null(m);
		if (m->null_fd == -EXDEV)
			return err_set(err, -EXDEV, "/dev/null is not the null device");
		if (m->null_fd < 0)
			return err_sys(err, m->null_fd, "open /dev/null");
	}
	fd = open_tree(m->null_fd, "", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
	if (fd < 0)
		return err_sys(err, -errno, "clone /dev/null");
	r = attach(fd, s);
	return r < 0 ? mount_fail(err, r) : 0;
}

/*
 * The first tmpfs mount is attached itself: a detached mount may be cloned only since Linux 6.15,
 * and closing one that was never attached costs a grace period.
 */
static int mask_directory(struct mask *m, const struct spot *s, const char *label, struct err *err)
{
	const struct mount_fs fs = {
		.type = "tmpfs",
		.data = "nr_inodes=1,mode=755",
		.label = label,
		.attr = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
			MOUNT_ATTR_NOEXEC,
	};
	AUTO_CLOSE int fd = -EBADF;
	int r;

	if (m->tmpfs_fd < 0) {
		r = mount_fs_create(&fs, &fd, err);
		if (r < 0)
			return r;
	} else {
		fd = open_tree(m->tmpfs_fd, "",
			       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
		if (fd < 0)
			return err_sys(err, -errno, "clone the empty tmpfs");
	}
	r = attach(fd, s);
	if (r < 0)
		return mount_fail(err, r);
	if (m->tmpfs_fd < 0)
		m->tmpfs_fd = TAKE_FD(fd);
	return 0;
}

static int mask_path(struct mask *m, const char *path, const char *label, struct err *err)
{
	AUTO(spot_done) struct spot s = { .owned_fd = -EBADF };
	struct stat st;
	int r = find_spot(m, path, &s);

	if (r == 0 && fstatat(s.dir_fd, s.name, &st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		r = -errno;
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r < 0)
		return mount_fail(err, r);
	return S_ISDIR(st.st_mode) ? mask_directory(m, &s, label, err) : mask_file(m, &s, err);
}

/* The mount alone becomes read-only; what mounts[] put below it keeps its own options. */
static int make_readonly(const struct mask *m, const char *path, struct err *err)
{
	AUTO(spot_done) struct spot s = { .owned_fd = -EBADF };
	AUTO_CLOSE int fd = -EBADF;
	int r = find_spot(m, path, &s);

	if (r == 0) {
		fd = open_tree(s.dir_fd, s.name,
			       OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE |
				       AT_SYMLINK_NOFOLLOW | (*s.name ? 0u : AT_EMPTY_PATH));
		if (fd < 0)
			r = -errno;
	}
	if (r == -ENOENT || r == -ENOTDIR)
		return 0;
	if (r == 0)
		r = mount_set_readonly(fd, false);
	if (r == 0)
		r = attach(fd, &s);
	return r < 0 ? mount_fail(err, r) : 0;
}

/* No procfs there is no error: then /proc is a directory like any other. */
static void open_proc(struct mask *m)
{
	const int fd =
		fd_open_resolve(m->root_fd, "/proc", O_PATH | O_DIRECTORY, 0, RESOLVE_STRICT);

	if (fd >= 0 && procfs_verify_root(fd) == 0)
		m->proc_fd = fd;
	else if (fd >= 0)
		(void)close(fd);
}

int mask_apply(int root_fd, const struct oci_spec *spec, struct err *err)
{
	const struct oci_strs *readonly = &spec->linux.readonly_paths;
	const struct oci_strs *masked = &spec->linux.masked_paths;
	AUTO(mask_done)
	struct mask m = {
		.root_fd = root_fd,
		.proc_fd = -EBADF,
		.null_fd = -EBADF,
		.tmpfs_fd = -EBADF,
	};
	int r;

	if (readonly->len == 0 && masked->len == 0)
		return 0;
	open_proc(&m);
	for (size_t i = 0; i < readonly->len; i++) {
		r = make_readonly(&m, readonly->items[i], err);
		if (r < 0)
			return err_prefix(err, r, "read-only path %s", readonly->items[i]);
	}
	for (size_t i = 0; i < masked->len; i++) {
		r = mask_path(&m, masked->items[i], spec->linux.mount_label, err);
		if (r < 0)
			return err_prefix(err, r, "masked path %s", masked->items[i]);
	}
	return 0;
}
