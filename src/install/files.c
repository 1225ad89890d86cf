/* SPDX-License-Identifier: Apache-2.0 */
#include "install/files.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "base/fd.h"
#include "base/str.h"
#include "install/toml.h"

#define FILE_MAX  TOML_FILE_MAX
#define XATTR_LEN 4096 /* bytes of a label or of an access list */

/* "/a/b/c" as "/a/b" and "c". */
static int split(const char *path, char dir[static PATH_MAX], const char **ret_name)
{
	const char *slash = strrchr(path, '/');

	if (!slash || strlen(path) >= PATH_MAX)
		return -ENAMETOOLONG;
	(void)snprintf(dir, PATH_MAX, "%.*s", slash == path ? 1 : (int)(slash - path), path);
	*ret_name = slash + 1;
	return 0;
}

int files_open_dir(int root_fd, const char *path)
{
	return fd_open_resolve(root_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC, 0,
			       RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS);
}

static struct stat_id id_of(const struct stat *st)
{
	return (struct stat_id){ .dev = st->st_dev,
				 .ino = st->st_ino,
				 .size = st->st_size,
				 .mtime_ns =
					 st->st_mtim.tv_sec * 1000000000ll + st->st_mtim.tv_nsec };
}

static int open_file(int dir, const char *name, struct install_file *file, int *ret,
		     struct err *err)
{
	struct stat st;
	int fd;

	if (fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? 0 : err_sys(err, -errno, "%s", file->path);
	if (!S_ISREG(st.st_mode))
		return err_set(err, S_ISLNK(st.st_mode) ? -ELOOP : -EINVAL, "%s is %s", file->path,
			       S_ISLNK(st.st_mode) ? "a symbolic link: what manages the file that "
						     "it leads to has to be asked"
						   : "not a regular file");
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0) {
		const int r = err_sys(err, -errno, "open %s", file->path);

		if (fd >= 0)
			(void)close(fd);
		return r;
	}
	file->existed = true;
	file->id = id_of(&st);
	file->mode = st.st_mode & 07777;
	file->uid = st.st_uid;
	file->gid = st.st_gid;
	*ret = fd;
	return 0;
}

/* How many directories of the path are not there. */
static unsigned int count_missing(int root_fd, const char *path)
{
	char dir[PATH_MAX], above[PATH_MAX];
	unsigned int n = 0;
	const char *name;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	for (;; n++) {
		AUTO_CLOSE int fd = files_open_dir(root_fd, dir);

		if (fd != -ENOENT || split(dir, above, &name) < 0)
			return n;
		strcpy(dir, above);
	}
}

int files_read(int root_fd, struct install_file *file, struct err *err)
{
	char dir_path[PATH_MAX];
	AUTO_CLOSE int dir = -EBADF;
	AUTO_CLOSE int fd = -EBADF;
	const char *name;
	int r = split(file->path, dir_path, &name);

	file->mode = 0644;
	if (r < 0)
		return err_sys(err, r, "%s", file->path);
	dir = files_open_dir(root_fd, dir_path);
	if (dir == -ENOENT) {
		file->dirs = count_missing(root_fd, dir_path);
		return 0;
	}
	if (dir < 0)
		return err_sys(err, dir, "open %s", dir_path);
	r = open_file(dir, name, file, &fd, err);
	if (r < 0 || fd < 0)
		return r;
	file->before.max = FILE_MAX;
	r = fd_read_all(fd, &file->before);
	if (r == -E2BIG)
		return err_set(err, r, "%s: more than %u bytes", file->path, FILE_MAX);
	if (r < 0)
		return err_sys(err, r, "read %s", file->path);
	if (file->before.data && memchr(file->before.data, '\0', file->before.len))
		return err_set(err, -EBADMSG, "%s: not a text", file->path);
	return 0;
}

/* The directory, made with what is missing above it. */
static int make_dir(int root_fd, const char *path, struct err *err)
{
	char part[PATH_MAX];
	int fd = files_open_dir(root_fd, path);

	for (const char *slash = path; fd == -ENOENT && *slash;) {
		AUTO_CLOSE int parent = -EBADF;
		const char *start = slash + 1;

		slash = strchrnul(start, '/');
		(void)snprintf(part, sizeof(part), "%.*s", (int)(start - path), path);
		parent = files_open_dir(root_fd, part);
		if (parent < 0)
			return err_sys(err, parent, "open %s", part);
		(void)snprintf(part, sizeof(part), "%.*s", (int)(slash - start), start);
		if (mkdirat(parent, part, 0755) < 0 && errno != EEXIST)
			return err_sys(err, -errno, "make %s in %s", part, path);
		if (!*slash)
			fd = files_open_dir(root_fd, path);
	}
	return fd < 0 ? err_sys(err, fd, "open %s", path) : fd;
}

/* Whether what is there now is what was read. */
static int check_same(int dir, const char *name, const struct install_file *file, struct err *err)
{
	struct stat st;
	struct stat_id id;
	const bool there = fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;

	if (there)
		id = id_of(&st);
	if (there != file->existed ||
	    (there && (id.dev != file->id.dev || id.ino != file->id.ino ||
		       id.size != file->id.size || id.mtime_ns != file->id.mtime_ns)))
		return err_set(err, -EAGAIN,
			       "%s was changed by somebody else meanwhile: nothing is written",
			       file->path);
	return 0;
}

