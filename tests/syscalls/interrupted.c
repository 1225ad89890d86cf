/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Every call that waits, interrupted by a signal: whether it is started again under SA_RESTART is
 * signal(7)'s list. A process sends the signal over and over until the call has answered, so that
 * no case depends on which comes first.
 */
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/uio.h>

#include "harness.h"

static pid_t sender;

/* Signals this process until stop_signals(): at most for 30 seconds. */
static void start_signals(void)
{
	pid_t target = getpid();

	CHILD (sender) {
		for (int i = 0; i < 3000; i++) {
			if (kill(target, SIGUSR1))
				break;
			sleep_ms(10);
		}
	}
}

static void stop_signals(void)
{
	OK(kill(sender, SIGKILL));
	while (waitpid(sender, NULL, 0) != sender)
		CHECK_EQ(errno, EINTR);
}

/* The call ends with EINTR when the handler has no SA_RESTART. */
#define INTERRUPTED(call)                            \
	do {                                         \
		on_signal(SIGUSR1, count_signal, 0); \
		start_signals();                     \
		CHECK_ERRNO(call, EINTR);            \
		stop_signals();                      \
	} while (0)

/* It ends with EINTR under SA_RESTART, too. */
#define NEVER_RESTARTED(call)                                 \
	do {                                                  \
		on_signal(SIGUSR1, count_signal, SA_RESTART); \
		start_signals();                              \
		CHECK_ERRNO(call, EINTR);                     \
		stop_signals();                               \
	} while (0)

/* Under SA_RESTART it goes on over three signals at least, until `release` makes it end with
 * `want`. */
#define RESTARTED(call, want, release)                                    \
	do {                                                              \
		pid_t target_ = getpid(), pid_;                           \
		int *seen_ = shared_counter();                            \
		on_signal(SIGUSR1, count_in_shared, SA_RESTART);          \
		CHILD (pid_) {                                            \
			for (int i_ = 0; i_ < 3000 && *seen_ < 3; i_++) { \
				OK(kill(target_, SIGUSR1));               \
				sleep_ms(10);                             \
			}                                                 \
			CHECK(*seen_ >= 3);                               \
			release;                                          \
		}                                                         \
		CHECK_EQ(call, want);                                     \
		CHECK(*seen_ >= 3);                                       \
		wait_ok(pid_);                                            \
	} while (0)

static int *volatile counter;

static void count_in_shared(int sig)
{
	++*counter;
}

static int *shared_counter(void)
{
	counter = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	return (int *)counter;
}

static char buf[70000];
static struct iovec iov = { buf, 1 };

TEST(pipes)
{
	int fds[2], full[2], other[2];

	OK(pipe(fds));
	OK(pipe(full));
	OK(pipe(other));
	CHECK_EQ(write(full[1], buf, 65536), 65536);
	INTERRUPTED(read(fds[0], buf, 1));
	INTERRUPTED(readv(fds[0], &iov, 1));
	INTERRUPTED(write(full[1], buf, 1));
	INTERRUPTED(writev(full[1], &iov, 1));
	INTERRUPTED(splice(fds[0], NULL, other[1], NULL, 1, 0));
	INTERRUPTED(tee(fds[0], other[1], 1, 0));
	INTERRUPTED(vmsplice(full[1], &iov, 1, 0));
	RESTARTED(read(fds[0], buf, 1), 1, CHECK_EQ(write(fds[1], "x", 1), 1));
	RESTARTED(write(full[1], buf, 1), 1, CHECK_EQ(read(full[0], buf, 4096), 4096));
}

TEST(opening_a_fifo)
{
	OK(mkfifo("fifo", 0600));
	INTERRUPTED(open("fifo", O_RDONLY));
	INTERRUPTED(open("fifo", O_WRONLY));
	INTERRUPTED(openat(AT_FDCWD, "fifo", O_RDONLY));
	INTERRUPTED(syscall(SYS_creat, "fifo", 0600));
	RESTARTED(open("fifo", O_RDONLY) >= 0, 1, OK(open("fifo", O_WRONLY)));
}

