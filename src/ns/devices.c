/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/devices.h"

#include <fcntl.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/str.h"
#include "host/mount_options.h"
#include "ns/mount_entry.h"
#include "ns/mount_fs.h"
#include "ns/mount_target.h"

#define MODE_DEFAULT 0666

static const struct oci_device default_devices[] = {
	{ .type = 'c', .path = "/dev/null", .major = 1, .minor = 3 },
	{ .type = 'c', .path = "/dev/zero", .major = 1, .minor = 5 },
	{ .type = 'c', .path = "/dev/full", .major = 1, .minor = 7 },
	{ .type = 'c', .path = "/dev/random", .major = 1, .minor = 8 },
	{ .type = 'c', .path = "/dev/urandom", .major = 1, .minor = 9 },
	{ .type = 'c', .path = "/dev/tty", .major = 5, .minor = 0 },
};

/* Where a name goes: in the tmpfs of /dev, which is ours alone, or in a directory of the root. */
struct place {
	int dir_fd; /* borrowed */
	const char *name;
	struct mount_target parent; /* owned; unused for the tmpfs */
};

static void place_done(struct place *p)
{
	mount_target_done(&p->parent);
}

static int place_open(const struct rootfs *rootfs, const char *path, struct place *ret,
		      struct err *err)
{
	const char *in_dev = mount_name_in_dev(rootfs, path);
	int r;

	if (in_dev) {
		ret->dir_fd = rootfs->dev_fd;
		ret->name = in_dev;
		return 0;
	}
	r = mount_target_open_parent(rootfs->root_fd, path, &ret->parent, &ret->name, err);
	if (r == 0)
		ret->dir_fd = ret->parent.fd;
	return r;
}

static mode_t type_bits(const struct oci_device *d)
{
	return d->type == 'b' ? S_IFBLK : d->type == 'p' ? S_IFIFO : S_IFCHR;
}

static bool is_device(const struct stat *st, const struct oci_device *d)
{
	if ((st->st_mode & S_IFMT) != type_bits(d))
		return false;
	return d->type == 'p' ||
	       st->st_rdev == makedev((unsigned int)d->major, (unsigned int)d->minor);
}

