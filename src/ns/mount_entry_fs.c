/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mounts[] with a type: a new instance of a file system.
 *
 * Two ways lead there. The long one makes a detached mount and moves it to its place; it can do all
 * that the options ask for. The short one is one mount(2) for what asks for nothing special, which
 * is most of a usual config.json, and never for a name that somebody else could have made
 * (mount_fs_on()).
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "base/fd.h"
#include "base/str.h"
#include "ns/mount_bind.h"
#include "ns/mount_copyup.h"
#include "ns/mount_entry.h"
#include "ns/mount_fs.h"
#include "ns/mount_guard.h"

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
static int bind_instead(const struct rootfs *rootfs, const struct mount_fs *fs, int *ret_mount_fd)
{
	const struct oci_namespace *ipc = &rootfs->spec->linux.ns[OCI_NS_IPC];
	const char *host = strcmp(fs->type, "sysfs") == 0    ? "/sys"
			   : strcmp(fs->type, "mqueue") == 0 ? "/dev/mqueue"
							     : NULL;
	struct mount_attr attr = { .attr_set = fs->attr };
	AUTO_CLOSE int fd = -EBADF;

	if (!host)
		return -EPERM;
	/* The host's queues are no stand-in for those of a namespace of one's own. */
	if (strcmp(fs->type, "mqueue") == 0 && ipc->set && !ipc->path)
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
	if (r == -EPERM && bind_instead(rootfs, fs, ret_mount_fd) == 0)
		return 0;
	return r;
}

/* File systems without directories or devices in their options: the working directory is no matter.
 */
static bool is_pseudo(const char *type)
{
	static const char *const types[] = { "proc", "sysfs", "tmpfs", "devpts", "mqueue" };

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strcmp(type, types[i]) == 0)
			return true;
	}
	return false;
}

/* Nothing that needs a descriptor of the new mount, or a superblock that stays writable. */
static bool is_simple(const struct rootfs *rootfs, const struct mount_entry *e)
{
	const struct mount_options *o = e->o;

	return !(o->propagation & ~(unsigned long)(MS_PRIVATE | MS_REC)) && !rootfs->shared_seen &&
	       !o->rec_attr_set && !o->rec_attr_clr && !o->tmpcopyup && e->userns_fd < 0 &&
	       !(o->flags & MS_RDONLY);
}

/*
 * The short way into the new tmpfs of /dev ("/dev/pts", "/dev/shm"): a directory made this moment
 * in a file system that nobody else has. 1: done; 0: take the long way, also when something failed.
 */
static int mount_in_dev(const struct rootfs *rootfs, const struct mount_fs *fs, const char *path)
{
	const char *name = mount_name_in_dev(rootfs, path);

	if (!name || mkdirat(rootfs->dev_fd, name, 0755) < 0)
		return 0;
	return mount_fs_on(fs, rootfs->dev_fd, name, NULL) == 0;
}

/* The short way onto a resolved directory. 1: done; 0: the long way, which has the better message.
 */
static int mount_on_target(const struct rootfs *rootfs, const struct mount_entry *e,
			   const struct mount_fs *fs, const struct mount_target *target)
{
	if (!is_pseudo(e->type) || !is_simple(rootfs, e) || e->o->dest_nofollow ||
	    strcmp(target->path.data, "/") == 0 || strcmp(target->path.data, "/dev") == 0 ||
	    mount_guard_check(target->path.data, e->type, -1, NULL) < 0)
		return 0;
	return mount_fs_on(fs, target->fd, ".", NULL) == 0;
}

/* What only mount(2) can carry, an option of 256 bytes and more: the short way or none. */
static int mount_oldstyle(const struct rootfs *rootfs, const struct mount_entry *e,
			  const struct mount_fs *fs, const struct mount_target *target,
			  struct err *err)
{
	struct mount_entry plain = *e;
	struct mount_options o = *e->o;
	AUTO_CLOSE int bundle_fd = -EBADF;
	char path[FD_PATH_MAX];
	int r;

