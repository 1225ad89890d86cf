/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/mount_entry.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"
#include "ns/mount_bind.h"
#include "ns/mount_cgroup.h"
#include "ns/mount_copyup.h"
#include "ns/mount_fs.h"
#include "ns/mount_guard.h"

int mount_readonly_later(struct rootfs *rootfs, int mount_fd)
{
	AUTO_CLOSE int fd = fcntl(mount_fd, F_DUPFD_CLOEXEC, 3);
	int *grown;

	if (fd < 0)
		return -errno;
	grown = realloc(rootfs->readonly_fds, (rootfs->readonly_len + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	rootfs->readonly_fds = grown;
	grown[rootfs->readonly_len++] = TAKE_FD(fd);
	return 0;
}

/* A mount on "/" hides the old root: from now on this mount is the root of everything. */
static int replace_root(struct rootfs *rootfs, int mount_fd)
{
	const int fd = fcntl(mount_fd, F_DUPFD_CLOEXEC, 3);

	if (fd < 0)
		return -errno;
	(void)close(rootfs->root_fd);
	rootfs->root_fd = fd;
	return 0;
}

int mount_attach(struct rootfs *rootfs, int mount_fd, const struct mount_target *target,
		 const char *type, struct err *err)
{
	int r = mount_guard_check(target->path.data, type, mount_fd, err);

	if (r < 0)
		return r;
	if (move_mount(mount_fd, "", target->fd, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return mount_fail(err, -errno);
	if (strcmp(target->path.data, "/") == 0)
		r = replace_root(rootfs, mount_fd);
	return r < 0 ? mount_fail(err, r) : 0;
}

/*
 * A tmpfs, and whatever is mounted on /dev, is filled by later steps (mount points, devices):
 * read-only waits for rootfs_finish(), as in runc.
 */
static uint64_t later_attr(const struct mount_entry *e, const struct mount_target *target)
{
	const bool is_tmpfs = e->type && strcmp(e->type, "tmpfs") == 0;

	return is_tmpfs || strcmp(target->path.data, "/dev") == 0
		       ? e->o->attr_set & MOUNT_ATTR_RDONLY
		       : 0;
}

/* The place of a file system. proc and sysfs only on an ordinary directory (CVE-2019-19921). */
static int open_directory(const struct rootfs *rootfs, const struct mount_entry *e,
			  struct mount_target *ret, struct err *err)
{
	const bool strict = strcmp(e->type, "proc") == 0 || strcmp(e->type, "sysfs") == 0;
	const unsigned int flags = TARGET_CREATE | (strict ? TARGET_NO_LINKS : 0u) |
				   (e->o->dest_nofollow ? TARGET_NOFOLLOW : 0u);
	const int r = mount_target_open(rootfs->root_fd, e->m->destination, flags, ret, err);

	if (r == -ELOOP && strict)
		return err_set(err, r, "must be mounted on an ordinary directory, not a link");
	return r;
}

static bool data_has(const char *data, const char *key)
{
	const char *p = data ? strstr(data, key) : NULL;

	return p && (p == data || p[-1] == ',');
}

/* A tmpfs without "mode=" takes the mode of the directory that it covers. */
static int add_tmpfs_mode(struct mount_fs *fs, const struct mount_target *target, char **ret_data)
{
	struct stat st;
	int r;

	if (target->created || data_has(fs->data, "mode="))
		return 0;
	if (fstat(target->fd, &st) < 0)
		return -errno;
	r = str_printf(ret_data, "%s%smode=%04o", fs->data ? fs->data : "", fs->data ? "," : "",
		       st.st_mode & 07777);
	fs->data = *ret_data;
	return r;
}

/* devpts: "gid=5" is no group of most user namespaces (-EINVAL); without it the mount works. */
static int drop_gid(struct mount_fs *fs, char **ret_data)
{
	char *copy = strdup(fs->data);
	char *p;
	char *end;

	if (!copy)
		return -ENOMEM;
	p = strstr(copy, "gid=");
	end = p + strcspn(p, ",");
	memmove(p, *end ? end + 1 : end, strlen(*end ? end + 1 : end) + 1);
	*ret_data = copy;
	fs->data = copy;
	return 0;
}

/*
 * What a user namespace may not mount afresh: sysfs of a network namespace that is not its own,
 * mqueue of a foreign ipc namespace. Then the host's is bound, as crun does.
 */
static int bind_instead(const struct mount_fs *fs, int *ret_mount_fd)
{
	const char *host = strcmp(fs->type, "sysfs") == 0    ? "/sys"
			   : strcmp(fs->type, "mqueue") == 0 ? "/dev/mqueue"
							     : NULL;
	struct mount_attr attr = { .attr_set = fs->attr };
	AUTO_CLOSE int fd = -EBADF;

	if (!host)
		return -EPERM;
	fd = open_tree(AT_FDCWD, host, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	if (fd < 0)
		return -errno;
	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0)
		return -errno;
	*ret_mount_fd = TAKE_FD(fd);
	return 0;
}

static int create_fs(const struct rootfs *rootfs, struct mount_fs *fs, int *ret_mount_fd,
		     struct err *err)
{
	AUTO_FREE char *data = NULL;
	int r = mount_fs_create(fs, ret_mount_fd, err);

	if (r == 0 || !rootfs->new_userns)
		return r;
	if (r == -EINVAL && strcmp(fs->type, "devpts") == 0 && data_has(fs->data, "gid=")) {
		if (drop_gid(fs, &data) < 0)
			return mount_fail(err, -ENOMEM);
		return mount_fs_create(fs, ret_mount_fd, err);
	}
	if (r == -EPERM && bind_instead(fs, ret_mount_fd) == 0)
		return 0;
	return r;
}

/* What fsconfig(2) cannot carry, put straight on its target. */
static int mount_oldstyle(const struct mount_entry *e, const struct mount_fs *fs,
			  const struct mount_target *target, struct err *err)
{
	const unsigned long private = MS_PRIVATE | MS_REC;
	int r;

	if (e->o->propagation & ~private || e->o->rec_attr_set || e->o->rec_attr_clr ||
	    e->o->tmpcopyup || e->userns_fd >= 0 || strcmp(target->path.data, "/") == 0)
		return err_set(err, -ENOTSUP,
			       "an option of more than 255 bytes cannot be combined with "
			       "propagation, recursive, idmap or tmpcopyup options");
	r = mount_guard_check(target->path.data, e->type, -1, err);
	return r < 0 ? r : mount_fs_on(fs, target->fd, err);
}

/* Attributes after creation, the copy, and the move to its place. */
static int finish_fs(struct rootfs *rootfs, const struct mount_entry *e, int mount_fd,
		     const struct mount_target *target, struct err *err)
{
	const uint64_t later = later_attr(e, target);
	struct mount_options rest = *e->o;
	int r = 0;

	rest.attr_set = rest.attr_clr = 0; /* fsmount(2) has set them */
	if (e->o->tmpcopyup)
		r = mount_copyup(target->fd, mount_fd, err);
	if (r == 0 && e->userns_fd >= 0)
		r = mount_apply_idmap(mount_fd, e->userns_fd, e->o->ridmap, err);
	if (r == 0)
		r = mount_apply_options(mount_fd, &rest, 0, err);
	if (r == 0)
		r = mount_attach(rootfs, mount_fd, target, e->type, err);
	if (r == 0 && later) {
		r = mount_readonly_later(rootfs, mount_fd);
		if (r < 0)
			(void)mount_fail(err, r);
	}
	return r;
}

static int perform_fs(struct rootfs *rootfs, const struct mount_entry *e, struct err *err)
{
	AUTO_MOUNT_TARGET struct mount_target target = MOUNT_TARGET_INIT;
	AUTO_CLOSE int mount_fd = -EBADF;
	AUTO_FREE char *data = NULL;
	const bool is_tmpfs = strcmp(e->type, "tmpfs") == 0;
	struct mount_fs fs = {
		.type = e->type,
		.source = e->m->source,
		.data = e->o->data,
		.label = rootfs->spec->linux.mount_label,
		.flags = e->o->flags,
	};
	int r = open_directory(rootfs, e, &target, err);

	if (r < 0)
		return r;
	/* A link in the place that nobody follows is nothing that a directory can be mounted on. */
	fs.attr = e->o->attr_set & ~later_attr(e, &target);
	if (strcmp(e->type, "proc") == 0 || strcmp(e->type, "sysfs") == 0)
		fs.label = NULL; /* they have labels of their own */
	if (is_tmpfs && (r = add_tmpfs_mode(&fs, &target, &data)) < 0)
		return mount_fail(err, r);
	if (e->o->tmpcopyup && !is_tmpfs)
		return err_set(err, -EINVAL, "tmpcopyup is for a tmpfs");
	if (!mount_fs_is_plain(&fs))
		return mount_oldstyle(e, &fs, &target, err);
	/* The copy has to be written before the mount is read-only; later_attr() has seen to that.
	 */
	r = create_fs(rootfs, &fs, &mount_fd, err);
	if (r == 0)
		r = finish_fs(rootfs, e, mount_fd, &target, err);
	if (r == 0 && is_tmpfs && strcmp(target.path.data, "/dev") == 0) {
		auto_close_p(&rootfs->dev_fd);
		rootfs->dev_fd = TAKE_FD(mount_fd);
	}
	return r;
}

/* "copy-symlink": the source is a link; make the same link at the destination. 1: done, 0: no link.
 */
static int copy_symlink(const struct rootfs *rootfs, const struct mount_entry *e, int dir_fd,
			struct err *err)
{
	AUTO_MOUNT_TARGET struct mount_target parent = MOUNT_TARGET_INIT;
	char text[4096];
	char there[4096];
	const char *name;
	ssize_t n = readlinkat(dir_fd, e->m->source, text, sizeof(text) - 1);
	int r;

	if (n < 0)
		return errno == EINVAL ? 0 : mount_fail(err, -errno);
	text[n] = '\0';
	r = mount_target_open_parent(rootfs->root_fd, e->m->destination, &parent, &name, err);
	if (r < 0)
		return r;
	if (symlinkat(text, parent.fd, name) == 0)
		return 1;
	if (errno != EEXIST)
		return err_sys(err, -errno, "make the link");
	n = readlinkat(parent.fd, name, there, sizeof(there) - 1);
	if (n < 0 || (size_t)n != strlen(text) || memcmp(text, there, (size_t)n) != 0)
		return err_sys(err, -EEXIST, "make the link");
	return 1;
}

/* The clone of the source: the parent's, or opened here. */
static int open_source(const struct mount_entry *e, int dir_fd, int *ret_mount_fd, struct err *err)
{
	int fd;

	if (e->source_fd < 0)
		return mount_bind_open(dir_fd, e->m->source, e->o, ret_mount_fd, err);
	fd = fcntl(e->source_fd, F_DUPFD_CLOEXEC, 3);
	if (fd < 0)
		return mount_fail(err, -errno);
	*ret_mount_fd = fd;
	return 0;
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

static int perform_bind(struct rootfs *rootfs, const struct mount_entry *e, struct err *err)
{
	AUTO_MOUNT_TARGET struct mount_target target = MOUNT_TARGET_INIT;
	AUTO_CLOSE int bundle_fd = -EBADF;
	AUTO_CLOSE int mount_fd = -EBADF;
	uint64_t later;
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
	later = later_attr(e, &target);
	if (e->userns_fd >= 0)
		r = mount_apply_idmap(mount_fd, e->userns_fd, e->o->ridmap, err);
	if (r == 0)
		r = mount_apply_options(mount_fd, e->o, later, err);
	if (r == 0)
		r = mount_attach(rootfs, mount_fd, &target, NULL, err);
	if (r == 0 && later && (r = mount_readonly_later(rootfs, mount_fd)) < 0)
		return mount_fail(err, r);
	return r;
}

/* "remount": of the mount that stands at the destination; with "bind" only its own attributes. */
static int perform_remount(const struct rootfs *rootfs, const struct mount_entry *e,
			   struct err *err)
{
	AUTO_MOUNT_TARGET struct mount_target target = MOUNT_TARGET_INIT;
	struct mount_fs fs = {
		.type = e->type ? e->type : "none",
		.data = e->o->data,
		.flags = e->o->flags,
	};
	int r = mount_target_open(rootfs->root_fd, e->m->destination, 0, &target, err);

	if (r == 0 && e->type && e->o->data)
		r = mount_fs_reconfigure(&fs, target.fd, err);
	return r < 0 ? r : mount_apply_options(target.fd, e->o, 0, err);
}

static int dispatch(struct rootfs *rootfs, const struct mount_entry *e, struct err *err)
{
	if (e->o->remount)
		return perform_remount(rootfs, e, err);
	if (!e->type)
		return perform_bind(rootfs, e, err);
	if (strcmp(e->type, "cgroup") == 0 || strcmp(e->type, "cgroup2") == 0)
		return mount_cgroup(rootfs, e, err);
	return perform_fs(rootfs, e, err);
}

/* The type as the kernel knows it, NULL for a bind mount. */
static int judge_type(const struct oci_mount *m, const struct mount_options *o,
		      const char **ret_type, struct err *err)
{
	const bool none = !m->type || !*m->type || strcmp(m->type, "none") == 0;

	if (o->bind || (m->type && (strcmp(m->type, "bind") == 0 || strcmp(m->type, "rbind") == 0)))
		*ret_type = NULL;
	else if (!none)
		*ret_type = m->type;
	else if (o->remount)
		*ret_type = NULL;
	else
		return err_set(err, -EINVAL, "neither a type nor \"bind\" is given");
	return 0;
}

int mount_entry_perform(struct rootfs *rootfs, size_t index, struct err *err)
{
	const struct oci_mount *m = &rootfs->spec->mounts[index];
	AUTO_MOUNT_OPTIONS struct mount_options o = { 0 };
	struct mount_entry e = {
		.m = m,
		.o = &o,
		.userns_fd = rootfs->idmap_fds ? rootfs->idmap_fds[index] : -1,
		.source_fd = rootfs->source_fds ? rootfs->source_fds[index] : -1,
	};
	const char *what;
	int r = mount_options_parse(&m->options, &o, err);

	if (r == 0 && m->type && strcmp(m->type, "rbind") == 0)
		o.rbind = true;
	if (r == 0)
		r = judge_type(m, &o, &e.type, err);
	if (r == 0)
		r = dispatch(rootfs, &e, err);
	if (r == 0)
		return 0;
	what = e.type ? e.type : m->source && *m->source ? m->source : "(no source)";
	return err_prefix(err, r, "mount %s at %s", what, m->destination);
}
