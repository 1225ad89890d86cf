/* SPDX-License-Identifier: Apache-2.0 */
#include "base/fd.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/buf.h"
#include "base/clock.h"

int fd_open_resolve(int dirfd, const char *path, int flags, mode_t mode, uint64_t resolve)
{
	const struct open_how how = {
		.flags = (uint64_t)(unsigned int)flags | O_CLOEXEC,
		.mode = mode,
		.resolve = resolve,
	};
	long fd;

	/* -EAGAIN: a rename raced the walk of RESOLVE_IN_ROOT or RESOLVE_BENEATH (openat2(2)). */
	for (int tries = 0; tries < 128; tries++) {
		fd = syscall(SYS_openat2, dirfd, path, &how, sizeof(how));
		if (fd >= 0)
			return (int)fd;
		if (errno != EAGAIN && errno != EINTR)
			break;
	}
	return -errno;
}

int fd_read_all(int fd, struct buf *b)
{
	const size_t max = b->max ? b->max : BUF_MAX_DEFAULT;

	for (;;) {
		/* One byte more than may be kept tells a file at the limit from one past it. */
		const size_t room = max - b->len;
		const size_t want = room < 4096 ? room : 4096;
		char extra;
		ssize_t n;
		int r = buf_reserve(b, want);

		if (r < 0)
			return r;
		n = want ? read(fd, b->data + b->len, want) : read(fd, &extra, 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		if (!want)
			return b->error = -E2BIG;
		b->len += (size_t)n;
		b->data[b->len] = '\0';
	}
}

int fd_read_within(int fd, int64_t wait_ms, struct buf *b)
{
	const int64_t deadline = clock_ms() + wait_ms;
	struct pollfd poll_fd = { .fd = fd, .events = POLLIN };

	for (;;) {
		const int64_t left = deadline - clock_ms();
		ssize_t n = left > 0 ? poll(&poll_fd, 1, (int)left) : 0;
		char bytes[4096];

		if (n == 0)
			return -ETIMEDOUT;
		if (n > 0)
			n = read(fd, bytes, sizeof(bytes));
		if (n < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (n == 0)
			return 0;
		if (n > 0 && buf_append(b, bytes, (size_t)n) < 0)
			return buf_error(b);
	}
}

int fd_read_file(int dirfd, const char *path, struct buf *b)
{
	/* O_NONBLOCK: a fifo in the place of the file must not block. */
	AUTO_CLOSE int fd = openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

	if (fd < 0)
		return -errno;
	return fd_read_all(fd, b);
}

int fd_read_regular(int dirfd, const char *path, struct buf *b)
{
	AUTO_CLOSE int fd =
		openat(dirfd, path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
	struct stat st;

	if (fd < 0 || fstat(fd, &st) < 0)
		return -errno;
	return S_ISREG(st.st_mode) ? fd_read_all(fd, b) : -EINVAL;
}

int fd_write_all(int fd, const void *bytes, size_t len)
{
	const char *p = bytes;

	while (len > 0) {
		const ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

int fd_write_file(int dirfd, const char *path, const char *text)
{
	AUTO_CLOSE int fd = openat(dirfd, path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY);
	const size_t len = strlen(text);
	ssize_t n;

	if (fd < 0)
		return -errno;
	do {
		n = write(fd, text, len);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	return (size_t)n == len ? 0 : -EIO;
}

/*
 * Names change places where there is an old file: a rename over it makes ext4 write the new one out
 * at once (auto_da_alloc), which costs more than all else and which nobody here needs.
 */
static int put_in_place(int dirfd, const char *temporary, const char *path)
{
	int r;

	if (renameat2(dirfd, temporary, dirfd, path, RENAME_EXCHANGE) < 0)
		return renameat(dirfd, temporary, dirfd, path) < 0 ? -errno : 0;
	if (unlinkat(dirfd, temporary, 0) == 0)
		return 0;
	r = -errno; /* it was a directory */
	(void)renameat2(dirfd, temporary, dirfd, path, RENAME_EXCHANGE);
	return r;
}

int fd_replace_file(int dirfd, const char *path, const void *bytes, size_t len, mode_t mode)
{
	char temporary[256];
	AUTO_CLOSE int fd = -EBADF;
	int r;

	r = snprintf(temporary, sizeof(temporary), "%s.new.%d", path, (int)getpid());
	if (r < 0 || (size_t)r >= sizeof(temporary))
		return -ENAMETOOLONG;
	fd = openat(dirfd, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	r = fd_write_all(fd, bytes, len);
	if (r == 0)
		r = put_in_place(dirfd, temporary, path);
	if (r < 0)
		(void)unlinkat(dirfd, temporary, 0);
	return r;
}

int fd_send(int sock, const void *bytes, size_t len, const int *fds, size_t nfds)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = (void *)bytes, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (nfds > FD_PASS_MAX)
		return -EINVAL;
	if (nfds > 0) {
		struct cmsghdr *c = &control.align;

		msg.msg_control = control.bytes;
		msg.msg_controllen = CMSG_SPACE(sizeof(int) * nfds);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int) * nfds);
		memcpy(CMSG_DATA(c), fds, sizeof(int) * nfds);
	}
	do {
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	/* The descriptors went with the first byte; the rest of a stream follows plainly. */
	return (size_t)n == len ? 0 : fd_write_all(sock, (const char *)bytes + n, len - (size_t)n);
}

ssize_t fd_recv(int sock, void *bytes, size_t len, int *fds, size_t *nfds)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int) * FD_PASS_MAX)];
		struct cmsghdr align;
	} control = { 0 };
	struct iovec iov = { .iov_base = bytes, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov,
			      .msg_iovlen = 1,
			      .msg_control = control.bytes,
			      .msg_controllen = sizeof(control.bytes) };
	const size_t want = nfds ? *nfds : 0;
	size_t got = 0, came = 0;
	bool cut;
	ssize_t n;

	do {
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && errno == EINTR);
	if (nfds)
		*nfds = 0;
	if (n < 0)
		return -errno;
	cut = msg.msg_flags & MSG_CTRUNC;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&msg); c; c = CMSG_NXTHDR(&msg, c)) {
		size_t count;

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		came += count;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(int));
			if (got < want) {
				fds[got++] = fd;
			} else {
				(void)close(fd);
				cut = true;
			}
		}
	}
	if (cut) {
		for (size_t i = 0; i < got; i++)
			(void)close(fds[i]);
		/* The buffer had room for more: the table of descriptors had not (unix(7)). */
		return came < FD_PASS_MAX && got == came ? -EMFILE : -EPROTO;
	}
	if (nfds)
		*nfds = got;
	return n;
}

