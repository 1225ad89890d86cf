/* SPDX-License-Identifier: Apache-2.0 */
/* The old call numbers that the C library does not use any more, but old programs and other
 * libraries do. */
#include <poll.h>
#include <sys/epoll.h>
#include <sys/inotify.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "harness.h"

TEST(files)
{
	int fd = (int)OK(syscall(SYS_open, "f", O_CREAT | O_RDWR, 0640));
	struct stat st;

	CHECK_EQ(syscall(SYS_write, fd, "abc", 3), 3);
	CHECK_EQ(syscall(SYS_pwrite64, fd, "x", 1, 1), 1);
	CHECK_EQ(syscall(SYS_lseek, fd, 0, SEEK_SET), 0);
	OK(syscall(SYS_fstat, fd, &st));
	CHECK_EQ(st.st_size, 3);
	CHECK_EQ(st.st_mode & 07777, 0640);
	OK(syscall(SYS_access, "f", R_OK));
	OK(syscall(SYS_chmod, "f", 0600));
	OK(syscall(SYS_fchmod, fd, 0644));
	OK(syscall(SYS_truncate, "f", 1));
	OK(syscall(SYS_ftruncate, fd, 2));
	OK(syscall(SYS_stat, "f", &st));
	CHECK_EQ(st.st_size, 2);
	CHECK_EQ(st.st_mode & 07777, 0644);
	OK(syscall(SYS_close, fd));
	CHECK_ERRNO(syscall(SYS_close, fd), EBADF);
	CHECK_ERRNO(syscall(SYS_open, "none", O_RDONLY), ENOENT);
}

TEST(names)
{
	char buf[16];
	struct stat st;

	OK(syscall(SYS_mkdir, "d", 0700));
	OK(syscall(SYS_creat, "d/f", 0600));
	OK(syscall(SYS_link, "d/f", "d/g"));
	OK(syscall(SYS_symlink, "d/g", "l"));
	CHECK_EQ(syscall(SYS_readlink, "l", buf, sizeof(buf)), 3);
	OK(syscall(SYS_rename, "d/g", "d/h"));
	OK(syscall(SYS_lstat, "l", &st));
	CHECK(S_ISLNK(st.st_mode));
	CHECK_ERRNO(syscall(SYS_stat, "l", &st), ENOENT);
	OK(syscall(SYS_unlink, "l"));
	OK(syscall(SYS_unlink, "d/f"));
	CHECK_ERRNO(syscall(SYS_rmdir, "d"), ENOTEMPTY);
	OK(syscall(SYS_unlink, "d/h"));
	OK(syscall(SYS_rmdir, "d"));
	OK(syscall(SYS_mknod, "p", S_IFIFO | 0600, 0));
	OK(syscall(SYS_stat, "p", &st));
	CHECK(S_ISFIFO(st.st_mode));
	need_root();
	OK(syscall(SYS_lchown, "p", 5, 6));
	OK(syscall(SYS_chown, "p", 7, 8));
	OK(syscall(SYS_stat, "p", &st));
	CHECK(st.st_uid == 7 && st.st_gid == 8);
}

TEST(processes)
{
	int status = 0;
	long pid = OK(syscall(SYS_fork));

	if (!pid)
		syscall(SYS_exit, 12);
	CHECK_EQ(syscall(SYS_wait4, pid, &status, 0, NULL), pid);
	CHECK_EQ(status, 12 << 8);
	CHECK_EQ(syscall(SYS_getpgrp), getpgid(0));
	CHECK_EQ(syscall(SYS_gettid), syscall(SYS_getpid));
	CHECK_EQ(syscall(SYS_getuid), getuid());
	CHECK_EQ(syscall(SYS_geteuid), geteuid());
	CHECK_EQ(syscall(SYS_getgid), getgid());
	CHECK_EQ(syscall(SYS_getegid), getegid());
}

TEST(descriptors)
{
	int fds[2];
	char c;

	OK(syscall(SYS_pipe, fds));
	CHECK_EQ(syscall(SYS_dup2, fds[0], 70), 70);
	CHECK_EQ(syscall(SYS_dup, fds[1]), fds[1] + 1);
	CHECK_EQ(syscall(SYS_write, fds[1], "z", 1), 1);
	CHECK_EQ(syscall(SYS_read, 70, &c, 1), 1);
	CHECK_EQ(c, 'z');
	CHECK_ERRNO(syscall(SYS_dup2, 99, 70), EBADF);
}

