/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/sandbox/carriers.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "wire/carrier.h"
#include "wire/vmm_msg.h"

void carriers_done(struct carriers *c)
{
	for (int i = 0; i < 3; i++) {
		auto_close_p(&c->fd[i]);
		auto_close_p(&c->sock[i]);
	}
	*c = (struct carriers)CARRIERS_INIT;
}

/*
 * A terminal is written and read without waiting for who else does. A socket's lock is held by who
 * has the same end of it, and of AF_UNIX not while bytes are copied out of his memory.
 */
static bool may_wait(int fd)
{
	int domain = AF_UNSPEC;
	socklen_t len = sizeof(domain);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return false;
	if (S_ISCHR(st.st_mode))
		return st.st_rdev != makedev(1, 3) && !isatty(fd);
	if (S_ISSOCK(st.st_mode))
		return getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
		       domain != AF_UNIX;
	return true;
}

static int lift(int fd, int min)
{
	const int lifted = fcntl(fd, F_DUPFD_CLOEXEC, min);

	return lifted < 0 ? -errno : lifted;
}

int carriers_open(struct carriers *c, int fds[3], int min, struct err *err)
{
	for (int i = 0; i < 3; i++) {
		AUTO_CLOSE int theirs = -EBADF;
		AUTO_CLOSE int ours = -EBADF;
		int r;

		if (!may_wait(fds[i]))
			continue;
		r = carrier_pair(&theirs, &ours, err);
		if (r < 0)
			return r;
		c->fd[i] = fds[i];
		c->carried |= VMM_CARRIED(i);
		fds[i] = lift(theirs, min);
		c->sock[i] = lift(ours, min);
		if (fds[i] < 0 || c->sock[i] < 0)
			return err_sys(err, fds[i] < 0 ? fds[i] : c->sock[i], "a carrier's socket");
	}
	return 0;
}

int carriers_start(struct carriers *c, struct err *err)
{
	static struct carry_task tasks[3];

	for (int i = 0; i < 3; i++) {
		pid_t pid;

		if (!(c->carried & VMM_CARRIED(i)))
			continue;
		tasks[i].fd = c->fd[i];
		tasks[i].sock = c->sock[i];
		tasks[i].to_sock = i == 0;
		tasks[i].waits = i == 0;
		tasks[i].parent = getpid();
		pid = carrier_make(&tasks[i], err);
		if (pid < 0)
			return pid;
	}
	for (int i = 0; i < 3; i++) {
		auto_close_p(&c->fd[i]);
		auto_close_p(&c->sock[i]);
		c->fd[i] = c->sock[i] = -EBADF;
	}
	return 0;
}
