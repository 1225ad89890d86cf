/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run a command and interfere with its n-th system call (ptrace(2)).
 *
 *   nth count [-f] CMD...           how many system calls it makes
 *   nth kill N [-f] CMD...          SIGKILL before the n-th
 *   nth fail N ERRNO [-f] CMD...    the n-th is not made and returns -ERRNO
 *   nth other N WHO [-f] CMD...     SIGKILL to others before the n-th: a pid, or all of a name
 *
 * -f: processes that it makes are counted and hit, too (one count over all; the one that makes the
 * n-th call is killed), until they outlive the command or execute a program that is a file: memfds
 * are the runtime's own last stage, files are hooks and the container's program. Counting starts
 * after the exec of the command. A close(2) that fails closes nevertheless, as Linux does it; calls
 * that cannot fail (exit_group, rt_sigreturn, brk ...) are made. -c: the same, but of these
 * processes alone, not of the command.
 *
 * A command that does not end within NTH_TIMEOUT seconds (default 10) is killed. Standard error
 * gets one line at the end:
 *
 *   nth: calls=C hit=NR arg=A by=command|child|stage end=exit:S|signal:N|hung
 *
 * calls: those counted, up to the hit; hit: the number of the system call or -1, arg: its first
 * argument, by: who made it; a stage is a child that executes a memfd. The exit status is the
 * command's, 128 + N for signals, 124 if it hung.
 */
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>
#include <linux/ptrace.h>

enum mode { COUNT, KILL, FAIL, OTHER };

static struct {
	enum mode mode;
	long n;
	int error;
	const char *who; /* of OTHER */
	bool follow;
	bool children; /* and they alone */
	pid_t command;
	long calls;
	long hit; /* number of the system call, -1: none yet */
	unsigned long long arg;
	pid_t hit_pid;
	const char *by;
	bool replace; /* the result of hit_pid's call is to be replaced */
} nth = { .hit = -1, .by = "nobody" };

static volatile sig_atomic_t hung;

static void on_alarm(int sig)
{
	(void)sig;
	hung = 1;
	(void)kill(nth.command, SIGKILL);
}

/*
 * brk(2) answers with the old end instead; signal masks cannot fail (EFAULT aside); the rest is
 * what libc does with itself before main().
 */
static bool can_fail(long nr)
{
	static const long never[] = {
		SYS_exit, SYS_exit_group,     SYS_rt_sigreturn,	   SYS_restart_syscall,
		SYS_brk,  SYS_arch_prctl,     SYS_set_tid_address, SYS_set_robust_list,
		SYS_rseq, SYS_rt_sigprocmask, SYS_rt_sigaction
	};

	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		if (never[i] == nr)
			return false;
	}
	return true;
}

static void replace_result(pid_t pid)
{
	struct user_regs_struct regs;

	nth.replace = false;
	if (ptrace(PTRACE_GETREGS, pid, NULL, &regs) < 0)
		return;
	regs.rax = (unsigned long long)-(long long)nth.error;
	(void)ptrace(PTRACE_SETREGS, pid, NULL, &regs);
}

/* The process has executed a program of the file system: it is none of the runtime's any more. */
static bool is_foreign(pid_t pid)
{
	char path[64], exe[256];
	ssize_t len;

	(void)snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	len = readlink(path, exe, sizeof(exe) - 1);
	if (len < 0)
		return false;
	exe[len] = '\0';
	return strncmp(exe, "/memfd:", 7) != 0;
}

static bool is_named(const char *pid, const char *name)
{
	char path[300], comm[32] = "";
	ssize_t len;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd >= 0 ? read(fd, comm, sizeof(comm) - 1) : -1;
	if (fd >= 0)
		(void)close(fd);
	comm[len > 0 ? len : 0] = '\0';
	comm[strcspn(comm, "\n")] = '\0';
	return strcmp(comm, name) == 0;
}

static void kill_others(void)
{
	DIR *proc;
	const struct dirent *entry;

	if (isdigit((unsigned char)nth.who[0])) {
		(void)kill(atoi(nth.who), SIGKILL);
		return;
	}
	proc = opendir("/proc");
	while (proc && (entry = readdir(proc))) {
		if (isdigit((unsigned char)entry->d_name[0]) && is_named(entry->d_name, nth.who))
			(void)kill(atoi(entry->d_name), SIGKILL);
	}
	if (proc)
		(void)closedir(proc);
}

/* The n-th call. True if the tracee was killed. */
static bool hit(pid_t pid, const struct ptrace_syscall_info *info)
{
	const long nr = (long)info->entry.nr;
	struct user_regs_struct regs;

	nth.hit = nr;
	nth.arg = info->entry.args[0];
	nth.hit_pid = pid;
	nth.by = pid == nth.command ? "command" : is_foreign(pid) ? "child" : "stage";
	if (nth.mode == KILL) {
		(void)kill(pid, SIGKILL);
		return true;
	}
	if (nth.mode == OTHER)
		kill_others();
	if (nth.mode == OTHER || !can_fail(nr))
		return false;
	nth.replace = true;
	if (nr != SYS_close && ptrace(PTRACE_GETREGS, pid, NULL, &regs) == 0) {
		regs.orig_rax = (unsigned long long)-1; /* no such call */
		(void)ptrace(PTRACE_SETREGS, pid, NULL, &regs);
	}
	return false;
}

