/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/aside.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fd.h"
#include "host/pidfd.h"

#define END_MS 1000 /* for the end of a child that was killed */

/* One that a file system holds cannot even be killed: it is left behind then. */
static void end(pid_t pid)
{
	AUTO_CLOSE int fd = pidfd_get(pid);
	int status;

	if (fd < 0)
		return;
	(void)pidfd_kill(fd, SIGKILL);
	if (pidfd_wait(fd, END_MS) == 0)
		(void)pidfd_reap(fd, &status);
}

int64_t aside_share(int64_t patience_ms, int64_t most_ms)
{
	const int64_t half = patience_ms / 2 > ASIDE_LEAST_MS ? patience_ms / 2 : ASIDE_LEAST_MS;

	return half < most_ms ? half : most_ms;
}

void aside_charge(int64_t *patience_ms, int64_t begin_ms)
{
	const int64_t took = clock_ms() - begin_ms, free = ASIDE_LEAST_MS / 2;

	if (took > free)
		*patience_ms -= took - free < *patience_ms ? took - free : *patience_ms;
}

int aside_run(void (*fn)(void *arg, int out), void *arg, int64_t wait_ms, struct buf *text,
	      const char *what, struct err *err)
{
	AUTO_CLOSE int in = -EBADF;
	const pid_t parent = getpid();
	int pair[2];
	pid_t pid;
	int r;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "pipe");
	in = pair[0];
	pid = fork();
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		/* It may have died before, and nobody would end this one then. */
		if (getppid() == parent)
			fn(arg, pair[1]);
		_exit(0);
	}
	r = pid < 0 ? -errno : 0;
	(void)close(pair[1]);
	if (r < 0)
		return err_sys(err, r, "fork");
	r = fd_read_within(in, wait_ms, text);
	end(pid);
	return r < 0 ? err_sys(err, r, "%s", what) : 0;
}
