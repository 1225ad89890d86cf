/* SPDX-License-Identifier: Apache-2.0 */
/* clone(2) and clone3(2): sharing flags, ids written to memory, exit signals, errors. */
#include <linux/sched.h>

#include "harness.h"

static long raw_clone(unsigned long flags, void *stack, int *ptid, int *ctid)
{
	return syscall(SYS_clone, flags, stack, ptid, ctid, 0);
}

static pid_t clone3_(struct clone_args *args)
{
	return (pid_t)syscall(SYS_clone3, args, sizeof(*args));
}

TEST(as_fork)
{
	pid_t pid = (pid_t)OK(raw_clone(SIGCHLD, NULL, NULL, NULL));

	if (!pid)
		_exit(getppid() > 0 ? 9 : 1);
	wait_exit(pid, 9);
}

TEST(ids_in_memory)
{
	static int ptid, ctid;
	pid_t pid = (pid_t)OK(
		raw_clone(SIGCHLD | CLONE_PARENT_SETTID | CLONE_CHILD_SETTID, NULL, &ptid, &ctid));

	if (!pid)
		_exit(ctid == gettid() && ptid == 0 ? 0 : 1);
	CHECK_EQ(ptid, pid);
	CHECK_EQ(ctid, 0);
	wait_ok(pid);
}