	o.flags &= ~(unsigned long)MS_RDONLY; /* of the superblock is right here */
	plain.o = &o;
	if (!is_simple(rootfs, &plain) || o.dest_nofollow || strcmp(target->path.data, "/") == 0)
		return err_set(err, -ENOTSUP,
			       "an option of more than 255 bytes cannot be combined with "
			       "propagation, recursive, idmap or tmpcopyup options");
	r = mount_guard_check(target->path.data, e->type, -1, err);
	if (r < 0)
		return r;
	bundle_fd = open(rootfs->bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (bundle_fd < 0)
		return err_sys(err, -errno, "open the bundle %s", rootfs->bundle);
	return mount_fs_on(fs, bundle_fd, fd_path(target->fd, path), err);
}

/* The long way. *ret_mount_fd: the mount, attached. */
static int mount_detached(struct rootfs *rootfs, const struct mount_entry *e, struct mount_fs *fs,
			  const struct mount_target *target, int *ret_mount_fd, struct err *err)
{
	struct mount_options rest = *e->o;
	AUTO_CLOSE int fd = -EBADF;
	int r;

	fs->attr = e->o->attr_set & ~mount_later_attr(e, target);
	/* Relative directories in the options (overlay) count from the bundle. */
	if (!is_pseudo(e->type) && chdir(rootfs->bundle) < 0)
		return err_sys(err, -errno, "enter the bundle %s", rootfs->bundle);
	r = create_fs(rootfs, fs, &fd, err);
	if (r == 0 && e->o->tmpcopyup)
		r = mount_copyup(target->fd, fd, e->o->data && strstr(e->o->data, "mode="), err);
	if (r == 0 && e->userns_fd >= 0)
		r = mount_apply_idmap(fd, e->userns_fd, e->o->ridmap, err);
	rest.attr_set = rest.attr_clr = 0; /* fsmount(2) has set them */
	if (r == 0)
		r = mount_apply_options(fd, &rest, 0, err);
	if (r == 0)
		r = mount_attach_with(rootfs, fd, e, target, err);
	if (r == 0)
		*ret_mount_fd = TAKE_FD(fd);
	return r;
}

/* The procfs of a pid namespace that we are not in (an option since Linux 6.17). */
static int add_pidns(const struct rootfs *rootfs, struct mount_fs *fs, char **ret_data)
{
	char path[FD_PATH_MAX];
	const int r = str_printf(ret_data, "%s%spidns=%s", fs->data ? fs->data : "",
				 fs->data && *fs->data ? "," : "", fd_path(rootfs->pidns_fd, path));

	fs->data = *ret_data;
	return r;
}

int mount_entry_fs(struct rootfs *rootfs, const struct mount_entry *e, struct err *err)
{
	AUTO_MOUNT_TARGET struct mount_target target = MOUNT_TARGET_INIT;
	AUTO_CLOSE int mount_fd = -EBADF;
	AUTO_FREE char *data = NULL;
	const bool is_tmpfs = strcmp(e->type, "tmpfs") == 0;
	const bool own_label = strcmp(e->type, "proc") == 0 || strcmp(e->type, "sysfs") == 0;
	struct mount_fs fs = {
		.type = e->type,
		.source = e->m->source,
		.data = e->o->data,
		.label = own_label ? NULL : rootfs->spec->linux.mount_label,
		.flags = e->o->flags,
	};
	int r;

	if (e->o->tmpcopyup && !is_tmpfs)
		return err_set(err, -EINVAL, "tmpcopyup is for a tmpfs");
	if (is_pseudo(e->type) && is_simple(rootfs, e) &&
	    mount_in_dev(rootfs, &fs, e->m->destination))
		return 0;
	if (rootfs->pidns_fd >= 0 && strcmp(e->type, "proc") == 0 &&
	    (r = add_pidns(rootfs, &fs, &data)) < 0)
		return mount_fail(err, r);
	r = open_directory(rootfs, e, &target, err);
	if (r < 0)
		return r;
	if (is_tmpfs && (r = add_tmpfs_mode(&fs, &target, &data)) < 0)
		return mount_fail(err, r);
	if (!mount_fs_is_plain(&fs))
		return mount_oldstyle(rootfs, e, &fs, &target, err);
	if (mount_on_target(rootfs, e, &fs, &target))
		return 0;
	r = mount_detached(rootfs, e, &fs, &target, &mount_fd, err);
	if (r == 0 && is_tmpfs && strcmp(target.path.data, "/dev") == 0)
		rootfs->dev_fd = TAKE_FD(mount_fd);
	return r;
}
