/* SPDX-License-Identifier: Apache-2.0 */
/* mq_open(2) and kin: POSIX message queues. */
#include <mqueue.h>
#include <poll.h>

#include "harness.h"

static char name[64];

static mqd_t make(long count, long size, int flags)
{
	struct mq_attr attr = { .mq_maxmsg = count, .mq_msgsize = size };
	mqd_t q;

	snprintf(name, sizeof(name), "/caisson-%d", getpid());
	q = mq_open(name, O_CREAT | O_EXCL | O_RDWR | flags, 0600, &attr);
	if (q < 0 && errno == ENOSYS)
		SKIP("no POSIX message queues");
	OK(q);
	return q;
}

static void drop(void)
{
	OK(mq_unlink(name));
}

TEST(highest_priority_first)
{
	mqd_t q = make(5, 16, 0);
	char buf[16];
	unsigned int prio;

	drop();
	OK(mq_send(q, "low", 3, 1));
	OK(mq_send(q, "high", 4, 9));
	OK(mq_send(q, "low2", 4, 1));
	CHECK_EQ(mq_receive(q, buf, 16, &prio), 4);
	CHECK_EQ(prio, 9);
	CHECK(!memcmp(buf, "high", 4));
	CHECK_EQ(mq_receive(q, buf, 16, &prio), 3);
	CHECK_EQ(prio, 1);
	CHECK_EQ(mq_receive(q, buf, 16, NULL), 4);
}

TEST(attributes)
{
	mqd_t q = make(3, 10, O_NONBLOCK);
	struct mq_attr attr, old;

	drop();
	OK(mq_getattr(q, &attr));
	CHECK(attr.mq_maxmsg == 3 && attr.mq_msgsize == 10 && attr.mq_curmsgs == 0);
	CHECK_EQ(attr.mq_flags, O_NONBLOCK);
	OK(mq_send(q, "x", 1, 0));
	attr.mq_flags = 0;
	OK(mq_setattr(q, &attr, &old));
	CHECK_EQ(old.mq_flags, O_NONBLOCK);
	CHECK_EQ(old.mq_curmsgs, 1);
	OK(mq_getattr(q, &attr));
	CHECK_EQ(attr.mq_flags, 0);
	CHECK_EQ(fcntl(q, F_GETFD), FD_CLOEXEC);
}

TEST(full_and_empty)
{
	mqd_t q = make(2, 8, O_NONBLOCK);
	char buf[8];

	drop();
	CHECK_ERRNO(mq_receive(q, buf, 8, NULL), EAGAIN);
	OK(mq_send(q, "1", 1, 0));
	OK(mq_send(q, "2", 1, 0));
	CHECK_ERRNO(mq_send(q, "3", 1, 0), EAGAIN);
}

TEST(timeouts)
{
	mqd_t q = make(1, 8, 0);
	struct timespec ts, bad = { 0, 1000000000 };
	char buf[8];

	drop();
	OK(clock_gettime(CLOCK_REALTIME, &ts));
	CHECK_ERRNO(mq_timedreceive(q, buf, 8, NULL, &ts), ETIMEDOUT);
	CHECK_ERRNO(mq_timedreceive(q, buf, 8, NULL, &bad), EINVAL);
	OK(mq_send(q, "1", 1, 0));
	CHECK_ERRNO(mq_timedsend(q, "2", 1, 0, &ts), ETIMEDOUT);
	/* With something there, the time does not matter. */
	CHECK_EQ(mq_timedreceive(q, buf, 8, NULL, &ts), 1);
}

TEST(errors)
{
	mqd_t q = make(2, 8, 0), ro;
	char buf[8];

	ro = OK(mq_open(name, O_RDONLY));
	CHECK_ERRNO(mq_open(name, O_CREAT | O_EXCL | O_RDWR, 0600, NULL), EEXIST);
	drop();
	CHECK_ERRNO(mq_open(name, O_RDWR), ENOENT);
	CHECK_ERRNO(mq_unlink(name), ENOENT);
	CHECK_ERRNO(mq_send(q, "123456789", 9, 0), EMSGSIZE);
	CHECK_ERRNO(mq_receive(q, buf, 7, NULL), EMSGSIZE);
	CHECK_ERRNO(mq_send(q, "x", 1, 32768), EINVAL);
	CHECK_ERRNO(mq_send(ro, "x", 1, 0), EBADF);
	CHECK_ERRNO(mq_send(99, "x", 1, 0), EBADF);
	CHECK_ERRNO(syscall(SYS_mq_open, "a/b", O_CREAT | O_RDWR, 0600, NULL), EACCES);
	CHECK_ERRNO(syscall(SYS_mq_open, "", O_CREAT | O_RDWR, 0600, NULL), ENOENT);
	CHECK_ERRNO(syscall(SYS_mq_open, BAD_PTR, O_RDWR, 0600, NULL), EFAULT);
	CHECK_ERRNO(syscall(SYS_mq_timedsend, q, BAD_PTR, 5, 0, NULL), EFAULT);
}

TEST(limits_of_an_ordinary_user)
{
	struct mq_attr attr = { .mq_maxmsg = 100000, .mq_msgsize = 8 };

	need_root();
	OK(mq_close(make(1, 8, 0)));
	drop();
	become_nobody();
	CHECK_ERRNO(mq_open(name, O_CREAT | O_RDWR, 0600, &attr), EINVAL);
	attr.mq_maxmsg = 0;
	CHECK_ERRNO(mq_open(name, O_CREAT | O_RDWR, 0600, &attr), EINVAL);
}

