/* SPDX-License-Identifier: Apache-2.0 */
/* Signals about files: leases (fcntl(2), F_SETLEASE) and changes of a directory (F_NOTIFY). */
#include "harness.h"

static volatile sig_atomic_t told, told_fd, told_code;

static void tell(int sig, siginfo_t *info, void *context)
{
	told = sig;
	told_fd = info->si_fd;
	told_code = info->si_code;
}

static int make(int flags)
{
	int fd;

	write_file("file", "text");
	fd = OK(open("file", flags));
	if (fcntl(fd, F_SETLEASE, F_UNLCK) < 0 && errno == EINVAL)
		SKIP("no leases on this file system");
	return fd;
}

static void wait_told(int sig)
{
	for (int i = 0; i < 15000 && !told; i++)
		sleep_ms(1);
	CHECK_EQ(told, sig);
}

TEST(kinds)
{
	int fd = make(O_RDONLY), w;

	CHECK_EQ(fcntl(fd, F_GETLEASE), F_UNLCK);
	CHECK_ERRNO(fcntl(fd, F_SETLEASE, 77), EINVAL);
	CHECK_ERRNO(fcntl(fd, F_SETLEASE, F_UNLCK), EAGAIN);
	OK(fcntl(fd, F_SETLEASE, F_RDLCK));
	CHECK_EQ(fcntl(fd, F_GETLEASE), F_RDLCK);
	/* A reader beside readers; alone, it may become more. */
	w = OK(open("file", O_RDONLY));
	CHECK_ERRNO(fcntl(fd, F_SETLEASE, F_WRLCK), EAGAIN);
	OK(fcntl(w, F_SETLEASE, F_RDLCK));
	OK(close(w));
	OK(fcntl(fd, F_SETLEASE, F_WRLCK));
	CHECK_EQ(fcntl(fd, F_GETLEASE), F_WRLCK);
	OK(fcntl(fd, F_SETLEASE, F_UNLCK));
	CHECK_EQ(fcntl(fd, F_GETLEASE), F_UNLCK);
	/* Not while somebody writes. */
	w = OK(open("file", O_RDWR));
	CHECK_ERRNO(fcntl(fd, F_SETLEASE, F_RDLCK), EAGAIN);
	CHECK_ERRNO(fcntl(w, F_SETLEASE, F_RDLCK), EAGAIN);
	OK(close(fd));
	OK(fcntl(w, F_SETLEASE, F_WRLCK));
	CHECK_ERRNO(fcntl(OK(open(".", O_RDONLY)), F_SETLEASE, F_RDLCK), EINVAL);
}

TEST(nobody_waits_who_must_not)
{
	int fd = make(O_RDONLY);

	on_siginfo(SIGIO, tell, 0);
	OK(fcntl(fd, F_SETLEASE, F_RDLCK));
	OK(close(OK(open("file", O_RDONLY | O_NONBLOCK))));
	CHECK_EQ(told, 0);
	CHECK_ERRNO(open("file", O_WRONLY | O_NONBLOCK), EWOULDBLOCK);
	wait_told(SIGIO);
	CHECK_EQ(told_code, SI_KERNEL);
	/* What it must become. */
	CHECK_EQ(fcntl(fd, F_GETLEASE), F_UNLCK);
	OK(fcntl(fd, F_SETLEASE, F_UNLCK));
	OK(close(OK(open("file", O_WRONLY | O_NONBLOCK))));
}

TEST(writer_waits_for_the_reader)
{
	int fd = make(O_RDONLY), none;
	pid_t pid;

	on_siginfo(SIGRTMIN, tell, 0);
	OK(fcntl(fd, F_SETSIG, SIGRTMIN));
	OK(fcntl(fd, F_SETLEASE, F_RDLCK));
	CHILD (pid) {
		OK(close(fd));
		OK(truncate("file", 2));
	}
	wait_told(SIGRTMIN);
	CHECK_EQ(told_fd, fd);
	CHECK_EQ(told_code, POLL_MSG);
	settle(pid);
	CHECK_EQ(waitpid(pid, &none, WNOHANG), 0);
	OK(fcntl(fd, F_SETLEASE, F_UNLCK));
	wait_ok(pid);
}

