/* SPDX-License-Identifier: Apache-2.0 */
/* wait4(2), waitid(2): choosing children, states, what is written, blocking. */
#include <pthread.h>
#include <sys/resource.h>

#include "harness.h"

static pid_t exits_with(int code)
{
	pid_t pid = OK(fork());

	if (!pid)
		_exit(code);
	return pid;
}

static pid_t sleeps(void)
{
	pid_t pid = OK(fork());

	if (!pid) {
		for (;;)
			pause();
	}
	return pid;
}

TEST(no_children)
{
	siginfo_t info;

	CHECK_ERRNO(wait(NULL), ECHILD);
	CHECK_ERRNO(waitpid(-1, NULL, WNOHANG), ECHILD);
	CHECK_ERRNO(waitpid(getpid(), NULL, 0), ECHILD);
	CHECK_ERRNO(waitpid(getppid(), NULL, 0), ECHILD);
	CHECK_ERRNO(waitid(P_ALL, 0, &info, WEXITED), ECHILD);
	CHECK_ERRNO(waitpid(0x3fffffff, NULL, 0), ECHILD);
}

TEST(arguments)
{
	siginfo_t info;
	pid_t pid = exits_with(0);

	CHECK_ERRNO(waitpid(-1, NULL, 0x100), EINVAL);
	CHECK_ERRNO(waitid(P_ALL, 0, &info, 0), EINVAL);
	CHECK_ERRNO(waitid(P_ALL, 0, &info, WEXITED | 0x1000), EINVAL);
	CHECK_ERRNO(waitid(9, 0, &info, WEXITED), EINVAL);
	CHECK_ERRNO(waitid(P_PID, 0, &info, WEXITED), EINVAL);
	CHECK_ERRNO(waitpid(INT_MIN, NULL, 0), ESRCH);
	CHECK_ERRNO(waitid(P_PIDFD, 99, &info, WEXITED), EBADF);
	wait_ok(pid);
}

TEST(bad_address_reaps_all_the_same)
{
	pid_t pid = exits_with(3);

	CHECK_ERRNO(syscall(SYS_wait4, pid, BAD_PTR, 0, NULL), EFAULT);
	CHECK_ERRNO(waitpid(pid, NULL, 0), ECHILD);
}

TEST(codes)
{
	int status;

	for (int code = 0; code < 256; code += 51) {
		pid_t pid = exits_with(code);

		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status, code << 8);
	}
}

TEST(killed)
{
	const int sigs[] = { SIGKILL, SIGTERM, SIGHUP, SIGUSR1, SIGALRM, SIGPIPE, SIGRTMIN };
	int status;

	for (size_t i = 0; i < sizeof(sigs) / sizeof(sigs[0]); i++) {
		pid_t pid = sleeps();

		OK(kill(pid, sigs[i]));
		CHECK_EQ(waitpid(pid, &status, 0), pid);
		CHECK_EQ(status & 0x7f, sigs[i]);
		CHECK(!WIFEXITED(status) && WIFSIGNALED(status));
	}
}

TEST(nohang)
{
	struct gate g = gate_new();
	int status = 55;
	pid_t pid;

	CHILD (pid)
		gate_pass(&g);
	CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
	CHECK_EQ(status, 55);
	gate_open(&g);
	wait_ok(pid);
	CHECK_ERRNO(waitpid(pid, &status, WNOHANG), ECHILD);
}

TEST(chosen_by_pid)
{
	pid_t a = exits_with(1), b = exits_with(2), c = exits_with(3);

	wait_exit(b, 2);
	wait_exit(c, 3);
	wait_exit(a, 1);
}

TEST(chosen_by_group)
{
	struct gate g = gate_new();
	pid_t own, other, group;
	int status;

	other = OK(fork());
	if (!other) {
		OK(setpgid(0, 0));
		gate_pass(&g);
		_exit(1);
	}
	setpgid(other, other);
	group = OK(fork());
	if (!group) {
		setpgid(0, other);
		_exit(2);
	}
	setpgid(group, other);
	own = exits_with(3);
	CHECK_EQ(waitpid(0, &status, 0), own);
	CHECK_ERRNO(waitpid(0, &status, 0), ECHILD);
	CHECK_EQ(waitpid(-other, &status, 0), group);
	CHECK_EQ(waitpid(-other, &status, WNOHANG), 0);
	gate_open(&g);
	CHECK_EQ(waitpid(-other, &status, 0), other);
	CHECK_ERRNO(waitpid(-other, &status, 0), ECHILD);
}