TEST(sockets_of_names)
{
	int sv[2], l = OK(socket(AF_UNIX, SOCK_STREAM, 0)), dg[2];
	struct sockaddr addr = { .sa_family = AF_UNIX };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct mmsghdr many = { .msg_hdr = msg };

	OK(bind(l, &addr, sizeof(addr.sa_family)));
	OK(listen(l, 1));
	OK(socketpair(AF_UNIX, SOCK_STREAM, 0, sv));
	OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, dg));
	INTERRUPTED(accept(l, NULL, NULL));
	INTERRUPTED(accept4(l, NULL, NULL, SOCK_CLOEXEC));
	INTERRUPTED(recv(sv[0], buf, 1, 0));
	INTERRUPTED(recvmsg(sv[0], &msg, 0));
	INTERRUPTED(recvmmsg(dg[0], &many, 1, 0, NULL));
	while (send(sv[1], buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	while (send(sv[1], buf, 1, MSG_DONTWAIT) > 0)
		;
	CHECK_EQ(errno, EAGAIN);
	INTERRUPTED(send(sv[1], buf, 70000, 0));
	INTERRUPTED(sendmsg(sv[1], &msg, 0));
	while (send(dg[1], buf, 100, MSG_DONTWAIT) > 0)
		;
	INTERRUPTED(send(dg[1], buf, 100, 0));
	INTERRUPTED(sendmmsg(dg[1], &many, 1, 0));
}

TEST(sockets_of_the_network)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof(a);
	int l = OK(socket(AF_INET, SOCK_STREAM, 0)), c = OK(socket(AF_INET, SOCK_STREAM, 0)),
	    u = OK(socket(AF_INET, SOCK_DGRAM, 0)), s;

	OK(bind(l, (struct sockaddr *)&a, len));
	OK(listen(l, 5));
	OK(getsockname(l, (struct sockaddr *)&a, &len));
	INTERRUPTED(accept(l, NULL, NULL));
	INTERRUPTED(accept4(l, NULL, NULL, SOCK_NONBLOCK));
	OK(connect(c, (struct sockaddr *)&a, len));
	s = OK(accept(l, NULL, NULL));
	INTERRUPTED(recv(s, buf, 1, 0));
	INTERRUPTED(read(s, buf, 1));
	INTERRUPTED(recvfrom(u, buf, 1, 0, NULL, NULL));
	RESTARTED(recv(s, buf, 1, 0), 1, CHECK_EQ(send(c, "x", 1, 0), 1));
}

TEST(waits_for_several)
{
	struct epoll_event ev;
	struct timespec ts = { 60, 0 };
	int ep = OK(epoll_create1(0)), fds[2];
	struct pollfd p;
	fd_set set;

	OK(pipe(fds));
	p = (struct pollfd){ fds[0], POLLIN, 0 };
	NEVER_RESTARTED(poll(&p, 1, -1));
	NEVER_RESTARTED(ppoll(&p, 1, &ts, NULL));
	FD_ZERO(&set);
	FD_SET(fds[0], &set);
	NEVER_RESTARTED(select(fds[0] + 1, &set, NULL, NULL, NULL));
	NEVER_RESTARTED(pselect(fds[0] + 1, &set, NULL, NULL, &ts, NULL));
	NEVER_RESTARTED(epoll_wait(ep, &ev, 1, -1));
	NEVER_RESTARTED(epoll_pwait(ep, &ev, 1, 60000, NULL));
	NEVER_RESTARTED(syscall(SYS_epoll_pwait2, ep, &ev, 1, &ts, NULL, 8));
}

