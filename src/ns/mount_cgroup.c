/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/mount_cgroup.h"

#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"
#include "ns/mount_bind.h"
#include "ns/mount_fs.h"

#define CGROUP_TOP	"/sys/fs/cgroup"
#define HIERARCHIES_MAX 64 /* lines of /proc/self/cgroup */

/* One directory below the tmpfs. */
struct hierarchy {
	const char *controllers; /* "cpu,cpuacct", "name=systemd", "" for cgroup2 */
	const char *path;	 /* the container's own directory on the host; NULL: not known */
};

/* "name=systemd" -> "systemd", "" -> "unified". */
static const char *directory_name(const struct hierarchy *h)
{
	const char *named = str_after(h->controllers, "name=");

	if (named)
		return named;
	return *h->controllers ? h->controllers : "unified";
}

/* What to mount for one hierarchy; "none,name=systemd" goes into *ret_data. 0 or -ENOMEM. */
static int describe(const struct hierarchy *h, struct mount_fs *ret, char **ret_data)
{
	int r = 0;

	if (str_after(h->controllers, "name="))
		r = str_printf(ret_data, "none,%s", h->controllers);
	*ret = (struct mount_fs){
		.type = *h->controllers ? "cgroup" : "cgroup2",
		.source = "cgroup",
		.data = *ret_data	  ? *ret_data
			: *h->controllers ? h->controllers
					  : NULL,
	};
	return r;
}

/* A fresh mount of one hierarchy: the reader's cgroup namespace decides how much it shows. */
static int mount_fresh(const struct hierarchy *h, uint64_t attr, int *ret_mount_fd, struct err *err)
{
	AUTO_FREE char *data = NULL;
	struct mount_fs fs;
	int r = describe(h, &fs, &data);

	if (r < 0)
		return mount_fail(err, r);
	fs.attr = attr;
	return mount_fs_create(&fs, ret_mount_fd, err);
}

/* The hierarchy's superblock is the host's and exists: MS_RDONLY concerns this mount alone. */
static bool mount_at_once(const struct hierarchy *h, const struct mount_options *o, int tmpfs_fd,
			  const char *name)
{
	AUTO_FREE char *data = NULL;
	struct mount_fs fs;

	if (describe(h, &fs, &data) < 0)
		return false;
	fs.flags = o->flags;
	return mount_fs_on(&fs, tmpfs_fd, name, NULL) == 0;
}

static int bind_path(const char *path, const struct mount_entry *e, bool recursive,
		     int *ret_mount_fd, struct err *err)
{
	const struct mount_options how = { .rbind = recursive };
	AUTO_CLOSE int fd = -EBADF;
	int r = mount_bind_open(AT_FDCWD, path, &how, &fd, err);

	if (r == 0)
		r = mount_apply_options(fd, e->o, 0, err);
	if (r < 0)
		return err_prefix(err, r, "%s", path);
	*ret_mount_fd = TAKE_FD(fd);
	return 0;
}

/* "cpu,cpuacct": links "cpu" and "cpuacct" beside it. */
static int link_controllers(int tmpfs_fd, const char *name, struct err *err)
{
	char link[256];

	if (!strchr(name, ','))
		return 0;
	for (const char *p = name; *p;) {
		const size_t len = strcspn(p, ",");

		if (len == 0 || len >= sizeof(link))
			return mount_fail(err, -EINVAL);
		memcpy(link, p, len);
		link[len] = '\0';
		if (symlinkat(name, tmpfs_fd, link) < 0 && errno != EEXIST)
			return err_sys(err, -errno, "link %s", link);
		p += len;
		p += *p == ',';
	}
	return 0;
}

/*
 * The names in the new tmpfs are ours: mount(2) may take them, which is twice as fast for what is
 * often ten mounts. The long way follows when that fails, for its message.
 */
static int mount_hierarchy(const struct rootfs *rootfs, const struct mount_entry *e,
			   const struct hierarchy *h, int tmpfs_fd, const char *name,
			   struct err *err)
{
	AUTO_CLOSE int fd = -EBADF;
	int r;

	if (rootfs->cgroup_ns && !e->o->propagation && !e->o->rec_attr_set &&
	    mount_at_once(h, e->o, tmpfs_fd, name))
		return 0;
	r = rootfs->cgroup_ns ? mount_fresh(h, e->o->attr_set, &fd, err)
			      : bind_path(h->path, e, false, &fd, err);
	if (r < 0)
		return r;
	return move_mount(fd, "", tmpfs_fd, name, MOVE_MOUNT_F_EMPTY_PATH) < 0
		       ? mount_fail(err, -errno)
		       : 0;
}

static int add_hierarchy(const struct rootfs *rootfs, const struct mount_entry *e,
			 const struct hierarchy *h, int tmpfs_fd, struct err *err)
{
	const char *name = directory_name(h);
	int r;

	if (strchr(name, '/') || strcmp(name, "..") == 0)
		return err_set(err, -EINVAL, "hierarchy \"%s\" has no file name", name);
	if (mkdirat(tmpfs_fd, name, 0755) < 0)
		return err_sys(err, -errno, "hierarchy %s", name);
	r = mount_hierarchy(rootfs, e, h, tmpfs_fd, name, err);
	if (r < 0)
		return err_prefix(err, r, "hierarchy %s", name);
	return link_controllers(tmpfs_fd, name, err);
}