TEST(stopped_and_continued)
{
	pid_t pid = sleeps();
	int status;

	OK(kill(pid, SIGSTOP));
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK(WIFSTOPPED(status));
	CHECK_EQ(WSTOPSIG(status), SIGSTOP);
	/* Each state is told once. */
	CHECK_EQ(waitpid(pid, &status, WUNTRACED | WNOHANG), 0);
	CHECK_EQ(waitpid(pid, &status, WNOHANG), 0);
	OK(kill(pid, SIGCONT));
	CHECK_EQ(waitpid(pid, &status, WCONTINUED), pid);
	CHECK(WIFCONTINUED(status));
	CHECK_EQ(status, 0xffff);
	CHECK_EQ(waitpid(pid, &status, WCONTINUED | WNOHANG), 0);
	/* A group whose parents are all in it or in another session is orphaned: SIGTSTP does
	 * nothing. */
	OK(kill(pid, SIGTSTP));
	settle(pid);
	CHECK_EQ(waitpid(pid, &status, WUNTRACED | WNOHANG), 0);
	OK(setpgid(pid, pid));
	OK(kill(pid, SIGTSTP));
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK_EQ(WSTOPSIG(status), SIGTSTP);
	/* SIGKILL ends a stopped process. */
	OK(kill(pid, SIGKILL));
	wait_signal(pid, SIGKILL);
}

TEST(waitid_fields)
{
	siginfo_t info;
	pid_t pid = exits_with(42);

	memset(&info, 0xff, sizeof(info));
	OK(waitid(P_PID, (id_t)pid, &info, WEXITED));
	CHECK_EQ(info.si_signo, SIGCHLD);
	CHECK_EQ(info.si_errno, 0);
	CHECK_EQ(info.si_code, CLD_EXITED);
	CHECK_EQ(info.si_pid, pid);
	CHECK_EQ(info.si_uid, getuid());
	CHECK_EQ(info.si_status, 42);
	pid = sleeps();
	OK(kill(pid, SIGSTOP));
	OK(waitid(P_PID, (id_t)pid, &info, WSTOPPED));
	CHECK_EQ(info.si_code, CLD_STOPPED);
	CHECK_EQ(info.si_status, SIGSTOP);
	OK(kill(pid, SIGCONT));
	OK(waitid(P_PID, (id_t)pid, &info, WCONTINUED));
	CHECK_EQ(info.si_code, CLD_CONTINUED);
	CHECK_EQ(info.si_status, SIGCONT);
	OK(kill(pid, SIGKILL));
	OK(waitid(P_ALL, 0, &info, WEXITED));
	CHECK_EQ(info.si_code, CLD_KILLED);
	CHECK_EQ(info.si_status, SIGKILL);
}

TEST(waitid_leaves_or_takes)
{
	siginfo_t info;
	pid_t pid = exits_with(5);

	OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
	CHECK_EQ(info.si_status, 5);
	OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
	OK(waitid(P_PGID, 0, &info, WEXITED));
	CHECK_EQ(info.si_pid, pid);
	CHECK_ERRNO(waitid(P_PID, (id_t)pid, &info, WEXITED), ECHILD);
}

TEST(waitid_nohang_clears)
{
	siginfo_t info;
	pid_t pid = sleeps();

	memset(&info, 0xff, sizeof(info));
	OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG));
	CHECK_EQ(info.si_pid, 0);
	CHECK_EQ(info.si_signo, 0);
	OK(kill(pid, SIGKILL));
	OK(waitid(P_PID, (id_t)pid, NULL, WEXITED));
}

TEST(core_flag)
{
	siginfo_t info;
	pid_t pid = sleeps();

	/* No core is written (limit 0), and so none is reported. */
	OK(kill(pid, SIGQUIT));
	OK(waitid(P_PID, (id_t)pid, &info, WEXITED));
	CHECK(info.si_code == CLD_KILLED || info.si_code == CLD_DUMPED);
	CHECK_EQ(info.si_status, SIGQUIT);
}

