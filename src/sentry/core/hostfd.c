/* SPDX-License-Identifier: Apache-2.0 */
#include "sentry/core/hostfd.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/resource.h>
#include <unistd.h>

static int end_of[] = { [HOSTFD_GUEST] = INT_MAX, [HOSTFD_PROCESS] = INT_MAX };

void hostfd_init(void)
{
	struct rlimit files;
	rlim_t spare;

	if (getrlimit(RLIMIT_NOFILE, &files) < 0 || files.rlim_cur > INT_MAX)
		return;
	spare = files.rlim_cur / 8 < HOSTFD_SPARE ? files.rlim_cur / 8 : HOSTFD_SPARE;
	end_of[HOSTFD_GUEST] = (int)(files.rlim_cur - spare);
	end_of[HOSTFD_PROCESS] = (int)(files.rlim_cur - spare / 2);
}

bool hostfd_fits(int fd, enum hostfd_for what)
{
	return fd < end_of[what];
}

bool hostfd_is_full(enum hostfd_for what, unsigned int *ret_most)
{
	/* 0 is /dev/null. */
	const int next = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 0);
	const bool full = next < 0 ? errno == EMFILE : !hostfd_fits(next, what);

	if (next >= 0)
		(void)close(next);
	*ret_most = (unsigned int)end_of[what];
	return full;
}

int hostfd_keep(int fd, enum hostfd_for what)
{
	if (fd < 0 || hostfd_fits(fd, what))
		return fd;
	(void)close(fd);
	errno = EMFILE;
	return -1;
}