TEST(between_processes)
{
	mqd_t q = make(1, 8, 0);
	char buf[8];
	pid_t pid;

	CHILD (pid) {
		mqd_t mine = OK(mq_open(name, O_WRONLY));

		for (int i = 0; i < 50; i++)
			OK(mq_send(mine, (char *)&i, sizeof(i), 0));
	}
	for (int i = 0; i < 50; i++) {
		int got;

		CHECK_EQ(mq_receive(q, buf, 8, NULL), sizeof(got));
		memcpy(&got, buf, sizeof(got));
		CHECK_EQ(got, i);
	}
	wait_ok(pid);
	drop();
}

TEST(poll)
{
	mqd_t q = make(1, 8, 0);
	struct pollfd p = { q, POLLIN | POLLOUT, 0 };

	drop();
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLOUT);
	OK(mq_send(q, "1", 1, 0));
	CHECK_EQ(poll(&p, 1, 0), 1);
	CHECK_EQ(p.revents, POLLIN);
}

TEST(notification)
{
	mqd_t q = make(2, 8, 0);
	struct sigevent ev = { .sigev_notify = SIGEV_SIGNAL,
			       .sigev_signo = SIGRTMIN,
			       .sigev_value.sival_int = 12 };
	sigset_t set;
	siginfo_t info;
	struct timespec ts = { 5, 0 }, zero = { 0, 0 };
	char buf[8];
	pid_t pid;

	drop();
	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(mq_notify(q, &ev));
	CHILD (pid)
		CHECK_ERRNO(mq_notify(q, &ev), EBUSY);
	wait_ok(pid);
	OK(mq_send(q, "1", 1, 0));
	CHECK_EQ(sigtimedwait(&set, &info, &ts), SIGRTMIN);
	CHECK_EQ(info.si_code, SI_MESGQ);
	CHECK_EQ(info.si_value.sival_int, 12);
	CHECK_EQ(info.si_pid, getpid());
	/* Once; and only when the queue was empty. */
	OK(mq_notify(q, &ev));
	OK(mq_send(q, "2", 1, 0));
	CHECK_ERRNO(sigtimedwait(&set, &info, &zero), EAGAIN);
	OK(mq_notify(q, NULL));
	CHECK_EQ(mq_receive(q, buf, 8, NULL), 1);
}

TEST(interrupted)
{
	mqd_t q = make(1, 8, 0);
	char buf[8];
	pid_t pid;

	drop();
	CHILD (pid) {
		on_signal(SIGUSR1, count_signal, 0);
		CHECK_ERRNO(mq_receive(q, buf, 8, NULL), EINTR);
	}
	settle(pid);
	OK(kill(pid, SIGUSR1));
	wait_ok(pid);
}

TEST(unlinked_queue_lives_while_open)
{
	mqd_t q = make(1, 8, 0), other;
	char buf[8];

	drop();
	other = make(1, 8, 0);
	drop();
	OK(mq_send(q, "1", 1, 0));
	OK(fcntl(other, F_GETFD));
	CHECK_EQ(mq_receive(q, buf, 8, NULL), 1);
}

static volatile int called;

static void call(union sigval value)
{
	__atomic_store_n(&called, value.sival_int, __ATOMIC_SEQ_CST);
}

static void wait_called(int want)
{
	for (int i = 0; i < 15000 && !called; i++)
		sleep_ms(1);
	CHECK_EQ(called, want);
}

/* The library waits at a netlink socket for a message of the kernel. */
TEST(notification_by_a_thread)
{
	mqd_t q = make(2, 8, 0);
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD,
			       .sigev_notify_function = call,
			       .sigev_value.sival_int = 5 };
	char buf[8];

	drop();
	OK(mq_notify(q, &ev));
	CHECK_ERRNO(mq_notify(q, &ev), EBUSY);
	OK(mq_send(q, "x", 1, 0));
	wait_called(5);
	CHECK_EQ(mq_receive(q, buf, 8, NULL), 1);
	/* Once; a registration that is taken back calls nobody. */
	called = 0;
	ev.sigev_value.sival_int = 6;
	OK(mq_notify(q, &ev));
	OK(mq_notify(q, NULL));
	ev.sigev_value.sival_int = 7;
	OK(mq_notify(q, &ev));
	OK(mq_send(q, "x", 1, 0));
	wait_called(7);
}

TEST(notification_of_no_kind)
{
	mqd_t q = make(2, 8, 0);
	struct sigevent ev = { .sigev_notify = SIGEV_NONE };
	pid_t pid;

	drop();
	OK(mq_notify(q, &ev));
	/* It keeps others out, and that is all. */
	CHILD (pid)
		CHECK_ERRNO(mq_notify(q, &ev), EBUSY);
	wait_ok(pid);
	OK(mq_send(q, "x", 1, 0));
	ev.sigev_notify = 77;
	CHECK_ERRNO(syscall(SYS_mq_notify, q, &ev), EINVAL);
	ev.sigev_notify = SIGEV_THREAD;
	ev.sigev_signo = 99;
	ev.sigev_value.sival_ptr = &ev;
	CHECK_ERRNO(syscall(SYS_mq_notify, q, &ev), EBADF);
	CHECK_ERRNO(syscall(SYS_mq_notify, 99, &ev), EBADF);
}
