/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about processes, time, memory and descriptors: the errnos and flags that the other topics
 * leave out. */
#include <mqueue.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/time.h>
#include <sys/uio.h>

#include "harness.h"

#define SCHED_FLAG_RESET_ON_FORK 1

TEST(locked_memory_has_a_limit)
{
	struct rlimit lim = { 8192, 8192 };
	char *p, *q;

	need_root();
	OK(setrlimit(RLIMIT_MEMLOCK, &lim));
	become_nobody();
	CHECK_ERRNO(mmap(NULL, 65536, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0),
		    EAGAIN);
	p = OK(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	q = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED,
		    -1, 0));
	CHECK_ERRNO(mlock(p, 65536), ENOMEM);
	CHECK_ERRNO(syscall(SYS_mlock2, p, 65536, 0), ENOMEM);
	CHECK_ERRNO(mremap(q, 4096, 65536, MREMAP_MAYMOVE), EAGAIN);
	CHECK_ERRNO(mlockall(MCL_CURRENT), ENOMEM);
	OK(munlockall());
}

TEST(locked_memory_not_allowed_at_all)
{
	struct rlimit none = { 0, 0 };
	char *p;

	need_root();
	p = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	OK(setrlimit(RLIMIT_MEMLOCK, &none));
	become_nobody();
	CHECK_ERRNO(mlock(p, 4096), EPERM);
	CHECK_ERRNO(syscall(SYS_mlock2, p, 4096, 0), EPERM);
	CHECK_ERRNO(mlockall(MCL_CURRENT), EPERM);
	CHECK_ERRNO(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0),
		    EPERM);
}

TEST(ranges_that_wrap)
{
	void *far = (void *)0x7ffffffff000;

	CHECK_ERRNO(syscall(SYS_munlock, far, -8192L), EINVAL);
	/* The limit would be judged first. */
	need_cap(CAP_IPC_LOCK, "CAP_IPC_LOCK");
	CHECK_ERRNO(syscall(SYS_mlock, far, -8192L), EINVAL);
	CHECK_ERRNO(syscall(SYS_mlock2, far, -8192L, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_mlock2, far, 4096, 2), EINVAL);
}

/* All of them can be read, and set to what they are. */
static const int limits[] = { RLIMIT_AS,     RLIMIT_CORE,   RLIMIT_CPU,	       RLIMIT_DATA,
			      RLIMIT_FSIZE,  RLIMIT_LOCKS,  RLIMIT_MEMLOCK,    RLIMIT_MSGQUEUE,
			      RLIMIT_NICE,   RLIMIT_NOFILE, RLIMIT_NPROC,      RLIMIT_RSS,
			      RLIMIT_RTPRIO, RLIMIT_RTTIME, RLIMIT_SIGPENDING, RLIMIT_STACK };

TEST(every_limit)
{
	struct rlimit lim, again;
	struct rlimit64 old;

	for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
		OK(getrlimit(limits[i], &lim));
		CHECK(lim.rlim_cur <= lim.rlim_max);
		OK(setrlimit(limits[i], &lim));
		OK(prlimit64(0, limits[i], NULL, &old));
		CHECK(old.rlim_cur == lim.rlim_cur && old.rlim_max == lim.rlim_max);
		OK(getrlimit(limits[i], &again));
		CHECK(again.rlim_cur == lim.rlim_cur && again.rlim_max == lim.rlim_max);
		lim.rlim_cur = lim.rlim_max;
		lim.rlim_max = 0;
		if (lim.rlim_cur)
			CHECK_ERRNO(setrlimit(limits[i], &lim), EINVAL);
	}
	CHECK_ERRNO(getrlimit(16, &lim), EINVAL);
	CHECK_ERRNO(setrlimit(16, &lim), EINVAL);
}

TEST(clock_is_not_set_by_mistake)
{
	struct timeval tv = { 1, 1000000 };
	struct timezone tz = { 16 * 60, 0 };
	struct timespec ts = { 0, 1000000000 };

	if (filtered())
		SKIP("a filter may answer");
	CHECK_ERRNO(syscall(SYS_settimeofday, BAD_PTR, NULL), EFAULT);
	CHECK_ERRNO(syscall(SYS_settimeofday, NULL, BAD_PTR), EFAULT);
	CHECK_ERRNO(syscall(SYS_settimeofday, &tv, NULL), EINVAL);
	CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME, BAD_PTR), EFAULT);
	CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME, &ts), EINVAL);
	ts.tv_nsec = 0;
	CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_MONOTONIC, &ts), EINVAL);
	CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME_COARSE, &ts), EINVAL);
	CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME_ALARM, &ts), EINVAL);
	CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_BOOTTIME_ALARM, &ts), EINVAL);
	need_root();
	become_nobody();
	CHECK_ERRNO(syscall(SYS_settimeofday, NULL, &tz), EPERM);
	tv.tv_usec = 0;
	CHECK_ERRNO(syscall(SYS_settimeofday, &tv, NULL), EPERM);
	CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME, &ts), EPERM);
}

