/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sentry/roots.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "host/mount_options.h"
#include "ns/mount_bind.h"
#include "ns/mount_target.h"
#include "wire/gofer_msg.h"

void roots_done(struct roots *roots)
{
	for (size_t i = 0; i < roots->len; i++)
		auto_close_p(&roots->items[i].fd);
	free(roots->items);
	*roots = (struct roots){ 0 };
}

static int set_attributes(int fd, uint64_t set)
{
	struct mount_attr attr = { .attr_set = set };

	return mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &attr, sizeof(attr)) < 0 ? -errno
											    : 0;
}

static int add(struct roots *roots, const struct root *root)
{
	struct root *grown = realloc(roots->items, (roots->len + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	roots->items = grown;
	grown[roots->len++] = *root;
	return 0;
}

static int open_rootfs(const struct roots_options *o, struct roots *roots, struct err *err)
{
	struct root root = { .mount = SIZE_MAX, .flags = GOFER_ROOT_XATTR };
	AUTO_CLOSE int fd =
		open_tree(AT_FDCWD, o->rootfs, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, -errno, "root file system %s", o->rootfs);
	if (!S_ISDIR(st.st_mode))
		return err_sys(err, -ENOTDIR, "root file system %s", o->rootfs);
	r = set_attributes(fd, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
	if (r < 0)
		return err_sys(err, r, "root file system %s: mount attributes", o->rootfs);
	root.fd = fd;
	r = add(roots, &root);
	if (r < 0)
		return err_sys(err, r, "root file system %s", o->rootfs);
	fd = -EBADF;
	return 0;
}

static bool is_below(const char *path, const char *parent)
{
	const size_t len = strlen(parent);

	if (strcmp(parent, "/") == 0)
		return true;
	return strncmp(path, parent, len) == 0 && (path[len] == '/' || path[len] == '\0');
}

/* A place that lies in an earlier mount is the sentry's to make. */
static bool is_covered(const struct oci_spec *spec, size_t index)
{
	for (size_t i = 0; i < index; i++) {
		if (is_below(spec->mounts[index].destination, spec->mounts[i].destination))
			return true;
	}
	return false;
}

static int make_place(const struct roots *roots, const struct oci_mount *m, bool is_file,
		      struct err *err)
{
	AUTO_MOUNT_TARGET struct mount_target target = MOUNT_TARGET_INIT;
	const int r = mount_target_open(roots->items[0].fd, m->destination,
					TARGET_CREATE | (is_file ? TARGET_FILE : 0u), &target, err);

	return r < 0 ? err_prefix(err, r, "mount at %s", m->destination) : 0;
}

/* What the clone has of its source and of the options (mount(2) and statvfs(3) number alike). */
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
	flags |= fs.f_flag & ST_RELATIME ? MS_RELATIME : 0;
	return flags & MS_RELATIME || flags & MS_NOATIME ? flags : flags | MS_STRICTATIME;
}

/* The clone of a bind mount's source, or -EBADF in *ret_fd for another kind of mount. */
static int open_source(const struct roots_options *o, size_t index, int *ret_fd, struct root *root,
		       struct err *err)
{
	const struct oci_mount *m = &o->spec->mounts[index];
	AUTO_MOUNT_OPTIONS struct mount_options options = { 0 };
	AUTO_CLOSE int fd = -EBADF;
	int r = mount_options_parse(&m->options, &options, err);

	if (r == 0)
		r = mount_source_open(m, o->bundle, o->idmap_fds ? o->idmap_fds[index] : -1, &fd,
				      err);
	if (r < 0 || fd < 0)
		return r;
	options.propagation = 0;
	r = mount_apply_options(fd, &options, 0, err);
	root->ms_flags = flags_of(fd);
	if (r == 0)
		r = set_attributes(fd, MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID);
	if (r < 0)
		return err_set(err, r, "mount %s at %s: mount attributes: %s", m->source,
			       m->destination, strerrordesc_np(-r));
	root->flags = root->ms_flags & MS_RDONLY ? GOFER_ROOT_RO : 0;
	*ret_fd = TAKE_FD(fd);
	return 0;
}

static int open_mount(const struct roots_options *o, size_t index, struct roots *roots,
		      struct err *err)
{
	const struct oci_mount *m = &o->spec->mounts[index];
	struct root root = { .mount = index, .fd = -EBADF };
	AUTO_CLOSE int fd = -EBADF;
	struct stat st;
	int r = open_source(o, index, &fd, &root, err);

	if (r < 0)
		return r;
	if (fd >= 0) {
		if (fstat(fd, &st) < 0)
			return err_sys(err, -errno, "mount %s", m->source);
		root.is_file = !S_ISDIR(st.st_mode);
	}
	if (o->make_places && !is_covered(o->spec, index)) {
		r = make_place(roots, m, root.is_file, err);
		if (r < 0)
			return r;
	}
	if (fd < 0)
		return 0;
	if (roots->len == GOFER_ROOTS_MAX)
		return err_set(err, -E2BIG, "mounts: more than %u bind mounts",
			       GOFER_ROOTS_MAX - 1);
	root.fd = fd;
	r = add(roots, &root);
	if (r < 0)
		return err_sys(err, r, "mount %s", m->source);
	fd = -EBADF;
	return 0;
}

int roots_open(const struct roots_options *o, struct roots *ret, struct err *err)
{
	int r = open_rootfs(o, ret, err);

	for (size_t i = 0; r == 0 && i < o->spec->mounts_len; i++)
		r = open_mount(o, i, ret, err);
	if (r < 0)
		return r;
	/* Last: the places of mounts had to be made. */
	if (o->spec->root.readonly && o->make_places) {
		r = set_attributes(ret->items[0].fd, MOUNT_ATTR_RDONLY);
		if (r < 0)
			return err_sys(err, r, "make the root file system read-only");
		ret->items[0].flags |= GOFER_ROOT_RO;
	}
	return 0;
}
