/* SPDX-License-Identifier: Apache-2.0 */
#include "host/sockets.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include "base/fd.h"
#include "base/str.h"

/* A name longer than sun_path is reached through a descriptor of its directory. */
static int address_of(const char *path, struct sockaddr_un *address, int *ret_dirfd)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *directory = NULL;
	AUTO_CLOSE int dirfd = -EBADF;
	int n;

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (!*path)
		return -ENOENT; /* an empty name would be an autobind, a NUL first byte abstract */
	if (strlen(path) < sizeof(address->sun_path)) {
		memcpy(address->sun_path, path, strlen(path) + 1);
		return 0;
	}
	if (!slash)
		return -ENAMETOOLONG;
	directory = strndup(path, (size_t)(slash - path) + 1);
	if (!directory)
		return -ENOMEM;
	dirfd = open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return -errno;
	n = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d/%s", dirfd,
		     slash + 1);
	if (n < 0 || (size_t)n >= sizeof(address->sun_path))
		return -ENAMETOOLONG;
	*ret_dirfd = TAKE_FD(dirfd);
	return 0;
}

int socket_connect(const char *path, struct err *err)
{
	const struct timeval timeout = { .tv_sec = SOCKET_TIMEOUT_S };
	AUTO_CLOSE int dirfd = -EBADF;
	AUTO_CLOSE int fd = -EBADF;
	struct sockaddr_un address;
	int r;

	r = address_of(path, &address, &dirfd);
	if (r < 0)
		return err_sys(err, r, "socket %s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_sys(err, -errno, "socket");
	/* unix(7): connect(2) waits for a place in the backlog as long as SO_SNDTIMEO says. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (errno != EINTR)
			return err_sys(err, -errno, "connect to socket %s", path);
	}
	return TAKE_FD(fd);
}

int socket_send_fd(const char *path, const void *bytes, size_t len, int fd, struct err *err)
{
	AUTO_CLOSE int sock = socket_connect(path, err);
	int r;

	if (sock < 0)
		return sock;
	r = fd_send(sock, bytes, len, &fd, 1);
	return r < 0 ? err_sys(err, r, "send a descriptor to socket %s", path) : 0;
}
