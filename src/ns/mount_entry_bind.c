/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounts[] without a type: bind mounts.
 */
#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/str.h"
#include "ns/mount_bind.h"
#include "ns/mount_entry.h"
#include "ns/mount_fs.h"

/* "copy-symlink": the source is a link; make the same link at the destination. 1: done, 0: no link.
 */
static int copy_symlink(const struct rootfs *rootfs, const struct mount_entry *e, int dir_fd,
			struct err *err)
{
	char text[4096];
	const ssize_t n = readlinkat(dir_fd, e->m->source, text, sizeof(text) - 1);
	int r;

	if (n < 0)
		return errno == EINVAL ? 0 : mount_fail(err, -errno);
	text[n] = '\0';
	r = mount_make_link(rootfs->root_fd, e->m->destination, text, err);
	return r < 0 ? r : 1;
}

/*
 * The clone of the source: opened here, or by the parent in the host's mount namespace. There it
 * may be a peer of the host's mounts; as all that a container sees by default it becomes a slave of
 * them.
 */
static int open_source(const struct mount_entry *e, int dir_fd, int *ret_mount_fd, struct err *err)
{
	const struct mount_options slave = { .propagation = MS_SLAVE | MS_REC };
	AUTO_CLOSE int fd = -EBADF;
	int r;

	if (e->source_fd < 0)
		return mount_bind_open(dir_fd, e->m->source, e->o, ret_mount_fd, err);
	fd = fcntl(e->source_fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return mount_fail(err, -errno);
	r = mount_apply_options(fd, &slave, 0, err);
	if (r == 0)
		*ret_mount_fd = TAKE_FD(fd);
	return r;
}

/* The place of a clone: a file for a file. What is missing is made to fit. */
static int open_place(const struct rootfs *rootfs, const struct mount_entry *e, int mount_fd,
		      struct mount_target *ret, struct err *err)
{
	const unsigned int flags = e->o->dest_nofollow ? TARGET_NOFOLLOW : 0u;
	struct stat st;
	int r = mount_target_open(rootfs->root_fd, e->m->destination, flags, ret, err);

	if (r != -ENOENT)
		return r;
	if (fstat(mount_fd, &st) < 0)
		return mount_fail(err, -errno);
	return mount_target_open(rootfs->root_fd, e->m->destination,
				 flags | TARGET_CREATE | (S_ISDIR(st.st_mode) ? 0u : TARGET_FILE),
				 ret, err);
}

int mount_entry_bind(struct rootfs *rootfs, const struct mount_entry *e, struct err *err)
{
	AUTO_MOUNT_TARGET struct mount_target target = MOUNT_TARGET_INIT;
	AUTO_CLOSE int bundle_fd = -EBADF;
	AUTO_CLOSE int mount_fd = -EBADF;
	int r;

	if (!e->m->source || !*e->m->source)
		return err_set(err, -EINVAL, "a bind mount needs a source");
	if (e->m->source[0] != '/' && e->source_fd < 0) {
		bundle_fd = open(rootfs->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (bundle_fd < 0)
			return err_sys(err, -errno, "open the bundle %s", rootfs->bundle);
	}
	if (e->o->copy_symlink && e->source_fd < 0 &&
	    (r = copy_symlink(rootfs, e, bundle_fd, err)) != 0)
		return r < 0 ? r : 0;
	r = open_source(e, bundle_fd, &mount_fd, err);
	if (r == 0)
		r = open_place(rootfs, e, mount_fd, &target, err);
	if (r < 0)
		return r;
	if (e->userns_fd >= 0)
		r = mount_apply_idmap(mount_fd, e->userns_fd, e->o->ridmap, err);
	if (r == 0)
		r = mount_apply_options(mount_fd, e->o, mount_later_attr(e, &target), err);
	return r < 0 ? r : mount_attach_with(rootfs, mount_fd, e, &target, err);
}
