/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/mount_bind.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/str.h"
#include "ns/mount_fs.h"
#include "ns/mount_target.h"

#define ATTR_ATIME_ALL ((uint64_t)(MOUNT_ATTR__ATIME | MOUNT_ATTR_NODIRATIME))

static int set_attr(int mount_fd, bool recursive, struct mount_attr *attr)
{
	const unsigned int flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0u);

	return mount_setattr(mount_fd, "", flags, attr, sizeof(*attr)) < 0 ? -errno : 0;
}

int mount_bind_open(int dir_fd, const char *source, const struct mount_options *o,
		    int *ret_mount_fd, struct err *err)
{
	const unsigned int flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
				   (o->rbind ? AT_RECURSIVE : 0u) |
				   (o->src_nofollow ? AT_SYMLINK_NOFOLLOW : 0u);
	const int fd = open_tree(dir_fd, source, flags);

	if (fd < 0)
		return mount_fail(err, -errno);
	*ret_mount_fd = fd;
	return 0;
}

/* The attributes that the mount has now (fstatvfs(3) reads them from the mount, not the
 * superblock). */
static uint64_t current_attr(int mount_fd)
{
	struct statvfs fs;
	uint64_t attr = 0;

	if (fstatvfs(mount_fd, &fs) < 0)
		return 0;
	attr |= fs.f_flag & ST_NOSUID ? MOUNT_ATTR_NOSUID : 0u;
	attr |= fs.f_flag & ST_NODEV ? MOUNT_ATTR_NODEV : 0u;
	attr |= fs.f_flag & ST_NOEXEC ? MOUNT_ATTR_NOEXEC : 0u;
	return attr;
}

/*
 * -EPERM may mean a locked attribute. Once more without what engines ask for by habit; an explicit
 * "suid", "dev" or "exec" against a lock stays an error that names it.
 */
static int set_attr_unlocked(int mount_fd, struct mount_attr *attr, struct err *err)
{
	const uint64_t against = attr->attr_clr & current_attr(mount_fd);
	int r;

	if (against)
		return err_set(err, -EPERM,
			       "the source is%s%s%s and locked so: Operation not permitted",
			       against & MOUNT_ATTR_NOSUID ? " nosuid" : "",
			       against & MOUNT_ATTR_NODEV ? " nodev" : "",
			       against & MOUNT_ATTR_NOEXEC ? " noexec" : "");
	attr->attr_clr &= ~((uint64_t)MOUNT_ATTR_RDONLY | ATTR_ATIME_ALL);
	attr->attr_set &= ~ATTR_ATIME_ALL;
	r = set_attr(mount_fd, false, attr);
	return r < 0 ? err_sys(err, r, "mount attributes") : 0;
}

int mount_apply_options(int mount_fd, const struct mount_options *o, uint64_t later,
			struct err *err)
{
	const bool rec = (o->propagation & MS_REC) != 0;
	struct mount_attr this = {
		.attr_set = o->attr_set & ~later,
		.attr_clr = o->attr_clr,
		.propagation = rec ? 0 : o->propagation,
	};
	struct mount_attr below = {
		.attr_set = o->rec_attr_set,
		.attr_clr = o->rec_attr_clr,
		.propagation = rec ? o->propagation & ~(unsigned long)MS_REC : 0,
	};
	int r;

	if (this.attr_set || this.attr_clr || this.propagation) {
		r = set_attr(mount_fd, false, &this);
		if (r == -EPERM)
			r = set_attr_unlocked(mount_fd, &this, err);
		else if (r < 0)
			(void)err_sys(err, r, "mount attributes");
		if (r < 0)
			return r;
	}
	if (below.attr_set || below.attr_clr || below.propagation) {
		r = set_attr(mount_fd, true, &below);
		if (r < 0)
			return err_sys(err, r, "recursive mount attributes");
	}
	return 0;
}

int mount_apply_idmap(int mount_fd, int userns_fd, bool recursive, struct err *err)
{
	struct mount_attr attr = {
		.attr_set = MOUNT_ATTR_IDMAP,
		.userns_fd = (uint64_t)userns_fd,
	};
	const int r = set_attr(mount_fd, recursive, &attr);

	return r < 0 ? err_sys(err, r, "%s", recursive ? "ridmap" : "idmap") : 0;
}

int mount_set_readonly(int mount_fd, bool recursive)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_RDONLY };

	return set_attr(mount_fd, recursive, &attr);
}

bool mount_is_bind(const struct oci_mount *m, const struct mount_options *o)
{
	return o->bind || str_eq(m->type, "bind") || str_eq(m->type, "rbind");
}

int mount_source_open(const struct oci_mount *m, const char *bundle, int userns_fd,
		      int *ret_mount_fd, struct err *err)
{
	AUTO_MOUNT_OPTIONS struct mount_options o = { 0 };
	AUTO_CLOSE int bundle_fd = -EBADF;
	AUTO_CLOSE int fd = -EBADF;
	int r = mount_options_parse(&m->options, &o, err);

	if (r < 0)
		return err_prefix(err, r, "mount %s", m->destination);
	if (!mount_is_bind(m, &o) || o.remount)
		return 0;
	o.rbind |= str_eq(m->type, "rbind");
	if (m->source && m->source[0] != '/') {
		bundle_fd = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (bundle_fd < 0)
			return err_sys(err, -errno, "open the bundle %s", bundle);
	}
	r = mount_bind_open(bundle_fd, m->source ? m->source : "", &o, &fd, err);
	if (r == 0 && userns_fd >= 0)
		r = mount_apply_idmap(fd, userns_fd, o.ridmap, err);
	if (r < 0)
		return err_prefix(err, r, "mount %s at %s", m->source ? m->source : "(no source)",
				  m->destination);
	*ret_mount_fd = TAKE_FD(fd);
	return 0;
}

int mount_make_link(int root_fd, const char *destination, const char *text, struct err *err)
{
	AUTO_MOUNT_TARGET struct mount_target parent = MOUNT_TARGET_INIT;
	char there[4096];
	const char *name;
	ssize_t n;
	int r = mount_target_open_parent(root_fd, destination, &parent, &name, err);

	if (r < 0)
		return r;
	if (symlinkat(text, parent.fd, name) == 0)
		return 0;
	if (errno != EEXIST)
		return err_sys(err, -errno, "make the link");
	n = readlinkat(parent.fd, name, there, sizeof(there) - 1);
	if (n < 0 || (size_t)n != strlen(text) || memcmp(text, there, (size_t)n) != 0)
		return err_sys(err, -EEXIST, "make the link");
	return 0;
}