TEST(every_clock)
{
	static const int clocks[] = { CLOCK_REALTIME,
				      CLOCK_REALTIME_COARSE,
				      CLOCK_MONOTONIC,
				      CLOCK_MONOTONIC_COARSE,
				      CLOCK_MONOTONIC_RAW,
				      CLOCK_BOOTTIME,
				      CLOCK_TAI,
				      CLOCK_PROCESS_CPUTIME_ID,
				      CLOCK_THREAD_CPUTIME_ID };
	static const int alarms[] = { CLOCK_REALTIME_ALARM, CLOCK_BOOTTIME_ALARM };
	struct timespec ts;

	for (size_t i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
		OK(syscall(SYS_clock_getres, clocks[i], &ts));
		CHECK(ts.tv_sec == 0 && ts.tv_nsec > 0);
		OK(syscall(SYS_clock_gettime, clocks[i], &ts));
		CHECK(ts.tv_nsec >= 0 && ts.tv_nsec < 1000000000);
		CHECK_ERRNO(syscall(SYS_clock_gettime, clocks[i], BAD_PTR), EFAULT);
	}
	/* Without a clock in hardware that can wake the machine there are none of these. */
	for (int i = 0; i < 2; i++) {
		if (!syscall(SYS_clock_gettime, alarms[i], &ts))
			OK(syscall(SYS_clock_getres, alarms[i], &ts));
		else
			CHECK_EQ(errno, EINVAL);
	}
	CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, 0, BAD_PTR, NULL), EFAULT);
	CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &ts, NULL),
		    EOPNOTSUPP);
}

TEST(names_of_the_machine)
{
	char name[80] = "n";

	need_cap(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	CHECK_ERRNO(syscall(SYS_setdomainname, name, 65), EINVAL);
	CHECK_ERRNO(syscall(SYS_setdomainname, name, -1), EINVAL);
	CHECK_ERRNO(syscall(SYS_sethostname, name, 65), EINVAL);
	become_nobody();
	CHECK_ERRNO(syscall(SYS_setdomainname, name, 1), EPERM);
	CHECK_ERRNO(syscall(SYS_sethostname, name, 1), EPERM);
}

TEST(signals_have_a_limit)
{
	struct rlimit none = { 0, 0 };
	siginfo_t info = { .si_signo = SIGRTMIN, .si_code = SI_QUEUE };
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGRTMIN);
	sigaddset(&set, SIGUSR1);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	OK(setrlimit(RLIMIT_SIGPENDING, &none));
	CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN, &info), EAGAIN);
	CHECK_ERRNO(syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGRTMIN, &info), EAGAIN);
	CHECK_ERRNO(syscall(SYS_tkill, gettid(), SIGRTMIN), EAGAIN);
	CHECK_ERRNO(syscall(SYS_tgkill, getpid(), gettid(), SIGRTMIN), EAGAIN);
	/* The old ones are bits and need no room. */
	OK(syscall(SYS_tkill, gettid(), SIGUSR1));
}

TEST(signals_to_others_need_rights)
{
	pid_t parent = getpid(), pid;
	siginfo_t info = { .si_signo = SIGUSR1, .si_code = SI_QUEUE };

	need_root();
	CHILD (pid) {
		become_nobody();
		CHECK_ERRNO(kill(parent, SIGUSR1), EPERM);
		CHECK_ERRNO(syscall(SYS_tkill, parent, SIGUSR1), EPERM);
		CHECK_ERRNO(syscall(SYS_tgkill, parent, parent, SIGUSR1), EPERM);
		CHECK_ERRNO(syscall(SYS_rt_tgsigqueueinfo, parent, parent, SIGUSR1, &info), EPERM);
		info.si_code = SI_USER;
		CHECK_ERRNO(syscall(SYS_rt_tgsigqueueinfo, parent, parent, SIGUSR1, &info), EPERM);
	}
	wait_ok(pid);
}

TEST(processes_have_a_limit)
{
	struct rlimit one = { 1, 1 };
	int fds[2];

	need_root();
	OK(pipe(fds));
	OK(setrlimit(RLIMIT_NPROC, &one));
	/* The first process of this user is at the limit. */
	OK(setresgid(61234, 61234, 61234));
	OK(setresuid(61234, 61234, 61234));
	CHECK_ERRNO(syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), EAGAIN);
	CHECK_ERRNO(syscall(SYS_fork), EAGAIN);
	CHECK_ERRNO(syscall(SYS_vfork), EAGAIN);
}