/* True if the tracee was killed. */
static bool on_syscall(pid_t pid)
{
	struct ptrace_syscall_info info = { 0 };

	if (ptrace(PTRACE_GET_SYSCALL_INFO, pid, sizeof(info), &info) < 0)
		return true; /* killed by someone else meanwhile */
	if (info.op == PTRACE_SYSCALL_INFO_EXIT) {
		if (nth.replace && nth.hit_pid == pid)
			replace_result(pid);
		return false;
	}
	if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return false;
	if (nth.children && pid == nth.command)
		return false;
	if (++nth.calls != nth.n || nth.mode == COUNT)
		return false;
	return hit(pid, &info);
}

/* The n-th call was hit and has its result: what comes after need not stop (nor is it counted). */
static bool is_over(void)
{
	return nth.hit >= 0 && !nth.replace;
}

/* One stop of a tracee: let it go on, or go. */
static void on_stop(pid_t pid, int status)
{
	int sig = 0;

	if (WSTOPSIG(status) == (SIGTRAP | 0x80)) {
		if (on_syscall(pid))
			return;
	} else if (status >> 16 == PTRACE_EVENT_EXEC) {
		if (pid != nth.command && is_foreign(pid)) {
			(void)ptrace(PTRACE_DETACH, pid, NULL, NULL);
			return;
		}
	} else if (!(status >> 16)) {
		sig = WSTOPSIG(status); /* else an event: nothing to pass on */
	}
	(void)ptrace(is_over() ? PTRACE_CONT : PTRACE_SYSCALL, pid, NULL, (void *)(long)sig);
}

/* The wait status of the command. */
static int trace(void)
{
	for (;;) {
		int status;
		const pid_t pid = waitpid(-1, &status, __WALL);

		if (pid < 0 && errno == EINTR)
			continue;
		if (pid < 0)
			exit(125);
		if (!WIFSTOPPED(status)) {
			if (pid == nth.command)
				return status;
			continue;
		}
		on_stop(pid, status);
	}
}

/* LeakSanitizer cannot work where somebody traces, and says so with an error. */
static void search_no_leaks(void)
{
	const char *options = getenv("ASAN_OPTIONS");
	char text[1024];

	(void)snprintf(text, sizeof(text), "%s:detect_leaks=0", options ? options : "");
	(void)setenv("ASAN_OPTIONS", text, 1);
}

static void start(char **argv)
{
	long options = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC;
	int status;
	const pid_t pid = fork();

	if (pid == 0) {
		search_no_leaks();
		(void)raise(SIGSTOP);
		(void)execv(argv[0], argv);
		_exit(127);
	}
	nth.command = pid;
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
	(void)ptrace(PTRACE_SYSCALL, pid, NULL, NULL);
}

static void set_timeout(void)
{
	const char *text = getenv("NTH_TIMEOUT");
	const struct sigaction action = { .sa_handler = on_alarm };

	(void)sigaction(SIGALRM, &action, NULL);
	(void)alarm(text ? (unsigned int)atoi(text) : 10);
}

/* One line; returns the exit status. */
static int report(int status)
{
	char end[32];

	if (hung)
		(void)snprintf(end, sizeof(end), "hung");
	else if (WIFSIGNALED(status))
		(void)snprintf(end, sizeof(end), "signal:%d", WTERMSIG(status));
	else
		(void)snprintf(end, sizeof(end), "exit:%d", WEXITSTATUS(status));
	fprintf(stderr, "nth: calls=%ld hit=%ld arg=%lld by=%s end=%s\n", nth.calls, nth.hit,
		(long long)nth.arg, nth.by, end);
	if (hung)
		return 124;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

int main(int argc, char **argv)
{
	int at = 2;

	if (argc < 3)
		return 125;
	nth.mode = strcmp(argv[1], "kill") == 0	   ? KILL
		   : strcmp(argv[1], "fail") == 0  ? FAIL
		   : strcmp(argv[1], "other") == 0 ? OTHER
						   : COUNT;
	if (nth.mode != COUNT)
		nth.n = strtol(argv[at++], NULL, 10);
	if (nth.mode == FAIL && at < argc)
		nth.error = (int)strtol(argv[at++], NULL, 10);
	if (nth.mode == OTHER && at < argc)
		nth.who = argv[at++];
	if (at < argc && (strcmp(argv[at], "-f") == 0 || strcmp(argv[at], "-c") == 0)) {
		nth.follow = true;
		nth.children = argv[at][1] == 'c';
		at++;
	}
	if (at >= argc)
		return 125;
	start(argv + at);
	set_timeout();
	return report(trace());
	/* Tracees that are left are detached by our end: PTRACE_SEIZE without EXITKILL. */
}
