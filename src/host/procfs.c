/* SPDX-License-Identifier: Apache-2.0 */
#include "host/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

#include "base/fd.h"
#include "base/str.h"

#define PROC_ROOT_INO 1u /* PROC_ROOT_INO of fs/proc */
#define PROC_PATH_MAX 512
#define RESOLVE_STRICT \
	(RESOLVE_BENEATH | RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS)

int procfs_verify_root(int procfd)
{
	struct statfs fs;
	struct stat st;

	if (fstatfs(procfd, &fs) < 0 || fstat(procfd, &st) < 0)
		return -errno;
	if (fs.f_type != PROC_SUPER_MAGIC || st.st_ino != PROC_ROOT_INO || !S_ISDIR(st.st_mode))
		return -EXDEV;
	return 0;
}

/* A fresh procfs mounted nowhere: fsopen(2), fsconfig(2), fsmount(2). */
static int mount_fresh(bool pids_only)
{
	AUTO_CLOSE int fs = (int)syscall(SYS_fsopen, "proc", FSOPEN_CLOEXEC);
	long fd;

	if (fs < 0)
		return -errno;
	if (pids_only)
		(void)syscall(SYS_fsconfig, fs, FSCONFIG_SET_STRING, "subset", "pid", 0);
	if (syscall(SYS_fsconfig, fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0) < 0)
		return -errno;
	fd = syscall(SYS_fsmount, fs, FSMOUNT_CLOEXEC,
		     MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSUID);
	return fd < 0 ? -errno : (int)fd;
}

/* Without AT_RECURSIVE: what is mounted over files of /proc does not come along. */
static int clone_of_proc(void)
{
	const long fd =
		syscall(SYS_open_tree, AT_FDCWD, "/proc", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	return fd < 0 ? -errno : (int)fd;
}

static int open_private(bool pids_only, struct err *err)
{
	AUTO_CLOSE int fd = mount_fresh(pids_only);
	int r;

	if (fd < 0)
		fd = clone_of_proc();
	if (fd < 0)
		fd = open("/proc", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return err_sys(err, -errno, "open /proc");
	r = procfs_verify_root(fd);
	if (r < 0)
		return err_sys(err, r, "/proc is not a process file system");
	return TAKE_FD(fd);
}

int procfs_open_private(struct err *err)
{
	return open_private(false, err);
}

int procfs_open_private_pids(struct err *err)
{
	return open_private(true, err);
}

/*
 * "self" and "thread-self" are links of procfs, which the strict resolution refuses: read the link
 * itself (nothing may be mounted on it) and accept only its kernel-made form, digits and "/task/".
 */
static int expand_self(int procfd, const char *path, char expanded[static PROC_PATH_MAX])
{
	const char *link =
		str_after(path, "self/") || str_eq(path, "self") ? "self" : "thread-self";
	const char *rest = str_after(path, link);
	AUTO_CLOSE int fd = -EBADF;
	char target[64];
	ssize_t n;
	int r;

	if (!rest || (*rest != '/' && *rest != '\0')) {
		r = snprintf(expanded, PROC_PATH_MAX, "%s", path);
		return r < 0 || r >= PROC_PATH_MAX ? -ENAMETOOLONG : 0;
	}
	fd = fd_open_resolve(procfd, link, O_PATH | O_NOFOLLOW, 0, RESOLVE_STRICT);
	if (fd < 0)
		return fd;
	n = readlinkat(fd, "", target, sizeof(target) - 1);
	if (n < 0)
		return -errno;
	target[n] = '\0';
	if (target[strspn(target, "0123456789/task")] != '\0' || target[0] < '1' || target[0] > '9')
		return -EXDEV;
	r = snprintf(expanded, PROC_PATH_MAX, "%s%s", target, rest);
	return r < 0 || r >= PROC_PATH_MAX ? -ENAMETOOLONG : 0;
}

int procfs_open(int procfd, const char *path, int flags)
{
	char expanded[PROC_PATH_MAX];
	const int r = expand_self(procfd, path, expanded);

	if (r < 0)
		return r;
	return fd_open_resolve(procfd, expanded, flags | O_NOFOLLOW | O_NOCTTY, 0, RESOLVE_STRICT);
}

int procfs_write(int procfd, const char *path, const char *text, struct err *err)
{
	AUTO_CLOSE int fd = procfs_open(procfd, path, O_WRONLY);
	const size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return err_sys(err, fd, "open /proc/%s", path);
	do {
		n = write(fd, text, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return err_sys(err, -errno, "write \"%s\" to /proc/%s", text, path);
	if ((size_t)n != len)
		return err_sys(err, -EIO, "write \"%s\" to /proc/%s", text, path);
	return 0;
}

/*
 * sysctl(8): the first separator of a key decides. With '.', a '/' stands for a dot inside a name
 * ("net.ipv4.conf.eth0/100.forwarding").
 */
static int sysctl_path(const char *key, char path[static PROC_PATH_MAX])
{
	const char *first = strpbrk(key, "./");
	const bool dotted = first && *first == '.';
	const int n = snprintf(path, PROC_PATH_MAX, "sys/%s", key);

	if (n < 0 || n >= PROC_PATH_MAX)
		return -ENAMETOOLONG;
	for (char *p = path + 4; dotted && *p; p++) {
		if (*p == '.')
			*p = '/';
		else if (*p == '/')
			*p = '.';
	}
	if (!*key || strstr(path, "//") || str_ends(path, "/"))
		return -EINVAL;
	/* ".." never leaves the procfs (RESOLVE_BENEATH), but it would leave sys/. */
	for (const char *p = path; p; p = strchr(p, '/')) {
		p += *p == '/';
		if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0'))
			return -EINVAL;
	}
	return 0;
}

int procfs_write_sysctl(int procfd, const char *key, const char *value, struct err *err)
{
	char path[PROC_PATH_MAX];
	int r = sysctl_path(key, path);

	if (r < 0)
		return err_sys(err, r, "sysctl \"%s\"", key);
	r = procfs_write(procfd, path, value, err);
	return r < 0 ? err_prefix(err, r, "sysctl \"%s\"", key) : 0;
}
