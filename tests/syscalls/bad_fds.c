/* SPDX-License-Identifier: Apache-2.0 */
/* Every call that takes a descriptor, with one that is closed, negative, O_PATH or of the wrong
 * kind. */
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/vfs.h>

#include "harness.h"

static char buf[8192];
static struct iovec iov = { buf, 1 };
static struct epoll_event ev;
static struct sockaddr_un addr = { .sun_family = AF_UNIX, .sun_path = "x" };
static socklen_t len = sizeof(addr);
static struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
static const struct timespec now2[2];

#define DATA_CALLS(X)                                           \
	X(SYS_read, fd, buf, 1)                                 \
	X(SYS_write, fd, buf, 1)                                \
	X(SYS_pread64, fd, buf, 1, 0)                           \
	X(SYS_pwrite64, fd, buf, 1, 0)                          \
	X(SYS_readv, fd, &iov, 1)                               \
	X(SYS_writev, fd, &iov, 1)                              \
	X(SYS_preadv, fd, &iov, 1, 0, 0)                        \
	X(SYS_pwritev, fd, &iov, 1, 0, 0)                       \
	X(SYS_preadv2, fd, &iov, 1, 0, 0, 0)                    \
	X(SYS_pwritev2, fd, &iov, 1, 0, 0, 0)                   \
	X(SYS_lseek, fd, 0, SEEK_SET)                           \
	X(SYS_fsync, fd)                                        \
	X(SYS_fdatasync, fd)                                    \
	X(SYS_syncfs, fd)                                       \
	X(SYS_sync_file_range, fd, 0, 0, 0)                     \
	X(SYS_ftruncate, fd, 0)                                 \
	X(SYS_fallocate, fd, 0, 0, 1)                           \
	X(SYS_fadvise64, fd, 0, 0, 0)                           \
	X(SYS_readahead, fd, 0, 1)                              \
	X(SYS_flock, fd, LOCK_SH)                               \
	X(SYS_fchmod, fd, 0600)                                 \
	X(SYS_fchown, fd, -1, -1)                               \
	X(SYS_getdents64, fd, buf, 100)                         \
	X(SYS_getdents, fd, buf, 100)                           \
	X(SYS_ioctl, fd, 0x5401, buf)                           \
	X(SYS_fgetxattr, fd, "user.x", buf, 1)                  \
	X(SYS_fsetxattr, fd, "user.x", buf, 1, 0)               \
	X(SYS_flistxattr, fd, buf, 1)                           \
	X(SYS_fremovexattr, fd, "user.x")                       \
	X(SYS_mmap, 0, 4096, PROT_READ, MAP_PRIVATE, fd, 0)     \
	X(SYS_sendfile, fd, 0, NULL, 1)                         \
	X(SYS_copy_file_range, fd, NULL, fd, NULL, 1, 0)        \
	X(SYS_splice, fd, NULL, fd, NULL, 1, 0)                 \
	X(SYS_tee, fd, fd, 1, 0)                                \
	X(SYS_vmsplice, fd, &iov, 1, 0)                         \
	X(SYS_bind, fd, &addr, sizeof(addr))                    \
	X(SYS_connect, fd, &addr, sizeof(addr))                 \
	X(SYS_listen, fd, 1)                                    \
	X(SYS_accept, fd, NULL, NULL)                           \
	X(SYS_accept4, fd, NULL, NULL, 0)                       \
	X(SYS_getsockname, fd, &addr, &len)                     \
	X(SYS_getpeername, fd, &addr, &len)                     \
	X(SYS_sendto, fd, buf, 1, 0, NULL, 0)                   \
	X(SYS_recvfrom, fd, buf, 1, 0, NULL, NULL)              \
	X(SYS_sendmsg, fd, &msg, 0)                             \
	X(SYS_recvmsg, fd, &msg, 0)                             \
	X(SYS_sendmmsg, fd, buf, 1, 0)                          \
	X(SYS_recvmmsg, fd, buf, 1, 0, NULL)                    \
	X(SYS_shutdown, fd, SHUT_RD)                            \
	X(SYS_setsockopt, fd, SOL_SOCKET, SO_KEEPALIVE, buf, 4) \
	X(SYS_getsockopt, fd, SOL_SOCKET, SO_KEEPALIVE, buf, &len)

