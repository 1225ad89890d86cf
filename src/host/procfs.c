/* SPDX-License-Identifier: Apache-2.0 */
#include "host/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
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

int procfs_write(int procfd, const char *path, const char *text, struct err *err)
{
	AUTO_CLOSE int fd =
		fd_open_resolve(procfd, path, O_WRONLY | O_NOFOLLOW | O_NOCTTY, 0, RESOLVE_STRICT);
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
