/* SPDX-License-Identifier: Apache-2.0 */
#include "shim/console.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

int console_listen(const char *bundle, const char *name, struct console *ret, struct err *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	AUTO_CLOSE int dir = open(bundle, O_PATH | O_DIRECTORY | O_CLOEXEC);
	AUTO_CLOSE int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int len;

	if (dir < 0 || fd < 0)
		return err_sys(err, -errno, "make a console socket in %s", bundle);
	len = snprintf(ret->path, sizeof(ret->path), "%s/%s", bundle, name);
	if (len >= (int)sizeof(ret->path))
		return err_set(err, -ENAMETOOLONG, "make a console socket in %s", bundle);
	/* A bundle's path is longer than sun_path. */
	len = snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", dir,
		       name);
	if (len >= (int)sizeof(address.sun_path))
		return err_set(err, -ENAMETOOLONG, "make a console socket %s", name);
	(void)unlink(ret->path);
	if (bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 || listen(fd, 1) < 0)
		return err_sys(err, -errno, "make a console socket in %s", bundle);
	ret->fd = TAKE_FD(fd);
	return 0;
}

int console_take(const struct console *c, struct err *err)
{
	AUTO_CLOSE int connection = -EBADF;
	int master = -EBADF;
	size_t fds_len = 1;
	char name[64];
	ssize_t n;

	if (fcntl(c->fd, F_SETFL, O_RDWR | O_NONBLOCK) < 0)
		return err_sys(err, -errno, "console socket");
	connection = accept4(c->fd, NULL, NULL, SOCK_CLOEXEC);
	if (connection < 0)
		return err_sys(err, -errno, "no terminal was sent");
	n = fd_recv(connection, name, sizeof(name), &master, &fds_len);
	if (n <= 0 || fds_len != 1) {
		auto_close_p(&master);
		return err_set(err, -EPROTO, "no terminal was sent");
	}
	return master;
}

void console_done(struct console *c)
{
	if (c->fd < 0)
		return;
	(void)close(c->fd);
	(void)unlink(c->path);
	c->fd = -EBADF;
}
