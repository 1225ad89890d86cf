/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/share_source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "host/mount_options.h"
#include "ns/mount_bind.h"
#include "ns/mount_fs.h"

#define GUARD_ATTRIBUTES (MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID)

#ifndef MQUEUE_MAGIC
#define MQUEUE_MAGIC 0x19800202 /* ipc/mqueue.c */
#endif

void share_source_done(struct share_source *source)
{
	auto_close_p(&source->fd);
	free(source->link);
	free(source->guest);
	*source = (struct share_source){ .fd = -EBADF };
}

const char *share_device_name(unsigned int major, unsigned int minor)
{
	/* Documentation/admin-guide/devices.txt of Linux */
	static const struct {
		unsigned int major, minor;
		const char *name;
	} devices[] = {
		{ 1, 3, "/dev/null" },	     { 1, 5, "/dev/zero" },    { 1, 7, "/dev/full" },
		{ 1, 8, "/dev/random" },     { 1, 9, "/dev/urandom" }, { 5, 0, "/dev/tty" },
		{ 10, 200, "/dev/net/tun" }, { 10, 229, "/dev/fuse" },
	};

	for (size_t i = 0; i < ARRAY_LEN(devices); i++) {
		if (devices[i].major == major && devices[i].minor == minor)
			return devices[i].name;
	}
	return NULL;
}

/* "mount /src at /data: " and the sentence. */
static int refuse(const struct oci_mount *m, struct err *err, const char *why)
{
	return err_set(err, -ENOTSUP, "mount %s at %s: %s", m->source, m->destination, why);
}

/* File systems that say what a kernel is or does: the guest's container wants the guest's. */
static bool is_of_kernel(int fd)
{
	struct statfs fs;

	if (fstatfs(fd, &fs) < 0)
		return false;
	switch (fs.f_type) {
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
		return true;
	default:
		return false;
	}
}