TEST(small_descriptors)
{
	int ev = OK(eventfd(0, 0)), tm = OK(timerfd_create(CLOCK_MONOTONIC, 0)),
	    in = OK(inotify_init1(0)), sf;
	uint64_t one = 1, most = UINT64_MAX - 1;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sf = OK(signalfd(-1, &set, 0));
	INTERRUPTED(read(ev, buf, 8));
	INTERRUPTED(read(tm, buf, 8));
	INTERRUPTED(read(in, buf, 1000));
	INTERRUPTED(read(sf, buf, 1000));
	RESTARTED(read(ev, buf, 8), 8, CHECK_EQ(write(ev, &one, 8), 8));
	CHECK_EQ(write(ev, &most, 8), 8);
	INTERRUPTED(write(ev, &one, 8));
}

TEST(locks)
{
	struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
	int a = OK(open("file", O_RDWR | O_CREAT, 0600)), b = OK(open("file", O_RDWR));

	OK(flock(a, LOCK_EX));
	INTERRUPTED(flock(b, LOCK_EX));
	OK(fcntl(a, F_OFD_SETLK, &lock));
	INTERRUPTED(fcntl(b, F_OFD_SETLKW, &lock));
	INTERRUPTED(fcntl(b, F_SETLKW, &lock));
	RESTARTED(flock(b, LOCK_EX), 0, OK(flock(a, LOCK_UN)));
}

TEST(children)
{
	struct gate g = gate_new();
	siginfo_t info;
	pid_t child;

	CHILD (child)
		gate_pass(&g);
	INTERRUPTED(waitpid(child, NULL, 0));
	INTERRUPTED(waitid(P_PID, child, &info, WEXITED));
	INTERRUPTED(syscall(SYS_wait4, child, NULL, 0, NULL));
	RESTARTED(waitid(P_PID, child, &info, WEXITED), 0, gate_open(&g));
	CHECK_EQ(info.si_pid, child);
}

TEST(signals_themselves)
{
	struct timespec ts = { 60, 0 };
	siginfo_t info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	NEVER_RESTARTED(sigtimedwait(&set, &info, &ts));
	NEVER_RESTARTED(sigwaitinfo(&set, &info));
	NEVER_RESTARTED(pause());
	NEVER_RESTARTED(sigsuspend(&set));
}

TEST(sleeps)
{
	struct timespec ts = { 60, 0 }, left, at;

	NEVER_RESTARTED(nanosleep(&ts, &left));
	CHECK(left.tv_sec <= 60 && left.tv_sec > 0);
	NEVER_RESTARTED(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, &ts, &left));
	OK(clock_gettime(CLOCK_REALTIME, &at));
	at.tv_sec += 60;
	NEVER_RESTARTED(syscall(SYS_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &at, NULL));
}

TEST(futexes)
{
	struct futex_waitv_ {
		uint64_t val, addr;
		uint32_t flags, reserved;
	} v;
	struct timespec ts = { 60, 0 };
	uint32_t *word =
		OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));

	v = (struct futex_waitv_){ 0, (uintptr_t)word, 2, 0 };
	INTERRUPTED(syscall(SYS_futex, word, 0, 0, NULL, NULL, 0));
	NEVER_RESTARTED(syscall(SYS_futex, word, 0, 0, &ts, NULL, 0));
	if (syscall(SYS_futex_waitv, NULL, 0, 0, NULL, 0) < 0 && errno == ENOSYS)
		SKIP("no futex_waitv");
	INTERRUPTED(syscall(SYS_futex_waitv, &v, 1, 0, NULL, 0));
}

TEST(queues)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };
	char name[64];
	mqd_t q;

	snprintf(name, sizeof(name), "/caisson-%d", getpid());
	q = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
	if (q < 0 && errno == ENOSYS)
		SKIP("no message queues");
	CHECK(q >= 0);
	OK(mq_unlink(name));
	INTERRUPTED(syscall(SYS_mq_timedreceive, q, buf, 8, NULL, NULL));
	RESTARTED(syscall(SYS_mq_timedreceive, q, buf, 8, NULL, NULL), 1,
		  OK(mq_send(q, "x", 1, 0)));
	OK(mq_send(q, "x", 1, 0));
	INTERRUPTED(syscall(SYS_mq_timedsend, q, buf, 1, 0, NULL));
}
