/* SPDX-License-Identifier: Apache-2.0 */
/* flock(2), fcntl(2) record locks and open file description locks. */
#include <pthread.h>
#include <sys/file.h>

#include "harness.h"

#ifndef F_OFD_GETLK
#define F_OFD_GETLK  36
#define F_OFD_SETLK  37
#define F_OFD_SETLKW 38
#endif

static int lock(int fd, int cmd, int type, off_t start, off_t len)
{
	struct flock l = {
		.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len
	};

	return fcntl(fd, cmd, &l);
}

static struct flock query(int fd, int cmd, int type, off_t start, off_t len)
{
	struct flock l = {
		.l_type = (short)type, .l_whence = SEEK_SET, .l_start = start, .l_len = len
	};

	OK(fcntl(fd, cmd, &l));
	return l;
}

static int file(void)
{
	return OK(open("f", O_CREAT | O_RDWR, 0600));
}

TEST(flock_excludes_by_open_file)
{
	int a = file(), b = file(), copy = OK(dup(a));

	OK(flock(a, LOCK_EX));
	CHECK_ERRNO(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	CHECK_ERRNO(flock(b, LOCK_SH | LOCK_NB), EWOULDBLOCK);
	OK(flock(copy, LOCK_EX | LOCK_NB));
	OK(flock(a, LOCK_SH));
	OK(flock(b, LOCK_SH | LOCK_NB));
	CHECK_ERRNO(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	OK(flock(copy, LOCK_UN));
	OK(flock(b, LOCK_EX | LOCK_NB));
}

TEST(flock_lives_until_the_last_close)
{
	int a = file(), copy = OK(dup(a)), b = file();

	OK(flock(a, LOCK_EX));
	OK(close(a));
	CHECK_ERRNO(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	OK(close(copy));
	OK(flock(b, LOCK_EX | LOCK_NB));
}

TEST(flock_is_inherited)
{
	int a = file(), b = file();
	pid_t pid;

	OK(flock(a, LOCK_EX));
	CHILD (pid) {
		OK(flock(a, LOCK_EX | LOCK_NB));
		CHECK_ERRNO(flock(b, LOCK_EX | LOCK_NB), EWOULDBLOCK);
		OK(flock(a, LOCK_UN));
	}
	wait_ok(pid);
	OK(flock(b, LOCK_EX | LOCK_NB));
}

TEST(flock_errors)
{
	int fd = file();

	CHECK_ERRNO(flock(99, LOCK_EX), EBADF);
	CHECK_ERRNO(flock(fd, 0), EINVAL);
	CHECK_ERRNO(flock(fd, LOCK_EX | LOCK_SH), EINVAL);
	CHECK_ERRNO(flock(OK(open("f", O_PATH)), LOCK_EX), EBADF);
	OK(flock(OK(open("f", O_RDONLY)), LOCK_EX));
}

TEST(flock_waits)
{
	int a = file();
	pid_t pid;

	OK(flock(a, LOCK_EX));
	CHILD (pid) {
		int b = file();

		OK(flock(b, LOCK_EX));
	}
	settle(pid);
	CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
	OK(flock(a, LOCK_UN));
	wait_ok(pid);
}

TEST(records_conflict_between_processes)
{
	int fd = file();
	pid_t pid, self = getpid();

	OK(lock(fd, F_SETLK, F_WRLCK, 10, 10));
	OK(lock(fd, F_SETLK, F_RDLCK, 40, 10));
	CHILD (pid) {
		struct flock l;

		CHECK_ERRNO(lock(fd, F_SETLK, F_WRLCK, 15, 1), EAGAIN);
		CHECK_ERRNO(lock(fd, F_SETLK, F_RDLCK, 19, 1), EAGAIN);
		OK(lock(fd, F_SETLK, F_WRLCK, 20, 20));
		OK(lock(fd, F_SETLK, F_RDLCK, 40, 10));
		CHECK_ERRNO(lock(fd, F_SETLK, F_WRLCK, 49, 1), EAGAIN);
		l = query(fd, F_GETLK, F_WRLCK, 0, 0);
		CHECK_EQ(l.l_type, F_WRLCK);
		CHECK_EQ(l.l_start, 10);
		CHECK_EQ(l.l_len, 10);
		CHECK_EQ(l.l_pid, self);
		CHECK_EQ(l.l_whence, SEEK_SET);
		l = query(fd, F_GETLK, F_RDLCK, 40, 5);
		CHECK_EQ(l.l_type, F_UNLCK);
	}
	wait_ok(pid);
}

TEST(records_are_not_inherited_and_never_conflict_with_oneself)
{
	int a = file(), b = file();
	pid_t pid;

	OK(lock(a, F_SETLK, F_WRLCK, 0, 0));
	OK(lock(b, F_SETLK, F_WRLCK, 5, 5));
	CHECK_EQ(query(a, F_GETLK, F_WRLCK, 0, 0).l_type, F_UNLCK);
	CHILD (pid)
		CHECK_ERRNO(lock(a, F_SETLK, F_RDLCK, 0, 1), EAGAIN);
	wait_ok(pid);
}

TEST(any_close_drops_records)
{
	int a = file(), b = file();
	pid_t pid;

	OK(lock(a, F_SETLK, F_WRLCK, 0, 0));
	OK(close(b));
	CHILD (pid)
		OK(lock(a, F_SETLK, F_WRLCK, 0, 0));
	wait_ok(pid);
}

TEST(records_split_and_merge)
{
	int fd = file();
	pid_t pid;

	OK(lock(fd, F_SETLK, F_WRLCK, 0, 100));
	OK(lock(fd, F_SETLK, F_UNLCK, 40, 20));
	OK(lock(fd, F_SETLK, F_RDLCK, 80, 20));
	CHILD (pid) {
		struct flock l;

		OK(lock(fd, F_SETLK, F_WRLCK, 40, 20));
		l = query(fd, F_GETLK, F_WRLCK, 0, 100);
		CHECK(l.l_start == 0 && l.l_len == 40 && l.l_type == F_WRLCK);
		l = query(fd, F_GETLK, F_WRLCK, 60, 100);
		CHECK(l.l_start == 60 && l.l_len == 20 && l.l_type == F_WRLCK);
		l = query(fd, F_GETLK, F_WRLCK, 80, 100);
		CHECK(l.l_start == 80 && l.l_len == 20 && l.l_type == F_RDLCK);
	}
	wait_ok(pid);
	OK(lock(fd, F_SETLK, F_WRLCK, 30, 70));
	CHILD (pid) {
		struct flock l = query(fd, F_GETLK, F_WRLCK, 0, 0);

		CHECK(l.l_start == 0 && l.l_len == 100);
	}
	wait_ok(pid);
}

TEST(record_errors)
{
	int fd = file(), ro = OK(open("f", O_RDONLY)), wo = OK(open("f", O_WRONLY));
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = -1 };

	CHECK_ERRNO(fcntl(fd, F_SETLK, &l), EINVAL);
	CHECK_ERRNO(lock(fd, F_SETLK, 77, 0, 0), EINVAL);
	CHECK_ERRNO(lock(ro, F_SETLK, F_WRLCK, 0, 0), EBADF);
	CHECK_ERRNO(lock(wo, F_SETLK, F_RDLCK, 0, 0), EBADF);
	CHECK_ERRNO(lock(99, F_SETLK, F_RDLCK, 0, 0), EBADF);
	l = (struct flock){ .l_type = F_WRLCK, .l_whence = 9 };
	CHECK_ERRNO(fcntl(fd, F_SETLK, &l), EINVAL);
	l = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = 10, .l_len = -11 };
	CHECK_ERRNO(fcntl(fd, F_SETLK, &l), EINVAL);
	l.l_len = -10;
	OK(fcntl(fd, F_SETLK, &l));
}

TEST(relative_to_offset_and_end)
{
	int fd = file();
	struct flock l = { .l_type = F_WRLCK, .l_whence = SEEK_CUR, .l_start = -5, .l_len = 5 };
	pid_t pid;

	OK(ftruncate(fd, 100));
	OK(lseek(fd, 50, SEEK_SET));
	OK(fcntl(fd, F_SETLK, &l));
	l = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_END, .l_start = -10, .l_len = 0 };
	OK(fcntl(fd, F_SETLK, &l));
	CHILD (pid) {
		struct flock q = query(fd, F_GETLK, F_WRLCK, 0, 60);

		CHECK(q.l_start == 45 && q.l_len == 5);
		q = query(fd, F_GETLK, F_WRLCK, 60, 0);
		CHECK(q.l_start == 90 && q.l_len == 0);
	}
	wait_ok(pid);
}