const char *fd_path(int fd, char path[static FD_PATH_MAX])
{
	(void)snprintf(path, FD_PATH_MAX, "/proc/self/fd/%d", fd);
	return path;
}

int fd_close_range(unsigned int first, unsigned int last, unsigned int flags)
{
	return syscall(SYS_close_range, first, last, flags) < 0 ? -errno : 0;
}

static int by_number(const void *a, const void *b)
{
	const int one = *(const int *)a, other = *(const int *)b;

	return (one > other) - (one < other);
}

int fd_keep_only(unsigned int first, int *fds, size_t len)
{
	int r = 0;

	qsort(fds, len, sizeof(fds[0]), by_number);
	for (size_t i = 0; r == 0 && i < len; i++) {
		if (fds[i] < 0 || (unsigned int)fds[i] < first)
			continue;
		if ((unsigned int)fds[i] > first)
			r = fd_close_range(first, (unsigned int)fds[i] - 1, 0);
		first = (unsigned int)fds[i] + 1;
	}
	return r < 0 ? r : fd_close_range(first, ~0u, 0);
}

int fd_lift(int *fd)
{
	const int old = *fd;

	if (old < 0 || old > STDERR_FILENO)
		return old < 0 ? old : 0;
	*fd = fcntl(old, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
	if (*fd < 0)
		*fd = -errno;
	(void)close(old);
	return *fd < 0 ? *fd : 0;
}