/* What is there already: the same device is fine (mounts[] may have put it there). */
static int accept_existing(const struct place *p, const struct oci_device *d)
{
	AUTO_CLOSE int fd = openat(p->dir_fd, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return is_device(&st, d) ? 0 : -EEXIST;
}

/*
 * The host's node at the same path, its identity verified on the descriptor that is then mounted,
 * on an empty file.
 */
static int bind_device(const struct place *p, const struct oci_device *d)
{
	AUTO_CLOSE int source = open_tree(AT_FDCWD, d->path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	AUTO_CLOSE int file = -EBADF;
	struct stat st;

	if (source < 0 || fstat(source, &st) < 0)
		return -errno;
	if (!is_device(&st, d))
		return -ENODEV;
	file = openat(p->dir_fd, p->name, O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0);
	if (file < 0 && errno == EEXIST) {
		if (accept_existing(p, d) == 0)
			return 0;
		file = openat(p->dir_fd, p->name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	}
	if (file < 0)
		return -errno;
	return move_mount(source, "", file, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) <
			       0
		       ? -errno
		       : 0;
}

/* What an earlier start has bound a device on, in a root file system that takes no nodes. */
static bool is_empty_place(const struct place *p)
{
	struct stat st;

	return fstatat(p->dir_fd, p->name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	       st.st_mode == S_IFREG && st.st_size == 0;
}

static int make_node(const struct place *p, const struct oci_device *d)
{
	const mode_t mode = d->file_mode.set ? (mode_t)d->file_mode.v & 07777 : MODE_DEFAULT;
	const uid_t uid = d->uid.set ? (uid_t)d->uid.v : 0;
	const gid_t gid = d->gid.set ? (gid_t)d->gid.v : 0;

	if (mknodat(p->dir_fd, p->name, type_bits(d) | mode,
		    d->type == 'p' ? 0 : makedev((unsigned int)d->major, (unsigned int)d->minor)) <
	    0)
		return -errno;
	if ((uid || gid) && fchownat(p->dir_fd, p->name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int make_device(const struct rootfs *rootfs, const struct oci_device *d, struct err *err)
{
	AUTO(place_done) struct place p = { .parent = MOUNT_TARGET_INIT };
	int r = place_open(rootfs, d->path, &p, err);

	if (r < 0)
		return err_prefix(err, r, "device %s", d->path);
	r = rootfs->new_userns && d->type != 'p' ? -EPERM : make_node(&p, d);
	if (r == -EEXIST && d->type != 'p' && is_empty_place(&p))
		r = bind_device(&p, d);
	else if (r == -EEXIST)
		r = accept_existing(&p, d);
	else if (r == -EPERM && d->type != 'p')
		r = bind_device(&p, d);
	return r < 0 ? err_sys(err, r, "device %s", d->path) : 0;
}

static bool is_given(const struct oci_spec *spec, const char *path)
{
	for (size_t i = 0; i < spec->linux.devices_len; i++) {
		if (strcmp(spec->linux.devices[i].path, path) == 0)
			return true;
	}
	return false;
}

/*
 * ptmx of a devpts of the container's own; what an image brings goes, but for the device itself: it
 * finds the devpts beside it (devpts.rst of the kernel).
 */
static int link_ptmx(const struct place *p)
{
	static const struct oci_device ptmx = { .type = 'c', .major = 5, .minor = 2 };

	if (symlinkat("pts/ptmx", p->dir_fd, p->name) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	if (accept_existing(p, &ptmx) == 0)
		return 0;
	if (unlinkat(p->dir_fd, p->name, 0) < 0 || symlinkat("pts/ptmx", p->dir_fd, p->name) < 0)
		return -errno;
	return 0;
}

/* An existing name stays: an image may have its own idea of it. */
static int make_link(const struct place *p, const char *text)
{
	return symlinkat(text, p->dir_fd, p->name) < 0 && errno != EEXIST ? -errno : 0;
}

static int make_links(const struct rootfs *rootfs, struct err *err)
{
	static const struct {
		const char *path;
		const char *text;
	} links[] = {
		{ "/dev/fd", "/proc/self/fd" },	      { "/dev/stdin", "/proc/self/fd/0" },
		{ "/dev/stdout", "/proc/self/fd/1" }, { "/dev/stderr", "/proc/self/fd/2" },
		{ "/dev/core", "/proc/kcore" },	      { "/dev/ptmx", NULL },
	};

	for (size_t i = 0; i < ARRAY_LEN(links); i++) {
		AUTO(place_done) struct place p = { .parent = MOUNT_TARGET_INIT };
		int r = place_open(rootfs, links[i].path, &p, err);

		if (r < 0)
			return err_prefix(err, r, "link %s", links[i].path);
		r = links[i].text ? make_link(&p, links[i].text) : link_ptmx(&p);
		if (r < 0)
			return err_sys(err, r, "link %s", links[i].path);
	}
	return 0;
}

bool devices_wanted(const struct oci_spec *spec)
{
	for (size_t i = 0; i < spec->mounts_len; i++) {
		const struct oci_mount *m = &spec->mounts[i];
		bool bind = str_eq(m->type, "bind") || str_eq(m->type, "rbind");

		if (!str_eq(m->destination, "/dev") && !str_eq(m->destination, "/dev/"))
			continue;
		for (size_t j = 0; j < m->options.len; j++)
			bind |= str_eq(m->options.items[j], "bind") ||
				str_eq(m->options.items[j], "rbind");
		if (bind)
			return false;
	}
	return true;
}

int devices_make(struct rootfs *rootfs, struct err *err)
{
	const struct oci_spec *spec = rootfs->spec;
	int r = 0;

	for (size_t i = 0; r == 0 && i < spec->linux.devices_len; i++)
		r = make_device(rootfs, &spec->linux.devices[i], err);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(default_devices); i++) {
		if (!is_given(spec, default_devices[i].path))
			r = make_device(rootfs, &default_devices[i], err);
	}
	return r < 0 ? r : make_links(rootfs, err);
}
