/* SPDX-License-Identifier: Apache-2.0 */
/* getrlimit(2), setrlimit(2), prlimit64(2), and that limits hold. */
#include <sys/resource.h>

#include "harness.h"

static int prlimit_(pid_t pid, int what, const struct rlimit *new, struct rlimit *old)
{
	return (int)syscall(SYS_prlimit64, pid, what, new, old);
}

TEST(all_sixteen_are_there)
{
	struct rlimit a, b;

	for (int i = 0; i < 16; i++) {
		OK(syscall(SYS_getrlimit, i, &a));
		OK(prlimit_(0, i, NULL, &b));
		CHECK(a.rlim_cur == b.rlim_cur && a.rlim_max == b.rlim_max);
		CHECK(a.rlim_cur <= a.rlim_max);
	}
	CHECK_ERRNO(syscall(SYS_getrlimit, 16, &a), EINVAL);
	CHECK_ERRNO(syscall(SYS_getrlimit, -1, &a), EINVAL);
}

TEST(set_and_get)
{
	struct rlimit lim = { 100, 200 }, old;

	OK(syscall(SYS_setrlimit, RLIMIT_NOFILE, &lim));
	OK(getrlimit(RLIMIT_NOFILE, &old));
	CHECK(old.rlim_cur == 100 && old.rlim_max == 200);
	lim = (struct rlimit){ 50, 150 };
	OK(prlimit_(0, RLIMIT_NOFILE, &lim, &old));
	CHECK(old.rlim_cur == 100 && old.rlim_max == 200);
}

TEST(errors)
{
	struct rlimit lim = { 10, 5 };

	CHECK_ERRNO(setrlimit(RLIMIT_NOFILE, &lim), EINVAL);
	CHECK_ERRNO(syscall(SYS_setrlimit, 16, &lim), EINVAL);
	CHECK_ERRNO(syscall(SYS_getrlimit, RLIMIT_NOFILE, BAD_PTR), EFAULT);
	CHECK_ERRNO(syscall(SYS_setrlimit, RLIMIT_NOFILE, BAD_PTR), EFAULT);
	CHECK_ERRNO(prlimit_(0x3fffffff, RLIMIT_NOFILE, NULL, &lim), ESRCH);
	CHECK_ERRNO(prlimit_(0, RLIMIT_NOFILE, BAD_PTR, NULL), EFAULT);
}

TEST(raising_the_hard_limit_needs_a_capability)
{
	struct rlimit lim = { 100, 100 };

	OK(setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 0 }));
	OK(setrlimit(RLIMIT_STACK, &(struct rlimit){ 1 << 20, 1 << 22 }));
	OK(setrlimit(RLIMIT_MSGQUEUE, &lim));
	lim.rlim_max = 101;
	if (have_cap(CAP_SYS_RESOURCE))
		OK(setrlimit(RLIMIT_MSGQUEUE, &lim));
	else
		CHECK_ERRNO(setrlimit(RLIMIT_MSGQUEUE, &lim), EPERM);
	/* The soft one goes freely up to the hard one. */
	OK(setrlimit(RLIMIT_STACK, &(struct rlimit){ 1 << 22, 1 << 22 }));
}

TEST(of_a_child)
{
	struct rlimit lim = { 33, 44 }, old;
	struct gate go = gate_new();
	pid_t pid;

	CHILD (pid) {
		gate_pass(&go);
		OK(getrlimit(RLIMIT_NOFILE, &old));
		CHECK(old.rlim_cur == 33 && old.rlim_max == 44);
	}
	OK(prlimit_(pid, RLIMIT_NOFILE, &lim, NULL));
	gate_open(&go);
	wait_ok(pid);
}

TEST(of_another_user)
{
	struct rlimit lim;
	pid_t pid, parent = getpid();

	need_root();
	CHILD (pid) {
		become_nobody();
		CHECK_ERRNO(prlimit_(parent, RLIMIT_NOFILE, NULL, &lim), EPERM);
	}
	wait_ok(pid);
}

