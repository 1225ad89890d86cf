/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Targets are resolved below a descriptor of AGENT_TOP, without symbolic links: what lies below may
 * be a file system that an earlier container could write to.
 */
#include "agent/storage.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/agent.h"
#include "agent/devices.h"
#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

/* What a bind mount takes only by a second call (mount(2)). */
#define BIND_LATER \
	(MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_NOATIME | MS_NODIRATIME | MS_RELATIME)

const char *storage_below(const char *target)
{
	const char *below = str_after(target, AGENT_TOP "/");

	for (const char *p = below; p; p = *p ? p + 1 : NULL) {
		const size_t len = strcspn(p, "/");

		if (len == 0 || (len == 1 && p[0] == '.') || (len == 2 && !strncmp(p, "..", 2)))
			return NULL;
		p += len;
		if (!*p)
			break;
	}
	return below;
}

static int open_below(int top, const char *path, int flags)
{
	return fd_open_resolve(top, path, flags | O_PATH, 0,
			       RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS);
}

static int open_top(struct err *err)
{
	int fd;

	if (mkdir(AGENT_TOP, 0755) < 0 && errno != EEXIST)
		return err_sys(err, -errno, "mkdir " AGENT_TOP);
	fd = open(AGENT_TOP, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? err_sys(err, -errno, "open " AGENT_TOP) : fd;
}

/* Make the last component in its parent, as a directory or an empty file. */
static int make_last(int parent, const char *name, bool is_file)
{
	int fd;

	if (!is_file)
		return mkdirat(parent, name, 0755) < 0 && errno != EEXIST ? -errno : 0;
	fd = openat(parent, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return -errno;
	(void)close(fd);
	return 0;
}

/* A descriptor of `path` below `top`, every missing component made; the last one as `is_file`
 * says. */
static int make_path(int top, const char *path, bool is_file)
{
	AUTO_FREE char *prefix = strdup(path);
	AUTO_CLOSE int parent = dup(top);
	const size_t len = strlen(path);

	if (!prefix || parent < 0)
		return -ENOMEM;
	for (size_t start = 0, end; start < len; start = end + 1) {
		int next, r = 0;

		end = start + strcspn(path + start, "/");
		prefix[end] = '\0';
		next = open_below(top, prefix, 0);
		if (next == -ENOENT) {
			r = make_last(parent, prefix + start, is_file && end == len);
			next = r < 0 ? r : open_below(top, prefix, 0);
		}
		if (next < 0)
			return next;
		(void)close(parent);
		parent = next;
		if (end < len)
			prefix[end] = '/';
	}
	return TAKE_FD(parent);
}

static bool is_mount_point(int fd)
{
	struct statx x;

	return statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, 0, &x) == 0 &&
	       x.stx_attributes & STATX_ATTR_MOUNT_ROOT;
}

static bool is_bind(const struct agent_storage *s)
{
	return s->mount_flags & MS_BIND || str_eq(s->type, "bind");
}

/* An overlay's upper and work directory, below AGENT_TOP like any target. */
static int make_overlay_directories(int top, const char *options)
{
	AUTO_FREE char *copy = strdup(options);
	char *rest = NULL;

	if (!copy)
		return -ENOMEM;
	for (char *word = strtok_r(copy, ",", &rest); word; word = strtok_r(NULL, ",", &rest)) {
		const char *path = str_after(word, "upperdir=");
		int fd;

		if (!path)
			path = str_after(word, "workdir=");
		if (path)
			path = storage_below(path);
		if (!path)
			continue;
		fd = make_path(top, path, false);
		if (fd < 0)
			return fd;
		(void)close(fd);
	}
	return 0;
}

static int mount_at(const struct agent_storage *s, int target)
{
	const unsigned long flags = s->mount_flags | (is_bind(s) ? MS_BIND : 0);
	const char *data = s->options && *s->options ? s->options : NULL;
	char path[FD_PATH_MAX];

	(void)fd_path(target, path);
	if (mount(s->source, path,
		  is_bind(s)				? NULL
		  : str_eq(s->type, AGENT_STORAGE_COPY) ? "tmpfs"
							: s->type,
		  flags, is_bind(s) ? NULL : data) < 0)
		return -errno;
	return 0;
}

#define FILES_DRIVER "/sys/bus/virtio/drivers/virtiofs"

/* Some device has the driver: its entry is a link to the device. */
static int files_are_there(void *arg)
{
	DIR *dir = opendir(FILES_DRIVER);
	const struct dirent *e;
	int found = 0;

	(void)arg;
	while (dir && !found && (e = readdir(dir)) != NULL)
		found = str_after(e->d_name, "virtio") != NULL;
	if (dir)
		(void)closedir(dir);
	return found;
}

static int disk_is_there(void *arg)
{
	return access(arg, F_OK) == 0;
}

/* Devices of a machine that has just been given them. */
static int await_source(const struct agent_storage *s, struct err *err)
{
	int r = 0;

	if (str_eq(s->type, "virtiofs"))
		r = devices_await(files_are_there, NULL);
	else if (str_after(s->source, "/dev/"))
		r = devices_await(disk_is_there, (void *)(uintptr_t)s->source);
	/* The mount's own sentence is better where nothing is to come. */
	return r == 0 || r == -ENODEV ? 0 : err_sys(err, r, "wait for %s", s->source);
}

/* Containers are made at the same time, and what they share is mounted once. */
static int lock_top(int top)
{
	AUTO_CLOSE int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || flock(fd, LOCK_EX) < 0 ? -errno : TAKE_FD(fd);
}

/* To look at it mounts it. */
static int look_at(int at, const char *name, const char *target, int *ret, struct err *err)
{
	AUTO_CLOSE int fd = open_below(at, name, O_DIRECTORY);

	if (fd < 0)
		return err_sys(err, fd, "%s", target);
	if (!is_mount_point(fd))
		return err_set(err, -ENOTDIR, "%s: nothing is mounted there", target);
	*ret = TAKE_FD(fd);
	return 0;
}

/* ---- What several containers have ----------------------------------------------------------- */

#define REFERENCES "volumes" /* below AGENT_TOP: TARGET/NUMBER */

/* "volumes/share/v1" for that target; the caller's. NULL: no memory, or not below AGENT_TOP. */
static char *references_of(const char *target)
{
	const char *below = storage_below(target);
	char *path = NULL;

	return below && str_printf(&path, REFERENCES "/%s", below) >= 0 ? path : NULL;
}

static int refer(int top, const char *target, unsigned int number)
{
	AUTO_FREE char *place = references_of(target);
	AUTO_FREE char *path = NULL;
	AUTO_CLOSE int fd = -EBADF;

	if (!place || str_printf(&path, "%s/%u", place, number) < 0)
		return -ENOMEM;
	fd = make_path(top, path, true);
	return fd < 0 ? fd : 0;
}

/* 1: it was the last one. */
static int unrefer(int top, const char *target, unsigned int number)
{
	AUTO_FREE char *place = references_of(target);
	AUTO_FREE char *path = NULL;

	if (!place || str_printf(&path, "%s/%u", place, number) < 0)
		return -ENOMEM;
	if (unlinkat(top, path, 0) < 0 && errno != ENOENT)
		return -errno;
	if (unlinkat(top, place, AT_REMOVEDIR) < 0 && errno != ENOENT)
		return errno == ENOTEMPTY ? 0 : -errno;
	return 1;
}

static int take_shared(int top, const struct agent_storage *s, const char *below,
		       const struct storage_list *list, int *ret, struct err *err)
{
	AUTO_CLOSE int lock = lock_top(top);
	AUTO_CLOSE int inner = -EBADF;
	int r = lock < 0 ? lock : refer(top, s->target, list->number);

	if (r < 0)
		return err_sys(err, r, "%s", s->target);
	r = look_at(top, below, s->target, ret, err);
	return r < 0 ? r : look_at(*ret, s->source, s->target, &inner, err);
}

/*
 * What it holds is let go of behind the lock: that may wait for files, and others mount meanwhile.
 */
static int unmount_shared(const char *target, unsigned int number)
{
	AUTO_CLOSE int held = -EBADF;
	AUTO_CLOSE int top = open(AGENT_TOP, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO_CLOSE int lock = top < 0 ? -errno : lock_top(top);
	int r = lock < 0 ? lock : unrefer(top, target, number);

	if (r <= 0)
		return r;
	held = open_tree(top, storage_below(target),
			 OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE | AT_NO_AUTOMOUNT);
	/* EINVAL: it was not mounted yet. */
	return umount2(target, UMOUNT_NOFOLLOW | MNT_DETACH) < 0 && errno != EINVAL &&
			       errno != ENOENT
		       ? -errno
		       : 0;
}

static int take_tree(int top, const struct agent_storage *s, const char *below,
		     struct storage_list *list, struct err *err)
{
	AUTO_CLOSE int fd = -EBADF;
	int r;

	if (s->flags & AGENT_STORAGE_SHARED) {
		/* The reference may be there, whatever fails. */
		r = storage_remember(list, s);
		return r < 0 ? err_sys(err, r, "%s", s->target)
			     : take_shared(top, s, below, list, &fd, err);
	}
	r = look_at(top, below, s->target, &fd, err);
	if (r == 0 && storage_remember(list, s) < 0)
		r = err_sys(err, -ENOMEM, "%s", s->target);
	return r;
}

/* ---- One ------------------------------------------------------------------------------------ */

bool storage_is_listed(const struct agent_storage *s)
{
	return !str_eq(s->type, AGENT_STORAGE_DEVICE) &&
	       (!(s->flags & AGENT_STORAGE_SHARED) || str_eq(s->type, AGENT_STORAGE_TREE));
}

int storage_remember(struct storage_list *list, const struct agent_storage *s)
{
	list->targets[list->len] = strdup(s->target);
	if (!list->targets[list->len])
		return -ENOMEM;
	list->shared[list->len++] = s->flags & AGENT_STORAGE_SHARED;
	return 0;
}

static int mount_one(int top, const struct agent_storage *s, struct storage_list *list,
		     struct err *err)
{
	const char *below = storage_below(s->target);
	AUTO_CLOSE int lock = -EBADF;
	AUTO_CLOSE int target = -EBADF;
	AUTO_CLOSE int mounted = -EBADF;
	struct stat st;
	bool is_file;
	int r = 0;

	if (str_eq(s->type, AGENT_STORAGE_DEVICE))
		return 0;
	if (!below)
		return err_set(err, -EINVAL, "%s: not below " AGENT_TOP, s->target);
	if (str_eq(s->type, AGENT_STORAGE_TREE))
		return take_tree(top, s, below, list, err);
	r = await_source(s, err);
	if (r < 0)
		return r;
	if (s->flags & AGENT_STORAGE_SHARED) {
		lock = lock_top(top);
		if (lock < 0)
			return err_sys(err, lock, "lock " AGENT_TOP);
	}
	is_file = is_bind(s) && stat(s->source, &st) == 0 && !S_ISDIR(st.st_mode);
	target = make_path(top, below, is_file);
	if (target < 0)
		return err_sys(err, target, "make %s", s->target);
	if (s->flags & AGENT_STORAGE_SHARED && is_mount_point(target))
		return 0;
	if (str_eq(s->type, "overlay"))
		r = make_overlay_directories(top, s->options ? s->options : "");
	if (r == 0)
		r = mount_at(s, target);
	if (r < 0)
		return err_sys(err, r, "mount %s (%s) at %s", s->source, s->type, s->target);
	if (storage_is_listed(s) && storage_remember(list, s) < 0)
		return err_sys(err, -ENOMEM, "%s", s->target);
	if (!is_bind(s) || !(s->mount_flags & BIND_LATER))
		return 0;
	mounted = open_below(top, below, 0);
	if (mounted >= 0) {
		char path[FD_PATH_MAX];

		if (mount(NULL, fd_path(mounted, path), NULL,
			  (s->mount_flags & BIND_LATER) | MS_REMOUNT | MS_BIND, NULL) == 0)
			return 0;
	}
	return err_sys(err, mounted < 0 ? mounted : -errno, "set the flags of %s", s->target);
}

int storage_mount_all(const struct agent_storage *storages, size_t len, struct storage_list *list,
		      struct err *err)
{
	AUTO_CLOSE int top = open_top(err);
	int r = top < 0 ? top : 0;

	if (r == 0 && len > AGENT_STORAGES_MAX - list->len)
		r = err_set(err, -E2BIG, "%zu storages", len);
	for (size_t i = 0; r == 0 && i < len; i++)
		r = mount_one(top, &storages[i], list, err);
	return r;
}

/* Directories that were made for it, as far as nothing of others is in them. Shortens `target`. */
static void remove_places(char *target)
{
	const size_t top = strlen(AGENT_TOP);

	while (strlen(target) > top && rmdir(target) == 0)
		*strrchr(target, '/') = '\0';
}

int storage_unmount_all(struct storage_list *list, struct err *err)
{
	int r = 0;

	while (list->len > 0) {
		AUTO_FREE char *target = list->targets[--list->len];

		if (list->shared[list->len]) {
			const int failed = unmount_shared(target, list->number);

			if (failed < 0 && r == 0)
				r = err_sys(err, failed, "unmount %s", target);
			continue;
		}
		if (umount2(target, UMOUNT_NOFOLLOW) == 0 ||
		    (errno == EBUSY && umount2(target, UMOUNT_NOFOLLOW | MNT_DETACH) == 0))
			remove_places(target);
		else if (r == 0)
			r = err_sys(err, -errno, "unmount %s", target);
	}
	return r;
}
