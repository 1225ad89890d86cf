/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run a command and interfere with its n-th system call (ptrace(2)).
 *
 *   nth count [-f] CMD...           how many system calls it makes
 *   nth kill N [-f] CMD...          SIGKILL before the n-th
 *   nth fail N ERRNO [-f] CMD...    the n-th is not made and returns -ERRNO
 *
 * -f: processes that it makes are counted and hit, too (one count over all; the one that makes the
 * n-th call is killed), until they outlive the command: then they are let go. Without -f only the command
 * itself is traced. Counting starts after the exec of the command. Standard error gets
 * one line at the end: "nth: calls=C hit=NR pid=P"; the exit status is the command's (128 + N for signals).
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

enum mode { COUNT, KILL, FAIL };

static struct {
	enum mode mode;
	long n;
	int error;
	bool follow;
	long calls;
	long hit; /* number of the system call, -1: none yet */
	pid_t hit_pid;
} nth = { .hit = -1 };

#define TRACEES_MAX 4096
static struct {
	pid_t pid;
	bool inside; /* between entry and exit of a call */
	bool fail;   /* this call's result is to be replaced */
} tracees[TRACEES_MAX];

static int slot(pid_t pid)
{
	int free_slot = -1;

	for (int i = 0; i < TRACEES_MAX; i++) {
		if (tracees[i].pid == pid)
			return i;
		if (!tracees[i].pid && free_slot < 0)
			free_slot = i;
	}
	if (free_slot < 0)
		exit(125);
	memset(&tracees[free_slot], 0, sizeof(tracees[free_slot]));
	tracees[free_slot].pid = pid;
	return free_slot;
}

/* True if the tracee was killed. */
static bool on_syscall(pid_t pid)
{
	struct user_regs_struct regs;
	const int i = slot(pid);

	tracees[i].inside = !tracees[i].inside;
	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
		return true; /* killed by someone else meanwhile */
	if (!tracees[i].inside) {
		if (tracees[i].fail) {
			regs.rax = (unsigned long long)-(long long)nth.error;
			(void)ptrace(PTRACE_SETREGS, pid, NULL, &regs);
			tracees[i].fail = false;
		}
		return false;
	}
	if (++nth.calls != nth.n || nth.mode == COUNT)
		return false;
	nth.hit = (long)regs.orig_rax;
	nth.hit_pid = pid;
	if (nth.mode == KILL) {
		(void)kill(pid, SIGKILL);
		return true;
	}
	regs.orig_rax = (unsigned long long)-1; /* no such call */
	(void)ptrace(PTRACE_SETREGS, pid, NULL, &regs);
	tracees[i].fail = true;
	return false;
}

static int trace(pid_t command)
{
	int result = -1;

	while (result < 0) {
		int status, sig = 0;
		const pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0)
			return 125;
		if (WIFEXITED(status) || WIFSIGNALED(status)) {
			tracees[slot(pid)].pid = 0;
			if (pid == command)
				result = WIFEXITED(status) ? WEXITSTATUS(status) :
							     128 + WTERMSIG(status);
			continue;
		}
		if (!WIFSTOPPED(status))
			continue;
		if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
			if (on_syscall(pid))
				continue;
		} else if (status >> 16) {
			/* an event stop, of a new process or an exec: nothing to pass on */
			if (status >> 16 == PTRACE_EVENT_STOP)
				(void)slot(pid);
		} else {
			sig = WSTOPSIG(status);
		}
		(void)ptrace(PTRACE_SYSCALL, pid, NULL, (void *)(long)sig);
	}
	return result;
}

static pid_t start(char **argv)
{
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC;
	int status;
	const pid_t pid = fork();

	if (pid == 0) {
		(void)raise(SIGSTOP);
		(void)execv(argv[0], argv);
		_exit(127);
	}
	if (nth.follow)
		options |= PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE;
	if (waitpid(pid, &status, WUNTRACED) != pid || ptrace(PTRACE_SEIZE, pid, NULL, options) < 0)
		exit(125);
	(void)kill(pid, SIGCONT);
	/* Up to the exec: the count begins with the program itself. */
	for (;;) {
		if (waitpid(pid, &status, __WALL) != pid || !WIFSTOPPED(status))
			exit(125);
		if (status >> 16 == PTRACE_EVENT_EXEC)
			break;
		(void)ptrace(PTRACE_CONT, pid, NULL, NULL);
	}
	tracees[slot(pid)].inside = true; /* the exec's own exit comes first */
	(void)ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
	return pid;
}

int main(int argc, char **argv)
{
	int at = 2, result;

	if (argc < 3)
		return 125;
	nth.mode = strcmp(argv[1], "kill") == 0 ? KILL : strcmp(argv[1], "fail") == 0 ? FAIL : COUNT;
	if (nth.mode != COUNT)
		nth.n = strtol(argv[at++], NULL, 10);
	if (nth.mode == FAIL)
		nth.error = (int)strtol(argv[at++], NULL, 10);
	if (at < argc && strcmp(argv[at], "-f") == 0) {
		nth.follow = true;
		at++;
	}
	if (at >= argc)
		return 125;
	result = trace(start(argv + at));
	fprintf(stderr, "nth: calls=%ld hit=%ld pid=%d\n", nth.calls, nth.hit, (int)nth.hit_pid);
	/* Tracees that are left are detached by our end: PTRACE_SEIZE without EXITKILL. */
	return result;
}
