/* SPDX-License-Identifier: Apache-2.0 */
/*
 * trace_calls sentry|stub PID...: which lines of a list the processes use, with all their threads.
 *
 * "sentry": each call is judged by the filter that the list gives, in the form whose verdict is
 * the line; prints the numbers of the lines. "stub": calls from the stub's text, of the processes
 * and all that they make; prints numbers of calls. Says "ready" when it has them all; the answer
 * comes when they have gone or at SIGTERM.
 */
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sentry/platform/systrap/abi.h"
#include "unit/jail/cbpf.h"

extern const struct sock_filter sentry_lines[];
extern const unsigned short sentry_lines_len;

#define SEEN_MAX     1024
#define PLATFORM_TOP 0x7f0000000000 /* stubs lie above */
static bool seen[SEEN_MAX];
static bool of_stubs;
static uint64_t stub_text; /* the same in all stubs of a sandbox */
static volatile sig_atomic_t enough;

static void on_term(int sig)
{
	enough = 1;
}

static void note(const struct __ptrace_syscall_info *info)
{
	struct seccomp_data data = { .nr = (int)info->entry.nr,
				     .arch = info->arch,
				     .instruction_pointer = info->instruction_pointer };
	uint32_t at = (uint32_t)info->entry.nr;

	if (of_stubs) {
		if (info->instruction_pointer - stub_text >= STUB_TEXT_LEN)
			return;
	} else {
		memcpy(data.args, info->entry.args, sizeof(data.args));
		at = cbpf_run(sentry_lines, sentry_lines_len, &data);
		/* The kernel has killed it, or was about to. */
		at = (at & SECCOMP_RET_ACTION_FULL) == SECCOMP_RET_ALLOW ? at & SECCOMP_RET_DATA
									 : 0;
	}
	if (at < SEEN_MAX)
		seen[at] = true;
}

static void go_on(pid_t tid, int status)
{
	const int event = status >> 16, sig = WSTOPSIG(status);
	struct __ptrace_syscall_info info;
	int deliver = 0;

	if (sig == (SIGTRAP | 0x80)) {
		if (ptrace(PTRACE_GET_SYSCALL_INFO, tid, sizeof(info), &info) > 0 &&
		    info.op == PTRACE_SYSCALL_INFO_ENTRY)
			note(&info);
	} else if (event == PTRACE_EVENT_STOP && (sig == SIGSTOP || sig == SIGTSTP)) {
		(void)ptrace(PTRACE_LISTEN, tid, 0, 0);
		return;
	} else if (event == 0) {
		deliver = sig;
	}
	(void)ptrace(PTRACE_SYSCALL, tid, 0, deliver);
}

/* Executable memory of this length, without a name. */
static void find_stub_text(const char *pid)
{
	char path[64], line[512];
	FILE *f;

	(void)snprintf(path, sizeof(path), "/proc/%s/maps", pid);
	f = fopen(path, "re");
	while (f && fgets(line, sizeof(line), f)) {
		unsigned long start, end;
		int n = 0;

		if (sscanf(line, "%lx-%lx r-xp %*s %*s 0 %n", &start, &end, &n) == 2 && n > 0 &&
		    line[n] == 0 && start >= PLATFORM_TOP && end - start == STUB_TEXT_LEN)
			stub_text = start;
	}
	if (f)
		(void)fclose(f);
	if (!stub_text) {
		(void)fprintf(stderr, "no stub's text in process %s\n", pid);
		exit(1);
	}
}

static void seize(const char *pid)
{
	const long options =
		PTRACE_O_TRACESYSGOOD |
		(of_stubs ? PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE : 0);
	char path[64];
	struct dirent *entry;
	DIR *dir;

	(void)snprintf(path, sizeof(path), "/proc/%s/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		const pid_t tid = atoi(entry->d_name);

		if (tid <= 0)
			continue;
		if (ptrace(PTRACE_SEIZE, tid, 0, options) < 0 ||
		    ptrace(PTRACE_INTERRUPT, tid, 0, 0) < 0) {
			perror("trace");
			exit(1);
		}
	}
	if (!dir)
		exit(1);
	(void)closedir(dir);
}

int main(int argc, char **argv)
{
	const struct sigaction act = { .sa_handler = on_term };
	pid_t tid;
	int status;

	(void)sigaction(SIGTERM, &act, NULL);
	of_stubs = argc > 1 && strcmp(argv[1], "stub") == 0;
	if (of_stubs && argc > 2)
		find_stub_text(argv[2]);
	for (int i = 2; i < argc; i++)
		seize(argv[i]);
	(void)puts("ready");
	(void)fflush(stdout);
	while (!enough) {
		tid = waitpid(-1, &status, __WALL);
		if (tid < 0 && errno == ECHILD)
			break;
		if (tid > 0 && WIFSTOPPED(status))
			go_on(tid, status);
	}
	for (unsigned int i = 0; i < SEEN_MAX; i++) {
		if (seen[i])
			(void)printf("%u\n", i);
	}
	return 0;
}
