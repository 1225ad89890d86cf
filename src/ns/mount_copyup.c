/* SPDX-License-Identifier: Apache-2.0 */
#include "ns/mount_copyup.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "ns/mount_fs.h"

#define XATTR_NAMES_MAX 4096  /* bytes of all names of one file; more are not copied */
#define XATTR_VALUE_MAX 65536 /* XATTR_SIZE_MAX */

struct level {
	DIR *from; /* owned */
	int to;	   /* owned */
	struct stat st;
};

struct copy {
	struct level levels[COPYUP_DEPTH_MAX + 1];
	size_t depth;  /* levels in use */
	bool keep_top; /* the attributes of the top are given: they are not copied */
};

static void copy_done(struct copy *c)
{
	while (c->depth > 0) {
		struct level *l = &c->levels[--c->depth];

		(void)closedir(l->from);
		(void)close(l->to);
	}
}

static bool is_copied_xattr(const char *name)
{
	return str_after(name, "user.") || strcmp(name, "security.capability") == 0;
}

/* Extended attributes are a courtesy: what the source or the tmpfs does not support is left out. */
static void copy_xattrs(int from, int to)
{
	char names[XATTR_NAMES_MAX];
	AUTO_FREE char *value = NULL;
	const ssize_t len = flistxattr(from, names, sizeof(names));

	for (ssize_t at = 0; at < len; at += (ssize_t)strlen(names + at) + 1) {
		ssize_t n;

		if (!is_copied_xattr(names + at))
			continue;
		if (!value)
			value = malloc(XATTR_VALUE_MAX);
		if (!value)
			return;
		n = fgetxattr(from, names + at, value, XATTR_VALUE_MAX);
		if (n >= 0)
			(void)fsetxattr(to, names + at, value, (size_t)n, 0);
	}
}

/* Owner first: chown(2) takes set-id bits away. to_fd is a real descriptor, not O_PATH. */
static int copy_attributes(int to_fd, const struct stat *st)
{
	const struct timespec times[2] = { st->st_atim, st->st_mtim };

	if (fchown(to_fd, st->st_uid, st->st_gid) < 0 || fchmod(to_fd, st->st_mode & 07777) < 0 ||
	    futimens(to_fd, times) < 0)
		return -errno;
	return 0;
}

/*
 * Open for real what path_fd (O_PATH) refers to; it has been judged already and cannot change its
 * kind. The caller's /proc is the host's here (rootfs.h).
 */
static int reopen(int path_fd, int flags)
{
	char path[FD_PATH_MAX];
	const int fd = open(fd_path(path_fd, path), flags | O_CLOEXEC | O_NOCTTY);

	return fd < 0 ? -errno : fd;
}