static bool is_namespace(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

/* devtmpfs is a tmpfs to statfs(2): the one at /dev is meant. */
static bool is_host_dev(const struct oci_mount *m)
{
	return str_eq(m->source, "/dev") || str_eq(m->source, "/dev/");
}

static int take_guests(const char *path, struct share_source *s)
{
	auto_close_p(&s->fd);
	s->fd = -EBADF;
	s->kind = SOURCE_GUESTS;
	s->guest = strdup(path);
	return s->guest ? 0 : -ENOMEM;
}

static int take_disk(const struct oci_mount *m, const struct mount_options *o,
		     struct share_source *s, struct err *err)
{
	struct statvfs fs;
	char path[FD_PATH_MAX];
	int fd;

	s->readonly = o->attr_set & MOUNT_ATTR_RDONLY ||
		      (fstatvfs(s->fd, &fs) == 0 && fs.f_flag & ST_RDONLY);
	fd = open(fd_path(s->fd, path), (s->readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return err_sys(err, -errno, "mount %s at %s", m->source, m->destination);
	(void)close(s->fd);
	s->fd = fd;
	s->kind = SOURCE_DISK;
	return 0;
}

static int take_device(const struct oci_mount *m, const struct stat *st, struct share_source *s,
		       struct err *err)
{
	const char *name = share_device_name(major(st->st_rdev), minor(st->st_rdev));

	if (!name)
		return err_set(err, -ENOTSUP,
			       "mount %s at %s: the virtual machine has no character device %u:%u "
			       "of the host",
			       m->source, m->destination, major(st->st_rdev), minor(st->st_rdev));
	return take_guests(name, s);
}

/* What the clone is decides what becomes of it. */
static int judge(const struct oci_mount *m, const struct mount_options *o, struct share_source *s,
		 struct err *err)
{
	struct stat st;

	if (fstat(s->fd, &st) < 0)
		return err_sys(err, -errno, "mount %s at %s", m->source, m->destination);
	s->is_directory = S_ISDIR(st.st_mode);
	if (S_ISCHR(st.st_mode))
		return take_device(m, &st, s, err);
	if (S_ISBLK(st.st_mode))
		return take_disk(m, o, s, err);
	if (S_ISSOCK(st.st_mode))
		return refuse(m, err,
			      "a socket of the host cannot be reached from a virtual machine");
	if (S_ISFIFO(st.st_mode))
		return refuse(m, err, "a fifo does not lead into a virtual machine");
	if (is_namespace(s->fd))
		return refuse(m, err, "a namespace of the host is none in a virtual machine");
	if (!s->made && m->source[0] == '/' && (is_of_kernel(s->fd) || is_host_dev(m)))
		return take_guests(m->source, s);
	s->kind = s->is_directory ? SOURCE_DIRECTORY : SOURCE_FILE;
	return 0;
}

/* An overlay, whose directories are the host's, and what is idmapped. */
static int make_on_host(const struct oci_mount *m, const struct mount_options *o, int userns,
			struct share_source *s, struct err *err)
{
	const struct mount_fs fs = {
		.type = m->type,
		.source = m->source,
		.data = o->data,
		.flags = o->flags,
		.attr = o->attr_set,
	};
	int r;

	if (userns >= 0 && !str_eq(m->type, "tmpfs"))
		return err_set(err, -EINVAL, "mount %s at %s: idmap: Invalid argument", m->type,
			       m->destination);
	if (userns < 0 && !str_eq(m->type, "overlay"))
		return 0;
	if (!mount_fs_is_plain(&fs))
		return err_set(err, -E2BIG, "mount %s at %s: an option of 256 bytes or more",
			       m->type, m->destination);
	r = mount_fs_create(&fs, &s->fd, err);
	if (r == 0 && userns >= 0)
		r = mount_apply_idmap(s->fd, userns, false, err);
	s->made = r == 0;
	return r < 0 ? err_prefix(err, r, "mount %s at %s", m->type, m->destination) : 0;
}

static int read_link(const struct oci_mount *m, const char *bundle, struct share_source *s,
		     struct err *err)
{
	AUTO_CLOSE int dir = -EBADF;
	char text[PATH_MAX];
	ssize_t n;

	if (m->source[0] != '/') {
		dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (dir < 0)
			return err_sys(err, -errno, "open the bundle %s", bundle);
	}
	n = readlinkat(dir, m->source, text, sizeof(text) - 1);
	if (n < 0)
		return 0; /* no link */
	s->kind = SOURCE_LINK;
	s->link = strndup(text, (size_t)n);
	return s->link ? 0 : err_sys(err, -ENOMEM, "mount at %s", m->destination);
}

/* Writing, propagation and what else mount_setattr(2) knows; what is below is the guest's. */
static int guard(const struct oci_mount *m, const struct mount_options *o, int fd, struct err *err)
{
	struct mount_attr attr = { .attr_set = GUARD_ATTRIBUTES };
	int r = mount_apply_options(fd, o, 0, err);

	if (r < 0)
		return err_prefix(err, r, "mount %s at %s", m->source, m->destination);
	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return err_sys(err, -errno, "mount %s at %s: mount attributes",
			       m->source ? m->source : m->type, m->destination);
	return 0;
}

int share_source_open(const struct oci_mount *m, const char *bundle, int userns_fd,
		      struct share_source *ret, struct err *err)
{
	AUTO_MOUNT_OPTIONS struct mount_options o = { 0 };
	int r = mount_options_parse(&m->options, &o, err);

	ret->fd = -EBADF;
	if (r < 0)
		return err_prefix(err, r, "mount at %s", m->destination);
	ret->remount = o.remount;
	ret->dest_nofollow = o.dest_nofollow;
	if (o.remount)
		return 0;
	if (!mount_is_bind(m, &o)) {
		r = make_on_host(m, &o, userns_fd, ret, err);
	} else {
		if (!m->source || !*m->source)
			return err_set(err, -EINVAL,
				       "mount bind at %s: a bind mount needs a source",
				       m->destination);
		if (o.copy_symlink)
			r = read_link(m, bundle, ret, err);
		if (r == 0 && !ret->link)
			r = mount_source_open(m, bundle, userns_fd, &ret->fd, err);
	}
	if (r < 0 || ret->fd < 0)
		return r;
	r = judge(m, &o, ret, err);
	if (r < 0 || (ret->kind != SOURCE_DIRECTORY && ret->kind != SOURCE_FILE))
		return r;
	return guard(m, &o, ret->fd, err);
}
