/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/pump_io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <unistd.h>

#define PATIENCE_US 2000

int pump_io_init(struct pump_io *io, int fd)
{
	const int flags = fcntl(fd, F_GETFL);
	struct stat st;

	if (flags < 0 || fstat(fd, &st) < 0)
		return -errno;
	*io = (struct pump_io){ .fd = fd, .nonblock = flags & O_NONBLOCK, .kind = PUMP_TTY };
	if (S_ISFIFO(st.st_mode))
		io->kind = PUMP_PIPE;
	else if (S_ISSOCK(st.st_mode))
		io->kind = PUMP_SOCKET;
	else if (S_ISREG(st.st_mode) || S_ISBLK(st.st_mode))
		io->kind = PUMP_FILE;
	io->nowait = io->kind == PUMP_PIPE && !io->nonblock;
	return 0;
}

bool pump_io_ready(const struct pump_io *io, short events)
{
	struct pollfd p = { io->fd, events, 0 };

	return poll(&p, 1, 0) > 0;
}

static ssize_t result(ssize_t n)
{
	if (n >= 0)
		return n;
	return errno == EINTR ? -EAGAIN : -errno;
}

static void on_alarm(int number)
{
	(void)number;
}

/* A read or write that waits is interrupted: again and again, as the first may come too early. */
static ssize_t with_alarm(int fd, void *bytes, size_t len, bool out)
{
	const struct itimerval on = { { 0, PATIENCE_US }, { 0, PATIENCE_US } }, off = { 0 };
	const struct sigaction ours = { .sa_handler = on_alarm };
	struct sigaction theirs;
	sigset_t alarm, mask;
	ssize_t n;

	(void)sigemptyset(&alarm);
	(void)sigaddset(&alarm, SIGALRM);
	(void)sigaction(SIGALRM, &ours, &theirs);
	(void)sigprocmask(SIG_UNBLOCK, &alarm, &mask);
	(void)setitimer(ITIMER_REAL, &on, NULL);
	n = result(out ? write(fd, bytes, len) : read(fd, bytes, len));
	/* One that is on its way comes now, and not to whoever looks after signals. */
	(void)setitimer(ITIMER_REAL, &off, NULL);
	(void)sigprocmask(SIG_SETMASK, &mask, NULL);
	(void)sigaction(SIGALRM, &theirs, NULL);
	return n;
}

/* Of a blocking pipe or terminal. */
static ssize_t with_care(const struct pump_io *io, void *bytes, size_t len, bool out)
{
	if (!pump_io_ready(io, out ? POLLOUT : POLLIN))
		return -EAGAIN;
	/* A pipe with room has it for so much. */
	if (out && io->kind == PUMP_PIPE && len > PIPE_BUF)
		len = PIPE_BUF;
	return with_alarm(io->fd, bytes, len, out);
}

ssize_t pump_io_read(struct pump_io *io, void *bytes, size_t len)
{
	if (io->kind == PUMP_SOCKET)
		return result(recv(io->fd, bytes, len, MSG_DONTWAIT));
	if (io->nowait) {
		const struct iovec iov = { bytes, len };
		const ssize_t n = result(preadv2(io->fd, &iov, 1, -1, RWF_NOWAIT));

		if (n != -EOPNOTSUPP)
			return n;
		io->nowait = false;
	}
	if (io->kind == PUMP_FILE || io->nonblock)
		return result(read(io->fd, bytes, len));
	return with_care(io, bytes, len, false);
}

ssize_t pump_io_write(struct pump_io *io, const void *bytes, size_t len)
{
	if (io->kind == PUMP_SOCKET)
		return result(send(io->fd, bytes, len, MSG_DONTWAIT | MSG_NOSIGNAL));
	if (io->nowait) {
		const struct iovec iov = { (void *)bytes, len };
		const ssize_t n = result(pwritev2(io->fd, &iov, 1, -1, RWF_NOWAIT));

		if (n != -EOPNOTSUPP)
			return n;
		io->nowait = false;
	}
	if (io->kind == PUMP_FILE || io->nonblock)
		return result(write(io->fd, bytes, len));
	return with_care(io, (void *)bytes, len, true);
}