#define OTHER_CALLS(X)                              \
	X(SYS_close, fd)                            \
	X(SYS_dup, fd)                              \
	X(SYS_dup2, fd, 50)                         \
	X(SYS_dup3, fd, 50, 0)                      \
	X(SYS_fcntl, fd, F_GETFD)                   \
	X(SYS_fcntl, fd, F_GETFL)                   \
	X(SYS_fcntl, fd, F_DUPFD, 0)                \
	X(SYS_fstat, fd, buf)                       \
	X(SYS_fstatfs, fd, buf)                     \
	X(SYS_fchdir, fd)                           \
	X(SYS_utimensat, fd, NULL, now2, 0)         \
	X(SYS_epoll_ctl, fd, EPOLL_CTL_ADD, 0, &ev) \
	X(SYS_epoll_wait, fd, &ev, 1, 0)            \
	X(SYS_epoll_pwait, fd, &ev, 1, 0, NULL, 8)  \
	X(SYS_inotify_add_watch, fd, ".", IN_OPEN)  \
	X(SYS_inotify_rm_watch, fd, 1)              \
	X(SYS_timerfd_settime, fd, 0, buf, NULL)    \
	X(SYS_timerfd_gettime, fd, buf)

#define IS(call, error, ...)                                                             \
	do {                                                                             \
		long r_ = (errno = 0, syscall(call, __VA_ARGS__));                       \
		int e_ = errno;                                                          \
		if (r_ != -1 || e_ != (error))                                           \
			FAIL(#call " of descriptor %d: %ld, %s, wanted " #error, fd, r_, \
			     test_errno_name(e_));                                       \
	} while (0);
#define CLOSED(call, ...)     IS(call, EBADF, __VA_ARGS__)
#define NOT_SOCKET(call, ...) IS(call, ENOTSOCK, __VA_ARGS__)

TEST(closed)
{
	int fd = 150;

	DATA_CALLS(CLOSED)
	OTHER_CALLS(CLOSED)
}

TEST(negative)
{
	int fd = -1;

	/* mmap(2) of -1 is told as EBADF, too. */
	DATA_CALLS(CLOSED)
	OTHER_CALLS(CLOSED)
}

TEST(far_too_large)
{
	int fd = 0x7fffffff;

	DATA_CALLS(CLOSED)
	OTHER_CALLS(CLOSED)
}

TEST(opened_as_a_path)
{
	int fd;

	write_file("f", "x");
	fd = OK(open("f", O_PATH));
	DATA_CALLS(CLOSED)
	CHECK_ERRNO(syscall(SYS_epoll_ctl, fd, EPOLL_CTL_ADD, 0, &ev), EBADF);
	CHECK_ERRNO(syscall(SYS_inotify_rm_watch, fd, 1), EBADF);
	CHECK_ERRNO(fcntl(fd, F_SETFL, 0), EBADF);
	CHECK_ERRNO(fcntl(fd, F_SETLK, buf), EBADF);
	OK(fcntl(fd, F_GETFL));
	OK(fcntl(fd, F_GETFD));
	OK(fstat(fd, (struct stat *)buf));
	OK(dup(fd));
}

#define SOCKET_CALLS(X)                                         \
	X(SYS_bind, fd, &addr, sizeof(addr))                    \
	X(SYS_connect, fd, &addr, sizeof(addr))                 \
	X(SYS_listen, fd, 1)                                    \
	X(SYS_accept, fd, NULL, NULL)                           \
	X(SYS_accept4, fd, NULL, NULL, 0)                       \
	X(SYS_getsockname, fd, &addr, &len)                     \
	X(SYS_getpeername, fd, &addr, &len)                     \
	X(SYS_sendto, fd, buf, 1, 0, NULL, 0)                   \
	X(SYS_recvfrom, fd, buf, 1, 0, NULL, NULL)              \
	X(SYS_sendmsg, fd, &msg, 0)                             \
	X(SYS_recvmsg, fd, &msg, 0)                             \
	X(SYS_shutdown, fd, SHUT_RD)                            \
	X(SYS_setsockopt, fd, SOL_SOCKET, SO_KEEPALIVE, buf, 4) \
	X(SYS_getsockopt, fd, SOL_SOCKET, SO_KEEPALIVE, buf, &len)

TEST(not_a_socket)
{
	int fds[2], fd = OK(open("f", O_CREAT | O_RDWR, 0600));

	SOCKET_CALLS(NOT_SOCKET)
	OK(pipe(fds));
	fd = fds[0];
	SOCKET_CALLS(NOT_SOCKET)
}