TEST(inherited)
{
	struct rlimit lim = { 77, 88 };
	pid_t pid;

	OK(setrlimit(RLIMIT_NOFILE, &lim));
	CHILD (pid) {
		OK(getrlimit(RLIMIT_NOFILE, &lim));
		CHECK(lim.rlim_cur == 77 && lim.rlim_max == 88);
	}
	wait_ok(pid);
}

TEST(cpu_time_kills)
{
	pid_t pid;

	CHILD (pid) {
		struct rlimit lim = { 1, 2 };

		OK(setrlimit(RLIMIT_CPU, &lim));
		for (;;)
			;
	}
	wait_signal(pid, SIGXCPU);
}

TEST(nofile_holds_everywhere)
{
	struct rlimit lim = { 20, 20 };
	int fds[2];

	OK(setrlimit(RLIMIT_NOFILE, &lim));
	while (open("/dev/null", O_RDONLY) >= 0)
		;
	CHECK_EQ(errno, EMFILE);
	CHECK_ERRNO(pipe(fds), EMFILE);
	CHECK_ERRNO(dup(0), EMFILE);
	OK(close(10));
	CHECK_ERRNO(pipe(fds), EMFILE);
	/* The end that did fit was given back. */
	CHECK_EQ(dup(0), 10);
}

TEST(descriptors_above_a_lowered_limit_stay)
{
	struct rlimit lim = { 20, 20 };

	OK(dup2(0, 100));
	OK(setrlimit(RLIMIT_NOFILE, &lim));
	OK(fcntl(100, F_GETFD));
	OK(close(100));
	CHECK_ERRNO(dup2(0, 100), EBADF);
}

TEST(nofile_has_a_ceiling)
{
	struct rlimit lim = { RLIM_INFINITY, RLIM_INFINITY };

	CHECK_ERRNO(setrlimit(RLIMIT_NOFILE, &lim), EPERM);
}

static int __attribute__((noinline)) deep(int n)
{
	volatile char frame[1024];

	frame[0] = (char)n;
	return n ? deep(n - 1) + frame[0] : 0;
}

int test_subject(int argc, char **argv)
{
	return deep(atoi(argv[1])) & 0;
}

TEST(stack_limit)
{
	struct rlimit lim = { 256 << 10, RLIM_INFINITY };
	pid_t pid;

	OK(getrlimit(RLIMIT_STACK, &lim));
	lim.rlim_cur = 256 << 10;
	CHILD (pid) {
		OK(setrlimit(RLIMIT_STACK, &lim));
		execl(test_self(), "subject", "1000", NULL);
	}
	wait_signal(pid, SIGSEGV);
	CHILD (pid) {
		OK(setrlimit(RLIMIT_STACK, &lim));
		execl(test_self(), "subject", "100", NULL);
	}
	wait_ok(pid);
}

TEST(core_limit_is_zero_here)
{
	struct rlimit lim;

	OK(getrlimit(RLIMIT_CORE, &lim));
	CHECK_EQ(lim.rlim_cur, 0);
}

TEST(shown_in_proc)
{
	char buf[4096], *line;
	struct rlimit lim = { 111, 222 };

	OK(setrlimit(RLIMIT_NOFILE, &lim));
	read_file("/proc/self/limits", buf, sizeof(buf));
	line = strstr(buf, "Max open files");
	CHECK(line);
	CHECK_EQ(atoi(line + 26), 111);
	CHECK(strstr(buf, "Max stack size"));
	CHECK(strstr(buf, "Max realtime timeout"));
}

TEST(nice_limit_and_priority)
{
	need_root();
	become_nobody();
	/* Whatever it began with. */
	OK(setpriority(PRIO_PROCESS, 0, 19));
	CHECK_EQ(getpriority(PRIO_PROCESS, 0), 19);
	CHECK_ERRNO(setpriority(PRIO_PROCESS, 0, 18), EACCES);
}
