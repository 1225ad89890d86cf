/* SPDX-License-Identifier: Apache-2.0 */
/* clone(2): flags about tracing, thread storage, semaphores, scheduling of disks and control
 * groups. */
#include <asm/prctl.h>
#include <sys/ipc.h>
#include <sys/ptrace.h>
#include <sys/sem.h>

#include "harness.h"

static long raw_clone(unsigned long flags, unsigned long tls)
{
	return syscall(SYS_clone, flags, NULL, NULL, NULL, tls);
}

TEST(thread_storage_of_a_process)
{
	static uint64_t block[8];
	pid_t pid;

	block[0] = (uintptr_t)block;
	pid = (pid_t)OK(raw_clone(SIGCHLD | CLONE_SETTLS, (uintptr_t)block));
	if (!pid) {
		uint64_t own;

		/* Nothing of the library works here but what needs no storage. */
		__asm__ volatile("mov %%fs:0, %0" : "=r"(own));
		syscall(SYS_exit_group, own == (uintptr_t)block ? 0 : 1);
	}
	wait_ok(pid);
	CHECK_ERRNO(raw_clone(SIGCHLD | CLONE_SETTLS, 0xffff800000000000), EPERM);
}

TEST(disk_priority_is_shared)
{
	pid_t pid = (pid_t)OK(raw_clone(SIGCHLD | CLONE_IO, 0));

	if (!pid)
		_exit(0);
	wait_ok(pid);
}

TEST(control_group_namespace)
{
	pid_t pid;

	need_root();
	if (have_cap(CAP_SYS_ADMIN)) {
		pid = (pid_t)raw_clone(SIGCHLD | CLONE_NEWCGROUP, 0);
		if (pid < 0 && (errno == EPERM || errno == EINVAL))
			SKIP("no such namespaces here");
		OK(pid);
		if (!pid)
			_exit(0);
		wait_ok(pid);
	}
	if (filtered())
		return;
	become_nobody();
	CHECK_ERRNO(raw_clone(SIGCHLD | CLONE_NEWCGROUP, 0), EPERM);
}

static int sem;

static void op(int by)
{
	struct sembuf s = { 0, (short)by, SEM_UNDO };

	OK(semop(sem, &s, 1));
}

TEST(undone_when_the_last_sharer_ends)
{
	pid_t user, pid;

	sem = OK(semget(IPC_PRIVATE, 1, 0600));
	CHILD (user) {
		pid = (pid_t)OK(raw_clone(SIGCHLD | CLONE_SYSVSEM, 0));
		if (!pid) {
			op(2);
			_exit(0);
		}
		wait_ok(pid);
		/* Its list of adjustments lives on with us. */
		CHECK_EQ(semctl(sem, 0, GETVAL), 2);
		pid = (pid_t)OK(raw_clone(SIGCHLD, 0));
		if (!pid) {
			op(3);
			_exit(0);
		}
		wait_ok(pid);
		CHECK_EQ(semctl(sem, 0, GETVAL), 2);
		/* What the other did, this one may take back. */
		op(-1);
	}
	wait_ok(user);
	CHECK_EQ(semctl(sem, 0, GETVAL), 0);
	OK(semctl(sem, 0, IPC_RMID));
}

/* A process that is traced by us makes a child with the flags; it ends when that has ended. */
static pid_t traced_parent(unsigned long flags)
{
	pid_t pid, child;

	CHILD (pid) {
		OK(ptrace(PTRACE_TRACEME, 0, 0, 0));
		raise(SIGSTOP);
		child = (pid_t)OK(raw_clone(SIGCHLD | flags, 0));
		if (!child)
			_exit(7);
		wait_exit(child, 7);
	}
	return pid;
}

static int next_stop(pid_t pid)
{
	int status;

	CHECK_EQ(waitpid(pid, &status, __WALL), pid);
	CHECK(WIFSTOPPED(status));
	return status >> 8;
}

TEST(child_of_a_traced_process_is_traced)
{
	pid_t pid, child;
	int status;

	if (filtered())
		SKIP("a filter may answer");
	pid = traced_parent(CLONE_PTRACE);
	CHECK_EQ(next_stop(pid), SIGSTOP);
	OK(ptrace(PTRACE_CONT, pid, 0, 0));
	/* Not our child, but ours to trace: it begins with a stop. */
	do {
		child = waitpid(-1, &status, __WALL);
		CHECK(child > 0);
		if (child == pid && WIFSTOPPED(status))
			OK(ptrace(PTRACE_CONT, pid, 0, 0));
	} while (child == pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	OK(ptrace(PTRACE_CONT, child, 0, 0));
	CHECK_EQ(waitpid(child, &status, __WALL), child);
	CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 7);
	do {
		CHECK_EQ(waitpid(pid, &status, __WALL), pid);
		if (WIFSTOPPED(status))
			OK(ptrace(PTRACE_CONT, pid, 0, 0));
	} while (WIFSTOPPED(status));
	CHECK_EQ(status, 0);
}

TEST(tracer_cannot_follow)
{
	pid_t pid;
	int status;

	if (filtered())
		SKIP("a filter may answer");
	pid = traced_parent(CLONE_UNTRACED);
	CHECK_EQ(next_stop(pid), SIGSTOP);
	OK(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEFORK | PTRACE_O_TRACECLONE));
	OK(ptrace(PTRACE_CONT, pid, 0, 0));
	/* No event of a birth; only the end of the child is told to its parent. */
	for (;;) {
		CHECK_EQ(waitpid(-1, &status, __WALL), pid);
		if (!WIFSTOPPED(status))
			break;
		CHECK_EQ(status >> 8, SIGCHLD);
		OK(ptrace(PTRACE_CONT, pid, 0, SIGCHLD));
	}
	CHECK_EQ(status, 0);
}