TEST(usage_of_the_child)
{
	struct rusage ru;
	int status;
	pid_t pid;

	CHILD (pid)
		burn_ms(30);
	memset(&ru, 0xff, sizeof(ru));
	CHECK_EQ(wait4(pid, &status, 0, &ru), pid);
	CHECK(ru.ru_utime.tv_sec < 10);
	CHECK(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec +
		      1000000 * (ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) >
	      5000);
	CHECK(ru.ru_maxrss > 0);
}

TEST(ignored_sigchld_leaves_no_zombies)
{
	on_signal(SIGCHLD, SIG_IGN, 0);
	exits_with(1);
	exits_with(2);
	/* Waits for all of them, then there is nothing to report. */
	CHECK_ERRNO(wait(NULL), ECHILD);
}

TEST(nocldwait)
{
	on_signal(SIGCHLD, count_signal, SA_NOCLDWAIT | SA_RESTART);
	exits_with(1);
	CHECK_ERRNO(wait(NULL), ECHILD);
	CHECK_EQ(signals_seen, 1);
}

TEST(nocldstop)
{
	pid_t pid;
	int status;

	on_signal(SIGCHLD, count_signal, SA_NOCLDSTOP | SA_RESTART);
	pid = sleeps();
	OK(kill(pid, SIGSTOP));
	CHECK_EQ(waitpid(pid, &status, WUNTRACED), pid);
	CHECK_EQ(signals_seen, 0);
	OK(kill(pid, SIGKILL));
	wait_signal(pid, SIGKILL);
	CHECK_EQ(signals_seen, 1);
}

TEST(interrupted)
{
	pid_t pid, parent = getpid();

	on_signal(SIGUSR1, count_signal, 0);
	CHILD (pid) {
		settle(parent);
		OK(kill(parent, SIGUSR1));
		for (;;)
			pause();
	}
	CHECK_ERRNO(waitpid(pid, NULL, 0), EINTR);
	CHECK_EQ(signals_seen, 1);
	OK(kill(pid, SIGKILL));
	wait_signal(pid, SIGKILL);
}

static void *forks_a_child(void *arg)
{
	*(pid_t *)arg = exits_with(8);
	return NULL;
}

TEST(children_of_any_thread)
{
	pthread_t t;
	pid_t pid;
	int status;

	CHECK_EQ(pthread_create(&t, NULL, forks_a_child, &pid), 0);
	CHECK_EQ(pthread_join(t, NULL), 0);
	CHECK_EQ(waitpid(-1, &status, __WNOTHREAD), pid);
	CHECK_EQ(WEXITSTATUS(status), 8);
}

struct holder {
	pid_t child;
	struct gate forked, end;
};

static void *forks_and_stays(void *arg)
{
	struct holder *h = arg;

	h->child = exits_with(8);
	gate_open(&h->forked);
	gate_pass(&h->end);
	return NULL;
}

TEST(wnothread_leaves_other_threads_children)
{
	struct holder h = { 0, gate_new(), gate_new() };
	pthread_t t;

	CHECK_EQ(pthread_create(&t, NULL, forks_and_stays, &h), 0);
	gate_pass(&h.forked);
	CHECK_ERRNO(waitpid(-1, NULL, __WNOTHREAD), ECHILD);
	wait_exit(h.child, 8);
	gate_open(&h.end);
	CHECK_EQ(pthread_join(t, NULL), 0);
}

TEST(zombie_keeps_its_pid)
{
	siginfo_t info;
	pid_t pid = exits_with(0);

	OK(waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT));
	OK(kill(pid, 0));
	OK(kill(pid, SIGKILL));
	CHECK_EQ(getpgid(pid), getpgrp());
	wait_ok(pid);
	CHECK_ERRNO(kill(pid, 0), ESRCH);
}

TEST(children_of_a_sibling_are_not_ours)
{
	/* Two waits for two children, from a process and from its child, do not mix. */
	pid_t a, b = exits_with(2);

	CHILD (a)
		CHECK_ERRNO(waitpid(b, NULL, 0), ECHILD);
	wait_ok(a);
	wait_exit(b, 2);
}