TEST(child_cleartid_of_shared_memory)
{
	int *word = OK(mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
	pid_t pid;

	*word = 77;
	/* The word is cleared only where the memory is shared with somebody: CLONE_VM. */
	pid = (pid_t)OK(raw_clone(SIGCHLD | CLONE_CHILD_CLEARTID, NULL, NULL, word));
	if (!pid)
		_exit(0);
	wait_ok(pid);
	CHECK_EQ(*word, 77);
}

TEST(files_shared)
{
	pid_t pid = (pid_t)OK(raw_clone(CLONE_FILES | SIGCHLD, NULL, NULL, NULL));

	if (!pid) {
		dup2(1, 77);
		_exit(0);
	}
	wait_ok(pid);
	OK(fcntl(77, F_GETFD));
}

TEST(exit_signal)
{
	pid_t pid;
	int status;

	on_signal(SIGUSR1, count_signal, 0);
	pid = (pid_t)OK(raw_clone(SIGUSR1, NULL, NULL, NULL));
	if (!pid)
		_exit(4);
	/* Such a child is waited for with __WCLONE or __WALL only. */
	while (!signals_seen)
		sleep_ms(1);
	CHECK_ERRNO(waitpid(pid, &status, 0), ECHILD);
	CHECK_EQ(waitpid(pid, &status, __WALL), pid);
	CHECK_EQ(WEXITSTATUS(status), 4);
}

TEST(no_exit_signal)
{
	pid_t pid;
	int status;

	on_signal(SIGCHLD, count_signal, 0);
	pid = (pid_t)OK(raw_clone(0, NULL, NULL, NULL));
	if (!pid)
		_exit(5);
	CHECK_ERRNO(waitpid(-1, &status, 0), ECHILD);
	CHECK_EQ(waitpid(-1, &status, __WCLONE), pid);
	CHECK_EQ(WEXITSTATUS(status), 5);
	CHECK_EQ(signals_seen, 0);
}

static int in_vm(void *arg)
{
	*(volatile int *)arg = 1;
	_exit(0);
}

TEST(memory_shared)
{
	char *stack =
		OK(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	volatile int flag = 0;
	int tid = 5;
	pid_t pid = OK(clone(in_vm, stack + 65536, CLONE_VM | SIGCHLD | CLONE_PARENT_SETTID,
			     (void *)&flag, &tid));

	wait_ok(pid);
	CHECK_EQ(flag, 1);
	CHECK_EQ(tid, pid);
}

TEST(vfork_flag)
{
	char *stack =
		OK(mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	volatile int flag = 0;
	pid_t pid =
		OK(clone(in_vm, stack + 65536, CLONE_VM | CLONE_VFORK | SIGCHLD, (void *)&flag));

	CHECK_EQ(flag, 1);
	wait_ok(pid);
}

TEST(parent_flag_makes_a_sibling)
{
	struct gate g = gate_new();
	pid_t pid, self = getpid(), sibling;

	CHILD (pid) {
		sibling = (pid_t)OK(raw_clone(CLONE_PARENT | SIGCHLD, NULL, NULL, NULL));
		if (!sibling) {
			CHECK_EQ(getppid(), self);
			_exit(6);
		}
		CHECK(write(g.fd[1], &sibling, sizeof(sibling)) == sizeof(sibling));
		CHECK_ERRNO(waitpid(sibling, NULL, 0), ECHILD);
	}
	wait_ok(pid);
	CHECK(read(g.fd[0], &sibling, sizeof(sibling)) == sizeof(sibling));
	wait_exit(sibling, 6);
}

TEST(invalid_combinations)
{
	char stack[64];

	CHECK_ERRNO(raw_clone(CLONE_SIGHAND | SIGCHLD, NULL, NULL, NULL), EINVAL);
	CHECK_ERRNO(raw_clone(CLONE_THREAD, stack, NULL, NULL), EINVAL);
	CHECK_ERRNO(raw_clone(CLONE_THREAD | CLONE_SIGHAND, stack, NULL, NULL), EINVAL);
	CHECK_ERRNO(
		raw_clone(CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, NULL, (int *)stack, NULL),
		EINVAL);
	CHECK_ERRNO(raw_clone(CLONE_PIDFD | CLONE_DETACHED | SIGCHLD, NULL, (int *)stack, NULL),
		    EINVAL);
}

TEST(invalid_combinations_with_namespaces)
{
	need_cap(CAP_SYS_ADMIN, "CAP_SYS_ADMIN");
	CHECK_ERRNO(raw_clone(CLONE_NEWNS | CLONE_FS | SIGCHLD, NULL, NULL, NULL), EINVAL);
	CHECK_ERRNO(raw_clone(CLONE_NEWIPC | CLONE_SYSVSEM | SIGCHLD, NULL, NULL, NULL), EINVAL);
	CHECK_ERRNO(raw_clone(CLONE_NEWUSER | CLONE_FS | SIGCHLD, NULL, NULL, NULL), EINVAL);
}

TEST(pidfd_flag)
{
	int pidfd = -1, status;
	siginfo_t info;
	pid_t pid = (pid_t)OK(raw_clone(CLONE_PIDFD | SIGCHLD, NULL, &pidfd, NULL));

	if (!pid)
		_exit(12);
	CHECK(pidfd >= 0);
	CHECK_EQ(fcntl(pidfd, F_GETFD), FD_CLOEXEC);
	OK(waitid(P_PIDFD, (id_t)pidfd, &info, WEXITED));
	CHECK_EQ(info.si_pid, pid);
	CHECK_EQ(info.si_status, 12);
	CHECK_ERRNO(waitpid(pid, &status, 0), ECHILD);
}

TEST(clone3_as_fork)
{
	static int ptid, ctid;
	struct clone_args args = {
		.flags = CLONE_PARENT_SETTID | CLONE_CHILD_SETTID,
		.exit_signal = SIGCHLD,
		.parent_tid = (uintptr_t)&ptid,
		.child_tid = (uintptr_t)&ctid,
	};
	pid_t pid = clone3_(&args);

	if (pid < 0 && errno == ENOSYS)
		SKIP("no clone3");
	OK(pid);
	if (!pid)
		_exit(ctid == getpid() ? 3 : 1);
	CHECK_EQ(ptid, pid);
	wait_exit(pid, 3);
}

TEST(clone3_errors)
{
	struct clone_args args = { .exit_signal = SIGCHLD };
	char large[256] = "";

	if (syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS)
		SKIP("no clone3");
	CHECK_ERRNO(syscall(SYS_clone3, &args, 8), EINVAL);
	CHECK_ERRNO(syscall(SYS_clone3, &args, 8192), E2BIG);
	CHECK_ERRNO(syscall(SYS_clone3, BAD_PTR, sizeof(args)), EFAULT);
	large[200] = 1;
	CHECK_ERRNO(syscall(SYS_clone3, large, 256), E2BIG);
	args.exit_signal = 200;
	CHECK_ERRNO(clone3_(&args), EINVAL);
	args.exit_signal = SIGCHLD;
	args.flags = CLONE_DETACHED;
	CHECK_ERRNO(clone3_(&args), EINVAL);
	args.flags = 0;
	args.stack = 4096;
	CHECK_ERRNO(clone3_(&args), EINVAL);
	args.stack = 0;
	args.stack_size = 4096;
	CHECK_ERRNO(clone3_(&args), EINVAL);
	args.stack_size = 0;
	args.flags = CLONE_THREAD | CLONE_SIGHAND | CLONE_VM;
	CHECK_ERRNO(clone3_(&args), EINVAL);
}

TEST(clone3_clear_sighand)
{
	struct clone_args args = { .flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD };
	struct sigaction sa;
	pid_t pid;

	on_signal(SIGUSR1, count_signal, 0);
	on_signal(SIGUSR2, SIG_IGN, 0);
	pid = clone3_(&args);
	if (pid < 0 && (errno == ENOSYS || errno == EINVAL))
		SKIP("no CLONE_CLEAR_SIGHAND");
	OK(pid);
	if (!pid) {
		OK(sigaction(SIGUSR1, NULL, &sa));
		CHECK(sa.sa_handler == SIG_DFL);
		OK(sigaction(SIGUSR2, NULL, &sa));
		CHECK(sa.sa_handler == SIG_IGN);
		_exit(0);
	}
	wait_ok(pid);
}

TEST(bad_tid_address_of_the_child_is_ignored)
{
	pid_t pid = (pid_t)OK(raw_clone(SIGCHLD | CLONE_CHILD_SETTID, NULL, NULL, BAD_PTR));

	if (!pid)
		_exit(0);
	wait_ok(pid);
}
