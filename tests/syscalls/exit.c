/* SPDX-License-Identifier: Apache-2.0 */
/* exit(2), exit_group(2): codes, threads, what the end of a process does to others. */
#include <pthread.h>
#include <sys/prctl.h>

#include "harness.h"

TEST(low_byte_of_the_code)
{
	pid_t pid;

	CHILD (pid)
		_exit(0x1234);
	wait_exit(pid, 0x34);
	CHILD (pid)
		_exit(-1);
	wait_exit(pid, 255);
}

static void *exits_alone(void *arg)
{
	syscall(SYS_exit, 3);
	return arg;
}

TEST(exit_of_one_thread_only)
{
	pthread_t t;
	pid_t pid;

	CHILD (pid) {
		CHECK_EQ(pthread_create(&t, NULL, exits_alone, NULL), 0);
		CHECK_EQ(pthread_join(t, NULL), 0);
		_exit(4);
	}
	wait_exit(pid, 4);
}

static void *ends_the_process(void *arg)
{
	sleep_ms(20);
	_exit(9);
	return arg;
}

TEST(leader_exits_first)
{
	pthread_t t;
	pid_t pid;

	CHILD (pid) {
		CHECK_EQ(pthread_create(&t, NULL, ends_the_process, NULL), 0);
		syscall(SYS_exit, 1);
	}
	wait_exit(pid, 9);
}

static void *exits_last(void *arg)
{
	settle(getpid());
	syscall(SYS_exit, 3);
	return arg;
}

TEST(code_of_the_last_thread)
{
	pthread_t t;
	pid_t pid;

	/* Nobody called exit_group(2): since Linux 5.17 the last thread's code is the process's. */
	CHILD (pid) {
		CHECK_EQ(pthread_create(&t, NULL, exits_last, NULL), 0);
		syscall(SYS_exit, 1);
	}
	wait_exit(pid, 3);
}

static void *spins(void *arg)
{
	for (;;)
		*(volatile int *)arg = 1;
	return NULL;
}

TEST(exit_group_ends_busy_threads)
{
	static int word;
	pthread_t t;
	pid_t pid;

	CHILD (pid) {
		for (int i = 0; i < 3; i++)
			CHECK_EQ(pthread_create(&t, NULL, spins, &word), 0);
		sleep_ms(5);
		_exit(6);
	}
	wait_exit(pid, 6);
}

TEST(descriptors_are_closed_at_the_end)
{
	int fds[2];
	char c;
	pid_t pid;

	OK(pipe(fds));
	CHILD (pid) {
		settle(getppid());
		_exit(0);
	}
	OK(close(fds[1]));
	CHECK_EQ(read(fds[0], &c, 1), 0);
	wait_ok(pid);
}

TEST(sigchld_with_its_fields)
{
	sigset_t set;
	siginfo_t info;
	pid_t pid;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	OK(sigprocmask(SIG_BLOCK, &set, NULL));
	CHILD (pid)
		_exit(17);
	CHECK_EQ(sigwaitinfo(&set, &info), SIGCHLD);
	CHECK_EQ(info.si_code, CLD_EXITED);
	CHECK_EQ(info.si_pid, pid);
	CHECK_EQ(info.si_uid, getuid());
	CHECK_EQ(info.si_status, 17);
	wait_exit(pid, 17);
}

TEST(parent_death_signal)
{
	struct gate ready = gate_new(), done = gate_new();
	pid_t pid, inner;
	char c = 0;

	CHILD (pid) {
		inner = OK(fork());
		if (!inner) {
			sigset_t set;

			sigemptyset(&set);
			sigaddset(&set, SIGUSR1);
			OK(sigprocmask(SIG_BLOCK, &set, NULL));
			OK(prctl(PR_SET_PDEATHSIG, SIGUSR1));
			gate_open(&ready);
			CHECK_EQ(sigwaitinfo(&set, NULL), SIGUSR1);
			CHECK_EQ(write(done.fd[1], "d", 1), 1);
			_exit(0);
		}
		gate_pass(&ready);
	}
	wait_ok(pid);
	CHECK_EQ(read(done.fd[0], &c, 1), 1);
}

TEST(subreaper_gets_orphans)
{
	pid_t pid, inner;
	int fds[2], status, found = 0;

	OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
	OK(pipe(fds));
	CHILD (pid) {
		inner = OK(fork());
		if (!inner) {
			settle(getppid());
			_exit(21);
		}
		CHECK(write(fds[1], &inner, sizeof(inner)) == sizeof(inner));
	}
	wait_ok(pid);
	CHECK(read(fds[0], &inner, sizeof(inner)) == sizeof(inner));
	CHECK_EQ(waitpid(inner, &status, 0), inner);
	CHECK_EQ(WEXITSTATUS(status), 21);
	OK(prctl(PR_GET_CHILD_SUBREAPER, &found));
	CHECK_EQ(found, 1);
}

TEST(orphaned_stopped_group_gets_sighup)
{
	struct gate ready = gate_new(), done = gate_new();
	pid_t pid, inner;
	char c = 0;

	CHILD (pid) {
		inner = OK(fork());
		if (!inner) {
			sigset_t set;

			OK(setpgid(0, 0));
			sigemptyset(&set);
			sigaddset(&set, SIGHUP);
			OK(sigprocmask(SIG_BLOCK, &set, NULL));
			gate_open(&ready);
			OK(raise(SIGSTOP));
			CHECK_EQ(sigwaitinfo(&set, NULL), SIGHUP);
			CHECK_EQ(write(done.fd[1], "h", 1), 1);
			_exit(0);
		}
		gate_pass(&ready);
		CHECK_EQ(waitpid(inner, NULL, WUNTRACED), inner);
	}
	wait_ok(pid);
	CHECK_EQ(read(done.fd[0], &c, 1), 1);
	CHECK_EQ(c, 'h');
}

TEST(fault_in_a_thread_ends_all)
{
	pthread_t t;
	pid_t pid;

	CHILD (pid) {
		CHECK_EQ(pthread_create(&t, NULL, (void *(*)(void *))(uintptr_t)0x10, NULL), 0);
		for (;;)
			pause();
	}
	wait_signal(pid, SIGSEGV);
}

TEST(illegal_instructions)
{
	pid_t pid;

	CHILD (pid)
		__asm__ volatile("ud2");
	wait_signal(pid, SIGILL);
	CHILD (pid)
		__asm__ volatile("hlt");
	wait_signal(pid, SIGSEGV);
	CHILD (pid)
		__asm__ volatile("int3");
	wait_signal(pid, SIGTRAP);
	CHILD (pid) {
		volatile int zero = 0;

		__asm__ volatile("idivl %0" : : "m"(zero), "a"(1), "d"(0));
	}
	wait_signal(pid, SIGFPE);
}