TEST(reader_is_content_with_less)
{
	int fd = make(O_RDWR);
	pid_t pid;

	on_siginfo(SIGIO, tell, 0);
	OK(fcntl(fd, F_SETLEASE, F_WRLCK));
	CHILD (pid)
		OK(open("file", O_RDONLY));
	wait_told(SIGIO);
	CHECK_EQ(fcntl(fd, F_GETLEASE), F_RDLCK);
	/* The child has the same description as we: the end of a lease is this call, or the last
	 * close. */
	OK(fcntl(fd, F_SETLEASE, F_UNLCK));
	wait_ok(pid);
}

TEST(waiting_is_interrupted)
{
	int fd = make(O_RDONLY), status;
	pid_t pid;

	on_siginfo(SIGIO, tell, 0);
	OK(fcntl(fd, F_SETLEASE, F_RDLCK));
	CHILD (pid) {
		on_signal(SIGUSR1, count_signal, 0);
		CHECK_ERRNO(open("file", O_WRONLY), EINTR);
	}
	wait_told(SIGIO);
	for (int i = 0; i < 1500; i++) {
		OK(kill(pid, SIGUSR1));
		sleep_ms(10);
		if (OK(waitpid(pid, &status, WNOHANG)) == pid) {
			CHECK_EQ(status, 0);
			return;
		}
	}
	FAIL("not interrupted");
}

TEST(end_of_the_holder_ends_it)
{
	struct gate g = gate_new();
	int fd = make(O_RDONLY);
	pid_t pid;

	OK(close(fd));
	CHILD (pid) {
		fd = OK(open("file", O_RDONLY));
		OK(fcntl(fd, F_SETLEASE, F_RDLCK));
		on_signal(SIGIO, SIG_IGN, 0);
		gate_open(&g);
		sleep_ms(20);
	}
	gate_pass(&g);
	OK(close(OK(open("file", O_WRONLY))));
	wait_ok(pid);
}

TEST(files_of_others)
{
	int fd;

	need_root();
	write_file("file", "");
	OK(chmod("file", 0666));
	become_nobody();
	fd = OK(open("file", O_RDONLY));
	if (fcntl(fd, F_SETLEASE, F_UNLCK) < 0 && errno == EINVAL)
		SKIP("no leases on this file system");
	CHECK_ERRNO(fcntl(fd, F_SETLEASE, F_RDLCK), EACCES);
}

static int watch(int what)
{
	int dir = OK(open(".", O_RDONLY | O_DIRECTORY));

	on_siginfo(SIGRTMIN, tell, SA_RESTART);
	OK(fcntl(dir, F_SETSIG, SIGRTMIN));
	if (fcntl(dir, F_NOTIFY, what) < 0 && errno == EINVAL)
		SKIP("no F_NOTIFY");
	told = 0;
	return dir;
}

TEST(changes_of_a_directory)
{
	int dir = watch(DN_CREATE), fd;

	write_file("new", "");
	wait_told(SIGRTMIN);
	CHECK_EQ(told_fd, dir);
	CHECK_EQ(told_code, POLL_MSG);
	/* Once only. */
	told = 0;
	write_file("second", "");
	CHECK_EQ(told, 0);
	OK(fcntl(dir, F_NOTIFY, DN_MODIFY | DN_ATTRIB | DN_DELETE | DN_RENAME | DN_MULTISHOT));
	fd = OK(open("new", O_WRONLY));
	CHECK_EQ(told, 0);
#define TELLS(call)                  \
	do {                         \
		told = 0;            \
		OK(call);            \
		wait_told(SIGRTMIN); \
	} while (0)
	TELLS(write(fd, "x", 1));
	TELLS(fchmod(fd, 0600));
	TELLS(rename("new", "old"));
	TELLS(unlink("old"));
	OK(fcntl(dir, F_NOTIFY, 0));
	told = 0;
	OK(unlink("second"));
	CHECK_EQ(told, 0);
	CHECK_ERRNO(fcntl(fd, F_NOTIFY, DN_CREATE), ENOTDIR);
}

TEST(reading_and_closing)
{
	int dir, fd;
	char c;

	write_file("file", "x");
	fd = OK(open("file", O_RDONLY));
	dir = watch(DN_ACCESS | DN_MULTISHOT);
	CHECK_EQ(read(fd, &c, 1), 1);
	wait_told(SIGRTMIN);
	OK(close(dir));
	told = 0;
	OK(lseek(fd, 0, SEEK_SET));
	CHECK_EQ(read(fd, &c, 1), 1);
	CHECK_EQ(told, 0);
}