static int copy_bytes(int from, int to)
{
	for (;;) {
		const ssize_t n = sendfile(to, from, NULL, 1u << 20);

		if (n == 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return -errno;
	}
}

static int copy_regular(const struct level *l, const char *name, int path_fd, const struct stat *st)
{
	AUTO_CLOSE int from = reopen(path_fd, O_RDONLY | O_NONBLOCK);
	AUTO_CLOSE int to = -EBADF;
	int r;

	if (from < 0)
		return from;
	to = openat(l->to, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (to < 0)
		return -errno;
	r = copy_bytes(from, to);
	if (r < 0)
		return r;
	if (fchown(to, st->st_uid, st->st_gid) < 0)
		return -errno;
	copy_xattrs(from, to); /* after chown(2), which drops security.capability */
	if (fchmod(to, st->st_mode & 07777) < 0)
		return -errno;
	return futimens(to, (const struct timespec[2]){ st->st_atim, st->st_mtim }) < 0 ? -errno
											: 0;
}

static int copy_link(const struct level *l, const char *name, int path_fd, const struct stat *st)
{
	char text[4096];
	const ssize_t n = readlinkat(path_fd, "", text, sizeof(text) - 1);

	if (n < 0)
		return -errno;
	text[n] = '\0';
	if (symlinkat(text, l->to, name) < 0 ||
	    fchownat(l->to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return 0;
}

static int copy_node(const struct level *l, const char *name, const struct stat *st)
{
	if (mknodat(l->to, name, st->st_mode, st->st_rdev) < 0) {
		/* A device in a user namespace: mknod(2) is refused there. */
		if (errno == EPERM && (S_ISCHR(st->st_mode) || S_ISBLK(st->st_mode)))
			return 0;
		return -errno;
	}
	if (fchownat(l->to, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
	    fchmodat(l->to, name, st->st_mode & 07777, 0) < 0)
		return -errno;
	return 0;
}

/* Go into a directory: a level more. `to` is taken. */
static int push(struct copy *c, int path_fd, int to, const struct stat *st)
{
	AUTO_CLOSE int to_fd = to;
	AUTO_CLOSE int from = -EBADF;
	DIR *dir;

	if (c->depth >= ARRAY_LEN(c->levels))
		return -ELOOP;
	from = openat(path_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (from < 0)
		return -errno;
	dir = fdopendir(from);
	if (!dir)
		return -errno;
	(void)TAKE_FD(from);
	c->levels[c->depth++] = (struct level){ .from = dir, .to = TAKE_FD(to_fd), .st = *st };
	return 0;
}

/* The directory is copied: its attributes last, so that its times are its own. */
static int pop(struct copy *c)
{
	struct level *l = &c->levels[--c->depth];
	int r;

	copy_xattrs(dirfd(l->from), l->to);
	r = c->keep_top && c->depth == 0 ? 0 : copy_attributes(l->to, &l->st);
	(void)closedir(l->from);
	(void)close(l->to);
	return r;
}

static int enter_directory(struct copy *c, const struct level *l, const char *name, int path_fd,
			   const struct stat *st)
{
	int to;

	if (mkdirat(l->to, name, 0700) < 0)
		return -errno;
	to = openat(l->to, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return to < 0 ? -errno : push(c, path_fd, to, st);
}

static int copy_entry(struct copy *c, const char *name)
{
	const struct level *l = &c->levels[c->depth - 1];
	AUTO_CLOSE int fd = openat(dirfd(l->from), name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat st;

	if (fd < 0)
		return errno == ENOENT ? 0 : -errno; /* removed since readdir(3) */
	if (fstat(fd, &st) < 0)
		return -errno;
	switch (st.st_mode & S_IFMT) {
	case S_IFDIR:
		return enter_directory(c, l, name, fd, &st);
	case S_IFREG:
		return copy_regular(l, name, fd, &st);
	case S_IFLNK:
		return copy_link(l, name, fd, &st);
	default:
		return copy_node(l, name, &st);
	}
}

/* One step of the walk: the next entry of the deepest directory, or its end. */
static int copy_step(struct copy *c, struct err *err)
{
	struct level *l = &c->levels[c->depth - 1];
	const struct dirent *entry;
	int r;

	errno = 0;
	entry = readdir(l->from);
	if (!entry) {
		r = errno ? -errno : pop(c);
		return r < 0 ? err_sys(err, r, "copy a directory") : 0;
	}
	if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
		return 0;
	r = copy_entry(c, entry->d_name);
	return r < 0 ? err_sys(err, r, "copy %s", entry->d_name) : 0;
}

static void copy_free(struct copy *c)
{
	if (c)
		copy_done(c);
	free(c);
}
DEFINE_AUTO(struct copy *, copy_free);

int mount_copyup(int from_fd, int to_fd, bool keep_top, struct err *err)
{
	AUTO(copy_free_p) struct copy *c = calloc(1, sizeof(*c));
	struct stat st;
	int to;
	int r;

	if (!c)
		return mount_fail(err, -ENOMEM);
	c->keep_top = keep_top;
	if (fstat(from_fd, &st) < 0)
		return mount_fail(err, -errno);
	to = openat(to_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (to < 0)
		return mount_fail(err, -errno);
	r = push(c, from_fd, to, &st);
	if (r < 0)
		return mount_fail(err, r);
	while (r == 0 && c->depth > 0)
		r = copy_step(c, err);
	return r;
}
