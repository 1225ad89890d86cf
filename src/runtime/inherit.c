/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/inherit.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/fd.h"
#include "base/str.h"
#include "host/sockets.h"

unsigned int inherit_listen_fds(void)
{
	const char *count_text = getenv("LISTEN_FDS");
	const char *pid_text = getenv("LISTEN_PID");
	uint64_t count, pid;

	if (!count_text || !pid_text || str_to_u64(pid_text, INT32_MAX, &pid) < 0 ||
	    (pid_t)pid != getpid() || str_to_u64(count_text, INHERIT_FDS_MAX, &count) < 0)
		return 0;
	return (unsigned int)count;
}

int inherit_check(unsigned int listen, unsigned int preserve, struct err *err)
{
	if (listen > INHERIT_FDS_MAX || preserve > INHERIT_FDS_MAX)
		return err_set(err, -EINVAL, "more than %d descriptors to preserve",
			       INHERIT_FDS_MAX);
	for (unsigned int i = 0; i < listen + preserve; i++) {
		const int flags = fcntl((int)(3 + i), F_GETFD);

		if (flags >= 0 && !(flags & FD_CLOEXEC))
			continue;
		if (i < listen)
			return err_set(err, -EBADF,
				       "LISTEN_FDS is %u, but descriptor %u is not open", listen,
				       3 + i);
		return err_set(err, -EBADF,
			       "unable to stat preserved-fd %u (of %u): descriptor %u is not open",
			       i - listen, preserve, 3 + i);
	}
	return 0;
}

/*
 * A new file that appears whole and under no other name before: a runtime that is killed here
 * leaves nothing beside it. -EEXIST, or an error where the file system has no unnamed files
 * (open(2), O_TMPFILE).
 */
static int publish_file(int dir, const char *name, const char *text, size_t len)
{
	AUTO_CLOSE int fd = openat(dir, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0644);
	char self[32];
	int r;

	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, text, len);
	if (r < 0)
		return r;
	(void)snprintf(self, sizeof(self), "/proc/self/fd/%d", fd);
	return linkat(AT_FDCWD, self, dir, name, AT_SYMLINK_FOLLOW) < 0 ? -errno : 0;
}

int pid_file_write(const char *path, pid_t pid, struct err *err)
{
	const char *slash = strrchr(path, '/');
	AUTO_FREE char *dir_path = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
	const char *name = slash ? slash + 1 : path;
	AUTO_CLOSE int dir = -EBADF;
	char text[16];
	size_t len;
	int r;

	if (!dir_path)
		return err_sys(err, -ENOMEM, "pid file %s", path);
	dir = open(dir_path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return err_sys(err, -errno, "pid file %s", path);
	len = (size_t)snprintf(text, sizeof(text), "%d", (int)pid);
	r = publish_file(dir, name, text, len);
	if (r < 0)
		r = fd_replace_file(dir, name, text, len, 0644);
	return r < 0 ? err_sys(err, r, "pid file %s", path) : 0;
}

int pidfd_send(const char *socket_path, int pidfd, struct err *err)
{
	static const char name[] = "pidfd";
	const int r = socket_send_fd(socket_path, name, sizeof(name) - 1, pidfd, err);

	return r < 0 ? err_prefix(err, r, "pidfd socket") : 0;
}