struct kernel_action {
	void *handler;
	unsigned long flags;
	void *restorer;
	unsigned long mask;
};

/* What is not known is cleared, so that a program can find out what is. */
TEST(flags_of_signal_actions_tell_what_is_known)
{
	enum { SA_RESTORER = 0x04000000, SA_UNSUPPORTED = 0x400, SA_EXPOSE_TAGBITS = 0x800 };
	struct kernel_action act = { SIG_IGN,
				     SA_RESTORER | SA_UNSUPPORTED | SA_EXPOSE_TAGBITS | 0x100,
				     (void *)test_self, 0 },
			     old;

	OK(syscall(SYS_rt_sigaction, SIGUSR1, &act, NULL, 8));
	OK(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &old, 8));
	CHECK_EQ(old.flags, SA_RESTORER | SA_EXPOSE_TAGBITS);
	CHECK(old.restorer == (void *)test_self);
}

TEST(sets_of_select)
{
	fd_set set;
	int fds[2];

	OK(pipe(fds));
	CHECK_EQ(write(fds[1], "x", 1), 1);
	FD_ZERO(&set);
	FD_SET(fds[0], &set);
	FD_SET(fds[1], &set);
	FD_CLR(fds[1], &set);
	CHECK_EQ(select(fds[1] + 1, &set, NULL, NULL, NULL), 1);
	CHECK(FD_ISSET(fds[0], &set) && !FD_ISSET(fds[1], &set));
	FD_SET(200, &set);
	CHECK_ERRNO(pselect(201, &set, NULL, NULL, NULL, NULL), EBADF);
	CHECK_ERRNO(select(201, &set, NULL, NULL, NULL), EBADF);
}

TEST(epoll_waits)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = OK(epoll_create1(0)), fds[2];
	struct timespec ts = { 0, 0 };

	OK(pipe(fds));
	CHECK_EQ(write(fds[1], "x", 1), 1);
	OK(epoll_ctl(ep, EPOLL_CTL_ADD, fds[0], &ev));
	CHECK_ERRNO(syscall(SYS_epoll_pwait, ep, BAD_PTR, 1, 0, NULL, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_epoll_pwait, ep, &ev, 1, 0, BAD_PTR, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_epoll_pwait2, ep, BAD_PTR, 1, &ts, NULL, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_epoll_pwait2, ep, &ev, 1, BAD_PTR, NULL, 8), EFAULT);
	CHECK_ERRNO(syscall(SYS_epoll_pwait2, 99, &ev, 1, &ts, NULL, 8), EBADF);
	CHECK_ERRNO(syscall(SYS_epoll_pwait2, ep, &ev, 0, &ts, NULL, 8), EINVAL);
}

TEST(queues)
{
	struct rlimit lim = { 30, 30 };
	char name[300] = "/", own[64], buf[8192];
	mqd_t q;

	snprintf(own, sizeof(own), "/caisson-%d", getpid());
	q = mq_open(own, O_RDWR | O_CREAT | O_CLOEXEC | O_EXCL, 0600, NULL);
	if (q < 0 && errno == ENOSYS)
		SKIP("no message queues");
	CHECK(q >= 0);
	CHECK(fcntl(q, F_GETFD) & FD_CLOEXEC);
	memset(name + 1, 'n', 298);
	CHECK_ERRNO(mq_open(name, O_RDWR | O_CREAT, 0600, NULL), ENAMETOOLONG);
	CHECK_ERRNO(mq_unlink(name), ENAMETOOLONG);
	CHECK_ERRNO(syscall(SYS_mq_timedreceive, 99, buf, sizeof(buf), NULL, NULL), EBADF);
	CHECK_ERRNO(syscall(SYS_mq_timedreceive, 0, buf, sizeof(buf), NULL, NULL), EBADF);
	OK(setrlimit(RLIMIT_NOFILE, &lim));
	while (dup(0) >= 0)
		;
	CHECK_ERRNO(mq_open(own, O_RDWR), EMFILE);
	if (geteuid() == 0) {
		pid_t pid;

		CHILD (pid) {
			become_nobody();
			CHECK(mq_unlink(own) == -1 && (errno == EACCES || errno == EPERM));
		}
		wait_ok(pid);
	}
	OK(mq_unlink(own));
}

