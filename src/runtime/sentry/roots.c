/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sentry/roots.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <linux/magic.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "host/mount_options.h"
#include "ns/mount_bind.h"
#include "ns/mount_fs.h"
#include "ns/mount_target.h"
#include "runtime/sandbox/host_mount.h"
#include "runtime/sandbox/submounts.h"
#include "wire/gofer_msg.h"

#define STATFS_NOSYMFOLLOW 0x2000 /* ST_NOSYMFOLLOW of the kernel */
#define GUARD_ATTRIBUTES   (MOUNT_ATTR_NODEV | MOUNT_ATTR_NOSUID)

#ifndef MS_NOSYMFOLLOW
#define MS_NOSYMFOLLOW 256
#endif

void roots_done(struct roots *roots)
{
	for (size_t i = 0; i < roots->len; i++) {
		auto_close_p(&roots->items[i].fd);
		free(roots->items[i].below);
	}
	free(roots->items);
	buf_done(&roots->mountinfo);
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
	struct root root = { .mount = SIZE_MAX, .flags = GOFER_ROOT_XATTR | o->socket_flags };
	AUTO_CLOSE int fd =
		open_tree(AT_FDCWD, o->rootfs, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	struct stat st;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(err, -errno, "root file system %s", o->rootfs);
	if (!S_ISDIR(st.st_mode))
		return err_sys(err, -ENOTDIR, "root file system %s", o->rootfs);
	r = set_attributes(fd, GUARD_ATTRIBUTES);
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
	flags |= fs.f_flag & STATFS_NOSYMFOLLOW ? MS_NOSYMFOLLOW : 0;
	return flags & MS_RELATIME || flags & MS_NOATIME ? flags : flags | MS_STRICTATIME;
}

static int relative_to(const char *bundle, const char *source, int *ret_fd, struct err *err)
{
	if (!source || source[0] == '/') {
		*ret_fd = -EBADF;
		return 0;
	}
	*ret_fd = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return *ret_fd < 0 ? err_sys(err, -errno, "open the bundle %s", bundle) : 0;
}

int roots_link_text(const struct oci_mount *m, const char *bundle, char **ret, struct err *err)
{
	AUTO_MOUNT_OPTIONS struct mount_options options = { 0 };
	AUTO_CLOSE int dir = -EBADF;
	char text[PATH_MAX];
	ssize_t n;
	int r = mount_options_parse(&m->options, &options, err);

	*ret = NULL;
	if (r < 0 || !options.copy_symlink || !mount_is_bind(m, &options) || !m->source)
		return r;
	r = relative_to(bundle, m->source, &dir, err);
	if (r < 0)
		return r;
	n = readlinkat(dir, m->source, text, sizeof(text) - 1);
	if (n < 0)
		return 0;
	*ret = strndup(text, (size_t)n);
	return *ret ? 0 : err_sys(err, -ENOMEM, "mount at %s", m->destination);
}

/* The clone of a bind mount's source or what the host made; -EBADF in *ret_fd for other mounts. */
static int open_source(const struct roots_options *o, size_t index,
		       const struct mount_options *options, int *ret_fd, struct err *err)
{
	const struct oci_mount *m = &o->spec->mounts[index];
	struct mount_options of_clone = *options;
	int r;

	if (options->remount)
		return 0;
	if (!mount_is_bind(m, options))
		return host_mount_make(&o->spec->mounts[index], options,
				       o->idmap_fds ? o->idmap_fds[index] : -1, ret_fd, err);
	if (!m->source || !*m->source)
		return err_set(err, -EINVAL, "mount bind at %s: a bind mount needs a source",
			       m->destination);
	r = mount_source_open(m, o->bundle, o->idmap_fds ? o->idmap_fds[index] : -1, ret_fd, err);
	if (r < 0)
		return r;
	of_clone.propagation = 0;
	r = mount_apply_options(*ret_fd, &of_clone, 0, err);
	return r < 0 ? err_prefix(err, r, "mount %s at %s", m->source, m->destination) : 0;
}

/* What Landlock and a walk can deal with: namespaces that are bound somewhere are not files. */
static bool is_servable(int fd)
{
	struct statfs fs;
	struct statx st;

	if (fstatfs(fd, &fs) < 0 || fs.f_type == NSFS_MAGIC)
		return false;
	/* Hidden by another mount: then this is not one of the clone's mounts. */
	return statx(fd, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st) == 0 &&
	       st.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

/* The mounts below a clone that "rbind" brought along. One too many stays part of the clone. */
static int open_below(const struct roots_options *o, size_t index, int clone, struct roots *roots,
		      struct err *err)
{
	const struct oci_mount *m = &o->spec->mounts[index];
	const size_t to_come = o->spec->mounts_len - index;
	AUTO_STRV char **places = NULL;
	AUTO_CLOSE int dir = -EBADF;
	int r = relative_to(o->bundle, m->source, &dir, err);

	if (r < 0)
		return r;
	r = submounts_find(dir, m->source, &roots->mountinfo, &places);
	if (r < 0)
		log_debug("mount at %s: mounts below %s are not known: %s", m->destination,
			  m->source, strerrordesc_np(-r));
	for (size_t i = 0; places && places[i] && roots->len + to_come < GOFER_ROOTS_MAX; i++) {
		AUTO_CLOSE int fd = fd_open_resolve(clone, places[i], O_PATH | O_CLOEXEC, 0,
						    RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS);
		struct root root = { .mount = index, .below = places[i] };
		struct stat st;

		if (fd < 0 || !is_servable(fd) || fstat(fd, &st) < 0)
			continue;
		root.fd = fd;
		root.is_file = !S_ISDIR(st.st_mode);
		root.ms_flags = flags_of(fd);
		root.flags = o->socket_flags | (root.ms_flags & MS_RDONLY ? GOFER_ROOT_RO : 0u);
		root.below = strdup(places[i]);
		if (!root.below || add(roots, &root) < 0) {
			free(root.below);
			return err_sys(err, -ENOMEM, "mount %s", m->source);
		}
		fd = -EBADF;
	}
	return 0;
}

/* A clone becomes a root, and so do the mounts below it. Takes the descriptor over. */
static int add_clone(const struct roots_options *o, size_t index,
		     const struct mount_options *options, int clone, struct roots *roots,
		     struct err *err)
{
	const struct oci_mount *m = &o->spec->mounts[index];
	struct root root = { .mount = index, .fd = clone, .ms_flags = flags_of(clone) };
	AUTO_CLOSE int fd = clone;
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return err_sys(err, -errno, "mount at %s", m->destination);
	if (roots->len == GOFER_ROOTS_MAX)
		return err_set(err, -E2BIG, "mounts: more than %u bind mounts",
			       GOFER_ROOTS_MAX - 1);
	root.is_file = !S_ISDIR(st.st_mode);
	root.flags = o->socket_flags | (root.ms_flags & MS_RDONLY ? GOFER_ROOT_RO : 0u);
	if (o->notify_dir && str_eq(m->source, o->notify_dir))
		root.flags |= GOFER_ROOT_CONNECT;
	r = add(roots, &root);
	if (r < 0)
		return err_sys(err, r, "mount at %s", m->destination);
	fd = -EBADF;
	if (!root.is_file && (options->rbind || str_eq(m->type, "rbind")))
		r = open_below(o, index, clone, roots, err);
	if (r < 0)
		return r;
	/* After the flags of all were read. */
	r = set_attributes(clone, GUARD_ATTRIBUTES);
	return r < 0 ? err_set(err, r, "mount %s at %s: mount attributes: %s",
			       m->source ? m->source : m->type, m->destination, strerrordesc_np(-r))
		     : 0;
}

static int make_place(const struct roots *roots, const struct oci_mount *m,
		      const struct mount_options *options, bool is_file, struct err *err)
{
	AUTO_MOUNT_TARGET struct mount_target target = MOUNT_TARGET_INIT;
	const unsigned int flags = (options->remount ? 0u : TARGET_CREATE) |
				   (is_file ? TARGET_FILE : 0u) |
				   (options->dest_nofollow ? TARGET_NOFOLLOW : 0u);
	const int r = mount_target_open(roots->items[0].fd, m->destination, flags, &target, err);

	return r < 0 ? err_prefix(err, r, "mount at %s", m->destination) : 0;
}

/* Whether the entry was "copy-symlink" of a link; the sentry makes it where the root is not ours.
 */
static int make_link(const struct roots_options *o, size_t index, const struct roots *roots,
		     bool place, bool *ret_made, struct err *err)
{
	const struct oci_mount *m = &o->spec->mounts[index];
	AUTO_FREE char *text = NULL;
	int r = roots_link_text(m, o->bundle, &text, err);

	*ret_made = r == 0 && text;
	if (!*ret_made || !place)
		return r;
	r = mount_make_link(roots->items[0].fd, m->destination, text, err);
	return r < 0 ? err_prefix(err, r, "mount %s at %s", m->source, m->destination) : 0;
}

static int open_mount(const struct roots_options *o, size_t index, struct roots *roots,
		      struct err *err)
{
	const struct oci_mount *m = &o->spec->mounts[index];
	const bool place = o->make_places && !is_covered(o->spec, index);
	AUTO_MOUNT_OPTIONS struct mount_options options = { 0 };
	AUTO_CLOSE int fd = -EBADF;
	struct stat st = { .st_mode = S_IFDIR };
	bool link;
	int r = mount_options_parse(&m->options, &options, err);

	if (r < 0)
		return err_prefix(err, r, "mount at %s", m->destination);
	r = make_link(o, index, roots, place, &link, err);
	if (r < 0 || link)
		return r;
	r = open_source(o, index, &options, &fd, err);
	if (r == 0 && fd >= 0 && fstat(fd, &st) < 0)
		r = err_sys(err, -errno, "mount at %s", m->destination);
	if (r == 0 && place)
		r = make_place(roots, m, &options, !S_ISDIR(st.st_mode), err);
	return r < 0 || fd < 0 ? r : add_clone(o, index, &options, TAKE_FD(fd), roots, err);
}

int roots_open(const struct roots_options *o, struct roots *ret, struct err *err)
{
	int r = open_rootfs(o, ret, err);

	for (size_t i = 0; r == 0 && i < o->spec->mounts_len; i++)
		r = open_mount(o, i, ret, err);
	if (r < 0)
		return r;
	/* Last: the places of mounts had to be made. */
	if (o->read_only || (o->spec->root.readonly && o->make_places)) {
		r = set_attributes(ret->items[0].fd, MOUNT_ATTR_RDONLY);
		if (r < 0)
			return err_sys(err, r, "make the root file system read-only");
		ret->items[0].flags |= GOFER_ROOT_RO;
	}
	return 0;
}
