/* SPDX-License-Identifier: Apache-2.0 */
#include "hypervisor/kept.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fd.h"

#define BOOT_ID_MAX 40u

const char *kept_path(const char *name, char path[static PATH_MAX])
{
	const char *dir = geteuid() == 0 ? "/run" : getenv("XDG_RUNTIME_DIR");

	if (!dir || *dir != '/' || snprintf(path, PATH_MAX, "%s/%s", dir, name) >= PATH_MAX)
		return NULL;
	return path;
}

int kept_open(const char *path, int flags)
{
	AUTO_CLOSE int fd =
		open(path, flags | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC, 0600);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_mode & (S_IWGRP | S_IWOTH))
		return -EPERM;
	return TAKE_FD(fd);
}

int kept_read(const char *path, struct buf *text)
{
	AUTO_CLOSE int fd = kept_open(path, O_RDONLY);

	return fd < 0 ? fd : fd_read_all(fd, text);
}

int kept_append_boot(struct buf *text)
{
	AUTO_BUF struct buf boot = { .max = BOOT_ID_MAX };
	const int r = fd_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &boot);

	return r < 0 ? r : buf_append(text, boot.data, strcspn(boot.data, "\n"));
}
