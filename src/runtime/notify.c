/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/notify.h"

#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/str.h"
#include "runtime/store.h"

#define DATAGRAM_MAX	   4096 /* bytes; longer ones are cut */
#define BARRIER_TIMEOUT_MS 2000
#define SOCKET_NAME	   "notify.sock"

const char *notify_host(void)
{
	const char *path = getenv("NOTIFY_SOCKET");

	/* sd_notify(3): an absolute path, or an abstract name after '@'. */
	return path && (path[0] == '/' || path[0] == '@') ? path : NULL;
}

int notify_make_dir(int container_dir_fd, struct err *err)
{
	AUTO_CLOSE int fd = -EBADF;

	if (mkdirat(container_dir_fd, STORE_NOTIFY, 0755) < 0)
		return err_sys(err, -errno, "make the notify directory");
	fd = openat(container_dir_fd, STORE_NOTIFY,
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0755) < 0)
		return err_sys(err, -errno, "open the notify directory");
	return 0;
}

int notify_bind(int container_dir_fd, struct err *err)
{
	AUTO_CLOSE int dir = openat(container_dir_fd, STORE_NOTIFY,
				    O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	AUTO_CLOSE int sock = -EBADF;
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	if (dir < 0)
		return errno == ENOENT ? err_set(err, -ENOENT, "no notify directory")
				       : err_sys(err, -errno, "open the notify directory");
	(void)snprintf(addr.sun_path, sizeof(addr.sun_path), "/proc/self/fd/%d/" SOCKET_NAME, dir);
	sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (sock < 0 || bind(sock, (const struct sockaddr *)&addr, sizeof(addr)) < 0)
		return err_sys(err, -errno, "bind the notify socket");
	/* Any user of the container may report; only the container sees the directory. */
	if (fchmodat(dir, SOCKET_NAME, 0777, 0) < 0)
		return err_sys(err, -errno, "chmod the notify socket");
	return TAKE_FD(sock);
}

bool notify_is_ready(const char *text, size_t len)
{
	static const char ready[] = "READY=1";

	while (len > 0) {
		const char *end = memchr(text, '\n', len);
		const size_t line = end ? (size_t)(end - text) : len;

		if (line == sizeof(ready) - 1 && memcmp(text, ready, line) == 0)
			return true;
		if (!end)
			break;
		text += line + 1;
		len -= line + 1;
	}
	return false;
}

/* A socket connected to the supervisor. */
static int host_connect(const char *path, struct err *err)
{
	AUTO_CLOSE int sock = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	const size_t len = strlen(path);

	if (len >= sizeof(addr.sun_path))
		return err_set(err, -ENAMETOOLONG, "NOTIFY_SOCKET is longer than %zu bytes",
			       sizeof(addr.sun_path) - 1);
	memcpy(addr.sun_path, path, len);
	if (path[0] == '@')
		addr.sun_path[0] = '\0';
	if (sock < 0 || connect(sock, (const struct sockaddr *)&addr,
				(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len +
					    (path[0] == '@' ? 0 : 1))) < 0)
		return err_sys(err, -errno, "connect to NOTIFY_SOCKET %s", path);
	return TAKE_FD(sock);
}

/* Returns when the supervisor has read all messages before this one, or the time is over. */
static int barrier(int sock, struct err *err)
{
	static const char text[] = "BARRIER=1";
	AUTO_CLOSE int read_end = -EBADF, write_end = -EBADF;
	struct pollfd p = { .events = POLLIN };
	int pair[2], r;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return err_sys(err, -errno, "pipe");
	read_end = pair[0];
	write_end = pair[1];
	r = fd_send(sock, text, sizeof(text) - 1, &write_end, 1);
	if (r < 0)
		return err_sys(err, r, "send to NOTIFY_SOCKET");
	(void)close(TAKE_FD(write_end));
	p.fd = read_end;
	while (poll(&p, 1, BARRIER_TIMEOUT_MS) < 0 && errno == EINTR)
		;
	return 0;
}

static int tell_host(pid_t pid, bool wait, struct err *err)
{
	static const char ready[] = "READY=1\n";
	const char *path = notify_host();
	AUTO_CLOSE int sock = -EBADF;
	char text[64];
	int len, r;

	if (!path)
		return 0;
	sock = host_connect(path, err);
	if (sock < 0)
		return sock;
	/* Two datagrams in runc's order, which supervisors are used to. */
	r = fd_send(sock, ready, sizeof(ready) - 1, NULL, 0);
	if (r == 0) {
		len = snprintf(text, sizeof(text), "MAINPID=%d\n", (int)pid);
		r = fd_send(sock, text, (size_t)len, NULL, 0);
	}
	if (r < 0)
		return err_sys(err, r, "send to NOTIFY_SOCKET");
	return wait ? barrier(sock, err) : 0;
}

int notify_started(pid_t pid, bool wait, struct err *err)
{
	return tell_host(pid, wait, err);
}

int notify_serve(int sock, pid_t pid, bool wait, struct err *err)
{
	char text[DATAGRAM_MAX];
	ssize_t n;
	int r;

	n = recv(sock, text, sizeof(text), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n < 0)
		return err_sys(err, -errno, "receive from the notify socket");
	if (!notify_is_ready(text, (size_t)n))
		return 0;
	r = tell_host(pid, wait, err);
	return r < 0 ? r : 1;
}

int notify_wait(int sock, pid_t pid, int pidfd, struct err *err)
{
	for (;;) {
		struct pollfd polls[] = { { .fd = sock, .events = POLLIN },
					  { .fd = pidfd, .events = POLLIN } };
		int r;

		if (poll(polls, 2, -1) < 0 && errno != EINTR)
			return err_sys(err, -errno, "poll");
		if (polls[0].revents) {
			r = notify_serve(sock, pid, true, err);
			if (r != 0)
				return r < 0 ? r : 0;
			continue;
		}
		if (polls[1].revents)
			return 0;
	}
}
