/* SPDX-License-Identifier: Apache-2.0 */
/* ptrace(2): TRACEME, stops, memory, registers, SYSCALL, options, SEIZE, INTERRUPT. */
#include <elf.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>

#include "harness.h"

static volatile long data = 1111;

static long pt(int request, pid_t pid, void *addr, void *value)
{
	return syscall(SYS_ptrace, request, pid, addr, value);
}

static int next_stop(pid_t pid)
{
	int status;

	CHECK_EQ(waitpid(pid, &status, __WALL), pid);
	return status;
}

/* A child that stops itself to be looked at. */
static pid_t traced(void)
{
	pid_t pid = OK(fork());
	int status;

	if (!pid) {
		if (pt(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(100);
		raise(SIGSTOP);
		_exit(data == 2222 ? 22 : 11);
	}
	CHECK_EQ(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 100)
		SKIP("ptrace is not allowed here");
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	return pid;
}

TEST(stop_is_told_and_goes_on)
{
	pid_t pid = traced();

	OK(pt(PTRACE_CONT, pid, NULL, NULL));
	wait_exit(pid, 11);
}

TEST(memory_is_read_and_written)
{
	pid_t pid = traced();
	long word = 0;

	OK(pt(PTRACE_PEEKDATA, pid, (void *)&data, &word));
	CHECK_EQ(word, 1111);
	OK(pt(PTRACE_POKEDATA, pid, (void *)&data, (void *)2222L));
	CHECK_EQ(data, 1111);
	CHECK_ERRNO(pt(PTRACE_PEEKDATA, pid, BAD_PTR, &word), EIO);
	CHECK_ERRNO(pt(PTRACE_POKEDATA, pid, BAD_PTR, NULL), EIO);
	/* Even where the tracee may not write. */
	OK(pt(PTRACE_PEEKTEXT, pid, (void *)traced, &word));
	OK(pt(PTRACE_POKETEXT, pid, (void *)traced, (void *)word));
	OK(pt(PTRACE_CONT, pid, NULL, NULL));
	wait_exit(pid, 22);
}

TEST(registers)
{
	pid_t pid = traced();
	struct user_regs_struct r, again;
	struct iovec iov = { &again, sizeof(again) };

	OK(pt(PTRACE_GETREGS, pid, NULL, &r));
	/* raise(3) has called tgkill. */
	CHECK_EQ(r.orig_rax, SYS_tgkill);
	CHECK_EQ(r.rdi, pid);
	CHECK_EQ(r.rdx, SIGSTOP);
	CHECK_EQ(r.cs, 0x33);
	OK(pt(PTRACE_GETREGSET, pid, (void *)NT_PRSTATUS, &iov));
	CHECK_EQ(iov.iov_len, sizeof(again));
	CHECK_EQ(again.rip, r.rip);
	CHECK_EQ(pt(PTRACE_PEEKUSER, pid, (void *)offsetof(struct user, regs.rsp), &again.rsp), 0);
	CHECK_EQ(again.rsp, r.rsp);
	r.r15 = 0x1234;
	OK(pt(PTRACE_SETREGS, pid, NULL, &r));
	OK(pt(PTRACE_GETREGS, pid, NULL, &again));
	CHECK_EQ(again.r15, 0x1234);
	OK(pt(PTRACE_KILL, pid, NULL, NULL));
	wait_signal(pid, SIGKILL);
}

TEST(signals_are_shown_first)
{
	pid_t pid = traced();
	siginfo_t info;
	int status;

	OK(kill(pid, SIGTERM));
	OK(pt(PTRACE_CONT, pid, NULL, NULL));
	status = next_stop(pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTERM);
	OK(pt(PTRACE_GETSIGINFO, pid, NULL, &info));
	CHECK_EQ(info.si_signo, SIGTERM);
	CHECK_EQ(info.si_pid, getpid());
	/* Not passed on: it never was. */
	OK(pt(PTRACE_CONT, pid, NULL, NULL));
	wait_exit(pid, 11);
	pid = traced();
	OK(pt(PTRACE_CONT, pid, NULL, (void *)SIGUSR2));
	wait_signal(pid, SIGUSR2);
}

TEST(system_call_stops)
{
	pid_t pid = OK(fork());
	struct user_regs_struct r;
	int status, entries = 0;

	if (!pid) {
		if (pt(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(100);
		raise(SIGSTOP);
		syscall(SYS_getppid);
		_exit(5);
	}
	status = next_stop(pid);
	if (WIFEXITED(status))
		SKIP("ptrace is not allowed here");
	OK(pt(PTRACE_SETOPTIONS, pid, NULL, (void *)PTRACE_O_TRACESYSGOOD));
	for (;;) {
		OK(pt(PTRACE_SYSCALL, pid, NULL, NULL));
		status = next_stop(pid);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == (SIGTRAP | 0x80));
		OK(pt(PTRACE_GETREGS, pid, NULL, &r));
		if (r.orig_rax == SYS_getppid) {
			CHECK_EQ((long)r.rax, -ENOSYS);
			OK(pt(PTRACE_SYSCALL, pid, NULL, NULL));
			next_stop(pid);
			OK(pt(PTRACE_GETREGS, pid, NULL, &r));
			CHECK_EQ(r.rax, getpid());
			entries++;
		}
		if (r.orig_rax == SYS_exit_group)
			break;
	}
	CHECK_EQ(entries, 1);
	OK(pt(PTRACE_CONT, pid, NULL, NULL));
	wait_exit(pid, 5);
}

TEST(call_can_be_changed_and_skipped)
{
	pid_t pid = OK(fork());
	struct user_regs_struct r;
	int status;

	if (!pid) {
		if (pt(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(100);
		raise(SIGSTOP);
		_exit((int)syscall(SYS_getppid) == 77 ? 3 : 4);
	}
	status = next_stop(pid);
	if (WIFEXITED(status))
		SKIP("ptrace is not allowed here");
	do {
		OK(pt(PTRACE_SYSCALL, pid, NULL, NULL));
		status = next_stop(pid);
		OK(pt(PTRACE_GETREGS, pid, NULL, &r));
	} while (r.orig_rax != SYS_getppid);
	r.orig_rax = -1UL;
	OK(pt(PTRACE_SETREGS, pid, NULL, &r));
	OK(pt(PTRACE_SYSCALL, pid, NULL, NULL));
	next_stop(pid);
	OK(pt(PTRACE_GETREGS, pid, NULL, &r));
	CHECK_EQ((long)r.rax, -ENOSYS);
	r.rax = 77;
	OK(pt(PTRACE_SETREGS, pid, NULL, &r));
	OK(pt(PTRACE_CONT, pid, NULL, NULL));
	wait_exit(pid, 3);
}

TEST(single_step)
{
	pid_t pid = traced();
	struct user_regs_struct a, b;
	int status;

	OK(pt(PTRACE_GETREGS, pid, NULL, &a));
	for (int i = 0; i < 10; i++) {
		OK(pt(PTRACE_SINGLESTEP, pid, NULL, NULL));
		status = next_stop(pid);
		CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
		OK(pt(PTRACE_GETREGS, pid, NULL, &b));
		CHECK(b.rip != a.rip);
		a = b;
	}
	OK(pt(PTRACE_CONT, pid, NULL, NULL));
	wait_exit(pid, 11);
}

TEST(attach_and_detach)
{
	pid_t pid;
	int status;
	char text[4096], want[32];

	CHILD (pid) {
		for (;;)
			pause();
	}
	if (pt(PTRACE_ATTACH, pid, NULL, NULL) && errno == EPERM) {
		OK(kill(pid, SIGKILL));
		SKIP("ptrace is not allowed here");
	}
	status = next_stop(pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	snprintf(text, 64, "/proc/%d/status", pid);
	read_file(strdup(text), text, sizeof(text));
	snprintf(want, sizeof(want), "\nTracerPid:\t%d\n", getpid());
	CHECK(strstr(text, want));
	CHECK_ERRNO(pt(PTRACE_ATTACH, pid, NULL, NULL), EPERM);
	OK(pt(PTRACE_DETACH, pid, NULL, NULL));
	settle(pid);
	CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
	OK(kill(pid, SIGKILL));
	wait_signal(pid, SIGKILL);
}

TEST(seize_and_interrupt)
{
	pid_t pid;
	int status;

	CHILD (pid) {
		for (;;)
			pause();
	}
	settle(pid);
	if (pt(PTRACE_SEIZE, pid, NULL, NULL) && errno == EPERM) {
		OK(kill(pid, SIGKILL));
		SKIP("ptrace is not allowed here");
	}
	CHECK_EQ(waitpid(pid, &status, WNOHANG | __WALL), 0);
	OK(pt(PTRACE_INTERRUPT, pid, NULL, NULL));
	status = next_stop(pid);
	CHECK_EQ(status >> 8, SIGTRAP | (PTRACE_EVENT_STOP << 8));
	OK(pt(PTRACE_CONT, pid, NULL, NULL));
	OK(kill(pid, SIGSTOP));
	status = next_stop(pid);
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	OK(pt(PTRACE_CONT, pid, NULL, (void *)SIGSTOP));
	/* A group stop is told as an event. */
	status = next_stop(pid);
	CHECK_EQ(status >> 8, SIGSTOP | (PTRACE_EVENT_STOP << 8));
	OK(kill(pid, SIGKILL));
	wait_signal(pid, SIGKILL);
}

TEST(fork_and_exit_events)
{
	pid_t pid = OK(fork()), child = 0;
	int status, exits = 0;
	unsigned long message;

	if (!pid) {
		if (pt(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(100);
		raise(SIGSTOP);
		if (!(pid = fork()))
			_exit(8);
		_exit(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 8 ? 9 : 1);
	}
	status = next_stop(pid);
	if (WIFEXITED(status))
		SKIP("ptrace is not allowed here");
	OK(pt(PTRACE_SETOPTIONS, pid, NULL, (void *)(PTRACE_O_TRACEFORK | PTRACE_O_TRACEEXIT)));
	OK(pt(PTRACE_CONT, pid, NULL, NULL));
	for (;;) {
		pid_t who = OK(waitpid(-1, &status, __WALL));
		int event = status >> 16;

		if (WIFEXITED(status)) {
			if (who == pid)
				break;
			CHECK_EQ(who, child);
			continue;
		}
		CHECK(WIFSTOPPED(status));
		if (event == PTRACE_EVENT_FORK) {
			OK(pt(PTRACE_GETEVENTMSG, who, NULL, &message));
			child = (pid_t)message;
		} else if (event == PTRACE_EVENT_EXIT) {
			OK(pt(PTRACE_GETEVENTMSG, who, NULL, &message));
			CHECK_EQ(message, who == pid ? 9 << 8 : 8 << 8);
			exits++;
		}
		OK(pt(PTRACE_CONT, who, NULL,
		      (void *)(long)(!event && WSTOPSIG(status) == SIGCHLD ? SIGCHLD : 0)));
	}
	CHECK(child > 0);
	CHECK_EQ(exits, 2);
	CHECK_EQ(WEXITSTATUS(status), 9);
}

int test_subject(int argc, char **argv)
{
	return 55;
}

TEST(exec_traps)
{
	pid_t pid = OK(fork());
	int status;

	if (!pid) {
		if (pt(PTRACE_TRACEME, 0, NULL, NULL))
			_exit(100);
		execl(test_self(), "subject", NULL);
		_exit(1);
	}
	status = next_stop(pid);
	if (WIFEXITED(status))
		SKIP("ptrace is not allowed here");
	CHECK(WIFSTOPPED(status) && WSTOPSIG(status) == SIGTRAP);
	OK(pt(PTRACE_CONT, pid, NULL, NULL));
	wait_exit(pid, 55);
}

TEST(errors)
{
	pid_t pid;
	struct gate g = gate_new();
	long word;

	CHECK_ERRNO(pt(PTRACE_ATTACH, 0x3fffffff, NULL, NULL), ESRCH);
	CHILD (pid)
		gate_pass(&g);
	/* Not traced, and traced but running. */
	CHECK_ERRNO(pt(PTRACE_PEEKDATA, pid, (void *)&data, &word), ESRCH);
	CHECK_ERRNO(pt(PTRACE_CONT, pid, NULL, NULL), ESRCH);
	CHECK_ERRNO(pt(PTRACE_ATTACH, getpid(), NULL, NULL), EPERM);
	gate_open(&g);
	wait_ok(pid);
	pid = traced();
	CHECK_ERRNO(pt(PTRACE_CONT, pid, NULL, (void *)999), EIO);
	CHECK_ERRNO(pt(0x7777, pid, NULL, NULL), EIO);
	CHECK_ERRNO(pt(PTRACE_SETOPTIONS, pid, NULL, (void *)0x40000000), EINVAL);
	OK(kill(pid, SIGKILL));
	wait_signal(pid, SIGKILL);
}

TEST(tracer_death_frees_the_tracee)
{
	pid_t tracer, pid;
	int status;

	CHILD (pid) {
		for (;;)
			pause();
	}
	CHILD (tracer) {
		if (pt(PTRACE_SEIZE, pid, NULL, NULL))
			_exit(100);
	}
	status = wait_status(tracer);
	if (WEXITSTATUS(status) == 100) {
		OK(kill(pid, SIGKILL));
		SKIP("ptrace of a sibling is not allowed here");
	}
	OK(kill(pid, SIGTERM));
	wait_signal(pid, SIGTERM);
}

TEST(exitkill)
{
	pid_t tracer, pid;
	int status;

	CHILD (pid) {
		for (;;)
			pause();
	}
	CHILD (tracer) {
		if (pt(PTRACE_SEIZE, pid, NULL, (void *)PTRACE_O_EXITKILL))
			_exit(100);
	}
	status = wait_status(tracer);
	if (WEXITSTATUS(status) == 100) {
		OK(kill(pid, SIGKILL));
		SKIP("ptrace of a sibling is not allowed here");
	}
	wait_signal(pid, SIGKILL);
}