TEST(events)
{
	struct epoll_event ev = { .events = EPOLLIN };
	struct pollfd p;
	uint64_t n = 1;
	int e = (int)OK(syscall(SYS_eventfd, 0)), ep = (int)OK(syscall(SYS_epoll_create, 5)), in;

	OK(syscall(SYS_epoll_ctl, ep, EPOLL_CTL_ADD, e, &ev));
	CHECK_EQ(syscall(SYS_epoll_wait, ep, &ev, 1, 0), 0);
	CHECK_EQ(syscall(SYS_write, e, &n, 8), 8);
	CHECK_EQ(syscall(SYS_epoll_wait, ep, &ev, 1, -1), 1);
	p = (struct pollfd){ e, POLLIN, 0 };
	CHECK_EQ(syscall(SYS_poll, &p, 1, -1), 1);
	in = (int)OK(syscall(SYS_inotify_init));
	OK(syscall(SYS_inotify_add_watch, in, ".", IN_CREATE));
	CHECK_EQ(fcntl(in, F_GETFD), 0);
}

TEST(sockets)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX, .sun_path = "s" };
	int l = (int)OK(syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0)),
	    c = (int)OK(syscall(SYS_socket, AF_UNIX, SOCK_STREAM, 0)), s;
	char buf[8];

	OK(syscall(SYS_bind, l, &a, sizeof(a)));
	OK(syscall(SYS_listen, l, 1));
	OK(syscall(SYS_connect, c, &a, sizeof(a)));
	s = (int)OK(syscall(SYS_accept, l, NULL, NULL));
	CHECK_EQ(syscall(SYS_sendto, c, "abc", 3, 0, NULL, 0), 3);
	CHECK_EQ(syscall(SYS_recvfrom, s, buf, 8, 0, NULL, NULL), 3);
	OK(syscall(SYS_shutdown, s, SHUT_RDWR));
}

TEST(limits)
{
	struct rlimit lim;

	OK(syscall(SYS_getrlimit, RLIMIT_NOFILE, &lim));
	lim.rlim_cur = 100;
	OK(syscall(SYS_setrlimit, RLIMIT_NOFILE, &lim));
	OK(syscall(SYS_getrlimit, RLIMIT_NOFILE, &lim));
	CHECK_EQ(lim.rlim_cur, 100);
}

TEST(vfork)
{
	static volatile int touched;
	long pid;

	/* The raw call cannot be made from C without care: the library's does it. */
	pid = vfork();
	if (!pid) {
		touched = 1;
		_exit(3);
	}
	CHECK_EQ(touched, 1);
	wait_exit((pid_t)pid, 3);
}

/* ENOSYS; a filter in front may have said EPERM. */
#define GONE(call)                                                                        \
	do {                                                                              \
		if ((call) != -1 || (errno != ENOSYS && !(errno == EPERM && filtered()))) \
			FAIL("%s: %s, wanted ENOSYS", #call, test_errno_name(errno));     \
	} while (0)

TEST(removed_calls)
{
	char buf[64];

	/* Numbers whose calls Linux has taken away or never had. */
	GONE(syscall(SYS_create_module, "x", 1));
	GONE(syscall(SYS_get_kernel_syms, NULL));
	GONE(syscall(SYS_query_module, NULL, 0, buf, 1, buf));
	GONE(syscall(SYS_nfsservctl, 0, NULL, NULL));
	GONE(syscall(SYS_getpmsg, 0, NULL, NULL, 0));
	GONE(syscall(SYS_putpmsg, 0, NULL, NULL, 0));
	GONE(syscall(SYS_afs_syscall));
	GONE(syscall(SYS_tuxcall));
	GONE(syscall(SYS_security));
	GONE(syscall(SYS_vserver));
	GONE(syscall(SYS_set_thread_area, buf));
	GONE(syscall(SYS_get_thread_area, buf));
	GONE(syscall(SYS_epoll_ctl_old, 0, 0, 0, buf));
	GONE(syscall(SYS_epoll_wait_old, 0, buf, 0, 0));
	GONE(syscall(SYS_uselib, "x"));
}

TEST(restart_call)
{
	/* Nothing was interrupted: the call itself says so. */
	CHECK_ERRNO(syscall(SYS_restart_syscall), EINTR);
}