TEST(robust_list_of_another_user)
{
	pid_t parent = getpid(), pid;
	size_t len;
	void *head;

	need_root();
	CHILD (pid) {
		become_nobody();
		CHECK_ERRNO(syscall(SYS_get_robust_list, parent, &head, &len), EPERM);
		CHECK_ERRNO(syscall(SYS_get_robust_list, 0, BAD_PTR, &len), EFAULT);
	}
	wait_ok(pid);
	CHECK_ERRNO(syscall(SYS_get_robust_list, 0x3fffffff, &head, &len), ESRCH);
}

TEST(memory_of_others)
{
	char data[16] = "abc";
	struct iovec here = { data, 3 }, there = { BAD_PTR, 3 }, many[2] = { { data, -1L } };
	pid_t parent = getpid(), pid;

	CHECK_ERRNO(process_vm_writev(getpid(), &here, 1, &there, 1, 0), EFAULT);
	CHECK_ERRNO(process_vm_writev(getpid(), BAD_PTR, 1, &there, 1, 0), EFAULT);
	CHECK_ERRNO(process_vm_writev(getpid(), &here, 1, &there, 1, 1), EINVAL);
	CHECK_ERRNO(process_vm_writev(getpid(), many, 1, &there, 1, 0), EINVAL);
	CHECK_ERRNO(process_vm_writev(getpid(), &here, 1025, &there, 1, 0), EINVAL);
	CHECK_ERRNO(process_vm_writev(0x3fffffff, &here, 1, &here, 1, 0), ESRCH);
	need_root();
	CHILD (pid) {
		become_nobody();
		CHECK_ERRNO(process_vm_writev(parent, &here, 1, &here, 1, 0), EPERM);
		CHECK_ERRNO(process_vm_readv(parent, &here, 1, &here, 1, 0), EPERM);
	}
	wait_ok(pid);
}

TEST(vectors)
{
	char c;
	struct iovec v[2] = { { &c, 1 }, { &c, -1L } };
	int fd = OK(open("f", O_CREAT | O_RDWR, 0600));

	CHECK_ERRNO(syscall(SYS_pwritev, fd, v, 2, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_pwritev, fd, v, 1025, 0, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_pwritev, fd, v, 1, -1L, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_preadv, fd, v, 1, -1L, 0), EINVAL);
}

TEST(last_descriptor)
{
	struct rlimit lim = { 30, 30 };
	int pidfd = OK(syscall(SYS_pidfd_open, getpid(), 0));

	OK(setrlimit(RLIMIT_NOFILE, &lim));
	while (dup(0) >= 0)
		;
	CHECK_ERRNO(syscall(SYS_pidfd_getfd, pidfd, 0, 0), EMFILE);
	CHECK_ERRNO(dup2(0, 30), EBADF);
	CHECK_ERRNO(dup3(0, 30, 0), EBADF);
	CHECK_ERRNO(dup3(0, 0, 0), EINVAL);
	CHECK_EQ(dup2(0, 0), 0);
}

TEST(policies)
{
	struct sched_param param = { 0 };
	struct timespec ts;

	OK(sched_setscheduler(0, SCHED_IDLE, &param));
	CHECK_EQ(sched_getscheduler(0), SCHED_IDLE);
	OK(sched_getparam(0, &param));
	CHECK_EQ(param.sched_priority, 0);
	CHECK_ERRNO(syscall(SYS_sched_rr_get_interval, 0, BAD_PTR), EFAULT);
	OK(sched_rr_get_interval(0, &ts));
	CHECK_ERRNO(sched_getscheduler(0x3fffffff), ESRCH);
	CHECK_ERRNO(sched_getscheduler(-1), EINVAL);
}

TEST(attributes_of_scheduling)
{
	struct {
		uint32_t size, policy;
		uint64_t flags;
		int32_t nice;
		uint32_t priority;
		uint64_t times[3];
	} attr = { 0 };

	CHECK_ERRNO(syscall(SYS_sched_getattr, 0x3fffffff, &attr, sizeof(attr), 0), ESRCH);
	CHECK_ERRNO(syscall(SYS_sched_getattr, 0, &attr, 8, 0), EINVAL);
	CHECK_ERRNO(syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 1), EINVAL);
	attr.size = sizeof(attr);
	attr.policy = SCHED_IDLE;
	attr.flags = SCHED_FLAG_RESET_ON_FORK;
	OK(syscall(SYS_sched_setattr, 0, &attr, 0));
	memset(&attr, 0, sizeof(attr));
	OK(syscall(SYS_sched_getattr, 0, &attr, sizeof(attr), 0));
	CHECK_EQ(attr.policy, SCHED_IDLE);
	CHECK_EQ(attr.flags, SCHED_FLAG_RESET_ON_FORK);
	CHECK_EQ(attr.size, sizeof(attr));
}