static int attach_at_destination(struct rootfs *rootfs, const struct mount_entry *e, int mount_fd,
				 struct err *err)
{
	AUTO_MOUNT_TARGET struct mount_target target = MOUNT_TARGET_INIT;
	int r = mount_target_open(rootfs->root_fd, e->m->destination, TARGET_CREATE, &target, err);

	return r < 0 ? r : mount_attach(rootfs, mount_fd, &target, e->type, err);
}

/*
 * Read-only for good and for everything below: without a cgroup namespace this is the host's tree.
 */
static int bind_host_tree(struct rootfs *rootfs, const struct mount_entry *e, struct err *err)
{
	AUTO_CLOSE int fd = -EBADF;
	int r = bind_path(CGROUP_TOP, e, true, &fd, err);

	if (r == 0 && (r = mount_set_readonly(fd, true)) < 0)
		return mount_fail(err, r);
	return r < 0 ? r : attach_at_destination(rootfs, e, fd, err);
}

/* The tmpfs around the hierarchies; "ro" comes when they are in. */
static int mount_tree(struct rootfs *rootfs, const struct mount_entry *e,
		      const struct hierarchy *list, size_t len, struct err *err)
{
	const struct mount_fs fs = {
		.type = "tmpfs",
		.source = "tmpfs",
		.data = "mode=755",
		.label = rootfs->spec->linux.mount_label,
		.attr = e->o->attr_set & ~(uint64_t)MOUNT_ATTR_RDONLY,
	};
	AUTO_CLOSE int fd = -EBADF;
	int r = mount_fs_create(&fs, &fd, err);

	if (r == 0)
		r = attach_at_destination(rootfs, e, fd, err);
	for (size_t i = 0; r == 0 && i < len; i++)
		r = add_hierarchy(rootfs, e, &list[i], fd, err);
	if (r == 0)
		r = mount_apply_options(fd, e->o, 0, err);
	return r;
}

/* Without a cgroup of its own: the hierarchies that /proc/self/cgroup lists; `text` is cut up. */
static size_t parse_proc_cgroup(char *text, struct hierarchy *list, size_t max)
{
	size_t len = 0;
	char *line;

	while (len < max && (line = strsep(&text, "\n"))) {
		char *controllers = strchr(line, ':');
		char *end = controllers ? strchr(controllers + 1, ':') : NULL;

		if (!end)
			continue;
		*end = '\0';
		list[len++] = (struct hierarchy){ .controllers = controllers + 1 };
	}
	return len;
}

static int mount_v1(struct rootfs *rootfs, const struct mount_entry *e, struct err *err)
{
	struct hierarchy list[HIERARCHIES_MAX];
	const struct cgroup_dir *dirs;
	AUTO_BUF struct buf text = { 0 };
	size_t len;
	int r;

	if (!rootfs->cgroup || !cgroup_exists(rootfs->cgroup)) {
		if (!rootfs->cgroup_ns)
			return bind_host_tree(rootfs, e, err);
		r = fd_read_file(AT_FDCWD, "/proc/self/cgroup", &text);
		if (r < 0)
			return err_sys(err, r, "read /proc/self/cgroup");
		len = parse_proc_cgroup(text.data, list, ARRAY_LEN(list));
		return mount_tree(rootfs, e, list, len, err);
	}
	len = cgroup_dirs(rootfs->cgroup, &dirs);
	if (len > ARRAY_LEN(list))
		return mount_fail(err, -E2BIG);
	for (size_t i = 0; i < len; i++)
		list[i] = (struct hierarchy){ dirs[i].controllers, dirs[i].path };
	return mount_tree(rootfs, e, list, len, err);
}

static int mount_v2(struct rootfs *rootfs, const struct mount_entry *e, struct err *err)
{
	const struct mount_fs fs = {
		.type = "cgroup2",
		.source = "cgroup2",
		.data = e->o->data,
		.attr = e->o->attr_set,
	};
	struct mount_options rest = *e->o;
	AUTO_CLOSE int fd = -EBADF;
	int r = mount_fs_create(&fs, &fd, err);

	if ((r == -EPERM || r == -EBUSY) && rootfs->new_userns) {
		const char *own = rootfs->cgroup ? cgroup_path(rootfs->cgroup, "") : NULL;

		if (!own || !rootfs->cgroup_ns)
			return bind_host_tree(rootfs, e, err);
		r = bind_path(own, e, false, &fd, err);
		return r < 0 ? r : attach_at_destination(rootfs, e, fd, err);
	}
	rest.attr_set = rest.attr_clr = 0;
	if (r == 0)
		r = mount_apply_options(fd, &rest, 0, err);
	return r < 0 ? r : attach_at_destination(rootfs, e, fd, err);
}

int mount_cgroup(struct rootfs *rootfs, const struct mount_entry *e, struct err *err)
{
	const enum cgroup_layout layout = cgroup_layout();
	int r;

	if (rootfs->before_cgroup) {
		r = rootfs->before_cgroup(rootfs->arg, err);
		if (r < 0)
			return r;
	}
	if (strcmp(e->type, "cgroup2") == 0 || layout == CGROUP_LAYOUT_V2)
		return mount_v2(rootfs, e, err);
	if (layout == CGROUP_LAYOUT_NONE)
		return err_set(err, -ENODEV, "this host has no cgroup mounts");
	return mount_v1(rootfs, e, err);
}
