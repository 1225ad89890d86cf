/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sentry/stdio.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define PROC "/proc/"

static int open_again(int proc, int fd, int flags)
{
	char path[FD_PATH_MAX];
	const char *name = fd_path(fd, path);

	return proc < 0 ? open(name, flags) : openat(proc, name + sizeof(PROC) - 1, flags);
}

int stdio_own(int proc, int fd, int min)
{
	const int flags = fcntl(fd, F_GETFL);
	AUTO_CLOSE int own = -EBADF;
	struct stat st;
	int r;

	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	if (S_ISFIFO(st.st_mode) || S_ISCHR(st.st_mode))
		own = open_again(proc, fd,
				 (flags & (O_ACCMODE | O_APPEND)) | O_NONBLOCK | O_CLOEXEC |
					 O_NOCTTY);
	r = fcntl(own >= 0 ? own : fd, F_DUPFD_CLOEXEC, min);
	if (r < 0)
		return -errno;
	/* Shared with our caller, who finds it so: it must not stop the sandbox. */
	if (own < 0 && !S_ISREG(st.st_mode))
		(void)fcntl(r, F_SETFL, flags | O_NONBLOCK);
	return r;
}
