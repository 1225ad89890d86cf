/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/vm/share_source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
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
#include "host/cgroup_devices.h"
#include "host/mount_options.h"
#include "ns/mount_bind.h"
#include "ns/mount_fs.h"
#include "runtime/sandbox/host_mount.h"
#include "runtime/sandbox/submounts.h"
#include "runtime/vm/share_cover.h"

#define STATFS_NOSYMFOLLOW 0x2000 /* ST_NOSYMFOLLOW of the kernel */
#define GUARD_ATTRIBUTES   (MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID)

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

void share_below_free(struct share_below *below, size_t len)
{
	for (size_t i = 0; i < len; i++)
		free(below[i].place);
	free(below);
}

void share_source_done(struct share_source *source)
{
	auto_close_p(&source->fd);
	free(source->link);
	free(source->guest);
	share_below_free(source->below, source->below_len);
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

static bool is_namespace(int fd)
{
	struct statfs fs;

	return fstatfs(fd, &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

/* devtmpfs is a tmpfs to statfs(2): the directory /dev is meant, by whatever name. */
static bool is_host_dev(const struct stat *st)
{
	struct stat dev;

	return stat("/dev", &dev) == 0 && dev.st_dev == st->st_dev && dev.st_ino == st->st_ino;
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
		     const struct stat *st, struct share_source *s, struct err *err)
{
	struct statvfs fs;
	char path[FD_PATH_MAX];
	int fd, r;

	s->readonly = (o->attr_set | o->rec_attr_set) & MOUNT_ATTR_RDONLY ||
		      (fstatvfs(s->fd, &fs) == 0 && fs.f_flag & ST_RDONLY);
	r = share_disk_allowed(s->spec, st, s->readonly, err);
	if (r < 0)
		return err_prefix(err, r, "mount %s at %s", m->source, m->destination);
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
		return take_disk(m, o, &st, s, err);
	if (S_ISSOCK(st.st_mode))
		return refuse(m, err,
			      "a socket of the host cannot be reached from a virtual machine");
	if (S_ISFIFO(st.st_mode))
		return refuse(m, err, "a fifo does not lead into a virtual machine");
	if (is_namespace(s->fd))
		return refuse(m, err, "a namespace of the host is none in a virtual machine");
	if (!s->made && is_host_dev(&st))
		return take_guests("/dev", s);
	if (!s->made && share_is_of_kernel(s->fd))
		return m->source[0] == '/' ? take_guests(m->source, s)
					   : refuse(m, err, "a file system of the host's kernel");
	s->kind = s->is_directory ? SOURCE_DIRECTORY : SOURCE_FILE;
	return 0;
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

/* What the mount has of its source and of the options (mount(2) and statvfs(3) number alike). */
static uint64_t flags_of(int fd)
{
	struct statvfs fs;
	uint64_t flags = 0;

	if (fstatvfs(fd, &fs) < 0)
		return 0;
	flags |= fs.f_flag & ST_RDONLY ? MS_RDONLY : 0;
	flags |= fs.f_flag & ST_NOSUID ? MS_NOSUID : 0;
	flags |= fs.f_flag & ST_NODEV ? MS_NODEV : 0;
	flags |= fs.f_flag & ST_NOEXEC ? MS_NOEXEC : 0;
	flags |= fs.f_flag & ST_NOATIME ? MS_NOATIME : 0;
	flags |= fs.f_flag & ST_NODIRATIME ? MS_NODIRATIME : 0;
	flags |= fs.f_flag & STATFS_NOSYMFOLLOW ? MS_NOSYMFOLLOW : 0;
	return fs.f_flag & (ST_RELATIME | ST_NOATIME) ? flags : flags | MS_STRICTATIME;
}

/* Not one that another mount hides, and no namespace. */
static bool is_mount_of_files(int fd)
{
	struct statx st;

	return !is_namespace(fd) && statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) == 0 &&
	       st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

static int find_below(struct buf *mountinfo, struct share_source *s)
{
	AUTO_STRV char **places = NULL;
	const int r = submounts_below(s->fd, mountinfo, &places);
	const size_t len = strv_len(places);

	if (r < 0 || len == 0)
		return r == -ENOMEM ? r : 0;
	s->below = calloc(len, sizeof(*s->below));
	if (!s->below)
		return -ENOMEM;
	for (size_t i = 0; i < len && s->below_len < SHARE_BELOW_MAX; i++) {
		AUTO_CLOSE int fd = fd_open_resolve(s->fd, places[i], O_PATH | O_CLOEXEC, 0,
						    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);

		if (fd < 0 || !is_mount_of_files(fd))
			continue;
		s->below[s->below_len].flags = flags_of(fd);
		s->below[s->below_len].place = strdup(places[i]);
		if (!s->below[s->below_len++].place)
			return -ENOMEM;
	}
	return 0;
}

int share_disk_allowed(const struct oci_spec *spec, const struct stat *st, bool readonly,
		       struct err *err)
{
	const struct oci_resources *res = &spec->linux.resources;
	const unsigned int wanted = DEVICE_READ | (readonly ? 0u : DEVICE_WRITE);
	const int64_t device_major = major(st->st_rdev), device_minor = minor(st->st_rdev);
	struct device_policy policy = { 0 };
	unsigned int met = 0;
	int r;

	if (!S_ISBLK(st->st_mode) || res->devices_len == 0)
		return 0;
	r = device_policy_build(res->devices, res->devices_len, &policy, err);
	for (size_t i = 0; r == 0 && i < policy.len; i++) {
		const struct device_exception *e = &policy.items[i];

		if (e->type == 'b' && (e->major < 0 || e->major == device_major) &&
		    (e->minor < 0 || e->minor == device_minor))
			met |= e->access;
	}
	if (r == 0 && (policy.default_allow ? met & wanted : wanted & ~met))
		r = err_set(err, -EPERM,
			    "linux.resources.devices does not allow the block device %u:%u",
			    major(st->st_rdev), minor(st->st_rdev));
	device_policy_done(&policy);
	return r;
}

/* A node of our own in a file system of our own: where the host has one does not matter. */
static int open_node(const struct oci_device *d, dev_t rdev, struct err *err)
{
	const struct mount_fs fs = { .type = "tmpfs", .data = "mode=700,nr_inodes=4" };
	AUTO_CLOSE int dir = -EBADF;
	struct stat st;
	int fd = -EBADF, r = mount_fs_create(&fs, &dir, err);

	if (r == 0)
		r = mknodat(dir, "d", S_IFBLK | 0600, rdev) < 0 ? -errno : 0;
	if (r == 0)
		fd = openat(dir, "d", O_PATH | O_CLOEXEC);
	/* Without the right to make nodes the host's own is as good. */
	else if (r == -EPERM)
		fd = open(d->path, O_PATH | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, r < 0 && r != -EPERM ? r : -errno, "block device %u:%u",
			       major(rdev), minor(rdev));
	if (fstat(fd, &st) == 0 && S_ISBLK(st.st_mode) && st.st_rdev == rdev)
		return fd;
	(void)close(fd);
	return err_set(err, -ENODEV, "the host has another device there than %u:%u", major(rdev),
		       minor(rdev));
}

int share_device_open(const struct oci_spec *spec, const struct oci_device *d, bool *ret_readonly,
		      struct err *err)
{
	const struct stat st = { .st_mode = S_IFBLK,
				 .st_rdev =
					 makedev((unsigned int)d->major, (unsigned int)d->minor) };
	AUTO_CLOSE int node = -EBADF;
	struct err ignored = { 0 };
	char path[FD_PATH_MAX];
	int fd, r = share_disk_allowed(spec, &st, true, err);

	if (r < 0)
		return r;
	*ret_readonly = share_disk_allowed(spec, &st, false, &ignored) < 0;
	node = open_node(d, st.st_rdev, err);
	if (node < 0)
		return node;
	(void)fd_path(node, path);
	fd = open(path, (*ret_readonly ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0 && !*ret_readonly && (errno == EROFS || errno == EACCES)) {
		*ret_readonly = true;
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	}
	return fd < 0 ? err_sys(err, -errno, "block device %u:%u", major(st.st_rdev),
				minor(st.st_rdev))
		      : fd;
}

/*
 * A file system of a block device that the guest's kernel knows: it mounts the device itself. Two
 * kernels that write to one file system destroy it: what the host has mounted is refused.
 */
static int take_file_system(const struct oci_mount *m, const struct mount_options *o,
			    struct share_source *s, struct err *err)
{
	static const char *const types[] = { "ext4", "ext3", "erofs" };
	AUTO_CLOSE int found = -EBADF;
	char path[FD_PATH_MAX];
	bool known = false;
	struct stat st;
	int r;

	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		known = known || (m->type && str_eq(m->type, types[i]));
	if (!known || !m->source || m->source[0] != '/')
		return 0;
	found = open(m->source, O_PATH | O_CLOEXEC);
	if (found < 0 || fstat(found, &st) < 0)
		return err_sys(err, -errno, "mount %s at %s", m->source, m->destination);
	if (!S_ISBLK(st.st_mode))
		return err_sys(err, -ENOTBLK, "mount %s at %s", m->source, m->destination);
	if (s->spec && s->spec->linux.ns[OCI_NS_USER].set)
		return refuse(m, err, "in a user namespace no file system of a device is mounted");
	s->readonly = o->attr_set & MOUNT_ATTR_RDONLY || str_eq(m->type, "erofs");
	/* As of a process that mounts it, which the device cgroup would ask. */
	r = s->spec ? share_disk_allowed(s->spec, &st, s->readonly, err) : 0;
	if (r < 0)
		return err_prefix(err, r, "mount %s at %s", m->source, m->destination);
	s->fd = open(fd_path(found, path),
		     (s->readonly ? O_RDONLY : O_RDWR | O_EXCL) | O_CLOEXEC | O_NONBLOCK);
	if (s->fd < 0 && errno == EBUSY)
		return refuse(m, err, "the host or another machine has mounted it");
	if (s->fd < 0)
		return err_sys(err, -errno, "mount %s at %s", m->source, m->destination);
	s->kind = SOURCE_DISK;
	s->is_directory = true;
	return 0;
}

/* Writing, propagation and what else mount_setattr(2) knows hold on the host, too. */
static int apply_options(const struct oci_mount *m, const struct mount_options *o, int fd,
			 struct err *err)
{
	const int r = mount_apply_options(fd, o, 0, err);

	return r < 0 ? err_prefix(err, r, "mount %s at %s", m->source, m->destination) : 0;
}

static int guard(const struct oci_mount *m, int fd, struct err *err)
{
	struct mount_attr attr = { .attr_set = GUARD_ATTRIBUTES };

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
		r = host_mount_make(m, &o, userns_fd, &ret->fd, err);
		ret->made = r == 0 && ret->fd >= 0;
		if (r == 0 && !ret->made) {
			r = take_file_system(m, &o, ret, err);
			if (r < 0 || ret->kind == SOURCE_DISK)
				return r;
		}
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
	r = apply_options(m, &o, ret->fd, err);
	if (r < 0)
		return r;
	ret->flags = flags_of(ret->fd);
	ret->rbind = o.rbind || str_eq(m->type, "rbind");
	return 0;
}

/* By what the tree has, not by names of the host, where others may write. */
int share_source_settle(const struct oci_mount *m, struct share_source *s, struct buf *mountinfo,
			struct err *err)
{
	const bool tree = s->kind == SOURCE_DIRECTORY && !s->made;
	int r;

	if (tree && s->rbind && find_below(mountinfo, s) < 0)
		return err_sys(err, -ENOMEM, "mount at %s", m->destination);
	r = guard(m, s->fd, err);
	return r < 0 || !tree ? r : share_cover_kernels(s->fd, m->source, mountinfo, err);
}