TEST(wrong_kind)
{
	int null = OK(open("/dev/null", O_RDWR)), fds[2];
	uint64_t n = 0;

	OK(pipe(fds));
	CHECK_ERRNO(syscall(SYS_epoll_wait, null, &ev, 1, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_epoll_pwait, null, &ev, 1, 0, NULL, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_timerfd_gettime, null, buf), EINVAL);
	CHECK_ERRNO(syscall(SYS_inotify_rm_watch, null, 1), EINVAL);
	CHECK_ERRNO(syscall(SYS_fchdir, null), ENOTDIR);
	CHECK_ERRNO(syscall(SYS_getdents64, null, buf, 100), ENOTDIR);
	CHECK_ERRNO(syscall(SYS_fallocate, fds[0], 0, 0, 1), EBADF);
	CHECK_ERRNO(syscall(SYS_sync_file_range, fds[0], 0, 0, 0), ESPIPE);
	CHECK_ERRNO(syscall(SYS_tee, null, fds[1], 1, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_fcntl, null, F_GETPIPE_SZ), EBADF);
	CHECK_ERRNO(syscall(SYS_splice, null, NULL, null, NULL, 1, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_sendfile, null, fds[0], NULL, 1), EINVAL);
	CHECK_EQ(n, 0);
}

/* At the limit every call that makes a descriptor says so, and none leaks. */
#define MAKING_CALLS(X)                                 \
	X(SYS_open, "/dev/null", O_RDONLY)              \
	X(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY)  \
	X(SYS_creat, "new", 0600)                       \
	X(SYS_dup, 0)                                   \
	X(SYS_fcntl, 0, F_DUPFD, 0)                     \
	X(SYS_fcntl, 0, F_DUPFD_CLOEXEC, 0)             \
	X(SYS_pipe, buf)                                \
	X(SYS_pipe2, buf, 0)                            \
	X(SYS_socket, AF_UNIX, SOCK_STREAM, 0)          \
	X(SYS_socket, AF_INET, SOCK_DGRAM, 0)           \
	X(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, buf) \
	X(SYS_eventfd, 0)                               \
	X(SYS_eventfd2, 0, 0)                           \
	X(SYS_epoll_create, 1)                          \
	X(SYS_epoll_create1, 0)                         \
	X(SYS_timerfd_create, CLOCK_MONOTONIC, 0)       \
	X(SYS_signalfd, -1, buf, 8)                     \
	X(SYS_signalfd4, -1, buf, 8, 0)                 \
	X(SYS_inotify_init)                             \
	X(SYS_inotify_init1, 0)                         \
	X(SYS_memfd_create, "m", 0)                     \
	X(SYS_pidfd_open, getpid(), 0)                  \
	X(SYS_accept, listener, NULL, NULL)             \
	X(SYS_accept4, listener, NULL, NULL, 0)

#define FULL(call, ...)                                                            \
	do {                                                                       \
		errno = 0;                                                         \
		if (syscall(call, ##__VA_ARGS__) != -1 || errno != EMFILE)         \
			FAIL(#call ": %s, wanted EMFILE", test_errno_name(errno)); \
	} while (0);

TEST(no_descriptor_left)
{
	struct rlimit lim = { 30, 30 };
	int listener = OK(socket(AF_UNIX, SOCK_STREAM, 0)),
	    client = OK(socket(AF_UNIX, SOCK_STREAM, 0));

	OK(bind(listener, (struct sockaddr *)&addr, sizeof(addr)));
	OK(listen(listener, 1));
	OK(connect(client, (struct sockaddr *)&addr, sizeof(addr)));
	OK(setrlimit(RLIMIT_NOFILE, &lim));
	while (dup(0) >= 0)
		;
	memset(buf, 0, sizeof(buf));
	MAKING_CALLS(FULL)
	CHECK_ERRNO(access("new", F_OK), ENOENT);
	/* One place: those that need two give it back. */
	OK(close(29));
	CHECK_ERRNO(syscall(SYS_pipe, buf), EMFILE);
	CHECK_ERRNO(syscall(SYS_socketpair, AF_UNIX, SOCK_STREAM, 0, buf), EMFILE);
	/* The connection was not lost. */
	CHECK_EQ(accept(listener, NULL, NULL), 29);
}
