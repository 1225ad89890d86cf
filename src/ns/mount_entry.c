/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/mount_entry.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/str.h"
#include "ns/mount_bind.h"
#include "ns/mount_cgroup.h"
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

/* move_mount(2) says EINVAL for much; the usual mistake has a name. */
static int fail_attach(int code, int mount_fd, int target_fd, struct err *err)
{
	struct stat what;
	struct stat where;

	if (code != -EINVAL || fstat(mount_fd, &what) < 0 || fstat(target_fd, &where) < 0 ||
	    S_ISDIR(what.st_mode) == S_ISDIR(where.st_mode))
		return mount_fail(err, code);
	return err_set(err, -ENOTDIR, "a %s cannot be mounted on a %s: Not a directory",
		       S_ISDIR(what.st_mode) ? "directory" : "file",
		       S_ISDIR(where.st_mode) ? "directory" : "file");
}

int mount_attach(struct rootfs *rootfs, int mount_fd, const struct mount_target *target,
		 const char *type, struct err *err)
{
	int r = mount_guard_check(target->path.data, type, mount_fd, err);

	if (r < 0)
		return r;
	if (move_mount(mount_fd, "", target->fd, "",
		       MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) < 0)
		return fail_attach(-errno, mount_fd, target->fd, err);
	if (strcmp(target->path.data, "/") == 0)
		r = replace_root(rootfs, mount_fd);
	/* What covers /dev covers the tmpfs that we knew there. */
	if (strcmp(target->path.data, "/") == 0 || strcmp(target->path.data, "/dev") == 0) {
		auto_close_p(&rootfs->dev_fd);
		rootfs->dev_fd = -EBADF;
	}
	return r < 0 ? mount_fail(err, r) : 0;
}

int mount_attach_with(struct rootfs *rootfs, int mount_fd, const struct mount_entry *e,
		      const struct mount_target *target, struct err *err)
{
	const struct mount_options after = {
		.propagation = rootfs->shared_seen ? e->o->propagation : 0,
	};
	int r = mount_attach(rootfs, mount_fd, target, e->type, err);

	if (r == 0)
		r = mount_apply_options(mount_fd, &after, 0, err);
	rootfs->shared_seen |= (e->o->propagation & MS_SHARED) != 0;
	if (r < 0 || !mount_later_attr(e, target))
		return r;
	r = mount_readonly_later(rootfs, mount_fd);
	return r < 0 ? mount_fail(err, r) : 0;
}

const char *mount_name_in_dev(const struct rootfs *rootfs, const char *path)
{
	const char *name = str_after(path, "/dev/");

	if (rootfs->dev_fd < 0 || !name || !*name || strchr(name, '/') || strcmp(name, ".") == 0 ||
	    strcmp(name, "..") == 0)
		return NULL;
	return name;
}

/*
 * A tmpfs, and whatever is mounted on /dev, is filled by later steps (mount points, devices):
 * read-only waits for rootfs_finish(), as in runc.
 */
uint64_t mount_later_attr(const struct mount_entry *e, const struct mount_target *target)
{
	const bool is_tmpfs = e->type && strcmp(e->type, "tmpfs") == 0;

	return is_tmpfs || strcmp(target->path.data, "/dev") == 0
		       ? e->o->attr_set & MOUNT_ATTR_RDONLY
		       : 0;
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
		return mount_entry_bind(rootfs, e, err);
	if (strcmp(e->type, "cgroup") == 0 || strcmp(e->type, "cgroup2") == 0)
		return mount_cgroup(rootfs, e, err);
	return mount_entry_fs(rootfs, e, err);
}

/* The type as the kernel knows it, NULL for a bind mount. */
static int judge_type(const struct oci_mount *m, const struct mount_options *o,
		      const char **ret_type, struct err *err)
{
	const bool none = !m->type || !*m->type || strcmp(m->type, "none") == 0;

	if (mount_is_bind(m, o))
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

	if (r == 0 && str_eq(m->type, "rbind"))
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
