/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"
#include "base/fd.h"
#include "base/str.h"

#define CONTAINER_ID_MAX  1024 /* bytes; names above NAME_MAX fail in mkdir(2) */
#define LOCK_WAIT_S	  10
#define LOCK_PAUSE_NS	  100000
#define LOCK_PAUSE_MAX_NS 10000000
#define REMOVE_DEPTH_MAX  8 /* directories below a container's directory */

int container_id_check(const char *id, struct err *err)
{
	static const char allowed[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.";
	const size_t len = id ? strlen(id) : 0;

	if (len == 0)
		return err_set(err, -EINVAL, "container id cannot be empty");
	if (len > CONTAINER_ID_MAX || strspn(id, allowed) != len || str_eq(id, ".") ||
	    str_eq(id, ".."))
		return err_set(err, -EINVAL, "invalid container ID format");
	return 0;
}

/* mkdir -p; existing directories are left alone. The mode is exact: the caller cleared the umask.
 */
static int make_path(const char *path)
{
	AUTO_FREE char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	if (mkdir(path, 0711) == 0 || errno == EEXIST)
		return 0;
	if (errno != ENOENT)
		return -errno;
	for (char *p = copy + 1; *p; p++) {
		if (*p != '/')
			continue;
		*p = '\0';
		if (mkdir(copy, 0755) < 0 && errno != EEXIST)
			return -errno;
		*p = '/';
	}
	return mkdir(path, 0711) < 0 && errno != EEXIST ? -errno : 0;
}

static int make_root(const char *path)
{
	const mode_t mask = umask(0);
	const int r = make_path(path);

	(void)umask(mask);
	return r;
}

int store_open_root(const struct runtime *rt, bool make, struct err *err)
{
	AUTO_CLOSE int fd = open(rt->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 && errno == ENOENT && make) {
		r = make_root(rt->root);
		if (r < 0)
			return err_sys(err, r, "make state directory %s", rt->root);
		fd = open(rt->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	}
	if (fd < 0)
		return err_sys(err, -errno, "open state directory %s", rt->root);
	if (fstat(fd, &st) < 0)
		return err_sys(err, -errno, "stat state directory %s", rt->root);
	if (st.st_uid != geteuid() && st.st_uid != 0)
		return err_set(err, -EPERM, "state directory %s belongs to user %u: refused",
			       rt->root, st.st_uid);
	if (st.st_mode & 0022)
		return err_set(err, -EPERM,
			       "state directory %s may be written by others (mode %04o): refused",
			       rt->root, st.st_mode & 07777);
	return TAKE_FD(fd);
}

int store_make(int root_fd, const char *id, struct err *err)
{
	const mode_t mask = umask(0);
	const int r = mkdirat(root_fd, id, 01711) < 0 ? -errno : 0;

	(void)umask(mask);
	if (r == -EEXIST)
		return err_set(err, r, "container with given ID already exists");
	if (r < 0)
		return err_sys(err, r, "make directory of container %s", id);
	return 0;
}

int store_finish(int dir_fd, struct err *err)
{
	if (fchmod(dir_fd, 0711) < 0)
		return err_sys(err, -errno, "chmod the container's directory");
	return 0;
}

bool store_is_unfinished(int dir_fd)
{
	struct stat st;

	return fstat(dir_fd, &st) == 0 && st.st_mode & S_ISVTX;
}

int store_open(int root_fd, const char *id, struct err *err)
{
	const int fd = openat(root_fd, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd >= 0)
		return fd;
	if (errno == ENOENT || errno == ENAMETOOLONG)
		return err_set(err, -ENOENT, "container does not exist");
	return err_sys(err, -errno, "open directory of container %s", id);
}

int store_lock(int dir_fd, struct err *err)
{
	struct timespec pause = { .tv_nsec = LOCK_PAUSE_NS };
	int64_t begin = 0;
	struct stat st;

	/*
	 * Not for ever: a hook that hangs must not make delete hang, too. By the clock: on a busy
	 * host the pauses are longer.
	 */
	while (flock(dir_fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK && errno != EINTR)
			return err_sys(err, -errno, "lock the container");
		if (begin == 0)
			begin = clock_ms();
		if (clock_ms() - begin > LOCK_WAIT_S * 1000)
			return err_set(
				err, -EBUSY,
				"the container is busy: another call has been at work for %d s",
				LOCK_WAIT_S);
		(void)nanosleep(&pause, NULL);
		if (pause.tv_nsec < LOCK_PAUSE_MAX_NS)
			pause.tv_nsec *= 2;
	}
	if (fstat(dir_fd, &st) < 0)
		return err_sys(err, -errno, "stat the container's directory");
	if (st.st_nlink == 0)
		return err_set(err, -ENOENT, "container does not exist");
	return 0;
}

void store_unlock(int dir_fd)
{
	(void)flock(dir_fd, LOCK_UN);
}

bool store_is_locked(int root_fd, const char *id)
{
	/* An open of its own: a lock belongs to the open file description. */
	AUTO_CLOSE int fd = store_open(root_fd, id, NULL);

	if (fd < 0)
		return false;
	return flock(fd, LOCK_SH | LOCK_NB) < 0 && errno == EWOULDBLOCK;
}

/* Empty a directory. The descriptor is consumed. */
static int empty_directory(int fd, int depth)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	int r = 0;

	if (!dir) {
		(void)close(fd);
		return -ENOMEM;
	}
	while (r == 0 && (entry = readdir(dir))) {
		const char *name = entry->d_name;
		int sub;

		if (str_eq(name, ".") || str_eq(name, ".."))
			continue;
		if (unlinkat(dirfd(dir), name, 0) == 0 || errno == ENOENT)
			continue;
		if (errno != EISDIR && errno != EPERM) {
			r = -errno;
			break;
		}
		sub = openat(dirfd(dir), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (sub < 0 || depth == 0) {
			r = sub < 0 ? -errno : -ELOOP;
			if (sub >= 0)
				(void)close(sub);
			break;
		}
		r = empty_directory(sub, depth - 1);
		if (r == 0 && unlinkat(dirfd(dir), name, AT_REMOVEDIR) < 0 && errno != ENOENT)
			r = -errno;
	}
	(void)closedir(dir);
	return r;
}

int store_remove(int root_fd, const char *id, int dir_fd, struct err *err)
{
	int r, copy;

	/* The usual contents by name; reading the directory is for what else may be left. */
	(void)unlinkat(dir_fd, STORE_CONFIG, 0);
	(void)unlinkat(dir_fd, STORE_GATE, 0);
	(void)unlinkat(dir_fd, STORE_CONTROL, 0);
	(void)unlinkat(dir_fd, STORE_STATE, 0);
	if (unlinkat(root_fd, id, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != ENOTEMPTY && errno != EEXIST)
		return err_sys(err, -errno, "remove directory of container %s", id);
	copy = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (copy < 0)
		return err_sys(err, -errno, "remove directory of container %s", id);
	r = empty_directory(copy, REMOVE_DEPTH_MAX);
	if (r == 0 && unlinkat(root_fd, id, AT_REMOVEDIR) < 0 && errno != ENOENT)
		r = -errno;
	if (r < 0)
		return err_sys(err, r, "remove directory of container %s", id);
	return 0;
}

int store_open_cache(int root_fd, bool make)
{
	int fd = openat(root_fd, STORE_CACHE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT && make && mkdirat(root_fd, STORE_CACHE, 0700) == 0)
		fd = openat(root_fd, STORE_CACHE, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -EBADF : fd;
}