TEST(waiting_record)
{
	int fd = file();
	pid_t pid;

	OK(lock(fd, F_SETLK, F_WRLCK, 0, 10));
	CHILD (pid)
		OK(lock(fd, F_SETLKW, F_WRLCK, 5, 10));
	settle(pid);
	CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
	OK(lock(fd, F_SETLK, F_UNLCK, 0, 8));
	settle(pid);
	CHECK_EQ(waitpid(pid, NULL, WNOHANG), 0);
	OK(lock(fd, F_SETLK, F_UNLCK, 8, 2));
	wait_ok(pid);
}

TEST(deadlock_is_found)
{
	int fd = file();
	struct gate locked = gate_new();
	pid_t pid;

	OK(lock(fd, F_SETLK, F_WRLCK, 0, 1));
	CHILD (pid) {
		OK(lock(fd, F_SETLK, F_WRLCK, 1, 1));
		gate_open(&locked);
		OK(lock(fd, F_SETLKW, F_WRLCK, 0, 1));
	}
	gate_pass(&locked);
	settle(pid);
	CHECK_ERRNO(lock(fd, F_SETLKW, F_WRLCK, 1, 1), EDEADLK);
	OK(lock(fd, F_SETLK, F_UNLCK, 0, 0));
	wait_ok(pid);
}