/* One attribute of the file `from`, if it has it and file systems know it. */
static int copy_xattr(int from, int to, const char *name)
{
	char value[XATTR_LEN], there[XATTR_LEN];
	const ssize_t n = fgetxattr(from, name, value, sizeof(value));

	if (n < 0)
		return errno == ENODATA || errno == ENOTSUP ? 0 : -errno;
	/* The same label needs no right to set it. */
	if (fgetxattr(to, name, there, sizeof(there)) == n && memcmp(there, value, (size_t)n) == 0)
		return 0;
	return fsetxattr(to, name, value, (size_t)n, 0) < 0 && errno != ENOTSUP ? -errno : 0;
}

/* The label and the access list of the file that is replaced. */
static int copy_xattrs(int dir, const char *name, int to)
{
	AUTO_CLOSE int from =
		openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int r;

	if (from < 0)
		return -errno;
	r = copy_xattr(from, to, "security.selinux");
	return r < 0 ? r : copy_xattr(from, to, "system.posix_acl_access");
}

static int fill(int fd, const struct install_file *file)
{
	if (file->existed && fchown(fd, file->uid, file->gid) < 0)
		return -errno;
	if (fchmod(fd, file->mode) < 0)
		return -errno;
	return file->after.len > 0 ? fd_write_all(fd, file->after.data, file->after.len) : 0;
}

/* A new file; one of a run that was killed goes: the name is this process's. */
static int make_temporary(int at, const char *name)
{
	const int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(at, name, flags, 0600);

	if (fd < 0 && errno == EEXIST && unlinkat(at, name, 0) == 0)
		fd = openat(at, name, flags, 0600);
	return fd < 0 ? -errno : fd;
}

/* By way of a new file in the directory `at`. */
static int replace_by(int at, int dir, const char *name, const struct install_file *file,
		      struct err *err)
{
	char temporary[NAME_MAX + 1];
	AUTO_CLOSE int fd = -EBADF;
	int r = snprintf(temporary, sizeof(temporary), ".%s.caisson.%d", name, (int)getpid());

	if (r < 0 || (size_t)r >= sizeof(temporary))
		return err_sys(err, -ENAMETOOLONG, "%s", file->path);
	fd = make_temporary(at, temporary);
	if (fd < 0)
		return err_sys(err, fd, "make a file beside %s", file->path);
	r = fill(fd, file);
	if (r == 0 && file->existed)
		r = copy_xattrs(dir, name, fd);
	if (r == 0 && fsync(fd) < 0)
		r = -errno;
	if (r < 0)
		(void)err_sys(err, r, "write a file beside %s", file->path);
	if (r == 0)
		r = check_same(dir, name, file, err);
	if (r == 0 && renameat(at, temporary, dir, name) < 0)
		r = err_sys(err, -errno, "replace %s", file->path);
	if (r < 0)
		(void)unlinkat(at, temporary, 0);
	return r;
}

/*
 * CRI-O reads every file in its directory of drop-ins, whatever its name: what a kill may leave
 * lies beside a directory "*.d", not in it, unless that is another file system or cannot be
 * written.
 */
static int replace(int root_fd, const char *dir_path, int dir, const char *name,
		   const struct install_file *file, struct err *err)
{
	char above_path[PATH_MAX];
	AUTO_CLOSE int above = -EBADF;
	const char *last;
	int r;

	if (str_ends(dir_path, ".d") && split(dir_path, above_path, &last) == 0)
		above = files_open_dir(root_fd, above_path);
	r = above >= 0 ? replace_by(above, dir, name, file, err) : -EXDEV;
	if (r == -EXDEV || r == -EROFS || r == -EACCES || r == -EPERM)
		r = replace_by(dir, dir, name, file, err);
	return r;
}

/* The directories that were made for a file that is gone, up to the first that is in use. */
static void remove_dirs(int root_fd, const char *path, unsigned int n)
{
	char dir[PATH_MAX], above[PATH_MAX];
	const char *name;

	(void)snprintf(dir, sizeof(dir), "%s", path);
	for (; n > 0 && split(dir, above, &name) == 0; n--) {
		AUTO_CLOSE int fd = files_open_dir(root_fd, above);

		if (fd < 0 || unlinkat(fd, name, AT_REMOVEDIR) < 0)
			return;
		strcpy(dir, above);
	}
}

int files_write(int root_fd, const struct install_file *file, struct err *err)
{
	char dir_path[PATH_MAX];
	AUTO_CLOSE int dir = -EBADF;
	const char *name;
	int r = split(file->path, dir_path, &name);

	if (r < 0)
		return err_sys(err, r, "%s", file->path);
	dir = make_dir(root_fd, dir_path, err);
	if (dir < 0)
		return dir;
	if (!file->removed) {
		r = replace(root_fd, dir_path, dir, name, file, err);
	} else {
		r = check_same(dir, name, file, err);
		if (r == 0 && unlinkat(dir, name, 0) < 0)
			r = err_sys(err, -errno, "remove %s", file->path);
		else if (r == 0)
			remove_dirs(root_fd, dir_path, file->dirs);
	}
	/* Of a file system that cannot sync a directory the rename is as lasting as it gets. */
	(void)fsync(dir);
	return r;
}
