/* SPDX-License-Identifier: Apache-2.0 */
/* pidfd_open(2), pidfd_send_signal(2), pidfd_getfd(2), waitid(2) on a pidfd. */
#include <poll.h>
#include <sys/wait.h>

#include "harness.h"

static int open_pid(pid_t pid, unsigned int flags)
{
	return (int)syscall(SYS_pidfd_open, pid, flags);
}

static pid_t sleeper(void)
{
	pid_t pid;

	CHILD (pid) {
		for (;;)
			pause();
	}
	return pid;
}

TEST(open)
{
	int fd = OK(open_pid(getpid(), 0));

	CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
	CHECK_ERRNO(open_pid(0x3fffffff, 0), ESRCH);
	CHECK_ERRNO(open_pid(0, 0), EINVAL);
	CHECK_ERRNO(open_pid(-1, 0), EINVAL);
	CHECK_ERRNO(open_pid(getpid(), 1), EINVAL);
}

TEST(readable_when_dead)
{
	pid_t pid = sleeper();
	int fd = OK(open_pid(pid, 0));
	struct pollfd p = { fd, POLLIN, 0 };

	CHECK_EQ(poll(&p, 1, 0), 0);
	OK(kill(pid, SIGKILL));
	CHECK_EQ(poll(&p, 1, 10000), 1);
	CHECK(p.revents & POLLIN);
	wait_signal(pid, SIGKILL);
	CHECK_EQ(poll(&p, 1, 0), 1);
}

TEST(signals)
{
	pid_t pid = sleeper();
	int fd = OK(open_pid(pid, 0));

	OK(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, 65, NULL, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0x8000), EINVAL);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, 99, SIGTERM, NULL, 0), EBADF);
	CHECK_ERRNO(
		syscall(SYS_pidfd_send_signal, OK(open("/dev/null", O_RDONLY)), SIGTERM, NULL, 0),
		EBADF);
	OK(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0));
	wait_signal(pid, SIGTERM);
	/* The number may be another's by now; the descriptor never is. */
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH);
}

TEST(signals_by_a_directory_of_proc)
{
	pid_t pid = sleeper();
	char path[32];
	int fd, file;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = OK(open(path, O_DIRECTORY));
	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	file = OK(open(path, O_RDONLY));
	OK(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0));
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, file, 0, NULL, 0), EBADF);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, OK(open("/proc", O_DIRECTORY)), 0, NULL, 0),
		    EBADF);
	CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 0, 0), EBADF);
	OK(syscall(SYS_pidfd_send_signal, fd, SIGTERM, NULL, 0));
	wait_signal(pid, SIGTERM);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), ESRCH);
}

static siginfo_t seen;

static void keep(int sig, siginfo_t *info, void *context)
{
	seen = *info;
}

TEST(signal_with_information)
{
	siginfo_t info = { .si_signo = SIGUSR1, .si_code = SI_QUEUE };
	int fd = OK(open_pid(getpid(), 0));

	info.si_value.sival_int = 55;
	info.si_pid = getpid();
	on_siginfo(SIGUSR1, keep, 0);
	OK(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, &info, 0));
	CHECK_EQ(seen.si_value.sival_int, 55);
	info.si_signo = SIGUSR2;
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, &info, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, SIGUSR1, BAD_PTR, 0), EFAULT);
}

TEST(permission)
{
	int fd = OK(open_pid(getppid(), 0));

	need_root();
	become_nobody();
	CHECK_ERRNO(syscall(SYS_pidfd_send_signal, fd, 0, NULL, 0), EPERM);
}

TEST(waiting)
{
	siginfo_t info;
	pid_t pid;
	int fd;

	CHILD (pid)
		_exit(31);
	fd = OK(open_pid(pid, 0));
	OK(waitid(P_PIDFD, (id_t)fd, &info, WEXITED));
	CHECK_EQ(info.si_status, 31);
	CHECK_ERRNO(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), ECHILD);
	CHECK_ERRNO(waitid(P_PIDFD, (id_t)OK(open_pid(getpid(), 0)), &info, WEXITED), ECHILD);
}

TEST(nonblocking_waiting)
{
	siginfo_t info;
	pid_t pid = sleeper();
	int fd = open_pid(pid, O_NONBLOCK);

	if (fd < 0 && errno == EINVAL)
		SKIP("no PIDFD_NONBLOCK");
	CHECK_ERRNO(waitid(P_PIDFD, (id_t)fd, &info, WEXITED), EAGAIN);
	OK(kill(pid, SIGKILL));
	OK(waitid(P_PID, (id_t)pid, &info, WEXITED));
}

TEST(descriptor_of_a_child)
{
	struct gate ready = gate_new();
	pid_t pid;
	int fds[2], fd, got;
	char c = 0;

	OK(pipe(fds));
	CHILD (pid) {
		OK(dup2(fds[1], 123));
		gate_open(&ready);
		for (;;)
			pause();
	}
	gate_pass(&ready);
	fd = OK(open_pid(pid, 0));
	got = (int)syscall(SYS_pidfd_getfd, fd, 123, 0);
	if (got < 0 && errno == EPERM) {
		OK(kill(pid, SIGKILL));
		SKIP("pidfd_getfd of a child is not allowed here");
	}
	OK(got);
	CHECK_EQ(fcntl(got, F_GETFD), FD_CLOEXEC);
	CHECK_EQ(write(got, "g", 1), 1);
	CHECK_EQ(read(fds[0], &c, 1), 1);
	CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 199, 0), EBADF);
	CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 123, 1), EINVAL);
	CHECK_ERRNO(syscall(SYS_pidfd_getfd, 99, 123, 0), EBADF);
	OK(kill(pid, SIGKILL));
	wait_signal(pid, SIGKILL);
	CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 123, 0), ESRCH);
}

TEST(shown_in_fdinfo)
{
	char path[64], text[1024], want[32];
	int fd = OK(open_pid(getpid(), 0));

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	read_file(path, text, sizeof(text));
	snprintf(want, sizeof(want), "\nPid:\t%d\n", getpid());
	CHECK(strstr(text, want));
}