TEST(death_releases)
{
	int fd = file();
	struct gate locked = gate_new();
	pid_t pid;

	CHILD (pid) {
		OK(lock(fd, F_SETLK, F_WRLCK, 0, 0));
		gate_open(&locked);
		for (;;)
			pause();
	}
	gate_pass(&locked);
	CHECK_ERRNO(lock(fd, F_SETLK, F_WRLCK, 0, 0), EAGAIN);
	OK(kill(pid, SIGKILL));
	OK(lock(fd, F_SETLKW, F_WRLCK, 0, 0));
	wait_signal(pid, SIGKILL);
}

TEST(ofd_locks_belong_to_the_open_file)
{
	int a = file(), b = file(), copy = OK(dup(a));
	struct flock l;
	pid_t pid;

	OK(lock(a, F_OFD_SETLK, F_WRLCK, 0, 10));
	CHECK_ERRNO(lock(b, F_OFD_SETLK, F_WRLCK, 5, 10), EAGAIN);
	OK(lock(copy, F_OFD_SETLK, F_WRLCK, 0, 10));
	l = query(b, F_OFD_GETLK, F_WRLCK, 0, 0);
	CHECK_EQ(l.l_type, F_WRLCK);
	CHECK_EQ(l.l_pid, -1);
	/* They are inherited, and conflict with records of the same process. */
	CHILD (pid)
		OK(lock(a, F_OFD_SETLK, F_RDLCK, 0, 10));
	wait_ok(pid);
	CHECK_ERRNO(lock(b, F_SETLK, F_WRLCK, 0, 1), EAGAIN);
	OK(close(b));
	b = file();
	CHECK_ERRNO(lock(b, F_OFD_SETLK, F_WRLCK, 0, 1), EAGAIN);
	OK(close(a));
	OK(close(copy));
	OK(lock(b, F_OFD_SETLK, F_WRLCK, 0, 1));
	l = (struct flock){ .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_pid = 5 };
	CHECK_ERRNO(fcntl(b, F_OFD_SETLK, &l), EINVAL);
}

TEST(flock_and_records_do_not_meet)
{
	int a = file(), b = file();
	pid_t pid;

	OK(flock(a, LOCK_EX));
	CHILD (pid)
		OK(lock(b, F_SETLK, F_WRLCK, 0, 0));
	wait_ok(pid);
}

TEST(counter_under_lock)
{
	pid_t pids[4];
	char buf[16];
	int fd;

	write_file("n", "0");
	for (int i = 0; i < 4; i++) {
		CHILD (pids[i]) {
			fd = OK(open("n", O_RDWR));
			for (int k = 0; k < 100; k++) {
				ssize_t n;

				OK(lock(fd, F_SETLKW, F_WRLCK, 0, 0));
				n = OK(pread(fd, buf, sizeof(buf) - 1, 0));
				buf[n] = 0;
				n = snprintf(buf, sizeof(buf), "%d", atoi(buf) + 1);
				CHECK_EQ(pwrite(fd, buf, n, 0), n);
				OK(lock(fd, F_SETLK, F_UNLCK, 0, 0));
			}
		}
	}
	for (int i = 0; i < 4; i++)
		wait_ok(pids[i]);
	read_file("n", buf, sizeof(buf));
	CHECK_STR(buf, "400");
}

static void *locks_the_same(void *arg)
{
	OK(flock(*(int *)arg, LOCK_EX));
	return NULL;
}

TEST(flock_by_two_threads_is_one_lock)
{
	int held = file(), shared = file(), other = file();
	pthread_t t[2];

	OK(flock(held, LOCK_EX));
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_create(&t[i], NULL, locks_the_same, &shared), 0);
	sleep_ms(50);
	OK(flock(held, LOCK_UN));
	for (int i = 0; i < 2; i++)
		CHECK_EQ(pthread_join(t[i], NULL), 0);
	CHECK_ERRNO(flock(other, LOCK_EX | LOCK_NB), EWOULDBLOCK);
	OK(flock(shared, LOCK_UN));
	OK(flock(other, LOCK_EX | LOCK_NB));
}

static void *waits_for_record(void *arg)
{
	(void)lock(*(int *)arg, F_SETLKW, F_WRLCK, 0, 10);
	return NULL;
}

TEST(record_of_a_descriptor_that_was_closed_meanwhile)
{
	int fd = file();
	struct gate locked = gate_new(), release = gate_new();
	pthread_t t;
	pid_t pid;

	CHILD (pid) {
		OK(lock(file(), F_SETLK, F_WRLCK, 0, 10));
		gate_open(&locked);
		gate_pass(&release);
	}
	gate_pass(&locked);
	CHECK_EQ(pthread_create(&t, NULL, waits_for_record, &fd), 0);
	sleep_ms(50);
	OK(close(fd));
	gate_open(&release);
	wait_ok(pid);
	CHECK_EQ(pthread_join(t, NULL), 0);
	/* Nobody has a descriptor of the file any more, so nobody has a lock. */
	CHILD (pid)
		OK(lock(file(), F_SETLK, F_WRLCK, 0, 10));
	wait_ok(pid);
}
